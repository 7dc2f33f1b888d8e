"""Publish and pull: what goes to a hub comes back the same, and nothing else does."""

from __future__ import annotations

import dataclasses
import hashlib
import json
import runpy
import sys
from pathlib import Path

import gymnasium as gym
import numpy as np
import pytest
import torch
from hub_fixtures import *  # noqa: F403  fixtures
from hub_fixtures import FILM, HOME, READER, REPO, TOKEN, files_of, leftovers, small_policy
from huggingface_hub import close_session

from morphzoo import zoo
from morphzoo.folder_hub import FolderHub
from morphzoo.testing.faults import Fault
from morphzoo.testing.hub import HubServer
from morphzoo.transfer import evaluate
from morphzoo.zoo import address, pins, remote
from morphzoo.zoo.card import addressed
from morphzoo.zoo.pinning import pin

ROOT = Path(__file__).parents[1]
PULLED = {"config.json", "model.safetensors", "README.md"}


def replaced(folder: Path, spaces) -> None:
    """Put other weights into a checkpoint."""
    for file in folder.iterdir():
        file.unlink()
    zoo.save(small_policy(spaces, 1), folder, env_id=HOME, seed=3, steps=7)


def played(policy, num_steps: int = 40) -> np.ndarray:
    env = gym.make(HOME)
    observation, _ = env.reset(seed=5)
    actions = []
    for _ in range(num_steps):
        action, _ = policy.predict(observation, deterministic=True)
        observation, _, terminated, truncated, _ = env.step(action)
        actions.append(action)
        if terminated or truncated:
            observation, _ = env.reset()
    env.close()
    return np.array(actions)


def test_publish_pull_evaluate_over_http(
    server: HubServer, checkpoint: Path, home_spaces, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The whole way of a policy, to a hub and back: the same bits, actions and returns."""
    published = zoo.push(checkpoint, REPO, tag="v1", endpoint=server.url)
    assert [r for r in server.requests if "/commit/" in r] and "/commit/" in published.url
    monkeypatch.setenv("MORPHZOO_HUB", server.url)
    before = zoo.load(checkpoint, home_spaces)
    for name in (REPO, f"{REPO}@v1", f"{REPO}@{published.revision}"):
        after = zoo.load(name, home_spaces)
        assert before.state_dict().keys() == after.state_dict().keys()
        assert all(torch.equal(v, after.state_dict()[k]) for k, v in before.state_dict().items())
        np.testing.assert_array_equal(played(before), played(after))
    how = {"episodes": 1, "seed": 3, "num_threads": 1}
    tables = [evaluate(policy, HOME, **how) for policy in (before, after)]
    np.testing.assert_array_equal(tables[0].returns, tables[1].returns)
    assert np.ptp(played(before)) > 0


# What travels.


def test_a_published_card_loads_it_from_there(server: HubServer, checkpoint: Path) -> None:
    """Whatever the folder's name is, and from whichever repository it is published on."""
    card = (checkpoint / "README.md").read_text()
    assert card.count('zoo.load("legs", env)') == 1
    zoo.push(checkpoint, REPO, endpoint=server.url)
    folder = zoo.pull(REPO, endpoint=server.url)
    there = (folder / "README.md").read_text()
    assert there == card.replace('zoo.load("legs", env)', 'zoo.load("user/legs", env)')
    zoo.push(folder, "user/copy", endpoint=server.url)
    again = zoo.pull("user/copy", endpoint=server.url) / "README.md"
    assert again.read_text() == there.replace('"user/legs"', '"user/copy"')
    (checkpoint / "README.md").write_text("no program of ours\n")
    commit = zoo.push(checkpoint, REPO, endpoint=server.url).revision
    assert server.hub.read(REPO, commit, "README.md") == b"no program of ours\n"


def test_only_a_checkpoints_own_files_travel(
    server: HubServer, checkpoint: Path, caplog: pytest.LogCaptureFixture
) -> None:
    (checkpoint / "recipe.json").write_text('{"env": "x", "policy": "mlp"}')
    (checkpoint / "curve.csv").write_text("step\n")
    (checkpoint / "replay.mp4").write_bytes(FILM)
    published = zoo.push(checkpoint, REPO, endpoint=server.url)
    assert "not published: 'policy.pkl'" in caplog.text
    there = server.hub.commit_of(REPO, published.revision).files
    assert set(there) == PULLED | {"recipe.json", "curve.csv", "replay.mp4"}
    extra = {"evil.py": b"1", "pytorch_model.bin": b"1", "sub/model.safetensors": b"1"}
    extra |= {
        "../../replay.mp4": FILM,
        "sub/replay.mp4": FILM,
        "a.mp4": FILM,
        "replay.mp4.exe": b"1",
    }
    server.hub.commit(REPO, extra, message="not ours")
    del server.requests[:]
    folder = zoo.pull(REPO, endpoint=server.url)
    assert set(files_of(folder)) == PULLED | {"replay.mp4"}
    asked = {r.rsplit("/", 1)[1] for r in server.requests if "/resolve/" in r}
    assert asked == PULLED | {"replay.mp4"}
    assert (folder / "model.safetensors").read_bytes() == (
        checkpoint / "model.safetensors"
    ).read_bytes()
    assert not [f for f in folder.parent.rglob("*.part-*")]


def test_a_second_push_changes_only_what_differs(
    server: HubServer, checkpoint: Path, home_spaces
) -> None:
    (checkpoint / "replay.mp4").write_bytes(FILM)
    first = zoo.push(checkpoint, REPO, endpoint=server.url)
    assert zoo.push(checkpoint, REPO, endpoint=server.url)[:2] == first[:2]
    assert len([r for r in server.requests if "/commit/" in r]) == 1
    server.hub.commit(REPO, {".gitattributes": b"x"}, message="the hub's own")
    replaced(checkpoint, home_spaces)
    del server.requests[:]
    second = zoo.push(checkpoint, REPO, endpoint=server.url)
    commit = server.hub.commit_of(REPO, second.revision)
    assert set(commit.files) == PULLED | {".gitattributes"}
    before = server.hub.commit_of(REPO, first.revision)
    changed = {name for name in PULLED if commit.files[name] != before.files[name]}
    assert "model.safetensors" in changed and "README.md" not in changed  # same facts
    assert server.hub.read(REPO, first.revision, "replay.mp4") == FILM  # and history stays


def test_a_tag_is_never_moved(server: HubServer, checkpoint: Path, home_spaces) -> None:
    first = zoo.push(checkpoint, REPO, tag="v1", endpoint=server.url)
    assert zoo.push(checkpoint, REPO, tag="v1", endpoint=server.url).revision == first.revision
    replaced(checkpoint, home_spaces)
    with pytest.raises(zoo.HubError, match="v1 of user/legs names another version already"):
        zoo.push(checkpoint, REPO, tag="v1", endpoint=server.url)
    assert server.hub.resolve(REPO) == server.hub.resolve(REPO, "v1") == first.revision
    second = zoo.push(checkpoint, REPO, tag="v2", endpoint=server.url)
    assert server.hub.state(REPO)["tags"] == {"v1": first.revision, "v2": second.revision}
    again = zoo.pull(f"{REPO}@v1", endpoint=server.url)
    assert zoo.push(again, REPO, tag="v1", endpoint=server.url).revision == first.revision
    assert server.hub.resolve(REPO) == second.revision, "an old version took the branch back"


def test_private_stays_private(
    server: HubServer, checkpoint: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    zoo.push(checkpoint, REPO, private=True, endpoint=server.url)
    assert zoo.tagged(endpoint=server.url) == []
    with pytest.raises(zoo.HubError, match="no repository user/legs, or it is private"):
        zoo.pull(REPO, token=False, endpoint=server.url)
    assert zoo.pull(REPO, token=READER, endpoint=server.url).is_dir()
    server.hub.create("user/open")
    with pytest.raises(zoo.HubError, match="exists and is public: nothing was published"):
        zoo.push(checkpoint, "user/open", private=True, endpoint=server.url)
    assert server.hub.state("user/open")["branches"] == {}


def test_a_pull_request_leaves_the_branch_alone(
    server: HubServer, checkpoint: Path, home_spaces
) -> None:
    with pytest.raises(zoo.HubError, match="no repository user/legs"):
        zoo.push(checkpoint, REPO, create_pr=True, endpoint=server.url)
    assert server.hub.repos() == []
    first = zoo.push(checkpoint, REPO, endpoint=server.url)
    replaced(checkpoint, home_spaces)
    proposed = zoo.push(checkpoint, REPO, create_pr=True, endpoint=server.url)
    assert proposed.url.endswith("/discussions/1") and proposed.revision != first.revision
    assert server.hub.resolve(REPO) == first.revision
    folder = zoo.pull(REPO, revision="refs/pr/1", endpoint=server.url)
    assert folder.name == proposed.revision
    with pytest.raises(ValueError, match="no create_pr"):
        zoo.push(checkpoint, REPO, create_pr=True, tag="v1", endpoint=server.url)


def test_the_zoos_own_names(server: HubServer, checkpoint: Path) -> None:
    assert zoo.push(checkpoint, "user", endpoint=server.url).repo == (
        "user/snowflake-morphzoo-Centipede-4-v0"
    )
    config = {"algorithm": "ppo", "policy": "mlp", "env_id": "morphzoo/Centipede-6-v0"}
    name = address.repo_name
    assert name({**config, "env_kwargs": {}}) == "ppo-mlp-morphzoo-Centipede-6-v0"
    legs = {"env_id": "morphzoo/Centipede-v0", "env_kwargs": {"num_legs": 4, "x": [1]}}
    assert name({**config, **legs}) == "ppo-mlp-morphzoo-Centipede-v0-num-legs-4"
    strange = {"algorithm": None, "env_id": None, "env_kwargs": {"a": "../.."}}
    assert name({**config, **strange}) == "mlp-own-body"


@pytest.mark.parametrize(
    "text", ["user/legs", "u/l@v1.0", "a-b/c_d.e@refs/pr/3", f"u/l@{'0a' * 20}"]
)
def test_addresses(text: str) -> None:
    found = address.parse_address(text)
    assert str(found) == text if "@" in text else found == ("user/legs", "main")
    assert found.is_fixed == text.endswith("0a0a")


@pytest.mark.parametrize(
    "text",
    ["", "legs", "a/b/c", "/a/b", "a//b", "../b", "a/..", "a/b@", "a/b@..", "a/b@x..y", "a/b@-x",
     "a/b.git", "a/-b", "a--b/c", "a b/c", "a/b\n", "\u0430/b", "a/b@\u0430", "~/b", "a/b@x/",
     "C:/b", "a\\b/c", "a/" + "b" * 97, "a/b@" + "c" * 300, "https://a/b", 5, None],
)  # fmt: skip
def test_what_is_no_address(text: object) -> None:
    with pytest.raises(zoo.CheckpointError) as caught:
        address.parse_address(text)
    assert str(caught.value).isascii() and len(str(caught.value)) < 400
    with pytest.raises(zoo.CheckpointError, match="also 'v2'"):
        address.parse_address("a/b@v1", "v2")


# The cache, and how few requests it takes.


def test_what_was_pulled_takes_no_request(
    server: HubServer, checkpoint: Path, home_spaces, monkeypatch: pytest.MonkeyPatch, online: Path
) -> None:
    commit = zoo.push(checkpoint, REPO, tag="v1", endpoint=server.url).revision
    monkeypatch.setenv("MORPHZOO_HUB", server.url)
    with pytest.raises(zoo.HubError, match="was not pulled before, and no request may be made"):
        zoo.pull(REPO, local_files_only=True)
    folder = zoo.pull(REPO)
    assert zoo.cached() == [(REPO, commit, folder)] and zoo.cached(online / "other") == []
    del server.requests[:]
    assert zoo.pull(REPO, revision=commit) == folder == zoo.pull(f"{REPO}@{commit}")
    assert zoo.load(f"{REPO}@{commit}", home_spaces).transfer_dropped == ()
    assert zoo.pull(REPO, local_files_only=True) == folder
    assert server.requests == []
    assert zoo.pull(REPO) == folder and len(server.requests) == 1  # has the branch moved?
    server.stop()
    close_session()  # which it would hold on to
    with pytest.raises(zoo.HubError, match="cannot be reached"):
        zoo.pull(REPO)
    monkeypatch.setattr("huggingface_hub.constants.HF_HUB_OFFLINE", True)
    assert zoo.load(REPO, home_spaces) and zoo.pull(REPO) == folder
    with pytest.raises(zoo.HubError, match="unset HF_HUB_OFFLINE"):
        zoo.pull(REPO, revision="v1")


def test_a_branch_that_moved_is_reported(
    server: HubServer, checkpoint: Path, home_spaces, caplog: pytest.LogCaptureFixture
) -> None:
    first = zoo.push(checkpoint, REPO, endpoint=server.url)
    old = zoo.pull(REPO, endpoint=server.url)
    assert zoo.pull(REPO, endpoint=server.url) == old and "has moved" not in caplog.text
    replaced(checkpoint, home_spaces)
    second = zoo.push(checkpoint, REPO, endpoint=server.url)
    new = zoo.pull(REPO, endpoint=server.url)
    assert (old.name, new.name) == (first.revision, second.revision) and old.is_dir()
    (record,) = [r for r in caplog.records if "has moved" in r.message]
    assert all(text in record.getMessage() for text in (*first[:2], second.revision))
    zoo.pull(REPO, endpoint=server.url)
    assert caplog.text.count("has moved") == 1


def test_two_hubs_are_not_mixed_up(server: HubServer, checkpoint: Path, tmp_path: Path) -> None:
    other = (tmp_path / "folder hub").as_uri()
    one = zoo.push(checkpoint, REPO, endpoint=server.url).revision
    zoo.push(checkpoint, REPO, endpoint=other)
    zoo.pull(REPO, endpoint=server.url)
    with pytest.raises(zoo.HubError, match="not pulled before"):
        zoo.pull(REPO, endpoint=other, local_files_only=True)
    if one != FolderHub(tmp_path / "folder hub").resolve(REPO):
        with pytest.raises(zoo.HubError, match="no such revision"):
            zoo.pull(REPO, revision=one, endpoint=other)


# Pins.


@pytest.fixture
def pinned(server: HubServer, checkpoint: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    """A table of pins like the shipped one, with an entry in it."""
    monkeypatch.setenv("MORPHZOO_HUB", server.url)
    commit = zoo.push(checkpoint, REPO).revision
    files = {name: (checkpoint / name).read_bytes() for name in sorted(PULLED)}
    files["README.md"] = addressed(files["README.md"], REPO)
    sums = {name: hashlib.sha256(data).hexdigest() for name, data in files.items()}
    table = {"far-legs": {"repo": REPO, "revision": commit, "sha256": sums}}
    monkeypatch.setattr(pins, "PINS", tmp_path / "pins.json")

    def write() -> dict:
        (tmp_path / "pins.json").write_text(json.dumps(table))
        pins.pins.cache_clear()
        return table

    yield write
    pins.pins.cache_clear()


def test_the_shipped_pins_are_sound() -> None:
    """None is shipped before a checkpoint of ours is on the Hub; any that is must be whole."""
    pins.pins.cache_clear()
    for name, known in pins.pins().items():
        assert name not in zoo.bundled() and known.sha256.keys() >= PULLED
    assert json.loads(pins.PINS.read_text()).keys() == pins.pins().keys()


def test_a_pinned_name_that_is_cached_takes_no_request(
    pinned, server: HubServer, home_spaces
) -> None:
    table = pinned()
    del server.requests[:]
    assert zoo.load("far-legs", home_spaces).transfer_dropped == ()
    revision = table["far-legs"]["revision"]
    assert len(server.requests) == 1 + len(PULLED)
    assert all(revision in request for request in server.requests)  # no branch was asked for
    del server.requests[:]
    assert zoo.load("far-legs", home_spaces) and zoo.read_config("far-legs")["seed"] == 3
    assert server.requests == []
    with pytest.raises(zoo.CheckpointError, match="Did you mean 'far-legs'"):
        zoo.read_config("far-leg")


def test_a_cached_file_that_changed_is_fetched_again(pinned, server: HubServer) -> None:
    pinned()
    folder = zoo.pull(REPO, revision=pins.pins()["far-legs"].revision)
    before = files_of(folder)
    (folder / "model.safetensors").write_bytes(b"rotten")
    del server.requests[:]
    assert zoo.read_config("far-legs") and server.requests
    assert files_of(folder) == before


def test_a_hub_cannot_change_what_is_pinned(
    pinned, server: HubServer, home_spaces, online: Path
) -> None:
    table = pinned()
    table["far-legs"]["sha256"]["model.safetensors"] = "0" * 64
    pinned()
    with pytest.raises(
        zoo.CheckpointError, match="model.safetensors of other contents.*Do not use"
    ):
        zoo.load("far-legs", home_spaces)
    assert leftovers(online) == []


def test_a_published_checkpoint_becomes_a_name(
    server: HubServer, checkpoint: Path, home_spaces, tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:  # fmt: skip
    """The maintainers' way from a publication to `zoo.load(name)`, which takes no request."""
    monkeypatch.setenv("MORPHZOO_HUB", server.url)
    monkeypatch.setattr(pins, "PINS", tmp_path / "pins.json")
    (tmp_path / "pins.json").write_text("{}")
    pins.pins.cache_clear()
    first = zoo.push(checkpoint, REPO, tag="v1").revision
    script = [str(ROOT / "zoo_scripts/pin.py"), "far-legs", f"{REPO}@v1"]
    monkeypatch.setattr(sys, "argv", script)
    with pytest.raises(SystemExit) as caught:
        runpy.run_path(script[0], run_name="__main__")
    assert caught.value.code == 0
    assert (noted := pins.pins()["far-legs"])[:2] == (REPO, first)
    assert noted.sha256.keys() == PULLED
    del server.requests[:]
    assert zoo.load("far-legs", home_spaces).transfer_dropped == ()
    (entry,) = zoo.list(env="Centipede-4", policy="snowflake", sources=["pinned"])
    assert (entry.name, entry.env, entry.steps, entry.others) == ("far-legs", HOME, 7, ())
    assert server.requests == []
    assert pin("far-legs", f"{REPO}@{first}") == noted  # again is no change
    replaced(checkpoint, home_spaces)
    second = zoo.push(checkpoint, REPO).revision
    before = (tmp_path / "pins.json").read_text()
    with pytest.raises(ValueError, match=f"means {REPO}@{first} already"):
        pin("far-legs", REPO)
    with pytest.raises(zoo.HubError, match="no repository"):
        pin("other-legs", "user/none")
    for name, message in (("mlp-walker2d", "is bundled"), ("Far Legs", "small letters")):
        with pytest.raises(ValueError, match=message):
            pin(name, REPO)
    assert (tmp_path / "pins.json").read_text() == before
    assert pin("far-legs", REPO, replace=True).revision == second
    assert zoo.load("far-legs", home_spaces)
    pins.pins.cache_clear()


def test_a_hub_cannot_add_to_what_is_pinned(
    pinned, server: HubServer, home_spaces, online: Path
) -> None:
    """A file that nobody pinned is refused, though it is sound: `results.json` says the score."""
    table = pinned()
    commit = server.hub.root / REPO / "commits" / f"{table['far-legs']['revision']}.json"
    listing = json.loads(commit.read_text())
    results = b'{"format_version": 1, "scores": []}'
    listing["files"]["results.json"] = dataclasses.asdict(server.hub.keep(REPO, results))
    commit.write_text(json.dumps(listing))
    with pytest.raises(zoo.CheckpointError, match="results.json of other contents.*Do not use"):
        zoo.load("far-legs", home_spaces)
    assert leftovers(online) == []


# Order.


def test_a_bundled_name_then_a_folder_then_a_hub(
    server: HubServer, checkpoint: Path, home_spaces, tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:  # fmt: skip
    monkeypatch.setenv("MORPHZOO_HUB", server.url)
    work = tmp_path / "work"
    zoo.save(small_policy(home_spaces), work / "user" / "legs", env_id=HOME, seed=1)
    zoo.save(small_policy(home_spaces), work / "mlp-centipede-6", env_id=HOME, seed=1)
    monkeypatch.chdir(work)
    zoo.push(checkpoint, REPO)
    del server.requests[:]
    assert zoo.read_config("mlp-centipede-6")["policy"] == "mlp"  # the bundled one
    assert zoo.read_config(REPO)["seed"] == 1 and server.requests == []  # the folder
    monkeypatch.chdir(tmp_path)
    assert zoo.read_config(REPO)["seed"] == 3 and server.requests  # the hub's
    with pytest.raises(
        zoo.HubError, match="'user/lgs' is no bundled name and no folder here.*no r"
    ):
        zoo.read_config("user/lgs")
    del server.requests[:]
    for name in ("lgs", "./user/lgs", "user/lgs/", "a/b/c", "/user/lgs"):
        with pytest.raises(zoo.CheckpointError, match="neither"):
            zoo.read_config(name)
    assert server.requests == []
    with pytest.raises(ValueError, match="not changed here: give into="):
        zoo.annotate(REPO)
    assert zoo.annotate(REPO, into=tmp_path / "mine").is_dir()


# A folder as a hub.


def test_a_folder_is_a_hub_and_a_server_shows_the_same(
    online: Path, checkpoint: Path, home_spaces, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("MORPHZOO_HUB", (tmp_path / "my hub").as_uri())
    with pytest.raises(zoo.HubError, match="no repository user/legs"):
        zoo.pull(REPO)
    published = zoo.push(checkpoint, REPO, tag="v1", token=False)
    assert zoo.tagged() == [REPO] and zoo.tagged("else") == []
    monkeypatch.setattr("huggingface_hub.constants.HF_HUB_OFFLINE", True)  # it is no request
    assert zoo.pull(REPO).name == published.revision == zoo.pull(f"{REPO}@v1").name
    assert zoo.load(REPO, home_spaces)
    with pytest.raises(zoo.HubError, match="no such revision"):
        zoo.pull(REPO, revision="v2")
    monkeypatch.setattr("huggingface_hub.constants.HF_HUB_OFFLINE", False)
    with HubServer(tmp_path / "my hub") as server:
        assert zoo.tagged(endpoint=server.url) == [REPO]
        assert zoo.pull(REPO, endpoint=server.url).name == published.revision


# Interruptions.


@pytest.mark.parametrize("where", ["POST .*/create", "/commit/", "/tag/", "/refs", "GET /api/"])
def test_an_interrupted_push_is_finished_by_the_same_call(
    where: str, server: HubServer, checkpoint: Path
) -> None:
    server.faults[:] = [Fault("hang-up", where)]
    with pytest.raises(zoo.HubError, match="broke off"):
        zoo.push(checkpoint, REPO, tag="v1", endpoint=server.url)
    states = [server.hub.state(r)["branches"].get("main") for r in server.hub.repos()]
    whole = [c for c in states if c and set(server.hub.commit_of(REPO, c).files) != PULLED]
    assert not whole, "something half was published"
    server.faults.clear()
    published = zoo.push(checkpoint, REPO, tag="v1", endpoint=server.url)
    assert server.hub.state(REPO)["tags"] == {"v1": published.revision}
    assert server.hub.commit_of(REPO, published.revision).parent is None, "published twice"
    assert zoo.pull(f"{REPO}@v1", endpoint=server.url).name == published.revision


def test_a_passing_fault_is_waited_out(
    server: HubServer, checkpoint: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    zoo.push(checkpoint, REPO, endpoint=server.url)
    monkeypatch.setattr(remote, "WAITS", (0.0, 0.0))
    server.faults[:] = [
        Fault("503", "GET /api/", times=2), Fault("short", "model.safetensors", times=1),
        Fault("hang-up", "config.json", times=2),
    ]  # fmt: skip
    seen: list[int] = []
    folder = zoo.pull(REPO, endpoint=server.url, progress=lambda _, more, __: seen.append(more))
    assert [fault.met for fault in server.faults] == [2, 1, 2]
    assert sum(seen) == sum(map(len, files_of(folder).values())) and min(seen) < 0
    server.faults[:] = [Fault("403", "GET /api/")]
    del server.requests[:]
    with pytest.raises(zoo.HubError, match="may not do that"):
        zoo.pull(REPO, endpoint=server.url)
    assert len(server.requests) == 1  # asking again would not help


def test_two_pushes_at_once_do_not_lose_one(
    server: HubServer, checkpoint: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Somebody publishes between our look at the repository and our commit."""
    zoo.push(checkpoint, REPO, endpoint=server.url)
    real = remote.Change

    def slow(*args) -> remote.Change:
        server.hub.commit(REPO, {"README.md": b"theirs"}, message="theirs")
        return real(*args)

    monkeypatch.setattr("morphzoo.zoo.hub.Change", slow)
    (checkpoint / "replay.mp4").write_bytes(FILM)
    with pytest.raises(zoo.HubError, match="somebody published there in between"):
        zoo.push(checkpoint, REPO, endpoint=server.url)
    assert server.hub.read(REPO, server.hub.resolve(REPO), "README.md") == b"theirs"


def test_the_catalogue_lists_what_was_pulled_and_what_a_hub_has(
    server: HubServer, checkpoint: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("MORPHZOO_HUB", server.url)
    first = zoo.push(checkpoint, REPO)
    zoo.pull(REPO)
    zoo.push(checkpoint, "user/second")
    damaged = {"README.md": b"---\ntags:\n- morphzoo\n---\n"}
    server.hub.create("user/third")
    server.hub.commit("user/third", damaged, message="a card and nothing else")
    del server.requests[:]
    near = zoo.list(env="Centipede-4", sources=["cached"])
    assert server.requests == []
    assert [(e.name, e.source) for e in near] == [(f"{REPO}@{first.revision}", "cached")]
    assert (near[0].env, near[0].policy, near[0].steps) == (HOME, "snowflake", 7)
    on_hub = zoo.list(sources=["hub"])
    assert [entry.name for entry in on_hub] == [REPO, "user/second", "user/third"]
    assert [(e.env, e.policy, e.steps) for e in on_hub[:2]] == [(HOME, "snowflake", 7)] * 2
    assert "none named config.json" in (on_hub[2].problem or "")
    asked = {r.rsplit("/", 1)[1] for r in server.requests if "/resolve/" in r}
    assert asked == {"README.md"}


def test_a_secret_is_not_published(server: HubServer, home_spaces, tmp_path: Path) -> None:
    folder = zoo.save(small_policy(home_spaces), tmp_path / "x", command=f"train --key {TOKEN}")
    with pytest.raises(zoo.CheckpointError, match="what looks like a token") as caught:
        zoo.push(folder, REPO, endpoint=server.url)
    assert TOKEN not in str(caught.value) and server.requests == []


def test_the_client_itself_speaks_to_the_server(server: HubServer, tmp_path: Path) -> None:
    """The whole of what the server promises, through huggingface_hub's own functions."""
    from huggingface_hub import HfApi, hf_hub_download, snapshot_download
    from huggingface_hub.errors import HfHubHTTPError, RepositoryNotFoundError

    api = HfApi(endpoint=server.url)
    api.create_repo(REPO)
    with pytest.raises(HfHubHTTPError):
        api.create_repo(REPO)
    api.create_repo(REPO, exist_ok=True)
    (tmp_path / "up" / "sub").mkdir(parents=True)
    (tmp_path / "up" / "README.md").write_text("---\ntags:\n- morphzoo\n---\n# legs\n")
    (tmp_path / "up" / "sub" / "x.safetensors").write_bytes(bytes(3000))
    done = api.upload_folder(repo_id=REPO, folder_path=tmp_path / "up")
    assert api.upload_folder(repo_id=REPO, folder_path=tmp_path / "up").oid == done.oid
    api.create_tag(REPO, tag="v1")
    api.create_tag(REPO, tag="v1", exist_ok=True)
    api.upload_file(path_or_fileobj=b"2", path_in_repo="b", repo_id=REPO)
    api.delete_folder("sub", REPO)
    assert sorted(api.list_repo_files(REPO)) == ["README.md", "b"]
    assert sorted(api.list_repo_files(REPO, revision="v1")) == ["README.md", "sub/x.safetensors"]
    assert [tag.target_commit for tag in api.list_repo_refs(REPO).tags] == [done.oid]
    assert [model.id for model in api.list_models(filter="morphzoo")] == [REPO]
    assert api.repo_exists(REPO) and not api.repo_exists("user/none")
    assert api.file_exists(REPO, "b") and not api.file_exists(REPO, "c")
    how = {"endpoint": server.url, "cache_dir": tmp_path / "cache"}
    got = hf_hub_download(REPO, "sub/x.safetensors", revision="v1", **how)
    assert Path(got).read_bytes() == bytes(3000)
    whole = Path(snapshot_download(REPO, revision="v1", **how))
    assert set(files_of(whole)) == {"README.md", "sub/x.safetensors"}
    with pytest.raises(HfHubHTTPError, match="401"):
        HfApi(endpoint=server.url, token=False).delete_file("b", REPO)
    with pytest.raises(RepositoryNotFoundError):
        api.model_info("user/none")

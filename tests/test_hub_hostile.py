"""A network that fails and a hub that lies: each is refused with a remedy, and leaves nothing."""

from __future__ import annotations

import json
import pickle
import re
import shutil
import traceback
from collections.abc import Callable
from pathlib import Path
from typing import NamedTuple

import pytest
from hub_fixtures import *  # noqa: F403  fixtures
from hub_fixtures import FILM, READER, REPO, TOKEN, files_of, fill, leftovers
from huggingface_hub import close_session, constants
from test_zoo_hostile import _RUNS, CONFIG_ROWS, WEIGHTS_ROWS, Payload, Watch

from morphzoo import zoo
from morphzoo.folder_hub import FolderHub
from morphzoo.testing.faults import KINDS, STATUSES, Fault
from morphzoo.testing.hub import HubServer

REMEDY = re.compile(
    r"log in|repeat|wait|pull again|push again|check|give|unset|leave|use|push a|download|write it|"
    r"do not|revoke|look|make|upgrade|reset",
    re.I,
)
WEIGHTS = "resolve/.*safetensors"
CONFIG = "resolve/.*config"
LIST = "GET /api/models"


class Row(NamedTuple):
    """One thing that is wrong: with the network, the hub, or what is asked."""

    name: str
    call: str  # "pull" or "push"
    arrange: Callable[[HubServer, Path], object]  # may return keywords for the call
    message: str  # a part of the error's message


def fault(kind: str | int, where: str) -> Callable[[HubServer, Path], None]:
    return lambda server, folder: server.faults.append(Fault(str(kind), where))


def given(**keywords: object) -> Callable[[HubServer, Path], dict]:
    return lambda server, folder: keywords


def without(*names: str) -> Callable[[HubServer, Path], None]:
    """Publish a new version that lacks files."""
    return lambda server, folder: no(server.hub.commit(REPO, {}, names, message="less"))


def with_file(name: str, data: bytes) -> Callable[[HubServer, Path], None]:
    return lambda server, folder: no(server.hub.commit(REPO, {name: data}, message="more"))


def relisted(name: str, **values: object) -> Callable[[HubServer, Path], None]:
    """Make the hub say of a file what is not so."""

    def arrange(server: HubServer, folder: Path) -> None:
        path = server.hub.root / REPO / "commits" / f"{server.hub.resolve(REPO)}.json"
        commit = json.loads(path.read_text())
        commit["files"][name].update(values)
        path.write_text(json.dumps(commit))

    return arrange


def no(_: object) -> None:
    return None


def emptied(server: HubServer, folder: Path) -> dict:
    server.hub.create("user/new")
    return {"repo_id": "user/new"}


def stopped(server: HubServer, folder: Path) -> None:
    server.stop()
    close_session()


def foreign(server: HubServer, folder: Path) -> None:
    """Somebody else's model, with the usual pickle."""
    bert = {"config.json": b'{"model_type": "bert", "auto_map": {"AutoModel": "evil.Model"}}'}
    server.hub.commit(REPO, {**bert, "evil.py": b"open('ran', 'w')"}, message="bert")


def written(name: str, text: str) -> Callable[[HubServer, Path], None]:
    return lambda server, folder: no((folder / name).write_text(text))


def missing(name: str) -> Callable[[HubServer, Path], None]:
    return lambda server, folder: (folder / name).unlink()


SAYS = {
    401: "does not know you", 403: "may not do that", 404: "no repository user/legs",
    409: "in conflict with another request", 412: "somebody published there in between",
    429: "have asked too much", 500: "in trouble itself (500)", 503: "in trouble itself (503)",
}  # fmt: skip

LISTING_ROWS = (
    *(Row(f"list {s}", "pull", fault(s, LIST), SAYS[s]) for s in STATUSES),
    Row("list in circles", "pull", fault("loop", LIST), "one round in circles"),
    Row("list stalled", "pull", fault("stall", LIST), "has said nothing for 0.2 s"),
    Row("list hung up", "pull", fault("hang-up", LIST), "the connection broke off"),
    Row("list a log-in page", "pull", fault("portal", LIST), "not one of the Hub's"),
    Row("list echoes the token", "pull", fault("echo", LIST), "may not do that"),
    Row("list without sums", "pull", fault("no-sums", LIST), "its size and checksum"),
    Row("list of wrong sums", "pull", fault("wrong-sums", LIST), "with the listed checksum 000"),
    Row("hub gone", "pull", stopped, "cannot be reached"),
    Row("no such revision", "pull", given(revision="v9"), "no such revision ('v9')"),
    Row("no such commit", "pull", given(revision="0" * 40), "no such revision"),
    Row("no such repository", "pull", given(repo_id="user/none"), "no repository user/none"),
    Row("nothing published", "pull", emptied, "expected something published"),
    Row("a token that is unknown", "pull", given(token="hf_" + "z" * 30), SAYS[401]),
)  # fmt: skip

FILE_ROWS = (
    *(Row(f"file {s}", "pull", fault(s, WEIGHTS), SAYS[s]) for s in STATUSES),
    Row("weights of a wrong sum", "pull", fault("checksum", WEIGHTS), "with the listed checksum"),
    Row("config of a wrong sum", "pull", fault("checksum", CONFIG), "with the listed checksum"),
    Row("weights cut", "pull", fault("short", WEIGHTS), "the connection broke off"),
    Row("config cut", "pull", fault("short", CONFIG), "the connection broke off"),
    Row("weights swapped", "pull", fault("swap", WEIGHTS), "bytes, as listed; found 32"),
    Row("config swapped", "pull", fault("swap", CONFIG), "bytes, as listed; found 26"),
    Row("card swapped", "pull", fault("swap", "resolve/.*README"), "bytes, as listed; found"),
    Row("weights without end", "pull", fault("endless", WEIGHTS), "as listed; found more"),
    Row("weights in circles", "pull", fault("loop", WEIGHTS), "one round in circles"),
    Row("weights stalled", "pull", fault("stall", WEIGHTS), "has said nothing for 0.2 s"),
    Row("config stalled", "pull", fault("stall", CONFIG), "has said nothing for 0.2 s"),
    Row("weights hung up", "pull", fault("hang-up", WEIGHTS), "the connection broke off"),
    Row("weights a log-in page", "pull", fault("portal", WEIGHTS), "as listed; found"),
    Row("file echoes the token", "pull", fault("echo", WEIGHTS), "may not do that"),
    Row("no config", "pull", without("config.json"), "none named config.json"),
    Row("no weights", "pull", without("model.safetensors"), "none named model.safetensors"),
    Row("no card", "pull", without("README.md"), "none named README.md"),
    Row("pickles alone", "pull", without("config.json", "model.safetensors"), "none named config"),
    Row("somebody else's model", "pull", foreign, "format_version 1"),
    Row("config huge", "pull", with_file("config.json", b" " * 1_000_001), "1,000,000 bytes"),
    Row("card huge", "pull", with_file("README.md", b" " * 1_000_001), "1,000,000 bytes"),
    Row("results broken", "pull", with_file("results.json", b"[1]"), "a JSON object"),
    Row("weights of a terabyte", "pull", relisted("model.safetensors", size=10**12),
        "at most 512,000,000 bytes; found 1,000,000,000,000"),
    Row("a negative size", "pull", relisted("config.json", size=-1), "bytes; found -1"),
    Row("film huge", "pull", lambda s, f: (with_file("replay.mp4", FILM)(s, f),
        relisted("replay.mp4", size=10**9)(s, f)) and None, "at most 5,000,000 bytes"),
    Row("a page for a film", "pull", with_file("replay.mp4", b"<html>"), "a plain file of its"),
    Row("an archive behind a film", "pull", with_file("transfer.mp4", FILM + b"PK\3\4" * 4),
        "a plain file of its kind"),
    Row("a pickle for a picture", "pull", with_file("curve.png", b"\x80\x04."), "a PNG file"),
    Row("size as text", "pull", relisted("config.json", size="9"), "its size and checksum"),
    Row("size of nothing", "pull", relisted("config.json", size=None), "its size and checksum"),
    Row("listed smaller", "pull", relisted("model.safetensors", size=9), "as listed; found more"),
    Row("listed larger", "pull", relisted("model.safetensors", size=10**6), "bytes, as listed"),
    Row("file gone from the hub", "pull", fault(404, CONFIG), SAYS[404]),
)  # fmt: skip

PUSH_ROWS = (
    *(Row(f"create {s}", "push", fault(s, "/create"), SAYS[s]) for s in STATUSES if s != 409),
    Row("create in circles", "push", fault("loop", "/create"), "one round in circles"),
    Row("create stalled", "push", fault("stall", "/create"), "has said nothing for 0.2 s"),
    Row("create a log-in page", "push", fault("portal", "/create"), "not one of the Hub's"),
    Row("create echoes the token", "push", fault("echo", "/create"), "may not do that"),
    *(Row(f"commit {s}", "push", fault(s, "/commit/"), SAYS[s]) for s in STATUSES),
    Row("commit stalled", "push", fault("stall", "/commit/"), "has said nothing for 0.2 s"),
    Row("commit hung up", "push", fault("hang-up", "/commit/"), "the connection broke off"),
    Row("commit a log-in page", "push", fault("portal", "/commit/"), "not one of the Hub's"),
    Row("commit echoes the token", "push", fault("echo", "/commit/"), "may not do that"),
    Row("preupload 403", "push", fault(403, "/preupload/"), SAYS[403]),
    Row("list before 500", "push", fault(500, LIST), SAYS[500]),
    Row("hub gone for push", "push", stopped, "cannot be reached"),
    Row("no token", "push", given(token=False), "does not know you"),
    Row("a token to read", "push", given(token=READER), "may not do that"),
    Row("an unknown token", "push", given(token="hf_" + "z" * 30), "does not know you"),
    Row("a token in the card", "push", written("README.md", f"use {TOKEN}"), "like a token"),
    Row("no card to push", "push", missing("README.md"), "expected a card"),
    Row("a card of other letters", "push",
        lambda s, f: no((f / "README.md").write_bytes(b"\xff")), "expected text in UTF-8"),
    Row("no config to push", "push", missing("config.json"), "none that can be opened"),
    Row("config of code", "push", written("config.json", '{"policy": "os.system"}'), "format_v"),
    Row("weights of text", "push", written("model.safetensors", "os.system('x')"), "rs header"),
    Row("results of text", "push", written("results.json", "x"), "strict JSON"),
    Row("huge film to push", "push", written("replay.mp4", "x" * 5_000_001), "at most 5,000,000"),
    Row("a page for a film to push", "push", written("replay.mp4", "<html>"), "a plain file of"),
)  # fmt: skip

ADDRESSES = {
    "http://hub.example": "readable for all on the way",
    f"https://me:{TOKEN}@hub.example": "without a name, password or query",
    f"http://{TOKEN}@localhost:1": "without a name, password or query",
    "ftp://hub.example": "expected https://",
    "https://": "expected https://",
    f"https://hub.example/?token={TOKEN}": "without a name, password or query",
    "file://elsewhere/dir": "expected file:///dir",
    "file:///": "expected file:///dir",
    "hub": "expected https://",
}
ADDRESS_ROWS = tuple(
    Row(f"address {address.replace(TOKEN, 'T')}", call, given(endpoint=address), message)
    for address, message in ADDRESSES.items()
    for call in ("pull", "push")
)
ROWS = (*LISTING_ROWS, *FILE_ROWS, *PUSH_ROWS, *ADDRESS_ROWS)

# Rows of the hostile folders that carry code, a path or a bomb: over the wire as on the disk.
CARRIED = {
    "a path to weights", "policy a path", "policy an import", "policy a class", "a key twice",
    "a class as keyword", "size of 30 TB", "someone else's id", "an id that imports",
    "code as a keyword", "config of brackets", "not a number", "newer version", "weights a pickle",
    "weights a zip of pickles", "weights an object array", "weights a pointer", "one byte short",
    "header of 8 EB", "offsets shared", "a weight not a number",
}  # fmt: skip
LOCAL_ROWS = [row for row in (*CONFIG_ROWS, *WEIGHTS_ROWS) if row.name in CARRIED]


def test_rows_are_many_and_distinct() -> None:
    names = [f"{row.call} {row.name}" for row in ROWS]
    assert len(names) == len(set(names)) and len(ROWS) >= 60
    assert {row.name for row in LOCAL_ROWS} == CARRIED


def test_every_fault_of_the_server_has_a_row() -> None:
    """The issue's list, and ours: no fault can be added and not be met."""
    met: set[str] = set()

    class Recorder:
        faults = type("", (), {"append": lambda self, fault: met.add(fault.kind)})()

    for row in ROWS:
        if row.arrange.__qualname__.startswith("fault."):
            row.arrange(Recorder(), Path())  # type: ignore[arg-type]
    assert met == {*map(str, STATUSES), *KINDS} - {"other-commit"}  # which has its own test


def the_call(row: Row, server: HubServer, checkpoint: Path) -> Callable[[], object]:
    """Return the push or pull of a row, with what is wrong in place."""
    keywords = {"repo_id": REPO, "endpoint": server.url, **(row.arrange(server, checkpoint) or {})}
    repo_id = keywords.pop("repo_id")
    if row.call == "pull":
        return lambda: zoo.pull(repo_id, **keywords)
    return lambda: zoo.push(checkpoint, repo_id, **keywords)


@pytest.fixture(scope="session")
def filled(made: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A hub's folder with a checkpoint in it, and pickles that make a file where they run."""
    root = tmp_path_factory.mktemp("filled") / "hub"
    payload = pickle.dumps(Payload(root.with_name("ran")))
    fill(FolderHub(root), REPO, made, **{"policy.pkl": payload, "pytorch_model.bin": payload})
    return root


@pytest.mark.parametrize("row", ROWS, ids=lambda row: f"{row.call}-{row.name.replace(' ', '-')}")
def test_it_is_refused_with_a_remedy_and_leaves_nothing(
    row: Row, server: HubServer, checkpoint: Path, filled: Path, online: Path,
    monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture,
) -> None:  # fmt: skip
    monkeypatch.setattr(constants, "HF_HUB_DOWNLOAD_TIMEOUT", 0.2 if "stalled" in row.name else 5)
    if row.call == "pull":
        shutil.copytree(filled, server.hub.root)
    call = the_call(row, server, checkpoint)
    before = files_of(server.hub.root)
    watch = Watch()

    def refused() -> None:
        with pytest.raises(zoo.CheckpointError, match=re.escape(row.message)) as caught:
            call()
        message = str(caught.value)
        assert REMEDY.search(message.split(".", 1)[1]), message
        assert message.isprintable() and len(message) < 1000
        told = "".join(traceback.format_exception(caught.value)) + caplog.text
        assert TOKEN not in told and READER not in told and "z" * 30 not in told

    seen, _ = watch.run(checkpoint, refused)
    assert not set(seen) & (set(_RUNS) - {"socket.connect"} | {"pickle.find_class"})
    assert not filled.with_name("ran").exists()
    assert leftovers(online) == []
    after = files_of(server.hub.root)
    repo_json = f"{REPO}/repo.json"
    assert json.loads(after.get(repo_json, b"{}")).get("branches", {}) == (
        json.loads(before.get(repo_json, b"{}")).get("branches", {})
    )
    assert not [name for name in after if ".part-" in name]


@pytest.mark.parametrize("row", LOCAL_ROWS, ids=lambda row: row.name.replace(" ", "-"))
def test_a_hostile_folder_is_refused_over_the_wire(
    row, server: HubServer, checkpoint: Path, online: Path, tmp_path: Path
) -> None:
    spoil = row.spoil
    if row.name == "size of 30 TB":
        assert "hidden_size" in (checkpoint / "config.json").read_text()
    spoil(checkpoint)
    fill(server.hub, REPO, checkpoint)
    watch = Watch()

    def refused() -> None:
        with pytest.raises(zoo.CheckpointError, match=re.escape(row.message)) as caught:
            zoo.pull(REPO, endpoint=server.url)
        assert REPO in str(caught.value) and str(tmp_path) not in str(caught.value)

    seen, _ = watch.run(checkpoint, refused)
    assert not set(seen) & (set(_RUNS) - {"socket.connect"} | {"pickle.find_class"})
    assert not (tmp_path / "ran").exists() and leftovers(online) == []


def test_another_commit_than_the_one_asked_for_is_refused(
    server: HubServer, checkpoint: Path, online: Path
) -> None:
    commit = zoo.push(checkpoint, REPO, endpoint=server.url).revision
    server.faults[:] = [Fault("other-commit")]
    with pytest.raises(zoo.CheckpointError, match=f"expected commit {commit}; found commit 000"):
        zoo.pull(REPO, revision=commit, endpoint=server.url)
    assert leftovers(online) == []


@pytest.mark.parametrize("repo", ["a/b/c", "../b", "a/..", "a/b c", "a/b@v1", "\u0430/b", "", "/"])
def test_a_bad_name_is_refused_before_any_request(
    repo: str, server: HubServer, checkpoint: Path
) -> None:
    with pytest.raises(ValueError, match="repo_id: expected user/name|tag:"):
        zoo.push(checkpoint, repo, endpoint=server.url)
    assert server.requests == []


@pytest.mark.parametrize("tag", ["", "-x", "a b", "a..b", "v1/", "\u0430"])
def test_a_bad_tag_is_refused_before_any_request(
    tag: str, server: HubServer, checkpoint: Path
) -> None:
    with pytest.raises(ValueError, match="tag: expected a name such as v1"):
        zoo.push(checkpoint, REPO, tag=tag, endpoint=server.url)
    assert server.requests == []

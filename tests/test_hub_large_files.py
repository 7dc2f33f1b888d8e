"""Large files as the Hub keeps them: sent beside the commit, fetched from another host."""

from __future__ import annotations

import hashlib
import json
import logging
import re
import sys
import urllib.error
import urllib.request
from collections.abc import Iterator
from pathlib import Path

import pytest
from hub_fixtures import *  # noqa: F403  fixtures
from hub_fixtures import FILM, REPO, TOKEN, files_of, leftovers
from huggingface_hub import constants
from huggingface_hub.utils import are_progress_bars_disabled

from morphzoo import zoo
from morphzoo.testing.faults import Fault
from morphzoo.testing.hub import HubServer
from morphzoo.zoo.quiet import client_bars

# The client's own doing, where it sends a file by Git LFS.
pytestmark = pytest.mark.filterwarnings("ignore:Use 'content=:DeprecationWarning")

WEIGHTS = "model.safetensors"


@pytest.fixture
def store(online: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[HubServer]:
    """A hub with a store of large files, and a client that speaks Git LFS and does not wait."""
    monkeypatch.setattr(constants, "HF_HUB_DISABLE_XET", True)
    monkeypatch.setattr("huggingface_hub.utils._http.time.sleep", lambda seconds: None)
    with HubServer(tmp_path / "hub", tokens={TOKEN: "write"}, lfs=True) as server:
        yield server


def asked(server: HubServer, pattern: str) -> list[str]:
    return [request for request in server.requests if re.search(pattern, request)]


def test_large_files_go_beside_the_commit_and_once(store: HubServer, checkpoint: Path) -> None:
    (checkpoint / "replay.mp4").write_bytes(FILM)
    first = zoo.push(checkpoint, REPO, tag="v1", endpoint=store.url)
    sums = {
        name: hashlib.sha256((checkpoint / name).read_bytes()).hexdigest()
        for name in (WEIGHTS, "replay.mp4")
    }
    sent = [request.split("/")[4] for request in asked(store, "^PUT /large-files/user/legs/")]
    assert sorted(sent) == sorted(sums.values())
    assert len(asked(store, "info/lfs/verify")) == 2 and len(asked(store, "/commit/")) == 1
    there = store.hub.commit_of(REPO, first.revision).files
    assert {name: there[name].sha256 for name in sums} == sums
    folder = zoo.pull(f"{REPO}@v1", endpoint=store.url)
    sent_files = {"config.json", "README.md", *sums}
    assert files_of(folder).keys() == sent_files
    for name in sent_files - {"README.md"}:
        assert (folder / name).read_bytes() == (checkpoint / name).read_bytes()
    del store.requests[:]
    zoo.push(folder, "user/copy", endpoint=store.url)  # contents are kept by repository
    assert len(asked(store, "^PUT")) == 2
    (checkpoint / "replay.mp4").write_bytes(FILM + (8).to_bytes(4, "big") + b"free")
    del store.requests[:]
    zoo.push(checkpoint, REPO, endpoint=store.url)
    assert len(asked(store, "^PUT")) == 1, "the weights were sent again"


def test_no_token_goes_to_where_large_files_are(store: HubServer, checkpoint: Path) -> None:
    """The store refuses who shows one; and who was not led there."""
    zoo.push(checkpoint, REPO, endpoint=store.url)
    folder = zoo.pull(REPO, endpoint=store.url)
    assert (folder / WEIGHTS).read_bytes() == (checkpoint / WEIGHTS).read_bytes()
    (request,) = asked(store, "^GET /large-files/")
    address = store.elsewhere + request.removeprefix("GET ")
    with urllib.request.urlopen(address, timeout=60) as answer:
        assert answer.read() == (checkpoint / WEIGHTS).read_bytes()
    shown = urllib.request.Request(address, headers={"Authorization": f"Bearer {TOKEN}"})
    for refused, status in ((shown, 400), (address.partition("?")[0], 403)):
        with pytest.raises(urllib.error.HTTPError) as caught:
            urllib.request.urlopen(refused, timeout=60)
        caught.value.close()
        assert caught.value.code == status


@pytest.mark.parametrize("size, data", [(9, b"something"), (10, b"else")])
def test_the_store_takes_nothing_but_what_was_announced(
    size: int, data: bytes, store: HubServer, checkpoint: Path
) -> None:
    zoo.push(checkpoint, REPO, endpoint=store.url)
    before = files_of(store.hub.root)
    place = f"large-files/{REPO}/{'0' * 64}/{size}?signature={store.signature}"
    request = urllib.request.Request(f"{store.elsewhere}/{place}", data, method="PUT")
    with pytest.raises(urllib.error.HTTPError) as caught:
        urllib.request.urlopen(request, timeout=60)
    caught.value.close()
    assert caught.value.code == 400 and files_of(store.hub.root) == before


PUSHES = [
    ("403", "objects/batch", "may not do that"),
    ("portal", "objects/batch", "not one of the Hub's"),
    ("stall", "objects/batch", "has said nothing for 0.2 s"),
    ("403", "PUT", "may not do that"),
    ("500", "PUT", r"in trouble itself \(500\)"),
    ("503", "PUT", r"in trouble itself \(503\)"),
    ("stall", "PUT", "has said nothing for 0.2 s"),
    ("hang-up", "PUT", "the connection broke off"),
    ("echo", "PUT", "may not do that"),
    ("403", "verify", "may not do that"),
    ("404", "verify", "no repository user/legs"),
    ("hang-up", "verify", "the connection broke off"),
    ("412", "/commit/", "somebody published there in between"),
    ("hang-up", "/commit/", "the connection broke off"),
]


@pytest.mark.parametrize(("kind", "where", "message"), PUSHES)
def test_an_upload_that_fails_is_told_of_and_finished_by_the_same_call(
    kind: str, where: str, message: str, store: HubServer, checkpoint: Path,
    monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture,
) -> None:  # fmt: skip
    monkeypatch.setattr(constants, "HF_HUB_DOWNLOAD_TIMEOUT", 0.2 if kind == "stall" else 5)
    store.faults[:] = [Fault(kind, where)]
    with pytest.raises(zoo.HubError, match=message) as caught:
        zoo.push(checkpoint, REPO, endpoint=store.url)
    told = str(caught.value) + caplog.text
    assert TOKEN not in told and store.signature not in told and "signature" not in told
    assert store.hub.state(REPO)["branches"] == {}
    assert not [name for name in files_of(store.hub.root) if ".part-" in name]
    sent = len(asked(store, "^PUT"))
    store.faults.clear()
    monkeypatch.setattr(constants, "HF_HUB_DOWNLOAD_TIMEOUT", 5)
    published = zoo.push(checkpoint, REPO, endpoint=store.url)
    arrived = where in ("verify", "/commit/")
    assert len(asked(store, "^PUT")) == sent + (0 if arrived else 1)
    assert zoo.pull(REPO, endpoint=store.url).name == published.revision


PULLS = [
    *((str(status), "in trouble itself") for status in (500, 503)),
    ("403", "may not do that"),
    ("404", "no repository user/legs"),
    ("429", "have asked too much"),
    ("checksum", "with the listed checksum"),
    ("short", "the connection broke off"),
    ("swap", "bytes, as listed; found"),
    ("endless", "as listed; found more"),
    ("stall", "has said nothing for 0.2 s"),
    ("hang-up", "the connection broke off"),
    ("loop", "one round in circles"),
    ("portal", "as listed; found"),
]


@pytest.mark.parametrize(("kind", "message"), PULLS)
def test_a_store_that_fails_or_lies_is_refused(
    kind: str, message: str, store: HubServer, checkpoint: Path, online: Path,
    monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture,
) -> None:  # fmt: skip
    zoo.push(checkpoint, REPO, endpoint=store.url)
    monkeypatch.setattr(constants, "HF_HUB_DOWNLOAD_TIMEOUT", 0.2 if kind == "stall" else 5)
    store.faults[:] = [Fault(kind, "GET /large-files/")]
    with pytest.raises(zoo.CheckpointError, match=message) as caught:
        zoo.pull(REPO, endpoint=store.url)
    told = str(caught.value) + caplog.text
    assert TOKEN not in told and store.signature not in told
    assert leftovers(online) == []
    store.faults.clear()
    monkeypatch.setattr(constants, "HF_HUB_DOWNLOAD_TIMEOUT", 5)
    folder = zoo.pull(REPO, endpoint=store.url)
    assert (folder / WEIGHTS).read_bytes() == (checkpoint / WEIGHTS).read_bytes()


def test_a_store_that_xet_does_not_reach_has_a_remedy(
    store: HubServer, checkpoint: Path, monkeypatch: pytest.MonkeyPatch,
    capfd: pytest.CaptureFixture,
) -> None:  # fmt: skip
    """The way that the client takes by itself; of its protocol the server speaks nothing."""
    pytest.importorskip("hf_xet")
    monkeypatch.setattr(constants, "HF_HUB_DISABLE_XET", False)
    with pytest.raises(zoo.HubError, match="not taken a large file.*HF_HUB_DISABLE_XET=1 takes"):
        zoo.push(checkpoint, REPO, endpoint=store.url)
    assert store.hub.state(REPO)["branches"] == {}
    shown = capfd.readouterr()
    assert shown.out == "" and "Processing" not in shown.err, "bars that nobody asked for"


@pytest.mark.parametrize(
    ("settled", "show", "off"),
    [(None, False, True), (None, True, False), (False, False, False), (True, True, True)],
)
def test_the_clients_bars_are_shown_where_they_are_wanted(
    settled: bool | None, show: bool, off: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(constants, "HF_HUB_DISABLE_PROGRESS_BARS", settled)
    module = sys.modules["huggingface_hub.utils.tqdm"]  # the name in utils is a class of it
    monkeypatch.setattr(module, "HF_HUB_DISABLE_PROGRESS_BARS", settled)
    before = are_progress_bars_disabled()
    with client_bars(show):
        assert are_progress_bars_disabled() is off
    assert are_progress_bars_disabled() is before


def test_the_clients_log_is_as_it_was_outside_of_a_call(store: HubServer, checkpoint: Path) -> None:
    zoo.push(checkpoint, REPO, endpoint=store.url)
    assert logging.getLogger("huggingface_hub.utils._http").filters == []


def test_a_listing_tells_the_sums_of_large_files_alone(store: HubServer, checkpoint: Path) -> None:
    """What the Hub itself lists: the id of a pointer beside the sum of what it points to."""
    zoo.push(checkpoint, REPO, endpoint=store.url)
    with urllib.request.urlopen(f"{store.url}/api/models/{REPO}?blobs=true", timeout=60) as answer:
        files = {file["rfilename"]: file for file in json.load(answer)["siblings"]}
    assert {name for name, file in files.items() if "lfs" in file} == {WEIGHTS}

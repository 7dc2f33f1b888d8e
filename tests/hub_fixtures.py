"""A hub on loopback for tests, with the real client in front of it and nothing of the user's."""

from __future__ import annotations

import shutil
from collections.abc import Iterator
from pathlib import Path

import gymnasium as gym
import pytest
import torch
from huggingface_hub import close_session, constants

from morphzoo import zoo
from morphzoo.folder_hub import FolderHub
from morphzoo.policies import SnowflakePolicy
from morphzoo.testing.hub import HubServer
from morphzoo.zoo import remote

HOME = "morphzoo/Centipede-4-v0"
TOKEN = "hf_" + "x" * 12 + "loopback" + "y" * 12
READER = "hf_" + "r" * 30
REPO = "user/legs"
FILM = b"".join((8).to_bytes(4, "big") + kind for kind in (b"ftyp", b"moov", b"mdat"))


@pytest.fixture(scope="session")
def home_spaces():
    env = gym.make(HOME)
    pair = env.observation_space, env.action_space
    env.close()
    return pair


def small_policy(spaces, seed: int = 0) -> SnowflakePolicy:
    torch.manual_seed(seed)
    return SnowflakePolicy(*spaces, lambda _: 0.0, hidden_size=8, num_layers=1).eval()


@pytest.fixture(scope="session")
def made(home_spaces, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A small checkpoint, with a file beside it that must never travel."""
    folder = tmp_path_factory.mktemp("made") / "legs"
    zoo.save(small_policy(home_spaces), folder, env_id=HOME, seed=3, steps=7)
    (folder / "policy.pkl").write_bytes(b"\x80\x04.")
    return folder


@pytest.fixture
def checkpoint(made: Path, tmp_path: Path) -> Path:
    """A checkpoint of its own for each test."""
    return shutil.copytree(made, tmp_path / "legs")


@pytest.fixture(scope="session")
def one_client() -> Iterator[None]:
    """One client for all tests: making one reads a file of certificates."""
    yield
    close_session()


@pytest.fixture
def online(one_client: None, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Let the client make requests, wait for none, and keep to a cache and a token of the test."""
    monkeypatch.setattr(constants, "HF_HUB_OFFLINE", False)
    monkeypatch.setattr(constants, "HF_ASSETS_CACHE", str(tmp_path / "assets"))
    monkeypatch.setattr(constants, "HF_TOKEN_PATH", str(tmp_path / "no-token"))
    monkeypatch.setattr(constants, "HF_HUB_DOWNLOAD_TIMEOUT", 5)
    monkeypatch.setattr(remote, "WAITS", ())
    monkeypatch.setenv("HF_TOKEN", TOKEN)
    monkeypatch.setenv("HF_HUB_DISABLE_PROGRESS_BARS", "1")
    for name in ("HF_ENDPOINT", remote.HUB):
        monkeypatch.delenv(name, raising=False)
    return tmp_path / "assets"


@pytest.fixture
def server(online: Path, tmp_path: Path) -> Iterator[HubServer]:
    """A hub that knows two tokens: one may write, one may only read."""
    tokens = {TOKEN: "write", READER: "read"}
    with HubServer(tmp_path / "hub", tokens=tokens) as server:
        yield server


def fill(hub: FolderHub, repo: str, folder: Path, **more: bytes) -> str:
    """Publish every file of a folder, however bad, without morphzoo's help."""
    hub.create(repo)
    files = {file.name: file.read_bytes() for file in folder.iterdir() if file.is_file()}
    commit, _ = hub.commit(repo, {**files, **more}, message="by hand")
    return commit.sha


def files_of(folder: Path) -> dict[str, bytes]:
    return {str(f.relative_to(folder)): f.read_bytes() for f in folder.rglob("*") if f.is_file()}


def leftovers(folder: Path) -> list[Path]:
    """Everything in a cache but locks."""
    return [f for f in folder.rglob("*") if f.is_file() and f.name != ".lock"]

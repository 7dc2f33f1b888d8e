"""A checkpoint made ready to be shown: what is filmed, and what is written."""

from __future__ import annotations

import os
import sys
from pathlib import Path

import pytest
from huggingface_hub import ModelCard

from morphzoo import publishing, video, zoo
from morphzoo.cli import main
from morphzoo.folder_hub import FolderHub
from morphzoo.video import Clip

NAME, HOME = "snowflake-centipede-6", "morphzoo/Centipede-6-v0"
MP4 = b"\0\0\0\x08ftyp\0\0\0\x08moov\0\0\0\x08mdat"


@pytest.fixture
def filmed(monkeypatch: pytest.MonkeyPatch) -> list:
    """Films nothing; writes the smallest clip and notes what was asked for."""
    asked: list = []

    def render(policy, body, path, *, seconds, progress) -> Clip:
        asked.append((Path(policy).name, body, seconds))
        Path(path).write_bytes(MP4)
        return Clip(Path(path), policy, body, "sampled", (640, 360), 20, round(seconds * 20), ())

    monkeypatch.setattr(video, "render", render)
    return asked


def test_both_clips_the_curve_and_the_card(filmed, tmp_path: Path) -> None:
    """Of 8, 10, 12 and 20 legs, 10 has the better of the two middle returns."""
    folder = publishing.prepare(NAME, tmp_path / NAME, license="mit", seconds=4.0)
    far = "morphzoo/Centipede-10-v0"
    assert filmed == [(NAME, HOME, 4.0), (NAME, far, 4.0)]
    media = {"replay.mp4", "transfer.mp4", "curve.png"}
    assert media < set(os.listdir(folder))
    assert (folder / "curve.png").stat().st_size < 300_000
    text = (folder / "README.md").read_text()
    assert f"4 s on `{HOME}`. Sampled actions; the episodes from seed 10000 on" in text
    assert f"4 s on `{far}`, which it was never trained on." in text
    assert ModelCard(text).data.license == "mit"
    results = zoo.read_results(folder)
    assert results and results["media"]["transfer.mp4"]["env"] == far


def test_another_body_may_be_filmed(filmed, tmp_path: Path) -> None:
    publishing.prepare(NAME, tmp_path / NAME, other="morphzoo/Centipede-20-v0")
    assert [body for _, body, _ in filmed] == [HOME, "morphzoo/Centipede-20-v0"]


def test_nothing_is_replaced_unasked_and_nothing_left(filmed, tmp_path: Path) -> None:
    folder = publishing.prepare(NAME, tmp_path / NAME)
    with pytest.raises(FileExistsError, match="overwrite=True"):
        publishing.prepare(folder, folder)
    with pytest.raises(FileExistsError, match="overwrite=True"):
        publishing.prepare(NAME, folder)
    assert len(filmed) == 2  # what is refused is refused before it is filmed
    assert publishing.prepare(folder, folder, overwrite=True) == folder
    assert os.listdir(tmp_path) == [NAME]


def test_a_publication_with_clips_is_one_command(filmed, tmp_path, monkeypatch, capsys) -> None:
    monkeypatch.setenv("MORPHZOO_HUB", (tmp_path / "hub").as_uri())
    hub, repo = FolderHub(tmp_path / "hub"), "user/ppo-snowflake-morphzoo-Centipede-6-v0"
    words = ["morphzoo", "push", NAME, "user"]
    monkeypatch.setattr(sys, "argv", words)
    assert main() == 0
    out, err = capsys.readouterr()
    assert "has no clip" in err and repo in out and filmed == []
    monkeypatch.setattr(sys, "argv", [*words, "--clips", "--no-progress"])
    assert main() == 0
    assert capsys.readouterr().err == ""
    assert filmed == [(NAME, HOME, 12.0), (NAME, "morphzoo/Centipede-10-v0", 12.0)]
    there = hub.commit_of(repo, hub.resolve(repo)).files
    assert {"replay.mp4", "transfer.mp4", "curve.png"} < there.keys()
    card = hub.read(repo, hub.resolve(repo), "README.md").decode()
    assert f"# {NAME}\n" in card and "license: mit\n" in card and "(replay.mp4): 12 s" in card

"""Clips: what is in the file, what is filmed when, and what is refused before anything is drawn."""

from __future__ import annotations

import ctypes.util
import os
import sys
from fractions import Fraction
from pathlib import Path
from typing import Any

import gymnasium as gym
import numpy as np
import pytest

import morphzoo  # noqa: F401  (registers the ids)
from morphzoo import transfer, video
from morphzoo.cli import main
from morphzoo.transfer import evaluate

av = pytest.importorskip("av", reason="clips need the package av: pip install 'morphzoo[video]'")

FOUR = "morphzoo/Centipede-4-v0"
COLOURS = [(200, 40, 40), (40, 180, 60), (50, 60, 210), (230, 230, 230), (20, 20, 20)]
SIZE = (64, 48)


def plain_frames(colours: list[tuple[int, int, int]]) -> list[np.ndarray]:
    return [np.full((SIZE[1], SIZE[0], 3), colour, dtype=np.uint8) for colour in colours]


def decoded(path: Path) -> tuple[Any, list[np.ndarray]]:
    with av.open(str(path)) as container:
        stream = container.streams.video[0]
        frames = [frame.to_ndarray(format="rgb24") for frame in container.decode(video=0)]
        facts = {
            "codec": stream.codec_context.name,
            "pix_fmt": stream.codec_context.pix_fmt,
            "fps": stream.average_rate,
            "streams": len(container.streams),
        }
    return facts, frames


def boxes(data: bytes) -> list[bytes]:
    """Types of an MP4 file's outermost boxes, in order; they fill it without a gap."""
    found, at = [], 0
    while at < len(data):
        size = int.from_bytes(data[at : at + 4], "big")
        assert 8 <= size <= len(data) - at
        found.append(data[at + 4 : at + 8])
        at += size
    return found


def test_what_is_written_is_what_browsers_play(tmp_path: Path) -> None:
    path = tmp_path / "clip.mp4"
    video.write_clip(path, plain_frames(COLOURS), Fraction(200, 9), SIZE)
    facts, frames = decoded(path)
    assert facts == {"codec": "h264", "pix_fmt": "yuv420p", "fps": Fraction(200, 9), "streams": 1}
    assert [frame.shape for frame in frames] == [(48, 64, 3)] * 5
    for frame, colour in zip(frames, COLOURS, strict=True):
        assert np.abs(frame.reshape(-1, 3).mean(axis=0) - colour).max() < 6
    kinds = boxes(path.read_bytes())
    assert kinds[0] == b"ftyp" and kinds.index(b"moov") < kinds.index(b"mdat")


def test_equal_frames_give_equal_bytes(tmp_path: Path) -> None:
    for name in "ab":
        video.write_clip(tmp_path / f"{name}.mp4", plain_frames(COLOURS), Fraction(20), SIZE)
    assert (tmp_path / "a.mp4").read_bytes() == (tmp_path / "b.mp4").read_bytes()


@pytest.mark.parametrize("error", [KeyboardInterrupt, ValueError])
def test_a_clip_that_is_not_finished_leaves_the_old_one(tmp_path: Path, error) -> None:
    (tmp_path / "clip.mp4").write_bytes(b"old")

    def frames():
        yield from plain_frames(COLOURS)
        raise error

    with pytest.raises(error):
        video.write_clip(tmp_path / "clip.mp4", frames(), Fraction(20), SIZE)
    assert [(f.name, f.read_bytes()) for f in tmp_path.iterdir()] == [("clip.mp4", b"old")]


class Counting(gym.Env):
    """Episodes of seven steps; a frame holds the step's number, a reward is 1."""

    action_space = gym.spaces.Box(-1.0, 1.0, (1,), np.float32)

    def __init__(self, length: int = 7) -> None:
        self.length, self.seeds, self.steps = length, [], 0

    def reset(self, *, seed=None, options=None):
        self.seeds.append(seed)
        self.steps = 0
        return np.zeros(1, np.float32), {}

    def step(self, action):
        assert np.abs(action).max() <= 1.0
        self.steps += 1
        return np.zeros(1, np.float32), 1.0, False, self.steps == self.length, {}

    def render(self):
        return np.full((2, 2, 3), self.steps, np.uint8)


@pytest.mark.parametrize(
    ("length", "frames", "stride", "shown", "episodes"),
    [
        (7, 8, 1, [0, 1, 2, 3, 4, 5, 6, 7], [(5, 7.0, 7, "truncated")]),
        (7, 6, 3, [0, 3, 6, 0, 3, 6], [(5, 7.0, 7, "truncated"), (6, 6.0, 6, "cut")]),
        (7, 3, 3, [0, 3, 6], [(5, 6.0, 6, "cut")]),
        (2, 3, 5, [0, 0, 0], [
            (5, 2.0, 2, "truncated"), (6, 2.0, 2, "truncated"), (7, 0.0, 0, "cut"),
        ]),
        (7, 1, 1, [0], [(5, 0.0, 0, "cut")]),
    ],
)  # fmt: skip
def test_which_steps_are_shown(length, frames, stride, shown, episodes) -> None:
    env = Counting(length)
    film = video.Film(env, lambda obs, rngs: np.full((1, 1), 9.0), 5, frames, stride)
    assert [int(frame.max()) for frame in film] == shown
    assert [tuple(vars(episode).values()) for episode in film.episodes] == episodes
    assert env.seeds == [episode.seed for episode in film.episodes]


@pytest.mark.render
@pytest.mark.parametrize("deterministic", [False, True])
def test_the_first_episodes_are_those_that_are_scored(tmp_path: Path, deterministic: bool) -> None:
    """Five steps are six frames, so twelve frames are the whole of two episodes."""
    heard: list = []
    clip = video.render(
        "snowflake-centipede-6", FOUR + ",max_episode_steps=5", tmp_path / "clip.mp4", seconds=0.6,
        seed=77, size=SIZE, deterministic=deterministic, progress=lambda *said: heard.append(said),
    )  # fmt: skip
    policy = transfer.load_policy("snowflake-centipede-6", FOUR)
    keywords: dict = {"num_envs": 1, "env_kwargs": {"max_episode_steps": 5}}
    scored = evaluate(policy, FOUR, 2, 77, deterministic, **keywords)
    assert [episode.score for episode in clip.episodes] == scored.returns.tolist()
    assert [(e.seed, e.steps, e.end) for e in clip.episodes] == [
        (77, 5, "truncated"), (78, 5, "truncated"),
    ]  # fmt: skip
    facts, frames = decoded(clip.path)
    assert len(frames) == clip.frames == 12 and facts["fps"] == clip.fps == 20
    assert (
        np.ptp(frames[0].astype(int)) > 50 and np.abs(frames[0] - frames[5].astype(int)).max() > 30
    )
    assert heard == [(f"snowflake-centipede-6 on {FOUR},max_episode_steps=5", 1, 12)] * 12
    assert "12 frames" not in str(clip) and "0.6 s, 64x48" in str(clip)


@pytest.mark.render
def test_a_body_of_gymnasiums_is_filmed_at_most_thirty_times_a_second(tmp_path: Path) -> None:
    """Hopper-v5 is simulated in 125 steps a second: every fifth is shown, 25 a second."""
    clip = video.render("random", "Hopper-v5", tmp_path / "hop.mp4", seconds=0.2, size=SIZE)
    assert clip.fps == 25 and clip.frames == 5 and clip.actions == "sampled"
    assert sum(e.steps for e in clip.episodes) == 20 or len(clip.episodes) > 1
    assert len(decoded(clip.path)[1]) == 5


REFUSED = {
    "no mp4": ({"path": "clip.gif"}, ValueError, "ends in .mp4"),
    "a folder": ({"path": "folder.mp4"}, IsADirectoryError, "is a folder"),
    "in a file": ({"path": "file/clip.mp4"}, NotADirectoryError, "Give another folder"),
    "odd": ({"size": (63, 48)}, ValueError, "even numbers of pixels"),
    "tiny": ({"size": (64, 0)}, ValueError, "even numbers of pixels"),
    "huge": ({"size": (64, 10_000)}, ValueError, "even numbers of pixels"),
    "no time": ({"seconds": 0.0}, ValueError, "more than 0"),
    "no number": ({"seconds": float("nan")}, ValueError, "more than 0"),
    "for ever": ({"seconds": float("inf")}, ValueError, "at most 3600"),
    "camera": ({"camera": "eye"}, ValueError, "has no 'eye'; its cameras: track"),
    "policy": ({"policy": "snowflake-cent"}, ValueError, "Did you mean 'snowflake-centipede-6"),
    "path": ({"policy": "../../etc"}, ValueError, "../../etc"),
    "body": ({"body": "morphzoo/Centipde-4"}, ValueError, "Did you mean"),
    "module": ({"body": "os:system"}, ValueError, "asks to import"),
    "no MuJoCo": ({"body": "CartPole-v1"}, ValueError, "only bodies that MuJoCo simulates"),
    "no graph": ({"body": "Reacher-v5"}, ValueError, "observation_structure"),
    "unknown types": ({"body": "morphzoo/Ant-v5"}, ValueError, "hip"),
    "keyword": ({"body": FOUR + ",wings=2"}, ValueError, "wings"),
}  # fmt: skip


@pytest.mark.parametrize("row", REFUSED.values(), ids=REFUSED)
def test_what_is_refused_before_anything_is_drawn(row, tmp_path, monkeypatch) -> None:
    changes, error, message = row
    (tmp_path / "file").write_text("")
    (tmp_path / "folder.mp4").mkdir()
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(video.Film, "__iter__", lambda self: pytest.fail("drawn"))
    values: dict = {"policy": "snowflake-centipede-6", "body": FOUR, "path": "clip.mp4"}
    with pytest.raises(error, match=message):
        video.render(**(values | {"size": SIZE} | changes))
    assert sorted(os.listdir(tmp_path)) == ["file", "folder.mp4"]


def test_a_missing_encoder_says_how_to_install_it(tmp_path, monkeypatch) -> None:
    monkeypatch.setitem(sys.modules, "av", None)
    with pytest.raises(ImportError, match=r"pip install 'morphzoo\[video\]'"):
        video.render("random", FOUR, tmp_path / "clip.mp4")
    assert not os.listdir(tmp_path)


def test_a_machine_that_cannot_draw_says_what_to_install(tmp_path, monkeypatch, capsys) -> None:
    for name in ("DISPLAY", "WAYLAND_DISPLAY", "MUJOCO_GL"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setattr(ctypes.util, "find_library", lambda name: None)
    monkeypatch.setattr(sys, "platform", "linux")
    out = str(tmp_path / "clip.mp4")
    monkeypatch.setattr(sys, "argv", ["morphzoo", "render", "random", FOUR, "-o", out])
    assert main() == 2
    err = capsys.readouterr().err
    assert err.startswith("morphzoo: Rendering needs EGL") and "apt-get install libegl1" in err
    assert not os.listdir(tmp_path)


@pytest.mark.render
def test_the_command_writes_a_clip_and_says_what_it_shows(tmp_path, monkeypatch, capsys) -> None:
    out = str(tmp_path / "new" / "clip.mp4")
    words = ["random", "morphzoo/Centipede-3", "-o", out, "--seconds", "0.15", "--size", "64x48"]
    monkeypatch.setattr(sys, "argv", ["morphzoo", "render", *words, "--camera", "track"])
    assert main() == 0
    printed, err = capsys.readouterr()
    assert err == "" and "random on morphzoo/Centipede-3-v0, sampled actions" in printed
    assert "seed 10000: return" in printed and "in 2 steps, cut" in printed
    assert len(decoded(Path(out))[1]) == 3

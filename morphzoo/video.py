"""Clips: a policy on a body, filmed to an MP4 that browsers play, without a display."""

from __future__ import annotations

import contextlib
import math
import tempfile
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from fractions import Fraction
from pathlib import Path
from typing import Any

import gymnasium as gym
import numpy as np

from morphzoo.actors import Actor, action_generator, policy_actor, random_actor, rows_of
from morphzoo.body_text import body_text
from morphzoo.envs.existing import with_graph
from morphzoo.envs.ids import known_body
from morphzoo.envs.rendering import choose_backend
from morphzoo.files import PathLike, check_writable, write_bytes_atomic
from morphzoo.progress import ProgressCallback
from morphzoo.results import RANDOM, TEST_SEED
from morphzoo.transfer import load_onto

MAX_FPS = 30  # frames a second at most: bodies are simulated in up to 125 steps a second
SIDES = (16, 4096)  # pixels; H.264 as browsers play it goes no further
MAX_SECONDS = 3600.0
_INSTALL = "pip install 'morphzoo[video]'"


@dataclass(frozen=True)
class FilmedEpisode:
    """One episode of a clip.

    Attributes:
        seed: What it was reset with.
        score: Sum of its rewards as far as it is shown.
        steps: How many of its steps are shown.
        end: "terminated", "truncated", or "cut" where the clip ends before it does.
    """

    seed: int
    score: float
    steps: int
    end: str


@dataclass(frozen=True)
class Clip:
    """What a clip shows.

    Attributes:
        path: The file.
        policy: Name of the policy.
        body: The body: an id, arguments behind commas.
        actions: "sampled" or "mean".
        size: Width and height (pixels).
        fps: Frames a second; time runs as fast as in the simulation.
        frames: Number of frames.
        episodes: What happens, in order.
    """

    path: Path
    policy: str
    body: str
    actions: str
    size: tuple[int, int]
    fps: Fraction
    frames: int
    episodes: tuple[FilmedEpisode, ...]

    def __str__(self) -> str:
        """Return the clip in a few lines."""
        seconds, size = self.frames / self.fps, self.path.stat().st_size
        lines = [
            f"{self.path}: {self.policy} on {self.body}, {self.actions} actions, "
            f"{float(seconds):.1f} s, {self.size[0]}x{self.size[1]}, {size / 1e3:.0f} kB"
        ]
        for episode in self.episodes:
            what = f"return {episode.score:.1f} in {episode.steps} steps, {episode.end}"
            lines.append(f"  seed {episode.seed}: {what}")
        return "\n".join(lines)


def render(
    policy: str,
    body: str,
    path: PathLike,
    *,
    seconds: float = 10.0,
    seed: int = TEST_SEED,
    deterministic: bool = False,
    size: tuple[int, int] = (640, 360),
    camera: str | None = None,
    progress: ProgressCallback | None = None,
) -> Clip:
    """Film a policy on a body, in the body's own time.

    The first episode is the one that `transfer.evaluate` scores under the same seed: same start,
    same noise, same physics. If it ends before the clip does, the episode of the next seed follows.

    Args:
        policy: What `zoo.load` takes, or `"random"`.
        body: Id of the body, one of ours or any that `with_graph` takes; arguments of it behind
            commas: `morphzoo/AntVelocity-v0,num_legs=6`.
        path: The clip, `.mp4`: H.264, which every browser plays. It appears whole or not at all.
        seconds: Length (s, of the robot's time).
        seed: Seed of the first episode.
        deterministic: Act by the policy's mean instead of drawing from its distribution.
        size: Width and height (pixels, even).
        camera: Name of a camera of the model; by default the one that follows the robot.
        progress: Called with a label, 1, and the number of frames, for every frame.

    Returns:
        What the clip shows.

    Raises:
        ValueError: There is no such policy, body or camera, they do not fit, or a number is out of
            range; before anything is drawn.
        ImportError: The encoder is not installed.
        RenderingError: No graphics library can be used.
        OSError: The clip cannot be written; before anything is drawn, where that can be known.
    """
    path = _checked(path, seconds, size)
    import_encoder()
    env_id, arguments = known_body(body)
    body = body_text(env_id, arguments)
    choose_backend()
    made = _made(env_id, size, camera, arguments)
    with contextlib.closing(made) as env:
        actor = _actor(load_onto(policy, env), env, deterministic)
        stride = math.ceil(env.metadata["render_fps"] / MAX_FPS)
        fps = Fraction(env.metadata["render_fps"], stride)
        wanted = max(1, round(seconds * fps))
        film = Film(env, actor, seed, wanted, stride)
        label = f"{policy} on {body}"
        write_clip(path, _watched(film, label, wanted, progress), fps, size)
    kind = "mean" if deterministic and policy != RANDOM else "sampled"
    return Clip(path, policy, body, kind, size, fps, wanted, tuple(film.episodes))


@dataclass
class Film:
    """Frames in the making: iterate it, then read `episodes`.

    Attributes:
        env: What is filmed.
        actor: What acts.
        seed: Seed of the first episode.
        frames: How many frames are wanted.
        stride: Steps from one frame to the next.
        episodes: What has been shown.
    """

    env: gym.Env
    actor: Actor
    seed: int
    frames: int
    stride: int
    episodes: list[FilmedEpisode] = field(default_factory=list)

    def __iter__(self) -> Iterator[np.ndarray]:
        """Run episodes one after another; yield frames, uint8[height, width, 3]."""
        left = self.frames
        while left:
            seed = self.seed + len(self.episodes)
            for frame in self._episode(seed, left):
                left -= 1
                yield frame

    def _episode(self, seed: int, most: int) -> Iterator[np.ndarray]:
        """Yield the frames of one episode, its start among them, at most so many."""
        space, generator = self.env.action_space, action_generator(seed)
        observation, _ = self.env.reset(seed=seed)
        score, steps, end, drawn = 0.0, 0, "cut", 1
        yield self._frame()
        while drawn < most and end == "cut":
            raw = self.actor(rows_of(observation, None), [generator])[0]
            action = np.clip(raw, space.low, space.high)  # pyright: ignore
            observation, reward, terminated, truncated, _ = self.env.step(action)
            score, steps = score + float(reward), steps + 1
            end = "terminated" if terminated else "truncated" if truncated else "cut"
            if steps % self.stride == 0:
                drawn += 1
                yield self._frame()
        self.episodes.append(FilmedEpisode(seed, score, steps, end))

    def _frame(self) -> np.ndarray:
        frame = self.env.render()
        assert isinstance(frame, np.ndarray)
        return frame


def write_clip(
    path: PathLike, frames: Iterable[np.ndarray], fps: Fraction, size: tuple[int, int]
) -> None:
    """Write frames as H.264 in MP4, whole or not at all; equal frames give equal bytes.

    Colours are 4:2:0 and the index stands before the pictures: what every browser plays while it
    still loads. One thread and no time stamp, so that the bytes are the same again.

    Args:
        path: The file; its folder must exist.
        frames: uint8[height, width, 3], red, green and blue.
        fps: Frames a second.
        size: Width and height (pixels, even).

    Raises:
        OSError: As `files.write_bytes_atomic`.
    """
    av = import_encoder()
    with tempfile.TemporaryDirectory() as folder:
        # The index is moved to the front by reading the file again, so it has to be a real one.
        file = Path(folder) / "clip.mp4"
        options = {"movflags": "+faststart", "fflags": "+bitexact"}
        with av.open(str(file), "w", format="mp4", options=options) as container:
            stream = container.add_stream("libx264", rate=fps)
            stream.width, stream.height = size
            stream.pix_fmt = "yuv420p"
            stream.options = {"crf": "23", "preset": "slow", "threads": "1", "flags": "+bitexact"}
            for frame in frames:
                picture = av.VideoFrame.from_ndarray(frame, format="rgb24")
                container.mux(stream.encode(picture))
            container.mux(stream.encode())
        write_bytes_atomic(path, file.read_bytes())


def import_encoder() -> Any:
    """Return PyAV, which brings FFmpeg and x264 with it.

    Raises:
        ImportError: It is not installed; the message says how to install it.
    """
    try:
        import av
    except ImportError as error:
        raise ImportError(
            f"Clips need the package av, which is not installed: {_INSTALL}"
        ) from error
    return av


def _checked(path: PathLike, seconds: float, size: tuple[int, int]) -> Path:
    """Return the absolute path of a clip that can be made, or say why it cannot."""
    path = Path(path).expanduser().absolute()
    if path.suffix.lower() != ".mp4":
        raise ValueError(f"'{path.name}': expected a file that ends in .mp4, the only kind written")
    if path.is_dir():
        raise IsADirectoryError(f"'{path}' is a folder: give the name of a file in it")
    if not 0.0 < seconds <= MAX_SECONDS:
        raise ValueError(f"seconds: expected more than 0, at most {MAX_SECONDS:.0f}; got {seconds}")
    low, high = SIDES
    if any(side % 2 or not low <= side <= high for side in size):
        raise ValueError(
            f"size: expected even numbers of pixels from {low} to {high}, since H.264 for browsers "
            f"halves the colours; found {size[0]}x{size[1]}"
        )
    check_writable(path.parent)
    return path


def _made(env_id: str, size: tuple[int, int], camera: str | None, kwargs: dict) -> gym.Env:
    """Make the body's environment, with a graph and a camera that exists."""
    width, height = size
    named = {} if camera is None else {"camera_name": camera}
    try:
        env = gym.make(
            env_id, render_mode="rgb_array", width=width, height=height, **named, **kwargs
        )
    except TypeError as error:
        reason = "only bodies that MuJoCo simulates are filmed, with their own keywords"
        raise ValueError(f"{env_id}: {error}; {reason}") from error
    model: Any = getattr(env.unwrapped, "model", None)
    if camera is not None and model is not None:
        known = [model.camera(i).name for i in range(model.ncam)]
        if camera not in known:
            env.close()
            listed = ", ".join(filter(None, known)) or "none"
            raise ValueError(f"camera: {env_id} has no '{camera}'; its cameras: {listed}")
    return with_graph(env)


def _actor(policy: Any, env: gym.Env, deterministic: bool) -> Actor:
    if policy == RANDOM:
        return random_actor(env.action_space)  # pyright: ignore
    return policy_actor(policy, deterministic)


def _watched(
    film: Film, label: str, total: int, progress: ProgressCallback | None
) -> Iterator[np.ndarray]:
    """Pass frames on and say so."""
    for frame in film:
        yield frame
        if progress is not None:
            progress(label, 1, total)

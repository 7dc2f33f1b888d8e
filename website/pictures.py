"""`python -m website.pictures`: draw a frame of every environment; needs a GL library."""

from __future__ import annotations

import contextlib
import io

import gymnasium as gym
import numpy as np

import morphzoo  # noqa: F401  (registers the ids)
from morphzoo.entry import run_script
from morphzoo.envs.rendering import choose_backend
from morphzoo.files import write_bytes_atomic
from website.environments import PICTURES, families

SIZE = (960, 540)  # pixels
SETTLING = 12  # steps without action before the frame: a robot begins in the air


def frame(env_id: str) -> np.ndarray:
    """Return a frame of a body shortly after its start, uint8[540, 960, 3]."""
    width, height = SIZE
    with contextlib.closing(
        gym.make(env_id, render_mode="rgb_array", width=width, height=height)
    ) as env:
        env.reset(seed=0)
        for _ in range(SETTLING):
            env.step(np.zeros(env.action_space.shape or (), np.float32))
        drawn = env.render()
    assert isinstance(drawn, np.ndarray)
    return drawn


def main() -> int:
    """Draw and write them all."""
    from PIL import Image  # matplotlib's

    choose_backend()
    for family in families():
        picture = io.BytesIO()
        Image.fromarray(frame(family.shown)).save(picture, "WEBP", quality=82, method=6)
        path = PICTURES / f"{family.slug}.webp"
        write_bytes_atomic(path, picture.getvalue())
        print(f"{path.name}: {family.shown}, {len(picture.getvalue()):,} bytes")
    return 0


if __name__ == "__main__":
    raise SystemExit(run_script(main, "website.pictures"))

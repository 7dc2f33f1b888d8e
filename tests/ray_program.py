"""A search on a Ray cluster, to be run as a script: its environment is of no module of a worker.

`python ray_program.py ADDRESS FOLDER` leaves the weights and how the search went in FOLDER.
"""

from __future__ import annotations

import json
import sys
import time
from pathlib import Path
from typing import Any

import gymnasium as gym
import numpy as np
from gymnasium import spaces
from gymnasium.wrappers import TimeLimit
from safetensors.torch import save_file
from stable_baselines3.common.callbacks import BaseCallback
from stable_baselines3.common.vec_env import DummyVecEnv

from morphzoo.algorithms.enas import ENAS

GENERATIONS, HANGS_IN, STEPS, ROWS = 3, 2, 20, 2
SEED = 11


class Slow(gym.Env):
    """Takes its time, and for ever where it begins with certain seeds."""

    observation_space = spaces.Box(-9, 9, (4,), np.float32)
    action_space = spaces.Box(-1, 1, (2,), np.float32)

    def __init__(self, seconds: float = 0.0, endless: tuple[int, ...] = ()) -> None:
        self.seconds, self.endless = seconds, endless

    def reset(self, *, seed=None, options=None):
        super().reset(seed=seed)
        while seed in self.endless:
            time.sleep(1)
        self.seen = self.np_random.normal(size=4).astype(np.float32)
        return self.seen, {}

    def step(self, action):
        time.sleep(self.seconds)
        reward = -float(np.square(action - self.seen[:2]).sum())
        self.seen = self.np_random.normal(size=4).astype(np.float32)
        return self.seen, reward, False, False, {}


class Watch(BaseCallback):
    """Keeps what was logged of each generation."""

    def __init__(self) -> None:
        super().__init__()
        self.logged: list[dict[str, float]] = []

    def _on_rollout_start(self) -> None:
        self.logged.append(dict(self.model.logger.name_to_value))

    def _on_training_end(self) -> None:
        self._on_rollout_start()

    def _on_step(self) -> bool:
        return True


def search(slow: float = 0.0, endless: tuple[int, ...] = (), **ray: Any) -> ENAS:
    """A search whose generation is 6 perturbed and 2 exact policies: 4 batches of 2."""
    env = DummyVecEnv([lambda: TimeLimit(Slow(slow, endless), STEPS)] * ROWS)
    kwargs = {"hidden_sizes": [3], "num_colors": 3, "normalize": True}
    return ENAS(
        "MlpPolicy", env, 0.1, population_size=6, exact_evaluations=2, seed=SEED,
        policy_kwargs=kwargs, noise_scale=0.3, **ray,
    )  # fmt: skip


def endless_seeds() -> tuple[int, ...]:
    """Seeds of the exact ones, which are the last batch, in the last generation."""
    model = search()
    model._n_updates = HANGS_IN
    return tuple(int(seed) for seed in model._seeds()[-ROWS:])


def main() -> None:
    """Search."""
    address, folder = sys.argv[1], Path(sys.argv[2])
    watch = Watch()
    limits = {"retries": 1, "seconds": 5}
    model = search(0.01, endless_seeds(), ray=address, workers=2, ray_kwargs=limits)
    # The steps of the batch that hangs are never counted.
    model.learn((GENERATIONS * 8 - ROWS) * STEPS, callback=watch)
    save_file(model.policy.state_dict(), folder / "policy.safetensors")
    went = {"lost": model.players.lost, "reason": model.players.reason, "logged": watch.logged}
    (folder / "went.json").write_text(json.dumps(went))


if __name__ == "__main__":
    main()

"""How the cost of a step and of an update grows with the number of legs."""

from __future__ import annotations

import time
from typing import Any

import gymnasium as gym
import numpy as np
import torch

from benchmarks.measuring import alternate, summary
from benchmarks.updates import BATCH, update_seconds
from morphzoo.actors import torch_threads
from morphzoo.policies.snowflake import SnowflakePolicy
from morphzoo.sb3 import make_vec_env

LEGS = (4, 6, 8, 12, 20, 30, 50, 100)
ROWS = 64


def run(rounds: int, seed: int) -> dict[str, Any]:
    """Measure all bodies alternately and fit the exponents."""
    with torch_threads(1):
        steps = alternate({str(n): _Steps(n, seed) for n in LEGS}, rounds)
        updates = alternate({str(n): _Update(n, seed) for n in LEGS}, rounds)
    found: dict[str, Any] = {}
    for name, seconds in (("simulation", steps), ("update", updates)):
        fits = [_exponent([seconds[str(n)][i] for n in LEGS]) for i in range(rounds)]
        found[name] = {
            "seconds": {n: summary(values) for n, values in seconds.items()},
            "exponent": summary(fits),
        }
        print(f"{name} grows as legs to the power {found[name]['exponent']['median']:.3f}")
    return {"legs": list(LEGS), "rows": ROWS, "batch": BATCH, **found}


def _exponent(seconds: list[float]) -> float:
    """Fit seconds = c * legs ** exponent, by least squares of logarithms."""
    return float(np.polyfit(np.log(LEGS), np.log(seconds), 1)[0])


class _Steps:
    """Seconds of one complete step of all rows."""

    def __init__(self, num_legs: int, seed: int) -> None:
        self.env = make_vec_env(f"morphzoo/Centipede-{num_legs}", ROWS, seed)
        self.env.reset()
        self.rng = np.random.default_rng(seed)
        self.steps = max(1, 40 // num_legs)

    def __call__(self) -> float:
        shape = (self.steps, ROWS, *(self.env.action_space.shape or ()))
        actions = self.rng.uniform(-1, 1, shape).astype(np.float32)
        start = time.perf_counter()
        for action in actions:
            self.env.step(action)
        return (time.perf_counter() - start) / self.steps


class _Update:
    """Seconds of the gradients of one batch."""

    def __init__(self, num_legs: int, seed: int) -> None:
        env = gym.make("morphzoo/Centipede-v0", num_legs=num_legs)
        torch.manual_seed(seed)
        self.policy = SnowflakePolicy(env.observation_space, env.action_space, lambda _: 3e-4)
        self.observations = torch.randn(BATCH, *(env.observation_space.shape or ()))
        self.actions = torch.randn(BATCH, *(env.action_space.shape or ()))
        env.close()

    def __call__(self) -> float:
        return update_seconds(self.policy, self.observations, self.actions)

"""PSSVF on CartPole with the settings of both papers: how soon, and with how many environments."""

from __future__ import annotations

import copy
import multiprocessing
import time
from concurrent.futures import ProcessPoolExecutor
from typing import Any

import numpy as np
from stable_baselines3.common.callbacks import BaseCallback

from morphzoo.actors import torch_threads
from morphzoo.algorithms.evaluation import play_unperturbed
from morphzoo.algorithms.pssvf import PSSVF

ENVIRONMENTS = (1, 2, 4, 8, 16)
STEPS, SECONDS = 60_000, 180.0
EVERY, EPISODES = 1000, 10  # steps between evaluations of the unperturbed policy, about; episodes
SCORED, FIRST_SEED = 100, 10_000  # episodes that decide, and the first one's seed
WANTED = 475.0


class Watch(BaseCallback):
    """Evaluates the unperturbed policy, keeps the best, and ends a training in time.

    Attributes:
        rows: steps, generations, returns of the unperturbed and of perturbed policies, seconds.
        best: return and tensors of the best unperturbed policy.
    """

    def __init__(self) -> None:
        super().__init__()
        self.rows: list[list[float]] = []
        self.best: tuple[float, Any] = (-1.0, None)
        self.start = time.perf_counter()

    def _on_rollout_start(self) -> None:
        model: Any = self.model
        if self.num_timesteps < EVERY * (len(self.rows) + 1):
            return
        found = unperturbed(model, EPISODES, 1000)
        perturbed = float(np.mean([info["r"] for info in model.ep_info_buffer]))
        seconds = time.perf_counter() - self.start
        self.rows.append([self.num_timesteps, model._n_updates, found, perturbed, seconds])
        if found > self.best[0]:
            self.best = (found, copy.deepcopy(model.policy.state_dict()))

    def _on_step(self) -> bool:
        return time.perf_counter() - self.start < SECONDS


def unperturbed(model: Any, episodes: int, seed: int) -> float:
    """Return the mean return of a model's policy without noise."""
    return float(play_unperturbed(model, np.arange(seed, seed + episodes)).returns.mean())


def train(num_envs: int, seed: int, steps: int = STEPS) -> dict[str, Any]:
    """Train once, on one thread; score the best policy by episodes that chose nothing."""
    with torch_threads(1):
        model = PSSVF(
            "MlpPolicy",
            "CartPole-v1",
            population_size=num_envs,
            evaluate_every=0,
            evaluate_episodes=EPISODES,
            seed=seed,
        )
        watch = Watch()
        model.learn(steps, callback=watch, log_interval=None)
        last = unperturbed(model, SCORED, FIRST_SEED)
        if watch.best[1] is not None:
            model.policy.load_state_dict(watch.best[1])
        reached = [row[4] for row in watch.rows if row[2] >= WANTED]
        return {
            "environments": num_envs,
            "seed": seed,
            "return": unperturbed(model, SCORED, FIRST_SEED),
            "return_last": last,
            "seconds": watch.rows[-1][4] if watch.rows else None,
            "seconds_to_475": reached[0] if reached else None,
            "rows": [[round(value, 2) for value in row] for row in watch.rows],
        }


def run(rounds: int, seed: int) -> list[dict[str, Any]]:
    """Train with one environment and so many seeds, with more of them half; two at a time."""
    seeds = {num: rounds if num == 1 else (rounds + 1) // 2 for num in ENVIRONMENTS}
    plan = [(num, seed + i) for num, count in seeds.items() for i in range(count)]
    context = multiprocessing.get_context("spawn")  # threads of torch do not survive a fork
    with ProcessPoolExecutor(2, mp_context=context) as pool:
        found = []
        for row in pool.map(train, *zip(*plan, strict=True)):
            to = row["seconds_to_475"]
            when = "never" if to is None else f"after {to:.0f} s"
            what = f"{row['environments']:>3} environments, seed {row['seed']}"
            print(f"{what}: 475 {when}, then {row['return']:.0f}", flush=True)
            found.append(row)
    return found

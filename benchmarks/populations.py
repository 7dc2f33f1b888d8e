"""Playing many policies: how much of it is physics, and how it compares with one after another."""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import Any

import numpy as np
import torch
from sb3_contrib import ARS
from sb3_contrib.common.vec_env import AsyncEval
from stable_baselines3.common.env_util import make_vec_env as make_single_envs

from benchmarks.measuring import alternate, ratio, summaries, summary
from morphzoo.algorithms.es import ES
from morphzoo.algorithms.rollouts import play
from morphzoo.algorithms.stages import SimulationRows
from morphzoo.policies.bank import PolicyBank
from morphzoo.policies.chromatic import ChromaticPolicy
from morphzoo.policies.deterministic import DeterministicPolicy
from morphzoo.sb3 import make_vec_env

POLICIES = (256, 1024, 4096)
STEPS = 200  # of each policy in a round; an episode has up to 1,000
PROCESSES = 2
CANDIDATES = 64  # policies of a generation that are compared
EPISODE = 1000
CHROMATIC: dict[str, Any] = {"hidden_sizes": [41], "num_colors": 17}


class Physics:
    """A `Batch` that counts how long it steps.

    Args:
        batch: the batch.

    Attributes:
        seconds: spent in steps.
    """

    def __init__(self, batch: Any) -> None:
        self.batch, self.seconds = batch, 0.0

    def __getattr__(self, name: str) -> Any:
        """Be the batch in everything else."""
        return getattr(self.batch, name)

    def step(self, *args: Any, **kwargs: Any) -> None:
        """Step, and count."""
        start = time.perf_counter()
        try:
            self.batch.step(*args, **kwargs)
        finally:
            self.seconds += time.perf_counter() - start


def share_of_physics(num: int, seed: int, steps: int = STEPS) -> Callable[[], float]:
    """Return what plays `num` policies for some steps and says which share of it was physics."""
    env = make_vec_env("morphzoo/AntVelocity-v0", num, seed)
    simulation: Any = env.vector_env.simulation
    torch.manual_seed(seed)
    spaces = env.observation_space, env.action_space
    policy = DeterministicPolicy(*spaces, lambda _: 1e-3, normalize=True)
    noise = 0.05 * torch.randn(num, policy.num_parameters)
    bank = PolicyBank(policy, policy.theta + noise)
    rows = SimulationRows(simulation, steps)
    simulation.batch = physics = Physics(simulation.batch)

    def observe(seen: np.ndarray) -> None:
        policy.observe(torch.as_tensor(seen))

    def measure() -> float:
        before, start = physics.seconds, time.perf_counter()
        play(rows, bank, np.arange(num), observe=observe)
        return (physics.seconds - before) / (time.perf_counter() - start)

    return measure


class Searches:
    """One generation of searches by whole episodes on the HalfCheetah: policies a second.

    ARS of sb3-contrib plays one policy after another in each of its processes, on Gymnasium's own
    environment.

    Args:
        seed: of weights and episodes.
        steps: of an episode.
    """

    def __init__(self, seed: int, steps: int = EPISODE) -> None:
        self.steps = steps
        single: Any = {"env_kwargs": {"max_episode_steps": steps}}

        def envs() -> Any:
            return make_single_envs("HalfCheetah-v5", 1, **single)

        kwargs: Any = {"n_delta": CANDIDATES // 2, "seed": seed, "device": "cpu"}
        policy: Any = ChromaticPolicy  # any policy will do that is a flat vector
        self.ars = ARS(policy, envs(), zero_policy=False, policy_kwargs=CHROMATIC, **kwargs)
        self.linear = ARS("LinearPolicy", envs(), **kwargs)
        self.envs = envs
        ours = make_vec_env("morphzoo/HalfCheetah-v5", CANDIDATES, seed, max_episode_steps=steps)
        plain: Any = {"policy_kwargs": CHROMATIC, "evaluate_every": 0, "seed": seed}
        self.es = ES(ChromaticPolicy, ours, **plain)

    def ours(self) -> float:
        """A generation of our bank."""
        return self._rate(self.es)

    def chromatic(self) -> float:
        """A generation of ARS with the same policy."""
        return self._in_processes(self.ars)

    def plain(self) -> float:
        """A generation of ARS with its own linear policy."""
        return self._in_processes(self.linear)

    def _rate(self, model: Any, **kwargs: Any) -> float:
        start = time.perf_counter()
        model.learn(CANDIDATES * self.steps, log_interval=None, **kwargs)
        assert model.num_timesteps == CANDIDATES * self.steps, "not one generation"
        return CANDIDATES / (time.perf_counter() - start)

    def _in_processes(self, model: ARS) -> float:
        """Start processes, which `learn` ends, and measure from there on."""
        return self._rate(model, async_eval=AsyncEval([self.envs] * PROCESSES, model.policy))


def run(rounds: int, seed: int) -> dict[str, Any]:
    """Measure both."""
    shares = {}
    for num in POLICIES:
        measure = share_of_physics(num, seed)
        measure()
        shares[num] = summary([measure() for _ in range(rounds)])
        print(f"{num} policies: {shares[num]['median']:.2f} of the time is physics", flush=True)
    searches = Searches(seed)
    turns = {"ours": searches.ours, "ars": searches.chromatic, "ars-linear": searches.plain}
    rates = alternate(turns, rounds)
    ratios = {f"ours / {n}": ratio(rates["ours"], rates[n]) for n in ("ars", "ars-linear")}
    print({name: round(found["median"], 2) for name, found in ratios.items()}, flush=True)
    return {
        "physics": {str(num): share for num, share in shares.items()},
        "policies_per_second": summaries(rates),
        "ratios": ratios,
    }

"""What acts (a policy, random actions or any function), and whole episodes of it side by side."""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Iterator, Sequence
from typing import Any, cast

import numpy as np
import torch
from gymnasium import spaces
from gymnasium.vector import VectorEnv
from stable_baselines3.common.base_class import BaseAlgorithm
from stable_baselines3.common.distributions import DiagGaussianDistribution
from stable_baselines3.common.policies import ActorCriticPolicy, BasePolicy
from stable_baselines3.common.utils import obs_as_tensor

from morphzoo.results import RANDOM

Generators = Sequence[np.random.Generator]
#: Observations float32[n, O], or a dict of such arrays where the environment has goals.
Observations = Any
#: Observations and one generator a row -> actions float32[n, A] before clipping.
Actor = Callable[[Observations, Generators], np.ndarray]

_ACTION_STREAM = 1  # spawn key of the action noise, apart from the environment's own stream


def action_generator(seed: int) -> np.random.Generator:
    """Return the generator of one episode's action noise; the environment draws from another."""
    sequence = np.random.SeedSequence(seed, spawn_key=(_ACTION_STREAM,))
    return np.random.Generator(np.random.PCG64(sequence))


def random_actor(action_space: spaces.Box) -> Actor:
    """Return an actor that draws uniformly from a bounded action space.

    Raises:
        ValueError: The space has no finite bounds.
    """
    low, high = action_space.low.astype(np.float64), action_space.high.astype(np.float64)
    if not (np.isfinite(low).all() and np.isfinite(high).all()):
        raise ValueError(f"random actions need a bounded action space, found {action_space}")

    def act(observations: Observations, generators: Generators) -> np.ndarray:
        return np.stack([rng.uniform(low, high) for rng in generators]).astype(np.float32)

    return act


def _noise_actor(policy: Any) -> Actor:
    """Return an actor of a policy that turns observations and standard normal noise to actions."""
    size = policy.action_space.shape[0]

    def act(observations: Any, generators: Generators) -> np.ndarray:
        noise = np.stack([rng.standard_normal(size) for rng in generators])
        return policy.predict_with(observations, noise.astype(np.float32))

    return act


def policy_actor(policy: BasePolicy, deterministic: bool) -> Actor:
    """Return an actor that uses a policy without touching torch's global generator.

    Args:
        policy: An SB3 policy. Sampling needs one whose distribution is a plain Gaussian, one
            that acts by given noise (`predict_with`), or one without noise.
        deterministic: Act by the mean.

    Raises:
        ValueError: The policy cannot be sampled from given generators.
    """
    if not deterministic and hasattr(policy, "predict_with"):
        return _noise_actor(policy)
    gaussian = isinstance(policy, ActorCriticPolicy) and isinstance(
        policy.action_dist, DiagGaussianDistribution
    )
    if not gaussian and not deterministic and getattr(policy, "has_noise", True):
        raise ValueError(
            f"{type(policy).__name__} does not act by a diagonal Gaussian, so its sampled actions "
            "cannot be reproduced: evaluate it with deterministic=True"
        )

    def act(observations: Observations, generators: Generators) -> np.ndarray:
        if not gaussian:
            return policy.predict(observations, deterministic=True)[0]
        batch = obs_as_tensor(observations, policy.device)
        with torch.no_grad():
            normal = policy.get_distribution(batch).distribution  # pyright: ignore
            mean, std = normal.mean.cpu().numpy(), normal.stddev.cpu().numpy()
        if deterministic:
            return mean
        noise = np.stack([rng.standard_normal(mean.shape[1]) for rng in generators])
        return mean + std * noise.astype(np.float32)

    return act


def rows_of(observations: Observations, index: Any) -> Observations:
    """Return some rows of observations; `None` makes a batch of one of a single observation."""
    if isinstance(observations, dict):
        return {name: values[index] for name, values in observations.items()}
    return observations[index]


class Episodes:
    """Episodes in the making: iterate it, then read its columns, those of an `EpisodeTable`."""

    def __init__(self, env: VectorEnv, actor: Actor, seeds: np.ndarray) -> None:
        self.env, self.actor = env, actor
        self.columns = {
            "seeds": seeds,
            "returns": np.zeros(len(seeds)),
            "returns_unclipped_cost": np.zeros(len(seeds)),
            "lengths": np.zeros(len(seeds), dtype=np.int64),
            "distances": np.zeros(len(seeds)),
            "failed": np.zeros(len(seeds), dtype=bool),
        }
        self._waiting = iter(range(len(seeds)))
        self._episode = np.full(env.num_envs, -1)  # which one each row runs; -1: the row rests
        self._generators = [action_generator(0)] * env.num_envs
        self._actions = np.zeros_like(env.action_space.sample())
        self._start = np.full(env.num_envs, np.nan)  # x at the start of the row's episode (m)

    def __iter__(self) -> Iterator[int]:
        """Run everything; yield how many episodes ended whenever some did."""
        observations = self._begin(np.ones(self.env.num_envs, dtype=bool), np.empty(0))
        space: Any = self.env.single_action_space
        while (self._episode >= 0).any():
            active = np.flatnonzero(self._episode >= 0)
            raw = self.actor(
                rows_of(observations, active), [self._generators[row] for row in active]
            )
            self._actions[active] = np.clip(raw, space.low, space.high)
            observations, rewards, terminated, truncated, infos = self.env.step(self._actions)
            self._count(active, raw, rewards[active], infos)
            ended = (self._episode >= 0) & (terminated | truncated)
            if ended.any():
                self._episode[ended] = -1
                yield int(np.count_nonzero(ended))
                observations = self._begin(ended, observations)

    def _begin(self, free: np.ndarray, observations: Observations) -> Observations:
        """Give waiting episodes to free rows; rows for which none is left rest."""
        mask, seeds = np.zeros(len(free), dtype=bool), np.zeros(len(free), dtype=np.int64)
        for row, episode in zip(np.flatnonzero(free), self._waiting, strict=False):
            mask[row], self._episode[row] = True, episode
            seeds[row] = self.columns["seeds"][episode]
            self._generators[row] = action_generator(int(seeds[row]))
        if not mask.any():
            return observations
        env: Any = self.env  # Gymnasium's hints know a single seed only
        observations, infos = env.reset(seed=seeds.tolist(), options={"reset_mask": mask})
        self._start[mask] = _info(infos, "x_position", len(free))[mask]
        return observations

    def _count(self, active: np.ndarray, raw: np.ndarray, rewards: np.ndarray, infos: dict) -> None:
        episodes, rows = self._episode[active], len(self._episode)
        failed = _info(infos, "simulation_failed", rows, 0.0)[active] > 0
        change = np.where(failed, 0.0, self._clipped_away(active, raw))
        self.columns["returns"][episodes] += rewards
        self.columns["returns_unclipped_cost"][episodes] += rewards + change
        self.columns["lengths"][episodes] += 1
        advance = _info(infos, "x_position", rows) - self._start
        self.columns["distances"][episodes] = advance[active]
        self.columns["failed"][episodes] |= failed

    def _clipped_away(self, active: np.ndarray, raw: np.ndarray) -> np.ndarray:
        """Return what the reward would change by, had the action not been clipped, float64[n].

        The reward's terms are taken twice at the state after the step, for the action before and
        after clipping: what does not depend on the action cancels exactly. MuJoCo clamps controls
        itself, so the motion is the same.
        """
        simulation = self.env.unwrapped.simulation
        clipped = self._actions.astype(np.float64)
        unclipped = clipped.copy()
        unclipped[active] = raw
        with np.errstate(all="ignore"):  # the fields of failed rows hold anything
            before, after = (
                simulation.task.reward(simulation.fields, actions, simulation.variables)
                for actions in (unclipped, clipped)
            )
            return np.sum([before[term] - after[term] for term in before], axis=0)[active]


@contextlib.contextmanager
def acting(policy: Any, env: VectorEnv, deterministic: bool) -> Iterator[Actor]:
    """Give the actor of anything that `evaluate` takes; a policy is in evaluation mode inside."""
    policy = policy.policy if isinstance(policy, BaseAlgorithm) else policy
    if isinstance(policy, str) and policy == RANDOM:
        yield random_actor(env.single_action_space)  # pyright: ignore
    elif isinstance(policy, BasePolicy):
        _check_body(policy, env)
        actor, training = policy_actor(policy, deterministic), policy.training
        policy.set_training_mode(False)
        try:
            yield actor
        finally:
            policy.set_training_mode(training)
    elif callable(policy):
        yield cast(Actor, policy)
    else:
        raise ValueError(
            f"policy: expected an SB3 policy, an SB3 algorithm, {RANDOM!r} or a function, "
            f"found {policy!r}. Load a saved policy first: zoo.load(name, env)"
        )


@contextlib.contextmanager
def torch_threads(number: int) -> Iterator[None]:
    """Let torch compute with so many threads inside; 0 leaves what is set."""
    before = torch.get_num_threads()
    torch.set_num_threads(number or before)
    try:
        yield
    finally:
        torch.set_num_threads(before)


def _check_body(policy: BasePolicy, env: VectorEnv) -> None:
    """Refuse a policy that was built for another body."""
    here, there = _shape(env.single_observation_space), _shape(policy.observation_space)
    if here != there or env.single_action_space.shape != policy.action_space.shape:
        raise ValueError(
            f"the policy is built for observations {there} and actions "
            f"{policy.action_space.shape}, this body has {here} and "
            f"{env.single_action_space.shape}: put it on this body with zoo.load(folder, env)"
        )


def _shape(space: spaces.Space) -> Any:
    """Return the shape of a space; of a Dict that of each entry."""
    if isinstance(space, spaces.Dict):
        return {name: _shape(entry) for name, entry in space.spaces.items()}
    return space.shape


def _info(infos: dict, name: str, rows: int, default: float = np.nan) -> np.ndarray:
    """Return one number a row from the infos of a vector environment, float64[rows]."""
    return np.asarray(infos.get(name, np.full(rows, default)), dtype=np.float64)

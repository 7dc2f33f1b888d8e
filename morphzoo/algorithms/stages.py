"""Where policies are played: simulations here or on a GPU, Gymnasium's arrays, SB3's vectors."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from functools import partial
from typing import Any

import gymnasium as gym
import numpy as np
from gymnasium.utils import seeding
from gymnasium.wrappers import OrderEnforcing, PassiveEnvChecker, TimeLimit
from stable_baselines3.common.monitor import Monitor
from stable_baselines3.common.vec_env import (
    DummyVecEnv,
    VecEnv,
    VecNormalize,
    is_vecenv_wrapped,
)
from stable_baselines3.common.vec_env.base_vec_env import VecEnvWrapper

from morphzoo.algorithms.rollouts import DeviceRows, Rows
from morphzoo.algorithms.warp_rows import WarpRows
from morphzoo.envs.simulation import Simulation
from morphzoo.envs.single import MorphologyEnv
from morphzoo.envs.task import Task
from morphzoo.envs.warp_simulation import WarpSimulation
from morphzoo.envs.warp_worlds import simulation_bytes
from morphzoo.sb3 import MorphologyVecEnv

#: What simulates our bodies: MuJoCo on the CPU's threads, or mujoco-warp on the model's device.
BACKENDS = ("mujoco", "warp")

# What `gymnasium.make` and Stable-Baselines3 put around every environment.
_USUAL = (OrderEnforcing, PassiveEnvChecker, TimeLimit, Monitor)


class SimulationRows:
    """Rows of a `Simulation`: no autoreset, no infos, and what is done is not stepped.

    A row with seed s equals, bit for bit, a single environment that was reset with s.

    Args:
        simulation: the simulations; what they hold is lost.
        max_steps: length at which an episode is truncated.
    """

    def __init__(self, simulation: Simulation, max_steps: int) -> None:
        self.simulation = simulation
        self.num = simulation.num
        self.max_steps = max_steps
        self._length = 0

    def elsewhere(self) -> Callable[[], SimulationRows]:
        """Return what makes as many rows in another process, stepped by one thread."""
        return partial(_simulated, self.simulation.task, self.num, self.max_steps)

    def begin(self, seeds: np.ndarray) -> np.ndarray:
        """Start episodes; see `Rows`."""
        rngs = [seeding.np_random(int(seed))[0] for seed in seeds]
        self._length = 0
        return self.simulation.reset(np.arange(len(seeds)), rngs)

    def step(
        self, ids: np.ndarray, actions: np.ndarray
    ) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
        """Advance some rows; see `Rows`."""
        everything = len(ids) == self.num
        result = self.simulation.step(actions, None if everything else ids)
        self._length += 1
        return (
            result.observation,
            result.reward,
            result.terminated | (self._length >= self.max_steps),
        )


class VectorRows:
    """Rows of a Gymnasium vector environment that steps arrays, such as CartPole's own.

    Rows that are done are stepped on with the others, and thrown away. The first seed of a batch
    seeds all of its rows: such an environment draws their starts from one generator.

    Args:
        env_id: one that has a vector version.
        num: how many rows.
        kwargs: of the environment; a time limit is among them.
    """

    def __init__(self, env_id: str, num: int, kwargs: dict[str, Any]) -> None:
        self._made_of = env_id, num, kwargs
        env = gym.make_vec(env_id, num, "vector_entry_point", **kwargs)
        self.env = env
        self.num = env.num_envs
        self._actions = np.array(env.action_space.sample())

    def elsewhere(self) -> Callable[[], VectorRows]:
        """Return what makes as many rows in another process."""
        return partial(VectorRows, *self._made_of)

    def begin(self, seeds: np.ndarray) -> np.ndarray:
        """Start episodes; see `Rows`."""
        observation, _ = self.env.reset(seed=int(seeds[0]))
        return np.array(observation[: len(seeds)], dtype=np.float32)

    def step(
        self, ids: np.ndarray, actions: np.ndarray
    ) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
        """Advance some rows; see `Rows`."""
        self._actions[ids] = actions
        observation, rewards, terminated, truncated, _ = self.env.step(self._actions)
        return observation[ids], rewards[ids], (terminated | truncated)[ids]


class VecEnvRows:
    """Rows of any Stable-Baselines3 vector environment: slow, and right.

    Rows that are done reset themselves and are stepped on with the others, and thrown away.

    Args:
        env: the vector environment.
    """

    def __init__(self, env: VecEnv) -> None:
        self.env = env
        self.num = env.num_envs
        self._actions = np.stack([np.asarray(env.action_space.sample())] * env.num_envs)

    def elsewhere(self) -> Callable[[], VecEnvRows]:
        """Return what makes such rows in another process, of a copy of the environment."""
        return partial(VecEnvRows, self.env)

    def begin(self, seeds: np.ndarray) -> np.ndarray:
        """Start episodes; see `Rows`."""
        inner = self.env
        while isinstance(inner, VecEnvWrapper):
            inner = inner.venv
        # `seed()` knows consecutive seeds only; the two of an antithetic pair are equal.
        inner._seeds = [int(seed) for seed in np.resize(seeds, self.num)]
        observation: Any = self.env.reset()
        return np.array(observation[: len(seeds)], dtype=np.float32)

    def step(
        self, ids: np.ndarray, actions: np.ndarray
    ) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
        """Advance some rows; see `Rows`."""
        self._actions[ids] = actions
        observation, rewards, dones, _ = self.env.step(self._actions)
        return np.asarray(observation)[ids], rewards[ids], dones[ids]


def _simulated(task: Task, num: int, max_steps: int) -> SimulationRows:
    """Make rows of a task."""
    return SimulationRows(Simulation(task, num, num_threads=1), max_steps)


def device_rows_of(model: Any, wanted: int) -> DeviceRows:
    """Return the rows on a device of a model whose back end is mujoco-warp.

    Args:
        model: a `PopulationAlgorithm`, with its environment.
        wanted: how many policies are to be played side by side.

    Raises:
        ValueError: if the environment is another's, or has no time limit.
        ImportError: mujoco-warp is not installed.
    """
    task, limit = _own_body(model.env)
    max_steps = _limited(limit, model.env)
    return WarpRows(WarpSimulation(task, wanted, model.device), max_steps)


def device_memory(model: Any, wanted: int) -> dict[str, int]:
    """Say what the rows of `device_rows_of` take, by name (bytes).

    Raises:
        ValueError: as there.
    """
    return {f"{wanted:,} simulations": simulation_bytes(_own_body(model.env)[0], wanted)}


def rows_of(env: VecEnv, wanted: int) -> Rows:
    """Return the fastest rows that an environment offers.

    Ours are stepped as simulations. A single environment in nothing but the wrappers that
    `gymnasium.make` puts around it is made anew with as many rows as are wanted, if it is ours or
    Gymnasium has a version of it that steps arrays. Anything else is stepped as it is.

    Args:
        env: what Stable-Baselines3 made of the environment given.
        wanted: how many policies are to be played side by side.

    Raises:
        ValueError: if episodes have no time limit, or rewards are changed by `VecNormalize`.
    """
    if isinstance(env, MorphologyVecEnv):
        simulation, limit = env.vector_env.simulation, env.vector_env.episodes.max_steps
        return SimulationRows(simulation, _limited(limit, env))
    if is_vecenv_wrapped(env, VecNormalize):
        raise ValueError(
            "VecNormalize changes rewards and, with every step, what policies see, so that returns "
            "cannot be compared: take it off, and give policy_kwargs={'normalize': True}"
        )
    if (single := _plain_single(env)) is not None:
        spec, inner = single.spec, single.unwrapped
        limit = _time_limit(single)
        if isinstance(inner, MorphologyEnv):
            return SimulationRows(Simulation(inner.task, wanted), _limited(limit, env))
        if spec is not None and spec.vector_entry_point is not None:
            kwargs = {**spec.kwargs, "max_episode_steps": _limited(limit, env)}
            kwargs.pop("render_mode", None)
            return VectorRows(spec.id, wanted, kwargs)
    for limit in time_limits(env):
        _limited(limit, env)
    return VecEnvRows(env)


def _own_body(env: VecEnv) -> tuple[Task, int | None]:
    """Return the task of an environment of ours, and its time limit.

    Raises:
        ValueError: if it is another's, or something that may change what it does is around it.
    """
    if isinstance(env, MorphologyVecEnv):
        return env.vector_env.task, env.vector_env.episodes.max_steps
    single = _plain_single(env)
    if single is None or not isinstance(single.unwrapped, MorphologyEnv):
        found = env if single is None else single.unwrapped
        raise ValueError(
            f"backend='warp' simulates morphzoo's own bodies alone, found {type(found).__name__}: "
            "give the id of one, such as 'morphzoo/AntVelocity-v0', or backend='mujoco'"
        )
    return single.unwrapped.task, _time_limit(single)


def _plain_single(env: VecEnv) -> Any:
    """Return the only environment, if it is in nothing but the usual wrappers; else None."""
    single = env.envs[0] if isinstance(env, DummyVecEnv) and env.num_envs == 1 else None
    if single is None or not all(isinstance(w, _USUAL) for w in _wrappers(single)):
        return None
    return single


def _wrappers(env: gym.Env) -> Iterator[gym.Wrapper]:
    while isinstance(env, gym.Wrapper):
        yield env
        env = env.env


def _time_limit(env: gym.Env) -> int | None:
    """Return the smallest limit that wrappers put on an environment's episodes."""
    limits = [w._max_episode_steps for w in _wrappers(env) if isinstance(w, TimeLimit)]
    return min(limits) if limits else None


def time_limits(env: VecEnv) -> list[int | None]:
    """Return the limit of each environment, as far as it says: by its wrapper, else by its spec."""
    inner: Any = env.unwrapped
    if isinstance(inner, DummyVecEnv):
        return [_time_limit(single) for single in inner.envs]
    try:
        return [getattr(spec, "max_episode_steps", None) for spec in inner.get_attr("spec")]
    except AttributeError:
        return [None]


def _limited(limit: int | None, env: VecEnv) -> int:
    """Return a time limit, or refuse an environment without one."""
    if limit is None:
        raise ValueError(
            f"the episodes of this {type(env).__name__} have no time limit, and a policy is "
            "judged by one whole episode, which might never end: make the environment with "
            "max_episode_steps=1000, or wrap it in gymnasium.wrappers.TimeLimit"
        )
    return limit

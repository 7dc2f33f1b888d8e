"""Stable-Baselines3's vector environment on batched simulation: where the two vector APIs meet."""

from __future__ import annotations

import time
from collections.abc import Sequence
from typing import Any

import gymnasium as gym
import numpy as np
from stable_baselines3.common.monitor import Monitor
from stable_baselines3.common.vec_env import VecEnv
from stable_baselines3.common.vec_env.base_vec_env import VecEnvIndices

from morphzoo.envs.batch import MorphologyVectorEnv
from morphzoo.envs.ids import NAMESPACE, canonical_id


class MorphologyVecEnv(VecEnv):
    """Gives Stable-Baselines3 the rows of a :class:`MorphologyVectorEnv`.

    Observations are float32[n_envs, O], or a dict of such arrays where the environment has goals.
    ``infos[i]`` is empty until row i is done. Then it holds `terminal_observation` (of that row),
    `TimeLimit.truncated`, `episode` (return `r`, length `l`, seconds since the start `t`), the last
    step's reward terms and metrics, and `simulation_failed`. No `Monitor` is needed.

    Attributes:
        vector_env: the rows.
        last_observation: what the next actions answer: set `model._last_obs` to it after
            `set_state`, and Stable-Baselines3 goes on without a reset.
    """

    def __init__(self, vector_env: MorphologyVectorEnv) -> None:
        """Wrap the rows.

        Raises:
            ValueError: if they do not reset themselves in the same step.
        """
        if not vector_env.episodes.autoreset:
            raise ValueError(
                "Stable-Baselines3 needs autoreset, found autoreset_mode=DISABLED; make the "
                "environment with SAME_STEP, the default."
            )
        self.vector_env = vector_env
        self._actions: np.ndarray | None = None
        self._start = time.time()
        super().__init__(
            vector_env.num_envs,
            vector_env.single_observation_space,
            vector_env.single_action_space,
        )
        # As DummyVecEnv does: the frame rate belongs to what SB3's video recorder reads.
        self.metadata = vector_env.metadata

    @property
    def last_observation(self) -> Any:
        """What the next actions answer, a copy."""
        return self.vector_env.task.unpack(self.vector_env.simulation.observation)

    def reset(self) -> Any:
        """Begin an episode in every row; return observations. Seeds given before are used once."""
        observation, infos = self.vector_env.reset(seed=self._seeds)
        names = [name for name in infos if not name.startswith("_")]
        self.reset_infos = [
            {name: _plain(infos[name][row]) for name in names} for row in range(self.num_envs)
        ]
        self._reset_seeds()
        self._reset_options()
        return observation

    def step_async(self, actions: np.ndarray) -> None:
        """Keep the actions, float[n_envs, A], for :meth:`step_wait`."""
        self._actions = actions

    def step_wait(self) -> tuple[Any, np.ndarray, np.ndarray, list[dict[str, Any]]]:
        """Advance every row.

        Returns:
            Observations, rewards float32[n_envs], dones bool[n_envs], infos.

        Raises:
            ValueError: before anything moves, for actions of a wrong shape or not finite.
            gymnasium.error.ResetNeeded: before the first reset.
        """
        assert self._actions is not None, "step_async() comes before step_wait()."
        moved = self.vector_env.episodes.advance(self._actions)
        result, unpack = moved.result, self.vector_env.task.unpack
        infos: list[dict[str, Any]] = [{} for _ in range(self.num_envs)]
        for row in np.flatnonzero(moved.done):
            infos[row] = {
                "terminal_observation": unpack(result.observation[row].copy()),
                "TimeLimit.truncated": bool(moved.truncated[row] and not result.terminated[row]),
                "episode": {
                    "r": float(moved.episode_return[row]),
                    "l": int(moved.episode_length[row]),
                    "t": round(time.time() - self._start, 6),
                },
                **{name: float(values[row]) for name, values in result.terms.items()},
                **{name: _plain(values[row]) for name, values in result.metrics.items()},
                "simulation_failed": bool(result.failed[row]),
            }
        return unpack(moved.observation), result.reward.astype(np.float32), moved.done, infos

    def close(self) -> None:
        """Free what the environment holds."""
        self.vector_env.close()

    def get_state(self) -> dict[str, np.ndarray]:
        """Return all that decides how the rows go on: plain arrays, never a pickle."""
        return self.vector_env.get_state()

    def set_state(self, state: dict[str, np.ndarray]) -> None:
        """Go on, bit for bit, from where `get_state` was called, here or in another process.

        A seed or an option that waits for the next reset is forgotten.

        Raises:
            ValueError: before anything changes, if the state does not fit this body, this number of
                rows or this version.
        """
        self.vector_env.set_state(state)
        self._reset_seeds()
        self._reset_options()

    def get_images(self) -> Sequence[np.ndarray | None]:
        """Draw every row: uint8[height, width, 3] each, or None without that render mode."""
        if self.render_mode != "rgb_array":
            return [None] * self.num_envs
        return [self.vector_env.render_row(row) for row in range(self.num_envs)]

    def get_attr(self, attr_name: str, indices: VecEnvIndices = None) -> list[Any]:
        """Return an attribute of rows: of the environment, else of its task.

        Raises:
            AttributeError: if neither has it.
        """
        rows = self._rows(indices)
        if attr_name in ("observation_space", "action_space"):
            return [getattr(self.vector_env, f"single_{attr_name}")] * len(rows)
        if attr_name in ("np_random", "np_random_seed"):
            return [getattr(self.vector_env, attr_name)[row] for row in rows]
        owner = self.vector_env if hasattr(self.vector_env, attr_name) else self.vector_env.task
        return [getattr(owner, attr_name)] * len(rows)

    def set_attr(self, attr_name: str, value: Any, indices: VecEnvIndices = None) -> None:
        """Refuse: all rows are one object.

        Raises:
            AttributeError: always, naming the remedy.
        """
        raise AttributeError(
            f"{attr_name!r} cannot be set on rows that share one simulation; give it to "
            "make_vec_env(..., ) as a keyword."
        )

    def env_method(
        self,
        method_name: str,
        *method_args: Any,
        indices: VecEnvIndices = None,
        **method_kwargs: Any,
    ) -> list[Any]:
        """Call a method of rows: `render`, `get_wrapper_attr`, `has_wrapper_attr`, or the task's.

        Raises:
            AttributeError: if a row has no such method.
        """
        rows = self._rows(indices)
        if method_name == "render":
            return [self.vector_env.render_row(row) for row in rows]
        if method_name == "get_wrapper_attr":
            return self.get_attr(*method_args, indices=rows, **method_kwargs)
        if method_name == "has_wrapper_attr":
            return [self.has_attr(*method_args, **method_kwargs)] * len(rows)
        method = getattr(self.vector_env.task, method_name)
        return [method(*method_args, **method_kwargs) for _ in rows]

    def env_is_wrapped(
        self, wrapper_class: type[gym.Wrapper], indices: VecEnvIndices = None
    ) -> list[bool]:
        """Say whether rows behave as wrapped: True for `Monitor`, whose statistics they give."""
        return [wrapper_class is Monitor] * len(self._rows(indices))

    def _rows(self, indices: VecEnvIndices) -> list[int]:
        return [range(self.num_envs)[row] for row in self._get_indices(indices)]


def _plain(value: Any) -> Any:
    """Return one row's number as Python's own, and a copy of what is a vector."""
    return value.copy() if np.ndim(value) else value.item()


def make_vec_env(
    env_id: str,
    n_envs: int = 1,
    seed: int | None = None,
    *,
    num_threads: int = 0,
    **env_kwargs: Any,
) -> MorphologyVecEnv:
    """Make a batched environment for Stable-Baselines3.

    Args:
        env_id: one of ours, in any spelling that :func:`canonical_id` reads.
        n_envs: number of rows.
        seed: row i is seeded with seed + i at the first reset; None starts from entropy.
        num_threads: native threads that step the rows; 0 means one a core.
        **env_kwargs: of the environment, as for ``gymnasium.make``, and `max_episode_steps`.

    Returns:
        An environment that PPO, SAC and the like take as it is.

    Raises:
        ValueError: if the id is not ours, or an argument is out of range.
        gymnasium.error.Error: if no such environment is registered.
    """
    name = canonical_id(env_id)
    if gym.spec(name).namespace != NAMESPACE:
        raise ValueError(
            f"morphzoo.sb3 steps ids of the namespace {NAMESPACE!r}, found {env_id!r}. For other "
            "environments use stable_baselines3.common.env_util.make_vec_env, with "
            "wrapper_class=morphzoo.with_graph for a graph policy."
        )
    vector_env = gym.make_vec(name, num_envs=n_envs, num_threads=num_threads, **env_kwargs)
    assert isinstance(vector_env.unwrapped, MorphologyVectorEnv)
    vec_env = MorphologyVecEnv(vector_env.unwrapped)
    if seed is not None:
        vec_env.seed(seed)
    return vec_env

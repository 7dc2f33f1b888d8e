"""Small goal environments: a point in the plane, or many; a Centipede with a goal."""

from __future__ import annotations

from typing import Any

import gymnasium as gym
import numpy as np
from gymnasium import spaces
from gymnasium.wrappers import TimeLimit
from stable_baselines3.common.vec_env import DummyVecEnv, VecEnv, VecMonitor

from morphzoo.envs.generators import generator_from_words, generator_words

NEAR = 0.5


def goal_space(observation: spaces.Box, goal: int = 2) -> spaces.Dict:
    """The Dict of a goal environment."""
    where = spaces.Box(-np.inf, np.inf, (goal,), np.float32)
    return spaces.Dict({"observation": observation, "achieved_goal": where, "desired_goal": where})


class PointEnv(gym.Env):
    """A point that moves where it is told, at most 1 a step; goals within +-size."""

    def __init__(self, size: float = 4.0, low: float = -1.0, high: float = 1.0) -> None:
        self.size, self.speed = size, (low, high)
        self.observation_space = goal_space(spaces.Box(-np.inf, np.inf, (3,), np.float32))
        self.action_space = spaces.Box(low, high, (2,), np.float32)

    def reset(self, *, seed: int | None = None, options: Any = None) -> tuple[dict, dict]:
        super().reset(seed=seed)
        self.place = np.zeros(2)
        self.goal = self.np_random.uniform(-self.size, self.size, 2)
        return self._seen(), {}

    def step(self, action: np.ndarray) -> tuple[dict, float, bool, bool, dict]:
        low, high = self.speed
        move = 2 * (np.asarray(action, dtype=np.float64) - low) / (high - low) - 1
        self.place = np.clip(self.place + move, -self.size, self.size)
        seen = self._seen()
        reward = self.compute_reward(seen["achieved_goal"], seen["desired_goal"], {})
        return seen, float(reward), False, False, {"is_success": bool(reward)}

    def compute_reward(self, achieved: np.ndarray, desired: np.ndarray, info: Any) -> np.ndarray:
        return (np.linalg.norm(achieved - desired, axis=-1) < NEAR).astype(np.float64)

    def _seen(self) -> dict[str, np.ndarray]:
        place = self.place.astype(np.float32)
        return {
            "observation": np.append(place, np.float32(1)),
            "achieved_goal": place,
            "desired_goal": self.goal.astype(np.float32),
        }


def points(n_envs: int = 4, steps: int = 20, **kwargs: Any) -> VecEnv:
    """Some points side by side, whose episodes have a time limit."""
    made = DummyVecEnv([lambda: TimeLimit(PointEnv(**kwargs), steps) for _ in range(n_envs)])
    return VecMonitor(made)


class PointRows(VecEnv):
    """Points as arrays, whose state can be taken and put back; they end one after another."""

    def __init__(self, n_envs: int = 3, steps: int = 7) -> None:
        self.steps, one = steps, PointEnv()
        self.near = one.compute_reward
        self.rng = np.random.default_rng(0)
        super().__init__(n_envs, one.observation_space, one.action_space)

    def reset(self) -> dict[str, np.ndarray]:
        self.place, self.goal = np.zeros((2, self.num_envs, 2), dtype=np.float32)
        self.time = np.arange(self.num_envs)
        self._begin(np.ones(self.num_envs, dtype=bool))
        return self._seen()

    def _begin(self, rows: np.ndarray) -> None:
        self.place[rows] = 0
        self.goal[rows] = self.rng.uniform(-3, 3, (int(rows.sum()), 2))

    def _seen(self) -> dict[str, np.ndarray]:
        time = np.ones((self.num_envs, 1), dtype=np.float32)
        return {
            "observation": np.concatenate([self.place, time], 1),
            "achieved_goal": self.place.copy(),
            "desired_goal": self.goal.copy(),
        }

    def step_async(self, actions: np.ndarray) -> None:
        self.actions = actions

    def step_wait(self) -> tuple[Any, np.ndarray, np.ndarray, list[dict]]:
        self.place = np.clip(self.place + self.actions, -3, 3).astype(np.float32)
        self.time += 1
        seen, done = self._seen(), self.time >= self.steps
        rewards = self.near(seen["achieved_goal"], seen["desired_goal"], {}).astype(np.float32)
        infos: list[dict] = [{} for _ in done]
        for row in np.flatnonzero(done):
            infos[row]["terminal_observation"] = {key: value[row] for key, value in seen.items()}
            infos[row]["episode"] = {"r": float(rewards[row]), "l": self.steps, "t": 0.0}
        self._begin(done)
        self.time[done] = 0
        return self._seen(), rewards, done, infos

    def get_state(self) -> dict[str, np.ndarray]:
        words = generator_words(self.rng)
        return {"place": self.place, "goal": self.goal, "time": self.time, "rng": words}

    def set_state(self, state: dict[str, np.ndarray]) -> None:
        self.place, self.goal, self.time = (state[k].copy() for k in ("place", "goal", "time"))
        self.rng = generator_from_words(state["rng"])

    def close(self) -> None:
        pass

    def get_attr(self, attr_name: str, indices: Any = None) -> list[Any]:
        if attr_name == "render_mode":
            return [None] * self.num_envs
        raise AttributeError(attr_name)

    def set_attr(self, attr_name: str, value: Any, indices: Any = None) -> None:
        raise AttributeError(attr_name)

    def env_method(self, method_name: str, *args: Any, indices: Any = None, **kwargs: Any) -> list:
        raise AttributeError(method_name)

    def env_is_wrapped(self, wrapper_class: Any, indices: Any = None) -> list[bool]:
        return [False] * self.num_envs


class CentipedeGoal(gym.Wrapper):
    """A Centipede that is asked to be at a place of the floor."""

    def __init__(self, num_legs: int = 4, **kwargs: Any) -> None:
        super().__init__(gym.make("morphzoo/Centipede-v0", num_legs=num_legs, **kwargs))
        inner = self.env.observation_space
        assert isinstance(inner, spaces.Box)
        self.observation_space = goal_space(inner)
        self.goal = np.zeros(2, dtype=np.float32)

    def reset(self, **kwargs: Any) -> tuple[dict, dict]:
        observation, info = self.env.reset(**kwargs)
        self.goal = self.np_random.uniform(-5, 5, 2).astype(np.float32)
        return self._seen(observation), info

    def step(self, action: np.ndarray) -> tuple[dict, float, bool, bool, dict]:
        observation, _, terminated, truncated, info = self.env.step(action)
        seen = self._seen(observation)
        reward = float(np.linalg.norm(seen["achieved_goal"] - self.goal) < NEAR)
        return seen, reward, terminated, truncated, info

    def _seen(self, observation: np.ndarray) -> dict[str, np.ndarray]:
        data: Any = self.env.unwrapped
        place = data.data.qpos[:2].astype(np.float32)
        return {"observation": observation, "achieved_goal": place, "desired_goal": self.goal}

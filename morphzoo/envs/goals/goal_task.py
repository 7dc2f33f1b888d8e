"""A task with a goal: what is observed becomes Gymnasium's goal Dict here, and nowhere else."""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Mapping, Sequence
from typing import Any

import mujoco
import numpy as np
from gymnasium import spaces

from morphzoo.columns import Column
from morphzoo.envs.task import (
    Array,
    Fields,
    Task,
    array_namespace,
    as_like,
    sum_of_squares,
)
from morphzoo.spaces import MorphologySpace

GOAL_SITE = "goal"  # the marker that pictures show at the goal


class GoalTask(Task):
    """Bring some part of the robot to a point: the reward is 1 while it is there, and else 0.

    A subclass says what the state is, where the part is, and how goals are drawn. A goal is drawn
    after the start, by the episode's own generator, and stays for the episode. The state knows
    nothing of it.

    A row of `observe` is the state, the achieved goal and the desired one, end to end: so batched
    simulation, failures and saved states treat it as any other. `unpack` makes the Dict of it.
    Goals are float32, as they are observed, and the reward is computed from what is observed:
    `compute_reward` gives it again exactly.

    Attributes:
        goal_size: how many coordinates a goal has, G.
        threshold: a goal is reached where its distance is below this (m).

    Source: the goals, rewards and measures of Wang et al., "1000 Layer Networks for
        Self-Supervised RL" (arXiv 2503.14858), and of JaxGCRL (Apache-2.0), on which it stands.
    Differs: theirs keep the first goal of a row for the whole training, and the Humanoid's state
        holds the goal, which was a body of the model. Here a goal is drawn at every reset, and is
        no part of the model's state.
    """

    def __init__(
        self,
        model: mujoco.MjModel,
        columns: Sequence[Column],
        *,
        fields: Sequence[str],
        goal_size: int,
        threshold: float,
        frame_skip: int,
    ) -> None:
        """Keep what describes the task; `columns` name the numbers of the state.

        Raises:
            ValueError: if `frame_skip` is below 1.
        """
        super().__init__(
            model,
            columns,
            fields=fields,
            reward_terms=("reward_goal",),
            frame_skip=frame_skip,
        )
        self.goal_size = goal_size
        self.threshold = float(threshold)
        self._marker = int(model.site(GOAL_SITE).id)

    @abstractmethod
    def state(self, fields: Fields) -> Array:
        """Return the numbers of `columns`, `float[n, S]`."""

    @abstractmethod
    def achieved(self, fields: Fields) -> Array:
        """Return where the part is that must reach the goal, `float64[n, G]` (m, world frame)."""

    @abstractmethod
    def draw_goal(self, rng: np.random.Generator) -> np.ndarray:
        """Draw one goal, float64[G] (m, world frame), from one row's generator."""

    @property
    def observation_space(self) -> spaces.Dict:
        """The goal Dict's space; its `observation` is a `MorphologySpace`."""
        goals = {
            name: spaces.Box(-np.inf, np.inf, (self.goal_size,), np.float32)
            for name in ("achieved_goal", "desired_goal")
        }
        return spaces.Dict({**goals, "observation": MorphologySpace(self.graph)})

    @property
    def row_size(self) -> int:
        """How many numbers `observe` gives: those of the state and of two goals."""
        return self.graph.observation_size + 2 * self.goal_size

    def observe(self, fields: Fields, variables: Mapping[str, Array]) -> Array:
        """Return state, achieved and desired goal, `float32[n, S + 2 G]`."""
        state = self.state(fields)
        xp = array_namespace(state)
        parts = [state, self.achieved(fields), variables["goal"]]
        return xp.asarray(xp.concatenate(parts, axis=1), dtype=xp.float32)

    def unpack(self, rows: np.ndarray) -> dict[str, np.ndarray]:
        """Return the goal Dict of rows of `observe`, arrays of their own."""
        size, goal = self.graph.observation_size, self.goal_size
        return {
            "achieved_goal": np.array(rows[..., size : size + goal]),
            "desired_goal": np.array(rows[..., size + goal :]),
            "observation": np.array(rows[..., :size]),
        }

    def compute_reward(self, achieved_goal: Any, desired_goal: Any, info: Any = None) -> Any:
        """Return the reward of being at one place while another is the goal.

        Args:
            achieved_goal: float32[..., G] (m).
            desired_goal: float32[..., G] (m).
            info: not needed.

        Returns:
            float64[...]: 1 where the distance is below `threshold`, else 0.

        Raises:
            ValueError: if a goal has not G numbers.
        """
        achieved, desired = np.asarray(achieved_goal), np.asarray(desired_goal)
        for name, goal in (("achieved_goal", achieved), ("desired_goal", desired)):
            if goal.shape[-1:] != (self.goal_size,):
                raise ValueError(
                    f"{name}: expected {self.goal_size} numbers along the last axis, found an "
                    f"array of shape {goal.shape}."
                )
        return self._is_near(achieved, desired)

    def begin(self, fields: Fields, rngs: Sequence[np.random.Generator]) -> dict[str, Array]:
        """Give every episode its `goal float64[n, G]`, and whether it was `reached float64[n]`."""
        goals = np.array([self.draw_goal(rng) for rng in rngs]).reshape(len(rngs), self.goal_size)
        goal = as_like(goals.astype(np.float32), fields["qpos"])
        return {"goal": goal, "reached": self._success(fields, goal)}

    def advance(self, fields: Fields, variables: Mapping[str, Array]) -> dict[str, Array]:
        """Keep the goal, and remember whether it was reached."""
        return {"goal": variables["goal"], "reached": self._reached(fields, variables)}

    def reward(
        self, fields: Fields, action: Array, variables: Mapping[str, Array]
    ) -> dict[str, Array]:
        """Return the only term, `float64[n]`: 1 at the goal, else 0."""
        return {"reward_goal": self._success(fields, variables["goal"])}

    def terminated(self, fields: Fields, variables: Mapping[str, Array]) -> Array:
        """Return `bool[n]`: never, by default; to reach the goal is no end."""
        qpos = fields["qpos"]
        return array_namespace(qpos).zeros_like(qpos[:, 0], dtype=bool)

    def metrics(self, fields: Fields, variables: Mapping[str, Array]) -> dict[str, Array]:
        """Return position and distance (m), and whether the goal is, or has been, reached."""
        achieved = self.achieved(fields)
        return {
            "x_position": achieved[:, 0],
            "y_position": achieved[:, 1],
            "distance_to_goal": distance(_observed(achieved), variables["goal"]),
            "is_success": self._success(fields, variables["goal"]),
            "goal_reached": self._reached(fields, variables),
        }

    def show(self, data: mujoco.MjData, variables: Mapping[str, Array]) -> None:
        """Put the marker at the goal: MuJoCo computes a site's place anew in every step."""
        data.site_xpos[self._marker, : self.goal_size] = variables["goal"][0]

    def _success(self, fields: Fields, goal: Array) -> Array:
        """Return `float64[n]`: 1 at the goal, else 0."""
        return self._is_near(_observed(self.achieved(fields)), goal)

    def _reached(self, fields: Fields, variables: Mapping[str, Array]) -> Array:
        """Return `float64[n]`: 1 if the goal is or was reached in this episode."""
        success = self._success(fields, variables["goal"])
        return array_namespace(success).maximum(success, variables["reached"])

    def _is_near(self, achieved: Array, desired: Array) -> Array:
        near = distance(achieved, desired) < self.threshold
        xp = array_namespace(near)
        return xp.asarray(near, dtype=xp.float64) if near.ndim else np.float64(near)


def distance(achieved: Array, desired: Array) -> Array:
    """Return the distance between points of `[..., G]`, `float64[...]`."""
    xp = array_namespace(achieved)
    parts = [xp.asarray(part, dtype=xp.float64) for part in (achieved, desired)]
    return sum_of_squares(parts[0] - parts[1]) ** 0.5


def add_marker(spec: mujoco.MjSpec, threshold: float, height: float) -> None:
    """Add the marker of the goal: a ball that touches nothing, for pictures alone.

    Args:
        spec: the world.
        threshold: a goal is reached where its distance is below this (m): the ball's radius.
        height: of the ball's centre, where goals have none of their own (m).

    Raises:
        ValueError: if the threshold is no positive number.
    """
    if not 0.0 < threshold < np.inf:
        raise ValueError(f"threshold: expected a positive number (m), found {threshold!r}.")
    spec.worldbody.add_site(
        name=GOAL_SITE,
        pos=[0.0, 0.0, height],
        size=[threshold, threshold, threshold],
        rgba=[0.85, 0.20, 0.25, 0.55],
    )


def _observed(position: Array) -> Array:
    """Return a position as it is observed, float32."""
    xp = array_namespace(position)
    return xp.asarray(position, dtype=xp.float32)

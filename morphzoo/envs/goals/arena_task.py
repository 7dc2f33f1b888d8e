"""What robots have in common that are told to go somewhere in an arena."""

from __future__ import annotations

from collections.abc import Sequence

import mujoco
import numpy as np

from morphzoo.columns import Column, columns_of
from morphzoo.envs.goals.arena import Arena
from morphzoo.envs.goals.goal_task import GoalTask
from morphzoo.envs.task import Array, Fields, array_namespace


class ArenaTask(GoalTask):
    """Go somewhere: the robot's root, the first two or three numbers of qpos, is what must arrive.

    The state is all of qpos, x and y included, and all of qvel; a subclass may add to it.

    Attributes:
        arena: where the robot is, and where goals are drawn from.
    """

    def __init__(
        self,
        model: mujoco.MjModel,
        arena: Arena,
        *,
        goal_height: float | None = None,
        further_columns: Sequence[Column] = (),
        reads: Sequence[str] = (),
        threshold: float,
        reset_noise_scale: float,
        frame_skip: int,
    ) -> None:
        """Keep what describes the task.

        Args:
            model: the arena with the robot in it.
            arena: what it was furnished by.
            goal_height: z of every goal (m); None where goals have x and y alone.
            further_columns: what the state has behind qpos and qvel.
            reads: further fields that the task needs.
            threshold: a goal is reached where its distance is below this (m).
            reset_noise_scale: scale of the noise in the starting state.
            frame_skip: physics steps per environment step.

        Raises:
            ValueError: if an argument is out of range.
        """
        if not 0.0 <= reset_noise_scale < np.inf:
            raise ValueError(
                f"reset_noise_scale: expected 0 or a positive number, found {reset_noise_scale!r}."
            )
        columns = columns_of(model, "qpos", range(model.nq))
        columns += columns_of(model, "qvel", range(model.nv))
        super().__init__(
            model,
            (*columns, *further_columns),
            fields=("qpos", "qvel", *reads),
            goal_size=2 if goal_height is None else 3,
            threshold=threshold,
            frame_skip=frame_skip,
        )
        self.arena = arena
        self._height = [] if goal_height is None else [goal_height]
        self._reset_noise_scale = reset_noise_scale

    def state(self, fields: Fields) -> Array:
        """Return qpos and qvel, `float64[n, nq + nv]`."""
        qpos = fields["qpos"]
        return array_namespace(qpos).concatenate([qpos, fields["qvel"]], axis=1)

    def achieved(self, fields: Fields) -> Array:
        """Return where the root is, `float64[n, G]` (m)."""
        return 1.0 * fields["qpos"][:, : self.goal_size]

    def draw_goal(self, rng: np.random.Generator) -> np.ndarray:
        """Draw a goal of the arena's, float64[G] (m)."""
        return np.array([*self.arena.draw_goal(rng), *self._height])

    def noisy(self, qpos: np.ndarray, rng: np.random.Generator) -> tuple[np.ndarray, np.ndarray]:
        """Return a start: a pose moved to where the arena's start is, with noise.

        Args:
            qpos: float64[nq], the pose at the origin.
            rng: of the row.

        Returns:
            `(qpos float64[nq], qvel float64[nv])`: uniform noise on all of qpos (the quaternion of
            a free root is then normalised), normal noise in qvel, positions before velocities.
        """
        model, scale = self.model, self._reset_noise_scale
        qpos = qpos + rng.uniform(-scale, scale, model.nq)
        qpos[:2] += self.arena.start
        if model.jnt_type[0] == int(mujoco.mjtJoint.mjJNT_FREE):
            qpos[3:7] /= np.sqrt(np.sum(np.square(qpos[3:7])))
        return qpos, scale * rng.standard_normal(model.nv)

"""Environments around a task with a goal: single and batched."""

from __future__ import annotations

from typing import Any, ClassVar

from morphzoo.envs.batch import MorphologyVectorEnv
from morphzoo.envs.goals.goal_task import GoalTask
from morphzoo.envs.single import MorphologyEnv


class GoalEnv(MorphologyEnv):
    """One robot with a goal: what the pages of all of them have in common.

    Observations are Gymnasium's goal Dict: `observation` (the robot's state, whose space is a
    `MorphologySpace`), `achieved_goal` and `desired_goal`, all float32. The reward is
    `compute_reward(achieved_goal, desired_goal, info)`, exactly: 1 where their distance is below
    `threshold`, else 0. So the return is the number of steps at the goal, the "time at goal".
    Reaching the goal ends nothing.

    `info` holds `reward_goal`; `x_position` and `y_position` of what must reach the goal,
    `distance_to_goal` (m), `is_success` (1 at the goal, else 0), `goal_reached` (1 from the first
    time at the goal on, a start at the goal included) and `simulation_failed`.
    """

    task_class: ClassVar[type[GoalTask]]
    task: GoalTask

    def __init__(self, **arguments: Any) -> None:
        """Build the world and allocate its simulation.

        Args:
            **arguments: those of the page and of `MorphologyEnv`, by name.

        Raises:
            ValueError: if an argument is out of range.
        """
        task, rest = self.task_class.split(arguments)
        super().__init__(self.task_class(**task), **rest)

    def compute_reward(self, achieved_goal: Any, desired_goal: Any, info: Any) -> Any:
        """Return the reward of one transition or of many; see `GoalTask.compute_reward`."""
        return self.task.compute_reward(achieved_goal, desired_goal, info)


class GoalVectorEnv(MorphologyVectorEnv):
    """Many robots with a goal each, in native threads: `gymnasium.make_vec` arrives here.

    The page of the single environment describes the task, `MorphologyVectorEnv` batched
    environments. Observations are a dict of arrays with one row for each robot.
    """

    task_class: ClassVar[type[GoalTask]]

    def __init__(self, num_envs: int = 1, **arguments: Any) -> None:
        """Build the world once and allocate `num_envs` simulations of it.

        Args:
            num_envs: number of rows.
            **arguments: those of the page and of `MorphologyVectorEnv`, by name.

        Raises:
            ValueError: if an argument is out of range.
        """
        task, rest = self.task_class.split(arguments)
        super().__init__(self.task_class(**task), num_envs, **rest)

    def compute_reward(self, achieved_goal: Any, desired_goal: Any, info: Any) -> Any:
        """Return the rewards of many transitions; see `GoalTask.compute_reward`."""
        task = self.task
        assert isinstance(task, GoalTask)
        return task.compute_reward(achieved_goal, desired_goal, info)

"""Humanoids with a goal: on open ground, and in mazes."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np
from gymnasium import spaces

from morphzoo.columns import columns_of
from morphzoo.envs.goals.arena import Arena, Maze, Ring
from morphzoo.envs.goals.arena_task import ArenaTask
from morphzoo.envs.goals.goal_env import GoalEnv, GoalVectorEnv
from morphzoo.envs.goals.gymnasium_world import gymnasium_world
from morphzoo.envs.goals.layouts import layout_of
from morphzoo.envs.task import Array, Fields, array_namespace, check_ranges

GOAL_HEIGHT = 1.25  # z of every goal (m)

_STRENGTH = 0.4  # control of the motors at an action of 1
_ROOT = 6  # degrees of freedom of the root, which no motor drives
_CELL = 2.0  # side of a maze's cell (m)
_WALL_HEIGHT = 1.0  # (m): low enough to vault, as some policies of the paper do


class HumanoidGoalTask(ArenaTask):
    """What the Humanoids with goals have in common: body, state, start and termination."""

    def __init__(
        self,
        arena: Arena,
        *,
        threshold: float,
        healthy_z_range: tuple[float, float],
        reset_noise_scale: float,
        frame_skip: int,
    ) -> None:
        """Build the world.

        Args:
            arena: where the Humanoid is.
            threshold: a goal is reached where its distance is below this (m).
            healthy_z_range: heights of a healthy torso (m), limits included.
            reset_noise_scale: scale of the noise in the starting state.
            frame_skip: physics steps per environment step.

        Raises:
            ValueError: if an argument is out of range.
        """
        check_ranges(healthy_z_range=healthy_z_range)
        spec = gymnasium_world("humanoid.xml")
        arena.furnish(spec, threshold, GOAL_HEIGHT)
        model = spec.compile()
        columns = columns_of(model, "cinert", range(1, model.nbody))
        columns += columns_of(model, "cvel", range(1, model.nbody))
        columns += columns_of(model, "qfrc_actuator", range(_ROOT, model.nv))
        super().__init__(
            model,
            arena,
            goal_height=GOAL_HEIGHT,
            further_columns=columns,
            reads=("cinert", "cvel", "qfrc_actuator"),
            threshold=threshold,
            reset_noise_scale=reset_noise_scale,
            frame_skip=frame_skip,
        )
        self._healthy_z_range = healthy_z_range

    @property
    def action_space(self) -> spaces.Box:
        """The space of one action, `float32[17]` in -1..1."""
        return spaces.Box(-1.0, 1.0, (self.model.nu,), dtype=np.float32)

    def control(self, action: Array) -> Array:
        """Return what the motors are told, 0.4 at most: MuJoCo clamps it."""
        return _STRENGTH * action

    def initial_state(self, rng: np.random.Generator) -> tuple[np.ndarray, np.ndarray]:
        """Return the reference pose where the arena's start is; noise only where it is wanted."""
        return self.noisy(self.model.qpos0, rng)

    def state(self, fields: Fields) -> Array:
        """Return qpos, qvel, inertias and velocities of the bodies, and the motors' torques."""
        num = len(fields["qpos"])
        inertia, velocity = (
            fields[name][:, 1:].reshape(num, size * (self.model.nbody - 1))
            for name, size in (("cinert", 10), ("cvel", 6))
        )
        parts = [super().state(fields), inertia, velocity, fields["qfrc_actuator"][:, _ROOT:]]
        return array_namespace(parts[0]).concatenate(parts, axis=1)

    def terminated(self, fields: Fields, variables: Mapping[str, Array]) -> Array:
        """Return `bool[n]`: the torso is too low, too high, or nowhere."""
        low, high = self._healthy_z_range
        z = fields["qpos"][:, 2]
        return ~((z >= low) & (z <= high))


class HumanoidReachTask(HumanoidGoalTask):
    """Observation, reward, termination, start and goals: `HumanoidReachEnv` is the page."""

    def __init__(
        self,
        *,
        goal_distance: tuple[float, float] = (1.0, 5.0),
        threshold: float = 0.5,
        healthy_z_range: tuple[float, float] = (1.0, 2.0),
        reset_noise_scale: float = 0.0,
        frame_skip: int = 5,
    ) -> None:
        """Build the world; the arguments are described in `HumanoidReachEnv`."""
        super().__init__(
            Ring(goal_distance),
            threshold=threshold,
            healthy_z_range=healthy_z_range,
            reset_noise_scale=reset_noise_scale,
            frame_skip=frame_skip,
        )


class HumanoidMazeTask(HumanoidGoalTask):
    """Observation, reward, termination, start and goals: `HumanoidMazeEnv` is the page."""

    def __init__(
        self,
        maze: str | Sequence[str] = "u",
        *,
        threshold: float = 0.5,
        healthy_z_range: tuple[float, float] = (1.0, 2.0),
        reset_noise_scale: float = 0.0,
        frame_skip: int = 5,
    ) -> None:
        """Build the world; the arguments are described in `HumanoidMazeEnv`."""
        super().__init__(
            Maze(layout_of(maze), _CELL, _WALL_HEIGHT),
            threshold=threshold,
            healthy_z_range=healthy_z_range,
            reset_noise_scale=reset_noise_scale,
            frame_skip=frame_skip,
        )


class HumanoidReachEnv(GoalEnv):
    """A Humanoid that walks to a point 1 to 5 m away, in any direction.

    ## Description

    Gymnasium's Humanoid on open ground: two legs, two arms, 17 motors. Its torso is sent to a point
    around its start at a height of 1.25 m, drawn anew for every episode, to stay there upright.

    ## Action Space

    `Box(-1, 1, (17,), float32)`: the torque is 0.4 times the action times the motor's gear. Motors
    and gears are those of `morphzoo/Humanoid-v5`, whose actions reach from -0.4 to 0.4.

    ## Observation Space

    Gymnasium's goal Dict, all float32. The 13 bodies follow each other, the torso first:

    | Key | Num | Observation | Joint or body |
    | --- | --- | --- | --- |
    | `observation` | 0 - 2 | x, y and height of the torso (m) | root |
    | `observation` | 3 - 6 | orientation of the torso: quaternion w, x, y, z | root |
    | `observation` | 7 - 23 | angles (rad) | abdomen_z, abdomen_y, abdomen_x, ... |
    | `observation` | 24 - 26 | velocity of the torso, world frame (m/s) | root |
    | `observation` | 27 - 29 | angular velocity of the torso, its own frame (rad/s) | root |
    | `observation` | 30 - 46 | angular velocities (rad/s) | abdomen_z, abdomen_y, ... |
    | `observation` | 47 - 176 | `cinert`: inertia, mass times offset, mass (in kg, m) | torso |
    | `observation` | 177 - 254 | `cvel`: angular (rad/s), then linear velocity (m/s) | torso |
    | `observation` | 255 - 271 | `qfrc_actuator`: torques (N m) | abdomen_z, abdomen_y, ... |
    | `achieved_goal` | 0 - 2 | x, y and height of the torso (m) | |
    | `desired_goal` | 0 - 2 | the goal; its height is always 1.25 m | |

    The space of `observation` is a `MorphologySpace`. It tells nothing of the goal.

    ## Rewards

    *reward_goal*: 1 in every step that ends with the torso less than `threshold` from the goal, in
    space, else 0. So the return is the number of steps at the goal. `info` is described in
    `GoalEnv`.

    ## Starting State

    The reference pose (height 1.4 m, upright, all angles 0) at rest. No noise, but for
    `reset_noise_scale`: uniform on positions, normal on velocities. Then the goal is drawn: its
    distance from the origin uniformly in `goal_distance`, and its direction uniformly.

    ## Episode End

    An episode terminates where the torso's height leaves `healthy_z_range` (its limits are
    healthy) or MuJoCo has given up on the simulation. It is truncated after 1000 steps, 15 s.

    ## Arguments

    ```python
    import gymnasium as gym, morphzoo
    env = gym.make("morphzoo/HumanoidReach-v0", reset_noise_scale=0.01)
    ```

    | Parameter | Type | Default | Description |
    | --- | --- | --- | --- |
    | `goal_distance` | **tuple** | `(1, 5)` | Least and greatest distance of a goal, along the \
floor (m) |
    | `threshold` | **float** | `0.5` | Distance at which the goal is reached (m) |
    | `healthy_z_range` | **tuple** | `(1.0, 2.0)` | Heights of a healthy torso (m) |
    | `reset_noise_scale` | **float** | `0.0` | Scale of the noise in the starting state |
    | `frame_skip` | **int** | `5` | Physics steps of 0.003 s in a step |

    `render_mode` and the other arguments of rendering are those of every Gymnasium MuJoCo
    environment. Without a choice of a camera, the frame shows all places where a goal may be; the
    camera `track` follows the robot.

    Source: `humanoid` of Wang et al., "1000 Layer Networks for Self-Supervised RL" (arXiv
        2503.14858): goals, threshold, start and termination.
    Differs: physics and gears are those of Gymnasium's `humanoid.xml` in MuJoCo, not of Brax's
        springs: the paper's numbers are not comparable. The state has no goal in it (theirs holds
        the commanded one), and two feet more: 272 numbers in place of 268. A goal is drawn at every
        reset; theirs stay for the training.

    ## Version History

    - v0: Initial release.
    """

    task_class = HumanoidReachTask


class HumanoidMazeEnv(GoalEnv):
    """A Humanoid that finds its way through a maze to a goal.

    ## Description

    Gymnasium's Humanoid in a maze of cells 2 m wide, between walls 1 m high. Its torso is sent to a
    point 1.25 m above the centre of a cell that is drawn anew for every episode.

    | id | maze |
    | --- | --- |
    | `morphzoo/HumanoidUMaze-v0` | `u`: around a wall |
    | `morphzoo/HumanoidBigMaze-v0` | `big`: halls with pillars and dead ends |

    ## Action Space

    As `HumanoidReachEnv`: `Box(-1, 1, (17,), float32)`.

    ## Observation Space

    Gymnasium's goal Dict, as `HumanoidReachEnv` describes it: `observation` (272 numbers, a
    `MorphologySpace`), `achieved_goal` and `desired_goal` (x, y and z, m). Walls are not observed.

    ## Rewards

    *reward_goal*: 1 in every step that ends with the torso less than `threshold` from the goal, in
    space, else 0. So the return is the number of steps at the goal. `info` is described in
    `GoalEnv`.

    ## Starting State

    In the centre of the cell marked `R`, else as `HumanoidReachEnv`. Then the goal is drawn: above
    one of the cells marked `G`, each as likely.

    ## Episode End

    An episode terminates as in `HumanoidReachEnv`, and is truncated after 1000 steps, 15 s.

    ## Arguments

    | Parameter | Type | Default | Description |
    | --- | --- | --- | --- |
    | `maze` | **str** or rows | `"u"` | A name of `morphzoo.envs.goals.layouts.MAZES`, or rows of \
`#`, `R`, `G` and `.` (wall, start, goals, free); rows are x, columns are y |
    | `threshold` | **float** | `0.5` | Distance at which the goal is reached (m) |
    | `healthy_z_range` | **tuple** | `(1.0, 2.0)` | Heights of a healthy torso (m) |
    | `reset_noise_scale` | **float** | `0.0` | Scale of the noise in the starting state |
    | `frame_skip` | **int** | `5` | Physics steps of 0.003 s in a step |

    Arguments of rendering are those of every Gymnasium MuJoCo environment. Without a choice of a
    camera, the frame shows the whole maze as it is printed.

    Source: `humanoid_u_maze` and `humanoid_big_maze` of Wang et al. (arXiv 2503.14858): layouts,
        sizes and rules. The paper evaluates them with all of their goals.
    Differs: as `HumanoidReachEnv`.

    ## Version History

    - v0: Initial release.
    """

    task_class = HumanoidMazeTask


class HumanoidReachVectorEnv(GoalVectorEnv):
    """Many of them in native threads; `HumanoidReachEnv` is the task's page."""

    task_class = HumanoidReachTask


class HumanoidMazeVectorEnv(GoalVectorEnv):
    """Many of them in native threads; `HumanoidMazeEnv` is the task's page."""

    task_class = HumanoidMazeTask

"""Ants with a goal: on open ground, and in the mazes of the paper."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import mujoco
import numpy as np

from morphzoo.envs.goals.arena import Arena, Maze, Ring
from morphzoo.envs.goals.arena_task import ArenaTask
from morphzoo.envs.goals.goal_env import GoalEnv, GoalVectorEnv
from morphzoo.envs.goals.gymnasium_world import gymnasium_world
from morphzoo.envs.goals.layouts import layout_of
from morphzoo.envs.task import Array, Fields, array_namespace, check_ranges

# Position (m), quaternion, and hip and ankle (rad) of each leg: the reference's pose, 0.2 m higher
_POSE = (0.0, 0.0, 0.75, 1.0, 0.0, 0.0, 0.0, 0.0, 1.0, 0.0, -1.0, 0.0, -1.0, 0.0, 1.0)
_MARKER_HEIGHT = 0.5  # (m)
_CELL = 4.0  # side of a maze's cell (m)
_WALL_HEIGHT = 2.0  # (m)


class AntGoalTask(ArenaTask):
    """What the Ants with goals have in common: body, state, start and termination."""

    def __init__(
        self,
        arena: Arena,
        spec: mujoco.MjSpec | None = None,
        *,
        threshold: float,
        healthy_z_range: tuple[float, float],
        reset_noise_scale: float,
        frame_skip: int,
    ) -> None:
        """Build the world.

        Args:
            arena: where the Ant is.
            spec: the Ant's world, if more stands in it than the Ant.
            threshold: a goal is reached where its distance is below this (m).
            healthy_z_range: heights of a healthy torso (m), limits included.
            reset_noise_scale: scale of the noise in the starting state.
            frame_skip: physics steps per environment step.

        Raises:
            ValueError: if an argument is out of range.
        """
        check_ranges(healthy_z_range=healthy_z_range)
        world = gymnasium_world("ant.xml") if spec is None else spec
        arena.furnish(world, threshold, _MARKER_HEIGHT)
        super().__init__(
            world.compile(),
            arena,
            threshold=threshold,
            reset_noise_scale=reset_noise_scale,
            frame_skip=frame_skip,
        )
        self._healthy_z_range = healthy_z_range

    def initial_state(self, rng: np.random.Generator) -> tuple[np.ndarray, np.ndarray]:
        """Draw a start around the reference's pose; what is not the Ant is where it was built."""
        pose = self.model.qpos0.copy()
        pose[: len(_POSE)] = _POSE
        return self.noisy(pose, rng)

    def terminated(self, fields: Fields, variables: Mapping[str, Array]) -> Array:
        """Return `bool[n]`: state not finite, or the torso too low or too high."""
        qpos, qvel = fields["qpos"], fields["qvel"]
        xp = array_namespace(qpos)
        low, high = self._healthy_z_range
        upright = (qpos[:, 2] >= low) & (qpos[:, 2] <= high)
        return ~(upright & xp.isfinite(qpos).all(-1) & xp.isfinite(qvel).all(-1))


class AntReachTask(AntGoalTask):
    """Observation, reward, termination, start and goals: `AntReachEnv` is the page."""

    def __init__(
        self,
        *,
        goal_distance: tuple[float, float] = (10.0, 10.0),
        threshold: float = 0.5,
        healthy_z_range: tuple[float, float] = (0.2, 1.0),
        reset_noise_scale: float = 0.1,
        frame_skip: int = 5,
    ) -> None:
        """Build the world; the arguments are described in `AntReachEnv`."""
        super().__init__(
            Ring(goal_distance),
            threshold=threshold,
            healthy_z_range=healthy_z_range,
            reset_noise_scale=reset_noise_scale,
            frame_skip=frame_skip,
        )


class AntMazeTask(AntGoalTask):
    """Observation, reward, termination, start and goals: `AntMazeEnv` is the page."""

    def __init__(
        self,
        maze: str | Sequence[str] = "u4",
        *,
        threshold: float = 0.5,
        healthy_z_range: tuple[float, float] = (0.2, 1.0),
        reset_noise_scale: float = 0.1,
        frame_skip: int = 5,
    ) -> None:
        """Build the world; the arguments are described in `AntMazeEnv`."""
        super().__init__(
            Maze(layout_of(maze), _CELL, _WALL_HEIGHT),
            threshold=threshold,
            healthy_z_range=healthy_z_range,
            reset_noise_scale=reset_noise_scale,
            frame_skip=frame_skip,
        )


class AntReachEnv(GoalEnv):
    """An Ant that goes to a point 10 m away, in any direction.

    ## Description

    Gymnasium's Ant on open ground: a torso with four legs, each with a hip and an ankle. It is sent
    to a point on a circle around its start, drawn anew for every episode.

    ## Action Space

    `Box(-1, 1, (8,), float32)`: the motors of `hip_4`, `ankle_4`, `hip_1`, `ankle_1`, `hip_2`,
    `ankle_2`, `hip_3` and `ankle_3`, 150 N m at 1. The joints' order, in `qpos`, is by number.

    ## Observation Space

    Gymnasium's goal Dict, all float32:

    | Key | Num | Observation | Joint | Type (Unit) |
    | --- | --- | --- | --- | --- |
    | `observation` | 0 - 2 | x, y and height of the torso | root | position (m) |
    | `observation` | 3 - 6 | orientation of the torso: quaternion w, x, y, z | root | quaternion |
    | `observation` | 7 - 14 | angles | hip_1, ankle_1, hip_2, ... | angle (rad) |
    | `observation` | 15 - 17 | velocity of the torso, world frame | root | velocity (m/s) |
    | `observation` | 18 - 20 | angular velocity of the torso, its own frame | root | (rad/s) |
    | `observation` | 21 - 28 | angular velocities | hip_1, ankle_1, ... | (rad/s) |
    | `achieved_goal` | 0, 1 | x and y of the torso | | position (m) |
    | `desired_goal` | 0, 1 | x and y of the goal | | position (m) |

    The space of `observation` is a `MorphologySpace`. It tells nothing of the goal.

    ## Rewards

    *reward_goal*: 1 in every step that ends with the torso less than `threshold` from the goal,
    along the floor, else 0. So the return is the number of steps at the goal. `info` is described
    in `GoalEnv`.

    ## Starting State

    At the origin at a height of 0.75 m, upright, hips at 0 and ankles at 1, -1, -1 and 1 rad, plus
    uniform noise in +-`reset_noise_scale` on every position; the quaternion is normalised. Every
    velocity is `reset_noise_scale` times standard normal noise. Then the goal is drawn: its
    distance from the origin uniformly in `goal_distance`, and its direction uniformly.

    ## Episode End

    ### Termination

    The episode ends when a position or velocity is not finite, the torso's height leaves
    `healthy_z_range` (its limits are healthy), or MuJoCo has given up on the simulation. What is
    left of the episode is forfeit. Reaching the goal ends nothing.

    ### Truncation

    The default duration of an episode is 1000 steps, 50 s.

    ## Arguments

    ```python
    import gymnasium as gym, morphzoo
    env = gym.make("morphzoo/AntReach-v0", goal_distance=(2.0, 10.0))
    ```

    | Parameter | Type | Default | Description |
    | --- | --- | --- | --- |
    | `goal_distance` | **tuple** | `(10, 10)` | Least and greatest distance of a goal (m) |
    | `threshold` | **float** | `0.5` | Distance at which the goal is reached (m) |
    | `healthy_z_range` | **tuple** | `(0.2, 1.0)` | Heights of a healthy torso (m) |
    | `reset_noise_scale` | **float** | `0.1` | Scale of the noise in the starting state |
    | `frame_skip` | **int** | `5` | Physics steps of 0.01 s in a step |

    `render_mode` and the other arguments of rendering are those of every Gymnasium MuJoCo
    environment. Without a choice of a camera, the frame shows all places where a goal may be; the
    camera `track` follows the robot.

    Source: `ant` of Wang et al., "1000 Layer Networks for Self-Supervised RL" (arXiv 2503.14858):
        state, start, goals, threshold and termination.
    Differs: physics is MuJoCo's with Gymnasium's `ant.xml`, not Brax's springs, and all parts touch
        the floor, not the feet alone: the paper's numbers are not comparable. The start is 0.2 m
        higher: at theirs, noise puts feet into the floor, and MuJoCo hurls the robot up. A goal is
        drawn at every reset; theirs stay for the training.

    ## Version History

    - v0: Initial release.
    """

    task_class = AntReachTask


class AntMazeEnv(GoalEnv):
    """An Ant that finds its way through a maze to a goal.

    ## Description

    Gymnasium's Ant in a maze of cells 4 m wide, between walls 2 m high that it runs into. It is
    sent to the centre of a cell that is drawn anew for every episode.

    | id | maze |
    | --- | --- |
    | `morphzoo/AntU4Maze-v0` | `u4`: around three sides of a wall, and back beneath the start |
    | `morphzoo/AntU5Maze-v0` | `u5`: likewise, 12 m wider |
    | `morphzoo/AntBigMaze-v0` | `big`: halls with pillars and dead ends |
    | `morphzoo/AntHardestMaze-v0` | `hardest`: long winding corridors |
    | `morphzoo/AntU4MazeEval-v0`, `morphzoo/AntU5MazeEval-v0`, `morphzoo/AntBigMazeEval-v0` | the \
same mazes with their far goals alone, on which the paper evaluates |

    The paper evaluates `hardest` with all of its goals, so it has no layout of its own for that.

    ## Action Space

    `Box(-1, 1, (8,), float32)`: torques, 150 N m at 1, in the order of `AntReachEnv`.

    ## Observation Space

    Gymnasium's goal Dict, as `AntReachEnv` describes it: `observation` (29 numbers, a
    `MorphologySpace`), `achieved_goal` and `desired_goal` (x and y, m). Walls are not observed.

    ## Rewards

    *reward_goal*: 1 in every step that ends with the torso less than `threshold` from the goal,
    along the floor, else 0. So the return is the number of steps at the goal. `info` is described
    in `GoalEnv`.

    ## Starting State

    In the centre of the cell marked `R`, else as `AntReachEnv`. Then the goal is drawn: the centre
    of one of the cells marked `G`, each as likely.

    ## Episode End

    An episode terminates as in `AntReachEnv`, and is truncated after 1000 steps, 50 s.

    ## Arguments

    ```python
    import gymnasium as gym, morphzoo
    env = gym.make("morphzoo/AntU4Maze-v0")
    env = gym.make("morphzoo/AntU4Maze-v0", maze=("#####", "#R.G#", "#####"))  # your own
    ```

    | Parameter | Type | Default | Description |
    | --- | --- | --- | --- |
    | `maze` | **str** or rows | `"u4"` | A name in `morphzoo.envs.goals.layouts.MAZES` or rows of \
`#`, `R`, `G` and `.` (wall, start, goals, free); rows are x, columns are y |
    | `threshold` | **float** | `0.5` | Distance at which the goal is reached (m) |
    | `healthy_z_range` | **tuple** | `(0.2, 1.0)` | Heights of a healthy torso (m) |
    | `reset_noise_scale` | **float** | `0.1` | Scale of the noise in the starting state |
    | `frame_skip` | **int** | `5` | Physics steps of 0.01 s in a step |

    `render_mode` and the other arguments of rendering are those of every Gymnasium MuJoCo
    environment. Without a choice of a camera, the frame shows the whole maze as it is printed; the
    camera `track` follows the robot.

    Source: `ant_u4_maze`, `ant_u5_maze`, `ant_big_maze`, `ant_hardest_maze` of Wang et al. (arXiv
        2503.14858): layouts, sizes and rules.
    Differs: as `AntReachEnv`.

    ## Version History

    - v0: Initial release.
    """

    task_class = AntMazeTask


class AntReachVectorEnv(GoalVectorEnv):
    """Many of them in native threads; `AntReachEnv` is the task's page."""

    task_class = AntReachTask


class AntMazeVectorEnv(GoalVectorEnv):
    """Many of them in native threads; `AntMazeEnv` is the task's page."""

    task_class = AntMazeTask

"""An Ant whose way to the goal is blocked by a block that it can push, but only to one side."""

from __future__ import annotations

import mujoco
import numpy as np

from morphzoo.envs.goals.ant import AntGoalTask
from morphzoo.envs.goals.arena import Maze
from morphzoo.envs.goals.goal_env import GoalEnv, GoalVectorEnv
from morphzoo.envs.goals.gymnasium_world import gymnasium_world

# Rows are x, columns are y. The block stands in the middle; goals lie beyond it, on either side.
_LAYOUT = ("#####", "#R.##", "#..G#", "##G##", "#####")
_CELL = 8.0  # (m)
_WALL_HEIGHT = 4.0  # (m)
_GOAL_NOISE = 2.0  # by how far x and y of a goal are more than the cell's centre, at most (m)

BLOCK_START = (8.0, 8.0)  # x, y (m)
_BLOCK = (3.6, 3.6, 1.8)  # half sizes (m)
_BLOCK_HEIGHT = 1.9  # of its centre (m): it touches walls and Ant, and not the floor
_BLOCK_MASS = 1.0  # (kg)
_BLOCK_DAMPING = 4.0  # (N s/m)


class PushArena(Maze):
    """The maze of AntPush; a goal lies up to 2 m beyond its cell's centre, along x and along y."""

    def draw_goal(self, rng: np.random.Generator) -> np.ndarray:
        """Draw the cell, then the place in it."""
        return super().draw_goal(rng) + rng.uniform(0.0, _GOAL_NOISE, 2)


class AntPushTask(AntGoalTask):
    """Observation, reward, termination, start and goals: `AntPushEnv` is the page."""

    def __init__(
        self,
        *,
        threshold: float = 0.5,
        healthy_z_range: tuple[float, float] = (0.2, 1.0),
        reset_noise_scale: float = 0.1,
        frame_skip: int = 5,
    ) -> None:
        """Build the world; the arguments are described in `AntPushEnv`."""
        spec = gymnasium_world("ant.xml")
        _add_block(spec)
        super().__init__(
            PushArena(_LAYOUT, _CELL, _WALL_HEIGHT, origin=(-_CELL, -_CELL)),
            spec,
            threshold=threshold,
            healthy_z_range=healthy_z_range,
            reset_noise_scale=reset_noise_scale,
            frame_skip=frame_skip,
        )


def _add_block(spec: mujoco.MjSpec) -> None:
    """Add the block: it slides along x and y, whose joints measure it from the world's origin."""
    block = spec.worldbody.add_body(name="block", pos=[*BLOCK_START, _BLOCK_HEIGHT])
    block.add_geom(
        name="block",
        type=mujoco.mjtGeom.mjGEOM_BOX,
        size=_BLOCK,
        mass=_BLOCK_MASS,
        contype=1,
        conaffinity=1,
        material="",
        rgba=[0.93, 0.58, 0.26, 1.0],
    )
    for axis, start in enumerate(BLOCK_START):
        joint = block.add_joint(
            name=f"block_{'xy'[axis]}",
            type=mujoco.mjtJoint.mjJNT_SLIDE,
            axis=np.eye(3)[axis],
            ref=start,
            armature=0.0,
            limited=mujoco.mjtLimited.mjLIMITED_FALSE,
        )
        joint.damping[0] = _BLOCK_DAMPING


class AntPushEnv(GoalEnv):
    """An Ant that has to push a block out of its way to get to a goal.

    ## Description

    Gymnasium's Ant between walls, with a block of 7.2 m in the way. The goal lies beyond the block,
    either along x or along y. The block must be pushed aside along the *other* axis: pushed
    straight ahead, it shuts the way to the goal for good, since there is no way around it.

    ```
    y  #####
    |  ##G##      R the start, at the origin; B the block; G where goals lie;
    |  #.BG#      cells are 8 m wide
    |  #R.##
    |  #####
    +------- x
    ```

    ## Action Space

    `Box(-1, 1, (8,), float32)`: torques, 150 N m at 1, in the order of `AntReachEnv`.

    ## Observation Space

    Gymnasium's goal Dict, all float32:

    | Key | Num | Observation | Joint | Type (Unit) |
    | --- | --- | --- | --- | --- |
    | `observation` | 0 - 14 | x, y, height, orientation and angles, as `AntReachEnv` | \
root, hip_1, ... | (m), (rad) |
    | `observation` | 15, 16 | x and y of the block | root | position (m) |
    | `observation` | 17 - 30 | velocities, as `AntReachEnv` | root, hip_1, ... | (m/s), \
(rad/s) |
    | `observation` | 31, 32 | velocity of the block | root | velocity (m/s) |
    | `achieved_goal` | 0, 1 | x and y of the Ant's torso | | position (m) |
    | `desired_goal` | 0, 1 | x and y of the goal | | position (m) |

    The space of `observation` is a `MorphologySpace`: it carries the robot's graph, to whose root
    the block's numbers are told. It tells nothing of the goal.

    ## Rewards

    *reward_goal*: 1 in every step that ends with the torso less than `threshold` from the goal,
    along the floor, else 0. So the return is the number of steps at the goal. `info` is described
    in `GoalEnv`.

    ## Starting State

    The Ant as in `AntReachEnv`, the block at (8, 8) m at rest, both with noise on positions and
    velocities. Then the goal is drawn: (16, 8) m or (8, 16) m, each as likely, and to both
    coordinates something uniform in 0 to 2 m is added.

    ## Episode End

    An episode terminates as in `AntReachEnv`, and is truncated after 1000 steps, 50 s.

    ## Arguments

    | Parameter | Type | Default | Description |
    | --- | --- | --- | --- |
    | `threshold` | **float** | `0.5` | Distance at which the goal is reached (m) |
    | `healthy_z_range` | **tuple** | `(0.2, 1.0)` | Heights of a healthy torso (m) |
    | `reset_noise_scale` | **float** | `0.1` | Scale of the noise in the starting state |
    | `frame_skip` | **int** | `5` | Physics steps of 0.01 s in a step |

    `render_mode` and the other arguments of rendering are those of every Gymnasium MuJoCo
    environment. Without a choice of a camera, the frame shows everything, x running down and y
    to the right; the camera `track` follows the robot.

    Source: `ant_push` of JaxGCRL (Apache-2.0): places and sizes of walls and block, goals, rules.
    Differs: the Ant is Gymnasium's, eight times as light as theirs, and the block, which weighs
    0.2 g there, 1 kg with a friction of 4 N s/m; it does not leave the plane. Its velocity is
    observed too. A goal is drawn at every reset.

    ## Version History

    - v0: Initial release.
    """

    task_class = AntPushTask


class AntPushVectorEnv(GoalVectorEnv):
    """Many of them in native threads; `AntPushEnv` is the task's page."""

    task_class = AntPushTask

"""The target-velocity Ant: legs all around, rewarded for going at a commanded velocity."""

from __future__ import annotations

from typing import Any

from morphzoo.envs.batch import MorphologyVectorEnv
from morphzoo.envs.single import MorphologyEnv
from morphzoo.envs.velocity_task import AntVelocityTask

__all__ = ["AntVelocityEnv", "AntVelocityTask", "AntVelocityVectorEnv"]


class AntVelocityEnv(MorphologyEnv):
    """An Ant of 2 to 8 legs that goes at the velocity it is told to.

    ## Description

    This environment is the target-velocity Ant of Bohlinger and Peters, ["Massively Scaling
    Explicit Policy-conditioned Value Functions"](https://arxiv.org/abs/2502.11949) (2025). A
    spherical torso has legs all around; a hip swings a leg, an ankle lifts its lowest link. The
    goal is to move at a given velocity **as the robot sees it**: forward is where the torso's x
    axis points, so that walking in a circle at the right speed scores as well as walking straight.

    | id | motors | control rate | velocity |
    | --- | --- | --- | --- |
    | `morphzoo/AntVelocity-v0` | torques, as in the paper | 100 Hz | 2 m/s forward |
    | `morphzoo/AntVelocityPD-v0` | position servos | 50 Hz | 2 m/s forward |
    | `morphzoo/AntVelocityCommand-v0` | torques | 100 Hz | drawn for each episode, and observed |

    Leg k of n points (2k - 1) 180/n degrees from +x to the left, so that the body is symmetric
    about its x axis: four legs stand on the diagonals, two to either side. Every number of legs has
    the node types `root`, `lefthip`, `righthip` and `ankle` (a leg that points straight back counts
    as left), so a policy that reads `env.unwrapped.graph` can be trained on one body and run on
    another. Only the lowest links touch, and only the floor: torso and thighs pass through it.

    ## Action Space

    `Box(-1, 1, (A,), float32)`: torques, 150 N m at 1, clipped to this range. With `n` legs A = 2n:

    | Num (n = 4) | Action | Joint (and motor) |
    | --- | --- | --- |
    | 0, 1 | hip and ankle of leg 4, front right: the last leg comes first | hip_4, ankle_4 |
    | 2, 3 | hip and ankle of leg 1, front left | hip_1, ankle_1 |
    | 4, 5 | hip and ankle of leg 2, back left | hip_2, ankle_2 |
    | 6, 7 | hip and ankle of leg 3, back right | hip_3, ankle_3 |

    With servos it is `Box(-5, 5, (A,), float32)`, in the order of the joints (hip_1, ankle_1,
    hip_2, ...): an action of a tells a servo to hold its home angle + 0.3 a rad. Its torque is
    20 (target - angle) - 0.5 (angular velocity), within +-150 N m. Actions are not clipped.

    ## Observation Space

    A `MorphologySpace`, a `Box(-Inf, Inf, (O,), float32)` that carries the robot's graph, with
    O = 6n + 10 (34 for four legs), and two more for a command. Numbers lie within +-100:

    | Num (n = 4) | Observation | Joint | Type (Unit) |
    | --- | --- | --- | --- |
    | 0 | height of the torso | root | position (m) |
    | 1 - 8 | angles; with servos, less the home angle | hip_1, ankle_1, hip_2, ... | angle (rad) |
    | 9 - 16 | angular velocities | hip_1, ankle_1, ... | (rad/s) |
    | 17 - 19 | velocity of the torso, its own frame | root | velocity (m/s) |
    | 20 - 22 | angular velocity of the torso, its own frame | root | (rad/s) |
    | 23 - 25 | direction of gravity, the torso's frame | root | of length 1 |
    | 26 - 33 | last control, 0 after a reset, in the order of the motors: torque as a fraction of \
150 N m; with servos, the angle to hold | hip_4, ankle_4, hip_1, ... | (rad) with servos |
    | 34, 35 | the command, forward and to the left; only with `command_range` | root | (m/s) |

    ## Rewards

    *reward_velocity* = exp(-((c_x - v_x)^2 + (c_y - v_y)^2) / 0.25), at most 1, where c is the
    command and v the torso's velocity after the step, turned into its frame by the whole
    orientation. So a return of 1000 is perfect; standing still gives exp(-16) a step at 2 m/s.

    `info` holds it, `x_position`, `y_position` and `distance_from_origin` of the torso (m),
    `forward_velocity` and `sideways_velocity` in its frame, `velocity_error` (their distance from
    the command, m/s), `target_velocity` (the command, an array of two) and `simulation_failed`.

    ## Starting State

    At rest, at x = y = 0, heading along +x: with torque motors at a height of 0.75 m with every
    angle 0 (the ankles' limits, 30 to 70 degrees, push at once), with servos at 0.61 m with ankles
    at 1.2 rad. No noise, so every episode begins alike; `reset_noise_scale` = s adds uniform noise
    in +-s to the angles and to the orientation's quaternion, which is normalised, and makes every
    velocity s times standard normal noise.

    A command is drawn uniformly from `command_range` by the generator of the episode's row, after
    the start, and stays for the episode.

    ## Episode End

    ### Termination

    The episode ends when the torso's height leaves `healthy_z_range` (its limits are healthy) or
    MuJoCo has given up on the simulation. A robot on its back may go on.

    ### Truncation

    The default duration of an episode is 1000 steps: 10 s, or 20 s with servos.

    ## Arguments

    ```python
    import gymnasium as gym, morphzoo
    env = gym.make("morphzoo/AntVelocity-v0", num_legs=6, target_velocity=(1.0, 0.5))
    env = gym.make("morphzoo/AntVelocity-v0", disabled_joints=["ankle_2"])
    env = gym.make("morphzoo/AntVelocityCommand-v0", target_velocity=(3.0, 0.0))  # never drawn
    ```

    | Parameter | Type | Default | Description |
    | --- | --- | --- | --- |
    | `num_legs` | **int** | `4` | 2 to 8 |
    | `actuators` | **str** | `"torque"` | Or `"position"`, the default of `AntVelocityPD` |
    | `disabled_joints` | **sequence** | `()` | Joints without motors, which swing freely; \
a whole leg is `["hip_2", "ankle_2"]` |
    | `target_velocity` | **pair** | `(2, 0)` | Forward and to the left (m/s). With \
`command_range` the default is to draw it; one that is given holds in every episode, in the range \
or not |
    | `command_range` | **pairs** | `None` | `((low, high), (low, high))`, forward and to the left \
(m/s): the command is observed. `((0.5, 2.5), (-0.5, 0.5))` for `AntVelocityCommand` |
    | `healthy_z_range` | **tuple** | `(0.2, 1.0)` | Heights of a healthy torso (m) |
    | `reset_noise_scale` | **float** | `0.0` | Scale of the noise in the starting state |
    | `frame_skip` | **int** | `1` or `4` | Physics steps in a step: of 0.01 s, or 0.005 s with \
servos |

    `render_mode`, `width`, `height`, `camera_id`, `camera_name`, `default_camera_config`,
    `max_geom` and `visual_options` are those of every Gymnasium MuJoCo environment. Without a
    choice of a camera, the frame follows the robot.

    Source: the paper's code was not published. Body, observation, start and end are those of the
        same author's RL-X (MIT): with torques its Ant of 2024-11-26, the last before the paper,
        with servos that of 2026-01-29. Target and reward are the same in both.
    Differs: the solver converges (20 iterations and line-search steps at a tolerance of 1e-12, not
        1 and 4 at 1e-8), so that a trajectory does not depend on how it was stepped: with and
        without the solver's warm start, 200 random steps agree to 1e-6. RL-X's servos take any
        action; the space's bounds of +-5 are ours, for algorithms that need some. Commands, other
        numbers of legs, disabled joints and noise in the start are ours.

    ## Version History

    - v0: Initial release.
    """

    def __init__(self, num_legs: int = 4, **arguments: Any) -> None:
        """Build the body and allocate its simulation.

        Args:
            num_legs: number of legs, 2 to 8.
            **arguments: those of `AntVelocityTask` and of `MorphologyEnv`, by name.

        Raises:
            ValueError: for a body that cannot be built, or an argument out of range.
        """
        task, rest = AntVelocityTask.split(arguments)
        super().__init__(AntVelocityTask(num_legs, **task), **rest)


class AntVelocityVectorEnv(MorphologyVectorEnv):
    """Many target-velocity Ants of one body in native threads: `gymnasium.make_vec` arrives here.

    `AntVelocityEnv` is the task's page, `MorphologyVectorEnv` that of batched environments.
    """

    def __init__(self, num_envs: int = 1, num_legs: int = 4, **arguments: Any) -> None:
        """Build the body once and allocate `num_envs` simulations of it.

        Args:
            num_envs: number of rows.
            num_legs: number of legs, 2 to 8.
            **arguments: those of `AntVelocityTask` and of `MorphologyVectorEnv`, by name.

        Raises:
            ValueError: for a body that cannot be built, or an argument out of range.
        """
        task, rest = AntVelocityTask.split(arguments)
        super().__init__(AntVelocityTask(num_legs, **task), num_envs, **rest)

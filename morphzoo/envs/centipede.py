"""Centipede: a chain of torsos with two legs each, rewarded for running along +x."""

from __future__ import annotations

from typing import Any

from morphzoo.envs.batch import MorphologyVectorEnv
from morphzoo.envs.centipede_task import CentipedeTask
from morphzoo.envs.single import MorphologyEnv

__all__ = ["CentipedeEnv", "CentipedeTask", "CentipedeVectorEnv"]


class CentipedeEnv(MorphologyEnv):
    """A Centipede that runs along +x, from 3 to 100 legs.

    ## Description

    This environment is the Centipede of Wang, Liao, Ba and Fidler, ["NerveNet: Learning Structured
    Policy with Graph Neural Networks"](https://openreview.net/forum?id=S1sqHMZCb) (ICLR 2018), on
    which Blake et al., ["Snowflake"](https://arxiv.org/abs/2103.01009) (NeurIPS 2021), worked too.
    The robot is a chain of spherical torsos along x with one leg to each side of every torso. A
    leg has two links: a hip swings the upper one forward and back, an ankle lifts the lower one.
    Neighbouring torsos are joined by two hinges, yaw and pitch. The goal is to run along **+x**,
    the direction from torso 0 to the last torso. (The papers say that forward is y; their code
    rewards x, and so does this environment.)

    The body comes in every size. A policy that reads `env.unwrapped.graph` can be trained on one
    and run on another; that is what the environment is for. With *n* legs the robot has
    ceil(n/2) torsos and, for even *n*, 3n-2 hinges, and weighs 3.822 n kg. Its parts touch the
    floor, never each other.

    ## Action Space

    The action space is a `Box(-1, 1, (A,), float32)`: torques, as fractions of a motor's gear.
    A = 3n-2 for even *n*, so 16 for six legs:

    | Num | Action | Control Min | Control Max | Joint (and motor) | Type | Torque at 1 |
    | --- | --- | --- | --- | --- | --- | --- |
    | 0, 1 | hip and ankle of leg 0 (left) | -1 | 1 | lefthip_0, ankle_0 | hinge | 150 N m |
    | 2, 3 | hip and ankle of leg 1 (right) | -1 | 1 | righthip_1, ankle_1 | hinge | 150 N m |
    | 4, 5 | hip and ankle of leg 2 | -1 | 1 | lefthip_2, ankle_2 | hinge | 150 N m |
    | 6, 7 | hip and ankle of leg 3 | -1 | 1 | righthip_3, ankle_3 | hinge | 150 N m |
    | 8 | yaw between torsos 0 and 1 | -1 | 1 | body_1 | hinge | 100 N m |
    | 9 | pitch between torsos 0 and 1 | -1 | 1 | bodyupdown_1 | hinge | 100 N m |
    | ... | six more for every further pair of legs | -1 | 1 | | hinge | |

    MuJoCo clamps what it applies to [-1, 1]; the control cost is charged on the action as it is
    given. Stable-Baselines3 clips actions *before* `step`, so that there the cost is that of the
    clipped action, unlike in the papers' code: returns under the two are not the same.

    The joints' order (that of `qpos`) is another: a torso's hinges come before its legs. With an
    odd *n* the last torso has a left leg only and, as in the original, its two hinges have no
    motor: A = 3n-3. "Left" legs have even numbers and stand at negative y; since the robot
    advances along +x, that is its right side.

    ## Observation Space

    The observation space is a `MorphologySpace`, a `Box(-Inf, Inf, (O,), float32)` that carries
    the robot's graph. O = 21n+7 for even *n* (133 for six legs), or 6n+7 without contact forces:

    | Num (n = 6) | Observation | Min | Max | Joint or body | Type (Unit) |
    | --- | --- | --- | --- | --- | --- |
    | 0 | height of torso 0 | -Inf | Inf | root | position (m) |
    | 1 - 4 | orientation of torso 0: quaternion w, x, y, z | -Inf | Inf | root | quaternion |
    | 5 - 20 | angles of the hinges | -Inf | Inf | lefthip_0, ankle_0, ... | angle (rad) |
    | 21 - 23 | velocity of torso 0, world frame | -Inf | Inf | root | velocity (m/s) |
    | 24 - 26 | angular velocity of torso 0, its own frame | -Inf | Inf | root | (rad/s) |
    | 27 - 42 | angular velocities of the hinges | -Inf | Inf | lefthip_0, ... | (rad/s) |
    | 43 - 132 | contact torque x, y, z (N m), then force x, y, z (N) on each body, in the world's \
axes, clipped to [-1, 1] | -1 | 1 | torso_0, legbody_0, frontFoot_0, ... | |
    | excluded | x and y of torso 0 | -Inf | Inf | root | position (m) |

    `env.unwrapped.task.columns` names every number. All of them describe the state after the
    step. The original observes the world body's contact forces too, six zeros.

    ## Rewards

    The reward is *reward_forward + reward_ctrl + reward_contact + reward_survive*:

    - *reward_forward*: `forward_reward_weight` times (x_after - x_before) / dt of the **last**
      torso, dt = 0.05 s.
    - *reward_ctrl*: `-ctrl_cost_weight / n` times the sum of the squared action.
    - *reward_contact*: `-contact_cost_weight / n` times the sum of the squared, clipped contact
      torques and forces on all bodies.
    - *reward_survive*: `healthy_reward` in every step, the last one included.

    `info` holds the four terms under these names; `x_position`, `y_position`, `x_velocity` and
    `y_velocity` of the last torso; `distance_from_origin` of torso 0; and `simulation_failed`.

    ## Starting State

    All of qpos is the reference pose (torso 0 at height 0.75 m, every angle 0) plus uniform noise
    in [-0.1, 0.1]. Then the quaternion's y and the torsos' pitch hinges are drawn anew, from
    0.1/(S-1) to either side of 0 with S torsos, and the quaternion is normalised (the original
    leaves that to the first step). qvel is 0.1 times standard normal noise. Starts that would end
    the episode are drawn again. The ankles' reference angle lies below their lower limit of 30
    degrees, as in the original, so an episode begins with a kick.

    ## Episode End

    ### Termination

    The episode ends when

    1. a position or velocity is not finite, or MuJoCo has given up on the simulation;
    2. the centre of any torso is at or below 0.35 m, or at or above 1.15 m;
    3. the centres of two neighbouring torsos are 0.45 m or more apart along y (of 0.5 m in all).

    ### Truncation

    The default duration of an episode is 1000 steps, 50 s.

    ## Arguments

    ```python
    import gymnasium as gym, morphzoo
    env = gym.make("morphzoo/Centipede-20-v0", include_contact_forces=False)
    env = gym.make("morphzoo/Centipede-v0", num_legs=20)   # the same body
    ```

    | Parameter | Type | Default | Description |
    | --- | --- | --- | --- |
    | `num_legs` | **int** | `6` | 3 to 100; the numbered ids fix it |
    | `disabled_legs` | **tuple** | `()` | Legs without motors: their joints swing freely |
    | `include_contact_forces` | **bool** | `True` | Whether to observe contact forces |
    | `forward_reward_weight` | **float** | `1.0` | Weight of *reward_forward* |
    | `ctrl_cost_weight` | **float** | `2.0` | Weight of *reward_ctrl*, divided by n |
    | `contact_cost_weight` | **float** | `2e-3` | Weight of *reward_contact*, divided by n |
    | `healthy_reward` | **float** | `1.0` | *reward_survive* |
    | `healthy_z_range` | **tuple** | `(0.35, 1.15)` | Heights of a healthy torso (m) |
    | `max_sideways` | **float** | `0.45` | Limit of neighbouring torsos' distance along y (m) |
    | `contact_force_range` | **tuple** | `(-1, 1)` | Clips contact torques and forces (N m, N) |
    | `reset_noise_scale` | **float** | `0.1` | Scale of the noise in the starting state |
    | `frame_skip` | **int** | `5` | Physics steps of 0.01 s in a step |

    `render_mode`, `width`, `height`, `camera_id`, `camera_name`, `default_camera_config`,
    `max_geom` and `visual_options` are those of every Gymnasium MuJoCo environment. Without a
    choice of a camera, the frame follows the robot.

    ## Version History

    - v0: Initial release.
    """

    def __init__(self, num_legs: int = 6, **arguments: Any) -> None:
        """Build the body and allocate its simulation.

        Args:
            num_legs: number of legs, 3 to 100.
            **arguments: those of `CentipedeTask` and of `MorphologyEnv`, by name.

        Raises:
            ValueError: for a body that cannot be built, or an argument out of range.
        """
        task, rest = CentipedeTask.split(arguments)
        super().__init__(CentipedeTask(num_legs, **task), **rest)


class CentipedeVectorEnv(MorphologyVectorEnv):
    """Many Centipedes of one size in native threads: `gymnasium.make_vec` arrives here.

    `CentipedeEnv` is the task's page, `MorphologyVectorEnv` that of batched environments.
    """

    def __init__(self, num_envs: int = 1, num_legs: int = 6, **arguments: Any) -> None:
        """Build the body once and allocate `num_envs` simulations of it.

        Args:
            num_envs: number of rows.
            num_legs: number of legs, 3 to 100.
            **arguments: those of `CentipedeTask` and of `MorphologyVectorEnv`, by name.

        Raises:
            ValueError: for a body that cannot be built, or an argument out of range.
        """
        task, rest = CentipedeTask.split(arguments)
        super().__init__(CentipedeTask(num_legs, **task), num_envs, **rest)

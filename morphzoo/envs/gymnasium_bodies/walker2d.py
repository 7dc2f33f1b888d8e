"""The twin of Gymnasium's Walker2d: two legs that walk along +x."""

from __future__ import annotations

import math

from morphzoo.envs.gymnasium_bodies.hopper import HopperTask
from morphzoo.envs.gymnasium_bodies.twin import GymnasiumEnv, GymnasiumVectorEnv, Range

_INFINITE: Range = (-math.inf, math.inf)


class Walker2dTask(HopperTask):
    """Observation, reward, termination and reset of the Walker2d: `Walker2dEnv` is the page.

    Source: Gymnasium's Walker2d-v5. Differs: as `GymnasiumTask`.
    """

    def __init__(
        self,
        xml_file: str = "walker2d_v5.xml",
        frame_skip: int = 4,
        *,
        healthy_z_range: Range = (0.8, 2.0),
        healthy_angle_range: Range = (-1.0, 1.0),
        forward_reward_weight: float = 1.0,
        ctrl_cost_weight: float = 1e-3,
        healthy_reward: float = 1.0,
        terminate_when_unhealthy: bool = True,
        reset_noise_scale: float = 5e-3,
        exclude_current_positions_from_observation: bool = True,
    ) -> None:
        """Read the body; the arguments are described in `Walker2dEnv`."""
        super().__init__(
            xml_file,
            frame_skip,
            forward_reward_weight=forward_reward_weight,
            ctrl_cost_weight=ctrl_cost_weight,
            healthy_reward=healthy_reward,
            terminate_when_unhealthy=terminate_when_unhealthy,
            healthy_state_range=_INFINITE,
            healthy_z_range=healthy_z_range,
            healthy_angle_range=healthy_angle_range,
            reset_noise_scale=reset_noise_scale,
            exclude_current_positions_from_observation=exclude_current_positions_from_observation,
        )


class Walker2dEnv(GymnasiumEnv):
    """Gymnasium's Walker2d: two legs that walk along +x.

    ## Description

    The robot moves in the plane of x and z. Each leg has a thigh, a leg and a foot.

    ## Action Space

    `Box(-1, 1, (6,), float32)`: the motors of `thigh_joint`, `leg_joint`, `foot_joint`,
    `thigh_left_joint`, `leg_left_joint` and `foot_left_joint`, 100 N m at 1.

    ## Observation Space

    17 numbers; velocities are clipped to +-10, positions are not:

    | Num | Observation | Joint |
    | --- | --- | --- |
    | 0 | height of the torso (m) | rootz |
    | 1 | pitch of the torso (rad) | rooty |
    | 2 - 7 | angles (rad) | thigh_joint, leg_joint, foot_joint, thigh_left_joint, ... |
    | 8 - 9 | velocity of the torso along x and z (m/s) | rootx, rootz |
    | 10 - 16 | angular velocities (rad/s) | rooty, thigh_joint, ... |
    | excluded | x (m) | rootx |

    ## Rewards

    *reward_forward* (`forward_reward_weight` times (x_after - x_before) / dt, dt = 0.008 s)
    *+ reward_survive* (`healthy_reward` where the state after the step is healthy, else 0)
    *+ reward_ctrl* (`-ctrl_cost_weight` times the sum of the squared action). `info` holds the
    three, `x_position`, `x_velocity` and `z_distance_from_origin`, the height above 1.25 m.

    ## Starting State

    The reference pose (height 1.25 m, all else 0) at rest; every position and velocity plus uniform
    noise in +-`reset_noise_scale`.

    ## Episode End

    An episode terminates in an unhealthy state: one where height or pitch is not strictly within
    its range. It is truncated after 1000 steps, 8 s.

    ## Arguments

    | Parameter | Default | Description |
    | --- | --- | --- |
    | `xml_file` | `"walker2d_v5.xml"` | Gymnasium's file, or a path |
    | `frame_skip` | `4` | Physics steps of 0.002 s in a step |
    | `forward_reward_weight` | `1.0` | Weight of *reward_forward* |
    | `ctrl_cost_weight` | `1e-3` | Weight of *reward_ctrl* |
    | `healthy_reward` | `1.0` | *reward_survive* |
    | `terminate_when_unhealthy` | `True` | Whether an unhealthy state ends the episode |
    | `healthy_z_range` | `(0.8, 2.0)` | Of the torso's height (m) |
    | `healthy_angle_range` | `(-1, 1)` | Of the torso's pitch (rad) |
    | `reset_noise_scale` | `5e-3` | Scale of the noise in the starting state |
    | `exclude_current_positions_from_observation` | `True` | Whether x is left out |

    Source: Gymnasium's Walker2d-v5. Differs: as `GymnasiumEnv` says.

    ## Version History

    - v5: the twin of Gymnasium's version 5, whose number it has.
    """

    task_class = Walker2dTask


class Walker2dVectorEnv(GymnasiumVectorEnv):
    """Many of them in native threads; `Walker2dEnv` is the task's page."""

    task_class = Walker2dTask

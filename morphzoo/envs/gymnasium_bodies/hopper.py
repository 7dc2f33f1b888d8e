"""The twin of Gymnasium's Hopper: one leg that hops along +x."""

from __future__ import annotations

import math
from collections.abc import Mapping

from morphzoo.envs.bodies import gymnasium_body
from morphzoo.envs.gymnasium_bodies.twin import (
    GymnasiumEnv,
    GymnasiumTask,
    GymnasiumVectorEnv,
    Range,
    positions_and_velocities,
    within,
)
from morphzoo.envs.task import Array, Fields, check_ranges


class HopperTask(GymnasiumTask):
    """Observation, reward, termination and reset of the Hopper: `HopperEnv` is the page.

    Source: Gymnasium's Hopper-v5. Differs: as `GymnasiumTask`.
    """

    def __init__(
        self,
        xml_file: str = "hopper.xml",
        frame_skip: int = 4,
        *,
        forward_reward_weight: float = 1.0,
        ctrl_cost_weight: float = 1e-3,
        healthy_reward: float = 1.0,
        terminate_when_unhealthy: bool = True,
        healthy_state_range: Range = (-100.0, 100.0),
        healthy_z_range: Range = (0.7, math.inf),
        healthy_angle_range: Range = (-0.2, 0.2),
        reset_noise_scale: float = 5e-3,
        exclude_current_positions_from_observation: bool = True,
    ) -> None:
        """Read the body; the arguments are described in `HopperEnv`."""
        check_ranges(
            healthy_state_range=healthy_state_range,
            healthy_z_range=healthy_z_range,
            healthy_angle_range=healthy_angle_range,
        )
        self._healthy_state_range = healthy_state_range
        self._healthy_z_range = healthy_z_range
        self._healthy_angle_range = healthy_angle_range
        model = gymnasium_body(xml_file)
        super().__init__(
            model,
            positions_and_velocities(model, int(exclude_current_positions_from_observation)),
            clipped={"qvel": (-10.0, 10.0)},
            reward_terms=("reward_forward", "reward_survive", "reward_ctrl"),
            forward_reward_weight=forward_reward_weight,
            ctrl_cost_weight=ctrl_cost_weight,
            healthy_reward=healthy_reward,
            terminate_when_unhealthy=terminate_when_unhealthy,
            reset_noise_scale=reset_noise_scale,
            frame_skip=frame_skip,
        )

    def metrics(self, fields: Fields, variables: Mapping[str, Array]) -> dict[str, Array]:
        """Return position, height above the reference pose (m) and velocity (m/s)."""
        height = fields["qpos"][:, 1] - self.model.qpos0[1]
        return {**super().metrics(fields, variables), "z_distance_from_origin": height}

    def _is_healthy(self, fields: Fields) -> Array:
        """Return `bool[n]`; false where the state is not finite."""
        qpos, qvel = fields["qpos"], fields["qvel"]
        state = self._healthy_state_range
        healthy = within(qpos[:, 1], self._healthy_z_range)
        healthy &= within(qpos[:, 2], self._healthy_angle_range)
        return healthy & within(qpos[:, 2:], state).all(-1) & within(qvel, state).all(-1)


class HopperEnv(GymnasiumEnv):
    """Gymnasium's Hopper: one leg that hops along +x.

    ## Description

    The robot moves in the plane of x and z: a torso, a thigh, a leg and one foot.

    ## Action Space

    `Box(-1, 1, (3,), float32)`: the motors of `thigh_joint`, `leg_joint` and `foot_joint`,
    200 N m at 1.

    ## Observation Space

    11 numbers; velocities are clipped to +-10, positions are not:

    | Num | Observation | Joint |
    | --- | --- | --- |
    | 0 | height of the torso (m) | rootz |
    | 1 | pitch of the torso (rad) | rooty |
    | 2 - 4 | angles (rad) | thigh_joint, leg_joint, foot_joint |
    | 5 - 6 | velocity of the torso along x and z (m/s) | rootx, rootz |
    | 7 - 10 | angular velocities (rad/s) | rooty, thigh_joint, leg_joint, foot_joint |
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

    An episode terminates in an unhealthy state: one where height, pitch, or any of qpos[2:] and
    qvel is not strictly within its range. It is truncated after 1000 steps, 8 s.

    ## Arguments

    | Parameter | Default | Description |
    | --- | --- | --- |
    | `xml_file` | `"hopper.xml"` | Gymnasium's file, or a path |
    | `frame_skip` | `4` | Physics steps of 0.002 s in a step |
    | `forward_reward_weight` | `1.0` | Weight of *reward_forward* |
    | `ctrl_cost_weight` | `1e-3` | Weight of *reward_ctrl* |
    | `healthy_reward` | `1.0` | *reward_survive* |
    | `terminate_when_unhealthy` | `True` | Whether an unhealthy state ends the episode |
    | `healthy_state_range` | `(-100, 100)` | Of qpos[2:] and qvel (rad, m/s, rad/s) |
    | `healthy_z_range` | `(0.7, inf)` | Of the torso's height (m) |
    | `healthy_angle_range` | `(-0.2, 0.2)` | Of the torso's pitch (rad) |
    | `reset_noise_scale` | `5e-3` | Scale of the noise in the starting state |
    | `exclude_current_positions_from_observation` | `True` | Whether x is left out |

    Source: Gymnasium's Hopper-v5. Differs: as `GymnasiumEnv` says.

    ## Version History

    - v5: the twin of Gymnasium's version 5, whose number it has.
    """

    task_class = HopperTask


class HopperVectorEnv(GymnasiumVectorEnv):
    """Many of them in native threads; `HopperEnv` is the task's page."""

    task_class = HopperTask

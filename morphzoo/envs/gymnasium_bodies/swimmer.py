"""The twin of Gymnasium's Swimmer: three links that swim along +x."""

from __future__ import annotations

from collections.abc import Mapping

from morphzoo.envs.bodies import gymnasium_body
from morphzoo.envs.gymnasium_bodies.twin import (
    GymnasiumEnv,
    GymnasiumTask,
    GymnasiumVectorEnv,
    from_plane,
    positions_and_velocities,
)
from morphzoo.envs.task import Array, Fields


class SwimmerTask(GymnasiumTask):
    """Observation, reward and reset of the Swimmer: `SwimmerEnv` is the page.

    Source: Gymnasium's Swimmer-v5. Differs: as `GymnasiumTask`.
    """

    def __init__(
        self,
        xml_file: str = "swimmer.xml",
        frame_skip: int = 4,
        *,
        forward_reward_weight: float = 1.0,
        ctrl_cost_weight: float = 1e-4,
        reset_noise_scale: float = 0.1,
        exclude_current_positions_from_observation: bool = True,
    ) -> None:
        """Read the body; the arguments are described in `SwimmerEnv`."""
        model = gymnasium_body(xml_file)
        super().__init__(
            model,
            positions_and_velocities(model, 2 * bool(exclude_current_positions_from_observation)),
            forward_reward_weight=forward_reward_weight,
            ctrl_cost_weight=ctrl_cost_weight,
            reset_noise_scale=reset_noise_scale,
            frame_skip=frame_skip,
        )

    def metrics(self, fields: Fields, variables: Mapping[str, Array]) -> dict[str, Array]:
        """Return position, its distance from the origin (m) and velocity (m/s), along x and y."""
        return from_plane(fields, self._velocity(fields, variables))

    def _position(self, fields: Fields) -> Array:
        return fields["qpos"][:, :2]


class SwimmerEnv(GymnasiumEnv):
    """Gymnasium's Swimmer: three links that swim along +x.

    ## Description

    Three links in a row lie in a viscous fluid; two motors bend the joints between them. The
    robot moves in the plane of x and y, on two slides and a hinge.

    ## Action Space

    `Box(-1, 1, (2,), float32)`: the motors of `motor1_rot` and `motor2_rot`, 150 N m at 1.

    ## Observation Space

    8 numbers, each in (-Inf, Inf):

    | Num | Observation | Joint |
    | --- | --- | --- |
    | 0 | heading of the first link (rad) | free_body_rot |
    | 1 - 2 | angles (rad) | motor1_rot, motor2_rot |
    | 3 - 4 | velocity of the first link's joint along x and y (m/s) | slider1, slider2 |
    | 5 - 7 | angular velocities (rad/s) | free_body_rot, motor1_rot, motor2_rot |
    | excluded | x and y (m) | slider1, slider2 |

    ## Rewards

    *reward_forward* (`forward_reward_weight` times (x_after - x_before) / dt, dt = 0.04 s)
    *+ reward_ctrl* (`-ctrl_cost_weight` times the sum of the squared action). `info` holds both,
    `x_position`, `y_position`, `distance_from_origin`, `x_velocity` and `y_velocity`.

    ## Starting State

    Every position and velocity is 0 plus uniform noise in +-`reset_noise_scale`.

    ## Episode End

    An episode does not terminate; it is truncated after 1000 steps, 40 s.

    ## Arguments

    | Parameter | Default | Description |
    | --- | --- | --- |
    | `xml_file` | `"swimmer.xml"` | Gymnasium's file, or a path |
    | `frame_skip` | `4` | Physics steps of 0.01 s in a step |
    | `forward_reward_weight` | `1.0` | Weight of *reward_forward* |
    | `ctrl_cost_weight` | `1e-4` | Weight of *reward_ctrl* |
    | `reset_noise_scale` | `0.1` | Scale of the noise in the starting state |
    | `exclude_current_positions_from_observation` | `True` | Whether x and y are left out |

    Source: Gymnasium's Swimmer-v5. Differs: as `GymnasiumEnv` says.

    ## Version History

    - v5: the twin of Gymnasium's version 5, whose number it has.
    """

    task_class = SwimmerTask


class SwimmerVectorEnv(GymnasiumVectorEnv):
    """Many of them in native threads; `SwimmerEnv` is the task's page."""

    task_class = SwimmerTask

"""The twin of Gymnasium's HalfCheetah: two legs and a torso that run along +x."""

from __future__ import annotations

import numpy as np

from morphzoo.envs.bodies import gymnasium_body
from morphzoo.envs.gymnasium_bodies.twin import (
    GymnasiumEnv,
    GymnasiumTask,
    GymnasiumVectorEnv,
    positions_and_velocities,
)


class HalfCheetahTask(GymnasiumTask):
    """Observation, reward and reset of the HalfCheetah: `HalfCheetahEnv` is the page.

    Source: Gymnasium's HalfCheetah-v5. Differs: as `GymnasiumTask`.
    """

    def __init__(
        self,
        xml_file: str = "half_cheetah.xml",
        frame_skip: int = 5,
        *,
        forward_reward_weight: float = 1.0,
        ctrl_cost_weight: float = 0.1,
        reset_noise_scale: float = 0.1,
        exclude_current_positions_from_observation: bool = True,
    ) -> None:
        """Read the body; the arguments are described in `HalfCheetahEnv`."""
        model = gymnasium_body(xml_file)
        super().__init__(
            model,
            positions_and_velocities(model, int(exclude_current_positions_from_observation)),
            forward_reward_weight=forward_reward_weight,
            ctrl_cost_weight=ctrl_cost_weight,
            reset_noise_scale=reset_noise_scale,
            frame_skip=frame_skip,
        )

    def _velocity_noise(self, rng: np.random.Generator) -> np.ndarray:
        return self._reset_noise_scale * rng.standard_normal(self.model.nv)


class HalfCheetahEnv(GymnasiumEnv):
    """Gymnasium's HalfCheetah: a torso on a back and a front leg that runs along +x.

    ## Description

    The robot moves in the plane of x and z. Each leg has a thigh, a shin and a foot.

    ## Action Space

    `Box(-1, 1, (6,), float32)`: the motors of `bthigh`, `bshin`, `bfoot`, `fthigh`, `fshin`,
    `ffoot`, with 120, 90, 60, 120, 60 and 30 N m at 1.

    ## Observation Space

    17 numbers, each in (-Inf, Inf):

    | Num | Observation | Joint |
    | --- | --- | --- |
    | 0 | height of the torso above its reference (m) | rootz |
    | 1 | pitch of the torso (rad) | rooty |
    | 2 - 7 | angles (rad) | bthigh, bshin, bfoot, fthigh, fshin, ffoot |
    | 8 - 9 | velocity of the torso along x and z (m/s) | rootx, rootz |
    | 10 - 16 | angular velocities (rad/s) | rooty, bthigh, bshin, ... |
    | excluded | x (m) | rootx |

    ## Rewards

    *reward_forward* (`forward_reward_weight` times (x_after - x_before) / dt, dt = 0.05 s)
    *+ reward_ctrl* (`-ctrl_cost_weight` times the sum of the squared action). `info` holds both,
    `x_position` and `x_velocity`.

    ## Starting State

    Every position is 0 plus uniform noise in +-`reset_noise_scale`; every velocity is
    `reset_noise_scale` times standard normal noise.

    ## Episode End

    An episode does not terminate; it is truncated after 1000 steps, 50 s.

    ## Arguments

    | Parameter | Default | Description |
    | --- | --- | --- |
    | `xml_file` | `"half_cheetah.xml"` | Gymnasium's file, or a path |
    | `frame_skip` | `5` | Physics steps of 0.01 s in a step |
    | `forward_reward_weight` | `1.0` | Weight of *reward_forward* |
    | `ctrl_cost_weight` | `0.1` | Weight of *reward_ctrl* |
    | `reset_noise_scale` | `0.1` | Scale of the noise in the starting state |
    | `exclude_current_positions_from_observation` | `True` | Whether x is left out |

    Source: Gymnasium's HalfCheetah-v5. Differs: as `GymnasiumEnv` says.

    ## Version History

    - v5: the twin of Gymnasium's version 5, whose number it has.
    """

    task_class = HalfCheetahTask


class HalfCheetahVectorEnv(GymnasiumVectorEnv):
    """Many of them in native threads; `HalfCheetahEnv` is the task's page."""

    task_class = HalfCheetahTask

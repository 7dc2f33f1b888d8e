"""The twin of Gymnasium's Ant: four legs that run along +x and feel what they touch."""

from __future__ import annotations

from collections.abc import Mapping

import mujoco
import numpy as np

from morphzoo.envs.bodies import gymnasium_body
from morphzoo.envs.gymnasium_bodies.twin import (
    GymnasiumEnv,
    GymnasiumTask,
    GymnasiumVectorEnv,
    Range,
    end_to_end,
    from_plane,
    positions_and_velocities,
)
from morphzoo.envs.task import Array, Fields, array_namespace, check_ranges, sum_of_squares


class AntTask(GymnasiumTask):
    """Observation, reward, termination and reset of the Ant: `AntEnv` is the page.

    Source: Gymnasium's Ant-v5.
    Differs: as `GymnasiumTask`; contact forces and the position of the main body are those of the
        state after the step, not of the last stage of the integrator's last substep. So are the
        forces after a reset, which Gymnasium leaves at zero.
    """

    def __init__(
        self,
        xml_file: str = "ant.xml",
        frame_skip: int = 5,
        *,
        forward_reward_weight: float = 1.0,
        ctrl_cost_weight: float = 0.5,
        contact_cost_weight: float = 5e-4,
        healthy_reward: float = 1.0,
        main_body: int | str = 1,
        terminate_when_unhealthy: bool = True,
        healthy_z_range: Range = (0.2, 1.0),
        contact_force_range: Range = (-1.0, 1.0),
        reset_noise_scale: float = 0.1,
        exclude_current_positions_from_observation: bool = True,
        include_cfrc_ext_in_observation: bool = True,
    ) -> None:
        """Read the body; the arguments are described in `AntEnv`."""
        check_ranges(healthy_z_range=healthy_z_range, contact_force_range=contact_force_range)
        self._contact_cost_weight = contact_cost_weight
        self._healthy_z_range = healthy_z_range
        self._contact_force_range = contact_force_range
        feels = include_cfrc_ext_in_observation or contact_cost_weight != 0.0
        model = gymnasium_body(xml_file, contact_forces=feels)
        self._main_body = _body_id(model, main_body)
        observed = positions_and_velocities(
            model, 2 * bool(exclude_current_positions_from_observation)
        )
        if include_cfrc_ext_in_observation:
            observed["cfrc_ext"] = range(1, model.nbody)
        super().__init__(
            model,
            observed,
            clipped={"cfrc_ext": contact_force_range},
            reads=("xpos",) + ("cfrc_ext",) * feels,
            reward_terms=("reward_forward", "reward_survive", "reward_ctrl", "reward_contact"),
            forward_reward_weight=forward_reward_weight,
            ctrl_cost_weight=ctrl_cost_weight,
            healthy_reward=healthy_reward,
            terminate_when_unhealthy=terminate_when_unhealthy,
            reset_noise_scale=reset_noise_scale,
            frame_skip=frame_skip,
        )

    def reward(
        self, fields: Fields, action: Array, variables: Mapping[str, Array]
    ) -> dict[str, Array]:
        """Return the four signed terms, `float64[n]` each: see the page's formula."""
        terms = super().reward(fields, action, variables)
        cost = array_namespace(action).zeros_like(terms["reward_forward"])
        if self._contact_cost_weight != 0.0:
            forces = end_to_end(fields["cfrc_ext"]).clip(*self._contact_force_range)
            cost = self._contact_cost_weight * sum_of_squares(forces)
        return {**terms, "reward_contact": -cost}

    def metrics(self, fields: Fields, variables: Mapping[str, Array]) -> dict[str, Array]:
        """Return the root's position and distance (m) and the main body's velocity (m/s)."""
        return from_plane(fields, self._velocity(fields, variables))

    def _velocity_noise(self, rng: np.random.Generator) -> np.ndarray:
        return self._reset_noise_scale * rng.standard_normal(self.model.nv)

    def _position(self, fields: Fields) -> Array:
        return fields["xpos"][:, self._main_body, :2]

    def _is_healthy(self, fields: Fields) -> Array:
        """Return `bool[n]`: finite, and neither too low nor too high."""
        qpos, qvel = fields["qpos"], fields["qvel"]
        xp = array_namespace(qpos)
        low, high = self._healthy_z_range
        finite = xp.isfinite(qpos).all(-1) & xp.isfinite(qvel).all(-1)
        return finite & (qpos[:, 2] >= low) & (qpos[:, 2] <= high)


class AntEnv(GymnasiumEnv):
    """Gymnasium's Ant: four legs that run along +x and feel what they touch.

    ## Description

    A spherical torso floats freely; from it four legs go out, each with a hip that swings it and an
    ankle that lifts it. Parts touch the floor, never each other.

    ## Action Space

    `Box(-1, 1, (8,), float32)`: the motors of `hip_4`, `ankle_4`, `hip_1`, `ankle_1`, `hip_2`,
    `ankle_2`, `hip_3` and `ankle_3`, 150 N m at 1. The joints' order, in `qpos`, is by number.

    ## Observation Space

    105 numbers, or 27 without contact forces:

    | Num | Observation | Joint or body |
    | --- | --- | --- |
    | 0 | height of the torso (m) | root |
    | 1 - 4 | orientation of the torso: quaternion w, x, y, z | root |
    | 5 - 12 | angles (rad) | hip_1, ankle_1, hip_2, ... |
    | 13 - 15 | velocity of the torso, world frame (m/s) | root |
    | 16 - 18 | angular velocity of the torso, its own frame (rad/s) | root |
    | 19 - 26 | angular velocities (rad/s) | hip_1, ankle_1, ... |
    | 27 - 104 | contact torque x, y, z (N m), then force x, y, z (N) on each body, in the world's \
axes, clipped to `contact_force_range` | torso, front_left_leg, aux_1, ... |
    | excluded | x and y (m) | root |

    ## Rewards

    *reward_forward* (`forward_reward_weight` times (x_after - x_before) / dt of the main body,
    dt = 0.05 s) *+ reward_survive* (`healthy_reward` where the state after the step is healthy,
    else 0) *+ reward_ctrl* (`-ctrl_cost_weight` times the sum of the squared action)
    *+ reward_contact* (`-contact_cost_weight` times the sum of the squared, clipped contact torques
    and forces on all bodies). `info` holds the four; `x_position`, `y_position` and
    `distance_from_origin` of the root; `x_velocity` and `y_velocity` of the main body.

    ## Starting State

    The reference pose (height 0.75 m, upright, all angles 0) plus uniform noise in
    +-`reset_noise_scale`; every velocity is `reset_noise_scale` times standard normal noise.

    ## Episode End

    An episode terminates in an unhealthy state: not finite, or the torso's height is outside of
    `healthy_z_range`, limits included. It is truncated after 1000 steps, 50 s.

    ## Arguments

    | Parameter | Default | Description |
    | --- | --- | --- |
    | `xml_file` | `"ant.xml"` | Gymnasium's file, or a path |
    | `frame_skip` | `5` | Physics steps of 0.01 s in a step |
    | `forward_reward_weight` | `1.0` | Weight of *reward_forward* |
    | `ctrl_cost_weight` | `0.5` | Weight of *reward_ctrl* |
    | `contact_cost_weight` | `5e-4` | Weight of *reward_contact* |
    | `healthy_reward` | `1.0` | *reward_survive* |
    | `main_body` | `1` | Body whose velocity is rewarded, by number or name |
    | `terminate_when_unhealthy` | `True` | Whether an unhealthy state ends the episode |
    | `healthy_z_range` | `(0.2, 1.0)` | Of the torso's height (m) |
    | `contact_force_range` | `(-1, 1)` | Clips contact torques and forces (N m, N) |
    | `reset_noise_scale` | `0.1` | Scale of the noise in the starting state |
    | `exclude_current_positions_from_observation` | `True` | Whether x and y are left out |
    | `include_cfrc_ext_in_observation` | `True` | Whether contact forces are observed |

    Source: Gymnasium's Ant-v5.
    Differs: as `GymnasiumEnv` says. The physics is Gymnasium's bit for bit, and so are qpos and
        qvel in the observation, but *reward_forward*, *reward_contact* and the contact forces are
        not: here they are those of the state after the step. Gymnasium reads them where the
        integrator's last substep left them, at the last of its four stages, and reads contact
        forces of zero after a reset.

    ## Version History

    - v5: the twin of Gymnasium's version 5, whose number it has.
    """

    task_class = AntTask


class AntVectorEnv(GymnasiumVectorEnv):
    """Many of them in native threads; `AntEnv` is the task's page."""

    task_class = AntTask


def _body_id(model: mujoco.MjModel, body: int | str) -> int:
    """Return the number of a body that is given by number or name."""
    try:
        return int(model.body(body).id)
    except (IndexError, KeyError) as error:
        raise ValueError(
            f"main_body: expected a body of the model, found {body!r}. {error}"
        ) from None

"""The twin of Gymnasium's Humanoid: it walks along +x, upright, with all that it can feel."""

from __future__ import annotations

import math
from collections.abc import Mapping

from morphzoo.envs.bodies import gymnasium_body
from morphzoo.envs.gymnasium_bodies.twin import (
    GymnasiumEnv,
    GymnasiumTask,
    GymnasiumVectorEnv,
    Range,
    end_to_end,
    from_plane,
    positions_and_velocities,
    within,
)
from morphzoo.envs.task import Array, Fields, array_namespace, check_ranges, sum_of_squares

_FREE_JOINT = 6  # degrees of freedom of the root, which no motor drives


class HumanoidTask(GymnasiumTask):
    """Observation, reward, termination and reset of the Humanoid: `HumanoidEnv` is the page.

    Source: Gymnasium's Humanoid-v5.
    Differs: as `GymnasiumTask`, but for the control cost, which is that of the action as it is, in
        both. Inertias, body velocities, motor and contact forces, tendons and centre of mass are
        those of the state after the step, not of the last stage of the integrator's last substep.
        So are the forces after a reset, which Gymnasium leaves at zero.
    """

    def __init__(
        self,
        xml_file: str = "humanoid.xml",
        frame_skip: int = 5,
        *,
        forward_reward_weight: float = 1.25,
        ctrl_cost_weight: float = 0.1,
        contact_cost_weight: float = 5e-7,
        contact_cost_range: Range = (-math.inf, 10.0),
        healthy_reward: float = 5.0,
        terminate_when_unhealthy: bool = True,
        healthy_z_range: Range = (1.0, 2.0),
        reset_noise_scale: float = 1e-2,
        exclude_current_positions_from_observation: bool = True,
        include_cinert_in_observation: bool = True,
        include_cvel_in_observation: bool = True,
        include_qfrc_actuator_in_observation: bool = True,
        include_cfrc_ext_in_observation: bool = True,
    ) -> None:
        """Read the body; the arguments are described in `HumanoidEnv`."""
        check_ranges(healthy_z_range=healthy_z_range, contact_cost_range=contact_cost_range)
        self._contact_cost_weight = contact_cost_weight
        self._contact_cost_range = contact_cost_range
        self._healthy_z_range = healthy_z_range
        feels = include_cfrc_ext_in_observation or contact_cost_weight != 0.0
        model = gymnasium_body(xml_file, contact_forces=feels)
        observed = positions_and_velocities(
            model, 2 * bool(exclude_current_positions_from_observation)
        )
        for field, rows, wanted in (
            ("cinert", range(1, model.nbody), include_cinert_in_observation),
            ("cvel", range(1, model.nbody), include_cvel_in_observation),
            ("qfrc_actuator", range(_FREE_JOINT, model.nv), include_qfrc_actuator_in_observation),
            ("cfrc_ext", range(1, model.nbody), include_cfrc_ext_in_observation),
        ):
            if wanted:
                observed[field] = rows
        super().__init__(
            model,
            observed,
            reads=("subtree_com", "ten_length", "ten_velocity") + ("cfrc_ext",) * feels,
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
            cost = self._contact_cost_weight * sum_of_squares(end_to_end(fields["cfrc_ext"]))
        return {**terms, "reward_contact": -cost.clip(*self._contact_cost_range)}

    def metrics(self, fields: Fields, variables: Mapping[str, Array]) -> dict[str, Array]:
        """Return the root's position and distance (m), the mass's velocity (m/s), the tendons.

        Returns:
            `float64[n]` each; of the tendons `float64[n, tendons]` (rad, rad/s).
        """
        return {
            **from_plane(fields, self._velocity(fields, variables)),
            "tendon_length": fields["ten_length"],
            "tendon_velocity": fields["ten_velocity"],
        }

    def _position(self, fields: Fields) -> Array:
        """Return the centre of all mass, which is the subtree of the world."""
        return fields["subtree_com"][:, 0, :2]

    def _control_cost(self, action: Array) -> Array:
        # Gymnasium sums MjData.ctrl, which is float64 and not clamped
        return self._ctrl_cost_weight * sum_of_squares(action)

    def _is_healthy(self, fields: Fields) -> Array:
        return within(fields["qpos"][:, 2], self._healthy_z_range)


class HumanoidEnv(GymnasiumEnv):
    """Gymnasium's Humanoid: two legs and two arms that walk along +x.

    ## Description

    A torso floats freely; below it are waist and pelvis with two legs, beside it two arms. Two
    tendons join hips and knees. Parts touch the floor and each other.

    ## Action Space

    `Box(-0.4, 0.4, (17,), float32)`; the torque is the action times the motor's gear:

    | Num | Joints | Gear (N m) |
    | --- | --- | --- |
    | 0 - 2 | abdomen_y, abdomen_z, abdomen_x | 100 |
    | 3 - 6 | right_hip_x, right_hip_z, right_hip_y, right_knee | 100, 100, 300, 200 |
    | 7 - 10 | left_hip_x, left_hip_z, left_hip_y, left_knee | 100, 100, 300, 200 |
    | 11 - 13 | right_shoulder1, right_shoulder2, right_elbow | 25 |
    | 14 - 16 | left_shoulder1, left_shoulder2, left_elbow | 25 |

    The joints' order, in `qpos`, begins with abdomen_z and then abdomen_y.

    ## Observation Space

    348 numbers, each in (-Inf, Inf). The 13 bodies follow each other, the torso first:

    | Num | Observation | Joint or body |
    | --- | --- | --- |
    | 0 | height of the torso (m) | root |
    | 1 - 4 | orientation of the torso: quaternion w, x, y, z | root |
    | 5 - 21 | angles (rad) | abdomen_z, abdomen_y, abdomen_x, ... |
    | 22 - 24 | velocity of the torso, world frame (m/s) | root |
    | 25 - 27 | angular velocity of the torso, its own frame (rad/s) | root |
    | 28 - 44 | angular velocities (rad/s) | abdomen_z, abdomen_y, ... |
    | 45 - 174 | `cinert`: inertia (kg m^2), mass times offset, mass (kg) | torso, lwaist, ... |
    | 175 - 252 | `cvel`: angular (rad/s), then linear velocity (m/s) | torso, lwaist, ... |
    | 253 - 269 | `qfrc_actuator`: the motors' torque (N m) | abdomen_z, abdomen_y, ... |
    | 270 - 347 | `cfrc_ext`: contact torque (N m), then force (N) | torso, lwaist, ... |
    | excluded | x and y (m) | root |

    ## Rewards

    *reward_forward* (`forward_reward_weight` times (x_after - x_before) / dt of the centre of mass,
    dt = 0.015 s) *+ reward_survive* (`healthy_reward` where the state after the step is healthy,
    else 0) *+ reward_ctrl* (`-ctrl_cost_weight` times the sum of the squared action)
    *+ reward_contact* (minus `contact_cost_weight` times the sum of the squared contact torques and
    forces on all bodies, that cost clipped to `contact_cost_range`). `info` holds the four;
    `x_position`, `y_position` and `distance_from_origin` of the root; `x_velocity` and `y_velocity`
    of the centre of mass; `tendon_length` and `tendon_velocity`, two numbers each.

    ## Starting State

    The reference pose (height 1.4 m, upright, all angles 0) at rest; every position and velocity
    plus uniform noise in +-`reset_noise_scale`.

    ## Episode End

    An episode terminates where the torso's height is not strictly within `healthy_z_range`. It is
    truncated after 1000 steps, 15 s.

    ## Arguments

    | Parameter | Default | Description |
    | --- | --- | --- |
    | `xml_file` | `"humanoid.xml"` | Gymnasium's file, or a path |
    | `frame_skip` | `5` | Physics steps of 0.003 s in a step |
    | `forward_reward_weight` | `1.25` | Weight of *reward_forward* |
    | `ctrl_cost_weight` | `0.1` | Weight of *reward_ctrl* |
    | `contact_cost_weight` | `5e-7` | Weight of *reward_contact* |
    | `contact_cost_range` | `(-inf, 10)` | Clips the contact cost |
    | `healthy_reward` | `5.0` | *reward_survive* |
    | `terminate_when_unhealthy` | `True` | Whether an unhealthy state ends the episode |
    | `healthy_z_range` | `(1.0, 2.0)` | Of the torso's height (m) |
    | `reset_noise_scale` | `1e-2` | Scale of the noise in the starting state |
    | `exclude_current_positions_from_observation` | `True` | Whether x and y are left out |
    | `include_cinert_in_observation` | `True` | Whether inertias are observed |
    | `include_cvel_in_observation` | `True` | Whether bodies' velocities are observed |
    | `include_qfrc_actuator_in_observation` | `True` | Whether motors' torques are observed |
    | `include_cfrc_ext_in_observation` | `True` | Whether contact forces are observed |

    Source: Gymnasium's Humanoid-v5.
    Differs: as `GymnasiumEnv` says, but for the control cost, which both compute from the action as
        it is. The physics is Gymnasium's bit for bit, and so are qpos and qvel in the observation,
        but `cinert`, `cvel`, `qfrc_actuator`, `cfrc_ext`, the tendons, *reward_forward* and
        *reward_contact* are not: here they are those of the state after the step. Gymnasium reads
        them where the integrator's last substep left them, at the last of its four stages, and
        reads contact forces of zero after a reset.

    ## Version History

    - v5: the twin of Gymnasium's version 5, whose number it has.
    """

    task_class = HumanoidTask


class HumanoidVectorEnv(GymnasiumVectorEnv):
    """Many of them in native threads; `HumanoidEnv` is the task's page."""

    task_class = HumanoidTask

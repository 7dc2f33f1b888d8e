"""The Centipede's task: run along +x without falling or bending sideways."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence

import mujoco
import numpy as np

from morphzoo.columns import Column, columns_of
from morphzoo.envs.bodies import centipede, num_torsos
from morphzoo.envs.centipede_start import CentipedeStart
from morphzoo.envs.task import (
    Array,
    Fields,
    Task,
    array_namespace,
    check_ranges,
    sum_of_squares,
)


class CentipedeTask(Task):
    """Observation, reward, termination and reset of the Centipede: `CentipedeEnv` is the page.

    Attributes:
        num_legs: number of legs.
        disabled_legs: legs without motors.

    Source: Wang et al. (ICLR 2018), the Centipede environment of NerveNet.
    Differs: the papers say that forward is y; their code, and this task, reward x. The world
        body's contact forces, always zero, are not observed. The start's quaternion is
        normalised. Fields describe the state after the step, not one substep before its end.
    """

    def __init__(
        self,
        num_legs: int = 6,
        *,
        disabled_legs: Iterable[int] = (),
        include_contact_forces: bool = True,
        forward_reward_weight: float = 1.0,
        ctrl_cost_weight: float = 2.0,
        contact_cost_weight: float = 2e-3,
        healthy_reward: float = 1.0,
        healthy_z_range: tuple[float, float] = (0.35, 1.15),
        max_sideways: float = 0.45,
        contact_force_range: tuple[float, float] = (-1.0, 1.0),
        reset_noise_scale: float = 0.1,
        frame_skip: int = 5,
    ) -> None:
        """Build the body and the task; the arguments are described in `CentipedeEnv`.

        Raises:
            ValueError: for a body that cannot be built, or an empty range.
        """
        self.disabled_legs = tuple(disabled_legs)
        model = centipede(num_legs, self.disabled_legs)
        self.num_legs = int(num_legs)
        check_ranges(healthy_z_range=healthy_z_range, contact_force_range=contact_force_range)
        self._observes_contact = include_contact_forces
        self._forward_reward_weight = forward_reward_weight
        self._ctrl_cost_weight = ctrl_cost_weight / num_legs
        self._contact_cost_weight = contact_cost_weight / num_legs
        self._healthy_reward = healthy_reward
        self._healthy_z_range = healthy_z_range
        self._max_sideways = max_sideways
        self._contact_force_range = contact_force_range
        torsos = [model.body(f"torso_{k}").id for k in range(num_torsos(num_legs))]
        self._torsos = np.array(torsos)
        self._start = CentipedeStart(
            model,
            num_legs,
            reset_noise_scale,
            self._is_healthy,
            f"healthy_z_range={healthy_z_range} and max_sideways={max_sideways}",
        )
        needs_contact = include_contact_forces or contact_cost_weight != 0.0
        super().__init__(
            model,
            _columns(model, include_contact_forces),
            fields=("qpos", "qvel", "xpos") + ("cfrc_ext",) * needs_contact,
            reward_terms=("reward_forward", "reward_ctrl", "reward_contact", "reward_survive"),
            frame_skip=frame_skip,
        )

    def initial_state(self, rng: np.random.Generator) -> tuple[np.ndarray, np.ndarray]:
        """Draw a start near the reference pose, again and again until it is healthy.

        Returns:
            `(qpos float64[nq], qvel float64[nv])`, in metres, radians and their rates.

        Raises:
            RuntimeError: if no healthy start was drawn in 1000 attempts.
        """
        return self._start.draw(rng)

    def begin(self, fields: Fields, rngs: Sequence[np.random.Generator]) -> dict[str, Array]:
        """Remember where the last torso is: `position float64[n, 2]` (m, world frame)."""
        return self.advance(fields, {})

    def advance(self, fields: Fields, variables: Mapping[str, Array]) -> dict[str, Array]:
        """Remember where the last torso is now."""
        return {"position": self._position(fields)}

    def observe(self, fields: Fields, variables: Mapping[str, Array]) -> Array:
        """Return qpos[2:], qvel and the clipped contact forces of the robot's bodies."""
        qpos, qvel = fields["qpos"], fields["qvel"]
        xp = array_namespace(qpos)
        parts = [qpos[:, 2:], qvel]
        if self._observes_contact:
            parts.append(self._contact_forces(fields)[:, 6:])
        return xp.asarray(xp.concatenate(parts, axis=1), dtype=xp.float32)

    def reward(
        self, fields: Fields, action: Array, variables: Mapping[str, Array]
    ) -> dict[str, Array]:
        """Return the four signed terms, `float64[n]` each: see the page's formula."""
        velocity = self._velocity(fields, variables)[:, 0]
        xp = array_namespace(velocity)
        contact_cost = xp.zeros_like(velocity)
        if self._contact_cost_weight != 0.0:
            squares = sum_of_squares(self._contact_forces(fields))
            contact_cost = self._contact_cost_weight * squares
        return {
            "reward_forward": self._forward_reward_weight * velocity,
            "reward_ctrl": -self._ctrl_cost_weight * sum_of_squares(action),
            "reward_contact": -contact_cost,
            "reward_survive": xp.full_like(velocity, self._healthy_reward),
        }

    def terminated(self, fields: Fields, variables: Mapping[str, Array]) -> Array:
        """Return `bool[n]`: state not finite, a torso too low, too high or too far sideways."""
        qpos, qvel = fields["qpos"], fields["qvel"]
        xp = array_namespace(qpos)
        finite = xp.isfinite(qpos).all(-1) & xp.isfinite(qvel).all(-1)
        return ~(finite & self._is_healthy(fields["xpos"]))

    def metrics(self, fields: Fields, variables: Mapping[str, Array]) -> dict[str, Array]:
        """Return position (m) and velocity (m/s) of the last torso, and the root's distance (m)."""
        position, velocity = self._position(fields), self._velocity(fields, variables)
        return {
            "x_position": position[:, 0],
            "y_position": position[:, 1],
            "distance_from_origin": sum_of_squares(fields["qpos"][:, :2]) ** 0.5,
            "x_velocity": velocity[:, 0],
            "y_velocity": velocity[:, 1],
        }

    def _is_healthy(self, xpos: Array) -> Array:
        """Return `bool[n]` from body positions `[n, nbody, 3]` (m); false where not finite."""
        low, high = self._healthy_z_range
        y, z = xpos[:, self._torsos, 1], xpos[:, self._torsos, 2]
        upright = (z > low) & (z < high)
        straight = abs(y[:, 1:] - y[:, :-1]) < self._max_sideways
        return upright.all(-1) & straight.all(-1)

    def _contact_forces(self, fields: Fields) -> Array:
        """Return the clipped contact torques and forces of all bodies, `[n, 6 nbody]`."""
        forces = fields["cfrc_ext"]
        return forces.reshape(len(forces), 6 * self.model.nbody).clip(*self._contact_force_range)

    def _position(self, fields: Fields) -> Array:
        """Return x and y of the last torso's body frame, `[n, 2]` (m), a fresh array."""
        return 1.0 * fields["xpos"][:, self._torsos[-1], :2]

    def _velocity(self, fields: Fields, variables: Mapping[str, Array]) -> Array:
        """Return the last torso's mean velocity over the step, `[n, 2]` (m/s)."""
        return (self._position(fields) - variables["position"]) / self.dt


def _columns(model: mujoco.MjModel, include_contact_forces: bool) -> tuple[Column, ...]:
    """Name the observation's numbers in order: qpos[2:], qvel, cfrc_ext without the world's."""
    columns = columns_of(model, "qpos", range(2, model.nq))
    columns += columns_of(model, "qvel", range(model.nv))
    if include_contact_forces:
        columns += columns_of(model, "cfrc_ext", range(1, model.nbody))
    return columns

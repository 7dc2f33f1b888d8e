"""What the twins of Gymnasium's bodies have in common: a task, and environments around it."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from typing import Any, ClassVar

import mujoco
import numpy as np

from morphzoo.columns import Column, columns_of
from morphzoo.envs.batch import MorphologyVectorEnv
from morphzoo.envs.single import MorphologyEnv
from morphzoo.envs.task import Array, Fields, Task, array_namespace, sum_of_squares

Range = tuple[float, float]


class GymnasiumTask(Task):
    """What the twins of Gymnasium's bodies have in common: run along +x, and perhaps stay healthy.

    A subclass says what is observed and when the robot is healthy. By default the position whose
    rate is rewarded is qpos[0], every state is healthy, and velocities start with uniform noise.

    Source: Gymnasium 1.4 (MIT licence), `gymnasium.envs.mujoco`, the environments of version 5.
    Differs: observations are float32. The control cost is that of the action as float32, which is
        what an action of the action space is; Gymnasium's takes the type it is given. An episode
        ends where MuJoCo gives up on the simulation, which Gymnasium goes on with.
    """

    def __init__(
        self,
        model: mujoco.MjModel,
        observed: Mapping[str, range],
        *,
        clipped: Mapping[str, Range] | None = None,
        reads: Sequence[str] = (),
        reward_terms: Sequence[str] = ("reward_forward", "reward_ctrl"),
        forward_reward_weight: float,
        ctrl_cost_weight: float,
        healthy_reward: float = 0.0,
        terminate_when_unhealthy: bool = False,
        reset_noise_scale: float,
        frame_skip: int,
    ) -> None:
        """Keep what describes the task.

        Args:
            model: the compiled body.
            observed: `MjData` fields in the order of the observation, and which rows of each: from
                some row on to the last.
            clipped: limits of those fields that are observed within limits.
            reads: further fields that the task needs.
            reward_terms: names of the reward's terms, in the order in which they are summed.
            forward_reward_weight: weight of the velocity along +x.
            ctrl_cost_weight: weight of the squared action.
            healthy_reward: reward of a step that ends in a healthy state.
            terminate_when_unhealthy: whether an unhealthy state ends the episode.
            reset_noise_scale: scale of the noise in the starting state.
            frame_skip: physics steps per environment step.

        Raises:
            ValueError: if `frame_skip` is below 1.
        """
        columns: tuple[Column, ...] = ()
        for field, rows in observed.items():
            columns += columns_of(model, field, rows)
        super().__init__(
            model,
            columns,
            fields=tuple(dict.fromkeys(("qpos", "qvel", *observed, *reads))),
            reward_terms=reward_terms,
            frame_skip=frame_skip,
        )
        self._observed = dict(observed)
        self._clipped = dict(clipped or {})
        self._forward_reward_weight = forward_reward_weight
        self._ctrl_cost_weight = ctrl_cost_weight
        self._healthy_reward = healthy_reward
        self._terminate_when_unhealthy = terminate_when_unhealthy
        self._reset_noise_scale = reset_noise_scale

    def initial_state(self, rng: np.random.Generator) -> tuple[np.ndarray, np.ndarray]:
        """Draw a start as Gymnasium does, positions before velocities.

        Returns:
            `(qpos float64[nq], qvel float64[nv])`: the reference pose at rest, plus noise.
        """
        scale = self._reset_noise_scale
        qpos = self.model.qpos0 + rng.uniform(-scale, scale, self.model.nq)
        return qpos, self._velocity_noise(rng)

    def begin(self, fields: Fields, rngs: Sequence[np.random.Generator]) -> dict[str, Array]:
        """Remember where the robot is: `position float64[n, k]` (m, world frame)."""
        return self.advance(fields, {})

    def advance(self, fields: Fields, variables: Mapping[str, Array]) -> dict[str, Array]:
        """Remember where the robot is now."""
        return {"position": 1.0 * self._position(fields)}  # a fresh array

    def observe(self, fields: Fields, variables: Mapping[str, Array]) -> Array:
        """Return the observed rows of every field, one field after another."""
        xp = array_namespace(fields["qpos"])
        parts = []
        for name, rows in self._observed.items():
            values = fields[name][:, rows.start :]
            if name in self._clipped:
                values = values.clip(*self._clipped[name])
            parts.append(end_to_end(values))
        return xp.asarray(xp.concatenate(parts, axis=1), dtype=xp.float32)

    def reward(
        self, fields: Fields, action: Array, variables: Mapping[str, Array]
    ) -> dict[str, Array]:
        """Return the signed terms, `float64[n]` each: see the pages' formulas."""
        velocity = self._velocity(fields, variables)[:, 0]
        xp = array_namespace(velocity)
        terms = {
            "reward_forward": self._forward_reward_weight * velocity,
            "reward_ctrl": -self._control_cost(action),
        }
        if "reward_survive" in self.reward_terms:
            reward = xp.full_like(velocity, self._healthy_reward)
            terms["reward_survive"] = self._is_healthy(fields) * reward
        return terms

    def terminated(self, fields: Fields, variables: Mapping[str, Array]) -> Array:
        """Return `bool[n]`: not healthy, where that ends an episode."""
        unhealthy = ~self._is_healthy(fields)
        return unhealthy & self._terminate_when_unhealthy

    def metrics(self, fields: Fields, variables: Mapping[str, Array]) -> dict[str, Array]:
        """Return position (m) and mean velocity over the step (m/s) along x."""
        velocity = self._velocity(fields, variables)
        return {"x_position": fields["qpos"][:, 0], "x_velocity": velocity[:, 0]}

    def _velocity_noise(self, rng: np.random.Generator) -> np.ndarray:
        scale = self._reset_noise_scale
        return rng.uniform(-scale, scale, self.model.nv)

    def _position(self, fields: Fields) -> Array:
        """Return what the velocity is the rate of, x first: `[n, k]` (m)."""
        return fields["qpos"][:, :1]

    def _velocity(self, fields: Fields, variables: Mapping[str, Array]) -> Array:
        """Return the mean velocity over the step, `[n, k]` (m/s)."""
        return (self._position(fields) - variables["position"]) / self.dt

    def _control_cost(self, action: Array) -> Array:
        """Return the weighted sum of squares, computed as float32 and returned as float64[n]."""
        xp = array_namespace(action)
        squares = sum_of_squares(xp.asarray(action, dtype=xp.float32))
        return xp.asarray(self._ctrl_cost_weight * squares, dtype=xp.float64)

    def _is_healthy(self, fields: Fields) -> Array:
        """Return `bool[n]`."""
        qpos = fields["qpos"]
        xp = array_namespace(qpos)
        return xp.ones_like(qpos[:, 0], dtype=bool)


class GymnasiumEnv(MorphologyEnv):
    """One of Gymnasium's bodies with its graph: what the pages of all of them have in common.

    The body is read from the installed Gymnasium package; observation, reward, start, end, `info`
    and the arguments' names and defaults are those of Gymnasium's version 5. Actions are torques as
    fractions of a motor's gear; MuJoCo clamps what it applies to the control range, the reward does
    not. The observation space is a `MorphologySpace`, a flat float32 `Box` that carries the robot's
    graph, and `env.unwrapped.task.columns` names every number.

    `render_mode`, `width`, `height`, `camera_id`, `camera_name`, `default_camera_config`,
    `max_geom` and `visual_options` are those of every Gymnasium MuJoCo environment. Without a
    choice of a camera, the frame follows the robot.

    Differs: an observation is Gymnasium's as float32. The control cost is computed from the action
        as float32, so that it equals Gymnasium's for every action of the action space. `info` also
        holds the velocities after a reset (0), and `simulation_failed`: an episode ends, with a
        reward of 0, where MuJoCo gives up on the simulation. An action that is not finite is an
        error.
    """

    task_class: ClassVar[type[GymnasiumTask]]

    def __init__(self, **arguments: Any) -> None:
        """Read the body and allocate its simulation.

        Args:
            **arguments: those of the page and of `MorphologyEnv`, by name.

        Raises:
            OSError: if `xml_file` does not exist.
            ValueError: if an argument is out of range.
        """
        task, rest = self.task_class.split(arguments)
        super().__init__(self.task_class(**task), **rest)


class GymnasiumVectorEnv(MorphologyVectorEnv):
    """Many of one of Gymnasium's bodies in native threads: `gymnasium.make_vec` arrives here.

    The page of the single environment describes the task, `MorphologyVectorEnv` batched
    environments.
    """

    task_class: ClassVar[type[GymnasiumTask]]

    def __init__(self, num_envs: int = 1, **arguments: Any) -> None:
        """Read the body once and allocate `num_envs` simulations of it.

        Args:
            num_envs: number of rows.
            **arguments: those of the page and of `MorphologyVectorEnv`, by name.

        Raises:
            OSError: if `xml_file` does not exist.
            ValueError: if an argument is out of range.
        """
        task, rest = self.task_class.split(arguments)
        super().__init__(self.task_class(**task), num_envs, **rest)


def from_plane(fields: Fields, velocity: Array) -> dict[str, Array]:
    """Return the metrics of a robot that moves along x and y: qpos[:2] (m) and velocity (m/s)."""
    qpos = fields["qpos"]
    return {
        "x_position": qpos[:, 0],
        "y_position": qpos[:, 1],
        "distance_from_origin": sum_of_squares(qpos[:, :2]) ** 0.5,
        "x_velocity": velocity[:, 0],
        "y_velocity": velocity[:, 1],
    }


def positions_and_velocities(model: mujoco.MjModel, skipped: int) -> dict[str, range]:
    """Say that all of qpos but its first numbers is observed, and all of qvel."""
    return {"qpos": range(skipped, model.nq), "qvel": range(model.nv)}


def end_to_end(values: Array) -> Array:
    """Lay a row's numbers end to end: `[n, m]` from `[n, ...]`."""
    return values.reshape(len(values), math.prod(values.shape[1:]))


def within(values: Array, limits: Range) -> Array:
    """Say which values lie strictly between the limits; none that is NaN does."""
    return (values > limits[0]) & (values < limits[1])

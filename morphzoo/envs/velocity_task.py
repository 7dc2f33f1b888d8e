"""The target-velocity Ant's task: go at a commanded velocity, seen from the robot."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import replace
from functools import cached_property

import mujoco
import numpy as np
from gymnasium import spaces

from morphzoo.columns import TASK, Column, columns_of, strip_index
from morphzoo.envs.task import (
    Array,
    Fields,
    Task,
    array_namespace,
    as_like,
    check_ranges,
    sum_of_squares,
)
from morphzoo.envs.velocity_body import DRIVES, side, velocity_ant
from morphzoo.morphology import MorphologyGraph

TARGET_VELOCITY = (2.0, 0.0)  # forward and to the left (m/s)
SERVO_SCALE = 0.3  # change of a servo's angle for a change of 1 of its action (rad)

_SERVO_ACTION = 5.0  # bound of the action space where servos take the action
_WIDTH = 0.25  # squared error at which the reward is 1/e (m^2/s^2)
_OBSERVATION_LIMIT = 100.0


class AntVelocityTask(Task):
    """Observation, reward, termination and reset of the target-velocity Ant: see `AntVelocityEnv`.

    Attributes:
        num_legs: number of legs.
        disabled_joints: joints without a motor.
        target_velocity: float64[2] in the torso's frame (m/s), or None where it is drawn.
        command_range: float64[2, 2], least and greatest forward and sideways velocity (m/s), or
            None where the command is not observed.

    Source: RL-X (MIT, Bohlinger), the environments of `DRIVES`; the target-velocity Ant of
        Bohlinger and Peters, "Massively Scaling Explicit Policy-conditioned Value Functions"
        (arXiv 2502.11949).
    Differs: an episode ends, with a reward of 0, where MuJoCo gives up on the simulation; RL-X
        makes numbers that are not finite 0. Commands, other numbers of legs, disabled joints and
        noise in the start are ours.
    """

    def __init__(
        self,
        num_legs: int = 4,
        *,
        actuators: str = "torque",
        disabled_joints: Iterable[str] = (),
        target_velocity: Sequence[float] | None = None,
        command_range: Sequence[Sequence[float]] | None = None,
        healthy_z_range: tuple[float, float] = (0.2, 1.0),
        reset_noise_scale: float = 0.0,
        frame_skip: int | None = None,
    ) -> None:
        """Build the body and the task; the arguments are described in `AntVelocityEnv`.

        Raises:
            ValueError: for a body that cannot be built, or an argument out of range.
        """
        if not isinstance(disabled_joints, str):
            disabled_joints = tuple(disabled_joints)  # read twice
        model = velocity_ant(num_legs, disabled_joints, actuators)
        self.num_legs = int(num_legs)
        self.disabled_joints = tuple(disabled_joints)
        check_ranges(healthy_z_range=healthy_z_range)
        if not 0.0 <= reset_noise_scale < np.inf:
            raise ValueError(
                f"reset_noise_scale: expected 0 or a positive number, found {reset_noise_scale!r}."
            )
        self.command_range = _range(command_range)
        if target_velocity is None and command_range is None:
            target_velocity = TARGET_VELOCITY
        self.target_velocity = _velocity(target_velocity)
        self._healthy_z_range = healthy_z_range
        self._reset_noise_scale = reset_noise_scale
        self._servos = actuators == "position"
        self._home = np.array(model.key_qpos[0])
        self._home_control = self._home[model.jnt_qposadr[model.actuator_trnid[:, 0]]]
        super().__init__(
            model,
            _columns(model, self._servos, command_range is not None),
            fields=("qpos", "qvel", "ctrl"),
            reward_terms=("reward_velocity",),
            frame_skip=DRIVES[actuators].frame_skip if frame_skip is None else frame_skip,
        )

    @cached_property
    def graph(self) -> MorphologyGraph:
        """The body; node types `lefthip`, `righthip` and `ankle`, whatever the number of legs."""
        return MorphologyGraph.from_model(self.model, self.columns, node_type=self._node_type)

    @property
    def action_space(self) -> spaces.Box:
        """The space of one action, `float32[A]`: torques in -1..1, or servos' angles in -5..5."""
        bound = _SERVO_ACTION if self._servos else 1.0
        return spaces.Box(-bound, bound, (self.model.nu,), dtype=np.float32)

    def control(self, action: Array) -> Array:
        """Return torques within the motors' range, or the angles (rad) that servos shall hold."""
        if self._servos:
            return as_like(self._home_control, action) + SERVO_SCALE * action
        return action.clip(-1.0, 1.0)

    def initial_state(self, rng: np.random.Generator) -> tuple[np.ndarray, np.ndarray]:
        """Return the home pose at rest, with noise where that is wanted; else draw nothing.

        Returns:
            `(qpos float64[nq], qvel float64[nv])`, in metres, radians and their rates.
        """
        scale, qpos = self._reset_noise_scale, self._home.copy()
        if scale == 0.0:
            return qpos, np.zeros(self.model.nv)
        qpos[3:] += rng.uniform(-scale, scale, self.model.nq - 3)
        qpos[3:7] /= np.sqrt(np.sum(np.square(qpos[3:7])))
        return qpos, scale * rng.standard_normal(self.model.nv)

    def begin(self, fields: Fields, rngs: Sequence[np.random.Generator]) -> dict[str, Array]:
        """Give every episode its `command float64[n, 2]` (m/s), drawn after the start."""
        commands = np.array([self._command(rng) for rng in rngs]).reshape(len(rngs), 2)
        return {"command": as_like(commands, fields["qpos"])}

    def observe(self, fields: Fields, variables: Mapping[str, Array]) -> Array:
        """Return what the page lists, within +-100."""
        qpos, qvel = fields["qpos"], fields["qvel"]
        xp = array_namespace(qpos)
        angles = qpos[:, 7:]
        if self._servos:
            angles = angles - as_like(self._home[7:], qpos)
        velocity = [part[:, None] for part in into_frame(qpos[:, 3:7], qvel[:, :3])]
        gravity = [part[:, None] for part in down(qpos[:, 3:7])]
        parts = [qpos[:, 2:3], angles, qvel[:, 6:], *velocity, qvel[:, 3:6], *gravity]
        parts.append(fields["ctrl"])
        if self.command_range is not None:
            parts.append(variables["command"])
        limit = _OBSERVATION_LIMIT
        return xp.asarray(xp.concatenate(parts, axis=1).clip(-limit, limit), dtype=xp.float32)

    def reward(
        self, fields: Fields, action: Array, variables: Mapping[str, Array]
    ) -> dict[str, Array]:
        """Return the only term, `float64[n]`: see the page's formula."""
        squares = _squared_error(_planar(fields), variables)
        return {"reward_velocity": array_namespace(squares).exp(-squares / _WIDTH)}

    def terminated(self, fields: Fields, variables: Mapping[str, Array]) -> Array:
        """Return `bool[n]`: the torso is too low, too high, or nowhere."""
        low, high = self._healthy_z_range
        height = fields["qpos"][:, 2]
        return ~((height >= low) & (height <= high))

    def metrics(self, fields: Fields, variables: Mapping[str, Array]) -> dict[str, Array]:
        """Return position and distance (m), velocities in the torso's frame and the error (m/s)."""
        qpos, velocity = fields["qpos"], _planar(fields)
        return {
            "x_position": qpos[:, 0],
            "y_position": qpos[:, 1],
            "distance_from_origin": sum_of_squares(qpos[:, :2]) ** 0.5,
            "forward_velocity": velocity[0],
            "sideways_velocity": velocity[1],
            "velocity_error": _squared_error(velocity, variables) ** 0.5,
            "target_velocity": variables["command"],
        }

    def _command(self, rng: np.random.Generator) -> np.ndarray:
        """Return one episode's command, float64[2] (m/s); draws only what is not given."""
        if self.target_velocity is not None:
            return self.target_velocity
        assert self.command_range is not None
        return rng.uniform(self.command_range[:, 0], self.command_range[:, 1])

    def _node_type(self, joint: str) -> str:
        """Say on which side a hip is; without that, left and right legs would look alike."""
        kind = strip_index(joint)
        if kind != "hip":
            return kind
        return side(int(joint.removeprefix("hip_")), self.num_legs) + kind


def into_frame(quaternion: Array, vector: Array) -> tuple[Array, Array, Array]:
    """Turn world vectors into a body's frame.

    Args:
        quaternion: `[n, 4]`, the body's orientation w, x, y, z, of length 1.
        vector: `[n, 3]`.

    Returns:
        Forward, left and up, `[n]` each: v - w t + u x t with u = (x, y, z) and t = 2 u x v.
    """
    w, x, y, z = _parts(quaternion)
    a, b, c = _parts(vector)
    r, s, t = 2 * (y * c - z * b), 2 * (z * a - x * c), 2 * (x * b - y * a)
    return a - w * r + (y * t - z * s), b - w * s + (z * r - x * t), c - w * t + (x * s - y * r)


def down(quaternion: Array) -> tuple[Array, Array, Array]:
    """Return where down is in a body's frame, `[n]` each: gravity's direction, of length 1."""
    w, x, y, z = _parts(quaternion)
    return 2 * (w * y - x * z), -2 * (y * z + w * x), 2 * (x * x + y * y) - 1


def _planar(fields: Fields) -> tuple[Array, Array]:
    """Return the torso's velocity forward and to the left, `[n]` each (m/s)."""
    return into_frame(fields["qpos"][:, 3:7], fields["qvel"][:, :3])[:2]


def _squared_error(velocity: tuple[Array, Array], variables: Mapping[str, Array]) -> Array:
    """Return `[n]`: how far a velocity is from the command, squared (m^2/s^2)."""
    forward, left = (v - variables["command"][:, k] for k, v in enumerate(velocity))
    return forward * forward + left * left


def _parts(rows: Array) -> list[Array]:
    """Return the columns of `[n, k]` one by one, contiguous: that is several times as fast."""
    return [1.0 * rows[:, k] for k in range(rows.shape[1])]


def _columns(model: mujoco.MjModel, servos: bool, commanded: bool) -> tuple[Column, ...]:
    """Name the observation's numbers in order: see the page."""
    root = int(model.joint("root").id)
    angles = columns_of(model, "qpos", range(7, model.nq))
    if servos:  # another feature, so that no policy of torques takes these for its own
        angles = tuple(replace(c, name=f"{c.name}-home", feature="qpos[0]-home") for c in angles)
    velocity, gravity = (
        tuple(
            Column(name, -1, axis, f"root.{name}[{axis}]", f"{name}[{axis}]", root)
            for axis in range(3)
        )
        for name in ("local_velocity", "local_gravity")
    )
    columns = (
        columns_of(model, "qpos", [2]) + angles + columns_of(model, "qvel", range(6, model.nv))
    )
    columns += velocity + columns_of(model, "qvel", range(3, 6)) + gravity
    columns += columns_of(model, "ctrl", range(model.nu))
    if commanded:
        columns += tuple(Column(TASK, component=k, name=f"command[{k}]") for k in range(2))
    return columns


def _velocity(velocity: Sequence[float] | None) -> np.ndarray | None:
    """Return a velocity as float64[2], or raise ValueError."""
    if velocity is None:
        return None
    found = _numbers(velocity)
    if found is None or found.shape != (2,):
        raise ValueError(
            "target_velocity: expected two finite numbers, forward and to the left (m/s), found "
            f"{velocity!r}."
        )
    return found


def _range(command_range: Sequence[Sequence[float]] | None) -> np.ndarray | None:
    """Return a range of commands as float64[2, 2], or raise ValueError."""
    if command_range is None:
        return None
    found = _numbers(command_range)
    if found is None or found.shape != (2, 2) or (found[:, 0] > found[:, 1]).any():
        raise ValueError(
            "command_range: expected ((low, high), (low, high)) with finite low <= high, forward "
            f"and to the left (m/s), found {command_range!r}."
        )
    return found


def _numbers(values: Sequence) -> np.ndarray | None:
    """Return values as a float64 array of our own, or None where they are no finite numbers."""
    try:
        found = np.array(values, dtype=np.float64)
    except (TypeError, ValueError):
        return None
    return found if np.isfinite(found).all() else None

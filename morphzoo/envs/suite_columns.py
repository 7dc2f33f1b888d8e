"""What every number of dm_control's suite observations is: one explicit table a domain."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import Any

from morphzoo.columns import TASK, Column, columns_of

Columns = tuple[Column, ...]
Table = dict[str, Callable[[Any], Columns]]

# Places in a body's rotation matrix (row by row); "xz" is the world x of the body's z-axis.
_MATRIX = {"xx": 0, "xz": 2, "zx": 6, "zy": 7, "zz": 8}
_ROOT_BODY = 1


def _positions(first: int = 0) -> Callable[[Any], Columns]:
    """Joint positions from a qpos address on."""
    return lambda model: columns_of(model, "qpos", range(first, model.nq))


def _velocities(model: Any) -> Columns:
    """All joint velocities."""
    return columns_of(model, "qvel", range(model.nv))


def _axes(model: Any, bodies: Iterable[int], entries: Iterable[str]) -> Columns:
    """Entries of the bodies' rotation matrices, body by body."""
    places = [_MATRIX[entry] for entry in entries]
    rows = [columns_of(model, "xmat", [body]) for body in bodies]
    return tuple(row[place] for row in rows for place in places)


def _acrobot_orientations(model: Any) -> Columns:
    """Of upper and lower arm: the world x, then the world z of the z-axes."""
    arms = [model.body(name).id for name in ("upper_arm", "lower_arm")]
    return _axes(model, arms, ["xz"]) + _axes(model, arms, ["zz"])


def _cartpole_position(model: Any) -> Columns:
    """The cart's position, then for each pole the world z and x of its z-axis."""
    return columns_of(model, "qpos", [0]) + _axes(model, range(2, model.nbody), ["zz", "xz"])


def _pendulum_orientation(model: Any) -> Columns:
    """Cosine and sine of the angle, which dm_control reads off the pole's rotation matrix."""
    names = ("cos(qpos[0])", "sin(qpos[0])")
    return tuple(Column("qpos", 0, 0, f"hinge.{name}", name) for name in names)


def _hopper_touch(model: Any) -> Columns:
    """The foot's two touch sensors, as log(1 + force in N)."""
    foot = model.body("foot").id
    names = ("touch_toe", "touch_heel")
    rows = [(int(model.sensor(name).adr[0]), f"log1p({name})") for name in names]
    return tuple(Column("sensordata", adr, 0, name, name, body=foot) for adr, name in rows)


def _walker_orientations(model: Any) -> Columns:
    """Of every body: the world x of its x-axis and of its z-axis."""
    return _axes(model, range(1, model.nbody), ["xx", "xz"])


def _height(body: str, name: str) -> Callable[[Any], Columns]:
    """World z (m) of a body; no joint owns it."""

    def columns(model: Any) -> Columns:
        return (Column("xpos", model.body(body).id, 2, name, name, body=_ROOT_BODY),)

    return columns


def _vertical(body: str) -> Callable[[Any], Columns]:
    """World z of a body's three axes; no joint owns it."""

    def columns(model: Any) -> Columns:
        places = [_MATRIX[entry] for entry in ("zx", "zy", "zz")]
        names = [f"torso_vertical[{k}]" for k in range(3)]
        index = model.body(body).id
        return tuple(
            Column("xmat", index, place, name, name, body=_ROOT_BODY)
            for place, name in zip(places, names, strict=True)
        )

    return columns


def _com_velocity(sensor: str) -> Callable[[Any], Columns]:
    """World velocity (m/s) of the mass above a body; no joint owns it."""

    def columns(model: Any) -> Columns:
        first = int(model.sensor(sensor).adr[0])
        names = [f"com_velocity[{k}]" for k in range(3)]
        return tuple(
            Column("sensordata", first + k, 0, name, name, body=_ROOT_BODY)
            for k, name in enumerate(names)
        )

    return columns


def _extremities(left: str, right: str) -> Callable[[Any], Columns]:
    """Positions (m) of hands and feet in the torso's frame, for the joints that carry them."""

    def columns(model: Any) -> Columns:
        found = []
        for limb in (f"{side}{end}" for side in (left, right) for end in ("hand", "foot")):
            body = model.body(limb).id
            carrier = int(model.body_weldid[body])
            for k in range(3):
                name, feature = f"{limb}.extremity[{k}]", f"extremity[{k}]"
                found.append(Column("xpos", body, k, name, feature, body=carrier))
        return tuple(found)

    return columns


def _to_target(model: Any) -> Columns:
    """Target in the head's frame (m): a goal, owned by no part of the body."""
    return tuple(Column(TASK, component=k, name=f"to_target[{k}]") for k in range(2))


def _body_velocities(model: Any) -> Columns:
    """Of the head and every segment, in its own frame: velocity x, y (m/s), turn rate z (rad/s)."""
    sensors = [("head_vel", "head_gyro")]
    sensors += [(f"velocimeter_{k}", f"gyro_{k}") for k in range(model.nbody - 2)]
    columns = []
    for body, names in enumerate(sensors, start=1):
        speed, turn = (int(model.sensor(name).adr[0]) for name in names)
        places = {"velocimeter[0]": speed, "velocimeter[1]": speed + 1, "gyro[2]": turn + 2}
        for feature, address in places.items():
            name = f"{model.body(body).name}.{feature}"
            columns.append(Column("sensordata", address, 0, name, feature, body=body))
    return tuple(columns)


# Domain -> observation entry -> its columns. The flat observation has the entries in this order,
# which is dm_control's own; a task that lacks an entry leaves it out.
SUITE: dict[str, Table] = {
    "acrobot": {"orientations": _acrobot_orientations, "velocity": _velocities},
    "cartpole": {"position": _cartpole_position, "velocity": _velocities},
    "cheetah": {"position": _positions(1), "velocity": _velocities},
    "hopper": {"position": _positions(1), "velocity": _velocities, "touch": _hopper_touch},
    "humanoid": {
        "joint_angles": _positions(7),
        "head_height": _height("head", "head_height"),
        "extremities": _extremities("left_", "right_"),
        "torso_vertical": _vertical("torso"),
        "com_velocity": _com_velocity("torso_subtreelinvel"),
        "position": _positions(),
        "velocity": _velocities,
    },
    "humanoid_CMU": {
        "joint_angles": _positions(7),
        "head_height": _height("head", "head_height"),
        "extremities": _extremities("l", "r"),
        "torso_vertical": _vertical("thorax"),
        "com_velocity": _com_velocity("thorax_subtreelinvel"),
        "velocity": _velocities,
    },
    "pendulum": {"orientation": _pendulum_orientation, "velocity": _velocities},
    "swimmer": {
        "joints": _positions(3),
        "to_target": _to_target,
        "body_velocities": _body_velocities,
    },
    "walker": {
        "orientations": _walker_orientations,
        "height": _height("torso", "height"),
        "velocity": _velocities,
    },
}

# Domain -> why its observation has no table. Domains whose motors pull tendons need no row: the
# graph refuses them and names the motor.
SUITE_REFUSED = {
    "ball_in_cup": "half of what it observes is the ball, a tree of bodies without a motor",
    "finger": "half of what it observes is the spinner, a tree of bodies without a motor",
    "lqr": "it is a row of masses on springs drawn at random when it is made, not a fixed body",
    "reacher": "it observes the way from its finger to a target, which no part of the body owns",
}

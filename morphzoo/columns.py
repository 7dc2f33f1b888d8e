"""Where each number of a flat observation comes from, and which part of the model owns it."""

from __future__ import annotations

import re
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any, NamedTuple

TASK = "task"

# MjData field -> (what its first axis counts, numbers in one row). Shapes as in MuJoCo's mjData.
FIELDS: dict[str, tuple[str, int]] = {
    "qpos": ("qpos", 1),
    **dict.fromkeys(("qvel", "qacc", "qacc_warmstart"), ("dof", 1)),
    **dict.fromkeys(("qfrc_actuator", "qfrc_applied"), ("dof", 1)),
    **dict.fromkeys(("qfrc_bias", "qfrc_passive", "qfrc_constraint", "qfrc_inverse"), ("dof", 1)),
    **dict.fromkeys(("ctrl", "actuator_force"), ("actuator", 1)),
    **dict.fromkeys(("actuator_length", "actuator_velocity"), ("actuator", 1)),
    **dict.fromkeys(("xanchor", "xaxis"), ("joint", 3)),
    **dict.fromkeys(("xpos", "xipos", "subtree_com", "subtree_linvel"), ("body", 3)),
    "subtree_angmom": ("body", 3),
    "xquat": ("body", 4),
    **dict.fromkeys(("cvel", "cacc", "cfrc_int", "cfrc_ext", "xfrc_applied"), ("body", 6)),
    **dict.fromkeys(("xmat", "ximat"), ("body", 9)),
    **dict.fromkeys(("cinert", "crb"), ("body", 10)),
    "site_xpos": ("site", 3),
    "site_xmat": ("site", 9),
    "geom_xpos": ("geom", 3),
    "geom_xmat": ("geom", 9),
    "sensordata": ("sensordata", 1),
}


@dataclass(frozen=True)
class Column:
    """One number of the flat observation and the quantity it shows.

    Attributes:
        field: Name of the MjData field ("qpos", "cfrc_ext", ...), or "task" for a number that no
            part of the model owns (a goal, a command, a phase).
        index: First index in the field: qpos address, dof address, actuator, joint, body, site or
            geom id, or sensordata address; -1 for "task".
        component: Second index in the field (cfrc_ext: 0..2 torque, then 3..5 force).
        name: For people, unique in an observation; generated if empty.
        feature: What to call the quantity where it is not the field itself, for example
            "cos(qpos[0])"; empty for "<field>[<component>]".
        joint: Joint id that owns the column, where `field` does not say it.
        body: Body id that owns the column, where `field` does not say it.
    """

    field: str
    index: int = -1
    component: int = 0
    name: str = ""
    feature: str = ""
    joint: int | None = None
    body: int | None = None

    def __post_init__(self) -> None:
        """Gives a nameless column its name."""
        if not self.name:
            width = FIELDS.get(self.field, ("", 1))[1]
            tail = f"[{self.component}]" if width > 1 else ""
            object.__setattr__(self, "name", f"{self.field}[{self.index}]{tail}")


class Owner(NamedTuple):
    """The part of the model that a column belongs to.

    Attributes:
        part: "joint", "body", "actuator" or "none".
        index: Id of that part; -1 for "none".
        label: Name of the quantity as the owner sees it.
    """

    part: str
    index: int
    label: str


def strip_index(name: str) -> str:
    """Returns a name without the number at its end: "lefthip_12" gives "lefthip"."""
    return re.sub(r"[_\-. ]*\d+$", "", name) or name


def element_names(model: Any, kind: str) -> tuple[str, ...]:
    """Names all elements of a kind; a nameless one is called "<kind>_<id>".

    Args:
        model: A compiled `mujoco.MjModel`.
        kind: "body", "joint", "geom", "site", "sensor" or "actuator".

    Returns:
        One distinct name per id.
    """
    import mujoco

    count = {"body": "nbody", "joint": "njnt", "actuator": "nu"}.get(kind, f"n{kind}")
    obj = int(getattr(mujoco.mjtObj, f"mjOBJ_{kind.upper()}"))
    given = [mujoco.mj_id2name(model, obj, i) for i in range(getattr(model, count))]
    taken = {name for name in given if name}
    names = []
    for i, name in enumerate(given):
        if not name:
            name = f"{kind}_{i}"
            while name in taken:
                name = f"unnamed_{name}"
            taken.add(name)
        names.append(name)
    return tuple(names)


def columns_of(model: Any, field: str, indices: Iterable[int]) -> tuple[Column, ...]:
    """Lists the columns of some rows of an MjData field, all components of a row together.

    Args:
        model: A compiled `mujoco.MjModel`.
        field: One of `FIELDS`.
        indices: First indices in the field, in the order of the observation.

    Returns:
        Columns in the order of `numpy.ravel(getattr(data, field)[indices])`.

    Raises:
        ValueError: If the field is unknown or an index does not exist in this model.
    """
    if field not in FIELDS:
        raise ValueError(
            f"expected an MjData field among {', '.join(FIELDS)}, found {field!r}; "
            "write Column(field, ..., joint=...) or Column(field, ..., body=...) instead"
        )
    axis, width = FIELDS[field]
    size = _axis_size(model, axis)
    names = _axis_names(model, axis)
    columns = []
    for index in (int(i) for i in indices):
        if not 0 <= index < size:
            raise ValueError(f"expected an index of {field} in 0..{size - 1}, found {index}")
        for component in range(width):
            tail = f"[{component}]" if width > 1 else ""
            columns.append(Column(field, index, component, f"{names[index]}.{field}{tail}"))
    return tuple(columns)


def owner_of(model: Any, column: Column) -> Owner:
    """Finds the joint, body or actuator that a column belongs to.

    Args:
        model: A compiled `mujoco.MjModel`.
        column: The column.

    Returns:
        The owner; its part is "none" for "task" and for what no part of the model owns.

    Raises:
        ValueError: If the column's field is unknown and no owner is stated, or an index is absent.
    """
    label = column.feature or f"{column.field}[{column.component}]"
    if column.joint is not None:
        return Owner("joint", _checked(column, column.joint, model.njnt, "joint id"), label)
    if column.body is not None:
        return Owner("body", _checked(column, column.body, model.nbody, "body id"), label)
    if column.field == TASK:
        return Owner("none", -1, f"task:{column.feature or column.name}")
    if column.field not in FIELDS:
        raise ValueError(
            f"column {column.name!r}: expected a known MjData field or 'task', found "
            f"{column.field!r}; state its owner with joint= or body="
        )
    axis, width = FIELDS[column.field]
    index = _checked(column, column.index, _axis_size(model, axis), f"index of {column.field}")
    _checked(column, column.component, width, f"component of {column.field}")
    return _field_owner(model, column, axis, index, label)


def _field_owner(model: Any, column: Column, axis: str, index: int, label: str) -> Owner:
    """Looks the owner up in the model by what the field's first axis counts."""
    if axis == "qpos":
        joint = int((model.jnt_qposadr <= index).sum()) - 1
        return Owner("joint", joint, _within(column, index - int(model.jnt_qposadr[joint])))
    if axis == "dof":
        joint = int(model.dof_jntid[index])
        return Owner("joint", joint, _within(column, index - int(model.jnt_dofadr[joint])))
    if axis in ("site", "geom"):
        name = strip_index(element_names(model, axis)[index])
        return Owner("body", int(getattr(model, f"{axis}_bodyid")[index]), f"{label}@{name}")
    if axis == "sensordata":
        return _sensor_owner(model, column, index)
    return Owner(axis, index, label)


def _sensor_owner(model: Any, column: Column, address: int) -> Owner:
    """Finds what a sensor is attached to; the whole model owns what is attached to nothing."""
    import mujoco

    kinds = mujoco.mjtObj
    sensor = int((model.sensor_adr <= address).sum()) - 1
    label = _within(column, address - int(model.sensor_adr[sensor]))
    label = f"{label}@{strip_index(element_names(model, 'sensor')[sensor])}"
    kind, index = int(model.sensor_objtype[sensor]), int(model.sensor_objid[sensor])
    if kind in (int(kinds.mjOBJ_BODY), int(kinds.mjOBJ_XBODY)):
        return Owner("body", index, label)
    if kind == int(kinds.mjOBJ_SITE):
        return Owner("body", int(model.site_bodyid[index]), label)
    if kind == int(kinds.mjOBJ_GEOM):
        return Owner("body", int(model.geom_bodyid[index]), label)
    if kind == int(kinds.mjOBJ_JOINT):
        return Owner("joint", index, label)
    if kind == int(kinds.mjOBJ_ACTUATOR):
        return Owner("actuator", index, label)
    return Owner("none", -1, label)


def _within(column: Column, offset: int) -> str:
    """Labels a number by its place within its own joint or sensor."""
    return column.feature or f"{column.field}[{offset}]"


def _checked(column: Column, index: int, size: int, what: str) -> int:
    """Returns an index that exists, or says which column asks for one that does not."""
    if not 0 <= index < size:
        raise ValueError(
            f"column {column.name!r}: expected {what} in 0..{size - 1}, found {index}; "
            "build the columns from the same model as the graph"
        )
    return index


def _axis_size(model: Any, axis: str) -> int:
    """Counts the rows along the first axis of a field."""
    sizes = {"qpos": "nq", "dof": "nv", "actuator": "nu", "joint": "njnt", "body": "nbody"}
    return int(getattr(model, sizes.get(axis, f"n{axis}")))


def _axis_names(model: Any, axis: str) -> list[str]:
    """Names the element behind every row along the first axis of a field."""
    if axis == "sensordata":
        names = element_names(model, "sensor")
        return [f"{n}[{k}]" for n, d in zip(names, model.sensor_dim, strict=True) for k in range(d)]
    if axis not in ("qpos", "dof"):
        return list(element_names(model, axis))
    joints = element_names(model, "joint")
    size = _axis_size(model, axis)
    starts = list(model.jnt_qposadr if axis == "qpos" else model.jnt_dofadr)
    ends = [*starts[1:], size][: len(starts)]  # a model may have no joint at all
    names = []
    for joint, start, end in zip(joints, starts, ends, strict=True):
        names += [joint] if end - start == 1 else [f"{joint}[{k}]" for k in range(end - start)]
    return names

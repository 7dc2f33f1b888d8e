"""A task before mujoco-warp simulates it: whether it can, and how much room a world takes."""

from __future__ import annotations

import importlib
from collections.abc import Mapping
from typing import Any, NamedTuple

import mujoco
import numpy as np

from morphzoo.envs.task import Array, Task, array_namespace

_STATE = frozenset({"qpos", "qvel", "act", "ctrl"})
_MOST_CONTACTS = 64  # of a world, on average over all: where more are possible, they are counted
_ROUND = (  # two of these touch in two points at most
    int(mujoco.mjtGeom.mjGEOM_PLANE),
    int(mujoco.mjtGeom.mjGEOM_SPHERE),
    int(mujoco.mjtGeom.mjGEOM_CAPSULE),
)
_POINTS, _MORE_POINTS = 2, 8


def import_warp() -> tuple[Any, Any]:
    """Return the modules `warp`, which knows its devices, and `mujoco_warp`: imported here alone.

    Raises:
        ImportError: they are not installed.
    """
    try:
        warp = importlib.import_module("warp")
        mujoco_warp = importlib.import_module("mujoco_warp")
    except ImportError as error:
        raise ImportError(
            f"mujoco-warp cannot be imported ({error}): pip install 'morphzoo[gpu]', or leave "
            "backend='mujoco'"
        ) from error
    warp.init()  # before that it knows no device
    return warp, mujoco_warp


def align_contacts(model: Any) -> None:
    """Let capsules touch planes on mujoco-warp as they do in MuJoCo; see `warp_contacts.align`.

    Args:
        model: mujoco-warp's.
    """
    contacts = importlib.import_module("morphzoo.envs.warp_contacts")
    model.callback.contactfilter = contacts.align


class WorldSizes(NamedTuple):
    """Room of one world.

    Attributes:
        contacts: on average over all worlds, which share it.
        constraints: rows of constraints of each world.
    """

    contacts: int
    constraints: int

    @property
    def keywords(self) -> dict[str, int]:
        """The two as mujoco-warp calls them."""
        return {"nconmax": self.contacts, "njmax": self.constraints}


def world_sizes(model: mujoco.MjModel) -> WorldSizes:
    """Return room for all contacts and constraints that a body can have, as far as that is little.

    A body whose every part may touch every other gets room for 64 contacts.
    """
    explicit = [tuple(pair) for pair in zip(model.pair_geom1, model.pair_geom2, strict=True)]
    pairs = [*explicit, *_touching(model)]
    points = sum(
        _POINTS if all(model.geom_type[geom] in _ROUND for geom in pair) else _MORE_POINTS
        for pair in pairs
    )
    contacts = max(1, min(points, _MOST_CONTACTS))
    dimensions: list[int] = [1, *model.pair_dim.tolist()]
    if len(pairs) > model.npair:
        dimensions += model.geom_condim.tolist()
    friction = np.count_nonzero(model.dof_frictionloss)
    friction += np.count_nonzero(model.tendon_frictionloss)
    limits = np.count_nonzero(model.jnt_limited) + np.count_nonzero(model.tendon_limited)
    rows = contacts * max(1, 2 * (max(dimensions) - 1))
    # A joint's or a tendon's two limits may both be near; an equality takes six rows at most.
    return WorldSizes(contacts, int(rows + friction + 2 * limits + 6 * model.neq))


def _touching(model: mujoco.MjModel) -> list[tuple[int, int]]:
    """Return pairs of geoms that may touch without being named: rather too many than too few."""
    first, second = np.triu_indices(model.ngeom, 1)
    kind, affinity, body = model.geom_contype, model.geom_conaffinity, model.geom_bodyid
    meets = (kind[first] & affinity[second]) | (kind[second] & affinity[first])
    apart = model.body_weldid[body[first]] != model.body_weldid[body[second]]
    chosen = (meets != 0) & apart
    return list(zip(first[chosen].tolist(), second[chosen].tolist(), strict=True))


def check_task(task: Task) -> None:
    """Refuse a task that reads what only MuJoCo itself hands out.

    Raises:
        ValueError: naming the fields.
    """
    if not _STATE.issuperset(task.fields):
        raise ValueError(
            "backend='warp' simulates tasks that read nothing but the state (qpos, qvel, act, "
            f"ctrl), found {type(task).__name__}, which reads {', '.join(task.fields)}: use "
            "backend='mujoco'"
        )


def check_tensors(task: Task, fields: Mapping[str, Array], variables: Mapping[str, Array]) -> None:
    """Try a task's functions on tensors, before an episode depends on them.

    Args:
        task: whose functions.
        fields: tensors of n episodes that have just begun.
        variables: theirs.

    Raises:
        ValueError: if one fails, or does not return tensors of its size and type.
    """
    qpos = fields["qpos"]
    torch, num = array_namespace(qpos), len(qpos)
    actions = torch.zeros((num, task.model.nu), dtype=qpos.dtype, device=qpos.device)
    try:
        found = {
            "control": task.control(actions),
            "observe": task.observe(fields, task.advance(fields, variables)),
            "reward": task.total(task.reward(fields, actions, variables)),
            "terminated": task.terminated(fields, variables),
        }
    except (TypeError, AttributeError, RuntimeError) as error:
        raise ValueError(_unfit(task, str(error))) from error
    shapes = {
        "control": (num, task.model.nu),
        "observe": (num, task.row_size),
        "reward": (num,),
        "terminated": (num,),
    }
    types = {"observe": torch.float32, "terminated": torch.bool}
    for name, values in found.items():
        fits = (
            isinstance(values, torch.Tensor)
            and values.device == qpos.device
            and values.shape == shapes[name]
            and values.dtype == types.get(name, values.dtype)
        )
        if not fits:
            kind = getattr(values, "dtype", type(values).__name__)
            shape = list(getattr(values, "shape", ()))
            raise ValueError(_unfit(task, f"{name}() gives {kind}{shape}"))


def _unfit(task: Task, reason: str) -> str:
    return (
        f"backend='warp' needs a task whose functions take tensors, and {type(task).__name__} is "
        f"none ({reason}): use backend='mujoco'"
    )


def simulation_bytes(task: Task, num: int) -> int:
    """Return how much memory `num` simulations take, at the least (bytes).

    The arrays of mujoco-warp's data, with their room for contacts and constraints; the scratch of a
    step is not counted.

    Raises:
        ImportError: mujoco-warp is not installed.
        ValueError: as `check_task`.
    """
    check_task(task)
    warp, mujoco_warp = import_warp()
    room = world_sizes(task.model).keywords
    with warp.ScopedDevice("cpu"):
        one, two = (_held(mujoco_warp.make_data(task.model, nworld=n, **room)) for n in (1, 2))
    return one + (num - 1) * (two - one)


def _held(data: Any) -> int:
    """Return the bytes of all arrays in mujoco-warp's data, and in the groups within it."""
    values = vars(data).values()
    groups = [value for value in values if hasattr(value, "__dataclass_fields__")]
    return sum(getattr(value, "capacity", 0) for value in values) + sum(map(_held, groups))

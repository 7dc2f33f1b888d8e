"""How a capsule touches a plane, as MuJoCo has it; imported with mujoco-warp, and only then."""

from typing import Any

import mujoco
import warp as wp  # pyright: ignore[reportMissingImports]

_PLANE = wp.constant(int(mujoco.mjtGeom.mjGEOM_PLANE))
_CAPSULE = wp.constant(int(mujoco.mjtGeom.mjGEOM_CAPSULE))


@wp.kernel(enable_backward=False)
def _align(
    types: wp.array[int],
    rotations: wp.array2d[wp.mat33],
    geoms: wp.array[wp.vec2i],
    worlds: wp.array[int],
    found: wp.array[int],
    frames: wp.array[wp.mat33],
):
    contact = wp.tid()
    if contact >= found[0]:
        return
    plane = geoms[contact][0]
    capsule = geoms[contact][1]
    if types[plane] != _PLANE or types[capsule] != _CAPSULE:
        return
    frame = frames[contact]
    rotation = rotations[worlds[contact], capsule]
    normal = wp.vec3(frame[0, 0], frame[0, 1], frame[0, 2])
    axis = wp.vec3(rotation[0, 2], rotation[1, 2], rotation[2, 2])
    along = axis - wp.dot(axis, normal) * normal
    if wp.length(along) < 1.0e-6:  # upright: any direction is as good
        return
    x = wp.normalize(along)
    y = wp.cross(normal, x)
    frames[contact] = wp.mat33(
        normal[0], normal[1], normal[2], x[0], x[1], x[2], y[0], y[1], y[2]
    )  # fmt: skip


def align(model: Any, data: Any) -> None:
    """Turn the frame of every contact of a capsule with a plane along the capsule.

    Friction is a pyramid whose edges lie along the frame. MuJoCo turns it along every capsule,
    mujoco-warp along those alone that are less than 60 degrees steep (version 3.17): an Ant's feet
    are steeper, and with the other frame it parts from MuJoCo by decimetres in 50 steps.

    Args:
        model: mujoco-warp's.
        data: likewise, after collisions are found and before forces are computed.

    Source: `mjc_PlaneCapsule` and `mju_makeFrame` of MuJoCo.
    """
    contact = data.contact
    wp.launch(
        _align,
        dim=data.naconmax,
        inputs=[model.geom_type, data.geom_xmat, contact.geom, contact.worldid, data.nacon],
        outputs=[contact.frame],
    )

"""Compiled models of the target-velocity Ant: legs all around, driven by torques or by servos.

Source: the Ant is Gymnasium's (`ant.xml`) as RL-X (MIT, Bohlinger) adapted it; `DRIVES` says of
    which version each number is.
"""

from __future__ import annotations

import math
from collections.abc import Iterable
from typing import NamedTuple

import mujoco

from morphzoo.envs.bodies import add_motor, attach, check_num_legs, name_parts, xml_folder
from morphzoo.envs.failures import install_warning_handler

MIN_ANT_LEGS = 2
MAX_ANT_LEGS = 8

GEAR = 150.0  # torque of a motor at control 1 (N m)
SERVO_STIFFNESS = 20.0  # kp (N m / rad)
SERVO_DAMPING = 0.5  # kv (N m s / rad)
SERVO_FORCE = 150.0  # a servo's greatest torque (N m)

_LINK = 0.2  # each of a leg's two upper links, along x and along y on the diagonal (m)
_FOOT = 0.4  # its lowest link, likewise (m)
_ANKLE_RANGE = (30.0, 70.0)  # of a leg that does not point backwards; mirrored for one that does


class Drive(NamedTuple):
    """What goes with one kind of motor.

    Attributes:
        timestep: of the physics (s).
        frame_skip: physics steps per action.
        armature: of hips and ankles (kg m^2).
        damping: of hips and ankles (N m s / rad).
        frictionloss: of hips and ankles (N m) and, as in the original, of the root (N, N m).
        height: of the torso in the home pose (m).
        ankle: angle in the home pose of an ankle whose leg does not point backwards (rad).
    """

    timestep: float
    frame_skip: int
    armature: float
    damping: float
    frictionloss: float
    height: float
    ankle: float


# RL-X's Ant of 2024-11-26 (commit 3d8c372), the last before the paper, and that of 2026-01-29.
DRIVES = {
    "torque": Drive(0.01, 1, 1.0, 1.0, 0.0, 0.75, 0.0),
    "position": Drive(0.005, 4, 0.02, 0.1, 0.1, 0.61, 1.2),
}


def velocity_ant(
    num_legs: int = 4, disabled_joints: Iterable[str] = (), actuators: str = "torque"
) -> mujoco.MjModel:
    """Build a target-velocity Ant: a sphere with legs all around, symmetric about its x axis.

    Leg k of n points (2k - 1) 180/n degrees from +x towards +y. It has a link that is part of the
    torso, one that the hinge `hip_k` swings about z, and one that `ankle_k` lifts. The ankles of
    legs that point backwards turn the other way, as the Ant's do. Only the lowest links touch, and
    only the floor. The keyframe `home` is the start.

    Motors are named after their joints. Torque motors stand in the order of Gymnasium's, the last
    leg's hip and ankle before the first one's; servos in the order of the joints.

    Args:
        num_legs: number of legs, 2 to 8.
        disabled_joints: names of the joints whose motors are left out; they swing freely.
        actuators: "torque" or "position", a row of `DRIVES`.

    Returns:
        The compiled model: 2n hinges and motors, 3n + 2 bodies with the world. With four legs
        every mass, length, axis, range and gear is the reference's to the last bit.

    Raises:
        ValueError: for a number of legs out of range, a joint that does not exist or is named
            twice, no motor left, or an unknown kind of motor.

    Source: RL-X's Ant; see `DRIVES`.
    Differs: the solver converges: 20 iterations and 20 line-search steps at a tolerance of 1e-12,
        not 1 and 4 at 1e-8. The floor is drawn without end. Numbers of legs but four are ours.
    """
    check_num_legs(num_legs, MIN_ANT_LEGS, MAX_ANT_LEGS)
    if actuators not in DRIVES:
        raise ValueError(f"actuators: expected {' or '.join(DRIVES)}, found {actuators!r}.")
    disabled = _checked(disabled_joints, num_legs)
    drive = DRIVES[actuators]
    install_warning_handler()
    spec = mujoco.MjSpec.from_file(str(xml_folder() / "velocity_ant.xml"))
    spec.modelname = f"velocity-ant-{num_legs}"
    spec.option.timestep = drive.timestep
    spec.joint("root").frictionloss = drive.frictionloss
    for leg in range(1, num_legs + 1):
        _add_leg(spec, leg, num_legs, drive)
    name_parts(spec)
    for leg in range(1, num_legs + 1):
        spec.add_pair(name=f"foot_{leg}", geomname1=f"foot_{leg}", geomname2="floor")
    for joint in _motor_order(num_legs, actuators):
        if joint in disabled:
            continue
        if actuators == "torque":
            add_motor(spec, joint, GEAR)
        else:
            _add_servo(spec, joint)
    signs = [-1.0 if points_back(leg, num_legs) else 1.0 for leg in range(1, num_legs + 1)]
    angles = [angle for sign in signs for angle in (0.0, sign * drive.ankle + 0.0)]  # no -0.0
    spec.add_key(name="home", qpos=[0.0, 0.0, drive.height, 1.0, 0.0, 0.0, 0.0, *angles])
    return spec.compile()


def leg_direction(leg: int, num_legs: int) -> tuple[float, float]:
    """Return where a leg points, (x, y), scaled so that the Ant's diagonals are (+-1, +-1).

    Rounded at 1e-12, so that they are so to the last bit.
    """
    azimuth = math.pi * (2 * leg - 1) / num_legs
    x, y = math.sqrt(2) * math.cos(azimuth), math.sqrt(2) * math.sin(azimuth)
    return round(x, 12) + 0.0, round(y, 12) + 0.0  # no negative zeros


def points_back(leg: int, num_legs: int) -> bool:
    """Say whether a leg points to where x is negative."""
    return num_legs < 2 * (2 * leg - 1) < 3 * num_legs


def side(leg: int, num_legs: int) -> str:
    """Return the robot's side that a leg is on; the one that points straight back counts as left.

    Returns:
        "left" (towards +y) or "right".
    """
    return "left" if 2 * leg - 1 <= num_legs else "right"


def _checked(disabled_joints: Iterable[str], num_legs: int) -> frozenset[str]:
    """Return the joints that have no motor, or raise ValueError."""
    joints = _motor_order(num_legs, "position")
    if isinstance(disabled_joints, str):
        raise ValueError(
            f"disabled_joints: expected a sequence of names, found the text {disabled_joints!r}. "
            f"Write [{disabled_joints!r}]."
        )
    disabled = list(disabled_joints)
    wrong = [name for name in disabled if name not in joints]
    if wrong:
        raise ValueError(f"disabled_joints: expected some of {', '.join(joints)}, found {wrong}.")
    if len(set(disabled)) < len(disabled):
        raise ValueError(f"disabled_joints: expected every joint once, found {disabled}.")
    if len(disabled) == len(joints):
        raise ValueError("disabled_joints: expected at least one joint with a motor, found none.")
    return frozenset(disabled)


def _add_leg(spec: mujoco.MjSpec, leg: int, num_legs: int, drive: Drive) -> None:
    """Hang a leg on the torso, turned to where it belongs."""
    part = mujoco.MjSpec.from_file(str(xml_folder() / "velocity_ant_leg.xml"))
    x, y = leg_direction(leg, num_legs)
    for name, length in (("base_", _LINK), ("leg_", _LINK), ("foot_", _FOOT)):
        part.geom(name).fromto = [0.0, 0.0, 0.0, length * x, length * y, 0.0]
    for name in ("leg_", "foot_"):
        part.body(name).pos = [_LINK * x, _LINK * y, 0.0]
    low, high = _ANKLE_RANGE
    back = points_back(leg, num_legs)
    part.joint("ankle_").axis = [y, -x, 0.0] if back else [-y, x, 0.0]
    part.joint("ankle_").range = [-high, -low] if back else [low, high]
    for joint in part.joints:
        joint.armature = drive.armature
        joint.damping[0] = drive.damping
        joint.frictionloss = drive.frictionloss
    attach(part.body("base_"), spec.body("torso"), (0.0, 0.0, 0.0), leg)


def _motor_order(num_legs: int, actuators: str) -> list[str]:
    """Return the joints in the order of the controls."""
    legs = list(range(1, num_legs + 1))
    if actuators == "torque":
        legs = [num_legs, *legs[:-1]]
    return [f"{kind}_{leg}" for leg in legs for kind in ("hip", "ankle")]


def _add_servo(spec: mujoco.MjSpec, joint: str) -> None:
    """Add a servo that holds a joint at the angle (rad) that it is told."""
    servo = spec.add_actuator(
        name=joint,
        target=joint,
        trntype=mujoco.mjtTrn.mjTRN_JOINT,
        forcelimited=True,
        forcerange=[-SERVO_FORCE, SERVO_FORCE],
    )
    servo.set_to_position(kp=SERVO_STIFFNESS, kv=SERVO_DAMPING)

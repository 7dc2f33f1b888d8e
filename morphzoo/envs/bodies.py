"""Compiled models of the robots, made with MuJoCo's MjSpec: from the parts in xml/, or Gymnasium's.

Source: the Centipede's dimensions are those of NerveNet (Wang et al., ICLR 2018), as used again
    by Snowflake (Blake et al., NeurIPS 2021). The parts were written from the numbers.
"""

from __future__ import annotations

from collections.abc import Iterable
from numbers import Integral
from pathlib import Path

import mujoco
from gymnasium.envs.mujoco.mujoco_env import expand_model_path

from morphzoo.envs.failures import install_warning_handler

MIN_LEGS = 3  # one torso alone has no torso joint, and the start divides by their number
MAX_LEGS = 100

TORSO_OFFSET = 0.5  # between the centres of neighbouring torsos, along x (m)
HIP_OFFSET = 0.28  # from a torso's centre to its hips, along y (m)
LEG_GEAR = 150.0  # torque of a hip or ankle motor at control 1 (N m)
TORSO_GEAR = 100.0  # torque of a torso motor at control 1 (N m)

_ACCELEROMETER = "morphzoo_accelerometer"
_PART = "part:"  # MjSpec warns of parts attached without a prefix, so they get this one and lose it


def xml_folder() -> Path:
    """Return the folder of the MJCF parts: the installed package's, or else the repository's.

    Raises:
        FileNotFoundError: if neither place holds the parts.
    """
    package = Path(__file__).resolve().parents[1]
    places = (package / "xml", package.parent / "xml")
    for place in places:
        if (place / "centipede.xml").is_file():
            return place
    raise FileNotFoundError(
        f"Expected the MJCF parts (centipede.xml, ...) in {places[0]} or {places[1]}, found them "
        "in neither. Reinstall morphzoo, or restore the xml folder of the checkout."
    )


def num_torsos(num_legs: int) -> int:
    """Return the number of torsos of a Centipede: two legs each, the last one may carry one."""
    return (num_legs + 1) // 2


def centipede(num_legs: int, disabled_legs: Iterable[int] = ()) -> mujoco.MjModel:
    """Build a Centipede: a chain of torsos along +x, each with a leg to either side.

    Torso 0 (at the rear, since the robot advances along +x) carries the free joint `root`. Torso
    k hangs on torso k-1 by the hinges `body_k` (yaw) and `bodyupdown_k` (pitch) and carries legs
    2k (left) and 2k+1 (right), each with a hip (`lefthip_j` or `righthip_j`) and an `ankle_j`.
    With an odd number of legs the last torso carries a left leg only.

    Motors are named after their joints. Their order is not that of the joints: for every leg its
    hip and ankle, and after every right leg but the first the two hinges of its torso. So, as in
    the original, an odd body's last two torso hinges have no motor and swing freely.

    Args:
        num_legs: number of legs, 3 to 100.
        disabled_legs: legs whose two motors are left out; their joints swing freely.

    Returns:
        The compiled model. For even `n` it has 3n-2 hinges and motors, 5n/2+1 bodies with the
        world, and weighs 3.822 n kg.

    Raises:
        ValueError: if `num_legs` is no whole number in 3..100, or a disabled leg does not exist
            or is named twice.

    Source: Wang et al. (ICLR 2018), the generator of their Centipede bodies.
    Differs: the floor is drawn without end, and an accelerometer on torso 0 lets MuJoCo 3 compute
        contact forces; neither changes the physics.
    """
    return centipede_spec(num_legs, disabled_legs).compile()


def centipede_spec(num_legs: int, disabled_legs: Iterable[int] = ()) -> mujoco.MjSpec:
    """Return what `centipede` compiles, for a world that holds more than the robot."""
    disabled = _check(num_legs, disabled_legs)
    folder = xml_folder()
    spec = mujoco.MjSpec.from_file(str(folder / "centipede.xml"))
    spec.modelname = f"centipede-{num_legs}"
    torso = spec.body("torso_0")
    for k in range(num_torsos(num_legs)):
        if k > 0:
            segment = mujoco.MjSpec.from_file(str(folder / "segment.xml"))
            torso = attach(segment.body("torso_"), torso, (TORSO_OFFSET, 0.0, 0.0), k)
        for leg in range(2 * k, min(2 * k + 2, num_legs)):
            side, sign = ("left", -1) if leg % 2 == 0 else ("right", 1)
            part = mujoco.MjSpec.from_file(str(folder / f"{side}_leg.xml"))
            attach(part.body("legbody_"), torso, (0.0, sign * HIP_OFFSET, 0.0), leg)
    name_parts(spec)
    for joint, gear in _motors(num_legs, disabled):
        add_motor(spec, joint, gear)
    _frame(spec, TORSO_OFFSET * num_torsos(num_legs))
    return spec


def gymnasium_body(xml_file: str, *, contact_forces: bool = False) -> mujoco.MjModel:
    """Compile a body that Gymnasium brings along; its file is read where Gymnasium is installed.

    Args:
        xml_file: name of a file in Gymnasium's folder of assets ("ant.xml"), or a path that begins
            with "/", "." or "~".
        contact_forces: whether to add an unseen site and accelerometer, for which MuJoCo computes
            `cfrc_ext` in `mj_forward`. They have no mass and touch nothing: the physics stays.

    Returns:
        The compiled model.

    Raises:
        OSError: if there is no such file.
        ValueError: if MuJoCo cannot read it.
    """
    if not contact_forces:
        install_warning_handler()  # a warning of the compiler's would be logged to a file
        return mujoco.MjModel.from_xml_path(expand_model_path(xml_file))
    spec = gymnasium_spec(xml_file)
    root = spec.worldbody.first_body() or spec.worldbody
    root.add_site(name=_ACCELEROMETER, rgba=[0, 0, 0, 0])
    spec.add_sensor(
        name=_ACCELEROMETER,
        type=mujoco.mjtSensor.mjSENS_ACCELEROMETER,
        objtype=mujoco.mjtObj.mjOBJ_SITE,
        objname=_ACCELEROMETER,
    )
    return spec.compile()


def gymnasium_spec(xml_file: str) -> mujoco.MjSpec:
    """Return what `gymnasium_body` compiles, for a world that holds more than the robot."""
    install_warning_handler()
    return mujoco.MjSpec.from_file(expand_model_path(xml_file))


def check_num_legs(num_legs: int, least: int, most: int) -> None:
    """Raise ValueError unless the number of legs is a whole number in `least`..`most`."""
    whole = isinstance(num_legs, Integral) and not isinstance(num_legs, bool)
    if not whole or not least <= num_legs <= most:
        raise ValueError(
            f"num_legs: expected a whole number from {least} to {most}, found {num_legs!r}."
        )


def attach(
    body: mujoco.MjsBody, parent: mujoco.MjsBody, pos: tuple[float, float, float], number: int
) -> mujoco.MjsBody:
    """Hang a part on `parent` at `pos` (m), its names completed by its number."""
    return parent.add_frame(pos=pos).attach_body(body, _PART, str(number))


def name_parts(spec: mujoco.MjSpec) -> None:
    """Give the bodies, joints and geoms of attached parts their final names."""
    for element in (*spec.bodies, *spec.joints, *spec.geoms):
        element.name = element.name.removeprefix(_PART)


def add_motor(spec: mujoco.MjSpec, joint: str, gear: float) -> None:
    """Add a torque motor of control range [-1, 1] on a joint; `gear` is its torque at 1 (N m)."""
    motor = spec.add_actuator(
        name=joint,
        target=joint,
        trntype=mujoco.mjtTrn.mjTRN_JOINT,
        gear=[gear, 0, 0, 0, 0, 0],
        ctrllimited=True,
        ctrlrange=[-1.0, 1.0],
    )
    motor.set_to_motor()


def _check(num_legs: int, disabled_legs: Iterable[int]) -> tuple[int, ...]:
    """Return the disabled legs, or raise ValueError for a body that cannot be built."""
    check_num_legs(num_legs, MIN_LEGS, MAX_LEGS)
    disabled = tuple(disabled_legs)
    wrong = [leg for leg in disabled if isinstance(leg, bool) or leg not in range(num_legs)]
    if wrong:
        raise ValueError(
            f"disabled_legs: expected leg numbers from 0 to {num_legs - 1}, found {wrong}."
        )
    if len(set(disabled)) < len(disabled):
        raise ValueError(f"disabled_legs: expected every leg once, found {list(disabled)}.")
    return disabled


def _motors(num_legs: int, disabled: tuple[int, ...]) -> list[tuple[str, float]]:
    """Return (joint, gear) of every motor, in the order of the controls."""
    motors = []
    for leg in range(num_legs):
        if leg not in disabled:
            hip = f"lefthip_{leg}" if leg % 2 == 0 else f"righthip_{leg}"
            motors += [(hip, LEG_GEAR), (f"ankle_{leg}", LEG_GEAR)]
        if leg % 2 == 1 and leg > 1:
            torso = leg // 2
            motors += [(f"body_{torso}", TORSO_GEAR), (f"bodyupdown_{torso}", TORSO_GEAR)]
    return motors


def _frame(spec: mujoco.MjSpec, length: float) -> None:
    """Hold a body of `length` (m) in the picture: camera `track`, light and distances of view."""
    middle = (length - TORSO_OFFSET) / 2
    distance = 1.8 + 1.2 * length
    spec.body("torso_0").add_camera(
        name="track",
        mode=mujoco.mjtCamLight.mjCAMLIGHT_TRACKCOM,
        pos=[middle + 0.45 * distance, -0.75 * distance, 0.5 * distance - 0.25],
        xyaxes=[0.857, 0.514, 0, -0.2555, 0.4257, 0.8681],
    )
    # Low, because a high light leaves stripes on the floor: the shadow map's depth is coarse
    spec.light("sun").pos = [middle, 0.0, 1.0]
    spec.stat.extent = 2.0 + length
    spec.stat.center = [middle, 0.0, 0.5]
    spec.stat.meansize = 0.25

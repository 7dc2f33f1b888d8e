"""Facts of the compiled Centipedes, from the published dimensions."""

import math
import os
from collections import Counter

import mujoco
import numpy as np
import pytest

from morphzoo.envs import bodies
from morphzoo.envs.bodies import MAX_LEGS, MIN_LEGS, centipede, xml_folder

# legs: torsos, hinges, motors, nq, nv, bodies with the world
DIMENSIONS = {
    3: (2, 8, 6, 15, 14, 9),
    4: (2, 10, 10, 17, 16, 11),
    5: (3, 14, 12, 21, 20, 14),
    6: (3, 16, 16, 23, 22, 16),
    7: (4, 20, 18, 27, 26, 19),
    8: (4, 22, 22, 29, 28, 21),
    12: (6, 34, 34, 41, 40, 31),
    20: (10, 58, 58, 65, 64, 51),
    40: (20, 118, 118, 125, 124, 101),
    50: (25, 148, 148, 155, 154, 126),
}
MOTORS_6 = """
    lefthip_0 ankle_0 righthip_1 ankle_1 lefthip_2 ankle_2 righthip_3 ankle_3 body_1 bodyupdown_1
    lefthip_4 ankle_4 righthip_5 ankle_5 body_2 bodyupdown_2
""".split()
JOINTS_6 = """
    root lefthip_0 ankle_0 righthip_1 ankle_1 body_1 bodyupdown_1 lefthip_2 ankle_2 righthip_3
    ankle_3 body_2 bodyupdown_2 lefthip_4 ankle_4 righthip_5 ankle_5
""".split()
# axis, anchor, range (degrees), gear
HINGES = {
    "body": ((0, 0, 1), (-0.25, 0, 0), (-20, 20), 100),
    "bodyupdown": ((0, 1, 0), (-0.25, 0, 0), (-10, 30), 100),
    "lefthip": ((0, 0, 1), (0, 0, 0), (-40, 40), 150),
    "righthip": ((0, 0, 1), (0, 0, 0), (-40, 40), 150),
    "ankle of an even leg": ((1, 0, 0), (0, 0, 0), (30, 100), 150),
    "ankle of an odd leg": ((-1, 0, 0), (0, 0, 0), (30, 100), 150),
}


def names(model, kind):
    count = {"joint": model.njnt, "actuator": model.nu, "body": model.nbody, "geom": model.ngeom}
    return [getattr(model, kind)(i).name for i in range(count[kind])]


def hinge_kind(name):
    stem, number = name.split("_")
    if stem == "ankle":
        return "ankle of an even leg" if int(number) % 2 == 0 else "ankle of an odd leg"
    return stem


@pytest.mark.parametrize("num_legs", DIMENSIONS)
def test_dimension_table(num_legs):
    model = centipede(num_legs)
    torsos = [name for name in names(model, "body") if name.startswith("torso_")]
    found = (len(torsos), model.njnt - 1, model.nu, model.nq, model.nv, model.nbody)
    assert found == DIMENSIONS[num_legs]


def test_every_size_is_built_and_has_the_dimensions_of_the_formulas():
    for n in range(MIN_LEGS, MAX_LEGS + 1):
        model, odd = centipede(n), n % 2
        expected = (3 * n - 1, 3 * n - 3, 3 * n + 6) if odd else (3 * n - 2, 3 * n - 2, 3 * n + 5)
        assert (model.njnt - 1, model.nu, model.nq) == expected
        assert model.nbody == 2 * n + math.ceil(n / 2) + 1


@pytest.mark.parametrize("num_legs", [4, 6, 8, 20, 50, 100])
def test_mass_is_3_822_kg_a_leg(num_legs):
    assert centipede(num_legs).body_subtreemass[0] / num_legs == pytest.approx(3.822, abs=1e-4)


def test_masses_of_the_parts_follow_from_their_volumes():
    def capsule(length):
        return 25 * (math.pi * 0.08**2 * length + 4 / 3 * math.pi * 0.08**3)

    model = centipede(5)
    for i, name in enumerate(names(model, "body")):
        part = name.split("_")[0]
        sphere = 100 * 4 / 3 * math.pi * 0.25**3
        mass = {"torso": sphere, "legbody": capsule(0.28), "frontFoot": capsule(0.6), "world": 0}
        assert model.body_mass[i] == pytest.approx(mass[part], rel=1e-9)


def test_motors_and_joints_stand_in_the_originals_orders():
    model = centipede(6)
    assert names(model, "actuator") == MOTORS_6
    assert names(model, "joint") == JOINTS_6
    driven = [model.joint(i).name for i in model.actuator_trnid[:, 0]]
    assert driven == MOTORS_6


@pytest.mark.parametrize("num_legs", [3, 6, 9, 20])
def test_hinges_and_motors_have_the_published_constants(num_legs):
    model = centipede(num_legs)
    for i in range(1, model.njnt):
        joint = model.joint(i)
        axis, anchor, degrees, _ = HINGES[hinge_kind(joint.name)]
        np.testing.assert_array_equal(joint.axis, axis)
        np.testing.assert_array_equal(joint.pos, anchor)
        np.testing.assert_allclose(np.rad2deg(joint.range), degrees, rtol=1e-12)
        assert (joint.limited[0], joint.damping[0], joint.armature[0]) == (1, 1, 1)
    for i in range(model.nu):
        motor = model.actuator(i)
        assert motor.gear[0] == HINGES[hinge_kind(motor.name)][3]
        np.testing.assert_array_equal(motor.ctrlrange, (-1, 1))
        assert motor.ctrllimited[0] and motor.gainprm[0] == 1 and not motor.biasprm.any()


def test_root_joint_and_options():
    model = centipede(4)
    root = model.joint("root")
    assert root.type[0] == mujoco.mjtJoint.mjJNT_FREE
    assert not root.damping.any() and not root.armature.any() and not root.limited[0]
    np.testing.assert_array_equal(model.qpos0[:7], (0, 0, 0.75, 1, 0, 0, 0))
    option, default = model.opt, mujoco.MjModel.from_xml_string("<mujoco/>").opt
    assert (option.timestep, option.integrator) == (0.01, mujoco.mjtIntegrator.mjINT_RK4)
    for name in ("solver", "cone", "iterations", "tolerance", "impratio", "jacobian"):
        assert getattr(option, name) == getattr(default, name)
    np.testing.assert_array_equal(option.gravity, default.gravity)


def test_geoms_have_the_published_constants():
    model = centipede(5)
    radius = {"torso": 0.25, "legbody": 0.08, "frontFoot": 0.08}
    default = mujoco.MjModel.from_xml_string(
        "<mujoco><worldbody><geom size='1'/></worldbody></mujoco>"
    )
    for i in range(model.ngeom):
        geom = model.geom(i)
        np.testing.assert_array_equal(geom.friction, (1.5, 0.1, 0.1))
        assert (geom.margin[0], geom.condim[0], geom.contype[0]) == (0.01, 3, 1)
        assert geom.conaffinity[0] == (geom.name == "floor")
        np.testing.assert_array_equal(model.geom_solref[i], default.geom_solref[0])
        np.testing.assert_array_equal(model.geom_solimp[i], default.geom_solimp[0])
        if geom.name != "floor":
            assert geom.size[0] == radius[geom.name.split("_")[0]]


def test_parts_stand_where_they_should_with_feet_pointing_down():
    model = centipede(5)
    data = mujoco.MjData(model)
    for leg in range(5):
        data.joint(f"ankle_{leg}").qpos = np.deg2rad(90)
    mujoco.mj_kinematics(model, data)
    for torso in range(3):
        np.testing.assert_allclose(data.body(f"torso_{torso}").xpos, (0.5 * torso, 0, 0.75))
    for leg in range(5):
        x, side = 0.5 * (leg // 2), -1 if leg % 2 == 0 else 1
        np.testing.assert_allclose(data.body(f"legbody_{leg}").xpos, (x, side * 0.28, 0.75))
        np.testing.assert_allclose(data.body(f"frontFoot_{leg}").xpos, (x, side * 0.56, 0.75))
        middle = data.geom(f"frontFoot_{leg}").xpos
        np.testing.assert_allclose(middle, (x, side * 0.56, 0.45), atol=1e-12)


@pytest.mark.parametrize("num_legs", [5, 12])
def test_parts_touch_the_floor_and_never_each_other(num_legs):
    model = centipede(num_legs)
    data, rng = mujoco.MjData(model), np.random.default_rng(num_legs)
    touching = Counter()
    for _ in range(300):
        data.ctrl = rng.uniform(-1, 1, model.nu)
        mujoco.mj_step(model, data, nstep=5)
        floor = model.geom("floor").id
        assert all(floor in pair for pair in data.contact.geom)
        touching.update(model.geom(int(max(pair))).name for pair in data.contact.geom)
    assert {f"frontFoot_{leg}" for leg in range(num_legs)} <= touching.keys()


def test_contact_forces_are_computed_by_a_forward_pass_and_the_worlds_are_zero():
    model = centipede(6)
    data = mujoco.MjData(model)
    data.qpos[2] = 0.2  # every torso 5 cm deep in the floor
    mujoco.mj_forward(model, data)
    forces = data.cfrc_ext
    assert (forces[[model.body(f"torso_{k}").id for k in range(3)], 5] > 1.0).all()
    assert not forces[0].any()


def test_disabled_legs_lose_their_motors_and_nothing_else():
    whole, crippled = centipede(6), centipede(6, disabled_legs=(0, 1))
    assert crippled.nu == 3 * 6 - 6
    assert names(crippled, "actuator") == MOTORS_6[4:]
    assert names(crippled, "joint") == JOINTS_6
    assert crippled.body_subtreemass[0] == whole.body_subtreemass[0]
    assert names(centipede(5, [4]), "actuator") == MOTORS_6[:10]


def test_torso_hinges_of_an_odd_bodys_last_segment_swing_freely():
    model = centipede(5)
    assert names(model, "actuator") == MOTORS_6[:10] + ["lefthip_4", "ankle_4"]
    assert {"body_2", "bodyupdown_2"} <= set(names(model, "joint"))


@pytest.mark.parametrize("num_legs", [2, 0, -6, 101, 6.0, "6", None, True])
def test_bodies_that_cannot_be_built_are_refused(num_legs):
    with pytest.raises(ValueError, match="num_legs: expected a whole number from 3 to 100, found"):
        centipede(num_legs)


@pytest.mark.parametrize("disabled", [(6,), (-1,), (0, 7), (0.5,), ("0",), (True,)])
def test_legs_that_do_not_exist_cannot_be_disabled(disabled):
    with pytest.raises(ValueError, match="disabled_legs: expected leg numbers from 0 to 5"):
        centipede(6, disabled)


def test_a_leg_is_disabled_once():
    with pytest.raises(ValueError, match="expected every leg once, found"):
        centipede(6, (0, 1, 0))


def test_every_element_has_a_name_of_its_own():
    model = centipede(7)
    for kind in ("joint", "actuator", "body", "geom"):
        found = names(model, kind)
        assert all(found) and len(set(found)) == len(found)


def test_building_is_deterministic_silent_and_leaves_no_file(tmp_path, monkeypatch, capfd):
    monkeypatch.chdir(tmp_path)
    paths = [tmp_path / name for name in ("first.mjb", "second.mjb")]
    for path in paths:
        mujoco.mj_saveModel(centipede(np.int64(6)), str(path))
    assert paths[0].read_bytes() == paths[1].read_bytes()
    assert sorted(os.listdir(tmp_path)) == ["first.mjb", "second.mjb"]
    assert capfd.readouterr() == ("", "")


def test_parts_can_be_opened_by_themselves():
    for path in sorted(xml_folder().glob("*.xml")):
        count = mujoco.MjModel.from_xml_path(str(path)).nbody
        assert count > 1 or path.name == "scenery.xml"


def test_a_missing_xml_folder_says_where_it_was_looked_for(tmp_path, monkeypatch):
    monkeypatch.setattr(bodies, "__file__", str(tmp_path / "morphzoo" / "envs" / "bodies.py"))
    with pytest.raises(FileNotFoundError, match=r"centipede\.xml.*Reinstall morphzoo"):
        xml_folder()
    (tmp_path / "xml").mkdir()
    (tmp_path / "xml" / "centipede.xml").touch()
    assert xml_folder() == tmp_path / "xml"
    (tmp_path / "morphzoo" / "xml").mkdir(parents=True)
    (tmp_path / "morphzoo" / "xml" / "centipede.xml").touch()
    assert xml_folder() == tmp_path / "morphzoo" / "xml"

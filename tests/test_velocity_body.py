"""Facts of the compiled target-velocity Ants; and that their solver converges."""

import math

import gymnasium as gym
import mujoco
import numpy as np
import pytest
from mujoco import rollout

from morphzoo.envs.velocity_body import (
    DRIVES,
    leg_direction,
    points_back,
    side,
    velocity_ant,
)

# legs: hinges, motors, nq, nv, bodies with the world, mass (kg)
DIMENSIONS = {
    2: (4, 4, 11, 10, 8, 0.6191),
    3: (6, 6, 13, 12, 11, 0.7650),
    4: (8, 8, 15, 14, 14, 0.9109),
    5: (10, 10, 17, 16, 17, 1.0568),
    6: (12, 12, 19, 18, 20, 1.2027),
    7: (14, 14, 21, 20, 23, 1.3486),
    8: (16, 16, 23, 22, 26, 1.4945),
}
JOINTS_4 = "hip_1 ankle_1 hip_2 ankle_2 hip_3 ankle_3 hip_4 ankle_4".split()
TORQUES_4 = "hip_4 ankle_4 hip_1 ankle_1 hip_2 ankle_2 hip_3 ankle_3".split()
drives = pytest.mark.parametrize("actuators", DRIVES)


def names(model, kind, count):
    return [getattr(model, kind)(i).name for i in range(count)]


# --- the body -------------------------------------------------------------------------------------


@pytest.mark.parametrize("num_legs", DIMENSIONS)
@drives
def test_dimension_table(num_legs, actuators):
    model = velocity_ant(num_legs, (), actuators)
    found = (model.njnt - 1, model.nu, model.nq, model.nv, model.nbody)
    assert found == DIMENSIONS[num_legs][:-1]
    assert model.body_subtreemass[0] == pytest.approx(DIMENSIONS[num_legs][-1], abs=5e-5)
    assert model.npair == num_legs


def test_masses_of_the_parts_follow_from_their_volumes():
    def capsule(length):
        return 5 * (math.pi * 0.08**2 * length + 4 / 3 * math.pi * 0.08**3)

    model, diagonal = velocity_ant(5), math.sqrt(2)
    part = {"torso": 5 * 4 / 3 * math.pi * 0.25**3, "foot": capsule(0.4 * diagonal)}
    part |= dict.fromkeys(("base", "leg"), capsule(0.2 * diagonal))
    for i in range(1, model.nbody):
        name = model.body(i).name.split("_")[0]
        assert model.body_mass[i] == pytest.approx(part[name], rel=1e-9), name


@drives
def test_four_legs_are_gymnasiums_ant_with_the_references_changes_to_the_last_bit(actuators):
    """Every array about bodies, joints and motors, against the file that Gymnasium brings along."""
    theirs = mujoco.MjModel.from_xml_path(gym.envs.mujoco.mujoco_env.expand_model_path("ant.xml"))
    ours, drive = velocity_ant(4, (), actuators), DRIVES[actuators]
    fields = [name for name in dir(ours) if name.startswith(("body_", "jnt_"))]
    spared = {"body_contype", "body_conaffinity", "body_margin", "body_bvhadr", "body_bvhnum"}
    compared = 0
    for name in sorted(set(fields) - spared):
        one, other = getattr(ours, name), np.array(getattr(theirs, name))
        if not isinstance(one, np.ndarray) or name == "body_invweight0":
            continue  # which follows from the armature
        if name == "body_pos":
            other[1] = 0.0  # the height is the keyframe's
        np.testing.assert_array_equal(one, other, err_msg=name)
        compared += 1
    assert compared > 30
    free, hinges = slice(0, 6), slice(6, 14)
    for name in ("armature", "damping"):
        values = getattr(ours, f"dof_{name}")
        assert not values[free].any() and (values[hinges] == getattr(drive, name)).all()
    assert (ours.dof_frictionloss == drive.frictionloss).all()  # the root's too: RL-X's default
    assert names(ours, "joint", 9) == ["root", *JOINTS_4]
    degrees = np.rad2deg(ours.jnt_range[1:])
    ankles = [(30, 70), (-70, -30), (-70, -30), (30, 70)]
    np.testing.assert_allclose(degrees[0::2], [(-30, 30)] * 4)
    np.testing.assert_allclose(degrees[1::2], ankles)


def test_torque_motors_are_the_originals():
    model = velocity_ant(4)
    assert names(model, "actuator", 8) == TORQUES_4
    assert [model.joint(int(j)).name for j in model.actuator_trnid[:, 0]] == TORQUES_4
    assert (model.actuator_gear[:, 0] == 150).all()
    assert (model.actuator_ctrlrange == (-1, 1)).all() and model.actuator_ctrllimited.all()
    assert (model.actuator_gainprm[:, 0] == 1).all() and not model.actuator_biasprm.any()
    assert (
        names(velocity_ant(3), "actuator", 6) == "hip_3 ankle_3 hip_1 ankle_1 hip_2 ankle_2".split()
    )


def test_the_first_motor_moves_the_last_leg():
    model = velocity_ant(4)
    data = mujoco.MjData(model)
    data.ctrl[0] = 1.0
    mujoco.mj_forward(model, data)
    moved = np.flatnonzero(data.qfrc_actuator)
    assert moved.tolist() == [model.joint("hip_4").dofadr[0]]
    assert data.qfrc_actuator[moved] == 150


def test_servos_are_the_originals():
    model = velocity_ant(4, (), "position")
    assert names(model, "actuator", 8) == JOINTS_4
    assert (model.actuator_gainprm[:, 0] == 20).all()
    np.testing.assert_array_equal(model.actuator_biasprm[:, :3], [(0, -20, -0.5)] * 8)
    assert (model.actuator_forcerange == (-150, 150)).all() and model.actuator_forcelimited.all()
    assert not model.actuator_ctrllimited.any() and (model.actuator_gear[:, 0] == 1).all()


@drives
def test_options_contacts_and_the_home_pose(actuators):
    model = velocity_ant(4, (), actuators)
    option = model.opt
    assert option.timestep == {"torque": 0.01, "position": 0.005}[actuators]
    assert option.integrator == mujoco.mjtIntegrator.mjINT_EULER
    assert option.solver == mujoco.mjtSolver.mjSOL_NEWTON
    assert option.cone == mujoco.mjtCone.mjCONE_PYRAMIDAL
    assert option.disableflags == int(mujoco.mjtDisableBit.mjDSBL_EULERDAMP)
    assert (option.iterations, option.ls_iterations, option.tolerance) == (20, 20, 1e-12)
    assert not model.geom_contype.any() and not model.geom_conaffinity.any()
    touching = {frozenset((model.geom(a).name, model.geom(b).name)) for a, b in
                zip(model.pair_geom1, model.pair_geom2, strict=True)}  # fmt: skip
    assert touching == {frozenset((f"foot_{leg}", "floor")) for leg in (1, 2, 3, 4)}
    assert (model.pair_dim == 3).all() and not model.pair_margin.any()
    np.testing.assert_array_equal(model.pair_friction, [(1, 1, 0.005, 1e-4, 1e-4)] * 4)
    np.testing.assert_array_equal(model.pair_solref, [(0.02, 1)] * 4)
    home = {
        "torque": [0, 0, 0.75, 1, 0, 0, 0] + 8 * [0],
        "position": [0, 0, 0.61, 1, 0, 0, 0, 0, 1.2, 0, -1.2, 0, -1.2, 0, 1.2],
    }
    assert model.key("home").qpos.tolist() == home[actuators]


@pytest.mark.parametrize("num_legs", DIMENSIONS)
def test_legs_stand_all_around_and_mirror_each_other(num_legs):
    model = velocity_ant(num_legs)
    data = mujoco.MjData(model)
    for leg in range(1, num_legs + 1):  # as steep as the ankles allow
        data.joint(f"ankle_{leg}").qpos = -1.0 if points_back(leg, num_legs) else 1.0
    mujoco.mj_kinematics(model, data)
    feet = np.array([data.geom(f"foot_{leg}").xpos for leg in range(1, num_legs + 1)])
    np.testing.assert_allclose(feet[::-1] * (1, -1, 1), feet, atol=1e-11)
    azimuth = np.rad2deg(np.arctan2(feet[:, 1], feet[:, 0])) % 360
    expected = [180 / num_legs * (2 * leg - 1) for leg in range(1, num_legs + 1)]
    np.testing.assert_allclose(azimuth, expected, atol=1e-9)
    # Down for every leg: 0.4 on the diagonal, half of it to the middle, at 1 rad
    np.testing.assert_allclose(feet[:, 2], -0.2 * math.sqrt(2) * math.sin(1.0), rtol=1e-9)


def test_sides_and_directions_by_hand():
    assert [leg_direction(leg, 4) for leg in (1, 2, 3, 4)] == [(1, 1), (-1, 1), (-1, -1), (1, -1)]
    assert [points_back(leg, 4) for leg in (1, 2, 3, 4)] == [False, True, True, False]
    assert [side(leg, 4) for leg in (1, 2, 3, 4)] == ["left", "left", "right", "right"]
    assert [side(leg, 3) for leg in (1, 2, 3)] == ["left", "left", "right"]  # 60, 180, 300 degrees
    assert [points_back(leg, 2) for leg in (1, 2)] == [False, False]  # straight to the sides
    assert [points_back(leg, 6) for leg in range(1, 7)] == [False, False, True, True, False, False]


@drives
def test_a_disabled_joint_loses_its_motor_and_nothing_else(actuators):
    whole, crippled = velocity_ant(4, (), actuators), velocity_ant(4, ["ankle_2"], actuators)
    order = {"torque": TORQUES_4, "position": JOINTS_4}[actuators]
    assert names(crippled, "actuator", 7) == [name for name in order if name != "ankle_2"]
    assert names(crippled, "joint", 9) == names(whole, "joint", 9)
    np.testing.assert_array_equal(crippled.body_mass, whole.body_mass)
    np.testing.assert_array_equal(crippled.dof_damping, whole.dof_damping)


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ((1,), "num_legs: expected a whole number from 2 to 8, found 1"),
        ((9,), "num_legs: expected a whole number from 2 to 8, found 9"),
        ((4.0,), r"num_legs: .* found 4\.0"),
        ((True,), "num_legs: .* found True"),
        ((4, ["ankle_5"]), r"disabled_joints: expected some of hip_1, .*, found \['ankle_5'\]"),
        ((4, [2]), r"disabled_joints: .* found \[2\]"),
        ((4, "hip_1"), r"found the text 'hip_1'. Write \['hip_1'\]"),
        ((4, ["hip_1", "hip_1"]), "expected every joint once"),
        ((2, ["hip_1", "ankle_1", "hip_2", "ankle_2"]), "at least one joint with a motor"),
        ((4, (), "muscle"), "actuators: expected torque or position, found 'muscle'"),
    ],
)
def test_bodies_that_cannot_be_built_are_refused(arguments, message):
    with pytest.raises(ValueError, match=message):
        velocity_ant(*arguments)


def test_building_is_deterministic_and_silent(tmp_path, monkeypatch, capfd):
    monkeypatch.chdir(tmp_path)
    for name in ("first.mjb", "second.mjb"):
        mujoco.mj_saveModel(velocity_ant(np.int64(5), (), "position"), name)
    files = sorted(tmp_path.iterdir())
    assert [path.name for path in files] == ["first.mjb", "second.mjb"]
    assert files[0].read_bytes() == files[1].read_bytes()
    assert capfd.readouterr() == ("", "")


# --- the solver -----------------------------------------------------------------------------------


def controls(model, actuators, steps, seed=0):
    """Random controls, float64[steps, nu]; of servos as random actions in -2..2 give them."""
    rng = np.random.default_rng(seed)
    if actuators == "torque":
        return rng.uniform(-1, 1, (steps, model.nu))
    home = model.key_qpos[0][model.jnt_qposadr[model.actuator_trnid[:, 0]]]
    return home + 0.3 * rng.uniform(-2, 2, (steps, model.nu))


def trajectory(model, wanted, frame_skip, cold):
    """Positions after every step, float64[steps, nq]; cold: the solver starts from nothing."""
    data = mujoco.MjData(model)
    mujoco.mj_resetDataKeyframe(model, data, 0)
    positions = []
    for ctrl in wanted:
        data.ctrl = ctrl
        for _ in range(frame_skip):
            if cold:
                data.qacc_warmstart = 0
            mujoco.mj_step(model, data)
        positions.append(data.qpos.copy())
    return np.stack(positions)


@pytest.mark.parametrize("num_legs", [2, 4, 8])
@drives
def test_physics_does_not_depend_on_where_the_solver_starts(num_legs, actuators):
    """What the page promises; with the originals' single iteration the two part by a metre."""
    model, skip = velocity_ant(num_legs, (), actuators), DRIVES[actuators].frame_skip
    wanted = controls(model, actuators, 200)
    warm, cold = (trajectory(model, wanted, skip, cold) for cold in (False, True))
    assert np.ptp(warm[:, 7:], axis=0).min() > 0.1  # every joint has moved
    np.testing.assert_allclose(cold, warm, rtol=0, atol=1e-6)


@drives
def test_the_originals_single_iteration_does_depend_on_it(actuators):
    """So that the test above can fail."""
    model, skip = velocity_ant(4, (), actuators), DRIVES[actuators].frame_skip
    model.opt.iterations, model.opt.ls_iterations, model.opt.tolerance = 1, 4, 1e-8
    wanted = controls(model, actuators, 200)
    warm, cold = (trajectory(model, wanted, skip, cold) for cold in (False, True))
    assert np.abs(cold - warm).max() > 0.01


@drives
def test_stepping_through_rollout_one_control_at_a_time_is_the_same_physics(actuators):
    """`mujoco.rollout` forgets the solver's start at every call."""
    model, skip = velocity_ant(4, (), actuators), DRIVES[actuators].frame_skip
    wanted = controls(model, actuators, 100)
    expected = trajectory(model, wanted, skip, cold=False)
    data = mujoco.MjData(model)
    mujoco.mj_resetDataKeyframe(model, data, 0)
    full = int(mujoco.mjtState.mjSTATE_FULLPHYSICS)
    state = np.zeros(mujoco.mj_stateSize(model, full))
    mujoco.mj_getState(model, data, state, full)
    for ctrl, position in zip(wanted, expected, strict=True):
        states, _ = rollout.rollout(model, data, state[None], np.tile(ctrl, (1, skip, 1)))
        state = states[0, -1]
        np.testing.assert_allclose(state[1 : 1 + model.nq], position, rtol=0, atol=1e-6)

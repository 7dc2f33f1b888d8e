"""The Centipede's task: observation, reward, termination and start, worked out by other means."""

import mujoco
import numpy as np
import pytest

from morphzoo.envs.centipede import CentipedeEnv, CentipedeTask

# legs: observation with and without contact forces, actions; 21n+7, 6n+7 and 3n-2 for even n
SIZES = {
    3: (13 + 14 + 6 * 8, 27, 6),
    4: (91, 31, 10),
    5: (19 + 20 + 6 * 13, 39, 12),
    6: (133, 43, 16),
    8: (175, 55, 22),
    12: (259, 79, 34),
    20: (427, 127, 58),
}


# --- observation ----------------------------------------------------------------------------------


@pytest.mark.parametrize("num_legs", SIZES)
def test_sizes_of_observation_and_action(num_legs):
    whole = CentipedeTask(num_legs)
    slim = CentipedeTask(num_legs, include_contact_forces=False)
    spaces = (whole.observation_space, slim.observation_space, whole.action_space)
    assert tuple(space.shape[0] for space in spaces) == SIZES[num_legs]


@pytest.mark.parametrize("num_legs", [5, 6])
def test_every_number_is_what_its_column_says(num_legs):
    env = CentipedeEnv(num_legs)
    env.reset(seed=2)
    env.action_space.seed(2)
    for _ in range(12):
        observation = env.step(env.action_space.sample())[0]
        for column, number in zip(env.task.columns, observation, strict=True):
            row = getattr(env.data, column.field)[column.index]
            value = float(np.ravel(row)[column.component])
            limit = 1.0 if column.field == "cfrc_ext" else np.inf
            assert number == np.float32(min(max(value, -limit), limit)), column.name


def test_slim_observation_is_the_beginning_of_the_whole_one():
    whole, slim = CentipedeEnv(6), CentipedeEnv(6, include_contact_forces=False)
    np.testing.assert_array_equal(whole.reset(seed=1)[0][:43], slim.reset(seed=1)[0])
    ours, theirs = whole.step(np.ones(16)), slim.step(np.ones(16))
    np.testing.assert_array_equal(ours[0][:43], theirs[0])
    assert ours[1] == theirs[1]


def test_fields_describe_the_state_after_the_step_and_no_warm_start_is_lost():
    env = CentipedeEnv(4)
    env.reset(seed=0)
    model, data = env.model, mujoco.MjData(env.model)
    data.qpos, data.qvel = env.data.qpos, env.data.qvel
    mujoco.mj_forward(model, data)
    for _ in range(10):
        action = np.full(10, 0.7)
        observation = env.step(action)[0]
        data.ctrl = action
        for _ in range(5):
            mujoco.mj_step(model, data)
        mujoco.mj_forward(model, data)
        forces = np.clip(data.cfrc_ext[1:], -1, 1).ravel()
        expected = np.concatenate([data.qpos[2:], data.qvel, forces]).astype(np.float32)
        np.testing.assert_array_equal(observation, expected)


def test_contact_forces_are_live_right_after_reset(monkeypatch):
    env = CentipedeEnv(6)
    qpos = env.model.qpos0.copy()
    for leg in range(6):
        qpos[env.model.joint(f"ankle_{leg}").qposadr] = np.deg2rad(90)
    qpos[2] = 0.6 + 0.08 - 0.005  # feet straight down, 5 mm deep in the floor
    monkeypatch.setattr(env.task, "initial_state", lambda rng: (qpos, np.zeros(env.model.nv)))
    observation, _ = env.reset(seed=0)
    names = [column.name for column in env.task.columns]
    upward = [observation[names.index(f"frontFoot_{leg}.cfrc_ext[5]")] for leg in range(6)]
    # each foot carries some 37 N of the robot's weight, far above the clip
    assert upward == [1.0] * 6
    assert not observation[43:49].any()  # torso 0 is in the air


# --- reward ---------------------------------------------------------------------------------------


@pytest.mark.parametrize("num_legs", [4, 5])
def test_reward_is_the_papers_formula_on_fixed_actions(num_legs):
    env = CentipedeEnv(num_legs)
    env.reset(seed=7)
    model, data = env.model, mujoco.MjData(env.model)
    data.qpos, data.qvel = env.data.qpos, env.data.qvel
    mujoco.mj_forward(model, data)
    last = {4: "torso_1", 5: "torso_2"}[num_legs]
    for t in range(15):
        action = 1.6 * np.sin(t + np.arange(model.nu))  # beyond the control range, too
        before = data.body(last).xpos[0]
        data.ctrl = action
        mujoco.mj_step(model, data, nstep=5)
        mujoco.mj_forward(model, data)
        forward = (data.body(last).xpos[0] - before) / 0.05
        control = 2 / num_legs * sum(float(a) ** 2 for a in action)
        contact = sum(min(max(float(f), -1.0), 1.0) ** 2 for f in data.cfrc_ext.ravel())
        contact *= 0.002 / num_legs
        _, reward, _, _, info = env.step(action)
        assert info["reward_forward"] == pytest.approx(forward, rel=1e-12)
        assert info["reward_ctrl"] == pytest.approx(-control, rel=1e-12)
        assert info["reward_contact"] == pytest.approx(-contact, rel=1e-12)
        assert info["reward_survive"] == 1.0
        assert reward == pytest.approx(forward - control - contact + 1, rel=1e-12)


def test_reward_of_two_rows_by_hand():
    task = CentipedeTask(4)
    xpos = np.zeros((2, 11, 3))
    xpos[:, task.model.body("torso_1").id] = [(0.7, 0.1, 0.6), (0.4, 0.0, 0.6)]
    forces = np.zeros((2, 11, 6))
    forces[0, 3] = (0.5, 0, 0, -7, 0, 2)  # clipped: 0.25 + 1 + 1
    fields = {"qpos": np.zeros((2, 17)), "qvel": np.zeros((2, 16)), "xpos": xpos}
    fields |= {"cfrc_ext": forces}
    action = np.zeros((2, 10))
    action[1, :3] = (2, -1, 1)  # squares sum to 6, unclipped
    variables = {"position": np.array([(0.6, 0.1), (0.5, 0.0)])}
    terms = task.reward(fields, action, variables)
    np.testing.assert_allclose(terms["reward_forward"], (2.0, -2.0), rtol=1e-12)
    np.testing.assert_allclose(terms["reward_ctrl"], (0.0, -3.0))
    np.testing.assert_allclose(terms["reward_contact"], (-0.002 / 4 * 2.25, 0.0))
    np.testing.assert_array_equal(terms["reward_survive"], (1, 1))
    np.testing.assert_allclose(task.total(terms), (2 - 0.001125 + 1, -2 - 3 + 1))
    moved = task.advance(fields, variables)
    np.testing.assert_array_equal(moved["position"], [(0.7, 0.1), (0.4, 0.0)])
    assert not np.shares_memory(moved["position"], xpos)


def test_weights_scale_their_terms_alone():
    plain = CentipedeEnv(6)
    weighted = CentipedeEnv(
        6,
        forward_reward_weight=3.0,
        ctrl_cost_weight=1.0,
        contact_cost_weight=4e-3,
        healthy_reward=0.5,
    )
    factors = (3.0, 0.5, 2.0, 0.5)
    plain.reset(seed=0), weighted.reset(seed=0)
    largest = dict.fromkeys(plain.task.reward_terms, 0.0)
    for t in range(25):
        action = np.sin(t + np.arange(16))
        ours, theirs = weighted.step(action)[4], plain.step(action)[4]
        for term, factor in zip(plain.task.reward_terms, factors, strict=True):
            assert ours[term] == pytest.approx(factor * theirs[term])
            largest[term] = max(largest[term], abs(theirs[term]))
    assert all(largest.values())  # every term has mattered


def test_without_use_for_contact_forces_they_are_not_read():
    task = CentipedeTask(6, include_contact_forces=False, contact_cost_weight=0.0)
    assert task.fields == ("qpos", "qvel", "xpos")
    env = CentipedeEnv(6, include_contact_forces=False, contact_cost_weight=0.0)
    env.reset(seed=0)
    assert env.step(np.ones(16))[4]["reward_contact"] == 0


def test_survival_is_paid_on_the_terminating_step():
    env = CentipedeEnv(4)
    env.reset(seed=0)
    for _ in range(1000):
        _, _, terminated, _, info = env.step(np.zeros(10))
        assert info["reward_survive"] == 1.0
        if terminated:
            return
    pytest.fail("A four-legged body that does nothing falls within 1000 steps.")


# --- rows, and other array libraries --------------------------------------------------------------


def some_states(task, num):
    """Fields of `num` different states in mid-air and on the floor."""
    data = mujoco.MjData(task.model)
    rows = []
    for seed in range(num):
        rng = np.random.default_rng(seed)
        data.qpos, data.qvel = task.initial_state(rng)
        mujoco.mj_step(task.model, data, nstep=30)
        mujoco.mj_forward(task.model, data)
        rows.append({name: getattr(data, name).copy() for name in task.fields})
    return {name: np.stack([row[name] for row in rows]) for name in task.fields}


def results_of(task, fields, action):
    variables = task.begin(fields, [])
    variables["position"] = variables["position"] - 0.01
    terms = task.reward(fields, action, variables)
    return {
        **terms,
        **task.metrics(fields, variables),
        "total": task.total(terms),
        "observation": task.observe(fields, variables),
        "terminated": task.terminated(fields, variables),
    }


@pytest.mark.parametrize("num_legs", [5, 50])
def test_a_row_does_not_depend_on_the_other_rows_bit_for_bit(num_legs):
    task = CentipedeTask(num_legs)
    fields = some_states(task, 7)
    action = np.random.default_rng(0).normal(size=(7, task.model.nu))
    together = results_of(task, fields, action)
    column_major = results_of(task, fields, np.asfortranarray(action))
    for row in range(7):
        one = slice(row, row + 1)
        alone = results_of(task, {name: f[one] for name, f in fields.items()}, action[one])
        for name, values in alone.items():
            np.testing.assert_array_equal(values[0], together[name][row], err_msg=name)
            np.testing.assert_array_equal(values[0], column_major[name][row], err_msg=name)


def test_torch_tensors_give_the_same_numbers():
    torch = pytest.importorskip("torch")
    task = CentipedeTask(6)
    fields = some_states(task, 3)
    action = np.random.default_rng(0).normal(size=(3, 16))
    tensors = {name: torch.from_numpy(values) for name, values in fields.items()}
    ours = results_of(task, fields, action)
    theirs = results_of(task, tensors, torch.from_numpy(action))
    for name, values in theirs.items():
        assert isinstance(values, torch.Tensor)
        np.testing.assert_allclose(values.numpy(), ours[name], rtol=1e-12, err_msg=name)


def test_no_rows_are_fine():
    task = CentipedeTask(6)
    fields = {name: values[:0] for name, values in some_states(task, 1).items()}
    results = results_of(task, fields, np.zeros((0, 16)))
    assert results.pop("observation").shape == (0, 133)
    assert {values.shape for values in results.values()} == {(0,)}


# --- termination ----------------------------------------------------------------------------------


def standing(task, rows):
    """Fields of a straight body at 0.75 m."""
    model = task.model
    xpos = np.zeros((rows, model.nbody, 3))
    for k in range(3):
        xpos[:, model.body(f"torso_{k}").id] = (0.5 * k, 0.0, 0.75)
    return {"qpos": np.zeros((rows, model.nq)), "qvel": np.zeros((rows, model.nv)), "xpos": xpos}


@pytest.mark.parametrize("torso", [0, 1, 2])
def test_a_torso_too_low_or_too_high_terminates(torso):
    task = CentipedeTask(6)
    heights = (0.35, 0.3500001, 1.15, 1.1499999, 0.2, 2.0, np.nan, np.inf)
    fields = standing(task, len(heights))
    fields["xpos"][:, task.model.body(f"torso_{torso}").id, 2] = heights
    expected = [True, False, True, False, True, True, True, True]
    assert task.terminated(fields, {}).tolist() == expected


@pytest.mark.parametrize("sign", [1, -1])
@pytest.mark.parametrize("torso", [0, 2])
def test_neighbouring_torsos_too_far_apart_along_y_terminate(torso, sign):
    task = CentipedeTask(6)
    aside = (0.45, 0.4499999, 0.6, np.nan)
    fields = standing(task, len(aside))
    fields["xpos"][:, task.model.body(f"torso_{torso}").id, 1] = sign * np.array(aside)
    assert task.terminated(fields, {}).tolist() == [True, False, True, True]


def test_sideways_counts_between_neighbours_only_and_x_not_at_all():
    task = CentipedeTask(6)
    fields = standing(task, 1)
    for k in range(3):
        fields["xpos"][0, task.model.body(f"torso_{k}").id, :2] = (-1000.0, 5 + 0.44 * k)
    fields["xpos"][0, task.model.body("frontFoot_0").id] = (9, 9, 9)  # legs may be anywhere
    assert task.terminated(fields, {}).tolist() == [False]


def test_a_state_that_is_not_finite_terminates():
    task = CentipedeTask(6)
    fields = standing(task, 3)
    fields["qpos"][0, 9] = np.nan
    fields["qvel"][1, 21] = -np.inf
    assert task.terminated(fields, {}).tolist() == [True, True, False]

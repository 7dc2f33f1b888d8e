"""The target-velocity Ant's task: observation, reward, commands, start and end, by other means."""

import json
import math

import gymnasium as gym
import mujoco
import numpy as np
import pytest
from scipy.spatial.transform import Rotation

import morphzoo  # noqa: F401  (registers the ids)
from morphzoo.envs.simulation import Simulation
from morphzoo.envs.velocity import AntVelocityEnv, AntVelocityTask
from morphzoo.envs.velocity_task import down, into_frame

RANGE = ((0.5, 2.5), (-0.5, 0.5))
KINDS = {
    "torque": {},
    "servo": {"actuators": "position"},
    "command": {"command_range": RANGE},
    "crippled": {"disabled_joints": ["ankle_2"], "num_legs": 3},
}
kinds = pytest.mark.parametrize("kind", KINDS)
QUARTER = math.sqrt(0.5)
LEFT_TURN = (QUARTER, 0, 0, QUARTER)  # 90 degrees about z: forward is where y points
NOSE_UP = (QUARTER, 0, -QUARTER, 0)  # 90 degrees about y: forward is up


def fields_of(task, rows):
    """Fields of `rows` robots in the home pose at rest."""
    qpos = np.tile(task.model.key_qpos[0], (rows, 1))
    zeros = np.zeros
    return {
        "qpos": qpos,
        "qvel": zeros((rows, task.model.nv)),
        "ctrl": zeros((rows, task.model.nu)),
    }


def reward_of(task, fields, command=(2.0, 0.0)):
    variables = {"command": np.tile(np.array(command, dtype=float), (len(fields["qpos"]), 1))}
    terms = task.reward(fields, np.zeros_like(fields["ctrl"]), variables)
    assert list(terms) == ["reward_velocity"]
    return task.total(terms)


# --- observation ----------------------------------------------------------------------------------


@pytest.mark.parametrize("num_legs", range(2, 9))
def test_sizes_of_observation_and_action(num_legs):
    def sizes(**options):
        task = AntVelocityTask(num_legs, **options)
        return task.observation_space.shape[0], task.action_space.shape[0]

    assert sizes() == sizes(actuators="position") == (6 * num_legs + 10, 2 * num_legs)
    assert sizes(command_range=RANGE) == (6 * num_legs + 12, 2 * num_legs)
    assert sizes(disabled_joints=["hip_2"]) == (6 * num_legs + 9, 2 * num_legs - 1)


def test_the_papers_body_has_34_observations_and_8_actions():
    env = gym.make("morphzoo/AntVelocity-v0")
    assert env.observation_space.shape == (34,) and env.action_space.shape == (8,)
    assert (env.action_space.low == -1).all() and (env.action_space.high == 1).all()
    servos = gym.make("morphzoo/AntVelocityPD-v0")
    assert servos.observation_space.shape == (34,) and servos.action_space.shape == (8,)
    assert env.unwrapped.dt == pytest.approx(0.01) and servos.unwrapped.dt == pytest.approx(0.02)


@pytest.mark.parametrize("servos", [False, True])
def test_every_number_of_an_observation_by_hand(servos):
    kind = {"actuators": "position"} if servos else {}
    task = AntVelocityTask(4, command_range=RANGE, **kind)
    fields = fields_of(task, 1)
    fields["qpos"][0] = [5, 6, 0.7, *LEFT_TURN, *np.arange(8) / 10]
    fields["qvel"][0] = [1, 2, 3, 0.4, 0.5, 0.6, *np.arange(8) + 10]
    fields["ctrl"][0] = np.arange(8) / 8
    found = task.observe(fields, {"command": np.array([[1.5, -0.25]])})
    home = [0, 1.2, 0, -1.2, 0, -1.2, 0, 1.2] if servos else [0] * 8
    expected = [0.7, *(np.arange(8) / 10 - home), *range(10, 18)]
    expected += [2, -1, 3, 0.4, 0.5, 0.6, 0, 0, -1, *np.arange(8) / 8, 1.5, -0.25]
    assert found.dtype == np.float32 and found.shape == (1, 36)
    np.testing.assert_allclose(found[0], expected, atol=1e-6)
    fields["qpos"][0, 3:7] = NOSE_UP  # gravity then points backwards, the velocity's z is forward
    found = task.observe(fields, {"command": np.array([[1.5, -0.25]])})[0]
    np.testing.assert_allclose(found[17:26], [3, 2, -1, 0.4, 0.5, 0.6, -1, 0, 0], atol=1e-6)


def test_observations_stay_within_100():
    task = AntVelocityTask()
    fields = fields_of(task, 1)
    fields["qvel"][0, 6:8] = (1e6, -1e6)
    found = task.observe(fields, {"command": np.zeros((1, 2))})[0]
    assert found[9:11].tolist() == [100, -100] and np.abs(found).max() == 100


def test_turning_into_the_torsos_frame_is_scipys_inverse_rotation():
    rng = np.random.default_rng(0)
    rotation = Rotation.random(50, random_state=1)
    quaternion, vector = rotation.as_quat()[:, [3, 0, 1, 2]], rng.normal(size=(50, 3))
    np.testing.assert_allclose(
        np.stack(into_frame(quaternion, vector), axis=1), rotation.inv().apply(vector), atol=1e-14
    )
    np.testing.assert_allclose(
        np.stack(down(quaternion), axis=1), rotation.inv().apply([0, 0, -1]), atol=1e-14
    )


@kinds
def test_every_number_is_what_its_column_says(kind):
    env = AntVelocityEnv(**KINDS[kind])
    env.reset(seed=2)
    env.action_space.seed(2)
    for _ in range(12):
        observation = env.step(env.action_space.sample())[0]
    data, derived = env.data, 0
    for column, number in zip(env.task.columns, observation, strict=True):
        if column.field in ("qpos", "qvel", "ctrl") and "home" not in column.name:
            assert number == np.float32(getattr(data, column.field)[column.index]), column.name
        else:
            derived += 1
    assert derived == {"torque": 6, "servo": 14, "command": 8, "crippled": 6}[kind]


def test_the_last_control_is_what_was_applied():
    env = AntVelocityEnv()
    assert not env.reset(seed=0)[0][26:].any()
    observation = env.step(np.array([3, -3, 0.5, 0, 0, 0, 0, -1.0]))[0]
    assert observation[26:].tolist() == [1, -1, 0.5, 0, 0, 0, 0, -1]
    servos = AntVelocityEnv(actuators="position")
    assert not servos.reset(seed=0)[0][26:].any()
    observation = servos.step(np.array([1, 1, 0, 0, -20.0, 0, 0, 0]))[0]
    expected = [0.3, 1.5, 0, -1.2, -6, -1.2, 0, 1.2]
    np.testing.assert_allclose(observation[26:], expected, rtol=1e-6)


def test_the_velocity_is_the_change_of_position_seen_from_the_torso():
    """Over one short step; the reference is a difference of positions, turned by MuJoCo's xmat."""
    env = AntVelocityEnv(reset_noise_scale=0.1)
    env.reset(seed=1)
    for _ in range(20):
        env.step(env.action_space.sample())
    model, data = env.model, env.data
    before = data.qpos[:3].copy()
    _, _, _, _, info = env.step(np.zeros(8))
    world = (data.qpos[:3] - before) / model.opt.timestep  # Euler: the new velocity's own step
    local = data.body("torso").xmat.reshape(3, 3).T @ world
    assert info["forward_velocity"] == pytest.approx(local[0], abs=1e-9)
    assert info["sideways_velocity"] == pytest.approx(local[1], abs=1e-9)
    error = math.hypot(local[0] - 2, local[1])
    assert info["velocity_error"] == pytest.approx(error, abs=1e-9)
    assert info["reward_velocity"] == pytest.approx(math.exp(-(error**2) / 0.25), rel=1e-7)


# --- reward ---------------------------------------------------------------------------------------


def test_reward_at_known_velocities():
    task = AntVelocityTask()
    fields = fields_of(task, 6)
    fields["qvel"][:, :2] = [(2, 0), (0, 0), (1, 0), (1.5, 0), (2, 0.5), (-2, 0)]
    fields["qvel"][:, 2:] = 7.0  # up and turning: no matter
    expected = [1, math.exp(-16), math.exp(-4), math.exp(-1), math.exp(-1), math.exp(-64)]
    np.testing.assert_allclose(reward_of(task, fields), expected, rtol=1e-12)


def test_reward_is_seen_from_the_robot():
    task = AntVelocityTask()
    fields = fields_of(task, 3)
    fields["qpos"][1, 3:7], fields["qvel"][1, :3] = LEFT_TURN, (0, 2, 0)
    fields["qpos"][2, 3:7], fields["qvel"][2, :3] = NOSE_UP, (0, 0, 2)
    fields["qvel"][0, 0] = 2
    np.testing.assert_allclose(reward_of(task, fields), 1.0, rtol=1e-12)


def test_a_target_of_ones_own():
    task = AntVelocityTask(target_velocity=[-1, 0.5])
    assert task.target_velocity.tolist() == [-1, 0.5]
    fields = fields_of(task, 2)
    fields["qvel"][:, :2] = [(-1, 0.5), (0, 0)]
    variables = task.begin(fields, [np.random.default_rng(0)] * 2)
    terms = task.reward(fields, np.zeros((2, 8)), variables)
    np.testing.assert_allclose(terms["reward_velocity"], (1, math.exp(-5)), rtol=1e-12)


def test_a_perfect_episode_returns_1000(monkeypatch):
    env = gym.make("morphzoo/AntVelocity-v0")
    env.reset(seed=0)
    model, data = env.unwrapped.model, env.unwrapped.data

    def carried(*_, **__):  # physics that carries the robot at the commanded velocity
        data.qpos[:], data.qvel[:] = model.key_qpos[0], 0
        data.qvel[0] = 2

    monkeypatch.setattr(mujoco, "mj_step", carried)
    total, steps, truncated = 0.0, 0, False
    while not truncated:
        _, reward, terminated, truncated, _ = env.step(np.zeros(8, np.float32))
        total, steps = total + reward, steps + 1
        assert not terminated
    assert (total, steps) == (1000, 1000)


@pytest.mark.parametrize("num_legs", [3, 4, 6])
def test_where_the_robot_heads_does_not_matter(num_legs):
    """Turned about z at the start, it gets the same observations and rewards."""
    straight, turned = AntVelocityEnv(num_legs), AntVelocityEnv(num_legs)
    straight.reset(seed=0), turned.reset(seed=0)
    qpos = turned.data.qpos.copy()
    qpos[3:7] = (math.cos(0.6), 0, 0, math.sin(0.6))
    turned.set_state(qpos, np.zeros(turned.model.nv))
    rng, speeds = np.random.default_rng(0), []
    for _ in range(80):
        action = rng.uniform(-1, 1, straight.model.nu)
        one, other = straight.step(action), turned.step(action)
        np.testing.assert_allclose(other[0], one[0], atol=1e-5)
        assert other[1] == pytest.approx(one[1], rel=1e-5)
        speeds.append(one[4]["forward_velocity"])
    assert np.ptp(speeds) > 0.5
    assert abs(turned.data.qpos[1] - straight.data.qpos[1]) > 1e-3  # it has gone elsewhere


@pytest.mark.parametrize("num_legs", [2, 3, 4, 5, 8])
@pytest.mark.parametrize("actuators", ["torque", "position"])
def test_mirrored_actions_move_the_mirrored_robot(num_legs, actuators):
    """Left and right change places: hips turn the other way, ankles the same."""
    one, other = (AntVelocityEnv(num_legs, actuators=actuators) for _ in range(2))
    one.reset(seed=0), other.reset(seed=0)
    joints = [one.model.joint(int(j)).name for j in one.model.actuator_trnid[:, 0]]
    kinds = [name.split("_") for name in joints]
    partner = [joints.index(f"{kind}_{num_legs + 1 - int(leg)}") for kind, leg in kinds]
    sign = np.array([-1.0 if kind == "hip" else 1.0 for kind, _ in kinds])
    middle = [name for name in joints if name == f"ankle_{(num_legs + 1) / 2:g}"]
    assert len(middle) == num_legs % 2  # its own partner
    rng, sideways = np.random.default_rng(1), 0.0
    for _ in range(40):
        action = rng.uniform(-1, 1, len(joints))
        first, second = one.step(action)[4], other.step(sign * action[partner])[4]
        assert second["forward_velocity"] == pytest.approx(first["forward_velocity"], abs=1e-6)
        assert second["sideways_velocity"] == pytest.approx(-first["sideways_velocity"], abs=1e-6)
        sideways = max(sideways, abs(first["sideways_velocity"]))
    np.testing.assert_allclose(other.data.qpos[:3], one.data.qpos[:3] * (1, -1, 1), atol=1e-6)
    assert sideways > 0.01


# --- commands -------------------------------------------------------------------------------------


def test_commands_are_drawn_uniformly_from_the_range():
    task = AntVelocityTask(command_range=RANGE)
    rngs = [np.random.default_rng(seed) for seed in range(2000)]
    commands = task.begin(fields_of(task, 2000), rngs)["command"]
    assert commands.shape == (2000, 2)
    for k, (low, high) in enumerate(RANGE):
        counts, _ = np.histogram(commands[:, k], bins=10, range=(low, high))
        assert counts.sum() == 2000 and 140 < counts.min() and counts.max() < 260  # 200 +- 4.5 sd
    assert abs(np.corrcoef(commands.T)[0, 1]) < 0.1


def test_a_command_stays_for_its_episode_and_is_seeded():
    env = gym.make("morphzoo/AntVelocityCommand-v0", max_episode_steps=30)
    drawn = []
    for seed in (4, None, None, 4):
        observation, info = env.reset(seed=seed)
        drawn.append(tuple(info["target_velocity"]))
        np.testing.assert_allclose(observation[34:], drawn[-1], rtol=1e-6)
        for _ in range(30):
            observation, _, _, _, info = env.step(np.zeros(8, np.float32))
            assert tuple(info["target_velocity"]) == drawn[-1]
            assert (observation[34:] == np.float32(drawn[-1])).all()
    assert drawn[0] == drawn[3] and len(set(drawn)) == 3
    assert drawn[0] == tuple(gym.utils.seeding.np_random(4)[0].uniform((0.5, -0.5), (2.5, 0.5)))


def test_the_reward_follows_the_rows_own_command():
    env = gym.make_vec("morphzoo/AntVelocityCommand-v0", num_envs=4)
    observation, _ = env.reset(seed=0)
    assert len(np.unique(observation[:, 34:], axis=0)) == 4
    observation, reward, _, _, infos = env.step(np.zeros((4, 8), np.float32))
    error = observation[:, 17:19].astype(float) - observation[:, 34:]
    np.testing.assert_allclose(reward, np.exp(-(error**2).sum(1) / 0.25), rtol=1e-5)
    np.testing.assert_allclose(infos["velocity_error"], np.sqrt((error**2).sum(1)), rtol=1e-5)


def test_a_command_that_is_never_drawn_can_be_given():
    env = gym.make("morphzoo/AntVelocityCommand-v0", target_velocity=(3.0, -1.0))
    before = gym.utils.seeding.np_random(0)[0].bit_generator.state
    for seed in (0, 1):
        observation, info = env.reset(seed=seed)
        assert observation[34:].tolist() == info["target_velocity"].tolist() == [3, -1]
    env.reset(seed=0)
    assert env.unwrapped.np_random.bit_generator.state == before  # nothing was drawn


def test_ranges_of_one_value_and_of_a_saved_recipe():
    task = AntVelocityTask(**json.loads(json.dumps({"command_range": ((1, 1), (0, 0.5))})))
    command = task.begin(fields_of(task, 1), [np.random.default_rng(3)])["command"][0]
    assert command[0] == 1 and 0 < command[1] < 0.5


# --- start and end --------------------------------------------------------------------------------


@pytest.mark.parametrize("env_id", ["morphzoo/AntVelocity-v0", "morphzoo/AntVelocityPD-v0"])
def test_every_episode_begins_in_the_home_pose_at_rest(env_id):
    env = gym.make(env_id).unwrapped
    for seed in (0, 1, None):
        env.reset(seed=seed)
        np.testing.assert_array_equal(env.data.qpos, env.model.key("home").qpos)
        assert not env.data.qvel.any()


def test_noise_in_the_start():
    task = AntVelocityTask(reset_noise_scale=0.1)
    starts = [task.initial_state(np.random.default_rng(seed)) for seed in range(300)]
    qpos, qvel = (np.stack(part) for part in zip(*starts, strict=True))
    np.testing.assert_array_equal(qpos[:, :3], [(0, 0, 0.75)] * 300)
    np.testing.assert_allclose(np.linalg.norm(qpos[:, 3:7], axis=1), 1, rtol=1e-15)
    assert 0.099 < np.abs(qpos[:, 7:]).max() <= 0.1
    assert np.std(qvel) == pytest.approx(0.1, rel=0.05)


def test_heights_that_end_an_episode():
    task = AntVelocityTask()
    heights = (0.2, 0.1999999, 1.0, 1.0000001, 0.6, np.nan, np.inf)
    fields = fields_of(task, len(heights))
    fields["qpos"][:, 2] = heights
    expected = [False, True, False, True, False, True, True]
    assert task.terminated(fields, {}).tolist() == expected
    fields = fields_of(task, 1)
    fields["qpos"][0, 3:7] = (0, 1, 0, 0)  # on its back
    assert task.terminated(fields, {}).tolist() == [False]


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"num_legs": 1}, "num_legs"),
        ({"num_legs": 9}, "num_legs"),
        ({"target_velocity": (np.nan, 0)}, "target_velocity: expected two finite numbers"),
        ({"target_velocity": (2, np.inf)}, "target_velocity: expected two finite numbers"),
        ({"target_velocity": 2.0}, r"target_velocity: .* found 2\.0"),
        ({"target_velocity": (1, 2, 3)}, "target_velocity"),
        ({"target_velocity": "fast"}, "target_velocity"),
        ({"command_range": ((2, 1), (0, 0))}, "command_range: expected .* low <= high"),
        ({"command_range": ((0, np.inf), (0, 0))}, "command_range"),
        ({"command_range": (0, 2)}, "command_range"),
        ({"command_range": ((0, 1), (0,))}, "command_range"),
        ({"disabled_joints": ["knee_1"]}, "disabled_joints"),
        ({"healthy_z_range": (1.0, 0.2)}, "healthy_z_range"),
        ({"reset_noise_scale": -0.1}, "reset_noise_scale: expected 0 or a positive number"),
        ({"reset_noise_scale": np.nan}, "reset_noise_scale"),
        ({"frame_skip": 0}, "frame_skip"),
        ({"actuators": "muscle"}, "actuators"),
    ],
)
def test_arguments_that_make_no_sense_are_refused(options, message):
    for make in (gym.make, gym.make_vec):
        with pytest.raises(ValueError, match=message):
            make("morphzoo/AntVelocity-v0", **options)


# --- the graph ------------------------------------------------------------------------------------


def test_graph_of_four_legs_by_hand():
    graph = AntVelocityTask(command_range=RANGE).graph
    assert [node.name for node in graph.nodes] == [
        "root", "hip_1", "ankle_1", "hip_2", "ankle_2", "hip_3", "ankle_3", "hip_4", "ankle_4",
    ]  # fmt: skip
    assert [node.type for node in graph.nodes][1::2] == [
        "lefthip", "lefthip", "righthip", "righthip",
    ]  # fmt: skip
    assert {node.type for node in graph.nodes[2::2]} == {"ankle"}
    assert [node.parent for node in graph.nodes] == [-1, 0, 1, 0, 3, 0, 5, 0, 7]
    assert [node.action for node in graph.nodes] == [None, 2, 3, 4, 5, 6, 7, 0, 1]
    assert graph.nodes[0].columns == (0, *range(17, 26), 34, 35)
    assert graph.nodes[1].columns == (1, 9, 28)
    assert graph.nodes[8].columns == (8, 16, 27)


@pytest.mark.parametrize("num_legs", range(2, 9))
@kinds
def test_every_body_has_the_same_types_and_features_and_each_column_one_owner(num_legs, kind):
    options = {**KINDS[kind], "num_legs": num_legs}
    graph = AntVelocityTask(**options).graph
    assert graph.types == ("ankle", "lefthip", "righthip", "root")
    owned = sorted(column for node in graph.nodes for column in node.columns)
    assert owned == list(range(graph.observation_size)) and graph.dropped == ()
    reference = AntVelocityTask(**{**KINDS[kind], "num_legs": 4}).graph
    for part in ("root", "joint"):
        assert graph.features(part) == reference.features(part)
    commands = [f for f in graph.nodes[0].features if f.startswith("task:")]
    assert commands == ["task:command[0]", "task:command[1]"] * (kind == "command")
    if kind == "crippled":
        (limp,) = (node for node in graph.nodes if node.name == "ankle_2")
        assert limp.action is None and "ctrl[0]" not in limp.features


def test_servos_show_other_features_than_torques():
    torque, servo = (AntVelocityTask(actuators=a).graph for a in ("torque", "position"))
    assert torque.features("joint")[0] == "qpos[0]" != servo.features("joint")[0]


# --- rows, threads, other array libraries, the state ----------------------------------------------


def results_of(task, fields, action, variables):
    terms = task.reward(fields, action, variables)
    return {
        **terms,
        **task.metrics(fields, variables),
        "total": task.total(terms),
        "control": task.control(action),
        "observation": task.observe(fields, variables),
        "terminated": task.terminated(fields, variables),
    }


def some_states(task, rows):
    rng = np.random.default_rng(0)
    fields = fields_of(task, rows)
    for values in fields.values():
        values += rng.normal(size=values.shape)
    fields["qpos"][:, 3:7] /= np.linalg.norm(fields["qpos"][:, 3:7], axis=1, keepdims=True)
    return fields, rng.normal(size=(rows, task.model.nu)), {"command": rng.normal(size=(rows, 2))}


@kinds
def test_a_row_does_not_depend_on_the_others_and_torch_gives_the_same_numbers(kind):
    torch = pytest.importorskip("torch")
    task = AntVelocityTask(**KINDS[kind])
    fields, action, variables = some_states(task, 37)
    together = results_of(task, fields, action, variables)
    for row in range(37):
        one = slice(row, row + 1)
        part = {name: values[one] for name, values in fields.items()}
        alone = results_of(task, part, action[one], {"command": variables["command"][one]})
        for name, values in alone.items():
            np.testing.assert_array_equal(values[0], together[name][row], err_msg=name)
    tensors = {name: torch.from_numpy(values) for name, values in (fields | variables).items()}
    found = results_of(task, tensors, torch.from_numpy(action), tensors)
    for name, values in found.items():
        assert isinstance(values, torch.Tensor)
        np.testing.assert_allclose(values.numpy(), together[name], rtol=1e-10, atol=1e-12)
    begun = task.begin(tensors, [np.random.default_rng(0)] * 37)["command"]
    assert isinstance(begun, torch.Tensor) and begun.shape == (37, 2)


@kinds
def test_single_and_batched_are_bit_identical_whatever_the_batch(kind):
    """Through falls and time limits, at one thread and three, alone and among others."""
    options = {**KINDS[kind], "reset_noise_scale": 0.1}
    few, many = (
        gym.make_vec("morphzoo/AntVelocity-v0", n, max_episode_steps=70, num_threads=t, **options)
        for n, t in ((2, 1), (7, 3))
    )
    single = gym.make("morphzoo/AntVelocity-v0", max_episode_steps=70, **options)
    first, second = few.reset(seed=3)[0], many.reset(seed=2)[0]
    np.testing.assert_array_equal(first, second[1:3])
    np.testing.assert_array_equal(single.reset(seed=3)[0], first[0])
    rng, ends = np.random.default_rng(1), 0
    for _ in range(150):
        action = rng.uniform(-1, 1, many.action_space.shape).astype(np.float32)
        one, other = few.step(action[1:3]), many.step(action)
        alone = single.step(action[1])
        for k in range(4):
            np.testing.assert_array_equal(one[k], other[k][1:3])
            if k:
                assert alone[k] == one[k][0]
        last = one[4]["final_obs"][0] if alone[2] or alone[3] else one[0][0]
        np.testing.assert_array_equal(alone[0], last)
        if alone[2] or alone[3]:
            ends += 1
            np.testing.assert_array_equal(single.reset()[0], one[0][0])
    assert ends >= 2


def test_the_batch_skips_the_forward_pass_and_reads_the_same_state():
    task = AntVelocityTask()
    assert not task.needs_forward
    simulation, data = Simulation(task, 1), mujoco.MjData(task.model)
    simulation.reset([0], [np.random.default_rng(0)])
    mujoco.mj_resetDataKeyframe(task.model, data, 0)
    for action in np.random.default_rng(0).uniform(-1, 1, (100, 1, 8)):
        result = simulation.step(action)
        data.ctrl = action[0]
        mujoco.mj_step(task.model, data)
        mujoco.mj_forward(task.model, data)
        np.testing.assert_array_equal(simulation.fields["qpos"][0], data.qpos)
        np.testing.assert_array_equal(simulation.fields["qvel"][0], data.qvel)
        speed = data.body("torso").xmat.reshape(3, 3).T @ data.qvel[:3]
        np.testing.assert_allclose(result.observation[0, 17:20], speed, rtol=1e-4, atol=1e-6)


@kinds
def test_a_saved_state_goes_on_bit_for_bit(kind):
    options = {**KINDS[kind], "max_episode_steps": 30}
    old, new = (gym.make_vec("morphzoo/AntVelocity-v0", 3, **options) for _ in range(2))
    old.reset(seed=5), new.reset(seed=9)
    actions = np.random.default_rng(0).uniform(-1, 1, (60, *old.action_space.shape))
    for action in actions[:20]:
        old.step(action)
    state = old.get_state()
    assert state["variables.command"].shape == (3, 2)
    new.set_state(state)
    for action in actions[20:]:
        for one, other in zip(old.step(action)[:4], new.step(action)[:4], strict=True):
            np.testing.assert_array_equal(one, other)
    for name, values in old.get_state().items():
        np.testing.assert_array_equal(values, new.get_state()[name], err_msg=name)

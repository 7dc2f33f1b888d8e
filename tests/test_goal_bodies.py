"""The bodies that goals are given to: against the bodies they are made of, and by hand."""

import math

import gymnasium as gym
import mujoco
import numpy as np
import pytest

import morphzoo  # noqa: F401  (registers the ids)
from morphzoo.envs.bodies import gymnasium_body
from morphzoo.envs.centipede import CentipedeTask
from morphzoo.envs.goals.ant import AntMazeTask, AntReachTask
from morphzoo.envs.goals.ant_push import AntPushTask
from morphzoo.envs.goals.centipede import CentipedeReachTask
from morphzoo.envs.goals.gymnasium_world import gymnasium_world
from morphzoo.envs.goals.humanoid import HumanoidMazeTask, HumanoidReachTask
from morphzoo.envs.goals.reacher import ReacherTask
from morphzoo.envs.simulation import Simulation


def fields_of(task, rows=1):
    """Fields of robots in the reference pose at rest."""
    data = mujoco.MjData(task.model)
    mujoco.mj_forward(task.model, data)
    return {name: np.stack([getattr(data, name)] * rows) for name in task.fields}


def starts(task, number=200):
    found = [task.initial_state(np.random.default_rng(seed)) for seed in range(number)]
    return tuple(np.stack(part) for part in zip(*found, strict=True))


def goals(task, number=2000):
    rngs = [np.random.default_rng(seed) for seed in range(number)]
    return task.begin(fields_of(task, number), rngs)["goal"]


def trajectory(model, qpos, controls, substeps):
    data = mujoco.MjData(model)
    data.qpos[: len(qpos)] = qpos
    path = []
    for control in controls:
        data.ctrl[:] = control
        mujoco.mj_step(model, data, nstep=substeps)
        path.append(np.concatenate([data.qpos[: len(qpos)], data.qvel[: len(qpos) - 1]]))
    return np.array(path)


# --- physics is that of the bodies ----------------------------------------------------------------


@pytest.mark.parametrize("file", ["ant.xml", "humanoid.xml"])
def test_a_world_of_gymnasiums_looks_otherwise_and_moves_alike(file):
    ours, theirs = gymnasium_world(file).compile(), gymnasium_body(file)
    controls = np.random.default_rng(0).uniform(-0.4, 0.4, (60, theirs.nu))
    paths = [trajectory(model, theirs.qpos0, controls, 5) for model in (ours, theirs)]
    np.testing.assert_array_equal(*paths)
    assert ours.tex_data.shape != theirs.tex_data.shape


@pytest.mark.parametrize(
    ("task", "file", "scale"),
    [(AntReachTask(), "ant.xml", 1.0), (HumanoidReachTask(), "humanoid.xml", 0.4)],
    ids=["ant", "humanoid"],
)
def test_an_episode_is_gymnasiums_body_under_the_same_torques(task, file, scale):
    simulation = Simulation(task, 1)
    simulation.reset([0], [np.random.default_rng(0)])
    actions = np.random.default_rng(1).uniform(-1, 1, (40, 1, task.model.nu))
    model = gymnasium_body(file)
    data = mujoco.MjData(model)
    data.qpos, data.qvel = simulation.fields["qpos"][0], simulation.fields["qvel"][0]
    mujoco.mj_forward(model, data)
    for action in actions:
        result = simulation.step(action)
        data.ctrl = scale * action[0]
        mujoco.mj_step(model, data, nstep=5)
        state = result.observation[0][: model.nq + model.nv]
        np.testing.assert_array_equal(state, np.hstack([data.qpos, data.qvel]).astype(np.float32))


@pytest.mark.parametrize("num_legs", [3, 6, 9])
def test_a_centipede_with_a_goal_is_the_centipede(num_legs):
    ours, theirs = CentipedeReachTask(num_legs), CentipedeTask(num_legs, max_sideways=np.inf)
    for one, other in zip(starts(ours, 5), starts(theirs, 5), strict=True):
        np.testing.assert_array_equal(one, other)
    one, other = Simulation(ours, 2), Simulation(theirs, 2)
    for simulation in (one, other):
        simulation.reset([0, 1], [np.random.default_rng(seed) for seed in (0, 1)])
    for action in np.random.default_rng(0).uniform(-1, 1, (60, 2, ours.model.nu)):
        first, second = one.step(action), other.step(action)
        for name in ("qpos", "qvel"):
            np.testing.assert_array_equal(one.fields[name], other.fields[name])
        np.testing.assert_array_equal(first.terminated, second.terminated)


# --- what is observed -----------------------------------------------------------------------------

SIZES = {
    "PointUMaze": (4, 2, 2),
    "CentipedeReach": (45, 2, 16),
    "CentipedeReach-5": (41, 2, 12),
    "Reacher-1": (4, 2, 1),
    "Reacher-7": (16, 2, 7),
    "AntReach": (29, 2, 8),
    "AntU4Maze": (29, 2, 8),
    "AntPush": (33, 2, 8),
    "HumanoidReach": (272, 3, 17),
    "HumanoidUMaze": (272, 3, 17),
}


@pytest.mark.parametrize("name", SIZES)
def test_sizes_of_state_goal_and_action(name):
    env = gym.make(f"morphzoo/{name}-v0")
    spaces = env.observation_space
    found = (spaces["observation"].shape[0], spaces["desired_goal"].shape[0])
    assert (*found, env.action_space.shape[0]) == SIZES[name]
    assert (env.action_space.low == -1).all() and (env.action_space.high == 1).all()


@pytest.mark.parametrize("name", SIZES)
def test_every_column_is_the_number_that_it_names_and_has_an_owner(name):
    env = gym.make(f"morphzoo/{name}-v0").unwrapped
    env.reset(seed=0)
    observation = env.step(np.full(env.action_space.shape, 0.3, np.float32))[0]["observation"]
    for column, value in zip(env.task.columns, observation, strict=True):
        if column.field == "task":
            expected = env.data.site("tip").xpos[column.component]
        else:
            row = getattr(env.data, column.field)[column.index]
            expected = row[column.component] if np.ndim(row) else row
        assert value == np.float32(expected), column.name
    owned = {column for node in env.graph.nodes for column in node.columns}
    assert owned == set(range(len(observation))) and env.graph.dropped == ()


def test_reachers_of_all_sizes_have_the_same_types_and_features():
    graphs = [ReacherTask(n).graph for n in range(1, 8)]
    for n, graph in enumerate(graphs, start=1):
        assert graph.types == ("hinge", "root") and graph.num_nodes == n + 1
        assert [node.parent for node in graph.nodes] == list(range(-1, n))
        assert graph.features("root") == ("task:tip[0]", "task:tip[1]")
        assert graph.features("joint") == ("qpos[0]", "qvel[0]")


# --- starts, goals and ends -----------------------------------------------------------------------


def test_starts_of_the_ant():
    for task, x, y in ((AntReachTask(), 0, 0), (AntMazeTask("u4"), 8, 4), (AntPushTask(), 0, 0)):
        qpos, qvel = starts(task)
        expected = [x, y, 0.75, 0, 1, 0, -1, 0, -1, 0, 1]
        noise = np.abs(qpos[:, [0, 1, 2, *range(7, 15)]] - expected)
        assert 0.099 < noise.max() <= 0.1
        np.testing.assert_allclose(np.linalg.norm(qpos[:, 3:7], axis=1), 1, rtol=1e-15)
        assert np.abs(qpos[:, 4:7]).max() < 0.12 and np.std(qvel) == pytest.approx(0.1, rel=0.05)


def test_starts_of_the_humanoid_have_no_noise_but_where_it_is_wanted():
    for task, place in ((HumanoidReachTask(), 0), (HumanoidMazeTask("big"), 2)):
        qpos, qvel = starts(task, 3)
        assert qpos[:, :7].tolist() == [[place, place, 1.4, 1, 0, 0, 0]] * 3
        assert not qpos[:, 7:].any() and not qvel.any()
    qpos, qvel = starts(HumanoidReachTask(reset_noise_scale=0.02))
    assert 0.019 < np.abs(qpos[:, 7:]).max() <= 0.02
    assert np.std(qvel) == pytest.approx(0.02, rel=0.05)


def test_goals_of_the_ant_and_the_humanoid():
    np.testing.assert_allclose(np.hypot(*goals(AntReachTask()).T), 10, rtol=1e-6)
    drawn = goals(HumanoidReachTask())
    assert (drawn[:, 2] == 1.25).all()
    counts, _ = np.histogram(np.hypot(*drawn[:, :2].T), bins=8, range=(1, 5))
    assert counts.sum() == 2000 and 180 < counts.min() and counts.max() < 320  # 250 +- 4.7 sd
    maze = HumanoidMazeTask("u")
    assert set(map(tuple, goals(maze))) == {(*goal, 1.25) for goal in maze.arena.goals}


def test_a_humanoid_reaches_a_goal_in_space():
    """Lying below the goal is not enough."""
    task = HumanoidReachTask()
    at = np.float32([[0, 0, 1.25], [0, 0, 0.76], [0, 0, 0.74], [0.4, 0.4, 1.25]])
    goal = np.tile(np.float32([0, 0, 1.25]), (4, 1))
    assert task.compute_reward(at, goal).tolist() == [1, 1, 0, 0]


@pytest.mark.parametrize(
    ("task", "low", "high", "limits_end"),
    [
        (AntReachTask(), 0.2, 1.0, False),
        (AntPushTask(), 0.2, 1.0, False),
        (HumanoidReachTask(), 1.0, 2.0, False),
        (CentipedeReachTask(), 0.35, 1.15, True),
    ],
    ids=["ant", "push", "humanoid", "centipede"],
)
def test_heights_that_end_an_episode(task, low, high, limits_end):
    heights = np.array([low, low - 1e-6, high, high + 1e-6, (low + high) / 2, np.nan, np.inf])
    fields = fields_of(task, len(heights))
    fields["qpos"][:, 2] = heights
    if "xpos" in fields:
        fields["xpos"][:, task._torsos[-1], 2] = heights
    expected = [limits_end, True, limits_end, True, False, True, True]
    assert task.terminated(fields, {}).tolist() == expected


def test_a_centipede_that_has_turned_around_is_healthy():
    task = CentipedeReachTask(6)
    data = mujoco.MjData(task.model)
    data.qpos[3:7] = (math.sqrt(0.5), 0, 0, math.sqrt(0.5))  # along y
    mujoco.mj_forward(task.model, data)
    fields = {name: getattr(data, name)[None] for name in task.fields}
    assert not task.terminated(fields, {})[0]
    assert CentipedeTask(6).terminated(fields, {})[0]


# --- reachers -------------------------------------------------------------------------------------


@pytest.mark.parametrize("num_links", range(1, 8))
def test_a_reachers_body_is_as_published(num_links):
    model = ReacherTask(num_links).model
    assert (model.nq, model.nu, model.opt.timestep) == (num_links, num_links, 0.01)
    assert model.opt.integrator == int(mujoco.mjtIntegrator.mjINT_RK4)
    assert (model.actuator_gear[:, 0] == 200).all()
    assert (model.dof_armature == 1).all() and (model.dof_damping == 1).all()
    assert model.jnt_range[0].tolist() == [-3.14, 3.14]
    assert (model.jnt_range[1:] == (-3, 3)).all()
    links = [model.geom(f"link_{k}").size for k in range(num_links)]
    np.testing.assert_allclose([size[:2] for size in links], [(0.01, 0.05)] * num_links)


@pytest.mark.parametrize("num_links", [1, 2, 5])
def test_goals_of_a_reacher_are_places_of_its_tip(num_links):
    task = ReacherTask(num_links)
    data = mujoco.MjData(task.model)
    for seed in range(20):
        goal = task.draw_goal(np.random.default_rng(seed))
        data.qpos = np.random.default_rng(seed).uniform(*task.model.jnt_range.T)
        mujoco.mj_forward(task.model, data)
        np.testing.assert_allclose(data.site("tip").xpos[:2], goal, atol=1e-12)
    drawn = goals(task, 300)
    reach = np.hypot(*drawn.T)
    assert reach.max() <= 0.1 * num_links + 1e-6
    assert (reach > 0.0999).all() if num_links == 1 else np.ptp(reach) > 0.09


@pytest.mark.parametrize("bad", [0, 8, 2.5, True, "2"])
def test_numbers_of_links_that_cannot_be_built(bad):
    with pytest.raises(ValueError, match="num_links: expected a whole number from 1 to 7"):
        gym.make("morphzoo/Reacher-2-v0", num_links=bad)


def test_a_reacher_can_reach_its_goals_and_stay():
    """Angles of the pose that a goal was drawn from, held by a simple controller."""
    env = gym.make("morphzoo/Reacher-2-v0", max_episode_steps=150)
    task, scores = env.unwrapped.task, []
    for seed in range(8):
        observation, _ = env.reset(seed=seed)
        x, y = observation["desired_goal"].astype(float)
        elbow = math.acos(np.clip((x * x + y * y) / (2 * 0.01) - 1, -1, 1))
        elbow = min(elbow, 3.0)
        shoulder = math.atan2(y, x) - math.atan2(math.sin(elbow), 1 + math.cos(elbow))
        shoulder = (shoulder + math.pi) % (2 * math.pi) - math.pi
        score = 0.0
        for _ in range(150):
            angles, rates = np.split(observation["observation"][:4], 2)
            action = (np.array([shoulder, elbow]) - angles) * 0.5 - rates * 0.1
            observation, reward, *_ = env.step(action.clip(-1, 1).astype(np.float32))
            score += reward
        scores.append(score)
    assert task.dt == pytest.approx(0.02) and min(scores) > 75, scores


# --- walls and blocks -----------------------------------------------------------------------------


def test_walls_stop_an_ant():
    """Thrown at a wall, it stays in its cell; on open ground it flies on."""
    places = []
    for task in (AntMazeTask(("###", "#R#", "#G#", "###")), AntReachTask()):
        data = mujoco.MjData(task.model)
        data.qpos[:15] = task.initial_state(np.random.default_rng(0))[0][:15]
        data.qvel[1] = 6.0
        start = data.qpos[1]
        for _ in range(100):
            mujoco.mj_step(task.model, data)
        places.append(data.qpos[1] - start)
    assert places[0] < 2.0 < places[1]


def test_a_ball_is_stopped_by_walls_and_is_as_fast_in_every_direction():
    env = gym.make("morphzoo/PointUMaze-v0", reset_noise_scale=0.0)
    for angle in np.linspace(0, 2 * math.pi, 9):
        push = 3 * np.array([math.cos(angle), math.sin(angle)], dtype=np.float32)
        task = env.unwrapped.task
        wide = Simulation(task, 1)
        wide.reset([0], [np.random.default_rng(0)])
        wide.batch.bind("qpos")[:] = 50.0  # outside of the maze, where nothing is in the way
        for _ in range(20):
            wide.step(push[None])
        speed = np.hypot(*wide.fields["qvel"][0])
        assert speed == pytest.approx(task.top_speed, rel=1e-6)
        observation, _ = env.reset(seed=0)
        for _ in range(40):
            observation = env.step(push)[0]
            x, y = observation["achieved_goal"]
            assert 0.58 < x < 3.42 and 0.58 < y < 3.42  # contacts give way by some 10 mm
            assert not (1.42 < x < 2.58 and y < 2.58)


def test_a_short_push_is_not_lengthened():
    env = gym.make("morphzoo/PointUMaze-v0").unwrapped
    given = np.array([[0.3, -0.4], [3.0, -4.0], [0.0, 0.0], [1.0, 0.0]])
    expected = [[0.3, -0.4], [0.6, -0.8], [0.0, 0.0], [1.0, 0.0]]
    np.testing.assert_allclose(env.task.control(given), expected, rtol=1e-15)


def test_the_goals_of_ant_push_lie_beyond_the_block():
    task = AntPushTask()
    drawn = goals(task)
    far = drawn[:, 0] > 12
    assert 900 < far.sum() < 1100
    for cell, of in (((16, 8), far), ((8, 16), ~far)):
        rest = drawn[of] - cell
        assert (rest >= 0).all() and (rest <= 2).all() and rest.max() > 1.9 and rest.min() < 0.1


def pushed(force, steps=800):
    """Where the block comes to rest under a force (N)."""
    task = AntPushTask()
    data = mujoco.MjData(task.model)
    data.qpos[:2] = (0.0, 0.0)
    block = task.model.body("block").id
    for _ in range(steps):
        data.xfrc_applied[block, :2] = force
        mujoco.mj_step(task.model, data)
    mujoco.mj_forward(task.model, data)
    np.testing.assert_array_equal(data.qpos[15:17], data.body("block").xpos[:2])
    return data.qpos[15:17]


def test_the_block_moves_until_it_meets_a_wall():
    np.testing.assert_allclose(pushed((0, 0)), (8, 8), atol=1e-9)
    np.testing.assert_allclose(pushed((20, 0)), (16.4, 8), atol=0.05)  # 20 - 3.6: the wall beyond
    np.testing.assert_allclose(pushed((0, 20)), (8, 16.4), atol=0.05)
    assert (pushed((20, 20)) < 20 - 3.6 + 0.05).all()

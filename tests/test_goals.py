"""Environments with goals: the goal Dict, its rewards, and everything that handles it."""

import copy
import pickle

import gymnasium as gym
import numpy as np
import pytest
from gymnasium import spaces
from stable_baselines3 import PPO, SAC, TD3, HerReplayBuffer
from stable_baselines3.common.env_checker import check_env
from stable_baselines3.common.monitor import Monitor
from stable_baselines3.common.vec_env import DummyVecEnv

from morphzoo.envs import TABLE
from morphzoo.envs.existing import with_graph
from morphzoo.envs.goals.goal_task import GoalTask, distance
from morphzoo.envs.goals.point import PointMazeTask
from morphzoo.envs.simulation import Simulation
from morphzoo.inspection import inspect_body
from morphzoo.policies import SnowflakePolicy
from morphzoo.sb3 import make_vec_env
from morphzoo.spaces import MorphologySpace, graph_of
from morphzoo.transfer import evaluate
from morphzoo.video import render

KEYS = {"observation", "achieved_goal", "desired_goal"}
# Every id with a goal, of those that differ in a number alone the smallest and the largest few
IDS = [row.id for row in TABLE if ".goals." in row.entry_point]
IDS = [i for i in IDS if "CentipedeReach-" not in i or i.endswith(("-3-v0", "-8-v0", "-100-v0"))]
# What takes longer runs on the first id of every class, and on a body with an odd number of legs
FIRST = {row.entry_point: row.id for row in reversed(TABLE) if row.id in IDS}
FAST = [*reversed(FIRST.values()), "morphzoo/CentipedeReach-3-v0"]
each = pytest.mark.parametrize("env_id", IDS)
fast = pytest.mark.parametrize("env_id", FAST)
U = "morphzoo/PointUMaze-v0"


def actions(env, steps, seed=0):
    space = env.action_space
    return np.random.default_rng(seed).uniform(-1, 1, (steps, *space.shape)) * space.high


def same(first, second):
    """Assert that two observations are equal bit for bit."""
    assert first.keys() == second.keys() == KEYS
    for key in KEYS:
        assert first[key].dtype == second[key].dtype == np.float32
        np.testing.assert_array_equal(first[key], second[key], err_msg=key)


# --- the goal Dict --------------------------------------------------------------------------------


@each
def test_spaces(env_id):
    env = gym.make(env_id)
    vector = gym.make_vec(env_id, num_envs=2)
    for space in (env.observation_space, vector.single_observation_space):
        assert isinstance(space, spaces.Dict) and set(space.spaces) == KEYS
        assert isinstance(space["observation"], MorphologySpace)
        assert graph_of(space) == env.unwrapped.graph
        assert space["achieved_goal"] == space["desired_goal"]
        assert space["desired_goal"].shape == (env.unwrapped.task.goal_size,)
        assert pickle.loads(pickle.dumps(space)) == space
    for observation, of in ((env.reset(seed=0)[0], env), (vector.reset(seed=0)[0], vector)):
        assert of.observation_space.contains(observation)
        assert list(observation) == list(of.observation_space.spaces)


@fast
def test_the_reward_is_that_of_what_is_observed_exactly(env_id):
    """Near the threshold too: half of the goals are put where the robot will just pass it."""
    env = gym.make_vec(env_id, num_envs=8, max_episode_steps=40)
    task = env.task
    env.reset(seed=0)
    rewards = []
    for action in actions(env, 60):
        state = env.get_state()
        at = task.unpack(state["observation"])["achieved_goal"].astype(float)
        for row in range(0, 8, 2):  # on the circle of the threshold, at this row's angle
            state["variables.goal"][row] = at[row]
            state["variables.goal"][row, :2] += task.threshold * np.array(
                [np.cos(row), np.sin(row)]
            )
        state["variables.goal"] = state["variables.goal"].astype(np.float32).astype(float)
        env.set_state(state)
        observation, reward, terminated, truncated, infos = env.step(action)
        ended = terminated | truncated
        for row in np.flatnonzero(ended):
            for key in KEYS:
                observation[key][row] = infos["final_obs"][row][key]
        achieved, desired = observation["achieved_goal"], observation["desired_goal"]
        found = env.compute_reward(achieved, desired, np.array([{}] * 8))
        assert found.dtype == np.float64 and found.shape == (8,)
        np.testing.assert_array_equal(
            found, np.where(infos_of(infos, "simulation_failed"), 0, reward)
        )
        for row in range(8):  # and one by one, as from a single environment
            assert env.compute_reward(achieved[row], desired[row], {}) == found[row]
        gap = np.sqrt(((achieved.astype(float) - desired) ** 2).sum(-1))
        np.testing.assert_allclose(infos_of(infos, "distance_to_goal"), gap, rtol=1e-12, atol=1e-12)
        np.testing.assert_array_equal(infos_of(infos, "is_success"), reward)
        rewards.append(reward)
    assert 0 < np.mean(rewards) < 1


def infos_of(infos, name):
    """A number of every row after the step, from before an autoreset where there was one."""
    values = np.array(infos[name], dtype=float)
    if "final_info" in infos:
        ended = infos["_final_info"]
        values[ended] = infos["final_info"][name][ended]
    return values


def test_distances_and_thresholds_by_hand():
    task = PointMazeTask("u", threshold=0.25)
    at = np.zeros((4, 2), np.float32)
    goals = np.array([[0.25, 0], [0.249, 0], [0.15, 0.2], [0, 0]], np.float32)
    assert task.compute_reward(at, goals, None).tolist() == [0, 1, 0, 1]
    assert task.compute_reward(at[:, None], goals[:, None], None).shape == (4, 1)
    assert distance(np.float32([3, 4]), np.float32([0, 0])) == 5
    for bad in (np.zeros(3), np.zeros((2, 1)), 0.0):
        with pytest.raises(ValueError, match="desired_goal: expected 2 numbers"):
            task.compute_reward(at[0], bad, None)


@fast
def test_the_state_knows_nothing_of_the_goal(env_id):
    one, other = (gym.make_vec(env_id, num_envs=3) for _ in range(2))
    one.reset(seed=4), other.reset(seed=4)
    state = other.get_state()
    state["variables.goal"] += 1.0
    other.set_state(state)
    for action in actions(one, 25):
        (mine, _, end, *_), (theirs, _, ended, *_) = one.step(action), other.step(action)
        if end.any():  # a new goal is drawn
            break
        np.testing.assert_array_equal(end, ended)
        for key in ("observation", "achieved_goal"):
            np.testing.assert_array_equal(mine[key], theirs[key])
        assert (mine["desired_goal"] != theirs["desired_goal"]).all()


@each
def test_a_goal_is_drawn_at_every_reset_and_stays_for_the_episode(env_id):
    env = gym.make(env_id, max_episode_steps=3)
    drawn = []
    for seed in (7, None, None, None, None, None, None, 7):
        observation, _ = env.reset(seed=seed)
        drawn.append(tuple(observation["desired_goal"]))
        for action in actions(env, 3):
            observation, _, terminated, truncated, _ = env.step(action.astype(np.float32))
            assert tuple(observation["desired_goal"]) == drawn[-1]
            if terminated:
                break
    assert drawn[0] == drawn[-1] and len(set(drawn)) > 1
    vector = gym.make_vec(env_id, num_envs=6, max_episode_steps=2)
    goals = [vector.reset(seed=0)[0]["desired_goal"]]
    for action in actions(vector, 6):
        goals.append(vector.step(action)[0]["desired_goal"])
    assert len(np.unique(np.concatenate(goals), axis=0)) > 1
    assert any((before != after).any() for before, after in zip(goals[:-1], goals[1:], strict=True))


def test_reaching_the_goal_ends_nothing_and_is_remembered():
    env = gym.make_vec(U, num_envs=2, max_episode_steps=50)
    env.reset(seed=0)
    away = np.zeros((2, 2))
    state = env.get_state()
    state["variables.goal"][0] = env.task.unpack(state["observation"])["achieved_goal"][0]
    env.set_state(state)
    score = np.zeros(2)
    for _ in range(49):
        _, reward, terminated, truncated, infos = env.step(away)
        score += reward
        assert not terminated.any() and not truncated.any()
        np.testing.assert_array_equal(infos["goal_reached"], [1, 0])
        away[0] = [0, 1] if score[0] > 5 else [0, 0]
    assert 5 < score[0] < 20 and score[1] == 0 and infos["is_success"][0] == 0
    _, _, _, truncated, infos = env.step(away)
    assert truncated.all() and infos["final_info"]["goal_reached"].tolist() == [1, 0]
    assert not infos["goal_reached"].any()  # of the next episodes


def test_a_start_at_the_goal_counts_as_reached():
    env = gym.make(U, threshold=10.0)
    _, info = env.reset(seed=0)
    assert info["is_success"] == info["goal_reached"] == 1


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"threshold": 0}, "threshold: expected a positive number"),
        ({"threshold": np.nan}, "threshold"),
        ({"threshold": np.inf}, "threshold"),
        ({"reset_noise_scale": -1}, "reset_noise_scale: expected 0 or a positive number"),
        ({"frame_skip": 0}, "frame_skip must be at least 1"),
    ],
)
@fast
def test_arguments_that_make_no_sense_are_refused(env_id, options, message):
    for make in (gym.make, gym.make_vec):
        with pytest.raises(ValueError, match=message):
            make(env_id, **options)
    with pytest.raises(TypeError, match="tresholt"):
        gym.make(env_id, tresholt=1)


# --- rows, copies, states, other libraries --------------------------------------------------------


def some(task, rows=9):
    """Fields, variables and actions of some states: half of the goals are where the robot is."""
    simulation = Simulation(task, rows)
    simulation.reset(np.arange(rows), [np.random.default_rng(seed) for seed in range(rows)])
    for action in np.random.default_rng(0).uniform(-1, 1, (5, rows, task.model.nu)):
        simulation.step(action)
    fields = {name: np.array(values) for name, values in simulation.fields.items()}
    variables = {name: np.array(values) for name, values in simulation.variables.items()}
    variables["goal"][::2] = task.achieved(fields)[::2]
    return fields, variables, action


def results_of(task, fields, variables, action):
    return {
        **task.reward(fields, action, variables),
        **task.metrics(fields, variables),
        **task.advance(fields, variables),
        "control": task.control(action),
        "observation": task.observe(fields, variables),
        "terminated": task.terminated(fields, variables),
    }


@fast
def test_a_row_does_not_depend_on_the_others_and_torch_gives_the_same_numbers(env_id):
    torch = pytest.importorskip("torch")
    task = gym.make(env_id).unwrapped.task
    assert isinstance(task, GoalTask)
    fields, variables, action = some(task)
    together = results_of(task, fields, variables, action)
    assert 0 < together["is_success"].mean() < 1
    for row in range(9):
        part = [{n: v[row : row + 1] for n, v in group.items()} for group in (fields, variables)]
        for name, values in results_of(task, *part, action[row : row + 1]).items():
            np.testing.assert_array_equal(values[0], together[name][row], err_msg=name)
    tensors = [{n: torch.from_numpy(v) for n, v in group.items()} for group in (fields, variables)]
    for name, values in results_of(task, *tensors, torch.from_numpy(action)).items():
        assert isinstance(values, torch.Tensor), name
        np.testing.assert_allclose(values.numpy(), together[name], rtol=1e-6, atol=1e-9)
    begun = task.begin(tensors[0], [np.random.default_rng(0)] * 9)
    assert all(isinstance(values, torch.Tensor) for values in begun.values())


@fast
def test_a_saved_state_and_a_copy_go_on_bit_for_bit(env_id):
    old, new = (gym.make_vec(env_id, num_envs=3, max_episode_steps=12) for _ in range(2))
    old.reset(seed=5), new.reset(seed=9)
    for action in actions(old, 8):
        old.step(action)
    new.set_state(old.get_state())
    twin = copy.deepcopy(old)
    for action in actions(old, 20, seed=1):
        expected = old.step(action)
        for other in (new, twin):
            found = other.step(action)
            same(expected[0], found[0])
            np.testing.assert_array_equal(expected[1], found[1])


@fast
def test_single_and_batched_are_bit_identical_through_autoresets(env_id):
    batched = gym.make_vec(env_id, num_envs=3, max_episode_steps=15, num_threads=2)
    singles = [gym.make(env_id, max_episode_steps=15) for _ in range(3)]
    observation, _ = batched.reset(seed=20)
    ends = 0
    for row, env in enumerate(singles):
        same(env.reset(seed=20 + row)[0], {k: v[row] for k, v in observation.items()})
    for action in actions(batched, 40).astype(np.float32):
        observation, reward, terminated, truncated, infos = batched.step(action)
        for row, env in enumerate(singles):
            one = env.step(action[row])
            assert (one[1], one[2], one[3]) == (reward[row], terminated[row], truncated[row])
            found = {key: values[row] for key, values in observation.items()}
            if one[2] or one[3]:
                ends += 1
                same(one[0], infos["final_obs"][row])
                same(env.reset()[0], found)
            else:
                same(one[0], found)
    assert ends >= 6


# --- Stable-Baselines3 and the rest ---------------------------------------------------------------


@each
def test_stable_baselines3_takes_it_for_a_goal_environment(env_id, capsys):
    check_env(gym.make(env_id).unwrapped, warn=True, skip_render_check=True)
    assert "We detected your env to be a GoalEnv" in capsys.readouterr().out


@pytest.mark.parametrize("env_id", ["morphzoo/CentipedeReach-5-v0", U])
def test_equals_dummy_vec_env_over_monitors(env_id):
    env = make_vec_env(env_id, 4, seed=3, max_episode_steps=25)
    dummy = DummyVecEnv([lambda: Monitor(gym.make(env_id, max_episode_steps=25))] * 4)
    dummy.seed(3)
    assert env.observation_space == dummy.observation_space
    same(env.reset(), dummy.reset())
    assert env.reset_infos == dummy.reset_infos
    seen = set()
    for action in actions(env, 60)[:, None].repeat(4, 1).astype(np.float32):
        found, expected = env.step(action), dummy.step(action)
        same(found[0], expected[0])
        same(found[0], env.last_observation)
        for one, other in zip(found[1:3], expected[1:3], strict=True):
            assert one.dtype == other.dtype
            np.testing.assert_array_equal(one, other)
        for done, info, other in zip(found[2], found[3], expected[3], strict=True):
            if not done:
                assert info == {}
                continue
            seen.add(info["TimeLimit.truncated"])
            same(info.pop("terminal_observation"), other.pop("terminal_observation"))
            assert info.pop("episode").keys() == other.pop("episode").keys()
            assert info == other
    assert seen == ({True, False} if "Centipede" in env_id else {True})


def test_compute_reward_through_the_vector_environment_as_hindsight_asks_for_it():
    env = make_vec_env(U, 3)
    at, goals = np.zeros((5, 2), np.float32), np.full((5, 2), [0.1, 0], np.float32)
    asked = env.env_method("compute_reward", at, goals, [{}] * 5, indices=[0])
    assert len(asked) == 1 and asked[0].astype(np.float32).tolist() == [1] * 5


@pytest.mark.parametrize(("algorithm", "batched"), [(SAC, True), (TD3, False)])
def test_hindsight_experience_replay_trains(algorithm, batched):
    env = make_vec_env(U, 4, seed=0, max_episode_steps=20) if batched else gym.make(U)
    model = algorithm(
        "MultiInputPolicy",
        env,
        replay_buffer_class=HerReplayBuffer,
        replay_buffer_kwargs={"n_sampled_goal": 4, "goal_selection_strategy": "future"},
        learning_starts=210,
        batch_size=32,
        train_freq=20,
        gradient_steps=2,
        policy_kwargs={"net_arch": [16, 16]},
        seed=0,
        device="cpu",
    )
    model.learn(400)
    batch = model.replay_buffer.sample(64)
    rewards = batch.rewards.numpy()
    assert 0 < rewards.mean() < 1  # goals of hindsight are reached
    if batched:
        goals = [
            batch.next_observations[f"{kind}_goal"].numpy() for kind in ("achieved", "desired")
        ]
        again = env.env_method("compute_reward", *goals, [{}] * 64, indices=[0])[0]
        np.testing.assert_array_equal(again, rewards[:, 0])
    action, _ = model.predict(env.reset() if batched else env.reset()[0], deterministic=True)
    assert np.isfinite(action).all()


def test_a_policy_that_would_not_see_the_goal_says_so():
    with pytest.raises(ValueError, match="would not see the goal, .* 'MultiInputPolicy'"):
        PPO(SnowflakePolicy, make_vec_env(U, 2), device="cpu")


def test_evaluation_and_inspection_take_it():
    table = evaluate("random", U, episodes=3, num_envs=2)
    env = gym.make(U)
    assert table.lengths.tolist() == [200] * 3 and (table.returns >= 0).all()
    model = SAC("MultiInputPolicy", env, policy_kwargs={"net_arch": [8]}, device="cpu")
    several = evaluate(model, U, episodes=3, deterministic=True, num_envs=3)
    alone = evaluate(model, U, episodes=3, deterministic=True, num_envs=1)
    np.testing.assert_array_equal(several.lengths, alone.lengths)
    other = SAC("MultiInputPolicy", make_vec_env("morphzoo/CentipedeReach-3-v0"), device="cpu")
    with pytest.raises(ValueError, match="the policy is built for observations"):
        evaluate(other, U, episodes=1)
    report = inspect_body("morphzoo/PointUMaze")
    assert report.graph == env.unwrapped.graph
    assert with_graph(env) is env


# --- pictures -------------------------------------------------------------------------------------


def redness(image):
    image = np.asarray(image, dtype=int)
    return image[..., 0] - image[..., 1:].max(-1) > 60


@pytest.mark.render
@pytest.mark.parametrize("env_id", FAST[:-1])
def test_the_goal_is_drawn_where_it_is_and_drawing_changes_nothing(env_id):
    size = {"width": 160, "height": 120}
    seen, blind = gym.make(env_id, render_mode="rgb_array", **size), gym.make(env_id)
    pictures = []
    for _ in range(4):
        same(
            seen.reset(seed=0 if not pictures else None)[0],
            blind.reset(seed=0 if not pictures else None)[0],
        )
        for action in actions(seen, 4).astype(np.float32):
            pictures.append(seen.render())
            one, other = seen.step(action), blind.step(action)
            same(one[0], other[0])
            assert one[1] == other[1]
            if one[2]:
                break
    assert all(redness(picture).any() for picture in pictures)
    assert len({redness(picture).tobytes() for picture in pictures[::4]}) > 1
    vector = gym.make_vec(env_id, num_envs=2, render_mode="rgb_array", **size)
    single = gym.make(env_id, render_mode="rgb_array", **size)
    vector.reset(seed=3), single.reset(seed=4)
    gap = np.abs(np.asarray(vector.render()[1], dtype=int) - single.render())
    assert gap.max() <= 2


@pytest.mark.render
def test_the_maze_is_drawn_as_it_is_printed():
    env = gym.make("morphzoo/PointBigMaze-v0", render_mode="rgb_array", width=400, height=400)
    env.reset(seed=0)
    picture = np.asarray(env.render(), dtype=int)
    bluish = picture[..., 2] - picture[..., 0] > 12  # tops and sides of the walls
    across = [bluish[200 - 60 : 200 + 60].mean(), bluish[:, 180:220].mean()]
    assert 0.2 < bluish.mean() < 0.8 and min(across) > 0.1
    orange = (picture[..., 0] - picture[..., 2] > 80) & ~redness(picture)
    rows, columns = np.nonzero(orange)  # the ball begins in the upper left corner of the layout
    assert rows.mean() < 150 and columns.mean() < 150


@pytest.mark.render
def test_a_film(tmp_path):
    pytest.importorskip("av")
    filmed = render("random", "morphzoo/PointUMaze", tmp_path / "clip.mp4", seconds=1)
    assert (tmp_path / "clip.mp4").stat().st_size > 1000 and filmed is not None

"""Every environment of the table: the contracts that any of them must keep."""

import functools
import operator
import re
import subprocess
import sys
import warnings
from importlib import import_module

import gymnasium as gym
import numpy as np
import pytest
from gymnasium.utils.env_checker import check_env as check_gymnasium
from stable_baselines3.common.env_checker import check_env as check_sb3

import morphzoo
from morphzoo.envs import TABLE, register_envs
from morphzoo.envs.bodies import MAX_LEGS, MIN_LEGS
from morphzoo.spaces import MorphologySpace, graph_of

VELOCITY = {
    "AntVelocity": {},
    "AntVelocityPD": {"actuators": "position"},
    "AntVelocityCommand": {"command_range": ((0.5, 2.5), (-0.5, 0.5))},
}
# id without its version -> arguments, steps of an episode
GOALS = {
    "PointUMaze": ({"maze": "u"}, 200),
    "PointBigMaze": ({"maze": "big"}, 200),
    "PointHardestMaze": ({"maze": "hardest"}, 400),
    "PointUMazeEval": ({"maze": "u-eval"}, 200),
    "PointBigMazeEval": ({"maze": "big-eval"}, 200),
    **{f"Reacher-{n}": ({"num_links": n}, 50) for n in range(1, 8)},
    "AntReach": ({}, 1000),
    "AntU4Maze": ({"maze": "u4"}, 1000),
    "AntU5Maze": ({"maze": "u5"}, 1000),
    "AntBigMaze": ({"maze": "big"}, 1000),
    "AntHardestMaze": ({"maze": "hardest"}, 1000),
    "AntU4MazeEval": ({"maze": "u4-eval"}, 1000),
    "AntU5MazeEval": ({"maze": "u5-eval"}, 1000),
    "AntBigMazeEval": ({"maze": "big-eval"}, 1000),
    "AntPush": ({}, 1000),
    "HumanoidReach": ({}, 1000),
    "HumanoidUMaze": ({"maze": "u"}, 1000),
    "HumanoidBigMaze": ({"maze": "big"}, 1000),
    "CentipedeReach": ({}, 1000),
    **{f"CentipedeReach-{n}": ({"num_legs": n}, 1000) for n in range(MIN_LEGS, MAX_LEGS + 1)},
}
# Which of them the slow checks run on: every body, every kind of arena.
GOAL_SAMPLE = ("PointUMaze", "PointHardestMaze", "CentipedeReach", "CentipedeReach-5")
GOAL_SAMPLE += ("Reacher-1", "Reacher-7", "AntReach", "AntU4Maze", "AntPush")
GOAL_SAMPLE += ("HumanoidReach", "HumanoidUMaze")
assert set(GOALS) >= set(GOAL_SAMPLE)
TWINS = ("Swimmer", "Hopper", "HalfCheetah", "Walker2d", "Ant", "Humanoid")
# The slow checks run on these: of the Centipede the default, the smallest, an odd one, a long one
# and variants of the training body; every body of Gymnasium's; and target-velocity Ants.
SAMPLE = {
    "default": ("morphzoo/Centipede-v0", {}),
    "3": ("morphzoo/Centipede-3-v0", {}),
    "5": ("morphzoo/Centipede-5-v0", {}),
    "20": ("morphzoo/Centipede-20-v0", {}),
    "slim": ("morphzoo/Centipede-6-v0", {"include_contact_forces": False}),
    "crippled": ("morphzoo/Centipede-6-v0", {"disabled_legs": (0, 1)}),
    **{body: (f"morphzoo/{body}-v5", {}) for body in TWINS},
    **{name: (f"morphzoo/{name}-v0", {}) for name in VELOCITY},
    "AntVelocity noisy": ("morphzoo/AntVelocity-v0", {"num_legs": 5, "reset_noise_scale": 0.1}),
    **{name: (f"morphzoo/{name}-v0", {}) for name in GOAL_SAMPLE},
    "HumanoidUMaze": ("morphzoo/HumanoidUMaze-v0", {"reset_noise_scale": 0.01}),
}
IDS = [row.id for row in TABLE]
X = {"x_position", "x_velocity"}
XY = X | {"y_position", "y_velocity", "distance_from_origin"}
LOCAL = {"forward_velocity", "sideways_velocity", "velocity_error", "target_velocity"}
LOCAL |= XY - {"x_velocity", "y_velocity"}
GOAL_METRICS = {"x_position", "y_position", "distance_to_goal", "is_success", "goal_reached"}
METRICS = {
    **dict.fromkeys(SAMPLE, XY),
    **dict.fromkeys(GOAL_SAMPLE, GOAL_METRICS),
    **{name: LOCAL for name in SAMPLE if "Velocity" in name},
    "HalfCheetah": X,
    **dict.fromkeys(("Hopper", "Walker2d"), X | {"z_distance_from_origin"}),
    "Humanoid": XY | {"tendon_length", "tendon_velocity"},
}
STEP = {"Swimmer": 0.04, "Hopper": 0.008, "Walker2d": 0.008, "Humanoid": 0.015}  # s; others 0.05
GOAL_STEP = {"Point": 0.1, "Reacher": 0.02, "Humanoid": 0.015}  # s, by the id's beginning
STEP |= {n: dt for n in GOAL_SAMPLE for body, dt in GOAL_STEP.items() if n.startswith(body)}
STEP |= {name: 0.02 if "PD" in name else 0.01 for name in SAMPLE if "Velocity" in name}
# A Centipede's torso or upper leg, or an Ant's, touches the floor only when the robot rolls over,
# long after the episode has ended; so does a Humanoid's arm. `cinert[9]` is a body's mass.
UNTOUCHED = {
    **dict.fromkeys(SAMPLE, r"(torso|legbody)_\d+\.cfrc_ext"),
    "Ant": r"(\w+_leg|aux_\d)\.cfrc_ext",
    "Humanoid": r"\w+_arm\.cfrc_ext|\w+\.cinert\[9\]",
    **dict.fromkeys(("Swimmer", "Hopper", "HalfCheetah", "Walker2d"), "nothing"),
    **{name: "nothing" for name in SAMPLE if "Velocity" in name},
    "AntVelocityCommand": r"command\[\d\]",  # which stays for an episode
    **dict.fromkeys(GOAL_SAMPLE, "nothing"),
    **dict.fromkeys(("HumanoidReach", "HumanoidUMaze"), r"\w+\.cinert\[9\]"),
}
FIXED_START = ("AntVelocity", "AntVelocityPD")  # no noise, and no command that is drawn
sampled = pytest.mark.parametrize("name", SAMPLE)


def make(name, **kwargs):
    env_id, options = SAMPLE[name]
    return gym.make(env_id, **options, **kwargs).unwrapped


def play(env, steps, seed=0):
    """Act at random through as many episodes as it takes; yield what every step gave."""
    rng = np.random.default_rng(seed)
    observation, _ = env.reset(seed=seed)
    for _ in range(steps):
        before = observation
        action = rng.uniform(-1, 1, env.action_space.shape).astype(np.float32)
        observation, reward, terminated, truncated, info = env.step(action)
        yield before, action, observation, reward, terminated, truncated, info
        if terminated:
            observation, _ = env.reset()


def flat(observation):
    """All numbers of an observation, of a goal Dict too, as one array."""
    return np.hstack([*observation.values()]) if isinstance(observation, dict) else observation


def arrays(observation):
    return [*observation.values()] if isinstance(observation, dict) else [observation]


# --- registration -----------------------------------------------------------------------------


def test_the_table_has_every_number_of_legs_once_the_general_id_and_the_rest():
    sizes = [row.kwargs["num_legs"] for row in TABLE if re.match(r"morphzoo/Centipede-\d", row.id)]
    assert sizes == list(range(MIN_LEGS, MAX_LEGS + 1))
    numbered = [f"morphzoo/Centipede-{n}-v0" for n in sizes]
    twins = [f"morphzoo/{body}-v5" for body in TWINS]
    others = [f"morphzoo/{name}-v0" for name in (*VELOCITY, *GOALS)]
    assert IDS == ["morphzoo/Centipede-v0", *numbered, *twins, *others]
    arguments = VELOCITY | {name: kwargs for name, (kwargs, _) in GOALS.items()}
    assert {row.id[9:-3]: row.kwargs for row in TABLE[-len(arguments) :]} == arguments


@pytest.mark.parametrize("row", TABLE, ids=IDS)
def test_every_row_is_registered_as_it_stands(row):
    spec = gym.spec(row.id)
    original = gym.spec(row.id.removeprefix("morphzoo/")) if row.id[-1] == "5" else None
    threshold = original.reward_threshold if original else None
    threshold = 6000.0 if "/Centipede-" in row.id else threshold
    _, steps = GOALS.get(row.id[9:-3], ({}, 1000))
    assert (spec.max_episode_steps, spec.reward_threshold) == (steps, threshold)
    assert original is None or original.max_episode_steps == 1000
    assert (spec.entry_point, spec.vector_entry_point) == row[1:3]
    assert spec.kwargs == row.kwargs
    for point in (row.entry_point, row.vector_entry_point):
        module, _, name = point.partition(":")
        assert issubclass(getattr(import_module(module), name), gym.Env | gym.vector.VectorEnv)


def test_registering_again_changes_nothing_and_warns_of_nothing():
    before = {env_id: id(gym.spec(env_id)) for env_id in IDS}
    register_envs()
    assert {env_id: id(gym.spec(env_id)) for env_id in IDS} == before


def test_an_id_is_found_without_its_version_and_through_its_module():
    with pytest.warns(UserWarning, match="latest versioned environment"):
        env = gym.make("morphzoo/Centipede-20")
    assert env.unwrapped.task.num_legs == 20
    env = gym.make("morphzoo:morphzoo/Centipede-20-v0")
    assert env.unwrapped.task.num_legs == 20
    assert gym.make("morphzoo/Centipede-v0").unwrapped.task.num_legs == 6
    assert gym.make("morphzoo/Centipede-v0", num_legs=9).unwrapped.task.num_legs == 9
    with pytest.warns(UserWarning, match="latest versioned environment"):
        assert gym.make("morphzoo/Hopper").spec.id == "morphzoo/Hopper-v5"
    assert gym.make("morphzoo:morphzoo/Hopper-v5").spec.id == "morphzoo/Hopper-v5"


def test_importing_loads_neither_torch_nor_mujoco_and_drawing_nothing_loads_no_gl():
    script = """
import sys
import morphzoo
assert not {"torch", "mujoco", "stable_baselines3"} & set(sys.modules), "heavy import"
import gymnasium as gym
env = gym.make("morphzoo/Centipede-4-v0", render_mode="rgb_array")
env.reset(seed=0), env.step(env.action_space.sample()), env.close()
assert "torch" not in sys.modules
maps = open("/proc/self/maps").read()
print([name for name in ("libEGL", "libOpenGL", "libOSMesa", "libGL.so") if name in maps])
"""
    command = ["env", "-u", "MUJOCO_GL", "-u", "DISPLAY", sys.executable, "-c", script]
    done = subprocess.run(command, capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"


def test_the_package_names_its_parts_without_loading_them():
    assert morphzoo.__version__ == "0.1.0"
    assert {"policies", "sb3", "zoo", "with_graph"} <= set(dir(morphzoo))
    assert morphzoo.sb3.__name__ == "morphzoo.sb3"
    with pytest.raises(AttributeError, match="has no attribute 'nothing'"):
        _ = morphzoo.nothing


# --- Gymnasium's and Stable-Baselines3's contracts ------------------------------------------------


@sampled
def test_gymnasiums_checker_only_remarks_on_bounds(name):
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        check_gymnasium(make(name), skip_render_check=True)
    remarks = [str(warning.message) for warning in caught]
    remarks = [text for text in remarks if not re.search("value is -?infinity", text)]
    wide = ["symmetric and normalized"] * (name == "AntVelocityPD")  # actions in -5 to 5
    assert len(remarks) == len(wide) and all(map(operator.contains, remarks, wide))


@sampled
def test_stable_baselines3_checker_only_remarks_on_gymnasiums_own_range_of_actions(name):
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        check_sb3(make(name), warn=True, skip_render_check=True)
    remarks = [str(warning.message).partition(" (range")[0] for warning in caught]
    wide = "We recommend you to use a symmetric and normalized Box action space"
    # Humanoid's motors take -0.4 to 0.4, servos actions in -5 to 5
    assert remarks == [wide] * (name in ("Humanoid", "AntVelocityPD"))


@sampled
def test_spaces_and_kinds_are_as_promised(name):
    env = make(name)
    space = env.observation_space
    assert isinstance(space["observation"] if name in GOAL_SAMPLE else space, MorphologySpace)
    assert graph_of(space) == env.graph == env.task.graph
    assert env.action_space.dtype == np.float32
    observation, info = env.reset(seed=1)
    assert flat(observation).dtype == np.float32 and observation in env.observation_space
    assert set(info) == METRICS[name]
    observation, reward, terminated, truncated, info = env.step(env.action_space.sample())
    assert flat(observation).dtype == np.float32 and observation in env.observation_space
    kinds = (type(reward), type(terminated), type(truncated), type(info["simulation_failed"]))
    assert kinds == (float, bool, bool, bool)
    assert set(info) == METRICS[name] | {*env.task.reward_terms, "simulation_failed"}
    assert env.metadata["render_fps"] == round(1 / STEP.get(name, 0.05))


@sampled
def test_same_seed_same_rollout_bit_for_bit(name):
    for first, second in zip(play(make(name), 60), play(make(name), 60), strict=True):
        np.testing.assert_array_equal(flat(first[2]), flat(second[2]))
        np.testing.assert_equal(first[3:], second[3:])


@sampled
def test_starts_differ_by_seed_and_from_reset_to_reset_unless_the_start_is_one(name):
    env = make(name)
    starts = [flat(env.reset(seed=seed)[0]) for seed in (0, 1, None, None, 0)]
    np.testing.assert_array_equal(starts[0], starts[4])
    if name in FIXED_START:
        assert all((start == starts[0]).all() for start in starts)
        return
    for i in range(4):
        for j in range(i):
            assert np.abs(starts[i] - starts[j]).max() > 1e-3


@sampled
def test_observations_share_no_memory_and_writing_to_them_changes_nothing(name):
    env, untouched = make(name), make(name)
    kept = []
    for given, expected in zip(play(env, 30), play(untouched, 30), strict=True):
        np.testing.assert_array_equal(flat(given[2]), flat(expected[2]))
        for array in arrays(given[2]):
            assert not any(np.shares_memory(array, other) for other in kept)
            kept.append(array)
            array[:] = np.nan
        given[1][:] = 0


@sampled
def test_no_column_is_constant_but_the_forces_on_what_never_touches_the_floor(name):
    env = make(name)
    seen = [step[2] for step in play(env, 400)]
    seen = np.stack([o["observation"] if name in GOAL_SAMPLE else o for o in seen])
    constant = {env.task.columns[i].name for i in np.flatnonzero(np.ptp(seen, axis=0) == 0)}
    # What is spared may move all the same; feet must, in all six numbers.
    assert {text for text in constant if not re.match(UNTOUCHED[name], text)} == set()


# --- info -----------------------------------------------------------------------------------------


@sampled
def test_terms_in_info_sum_to_the_reward(name):
    env = make(name)
    for *_, reward, _, _, info in play(env, 60):
        terms = [info[term] for term in env.task.reward_terms]
        assert reward == functools.reduce(operator.add, terms)  # in that order
        assert np.isfinite(np.hstack([*info.values()])).all()


def moved_part(name, env, info):
    """Where the part is whose velocity is reported: x, y."""
    if name == "Humanoid":  # all of it: the centre of mass
        return np.average(env.data.xipos[:, :2], axis=0, weights=env.model.body_mass)
    return [info[f"{axis}_position"] for axis in "xy" if f"{axis}_position" in info]


@pytest.mark.parametrize("name", [name for name in SAMPLE if "x_velocity" in METRICS[name]])
def test_velocity_is_the_change_of_position_over_the_step(name):
    env = make(name)
    _, info = env.reset(seed=3)
    before = moved_part(name, env, info)
    for _ in range(8):
        *_, info = env.step(env.action_space.sample())
        after = moved_part(name, env, info)
        for axis, old, new in zip("xy", before, after, strict=False):
            speed = (new - old) / STEP.get(name, 0.05)
            assert info[f"{axis}_velocity"] == pytest.approx(speed, rel=1e-12, abs=1e-12)
        before = after


def test_the_time_limit_truncates():
    env = gym.make("morphzoo/Centipede-20-v0", max_episode_steps=3)
    env.reset(seed=0)
    ends = [env.step(np.zeros(58, np.float32))[2:4] for _ in range(3)]
    assert ends == [(False, False), (False, False), (False, True)]

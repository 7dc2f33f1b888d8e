"""The Gymnasium vector environment: against single environments, through every kind of reset."""

from __future__ import annotations

import copy
import pickle
import subprocess
import sys
import warnings
from pathlib import Path

import gymnasium as gym
import numpy as np
import pytest
from gymnasium.vector import AutoresetMode
from gymnasium.wrappers.vector import RecordEpisodeStatistics

from morphzoo.envs import TABLE
from morphzoo.envs.batch import MorphologyVectorEnv
from morphzoo.envs.ids import canonical_id, id_families
from morphzoo.envs.single import MorphologyEnv
from morphzoo.recipe import Recipe
from morphzoo.spaces import MorphologySpace
from morphzoo.training import build_model

ID = "morphzoo/Centipede-6-v0"
SHORT = {"max_episode_steps": 12}


def made(num_envs: int = 3, env_id: str = ID, **kwargs) -> MorphologyVectorEnv:
    env = gym.make_vec(env_id, num_envs=num_envs, **kwargs)
    assert isinstance(env, MorphologyVectorEnv)
    return env


def actions(env: gym.vector.VectorEnv, steps: int, seed: int = 0) -> np.ndarray:
    shape = (steps, *env.action_space.shape)
    return np.random.default_rng(seed).uniform(-1, 1, shape).astype(np.float32)


def same(first, second, where: str = "") -> None:
    """Assert that two nested results are equal bit for bit, types included."""
    if isinstance(first, dict):
        assert first.keys() == second.keys(), where
        for name in first:
            same(first[name], second[name], f"{where}/{name}")
    elif isinstance(first, tuple):
        for index, (one, other) in enumerate(zip(first, second, strict=True)):
            same(one, other, f"{where}[{index}]")
    elif isinstance(first, np.ndarray) and first.dtype == object:
        assert second.dtype == object, where
        for one, other in zip(first, second, strict=True):
            assert (one is None) == (other is None), where
            if one is not None:
                same(one, other, where)
    elif isinstance(first, np.ndarray):
        assert first.dtype == second.dtype, where
        np.testing.assert_array_equal(first, second, where)
    else:
        assert first == second, where


def without_empty(infos: dict) -> dict:
    """Leave out what no row has, as Gymnasium does: ours has every key in every step."""
    empty = {name for name in infos if f"_{name}" in infos and not infos[f"_{name}"].any()}
    return {name: infos[name] for name in infos if name.removeprefix("_") not in empty}


# --- against single environments ------------------------------------------------------------------


EACH_BODY = [f"morphzoo/Centipede{kind}-v0" for kind in ("-5", "-6", "-20", "Reach", "Reach-7")]
EACH_BODY += [row.id for row in TABLE if "Centipede" not in row.id]


@pytest.mark.parametrize("env_id", EACH_BODY)
def test_equals_gymnasiums_loop_over_single_environments(env_id: str) -> None:
    batched = made(env_id=env_id, **SHORT)
    single = gym.make_vec(
        env_id,
        num_envs=3,
        vectorization_mode="sync",
        vector_kwargs={"autoreset_mode": AutoresetMode.SAME_STEP},
        max_episode_steps=12,
    )
    assert batched.observation_space == single.observation_space
    assert batched.action_space == single.action_space
    assert batched.single_observation_space == single.single_observation_space
    same(single.reset(seed=11), batched.reset(seed=11))
    ends = {"terminated": 0, "truncated": 0}
    for action in actions(single, 40):
        expected, found = single.step(action), batched.step(action)
        same(expected[:4], found[:4])
        same(expected[4], without_empty(found[4]))
        ends["terminated"] += expected[2].sum()
        ends["truncated"] += expected[3].sum()
    assert ends["truncated"] > 3
    same(single.reset(), batched.reset())
    assert batched.np_random_seed == single.np_random_seed == (11, 12, 13)


def test_equals_single_environments_through_falls() -> None:
    """A Centipede-4 falls within some 22 random steps; its next episode continues its generator."""
    batched = made(4, "morphzoo/Centipede-4-v0")
    observation, _ = batched.reset(seed=5)
    singles = [gym.make("morphzoo/Centipede-4-v0") for _ in range(4)]
    for row, env in enumerate(singles):
        np.testing.assert_array_equal(env.reset(seed=5 + row)[0], observation[row])
    falls = 0
    for action in actions(batched, 80):
        observation, reward, terminated, truncated, infos = batched.step(action)
        for row, env in enumerate(singles):
            one = env.step(action[row])
            assert (one[1], one[2], one[3]) == (reward[row], terminated[row], truncated[row])
            end, info = one[0], one[4]
            found = infos["final_info"] if terminated[row] else infos
            assert all(found[name][row] == value for name, value in info.items())
            if one[2]:
                falls += 1
                np.testing.assert_array_equal(infos["final_obs"][row], end)
                end, _ = env.reset()
            np.testing.assert_array_equal(observation[row], end)
    assert falls > 4


def test_a_list_of_seeds() -> None:
    env = made()
    listed, _ = env.reset(seed=[7, 8, 9])
    counted, _ = env.reset(seed=np.int64(7))
    np.testing.assert_array_equal(listed, counted)
    partly, _ = env.reset(seed=[7, None, 9])
    np.testing.assert_array_equal(partly[[0, 2]], listed[[0, 2]])
    assert (partly[1] != listed[1]).any()
    with pytest.raises(ValueError, match="one seed or a list of 3, found a list of 2"):
        env.reset(seed=[1, 2])
    with pytest.raises(gym.error.Error, match="Seed must be"):
        env.reset(seed=-4)


def test_without_a_seed_rows_and_environments_differ() -> None:
    first, second = made().reset()[0], made().reset()[0]
    rows = {row.tobytes() for row in (*first, *second)}
    assert len(rows) == 6


def test_number_of_threads_changes_nothing() -> None:
    one, three = made(5, num_threads=1, **SHORT), made(5, num_threads=3, **SHORT)
    same(one.reset(seed=0), three.reset(seed=0))
    for action in actions(one, 20):
        same(one.step(action), three.step(action))


# --- Gymnasium's conventions ----------------------------------------------------------------------


@pytest.mark.parametrize(
    "env_id", [ID, "morphzoo/Centipede-v0", "morphzoo:morphzoo/Centipede-6-v0"]
)
def test_make_vec_arrives_without_a_warning(env_id: str) -> None:
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        env = made(4, env_id)
    assert env.metadata["autoreset_mode"] is AutoresetMode.SAME_STEP
    assert env.spec is not None and env.spec.kwargs["num_envs"] == 4
    assert env.episodes.max_steps == 1000
    assert isinstance(env.single_observation_space, MorphologySpace)
    assert env.single_observation_space.graph == env.graph
    assert type(env.observation_space) is gym.spaces.Box
    observation, _ = env.reset(seed=0)
    assert env.observation_space.contains(observation)
    assert env.observation_space.shape == (4, 133)
    env.close()
    env.close()


def test_a_stock_wrapper_counts_its_episodes() -> None:
    env = RecordEpisodeStatistics(made(max_episode_steps=5))
    env.reset(seed=0)
    for action in actions(env, 5):
        *_, infos = env.step(action)
    assert infos["episode"]["l"].tolist() == [5, 5, 5]
    assert infos["_episode"].all()


def test_arrays_belong_to_the_caller() -> None:
    careful, careless = made(**SHORT), made(**SHORT)
    same(careful.reset(seed=0), careless.reset(seed=0))
    for action in actions(careful, 15):
        expected, found = careful.step(action), careless.step(action)
        same(expected, found)
        for array in found[:4]:
            array[:] = 1
        for values in found[4].values():
            if isinstance(values, np.ndarray) and values.dtype != object:
                values[:] = 1
        for end in found[4].get("final_obs", []):
            if end is not None:
                end[:] = 1


def test_time_limit() -> None:
    env = made(2, max_episode_steps=3)
    env.reset(seed=0)
    flags = [env.step(action)[3].all() for action in actions(env, 7)]
    assert flags == [False, False, True, False, False, True, False]
    for endless in (None, -1):
        assert made(1, max_episode_steps=endless).episodes.max_steps is None
    with pytest.raises(ValueError, match="at least 1, or None or -1 for no limit, found 0"):
        made(1, max_episode_steps=0)


@pytest.mark.parametrize(
    ("kwargs", "message"),
    [
        ({"autoreset_mode": AutoresetMode.NEXT_STEP}, "SAME_STEP or DISABLED.*mode='sync'"),
        ({"autoreset_mode": "Sometimes"}, "Sometimes"),
        ({"render_mode": "human"}, "no window.*rgb_array"),
        ({"render_mode": "ascii"}, "ascii"),
        ({"num_threads": -2}, "num_threads"),
        ({"num_envs": 0}, "at least 1 row"),
        ({"num_legs": 2}, "legs"),
    ],
)
def test_bad_arguments(kwargs: dict, message: str) -> None:
    with pytest.raises(ValueError, match=message):
        made(**{"num_envs": 2, "env_id": "morphzoo/Centipede-v0", **kwargs})


def test_an_unknown_keyword_is_an_error() -> None:
    with pytest.raises(TypeError, match="num_leg"):
        made(2, num_leg=4)


def test_step_needs_a_reset() -> None:
    with pytest.raises(gym.error.ResetNeeded, match="call reset"):
        made().step(np.zeros((3, 16)))


def test_a_bad_action_moves_nothing() -> None:
    env = made()
    env.reset(seed=0)
    before = env.get_state()
    action = actions(env, 1)[0]
    for bad in (np.full_like(action, np.nan), action[:2], action[:, :-1]):
        with pytest.raises(ValueError, match="actions must"):
            env.step(bad)
        same(before, env.get_state())


# --- without autoreset ----------------------------------------------------------------------------


def test_a_finished_row_rests_until_it_is_reset() -> None:
    env = made(3, "morphzoo/Centipede-4-v0", autoreset_mode=AutoresetMode.DISABLED)
    free = made(3, "morphzoo/Centipede-4-v0", autoreset_mode="Disabled", max_episode_steps=10**6)
    same(env.reset(seed=0), free.reset(seed=0))
    steps = iter(actions(env, 300))
    while True:
        last = env.step(next(steps))
        assert "final_obs" not in last[4]
        if last[2].any():
            break
    down = last[2].copy()
    assert not down.all()
    physics = env.get_state()["physics"][down]
    again = env.step(next(steps))
    np.testing.assert_array_equal(again[0][down], last[0][down])
    np.testing.assert_array_equal(again[2][down], True)
    assert (again[0][~down] != last[0][~down]).any()
    assert (again[1][down] == 0).all() and (again[1][~down] != 0).all()
    np.testing.assert_array_equal(env.get_state()["physics"][down], physics)
    for name in ("x_position", "distance_from_origin"):
        np.testing.assert_array_equal(again[4][name][down], last[4][name][down])
    observation, infos = env.reset(options={"reset_mask": down})
    np.testing.assert_array_equal(observation[~down], again[0][~down])
    assert (observation[down] != again[0][down]).any()
    np.testing.assert_array_equal(infos["_x_position"], down)
    assert not env.step(next(steps))[2][down].any()


def test_all_rows_may_rest() -> None:
    env = made(2, autoreset_mode=AutoresetMode.DISABLED, max_episode_steps=1)
    env.reset(seed=0)
    action = actions(env, 1)[0]
    first, second = env.step(action), env.step(action)
    assert first[3].all() and second[3].all()
    np.testing.assert_array_equal(first[0], second[0])
    assert not second[1].any()


def test_a_mask_resets_as_a_single_environment_does() -> None:
    env = made(autoreset_mode=AutoresetMode.DISABLED)
    env.reset(seed=3)
    single = gym.make(ID)
    single.reset(seed=4)
    options = {"reset_mask": np.array([False, True, False])}
    observation, _ = env.reset(options=options)
    assert list(options) == ["reset_mask"]  # the caller's dict stays as it was
    np.testing.assert_array_equal(observation[1], single.reset()[0])
    observation, _ = env.reset(seed=20, options=options)
    np.testing.assert_array_equal(observation[1], single.reset(seed=21)[0])


@pytest.mark.parametrize(
    "mask", [np.ones(2, bool), np.ones(3), [True, True, True], np.zeros(3, bool), None]
)
def test_bad_masks(mask) -> None:
    env = made()
    env.reset(seed=0)
    before = env.get_state()
    with pytest.raises(ValueError, match="reset_mask"):
        env.reset(options={"reset_mask": mask})
    same(before, env.get_state())


def test_the_first_reset_is_of_every_row() -> None:
    with pytest.raises(ValueError, match="first reset must be of all 3 rows, found 1"):
        made().reset(options={"reset_mask": np.array([True, False, False])})


# --- failures -------------------------------------------------------------------------------------


def test_a_failed_row_begins_again_and_the_others_do_not_notice() -> None:
    healthy, broken = made(5), made(5)
    same(healthy.reset(seed=0), broken.reset(seed=0))
    steps = actions(healthy, 12)
    for action in steps[:3]:
        last = broken.step(action)
        same(healthy.step(action), last)
    broken.simulation.batch.bind("qpos")[2, 4] = np.nan
    expected, found = healthy.step(steps[3]), broken.step(steps[3])
    others = np.array([0, 1, 3, 4])
    for one, other in zip(expected[:4], found[:4], strict=True):
        np.testing.assert_array_equal(one[others], other[others])
    assert (found[1][2], found[2][2], found[3][2]) == (0, True, False)
    assert found[4]["final_info"]["simulation_failed"].tolist() == [
        False,
        False,
        True,
        False,
        False,
    ]
    assert not found[4]["simulation_failed"].any()
    np.testing.assert_array_equal(found[4]["final_obs"][2], last[0][2])
    assert broken.simulation.failures == 1 and healthy.simulation.failures == 0
    # The generator of a single environment with that seed, at its second episode.
    single = gym.make(ID)
    single.reset(seed=2)
    np.testing.assert_array_equal(found[0][2], single.reset()[0])
    for action in steps[4:]:
        expected, found = healthy.step(action), broken.step(action)
        np.testing.assert_array_equal(expected[0][others], found[0][others])
        one = single.step(action[2])
        assert found[1][2] == one[1]
    assert broken.simulation.failures == 1


def test_single_and_batched_fail_alike() -> None:
    batched, single = made(1), gym.make(ID, disable_env_checker=True)
    batched.reset(seed=0), single.reset(seed=0)
    base = single.unwrapped
    assert isinstance(base, MorphologyEnv)
    for action in actions(batched, 2):
        batched.step(action), single.step(action[0])
    batched.simulation.batch.bind("qvel")[0, 0] = np.inf
    base.data.qvel[0] = np.inf
    found, expected = batched.step(action), single.step(action[0])
    np.testing.assert_array_equal(found[4]["final_obs"][0], expected[0])
    assert (found[1][0], found[2][0]) == expected[1:3] == (0.0, True)
    final = {name: values[0] for name, values in found[4]["final_info"].items() if name[0] != "_"}
    assert final == expected[4]
    assert final["simulation_failed"]


# --- the state ------------------------------------------------------------------------------------


def test_a_state_goes_on_bit_for_bit_in_a_new_environment() -> None:
    old = made(4, "morphzoo/Centipede-4-v0", max_episode_steps=25)
    old.reset(seed=9)
    for action in actions(old, 30):
        old.step(action)
    old.simulation.batch.bind("qpos")[1, 0] = np.nan
    old.step(action)
    state = old.get_state()
    new = made(4, "morphzoo/Centipede-4-v0", max_episode_steps=25, num_threads=1)
    new.set_state(state)
    same(state, new.get_state())
    for action in actions(old, 60, seed=1):
        same(old.step(action), new.step(action))
    same(old.reset(), new.reset())
    assert new.simulation.failures == old.simulation.failures >= 1


def test_a_state_goes_on_bit_for_bit_in_a_new_process(tmp_path: Path) -> None:
    old = made(**SHORT)
    old.reset(seed=9)
    for action in actions(old, 8):
        old.step(action)
    np.savez(tmp_path / "state.npz", **old.get_state())
    np.save(tmp_path / "actions.npy", actions(old, 20, seed=1))
    code = f"""
import gymnasium as gym, morphzoo, numpy as np
env = gym.make_vec({ID!r}, num_envs=3, max_episode_steps=12)
env.set_state(dict(np.load("state.npz", allow_pickle=False)))
for action in np.load("actions.npy"):
    observation, reward, *_ = env.step(action)
np.savez("end.npz", reward=reward, seen=observation, **env.get_state())
"""
    subprocess.run([sys.executable, "-c", code], cwd=tmp_path, check=True, timeout=120)
    for action in actions(old, 20, seed=1):
        observation, reward, *_ = old.step(action)
    expected = {"reward": reward, "seen": observation, **old.get_state()}
    same(expected, dict(np.load(tmp_path / "end.npz", allow_pickle=False)))


@pytest.mark.parametrize("copied", [copy.deepcopy, lambda env: pickle.loads(pickle.dumps(env))])
def test_a_copy_goes_on_bit_for_bit_and_shares_nothing(copied) -> None:
    env = made(**SHORT)
    env.reset(seed=0)
    for action in actions(env, 5):
        env.step(action)
    twin = copied(env)
    same(env.get_state(), twin.get_state())
    before = twin.get_state()
    ended = [env.step(action) for action in actions(env, 15, seed=1)]
    same(before, twin.get_state())
    for action, expected in zip(actions(env, 15, seed=1), ended, strict=True):
        same(expected, twin.step(action))
    same(env.reset(), twin.reset())
    assert twin.graph == env.graph and twin.metadata == env.metadata


def test_resting_rows_are_part_of_the_state() -> None:
    kwargs = {"autoreset_mode": AutoresetMode.DISABLED, "max_episode_steps": 4}
    old, new = made(**kwargs), made(**kwargs)
    old.reset(seed=0)
    for action in actions(old, 5):
        old.step(action)
    new.set_state(old.get_state())
    same(old.step(action), new.step(action))
    mask = {"reset_mask": np.array([True, False, True])}
    same(old.reset(options=mask), new.reset(options=mask))
    same(old.step(action), new.step(action))


def test_a_state_from_before_the_first_reset() -> None:
    old, new = made(), made()
    new.set_state(old.get_state())
    with pytest.raises(gym.error.ResetNeeded):
        new.step(np.zeros((3, 16)))
    same(old.reset(), new.reset())


def test_a_state_that_does_not_fit_changes_nothing() -> None:
    env, other = made(), made(4)
    env.reset(seed=0), other.reset(seed=0)
    before = env.get_state()
    words = {"generators": np.zeros((3, 6), dtype=np.uint64)}
    for bad in (other.get_state(), {}, before | {"generators": np.zeros((3, 6))}, before | words):
        with pytest.raises(ValueError, match="state"):
            env.set_state(bad)
        same(before, env.get_state())


# --- ids and images -------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("given", "expected"),
    [
        ("morphzoo/Centipede-20-v0", "morphzoo/Centipede-20-v0"),
        ("morphzoo/Centipede-20", "morphzoo/Centipede-20-v0"),
        ("morphzoo:morphzoo/Centipede-20", "morphzoo/Centipede-20-v0"),
        ("morphzoo:morphzoo/Centipede-20-v0", "morphzoo/Centipede-20-v0"),
        ("morphzoo/Centipede", "morphzoo/Centipede-v0"),
        ("morphzoo/Walker2d", "morphzoo/Walker2d-v5"),
        ("Ant-v5", "Ant-v5"),
        ("CartPole", "CartPole-v1"),
    ],
)
def test_canonical_id(given: str, expected: str) -> None:
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        assert canonical_id(given) == expected


@pytest.mark.parametrize(
    ("given", "error", "message"),
    [
        ("morphzoo/Centipide-20", gym.error.NameNotFound, "Did you mean: `Centipede"),
        ("morphzoo/Centipede-101", gym.error.NameNotFound, "Did you mean: `Centipede-1"),
        ("morphzoo/Centipede-20-v7", gym.error.VersionNotFound, "`v0`"),
        ("morphzo/Centipede-20", gym.error.NamespaceNotFound, "Did you mean: `morphzoo`"),
        ("morphzoo/Centi pede", gym.error.Error, "Malformed"),
        ("", gym.error.Error, "Malformed"),
        ("antigravity:morphzoo/Centipede-20", ValueError, "Import it yourself"),
        (20, ValueError, "must be a string, found 20"),
    ],
)
def test_ids_that_mean_nothing(given, error: type[Exception], message: str) -> None:
    with pytest.raises(error, match=message):
        canonical_id(given)
    assert "antigravity" not in sys.modules  # no module is imported for an id


@pytest.mark.render
def test_images_are_those_of_a_single_environment() -> None:
    batched = made(2, render_mode="rgb_array", width=64, height=48)
    single = gym.make(ID, render_mode="rgb_array", width=64, height=48)
    batched.reset(seed=0), single.reset(seed=1)
    for action in actions(batched, 3):
        batched.step(action), single.step(action[1])
    before = batched.get_state()
    images = batched.render()
    assert images is not None and len(images) == 2
    assert images[0].shape == (48, 64, 3)
    # OpenGL may round a level up or down from frame to frame; another row differs by far more.
    wanted = np.asarray(single.render(), dtype=np.int64)
    assert np.abs(images[1] - wanted).max() <= 2
    assert np.abs(images[0] - wanted).max() > 20
    same(before, batched.get_state())
    batched.close(), single.close()


def test_rendering_without_a_mode() -> None:
    env = made()
    env.reset(seed=0)
    for draw in (env.render, lambda: env.render_row(0)):
        with pytest.warns(UserWarning, match="draws nothing: make the environment with"):
            assert draw() is None


def test_ids_that_differ_by_a_number_are_one_family():
    families = id_families()
    assert "morphzoo/Centipede-{3..100}-v0" in families
    assert "morphzoo/Walker2d-v5" in families and len(families) < 40
    with pytest.raises(ValueError, match="Known: .*Centipede-{3..100}-v0") as raised:
        build_model(Recipe("CartPole-v1", "mlp"))
    assert len(str(raised.value)) < 1500
    with pytest.raises(ValueError, match="Did you mean 'morphzoo/Swimmer-v5'"):
        build_model(Recipe("morphzoo/Swimer-v5", "mlp"))

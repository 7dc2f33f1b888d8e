"""The Stable-Baselines3 environment: against SB3's own, and under its algorithms."""

from __future__ import annotations

import warnings

import gymnasium as gym
import numpy as np
import pytest
from stable_baselines3 import PPO, SAC
from stable_baselines3.common.evaluation import evaluate_policy
from stable_baselines3.common.monitor import Monitor
from stable_baselines3.common.vec_env import DummyVecEnv, VecNormalize

from morphzoo.sb3 import MorphologyVecEnv, make_vec_env
from morphzoo.spaces import MorphologySpace

ID = "morphzoo/Centipede-4-v0"  # falls within some 22 random steps
pytestmark = pytest.mark.filterwarnings("error")


def actions(env, steps: int) -> np.ndarray:
    shape = (steps, env.num_envs, *env.action_space.shape)
    return np.random.default_rng(0).uniform(-1, 1, shape).astype(np.float32)


def test_equals_dummy_vec_env_over_monitors() -> None:
    env = make_vec_env(ID, 4, seed=3, max_episode_steps=25)
    dummy = DummyVecEnv([lambda: Monitor(gym.make(ID, max_episode_steps=25)) for _ in range(4)])
    dummy.seed(3)
    assert env.observation_space == dummy.observation_space
    assert env.action_space == dummy.action_space
    np.testing.assert_array_equal(env.reset(), dummy.reset())
    assert env.reset_infos == dummy.reset_infos
    seen = {"fall": 0, "time": 0}
    for action in actions(env, 80):
        found, expected = env.step(action), dummy.step(action)
        for one, other in zip(found[:3], expected[:3], strict=True):
            assert one.dtype == other.dtype
            np.testing.assert_array_equal(one, other)
        for done, info, other in zip(found[2], found[3], expected[3], strict=True):
            if not done:
                assert info == {}
                continue
            seen["time" if info["TimeLimit.truncated"] else "fall"] += 1
            episode, monitored = info.pop("episode"), other.pop("episode")
            assert (round(episode["r"], 6), episode["l"]) == (monitored["r"], monitored["l"])
            assert episode["t"] >= 0
            np.testing.assert_array_equal(
                info.pop("terminal_observation"), other.pop("terminal_observation")
            )
            assert info == other
    assert min(seen.values()) > 2


@pytest.mark.parametrize("algorithm", ["ppo", "sac"])
def test_algorithms_train(algorithm: str) -> None:
    env = make_vec_env(ID, 16, seed=0)
    if algorithm == "ppo":
        model = PPO("MlpPolicy", env, n_steps=64, batch_size=256, n_epochs=1, seed=0, device="cpu")
    else:
        model = SAC("MlpPolicy", env, learning_starts=64, batch_size=32, seed=0, device="cpu")
    model.learn(2048 if algorithm == "ppo" else 256)
    assert len(model.ep_info_buffer) > 0
    assert all(info["l"] > 0 for info in model.ep_info_buffer)


def test_time_limits_are_bootstrapped_and_falls_are_not() -> None:
    """What PPO and SAC read: `TimeLimit.truncated` with the last observation of the episode."""
    env = make_vec_env(ID, 2, seed=0, max_episode_steps=2)
    env.reset()
    env.step(actions(env, 1)[0])
    observation, _, dones, infos = env.step(actions(env, 1)[0])
    assert dones.all()
    for row, info in enumerate(infos):
        assert info["TimeLimit.truncated"] is True
        assert info["terminal_observation"].shape == (env.observation_space.shape)
        assert (info["terminal_observation"] != observation[row]).any()


def test_a_failure_is_reported_as_an_end_and_not_as_a_time_limit() -> None:
    env = make_vec_env(ID, 3, seed=0)
    last = env.reset()
    env.vector_env.simulation.batch.bind("qvel")[1, 0] = np.nan
    _, rewards, dones, infos = env.step(actions(env, 1)[0])
    assert dones.tolist() == [False, True, False]
    assert rewards[1] == 0
    assert infos[1]["simulation_failed"] is True and infos[1]["TimeLimit.truncated"] is False
    np.testing.assert_array_equal(infos[1]["terminal_observation"], last[1])
    assert (infos[1]["episode"]["r"], infos[1]["episode"]["l"]) == (0, 1)


def test_seeds_are_used_once() -> None:
    env = make_vec_env(ID, 2, seed=5)
    first, second = env.reset(), env.reset()
    assert (first != second).any()
    assert env.seed(5) == [5, 6]
    np.testing.assert_array_equal(env.reset(), first)
    np.testing.assert_array_equal(env.reset(), second)
    drawn = env.seed()
    assert len(set(drawn)) == 2
    env.set_options({"anything": 1})
    env.reset()
    assert env._options == [{}, {}]


def test_a_seed_of_the_algorithm_reaches_the_rows() -> None:
    starts = []
    for _ in range(2):
        model = PPO(
            "MlpPolicy", make_vec_env(ID, 2), seed=8, n_steps=8, batch_size=16, device="cpu"
        )
        model.learn(16)
        starts.append(model.policy.state_dict())
    assert all((starts[0][name] == starts[1][name]).all() for name in starts[0])


def test_a_state_goes_on_bit_for_bit() -> None:
    old = make_vec_env(ID, 3, seed=1, max_episode_steps=30)
    old.reset()
    for action in actions(old, 20):
        last = old.step(action)[0]
    new = make_vec_env(ID, 3, seed=77, max_episode_steps=30)
    new.set_state(old.get_state())
    np.testing.assert_array_equal(new.last_observation, last)
    ended = 0
    for action in actions(old, 60):
        expected, found = old.step(action), new.step(action)
        for one, other in zip(expected[:3], found[:3], strict=True):
            np.testing.assert_array_equal(one, other)
        for one, other in zip(expected[3], found[3], strict=True):
            if one:
                ended += 1
                one["episode"].pop("t"), other["episode"].pop("t")
                end, again = one.pop("terminal_observation"), other.pop("terminal_observation")
                np.testing.assert_array_equal(end, again)
            assert one == other
    assert ended > 5
    np.testing.assert_array_equal(old.reset(), new.reset())  # the waiting seed 77 is forgotten


def test_wrappers_and_evaluation() -> None:
    env = make_vec_env(ID, 2, seed=0, max_episode_steps=20)
    assert env.env_is_wrapped(Monitor) == [True, True]
    assert env.env_is_wrapped(gym.wrappers.TimeLimit, 0) == [False]
    model = PPO("MlpPolicy", env, n_steps=8, batch_size=16, device="cpu")
    returns, lengths = evaluate_policy(model, env, n_eval_episodes=4, return_episode_rewards=True)
    assert len(returns) == 4 and max(lengths) <= 20
    wrapped = VecNormalize(make_vec_env(ID, 2, seed=0))
    wrapped.reset()
    assert wrapped.step(actions(env, 1)[0])[0].shape == (2, *env.observation_space.shape)
    assert wrapped.get_attr("graph")[0].action_size == env.action_space.shape[0]


def test_attributes_and_methods_of_rows() -> None:
    env = make_vec_env(ID, 3, seed=0)
    env.reset()
    assert isinstance(env.observation_space, MorphologySpace)
    assert env.get_attr("graph") == [env.observation_space.graph] * 3
    assert env.get_attr("observation_space", 1) == [env.observation_space]
    assert env.get_attr("np_random_seed", [0, 2]) == [0, 2]
    assert env.get_attr("num_legs", -1) == [4]
    assert env.get_attr("render_mode") == [None] * 3
    assert env.has_attr("task") and not env.has_attr("nothing_of_the_kind")
    assert env.env_method("get_wrapper_attr", "num_legs", indices=[1]) == [4]
    assert env.env_method("has_wrapper_attr", "num_legs") == [True] * 3
    with pytest.raises(AttributeError, match="nothing"):
        env.env_method("nothing")
    with pytest.raises(AttributeError, match="'num_legs' cannot be set.*as a keyword"):
        env.set_attr("num_legs", 6)
    with pytest.raises(IndexError):
        env.get_attr("graph", 3)
    assert env.get_images() == [None] * 3
    with pytest.warns(UserWarning, match="render_mode"):
        assert env.render() is None
    env.close()


@pytest.mark.render
def test_render_tiles_the_rows() -> None:
    env = make_vec_env(ID, 4, seed=0, render_mode="rgb_array", width=40, height=32)
    env.reset()
    tiles = env.render()
    assert tiles is not None and tiles.shape == (64, 80, 3)
    row = env.env_method("render", indices=1)[0]
    assert row.shape == (32, 40, 3)
    # OpenGL may round a level up or down from frame to frame.
    assert np.abs(tiles[:32, 40:].astype(np.int64) - row).max() <= 2
    env.close()


@pytest.mark.parametrize(
    "env_id",
    ["morphzoo/Centipede-6", "morphzoo:morphzoo/Centipede-6-v0", "morphzoo/Centipede-6-v0"],
)
def test_every_spelling_of_an_id(env_id: str) -> None:
    env = make_vec_env(env_id, 2, num_threads=1, include_contact_forces=False)
    assert isinstance(env, MorphologyVecEnv)
    assert env.observation_space.shape == (43,)
    spec = env.get_attr("spec")[0]
    assert spec.id == "morphzoo/Centipede-6-v0"


def test_bad_requests() -> None:
    with pytest.raises(ValueError, match="namespace 'morphzoo', found 'Ant-v5'.*make_vec_env"):
        make_vec_env("Ant-v5", 2)
    with pytest.raises(gym.error.NameNotFound, match="Did you mean"):
        make_vec_env("morphzoo/Centipide-6", 2)
    with pytest.raises(ValueError, match="at least 1 row"):
        make_vec_env(ID, 0)
    with pytest.raises(ValueError, match="needs autoreset"):
        make_vec_env(ID, 2, autoreset_mode="Disabled")
    env = make_vec_env(ID, 2)
    with pytest.raises(gym.error.ResetNeeded):
        env.step(np.zeros((2, 10)))
    env.reset()
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        with pytest.raises(ValueError, match="finite"):
            env.step(np.full((2, 10), np.inf))

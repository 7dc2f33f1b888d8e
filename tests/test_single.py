"""The single environment: misuse, failed physics, copies."""

import copy
import pickle

import mujoco
import numpy as np
import pytest
from gymnasium.error import ResetNeeded

from morphzoo.envs.centipede import CentipedeEnv

# --- what a user may do wrong ---------------------------------------------------------------------


@pytest.mark.parametrize("bad", [np.nan, np.inf, -np.inf])
def test_an_action_that_is_not_finite_is_refused_before_anything_moves(bad):
    env = CentipedeEnv(6)
    env.reset(seed=0)
    before = env.data.qpos.copy(), env.data.time
    action = np.zeros(16)
    action[5] = bad
    with pytest.raises(ValueError, match=r"must be finite, found -?(nan|inf) for motor 5"):
        env.step(action)
    np.testing.assert_array_equal(env.data.qpos, before[0])
    assert env.data.time == before[1]


@pytest.mark.parametrize("shape", [(15,), (1, 16), (), (17,), (0,)])
def test_an_action_of_another_shape_is_refused(shape):
    env = CentipedeEnv(6)
    env.reset(seed=0)
    with pytest.raises(ValueError, match=r"must have shape \(16,\)"):
        env.step(np.zeros(shape))


def test_stepping_before_the_first_reset_is_refused():
    with pytest.raises(ResetNeeded, match="call reset"):
        CentipedeEnv(6).step(np.zeros(16))


@pytest.mark.parametrize(
    ("options", "error", "message"),
    [
        ({"render_mode": "ansi"}, ValueError, "render_mode: expected None or one of human"),
        ({"width": 0}, ValueError, "width and height must be at least 1"),
        ({"frame_skip": 0}, ValueError, "frame_skip must be at least 1, found 0"),
        ({"healthy_z_range": (1, 1)}, ValueError, r"healthy_z_range: expected low < high"),
        ({"contact_force_range": (1, -1)}, ValueError, r"contact_force_range: expected low < high"),
        ({"num_leg": 4}, TypeError, "num_leg"),
    ],
)
def test_arguments_that_make_no_sense_are_refused(options, error, message):
    with pytest.raises(error, match=message):
        CentipedeEnv(**options)


# --- failed physics and copies --------------------------------------------------------------------


def test_failed_physics_ends_the_episode_and_a_reset_heals_it(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    env, healthy = CentipedeEnv(6), CentipedeEnv(6)
    env.reset(seed=0)
    given, *_, info = env.step(np.zeros(16))
    valid = given.copy()
    given[:] = -1.0  # a caller's array is the caller's
    env.data.qvel[7] = 1e200
    for _ in range(2):  # it stays failed until it is reset
        observation, reward, terminated, truncated, failed = env.step(np.ones(16))
        np.testing.assert_array_equal(observation, valid)
        assert (reward, terminated, truncated) == (0.0, True, False)
        assert failed["simulation_failed"] is True
        assert all(failed[term] == 0 for term in env.task.reward_terms)
        assert failed["x_position"] == info["x_position"]
    again, expected = env.reset(seed=5), healthy.reset(seed=5)
    np.testing.assert_array_equal(again[0], expected[0])
    step, other = env.step(np.ones(16)), healthy.step(np.ones(16))
    np.testing.assert_array_equal(step[0], other[0])
    assert step[1:] == other[1:] and step[4]["simulation_failed"] is False
    assert list(tmp_path.iterdir()) == []


def test_an_error_of_the_engine_ends_the_episode_for_good(monkeypatch):
    env = CentipedeEnv(6)
    env.reset(seed=0)
    valid = env.step(np.zeros(16))[0]

    def fail(*args, **kwargs):
        raise mujoco.FatalError("stack overflow")

    with monkeypatch.context() as patch:
        patch.setattr(mujoco, "mj_step", fail)
        assert env.step(np.zeros(16))[4]["simulation_failed"] is True
    observation, reward, terminated, _, info = env.step(np.zeros(16))
    np.testing.assert_array_equal(observation, valid)
    assert (reward, terminated, info["simulation_failed"]) == (0.0, True, True)
    env.reset(seed=0)
    np.testing.assert_array_equal(env.step(np.zeros(16))[0], valid)


@pytest.mark.parametrize("duplicate", [copy.deepcopy, lambda env: pickle.loads(pickle.dumps(env))])
def test_a_copy_goes_on_bit_for_bit_and_alone(duplicate):
    env, reference = CentipedeEnv(5), CentipedeEnv(5)
    for one in (env, reference):
        one.reset(seed=4)
        for _ in range(3):
            one.step(np.full(12, 0.5))
    twin = duplicate(env)
    env.step(np.zeros(12))  # must not disturb the copy
    for _ in range(40):
        ours, theirs = twin.step(np.full(12, -0.5)), reference.step(np.full(12, -0.5))
        np.testing.assert_array_equal(ours[0], theirs[0])
        assert ours[1:] == theirs[1:]
    np.testing.assert_array_equal(twin.reset()[0], reference.reset()[0])
    assert twin.observation_space == env.observation_space and twin.graph == env.graph
    assert twin.model is twin.task.model and twin.model is not env.model


def test_without_a_render_mode_nothing_is_drawn():
    env = CentipedeEnv(6)
    env.reset(seed=0)
    with pytest.warns(UserWarning, match="make the environment with a render_mode"):
        assert env.render() is None

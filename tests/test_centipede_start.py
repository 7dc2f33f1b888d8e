"""The Centipede's starts, and how long it lives on random and on no actions."""

import mujoco
import numpy as np
import pytest

from morphzoo.envs.centipede import CentipedeEnv, CentipedeTask

# --- start ----------------------------------------------------------------------------------------


@pytest.mark.parametrize("num_legs", [3, 6, 9, 100])
def test_starts_follow_the_published_distribution(num_legs):
    task = CentipedeTask(num_legs)
    model, data = task.model, mujoco.MjData(task.model)
    starts = [task.initial_state(np.random.default_rng(seed)) for seed in range(200)]
    qpos, qvel = (np.stack(part) for part in zip(*starts, strict=True))
    segments = (num_legs + 1) // 2
    pitches = [model.joint(f"bodyupdown_{k}").qposadr[0] for k in range(1, segments)]
    np.testing.assert_allclose(np.linalg.norm(qpos[:, 3:7], axis=1), 1, rtol=1e-15)
    level = np.abs(qpos[:, pitches])
    assert 0.09 / (segments - 1) < level.max() <= 0.1 / (segments - 1)
    assert np.abs(qpos[:, 5]).max() <= 0.1 / (segments - 1) / 0.9
    others = np.setdiff1d(np.arange(model.nq), [3, 4, 5, 6, *pitches])
    noise = np.abs(qpos - model.qpos0)[:, others]
    assert 0.099 < noise.max() <= 0.1
    assert np.std(qvel) == pytest.approx(0.1, rel=0.05)
    for row in qpos:
        data.qpos = row
        mujoco.mj_forward(model, data)
        assert not task.terminated({name: getattr(data, name)[None] for name in task.fields}, {})[0]


def test_starts_that_would_end_the_episode_are_drawn_again():
    task = CentipedeTask(6, healthy_z_range=(0.84, 1.0))  # a height that one start in ten has
    for seed in range(20):
        qpos, _ = task.initial_state(np.random.default_rng(seed))
        assert qpos[2] > 0.84


def test_a_start_that_cannot_be_healthy_is_an_error_and_not_an_endless_loop():
    task = CentipedeTask(6, healthy_z_range=(2.0, 3.0))
    with pytest.raises(RuntimeError, match=r"No healthy start in 1000 draws.*\(2\.0, 3\.0\)"):
        task.initial_state(np.random.default_rng(0))


# --- reference values -----------------------------------------------------------------------------


def episodes(num_legs, act, count):
    """Return and length of some episodes of up to 1000 steps."""
    env = CentipedeEnv(num_legs)
    env.action_space.seed(0)
    found = []
    for seed in range(count):
        env.reset(seed=seed)
        total, length, terminated = 0.0, 0, False
        while not terminated and length < 1000:
            _, reward, terminated, _, _ = env.step(act(env))
            total, length = total + reward, length + 1
        found.append((total, length))
    return np.mean(found, axis=0)


# Single episodes of other people's re-implementation gave -16 in 22 steps, -25 in 27, -48 in 43
# and about -50; both spread widely from start to start.
@pytest.mark.parametrize(
    ("num_legs", "low", "high"), [(4, -40, -5), (6, -70, -10), (20, -180, -30)]
)
def test_random_actions_lose_about_as_much_as_reported(num_legs, low, high):
    returned, length = episodes(num_legs, lambda env: env.action_space.sample(), 5)
    assert low < returned < high
    assert 10 < length < 200


# Likewise 26 steps and 34 for four legs, about 390 and 370 for six.
@pytest.mark.parametrize(("num_legs", "least", "most"), [(4, 15, 120), (6, 30, 600)])
def test_doing_nothing_survives_about_as_long_as_reported(num_legs, least, most):
    returned, length = episodes(num_legs, lambda env: np.zeros(env.model.nu), 5)
    assert least < length < most
    assert returned == pytest.approx(length, abs=25)

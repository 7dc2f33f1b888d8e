"""The replay buffer of contrastive RL: exact offsets, and goals of the anchor's own future."""

from __future__ import annotations

import pickle
from typing import Any

import numpy as np
import pytest
from gymnasium import spaces
from scipy import stats

from morphzoo.algorithms.future_replay import FutureReplayBuffer

ACTION = spaces.Box(-1.0, 1.0, (1,), np.float32)


def space(observation: int = 3, goal: int = 2) -> spaces.Dict:
    def box(size: int) -> spaces.Box:
        return spaces.Box(-np.inf, np.inf, (size,), np.float32)

    return spaces.Dict(
        {"observation": box(observation), "achieved_goal": box(goal), "desired_goal": box(goal)}
    )


def buffer(size: int = 100, n_envs: int = 1, **kwargs: Any) -> FutureReplayBuffer:
    return FutureReplayBuffer(
        size, space(), ACTION, "cpu", n_envs, **{"gamma": 0.8, "seed": 0, **kwargs}
    )


class Life:
    """Fills a buffer with states that say where they come from: (environment, episode, time)."""

    def __init__(self, kept: FutureReplayBuffer) -> None:
        self.kept, n = kept, kept.n_envs
        self.episode, self.time = np.zeros(n), np.zeros(n)

    def _seen(self, time: np.ndarray) -> dict[str, np.ndarray]:
        env = np.arange(len(time))
        goal = np.stack([1000.0 * env + self.episode, time], 1)
        wrong = np.full_like(goal, np.nan)  # what was asked for is never learned from
        return {
            "observation": np.stack([env, self.episode, time], 1),
            "achieved_goal": goal,
            "desired_goal": wrong,
        }

    def step(self, *done: int) -> None:
        before, after = self._seen(self.time), self._seen(self.time + 1)
        ended = np.isin(np.arange(self.kept.n_envs), done)
        action = self.time[:, None] / 100
        self.kept.add(before, after, action, np.zeros(len(ended)), ended, [{}] * len(ended))
        self.time = np.where(ended, 0, self.time + 1)
        self.episode = self.episode + ended


def parted(kept: FutureReplayBuffer, batch: int = 4000) -> dict[str, np.ndarray]:
    """Pairs as numbers: environment, episode and time of the anchor, and how far its goal is."""
    observations, actions = kept.sample(batch)
    env, episode, time = observations["observation"].numpy().T
    place, reached = observations["desired_goal"].numpy().T
    assert (place == 1000 * env + episode).all(), "a goal of another episode or environment"
    np.testing.assert_allclose(actions.numpy()[:, 0], time / 100, rtol=1e-6)
    return {"env": env, "episode": episode, "time": time, "offset": reached - time}


def truncated_geometric(gamma: float, left: int) -> np.ndarray:
    weights = gamma ** np.arange(left)
    return weights / weights.sum()


@pytest.mark.parametrize("left", [1, 2, 3, 7, 50])
@pytest.mark.parametrize("gamma", [0.3, 0.9, 0.99, 0.999999])
def test_offsets_follow_the_truncated_geometric_distribution(left: int, gamma: float) -> None:
    kept = buffer(gamma=gamma, seed=3)
    offsets = kept._offsets(np.full(20_000, left))
    assert offsets.min() >= 1 and offsets.max() <= left and offsets.dtype == np.int64
    wanted = 20_000 * truncated_geometric(gamma, left)
    counts = np.bincount(offsets, minlength=left + 1)[1:]
    common = wanted > 5
    if common.sum() > 1:
        found = np.append(counts[common], counts[~common].sum())
        told = np.append(wanted[common], wanted[~common].sum())
        keep = told > 0
        assert stats.chisquare(found[keep], told[keep]).pvalue > 1e-3


def test_the_inverse_is_exact_at_every_boundary() -> None:
    """Just below and above a step of the distribution function are d and d + 1."""
    gamma, left = 0.9, 6
    steps = np.cumsum(truncated_geometric(gamma, left))[:-1]
    kept = buffer(gamma=gamma)

    class Given:
        def random(self, size: int) -> np.ndarray:
            return np.concatenate([steps - 1e-9, steps + 1e-9, [0.0, 1 - 2**-53]])

    kept.rng = Given()  # type: ignore[assignment]
    offsets = kept._offsets(np.full(2 * left, left))
    assert offsets.tolist() == [1, 2, 3, 4, 5, 2, 3, 4, 5, 6, 1, 6]


def test_goals_are_of_the_anchors_own_future_and_reach_the_last_state() -> None:
    kept = buffer(200, n_envs=2)
    life = Life(kept)
    ends = {(0, 9), (1, 14), (0, 19), (1, 39)}
    for t in range(50):
        life.step(*(env for env, end in ends if end == t))
    pairs = parted(kept)
    assert pairs["offset"].min() == 1
    lengths = {(0, 0): 10, (0, 1): 10, (0, 2): 30, (1, 0): 15, (1, 1): 25, (1, 2): 10}
    for (env, episode), length in lengths.items():
        mine = (pairs["env"] == env) & (pairs["episode"] == episode)
        assert abs(mine.sum() / 4000 - length / 100) < 0.02  # anchors are uniform
        reached = pairs["time"][mine] + pairs["offset"][mine]
        assert reached.max() == length  # the state after the last action is a goal too


def test_offsets_in_the_buffer_are_truncated_by_the_episode_and_by_now() -> None:
    kept = buffer(200, gamma=0.7)
    life = Life(kept)
    for t in range(14):
        life.step(*([0] if t == 7 else []))
    pairs = parted(kept, 60_000)
    for episode, length in ((0, 8), (1, 6)):
        for time in range(length):
            mine = (pairs["episode"] == episode) & (pairs["time"] == time)
            left = length - time
            counts = np.bincount(pairs["offset"][mine].astype(int), minlength=left + 1)[1:]
            assert len(counts) == left
            wanted = truncated_geometric(0.7, left) * mine.sum()
            assert stats.chisquare(counts, wanted).pvalue > 1e-4 or left == 1


@pytest.mark.parametrize("length", [3, 7, 20, 33])
def test_what_is_overwritten_is_never_drawn(length: int) -> None:
    """A ring of 20 steps with episodes shorter and longer than it, at every state of its turn."""
    kept = buffer(40, n_envs=2, gamma=0.95)
    life = Life(kept)
    for t in range(75):
        life.step(*([0] if t % length == length - 1 else []), *([1] if t % 11 == 10 else []))
        assert kept.size() == min(t + 1, 20) and kept.full == (t >= 19)
        pairs = parted(kept, 200)
        size = np.where(pairs["env"] == 0, length, 11)
        born = pairs["time"] + size * pairs["episode"]
        assert born.min() >= t + 1 - 20 and born.max() <= t
        assert (pairs["time"] + pairs["offset"] <= size).all()
        assert (born + pairs["offset"] <= t + 1).all()


def test_environments_that_begin_anew_end_their_episodes() -> None:
    kept = buffer(100, n_envs=2)
    life = Life(kept)
    for _ in range(5):
        life.step()
    kept.close_episodes()
    life.episode += 1
    life.time[:] = 0
    for _ in range(5):
        life.step()
    assert set(parted(kept)["episode"]) == {0, 1}
    life.step(0, 1)
    kept.close_episodes()  # nothing goes on: nothing to end
    assert parted(kept)["offset"].max() <= 6


def test_same_seed_same_pairs_through_a_pickle() -> None:
    kept, other = buffer(seed=5), buffer(seed=6)
    for one in (kept, other):
        life = Life(one)
        for _ in range(30):
            life.step()
    again = pickle.loads(pickle.dumps(kept))
    ours, theirs, third = (one.sample(64) for one in (kept, again, other))
    for key, value in ours.observations.items():
        assert np.array_equal(value, theirs.observations[key])
    assert not np.array_equal(ours.actions, third.actions)
    assert set(ours.observations) == {"observation", "desired_goal"}


def test_what_is_drawn_is_a_copy_and_an_empty_buffer_says_so() -> None:
    kept = buffer()
    with pytest.raises(ValueError, match="collect steps before learning"):
        kept.sample(1)
    with pytest.raises(ValueError, match="optimize_memory_usage"):
        buffer(optimize_memory_usage=True)
    life = Life(kept)
    life.step()
    pairs = kept.sample(8)
    assert pairs.observations["desired_goal"][:, 1].tolist() == [1.0] * 8
    pairs.observations["observation"].fill_(np.inf)
    pairs.actions.fill_(np.inf)
    assert np.isfinite(kept.states).all() and np.isfinite(kept.actions).all()
    kept.reset()
    assert kept.size() == 0
    with pytest.raises(ValueError, match="nothing is stored"):
        kept.sample(1)

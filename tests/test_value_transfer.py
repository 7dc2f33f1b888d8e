"""The graph value head carries what it learnt on one body to another."""

from __future__ import annotations

import gymnasium as gym
import numpy as np
import torch

import morphzoo  # noqa: F401
from morphzoo.policies import NerveNetPolicy
from morphzoo.policies.transferring import policy_schema, transfer
from morphzoo.sb3 import make_vec_env

GAMMA = 0.8  # near enough that a state says much about its return, whatever the actions


def returns_to_go(num_legs: int, steps: int = 80, n_envs: int = 16):
    """Observations `[M, O]` and returns `[M]` of random actions, of episodes that ended."""
    env = make_vec_env(f"morphzoo/Centipede-{num_legs}-v0", n_envs, seed=3)
    rng = np.random.default_rng(0)
    obs, seen, rewards, ends = env.reset(), [], [], []
    for _ in range(steps):
        seen.append(obs)
        actions = rng.uniform(-1, 1, (n_envs, env.action_space.shape[0])).astype(np.float32)
        obs, reward, done, _ = env.step(actions)
        rewards.append(reward)
        ends.append(done)
    env.close()
    values, known = np.zeros((steps, n_envs)), np.zeros((steps, n_envs), bool)
    after, closed = np.zeros(n_envs), np.zeros(n_envs, bool)
    for t in reversed(range(steps)):
        after = rewards[t] + GAMMA * np.where(ends[t], 0.0, after)
        closed |= ends[t]
        values[t], known[t] = after, closed
    flat = np.stack(seen)[known]
    return torch.as_tensor(flat), torch.as_tensor(values[known], dtype=torch.float32)


def mean_square(policy, obs, returns) -> float:
    with torch.no_grad():
        return (policy.predict_values(obs).squeeze(1) - returns).square().mean().item()


def spaces_of(num_legs: int):
    env = gym.make(f"morphzoo/Centipede-{num_legs}-v0")
    return env.observation_space, env.action_space


def test_a_value_head_fitted_on_6_legs_beats_a_fresh_one_on_8():
    torch.manual_seed(0)
    obs, returns = returns_to_go(6)
    policy = NerveNetPolicy(*spaces_of(6), lambda _: 1e-3, value_head="graph")
    with torch.no_grad():
        policy(obs)  # statistics of what it is fitted on
    policy.normalizer.commit()
    optimizer = torch.optim.Adam(policy.value.parameters(), lr=2e-3)
    for _ in range(100):
        rows = torch.randint(len(obs), (128,))
        loss = (policy.predict_values(obs[rows]).squeeze(1) - returns[rows]).square().mean()
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
    there, target = returns_to_go(8)
    moved, dropped = transfer(
        NerveNetPolicy,
        policy.state_dict(),
        policy_schema(policy),
        policy.kwargs_received,
        *spaces_of(8),
    )
    fresh = NerveNetPolicy(*spaces_of(8), lambda _: 1e-3, value_head="graph")
    fresh.normalizer.load_state_dict(policy.normalizer.state_dict())
    assert dropped == []
    errors = mean_square(moved, there, target), mean_square(fresh, there, target)
    assert errors[0] < 0.5 * errors[1], errors
    with torch.no_grad():
        together = torch.stack([moved.predict_values(there).squeeze(1), target])
    assert torch.corrcoef(together)[0, 1] > 0.3, (
        "it must know which states are better, not only their mean"
    )

"""PolicyBank and where it is played: many policies at once equal one policy after another."""

from __future__ import annotations

from typing import Any

import gymnasium as gym
import numpy as np
import pytest
import torch
from gymnasium import spaces
from gymnasium.wrappers import TimeLimit, TransformReward
from stable_baselines3.common.monitor import Monitor
from stable_baselines3.common.vec_env import DummyVecEnv, VecMonitor, VecNormalize
from torch import nn

from morphzoo.algorithms.rollouts import play
from morphzoo.algorithms.stages import SimulationRows, VecEnvRows, VectorRows, rows_of
from morphzoo.policies import DeterministicPolicy, PolicyBank
from morphzoo.sb3 import make_vec_env

ANT = "morphzoo/AntVelocity-v0"
BOX = spaces.Box(-1, 1, (5,), np.float32)
ACTIONS = {
    "box": spaces.Box(np.float32([-1, -2, 0.5]), np.float32([1, 3, 0.75])),
    "discrete": spaces.Discrete(3, start=2),
}
KEYWORDS: dict[str, dict[str, Any]] = {
    "defaults": {},
    "linear": {"hidden_sizes": []},
    "normalised": {"hidden_sizes": [7], "activation": "relu", "normalize": True},
    "three layers, plain": {"hidden_sizes": [4, 3, 2], "activation": "elu", "squash": False},
}


def policy_of(actions: str = "box", observations: spaces.Box = BOX, **kwargs) -> Any:
    torch.manual_seed(0)
    return DeterministicPolicy(observations, ACTIONS[actions], lambda _: 0.0, **kwargs)


def thetas_of(policy: DeterministicPolicy, num: int, scale: float = 0.5) -> torch.Tensor:
    generator = torch.Generator().manual_seed(1)
    noise = torch.randn(num, policy.num_parameters, generator=generator)
    return policy.theta + scale * noise


# The bank itself.


@pytest.mark.parametrize("actions", ACTIONS)
@pytest.mark.parametrize("name", KEYWORDS)
def test_a_bank_equals_a_loop_over_torch_policies(actions: str, name: str) -> None:
    policy = policy_of(actions, **KEYWORDS[name])
    policy.observe(3 * torch.randn(50, 5) + 1)
    policy.commit()
    thetas = thetas_of(policy, 9)
    observations = np.random.default_rng(0).normal(size=(9, 5)).astype(np.float32)
    together = PolicyBank(policy, thetas).act(observations)
    for theta, observation, action in zip(thetas, observations, together, strict=True):
        policy.theta = theta
        alone, _ = policy.predict(observation, deterministic=True)
        # Sums of 64 in another order; how another depends on the processor: 2e-6 was seen.
        np.testing.assert_allclose(action, alone, atol=4e-6, rtol=0)
        assert ACTIONS[actions].contains(np.asarray(action))
    assert len(np.unique(together, axis=0)) > 1


def test_the_flat_order_is_that_of_torchs_linear_layers_by_hand() -> None:
    """2 inputs, 1 hidden unit, 1 output: W1 = (1, 2), b1 = 3, W2 = 4, b2 = 5."""
    policy = DeterministicPolicy(
        spaces.Box(-1, 1, (2,)), spaces.Box(-9, 9, (1,)), lambda _: 0.0, hidden_sizes=[1],
        activation="relu", squash=False,
    )  # fmt: skip
    thetas = torch.tensor([[1.0, 2, 3, 4, 5], [0, 0, 0, 0, -1]])
    bank = PolicyBank(policy, thetas)
    states = torch.tensor([[0.5, -1.0], [-9.0, 0.0]])
    # 0.5 - 2 + 3 = 1.5, 4 * 1.5 + 5 = 11; -9 + 3 < 0, so 5
    assert bank.outputs(states)[..., 0].tolist() == [[11, 5], [-1, -1]]
    assert bank.act(np.array([[0.5, -1], [0, 0]], dtype=np.float32)).tolist() == [[9], [-1]]
    assert policy.num_parameters == 5 and policy.sizes == (2, 1, 1)


def test_theta_is_the_parameters_and_reads_back() -> None:
    policy = policy_of()
    theta = thetas_of(policy, 1)[0]
    policy.theta = theta
    assert torch.equal(policy.theta, theta)
    assert torch.equal(nn.utils.parameters_to_vector(policy.actor.parameters()), theta)
    policy.theta[:] = 0.0  # a copy
    theta[:] = 1.0
    assert not torch.equal(policy.theta, theta) and policy.theta.any()


def test_a_bank_is_differentiable_as_the_policies_are() -> None:
    policy = policy_of(hidden_sizes=[6])
    thetas = thetas_of(policy, 3).requires_grad_()
    states = torch.randn(4, 5)
    PolicyBank(policy, thetas).responses(states).square().sum().backward()
    for row in range(3):
        policy.theta = thetas[row].detach()
        loss = policy.decide(policy(states)).square().sum()
        own = torch.autograd.grad(loss, list(policy.actor.parameters()))
        torch.testing.assert_close(thetas.grad[row], nn.utils.parameters_to_vector(own))


def test_wrong_shapes_and_spaces_are_refused() -> None:
    policy = policy_of()
    with pytest.raises(ValueError, match=r"shape \[M, 4\d+\].*found \(3, 5\)"):
        PolicyBank(policy, torch.zeros(3, 5))
    rows = (
        (lambda: policy_of(hidden_sizes=[0]), "hidden_sizes"),
        (lambda: policy_of(hidden_sizes=[2.5]), "hidden_sizes"),
        (lambda: policy_of(activation="step"), "activation"),
        (lambda: policy_of(observations=spaces.Box(0, 1, (2, 2))), "FlattenObservation"),
        (lambda: DeterministicPolicy(BOX, spaces.Box(-np.inf, 1, (2,)), len), "squash=False"),
        (lambda: DeterministicPolicy(BOX, spaces.MultiBinary(2), len), "Discrete"),
        (lambda: DeterministicPolicy(BOX, ACTIONS["box"], len, use_sde=True), "use_sde"),
    )
    for make, message in rows:
        with pytest.raises(ValueError, match=message):
            make()


def test_statistics_enter_at_a_commit_only_and_by_hand() -> None:
    policy = policy_of(normalize=True)
    seen = torch.tensor([[0.0, 1, 1, 3, -3], [2.0, 1, 5, 3, 3]])
    policy.observe(seen)
    assert torch.equal(policy.standardized(seen), seen)
    policy.commit()
    # Means 1, 1, 3, 3, 0; standard deviations 1, 0, 2, 0, 3, with 0.01 as smallest variance.
    expected = torch.tensor([[-1.0, 0, -1, 0, -1], [1, 0, 1, 0, 1]])
    torch.testing.assert_close(policy.standardized(seen), expected, atol=1e-5, rtol=0)


# Playing.


def plain_loop(env: gym.Env, seed: int, act) -> tuple[float, int]:
    observation, _ = env.reset(seed=seed)
    total, steps, done = 0.0, 0, False
    while not done:
        observation, reward, terminated, truncated, _ = env.step(act(observation))
        total, steps, done = total + float(reward), steps + 1, terminated or truncated
    return total, steps


class Recorder(PolicyBank):
    """A bank that remembers what it did, policy by policy."""

    def __init__(self, policy, thetas, names=None, log=None) -> None:
        super().__init__(policy, thetas)
        self.names = np.arange(len(thetas)) if names is None else names
        self.log: dict[int, list] = {} if log is None else log

    def take(self, rows):
        return Recorder(self.policy, self.thetas[rows], self.names[rows], self.log)

    def act(self, observations):
        actions = super().act(observations)
        for name, observation, action in zip(self.names, observations, actions, strict=True):
            self.log.setdefault(int(name), []).append((observation.copy(), action.copy()))
        return actions


def ant(rows: int, **kwargs) -> Any:
    return make_vec_env(ANT, rows, num_threads=1, **kwargs)


@pytest.mark.parametrize("rows", [7, 3])
def test_a_bank_on_simulations_equals_a_plain_loop_bit_for_bit(rows: int) -> None:
    """Episodes of different lengths, a start with noise; also with fewer rows than policies."""
    kwargs = {"reset_noise_scale": 0.3, "max_episode_steps": 60}
    vec_env = ant(rows, **kwargs)
    policy = DeterministicPolicy(vec_env.observation_space, vec_env.action_space, len)
    bank = Recorder(policy, thetas_of(policy, 7))
    seeds = np.array([11, 5, 5, 99, 2, 3, 4])
    steps: list[int] = []
    played = play(rows_of(vec_env, 7), bank, seeds, on_step=lambda n: steps.append(n) or True)
    assert played is not None and len(set(played.lengths)) > 1, "lengths must differ"
    assert sum(steps) == played.lengths.sum()
    with gym.make(ANT, **kwargs) as env:
        for row, seed in enumerate(seeds):
            actions = iter(bank.log[row])

            def act(observation, actions=actions, row=row):
                seen, action = next(actions)
                np.testing.assert_array_equal(seen, observation)
                policy.theta = bank.thetas[row]
                alone, _ = policy.predict(observation)
                np.testing.assert_allclose(action, alone, atol=1e-5, rtol=0)
                return action

            total, length = plain_loop(env, int(seed), act)
            assert (total, length) == (played.returns[row], played.lengths[row])


def test_a_single_environment_of_ours_is_made_anew_as_simulations() -> None:
    env = gym.make(ANT, max_episode_steps=20)
    rows = rows_of(DummyVecEnv([lambda: Monitor(env)]), 5)
    assert isinstance(rows, SimulationRows) and (rows.num, rows.max_steps) == (5, 20)


def cartpole(**kwargs) -> Any:
    return gym.make("CartPole-v1", **kwargs)


def test_cartpole_is_stepped_as_arrays_and_rewards_end_with_the_episode() -> None:
    rows = rows_of(DummyVecEnv([lambda: Monitor(cartpole(max_episode_steps=30))]), 8)
    assert isinstance(rows, VectorRows) and rows.num == 8
    env = cartpole()
    policy = DeterministicPolicy(env.observation_space, env.action_space, len, hidden_sizes=[])
    thetas = thetas_of(policy, 8, 2.0)
    thetas[5] = torch.tensor([0.0, 0, 0, 0, 0, 0, 1, 1, 0, 0])  # pushes under the falling pole
    played = play(rows, PolicyBank(policy, thetas), np.arange(8))
    assert played is not None
    assert played.returns.tolist() == played.lengths.tolist(), "a reward of 1 a step"
    assert played.lengths[5] == 30 and played.lengths.min() < 30


@pytest.mark.parametrize("num_envs", [1, 3])
def test_any_other_environment_is_stepped_as_it_is_and_equals_a_plain_loop(num_envs: int) -> None:
    def make() -> gym.Env:
        return TransformReward(cartpole(max_episode_steps=40), lambda reward: 2 * reward)

    rows = rows_of(DummyVecEnv([make] * num_envs), 5)
    assert isinstance(rows, VecEnvRows) and rows.num == num_envs
    env = make()
    policy = DeterministicPolicy(env.observation_space, env.action_space, len)
    thetas = thetas_of(policy, 5, 2.0)
    seeds = np.array([3, 1, 4, 1, 5])
    played = play(rows, PolicyBank(policy, thetas), seeds)
    assert played is not None and len(set(played.lengths)) > 1
    for row, seed in enumerate(seeds):
        policy.theta = thetas[row]
        expected = plain_loop(env, int(seed), lambda seen: policy.predict(seen)[0])
        assert (played.returns[row], played.lengths[row]) == expected


def test_a_stop_gives_nothing() -> None:
    vec_env = ant(2, max_episode_steps=5)
    policy = DeterministicPolicy(vec_env.observation_space, vec_env.action_space, len)
    told: list[int] = []
    stopped = play(
        rows_of(vec_env, 2), PolicyBank(policy, thetas_of(policy, 4)), np.arange(4),
        on_step=lambda n: told.append(n) or len(told) < 7,
    )  # fmt: skip
    assert stopped is None and told == [2] * 7


class Endless(gym.Env):
    """An environment whose episodes never end."""

    observation_space = spaces.Box(-1, 1, (1,))
    action_space = spaces.Discrete(2)


def test_what_cannot_be_compared_is_refused() -> None:
    with pytest.raises(ValueError, match="no time limit.*TimeLimit"):
        rows_of(DummyVecEnv([Endless]), 2)
    with pytest.raises(ValueError, match="no time limit"):
        rows_of(DummyVecEnv([Endless, lambda: TimeLimit(Endless(), 5)]), 2)
    with pytest.raises(ValueError, match="no time limit"):
        rows_of(ant(1, max_episode_steps=-1), 2)
    with pytest.raises(ValueError, match=r"VecNormalize.*'normalize': True"):
        rows_of(VecNormalize(DummyVecEnv([cartpole])), 2)
    with pytest.raises(ValueError, match="VecNormalize"):
        rows_of(VecMonitor(VecNormalize(DummyVecEnv([cartpole]))), 2)

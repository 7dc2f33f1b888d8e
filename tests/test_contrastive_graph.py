"""Graph networks as actor and encoder: equivariance, what is frozen, strict weights elsewhere."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from goal_envs import CentipedeGoal, PointEnv, goal_space
from gymnasium import spaces
from gymnasium.wrappers import TimeLimit
from stable_baselines3.common.vec_env import DummyVecEnv, VecEnv

from morphzoo import zoo
from morphzoo.algorithms.contrastive import ContrastiveRL
from morphzoo.algorithms.contrastive_step import ContrastiveStep
from morphzoo.algorithms.entropy_coefficient import EntropyCoefficient
from morphzoo.algorithms.future_replay import GoalPairs
from morphzoo.policies.contrastive_graph import ContrastiveSnowflakePolicy
from morphzoo.policies.schema import motor_nodes
from morphzoo.spaces import MorphologySpace, graph_of

SMALL = {"hidden_size": 8, "num_layers": 2, "goal_width": 8, "repr_dim": 4}


def spaces_of(num_legs: int) -> tuple[spaces.Dict, spaces.Box]:
    env = CentipedeGoal(num_legs)
    found: Any = env.observation_space, env.action_space
    env.close()
    return found


SPACES = {num_legs: spaces_of(num_legs) for num_legs in (4, 6, 8)}


def policy(num_legs: int = 4, seed: int = 0, **changes: Any) -> ContrastiveSnowflakePolicy:
    torch.manual_seed(seed)
    return ContrastiveSnowflakePolicy(*SPACES[num_legs], lambda _: 1e-2, **{**SMALL, **changes})


def pairs(num_legs: int = 4, batch: int = 6, seed: int = 0) -> GoalPairs:
    generator = torch.Generator().manual_seed(seed)
    space, action = SPACES[num_legs]
    state = torch.randn(batch, *(space["observation"].shape or ()), generator=generator)
    goal = 3 * torch.randn(batch, 2, generator=generator)
    actions = 2 * torch.rand(batch, *action.shape, generator=generator) - 1
    return GoalPairs({"observation": state, "desired_goal": goal}, actions)


def centipedes(num_legs: int = 4, n_envs: int = 2) -> VecEnv:
    return DummyVecEnv([lambda: TimeLimit(CentipedeGoal(num_legs), 12) for _ in range(n_envs)])


def model(**changes: Any) -> ContrastiveRL:
    return ContrastiveRL(
        ContrastiveSnowflakePolicy, centipedes(), learning_rate=1e-2, buffer_size=200,
        learning_starts=16, batch_size=8, seed=0, device="cpu", policy_kwargs=SMALL | changes,
    )  # fmt: skip


def warmed(made: ContrastiveSnowflakePolicy, num_legs: int = 4) -> ContrastiveSnowflakePolicy:
    """Give the normalisers statistics that are not the identity."""
    obs = pairs(num_legs, 50, seed=9).observations
    made.observe({**obs, "achieved_goal": obs["desired_goal"] + 1})
    made.commit()
    return made


def test_goals_and_actions_reach_each_motor_and_each_action_the_encoder() -> None:
    made, (obs, action) = warmed(policy(freeze=())), pairs()
    state, goal = made.read(obs)
    goal.requires_grad_()
    mean, log_std = made.actor(state, goal)
    assert mean.shape == log_std.shape == action.shape
    for motor in range(action.shape[1]):
        for output in (mean, log_std):
            (reached,) = torch.autograd.grad(output[:, motor].sum(), goal, retain_graph=True)
            assert reached.abs().min(0).values.min() > 0
    action.requires_grad_()
    (moved,) = torch.autograd.grad(made.critic.phi(state, action).square().sum(), action)
    assert moved.abs().amax(0).min() > 0


def test_the_action_of_a_motor_is_read_by_its_own_node() -> None:
    made, (_, action) = policy(), pairs()
    body = made.critic.phi.body
    table = body.of_motors(action).squeeze(-1)
    graph, place = graph_of(SPACES[4][0]), {n: p for p, n in enumerate(body.topology.order)}
    for motor, node in enumerate(motor_nodes(graph)):
        assert torch.equal(table[place[node]], action[:, motor])
    assert int((table != 0).any(1).sum()) == action.shape[1]


def test_relabelling_the_nodes_leaves_everything_unchanged() -> None:
    made = warmed(policy(6), 6)
    space, action = SPACES[6]
    inner: Any = space["observation"]
    order = np.random.default_rng(3).permutation(inner.graph.num_nodes)
    relabelled = goal_space(MorphologySpace(inner.graph.relabel(order)))
    other = ContrastiveSnowflakePolicy(relabelled, action, lambda _: 0.0, **SMALL)
    other.load_state_dict(made.state_dict(), strict=True)
    obs, actions = pairs(6)
    with torch.no_grad():
        for ours, theirs in zip(made.gaussian(obs), other.gaussian(obs), strict=True):
            torch.testing.assert_close(ours, theirs, atol=2e-6, rtol=0)
        values = [p.value(obs["observation"], obs["desired_goal"], actions) for p in (made, other)]
        torch.testing.assert_close(*values, atol=2e-6, rtol=0)


@pytest.mark.parametrize("num_legs", [6, 8])
def test_weights_load_strictly_on_another_body_and_act(num_legs: int, tmp_path: Path) -> None:
    made, other = warmed(policy(4)), policy(num_legs, seed=5)
    other.load_state_dict(made.state_dict(), strict=True)
    assert all(torch.equal(v, other.state_dict()[k]) for k, v in made.state_dict().items())
    obs, actions = pairs(num_legs)
    assert other.value(obs["observation"], obs["desired_goal"], actions).isfinite().all()
    folder = zoo.save(made, tmp_path / "policy")
    loaded = zoo.load(folder, SPACES[num_legs])
    assert loaded.transfer_dropped == ()
    seen = {**obs, "achieved_goal": obs["desired_goal"]}
    arrays = {key: value.numpy() for key, value in seen.items()}
    ours, theirs = (p.predict(arrays, deterministic=True)[0] for p in (other, loaded))
    np.testing.assert_array_equal(ours, theirs)
    assert ours.shape == actions.shape and np.ptp(ours) > 0


def test_frozen_phi_gives_its_gradient_to_the_action_alone() -> None:
    made, (obs, action) = policy(freeze=()), pairs()
    state, _ = made.read(obs)
    found = []
    for encode in (made.critic.frozen_phi, made.critic.phi):
        made.zero_grad()
        action = action.detach().requires_grad_()
        embedded = encode(state, action)
        embedded.square().sum().backward()
        found.append((embedded.detach(), action.grad))
        touched = [p.grad is not None for p in made.critic.phi.parameters()]
        assert any(touched) == all(touched) == (encode is made.critic.phi)
    for ours, theirs in zip(*found, strict=True):
        torch.testing.assert_close(ours, theirs)


def frozen_names(made: ContrastiveSnowflakePolicy) -> set[str]:
    return {name for name, p in made.named_parameters() if not p.requires_grad}


@pytest.mark.parametrize("freeze", [("encoder", "message", "decoder"), (), ("embedding",)])
def test_a_step_moves_all_that_is_not_frozen(freeze: tuple[str, ...]) -> None:
    made = warmed(policy(freeze=freeze))
    before = {k: v.clone() for k, v in made.state_dict().items()}
    step = ContrastiveStep("forward", 0.1, -5.0)
    for seed in range(2):
        step(made, EntropyCoefficient("auto", 1e-3), pairs(seed=seed))
    still = {k for k, v in made.named_parameters() if torch.equal(v, before[k])}
    assert still == frozen_names(made)
    parts = {part for part in made.part_names for name in still if f".{part}." in name}
    assert parts == set(freeze)


def test_statistics_are_of_what_was_seen_by_hand() -> None:
    made = policy()
    obs = pairs(batch=40).observations
    reached = obs["desired_goal"] - 7
    made.observe({**obs, "achieved_goal": reached})
    assert not made.goal_normalizer.mean.any(), "nothing changes before a training"
    made.commit()
    both = torch.cat([obs["desired_goal"], reached]).double()
    torch.testing.assert_close(made.goal_normalizer.mean.double(), both.mean(0), atol=1e-5, rtol=0)
    known = made.read(obs)[1]
    wanted = (obs["desired_goal"] - both.mean(0)) / (both.var(0, correction=0) + 1e-6).sqrt()
    torch.testing.assert_close(known, wanted.float(), atol=1e-4, rtol=0)
    plain = policy(normalize=False)
    plain.observe({**obs, "achieved_goal": reached})
    plain.commit()
    assert torch.equal(plain.read(obs)[1], obs["desired_goal"])
    assert plain.state_dict().keys() < made.state_dict().keys()


def test_it_trains_on_a_centipede_and_comes_back(tmp_path: Path) -> None:
    one = model()
    before = {k: v.clone() for k, v in one.policy.state_dict().items()}
    one.learn(40)
    state, made = one.policy.state_dict(), one.policy
    assert isinstance(made, ContrastiveSnowflakePolicy)
    assert made.goal_normalizer.count.tolist() == [80, 80]  # 20 steps of 2, two goals each
    moved = {k for k, v in state.items() if not torch.equal(v, before[k])}
    assert not moved & frozen_names(made) and "critic.head.weight" in moved
    one.save(tmp_path / "model.zip")
    again = ContrastiveRL.load(tmp_path / "model.zip", env=centipedes(), device="cpu")
    assert all(torch.equal(v, again.policy.state_dict()[k]) for k, v in state.items())
    again.learn(8, reset_num_timesteps=False)
    seen: Any = one.env.reset()  # type: ignore[union-attr]
    assert np.isfinite(again.predict(seen)[0]).all()


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"hidden_size": 7}, "hidden_size: expected an even number"),
        ({"num_layers": 0}, "num_layers"),
        ({"freeze": ["value"]}, "freeze: expected one of .*decoder"),
        ({"goal_depth": 6}, "multiple of 4"),
        ({"energy": "far"}, "energy"),
    ],
)
def test_what_does_not_fit_is_refused(changes: dict, message: str) -> None:
    with pytest.raises(ValueError, match=message):
        policy(**changes)


def test_bodies_without_a_graph_and_options_of_residual_networks_are_refused() -> None:
    env = PointEnv()
    with pytest.raises(ValueError, match="carries no graph"):
        ContrastiveSnowflakePolicy(env.observation_space, env.action_space, lambda _: 0.0)
    with pytest.raises(ValueError, match="one action for each of the body's 10 motors"):
        ContrastiveSnowflakePolicy(SPACES[4][0], SPACES[6][1], lambda _: 0.0)
    for option in ({"memory_budget": 1.0}, {"compile": True}):
        with pytest.raises(ValueError, match="ContrastiveSnowflakePolicy"):
            ContrastiveRL(
                ContrastiveSnowflakePolicy, centipedes(), policy_kwargs=SMALL, device="cpu",
                **option,
            )  # fmt: skip

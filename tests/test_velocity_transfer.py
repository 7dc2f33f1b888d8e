"""Policies on the target-velocity Ants: trained on four legs, loaded strictly on every other."""

import gymnasium as gym
import numpy as np
import pytest
import torch
from stable_baselines3 import PPO

import morphzoo  # noqa: F401  (registers the ids)
from morphzoo.policies import NerveNetPolicy, SnowflakePolicy
from morphzoo.sb3 import make_vec_env
from morphzoo.spaces import MorphologySpace

OTHERS = [{"num_legs": n} for n in (2, 3, 5, 6, 7, 8)] + [{"disabled_joints": ["ankle_2"]}]


def build(policy, env_id="morphzoo/AntVelocity-v0", **options):
    env = gym.make(env_id, **options)
    torch.manual_seed(0)
    return policy(env.observation_space, env.action_space, lambda _: 3e-4, value_head="graph"), env


@pytest.mark.parametrize("env_id", ["morphzoo/AntVelocity-v0", "morphzoo/AntVelocityCommand-v0"])
def test_a_policy_trained_on_four_legs_loads_strictly_on_every_body(env_id):
    env = make_vec_env(env_id, 4, seed=0, num_threads=1)
    schedule = {"n_steps": 16, "batch_size": 64, "n_epochs": 1}
    model = PPO(SnowflakePolicy, env, **schedule, policy_kwargs={"value_head": "graph"}, seed=0)
    weights = model.learn(64).policy.state_dict()
    for options in OTHERS:
        other, single = build(SnowflakePolicy, env_id, **options)
        other.load_state_dict(weights, strict=True)
        observation, _ = single.reset(seed=0)
        action, _ = other.predict(observation, deterministic=True)
        assert action in single.action_space


def test_nervenets_weights_load_strictly_on_every_body():
    weights = build(NerveNetPolicy)[0].state_dict()
    for options in OTHERS:
        build(NerveNetPolicy, **options)[0].load_state_dict(weights, strict=True)


def test_a_policy_knows_left_from_right():
    """In the home pose all hips observe alike; only their types part the sides."""
    policy, env = build(NerveNetPolicy)
    observation, _ = env.reset(seed=0)
    mean = (
        policy.get_distribution(torch.from_numpy(observation[None])).distribution.mean[0].detach()
    )
    hips = {
        node.name: float(mean[node.action]) for node in policy.graph.nodes if "hip" in node.name
    }
    assert hips["hip_1"] != pytest.approx(hips["hip_4"], abs=1e-4)


def test_relabelling_the_nodes_leaves_the_actions_unchanged():
    policy, env = build(NerveNetPolicy, num_legs=5)
    space, actions = env.observation_space, env.action_space
    order = np.random.default_rng(3).permutation(space.graph.num_nodes)
    relabelled = MorphologySpace(space.graph.relabel(order))
    other = NerveNetPolicy(relabelled, actions, lambda _: 3e-4, value_head="graph")
    other.load_state_dict(policy.state_dict())
    seen = torch.from_numpy(np.random.default_rng(0).normal(size=(4, 40)).astype(np.float32))
    means = [p.get_distribution(seen).distribution.mean for p in (policy, other)]
    torch.testing.assert_close(*means, atol=2e-6, rtol=0)

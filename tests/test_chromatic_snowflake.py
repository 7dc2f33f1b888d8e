"""A Snowflake of few different weights: the same rounds, any body, and claims of strangers."""

from __future__ import annotations

import json
import re
from pathlib import Path
from typing import Any

import gymnasium as gym
import numpy as np
import pytest
import torch
from gymnasium import spaces
from safetensors.torch import load_file, save_file
from stable_baselines3 import PPO

import morphzoo  # noqa: F401
from morphzoo import zoo
from morphzoo.policies import MlpPolicy, NerveNetPolicy, SnowflakePolicy
from morphzoo.policies.chromatic import ChromaticSnowflakePolicy, Coloring, kmeans_snowflake
from morphzoo.policies.chromatic.compactness import compactness_report
from morphzoo.sb3 import make_vec_env


def centipede(num_legs: int) -> tuple[spaces.Space, spaces.Space]:
    with gym.make("morphzoo/Centipede-v0", num_legs=num_legs) as env:
        return env.observation_space, env.action_space


SPACES = {num_legs: centipede(num_legs) for num_legs in (4, 8)}


def make(policy_class: Any = ChromaticSnowflakePolicy, num_legs: int = 4, **kwargs: Any) -> Any:
    torch.manual_seed(0)
    keywords = {"hidden_size": 16, "value_head": "graph", **kwargs}
    return policy_class(*SPACES[num_legs], lambda _: 3e-4, **keywords).eval()


def observations(num_legs: int = 4) -> np.ndarray:
    shape = (5, *SPACES[num_legs][0].shape)
    return np.random.default_rng(0).normal(size=shape).astype(np.float32)


def means(policy: Any, num_legs: int = 4) -> np.ndarray:
    return policy.predict(observations(num_legs), deterministic=True)[0]


@pytest.mark.parametrize("policy_class", [SnowflakePolicy, NerveNetPolicy])
def test_a_colour_for_every_weight_is_the_same_policy(policy_class: Any) -> None:
    policy = make(policy_class)
    other = kmeans_snowflake(policy, 12 * 16**2)
    np.testing.assert_allclose(means(other), means(policy), atol=1e-6)
    assert other.freeze == policy.freeze
    first = policy.network.update.kinds["joint"]
    cell = other.network.update.kinds["joint"]
    for ours, theirs in zip(cell.tensors(), first.parameters(), strict=True):
        torch.testing.assert_close(ours, theirs)
    few = kmeans_snowflake(policy, 3)
    assert len(few.network.update.kinds["root"].ih.weight().unique()) <= 3
    assert np.abs(means(few) - means(policy)).max() > 1e-3
    kept = {k: v for k, v in policy.state_dict().items() if "network.update." not in k}
    assert all(torch.equal(few.state_dict()[key], value) for key, value in kept.items())


def test_fused_rounds_are_the_rounds_one_by_one_and_so_are_their_gradients() -> None:
    gradients = []
    for fused in (True, False):
        policy = make(fused=fused, num_colors=5).train()
        seen, actions = torch.as_tensor(observations()), torch.zeros(5, SPACES[4][1].shape[0])
        values, likely, _ = policy.evaluate_actions(seen, actions)
        (values.sum() + likely.sum()).backward()
        gradients.append(policy.network.update.pool.grad)
    torch.testing.assert_close(*gradients, rtol=1e-4, atol=1e-5)
    assert bool((gradients[0] != 0).all())


def test_a_trained_one_acts_on_another_body_with_the_same_tensors(tmp_path: Path) -> None:
    env = make_vec_env("morphzoo/Centipede-4-v0", 2, seed=0, num_threads=1)
    kwargs = {"hidden_size": 16, "num_colors": 12, "value_head": "graph"}
    model = PPO(
        ChromaticSnowflakePolicy, env, n_steps=16, batch_size=32, n_epochs=1, seed=0,
        policy_kwargs=kwargs, device="cpu",
    )  # fmt: skip
    before = model.policy.network.update.pool.detach().clone()
    colors = model.policy.coloring
    model.learn(64)
    policy = model.policy
    assert bool((policy.network.update.pool != before).all()) and policy.coloring == colors
    folder = zoo.save(model, tmp_path / "policy")
    loaded = zoo.load(folder, SPACES[8])
    assert loaded.transfer_dropped == () and loaded.coloring == policy.coloring
    ours, theirs = policy.state_dict(), loaded.state_dict()
    assert all(torch.equal(ours[key], theirs[key]) for key in ours)
    assert np.isfinite(means(loaded, 8)).all()
    stored = load_file(folder / "model.safetensors")
    assert stored["network.update.kinds.root.ih.index"].dtype == torch.uint8
    env.close()


def test_the_colouring_is_of_all_matrices_under_one_another() -> None:
    policy = make(num_colors=300)
    coloring = policy.coloring
    assert coloring.sizes == (16, 192) and coloring.num_colors == 300
    assert coloring == Coloring.make("kmeans", (16, 192), 300)
    other = Coloring.make("kmeans", (16, 192), 300, seed=4)
    policy.coloring = other
    assert policy.coloring == other
    index = policy.network.update.kinds["joint"].hh.index  # the last quarter
    assert index.dtype == torch.uint16
    np.testing.assert_array_equal(index.int().numpy(), other.layers()[0][144:])


def test_the_report_counts_the_update_function() -> None:
    """12 * 16^2 = 3,072 edges, 192 biases: 32 (8 + 192) + 3,072 * 3 bits."""
    found = compactness_report(make(num_colors=8))
    assert (found.edges, found.weights, found.biases) == (3072, 8, 192)
    assert found.bits == 6400 + 9216 and found.statistics > 0


def test_what_is_no_trained_graph_policy_is_refused() -> None:
    flat = MlpPolicy(*SPACES[4], lambda _: 0.0)
    for policy in (flat, make()):
        with pytest.raises(ValueError, match="trained Snowflake or NerveNet"):
            kmeans_snowflake(policy, 3)
    for colors in (0, 12 * 16**2 + 1):
        with pytest.raises(ValueError, match="num_colors"):
            make(num_colors=colors)
        with pytest.raises(ValueError, match="num_colors"):
            kmeans_snowflake(make(SnowflakePolicy), colors)


INDEX = "network.update.kinds.root.ih.index"


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"num_colors": 63}, "network.update.pool of shape [63] in the weights; found [64]"),
        ({"num_colors": 10**9}, "num_colors: expected 1 to 3072"),
        ({"num_colors": "many"}, "num_colors of type int"),
        ({"hidden_size": 10**9}, "edges, and a colouring has at most"),
        ({"hidden_size": 32}, "network.update.kinds."),
    ],
)
def test_hostile_sizes_are_refused(change: dict[str, Any], message: str, tmp_path: Path) -> None:
    folder = zoo.save(make(), tmp_path / "policy")
    config = json.loads((folder / "config.json").read_text())
    config["policy_kwargs"].update(change)
    (folder / "config.json").write_text(json.dumps(config))
    with pytest.raises(zoo.CheckpointError, match=re.escape(message)):
        zoo.load(folder, SPACES[4])


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (lambda s: s[INDEX].fill_(65), "found 65 to 65"),
        (lambda s: s.pop(INDEX), f"{INDEX} of shape [48, 16]"),
        (lambda s: s.update({INDEX: s[INDEX].int()}), "torch.uint8"),
        (lambda s: s.update({"network.update.more": torch.zeros(1)}), "no network.update.more"),
    ],
)
def test_hostile_tensors_are_refused(change: Any, message: str, tmp_path: Path) -> None:
    folder = zoo.save(make(), tmp_path / "policy")
    state = load_file(folder / "model.safetensors")
    change(state)
    save_file(state, folder / "model.safetensors", metadata={"format": "pt"})
    with pytest.raises(zoo.CheckpointError, match=re.escape(message)):
        zoo.load(folder, SPACES[4])

"""Trainings that begin with a checkpoint: its weights, on another body, coloured; refusals."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import torch

from morphzoo import zoo
from morphzoo.policies import DeterministicPolicy
from morphzoo.policies.chromatic import kmeans_policy, pruned_policy
from morphzoo.recipe import Recipe
from morphzoo.sb3 import make_vec_env
from morphzoo.training import build_model, train

SWIMMER: dict[str, Any] = {
    "env": "morphzoo/Swimmer-v5",
    "policy": "deterministic",
    "algorithm": "es",
    "steps": 320,
    "n_envs": 4,
    "policy_kwargs": {"hidden_sizes": [5], "normalize": True},
    "env_kwargs": {"max_episode_steps": 20},
    "evaluate_episodes": 1,
}
LEGS: dict[str, Any] = {
    "env": "morphzoo/Centipede-8-v0",
    "policy": "snowflake",
    "n_envs": 2,
    "steps": 96,
    "algorithm_kwargs": {"n_steps": 16, "batch_size": 32, "n_epochs": 1, "learning_rate": 1e-7},
    "env_kwargs": {"max_episode_steps": 20},
    "evaluate_episodes": 1,
    "checkpoint_every": 32,
}


@pytest.fixture(scope="module")
def dense(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A dense policy that has seen observations, so that its statistics count too."""
    env = make_vec_env("morphzoo/Swimmer-v5", 2, seed=0)
    torch.manual_seed(9)
    spaces = env.observation_space, env.action_space
    policy = DeterministicPolicy(*spaces, len, hidden_sizes=[5], normalize=True)
    with torch.no_grad():
        for parameter in policy.actor.parameters():
            parameter.uniform_(-1.0, 1.0)
    policy.observe(torch.randn(50, 8) * 3 + 1)
    policy.commit()
    return zoo.save(policy, tmp_path_factory.mktemp("start") / "dense")


def made(base: dict[str, Any], **changes: Any) -> Any:
    return build_model(Recipe.from_dict({**base, **changes}))


def loaded(folder: Path) -> Any:
    return zoo.load(folder, make_vec_env("morphzoo/Swimmer-v5", 2, seed=0))


def same(ours: Any, theirs: Any) -> bool:
    ours, theirs = ours.state_dict(), theirs.state_dict()
    return ours.keys() == theirs.keys() and all(torch.equal(ours[k], theirs[k]) for k in ours)


def test_a_search_goes_on_from_the_weights_of_a_checkpoint(dense: Path) -> None:
    model = made(SWIMMER, start=str(dense), algorithm_kwargs={"learning_rate": 1e-6})
    assert same(model.policy, loaded(dense)) and not same(made(SWIMMER).policy, loaded(dense))
    model.learn(160)  # two generations
    moved = (model.policy.theta - loaded(dense).theta).abs()
    assert 0 < moved.max() < 3e-6


@pytest.mark.parametrize(
    ("kind", "colors", "fitted"), [("kmeans", 3, kmeans_policy), ("masked", 7, pruned_policy)]
)
def test_colourings_are_fitted_to_a_dense_checkpoint(
    dense: Path, kind: str, colors: int, fitted: Any
) -> None:
    colored = {"coloring": kind, "num_colors": colors, "output_bias": True, "coloring_seed": 5}
    kwargs = {**SWIMMER["policy_kwargs"], **colored}
    model = made(SWIMMER, policy="chromatic", start=str(dense), policy_kwargs=kwargs)
    wanted = fitted(loaded(dense), colors)
    assert same(model.policy, wanted) and model.policy.coloring == wanted.coloring
    model.learn(80)
    assert model.policy.coloring == wanted.coloring


def test_a_graph_policy_goes_on_with_another_body(tmp_path: Path) -> None:
    recipe = Recipe.from_dict({**LEGS, "start": "snowflake-centipede-6"})
    env = make_vec_env("morphzoo/Centipede-8-v0", 2, seed=0)
    theirs = zoo.load("snowflake-centipede-6", env)
    ours = build_model(recipe).policy
    parts = [name for name in ours.state_dict() if "value" not in name]
    assert all(torch.equal(ours.state_dict()[n], theirs.state_dict()[n]) for n in parts)
    assert any("update" in name for name in parts)
    whole = zoo.load(train(recipe, tmp_path / "whole", progress=False), env)
    train(recipe, tmp_path / "halves", progress=False, pause_at=48)
    halves = zoo.load(train(recipe, tmp_path / "halves", resume=True, progress=False), env)
    assert same(whole, halves) and not same(whole, theirs)
    for name, weight in theirs.named_parameters():
        if "value" not in name:  # a flat head is of the training body alone, so it begins anew
            ours = dict(whole.named_parameters())[name]
            torch.testing.assert_close(ours, weight, atol=1e-4, rtol=0)


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"start": "snowflake-centipede-7"}, "snowflake-centipede-7"),
        ({"start": "snowflake-centipede-6"}, "body"),
        (
            {"policy_kwargs": {"hidden_sizes": [6], "normalize": True}},
            "do not fit .*'hidden_sizes'",
        ),
        ({"policy": "chromatic"}, "holds a DeterministicPolicy, .* of a ChromaticPolicy"),
        ({"start": 3}, "'start' must be str"),
    ],
    ids=["no such", "another body", "another size", "another policy", "no name"],
)
def test_what_does_not_fit_is_refused(dense: Path, changes: Any, message: str) -> None:
    with pytest.raises(ValueError, match=message):
        made(SWIMMER, **{"start": str(dense), **changes})

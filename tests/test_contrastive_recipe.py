"""Contrastive RL from a recipe, on environments with goals: the state, the curve, another body."""

from __future__ import annotations

from pathlib import Path

import gymnasium as gym
import numpy as np
import pytest

from morphzoo import zoo
from morphzoo.recipe import Recipe
from morphzoo.training import train
from morphzoo.training.curve import read_curve
from morphzoo.transfer import evaluate

SHARED = {
    "algorithm": "contrastive", "n_envs": 2, "steps": 180, "schedule": "constant",
    "checkpoint_every": 40, "evaluate_every": 90, "evaluate_episodes": 1,
}  # fmt: skip
SETTINGS = {"learning_starts": 60, "batch_size": 8, "buffer_size": 100, "train_freq": 15}
POINT = Recipe(
    env="morphzoo/PointUMaze-v0", policy="contrastive", env_kwargs={"max_episode_steps": 40},
    policy_kwargs={"width": 8, "repr_dim": 4}, algorithm_kwargs=SETTINGS, **SHARED,
)  # fmt: skip
LEGS = Recipe(
    env="morphzoo/CentipedeReach-4-v0", policy="contrastive-snowflake",
    env_kwargs={"max_episode_steps": 40}, algorithm_kwargs=SETTINGS,
    policy_kwargs={"hidden_size": 8, "num_layers": 2, "goal_width": 8, "repr_dim": 4}, **SHARED,
)  # fmt: skip


@pytest.mark.parametrize("recipe", [POINT, LEGS], ids=["point", "legs"])
def test_a_run_that_was_stopped_ends_as_one_that_was_not(recipe: Recipe, tmp_path: Path) -> None:
    train(recipe, tmp_path / "whole", progress=False)
    for pause in (50, 130):  # while actions are random, and later
        train(recipe, tmp_path / "part", progress=False, pause_at=pause, resume=pause > 50)
    train(recipe, tmp_path / "part", progress=False, resume=True)
    for name in ("curve.csv", "final/model.safetensors", "best/model.safetensors"):
        assert (tmp_path / "part" / name).read_bytes() == (tmp_path / "whole" / name).read_bytes()
    curve = read_curve(tmp_path / "whole" / "curve.csv")
    assert curve["step"].tolist() == [30 * n for n in range(1, 7)]
    assert curve["updates"].tolist() == [0, 0, 1, 2, 3, 4]
    assert np.isnan(curve["accuracy"][:2]).all() and np.isfinite(curve["accuracy"][2:]).all()


def test_a_policy_that_knows_its_body_reaches_on_another(tmp_path: Path) -> None:
    folder = train(LEGS, tmp_path, progress=False)
    config = zoo.read_config(folder)
    assert config["algorithm"] == "contrastive" and config["policy"] == "contrastive-snowflake"
    with gym.make("morphzoo/CentipedeReach-6-v0") as env:
        policy = zoo.load(folder, env)
    assert policy.transfer_dropped == ()
    for mean in (True, False):
        first, again = (
            evaluate(policy, "morphzoo/CentipedeReach-6-v0", 2, deterministic=mean, num_threads=1)
            for _ in range(2)
        )
        assert (first.returns == again.returns).all() and (first.lengths > 0).all()

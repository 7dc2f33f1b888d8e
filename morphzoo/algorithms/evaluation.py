"""How the policy that generations are drawn around does by itself."""

from __future__ import annotations

from typing import Any

import numpy as np

from morphzoo.algorithms.rollouts import Episodes, play
from morphzoo.algorithms.streams import EVALUATION
from morphzoo.policies.bank import PolicyBank


def play_unperturbed(model: Any, seeds: np.ndarray) -> Episodes:
    """Play a model's policy without noise, an episode of each seed, int64[n]."""
    assert model.rows is not None
    model.policy.set_training_mode(False)
    thetas = model.policy.theta.detach().expand(len(seeds), -1).contiguous()
    played = play(model.rows, PolicyBank(model.policy, thetas), seeds)
    assert isinstance(played, Episodes)
    return played


def evaluate_unperturbed(model: Any) -> None:
    """Play and log the unperturbed policy, if that is due after this generation."""
    if not model.evaluate_every or model._n_updates % model.evaluate_every:
        return
    seeds = model.streams.words(model._n_updates, EVALUATION, model.evaluate_episodes)
    played = play_unperturbed(model, seeds)
    model.logger.record("eval/mean_reward", float(played.returns.mean()))
    model.logger.record("eval/mean_ep_length", float(played.lengths.mean()))

"""How the policy that generations are drawn around does by itself."""

from __future__ import annotations

from typing import Any

from morphzoo.algorithms.rollouts import Episodes, play
from morphzoo.algorithms.streams import EVALUATION
from morphzoo.policies.bank import PolicyBank


def evaluate_unperturbed(model: Any) -> None:
    """Play and log the unperturbed policy, if that is due after this generation."""
    if not model.evaluate_every or model._n_updates % model.evaluate_every:
        return
    assert model.rows is not None
    model.policy.set_training_mode(False)
    thetas = model.policy.theta.expand(model.evaluate_episodes, -1).contiguous()
    seeds = model.streams.words(model._n_updates, EVALUATION, model.evaluate_episodes)
    played = play(model.rows, PolicyBank(model.policy, thetas), seeds)
    assert isinstance(played, Episodes)
    model.logger.record("eval/mean_reward", float(played.returns.mean()))
    model.logger.record("eval/mean_ep_length", float(played.lengths.mean()))

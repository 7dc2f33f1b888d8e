"""How good a policy-conditioned critic is, and how far it moved the policy."""

from __future__ import annotations

from typing import Any

import torch
from stable_baselines3.common.utils import explained_variance

from morphzoo.algorithms.centres import Generation
from morphzoo.algorithms.gradients import forward_difference
from morphzoo.algorithms.targets import TARGETS


@torch.no_grad()
def log_explained(model: Any, name: str, thetas: torch.Tensor, targets: torch.Tensor) -> None:
    """Record the share of the targets' variance that V explains, if there is any variance."""
    if _all_equal(targets):
        return
    share = explained_variance(model.critic(thetas).cpu().numpy(), targets.cpu().numpy())
    model.logger.record(f"train/{name}", float(share))


def log_cosine(model: Any, generation: Generation) -> None:
    """Record how far V's gradient and an evolution strategy's estimate point the same way.

    Both per standard deviation of the noise: otherwise the estimate's error in parameters that
    relative noise hardly moves would drown the rest.

    Args:
        model: before its policies move.
        generation: of the current centre.
    """
    if _all_equal(generation.returns):
        return
    theta = model.centres.thetas.detach()[model.current]
    std = model.perturbation.std(theta)
    values = TARGETS[model.target](generation.returns)
    estimate = forward_difference(generation.noise, values - values.mean(), std.square())
    gradient = model.critic.gradient(theta[None])[0]
    cosine = torch.cosine_similarity(gradient * std, estimate * std, dim=0)
    model.logger.record("train/gradient_cosine", float(cosine))


def log_shift(model: Any, before: torch.Tensor) -> None:
    """Record how far the current centre moved from where it was, in the noise's deviations."""
    moved = model.centres.thetas.detach()[model.current] - before
    std = model.perturbation.std(before)
    moved, std = moved[std > 0], std[std > 0]
    if len(std):
        model.logger.record("train/shift", float((moved / std).square().mean().sqrt()))


def _all_equal(values: torch.Tensor) -> bool:
    return len(values) < 2 or not bool((values != values[0]).any())

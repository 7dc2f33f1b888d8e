"""A Gaussian squashed by tanh, whose log probabilities hold however far out a sample lies."""

from __future__ import annotations

import math

import torch
from torch.nn import functional

_HALF_LOG_TAU = 0.5 * math.log(2 * math.pi)
_LOG_2 = math.log(2)


def log_slope(x: torch.Tensor) -> torch.Tensor:
    """Return log(1 - tanh(x)^2) of any x, elementwise.

    1 - tanh^2 itself is 0 in float32 from |x| = 9 on. Here log(1 - tanh(x)^2) =
    2 (log 2 - |x| - log(1 + exp(-2 |x|))), in which no two large numbers cancel.
    """
    size = x.abs()
    return 2.0 * (_LOG_2 - size - functional.softplus(-2.0 * size))


def squashed(
    mean: torch.Tensor, log_std: torch.Tensor, noise: torch.Tensor
) -> tuple[torch.Tensor, torch.Tensor]:
    """Squash mean + exp(log_std) * noise by tanh.

    Source: Haarnoja et al., "Soft Actor-Critic" (2018), appendix C, equation 21.
    Differs: the term of the squashing has no epsilon (the released code of deep contrastive RL adds
        1e-6 inside the logarithm, which bounds it at -13.8 and leaves no gradient beyond |x| = 8).

    Args:
        mean: of the Gaussian, float32[B, A].
        log_std: its log standard deviations, float32[B, A].
        noise: standard normal, float32[B, A].

    Returns:
        Actions in -1..1, float32[B, A], and their log probabilities, float32[B].
    """
    x = mean + log_std.exp() * noise
    normal = -0.5 * noise.square() - log_std - _HALF_LOG_TAU
    return torch.tanh(x), (normal - log_slope(x)).sum(-1)

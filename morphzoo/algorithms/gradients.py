"""Estimates of a return's gradient from the returns of perturbed policies alone."""

from __future__ import annotations

import torch


def forward_difference(
    noise: torch.Tensor, gains: torch.Tensor, variance: torch.Tensor
) -> torch.Tensor:
    """Estimate the gradient from single perturbations: mean over m of gain_m noise_m / variance.

    With gains R_m - R(theta) it is the forward difference; with any other baseline that does not
    depend on the noise (such as the mean return) its expectation is the same.

    Source: Salimans et al. (2017), Algorithm 1: g = 1 / (n sigma) sum of F(theta + sigma eps) eps,
        where noise = sigma eps.

    Args:
        noise: float[M, P].
        gains: float[M].
        variance: float[P], of the noise; a parameter of variance 0 gets gradient 0.

    Returns:
        float[P].
    """
    total = gains.to(noise.dtype) @ noise
    return torch.where(variance > 0, total / (len(gains) * variance), torch.zeros_like(total))


def antithetic(
    noise: torch.Tensor, plus: torch.Tensor, minus: torch.Tensor, variance: torch.Tensor
) -> torch.Tensor:
    """Estimate the gradient from mirrored pairs: mean of (R+ - R-) / 2 noise / variance.

    Args:
        noise: float[n, P], of the first of each pair.
        plus: float[n], returns of theta + noise.
        minus: float[n], returns of theta - noise.
        variance: float[P].

    Returns:
        float[P].
    """
    return forward_difference(noise, (plus - minus) / 2, variance)


def top_directions(
    noise: torch.Tensor, plus: torch.Tensor, minus: torch.Tensor, std: torch.Tensor, top: int
) -> torch.Tensor:
    """Take the step of augmented random search from the best pairs.

    Pairs are judged by the better of their two returns. With delta = noise / std of the b best,
    the step is 1 / (b sigma_R) sum of (R+ - R-) delta, where sigma_R is the standard deviation of
    their 2b returns.

    Source: Mania, Guy and Recht, "Simple random search of static linear policies is competitive
        for reinforcement learning" (2018), Algorithm 2 (V1-t, V2-t).

    Args:
        noise: float[n, P].
        plus: float[n].
        minus: float[n].
        std: float[P], of the noise.
        top: b, 1 to n.

    Returns:
        float[P], zero where all returns are equal.
    """
    best = torch.maximum(plus, minus).topk(top).indices
    plus, minus, noise = plus[best], minus[best], noise[best]
    spread = torch.cat([plus, minus]).std(correction=0)
    total = (plus - minus).to(noise.dtype) @ noise
    useful = (std > 0) & (spread > 0)
    return torch.where(useful, total / (top * spread * std), torch.zeros_like(total))

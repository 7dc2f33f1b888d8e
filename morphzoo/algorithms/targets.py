"""What a return becomes before it is compared or learned: as it is, standardised, ranked, log."""

from __future__ import annotations

from collections.abc import Callable

import torch

#: The smallest return that "log" tells from zero.
LOG_UNIT = 1e-3


def plain(returns: torch.Tensor) -> torch.Tensor:
    """The returns themselves."""
    return returns


def standardized(returns: torch.Tensor) -> torch.Tensor:
    """Mean 0 and standard deviation 1; zeros where all returns are equal."""
    centred = returns - returns.mean()
    std = centred.square().mean().sqrt()
    return centred / std if std > 0 else torch.zeros_like(returns)


def ranked(returns: torch.Tensor) -> torch.Tensor:
    """Ranks, from -0.5 for the lowest return to 0.5 for the highest; equal returns share theirs.

    Source: Salimans et al., "Evolution Strategies as a Scalable Alternative to Reinforcement
        Learning" (2017), section 2.1, and its code.
    Differs: ties get the mean of their ranks, so that equal policies pull nowhere.
    """
    if len(returns) < 2:
        return torch.zeros_like(returns)
    _, value, counts = returns.unique(return_inverse=True, return_counts=True)
    last = counts.cumsum(0) - 1
    mean_rank = last - (counts - 1) / 2
    return (mean_rank[value] / (len(returns) - 1) - 0.5).to(returns.dtype)


def logarithmic(returns: torch.Tensor) -> torch.Tensor:
    """sign(R) log(1 + |R| / 0.001), standardised: for returns that spread over decades."""
    return standardized(returns.sign() * (returns.abs() / LOG_UNIT).log1p())


TARGETS: dict[str, Callable[[torch.Tensor], torch.Tensor]] = {
    "none": plain,
    "standard": standardized,
    "rank": ranked,
    "log": logarithmic,
}

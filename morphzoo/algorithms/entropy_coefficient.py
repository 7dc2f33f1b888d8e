"""The weight of the entropy in an actor's loss: fixed, or learned towards a target."""

from __future__ import annotations

import math
from typing import Any

import torch
from torch import nn


class EntropyCoefficient(nn.Module):
    """Alpha, as its logarithm where it is learned.

    Args:
        asked: "auto" learns it from 1 on, "auto_0.1" from 0.1 on; a number fixes it.
        learning_rate: of its logarithm.

    Attributes:
        optimizer: of its logarithm, None where it is fixed.

    Raises:
        ValueError: if `asked` is none of these.
    """

    def __init__(self, asked: str | float, learning_rate: float) -> None:
        super().__init__()
        first = first_coefficient(asked)
        self.optimizer: torch.optim.Optimizer | None = None
        if isinstance(asked, str):
            self.log_value = nn.Parameter(torch.tensor(math.log(first)))
            self.optimizer = torch.optim.Adam(self.parameters(), lr=learning_rate)
        else:
            self.register_buffer("value", torch.tensor(first), persistent=False)

    def forward(self) -> torch.Tensor:
        """Alpha without gradient, a scalar."""
        return self.value if self.optimizer is None else self.log_value.detach().exp()

    def step(self, log_prob: torch.Tensor, target_entropy: float) -> None:
        """Learn, if it is learned, from log probabilities float32[B] of what the actor does."""
        if self.optimizer is None:
            return
        self.optimizer.zero_grad()
        entropy_loss(self.log_value, log_prob, target_entropy).backward()
        self.optimizer.step()

    value: torch.Tensor


def entropy_loss(
    log_value: torch.Tensor, log_prob: torch.Tensor, target_entropy: float
) -> torch.Tensor:
    """Return the loss of log alpha: alpha times the mean of (-log pi - target).

    Source: the released code of deep contrastive RL. Differs from Stable-Baselines3's SAC, which
        multiplies by log alpha.
    """
    return log_value.exp() * (-log_prob.detach() - target_entropy).mean()


def first_coefficient(asked: str | float) -> float:
    """Return the first alpha: of "auto" 1, of "auto_0.1" 0.1, else the number.

    Raises:
        ValueError: if it is none of these, or negative.
    """
    learned = isinstance(asked, str)
    text: Any = asked
    if isinstance(asked, str) and asked.startswith("auto"):
        text = asked.removeprefix("auto").removeprefix("_") or "1"
    elif learned:
        text = math.nan
    try:
        value = float(text)
    except (TypeError, ValueError):
        value = math.nan
    if not math.isfinite(value) or value < 0 or (learned and value == 0):
        raise ValueError(
            f"ent_coef: expected 'auto', 'auto_0.1' or a number of at least 0, found {asked!r}"
        )
    return value

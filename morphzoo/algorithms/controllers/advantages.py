"""How good each of a batch of returns is, compared with the batch or with all before."""

from __future__ import annotations

import torch
from torch import nn

BASELINES = ("batch", "ema")


class Advantages(nn.Module):
    """Returns less a baseline, over the batch's standard deviation.

    The baseline is the batch's mean, or the running mean b = decay b + (1 - decay) mean, which
    begins at the first batch's.

    Source: the running mean: ENAS (Pham et al., 2018), whose code has a decay of 0.999.

    Args:
        baseline: "batch" or "ema".
        decay: of the running mean.

    Raises:
        ValueError: if one is out of range.
    """

    running: torch.Tensor
    batches: torch.Tensor

    def __init__(self, baseline: str, decay: float) -> None:
        super().__init__()
        if baseline not in BASELINES:
            raise ValueError(f"baseline: expected one of {list(BASELINES)}, found {baseline!r}")
        if not 0 <= decay < 1:
            raise ValueError(f"baseline_decay: expected a number in [0, 1), found {decay}")
        self.baseline, self.decay = baseline, decay
        self.register_buffer("running", torch.zeros((), dtype=torch.float64))
        self.register_buffer("batches", torch.zeros((), dtype=torch.int64))

    @torch.no_grad()
    def forward(self, returns: torch.Tensor) -> torch.Tensor:
        """Map returns float64[n] to advantages float32[n]; zeros where all returns are equal."""
        mean, std = returns.mean(), returns.std(correction=0)
        if not self.batches:
            self.running.copy_(mean)
        self.batches += 1
        self.running.mul_(self.decay).add_((1 - self.decay) * mean)
        centre = mean if self.baseline == "batch" else self.running
        if not std > 0:
            return torch.zeros_like(returns, dtype=torch.float32)
        return ((returns - centre) / std).float()

"""Adam whose parameter groups keep their own share of the learning rate."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import torch


class PartAdam(torch.optim.Adam):
    """Adam that multiplies each group's learning rate by the group's own `lr_scale`.

    Stable-Baselines3 writes one rate into every group at each update, so a rate of its own would be
    lost; the scale is a key of the group, applied for the length of a step, and is saved with the
    optimizer's state.
    """

    @torch.no_grad()
    def step(self, closure: Callable[[], float] | None = None) -> Any:
        """Take one step, each group at `lr * lr_scale`."""
        rates = [group["lr"] for group in self.param_groups]
        for group in self.param_groups:
            group["lr"] = group["lr"] * group.get("lr_scale", 1.0)
        try:
            return super().step(closure)
        finally:
            for group, rate in zip(self.param_groups, rates, strict=True):
                group["lr"] = rate

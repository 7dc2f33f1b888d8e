"""Controllers that learn nothing: what a learned one is to be compared with."""

from __future__ import annotations

import torch

from morphzoo.algorithms.controllers.controller import Controller, tensor_of, uniform_colors
from morphzoo.policies.chromatic import Coloring


class ResamplingController(Controller):
    """A fresh random colouring for every rollout; stands for the best of the newest batch.

    Source: "random sampling" in Song et al. (2019), last figure.

    Args:
        coloring: as for `Controller`.
    """

    best: torch.Tensor

    def __init__(self, coloring: Coloring) -> None:
        super().__init__(coloring)
        self.register_buffer("best", tensor_of(coloring))

    def propose(self, num: int, generator: torch.Generator) -> torch.Tensor:
        """Draw colourings; see `Controller`."""
        return uniform_colors(num, self.num_edges, self.num_colors, generator)

    def learn(self, colors: torch.Tensor, returns: torch.Tensor) -> dict[str, float]:
        """Keep the best; see `Controller`."""
        self.best.copy_(colors[returns.argmax()])
        return {}

    def choice(self) -> torch.Tensor:
        """Return the best of the newest batch; see `Controller`."""
        return self.best.clone()


class FixedController(Controller):
    """The colouring that the search began with, for ever: random sharing in the way of HashedNets.

    Source: "random search" in Song et al. (2019), last figure; HashedNets (Chen et al., 2015).

    Args:
        coloring: as for `Controller`.
    """

    colors: torch.Tensor

    def __init__(self, coloring: Coloring) -> None:
        super().__init__(coloring)
        self.register_buffer("colors", tensor_of(coloring))

    def start(self, coloring: Coloring) -> None:
        """Keep this one; see `Controller`."""
        self.colors.copy_(tensor_of(coloring))

    def propose(self, num: int, generator: torch.Generator) -> torch.Tensor:
        """Repeat it; see `Controller`."""
        return self.colors.expand(num, -1).clone()

    def learn(self, colors: torch.Tensor, returns: torch.Tensor) -> dict[str, float]:
        """Do nothing; see `Controller`."""
        return {}

    def choice(self) -> torch.Tensor:
        """Return it; see `Controller`."""
        return self.colors.clone()

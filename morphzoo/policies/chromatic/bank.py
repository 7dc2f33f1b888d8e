"""ChromaticBank: many pairs of weights and colouring, one a row, computed together."""

from __future__ import annotations

import numpy as np
import torch

from morphzoo.policies.bank import PolicyBank
from morphzoo.policies.chromatic.policy import ChromaticPolicy


class ChromaticBank(PolicyBank):
    """A `PolicyBank` in which every row has a colouring of its own besides its parameters.

    Attributes:
        colors: int64[M, E].
    """

    policy: ChromaticPolicy

    def __init__(self, policy: ChromaticPolicy, thetas: torch.Tensor, colors: torch.Tensor) -> None:
        """Expand the pairs.

        Raises:
            ValueError: if there are not as many colourings as rows of parameters, or they are not
                of as many edges as the architecture has.
        """
        expected = (len(thetas), len(policy.edge_scales))
        if colors.dtype != torch.int64 or colors.shape != expected:
            raise ValueError(
                f"expected colors of int64{list(expected)}, one row a policy and one column an "
                f"edge, found {colors.dtype}{list(colors.shape)}"
            )
        self.colors = colors
        super().__init__(policy, thetas)

    @property
    def numbers(self) -> tuple[torch.Tensor, ...]:
        """Parameters and colourings; see `PolicyBank`."""
        return self.thetas, self.colors

    def _dense(self) -> torch.Tensor:
        return self.policy.expand(self.thetas, self.colors)

    def take(self, rows: slice | torch.Tensor | np.ndarray) -> ChromaticBank:
        """Return some of the pairs; see `PolicyBank`."""
        return ChromaticBank(self.policy, self.thetas[rows], self.colors[rows])

"""What every controller of a search over colourings is."""

from __future__ import annotations

from abc import abstractmethod

import numpy as np
import torch
from torch import nn

from morphzoo.policies.chromatic import Coloring


class Controller(nn.Module):
    """Proposes colourings and learns from what they returned.

    All that it goes on with is in its state dict, and in its optimizer's if it has one; what is
    random comes from the generator that it is given. So a search that is continued proposes what
    the uninterrupted one would have.

    Args:
        coloring: the colouring that the search begins with; its edges and colours are what is
            chosen among.

    Attributes:
        num_edges: E.
        num_colors: m.
        optimizer: of its parameters, None if it has none.
    """

    optimizer: torch.optim.Optimizer | None = None

    def __init__(self, coloring: Coloring) -> None:
        super().__init__()
        self.num_edges, self.num_colors = coloring.num_edges, coloring.num_colors

    def start(self, coloring: Coloring) -> None:
        """Begin with another colouring than it was made of; those that begin anywhere do nothing.

        Args:
            coloring: of the same edges and colours.
        """

    @abstractmethod
    def propose(self, num: int, generator: torch.Generator) -> torch.Tensor:
        """Draw colourings, int64[num, E]."""

    @abstractmethod
    def learn(self, colors: torch.Tensor, returns: torch.Tensor) -> dict[str, float]:
        """Learn from colourings int64[n, E] and their returns float64[n].

        Returns:
            What is logged, by name.
        """

    @abstractmethod
    def choice(self) -> torch.Tensor:
        """Return the one colouring that it stands for, int64[E]."""


def uniform_colors(num: int, edges: int, colors: int, generator: torch.Generator) -> torch.Tensor:
    """Draw every edge's colour apart, all colours alike, int64[num, E]."""
    device = generator.device
    return torch.randint(colors, (num, edges), generator=generator, device=device)


def tensor_of(coloring: Coloring) -> torch.Tensor:
    """Return a colouring's index, int64[E]."""
    return torch.from_numpy(np.array(coloring.index))

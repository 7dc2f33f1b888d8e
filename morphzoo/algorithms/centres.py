"""Centres: the policies that generations are drawn around, and how a generation is drawn."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from typing import NamedTuple

import torch
from torch import nn

from morphzoo.algorithms.perturbations import Perturbation

# One kernel a step: on the CPU several times as fast as an operation after another.
OPTIMIZERS: dict[str, Callable[..., torch.optim.Optimizer]] = {
    "adam": partial(torch.optim.AdamW, fused=True),
    "sgd": partial(torch.optim.SGD, fused=True),
}


class Generation(NamedTuple):
    """One generation of policies and what became of them.

    Attributes:
        thetas: float32[M, P], the policies that were played.
        noise: float32[M, P], their distance from the centre that they were drawn around.
        returns: float64[M].
        shares: how many of them are of each centre; empty where these are as many.
        states: float32[T, O], observations that they have met, one of each step and batch.
    """

    thetas: torch.Tensor
    noise: torch.Tensor
    returns: torch.Tensor
    shares: tuple[int, ...] = ()
    states: torch.Tensor = torch.empty(0)

    def only(self, kept: torch.Tensor, num_policies: int) -> Generation:
        """Return a part of the generation.

        Args:
            kept: bool[M], or more where policies without noise come after those with noise.
            num_policies: centres, of as many policies each.
        """
        drawn = kept[: len(self.noise)]
        shares = tuple(drawn.view(num_policies, -1).sum(1).tolist())
        thetas, noise, returns = self.thetas[kept], self.noise[drawn], self.returns[kept]
        return Generation(thetas, noise, returns, shares, self.states)


class Centres(nn.Module):
    """Policies that generations are drawn around: one, or several that go their own ways.

    Args:
        thetas: float32[n, P], their first values.
        clip: largest size of a parameter, 0 for any.
    """

    def __init__(self, thetas: torch.Tensor, clip: float) -> None:
        super().__init__()
        self.clip_at = clip
        self.thetas = nn.Parameter(thetas)
        self.clip()

    def __len__(self) -> int:
        """Return how many there are."""
        return len(self.thetas)

    @torch.no_grad()
    def clip(self) -> None:
        """Hold every parameter within the clip."""
        if self.clip_at:
            self.thetas.clamp_(-self.clip_at, self.clip_at)

    @torch.no_grad()
    def draw(
        self, perturbation: Perturbation, num: int, generator: torch.Generator
    ) -> tuple[torch.Tensor, torch.Tensor]:
        """Draw perturbed policies, centre after centre.

        Args:
            perturbation: how.
            num: M, equal shares for all centres.
            generator: on the device of the parameters.

        Returns:
            The policies and their noise, float32[M, P] each.
        """
        share = num // len(self)
        noise = torch.cat([perturbation.draw(centre, share, generator) for centre in self.thetas])
        return self.thetas.repeat_interleave(share, 0) + noise, noise

    def share(self, generation: Generation, index: int) -> Generation:
        """Return what was drawn around one centre."""
        shares = self.shares(generation)
        start = sum(shares[:index])
        rows = slice(start, start + shares[index])
        thetas, noise, returns, *_ = generation
        return Generation(thetas[rows], noise[rows], returns[rows])

    def shares(self, generation: Generation) -> tuple[int, ...]:
        """Return how many of a generation were drawn around each centre."""
        return generation.shares or (len(generation.returns) // len(self),) * len(self)

    def best(self, generation: Generation) -> int:
        """Return the centre whose perturbed policies returned most on average."""
        parts = [self.share(generation, index).returns for index in range(len(self))]
        return int(torch.stack([part.mean() for part in parts]).argmax())

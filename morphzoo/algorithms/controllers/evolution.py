"""RegularizedEvolution: tournaments in a population whose oldest leave."""

from __future__ import annotations

import math

import torch

from morphzoo.algorithms.controllers.controller import Controller, tensor_of
from morphzoo.policies.chromatic import Coloring


class RegularizedEvolution(Controller):
    """Keeps the newest colourings; a proposal is a changed copy of the winner of a tournament.

    A change gives a share of the edges a random colour each, at least one edge. In a share of the
    proposals it is a larger one: all edges of a colour take another (merge), or half of them do
    (split).

    Source: Real et al., "Regularized Evolution for Image Classifier Architecture Search" (2019).
        Population as many as rollouts and a tournament of its square root: the code released with
        "ES-ENAS" (Song et al., 2021), which re-draws one edge (`recolor=0`).
    Differs: one edge of hundreds is lost in the noise of returns, so more change by default.

    Args:
        coloring: as for `Controller`; the first proposals are it and changes of it.
        population: how many are kept.
        tournament: how many compete; by default the square root of the population.
        recolor: share of edges that are coloured anew.
        move: share of proposals that merge or split colours instead.

    Raises:
        ValueError: if a value is out of range.
    """

    colors: torch.Tensor
    scores: torch.Tensor
    born: torch.Tensor

    def __init__(
        self,
        coloring: Coloring,
        *,
        population: int = 150,
        tournament: int | None = None,
        recolor: float = 0.02,
        move: float = 0.1,
    ) -> None:
        super().__init__(coloring)
        if population < 1:
            raise ValueError(f"population must be at least 1, found {population}")
        self.tournament = math.isqrt(population) if tournament is None else tournament
        if not 1 <= self.tournament <= population:
            raise ValueError(
                f"tournament must be 1 to {population}, the population, found {tournament}"
            )
        for name, value in (("recolor", recolor), ("move", move)):
            if not 0 <= value <= 1:
                raise ValueError(f"{name} must be a share in [0, 1], found {value}")
        self.population, self.recolor, self.move = population, recolor, move
        first = tensor_of(coloring)
        self.register_buffer("colors", first.repeat(population, 1))
        self.register_buffer("scores", torch.full((population,), -math.inf, dtype=torch.float64))
        self.register_buffer("born", torch.zeros((), dtype=torch.int64))

    def propose(self, num: int, generator: torch.Generator) -> torch.Tensor:
        """Draw colourings; see `Controller`."""
        filled = min(int(self.born), self.population)
        if not filled:
            first = self.colors[:1]
            return torch.cat([first, self._changed(first.repeat(num - 1, 1), generator)])
        device = self.colors.device
        entrants = torch.randint(filled, (num, self.tournament), generator=generator, device=device)
        winners = entrants.gather(1, self.scores[entrants].argmax(1, keepdim=True))
        return self._changed(self.colors[winners[:, 0]], generator)

    def start(self, coloring: Coloring) -> None:
        """Begin with this colouring; see `Controller`."""
        self.colors.copy_(tensor_of(coloring).expand_as(self.colors))

    def _changed(self, colors: torch.Tensor, generator: torch.Generator) -> torch.Tensor:
        """Return changed copies of int64[num, E]."""
        num, device = len(colors), colors.device

        def drawn(below: int, *shape: int) -> torch.Tensor:
            return torch.randint(below, shape, generator=generator, device=device)

        def chance(*shape: int) -> torch.Tensor:
            return torch.rand(shape, generator=generator, device=device)

        single = drawn(self.num_edges, num, 1)
        hit = (chance(num, self.num_edges) < self.recolor).scatter_(1, single, True)
        recolored = torch.where(hit, drawn(self.num_colors, num, self.num_edges), colors)
        # Merge: every edge of the colour of a random edge; split: every second of them.
        part = colors == colors.gather(1, drawn(self.num_edges, num, 1))
        part &= (chance(num, 1) < 0.5) | (chance(num, self.num_edges) < 0.5)
        moved = torch.where(part, drawn(self.num_colors, num, 1), colors)
        return torch.where(chance(num, 1) < self.move, moved, recolored)

    def learn(self, colors: torch.Tensor, returns: torch.Tensor) -> dict[str, float]:
        """Let the newest in and the oldest out; see `Controller`."""
        kept = min(len(colors), self.population)
        start = int(self.born) + len(colors) - kept
        places = (torch.arange(kept, device=colors.device) + start) % self.population
        self.colors[places] = colors[-kept:]
        self.scores[places] = returns[-kept:].to(self.scores.dtype)
        self.born += len(colors)
        alive = self.scores[: min(int(self.born), self.population)]
        return {"population_mean": float(alive.mean()), "population_best": float(alive.max())}

    def choice(self) -> torch.Tensor:
        """Return the best of the population; see `Controller`."""
        return self.colors[self.scores.argmax()].clone()

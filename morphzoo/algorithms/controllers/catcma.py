"""CatCMAController: one distribution over weights and colouring together, by `cmaes`."""

from __future__ import annotations

import importlib
import io
from typing import Any

import numpy as np
import torch
from torch import nn

from morphzoo.policies.chromatic import Coloring

# Memory that starts as it was found; of `should_stop` alone, which is never asked.
_ONLY_FOR_STOPPING = "_funhist_values"


class CatCMAController(nn.Module):
    """Draws pairs of weights and colouring from a Gaussian times a categorical for each edge.

    Both follow the natural gradient from the same returns, so that there is no step of evolution
    strategies beside it. Experimental: weights and colours depend on one another here, which is
    where the method is weak by its authors' own account.

    Source: CatCMA (Hamano et al., 2024, arXiv 2405.09962), as in the package `cmaes`.

    Args:
        coloring: whose edges and colours are chosen among.
        theta: first mean of the weights, float32[P].
        scale: first deviation.
        population: pairs of a generation, at least 4.

    Raises:
        ValueError: if the package `cmaes` is not installed, or the population is too small.
    """

    def __init__(
        self, coloring: Coloring, theta: torch.Tensor, scale: float, population: int
    ) -> None:
        super().__init__()
        try:
            cmaes: Any = importlib.import_module("cmaes")
        except ModuleNotFoundError as error:
            raise ValueError(
                "controller 'catcma' needs the package cmaes: pip install 'morphzoo[search]'"
            ) from error
        if population < 4 or len(theta) < 2 or coloring.num_colors < 2:
            raise ValueError(
                f"controller 'catcma' needs a population_size of at least 4, 2 weights and 2 "
                f"colours, found {population}, {len(theta)} and {coloring.num_colors}"
            )
        self._search = cmaes.CatCMA(
            mean=theta.detach().cpu().double().numpy(),
            sigma=scale,
            cat_num=np.full(coloring.num_edges, coloring.num_colors),
            population_size=population,
        )
        self._population = population
        self._asked: list[Any] = []

    def propose_pairs(self, seed: int) -> tuple[torch.Tensor, torch.Tensor]:
        """Draw a generation: weights float32[M, P] and colourings int64[M, E]."""
        self._search.reseed_rng(seed)
        self._asked = [self._search.ask() for _ in range(self._population)]
        thetas = np.stack([theta for theta, _ in self._asked]).astype(np.float32)
        colors = np.stack([one_hot.argmax(1) for _, one_hot in self._asked])
        return torch.from_numpy(thetas), torch.from_numpy(colors)

    def learn_pairs(self, returns: torch.Tensor) -> dict[str, float]:
        """Learn from the returns float64[M] of what was proposed last; says what is logged."""
        pairs = zip(self._asked, returns.tolist(), strict=True)
        self._search.tell([(pair, -value) for pair, value in pairs])
        likely = self._probabilities()
        entropies = -(likely * np.log(np.maximum(likely, 1e-12))).sum(1)
        return {"entropy": float(entropies.mean())}

    def theta(self) -> torch.Tensor:
        """The mean of the weights, float32[P]."""
        return torch.from_numpy(self._search.mean.astype(np.float32))

    def choice(self) -> torch.Tensor:
        """Each edge's likeliest colour, int64[E]."""
        return torch.from_numpy(self._probabilities().argmax(1))

    def _probabilities(self) -> np.ndarray:
        return self._search._q

    def get_extra_state(self) -> torch.Tensor:
        """All numbers and arrays that the search goes on with: an npz without pickle."""
        kinds = (np.ndarray, np.number, int, float)
        kept = {n: v for n, v in vars(self._search).items() if isinstance(v, kinds)}
        kept.pop(_ONLY_FOR_STOPPING, None)
        stream = io.BytesIO()
        np.savez(stream, allow_pickle=False, **kept)
        return torch.from_numpy(np.frombuffer(stream.getvalue(), dtype=np.uint8).copy())

    def set_extra_state(self, state: torch.Tensor) -> None:
        """Undo `get_extra_state`."""
        with np.load(io.BytesIO(state.cpu().numpy().tobytes()), allow_pickle=False) as kept:
            for name in kept.files:
                value = kept[name]
                setattr(self._search, name, value if value.ndim else value.item())

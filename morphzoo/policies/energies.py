"""How near a state and action are to a goal: energies of their embeddings."""

from __future__ import annotations

from collections.abc import Callable

import torch
from torch.nn import functional

EPS = 1e-6  # inside the square root: without it the gradient at distance 0 is not a number

Pair = Callable[[torch.Tensor, torch.Tensor], torch.Tensor]


def _distances(phi: torch.Tensor, psi: torch.Tensor) -> torch.Tensor:
    """Distance of every pair, by differences: the product form cancels where pairs are near."""
    return torch.cdist(phi, psi, compute_mode="donot_use_mm_for_euclid_dist")


def _norm(squares: torch.Tensor) -> torch.Tensor:
    return -(squares + EPS).sqrt()


def _unit(x: torch.Tensor) -> torch.Tensor:
    return functional.normalize(x, dim=-1, eps=EPS)


#: Name -> (of each pair of rows: float32[B, R] twice to float32[B]; of all pairs: to
#: float32[B, C]). "norm" is minus the distance, "l2" minus its square.
ENERGIES: dict[str, tuple[Pair, Pair]] = {
    "norm": (
        lambda phi, psi: _norm((phi - psi).square().sum(-1)),
        lambda phi, psi: _norm(_distances(phi, psi).square()),
    ),
    "l2": (
        lambda phi, psi: -(phi - psi).square().sum(-1),
        lambda phi, psi: -_distances(phi, psi).square(),
    ),
    "dot": (
        lambda phi, psi: (phi * psi).sum(-1),
        lambda phi, psi: phi @ psi.T,
    ),
    "cosine": (
        lambda phi, psi: (_unit(phi) * _unit(psi)).sum(-1),
        lambda phi, psi: _unit(phi) @ _unit(psi).T,
    ),
}

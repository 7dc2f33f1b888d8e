"""Linear maps between weight spaces that follow when hidden units change places."""

from __future__ import annotations

from collections.abc import Mapping
from itertools import combinations
from typing import cast

import torch
from torch import nn

IndexSet = tuple[int, ...]
"""Hidden layers whose units a tensor runs over, in the order of its axes; () if there are none."""


class EquivariantLinear(nn.Module):
    """The most general linear map that commutes with reordering the units of hidden layers.

    A feature of weight space is one tensor `floating[B, *units, C]` for each weight and bias: C
    channels for each of its entries. With I the hidden layers whose units output tensor t runs
    over, J those of input tensor j::

        y_t[i] = b_t + sum over S within I, and over j with S within J, of
                 Theta_{t,j,S} (mean of x_j over the units of J without S)[the part of i in S]

    So there is one matrix of channels for each way to match axes of t with axes of j. It is the
    whole basis: a product, over the labels of the axes, of the Bell number of how often a label
    occurs in t and j together, which here is Bell(2) = 2 for each label that both have. Two hidden
    layers give 9, 9, 13, 9, 9 and 6 matrices for W1, b1, W2, b2, W3 and b3.

    Features are joined along channels only where they run over the same units; what leaves the
    matrices is broadcast and added. So nothing is larger than the largest feature that comes in or
    goes out. (One matrix on all 13 parts of W2, broadcast and joined, takes 13 times the memory.)

    Source: Universal Neural Functionals (Zhou, Finn and Harrison, NeurIPS 2024), the basis by set
    partitions; weights N(0, 1 / fan-in), the fan-in counted over all matrices of an output, and
    biases 0, as in its code.

    Args:
        index_sets: index set of each tensor, by name; no layer twice in one of them.
        channels_in: channels of each input tensor, by name.
        channels_out: channels of every output tensor.
    """

    def __init__(
        self,
        index_sets: Mapping[str, IndexSet],
        channels_in: Mapping[str, int],
        channels_out: int,
    ) -> None:
        super().__init__()
        self.index_sets = dict(index_sets)
        self.sources: dict[IndexSet, list[str]] = {}  # by S: the tensors j with S within J
        for name, index_set in index_sets.items():
            for s in subsets(index_set):
                self.sources.setdefault(s, []).append(name)
        self.maps = nn.ModuleDict()
        for name, index_set in index_sets.items():
            widths = {s: sum(channels_in[j] for j in self.sources[s]) for s in subsets(index_set)}
            maps = {_key(s): nn.Linear(w, channels_out, bias=not s) for s, w in widths.items()}
            for linear in maps.values():
                nn.init.normal_(linear.weight, std=sum(widths.values()) ** -0.5)
            nn.init.zeros_(maps[_key(())].bias)
            self.maps[name] = nn.ModuleDict(maps)

    def forward(self, features: Mapping[str, torch.Tensor]) -> dict[str, torch.Tensor]:
        """Map features `floating[B, *units, C_in]` by name to `floating[B, *units, C_out]`."""
        means = {name: unit_means(i, features[name]) for name, i in self.index_sets.items()}
        joined = {}
        for s, names in self.sources.items():
            parts = [means[name][s] for name in names]
            joined[s] = torch.cat(parts, dim=-1) if len(parts) > 1 else parts[0]
        return {name: self._output(name, joined) for name in self.index_sets}

    def _output(self, name: str, joined: Mapping[IndexSet, torch.Tensor]) -> torch.Tensor:
        """Add an output's parts, small ones into larger ones, so that few passes are long."""
        index_set, maps = self.index_sets[name], cast(nn.ModuleDict, self.maps[name])
        *smaller, whole = subsets(index_set)
        parts = {s: maps[_key(s)](joined[s]) for s in (*smaller, whole)}
        for s in smaller:
            larger, axis = one_more(s, index_set)
            parts[larger] += parts[s].unsqueeze(axis)
        return parts[whole]


def subsets(index_set: IndexSet) -> list[IndexSet]:
    """Return all subsets, small ones first: the empty one, ..., the whole one."""
    return [s for n in range(len(index_set) + 1) for s in combinations(index_set, n)]


def one_more(s: IndexSet, index_set: IndexSet) -> tuple[IndexSet, int]:
    """Add the first layer that `s` lacks; return its axis in `[B, *units, C]` as well."""
    missing = next(layer for layer in index_set if layer not in s)
    larger = tuple(layer for layer in index_set if layer in s or layer == missing)
    return larger, 1 + larger.index(missing)


def unit_means(index_set: IndexSet, feature: torch.Tensor) -> dict[IndexSet, torch.Tensor]:
    """Average a feature over units, for every subset of layers that may be left.

    Args:
        index_set: the layers that the feature runs over.
        feature: floating[B, *units, C].

    Returns:
        For each subset, floating[B, *units of the subset, C]; the whole one is the feature itself.
    """
    means = {index_set: feature}
    for s in reversed(subsets(index_set)[:-1]):
        larger, axis = one_more(s, index_set)
        # Not .mean(): its gradient is as large as the feature, that of .sum() a view.
        means[s] = means[larger].sum(axis) / means[larger].shape[axis]
    return means


def _key(s: IndexSet) -> str:
    return "_".join(map(str, s)) or "all"

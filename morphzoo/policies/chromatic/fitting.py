"""Colourings of trained weights: clusters of equal values, and the largest alone."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from morphzoo.policies.chromatic.coloring import (
    Coloring,
    check_num_colors,
    layer_sizes,
    masked_index,
)

_ROUNDS = 300


def sizes_of(matrices: Sequence[np.ndarray]) -> tuple[int, ...]:
    """Return the sizes of layers with matrices floating[outputs, inputs], in their order."""
    return layer_sizes([matrices[0].shape[1], *(len(matrix) for matrix in matrices)])


def clusters(values: np.ndarray, num: int) -> tuple[np.ndarray, np.ndarray]:
    """Group numbers around as many centres, by Lloyd's rounds from evenly spread quantiles.

    Source: Han, Mao and Dally, "Deep Compression" (2016), section 3, whose clusters start evenly
        between the extremes.
    Differs: quantiles, so that no cluster starts empty where values are dense; nothing is random.

    Args:
        values: floating[n].
        num: how many centres, 1 to n.

    Returns:
        The cluster of each value, int64[n], and the centres, float64[num], ascending. There are
        fewer than `num` different ones where there are fewer different values.
    """
    ordered = np.sort(values.astype(np.float64))
    different = np.unique(ordered)
    if len(different) <= num:
        centres = np.append(different, np.full(num - len(different), different[-1]))
        return np.searchsorted(different, values), centres
    centres = np.quantile(ordered, (np.arange(num) + 0.5) / num)
    sums = np.concatenate([[0.0], np.cumsum(ordered)])
    for _ in range(_ROUNDS):
        edges = np.searchsorted(ordered, (centres[1:] + centres[:-1]) / 2)
        bounds = np.concatenate([[0], edges, [len(ordered)]])
        counts = np.diff(bounds)
        means = np.diff(sums[bounds]) / np.maximum(counts, 1)
        moved = np.sort(np.where(counts > 0, means, centres))
        if np.array_equal(moved, centres):
            break
        centres = moved
    between = (centres[1:] + centres[:-1]) / 2
    return np.searchsorted(between, values, side="right"), centres  # as the rounds cut ties


def kmeans(matrices: Sequence[np.ndarray], num_colors: int) -> tuple[Coloring, np.ndarray]:
    """Colour trained weights by value: the weights of a colour become their mean.

    Args:
        matrices: floating[outputs, inputs] of each layer; all layers share the pool.
        num_colors: size of the pool.

    Returns:
        The colouring and its pool, float32[num_colors].

    Raises:
        ValueError: as `Coloring`.
    """
    values = np.concatenate([matrix.reshape(-1) for matrix in matrices])
    check_num_colors(num_colors, len(values))
    index, centres = clusters(values, num_colors)
    coloring = Coloring(sizes_of(matrices), "kmeans", num_colors, index)
    return coloring, centres.astype(np.float32)


def prune(matrices: Sequence[np.ndarray], kept: int) -> tuple[Coloring, np.ndarray]:
    """Keep the largest of trained weights and set all others to zero.

    Source: magnitude pruning: Han et al., "Learning both Weights and Connections for Efficient
        Neural Networks" (2015), all layers by one threshold.

    Args:
        matrices: floating[outputs, inputs] of each layer.
        kept: how many weights stay.

    Returns:
        A masked colouring and its pool, float32[kept].

    Raises:
        ValueError: as `Coloring`.
    """
    values = np.concatenate([matrix.reshape(-1) for matrix in matrices])
    check_num_colors(kept, len(values))
    largest = np.sort(np.argsort(-np.abs(values), kind="stable")[:kept])
    coloring = Coloring(sizes_of(matrices), "masked", kept, masked_index(len(values), largest))
    return coloring, values[largest].astype(np.float32)

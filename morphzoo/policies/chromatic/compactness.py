"""How small a policy is: weights, bits, multiplications, bytes."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Any

import numpy as np

from morphzoo.policies.chromatic.actor_critic import ChromaticMlpPolicy
from morphzoo.policies.chromatic.coloring import STORED, Coloring, index_dtype
from morphzoo.policies.chromatic.policy import ChromaticPolicy
from morphzoo.policies.chromatic.snowflake import ChromaticSnowflakePolicy

_FLOAT = 32  # bits of a weight, a bias, a statistic


@dataclass(frozen=True)
class Compactness:
    """What one network takes; observation statistics and all that is not deployed apart.

    With E edges, m colours, B biases, and k weights that a mask keeps ::

        compression = 1 - (m + B) / (E + B)
        bits        = 32 (m + B) + E ceil(log2 m)       chromatic, kmeans, random
                      32 (k + B) + E ceil(log2 k)       masked
                      32 (m + B)                        toeplitz, circulant, unstructured
        tight bits  = 32 (m + B) + ceil(E log2 m)       chromatic, kmeans
                      32 (m + B) + 32                   random: the seed says the rest
                      32 (k + B) + min(E, k ceil(log2 E))        masked
                      32 (m + B)                        toeplitz, circulant, unstructured

    A multiplication by a matrix adds up the inputs of each colour of a row, multiplies each of the
    sums once, and adds the products.

    Source: the columns "# weight-params", "compression" and "# bits" of Song et al. (2019), second
        table, whose 20 rows these formulas reproduce.
    Differs: the other columns are ours. The poster charges a mask as if it were a colouring.

    Attributes:
        sizes: entries of the observation, units of each hidden layer, outputs.
        kind: a row of `COLORINGS`.
        edges: E.
        weights: m, or k: numbers in the pool.
        used: how many of them an edge has.
        biases: B.
        compression: share of the dense network's numbers that are saved.
        bits: as the poster counts.
        tight_bits: as few as we know how to write down.
        multiplications: of one step.
        additions: of one step, the biases' included.
        stored_bytes: of pool, biases and index in a checkpoint; weights alone, without names.
        statistics: numbers that standardise observations, which no count above has.
    """

    sizes: tuple[int, ...]
    kind: str
    edges: int
    weights: int
    used: int
    biases: int
    compression: float
    bits: int
    tight_bits: int
    multiplications: int
    additions: int
    stored_bytes: int
    statistics: int

    @property
    def percent(self) -> int:
        """Compression in whole percent, halves up, as the poster prints it."""
        return math.floor(100 * self.compression + 0.5)

    def __str__(self) -> str:
        """A line for each number."""
        layers = "-".join(map(str, self.sizes))
        rows = {
            f"{self.kind} colouring of": layers,
            "edges": f"{self.edges:,}",
            "weights": f"{self.weights:,}, {self.used:,} of them used",
            "biases": f"{self.biases:,}",
            "compression": f"{self.percent}%",
            "bits": f"{self.bits:,}",
            "tight bits": f"{self.tight_bits:,}",
            "multiplications": f"{self.multiplications:,}",
            "additions": f"{self.additions:,}",
            "stored bytes": f"{self.stored_bytes:,}",
            "observation statistics": f"{self.statistics:,} numbers, in none of these",
        }
        return "\n".join(f"{name:<24}{value}" for name, value in rows.items())


def compactness(coloring: Coloring, biases: int | None = None, statistics: int = 0) -> Compactness:
    """Count what a colouring takes.

    Args:
        coloring: the colouring.
        biases: B; by default one a hidden unit, as the poster counts.
        statistics: numbers that standardise observations.

    Returns:
        The counts.
    """
    if biases is None:
        biases = sum(coloring.sizes[1:-1])
    edges, numbers = coloring.num_edges, coloring.num_colors + biases
    multiplications, additions = _operations(coloring)
    stored = coloring.kind in STORED
    item = np.dtype(index_dtype(coloring.num_colors)).itemsize
    return Compactness(
        sizes=coloring.sizes,
        kind=coloring.kind,
        edges=edges,
        weights=coloring.num_colors,
        used=coloring.used_colors,
        biases=biases,
        compression=1 - numbers / (edges + biases),
        bits=_FLOAT * numbers + _poster_index_bits(coloring),
        tight_bits=_FLOAT * numbers + _tight_index_bits(coloring),
        multiplications=multiplications,
        additions=additions + biases,
        stored_bytes=4 * numbers + (item * edges if stored else 0),
        statistics=statistics,
    )


def compactness_report(policy: Any) -> Compactness:
    """Count what a chromatic policy takes; print what comes back.

    Args:
        policy: a `ChromaticPolicy`, `ChromaticMlpPolicy` or `ChromaticSnowflakePolicy`, or a model
            of one.

    Returns:
        The counts of the network that acts; standard deviations and value head are not deployed.
        Of a graph policy those of its update function, one node and one round of messages.

    Raises:
        ValueError: if it is another policy.
    """
    policy = getattr(policy, "policy", policy)
    if isinstance(policy, ChromaticSnowflakePolicy):
        biases = 12 * policy.hidden_size
    elif isinstance(policy, ChromaticPolicy | ChromaticMlpPolicy):
        biases = policy.actor.num_biases
    else:
        raise ValueError(
            f"expected a chromatic policy, found a {type(policy).__name__}: unstructured_policy "
            "makes one of a dense DeterministicPolicy"
        )
    statistics = 2 * policy.reader.num_statistics if policy.normalize else 0
    return compactness(policy.coloring, biases, statistics)


def _symbols(coloring: Coloring) -> int:
    """Return how many different things an edge can be; a mask's "none" is counted apart."""
    without = coloring.kind != "masked" and bool((coloring.index == coloring.num_colors).any())
    return coloring.num_colors + without


def _poster_index_bits(coloring: Coloring) -> int:
    if coloring.kind in ("toeplitz", "circulant", "unstructured"):
        return 0
    return coloring.num_edges * math.ceil(math.log2(_symbols(coloring)))


def _tight_index_bits(coloring: Coloring) -> int:
    edges = coloring.num_edges
    if coloring.kind == "random":
        return _FLOAT
    if coloring.kind == "masked":
        return min(edges, coloring.num_colors * math.ceil(math.log2(edges)))
    if coloring.kind not in STORED:
        return 0
    return math.ceil(edges * math.log2(_symbols(coloring)))


def _operations(coloring: Coloring) -> tuple[int, int]:
    """Return multiplications and additions of all matrices with vectors, biases apart."""
    multiplications = additions = 0
    for layer in coloring.layers():
        for row in layer:
            edges = row[row < coloring.num_colors]
            multiplications += len(np.unique(edges))
            additions += max(len(edges) - 1, 0)
    return multiplications, additions

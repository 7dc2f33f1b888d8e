"""Coloring: which edges of a network share a weight, as one index map into one pool."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np

from morphzoo.policies.weight_space.layout import positive_integers

#: Largest number of colours: an index is stored in 16 bits, and one of them means "no weight".
MAX_COLORS = 65_535
#: Largest number of edges, so that a small file cannot ask for a large network.
MAX_EDGES = 4_000_000


@dataclass(frozen=True, eq=False)
class Coloring:
    """A partition of a network's edges: the edges of one colour share one trained number.

    Edge e of the network has the weight ``pool[index[e]]``. Edges are counted layer by layer, in a
    layer row by row with one row an output. One pool serves all layers. The index ``num_colors``,
    one past the pool, stands for no edge: a weight of zero that is not trained.

    Source: the definition: Song et al., "Reinforcement Learning with Chromatic Networks for Compact
        Architecture Search" (2019). That one pool serves all layers: its tables, which list as many
        weights for one hidden layer as for two.

    Args:
        sizes: entries of the observation, units of each hidden layer, outputs.
        kind: a row of `COLORINGS`: what the partition is, and so what it takes to write it down.
        num_colors: numbers in the pool.
        index: integers[E] in 0..num_colors.

    Raises:
        ValueError: if the pool is empty, has more colours than there are edges or than 16 bits
            tell apart, or an index is outside.
    """

    sizes: tuple[int, ...]
    kind: str
    num_colors: int
    index: np.ndarray

    def __post_init__(self) -> None:
        """Check."""
        object.__setattr__(self, "sizes", layer_sizes(self.sizes))
        edges = num_edges(self.sizes)
        check_kind(self.kind)
        check_num_colors(self.num_colors, edges)
        index = np.array(self.index)
        if index.shape != (edges,) or not np.issubdtype(index.dtype, np.integer):
            raise ValueError(
                f"index: expected integers[{edges}], one for each edge of layers of {self.sizes}, "
                f"found {index.dtype}{list(index.shape)}"
            )
        if index.min() < 0 or index.max() > self.num_colors:
            raise ValueError(
                f"index: expected colours 0 to {self.num_colors - 1}, or {self.num_colors} for no "
                f"weight, found {index.min()} to {index.max()}"
            )
        index = index.astype(np.int64)
        index.setflags(write=False)
        object.__setattr__(self, "index", index)

    @classmethod
    def make(
        cls, kind: str, sizes: Sequence[int], num_colors: int | None = None, seed: int = 0
    ) -> Coloring:
        """Make a colouring of a kind that needs nothing but sizes.

        Args:
            kind: a row of `COLORINGS`. "chromatic" and "kmeans" start as random colourings, for a
                search or a fit to replace; "masked" keeps edges drawn at random.
            sizes: entries of the observation, units of each hidden layer, outputs.
            num_colors: size of the pool; by default the larger of observation and action, as in the
                poster. Of "toeplitz", "circulant" and "unstructured" it follows from the sizes.
            seed: of what is random.

        Raises:
            ValueError: as the class, or if `num_colors` is not what follows from the sizes.
        """
        sizes = layer_sizes(sizes)
        implied = implied_colors(kind, sizes)
        if implied is not None and num_colors not in (None, implied):
            raise ValueError(
                f"num_colors: a {kind} colouring of layers of {sizes} has {implied}, found "
                f"{num_colors}; leave it out"
            )
        colors = implied or (max(sizes[0], sizes[-1]) if num_colors is None else num_colors)
        check_num_colors(colors, num_edges(sizes))
        return cls(sizes, kind, colors, COLORINGS[kind](sizes, colors, seed))

    @property
    def num_edges(self) -> int:
        """E."""
        return len(self.index)

    @property
    def used_colors(self) -> int:
        """How many colours have an edge: a search may leave some without."""
        used = np.unique(self.index)
        return int(np.count_nonzero(used < self.num_colors))

    def layers(self) -> list[np.ndarray]:
        """Return the index of each layer, int64[outputs, inputs]."""
        shapes = layer_shapes(self.sizes)
        parts = np.split(self.index, np.cumsum([rows * columns for rows, columns in shapes])[:-1])
        return [part.reshape(shape) for part, shape in zip(parts, shapes, strict=True)]

    def dense(self, pool: np.ndarray) -> list[np.ndarray]:
        """Expand a pool, floating[num_colors], to each layer's matrix [outputs, inputs]."""
        padded = np.append(pool, np.zeros(1, pool.dtype))
        return [padded[layer] for layer in self.layers()]

    def with_index(self, index: np.ndarray) -> Coloring:
        """Return a colouring of the same kind and pool with other colours."""
        return Coloring(self.sizes, self.kind, self.num_colors, index)

    def __eq__(self, other: object) -> bool:
        """Whether all is the same."""
        return (
            isinstance(other, Coloring)
            and (self.sizes, self.kind, self.num_colors)
            == (other.sizes, other.kind, other.num_colors)
            and np.array_equal(self.index, other.index)
        )

    __hash__ = None  # type: ignore[assignment]

    def __repr__(self) -> str:
        """Shows kind and numbers."""
        return f"Coloring({self.kind}, {self.sizes}: {self.num_edges} edges, {self.num_colors})"


def layer_sizes(sizes: Sequence[int]) -> tuple[int, ...]:
    """Return sizes of layers as plain integers.

    Raises:
        ValueError: if they are no layers, or have more than `MAX_EDGES` edges.
    """
    found = positive_integers("sizes", sizes)
    if len(found) < 2:
        raise ValueError(f"sizes: expected those of observation and action, found {sizes!r}")
    if num_edges(found) > MAX_EDGES:
        raise ValueError(
            f"layers of {found} have {num_edges(found):,} edges, and a colouring has at most "
            f"{MAX_EDGES:,}: make them smaller"
        )
    return found


def layer_shapes(sizes: Sequence[int]) -> list[tuple[int, int]]:
    """Return (outputs, inputs) of each layer."""
    return list(zip(sizes[1:], sizes[:-1], strict=True))


def num_edges(sizes: Sequence[int]) -> int:
    """Return E, the sum of outputs times inputs over all layers."""
    return sum(rows * columns for rows, columns in layer_shapes(sizes))


def check_kind(kind: str) -> None:
    """Refuse a kind that is not in `COLORINGS`.

    Raises:
        ValueError: naming it.
    """
    if kind not in COLORINGS:
        raise ValueError(f"coloring: expected one of {list(COLORINGS)}, found {kind!r}")


def check_num_colors(num_colors: int, edges: int) -> None:
    """Refuse an empty pool, more colours than edges, and more than an index can tell apart.

    Raises:
        ValueError: saying what was found.
    """
    if type(num_colors) is not int or not 1 <= num_colors <= edges:
        raise ValueError(
            f"num_colors: expected 1 to {edges}, the number of edges, found {num_colors!r}"
        )
    if num_colors > MAX_COLORS:
        raise ValueError(
            f"num_colors: expected at most {MAX_COLORS:,}, which is what an index of 16 bits tells "
            f"apart, found {num_colors:,}: make the network smaller"
        )


def implied_colors(kind: str, sizes: Sequence[int]) -> int | None:
    """Return how many colours a kind has for these sizes; None where that is free.

    Source: the formulas that reproduce the weights of the poster's second table: the sum over
        layers of a + b - 1 (Toeplitz) and of max(a, b) (circulant).

    Raises:
        ValueError: if there is no such kind.
    """
    check_kind(kind)
    counts: dict[str, Callable[[int, int], int]] = {
        "toeplitz": lambda rows, columns: rows + columns - 1,
        "circulant": max,
        "unstructured": lambda rows, columns: rows * columns,
    }
    if kind not in counts:
        return None
    return sum(counts[kind](*shape) for shape in layer_shapes(sizes))


def index_dtype(num_colors: int) -> type[np.unsignedinteger]:
    """Return the type that an index is stored in: 8 bits where they do, else 16."""
    return np.uint8 if num_colors <= np.iinfo(np.uint8).max else np.uint16


def edge_hashes(edges: int, seed: int) -> np.ndarray:
    """Return a 64-bit hash of (seed, edge) for each edge, uint64[E], the same on every machine.

    Source: the finaliser of SplitMix64 (Steele, Lea and Flood, 2014); that a hash in place of a
        stored map shares weights: HashedNets (Chen et al., 2015).
    """
    words = np.arange(1, edges + 1, dtype=np.uint64)
    start = np.uint64(seed & 0xFFFF_FFFF_FFFF_FFFF)
    with np.errstate(over="ignore"):
        for multiplier in (0x9E3779B97F4A7C15, 0xD1342543DE82EF95):  # the edge's, then the seed's
            words = words * np.uint64(multiplier) + start
            words = (words ^ (words >> np.uint64(30))) * np.uint64(0xBF58476D1CE4E5B9)
            words = (words ^ (words >> np.uint64(27))) * np.uint64(0x94D049BB133111EB)
            words = words ^ (words >> np.uint64(31))
    return words


def _random(sizes: tuple[int, ...], num_colors: int, seed: int) -> np.ndarray:
    hashes = edge_hashes(num_edges(sizes), seed) % np.uint64(num_colors)
    return hashes.astype(np.int64)


def _masked(sizes: tuple[int, ...], num_colors: int, seed: int) -> np.ndarray:
    """Keep the edges with the smallest hashes; their slots are in the order of the edges."""
    edges = num_edges(sizes)
    kept = np.sort(np.argsort(edge_hashes(edges, seed), kind="stable")[:num_colors])
    return masked_index(edges, kept)


def masked_index(edges: int, kept: np.ndarray) -> np.ndarray:
    """Return the index int64[E] in which the edges int64[k] that are kept have a slot each."""
    index = np.full(edges, len(kept), dtype=np.int64)
    index[kept] = np.arange(len(kept))
    return index


def _layered(layer: Callable[[int, int], tuple[np.ndarray, int]]) -> MakeIndex:
    """Make an index of layers with a segment of the pool each."""

    def make(sizes: tuple[int, ...], num_colors: int, seed: int) -> np.ndarray:
        parts, start = [], 0
        for rows, columns in layer_shapes(sizes):
            index, used = layer(rows, columns)
            parts.append((index + start).reshape(-1))
            start += used
        return np.concatenate(parts)

    return make


def _toeplitz(rows: int, columns: int) -> tuple[np.ndarray, int]:
    """Constant diagonals, in the poster's order: the first row, then down the first column."""
    i, j = np.ogrid[:rows, :columns]
    return np.where(j >= i, j - i, columns - 1 + i - j), rows + columns - 1


def _circulant(rows: int, columns: int) -> tuple[np.ndarray, int]:
    """A square circulant matrix of the larger side, cut to size."""
    i, j = np.ogrid[:rows, :columns]
    size = max(rows, columns)
    return (j - i) % size, size


def _unstructured(rows: int, columns: int) -> tuple[np.ndarray, int]:
    """Every edge its own weight."""
    return np.arange(math.prod((rows, columns))).reshape(rows, columns), rows * columns


MakeIndex = Callable[[tuple[int, ...], int, int], np.ndarray]

#: Kind -> what makes its index of sizes, number of colours and seed.
COLORINGS: dict[str, MakeIndex] = {
    "chromatic": _random,
    "kmeans": _random,
    "masked": _masked,
    "random": _random,
    "toeplitz": _layered(_toeplitz),
    "circulant": _layered(_circulant),
    "unstructured": _layered(_unstructured),
}
#: Kinds whose index is data: it is stored. That of the others follows from sizes and seed.
STORED = ("chromatic", "kmeans", "masked")

"""A matrix of few different numbers times a vector, in four ways."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np

Product = Callable[[np.ndarray], np.ndarray]


def dense(index: np.ndarray, pool: np.ndarray) -> Product:
    """Expand the matrix once, and multiply as usual: n multiplications a row.

    Args:
        index: integers[m, n] in 0..S-1, the colour of each entry.
        pool: floating[S], the number of each colour.

    Returns:
        What maps floating[n] to floating[m].
    """
    matrix = pool[index]
    return lambda vector: matrix @ vector


def gather(index: np.ndarray, pool: np.ndarray) -> Product:
    """Look the numbers up in every product, so that the matrix never stands in memory; see `dense`.

    One row is expanded at a time.
    """
    rows = list(index)
    return lambda vector: np.array([pool[row] @ vector for row in rows])


def bucket(index: np.ndarray, pool: np.ndarray) -> Product:
    """Add up each row's inputs by colour, then multiply the S sums; see `dense`.

    n additions and S multiplications a row.
    """
    rows, colors = list(index), len(pool)
    return lambda vector: np.array(
        [pool @ np.bincount(row, weights=vector, minlength=colors) for row in rows]
    )


class Mailman:
    """The mailman algorithm: O(mn / log max(m, n)) for a fixed number S of different entries.

    A wide matrix (n >= m) is cut into blocks of d rows, d the largest with S^d <= n. A column of a
    block is one of S^d words, so its entry of the vector goes into the bin of its word, and d sums
    over the bins are the block's d results. The first is sum over s of pool[s] times the bins that
    begin with s; adding up those that differ in their first letter alone leaves S^(d-1) bins for
    the others. A tall matrix (m > n) is cut into blocks of d columns with S^d <= m; the products of
    all S^d words with the block's d entries are tabulated, and each row looks its word up.

    Source: Liberty and Zucker, "The mailman algorithm: a note on matrix-vector multiplication"
        (Information Processing Letters, 2009); for tall matrices its transpose.

    Args:
        index: integers[m, n] in 0..S-1.
        pool: floating[S].

    Attributes:
        letters: d, rows or columns of a block. Where it is 1 nothing is saved.
    """

    def __init__(self, index: np.ndarray, pool: np.ndarray) -> None:
        self.pool = pool
        self.shape = index.shape
        self.wide = index.shape[1] >= index.shape[0]
        self.letters = word_length(len(pool), max(index.shape))
        lines = index if self.wide else index.T  # a block is some of these
        self._blocks = [
            (words(lines[start : start + self.letters], len(pool)), start)
            for start in range(0, len(lines), self.letters)
        ]

    def __call__(self, vector: np.ndarray) -> np.ndarray:
        """Multiply floating[n] to floating[m]."""
        if self.wide:
            return np.concatenate([self._block_of_rows(*block, vector) for block in self._blocks])
        tables = (self._block_of_columns(*block, vector) for block in self._blocks)
        return np.sum(list(tables), axis=0)

    def _block_of_rows(self, word: np.ndarray, start: int, vector: np.ndarray) -> np.ndarray:
        count = min(self.letters, self.shape[0] - start)
        colors = len(self.pool)
        bins = np.bincount(word, weights=vector, minlength=colors**count)
        results = np.empty(count)
        for row in range(count):
            bins = bins.reshape(colors, -1)
            results[row] = self.pool @ bins.sum(1)
            bins = bins.sum(0)
        return results

    def _block_of_columns(self, word: np.ndarray, start: int, vector: np.ndarray) -> np.ndarray:
        table = np.zeros(1)
        for entry in vector[start : start + self.letters]:
            table = np.add.outer(table, self.pool * entry).reshape(-1)
        return table[word]


def word_length(colors: int, size: int) -> int:
    """Return d, the largest with colors^d <= size, at least 1."""
    letters = 1
    while colors > 1 and colors ** (letters + 1) <= size:
        letters += 1
    return letters


def words(lines: np.ndarray, colors: int) -> np.ndarray:
    """Read columns of letters integers[d, k] as numbers to the base of `colors`, int64[k]."""
    number = np.zeros(lines.shape[1], dtype=np.int64)
    for line in lines:
        number = number * colors + line
    return number


#: Name -> what prepares a product of an index and a pool.
PRODUCTS: dict[str, Callable[[np.ndarray, np.ndarray], Product]] = {
    "dense": dense,
    "gather": gather,
    "bucket": bucket,
    "mailman": Mailman,
}

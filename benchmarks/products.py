"""What a product with a matrix of few different numbers costs, in each of four ways."""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import Any

import numpy as np

from benchmarks.measuring import alternate, ratio, summaries
from morphzoo.actors import torch_threads
from morphzoo.policies.chromatic.products import PRODUCTS, word_length

#: Rows, columns and colours: the layers of the poster's networks, fewer colours, larger layers.
SHAPES = (
    (41, 17, 17),
    (6, 41, 17),
    (41, 23, 23),
    (41, 23, 2),
    (256, 256, 2),
    (256, 256, 17),
    (1024, 1024, 2),
    (1024, 1024, 17),
)
SECONDS = 0.05  # of work in one measurement, about


def run(rounds: int, seed: int) -> list[dict[str, Any]]:
    """Measure every way on every shape, on one thread; seconds of one product."""
    rng = np.random.default_rng(seed)
    found = []
    with torch_threads(1):
        for rows, columns, colors in SHAPES:
            index, vector = rng.integers(colors, size=(rows, columns)), rng.normal(size=columns)
            pool = rng.normal(size=colors)
            ways = {
                name: _Timed(prepare(index, pool), vector) for name, prepare in PRODUCTS.items()
            }
            seconds = alternate(ways, rounds)
            over = {n: ratio(v, seconds["dense"]) for n, v in seconds.items() if n != "dense"}
            row = {
                "shape": [rows, columns],
                "colors": colors,
                "letters": word_length(colors, max(rows, columns)),
                "seconds": summaries(seconds),
                "over_dense": over,
            }
            found.append(row)
            times = ", ".join(f"{name} {value['median']:.1f}" for name, value in over.items())
            print(f"{rows} x {columns}, {colors} colours: times dense: {times}")
    return found


class _Timed:
    """Seconds of one product, the mean of as many as take about `SECONDS`."""

    def __init__(self, product: Callable[[np.ndarray], np.ndarray], vector: np.ndarray) -> None:
        self.product, self.vector = product, vector
        start = time.perf_counter()
        product(vector)
        self.times = max(1, int(SECONDS / (time.perf_counter() - start)))

    def __call__(self) -> float:
        start = time.perf_counter()
        for _ in range(self.times):
            self.product(self.vector)
        return (time.perf_counter() - start) / self.times

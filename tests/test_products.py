"""Four ways to multiply by a matrix of few numbers: equal, and what the fast one may save."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from benchmarks import products as benchmark
from morphzoo.policies.chromatic import Coloring
from morphzoo.policies.chromatic.products import PRODUCTS, Mailman, word_length, words


@given(
    shape=st.tuples(st.integers(1, 40), st.integers(1, 40)),
    colors=st.integers(1, 20),
    seed=st.integers(0, 2**31),
)
def test_all_are_equal(shape: tuple[int, int], colors: int, seed: int) -> None:
    rng = np.random.default_rng(seed)
    index = rng.integers(colors, size=shape)
    # Whole numbers: no sum is rounded, so the order of sums does not show.
    pool, vector = rng.integers(-9, 10, colors) / 1, rng.integers(-9, 10, shape[1]) / 1
    expected = [sum(pool[c] * x for c, x in zip(row, vector, strict=True)) for row in index]
    for name, prepare in PRODUCTS.items():
        assert prepare(index, pool)(vector).tolist() == expected, name
    pool, vector = rng.normal(size=colors), rng.normal(size=shape[1])
    for name, prepare in PRODUCTS.items():
        found = prepare(index, pool)(vector)
        np.testing.assert_allclose(found, pool[index] @ vector, atol=1e-12, err_msg=name)


def test_words_and_their_length_by_hand() -> None:
    assert words(np.array([[1, 0, 2], [2, 0, 1]]), 3).tolist() == [5, 0, 7]
    # 17 colours at 41 units: one letter, so nothing is saved; 17^2 = 289.
    assert [word_length(17, n) for n in (17, 41, 288, 289, 4913)] == [1, 1, 1, 2, 3]
    assert [word_length(2, n) for n in (1, 3, 4, 41)] == [1, 1, 2, 5]
    assert word_length(23, 41) == 1 and word_length(1, 1000) == 1


def test_a_wide_and_a_tall_product_by_hand() -> None:
    """Two letters a word: rows (0, 1, 1, 0) and (1, 1, 0, 0) of the pool (2, 3)."""
    index = np.array([[0, 1, 1, 0], [1, 1, 0, 0]])
    pool, vector = np.array([2.0, 3.0]), np.array([1.0, 10.0, 100.0, 1000.0])
    wide = Mailman(index, pool)
    assert wide.wide and wide.letters == 2
    assert wide(vector).tolist() == [2 + 30 + 300 + 2000, 3 + 30 + 200 + 2000]
    tall = Mailman(index.T, pool)
    assert not tall.wide and tall.letters == 2
    assert tall(np.array([1.0, 10.0])).tolist() == [32, 33, 23, 22]


def test_a_policys_layers_multiply_alike() -> None:
    coloring = Coloring.make("chromatic", (17, 41, 6), 17)
    pool = np.arange(17.0)
    for index, matrix in zip(coloring.layers(), coloring.dense(pool), strict=True):
        vector = np.arange(float(index.shape[1]))
        for prepare in PRODUCTS.values():
            assert prepare(index, pool)(vector).tolist() == (matrix @ vector).tolist()


def test_the_benchmark_measures_all_of_them(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(benchmark, "SHAPES", ((4, 3, 2),))
    monkeypatch.setattr(benchmark, "SECONDS", 1e-4)
    (row,) = benchmark.run(2, 0)
    assert (row["shape"], row["colors"], row["letters"]) == ([4, 3], 2, 2)
    assert row["seconds"].keys() == PRODUCTS.keys()
    assert all(found["median"] > 0 for found in row["seconds"].values())
    assert row["over_dense"].keys() == PRODUCTS.keys() - {"dense"}

"""Estimates against numbers worked by hand, full enumeration, and SciPy's own tests."""

from __future__ import annotations

import itertools
import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy import stats

from morphzoo.estimates import difference_margin, estimate, interquartile_mean
from morphzoo.published import published_beside, published_score, published_scores


@pytest.mark.parametrize(
    ("values", "expected"),
    [
        ([7.0], 7.0),
        ([1.0, 2.0, 6.0], 3.0),  # a quarter of three is less than one value: nothing is cut
        ([100.0, 1.0, 2.0, -50.0], 1.5),
        ([8.0, 1.0, 7.0, 2.0, 6.0, 3.0, 5.0, 4.0], 4.5),
        ([1e9, 1.0, 7.0, 2.0, 6.0, 3.0, 5.0, -1e9], 4.0),  # 2, 3, 5, 6 are left
        ([0.0, 1.0, 2.0, 4.0, 100.0], 7.0 / 3.0),  # 1.25 rounds down: one cut at either end
    ],
)
def test_interquartile_mean_by_hand(values: list[float], expected: float) -> None:
    assert interquartile_mean(values) == pytest.approx(expected, rel=1e-15)


@given(st.lists(st.floats(-1e6, 1e6), min_size=1, max_size=60))
def test_interquartile_mean_is_the_mean_of_the_middle(values: list[float]) -> None:
    cut = len(values) // 4
    middle = sorted(values)[cut : len(values) - cut]
    assert interquartile_mean(values) == pytest.approx(math.fsum(middle) / len(middle), abs=1e-6)


def test_interquartile_mean_along_an_axis() -> None:
    rows = np.array([[1.0, 2.0, 3.0, 100.0], [4.0, -9.0, 6.0, 5.0]])
    assert interquartile_mean(rows, axis=1) == pytest.approx([2.5, 4.5])


def test_estimate_by_hand() -> None:
    found = estimate([2.0, 4.0, 4.0, 4.0, 5.0, 5.0, 7.0, 9.0])
    assert (found.count, found.mean, found.std, found.iqm) == (8, 5.0, 2.0, 4.5)
    assert found.low < 4.5 < found.high


def test_interval_is_the_percentile_bootstrap() -> None:
    """The 256 ways to draw four of four, each equally likely, give the interval exactly."""
    values = [1.0, 2.0, 4.0, 8.0]
    means = sorted(sum(sorted(draw)[1:3]) / 2 for draw in itertools.product(values, repeat=4))
    found = estimate(values)
    assert found.low == means[int(0.025 * 256)] == 1.0
    assert found.high == means[int(0.975 * 256)] == 8.0
    narrower = estimate(values, confidence=0.6)
    assert (narrower.low, narrower.high) == (means[51], means[205])
    assert 1.0 < narrower.low < narrower.high < 8.0


def test_interval_without_spread_and_without_company() -> None:
    same, alone = estimate([3.0] * 5), estimate([3.0])
    assert (same.low, same.high, same.std) == (3.0, 3.0, 0.0)
    assert math.isnan(alone.low) and math.isnan(alone.high) and alone.iqm == 3.0


def test_interval_is_a_function_of_values_and_seed() -> None:
    values = np.random.default_rng(1).normal(size=30)
    state = np.random.get_state()[1].copy()  # noqa: NPY002 - it must stay as it is
    assert estimate(values) == estimate(values.copy())
    assert estimate(values) != estimate(values, seed=1)
    assert (np.random.get_state()[1] == state).all()  # noqa: NPY002


@pytest.mark.parametrize("values", [[], [1.0, math.nan], [math.inf], [[1.0, 2.0]], 3.0])
def test_estimate_refuses(values: object) -> None:
    with pytest.raises(ValueError, match="expected"):
        estimate(values)  # type: ignore[arg-type]


def test_margin_by_hand() -> None:
    # Variances 2 and 2, each over 2 values: 1 + 1; degrees of freedom 4 / (1 + 1) = 2;
    # t(0.995, 2) = 9.92484 from the table.
    margin = difference_margin([0.0, 2.0], [5.0, 7.0], confidence=0.99)
    assert margin == pytest.approx(9.92484 * math.sqrt(2), rel=1e-6)


@given(st.integers(2, 30), st.integers(2, 30), st.floats(0.1, 50), st.floats(0.5, 0.999))
def test_margin_is_welchs(n: int, m: int, spread: float, confidence: float) -> None:
    rng = np.random.default_rng(n * 31 + m)
    first, second = rng.normal(size=n), rng.normal(2.0, spread, size=m)
    interval = stats.ttest_ind(first, second, equal_var=False).confidence_interval(confidence)
    expected = (interval.high - interval.low) / 2
    assert difference_margin(first, second, confidence=confidence) == pytest.approx(expected)


def test_margin_without_spread() -> None:
    assert difference_margin([1.0, 1.0], [2.0, 2.0, 2.0]) == 0.0
    with pytest.raises(ValueError, match="at least 2 episodes"):
        difference_margin([1.0], [2.0, 3.0])


def test_published_numbers_that_the_project_is_measured_by() -> None:
    found = {legs: published_score(legs) for legs in (6, 8, 10, 12, 20)}
    assert [found[legs].mean for legs in found] == [2507.1, 1674.9, 940.5, 367.7, 198.5]
    assert found[8].distance == 106.126 and found[6].distance is None and found[6].std == 738.4
    assert all("ICLR 2018" in score.source for score in published_scores())


def test_published_tables_are_whole() -> None:
    scores = published_scores()
    keys = {(s.method, s.source_legs, s.target_legs, s.crippled) for s in scores}
    assert len(keys) == len(scores) == 19 * 5 + 6
    # Random actions do not know where a policy was trained.
    random = {
        (s.source_legs, s.target_legs, s.crippled): s.mean for s in scores if s.method == "random"
    }
    assert random[4, 8, False] == random[6, 8, False] == -45.8
    # Column sums of the printed figure, added up apart from this package.
    for method, total in {"nervenet": 5579.5, "mlpaa": 157.4}.items():
        figure = [s.mean for s in scores if s.method == method and "Fig. 4" in s.source]
        assert len(figure) == 19 and sum(figure) == pytest.approx(total)


@pytest.mark.parametrize(
    ("legs", "home", "policy_class", "mean"),
    [
        (8, 6, "SnowflakePolicy", 1674.9),
        (8, 6, "MlpPolicy", 21.1),
        (6, 6, "MlpPolicy", 2793.0),
        (6, 4, "NerveNetPolicy", 139.6),
        (20, None, "random", -72.4),
        (6, None, "random", -31.6),
        (8, None, "SnowflakePolicy", None),
        (9, 6, "SnowflakePolicy", None),
        (6, 12, "SnowflakePolicy", None),
    ],
)
def test_what_stands_beside_ours(
    legs: int, home: int | None, policy_class: str, mean: float | None
) -> None:
    trained_on = None if home is None else f"morphzoo/Centipede-{home}-v0"
    score = published_beside(f"morphzoo/Centipede-{legs}-v0", trained_on, policy_class)
    assert (score and score.mean) == mean

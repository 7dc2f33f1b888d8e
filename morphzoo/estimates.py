"""How good is a policy, from a handful of episodes: means with honest intervals."""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike
from scipy import stats

RESAMPLES = 10_000  # bootstrap resamples; the interval's own noise is then about 1 % of its width
_TRIM = 0.25  # share of the episodes cut off at either end by the interquartile mean


@dataclass(frozen=True)
class Estimate:
    """Summary of one quantity over independent episodes.

    Attributes:
        count: Number of episodes.
        mean: Mean.
        std: Standard deviation over episodes, divisor `count`, as SB3's `evaluate_policy` has it.
        iqm: Interquartile mean: the mean of the middle half.
        low: Lower end of the 95 % bootstrap interval of `iqm`; NaN for a single episode.
        high: Upper end of it; NaN for a single episode.
    """

    count: int
    mean: float
    std: float
    iqm: float
    low: float
    high: float


def interquartile_mean(values: ArrayLike, axis: int | None = None) -> np.ndarray | float:
    """Return the mean of the middle half of the values.

    `floor(n / 4)` values are cut off at either end, so that up to three values this is the mean.
    It hardly moves with a few falls or lucky runs, and uses more of the data than the median.

    Args:
        values: float64[..., n].
        axis: The axis of the episodes; None takes all values together.

    Returns:
        A float, or float64[...] with `axis` removed.

    Source: Agarwal et al., Deep Reinforcement Learning at the Edge of the Statistical Precipice,
    NeurIPS 2021, section 4.3.
    """
    array = np.asarray(values, dtype=np.float64)
    result = stats.trim_mean(array, _TRIM, axis=axis)  # pyright: ignore
    return float(result) if np.ndim(result) == 0 else result


def estimate(values: ArrayLike, *, confidence: float = 0.95, seed: int = 0) -> Estimate:
    """Summarise one quantity over episodes.

    The interval is the percentile bootstrap of the interquartile mean. It is a function of the
    values and `seed` alone, so a stored interval can be recomputed from stored returns.

    Args:
        values: float64[n], one number an episode; n >= 1.
        confidence: Coverage of the interval, in (0, 1).
        seed: Seed of the resampling.

    Returns:
        The summary.

    Raises:
        ValueError: No value, a value that is not finite, or more than one axis.

    Source: Agarwal et al. 2021, section 4.2 (percentile bootstrap).
    """
    array = _checked(values)
    low, high = _interval(array, confidence, seed)
    return Estimate(
        count=array.size,
        mean=float(array.mean()),
        std=float(array.std()),
        iqm=float(interquartile_mean(array)),
        low=low,
        high=high,
    )


def difference_margin(first: ArrayLike, second: ArrayLike, *, confidence: float = 0.999) -> float:
    """Return how far two means may lie apart when both samples are of one distribution's mean.

    Half the width of Welch's two-sided interval for the difference of two means with unequal
    variances: `t * sqrt(s1**2 / n1 + s2**2 / n2)`, variances with divisor n - 1, t with the
    Welch-Satterthwaite degrees of freedom.

    Args:
        first: float64[n1], n1 >= 2.
        second: float64[n2], n2 >= 2.
        confidence: Coverage, in (0, 1).

    Returns:
        The margin, in the unit of the values; 0 when neither sample varies.

    Raises:
        ValueError: A sample has fewer than two values or one that is not finite.

    Source: Welch, Biometrika 34, 1947; Satterthwaite, Biometrics Bulletin 2, 1946.
    """
    arrays = [_checked(first), _checked(second)]
    if min(array.size for array in arrays) < 2:
        raise ValueError(
            f"a margin needs at least 2 episodes in each sample, found {arrays[0].size} and "
            f"{arrays[1].size}: run more episodes"
        )
    shares = [float(array.var(ddof=1)) / array.size for array in arrays]
    total = sum(shares)
    if total == 0.0:
        return 0.0
    weights = [share / total for share in shares]
    freedom = 1.0 / sum(w**2 / (a.size - 1) for w, a in zip(weights, arrays, strict=True))
    return float(stats.t.ppf(0.5 + confidence / 2, freedom)) * math.sqrt(total)


def _interval(array: np.ndarray, confidence: float, seed: int) -> tuple[float, float]:
    """Return the percentile bootstrap interval of the interquartile mean."""
    if array.size < 2:
        return math.nan, math.nan
    result = stats.bootstrap(
        (array,),
        interquartile_mean,
        n_resamples=RESAMPLES,
        confidence_level=confidence,
        method="percentile",
        rng=np.random.default_rng(seed),
    )
    low, high = result.confidence_interval
    return float(low), float(high)


def _checked(values: ArrayLike) -> np.ndarray:
    """Return the values as float64[n], or say what is wrong with them."""
    array = np.asarray(values, dtype=np.float64)
    if array.ndim != 1:
        raise ValueError(f"expected one number an episode, float64[n], found shape {array.shape}")
    if array.size == 0:
        raise ValueError("expected at least one episode, found none: ask for episodes >= 1")
    if not np.isfinite(array).all():
        where = int(np.flatnonzero(~np.isfinite(array))[0])
        raise ValueError(f"expected finite numbers, found {array[where]} in episode {where}")
    return array

"""Are the scores that come with a checkpoint still true? Run some episodes again and compare."""

from __future__ import annotations

import os
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from scipy import stats

from morphzoo import zoo
from morphzoo.estimates import difference_margin
from morphzoo.files import PathLike
from morphzoo.progress import ProgressCallback, part_of
from morphzoo.results import EpisodeTable, tables_of
from morphzoo.transfer import evaluate, load_policy

CONFIDENCE = 0.99  # of all comparisons together, however many: one check in 100 fails by chance
_ROUNDING = 1e-6  # relative; two samples that do not vary may still differ in the last bits


@dataclass(frozen=True)
class Check:
    """One stored score beside the same policy run again.

    Attributes:
        stored: The score that comes with the checkpoint.
        fresh: Some of its episodes, run again.
        margin: How far the two mean returns may lie apart: half the width of the two-sided interval
            for the difference of two means, at `CONFIDENCE` of all scores checked; the wider of
            Welch's, which minds a rare fall among the new episodes, and Student's, which minds that
            few episodes of a skewed return may happen to be alike.
    """

    stored: EpisodeTable
    fresh: EpisodeTable
    margin: float

    @property
    def difference(self) -> float:
        """Mean return now less the stored one."""
        return float(np.mean(self.fresh.returns) - np.mean(self.stored.returns))

    @property
    def passed(self) -> bool:
        """Whether the two means agree."""
        return abs(self.difference) <= self.margin

    def __str__(self) -> str:
        """Return one line for people."""
        verdict = "ok    " if self.passed else "FAILED"
        return (
            f"{verdict} {self.stored.policy} on {self.stored.env}, {self.stored.actions} actions: "
            f"{np.mean(self.fresh.returns):.0f} over {self.fresh.episodes} episodes, expected "
            f"{np.mean(self.stored.returns):.0f} ± {self.margin:.0f} "
            f"(stored: {self.stored.episodes} episodes)"
        )


def check_results(
    policies: Sequence[PathLike],
    episodes: int = 20,
    *,
    progress: ProgressCallback | None = None,
    **keywords: Any,
) -> Iterator[Check]:
    """Run the first episodes of every score of some checkpoints again.

    The seeds are those of the stored episodes, so on the machine that scored them the difference is
    near zero; on another one rounding makes the episodes differ, and the margin is for that. It
    treats the two samples as independent, which is the wider case. Welch's interval uses the spread
    of both samples, so that one rare fall among 20 episodes is no failure.

    Args:
        policies: Names of bundled checkpoints, or folders.
        episodes: Episodes to run again for each score, at least 2.
        progress: Called as episodes end.
        **keywords: `num_envs` and `num_threads` of `transfer.evaluate`.

    Yields:
        One comparison for each score.

    Raises:
        ValueError: A checkpoint has no scores, or too few episodes are asked for.
    """
    if episodes < 2:
        raise ValueError(f"episodes must be at least 2 to compare means, found {episodes}")
    stored = [(os.fspath(policy), table) for policy in policies for table in _scores(policy)]
    if progress is not None:
        keywords["progress"] = part_of(progress, len(stored))
    for name, table in stored:
        share = 1 - (1 - CONFIDENCE) / len(stored)  # Bonferroni's
        yield _check(name, table, min(episodes, table.episodes), share, keywords)


def _scores(policy: PathLike) -> list[EpisodeTable]:
    """Return a checkpoint's scores."""
    document = zoo.read_results(policy)
    tables = tables_of(document) if document and "scores" in document else []
    if not tables:
        raise ValueError(
            f"{os.fspath(policy)} has no scores: write them with zoo_scripts/evaluate_transfer.py "
            f"--policies {os.fspath(policy)} --store"
        )
    return tables


def _check(
    name: str, table: EpisodeTable, episodes: int, confidence: float, keywords: dict[str, Any]
) -> Check:
    fresh = evaluate(
        load_policy(name, table.env, table.env_kwargs),
        table.env,
        1,
        [int(seed) for seed in table.seeds[:episodes]],
        table.actions == "mean",
        env_kwargs=table.env_kwargs,
        name=name,
        trained_on=table.trained_on,
        **keywords,
    )
    margin = difference_margin(table.returns, fresh.returns, confidence=confidence)
    pooled = stats.ttest_ind(table.returns, fresh.returns).confidence_interval(confidence)
    margin = max(margin, float(pooled.high - pooled.low) / 2)
    return Check(table, fresh, max(margin, _ROUNDING * abs(float(np.mean(table.returns)))))

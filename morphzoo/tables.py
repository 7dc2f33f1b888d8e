"""Scores as people read them: on the terminal and as CSV; `markdown` has the pages' tables."""

from __future__ import annotations

import csv
import io
import math
import sys
from collections.abc import Sequence
from itertools import compress

import numpy as np
from rich import box
from rich.console import Console
from rich.table import Table
from rich.text import Text

from morphzoo.estimates import Estimate
from morphzoo.published import PublishedScore, published_beside
from morphzoo.results import RANDOM, EpisodeTable

CSV_COLUMNS = (
    "policy",
    "actions",
    "env",
    "episodes",
    "failed",
    "return_mean",
    "return_std",
    "return_iqm",
    "return_iqm_low",
    "return_iqm_high",
    "return_unclipped_cost_mean",
    "length_mean",
    "distance_mean",
    "published_method",
    "published_return",
    "published_distance",
)
_WIDTH = 100  # of a table that is written to a file or a pipe (characters)
_NOTE = (
    "* the body trained on. Return: mean ± standard deviation. IQM: mean of the middle half of the "
    "episodes, with its 95 % bootstrap interval."
)
_NOTE_UNCLIPPED = (
    " Actions are clipped to the motors' range before their cost is charged, as SB3 does; "
    "'unclipped' is the mean return with the cost of the action before clipping, as in the papers' "
    "code and so in the published numbers (sampled actions, 100 episodes)."
)
_METHODS = {"nervenet": "NerveNet", "mlpaa": "MLPAA", "mlp": "MLP", "random": "random"}


def ruled(rows: Sequence[Sequence[str]]) -> str:
    """Return rows of cells as a Markdown table; the first row is its head."""
    head, *others = rows
    lines = [head, ["---"] * len(head), *others]
    return "\n".join("| " + " | ".join(line) + " |" for line in lines)


def body_name(body: str) -> str:
    """Return a body's text without namespace and version, as tables and plots show it."""
    env_id, *arguments = body.split(",", 1)
    return ", ".join([env_id.rpartition("/")[2].removesuffix("-v0"), *arguments])


def whole(value: float) -> str:
    """Return a number rounded to the nearest integer, halves up."""
    return str(math.floor(value + 0.5))


def interval(score: Estimate) -> str:
    """Return the interquartile mean and its interval, in whole numbers."""
    if score.low != score.low:  # NaN: a single episode has no interval
        return whole(score.iqm)
    return f"{whole(score.iqm)} [{whole(score.low)}, {whole(score.high)}]"


def policy_name(table: EpisodeTable) -> str:
    """Return how tables and plots call a policy."""
    if table.policy == RANDOM:
        return "random actions"
    return f"{table.policy} (MLPAA)" if table.policy_class == "MlpPolicy" else table.policy


def published(table: EpisodeTable) -> PublishedScore | None:
    """Return the published score that stands beside one of ours, or None."""
    if table.env_kwargs:  # another task than the papers'
        return None
    return published_beside(table.env, table.trained_on, table.policy_class)


def terminal() -> Console:
    """Return where tables are printed: the terminal, or a file or pipe of a fixed width."""
    return Console(width=None if sys.stdout.isatty() else _WIDTH)


def print_tables(tables: Sequence[EpisodeTable], console: Console | None = None) -> None:
    """Print one table for each policy and kind of actions, a body a line.

    Args:
        tables: The scores.
        console: Where to; by default the terminal, in colour if it has any.
    """
    console = console or terminal()
    for group in grouped(tables):
        console.print(_rich_table(group))
    note = _NOTE + (_NOTE_UNCLIPPED if any(map(_clipping_counts, tables)) else "")
    console.print(Text(note, style="dim"))
    for table in tables:
        if failures := int(table.failed.sum()):
            console.print(
                f"[bold red]physics failed in {failures} of {table.episodes} episodes[/] of "
                f"{policy_name(table)} on {body_name(table.body)}: they ended there, and count"
            )


def grouped(tables: Sequence[EpisodeTable]) -> list[list[EpisodeTable]]:
    """Return the tables of each policy and kind of actions together, in order of appearance."""
    groups: dict[tuple[str, str], list[EpisodeTable]] = {}
    for table in tables:
        groups.setdefault((table.policy, table.actions), []).append(table)
    return list(groups.values())


def csv_text(tables: Sequence[EpisodeTable]) -> str:
    """Return one CSV line for each policy, kind of actions and body, with a header.

    Units: returns without one, length in steps, distances in metres. A cell is empty where there is
    no number.
    """
    file = io.StringIO()
    writer = csv.writer(file, lineterminator="\n")
    writer.writerow(CSV_COLUMNS)
    writer.writerows(_csv_row(table) for table in tables)
    return file.getvalue()


def _rich_table(group: Sequence[EpisodeTable]) -> Table:
    episodes = " or ".join(str(n) for n in sorted({table.episodes for table in group}))
    scores = [published(table) for table in group]
    methods = [score.method for score in scores if score is not None]
    result = Table(
        box=box.SIMPLE_HEAD,
        padding=(0, 1, 0, 0),
        title=f"{policy_name(group[0])}: {kind_of_actions(group[0])}, {episodes} episodes a body",
        title_justify="left",
        title_style="bold",
        header_style="bold cyan",
    )
    result.add_column("body", no_wrap=True)
    heads = ["return", "IQM [95 %]", "unclipped", "steps", "metres"]
    cells = [_cells(table) for table in group]
    told = [any(column) for column in zip(*cells, strict=True)]  # the others have nothing to say
    told[heads.index("unclipped")] = any(map(_clipping_counts, group))
    heads = list(compress(heads, told))
    if methods:
        heads.append(f"published\n{_METHODS[methods[-1]]}")
    for head in heads:
        result.add_column(head, justify="right", no_wrap=True)
    for table, score, row in zip(group, scores, cells, strict=True):
        home = " *" if table.body == table.trained_on else ""
        beside = "" if score is None else f"{score.mean:.1f}"
        row = [body_name(table.body) + home, *compress(row, told)]
        result.add_row(*row, *([beside] if methods else []))
    return result


def _clipping_counts(table: EpisodeTable) -> bool:
    """Return whether it matters what an action costs before it is clipped."""
    return not np.array_equal(table.returns, table.returns_unclipped_cost)


def _cells(table: EpisodeTable) -> list[str]:
    score = table.estimate()
    assert score is not None  # every environment has returns
    rest = [table.estimate(name) for name in ("return_unclipped_cost", "length", "distance")]
    return [
        f"{whole(score.mean)} ± {whole(score.std)}",
        interval(score),
        _mean(rest[0]),
        _mean(rest[1]),
        _mean(rest[2], digits=1),
    ]


def _csv_row(table: EpisodeTable) -> list[str]:
    score, beside = table.estimate(), published(table)
    assert score is not None
    rest = [table.estimate(name) for name in ("return_unclipped_cost", "length", "distance")]
    numbers = [score.mean, score.std, score.iqm, score.low, score.high]
    numbers += [None if value is None else value.mean for value in rest]
    return [
        table.policy,
        table.actions,
        table.body,
        str(table.episodes),
        str(int(table.failed.sum())),
        *(_number(value) for value in numbers),
        "" if beside is None else beside.method,
        "" if beside is None else _number(beside.mean),
        "" if beside is None else _number(beside.distance),
    ]


def kind_of_actions(table: EpisodeTable) -> str:
    """Return which actions a score is of, in words."""
    return "sampled actions" if table.actions == "sampled" else "mean actions"


def _mean(score: Estimate | None, digits: int = 0) -> str:
    return "" if score is None else f"{round(score.mean, digits) + 0.0:.{digits}f}"  # no "-0.0"


def _number(value: float | None) -> str:
    return "" if value is None or value != value else repr(value)

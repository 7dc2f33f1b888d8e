"""Scores as Markdown: the tables of the README, between their markers."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence

import numpy as np

from morphzoo.results import ACTIONS, RANDOM, EpisodeTable
from morphzoo.tables import (
    body_name,
    grouped,
    interval,
    kind_of_actions,
    policy_name,
    published,
    ruled,
    whole,
)

_BODIES_ARE_ROWS = ("ant-velocity",)  # results of one page's worth of bodies, with intervals
_FURTHER_RUN = re.compile(r"(-first|-long|-seed-\d+)+$")  # runs beside a bundled one


def markdown_table(tables: Sequence[EpisodeTable]) -> str:
    """Return the scores as a Markdown table: a body a row, a policy and kind of actions a column.

    NerveNet's published numbers are the first column, where there are any. The return under the
    unclipped cost is shown where it is another.
    """
    groups = grouped(tables)
    bodies = list(dict.fromkeys(table.body for table in tables))
    charged = any(not np.array_equal(t.returns_unclipped_cost, t.returns) for t in tables)
    cells = [{table.body: _markdown_cell(table, charged) for table in group} for group in groups]
    heads = [f"{policy_name(group[0])}, {kind_of_actions(group[0])}" for group in groups]
    theirs = {
        t.body: f"{score.mean:.1f}"
        for t in tables
        if (score := published(t)) is not None and score.method == "nervenet"
    }
    if theirs:
        cells.insert(0, theirs)
        heads.insert(0, "NerveNet, published, sampled actions")
    rows = [["body", *heads]]
    rows += [[body_name(b), *(column.get(b, "") for column in cells)] for b in bodies]
    episodes = " or ".join(str(n) for n in sorted({table.episodes for table in tables}))
    seeds = min(int(table.seeds.min()) for table in tables)
    below = (
        f"{episodes} episodes each, seeds from {seeds:,}. First line of a cell: mean return ± "
        "standard deviation. Second: interquartile mean with its 95 % bootstrap interval."
    )
    if charged:
        below += (
            " Third: mean return if the control cost were charged on the action before clipping, "
            "as the papers' code does; SB3 clips first."
        )
    return "\n".join([ruled(rows), "", below])


def runs_table(tables: Sequence[EpisodeTable]) -> str:
    """Return the scores of several runs as a Markdown table: a run a row, a body a column.

    A cell holds the mean return with sampled and with mean actions, a dash where there is none.
    """
    bodies = list(dict.fromkeys(table.body for table in tables))
    scores = {(t.policy, t.body, t.actions): _mean_return(t) for t in tables}
    rows = [["sampled / mean actions", *map(body_name, bodies)]]
    for policy in dict.fromkeys(table.policy for table in tables):
        kinds = [[scores.get((policy, env, kind), "-") for env in bodies] for kind in ACTIONS]
        rows.append([f"`{policy}`", *map(" / ".join, zip(*kinds, strict=True))])
    return ruled(rows)


def fill_readme(text: str, scores: Mapping[str, Sequence[EpisodeTable]]) -> str:
    """Return a README whose tables between markers are those of these scores.

    Args:
        text: The README.
        scores: By the name of their results file. Those of `transfer` fill `transfer-table`, which
            holds every policy but further runs (other seeds, longer trainings), and `runs-table`,
            which holds the policies that have further runs, each with all of them. Those of any
            other name fill `<name>-table`, a run a row, or a body a row.

    Raises:
        ValueError: A pair of markers such as `<!-- transfer-table -->`, `<!-- /transfer-table -->`
            is not there exactly once.
    """
    for name, tables in scores.items():
        if name == "transfer":
            text = _fill_transfer(text, tables)
        else:
            table = markdown_table if name in _BODIES_ARE_ROWS else runs_table
            text = fill(text, f"{name}-table", table(tables))
    return text


def _fill_transfer(text: str, tables: Sequence[EpisodeTable]) -> str:
    several = {_FURTHER_RUN.sub("", t.policy) for t in tables if _FURTHER_RUN.search(t.policy)}
    runs = [table for table in tables if _FURTHER_RUN.sub("", table.policy) in several]
    first = [table for table in tables if not _FURTHER_RUN.search(table.policy)]
    text = fill(text, "transfer-table", markdown_table(first))
    return fill(text, "runs-table", runs_table(runs)) if runs else text


def fill(text: str, name: str, table: str) -> str:
    """Return a page whose part between the markers of that name is this table.

    Raises:
        ValueError: The pair of markers is not there exactly once.
    """
    first, last = f"<!-- {name} -->", f"<!-- /{name} -->"
    pattern = re.compile(f"{re.escape(first)}.*?{re.escape(last)}", re.DOTALL)
    filled, count = pattern.subn(lambda found: f"{first}\n{table}\n{last}", text)
    if count != 1:
        raise ValueError(
            f"expected one '{first}' and, below it, one '{last}', found {count} such pairs: put "
            "the two lines where the table belongs"
        )
    return filled


def _markdown_cell(table: EpisodeTable, charged: bool) -> str:
    score, unclipped = table.estimate(), table.estimate("return_unclipped_cost")
    assert score is not None
    lines = [f"**{whole(score.mean)}** ± {whole(score.std)}", interval(score)]
    if charged and unclipped is not None and table.policy != RANDOM:
        lines.append(f"{whole(unclipped.mean)} unclipped")
    return "<br>".join(lines)


def _mean_return(table: EpisodeTable) -> str:
    score = table.estimate()
    assert score is not None  # every environment has returns
    return whole(score.mean)

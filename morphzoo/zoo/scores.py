"""What a checkpoint's scores say: which are its own, one a body, and the share kept elsewhere."""

from __future__ import annotations

import math
import re
from collections.abc import Mapping, Sequence
from typing import Any

from morphzoo.body_text import body_text
from morphzoo.results import RANDOM, EpisodeTable


def home_of(config: Mapping[str, Any]) -> str | None:
    """Return the body that a checkpoint was trained on, as `EpisodeTable.body` spells it.

    Args:
        config: Its config.json.

    Returns:
        None for a body from outside morphzoo.
    """
    env_id = config["env_id"]
    return None if env_id is None else body_text(env_id, config["env_kwargs"])


def own_tables(name: str, tables: Sequence[EpisodeTable]) -> list[EpisodeTable]:
    """Pick a checkpoint's own scores from a results file, which may compare several policies.

    Args:
        name: Name of the checkpoint.
        tables: All scores.

    Returns:
        Those of the policy of that name or, where only one policy was scored, of that one.
    """
    policies = {table.policy for table in tables} - {RANDOM}
    alike = {policy for policy in policies if re.split(r"[/\\]", policy.rstrip("/\\"))[-1] == name}
    chosen = alike or (policies if len(policies) == 1 else set())
    return [table for table in tables if table.policy in chosen]


def transfer_row(tables: Sequence[EpisodeTable], home: str | None) -> list[EpisodeTable]:
    """Pick one score for each body: what a checkpoint is measured by.

    Args:
        tables: Its own scores; sampled actions count where a body has both.
        home: The body that it was trained on, as `home_of` returns it.

    Returns:
        The training body's score first, then the others as they were scored. Scores that have no
        return are left out.
    """
    by_body = {table.body: table for table in tables if table.actions == "mean"}
    by_body |= {table.body: table for table in tables if table.actions == "sampled"}
    order = list(dict.fromkeys([home, *(table.body for table in tables)]))
    found = [by_body[body] for body in order if body in by_body]
    return [table for table in found if not math.isnan(mean_return(table))]


def others_of(row: Sequence[EpisodeTable], home: str | None) -> list[EpisodeTable]:
    """Return the scores that compare with the training body's: other bodies, the same actions.

    Args:
        row: As `transfer_row` returns it.
        home: The body trained on.

    Returns:
        None of them where the training body has no score.
    """
    kinds = {table.actions for table in row if table.body == home}
    return [table for table in row if table.body != home and table.actions in kinds]


def retained_share(row: Sequence[EpisodeTable], home: str | None) -> float | None:
    """Return the share of the training body's score that is kept on the others.

    It is the mean of the mean returns on the other bodies, each body counting once, over the mean
    return on the body trained on. Above 1 where the others score higher. It depends on which bodies
    were scored, so only checkpoints scored on the same ones compare.

    Args:
        row: As `transfer_row` returns it.
        home: The body trained on.

    Returns:
        None where there is no other body, or no return above 0 to keep a share of.
    """
    means = {table.body: mean_return(table) for table in row}
    others = [means[table.body] for table in others_of(row, home)]
    if not others or home is None or means[home] <= 0.0:
        return None
    return sum(others) / len(others) / means[home]


def middle_body(row: Sequence[EpisodeTable], home: str | None) -> str | None:
    """Return the body to show of those a policy never trained on: neither the best nor the worst.

    Args:
        row: As `transfer_row` returns it.
        home: The body trained on.

    Returns:
        The body of median return (of two, the better); None where no other was scored.
    """
    ranked = sorted(others_of(row, home), key=mean_return)
    return ranked[len(ranked) // 2].body if ranked else None


def mean_return(table: EpisodeTable) -> float:
    """Return a score's mean return; NaN where there is none.

    `EpisodeTable.estimate` would say it too, and compute an interval that nobody asks for here.
    """
    return float(table.values("return").mean())

"""results.json and recipe.json of a checkpoint: what they may hold, and the score they give."""

from __future__ import annotations

import os
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from morphzoo.results import EpisodeTable, tables_of
from morphzoo.zoo.media import check_shown
from morphzoo.zoo.scores import home_of, own_tables
from morphzoo.zoo.untrusted import Where, read_json, refuse, said, shown

RESULTS, RECIPE, CURVE = "results.json", "recipe.json", "curve.csv"
RESULTS_LIMIT = 16_000_000  # bytes; 100 episodes on 100 bodies take about 2,000,000
RECIPE_LIMIT = 1_000_000
CURVE_LIMIT = 64_000_000

_SCORES_KEYS = ("command", "format_version", "scores", "versions")
_KEYS = (*_SCORES_KEYS, "training", "media")


def read_record(folder: Path, name: str) -> dict[str, Any] | None:
    """Read and check results.json or recipe.json of a checkpoint.

    Args:
        folder: The checkpoint's folder.
        name: `RESULTS` or `RECIPE`.

    Returns:
        Its contents, None where there is no such file.

    Raises:
        CheckpointError: It is not sound.
    """
    if not os.path.lexists(folder / name):
        return None
    document = read_json(folder, name, RESULTS_LIMIT if name == RESULTS else RECIPE_LIMIT)
    if name == RESULTS:
        tables_in(document, folder / name)
    else:
        check_recipe(document, folder / name)
    return document


def tables_in(document: Mapping[str, Any], where: Where) -> list[EpisodeTable]:
    """Return the scores of a checkpoint's results.

    Args:
        document: What `zoo_scripts/evaluate_transfer.py --json` writes, or a training's own
            account under `training`, or what its clips show under `media`, or several of these.
        where: What to call it in messages.

    Returns:
        The scores; none where there is only the training's account.

    Raises:
        CheckpointError: It is neither.
    """
    if unknown := sorted(set(document) - set(_KEYS)):
        refuse(where, f"the keys {', '.join(_KEYS)}", f"also {shown(unknown)}")
    if not isinstance(document.get("training", {}), dict):
        refuse(f"{os.fspath(where)}: training", "an object", shown(document["training"]))
    check_shown(document.get("media", {}), f"{os.fspath(where)}: media")
    if document and not set(document) & set(_SCORES_KEYS):
        return []
    try:
        tables = tables_of(dict(document))
        columns = [score["per_episode"] for score in document["scores"]]
    except (ValueError, AttributeError) as error:
        refuse(where, "results of morphzoo", said(error))
    for name, values in (pair for column in columns for pair in column.items()):
        if any(isinstance(value, str | list | dict) for value in values):
            refuse(f"{os.fspath(where)}: {shown(name)}", "a number an episode", "something else")
    return tables


def check_recipe(document: Mapping[str, Any], where: Where) -> None:
    """Refuse what is not a recipe at a glance; `morphzoo.recipe` looks closer when it is used.

    Args:
        document: The recipe.
        where: What to call it in messages.

    Raises:
        CheckpointError: It names no environment or no policy.
    """
    for key in ("env", "policy"):
        if not isinstance(document.get(key), str):
            refuse(where, f"a recipe with text under '{key}'", shown(document.get(key)))


def score_in(
    name: str,
    config: Mapping[str, Any],
    tables: Sequence[EpisodeTable],
    results: Mapping[str, Any] | None,
    recipe: Mapping[str, Any] | None,
) -> dict[str, Any] | None:
    """Return the score on the body trained on, sampled actions before mean ones.

    Args:
        name: Name of the checkpoint.
        config: Its config.json, which says what it was trained on.
        tables: Its scores, which count before the training's account.
        results: Its results.
        recipe: Its recipe, which says how many episodes the training's account is over.

    Returns:
        The score as config.json holds it, None where there is none.
    """
    env_id, home = config["env_id"], home_of(config)
    at_home = [table for table in own_tables(name, tables) if table.body == home]
    for table in sorted(at_home, key=lambda table: table.actions != "sampled"):
        if (found := table.estimate()) is not None:
            return {
                "actions": table.actions,
                "env": env_id,
                "episodes": table.episodes,
                "first_seed": int(table.seeds.min()),
                "mean": found.mean,
                "std": found.std,
            }
    account = (results or {}).get("training", {}).get("evaluations", {})
    found = account.get(env_id, {}) if isinstance(account, dict) else {}
    if not recipe or not isinstance(found, dict) or "sampled" not in found:
        return None
    return {
        "actions": "sampled",
        "env": env_id,
        "episodes": recipe.get("evaluate_episodes"),
        "first_seed": recipe.get("evaluate_seed"),
        "mean": found["sampled"],
        "std": None,
    }

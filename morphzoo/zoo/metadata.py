"""The head of a model card: what the Hugging Face Hub reads of a checkpoint."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from typing import Any

from morphzoo.results import EpisodeTable
from morphzoo.zoo.citations import ABOUT
from morphzoo.zoo.scores import home_of, retained_share, transfer_row

# What people search the Hub for, broad first; the body, policy and algorithm are added.
TAGS = (
    "deep-reinforcement-learning",
    "reinforcement-learning",
    "robotics",
    "stable-baselines3",
    "gymnasium",
    "mujoco",
    "zero-shot-transfer",
    "morphzoo",
)
LICENSE = re.compile(r"[a-z0-9][a-z0-9.+-]{0,40}", re.ASCII)  # as the Hub writes identifiers
_TASK = "reinforcement-learning"


def metadata(
    name: str,
    config: Mapping[str, Any],
    tables: Sequence[EpisodeTable],
    license: str | None = None,
) -> str:
    """Return the card's YAML header, without its fences.

    Args:
        name: Name of the checkpoint.
        config: Its config.json.
        tables: Its own scores: sampled actions count where a body has both.
        license: Identifier of its licence, if one was chosen.

    Returns:
        YAML with tags, a model-index of one result a body (the training body's first), and what
        `entry_of_card` reads under `morphzoo`.
    """
    from huggingface_hub import EvalResult, ModelCardData  # a second to import

    home = home_of(config)
    row = transfer_row(tables, home)
    results = [
        EvalResult(
            task_type=_TASK,
            task_name=_TASK,
            dataset_type=table.body,
            dataset_name=table.body,
            metric_type="mean_reward",
            metric_name="mean_reward",
            metric_value=plus_minus(table),
            metric_args=_how(table),
        )
        for table in row
    ]
    about = ABOUT[config["policy"]]
    tags = [config["env_id"], *TAGS, config["policy"], *about.tags, config["algorithm"]]
    share = retained_share(row, home)
    facts = {
        "env": home,
        "policy": config["policy"],
        "steps": config["steps"],
        "retained_share": None if share is None else round(share, 4),
    }
    data = ModelCardData(
        license=license,
        library_name="morphzoo",
        tags=[tag for tag in tags if tag],
        pipeline_tag=_TASK,
        model_name=name if results else None,
        eval_results=results or None,
        morphzoo={key: value for key, value in facts.items() if value is not None},
    )
    return data.to_yaml(line_break="\n")


def plus_minus(table: EpisodeTable) -> str:
    """Return a return as leaderboards parse it: mean +/- standard deviation."""
    returns = table.values("return")
    return f"{returns.mean():.2f} +/- {returns.std():.2f}"


def license_in(text: str) -> str | None:
    """Return the licence that a card names, so that writing the card anew keeps it.

    Args:
        text: The card. One line of a plain form is looked for and nothing is parsed.

    Returns:
        Its identifier; None where there is none, or one of another form.
    """
    head = text.split("\n---\n", 1)[0] if text.startswith("---\n") else ""
    found = re.search(r"^license: (\S+)$", head, re.MULTILINE)
    return found[1] if found and LICENSE.fullmatch(found[1]) else None


def _how(table: EpisodeTable) -> dict[str, Any]:
    """Return how a score was measured, for the model-index."""
    how = {"actions": table.actions, "episodes": table.episodes, "seed": int(table.seeds.min())}
    return how | ({"env_kwargs": dict(table.env_kwargs)} if table.env_kwargs else {})

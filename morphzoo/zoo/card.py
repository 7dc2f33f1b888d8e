"""README.md of a checkpoint: a Hub model card, generated from the files beside it."""

from __future__ import annotations

import json
import re
from collections.abc import Mapping, Sequence
from typing import Any

from morphzoo.results import RANDOM, EpisodeTable

TAGS = ("deep-reinforcement-learning", "reinforcement-learning", "morphzoo", "mujoco")

_USE = """\
import gymnasium as gym
import morphzoo  # registers the environments
from morphzoo import zoo

env = gym.make({env})
policy = zoo.load({name}, env)
observation, info = env.reset(seed=0)
action, _ = policy.predict(observation, deterministic=True)
"""


def card(
    name: str,
    config: Mapping[str, Any],
    tables: Sequence[EpisodeTable] = (),
    recipe: Mapping[str, Any] | None = None,
) -> str:
    """Write the card of a checkpoint.

    Args:
        name: Name of the checkpoint, which is that of its folder.
        config: Its config.json.
        tables: Its scores.
        recipe: What it was trained by.

    Returns:
        Markdown behind a YAML header, as the Hugging Face Hub reads it.
    """
    own = own_tables(name, tables)
    body, algorithm = config["env_id"], config["algorithm"]
    trained = f" with {algorithm.upper()}" if algorithm else ""
    parts = [
        f"# {_cell(name)}",
        f"A `{config['policy']}` policy of morphzoo, trained on "
        f"{f'`{body}`' if body else 'a body from outside morphzoo'}{trained}. It runs on any body "
        f"of the same node types: {_listed(config['policy_schema']['types'])}.",
    ]
    if recipe and recipe.get("description"):
        parts.append(_cell(str(recipe["description"])))
    parts += ["## Use", _use(name, config, own)]
    if tables:
        parts += ["## Results", _results(tables)]
    elif config["score"]:
        parts += ["## Results", _score(config["score"])]
    parts += ["## Training", _training(config, recipe)]
    header = metadata(name, config, own)
    return f"---\n{header}\n---\n\n" + "\n\n".join(parts) + "\n"


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


def metadata(name: str, config: Mapping[str, Any], tables: Sequence[EpisodeTable]) -> str:
    """Return the card's YAML header, without its fences.

    Args:
        name: Name of the checkpoint.
        config: Its config.json.
        tables: Its own scores: sampled actions count where a body has both.

    Returns:
        YAML with library_name, tags and a model-index.
    """
    from huggingface_hub import EvalResult, ModelCardData  # a second to import

    by_env = {table.env: table for table in tables if table.actions == "mean"}
    by_env |= {table.env: table for table in tables if table.actions == "sampled"}
    home = config["env_id"]
    results = [
        EvalResult(
            task_type="reinforcement-learning",
            task_name="reinforcement-learning",
            dataset_type=env,
            dataset_name=env,
            metric_type="mean_reward",
            metric_name="mean_reward",
            metric_value=_plus_minus(by_env[env]),
        )
        for env in sorted(by_env, key=lambda env: (env != home, env))
        if by_env[env].estimate() is not None
    ]
    tags = [home, *TAGS, config["policy"], config["algorithm"]]
    data = ModelCardData(
        library_name="morphzoo",
        tags=[tag for tag in tags if tag],
        pipeline_tag="reinforcement-learning",
        model_name=name if results else None,
        eval_results=results or None,
    )
    return data.to_yaml(line_break="\n")


def _plus_minus(table: EpisodeTable) -> str:
    """Return a return as leaderboards parse it."""
    found = table.estimate()
    assert found is not None
    return f"{found.mean:.2f} +/- {found.std:.2f}"


def _use(name: str, config: Mapping[str, Any], tables: Sequence[EpisodeTable]) -> str:
    """Return a program that runs, from the folder above the checkpoint or with a bundled one."""
    home = config["env_id"]
    if home is None:
        known = "`env` is an environment whose observation space is a `MorphologySpace`:"
        lines = _USE.format(env="", name=_quoted(name)).splitlines()
        lines = [line for line in lines if "gym" not in line and "morphzoo  #" not in line]
        return f"{known}\n\n" + _fenced("\n".join(lines), "python")
    kwargs = "".join(f", {key}={value!r}" for key, value in sorted(config["env_kwargs"].items()))
    text = _USE.format(env=_quoted(home) + kwargs, name=_quoted(name))
    others = sorted({table.env for table in tables} - {home})
    said = f"It was also scored on {_listed(others)}; put any of them in. " if others else ""
    return (
        _fenced(text, "python")
        + f"\n\n{said}The name is the path of this folder, or that of a bundled checkpoint."
    )


def _results(tables: Sequence[EpisodeTable]) -> str:
    """Return a table of the scores."""
    head = (
        "| policy | body | actions | return (mean ± std) | interquartile mean [95 % interval] "
        "| steps | distance (m) | episodes | seeds from |\n|---|---|---|---|---|---|---|---|---|"
    )
    return "\n".join([head, *(_row(table) for table in tables)]) + (
        "\n\nEvery episode is in `results.json`. Actions are clipped to the motors' range before "
        "their cost is charged, as Stable-Baselines3 does."
    )


def _row(table: EpisodeTable) -> str:
    """Return one score as a row of the table."""
    found, steps, distance = (table.estimate(q) for q in ("return", "length", "distance"))
    if found is None:
        iqm = mean = "not reported"
    else:
        iqm = f"{found.iqm:.0f} [{found.low:.0f}, {found.high:.0f}]"
        mean = f"{found.mean:.0f} ± {found.std:.0f}"
    cells = (
        _cell(re.split(r"[/\\]", table.policy.rstrip("/\\"))[-1]),
        _cell(table.env),
        table.actions,
        mean,
        iqm,
        "" if steps is None else f"{steps.mean:.0f}",
        "" if distance is None else f"{distance.mean:.1f}",
        str(table.episodes),
        str(int(table.seeds.min())),
    )
    return f"| {' | '.join(cells)} |"


def _score(score: Mapping[str, Any]) -> str:
    """Return the one number that a training ends with."""
    spread = "" if score["std"] is None else f" ± {score['std']:.0f}"
    return (
        f"Return {score['mean']:.0f}{spread} on `{score['env']}`: mean over {score['episodes']} "
        f"episodes, {score['actions']} actions, measured during training."
    )


def _training(config: Mapping[str, Any], recipe: Mapping[str, Any] | None) -> str:
    """Return what produced the weights: command, steps, seed, versions."""
    rows = [("steps", config["steps"]), ("seed", config["seed"])]
    rows += [(f"`{key}`", value) for key, value in sorted(config["policy_kwargs"].items())]
    rows += sorted(config["versions"].items())
    lines = ["| what | value |", "|---|---|"]
    lines += [f"| {_cell(str(key))} | {_cell(json.dumps(value))} |" for key, value in rows]
    text = "\n".join(lines).replace('"', "")
    if config["command"]:
        text = f"{_fenced(config['command'], 'sh')}\n\n{text}"
    if recipe:
        text += "\n\nAll settings: `recipe.json`, for `zoo_scripts/train.py --recipe recipe.json`."
    return text


def _fenced(text: str, language: str) -> str:
    """Return text as a code block, whatever back-ticks it has."""
    longest = max((len(run) for run in re.findall(r"`+", text)), default=0)
    fence = "`" * max(3, longest + 1)
    return f"{fence}{language}\n{text.rstrip()}\n{fence}"


def _quoted(text: str) -> str:
    """Return text as a Python string in double quotes."""
    return json.dumps(text, ensure_ascii=False)


def _listed(names: Sequence[str]) -> str:
    """Return names as inline code with commas."""
    return ", ".join(f"`{_cell(name)}`" for name in names)


def _cell(text: str) -> str:
    """Return text that stays inside its cell of a table, and is no markup."""
    plain = "".join(letter if letter.isprintable() else " " for letter in text)
    return re.sub(r"([|<>\[\]])", r"\\\1", plain)

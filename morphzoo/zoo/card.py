"""README.md of a checkpoint: a Hub model card, generated from the files beside it."""

from __future__ import annotations

import json
import math
import re
from collections.abc import Collection, Mapping, Sequence
from typing import Any

from morphzoo.results import EpisodeTable
from morphzoo.zoo.citations import ABOUT, MORPHZOO
from morphzoo.zoo.media import CLIPS, PICTURE
from morphzoo.zoo.metadata import metadata
from morphzoo.zoo.scores import home_of, others_of, own_tables, retained_share, transfer_row

_USE = """\
import gymnasium as gym
import morphzoo  # registers the environments
from morphzoo import zoo

env = gym.make({env})
policy = zoo.load({name}, env)
observation, info = env.reset(seed=0)
action, _ = policy.predict(observation, deterministic=True)
"""


_LOADED = re.compile(rb'^policy = zoo\.load\(".*", env\)$', re.MULTILINE)
_ARGUMENTS = "What stands behind an id and a comma are arguments of `gym.make`. "


def card(
    name: str,
    config: Mapping[str, Any],
    tables: Sequence[EpisodeTable] = (),
    recipe: Mapping[str, Any] | None = None,
    *,
    media: Collection[str] = (),
    shown: Mapping[str, Mapping[str, Any]] | None = None,
    license: str | None = None,
) -> str:
    """Write the card of a checkpoint.

    Args:
        name: Name of the checkpoint, which is that of its folder.
        config: Its config.json.
        tables: Its scores.
        recipe: What it was trained by.
        media: Which pictures and clips are in the folder.
        shown: What the clips show: `media` of results.json.
        license: Identifier of its licence, if one was chosen.

    Returns:
        Markdown behind a YAML header, as the Hugging Face Hub reads it.
    """
    own = own_tables(name, tables)
    parts = [f"# {_cell(name)}", _about(config)]
    if recipe and recipe.get("description"):
        parts.append(_cell(str(recipe["description"])))
    clips = [_clip(file, (shown or {}).get(file), config) for file in CLIPS if file in media]
    parts += ["\n".join(clips)] if clips else []
    parts += ["## Use", _use(name, config, own)]
    if tables:
        parts += ["## Results", _results(tables), *_kept(own, home_of(config))]
    elif config["score"]:
        parts += ["## Results", _score(config["score"])]
    parts += ["## Training", *(["![Training curve](curve.png)"] if PICTURE in media else [])]
    parts += [_training(config, recipe)]
    parts += ["## Limits", _limits(config, own), "## Licence", _licence(license)]
    parts += ["## Citation", _fenced("\n\n".join((MORPHZOO, *_papers(config))), "bibtex")]
    header = metadata(name, config, own, license)
    return f"---\n{header}\n---\n\n" + "\n\n".join(parts) + "\n"


def addressed(card: bytes, repo: str) -> bytes:
    """Return a card whose program loads the checkpoint from a hub, as it is copied from its page.

    Args:
        card: README.md.
        repo: The repository, user/name.
    """
    return _LOADED.sub(f'policy = zoo.load("{repo}", env)'.encode(), card, count=1)


def _about(config: Mapping[str, Any]) -> str:
    """Return what it is, in two sentences."""
    body, algorithm = config["env_id"], config["algorithm"]
    trained = f" with {algorithm.upper()}" if algorithm else ""
    return (
        f"A `{config['policy']}` policy of morphzoo, trained on "
        f"{f'`{body}`' if body else 'a body from outside morphzoo'}{trained}. It runs on any body "
        f"of the same node types: {_listed(config['policy_schema']['types'])}."
    )


def _clip(file: str, shown: Mapping[str, Any] | None, config: Mapping[str, Any]) -> str:
    """Return a list's line about a clip."""
    if shown is None:
        return f"* [{file}]({file})"
    strange = ", which it was never trained on" if shown["env"] != home_of(config) else ""
    return (
        f"* [{file}]({file}): {shown['seconds']:g} s on `{shown['env']}`{strange}. "
        f"{shown['actions'].capitalize()} actions; the episodes from seed {shown['seed']} on, as "
        "they come."
    )


def _papers(config: Mapping[str, Any]) -> tuple[str, ...]:
    return ABOUT[config["policy"]].papers


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
    others = _others(config, tables)
    said = f"It was also scored on {_listed(others)}; put any of them in. " if others else ""
    said += _ARGUMENTS if any("," in other for other in others) else ""
    return (
        _fenced(text, "python") + f"\n\n{said}The name is the path of this folder, that of "
        "a bundled checkpoint or, for one on a hub, its repository: `user/name`."
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


def _kept(tables: Sequence[EpisodeTable], home: str | None) -> list[str]:
    """Return the retained share as a sentence, if there is one."""
    row = transfer_row(tables, home)
    share = retained_share(row, home)
    if share is None:
        return []
    bodies = _listed([table.body for table in others_of(row, home)])
    kind = row[0].actions
    return [
        f"**Retained share: {100 * share:.0f} %.** That is the mean of its mean returns on "
        f"{bodies}, each body counting once, over its mean return on `{home}`; {kind} actions."
    ]


def _row(table: EpisodeTable) -> str:
    """Return one score as a row of the table."""
    found = table.estimate()  # an interval takes a while, so of the others the mean alone
    steps, distance = (float(table.values(q).mean()) for q in ("length", "distance"))
    if found is None:
        iqm = mean = "not reported"
    else:
        iqm = f"{found.iqm:.0f} [{found.low:.0f}, {found.high:.0f}]"
        mean = f"{found.mean:.0f} ± {found.std:.0f}"
    cells = (
        _cell(re.split(r"[/\\]", table.policy.rstrip("/\\"))[-1]),
        _cell(table.body),
        table.actions,
        mean,
        iqm,
        f"{steps:.0f}",
        "" if math.isnan(distance) else f"{distance:.1f}",
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
    again = "morphzoo train --recipe recipe.json --out runs/again" if recipe else None
    if command := config["command"] or again:
        text = f"{_fenced(command, 'sh')}\n\n{text}"
    if recipe:
        text += "\n\nAll settings: `recipe.json`, for `morphzoo train --recipe recipe.json`."
    return text


def _others(config: Mapping[str, Any], tables: Sequence[EpisodeTable]) -> list[str]:
    """Return the bodies that it was scored on, but for the one it was trained on."""
    home = home_of(config)
    return [table.body for table in transfer_row(tables, home) if table.body != home]


def _limits(config: Mapping[str, Any], tables: Sequence[EpisodeTable]) -> str:
    """Return what it is not made for, as a list."""
    scored = _listed(_others(config, tables)) or "none"
    where = f"Other bodies that it was measured on: {scored}"
    lines = [
        "It runs on bodies whose joints have the node types above, and refuses others by name. A "
        "joint that has the name of one it knows and works otherwise is not noticed.",
        f"{where}; how it moves elsewhere is unknown. Transfer varies widely from one training "
        "run to the next.",
        "It was trained and measured in simulation alone, with the versions above. It is "
        "not made to drive a real robot.",
    ]
    return "\n".join(f"* {line}" for line in lines)


def _licence(license: str | None) -> str:
    """Return under which licence the weights are."""
    if license is None:
        return (
            "None was chosen, so none is given. Who trained the weights chooses one: "
            "`zoo.annotate(folder, license=...)`."
        )
    return f"The weights and this folder: `{license}`."


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

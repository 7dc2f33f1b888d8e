"""What checkpoints there are: bundled ones, and others wherever they are kept, as one list."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, NamedTuple

from morphzoo.policies import POLICIES
from morphzoo.results import tables_of
from morphzoo.zoo.cache import cached
from morphzoo.zoo.catalogue import PRETRAINED, bundled
from morphzoo.zoo.hub import read_card, tagged
from morphzoo.zoo.json_schema import suggestion
from morphzoo.zoo.pins import pins
from morphzoo.zoo.records import RESULTS, read_record
from morphzoo.zoo.schema import read_config_of
from morphzoo.zoo.scores import home_of, others_of, own_tables, retained_share, transfer_row
from morphzoo.zoo.untrusted import CheckpointError, said

_MEAN = re.compile(r"(-?[\d.]{1,20}) \+/- ([\d.]{1,20})", re.ASCII)
_TEXT = re.compile(r"[\w./:-]{1,100}", re.ASCII)


@dataclass(frozen=True)
class Entry:
    """A checkpoint and what is known of it; None where nothing is.

    Attributes:
        name: What `zoo.load` takes.
        source: Where it is: a name in `SOURCES`.
        env: Id of the body trained on.
        policy: A name in `POLICIES`.
        steps: Environment steps trained for.
        mean: Mean return on the body trained on.
        std: Its standard deviation over episodes.
        retained: Share of it that is kept on the other bodies; see `scores.retained_share`.
        others: Ids of those bodies.
        problem: Why it cannot be read, if so.
    """

    name: str
    source: str
    env: str | None = None
    policy: str | None = None
    steps: int | None = None
    mean: float | None = None
    std: float | None = None
    retained: float | None = None
    others: tuple[str, ...] = ()
    problem: str | None = None


class Source(NamedTuple):
    """A place where checkpoints are.

    Attributes:
        find: Returns what is there.
        near: Whether looking costs nothing: no network.
    """

    find: Callable[[], Iterable[Entry]]
    near: bool


def entries(
    *, env: str | None = None, policy: str | None = None, sources: Sequence[str] | None = None
) -> list[Entry]:
    """List checkpoints.

    Args:
        env: Only those trained on bodies whose id has this in it: `Centipede`, `Centipede-6-`.
        policy: Only those of this name in `POLICIES`.
        sources: Names in `SOURCES`; by default all that need no network.

    Returns:
        Source by source, by name. One that cannot be read is there with its `problem`, unless a
        filter leaves it out.

    Raises:
        ValueError: There is no such policy or source.
    """
    for what, asked, known in (("policy", [policy], POLICIES), ("source", sources, SOURCES)):
        for word in asked or ():
            if word is not None and word not in known:
                raise ValueError(f"unknown {what} '{word}'. {suggestion(word, known)}")
    chosen = (
        [name for name, source in SOURCES.items() if source.near] if sources is None else sources
    )
    found = [entry for name in dict.fromkeys(chosen) for entry in SOURCES[name].find()]
    return [
        entry
        for entry in found
        if (env is None or env.lower() in (entry.env or "").lower())
        and (policy is None or entry.policy == policy)
    ]


def entry_of(folder: Path, name: str, source: str) -> Entry:
    """Describe a checkpoint by its folder.

    Args:
        folder: The folder.
        name: What it is called in the list.
        source: Where it is from.

    Returns:
        What its config.json and results.json say, checked; or what is wrong with them.
    """
    try:
        config = read_config_of(folder)
        results = read_record(folder, RESULTS) or {}
    except CheckpointError as error:
        return Entry(name, source, problem=str(error))
    home, score = home_of(config), config["score"] or {}
    tables = tables_of(results) if "scores" in results else []
    row = transfer_row(own_tables(folder.name, tables), home)
    return Entry(
        name,
        source,
        env=home,
        policy=config["policy"],
        steps=config["steps"],
        mean=score.get("mean"),
        std=score.get("std"),
        retained=retained_share(row, home),
        others=tuple(table.body for table in others_of(row, home)),
    )


def entry_of_card(text: str, name: str, source: str) -> Entry:
    """Describe a checkpoint by its card alone, for one that has not been downloaded.

    Args:
        text: The card, by anybody: what is not of our form is left out.
        name: What it is called in the list.
        source: Where it is from.

    Returns:
        What the head of the card claims.
    """
    from huggingface_hub import ModelCard  # a second to import

    try:
        data = ModelCard(text, ignore_metadata_errors=True).data.to_dict()
    except Exception as error:  # YAML by anybody: whatever its parser raises
        return Entry(name, source, problem=f"its card cannot be read: {said(error)}")
    facts = data.get("morphzoo")
    facts = facts if isinstance(facts, dict) else {}
    means = _means_in(data.get("model-index"))
    env, policy, steps = (facts.get(key) for key in ("env", "policy", "steps"))
    env = env if isinstance(env, str) and _TEXT.fullmatch(env) else None
    mean, std = means.get(env or "", (None, None))
    share = facts.get("retained_share")
    return Entry(
        name,
        source,
        env=env,
        policy=policy if isinstance(policy, str) and policy in POLICIES else None,
        steps=steps if type(steps) is int and 0 <= steps < 2**63 else None,
        mean=mean,
        std=std,
        retained=share if isinstance(share, float) and abs(share) < 1e6 else None,
        others=tuple(body for body in means if body != env),
    )


def _means_in(index: Any) -> dict[str, tuple[float, float]]:
    """Return mean and standard deviation by body from a model-index, as far as it is one."""
    means: dict[str, tuple[float, float]] = {}
    for model in index if isinstance(index, list) else ():
        results = model.get("results") if isinstance(model, Mapping) else None
        for result in results if isinstance(results, list) else ():
            try:
                body, (metric, *_) = result["dataset"]["type"], result["metrics"]
                found = _MEAN.fullmatch(metric["value"])
                if found and metric["type"] == "mean_reward" and _TEXT.fullmatch(body):
                    means[body] = (float(found[1]), float(found[2]))
            except (KeyError, TypeError, ValueError):
                continue
    return means


def _bundled() -> Iterable[Entry]:
    return [entry_of(PRETRAINED / name, name, "bundled") for name in bundled()]


def _pinned() -> Iterable[Entry]:
    """What this version knows by name; its facts were noted when it was pinned."""
    entries = (Entry(name, "pinned", **pin.facts) for name, pin in sorted(pins().items()))
    return [replace(entry, others=tuple(entry.others)) for entry in entries]  # JSON has lists


def _cached() -> Iterable[Entry]:
    return [entry_of(c.folder, f"{c.repo}@{c.revision}", "cached") for c in cached()]


def _hub() -> Iterable[Entry]:
    for repo in tagged():
        try:
            yield entry_of_card(read_card(repo), repo, "hub")
        except CheckpointError as error:
            yield Entry(repo, "hub", problem=str(error))


#: A row for every place. One that needs a network is only looked at when it is named.
SOURCES: dict[str, Source] = {
    "bundled": Source(_bundled, near=True),
    "pinned": Source(_pinned, near=True),
    "cached": Source(_cached, near=True),
    "hub": Source(_hub, near=False),
}

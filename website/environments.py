"""A page for every environment: its class's docstring, its ids, its picture and its graph."""

from __future__ import annotations

import importlib
import inspect
import re
import tempfile
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from morphzoo.envs import TABLE, Row
from website.repository import ROOT, slug

PICTURES = ROOT / "website/pictures"
#: Which of several ids is shown, where it is not the first.
SHOWN = {
    "Centipede": "morphzoo/Centipede-12-v0",
    "PointMaze": "morphzoo/PointBigMaze-v0",
    "Reacher": "morphzoo/Reacher-4-v0",
    "AntMaze": "morphzoo/AntBigMaze-v0",
    "HumanoidMaze": "morphzoo/HumanoidBigMaze-v0",
}


@dataclass(frozen=True)
class Family:
    """The ids of one environment class.

    Attributes:
        name: Of the class, without `Env`.
        cls: The class; its docstring is the page.
        rows: The ids.
    """

    name: str
    cls: type
    rows: tuple[Row, ...]

    @property
    def page(self) -> str:
        """Place of the page on the site."""
        return f"environments/{self.slug}.md"

    @property
    def slug(self) -> str:
        """Name of the page and its pictures: words with hyphens."""
        return slug(re.sub(r"(?<=[a-z])(?=[A-Z])", " ", self.name))

    @property
    def shown(self) -> str:
        """The id that pictures show."""
        return SHOWN.get(self.name, self.rows[0].id)

    @property
    def summary(self) -> str:
        """First line of the docstring."""
        return (self.cls.__doc__ or "").partition("\n")[0]


def families() -> Iterator[Family]:
    """Yield what there is in the table of ids, class by class."""
    for entry_point in dict.fromkeys(row.entry_point for row in TABLE):
        module, name = entry_point.split(":")
        rows = tuple(row for row in TABLE if row.entry_point == entry_point)
        yield Family(name.removesuffix("Env"), getattr(importlib.import_module(module), name), rows)


def page_of(family: Family) -> str:
    """Return an environment's page, Markdown."""
    body = inspect.cleandoc(family.cls.__doc__ or "").partition("\n")[2]
    graph = f"{family.slug}-graph.png"
    return "\n\n".join(
        [
            f"# {family.name}",
            family.summary,
            f"![{family.shown}]({family.slug}.webp){{ .wide }}",
            _ids(family),
            body.strip("\n"),
            "## The body as a graph",
            f"What a policy is told of `{family.shown}`: a node a box, with its type, the numbers "
            "of the observation that it reads and the action that it drives. "
            f"`morphzoo inspect {family.shown.removeprefix('morphzoo/')}` draws it.",
            f"[![The graph of {family.shown}]({graph})]({graph})",
            f"Class: `{family.cls.__module__}.{family.cls.__name__}`.",
        ]
    )


def index() -> str:
    """Return the table of the families, for the page that lists them."""
    lines = ["| | environment | what | an episode |", "| --- | --- | --- | --- |"]
    for family in families():
        steps = family.rows[0].max_episode_steps
        link = f"[{family.name}]({family.slug}.md)"
        picture = f"[![{family.name}]({family.slug}.webp){{ .small }}]({family.slug}.md)"
        lines.append(f"| {picture} | {link} | {family.summary} | {steps:,} steps |")
    return "\n".join(lines)


def _ids(family: Family) -> str:
    """Return the ids with what they stand for; those that differ in a number alone in one line."""
    kinds: dict[str, list[Row]] = {}
    for row in family.rows:
        kinds.setdefault(re.sub(r"-\d+(?=-v)", "-{n}", row.id), []).append(row)
    lines = ["| id | arguments | solved from a return of |", "| --- | --- | --- |"]
    for kind, rows in kinds.items():
        numbers = [re.search(r"-(\d+)-v", row.id) for row in rows]
        shown, arguments = f"`{kind}`", _arguments(rows[0].kwargs)
        if len(rows) > 1 and numbers[0] and numbers[-1]:
            shown += f", n = {numbers[0][1]} ... {numbers[-1][1]}"
            arguments = ", ".join(f"`{key}`: n" for key in rows[0].kwargs)
        threshold = rows[0].reward_threshold
        lines.append(f"| {shown} | {arguments} | {'' if threshold is None else f'{threshold:g}'} |")
    return "\n".join(lines)


def _arguments(kwargs: Any) -> str:
    return ", ".join(f"`{key}={value!r}`" for key, value in kwargs.items())


def graph_pictures() -> dict[str, bytes]:
    """Draw every family's graph.

    Returns:
        Place on the site -> PNG file.
    """
    from morphzoo.drawing import save_graph
    from morphzoo.inspection import inspect_body

    pictures = {}
    with tempfile.TemporaryDirectory() as folder:
        for family in families():
            path = Path(folder) / f"{family.slug}-graph.png"
            save_graph(inspect_body(family.shown), path)
            pictures[f"environments/{path.name}"] = path.read_bytes()
    return pictures

"""The gallery: bundled checkpoints as a table to sort and filter, and a page for each of them.

Nothing here is typed in: names, scores and shares are those of `zoo.list` and of results.json.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from functools import cache
from html import escape
from pathlib import Path
from typing import Any

from morphzoo import zoo
from morphzoo.results import tables_of
from morphzoo.tables import body_name, whole
from morphzoo.zoo.catalogue import PRETRAINED
from morphzoo.zoo.folder import CARD
from morphzoo.zoo.media import CLIPS, PICTURE
from morphzoo.zoo.scores import mean_return, own_tables, transfer_row
from website.clips import account, shown_folder


@dataclass(frozen=True)
class Shown:
    """A checkpoint of the gallery.

    Attributes:
        entry: What `zoo.list` says of it.
        folder: Where its card and clips are: made ready to be shown, or as it is bundled.
        scores: Mean return by body, of the kind of actions that its share is of.
        clips: What its clips show: file name -> body, seconds, kind of actions, first seed.
    """

    entry: zoo.Entry
    folder: Path
    scores: dict[str, float]
    clips: dict[str, dict[str, Any]]

    @property
    def page(self) -> str:
        """Place of its page on the site."""
        return f"gallery/{self.entry.name}.md"

    def media(self) -> dict[str, Path]:
        """Return clips and pictures: place on the site -> file."""
        there = (self.folder / name for name in (*CLIPS, PICTURE))
        return {f"gallery/{self.entry.name}/{p.name}": p for p in there if p.is_file()}


@cache
def shown() -> tuple[Shown, ...]:
    """Read all bundled checkpoints, in the order of `zoo.list`."""
    return tuple(_shown(entry) for entry in zoo.list(sources=["bundled"]))


def _shown(entry: zoo.Entry) -> Shown:
    if entry.problem:
        raise ValueError(entry.problem)
    bundled = PRETRAINED / entry.name
    made = shown_folder(bundled)
    tables = own_tables(entry.name, tables_of(zoo.read_results(bundled) or {"scores": []}))
    scores = {t.body: mean_return(t) for t in transfer_row(tables, entry.env)}
    return Shown(entry, made or bundled, scores, account(made) if made else {})


def table(checkpoints: Sequence[Shown]) -> str:
    """Return the table, HTML without an empty line; gallery.js sorts and filters it.

    Every checkpoint is a `tbody` of its own: its numbers, and below them its clips.
    """
    bodies = list(dict.fromkeys(body for c in checkpoints for body in c.scores))
    heads = ["checkpoint", "policy", "trained on", "steps", "return at home", "retained"]
    heads += [body_name(body) for body in bodies]
    keys = ["name", "policy", "env", "steps", "mean", "retained", *bodies]
    # Roles again, since a table that is laid out as blocks on a phone loses its own.
    lines = [
        _filters(checkpoints),
        '<div class="gallery-frame"><table class="gallery" role="table">',
        '<thead role="rowgroup"><tr role="row">',
        *(
            f'<th role="columnheader" scope="col" data-key="{escape(key)}">{escape(head)}</th>'
            for key, head in zip(keys, heads, strict=True)
        ),
        "</tr></thead>",
        *(line for c in checkpoints for line in _body(c, bodies, heads)),
        "</table></div>",
    ]
    return "\n".join(lines)


def _filters(checkpoints: Sequence[Shown]) -> str:
    """Return what filters are set by; hidden where no script runs."""
    parts = [
        '<form class="gallery-filters" hidden>',
        '<label>Search <input type="search" name="text" placeholder="name, body"></label>',
    ]
    for name, label, values in (
        ("policy", "Policy", {c.entry.policy for c in checkpoints}),
        ("env", "Trained on", {c.entry.env for c in checkpoints}),
    ):
        options = "".join(
            f'<option value="{escape(v)}">{escape(body_name(v))}</option>'
            for v in sorted(filter(None, values))
        )
        parts.append(
            f'<label>{label} <select name="{name}" aria-label="{label}">'
            f'<option value="">all</option>{options}</select></label>'
        )
    parts += ['<output class="gallery-count" aria-live="polite"></output>', "</form>"]
    return "".join(parts)


def _body(checkpoint: Shown, bodies: Sequence[str], heads: Sequence[str]) -> Iterable[str]:
    entry, name = checkpoint.entry, escape(checkpoint.entry.name)
    spread = "" if entry.std is None else f" ± {whole(entry.std)}"
    cells: list[tuple[object, str]] = [
        (entry.name, f'<a href="{name}/">{name}</a>'),
        (entry.policy, escape(entry.policy or "")),
        (entry.env, escape(body_name(entry.env or ""))),
        (entry.steps, "" if entry.steps is None else f"{entry.steps / 1e6:.2f} M"),
        (entry.mean, "" if entry.mean is None else whole(entry.mean) + spread),
        (entry.retained, "" if entry.retained is None else f"{100 * entry.retained:.0f} %"),
    ]
    for body in bodies:
        score = checkpoint.scores.get(body)
        cells.append((score, "" if score is None else whole(score)))
    policy, env = escape(entry.policy or ""), escape(entry.env or "")
    yield f'<tbody role="rowgroup" data-policy="{policy}" data-env="{env}">'
    yield '<tr role="row">'
    for (value, text), head in zip(cells, heads, strict=True):
        number = "" if isinstance(value, str) else ' class="number"'
        sorted_by = "" if value is None else escape(str(value))
        yield (
            f'<td role="cell" data-label="{escape(head)}" data-value="{sorted_by}"{number}>'
            f"{text}</td>"
        )
    yield "</tr>"
    if checkpoint.clips:
        figures = "".join(figure(checkpoint, file, "") for file in checkpoint.clips)
        cell = f'<td role="cell" colspan="{len(heads)}">{figures}</td>'
        yield f'<tr class="clips" role="row">{cell}</tr>'
    yield "</tbody>"


def figure(checkpoint: Shown, file: str, base: str | None = None) -> str:
    """Return a clip with its caption, HTML.

    Args:
        checkpoint: Whose.
        file: Which.
        base: Way to the folder of pages of checkpoints; None on the checkpoint's own page.
    """
    clip = checkpoint.clips[file]
    home = "" if clip["env"] != checkpoint.entry.env else ", the body it was trained on"
    text = f"{body_name(clip['env'])}{home or ', never trained on'}: {clip['actions']} actions"
    source = file if base is None else f"{base}{checkpoint.entry.name}/{file}"
    return (
        f'<figure class="clip"><video controls muted loop playsinline preload="metadata" '
        f'width="640" height="360" src="{escape(source)}" '
        f'aria-label="{escape(checkpoint.entry.name)} on {escape(text)}"></video>'
        f"<figcaption>{escape(text)}</figcaption></figure>"
    )


def page_of(checkpoint: Shown) -> str:
    """Return a checkpoint's page: its card as it is, its clips played on the page."""
    name = checkpoint.entry.name
    card = (checkpoint.folder / CARD).read_text(encoding="utf-8")
    card = re.sub(r"\A---\n.*?\n---\n", "", card, flags=re.DOTALL).lstrip("\n")
    title, _, rest = card.partition("\n")
    for file in (*CLIPS, PICTURE):
        rest = rest.replace(f"]({file})", f"]({name}/{file})")
    figures = "".join(figure(checkpoint, file) for file in checkpoint.clips)
    clips = f'\n<div class="clips">{figures}</div>\n' if figures else ""
    return f"{title}\n{clips}{rest}"

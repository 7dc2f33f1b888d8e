"""Studies as a Markdown table and as a picture."""

from __future__ import annotations

import json
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from morphzoo.curves import LINES, STEPS, tidy
from morphzoo.files import write_text_atomic
from morphzoo.markdown import fill
from morphzoo.plots import INK, save_png
from morphzoo.tables import ruled
from morphzoo.training.study import Series, Study

if TYPE_CHECKING:
    from matplotlib.figure import Figure


_STYLES = ("-", "--", ":")
_AXIS_LABELS = {"step": STEPS, "generation": "generations", "minute": "minutes"}


def study_table(study: Study, found: Sequence[Series]) -> str:
    """Return a study as a Markdown table: a variant a row, its last numbers in the columns.

    With several seeds a cell has the median, and all of them in the order of the seeds.
    """
    rows = [["variant", "changes", "steps", *study.columns]]
    for variant, changes in study.variants.items():
        runs = [one for one in found if one.variant == variant]
        if not runs:
            rows.append([f"`{variant}`", _changes(changes), "not run", *[""] * len(study.columns)])
            continue
        steps = max(int(one.steps[-1]) for one in runs)
        cells = [_cell([one.last(column) for one in runs]) for column in study.columns]
        rows.append([f"`{variant}`", _changes(changes), f"{steps:,}", *cells])
    return ruled(rows)


def _changes(changes: dict[str, Any]) -> str:
    """Return a variant's changes as code, or that there are none."""
    texts = []
    for key, value in changes.items():
        if key == "recipe" and isinstance(value, dict):
            value = f"{value.get('algorithm', 'ppo')} of its own"
        elif key == "baseline":
            value = f"{value['algorithm']} of Stable-Baselines3"
        texts.append(f"`{key}` {value if isinstance(value, str) else json.dumps(value)}")
    return ", ".join(texts) if texts else "none"


def _cell(values: Sequence[float]) -> str:
    known = [value for value in values if np.isfinite(value)]
    if not known:
        return ""
    if len(known) == 1:
        return _number(known[0])
    return f"**{_number(float(np.median(known)))}** ({', '.join(map(_number, known))})"


def _number(value: float) -> str:
    return f"{value:,.0f}" if abs(value) >= 100 else f"{value:.3g}"


def study_figure(study: Study, found: Sequence[Series]) -> Figure:
    """Draw a study: a panel for each column and axis, a colour a variant, dashed when they repeat.

    Thin lines are seeds, a thick one is their median. Columns that have one number a run are for
    the table alone.

    Args:
        study: what is compared.
        found: at least one run with two rows.

    Returns:
        The figure; `plots.save_png` writes it.
    """
    from matplotlib.figure import Figure

    columns = [c for c in study.columns if any(len(_known(one, c)[0]) > 1 for one in found)]
    shape = len(study.axes), len(columns)
    figure = Figure(figsize=(4.2 * shape[1] + 2.6, 0.5 + 3.7 * shape[0]))
    figure.set_layout_engine("constrained", wspace=0.06)
    figure.suptitle(study.title, x=0.01, ha="left", fontsize=13, fontweight="bold", color=INK)
    panels = figure.subplots(*shape, squeeze=False)
    for axis, row in zip(study.axes, panels, strict=True):
        for axes, column in zip(row, columns, strict=True):
            for number, variant in enumerate(study.variants):
                row_of_colours, index = divmod(number, len(LINES))
                colour, style = LINES[index], _STYLES[row_of_colours % len(_STYLES)]
                runs = [one for one in found if one.variant == variant]
                lines = [_known(one, column, axis) for one in runs]
                for at, values in lines if len(lines) > 1 else []:
                    axes.plot(at, values, color=colour, lw=0.7, alpha=0.45)
                if lines:
                    at, values = _median(lines)
                    axes.plot(at, values, style, color=colour, lw=1.9, label=variant)
            tidy(axes, column, "", _AXIS_LABELS[axis])
    for axes in panels.flat:
        if axes is not panels[0, -1]:
            axes.get_legend().remove()
    return figure


def _known(one: Series, column: str, axis: str = "step") -> tuple[np.ndarray, np.ndarray]:
    """Return where on an axis a column has a number, and the numbers; steps in millions."""
    known = np.isfinite(one.values[column]) & np.isfinite(one.axis(axis))
    return one.axis(axis)[known] * (1e-6 if axis == "step" else 1), one.values[column][known]


def _median(lines: Sequence[tuple[np.ndarray, np.ndarray]]) -> tuple[np.ndarray, np.ndarray]:
    """Return the median of lines, where the longest has points and all of them have numbers."""
    steps = max((line[0] for line in lines), key=len)
    if any(not len(line[0]) for line in lines):
        return steps[:0], steps[:0].astype(float)
    within = steps <= min(line[0][-1] for line in lines)
    steps = steps[within & (steps >= max(line[0][0] for line in lines))]
    return steps, np.median([np.interp(steps, *line) for line in lines], axis=0)


def write_pages(study: Study, found: Sequence[Series], docs: Path) -> None:
    """Draw a study, and fill its table into the pages that have a place for it.

    Args:
        study: what is compared.
        found: its runs.
        docs: folder of the pages; the figure is put there too. A place is `<!-- study-NAME -->` and
            `<!-- /study-NAME -->`.
    """
    if any(len(_known(one, column)[0]) > 1 for one in found for column in study.columns):
        save_png(study_figure(study, found), docs / f"{study.name}.png")
    mark = f"study-{study.name}"
    for page in sorted(docs.glob("*.md")):
        text = page.read_text(encoding="utf-8")
        if f"<!-- {mark} -->" in text:
            write_text_atomic(page, fill(text, mark, study_table(study, found)))

"""Pictures: the transfer heat map, as a PNG file, without a display."""

from __future__ import annotations

import io
import textwrap
from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from morphzoo.files import PathLike, write_bytes_atomic
from morphzoo.results import EpisodeTable
from morphzoo.tables import body_name, grouped, interval, policy_name, published, whole

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

_COLOURS = "viridis"
INK, GREY = "#1f2430", "#6b7280"  # of letters and lines, in every picture
_DPI = 160
_MINUS = "\N{MINUS SIGN}"  # as wide as a plus: lines up in the cells


@dataclass(frozen=True)
class HeatRow:
    """One row of the heat map.

    Attributes:
        label: What stands left of it; a second line is smaller.
        means: Mean return by body id.
        notes: What stands below the mean in a cell, by body id.
        home: Id of the body that the policy was trained on, or None.
        ours: False for published numbers.
    """

    label: tuple[str, str]
    means: dict[str, float]
    notes: dict[str, str]
    home: str | None
    ours: bool = True


def heat_rows(tables: Sequence[EpisodeTable]) -> list[HeatRow]:
    """Return the rows of the heat map: ours in their order, then NerveNet's published ones.

    Args:
        tables: The scores.
    """
    rows = []
    theirs: dict[str, float] = {}
    for group in grouped(tables):
        means, notes = {}, {}
        for table in group:
            score, beside = table.estimate(), published(table)
            assert score is not None  # every environment has returns
            means[table.body] = score.mean
            notes[table.body] = interval(score).replace("-", _MINUS)
            if beside is not None and beside.method == "nervenet":
                theirs[table.body] = beside.mean
        kind = "sampled" if group[0].actions == "sampled" else "mean"
        label = (policy_name(group[0]), f"{kind} actions")
        rows.append(HeatRow(label, means, notes, group[0].trained_on))
    if theirs:
        label = ("NerveNet, published", "sampled actions, unclipped cost")
        rows.append(HeatRow(label, theirs, {}, None, ours=False))
    return rows


def heat_map(tables: Sequence[EpisodeTable]) -> Figure:
    """Draw mean returns: a policy and kind of actions a row, a body a column.

    The colour grows with the square root of the return, from 0 up, so that falls and short walks
    are told apart too; the numbers are exact.

    Args:
        tables: The scores; at least one.

    Returns:
        The figure; `save_png` writes it.

    Raises:
        ValueError: There are no scores.
    """
    if not tables:
        raise ValueError("a heat map needs at least one score, found none")
    from matplotlib.figure import Figure

    rows = heat_rows(tables)
    bodies = list(dict.fromkeys(table.body for table in tables))
    values = np.array([[row.means.get(body, np.nan) for body in bodies] for row in rows])
    figure = Figure(
        figsize=(3.3 + 1.45 * len(bodies), 1.85 + 0.74 * len(rows)), layout="constrained"
    )
    figure.get_layout_engine().set(w_pad=0.12, h_pad=0.1)  # pyright: ignore
    axes = figure.subplots()
    _draw_cells(axes, rows, bodies, values)
    _label_cells(axes, rows, bodies, values)
    _title(figure, tables)
    return figure


def save_png(figure: Figure, path: PathLike) -> None:
    """Write a figure as a PNG file, whole or not at all, the same bytes for the same figure.

    Raises:
        OSError: The folder is missing or not writable, or the disk is full.
    """
    file = io.BytesIO()
    figure.savefig(file, format="png", dpi=_DPI, metadata={"Software": None})
    write_bytes_atomic(path, file.getvalue())


def _draw_cells(
    axes: Axes, rows: Sequence[HeatRow], bodies: Sequence[str], values: np.ndarray
) -> None:
    """Draw one tile a cell; published rows stand a little apart."""
    from matplotlib import colormaps
    from matplotlib.cm import ScalarMappable
    from matplotlib.colors import PowerNorm
    from matplotlib.patches import FancyBboxPatch
    from matplotlib.ticker import MaxNLocator

    top = max(float(np.nanmax(values)), 1.0)
    colours = ScalarMappable(PowerNorm(0.5, vmin=0.0, vmax=top, clip=True), colormaps[_COLOURS])
    for (row, column), value in np.ndenumerate(values):
        if np.isnan(value):
            continue
        home = rows[row].home == bodies[column]
        axes.add_patch(
            FancyBboxPatch(
                (column - 0.44, _height(rows, row) - 0.41),
                0.88,
                0.82,
                boxstyle="round,pad=0,rounding_size=0.08",
                facecolor=colours.to_rgba(value),
                edgecolor=INK if home else "none",
                linewidth=2.2 if home else 0.0,
                gid=f"cell-{row}-{column}",
            )
        )
    ticks = [
        tick
        for tick in MaxNLocator(6, steps=[1, 2, 5, 10]).tick_values(0.0, top)
        if 0.0 <= tick <= top
    ]
    bar = axes.figure.colorbar(colours, ax=axes, ticks=ticks, fraction=0.05, pad=0.03, aspect=24)
    bar.set_label("mean return", color=INK, fontsize=9)
    bar.outline.set_visible(False)
    bar.ax.tick_params(labelsize=8, colors=GREY, length=0)


def _label_cells(
    axes: Axes, rows: Sequence[HeatRow], bodies: Sequence[str], values: np.ndarray
) -> None:
    """Write the numbers into the cells, and the names beside them."""
    top = max(float(np.nanmax(values)), 1.0)
    for (row, column), value in np.ndenumerate(values):
        if np.isnan(value):
            continue
        note = rows[row].notes.get(bodies[column], "")
        light = np.sqrt(max(value, 0.0) / top) > 0.72
        ink, height = (INK if light else "white"), _height(rows, row)
        axes.text(
            column,
            height - (0.13 if note else 0.0),
            whole(value).replace("-", _MINUS),
            ha="center",
            va="center",
            color=ink,
            fontsize=12.5,
            fontweight="bold",
        )
        axes.text(column, height + 0.2, note, ha="center", va="center", color=ink, fontsize=7.2)
    for index, row in enumerate(rows):
        height, style = _height(rows, index), ("normal" if row.ours else "italic")
        shared: dict[str, Any] = {"ha": "right", "va": "center", "style": style}
        axes.text(-0.58, height - 0.12, row.label[0], color=INK, fontsize=9.5, **shared)
        axes.text(-0.58, height + 0.17, row.label[1], color=GREY, fontsize=8, **shared)
    axes.set_xticks(range(len(bodies)), [body_name(body) for body in bodies])
    axes.set_yticks([])
    axes.tick_params(axis="x", length=0, labelsize=9.5, colors=INK, top=True, labeltop=True)
    axes.tick_params(axis="x", bottom=False, labelbottom=False)
    axes.set_xlim(-0.5, len(bodies) - 0.5)
    axes.set_ylim(_height(rows, len(rows) - 1) + 0.5, -0.5)
    axes.spines[:].set_visible(False)


def _height(rows: Sequence[HeatRow], row: int) -> float:
    """Return where a row stands: published ones a little below ours."""
    return row + (0.0 if rows[row].ours else 0.22)


def _title(figure: Figure, tables: Sequence[EpisodeTable]) -> None:
    episodes = " or ".join(str(n) for n in sorted({table.episodes for table in tables}))
    homes = {body_name(table.trained_on) for table in tables if table.trained_on}
    trained = f" from {homes.pop()}" if len(homes) == 1 else ""
    figure.suptitle(
        f"Zero-shot transfer{trained}",
        x=0.01,
        ha="left",
        fontsize=14,
        fontweight="bold",
        color=INK,
    )
    home = any(table.body == table.trained_on for table in tables)
    caption = (
        f"Mean return over {episodes} episodes; below it the interquartile mean [95 % bootstrap "
        f"interval].{' Outlined: the body trained on.' if home else ''}"
    )
    width = int(figure.get_figwidth() * 15)  # characters of this size to the inch
    figure.supxlabel(
        "\n".join(textwrap.wrap(caption, width)), x=0.02, ha="left", fontsize=8, color=GREY
    )

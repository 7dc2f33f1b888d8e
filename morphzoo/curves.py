"""Training curves: as pictures, and what they say of how far an update moves a policy."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from morphzoo.files import PathLike
from morphzoo.plots import GREY, INK
from morphzoo.published import published_update_kl
from morphzoo.tables import body_name, ruled
from morphzoo.training.curve import read_curve
from morphzoo.zoo import read_config
from morphzoo.zoo.catalogue import locate
from morphzoo.zoo.records import CURVE
from morphzoo.zoo.scores import home_of

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

LINES = ("#3b4cc0", "#d1495b", "#2a9d8f", "#e09f3e", "#7a5195", "#5c677d")
STEPS = "environment steps (millions)"
_WINDOW = 25  # updates that a line of `updates_figure` is a mean over


@dataclass(frozen=True)
class Updates:
    """How far the updates of a training moved the policy.

    Attributes:
        policy: Name of the checkpoint.
        kind: Name of its policy in `POLICIES`.
        body: The body trained on.
        steps: float64[N]; environment steps when each update was made.
        kl: float64[N]; SB3's estimate of the KL divergence from the policy before the update to
            that in its last epoch (nats, summed over the motors).
        clipped: float64[N]; share of samples whose ratio was clipped, over the whole update.
        returns: float64[N]; mean return of the last 100 episodes of training.
    """

    policy: str
    kind: str
    body: str
    steps: np.ndarray
    kl: np.ndarray
    clipped: np.ndarray
    returns: np.ndarray


def updates_of(name: PathLike) -> Updates:
    """Read the updates that led to a checkpoint.

    Args:
        name: A bundled name or a checkpoint's folder.

    Returns:
        One number an update, up to the step that the checkpoint is of.

    Raises:
        ValueError: There is no such checkpoint, it has no curve, or none of our form.
    """
    folder, config = locate(name), read_config(name)
    if not (folder / CURVE).is_file():
        raise ValueError(f"'{folder}' has no {CURVE}: give a checkpoint that training wrote")
    columns = _read(folder / CURVE)
    wanted = ("approx_kl", "clip_fraction", "return_mean")
    if missing := set(wanted) - columns.keys():
        raise ValueError(f"'{folder / CURVE}' has no column {', '.join(sorted(missing))}")
    known = np.isfinite(columns["approx_kl"]) & np.isfinite(columns["clip_fraction"])
    return Updates(
        folder.name,
        config["policy"],
        home_of(config) or "",
        *(columns[key][known] for key in ("step", *wanted)),
    )


def updates_table(runs: Sequence[Updates]) -> str:
    """Return means of KL and clip fraction as a Markdown table, a run a row.

    The middle is the fifth of the updates around half of them, the end the last tenth; published
    is the Snowflake paper's number for a policy and body.
    """
    heads = ("policy", "body", "updates", "KL, all", "middle", "end", "published KL")
    rows = [[*heads, "clipped, all", "middle", "end"]]
    for run in runs:
        count = len(run.kl)
        parts = (slice(None), slice(count * 2 // 5, count * 3 // 5), slice(count * 9 // 10, None))
        theirs = published_update_kl(run.body, run.kind)
        rows.append(
            [
                f"`{run.policy}`",
                body_name(run.body),
                f"{count:,}",
                *(f"{run.kl[part].mean():.3f}" for part in parts),
                "" if theirs is None else f"{theirs:.3f}",
                *(f"{run.clipped[part].mean():.2f}" for part in parts),
            ]
        )
    return ruled(rows)


def updates_figure(runs: Sequence[Updates]) -> Figure:
    """Draw return, KL and clip fraction of every update against the steps, smoothed.

    Args:
        runs: At least one.

    Returns:
        The figure; `plots.save_png` writes it.
    """
    from matplotlib.figure import Figure

    figure = Figure(figsize=(14.0, 4.4))
    figure.set_layout_engine("constrained", wspace=0.06)
    panels = figure.subplots(1, 3)
    for run, colour in zip(runs, LINES * len(runs), strict=False):
        for axes, values in zip(panels, (run.returns, run.kl, run.clipped), strict=True):
            window = min(_WINDOW, len(values))
            smooth = np.convolve(values, np.full(window, 1 / window), mode="valid")
            steps = run.steps[window - 1 :] / 1e6
            axes.plot(steps, smooth, color=colour, lw=1.6, label=run.policy)
    titles = ("Return while training", "KL divergence of an update", "Share of samples clipped")
    for axes, title, unit in zip(panels, titles, ("return", "nats", "share"), strict=True):
        tidy(axes, title, unit)
    for axes in panels[1:]:
        axes.set_ylim(bottom=0.0)
    for axes in panels[:-1]:
        axes.get_legend().remove()
    return figure


def training_curve(path: PathLike, *, title: str = "Training") -> Figure:
    """Draw a training run's curve.csv: the return while training, and every evaluation in it.

    Args:
        path: The CSV file.
        title: What stands above it.

    Returns:
        The figure; `save_png` writes it.

    Raises:
        ValueError: The file has no row, or no column `step`.
    """
    from matplotlib.figure import Figure

    columns = _read(path)
    figure = Figure(figsize=(9.5, 4.6), layout="constrained")
    axes = figure.subplots()
    steps = columns["step"] / 1e6
    if "return_mean" in columns:
        axes.plot(steps, columns["return_mean"], color="#c3c8d1", lw=1.2, label="while training")
    bodies = list(dict.fromkeys(n.rpartition(":")[0] for n in columns if ":" in n))
    for body, colour in zip(bodies, LINES * len(bodies), strict=False):
        for actions, style in (("sampled", "-"), ("mean", ":")):
            values = columns.get(f"{body}:{actions}", np.array([]))
            known = np.isfinite(values)
            if known.any():
                label = f"{body_name(body)}, {actions} actions"
                axes.plot(
                    steps[known],
                    values[known],
                    style,
                    color=colour,
                    lw=2,
                    marker="o" if known.sum() < 40 else None,
                    ms=3.5,
                    label=label,
                )
    tidy(axes, title, "return")
    return figure


def _read(path: PathLike) -> dict[str, np.ndarray]:
    """Read a curve that has rows."""
    columns = read_curve(path)
    if "step" not in columns or not len(columns["step"]):
        raise ValueError(f"'{path}' is no training curve: expected a column 'step' and its rows")
    return columns


def tidy(axes: Axes, title: str, quantity: str, against: str = STEPS) -> None:
    """Give a panel of curves its title, axes, grid and legend."""
    axes.set_title(title, loc="left", fontsize=13, fontweight="bold", color=INK, pad=12)
    axes.set_xlabel(against, color=INK)
    axes.set_ylabel(quantity, color=INK)
    axes.grid(axis="y", color="#e5e7eb", lw=0.8)
    axes.set_axisbelow(True)
    axes.spines[["top", "right"]].set_visible(False)
    axes.spines[["left", "bottom"]].set_color("#9aa1ad")
    axes.tick_params(colors=GREY, labelsize=9)
    axes.margins(x=0.01)
    if axes.get_legend_handles_labels()[0]:
        axes.legend(frameon=False, fontsize=8.5, loc="upper left", bbox_to_anchor=(1.0, 1.02))

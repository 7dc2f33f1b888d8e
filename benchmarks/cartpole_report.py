"""PSSVF on CartPole as a table and as a picture."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from benchmarks.goals import table
from morphzoo.curves import LINES, STEPS, tidy

if TYPE_CHECKING:
    from matplotlib.figure import Figure


def cartpole_table(runs: list[dict[str, Any]]) -> str:
    """Return all runs as a table, a row for each number of environments."""
    lines = []
    for num in dict.fromkeys(run["environments"] for run in runs):
        own = [run for run in runs if run["environments"] == num]
        returns = ", ".join(f"{run['return']:.0f}" for run in own)
        last = ", ".join(f"{run['return_last']:.0f}" for run in own)
        times = [run["seconds_to_475"] for run in own]
        seconds = ", ".join("never" if time is None else f"{time:.0f}" for time in times)
        lines.append((num, returns, last, seconds))
    return table("environments | best policy, each seed | last policy | seconds to 475", lines)


def cartpole_figure(runs: list[dict[str, Any]]) -> Figure:
    """Draw the unperturbed return by steps and by generations, medians over seeds."""
    from matplotlib.figure import Figure

    figure = Figure(figsize=(11.0, 4.0), layout="constrained")
    panels = figure.subplots(1, 2)
    for colour, num in zip(LINES, dict.fromkeys(r["environments"] for r in runs), strict=False):
        own = [np.array(run["rows"]) for run in runs if run["environments"] == num]
        for axes, column in zip(panels, (0, 1), strict=True):
            end = min(rows[-1, column] for rows in own)
            at = np.linspace(max(rows[0, column] for rows in own), end, 60)
            lines = [np.interp(at, rows[:, column], rows[:, 2]) for rows in own]
            label = f"{num} environment{'s' if num > 1 else ''}"
            axes.plot(at / (1e6, 1)[column], np.median(lines, axis=0), color=colour, label=label)
    tidy(panels[1], "Return by generations", "", "generations")
    panels[1].set_xscale("log")
    tidy(panels[0], "Return by steps", "return without noise", STEPS)
    panels[0].get_legend().remove()
    return figure

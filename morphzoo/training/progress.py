"""How far a run has come, read from its folder without loading the run."""

from __future__ import annotations

import contextlib
import dataclasses
import json
from pathlib import Path

from morphzoo.training.state import complete_states


@dataclasses.dataclass(frozen=True)
class Progress:
    """What a run's folder holds.

    Attributes:
        step: Steps that need not be simulated again: those of the newest training state.
        best: Highest score up to there; None before the first evaluation.
        seconds: Learning time so far, over all processes that worked on the run (s).
    """

    step: int = 0
    best: float | None = None
    seconds: float = 0.0


def read_progress(folder: Path) -> Progress:
    """Read how far the run in a folder has come; nothing there is no progress.

    What is damaged reads as unknown: whoever continues the run says so.

    Args:
        folder: Folder of the run.
    """
    states = complete_states(folder / "state") if (folder / "state").is_dir() else []
    if not states:
        return Progress(seconds=_learning_time(folder / "times.csv"))
    best = None
    with contextlib.suppress(OSError, ValueError, KeyError, TypeError):
        record = json.loads((states[-1] / "state.json").read_text(encoding="utf-8"))
        best = float(record["best"]["score"])
    return Progress(int(states[-1].name), best, _learning_time(folder / "times.csv"))


def learning_times(path: Path) -> list[tuple[int, float]]:
    """Read a run's `times.csv`: steps, and the learning time until then over all processes (s).

    Each process writes a row with 0 seconds when it begins to learn, and counts from there; steps
    that were lost with one and made again come twice.
    """
    found: list[tuple[int, float]] = []
    before = last = 0.0
    if not path.is_file():
        return found
    for line in path.read_text(encoding="utf-8", errors="replace").splitlines()[1:]:
        try:
            step, seconds = (float(cell) for cell in line.split(","))
        except ValueError:  # the row that a kill cut short
            continue
        if seconds < last or seconds == 0:  # another process; older files lack its first row
            before += last
        last = seconds
        found.append((int(step), before + seconds))
    return found


def _learning_time(path: Path) -> float:
    """Return the learning time of all processes (s)."""
    times = learning_times(path)
    return times[-1][1] if times else 0.0

"""What many runs are made of: the planned run, what is heard of it, and the pool it runs in."""

from __future__ import annotations

import dataclasses
from pathlib import Path
from typing import Any, Protocol

from morphzoo.recipe import Recipe

# A report is an event without its run, as plain JSON values: it travels between processes.
Report = dict[str, Any]


@dataclasses.dataclass(frozen=True)
class PlannedRun:
    """One recipe with one seed, and where it is trained.

    Attributes:
        name: `<recipe>-seed<seed>`, the folder's name.
        recipe: What to train.
        folder: Folder of the run.
    """

    name: str
    recipe: Recipe
    folder: Path


@dataclasses.dataclass(frozen=True)
class Event:
    """News of a run.

    Attributes:
        name: Name of the run.
        kind: "progress", or how its process ended: "finished"; "failed", with an error that would
            come again; "lost", without a word, so that another one may do better.
        step: Steps made so far.
        best: Best score so far; None before the first evaluation.
        message: Why it failed or was lost.
    """

    name: str
    kind: str
    step: int = 0
    best: float | None = None
    message: str = ""


class Pool(Protocol):
    """Processes that train runs, here or elsewhere.

    Attributes:
        slots: How many runs may be started and not yet ended; infinite where the pool queues.
    """

    slots: float

    def start(self, run: PlannedRun) -> None:
        """Begin a run, or continue it from the newest state in its folder."""
        ...

    def wait(self, seconds: float) -> list[Event]:
        """Return the news, after so many seconds (s) at most; some run must be started."""
        ...

    def close(self) -> None:
        """Stop every run at once; their folders can be continued from."""
        ...

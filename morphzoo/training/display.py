"""What a person sees of many runs: one bar while they train, a table at the end."""

from __future__ import annotations

import dataclasses
import sys
from collections import Counter
from collections.abc import Iterable, Sequence

from rich import box
from rich.console import Console
from rich.markup import escape
from rich.table import Table
from tqdm import tqdm

from morphzoo.tables import whole
from morphzoo.training.pool import PlannedRun

STATES = ("waiting", "running", "finished", "failed", "lost")
_COLOURS = {"finished": "green", "failed": "bold red", "lost": "bold red"}
_WIDTH = 160  # of a table that is written to a file or a pipe (characters)


@dataclasses.dataclass
class Outcome:
    """Where a run stands, and at last what became of it.

    Attributes:
        run: The run.
        state: One of `STATES`: "failed" ended with an error, "lost" lost its process once more than
            it may be restarted.
        message: Why it failed or was lost.
        step: Steps made so far; at the end those that are saved.
        best: Highest score so far; None before the first evaluation.
        seconds: Learning time, over all processes and calls that worked on the run (s).
        restarts: How often this call restarted it.
    """

    run: PlannedRun
    state: str = "waiting"
    message: str = ""
    step: int = 0
    best: float | None = None
    seconds: float = 0.0
    restarts: int = 0


class Display:
    """One bar over the steps of all runs.

    Args:
        outcomes: The runs; they change while they are shown.
        show: False for no bar; there is none either where the error stream is no terminal.
    """

    def __init__(self, outcomes: Sequence[Outcome], show: bool) -> None:
        """Show the bar."""
        self._outcomes = outcomes
        self._bar = tqdm(
            total=sum(outcome.run.recipe.steps for outcome in outcomes),
            initial=self._steps(),
            unit="step",
            disable=None if show else True,
            dynamic_ncols=True,
        )

    def update(self) -> None:
        """Move the bar; back, too, where a run was restarted."""
        self._bar.n = self._steps()
        self._bar.set_postfix_str(counts(self._outcomes))

    def close(self) -> None:
        """Leave the bar as it is."""
        self._bar.close()

    def _steps(self) -> int:
        """Steps made by all runs; the last rollout may end beyond a recipe's."""
        return sum(min(outcome.step, outcome.run.recipe.steps) for outcome in self._outcomes)


def say(text: str) -> None:
    """Write a line that a person must know to the error stream, above the bar if there is one."""
    tqdm.write(text, file=sys.stderr)


def counts(outcomes: Iterable[Outcome]) -> str:
    """Return how many runs are in which state, such as `2 running, 1 failed`."""
    found = Counter(outcome.state for outcome in outcomes)
    return ", ".join(f"{found[state]} {state}" for state in STATES if found[state])


def print_outcomes(outcomes: Sequence[Outcome], console: Console | None = None) -> None:
    """Print a table with one line a run, and below it why runs failed or were lost.

    Args:
        outcomes: As `train_zoo` returns them.
        console: Where to; by default the terminal, in colour if it has any.
    """
    if console is None:
        console = Console(width=None if sys.stdout.isatty() else _WIDTH)
    table = Table(box=box.SIMPLE_HEAD, padding=(0, 1, 0, 0), header_style="bold cyan")
    table.add_column("run")
    table.add_column("state", no_wrap=True)
    for head in ("steps", "best score", "seconds"):
        table.add_column(head, justify="right", no_wrap=True)
    table.add_column("folder", overflow="fold")
    for outcome in outcomes:
        best = "" if outcome.best is None else whole(outcome.best)
        table.add_row(
            escape(outcome.run.name),
            f"[{_COLOURS.get(outcome.state, 'default')}]{outcome.state}[/]",
            f"{outcome.step:,}",
            best,
            whole(outcome.seconds),
            escape(str(outcome.run.folder)),
        )
    console.print(table)
    for outcome in outcomes:
        if outcome.message:
            text = f"{outcome.run.name} {outcome.state}: {outcome.message}"
            console.print(text, markup=False, highlight=False)
    console.print(counts(outcomes), highlight=False)

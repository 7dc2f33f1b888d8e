"""One run in a process of its own: continue it, report every row of its curve, say how it ended.

`python -m morphzoo.training.worker FOLDER` is what a local pool starts. Its standard input is a
socket: the recipe comes in as a line of JSON, reports go out as lines of JSON, and when the other
end closes, the starter is gone and so is the worker.
"""

from __future__ import annotations

import json
import os
import socket
import sys
import threading
import traceback
from collections.abc import Callable
from pathlib import Path

from morphzoo.recipe import Recipe
from morphzoo.training import train
from morphzoo.training.pool import Report

_EXPECTED = (ValueError, OSError, ImportError)  # their messages are written for people


def train_reporting(recipe: Recipe, folder: Path, report: Callable[[Report, bool], None]) -> Report:
    """Train a run, from its newest state if its folder holds one, on one thread.

    Args:
        recipe: What to train.
        folder: Folder of the run.
        report: Called with the report of every row, and whether the state was saved with it.

    Returns:
        The last report, "finished" or "failed". The traceback of a failure goes to the error
        stream.
    """
    last: Report = {"kind": "progress", "step": 0, "best": None}

    def watch(step: int, best: float | None, saved: bool) -> None:
        last.update(step=step, best=best)
        report(dict(last), saved)

    try:
        train(recipe, folder, resume=True, progress=False, threads=1, watch=watch)
    except Exception as error:  # whatever it is, the other runs go on and this one is reported
        traceback.print_exc()
        kind = "" if isinstance(error, _EXPECTED) else f"{type(error).__name__}: "
        return {**last, "kind": "failed", "message": f"{kind}{error}"}
    return {**last, "kind": "finished"}


def main() -> None:
    """Train the recipe that comes in, and report it."""
    connection = socket.socket(fileno=os.dup(0))
    with connection.makefile("r", encoding="utf-8") as given:
        recipe = Recipe.from_dict(json.loads(given.readline()))

    def report(values: Report, saved: bool = False) -> None:
        connection.sendall(json.dumps(values).encode() + b"\n")

    threading.Thread(target=_end_with_the_starter, daemon=True).start()
    report(train_reporting(recipe, Path(sys.argv[1]), report))


def _end_with_the_starter() -> None:
    """Wait for the other end to close, then end as by a kill: training states stay whole."""
    try:
        while os.read(0, 1):
            pass
    finally:
        os._exit(1)


if __name__ == "__main__":
    main()

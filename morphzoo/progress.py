"""How long work tells how far it has come: a function that it calls, and a bar that is one."""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Iterator

#: Called with what is being worked on, how much more of it is done, and how much there is.
ProgressCallback = Callable[[str, int, int], None]


@contextlib.contextmanager
def progress_bar(*, show: bool = True, unit: str = "episode") -> Iterator[ProgressCallback]:
    """Show a bar on the error stream, if that is a terminal.

    Args:
        show: False for no bar at all.
        unit: What it counts; "B" is shown in kB and MB.

    Yields:
        What `transfer.evaluate`, `zoo.push` and `zoo.pull` take as `progress`.
    """
    from tqdm import tqdm

    bar = tqdm(disable=None if show else True, unit=unit, unit_scale=unit == "B", leave=False)

    def advance(label: str, ended: int, total: int) -> None:
        bar.total = total
        bar.set_description(label, refresh=False)
        bar.update(ended)

    try:
        yield advance
    finally:
        bar.close()


def part_of(progress: ProgressCallback, parts: int) -> ProgressCallback:
    """Return what one of several works of equal length is to call."""
    return lambda label, ended, total: progress(label, ended, total * parts)

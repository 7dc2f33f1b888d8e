"""List checkpoints: body, policy, steps, score, and the share of it kept on other bodies."""

from __future__ import annotations

import argparse
from collections.abc import Sequence
from typing import TYPE_CHECKING, Literal

if TYPE_CHECKING:
    from morphzoo.zoo import Entry

_COLUMNS: dict[str, Literal["left", "right"]] = {
    "name": "left", "source": "left", "trained on": "left", "policy": "left", "steps": "right",
    "return": "right", "retained": "right",
}  # fmt: skip
_LEGEND = (
    "Return on the body trained on: mean ± standard deviation. Retained: the mean of the mean "
    "returns on the other bodies it was scored on, over that; of how many bodies."
)


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Say which options there are."""
    add = parser.add_argument
    add("--env", metavar="TEXT", help="only those trained on a body whose id has this in it")
    add("--policy", metavar="NAME", help="only those of this policy: snowflake, nervenet or mlp")
    add("--source", nargs="+", metavar="NAME", help="where to look (default: all but the network)")
    add("--json", action="store_true", help="print JSON, with the bodies behind each share")


def run(options: argparse.Namespace) -> int:
    """List and print."""
    import dataclasses
    import json

    from morphzoo import zoo

    found = zoo.list(env=options.env, policy=options.policy, sources=options.source)
    if options.json:
        print(json.dumps([dataclasses.asdict(entry) for entry in found], indent=1))
    else:
        _print_table(found)
    return 0


def _print_table(entries: Sequence[Entry]) -> None:
    """Print a checkpoint a line."""
    from rich import box
    from rich.table import Table
    from rich.text import Text

    from morphzoo.tables import terminal, whole

    console = terminal()
    if not console.is_terminal:  # a file or a pipe has no margin to fold at
        console.width = max(console.width, 160)
    table = Table(box=box.SIMPLE_HEAD, padding=(0, 1, 0, 0), header_style="bold cyan")
    for name, side in _COLUMNS.items():
        table.add_column(name, justify=side, no_wrap=name != "name", overflow="fold")
    for entry in entries:
        spread = "" if entry.std is None else f" ± {whole(entry.std)}"
        kept = "" if entry.retained is None else f"{100 * entry.retained:.0f} %"
        cells = (
            entry.name,
            entry.source,
            (entry.env or "").removeprefix("morphzoo/"),
            entry.policy or "",
            "" if entry.steps is None else f"{entry.steps / 1e6:.2f} M",
            "" if entry.mean is None else whole(entry.mean) + spread,
            f"{kept} of {len(entry.others)}" if kept else "",
        )
        table.add_row(*map(Text, cells))  # as text: a stranger's name is no markup
    console.print(table)
    for entry in entries:
        if entry.problem:
            console.print(Text(f"! {entry.name}: {entry.problem}", style="yellow"))
    console.print(Text(_LEGEND if entries else "No such checkpoint.", style="dim"))

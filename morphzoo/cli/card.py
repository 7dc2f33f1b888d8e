"""Make a checkpoint ready to be shown: film its clips, draw its curve, write its card.

For example: morphzoo card snowflake-centipede-6 --out runs/shown --license mit
"""

from __future__ import annotations

import argparse


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Say which options there are."""
    add = parser.add_argument
    add("policy", metavar="POLICY", help="bundled name, or a checkpoint's folder")
    add("--out", required=True, metavar="DIR", help="folder to write; may be the checkpoint's own")
    add("--license", metavar="ID", help="of the weights, such as mit (default: as it was)")
    add("--transfer", metavar="ENV", help="body of the second clip (default: of median return)")
    add("--seconds", type=float, default=12.0, metavar="S", help="of each clip (default 12)")
    add("--overwrite", action="store_true", help="replace the checkpoint in DIR")
    add("--no-progress", action="store_true", help="no bar; there is none without a terminal")


def run(options: argparse.Namespace) -> int:
    """Film, draw, write, and print the folder."""
    from morphzoo import publishing
    from morphzoo.progress import progress_bar

    with progress_bar(show=not options.no_progress, unit="frame") as progress:
        folder = publishing.prepare(
            options.policy,
            options.out,
            license=options.license,
            other=options.transfer,
            seconds=options.seconds,
            overwrite=options.overwrite,
            progress=progress,
        )
    for file in sorted(folder.iterdir()):
        print(f"{file.stat().st_size:>10,}  {file}")
    return 0

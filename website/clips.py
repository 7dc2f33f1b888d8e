"""`python -m website.clips`: make bundled checkpoints ready to be shown, with clips and curves.

Clips are not part of the repository, since they can be made again; the gallery shows those that
are there. What was made from the same checkpoint, and is long enough, is not made again.
"""

from __future__ import annotations

import argparse
from pathlib import Path
from typing import Any

from morphzoo.entry import run_script
from website.repository import ROOT

FOLDER = ROOT / "build/shown"
SECONDS = 8.0


def shown_folder(bundled: Path) -> Path | None:
    """Return the folder with the clips of a bundled checkpoint, or None where none are up to date.

    Args:
        bundled: The checkpoint as it is bundled.
    """
    from morphzoo import zoo
    from morphzoo.zoo.schema import CONFIG
    from morphzoo.zoo.weights import WEIGHTS

    made = FOLDER / bundled.name
    for name in (CONFIG, WEIGHTS):
        own, original = made / name, bundled / name
        if not own.is_file() or own.read_bytes() != original.read_bytes():
            return None
    scores = [(zoo.read_results(folder) or {}).get("scores") for folder in (made, bundled)]
    return made if scores[0] == scores[1] else None


def account(folder: Path) -> dict[str, Any]:
    """Return what the clips in a checkpoint's folder show: file name -> body, seconds, ..."""
    from morphzoo import zoo

    return (zoo.read_results(folder) or {}).get("media", {})


def main() -> int:
    """Make those that are asked for."""
    from morphzoo import publishing, zoo
    from morphzoo.progress import progress_bar
    from morphzoo.zoo.catalogue import PRETRAINED

    parser = argparse.ArgumentParser(prog="python -m website.clips", description=__doc__)
    parser.add_argument("names", nargs="*", metavar="NAME", help="of checkpoints (default: all)")
    parser.add_argument("--seconds", type=float, default=SECONDS, help="of each clip, at least")
    options = parser.parse_args()
    for name in options.names or zoo.bundled():
        folder = shown_folder(PRETRAINED / name)
        lengths = [clip["seconds"] for clip in account(folder).values()] if folder else []
        if lengths and min(lengths) >= options.seconds:
            continue
        with progress_bar(unit="frame") as progress:
            made = publishing.prepare(
                name,
                FOLDER / name,
                seconds=options.seconds,
                license="mit",
                overwrite=True,
                progress=progress,
            )
        print(f"{made.relative_to(ROOT)}: {', '.join(sorted(account(made)))}")
    return 0


if __name__ == "__main__":
    raise SystemExit(run_script(main, "website.clips"))

"""Fill the README's tables of scores from results files: NAME.json into NAME-table."""

from __future__ import annotations

import argparse
import sys
from pathlib import Path

from morphzoo.entry import run_script

ROOT = Path(__file__).parents[1]


def main() -> int:
    """Parse, fill, write; with --check, 1 where the README is out of date."""
    parser = argparse.ArgumentParser(description=__doc__)
    text = "what zoo_scripts/evaluate_transfer.py --json wrote (default: docs/*.json with a table)"
    parser.add_argument("results", nargs="*", type=Path, help=text)
    parser.add_argument("--readme", type=Path, default=ROOT / "README.md", help="file to fill")
    parser.add_argument("--check", action="store_true", help="write nothing, only compare")
    options = parser.parse_args()
    from morphzoo.files import write_text_atomic
    from morphzoo.markdown import fill_readme
    from morphzoo.results import read_results

    before = options.readme.read_text(encoding="utf-8")
    every = sorted((ROOT / "docs").glob("*.json"))
    paths = options.results or [p for p in every if f"<!-- {p.stem}-table -->" in before]
    scores = {path.stem: read_results(path) for path in paths}
    after = fill_readme(before, scores)
    if options.check:
        print("up to date" if after == before else f"out of date: run {Path(__file__).name}")
        return 0 if after == before else 1
    write_text_atomic(options.readme, after)
    print(f"{options.readme}: {sum(map(len, scores.values()))} scores")
    return 0


if __name__ == "__main__":
    sys.exit(run_script(main))

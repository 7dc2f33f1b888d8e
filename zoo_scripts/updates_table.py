"""Write how far updates moved the bundled policies: a table of docs/training.md, and a picture."""

from __future__ import annotations

import argparse
import sys
from pathlib import Path

from morphzoo.entry import run_script

ROOT = Path(__file__).parents[1]
POLICIES = [f"{policy}-centipede-{legs}" for legs in (6, 20) for policy in ("snowflake", "mlp")]


def main() -> int:
    """Read the curves, fill the table, draw."""
    parser = argparse.ArgumentParser(description=__doc__)
    text = f"bundled names, or folders (default: {', '.join(POLICIES)})"
    parser.add_argument("policies", nargs="*", default=POLICIES, help=text)
    parser.add_argument("--page", type=Path, default=ROOT / "docs/training.md", help="to fill")
    parser.add_argument("--plot", type=Path, default=ROOT / "docs/updates.png", help="to draw")
    options = parser.parse_args()
    from morphzoo import curves, files, markdown, plots

    runs = [curves.updates_of(name) for name in options.policies]
    page = options.page.read_text(encoding="utf-8")
    page = markdown.fill(page, "updates-table", curves.updates_table(runs))
    plots.save_png(curves.updates_figure(runs), options.plot)
    files.write_text_atomic(options.page, page)
    print(f"{options.page}, {options.plot}: {len(runs)} policies")
    return 0


if __name__ == "__main__":
    sys.exit(run_script(main))

"""Train recipes with several seeds, on this machine's cores or on a Ray cluster."""

from __future__ import annotations

import argparse
import sys

from morphzoo.entry import run_script
from morphzoo.recipe import parse_setting


def parse() -> argparse.Namespace:
    """Return the command line's options."""
    parser = argparse.ArgumentParser(description=__doc__)
    add = parser.add_argument
    add("--recipes", nargs="+", required=True, metavar="NAME", help="bundled, or JSON files")
    add("--seeds", nargs="+", type=int, default=[0], metavar="S", help="of each (default 0)")
    add("--out", required=True, help="folder of the runs' folders, RECIPE-seedS")
    add("--set", nargs="+", action="extend", default=[], metavar="KEY=VALUE", dest="settings")
    add("--workers", type=int, metavar="N", help="runs at once (default: one a core)")
    add("--ray", metavar="ADDRESS", help="cluster to run on; local: start one here for the while")
    add("--retries", type=int, default=3, metavar="R", help="restarts of a lost run (default 3)")
    add("--no-progress", action="store_true", help="no bar; there is none without a terminal")
    return parser.parse_args()


def main() -> int:
    """Train, and print what became of each run; 1 if any did not finish."""
    options = parse()
    settings = dict(parse_setting(text) for text in options.settings)
    from morphzoo.training.display import print_outcomes  # after run_script has quieted the threads
    from morphzoo.training.fleet import train_zoo

    keywords = {name: getattr(options, name) for name in ("workers", "ray", "retries")}
    try:
        outcomes = train_zoo(
            options.recipes,
            options.seeds,
            options.out,
            settings=settings,
            progress=not options.no_progress,
            **keywords,
        )
    except KeyboardInterrupt:
        print("\ncontinue with the same command", file=sys.stderr)
        raise
    print_outcomes(outcomes)
    return 0 if all(outcome.state == "finished" for outcome in outcomes) else 1


if __name__ == "__main__":
    sys.exit(run_script(main))

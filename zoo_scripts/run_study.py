"""Train what a study compares, keep its curves as one table, and write table and figure."""

from __future__ import annotations

import argparse
import sys
from pathlib import Path

from morphzoo.entry import run_script

ROOT = Path(__file__).parents[1]
STUDIES = ROOT / "studies"


def parse() -> argparse.Namespace:
    """Return the command line's options."""
    parser = argparse.ArgumentParser(description=__doc__)
    add = parser.add_argument
    names = ", ".join(sorted(path.stem for path in STUDIES.glob("*.json")))
    add("study", help=f"of {names}; or a JSON file")
    add("--out", help="folder of the runs' folders, VARIANT-seedS; goes on with what is there")
    add("--workers", type=int, metavar="N", help="runs at once (default: one a core)")
    add("--ray", metavar="ADDRESS", help="cluster to run on; local: start one here for the while")
    add("--retries", type=int, default=3, metavar="R", help="restarts of a lost run (default 3)")
    add("--collect", action="store_true", help="train nothing: keep what the runs have so far")
    add("--no-progress", action="store_true", help="no bar; there is none without a terminal")
    return parser.parse_args()


def main() -> int:
    """Train and report; without --out report from the kept table. 1 if a run did not finish."""
    options = parse()
    from morphzoo import files, study_report
    from morphzoo.training import study as studies
    from morphzoo.training.display import print_outcomes
    from morphzoo.training.fleet import train_runs

    given = Path(options.study)
    path = given if given.is_file() else STUDIES / f"{given}.json"
    study, table, outcomes = studies.read_study(path), path.with_suffix(".csv"), []
    if options.out:
        if not options.collect:
            keywords = {name: getattr(options, name) for name in ("workers", "ray", "retries")}
            study.check_baselines(options.out)
            progress, runs = not options.no_progress, study.runs(options.out)
            outcomes = train_runs(runs, options.out, progress=progress, **keywords)
            print_outcomes(outcomes)
            study.train_baselines(options.out, progress)
        found = studies.collect(study, options.out, table)
        files.write_text_atomic(table, studies.write_series(found, study.kept))
    found = studies.read_series(table)
    print(study_report.study_table(study, found))
    if path.parent == STUDIES:
        study_report.write_pages(study, found, ROOT / "docs")
    return 0 if all(outcome.state == "finished" for outcome in outcomes) else 1


if __name__ == "__main__":
    sys.exit(run_script(main))

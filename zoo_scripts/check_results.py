"""Run some episodes of every bundled score again; fail where the mean return has moved."""

from __future__ import annotations

import argparse
import sys

from morphzoo.entry import run_script


def main() -> int:
    """Parse, check, print; 1 where a score no longer holds."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--policies", nargs="+", help="names or folders (default: all bundled)")
    parser.add_argument("--episodes", type=int, default=20, help="for each score (default 20)")
    parser.add_argument("--num-threads", type=int, default=0, help="CPU threads (default: all)")
    parser.add_argument("--no-progress", action="store_true")
    options = parser.parse_args()
    from morphzoo import zoo
    from morphzoo.checking import check_results
    from morphzoo.progress import progress_bar

    policies = options.policies or zoo.bundled()
    if not policies:
        raise ValueError("no checkpoint is bundled: name some with --policies")
    checks = []
    with progress_bar(show=not options.no_progress) as progress:
        for check in check_results(
            policies, options.episodes, num_threads=options.num_threads, progress=progress
        ):
            print(check, flush=True)
            checks.append(check)
    failed = sum(not check.passed for check in checks)
    print(f"{failed} of {len(checks)} scores do not hold" if failed else "every score holds")
    return 1 if failed else 0


if __name__ == "__main__":
    sys.exit(run_script(main))

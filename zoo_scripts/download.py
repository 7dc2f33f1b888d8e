"""Download checkpoints from the Hugging Face Hub, or from a hub of your own, and check them."""

from __future__ import annotations

import argparse
import sys

from morphzoo.entry import run_script


def main() -> int:
    """Parse, pull, print the folders."""
    parser = argparse.ArgumentParser(
        description=__doc__,
        epilog="For a private repository log in with `hf auth login` first, or set HF_TOKEN.",
    )
    add = parser.add_argument
    add("checkpoints", nargs="+", metavar="REPO", help="user/repo, or user/repo@revision")
    add("--cache-dir", metavar="DIR", help="where to keep them (default: below HF_HOME)")
    add("--endpoint", metavar="URL", help="the hub (default: MORPHZOO_HUB, or the Hub)")
    add("--offline", action="store_true", help="only find what was downloaded before")
    add("--no-progress", action="store_true", help="no bar; there is none without a terminal")
    options = parser.parse_args()
    from morphzoo import zoo
    from morphzoo.tables import progress_bar

    how = {name: getattr(options, name) for name in ("cache_dir", "endpoint")}
    for repo in options.checkpoints:
        with progress_bar(show=not options.no_progress, unit="B") as progress:
            folder = zoo.pull(repo, local_files_only=options.offline, progress=progress, **how)
        print(folder, flush=True)
    return 0


if __name__ == "__main__":
    sys.exit(run_script(main))

"""Download checkpoints from the Hugging Face Hub, or from a hub of your own, and check them.

For a private repository log in with `hf auth login` first, or set HF_TOKEN.
"""

from __future__ import annotations

import argparse


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Say which options there are; a token is never one."""
    add = parser.add_argument
    add("checkpoints", nargs="+", metavar="REPO", help="user/repo, or user/repo@revision")
    add("--cache-dir", metavar="DIR", help="where to keep them (default: below HF_HOME)")
    add("--endpoint", metavar="URL", help="the hub (default: MORPHZOO_HUB, or the Hub)")
    add("--offline", action="store_true", help="only find what was downloaded before")
    add("--no-progress", action="store_true", help="no bar; there is none without a terminal")


def run(options: argparse.Namespace) -> int:
    """Pull, and print the folders."""
    from morphzoo import zoo
    from morphzoo.progress import progress_bar

    how = {name: getattr(options, name) for name in ("cache_dir", "endpoint")}
    for repo in options.checkpoints:
        with progress_bar(show=not options.no_progress, unit="B") as progress:
            folder = zoo.pull(repo, local_files_only=options.offline, progress=progress, **how)
        print(folder, flush=True)
    return 0

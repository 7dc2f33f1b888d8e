"""Publish a checkpoint's folder on the Hugging Face Hub, or rehearse it on a hub of your own.

Log in with `hf auth login` first, or set HF_TOKEN. MORPHZOO_HUB=file:///dir makes a folder the hub;
`python -m morphzoo.testing.hub` is a server to rehearse with.
"""

from __future__ import annotations

import argparse


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Say which options there are; a token is never one."""
    add = parser.add_argument
    add("folder", help="what training, or zoo.save, wrote; or a bundled name")
    add("repo", help="user/name, or user alone for the zoo's own name, {algo}-{policy}-{env}")
    add("--tag", help="a name for this version, such as v1; it is never moved")
    add("--private", action="store_true", default=None, help="a new repository is private")
    add("--create-pr", action="store_true", help="propose it to the repository's owner instead")
    add("--endpoint", metavar="URL", help="the hub (default: MORPHZOO_HUB, or the Hub)")
    add("--no-progress", action="store_true", help="no bar; there is none without a terminal")


def run(options: argparse.Namespace) -> int:
    """Push, and print what to load it by."""
    from morphzoo import zoo
    from morphzoo.progress import progress_bar

    how = {name: getattr(options, name) for name in ("tag", "private", "create_pr", "endpoint")}
    with progress_bar(show=not options.no_progress, unit="B") as progress:
        published = zoo.push(options.folder, options.repo, progress=progress, **how)
    print(f"published: {published.url}")
    print(f"load it with zoo.load('{published.repo}@{published.revision}', env)")
    return 0

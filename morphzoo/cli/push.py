"""Publish a checkpoint's folder on the Hugging Face Hub, or rehearse it on a hub of your own.

Log in with `hf auth login` first, or set HF_TOKEN. MORPHZOO_HUB=file:///dir makes a folder the hub;
`python -m morphzoo.testing.hub` is a server to rehearse with.
"""

from __future__ import annotations

import argparse
import contextlib
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Say which options there are; a token is never one."""
    add = parser.add_argument
    add("folder", help="what training, or zoo.save, wrote; or a bundled name")
    add("repo", help="user/name, or user alone for the zoo's own name, {algo}-{policy}-{env}")
    add("--tag", help="a name for this version, such as v1; it is never moved")
    add("--private", action="store_true", default=None, help="a new repository is private")
    add("--create-pr", action="store_true", help="propose it to the repository's owner instead")
    add("--clips", action="store_true", help="film it and draw its curve first: see morphzoo card")
    add("--endpoint", metavar="URL", help="the hub (default: MORPHZOO_HUB, or the Hub)")
    add("--no-progress", action="store_true", help="no bar; there is none without a terminal")


def run(options: argparse.Namespace) -> int:
    """Push, and print what to load it by."""
    from morphzoo import zoo
    from morphzoo.progress import progress_bar
    from morphzoo.zoo.catalogue import PRETRAINED
    from morphzoo.zoo.media import REPLAY

    how = {name: getattr(options, name) for name in ("tag", "private", "create_pr", "endpoint")}
    bundled = options.folder in zoo.bundled()
    folder = PRETRAINED / options.folder if bundled else Path(options.folder).expanduser()
    with contextlib.ExitStack() as stack:
        if options.clips and folder.is_dir():  # what is none, push says best
            folder = stack.enter_context(_filmed(folder, not options.no_progress))
        has_clip = (folder / REPLAY).is_file()
        with progress_bar(show=not options.no_progress, unit="B") as progress:
            progress = None if options.no_progress else progress
            published = zoo.push(folder, options.repo, progress=progress, **how)
    print(f"published: {published.url}")
    print(f"load it with zoo.load('{published.repo}@{published.revision}', env)")
    if not has_clip:
        print("it has no clip for the hub's page to play: --clips films one first", file=sys.stderr)
    return 0


@contextlib.contextmanager
def _filmed(folder: Path, show: bool) -> Iterator[Path]:
    """Make a checkpoint ready to be shown, of the same name, in a folder that is deleted again."""
    from morphzoo import publishing
    from morphzoo.progress import progress_bar

    with tempfile.TemporaryDirectory() as aside, progress_bar(show=show, unit="frame") as progress:
        yield publishing.prepare(folder, Path(aside) / folder.resolve().name, progress=progress)

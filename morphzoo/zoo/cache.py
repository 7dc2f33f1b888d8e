"""Checkpoints that were pulled: where they are kept, and what a branch last meant."""

from __future__ import annotations

import hashlib
import json
import re
from pathlib import Path
from typing import NamedTuple
from urllib.parse import urlsplit

from morphzoo.files import PathLike, write_text_atomic
from morphzoo.folder_hub import COMMIT, is_repo
from morphzoo.zoo.schema import CONFIG

_REFS = "refs.json"


class Cached(NamedTuple):
    """A checkpoint that was pulled.

    Attributes:
        repo: The repository, user/name.
        revision: The commit, 40 hexadecimal digits.
        folder: Where it is.
    """

    repo: str
    revision: str
    folder: Path


def cached(cache_dir: PathLike | None = None) -> list[Cached]:
    """List the checkpoints that were pulled and need no network any more.

    Args:
        cache_dir: As for `pull`.

    Returns:
        By repository, then revision.
    """
    folders = cache_root(cache_dir).glob("*/*--*/*")
    found = [
        Cached(folder.parent.name.replace("--", "/"), folder.name, folder)
        for folder in folders
        if COMMIT.fullmatch(folder.name) and (folder / CONFIG).is_file()
    ]
    return sorted(entry for entry in found if is_repo(entry.repo))


def cache_root(cache_dir: PathLike | None) -> Path:
    """Return the folder of everything that was pulled.

    Args:
        cache_dir: Another than huggingface_hub's folder for assets, below HF_HOME.
    """
    if cache_dir is not None:
        return Path(cache_dir).expanduser().absolute()
    from huggingface_hub import cached_assets_path, constants

    assets = constants.HF_ASSETS_CACHE
    return cached_assets_path(library_name="morphzoo", namespace="hub", assets_dir=assets)


def shelf(root: Path, url: str, repo: str) -> Path:
    """Return the folder of one repository of one hub.

    Args:
        root: As `cache_root` returns it.
        url: The hub's address; another hub's commits are other commits.
        repo: The repository.
    """
    split = urlsplit(url)
    plain = re.sub(r"[^A-Za-z0-9.]", "-", split.netloc)
    mark = "" if split.path in ("", "/") else hashlib.sha256(split.path.encode()).hexdigest()[:8]
    hub = "-".join(filter(None, (plain or split.scheme, mark)))
    return root / hub / repo.replace("/", "--")


def remembered(folder: Path, revision: str) -> str | None:
    """Return the commit that a branch or tag meant when it was last pulled.

    Args:
        folder: As `shelf` returns it.
        revision: The branch or tag.
    """
    try:
        commit = json.loads((folder / _REFS).read_bytes()).get(revision)
    except (OSError, ValueError, AttributeError):
        return None
    return commit if isinstance(commit, str) and COMMIT.fullmatch(commit) else None


def remember(folder: Path, revision: str, commit: str) -> None:
    """Note the commit that a branch or tag means now.

    Args:
        folder: As `shelf` returns it; held by `files.locked`.
        revision: The branch or tag.
        commit: The commit.
    """
    try:
        known = json.loads((folder / _REFS).read_bytes())
    except (OSError, ValueError):
        known = {}
    known = {**(known if isinstance(known, dict) else {}), revision: commit}
    write_text_atomic(folder / _REFS, json.dumps(known, indent=1, sort_keys=True))

"""Names on a hub: `user/repo[@revision]`, and what the zoo calls a repository."""

from __future__ import annotations

import os
import re
from collections.abc import Mapping
from typing import Any, NamedTuple

from morphzoo.folder_hub import COMMIT, MAIN, NAME_LIMIT, REVISION, is_repo
from morphzoo.zoo.untrusted import CheckpointError, refuse, shown


class Address(NamedTuple):
    """A repository and one of its revisions.

    Attributes:
        repo: user/name.
        revision: A branch, tag, commit or refs/pr/N.
    """

    repo: str
    revision: str = MAIN

    @property
    def is_fixed(self) -> bool:
        """Whether the revision is a commit, which never means something else."""
        return bool(COMMIT.fullmatch(self.revision))

    def __str__(self) -> str:
        """Return it as it is given to `load`."""
        return f"{self.repo}@{self.revision}"


def parse_address(text: object, revision: str | None = None) -> Address:
    """Read `user/repo` or `user/repo@revision`.

    Args:
        text: What a user gave.
        revision: The revision, where it is not in the text.

    Returns:
        The address.

    Raises:
        CheckpointError: It is none, or has two revisions.
    """
    if not isinstance(text, str):
        refuse(shown(text), "user/repo or user/repo@revision", type(text).__name__, _REMEDY)
    repo, at, inside = text.partition("@")
    if at and revision is not None and revision != inside:
        refuse(shown(text), "one revision", f"also {shown(revision)}", _REMEDY)
    wanted = inside if at else revision or MAIN
    if not is_repo(repo):
        refuse(shown(text), "user/repo or user/repo@revision", "neither", _REMEDY)
    if not isinstance(wanted, str) or not REVISION.fullmatch(wanted):
        found = shown(wanted)
        refuse(f"revision of {repo}", "a branch, a tag or a commit of 40 digits", found, _REMEDY)
    return Address(repo, wanted)


_REMEDY = "Give it as the hub's page shows it, such as user/ppo-snowflake-morphzoo-Centipede-6-v0"


def address_in(name: str | os.PathLike[str]) -> Address | None:
    """Tell whether a name could be one of a hub's.

    Args:
        name: What a user gave to `load`.

    Returns:
        The address, None where it can only be something else.
    """
    try:
        return parse_address(name)
    except CheckpointError:
        return None


def repo_name(config: Mapping[str, Any]) -> str:
    """Return what the zoo calls the repository of a checkpoint: {algo}-{policy}-{env}.

    Args:
        config: Its configuration, as `read_config` returns it.

    Returns:
        A name such as ppo-snowflake-morphzoo-Centipede-6-v0, in letters that the Hub takes. The
        number of legs and the like are added where they are no part of the environment's id.
    """
    parts = [config["algorithm"], config["policy"], config["env_id"] or "own-body"]
    numbers = sorted(config["env_kwargs"].items())
    parts += [f"{key}-{value}" for key, value in numbers if type(value) in (int, bool)]
    name = re.sub(r"[^A-Za-z0-9.-]+", "-", "-".join(filter(None, parts)))
    return re.sub(r"[.-]{2,}", "-", name)[:NAME_LIMIT].strip(".-")

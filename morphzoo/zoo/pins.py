"""Checkpoints on the Hub that this version of morphzoo knows to the last bit."""

from __future__ import annotations

import functools
import hashlib
import json
import re
from collections.abc import Mapping
from pathlib import Path
from types import MappingProxyType
from typing import Any, NamedTuple

from morphzoo.folder_hub import COMMIT, is_repo
from morphzoo.zoo.untrusted import refuse

PINS = Path(__file__).with_name("pins.json")  # `pinning.pin` writes it
NAME = re.compile(r"[a-z0-9]+(-[a-z0-9]+)*", re.ASCII)

_REMEDY = (
    "Do not use it: it is not what this morphzoo was released with. Try again, and tell the "
    "maintainers if it stays so"
)


class Pin(NamedTuple):
    """One entry of pins.json, whose key is the name for `load`.

    Attributes:
        repo: The repository, user/name.
        revision: The commit, 40 hexadecimal digits.
        sha256: File -> SHA-256 of its contents, of every file that `pull` fetches.
        facts: What `listing.Entry` says of it: body, policy, steps, score and retained share.
    """

    repo: str
    revision: str
    sha256: Mapping[str, str]
    facts: Mapping[str, Any] = MappingProxyType({})


@functools.cache
def pins() -> dict[str, Pin]:
    """Return name -> where it is published, and what it must be.

    Returns:
        None yet: no checkpoint of ours is published on the Hub.
    """
    table = {name: Pin(**entry) for name, entry in json.loads(PINS.read_bytes()).items()}
    for name, pin in table.items():
        assert NAME.fullmatch(name) and is_repo(pin.repo), name
        assert COMMIT.fullmatch(pin.revision), name
        assert {"config.json", "model.safetensors"} <= pin.sha256.keys(), name
    return table


def pin_of(repo: str, revision: str) -> Pin | None:
    """Find the pin of a commit, under whatever name.

    Args:
        repo: The repository.
        revision: The commit.
    """
    return next((p for p in pins().values() if (p.repo, p.revision) == (repo, revision)), None)


def fits_pin(pin: Pin | None, folder: Path) -> bool:
    """Tell whether a folder holds what was pinned; whatever is not pinned fits.

    Args:
        pin: The pin.
        folder: The folder.
    """
    return pin is None or not _changed(pin, folder)


def check_pin(pin: Pin | None, folder: Path, where: str) -> None:
    """Refuse a folder that does not hold what was pinned.

    Args:
        pin: The pin; None refuses nothing.
        folder: The folder.
        where: What to call it in messages.

    Raises:
        CheckpointError: A file is missing, or another one.
    """
    if pin is not None and (changed := _changed(pin, folder)):
        found = f"{', '.join(changed)} of other contents, or none"
        refuse(where, "the files that this version of morphzoo pins", found, _REMEDY)


def _changed(pin: Pin, folder: Path) -> list[str]:
    """List the pinned files that are not as they were, and those that were not there."""
    there = {path.name for path in folder.iterdir()}
    changed = [name for name in there if name not in pin.sha256]
    for name, expected in pin.sha256.items():
        data = (folder / name).read_bytes() if name in there else b""
        if hashlib.sha256(data).hexdigest() != expected:
            changed.append(name)
    return sorted(changed)

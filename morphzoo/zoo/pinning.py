"""How a published checkpoint becomes a name of this morphzoo: its commit and sums in pins.json."""

from __future__ import annotations

import dataclasses
import hashlib
import json
from pathlib import Path
from typing import Any

from morphzoo.files import PathLike, write_text_atomic
from morphzoo.zoo import pins
from morphzoo.zoo.catalogue import bundled
from morphzoo.zoo.hub import pull
from morphzoo.zoo.listing import entry_of
from morphzoo.zoo.pins import NAME, Pin
from morphzoo.zoo.remote import Token
from morphzoo.zoo.untrusted import shown

_SAID_BY_THE_TABLE = ("name", "source", "problem")


def pin(
    name: str,
    repo_id: str,
    *,
    replace: bool = False,
    endpoint: str | None = None,
    token: Token = None,
    file: PathLike | None = None,
) -> Pin:
    """Fetch a published checkpoint and note what it is, so that `load(name)` is these very bytes.

    Args:
        name: What users will load it by, such as snowflake-centipede-30.
        repo_id: user/repo, or user/repo@revision; what is noted is the commit that it means now.
        replace: Let a name that is there mean another commit.
        endpoint: As for `pull`.
        token: As for `pull`.
        file: The table; by default the one that is shipped, `pins.PINS`.

    Returns:
        What was noted.

    Raises:
        ValueError: The name is none, is a bundled checkpoint's, or means another commit.
        HubError, CheckpointError, OSError: As `pull`; the table is as it was.
    """
    file = pins.PINS if file is None else Path(file)
    if not NAME.fullmatch(name):
        raise ValueError(f"name: expected small letters, digits and hyphens; found {shown(name)}")
    if name in bundled():
        raise ValueError(f"{name} is bundled, which is found first: give another name")
    folder = pull(repo_id, endpoint=endpoint, token=token)
    made = _pin_of(folder, repo_id.partition("@")[0])
    table = json.loads(file.read_bytes()) if file.exists() else {}
    before = table.get(name, made._asdict())
    if not replace and (before["repo"], before["revision"]) != (made.repo, made.revision):
        raise ValueError(
            f"{name} means {before['repo']}@{before['revision']} already, and people rely on it: "
            "give another name, or say that it is to be replaced"
        )
    table[name] = made._asdict()
    write_text_atomic(file, json.dumps(table, indent=1, sort_keys=True) + "\n")
    pins.pins.cache_clear()
    return made


def _pin_of(folder: Path, repo: str) -> Pin:
    """Describe what was pulled; the folder is named by its commit."""
    sums = {
        path.name: hashlib.sha256(path.read_bytes()).hexdigest()
        for path in sorted(folder.iterdir())
    }
    entry = entry_of(folder, folder.name, "cached")
    facts: dict[str, Any] = dataclasses.asdict(entry) | {"others": list(entry.others)}  # as in JSON
    for key in _SAID_BY_THE_TABLE:
        del facts[key]
    return Pin(repo, folder.name, sums, facts)

"""What travels between a folder and a hub: which files, how large, and with which sums."""

from __future__ import annotations

import contextlib
import functools
import hashlib
import logging
import os
import re
import tempfile
from collections.abc import Callable
from pathlib import Path

from morphzoo.files import check_writable, folder_atomic
from morphzoo.folder_hub import Sum, git_oid
from morphzoo.progress import ProgressCallback
from morphzoo.zoo.folder import CARD, LIMITS, read_folder
from morphzoo.zoo.media import MEDIA, read_media
from morphzoo.zoo.pins import Pin, check_pin
from morphzoo.zoo.records import CURVE, RECIPE, RESULTS, read_record
from morphzoo.zoo.remote import Listing, Remote, patiently
from morphzoo.zoo.schema import CONFIG
from morphzoo.zoo.untrusted import CheckpointError, read_bytes, refuse, said, shown
from morphzoo.zoo.weights import WEIGHTS

#: What `pull` ever asks a hub for.
ALLOWED = tuple(name for name in LIMITS if name not in (RECIPE, CURVE))
NEEDED = (CONFIG, WEIGHTS, CARD)

_log = logging.getLogger("morphzoo.zoo")
_TOKEN = re.compile(rb"\bhf_[A-Za-z0-9]{20,}")
_NO_SUMS = "It is no hub that morphzoo can trust: check MORPHZOO_HUB and HF_ENDPOINT"
_AGAIN = "Pull again; if it stays so, take another revision, or tell the repository's owner"


def outgoing(folder: Path) -> dict[str, bytes]:
    """Check a checkpoint and read what is to be published of it.

    Args:
        folder: Its folder.

    Returns:
        File name -> contents, of those in `folder.LIMITS` that are there.

    Raises:
        CheckpointError: It is not sound, too large, or holds what looks like a token.
    """
    if not folder.is_dir():
        refuse(shown(os.fspath(folder)), "a checkpoint's folder", "none", "Make one with zoo.save")
    read_folder(folder)
    read_media(folder)
    for record in (RESULTS, RECIPE):
        read_record(folder, record)
    names = sorted(entry.name for entry in folder.iterdir())
    if left := [shown(name) for name in names if name not in LIMITS]:
        _log.warning("%s: not published: %s", folder, ", ".join(left[:5]))
    files = {name: read_bytes(folder, name, LIMITS[name]) for name in names if name in LIMITS}
    if CARD not in files:
        refuse(folder / CARD, "a card", "none", "Write it anew with zoo.annotate")
    try:
        files[CARD].decode("utf-8")
    except UnicodeDecodeError as error:
        refuse(folder / CARD, "text in UTF-8", said(error), "Write it anew with zoo.annotate")
    for name in (name for name in files if name not in MEDIA and name != WEIGHTS):
        if _TOKEN.search(files[name]):
            remedy = "Revoke that token, and write the file without it"
            refuse(folder / name, "nothing secret", "what looks like a token of the Hub", remedy)
    return files


def agrees(listed: Sum | None, data: bytes) -> bool:
    """Tell whether a hub's file is these bytes.

    Args:
        listed: What the hub says of the file; None where it has none.
        data: The bytes.
    """
    if listed is None:
        return False
    if listed.sha256 is not None:
        return listed.sha256 == hashlib.sha256(data).hexdigest()
    return listed.oid == git_oid(data)


def incoming(listing: Listing, where: str) -> dict[str, Sum]:
    """Choose what to fetch of a listing, and refuse what cannot be a checkpoint.

    Args:
        listing: What the hub has.
        where: What to call it in messages.

    Returns:
        Name of a file of `ALLOWED` -> what it must be.

    Raises:
        CheckpointError: A file is missing, too large, or listed without a sum.
    """
    wanted = {name: listing.files[name] for name in ALLOWED if name in listing.files}
    if missing := [name for name in NEEDED if name not in wanted]:
        remedy = "It is no checkpoint of morphzoo: check the name"
        refuse(where, f"the files {', '.join(NEEDED)}", f"none named {', '.join(missing)}", remedy)
    for name, sums in wanted.items():
        if type(sums.size) is not int or not isinstance(sums.sha256 or sums.oid, str):
            refuse(f"{where}/{name}", "its size and checksum in the listing", "none", _NO_SUMS)
        if not 0 <= sums.size <= LIMITS[name]:
            refuse(f"{where}/{name}", f"at most {LIMITS[name]:,} bytes", f"{sums.size:,}", _AGAIN)
    return wanted


def card_of(remote: Remote, repo: str, listing: Listing) -> bytes:
    """Fetch the card of a listing, for one look at it.

    Args:
        remote: The hub.
        repo: The repository.
        listing: What the hub has of it.

    Raises:
        HubError: The hub could not send it.
        CheckpointError: It has none, or sent something else than it lists.
    """
    where = f"{remote.url}/{repo}"
    wanted = incoming(listing, where)
    assert listing.commit is not None  # there are files
    with tempfile.TemporaryDirectory() as folder:
        card = listing.commit, CARD, wanted[CARD], Path(folder)
        patiently(functools.partial(_receive_file, remote, repo, *card, lambda _: None))
        return (Path(folder) / CARD).read_bytes()


def receive(
    remote: Remote,
    repo: str,
    commit: str,
    wanted: dict[str, Sum],
    folder: Path,
    pin: Pin | None,
    progress: ProgressCallback | None,
) -> None:
    """Fetch the files of a checkpoint into a folder that appears whole, and checked, or not at all.

    Args:
        remote: The hub.
        repo: The repository.
        commit: The commit.
        wanted: As `incoming` returns it.
        folder: The folder.
        pin: What this version of morphzoo knows of that commit.
        progress: Told of every part that has arrived.

    Raises:
        HubError: The hub could not send a file.
        CheckpointError: It sent something else than it lists, or no sound checkpoint.
        OSError: The folder cannot be written.
    """
    where = f"{remote.url}/{repo}@{commit[:8]}"
    total = sum(sums.size or 0 for sums in wanted.values())
    check_writable(folder.parent, total)

    def advance(count: int) -> None:
        if progress is not None:
            progress(repo, count, total)

    with folder_atomic(folder) as aside:
        for name, sums in wanted.items():
            file = commit, name, sums, aside
            patiently(functools.partial(_receive_file, remote, repo, *file, advance))
        try:
            read_folder(aside)
            read_record(aside, RESULTS)
            read_media(aside)
        except CheckpointError as error:
            raise CheckpointError(str(error).replace(os.fspath(aside), where)) from None
        check_pin(pin, aside, where)


def _receive_file(
    remote: Remote,
    repo: str,
    commit: str,
    name: str,
    sums: Sum,
    folder: Path,
    advance: Callable[[int], None],
) -> None:
    """Fetch one file, and no more of it than was listed."""
    assert sums.size is not None  # `incoming` has refused it
    where, size = f"{remote.url}/{repo}@{commit[:8]}/{name}", 0
    sha256, oid = hashlib.sha256(), hashlib.sha1(b"blob %d\0" % sums.size, usedforsecurity=False)
    try:
        # Closed at once: a connection that is of no use any more must not wait for the collector.
        parts = remote.chunks(repo, commit, name)
        with open(folder / name, "wb") as file, contextlib.closing(parts):
            for part in parts:
                size += len(part)
                if size > sums.size:
                    refuse(where, f"{sums.size:,} bytes, as listed", "more", _AGAIN)
                file.write(part)
                sha256.update(part)
                oid.update(part)
                advance(len(part))
    except BaseException:
        advance(-size)  # it may be asked for again
        raise
    if size != sums.size:
        refuse(where, f"{sums.size:,} bytes, as listed", f"{size:,}", _AGAIN)
    listed = sums.sha256 or sums.oid
    found = sha256.hexdigest() if sums.sha256 else oid.hexdigest()
    if found != listed:
        refuse(where, f"a file with the listed checksum {listed}", found, _AGAIN)

"""The pictures and clips of a checkpoint: which there are, and whether one is only that."""

from __future__ import annotations

import os
import re
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import Any

from morphzoo.results import ACTIONS
from morphzoo.zoo.untrusted import Where, read_bytes, refuse, shown

REPLAY, TRANSFER, PICTURE = "replay.mp4", "transfer.mp4", "curve.png"
CLIPS = (REPLAY, TRANSFER)  # on the body trained on, and on one that was never trained on
MEDIA_LIMIT = 5_000_000  # bytes; the Hub's page plays replay.mp4

_AGAIN = "Make it anew with `morphzoo card`"
_BOXES = {b"ftyp", b"moov", b"free", b"mdat"}
_CHUNKS = {b"IHDR", b"IDAT", b"IEND", b"PLTE", b"pHYs", b"gAMA", b"sRGB", b"tRNS"}
_SIGNATURE = b"\x89PNG\r\n\x1a\n"
_SHOWN_KEYS = ("actions", "env", "seconds", "seed")
_ENV = re.compile(r"[\w.:/-]{1,100}", re.ASCII)


def read_media(folder: Path) -> dict[str, bytes]:
    """Read and check the pictures and clips in a checkpoint's folder.

    Args:
        folder: The folder.

    Returns:
        File name -> contents, of those in `MEDIA` that are there.

    Raises:
        CheckpointError: One is not sound.
    """
    names = [name for name in MEDIA if os.path.lexists(folder / name)]
    found = {name: read_bytes(folder, name, MEDIA_LIMIT) for name in names}
    for name, data in found.items():
        check_media(name, data, folder / name)
    return found


def check_media(name: str, data: bytes, where: Where) -> None:
    """Refuse a file that is not just a picture or a clip of the kind that its name says.

    Its parts must fill it exactly, and be of the few kinds that a plain one has: an archive or a
    script that hides behind or between them is found. What a part holds is the player's concern.

    Args:
        name: A name in `MEDIA`.
        data: The file.
        where: What to call it in messages.

    Raises:
        CheckpointError: It is something else, or too large.
    """
    if len(data) > MEDIA_LIMIT:
        remedy = "Make it shorter or smaller: see `morphzoo render --help`"
        refuse(where, f"at most {MEDIA_LIMIT:,} bytes", f"{len(data):,}", remedy)
    MEDIA[name](data, where)


def check_shown(document: object, where: Where) -> None:
    """Refuse an account of what clips show, `media` in results.json, that is not one.

    Args:
        document: File name -> body, kind of actions, first seed, length (s).
        where: What to call it in messages.

    Raises:
        CheckpointError: It is something else.
    """
    if not isinstance(document, dict) or not set(document) <= set(CLIPS):
        refuse(where, f"an object with the keys {', '.join(CLIPS)}", shown(document))
    for name, clip in document.items():
        if not _is_shown(clip):
            keys = ", ".join(_SHOWN_KEYS)
            refuse(f"{os.fspath(where)}: {name}", f"{keys} of what a clip shows", shown(clip))


def _is_shown(clip: Any) -> bool:
    if not isinstance(clip, dict) or sorted(clip) != sorted(_SHOWN_KEYS):
        return False
    seconds, seed = clip["seconds"], clip["seed"]
    return (
        isinstance(clip["env"], str)
        and _ENV.fullmatch(clip["env"]) is not None
        and clip["actions"] in ACTIONS
        and type(seed) is int
        and 0 <= seed <= 2**62
        and type(seconds) in (int, float)
        and 0 < seconds <= 3600
    )


def _check_mp4(data: bytes, where: Where) -> None:
    """Refuse what is not boxes from end to end, the index before the pictures."""
    kinds = [kind for kind, _ in _parts(data, 0, where, 4, 8, _BOXES)]
    order = [kind for kind in kinds if kind != b"free"]
    if order != [b"ftyp", b"moov", b"mdat"]:
        found = ", ".join(kind.decode("ascii") for kind in kinds)
        refuse(
            where, "an MP4 file of ftyp, moov and mdat, in this order", found or "nothing", _AGAIN
        )


def _check_png(data: bytes, where: Where) -> None:
    """Refuse what is not chunks from end to end."""
    if not data.startswith(_SIGNATURE):
        refuse(where, "a PNG file", shown(data[:8]), _AGAIN)
    kinds = [kind for kind, _ in _parts(data, len(_SIGNATURE), where, 4, 12, _CHUNKS)]
    if kinds[:1] != [b"IHDR"] or kinds[-1:] != [b"IEND"] or kinds.count(b"IEND") > 1:
        refuse(where, "a PNG file from IHDR to IEND", shown(kinds[:8]), _AGAIN)


def _parts(
    data: bytes, at: int, where: Where, kind_at: int, least: int, known: set[bytes]
) -> Iterator[tuple[bytes, int]]:
    """Yield kind and size of parts that follow each other: size, kind, contents.

    MP4's sizes count the whole box, of 8 bytes at least; PNG's the contents alone, without the 12
    bytes around them.
    """
    around = 0 if least == 8 else least
    while at < len(data):
        size = int.from_bytes(data[at : at + 4], "big") + around
        kind = data[at + kind_at : at + kind_at + 4]
        if size < least or at + size > len(data) or kind not in known:
            refuse(where, "a plain file of its kind", f"{shown(kind)} at byte {at:,}", _AGAIN)
        yield kind, size
        at += size


#: File name -> what refuses another kind of file under it. The closed list of media.
MEDIA: Mapping[str, Callable[[bytes, Where], None]] = {
    REPLAY: _check_mp4,
    TRANSFER: _check_mp4,
    PICTURE: _check_png,
}

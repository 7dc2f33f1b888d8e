"""Reading what a stranger wrote: bounded plain files of one folder, and JSON without loopholes."""

from __future__ import annotations

import contextlib
import json
import math
import os
import stat
from collections.abc import Iterator
from pathlib import Path
from typing import Any, BinaryIO, NoReturn

JSON_DEPTH = 16  # levels of lists and objects; morphzoo itself writes at most 6
SHOWN = 80  # characters of a found value that a message repeats

Where = str | os.PathLike[str]

AGAIN = "Download the checkpoint again or save it anew with morphzoo.zoo.save"


class CheckpointError(ValueError):
    """A checkpoint was refused; the message names the file, what was expected, found, and to do."""


def refuse(where: Where, expected: str, found: str, remedy: str = AGAIN) -> NoReturn:
    """Raise a `CheckpointError` of the usual form.

    Args:
        where: The file, with the place in it where that helps.
        expected: What a good file has there.
        found: What this one has; values pass through `shown` first.
        remedy: What the reader of the message can do.

    Raises:
        CheckpointError: Always.
    """
    raise CheckpointError(f"{os.fspath(where)}: expected {expected}; found {found}. {remedy}.")


def shown(value: object) -> str:
    """Return a value as short pure ASCII, so that no look-alike letter or control code hides in it.

    Args:
        value: Anything.

    Returns:
        At most about `SHOWN` characters.
    """
    text = ascii(value[: 2 * SHOWN] if isinstance(value, str) else value)
    return text if len(text) <= SHOWN else f"{text[:SHOWN]}... (shortened)"


def said(error: Exception) -> str:
    """Return an error's message as pure ASCII of a few lines at most; see `shown`.

    Args:
        error: What another library says of a checkpoint, and may repeat of it.
    """
    return str(error).encode("unicode_escape").decode("ascii")[: 5 * SHOWN]


@contextlib.contextmanager
def open_plain(folder: Path, name: str, limit: int) -> Iterator[tuple[BinaryIO, int]]:
    """Open a plain file that lies in a folder and is not larger than `limit`.

    Args:
        folder: The folder.
        name: Name of a file directly in it; from morphzoo's own list, never from a checkpoint.
        limit: Largest size that is accepted (bytes).

    Yields:
        The file, at its start, and its size (bytes).

    Raises:
        CheckpointError: The file is missing, too large, unreadable, or not a plain file inside the
            folder (a folder, pipe, socket, device, or a link that leads out).
    """
    path = folder / name
    try:
        root, target = folder.resolve(strict=True), path.resolve(strict=True)
    except (OSError, RuntimeError):  # RuntimeError: links in a circle, up to Python 3.12
        refuse(path, f"a file {name} in the checkpoint's folder", "none that can be opened")
    if not target.is_relative_to(root):
        refuse(path, "a file inside the checkpoint's folder", "a link that leads out of it")
    # Without O_NONBLOCK the opening of a pipe would wait for its writer for ever.
    flags = [getattr(os, flag, 0) for flag in ("O_NONBLOCK", "O_NOFOLLOW", "O_BINARY")]
    try:
        handle = os.open(target, os.O_RDONLY | sum(flags))
    except OSError as error:
        refuse(path, "a plain file that can be read", error.strerror or type(error).__name__)
    try:
        info = os.fstat(handle)
        if not stat.S_ISREG(info.st_mode):
            refuse(path, "a plain file", f"{_KINDS.get(stat.S_IFMT(info.st_mode), 'a device')}")
        if info.st_size > limit:
            refuse(path, f"at most {limit:,} bytes", f"{info.st_size:,} bytes")
        with os.fdopen(handle, "rb", closefd=False) as file:
            yield file, info.st_size
    finally:
        os.close(handle)


def read_bytes(folder: Path, name: str, limit: int) -> bytes:
    """Read a whole file; see `open_plain`.

    Args:
        folder: The folder.
        name: Name of the file.
        limit: Largest size that is accepted (bytes).

    Returns:
        Its contents.

    Raises:
        CheckpointError: As `open_plain`.
    """
    with open_plain(folder, name, limit) as (file, size):
        return file.read(size)


def read_json(folder: Path, name: str, limit: int) -> dict[str, Any]:
    """Read a file that holds one JSON object; see `open_plain` and `parse_json`.

    Args:
        folder: The folder.
        name: Name of the file.
        limit: Largest size that is accepted (bytes).

    Returns:
        The object.

    Raises:
        CheckpointError: The file cannot be read, or is not strict JSON.
    """
    return parse_json(read_bytes(folder, name, limit), folder / name)


def parse_json(data: bytes, where: Where) -> dict[str, Any]:
    """Parse one JSON object, in UTF-8, and refuse what the standard parser lets through.

    Args:
        data: The text.
        where: What to call it in messages.

    Returns:
        The object: finite numbers, no key twice, no text that cannot be printed, at most
        `JSON_DEPTH` levels deep.

    Raises:
        CheckpointError: It is anything else.
    """
    try:
        value = json.loads(
            data.decode("utf-8"),
            object_pairs_hook=_unique,
            parse_constant=_finite,
            parse_float=_finite,
        )
    except RecursionError:
        refuse(where, f"JSON of at most {JSON_DEPTH} levels", "lists or objects far deeper")
    except UnicodeDecodeError as error:
        refuse(where, "JSON in UTF-8", f"bytes that are not text, from byte {error.start}")
    except ValueError as error:
        refuse(where, "strict JSON", said(error))
    if not isinstance(value, dict):
        refuse(where, "a JSON object", shown(value))
    check_plain(value, where)
    return value


def check_plain(value: object, where: Where) -> None:
    """Make sure that a value is plain JSON: finite, printable, not too deep, nothing else.

    Args:
        value: What to look through.
        where: What to call it in messages.

    Raises:
        CheckpointError: It is not; the message shows the culprit.
    """
    level: list[object] = [value]
    for _ in range(JSON_DEPTH):
        if bad := [item for item in level if not _is_plain(item)]:
            found = f"{shown(bad[0])} ({type(bad[0]).__name__})"
            refuse(where, "plain JSON: text, finite numbers of 64 bits, true, false, null", found)
        lists = [item for item in level if isinstance(item, list | tuple)]
        objects = [item for item in level if isinstance(item, dict)]
        level = [part for item in lists for part in item]
        level += [part for item in objects for pair in item.items() for part in pair]
        if any(not isinstance(key, str) for item in objects for key in item):
            refuse(where, "objects with text as keys", "another kind of key")
        if not level:
            return
    refuse(where, f"at most {JSON_DEPTH} levels of lists and objects", "more")


_KINDS = {stat.S_IFDIR: "a folder", stat.S_IFIFO: "a pipe", stat.S_IFSOCK: "a socket"}


def _is_plain(value: object) -> bool:
    """Tell whether a value is of JSON; containers are only looked at from outside."""
    if isinstance(value, str):
        return not any("\ud800" <= letter <= "\udfff" for letter in value)
    if isinstance(value, float):
        return math.isfinite(value)
    if isinstance(value, int):
        return -(2**63) <= value < 2**63
    return value is None or isinstance(value, list | tuple | dict)


def _unique(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    """Build an object, refusing a key that comes twice."""
    built = dict(pairs)
    if len(built) != len(pairs):
        seen: set[str] = set()
        twice = next(key for key, _ in pairs if key in seen or seen.add(key))
        raise ValueError(f"the key {shown(twice)} twice in one object")
    return built


def _finite(text: str) -> float:
    """Read a number, refusing NaN, Infinity and what overflows to it."""
    if not math.isfinite(value := float(text)):
        raise ValueError(f"the number {shown(text)}, which is not finite")
    return value

"""Files that are whole or absent: write aside, flush to disk, rename."""

from __future__ import annotations

import contextlib
import errno
import os
import shutil
import uuid
from collections.abc import Iterator
from pathlib import Path

_ASIDE = ".part-"  # unfinished work, never read
_OLD = ".old-"  # the folder that a finished one is about to take the place of

PathLike = str | os.PathLike[str]


def write_bytes_atomic(path: PathLike, data: bytes) -> None:
    """Write a file that is afterwards either the new one, whole, or still the old one.

    Args:
        path: The file. Its folder must exist.
        data: Its whole contents.

    Raises:
        OSError: The disk is full, the folder is missing or not writable; the message says so, and
            neither the old file nor the folder is changed.
    """
    path = Path(path)
    aside = path.with_name(f"{_ASIDE}{uuid.uuid4().hex[:8]}-{path.name}")
    try:
        with open(aside, "xb") as file:
            file.write(data)
            file.flush()
            os.fsync(file.fileno())
        os.replace(aside, path)
    except OSError as error:
        with contextlib.suppress(OSError):
            aside.unlink(missing_ok=True)
        raise _explained(error, path) from error
    _flush_folder(path.parent)


def write_text_atomic(path: PathLike, text: str) -> None:
    """Write a UTF-8 text file; see `write_bytes_atomic`.

    Args:
        path: The file. Its folder must exist.
        text: Its whole contents; line ends are written as they are.

    Raises:
        OSError: As `write_bytes_atomic`.
    """
    write_bytes_atomic(path, text.encode("utf-8"))


@contextlib.contextmanager
def folder_atomic(path: PathLike) -> Iterator[Path]:
    """Fill a folder that appears under its name only when it is complete.

    The body writes into the folder it is given. When it ends without an exception, every file is
    flushed to disk and the folder is renamed to `path`; a folder that was there before is moved
    aside first and deleted afterwards. After an exception nothing has changed. A kill between the
    two renames leaves the old folder aside: `recover_folder` puts it back.

    Args:
        path: The folder's final name; missing parents are made.

    Yields:
        An empty folder beside `path`.

    Raises:
        OSError: The disk is full or the parent is not writable.
    """
    path = Path(path)
    aside = path.with_name(f"{_ASIDE}{uuid.uuid4().hex[:8]}-{path.name}")
    try:
        aside.mkdir(parents=True)
        yield aside
        for file in sorted(aside.rglob("*")):
            if file.is_file():
                _flush(file)
            elif file.is_dir():
                _flush_folder(file)
        _flush_folder(aside)
        _take_place(aside, path)
    except OSError as error:
        shutil.rmtree(aside, ignore_errors=True)
        raise _explained(error, path) from error
    except BaseException:
        shutil.rmtree(aside, ignore_errors=True)
        raise


def recover_folder(path: PathLike) -> None:
    """Undo what a kill inside `folder_atomic`, or another write of here, left beside `path`.

    Call it before reading or writing `path`, when no other process writes there. If the finished
    folder is missing, the one that it was to replace is put back; unfinished ones are deleted.

    Args:
        path: The folder's or file's final name, as given to the function that was killed.
    """
    path = Path(path)
    if not path.parent.is_dir():
        return
    for old in _beside(path, _OLD):
        if path.exists():
            shutil.rmtree(old, ignore_errors=True)
        else:
            os.replace(old, path)
    for aside in _beside(path, _ASIDE):
        if aside.is_dir():
            shutil.rmtree(aside, ignore_errors=True)
        else:
            aside.unlink(missing_ok=True)


@contextlib.contextmanager
def locked(folder: PathLike, *, wait: bool = True) -> Iterator[None]:
    """Hold a folder for this process alone. A kill lets go; where locks are missing, none is held.

    Args:
        folder: The folder; it and its missing parents are made, and an empty file `.lock` in it.
        wait: Until it is free.

    Yields:
        Nothing.

    Raises:
        BlockingIOError: Another process holds it, and `wait` is false.
        OSError: The folder cannot be made or written to.
    """
    folder = Path(folder)
    try:
        folder.mkdir(parents=True, exist_ok=True)
        handle = os.open(folder / ".lock", os.O_RDWR | os.O_CREAT, 0o644)
    except OSError as error:
        raise _explained(error, folder) from error
    try:
        if os.name == "posix":
            import fcntl

            fcntl.flock(handle, fcntl.LOCK_EX if wait else fcntl.LOCK_EX | fcntl.LOCK_NB)
        yield
    finally:
        os.close(handle)


def delete_unfinished(folder: PathLike) -> None:
    """Delete the files and folders that killed writes of here left in a folder and below.

    Args:
        folder: The folder; no other process writes there.
    """
    for left in sorted(Path(folder).rglob(f"{_ASIDE}*")):
        if left.is_dir() and not left.is_symlink():
            shutil.rmtree(left, ignore_errors=True)
        else:
            left.unlink(missing_ok=True)


def check_writable(folder: PathLike, needed_bytes: int = 0) -> Path:
    """Make a folder and make sure, before work starts, that results can be written there.

    Args:
        folder: The folder; it and its missing parents are made.
        needed_bytes: Room that the work will take (bytes).

    Returns:
        The folder's absolute path.

    Raises:
        OSError: The folder cannot be made or written to, or the disk has too little room.
    """
    folder = Path(folder).expanduser().absolute()
    try:
        folder.mkdir(parents=True, exist_ok=True)
    except (FileExistsError, NotADirectoryError) as error:
        raise NotADirectoryError(
            f"cannot write results to '{folder}': it, or a folder above it, is a file. "
            "Give another folder."
        ) from error
    except OSError as error:
        raise _explained(error, folder) from error
    free = shutil.disk_usage(folder).free
    if free < needed_bytes:
        raise OSError(
            errno.ENOSPC,
            f"the disk under '{folder}' is too full: {needed_bytes / 1e6:.1f} MB are needed and "
            f"{free / 1e6:.1f} MB are free. Free some room or give a folder on another disk",
        )
    probe = folder / f"{_ASIDE}{uuid.uuid4().hex[:8]}-probe"
    try:
        probe.write_bytes(b"x" * 4096)
    except OSError as error:
        raise _explained(error, folder) from error
    finally:
        with contextlib.suppress(OSError):
            probe.unlink(missing_ok=True)
    return folder


def _take_place(aside: Path, path: Path) -> None:
    """Rename `aside` to `path`; what was there is first moved aside, then deleted."""
    old = None
    if path.exists():
        old = path.with_name(f"{_OLD}{uuid.uuid4().hex[:8]}-{path.name}")
        os.replace(path, old)
    try:
        os.replace(aside, path)
    except BaseException:
        if old is not None:
            os.replace(old, path)
        raise
    _flush_folder(path.parent)
    if old is not None:
        if old.is_dir():
            shutil.rmtree(old, ignore_errors=True)
        else:
            old.unlink()


def _beside(path: Path, mark: str) -> list[Path]:
    """Return the leftovers of `path` with this mark: mark, 8 hex digits, dash, the exact name."""
    length = len(mark) + 9
    return sorted(
        entry
        for entry in path.parent.iterdir()
        if entry.name.startswith(mark) and entry.name[length:] == path.name
    )


def _flush(file: Path) -> None:
    """Flush one written file to disk."""
    handle = os.open(file, os.O_RDONLY)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)


def _flush_folder(folder: Path) -> None:
    """Flush a folder's list of names to disk, where the system can."""
    if os.name == "posix":
        with contextlib.suppress(OSError):  # some file systems refuse it for folders
            _flush(folder)


def _explained(error: OSError, path: Path) -> OSError:
    """Return an OSError of the same kind whose message says what to do."""
    reasons = {
        errno.ENOSPC: "the disk is full. Free some room or give a folder on another disk",
        errno.EDQUOT: "the disk quota is used up. Free some room or give another folder",
        errno.EACCES: "no permission to write there. Give a folder of your own",
        errno.EPERM: "writing there is not permitted. Give a folder of your own",
        errno.EROFS: "the file system is read-only. Give a folder on another disk",
        errno.ENOENT: "its folder does not exist. Make the folder first",
    }
    reason = reasons.get(error.errno or 0)
    if reason is None or getattr(error, "explained", False):
        return error
    explained = type(error)(error.errno, f"cannot write '{path}': {reason}")
    explained.explained = True  # type: ignore[attr-defined]
    return explained

"""Files and folders are whole or absent, whatever happens while they are written."""

from __future__ import annotations

import errno
import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from morphzoo.files import (
    check_writable,
    folder_atomic,
    recover_folder,
    write_bytes_atomic,
    write_text_atomic,
)


def names(folder: Path) -> list[str]:
    return sorted(path.name for path in folder.iterdir())


def fail_with(code: int):
    def fail(*_args, **_keywords):
        raise OSError(code, os.strerror(code))

    return fail


def test_bytes_and_text_are_written_as_they_are(tmp_path: Path) -> None:
    write_bytes_atomic(tmp_path / "a", b"\x00\r\n\xff")
    write_text_atomic(tmp_path / "b", "é\r\n")
    assert (tmp_path / "a").read_bytes() == b"\x00\r\n\xff"
    assert (tmp_path / "b").read_bytes() == b"\xc3\xa9\r\n"
    write_text_atomic(tmp_path / "b", "")
    assert (tmp_path / "b").read_bytes() == b""
    assert names(tmp_path) == ["a", "b"]


@pytest.mark.parametrize("step", ["fsync", "replace"])
@pytest.mark.parametrize(
    ("code", "words"),
    [
        (errno.ENOSPC, "disk is full"),
        (errno.EDQUOT, "quota"),
        (errno.EACCES, "permission"),
        (errno.EROFS, "read-only"),
    ],
)
def test_failed_write_changes_nothing_and_says_why(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, step: str, code: int, words: str
) -> None:
    write_text_atomic(tmp_path / "a", "old")
    monkeypatch.setattr(os, step, fail_with(code))
    with pytest.raises(OSError, match=words) as caught:
        write_text_atomic(tmp_path / "a", "new")
    assert caught.value.errno == code
    assert names(tmp_path) == ["a"]
    assert (tmp_path / "a").read_text() == "old"


def test_missing_folder_is_named(tmp_path: Path) -> None:
    with pytest.raises(FileNotFoundError, match=r"gone.*Make the folder first"):
        write_text_atomic(tmp_path / "gone" / "a", "x")


def test_folder_appears_whole_and_takes_the_old_ones_place(tmp_path: Path) -> None:
    target = tmp_path / "deep" / "run"
    for text in ("first", "second"):
        with folder_atomic(target) as aside:
            (aside / "inner").mkdir()
            (aside / "inner" / "a").write_text(text)
            assert not target.exists() or (target / "inner" / "a").read_text() == "first"
        assert (target / "inner" / "a").read_text() == text
    assert names(tmp_path / "deep") == ["run"]


@pytest.mark.parametrize("error", [RuntimeError, KeyboardInterrupt])
def test_failed_folder_leaves_the_old_one(tmp_path: Path, error: type[BaseException]) -> None:
    target = tmp_path / "run"
    with folder_atomic(target) as aside:
        (aside / "a").write_text("old")
    with pytest.raises(error), folder_atomic(target) as aside:
        (aside / "a").write_text("new")
        raise error
    assert names(tmp_path) == ["run"]
    assert (target / "a").read_text() == "old"


def test_full_disk_leaves_the_old_folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    target = tmp_path / "run"
    with folder_atomic(target) as aside:
        (aside / "a").write_text("old")
    monkeypatch.setattr(os, "fsync", fail_with(errno.ENOSPC))
    with pytest.raises(OSError, match="disk is full"), folder_atomic(target) as aside:
        (aside / "a").write_text("new")
    assert names(tmp_path) == ["run"]
    assert (target / "a").read_text() == "old"


KILL = """
import os, signal, sys
from morphzoo.files import folder_atomic
replace, calls = os.replace, []
def deadly(*args):
    calls.append(args)
    if len(calls) == int(sys.argv[2]):
        os.kill(os.getpid(), signal.SIGKILL)
    replace(*args)
os.replace = deadly
with folder_atomic(sys.argv[1]) as aside:
    (aside / "a").write_text("new")
"""


@pytest.mark.skipif(os.name != "posix", reason="kills by SIGKILL")
@pytest.mark.parametrize("rename", [1, 2])
def test_kill_before_each_rename_is_recovered(tmp_path: Path, rename: int) -> None:
    target = tmp_path / "run"
    other = tmp_path / ".part-12345678-another-run"  # its writer may still be at work
    with folder_atomic(target) as aside:
        (aside / "a").write_text("old")
    other.mkdir()
    killed = subprocess.run([sys.executable, "-c", KILL, str(target), str(rename)], check=False)
    assert killed.returncode == -9
    assert target.exists() == (rename == 1)
    recover_folder(target)
    assert names(tmp_path) == [other.name, "run"]
    assert (target / "a").read_text() == "old"
    recover_folder(target)
    assert (target / "a").read_text() == "old"


def test_recover_prefers_the_finished_folder(tmp_path: Path) -> None:
    for name in ("run", ".old-12345678-run"):
        (tmp_path / name).mkdir()
        (tmp_path / name / "a").write_text(name)
    recover_folder(tmp_path / "run")
    assert names(tmp_path) == ["run"]
    assert (tmp_path / "run" / "a").read_text() == "run"
    recover_folder(tmp_path / "absent" / "run")  # nothing to do is no error


def test_check_writable_makes_the_folder_and_leaves_it_empty(tmp_path: Path) -> None:
    folder = check_writable(tmp_path / "a" / "b", needed_bytes=1)
    assert folder == tmp_path / "a" / "b"
    assert names(folder) == []


def test_check_writable_names_a_file_in_the_way(tmp_path: Path) -> None:
    (tmp_path / "a").write_text("")
    for folder in (tmp_path / "a", tmp_path / "a" / "b"):
        with pytest.raises(NotADirectoryError, match="is a file"):
            check_writable(folder)


def test_check_writable_names_the_missing_room(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(shutil, "disk_usage", lambda _: shutil._ntuple_diskusage(10, 9, 1_000_000))
    with pytest.raises(OSError, match=r"2\.5 MB are needed and 1\.0 MB are free") as caught:
        check_writable(tmp_path, needed_bytes=2_500_000)
    assert caught.value.errno == errno.ENOSPC
    check_writable(tmp_path, needed_bytes=1_000_000)


@pytest.mark.parametrize("code", [errno.EACCES, errno.EROFS, errno.ENOSPC])
def test_check_writable_tries_it(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, code: int
) -> None:
    monkeypatch.setattr(Path, "write_bytes", fail_with(code))
    with pytest.raises(OSError, match="cannot write"):
        check_writable(tmp_path)


@pytest.mark.skipif(
    not hasattr(os, "geteuid") or os.geteuid() == 0, reason="root may write anywhere"
)
def test_check_writable_refuses_a_read_only_folder(tmp_path: Path) -> None:
    tmp_path.chmod(0o500)
    try:
        with pytest.raises(PermissionError, match="no permission"):
            check_writable(tmp_path / "run")
    finally:
        tmp_path.chmod(0o700)


FULL = """
import subprocess, sys
from pathlib import Path
folder = Path(sys.argv[1])
if subprocess.run(["mount", "-t", "tmpfs", "-o", "size=64k", "none", folder]).returncode:
    sys.exit(77)
from morphzoo.files import folder_atomic, write_bytes_atomic
write_bytes_atomic(folder / "a", b"old")
for write in (lambda: write_bytes_atomic(folder / "a", bytes(10**6)),):
    try:
        write()
    except OSError as error:
        assert "disk is full" in str(error), error
    else:
        sys.exit("written beyond the disk's end")
try:
    with folder_atomic(folder / "run") as aside:
        (aside / "a").write_bytes(bytes(10**6))
except OSError as error:
    assert "disk is full" in str(error), error
assert [path.name for path in folder.iterdir()] == ["a"]
assert (folder / "a").read_bytes() == b"old"
"""


def test_really_full_disk(tmp_path: Path) -> None:
    unshare = shutil.which("unshare")
    if unshare is None:
        pytest.skip("no unshare to mount a small disk with")
    command = [unshare, "--user", "--map-root-user", "--mount", sys.executable, "-c", FULL]
    run = subprocess.run([*command, str(tmp_path)], capture_output=True, text=True, check=False)
    if run.returncode == 77 or "unshare" in run.stderr:
        pytest.skip("mounting a small disk is not permitted here")
    assert run.returncode == 0, run.stderr

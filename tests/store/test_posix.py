import errno
import os
from pathlib import Path

import pytest

from strew.store.posix import disk_error, preallocate, write_whole


def test_preallocated_is_reserved(tmp_path: Path) -> None:
    fd = os.open(tmp_path / "f", os.O_RDWR | os.O_CREAT)
    preallocate(fd, 1 << 20)
    assert os.fstat(fd).st_size == 1 << 20
    os.close(fd)


def test_a_file_is_replaced_whole_whatever_was_left_half_done(tmp_path: Path) -> None:
    (tmp_path / "key").write_text("old")
    (tmp_path / "victim").write_text("x")
    (tmp_path / "key.new").symlink_to("victim")
    write_whole(tmp_path / "key", b"new", mode=0o600)
    assert (tmp_path / "key").read_text() == "new"
    assert (tmp_path / "key").stat().st_mode & 0o777 == 0o600
    assert (tmp_path / "victim").read_text() == "x"
    assert sorted(os.listdir(tmp_path)) == ["key", "victim"]


@pytest.mark.parametrize(
    ("code", "remedy"),
    [
        (errno.ENOSPC, "free some space"),
        (errno.EDQUOT, "free some space"),
        (errno.EROFS, "read-only"),
        (errno.EMFILE, "ulimit"),
        (errno.EIO, "kernel's log"),
    ],
)
def test_errors_name_input_reason_and_remedy(code: int, remedy: str) -> None:
    error = disk_error(OSError(code, os.strerror(code)), "write", "/some/file")
    assert str(error).startswith("cannot write '/some/file': ")
    assert remedy in error.hint
    assert "\n" not in str(error)

import errno
import os
from pathlib import Path

import pytest

from strew.store.posix import disk_error, preallocate


def test_preallocated_is_reserved(tmp_path: Path) -> None:
    fd = os.open(tmp_path / "f", os.O_RDWR | os.O_CREAT)
    preallocate(fd, 1 << 20)
    assert os.fstat(fd).st_size == 1 << 20
    os.close(fd)


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

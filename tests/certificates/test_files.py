"""Key and certificate files on disk."""

from __future__ import annotations

import os
import stat
from pathlib import Path

import pytest

from strew.certificates.files import private_bytes, write_private, write_public
from strew.errors import ConfigurationError, DiskError


def test_a_private_file_is_private_whatever_was_there_and_whatever_the_umask(
    tmp_path: Path,
) -> None:
    path = tmp_path / "new" / "key"
    before = os.umask(0)
    try:
        write_private(path, b"one")
        path.chmod(0o666)
        write_private(path, b"two")
    finally:
        os.umask(before)
    assert stat.S_IMODE(path.stat().st_mode) == 0o600
    assert private_bytes(path, "") == b"two"
    assert os.listdir(path.parent) == ["key"], "nothing is left beside it"


@pytest.mark.parametrize("mode", [0o640, 0o604, 0o610, 0o601])
def test_a_private_file_with_any_right_for_others_is_refused(tmp_path: Path, mode: int) -> None:
    path = tmp_path / "key"
    write_private(path, b"x")
    path.chmod(mode)
    with pytest.raises(ConfigurationError, match=f"{mode:04o}"):
        private_bytes(path, "")


def test_a_folder_that_cannot_be_written_is_a_disk_error(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("no folder")
    with pytest.raises(DiskError, match="cannot write"):
        write_public(tmp_path / "file" / "ca.pem", b"x")

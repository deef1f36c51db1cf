import os
from collections.abc import Iterator
from pathlib import Path

import pytest

from strew.store.claims import Claims
from strew.store.folders import open_folder

INODE = 1 << 40
NAME = "have"


@pytest.fixture
def folder_fd(tmp_path: Path) -> Iterator[int]:
    fd = open_folder(str(tmp_path))
    yield fd
    os.close(fd)


def test_what_was_claimed_is_loaded(tmp_path: Path, folder_fd: int) -> None:
    claims = Claims.create(folder_fd, NAME, INODE, 10)
    for index in (0, 3, 9):
        claims.claim(index)
    claims.withdraw(3)
    claims.close()
    claims.claim(5)  # too late: nothing is written to a descriptor given back
    loaded = Claims.load(folder_fd, NAME, INODE, 10)
    assert loaded is not None
    assert loaded[1] == bytes([1, 0, 0, 0, 0, 0, 0, 0, 0, 1])
    loaded[0].close()
    assert Claims.count(str(tmp_path / NAME)) == 2


def test_claims_of_something_else_are_not_loaded(tmp_path: Path, folder_fd: int) -> None:
    assert Claims.load(folder_fd, NAME, INODE, 10) is None
    Claims.create(folder_fd, NAME, INODE, 10).close()
    assert Claims.load(folder_fd, NAME, INODE + 1, 10) is None
    assert Claims.load(folder_fd, NAME, INODE, 11) is None
    assert Claims.load(folder_fd, NAME, INODE, 9) is None
    assert Claims.count(str(tmp_path / "missing")) == 0


def test_creating_claims_nothing(tmp_path: Path, folder_fd: int) -> None:
    first = Claims.create(folder_fd, NAME, INODE, 3)
    first.claim(1)
    first.close()
    Claims.create(folder_fd, NAME, INODE, 3).close()
    assert Claims.count(str(tmp_path / NAME)) == 0
    assert os.stat(tmp_path / NAME).st_mode & 0o777 == 0o600


@pytest.mark.parametrize("what", ["link", "hard link", "fifo"])
def test_what_bears_the_name_is_neither_believed_nor_written_to(
    tmp_path: Path, folder_fd: int, what: str
) -> None:
    victim = tmp_path / "victim"
    Claims.create(folder_fd, "victim", INODE, 3).close()
    before = victim.read_bytes()
    if what == "link":
        (tmp_path / NAME).symlink_to("victim")
    elif what == "hard link":
        os.link(victim, tmp_path / NAME)
    else:
        os.mkfifo(tmp_path / NAME)
    assert Claims.load(folder_fd, NAME, INODE, 3) is None
    claims = Claims.create(folder_fd, NAME, INODE, 3)
    claims.claim(1)
    claims.close()
    assert victim.read_bytes() == before
    assert Claims.count(str(tmp_path / NAME)) == 1

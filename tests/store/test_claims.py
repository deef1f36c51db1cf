import os
from pathlib import Path

from strew.store.claims import Claims

INODE = 1 << 40


def test_what_was_claimed_is_loaded(tmp_path: Path) -> None:
    path = str(tmp_path / "have")
    claims = Claims.create(path, INODE, 10)
    for index in (0, 3, 9):
        claims.claim(index)
    claims.withdraw(3)
    claims.close()
    claims.claim(5)  # too late: nothing is written to a descriptor given back
    loaded = Claims.load(path, INODE, 10)
    assert loaded is not None
    assert loaded[1] == bytes([1, 0, 0, 0, 0, 0, 0, 0, 0, 1])
    loaded[0].close()
    assert Claims.count(path) == 2


def test_claims_of_something_else_are_not_loaded(tmp_path: Path) -> None:
    path = str(tmp_path / "have")
    assert Claims.load(path, INODE, 10) is None
    Claims.create(path, INODE, 10).close()
    assert Claims.load(path, INODE + 1, 10) is None
    assert Claims.load(path, INODE, 11) is None
    assert Claims.load(path, INODE, 9) is None
    assert Claims.count(str(tmp_path / "missing")) == 0


def test_creating_claims_nothing(tmp_path: Path) -> None:
    path = str(tmp_path / "have")
    first = Claims.create(path, INODE, 3)
    first.claim(1)
    first.close()
    Claims.create(path, INODE, 3).close()
    assert Claims.count(path) == 0
    assert os.stat(path).st_mode & 0o777 == 0o600

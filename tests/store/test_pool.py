import os
from pathlib import Path

import pytest

from strew.store.pool import FilePool, OpenFile


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    for name in "abcdef":
        (tmp_path / name).write_text(name)
    return tmp_path


def take(pool: FilePool, folder: Path, name: str, owner: int = 0) -> OpenFile:
    return pool.acquire(owner, name, lambda: os.open(folder / name, os.O_RDONLY))


def is_open(fd: int) -> bool:
    try:
        os.fstat(fd)
    except OSError:
        return False
    return True


def test_a_file_is_opened_once(folder: Path) -> None:
    pool = FilePool(4)
    first, second = take(pool, folder, "a"), take(pool, folder, "a")
    assert first.fd == second.fd
    pool.release(first)
    assert os.pread(second.fd, 1, 0) == b"a"
    pool.release(second)
    assert is_open(first.fd)
    pool.close()
    assert not is_open(first.fd)


def test_the_least_recently_used_idle_file_is_closed(folder: Path) -> None:
    pool = FilePool(2)
    files = {}
    for name in "aba":
        files[name] = take(pool, folder, name)
        pool.release(files[name])
    pool.release(take(pool, folder, "c"))
    assert not is_open(files["b"].fd) or len(pool) == 2
    assert take(pool, folder, "a").fd == files["a"].fd
    assert len(pool) == 2
    pool.close()


def test_files_in_use_stay_open_beyond_the_size(folder: Path) -> None:
    pool = FilePool(2)
    files = [take(pool, folder, name) for name in "abcd"]
    assert [os.pread(file.fd, 1, 0) for file in files] == [b"a", b"b", b"c", b"d"]
    for file in files:
        pool.release(file)
    pool.release(take(pool, folder, "e"))
    assert len(pool) <= 2
    pool.close()


def test_a_forgotten_file_lives_until_its_last_user_is_done(folder: Path) -> None:
    pool = FilePool(4)
    mine, other = take(pool, folder, "a", owner=1), take(pool, folder, "a", owner=2)
    pool.forget(1)
    assert is_open(mine.fd)
    pool.release(mine)
    assert not is_open(mine.fd)
    assert is_open(other.fd)
    pool.release(other)
    pool.close()


def test_out_of_descriptors_idle_files_are_given_up(folder: Path) -> None:
    pool = FilePool(4)
    pool.release(take(pool, folder, "a"))
    answers = iter([OSError(24, "EMFILE"), None])

    def open_at_second_try() -> int:
        error = next(answers)
        if error is not None:
            raise error
        assert len(pool) == 0
        return os.open(folder / "b", os.O_RDONLY)

    file = pool.acquire(0, "b", open_at_second_try)
    assert os.pread(file.fd, 1, 0) == b"b"
    pool.release(file)
    pool.close()


def test_other_failures_pass(folder: Path) -> None:
    pool = FilePool(4)
    with pytest.raises(FileNotFoundError):
        take(pool, folder, "missing")
    assert len(pool) == 0

import errno
import os
from pathlib import Path

import pytest

from strew.store import posix
from strew.store.posix import disk_error, exchange, kind_at, preallocate, remove


def test_two_names_are_swapped(tmp_path: Path) -> None:
    (tmp_path / "folder").mkdir()
    (tmp_path / "folder/inside").touch()
    (tmp_path / "file").write_text("x")
    exchange(str(tmp_path / "folder"), str(tmp_path / "file"))
    assert (tmp_path / "folder").read_text() == "x"
    assert (tmp_path / "file/inside").exists()


def test_swapping_works_where_the_file_system_cannot(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    class Old:
        @staticmethod
        def renameat2(*arguments: object) -> int:
            posix.ctypes.set_errno(errno.EINVAL)
            return -1

    monkeypatch.setattr(posix, "_libc", Old)
    (tmp_path / "a").write_text("a")
    (tmp_path / "b").write_text("b")
    exchange(str(tmp_path / "a"), str(tmp_path / "b"))
    assert ((tmp_path / "a").read_text(), (tmp_path / "b").read_text()) == ("b", "a")
    assert len(os.listdir(tmp_path)) == 2


def test_swapping_with_nothing_fails(tmp_path: Path) -> None:
    (tmp_path / "a").touch()
    with pytest.raises(FileNotFoundError):
        exchange(str(tmp_path / "a"), str(tmp_path / "b"))


def test_preallocated_is_reserved(tmp_path: Path) -> None:
    fd = os.open(tmp_path / "f", os.O_RDWR | os.O_CREAT)
    preallocate(fd, 1 << 20)
    assert os.fstat(fd).st_size == 1 << 20
    os.close(fd)


def test_remove_takes_anything_and_follows_nothing(tmp_path: Path) -> None:
    root = tmp_path / "t"
    (root / "a/b").mkdir(parents=True)
    (root / "a/b/f").touch()
    (tmp_path / "victim").mkdir()
    (tmp_path / "victim/f").touch()
    (root / "l").symlink_to(tmp_path / "victim")
    (root / "a/b").chmod(0o555)
    (root / "a").chmod(0o000)
    remove(str(root))
    remove(str(root))
    assert os.listdir(tmp_path) == ["victim"]
    (tmp_path / "link").symlink_to("victim")
    remove(str(tmp_path / "link"))
    assert (tmp_path / "victim/f").exists()


def test_kinds(tmp_path: Path) -> None:
    (tmp_path / "f").touch()
    (tmp_path / "l").symlink_to("f")
    os.mkfifo(tmp_path / "p")
    names = ["f", "l", "p", ".", "missing", "f/below"]
    assert [kind_at(str(tmp_path / name)) for name in names] == [
        "file",
        "other",
        "other",
        "dir",
        "",
        "",
    ]


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

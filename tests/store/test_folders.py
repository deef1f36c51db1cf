import ctypes
import errno
import os
from collections.abc import Iterator
from pathlib import Path

import pytest

from strew.store import folders
from strew.store.folders import (
    chmod_in,
    exchange,
    folder_of,
    kind_at,
    kind_in,
    open_below,
    open_folder,
    remove,
)


@pytest.fixture
def folder_fd(tmp_path: Path) -> Iterator[int]:
    fd = open_folder(str(tmp_path))
    yield fd
    os.close(fd)


def test_no_link_on_the_way_is_followed(tmp_path: Path) -> None:
    (tmp_path / "real/below").mkdir(parents=True)
    (tmp_path / "link").symlink_to("real")
    os.close(open_folder(str(tmp_path / "real/below")))
    for path in ("link", "link/below"):
        with pytest.raises(NotADirectoryError):
            open_folder(str(tmp_path / path))
    with pytest.raises(NotADirectoryError), folder_of(str(tmp_path / "link/below")):
        pass


def test_a_folder_on_the_way_need_not_be_readable(tmp_path: Path) -> None:
    (tmp_path / "real/below").mkdir(parents=True)
    (tmp_path / "real").chmod(0o111)
    os.close(open_folder(str(tmp_path / "real/below")))
    (tmp_path / "real").chmod(0o755)


def test_below_a_folder_no_link_is_followed(tmp_path: Path, folder_fd: int) -> None:
    (tmp_path / "a/b").mkdir(parents=True)
    (tmp_path / "a/l").symlink_to("b")
    os.close(open_below(folder_fd, "a/b"))
    with pytest.raises(NotADirectoryError):
        open_below(folder_fd, "a/l")


def test_modes_are_set_without_following(tmp_path: Path, folder_fd: int) -> None:
    (tmp_path / "f").touch(mode=0o000)
    (tmp_path / "d").mkdir(mode=0o700)
    (tmp_path / "victim").touch(mode=0o600)
    (tmp_path / "l").symlink_to("victim")
    chmod_in(folder_fd, "f", 0o640)
    chmod_in(folder_fd, "d", 0o755)
    with pytest.raises(OSError, match="symbolic links"):
        chmod_in(folder_fd, "l", 0o666)
    modes = [(tmp_path / name).stat().st_mode & 0o777 for name in ("f", "d", "victim")]
    assert modes == [0o640, 0o755, 0o600]
    assert [kind_in(folder_fd, name) for name in ("f", "d", "l", "no")] == [
        "file",
        "dir",
        "other",
        "",
    ]


def test_two_names_are_swapped(tmp_path: Path, folder_fd: int) -> None:
    (tmp_path / "folder").mkdir()
    (tmp_path / "folder/inside").touch()
    (tmp_path / "file").write_text("x")
    exchange(folder_fd, "folder", "file")
    assert (tmp_path / "folder").read_text() == "x"
    assert (tmp_path / "file/inside").exists()


def test_swapping_works_where_the_file_system_cannot(
    tmp_path: Path, folder_fd: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    class Old:
        @staticmethod
        def renameat2(*arguments: object) -> int:
            ctypes.set_errno(errno.EINVAL)
            return -1

    monkeypatch.setattr(folders, "libc", Old)
    (tmp_path / "a").write_text("a")
    (tmp_path / "b").write_text("b")
    exchange(folder_fd, "a", "b")
    assert ((tmp_path / "a").read_text(), (tmp_path / "b").read_text()) == ("b", "a")
    assert len(os.listdir(tmp_path)) == 2


def test_swapping_with_nothing_fails(tmp_path: Path, folder_fd: int) -> None:
    (tmp_path / "a").touch()
    with pytest.raises(FileNotFoundError):
        exchange(folder_fd, "a", "b")


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

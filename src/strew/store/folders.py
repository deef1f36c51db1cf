"""Working in folders where others may write, too: nothing is led elsewhere by a link.

A path is looked up anew by every call that takes one, and somebody who may write to a folder on the
way can swap it for a link in between: the same path then is another file. So a folder is opened
once, step by step and through no link, and everything in it is done relative to its descriptor
(openat(2) and its kin), by a plain name that is not followed either. The links in a path that a
user gave are resolved before, when a fetch or a process begins.
"""

import contextlib
import ctypes
import errno
import os
import stat
from collections.abc import Iterator

from strew.store.posix import call, libc

OPEN_SAFELY = os.O_CLOEXEC | os.O_NOFOLLOW | os.O_NONBLOCK
"""For every file below a root: never through a link, never waiting on a FIFO put in its place."""

OPEN_FOLDER = os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC | os.O_NOFOLLOW

_STEP = os.O_PATH | os.O_DIRECTORY | os.O_CLOEXEC | os.O_NOFOLLOW
"""A folder on the way: to be searched, which may be allowed where reading is not."""

_RENAME_EXCHANGE = 2
_UNSUPPORTED = (errno.EINVAL, errno.ENOSYS, errno.EOPNOTSUPP)
_OWNER_FOLDER = 0o700

_CHANGED_KIND = (errno.ENOTDIR, errno.EISDIR, errno.ELOOP, errno.ENOENT, errno.ENOTEMPTY)
"""Between a look and what followed from it somebody put something else there."""

REMOVE_TRIES = 16
"""Somebody who swaps a thing all the time loses the race sooner or later."""


def open_folder(path: str) -> int:
    """Open the folder at an absolute path without links; OSErrors pass (a link is ENOTDIR)."""
    steps = [step for step in path.split("/") if step]
    fd = os.open("/", _STEP if steps else OPEN_FOLDER)
    for number, step in enumerate(steps, 1):
        try:
            below = os.open(step, OPEN_FOLDER if number == len(steps) else _STEP, dir_fd=fd)
        finally:
            os.close(fd)
        fd = below
    return fd


def open_below(folder_fd: int, path: str) -> int:
    """Open a folder below an open one ('' is that one itself, anew)."""
    fd = os.open(".", OPEN_FOLDER, dir_fd=folder_fd)
    for step in path.split("/") if path else ():
        try:
            below = os.open(step, OPEN_FOLDER, dir_fd=fd)
        finally:
            os.close(fd)
        fd = below
    return fd


@contextlib.contextmanager
def folder_of(path: str) -> Iterator[tuple[int, str]]:
    """The open folder that something lies in, and its name there. OSErrors pass."""
    parent, name = os.path.split(path)
    fd = open_folder(parent)
    try:
        yield fd, name
    finally:
        os.close(fd)


def kind_in(folder_fd: int, name: str) -> str:
    """'file', 'dir', 'other', or '' when there is nothing."""
    try:
        return _kind(os.stat(name, dir_fd=folder_fd, follow_symlinks=False).st_mode)
    except FileNotFoundError:
        return ""


def kind_at(path: str) -> str:
    """The same at a path, whose folders may be links: to look, not to act by."""
    try:
        return _kind(os.lstat(path).st_mode)
    except (FileNotFoundError, NotADirectoryError):
        return ""


def chmod_in(folder_fd: int, name: str, mode: int) -> None:
    """Set the mode of a file or folder. A link is ELOOP: chmod(2) itself would follow it."""
    fd = os.open(name, os.O_PATH | os.O_NOFOLLOW | os.O_CLOEXEC, dir_fd=folder_fd)
    try:
        if stat.S_ISLNK(os.fstat(fd).st_mode):
            raise OSError(errno.ELOOP, os.strerror(errno.ELOOP))
        os.chmod(f"/proc/self/fd/{fd}", mode)  # fchmod takes no O_PATH, reading may be forbidden
    finally:
        os.close(fd)


def remove_in(folder_fd: int, name: str) -> None:
    """Delete a file, a link, or a whole folder, read-only ones too; nothing there is fine. What
    becomes another kind of thing meanwhile is looked at again."""
    for _ in range(REMOVE_TRIES - 1):
        try:
            _remove_once(folder_fd, name)
            return
        except OSError as error:
            if error.errno not in _CHANGED_KIND:
                raise
    _remove_once(folder_fd, name)


def _remove_once(folder_fd: int, name: str) -> None:
    try:
        status = os.stat(name, dir_fd=folder_fd, follow_symlinks=False)
    except FileNotFoundError:
        return
    if not stat.S_ISDIR(status.st_mode):
        os.unlink(name, dir_fd=folder_fd)
        return
    if status.st_mode & _OWNER_FOLDER != _OWNER_FOLDER:
        chmod_in(folder_fd, name, _OWNER_FOLDER)
    below_fd = os.open(name, OPEN_FOLDER, dir_fd=folder_fd)
    try:
        for below in os.listdir(below_fd):
            remove_in(below_fd, below)
    finally:
        os.close(below_fd)
    os.rmdir(name, dir_fd=folder_fd)


def remove(path: str) -> None:
    """The same by an absolute path without links; a folder that is not there is fine, too."""
    try:
        with folder_of(path) as (folder_fd, name):
            remove_in(folder_fd, name)
    except FileNotFoundError:
        return


def exchange(folder_fd: int, left: str, right: str) -> None:
    """Swap two names of a folder in one atomic step (renameat2, RENAME_EXCHANGE).

    Where the file system cannot, `right` is moved aside first: a reader may then see it missing
    for an instant, but never half of it.
    """
    try:
        call(
            libc.renameat2(
                folder_fd,
                os.fsencode(left),
                folder_fd,
                os.fsencode(right),
                ctypes.c_uint(_RENAME_EXCHANGE),
            )
        )
    except OSError as error:
        if error.errno not in _UNSUPPORTED:
            raise
        aside = left + "~"
        for old, new in ((right, aside), (left, right), (aside, left)):
            os.rename(old, new, src_dir_fd=folder_fd, dst_dir_fd=folder_fd)


def _kind(mode: int) -> str:
    if stat.S_ISREG(mode):
        return "file"
    return "dir" if stat.S_ISDIR(mode) else "other"

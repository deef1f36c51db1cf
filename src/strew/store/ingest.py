"""Reading what is to be published: scan, stream, cut, hash. Memory stays flat at any size.

Cutting, hashing and reading release the GIL, and together run near 1.7 GB/s on one core from page
cache: a second thread was not worth its copies.
"""

import os
import stat
from array import array
from collections.abc import Iterator
from pathlib import Path

from strew.content import paths
from strew.content.chunker import cut, params_for
from strew.content.digest import digest_of
from strew.content.manifest import (
    ENTRIES_MAX,
    MODE_MASK,
    Entry,
    Manifest,
    check_publishable,
)
from strew.errors import CallerError, InputChangedError, NotFoundError, UsageError
from strew.store.folders import OPEN_FOLDER, OPEN_SAFELY
from strew.store.placement import SIGNATURE_WORDS, sign
from strew.store.posix import disk_error
from strew.store.store import ProgressCallback

_PROGRESS_STEP_BYTES = 8 * 1024 * 1024
"""Progress is told this often: smooth to the eye, nothing to the CPU."""


class Source:
    """A file or folder as it was when `scan` looked at it.

    `root` is its real path; `entries` are in the manifest's order, `statuses` beside them.
    """

    __slots__ = ("entries", "is_tree", "mode", "name", "root", "size_bytes", "statuses")

    def __init__(
        self,
        root: str,
        name: str,
        status: os.stat_result,
        found: list[tuple[Entry, os.stat_result]],
    ) -> None:
        self.root = root
        self.name = name
        self.is_tree = stat.S_ISDIR(status.st_mode)
        self.mode = status.st_mode & MODE_MASK
        self.entries = [entry for entry, _ in found]
        self.statuses = [entry_status for _, entry_status in found]
        self.size_bytes = sum(entry.size_bytes for entry in self.entries)

    def signatures(self) -> "array[int]":
        """The files as they were read, for Placement's later comparison."""
        words = array("Q", bytes(8 * SIGNATURE_WORDS * len(self.entries)))
        for index, (entry, status) in enumerate(zip(self.entries, self.statuses, strict=True)):
            if entry.kind == "file":
                sign(words, index, status)
        return words


def scan(path: Path, name: str | None) -> Source:
    """Look at all that would be published, before anything is read.

    A link given as `path` itself is followed; links below are entries. UsageError, NotFoundError,
    DiskError.
    """
    name = name if name is not None else Path(os.path.abspath(path)).name
    try:
        root = os.path.realpath(path, strict=True)
        status = os.stat(root)
        if stat.S_ISREG(status.st_mode):
            mode = status.st_mode & MODE_MASK
            found = [(Entry(name, "file", mode, status.st_size), status)]
        elif stat.S_ISDIR(status.st_mode):
            found = sorted(_walk(root), key=lambda pair: pair[0].path)
        else:
            raise UsageError(
                f"cannot publish {os.fspath(path)!r}: it is {_kind_name(status.st_mode)}",
                hint="publish a regular file or a folder",
            )
    except (FileNotFoundError, NotADirectoryError):
        raise NotFoundError(f"no such file or folder: {os.fspath(path)!r}") from None
    except OSError as error:
        raise disk_error(error, "read", path) from None
    source = Source(root, name, status, found)
    check_publishable(name, source.is_tree, source.mode, source.entries)
    return source


def read_manifest(source: Source, on_progress: ProgressCallback | None) -> Manifest:
    """Read, cut and hash everything that `scan` saw.

    InputChangedError if a file is not as it was, before, while or after it is read.
    """
    params = params_for(source.size_bytes)
    lengths = array("I")
    digests = bytearray()
    told_bytes = 0
    stream = SourceStream(source)
    try:
        for offset_bytes, chunk in cut(stream, params):
            lengths.append(len(chunk))
            digests += digest_of(chunk)
            done_bytes = offset_bytes + len(chunk)
            if on_progress is not None and done_bytes - told_bytes >= _PROGRESS_STEP_BYTES:
                told_bytes = done_bytes
                on_progress(done_bytes, source.size_bytes)
    except OSError as error:
        raise disk_error(error, "read", stream.path) from None
    finally:
        stream.close()
    _check_unchanged(source)
    if on_progress is not None:
        on_progress(source.size_bytes, source.size_bytes)
    return Manifest.build(
        name=source.name,
        is_tree=source.is_tree,
        mode=source.mode,
        entries=source.entries,
        params=params,
        lengths=lengths,
        digests=digests,
    )


class SourceStream:
    """The files of a source, one after the other, each compared with its status around reading.

    A ByteStream for `cut`; the caller must `close` it. InputChangedError; OSErrors pass.
    """

    def __init__(self, source: Source) -> None:
        self._source = source
        self._next_index = 0
        self._fd = -1
        self._left_bytes = 0
        self._folder = ("", -1)
        self.path = source.root

    def readinto(self, buffer: memoryview) -> int:
        """Read on; 0 only at the end of the last file."""
        while self._left_bytes == 0:
            if not self._open_next():
                return 0
        view = memoryview(buffer)[: self._left_bytes]
        count = os.readv(self._fd, [view])
        if count == 0:
            raise _changed(self.path)
        self._left_bytes -= count
        if self._left_bytes == 0:
            self._check_and_close()
        return count

    def close(self) -> None:
        """Close what is open."""
        for fd in (self._fd, self._folder[1]):
            if fd >= 0:
                os.close(fd)
        self._fd, self._folder = -1, ("", -1)

    def _open_next(self) -> bool:
        source = self._source
        while self._next_index < len(source.entries):
            entry = source.entries[self._next_index]
            if entry.kind == "file" and entry.size_bytes:
                break
            self._next_index += 1
        else:
            return False
        flags = os.O_RDONLY | OPEN_SAFELY
        try:
            if source.is_tree:
                self.path = f"{source.root}/{entry.path}"
                folder, _, name = entry.path.rpartition("/")
                self._fd = os.open(name, flags, dir_fd=self._folder_fd(folder))
            else:
                self._fd = os.open(source.root, flags)
        except (FileNotFoundError, NotADirectoryError):
            raise _changed(self.path) from None
        if _identity(os.fstat(self._fd)) != _identity(source.statuses[self._next_index]):
            raise _changed(self.path)
        os.posix_fadvise(self._fd, 0, 0, os.POSIX_FADV_SEQUENTIAL)
        self._left_bytes = entry.size_bytes
        return True

    def _check_and_close(self) -> None:
        status = os.fstat(self._fd)
        os.close(self._fd)
        self._fd = -1
        if _identity(status) != _identity(self._source.statuses[self._next_index]):
            raise _changed(self.path)
        self._next_index += 1

    def _folder_fd(self, folder: str) -> int:
        """The folder of the file to open; the last one is kept, entries come sorted."""
        if self._folder[1] < 0 or self._folder[0] != folder:
            if self._folder[1] >= 0:
                os.close(self._folder[1])
                self._folder = ("", -1)
            fd = os.open(self._source.root, OPEN_FOLDER)
            for component in folder.split("/") if folder else ():
                try:
                    below = os.open(component, OPEN_FOLDER, dir_fd=fd)
                finally:
                    os.close(fd)
                fd = below
            self._folder = (folder, fd)
        return self._folder[1]


def _walk(root: str) -> Iterator[tuple[Entry, os.stat_result]]:
    """All entries below a folder, in any order."""
    count = 0
    for folder, folder_names, file_names, folder_fd in os.fwalk(root, onerror=_raise):
        inside = "" if folder == root else folder[len(root.rstrip("/")) + 1 :] + "/"
        for name in folder_names + file_names:
            count += 1
            if count > ENTRIES_MAX:
                raise UsageError(
                    f"cannot publish {root!r}: more than {ENTRIES_MAX} files",
                    hint="publish an archive of them, or parts",
                )
            yield _entry(root, inside + name, name, folder_fd)
        too_deep = inside.count("/") >= paths.DEPTH_MAX
        if too_deep and folder_names:
            folder_names.clear()  # the entries above are already refused by their depth


def _entry(root: str, path: str, name: str, folder_fd: int) -> tuple[Entry, os.stat_result]:
    status = os.stat(name, dir_fd=folder_fd, follow_symlinks=False)
    mode = status.st_mode & MODE_MASK
    if stat.S_ISREG(status.st_mode):
        return Entry(path, "file", mode, status.st_size), status
    if stat.S_ISDIR(status.st_mode):
        return Entry(path, "dir", mode), status
    if stat.S_ISLNK(status.st_mode):
        return Entry(path, "link", MODE_MASK, 0, os.readlink(name, dir_fd=folder_fd)), status
    raise UsageError(
        f"cannot publish {root!r}: {path!r} in it is {_kind_name(status.st_mode)}",
        hint="remove it, or publish a folder without it",
    )


def _check_unchanged(source: Source) -> None:
    """Compare all once more: a file read first may have changed while the last was read."""
    for entry, status in zip(source.entries, source.statuses, strict=True):
        path = f"{source.root}/{entry.path}" if source.is_tree else source.root
        try:
            now = os.lstat(path)
        except OSError:
            raise _changed(path) from None
        same = _identity(now) == _identity(status)
        if entry.kind == "dir":
            same = now.st_ino == status.st_ino and now.st_mtime_ns == status.st_mtime_ns
        if not same:
            raise _changed(path)


def _identity(status: os.stat_result) -> tuple[int, int, int, int]:
    return status.st_size, status.st_mtime_ns, status.st_ino, status.st_ctime_ns


def _changed(path: str) -> CallerError:
    return InputChangedError(
        f"{path!r} changed while it was read", hint="publish it when nobody writes to it"
    )


def _kind_name(mode: int) -> str:
    if stat.S_ISFIFO(mode):
        return "a FIFO"
    if stat.S_ISSOCK(mode):
        return "a socket"
    return "a device" if stat.S_ISCHR(mode) or stat.S_ISBLK(mode) else "no regular file"


def _raise(error: OSError) -> None:
    raise error

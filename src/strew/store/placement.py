"""Where an artifact's bytes lie: one file, or a folder whose files are the content in order.

A placement knows its root and opens what is below it, one folder at a time and never through a
link. It neither verifies nor remembers what is there.
"""

import itertools
import os
import stat
import threading
from array import array
from collections.abc import Callable

from strew.content.manifest import Manifest
from strew.store.folders import OPEN_FOLDER, OPEN_SAFELY, folder_of, open_below
from strew.store.pool import FilePool, OpenFile

_owners = itertools.count()

_READ = os.O_RDONLY | OPEN_SAFELY
_WRITE = os.O_RDWR | OPEN_SAFELY

SIGNATURE_WORDS = 3
"""Words per entry in an array of signatures: mtime in ns, inode, size in bytes."""

_WORD = (1 << 64) - 1  # times before 1970 are negative


class Placement:
    """Reads and writes ranges of an artifact's content. OSErrors pass to the caller.

    `root` is the absolute path of the file or folder, without links. Open descriptors outlive a
    `move`.
    """

    __slots__ = ("_moving", "_owner", "_pool", "is_tree", "root")

    def __init__(self, pool: FilePool, root: str, is_tree: bool) -> None:
        self._pool = pool
        self._owner = next(_owners)
        self._moving = threading.Lock()
        self.root = root
        self.is_tree = is_tree

    def acquire(self, manifest: Manifest, entry_index: int, *, writing: bool = False) -> OpenFile:
        """Open a regular file of the manifest; must be given back with `release`."""
        return self._pool.acquire(
            self._owner,
            (entry_index, writing),
            lambda: self._open(manifest.entries[entry_index].path, _WRITE if writing else _READ),
        )

    def release(self, file: OpenFile) -> None:
        """Give a file of `acquire` back."""
        self._pool.release(file)

    def close_files(self) -> None:
        """Close what is open here, at the latest when its users are done."""
        self._pool.forget(self._owner)

    def move(self, rename: Callable[[], None], root: str) -> None:
        """Do a rename of the root such that nobody looks for a file under the wrong name."""
        with self._moving:
            rename()
            self.root = root

    def write(self, manifest: Manifest, offset_bytes: int, data: memoryview) -> None:
        """Write a range of the content, wherever it lies."""
        position = 0
        for span in manifest.spans_of(offset_bytes, len(data)):
            entry_index, inside_bytes, length_bytes = span
            file = self.acquire(manifest, entry_index, writing=True)
            try:
                _write_all(file.fd, data[position : position + length_bytes], inside_bytes)
                self._pool.wrote(file, length_bytes)
            finally:
                self._pool.release(file)
            position += length_bytes

    def read_into(self, manifest: Manifest, index: int, buffer: memoryview) -> bool:
        """Read a chunk into the buffer's start; False if a file ends before it should."""
        position = 0
        for entry_index, inside_bytes, length_bytes in manifest.spans(index):
            file = self.acquire(manifest, entry_index)
            try:
                piece = buffer[position : position + length_bytes]
                if not _read_all(file.fd, piece, inside_bytes):
                    return False
            finally:
                self._pool.release(file)
            position += length_bytes
        return True

    def stat(self, path: str) -> os.stat_result:
        """lstat of an entry's path."""
        if not self.is_tree:
            return self.stat_root()
        folder, _, name = path.rpartition("/")
        parent = self._acquire_folder(folder)
        try:
            return os.stat(name, dir_fd=parent.fd, follow_symlinks=False)
        finally:
            self._pool.release(parent)

    def stat_root(self) -> os.stat_result:
        """lstat of the file or folder itself."""
        with folder_of(self.root) as (folder_fd, name):
            return os.stat(name, dir_fd=folder_fd, follow_symlinks=False)

    def signatures(self, manifest: Manifest) -> "array[int]":
        """What its files look like now, to notice later that somebody wrote to them."""
        words = array("Q", bytes(8 * SIGNATURE_WORDS * len(manifest.entries)))
        for index, entry in enumerate(manifest.entries):
            if entry.kind == "file":
                sign(words, index, self.stat(entry.path))
        return words

    def open_folder(self, path: str) -> int:
        """Descriptor of a folder below the root ('' is the root); the caller must close it."""
        with folder_of(self.root) as (folder_fd, name):
            root_fd = os.open(name, OPEN_FOLDER, dir_fd=folder_fd)
        try:
            return open_below(root_fd, path)
        finally:
            os.close(root_fd)

    def _acquire_folder(self, path: str) -> OpenFile:
        return self._pool.acquire(self._owner, path, lambda: self.open_folder(path))

    def _open(self, path: str, flags: int) -> int:
        with self._moving:
            if not self.is_tree:
                with folder_of(self.root) as (folder_fd, name):
                    return _checked(os.open(name, flags, dir_fd=folder_fd))
            folder, _, name = path.rpartition("/")
            parent = self._acquire_folder(folder)
            try:
                return _checked(os.open(name, flags, dir_fd=parent.fd))
            finally:
                self._pool.release(parent)


def sign(words: "array[int]", entry_index: int, status: os.stat_result) -> None:
    """Note a file's signature."""
    start = entry_index * SIGNATURE_WORDS
    words[start] = status.st_mtime_ns & _WORD
    words[start + 1] = status.st_ino
    words[start + 2] = status.st_size


def unsign(words: "array[int]", entry_index: int) -> None:
    """Make a file look changed."""
    start = entry_index * SIGNATURE_WORDS
    words[start : start + SIGNATURE_WORDS] = array("Q", bytes(8 * SIGNATURE_WORDS))


def is_signed(words: "array[int]", entry_index: int, status: os.stat_result) -> bool:
    """Whether a file still looks as it did when it was signed."""
    start = entry_index * SIGNATURE_WORDS
    return (
        words[start] == status.st_mtime_ns & _WORD
        and words[start + 1] == status.st_ino
        and words[start + 2] == status.st_size
    )


def _checked(fd: int) -> int:
    if not stat.S_ISREG(os.fstat(fd).st_mode):
        os.close(fd)
        raise FileNotFoundError(2, "not a regular file")
    return fd


def _write_all(fd: int, data: memoryview, offset_bytes: int) -> None:
    written = os.pwrite(fd, data, offset_bytes)
    while written < len(data):  # a signal or a nearly full disk
        written += os.pwrite(fd, data[written:], offset_bytes + written)


def _read_all(fd: int, buffer: memoryview, offset_bytes: int) -> bool:
    done = 0
    while done < len(buffer):
        count = os.preadv(fd, [buffer[done:]], offset_bytes + done)
        if count == 0:
            return False
        done += count
    return True

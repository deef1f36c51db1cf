"""What a download claims to have written: one byte a chunk, in a small file beside the `.part`.

A chunk's byte is written after its data, so a process killed at any instant loses at most the
chunks in flight. It is a claim, not a proof: whoever resumes hashes what it names. After a power
loss it may claim too much, which the same hashing finds.

Form: 8 bytes inode of the `.part` it speaks of (little-endian), then one byte per chunk, 1 if
written. The inode tells a `.part` from the old version that an interrupted swap left there.
"""

import contextlib
import errno
import os
import stat
import threading

from strew.store.folders import OPEN_SAFELY

_HEADER_BYTES = 8
_NOT_OURS = (errno.ENOENT, errno.ELOOP, errno.EISDIR, errno.EACCES, errno.ENXIO)
"""What opening answers when there is nothing, or not a file that we made."""

_ONE = b"\x01"
_ZERO = b"\x00"


class Claims:
    """The open claims file of one download; thread-safe. OSErrors pass to the caller."""

    __slots__ = ("_fd", "_lock")

    def __init__(self, fd: int) -> None:
        self._fd = fd
        # Not for order: so that nobody writes to a descriptor that `close` has given back.
        self._lock = threading.Lock()

    @classmethod
    def create(cls, folder_fd: int, name: str, part_inode: int, chunk_count: int) -> "Claims":
        """Start anew, claiming nothing, in a file of its own: what bore the name goes."""
        with contextlib.suppress(FileNotFoundError):
            os.unlink(name, dir_fd=folder_fd)
        flags = os.O_RDWR | os.O_CREAT | os.O_EXCL | OPEN_SAFELY
        fd = os.open(name, flags, 0o600, dir_fd=folder_fd)
        try:
            os.pwrite(fd, part_inode.to_bytes(_HEADER_BYTES, "little"), 0)
            os.ftruncate(fd, _HEADER_BYTES + chunk_count)
        except OSError:
            os.close(fd)
            raise
        return cls(fd)

    @classmethod
    def load(
        cls, folder_fd: int, name: str, part_inode: int, chunk_count: int
    ) -> "tuple[Claims, bytes] | None":
        """Open and read what is claimed (a byte a chunk); None if it speaks of something else, or
        is no file of our own."""
        try:
            fd = os.open(name, os.O_RDWR | OPEN_SAFELY, dir_fd=folder_fd)
        except OSError as error:
            if error.errno not in _NOT_OURS:
                raise
            return None
        try:
            status = os.fstat(fd)
            content = b""
            if stat.S_ISREG(status.st_mode) and status.st_nlink == 1:
                content = os.pread(fd, _HEADER_BYTES + chunk_count + 1, 0)
        except OSError:
            os.close(fd)
            raise
        if (
            len(content) != _HEADER_BYTES + chunk_count
            or int.from_bytes(content[:_HEADER_BYTES], "little") != part_inode
            or status.st_uid != os.geteuid()
        ):
            os.close(fd)
            return None
        return cls(fd), content[_HEADER_BYTES:]

    def claim(self, index: int) -> None:
        """Note that a chunk's data has been written."""
        self._write(index, _ONE)

    def withdraw(self, index: int) -> None:
        """Note that a chunk is not there after all."""
        self._write(index, _ZERO)

    def close(self) -> None:
        """Close, leaving the file for a later resume; notes are lost from then on."""
        with self._lock:
            if self._fd >= 0:
                os.close(self._fd)
                self._fd = -1

    def _write(self, index: int, value: bytes) -> None:
        with self._lock:
            if self._fd >= 0:
                os.pwrite(self._fd, value, _HEADER_BYTES + index)

    @staticmethod
    def count(path: str) -> int:
        """How many chunks a claims file names; 0 if there is none."""
        try:
            with open(path, "rb") as file:
                return file.read()[_HEADER_BYTES:].count(_ONE)
        except OSError:
            return 0

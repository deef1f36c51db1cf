"""Open files, few at a time: a tree has ten thousand, a process may hold a thousand."""

import errno
import os
import resource
import threading
from collections import OrderedDict
from collections.abc import Callable, Hashable

from strew.store.writeback import STEP_BYTES, Writeback

OPEN_FILES_MAX = 64
"""Kept open beyond their use. Enough for the files that chunks in flight lie in; a larger number
would take descriptors from connections (a node allows 512)."""

_SHARE_OF_LIMIT = 8
"""At most this part (an eighth) of the process's limit of descriptors, should that be small."""


class OpenFile:
    """A descriptor with a count of its users."""

    __slots__ = ("doomed", "fd", "key", "unwritten_bytes", "users")

    def __init__(self, key: tuple[int, Hashable], fd: int) -> None:
        self.key = key
        self.fd = fd
        self.users = 1
        self.doomed = False
        self.unwritten_bytes = 0
        """Written to the file since the kernel was last told to start."""


class FilePool:
    """Least recently used descriptors by (owner, key); thread-safe.

    Every `acquire` must be followed by one `release`. Files in use are never closed, so with many
    users at once the pool may exceed its size for that long.
    """

    def __init__(self, size: int | None = None) -> None:
        if size is None:
            soft_limit = resource.getrlimit(resource.RLIMIT_NOFILE)[0]
            size = max(4, min(OPEN_FILES_MAX, soft_limit // _SHARE_OF_LIMIT))
        self.size = size
        self._files: OrderedDict[tuple[int, Hashable], OpenFile] = OrderedDict()
        self._lock = threading.Lock()
        self._writeback = Writeback()

    def acquire(self, owner: int, key: Hashable, open_file: Callable[[], int]) -> OpenFile:
        """The file of that key, opened with `open_file` if it is not open. OSError passes."""
        full_key = (owner, key)
        with self._lock:
            file = self._files.get(full_key)
            if file is not None:
                file.users += 1
                self._files.move_to_end(full_key)
                return file
        try:
            fd = open_file()
        except OSError as error:
            if error.errno != errno.EMFILE:
                raise
            self._shrink(0)
            fd = open_file()
        with self._lock:
            file = self._files.get(full_key)
            if file is not None:  # another thread was faster
                file.users += 1
                os.close(fd)
                return file
            file = self._files[full_key] = OpenFile(full_key, fd)
            crowded = len(self._files) > self.size
        if crowded:
            self._shrink(self.size)
        return file

    def release(self, file: OpenFile) -> None:
        """Give a file back; it stays open for the next user unless it was forgotten."""
        with self._lock:
            file.users -= 1
            assert file.users >= 0, file.key
            if file.doomed and file.users == 0:
                os.close(file.fd)

    def wrote(self, file: OpenFile, length_bytes: int) -> None:
        """Count what was written to a file in use; now and then the kernel is told to start."""
        file.unwritten_bytes += length_bytes
        if file.unwritten_bytes >= STEP_BYTES:
            file.unwritten_bytes = 0
            self._writeback.start(file.fd)

    def forget(self, owner: int) -> None:
        """Close an owner's files; those in use when their last user releases them."""
        with self._lock:
            for key in [key for key in self._files if key[0] == owner]:
                self._dismiss(self._files.pop(key))

    def close(self) -> None:
        """Forget everything."""
        self._writeback.close()
        with self._lock:
            while self._files:
                self._dismiss(self._files.popitem()[1])

    def __len__(self) -> int:
        return len(self._files)

    def _shrink(self, size: int) -> None:
        with self._lock:
            surplus = len(self._files) - size
            idle = [file for file in self._files.values() if file.users == 0]
            for file in idle[: max(0, surplus)]:
                del self._files[file.key]
                self._dismiss(file)

    @staticmethod
    def _dismiss(file: OpenFile) -> None:
        file.doomed = True
        if file.users == 0:
            os.close(file.fd)

"""A chunk's place in open files, for sendfile."""

import os

from strew.store.placement import Placement
from strew.store.pool import OpenFile
from strew.store.posix import disk_error


class FileReader:
    """Open files of one chunk; see ChunkReader."""

    __slots__ = ("_files", "_memory_fd", "_placement", "spans")

    def __init__(self, placement: Placement | None) -> None:
        self.spans: list[tuple[int, int, int]] = []
        self._placement = placement
        self._files: list[OpenFile] = []
        self._memory_fd = -1

    @classmethod
    def of_bytes(cls, data: bytes) -> "FileReader":
        """A reader over an anonymous file in memory."""
        reader = cls(None)
        reader._memory_fd = os.memfd_create("strew-chunk", os.MFD_CLOEXEC)
        reader.spans.append((reader._memory_fd, 0, len(data)))
        try:
            os.write(reader._memory_fd, data)
        except OSError as error:
            reader.close()
            raise disk_error(error, "copy", "a chunk to memory") from None
        return reader

    def add(self, file: OpenFile, offset_bytes: int, length_bytes: int) -> None:
        """Take over one open file."""
        self._files.append(file)
        self.spans.append((file.fd, offset_bytes, length_bytes))

    def close(self) -> None:
        """Give all descriptors back; more than once is fine."""
        files, self._files = self._files, []
        for file in files:
            assert self._placement is not None
            self._placement.release(file)
        if self._memory_fd >= 0:
            os.close(self._memory_fd)
            self._memory_fd = -1

    def __enter__(self) -> "FileReader":
        return self

    def __exit__(self, *exc: object) -> None:
        self.close()

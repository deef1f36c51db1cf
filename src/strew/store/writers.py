"""Chunks arriving in slices: into their place, or into a spare file when the place is taken."""

import os
import tempfile
import threading
from typing import TYPE_CHECKING

from blake3 import blake3

from strew.content.digest import ArtifactId
from strew.content.manifest import Manifest
from strew.errors import IntegrityError
from strew.store.posix import disk_error

if TYPE_CHECKING:
    from strew.store.copy import LocalCopy


class PlaceWriter:
    """Streams a chunk straight into its place. See ChunkWriter."""

    def __init__(self, copy: "LocalCopy", manifest: Manifest, index: int) -> None:
        self._copy = copy
        self._manifest = manifest
        self._index = index
        self._offset_bytes = manifest.offset(index)
        self._left_bytes = manifest.lengths[index]
        self._hash = blake3()
        self._lock = threading.Lock()
        self._superseded = False
        self._ended = False

    def write(self, data: bytes | bytearray | memoryview) -> None:
        """See ChunkWriter; a superseded writer swallows what still comes."""
        with self._lock:
            if self._superseded or self._ended:
                return
            if len(data) > self._left_bytes:
                self._end(verified=False)
                raise wrong_bytes(self._copy.artifact, self._index)
            self._hash.update(data)
            try:
                self._copy.write(self._manifest, self._offset_bytes, memoryview(data))
            except OSError as error:
                self._end(verified=False)
                raise self._copy.write_error(error) from None
            self._offset_bytes += len(data)
            self._left_bytes -= len(data)

    def commit(self) -> bool:
        """See ChunkWriter."""
        with self._lock:
            if self._superseded or self._ended:
                return False
            right = self._left_bytes == 0 and self._hash.digest() == self._manifest.digest(
                self._index
            )
            had_it_first = self._end(verified=right)
            if not right:
                raise wrong_bytes(self._copy.artifact, self._index)
            return had_it_first

    def abort(self) -> None:
        """See ChunkWriter."""
        with self._lock:
            if not self._ended:
                self._end(verified=False)

    def supersede(self) -> None:
        """Stop for good: when this returns, no byte of this writer can reach the disk any more."""
        with self._lock:
            self._superseded = True

    def _end(self, *, verified: bool) -> bool:
        self._ended = True
        return self._copy.end_writer(self._index, self, verified=verified)


class SpareWriter:
    """Streams into an anonymous file, because the place is taken; copies on commit."""

    def __init__(
        self, copy: "LocalCopy", manifest: Manifest, index: int, spare_folder: str
    ) -> None:
        self._copy = copy
        self._index = index
        self._size_bytes = manifest.lengths[index]
        self._done_bytes = 0
        self._spare_folder = spare_folder
        try:
            # Closed by `commit` or `abort`, not by a block.
            self._file = tempfile.TemporaryFile(buffering=0, dir=spare_folder)  # noqa: SIM115
        except OSError as error:
            raise disk_error(error, "make a temporary file in", spare_folder) from None

    def write(self, data: bytes | bytearray | memoryview) -> None:
        """See ChunkWriter."""
        if self._file.closed:
            return
        if self._done_bytes + len(data) > self._size_bytes:
            self.abort()
            raise wrong_bytes(self._copy.artifact, self._index)
        try:
            written = 0
            while written < len(data):
                written += os.pwrite(
                    self._file.fileno(), memoryview(data)[written:], self._done_bytes + written
                )
        except OSError as error:
            self.abort()
            raise disk_error(error, "write", self._spare_folder) from None
        self._done_bytes += len(data)

    def commit(self) -> bool:
        """See ChunkWriter; the digest is compared by `put`."""
        if self._file.closed:
            return False
        try:
            data = os.pread(self._file.fileno(), self._size_bytes, 0)
        except OSError as error:
            raise disk_error(error, "read", self._spare_folder) from None
        finally:
            self.abort()
        return self._copy.put(self._index, data)

    def abort(self) -> None:
        """See ChunkWriter."""
        self._file.close()


def wrong_bytes(artifact: ArtifactId, index: int) -> IntegrityError:
    """What a sender of a bad chunk is refused with."""
    return IntegrityError(
        f"chunk {index} of {artifact} does not match its digest", hint="take it from another node"
    )

"""The ChunkStore in memory: for tests, simulations of many nodes, and `get -o -`.

An artifact's content lies in one anonymous file (memfd), so that sendfile works as from disk. There
is no target: `finish` returns a path under /proc through which this process can read the content.
"""

import os
import threading
import time
from collections.abc import Callable
from pathlib import Path

from strew.content.bitfield import Bitfield
from strew.content.digest import ArtifactId, digest_of
from strew.content.manifest import Manifest
from strew.errors import DiskError, NotFoundError, UsageError
from strew.store.ingest import SourceStream, read_manifest, scan
from strew.store.posix import disk_error
from strew.store.store import ChunkWriter, Kind, ProgressCallback, StoredArtifact
from strew.store.writers import wrong_bytes


class MemoryStore:
    """See ChunkStore. Everything is held; nothing survives `close`."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._copies: dict[ArtifactId, _MemoryCopy] = {}

    def ingest(
        self, path: Path, *, name: str | None = None, on_progress: ProgressCallback | None = None
    ) -> Manifest:
        """See ChunkStore.ingest; the content is copied, later changes of the file do not matter."""
        source = scan(path, name)
        manifest = read_manifest(source, on_progress)
        copy = self._make(manifest, "held")
        stream = SourceStream(source)
        try:
            for index in range(manifest.chunk_count):
                copy.put(index, _read_exactly(stream, manifest.length(index)))
        except OSError as error:
            raise disk_error(error, "read", stream.path) from None
        finally:
            stream.close()
        copy.finished = copy.pinned = True
        return manifest

    def begin(self, manifest: Manifest, target: Path | None, *, replace: bool = True) -> Bitfield:
        """See ChunkStore.begin; `target` is ignored."""
        return self._make(manifest, "held").have.copy()

    def reuse(self, artifact: ArtifactId, on_chunk: Callable[[int], None]) -> int:
        """See ChunkStore.reuse."""
        copy = self._copy(artifact)
        wanted: dict[bytes, list[int]] = {}
        for index in copy.have.missing():
            wanted.setdefault(copy.manifest.digest(index), []).append(index)
        filled_bytes = 0
        for source in list(self._copies.values()):
            if not source.finished:
                continue
            for source_index in source.have:
                for index in wanted.pop(source.manifest.digest(source_index), ()):
                    if copy.put(index, source.read(source_index)):
                        filled_bytes += copy.manifest.length(index)
                        on_chunk(index)
        return filled_bytes

    def put(self, artifact: ArtifactId, index: int, data: bytes | bytearray | memoryview) -> bool:
        """See ChunkStore.put."""
        return self._copy(artifact).put(index, data)

    def open_writer(self, artifact: ArtifactId, index: int) -> ChunkWriter:
        """See ChunkStore.open_writer."""
        return _MemoryWriter(self._copy(artifact), index)

    def reader(self, artifact: ArtifactId, index: int) -> "_MemoryReader":
        """See ChunkStore.reader."""
        copy = self._copy(artifact)
        copy.require(index)
        return _MemoryReader(os.dup(copy.fd), copy.manifest.offset(index), copy.manifest, index)

    def read(self, artifact: ArtifactId, index: int) -> bytes:
        """See ChunkStore.read."""
        return self._copy(artifact).read(index)

    def recheck(self, artifact: ArtifactId, index: int) -> bool:
        """See ChunkStore.recheck."""
        return self._copy(artifact).recheck(index)

    def finish(self, artifact: ArtifactId) -> Path:
        """See ChunkStore.finish."""
        copy = self._copy(artifact)
        if not copy.have.complete:
            missing = copy.have.size - copy.have.count
            raise UsageError(
                f"{artifact} is not complete: {missing} chunks are missing",
                hint="fetch them first",
            )
        copy.finished = True
        return Path(f"/proc/self/fd/{copy.fd}")

    def abandon(self, artifact: ArtifactId) -> None:
        """See ChunkStore.abandon."""
        if not self._copy(artifact).finished:
            self.drop(artifact)

    def manifest(self, artifact: ArtifactId) -> Manifest:
        """See ChunkStore.manifest."""
        return self._copy(artifact).manifest

    def bitfield(self, artifact: ArtifactId) -> Bitfield:
        """See ChunkStore.bitfield."""
        return self._copy(artifact).have.copy()

    def write_seconds(self, artifact: ArtifactId) -> float:
        """See ChunkStore.write_seconds."""
        return self._copy(artifact).write_s

    def artifacts(self) -> list[StoredArtifact]:
        """See ChunkStore.artifacts."""
        return [copy.stored() for copy in list(self._copies.values())]

    def path_of(self, artifact: ArtifactId) -> Path | None:
        """See ChunkStore.path_of: never anywhere."""
        self._copy(artifact)
        return None

    def verify(
        self, artifact: ArtifactId, on_progress: ProgressCallback | None = None
    ) -> list[int]:
        """See ChunkStore.verify."""
        copy = self._copy(artifact)
        done_bytes = 0
        for index in copy.have:
            copy.recheck(index)
            done_bytes += copy.manifest.length(index)
            if on_progress is not None:
                on_progress(done_bytes, copy.manifest.size_bytes)
        return list(copy.have.missing())

    def discrepancies(self, artifact: ArtifactId) -> list[str]:
        """See ChunkStore.discrepancies: there are no modes and links in memory."""
        self._copy(artifact)
        return []

    def repair_begin(self, artifact: ArtifactId) -> Bitfield:
        """See ChunkStore.repair_begin."""
        return self.bitfield(artifact)

    def pin(self, artifact: ArtifactId) -> None:
        """See ChunkStore.pin."""
        self._copy(artifact).pinned = True

    def unpin(self, artifact: ArtifactId) -> None:
        """See ChunkStore.unpin."""
        self._copy(artifact).pinned = False

    def drop(self, artifact: ArtifactId) -> None:
        """See ChunkStore.drop."""
        with self._lock:
            copy = self._copies.pop(artifact, None)
        if copy is None:
            raise _unknown(artifact)
        os.close(copy.fd)

    def gc(self, *, limit_bytes: int | None, dry_run: bool) -> list[StoredArtifact]:
        """See ChunkStore.gc."""
        kept = [copy.stored() for copy in list(self._copies.values())]
        if limit_bytes is None:
            return []
        held_bytes = sum(stored.size_bytes for stored in kept)
        going = []
        for stored in kept:
            if held_bytes <= limit_bytes:
                break
            if not stored.pinned and self._copy(stored.artifact).finished:
                going.append(stored)
                held_bytes -= stored.size_bytes
        if not dry_run:
            for stored in going:
                self.drop(stored.artifact)
        return going

    def close(self) -> None:
        """See ChunkStore.close."""
        for artifact in list(self._copies):
            self.drop(artifact)

    def _make(self, manifest: Manifest, kind: Kind) -> "_MemoryCopy":
        with self._lock:
            copy = self._copies.get(manifest.id)
            if copy is None:
                copy = self._copies[manifest.id] = _MemoryCopy(manifest, kind)
            return copy

    def _copy(self, artifact: ArtifactId) -> "_MemoryCopy":
        copy = self._copies.get(artifact)
        if copy is None:
            raise _unknown(artifact)
        return copy


class _MemoryCopy:
    def __init__(self, manifest: Manifest, kind: Kind) -> None:
        self.manifest = manifest
        self.kind: Kind = kind
        self.have = Bitfield(manifest.chunk_count)
        self.finished = False
        self.pinned = False
        self.write_s = 0.0
        self.added_unix_s = time.time()
        self.lock = threading.Lock()
        self.fd = os.memfd_create("strew-artifact", os.MFD_CLOEXEC)
        os.ftruncate(self.fd, manifest.size_bytes)

    def put(self, index: int, data: bytes | bytearray | memoryview) -> bool:
        manifest = self.manifest
        if not 0 <= index < manifest.chunk_count:
            raise NotFoundError(f"{manifest.id} has no chunk {index}")
        if index in self.have:
            return False
        if len(data) != manifest.length(index) or digest_of(data) != manifest.digest(index):
            raise wrong_bytes(manifest.id, index)
        written = 0
        began_s = time.perf_counter()
        try:
            while written < len(data):
                offset_bytes = manifest.offset(index) + written
                written += os.pwrite(self.fd, memoryview(data)[written:], offset_bytes)
        except OSError as error:
            raise disk_error(error, "write", "memory") from None
        finally:
            self.write_s += time.perf_counter() - began_s
        with self.lock:
            return self.have.add(index)

    def require(self, index: int) -> None:
        if index not in self.have:
            raise NotFoundError(f"chunk {index} of {self.manifest.id} is not here")

    def read(self, index: int) -> bytes:
        self.require(index)
        return os.pread(self.fd, self.manifest.length(index), self.manifest.offset(index))

    def recheck(self, index: int) -> bool:
        if index not in self.have:
            return False
        if digest_of(self.read(index)) == self.manifest.digest(index):
            return True
        with self.lock:
            self.have.discard(index)
        return False

    def stored(self) -> StoredArtifact:
        return StoredArtifact(
            artifact=self.manifest.id,
            name=self.manifest.name,
            is_tree=self.manifest.is_tree,
            size_bytes=self.manifest.size_bytes,
            chunk_count=self.manifest.chunk_count,
            have_chunks=self.have.count,
            state="complete" if self.finished else "partial",
            kind=self.kind,
            path=None,
            pinned=self.pinned,
            added_unix_s=self.added_unix_s,
        )


class _MemoryReader:
    def __init__(self, fd: int, offset_bytes: int, manifest: Manifest, index: int) -> None:
        self._fd = fd
        self.spans = [(fd, offset_bytes, manifest.length(index))]

    def close(self) -> None:
        if self._fd >= 0:
            os.close(self._fd)
            self._fd = -1

    def __enter__(self) -> "_MemoryReader":
        return self

    def __exit__(self, *exc: object) -> None:
        self.close()


class _MemoryWriter:
    def __init__(self, copy: _MemoryCopy, index: int) -> None:
        if not 0 <= index < copy.manifest.chunk_count:
            raise NotFoundError(f"{copy.manifest.id} has no chunk {index}")
        self._copy = copy
        self._index = index
        self._data: bytearray | None = bytearray()

    def write(self, data: bytes | bytearray | memoryview) -> None:
        if self._data is None:
            return
        if len(self._data) + len(data) > self._copy.manifest.length(self._index):
            self._data = None
            raise wrong_bytes(self._copy.manifest.id, self._index)
        self._data += data

    def commit(self) -> bool:
        data, self._data = self._data, None
        return data is not None and self._copy.put(self._index, data)

    def abort(self) -> None:
        self._data = None


def _read_exactly(stream: SourceStream, length_bytes: int) -> bytearray:
    buffer = bytearray(length_bytes)
    done = 0
    while done < length_bytes:
        count = stream.readinto(memoryview(buffer)[done:])
        if count == 0:
            raise DiskError(f"{stream.path!r} ended early")
        done += count
    return buffer


def _unknown(artifact: ArtifactId) -> NotFoundError:
    return NotFoundError(f"{artifact} is not in the store")

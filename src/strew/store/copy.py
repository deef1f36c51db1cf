"""One artifact's local copy: what of it is had, and the only ways to add, read and lose a chunk.

Theory of operation. A copy is `partial` (bytes go into a `.part`), `complete` (the finished file or
folder; nothing writes), or `repairing` (finished, some chunks lost, whole verified chunks may be
written in place). `have` only ever names chunks whose bytes were verified and written.

At most one writer streams a chunk into its place (`_writers`). Whole verified chunks may come at
any time: they mark the place (None), tell that writer to stop, write, and have it. So no unverified
byte can land on a verified one.

A complete copy lies where others may write to it. Its files are signed (mtime, inode, size), and a
file whose signature changed has its chunks hashed again before any of them is sent.
"""

import errno
import os
import threading
import time
from array import array
from collections.abc import Callable, Iterable, Iterator
from typing import Literal

from strew.content.bitfield import Bitfield
from strew.content.digest import ArtifactId, digest_of
from strew.content.manifest import Manifest, Span
from strew.errors import DiskError, NotFoundError, UsageError
from strew.store.claims import Claims
from strew.store.placement import Placement, is_signed, sign, unsign
from strew.store.posix import disk_error, free_bytes_at, is_no_room, no_room_error
from strew.store.reader import FileReader
from strew.store.store import ChunkWriter, Kind
from strew.store.writers import PlaceWriter, SpareWriter, wrong_bytes

Phase = Literal["partial", "complete", "repairing"]

SPANS_MAX = 8
"""A chunk in more files than this is sent from memory: one of 64 KiB may span hundreds of small
files, and each span costs a descriptor and a sendfile call."""

_READER_TRIES = 3
"""A file that goes on changing while its chunk is checked is not worth a fourth look."""

_GONE = (errno.ENOENT, errno.ENOTDIR, errno.ELOOP, errno.EACCES, errno.EISDIR, errno.ESTALE)
"""What opening answers when somebody removed or replaced a file; other errors are the disk's."""


class LocalCopy:
    """See the module's text. `root` is the finished place; `placement.root` where bytes lie now."""

    def __init__(
        self,
        artifact: ArtifactId,
        load_manifest: Callable[[ArtifactId], Manifest],
        placement: Placement,
        *,
        root: str,
        kind: Kind,
        phase: Phase,
        have: Bitfield,
        claims: Claims | None = None,
        signatures: "array[int] | None" = None,
        save_marks: Callable[["LocalCopy"], None],
    ) -> None:
        self.artifact = artifact
        self.placement = placement
        self.root = root
        self.kind: Kind = kind
        self.phase: Phase = phase
        self.have = have
        self.claims = claims
        self.signatures = signatures
        self.lock = threading.Lock()
        self.pending_root: str | None = None
        self.former: LocalCopy | None = None
        self.untold: Literal["", "fetched", "mended"] = ""
        """How it came to its place, while the index was not told of that yet."""
        self.unsure = Bitfield(have.size)
        self.write_s = 0.0
        """What writing its chunks took so far, in this process."""
        self._writers: dict[int, PlaceWriter | None] = {}
        self._load_manifest = load_manifest
        self._save_marks = save_marks
        # Needed for every chunk written; but of complete copies there may be hundreds.
        self._manifest = load_manifest(artifact) if phase == "partial" else None

    @property
    def manifest(self) -> Manifest:
        """Its manifest, kept in memory only while chunks are being written."""
        manifest = self._manifest
        return manifest if manifest is not None else self._load_manifest(self.artifact)

    def put(self, index: int, data: bytes | bytearray | memoryview) -> bool:
        """See ChunkStore.put."""
        manifest = self.manifest
        if not 0 <= index < manifest.chunk_count:
            raise NotFoundError(f"{self.artifact} has no chunk {index}")
        if index in self.have:
            return False
        if len(data) != manifest.lengths[index] or digest_of(data) != manifest.digest(index):
            raise wrong_bytes(self.artifact, index)
        return self.put_verified(index, memoryview(data))

    def put_verified(self, index: int, data: memoryview) -> bool:
        """Write a chunk whose digest the caller has just compared."""
        manifest = self.manifest
        while True:
            with self.lock:
                if index in self.have:
                    return False
                if self.phase == "complete":
                    raise UsageError(f"{self.artifact} is complete: it takes no chunks")
                streaming = self._writers.get(index)
                self._writers[index] = None
            if streaming is not None:
                streaming.supersede()
            try:
                self.write(manifest, manifest.offset(index), data)
                if self.claims is not None:
                    self.claims.claim(index)
            except OSError as error:
                with self.lock:
                    self._writers.pop(index, None)
                raise self.write_error(error) from None
            with self.lock:
                # A writer can only be here if another `put` failed and freed the place meanwhile.
                if self._writers.pop(index, None) is None:
                    return self.have.add(index)

    def write(self, manifest: Manifest, offset_bytes: int, data: memoryview) -> None:
        """Write bytes at their place, and count the time. OSError."""
        began_s = time.perf_counter()
        try:
            self.placement.write(manifest, offset_bytes, data)
        finally:
            self.write_s += time.perf_counter() - began_s

    def write_error(self, error: OSError) -> DiskError:
        """Tell why a chunk could not be written; for want of space, with how much is needed."""
        if not is_no_room(error):
            return disk_error(error, "write", self.placement.root)
        lengths = self.manifest.lengths
        need_bytes = sum(lengths[index] for index in self.have.missing())
        root = self.placement.root
        return no_room_error(root, need_bytes, free_bytes_at(os.path.dirname(root)))

    def open_writer(self, index: int, spare_folder: str) -> ChunkWriter:
        """See ChunkStore.open_writer. `spare_folder`: for a second writer's temporary file."""
        manifest = self.manifest
        if not 0 <= index < manifest.chunk_count:
            raise NotFoundError(f"{self.artifact} has no chunk {index}")
        with self.lock:
            if self.phase == "complete" and index not in self.have:
                raise UsageError(f"{self.artifact} is complete: it takes no chunks")
            # A repaired file is visible: what is not verified yet may not be written there.
            if index not in self.have and index not in self._writers and self.phase == "partial":
                writer = self._writers[index] = PlaceWriter(self, manifest, index)
                return writer
        return SpareWriter(self, manifest, index, spare_folder)

    def end_writer(self, index: int, writer: PlaceWriter, *, verified: bool) -> bool:
        """Called by a PlaceWriter when it is done; True if that made the chunk had."""
        if verified and self.claims is not None:
            self.claims.claim(index)
        with self.lock:
            if self._writers.get(index) is writer:
                del self._writers[index]
            return verified and self.have.add(index)

    def reader(self, index: int) -> FileReader:
        """See ChunkStore.reader."""
        manifest = self.manifest
        for _ in range(_READER_TRIES):
            self._require(index)
            if index in self.unsure and not self.recheck(index):
                break
            spans = manifest.spans(index)
            if len(spans) > SPANS_MAX:
                return FileReader.of_bytes(self.read(index))
            reader = FileReader(self.placement)
            if self._open_spans(manifest, spans, reader):
                return reader
            reader.close()
        raise lost_chunk(self.artifact, index)

    def _open_spans(self, manifest: Manifest, spans: list[Span], reader: FileReader) -> bool:
        """Open a chunk's files; False if one is gone or changed (its chunks are lost or unsure)."""
        for entry_index, offset_bytes, length_bytes in spans:
            try:
                file = self.placement.acquire(manifest, entry_index)
            except OSError as error:
                if error.errno not in _GONE:
                    reader.close()
                    raise disk_error(error, "open", self.placement.root) from None
                self._lose_file(manifest, entry_index)
                return False
            reader.add(file, offset_bytes, length_bytes)
            if self.signatures is not None:
                status = os.fstat(file.fd)
                if not is_signed(self.signatures, entry_index, status):
                    self._doubt_file(manifest, entry_index, status)
                    return False
        return True

    def read(self, index: int) -> bytes:
        """See ChunkStore.read. The bytes are verified if they lie where others may write."""
        self._require(index)
        manifest = self.manifest
        buffer = bytearray(manifest.lengths[index])
        if not self._read_chunk(manifest, index, memoryview(buffer)) or (
            self.phase != "partial" and digest_of(buffer) != manifest.digest(index)
        ):
            self.lose([index])
            raise lost_chunk(self.artifact, index)
        return bytes(buffer)

    def recheck(self, index: int) -> bool:
        """See ChunkStore.recheck."""
        return not self.recheck_all([index]) and index in self.have

    def recheck_all(
        self, indexes: Iterable[int], on_progress: Callable[[int], None] | None = None
    ) -> list[int]:
        """Hash chunks anew; those that are wrong are lost and returned. Memory: one chunk."""
        manifest = self.manifest
        wrong = []
        for index, good in self.check(manifest, indexes):
            if not good:
                wrong.append(index)
            elif index in self.unsure:
                with self.lock:
                    self.unsure.discard(index)
            if on_progress is not None:
                on_progress(manifest.lengths[index])
        if wrong:
            self.lose(wrong)
        return wrong

    def check(self, manifest: Manifest, indexes: Iterable[int]) -> Iterator[tuple[int, bool]]:
        """Compare chunks on disk with their digests; changes nothing."""
        buffer = memoryview(bytearray(max(manifest.lengths, default=0)))
        for index in indexes:
            chunk = buffer[: manifest.lengths[index]]
            good = self._read_chunk(manifest, index, chunk)
            yield index, good and digest_of(chunk) == manifest.digest(index)

    def lose(self, indexes: Iterable[int]) -> None:
        """Quarantine: these chunks are no longer had, until they are written again."""
        with self.lock:
            for index in indexes:
                if self.have.discard(index) and self.claims is not None:
                    self.claims.withdraw(index)
                self.unsure.discard(index)
        if self.phase != "partial":
            self._save_marks(self)

    def doubt_changed_files(self) -> list[int]:
        """Hash again all chunks of files that no longer look as signed; returns the lost ones."""
        if self.signatures is None:
            return []
        manifest = self.manifest
        for entry_index, entry in enumerate(manifest.entries):
            if entry.kind != "file":
                continue
            try:
                status = self.placement.stat(entry.path)
            except OSError:
                self._lose_file(manifest, entry_index)
                continue
            if not is_signed(self.signatures, entry_index, status):
                self._doubt_file(manifest, entry_index, status)
        return self.settle()

    def settle(self) -> list[int]:
        """Hash all chunks that are unsure; returns the lost ones."""
        return self.recheck_all(list(self.unsure))

    def signatures_to_save(self) -> bytes:
        """The signatures, but none of a file with unsure chunks: it is to be doubted again."""
        if self.signatures is None:
            return b""
        if not self.unsure:
            return self.signatures.tobytes()
        words = self.signatures[:]
        manifest = self.manifest
        for entry_index, entry in enumerate(manifest.entries):
            if entry.kind == "file" and any(
                index in self.unsure
                for index in manifest.chunks_of(manifest.file_offset(entry_index), entry.size_bytes)
            ):
                unsign(words, entry_index)
        return words.tobytes()

    def _require(self, index: int) -> None:
        if index not in self.have:
            raise NotFoundError(f"chunk {index} of {self.artifact} is not here")

    def _read_chunk(self, manifest: Manifest, index: int, buffer: memoryview) -> bool:
        try:
            return self.placement.read_into(manifest, index, buffer)
        except OSError:  # vanished, became a folder, unreadable sector: not there, in any case
            return False

    def _doubt_file(self, manifest: Manifest, entry_index: int, status: os.stat_result) -> None:
        assert self.signatures is not None
        start = manifest.file_offset(entry_index)
        with self.lock:
            sign(self.signatures, entry_index, status)
            chunks = manifest.chunks_of(start, manifest.entries[entry_index].size_bytes)
            self.unsure.update(index for index in chunks if index in self.have)

    def _lose_file(self, manifest: Manifest, entry_index: int) -> None:
        start = manifest.file_offset(entry_index)
        self.lose(manifest.chunks_of(start, manifest.entries[entry_index].size_bytes))

    def hold_manifest(self, held: bool) -> None:
        """Keep the manifest in memory (while chunks are written), or only when somebody uses it."""
        self._manifest = self._load_manifest(self.artifact) if held else None

    def close(self) -> None:
        """Close its files; a partial one can be resumed."""
        self.placement.close_files()
        if self.claims is not None:
            self.claims.close()
            self.claims = None


def lost_chunk(artifact: ArtifactId, index: int) -> NotFoundError:
    """What a reader of a chunk that rotted on disk hears."""
    return NotFoundError(
        f"chunk {index} of {artifact} was changed on disk", hint="repair it: strew verify --repair"
    )

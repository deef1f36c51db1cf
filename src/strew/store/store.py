"""The ChunkStore port: what every backend promises.

*Have* means: digest checked and stored. Nothing is have before both, and what is have is never
overwritten. All methods may be called from any thread; they block on the disk and on hashing, so
callers with an event loop decide what to run in a thread (`put` of a small chunk is cheaper than
the hop).
"""

from collections.abc import Callable
from pathlib import Path
from typing import Literal, Protocol

import msgspec

from strew.content.bitfield import Bitfield
from strew.content.digest import ArtifactId
from strew.content.manifest import Manifest

State = Literal["partial", "complete"]

Kind = Literal["held", "installed", "external"]
"""Where the bytes lie: in the store's own folder, at a target that the store put in place, or
where the publisher has them. Only held bytes are ever deleted by `gc` and `drop`."""

ProgressCallback = Callable[[int, int], None]
"""Called with (bytes done, bytes in all)."""


class StoredArtifact(msgspec.Struct, frozen=True):
    """One line of what the store knows. `path`: the file or folder, or where it will appear."""

    artifact: ArtifactId
    name: str
    is_tree: bool
    size_bytes: int
    chunk_count: int
    have_chunks: int
    state: State
    kind: Kind
    path: Path | None
    pinned: bool
    added_unix_s: float


class ChunkReader(Protocol):
    """A chunk's place in open files, for sendfile. The caller must `close` it, once it is sent.

    `spans`: (descriptor, offset in bytes, length in bytes), in order. Never use a descriptor after
    `close`. May be used as a context manager.
    """

    spans: list[tuple[int, int, int]]

    def close(self) -> None: ...

    def __enter__(self) -> "ChunkReader": ...

    def __exit__(self, *exc: object) -> None: ...


class ChunkWriter(Protocol):
    """One chunk arriving in slices. End it with `commit` or `abort`; not for several threads."""

    def write(self, data: bytes | bytearray | memoryview) -> None:
        """Append. IntegrityError once there is more than the chunk's length; DiskError."""

    def commit(self) -> bool:
        """Verify and keep. True if this made the chunk *have*, False if it already was.

        IntegrityError if the bytes are wrong or too few: nothing is kept then.
        """

    def abort(self) -> None:
        """Throw away; harmless after `commit`."""


class ChunkStore(Protocol):
    """Where a node keeps artifacts. Every method that names an unknown one: NotFoundError."""

    def ingest(
        self, path: Path, *, name: str | None = None, on_progress: ProgressCallback | None = None
    ) -> Manifest:
        """Read, cut and hash a file or folder; it is complete and served from then on, and pinned.

        UsageError for what cannot be published (FIFOs, sockets, devices, links that leave the
        folder, names against the rules); InputChangedError if anything changed meanwhile;
        NotFoundError; DiskError.
        """

    def begin(self, manifest: Manifest, target: Path | None, *, replace: bool = True) -> Bitfield:
        """Start or resume a download whose finished form appears at `target` (None: in the store).

        Returns what is verified already (a copy). Nothing appears at `target` before `finish`. An
        artifact that is complete elsewhere returns a full bitfield; `finish` then copies it.
        UsageError if `target` exists and `replace` is false, or if it is being fetched to another
        target; DiskError if there is no room (it names the need).
        """

    def reuse(self, artifact: ArtifactId, on_chunk: Callable[[int], None]) -> int:
        """Fill missing chunks from what this machine has; returns bytes filled.

        Sources: chunks of any complete artifact, and the previous content of the target. All are
        verified. `on_chunk` is called for each index, in this thread.
        """

    def put(self, artifact: ArtifactId, index: int, data: bytes | bytearray | memoryview) -> bool:
        """Verify a whole chunk, write it, and have it. False if it was there already.

        IntegrityError if digest or length is wrong (nothing is written); DiskError.
        """

    def open_writer(self, artifact: ArtifactId, index: int) -> ChunkWriter:
        """For chunks that arrive in slices; several writers of one chunk do not disturb."""

    def reader(self, artifact: ArtifactId, index: int) -> ChunkReader:
        """Descriptors to send a chunk from. NotFoundError if it is not (or no longer) had."""

    def read(self, artifact: ArtifactId, index: int) -> bytes:
        """The chunk's bytes. NotFoundError if it is not (or no longer) had."""

    def recheck(self, artifact: ArtifactId, index: int) -> bool:
        """Hash a chunk anew; if it is wrong it is no longer had, and False is returned."""

    def finish(self, artifact: ArtifactId) -> Path:
        """Make a complete artifact appear: modes, links, fsync, one atomic rename. Idempotent.

        UsageError if chunks are missing; DiskError. After a failed fsync everything is verified
        from disk anew, and chunks may be missing again.
        """

    def abandon(self, artifact: ArtifactId) -> None:
        """Stop a download and delete what it wrote; what is complete stays."""

    def manifest(self, artifact: ArtifactId) -> Manifest: ...

    def bitfield(self, artifact: ArtifactId) -> Bitfield:
        """A copy of what is had."""

    def write_seconds(self, artifact: ArtifactId) -> float:
        """What writing its chunks took so far, since this process has it open. NotFoundError."""

    def artifacts(self) -> list[StoredArtifact]:
        """All that is known, oldest first."""

    def path_of(self, artifact: ArtifactId) -> Path | None:
        """Where a complete artifact lies; None while it is partial or only in memory."""

    def verify(
        self, artifact: ArtifactId, on_progress: ProgressCallback | None = None
    ) -> list[int]:
        """Hash everything anew; indexes of all that is missing or wrong (no longer had)."""

    def discrepancies(self, artifact: ArtifactId) -> list[str]:
        """What of modes, links, folders and files differs from the manifest, a line each."""

    def repair_begin(self, artifact: ArtifactId) -> Bitfield:
        """Make a complete artifact that lost chunks fetchable in place; `finish` ends it.

        Only missing chunks are written. Returns what is had (a copy).
        """

    def pin(self, artifact: ArtifactId) -> None:
        """Protect from `gc`."""

    def unpin(self, artifact: ArtifactId) -> None: ...

    def drop(self, artifact: ArtifactId) -> None:
        """Forget; deletes the bytes only if they are held or partial."""

    def gc(self, *, limit_bytes: int | None, dry_run: bool) -> list[StoredArtifact]:
        """Forget what vanished, then drop held artifacts, oldest unpinned first, to the limit.

        `limit_bytes` bounds the sum of held artifacts; None sets no bound. Returns what went, or
        would go with `dry_run`.
        """

    def close(self) -> None:
        """Release everything; other calls must not follow."""

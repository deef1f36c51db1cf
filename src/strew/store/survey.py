"""Looking at stores and installed files without taking them: beside a running agent, say.

Nothing here writes, or needs the lock of a store's folder.
"""

import os
import sqlite3
from pathlib import Path
from urllib.parse import quote

import msgspec

from strew.content.digest import ArtifactId, digest_of
from strew.content.manifest import Manifest
from strew.errors import DiskError
from strew.store import retention, shape
from strew.store.index import STATE_FILE, Row, rows_of
from strew.store.placement import Placement
from strew.store.pool import FilePool
from strew.store.shelf import ManifestShelf
from strew.store.store import ProgressCallback

_BUSY_TIMEOUT_S = 5.0
"""The agent writes for milliseconds; it is not kept waiting by a reader (WAL)."""

_PROGRESS_STEP_BYTES = 8 * 1024 * 1024
"""Progress is told this often: smooth to the eye, nothing to the CPU."""


class Damage(msgspec.Struct, frozen=True):
    """What of an installed artifact is not as its manifest says."""

    bad_chunks: tuple[int, ...]
    bad_bytes: int
    differences: tuple[str, ...]
    """Modes, links, sizes and kinds, a line each."""

    def __bool__(self) -> bool:
        return bool(self.bad_chunks or self.differences)


class StoreSurvey:
    """The index of a store's folder as it is on the disk now; no folder is an empty store."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.rows = _read_rows(folder)

    def manifest(self, artifact: ArtifactId) -> Manifest:
        """The manifest of one of the rows. NotFoundError, IntegrityError."""
        return ManifestShelf(self.folder / "manifests").get(artifact)

    def complete_at(self, root: str) -> Row | None:
        """The artifact that was put at that absolute path, or published from there."""
        found = [row for row in self.rows if row.root == root and row.state == "complete"]
        return found[-1] if found else None

    def complete(self, artifact: ArtifactId) -> Row | None:
        """That artifact, if it is complete here."""
        found = [row for row in self.rows if row.artifact == artifact and row.state == "complete"]
        return found[0] if found else None

    def droppable(self, limit_bytes: int | None) -> list[Row]:
        """What ChunkStore.gc would let go, were nothing being fetched."""
        return retention.choose(self.rows, limit_bytes, is_busy=lambda artifact: False)


def inspect(manifest: Manifest, path: Path, on_progress: ProgressCallback | None = None) -> Damage:
    """Hash what lies at `path` and compare it, and all modes and links, with the manifest."""
    root = os.path.join(os.path.realpath(path.parent), path.name)
    placement = Placement(FilePool(), root, manifest.is_tree)
    buffer = memoryview(bytearray(max(manifest.lengths, default=0)))
    bad: list[int] = []
    told_bytes = 0
    try:
        for index in range(manifest.chunk_count):
            chunk = buffer[: manifest.lengths[index]]
            here = _read(placement, manifest, index, chunk)
            if not here or digest_of(chunk) != manifest.digest(index):
                bad.append(index)
            done_bytes = manifest.offset(index) + len(chunk)
            if on_progress is not None and done_bytes - told_bytes >= _PROGRESS_STEP_BYTES:
                told_bytes = done_bytes
                on_progress(done_bytes, manifest.size_bytes)
        differences = shape.discrepancies(placement, manifest)
    finally:
        placement.close_files()
    bad_bytes = sum(manifest.lengths[index] for index in bad)
    return Damage(tuple(bad), bad_bytes, tuple(differences))


def _read(placement: Placement, manifest: Manifest, index: int, buffer: memoryview) -> bool:
    try:
        return placement.read_into(manifest, index, buffer)
    except OSError:  # missing, of another kind, unreadable: not there, in any case
        return False


def _read_rows(folder: Path) -> list[Row]:
    path = folder / STATE_FILE
    if not path.exists():
        return []
    address = f"file:{quote(str(path.absolute()))}?mode=ro"
    try:
        connection = sqlite3.connect(address, uri=True, timeout=_BUSY_TIMEOUT_S)
        try:
            return rows_of(connection, folder)
        finally:
            connection.close()
    except sqlite3.Error as error:
        raise DiskError(
            f"cannot read state file {str(path)!r}: {error}",
            hint="check its permissions, or name another folder with --data",
        ) from None

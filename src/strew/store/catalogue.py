"""Which copies a DiskStore has: the index on disk, and those of them that are open in memory."""

import os
import threading
import time
from array import array
from pathlib import Path

from strew.content.bitfield import Bitfield
from strew.content.digest import ArtifactId
from strew.content.manifest import Manifest
from strew.errors import DiskError, NotFoundError, PeerError
from strew.store import parts, retention
from strew.store.claims import Claims
from strew.store.copy import LocalCopy, Phase
from strew.store.index import HELD_FOLDER, STATE_FILE, Index, Row
from strew.store.placement import SIGNATURE_WORDS, Placement
from strew.store.pool import FilePool
from strew.store.shelf import ManifestShelf
from strew.store.store import Kind, StoredArtifact


class Catalogue:
    """Thread-safe. Changing one artifact from two threads is for the caller to prevent."""

    def __init__(self, folder: Path) -> None:
        self.held_folder = folder / HELD_FOLDER
        self.copies: dict[ArtifactId, LocalCopy] = {}
        self._lock = threading.Lock()
        self.index = Index(folder / STATE_FILE)
        self.pool = FilePool()
        self.shelf = ManifestShelf(folder / "manifests")
        self._settle_roots()
        self.tidy()

    def _settle_roots(self) -> None:
        """Follow links that the operator made since: a folder that was moved and left a link
        behind. While a process runs, no link on the way to its files is followed."""
        for row in self.index.all():
            parent, name = os.path.split(row.root)
            root = os.path.join(os.path.realpath(parent), name)
            if root != row.root:
                self.index.set_root(row.artifact, root)

    def make(
        self,
        manifest: Manifest,
        placement: Placement,
        *,
        root: str,
        kind: Kind,
        phase: Phase,
        have: Bitfield,
        claims: Claims | None = None,
        signatures: "array[int] | None" = None,
    ) -> LocalCopy:
        """A copy that persists its losses here; it is not recorded yet."""
        return LocalCopy(
            manifest.id,
            self.shelf.get,
            placement,
            root=root,
            kind=kind,
            phase=phase,
            have=have,
            claims=claims,
            signatures=signatures,
            save_marks=self._save_marks,
        )

    def make_partial(self, manifest: Manifest, root: str, kind: Kind) -> LocalCopy:
        """Open or resume a `.part`; what a former run claims is not had before it is checked."""
        part = parts.open_part(self.pool, manifest, root)
        copy = self.make(
            manifest,
            part.placement,
            root=root,
            kind=kind,
            phase="partial",
            have=Bitfield(manifest.chunk_count),
            claims=part.claims,
        )
        claimed = (index for index, claim in enumerate(part.claimed) if claim)
        for index, good in copy.check(manifest, claimed):
            if good:
                copy.have.add(index)
            else:
                part.claims.withdraw(index)
        return copy

    def known(self, artifact: ArtifactId) -> LocalCopy | None:
        """The copy in memory, or a complete one that the index knows (it is then in memory)."""
        copy = self.copies.get(artifact)
        if copy is not None:
            return copy
        row = self.index.get(artifact)
        if row is None or row.state != "complete":
            return None
        try:
            manifest = self.shelf.get(artifact)
        except (NotFoundError, PeerError):  # a damaged manifest cannot vouch for anything
            return None
        signatures, lost = self.index.marks(artifact)
        words = array("Q")
        words.frombytes(signatures)
        assert len(words) == SIGNATURE_WORDS * len(manifest.entries), len(words)
        have = Bitfield.full(row.chunk_count)
        if lost:
            have = Bitfield(have.size, have.bits & ~Bitfield.from_wire(lost, have.size).bits)
        copy = self.make(
            manifest,
            Placement(self.pool, row.root, row.is_tree),
            root=row.root,
            kind=row.kind,
            phase="complete",
            have=have,
            signatures=words,
        )
        with self._lock:
            return self.copies.setdefault(artifact, copy)

    def require(self, artifact: ArtifactId) -> LocalCopy:
        """`known`, or NotFoundError."""
        copy = self.copies.get(artifact) or self.known(artifact)
        if copy is None:
            raise unknown(artifact)
        return copy

    def row(self, artifact: ArtifactId) -> Row:
        """The index's row, or NotFoundError."""
        row = self.index.get(artifact)
        if row is None:
            raise unknown(artifact)
        return row

    def record_partial(self, copy: LocalCopy) -> None:
        """Remember a download, so that it can be resumed or removed after a restart."""
        with self._lock:
            self.copies[copy.artifact] = copy
        self._save(copy, pinned=False)

    def record_complete(self, copy: LocalCopy, *, pinned: bool) -> None:
        """Remember a complete copy, in place of what was known of it and of its place.

        Another version that an earlier process began to fetch there goes, too: it was overtaken.
        """
        for row in self.index.rooted_at(copy.root):
            if row.artifact != copy.artifact and row.state == "complete":
                self.forget(row, keep_files=True)
        self.drop_overtaken(copy.root, copy.artifact)
        with self._lock:
            replaced = self.copies.get(copy.artifact)
            self.copies[copy.artifact] = copy
        if replaced is not None and replaced is not copy:
            replaced.close()
        self._save(copy, pinned=pinned)
        self.index.add_chunks(copy.manifest)

    def drop_overtaken(self, root: str, artifact: ArtifactId) -> bool:
        """Delete what an earlier process left of fetches of other artifacts to that place; whether
        there was any."""
        overtaken = [
            row
            for row in self.index.rooted_at(root)
            if row.artifact != artifact
            and row.state == "partial"
            and row.artifact not in self.copies
        ]
        for row in overtaken:
            self.forget(row)
        return bool(overtaken)

    def forget(self, row: Row, *, keep_files: bool = False) -> None:
        """Out of memory, index and shelf; deletes held bytes and `.part`s unless told not to."""
        self.close_copy(row.artifact)
        self.index.delete(row.artifact)
        if not keep_files:
            if row.state == "partial":
                parts.remove_part(row.root, row.artifact)
            if row.kind == "held":
                retention.remove_held(self.held_folder, row.artifact)
        self.shelf.remove(row.artifact)

    def close_copy(self, artifact: ArtifactId) -> None:
        """Out of memory; the index still knows it."""
        with self._lock:
            copy = self.copies.pop(artifact, None)
        if copy is not None:
            copy.close()

    def is_being_written(self, artifact: ArtifactId) -> bool:
        """Whether this process downloads or repairs it."""
        copy = self.copies.get(artifact)
        return copy is not None and copy.phase != "complete"

    def stored(self, row: Row) -> StoredArtifact:
        """The port's form of a row."""
        copy = self.copies.get(row.artifact)
        if copy is not None:
            have_chunks = copy.have.count
        elif row.state == "partial":
            have_chunks = parts.claimed_count(row.root, row.artifact)
        else:
            lost = self.index.marks(row.artifact)[1]
            lost_chunks = Bitfield.from_wire(lost, row.chunk_count).count if lost else 0
            have_chunks = row.chunk_count - lost_chunks
        return StoredArtifact(
            artifact=row.artifact,
            name=row.name,
            is_tree=row.is_tree,
            size_bytes=row.size_bytes,
            chunk_count=row.chunk_count,
            have_chunks=have_chunks,
            state=row.state,
            kind=row.kind,
            path=Path(row.root),
            pinned=row.pinned,
            added_unix_s=row.added_unix_s,
        )

    def tidy(self) -> list[DiskError]:
        """Forget what vanished, remove what nobody knows of; what could not be removed."""
        return retention.tidy(self.index, self.shelf, self.held_folder)

    def close(self) -> None:
        """Close all files."""
        for artifact in list(self.copies):
            self.close_copy(artifact)
        self.pool.close()
        self.index.close()

    def _save(self, copy: LocalCopy, *, pinned: bool) -> None:
        manifest = copy.manifest
        row = Row(
            artifact=copy.artifact,
            name=manifest.name,
            is_tree=manifest.is_tree,
            size_bytes=manifest.size_bytes,
            chunk_count=manifest.chunk_count,
            state="partial" if copy.phase == "partial" else "complete",
            kind=copy.kind,
            root=copy.root,
            pinned=pinned,
            added_unix_s=time.time(),
        )
        self.index.save(row, signatures=copy.signatures_to_save(), lost=_lost(copy))

    def _save_marks(self, copy: LocalCopy) -> None:
        self.index.save_marks(copy.artifact, copy.signatures_to_save(), _lost(copy))


def unknown(artifact: ArtifactId) -> NotFoundError:
    """What asking for an artifact that is not here gets."""
    return NotFoundError(f"{artifact} is not in the store")


def _lost(copy: LocalCopy) -> bytes:
    """The chunks that a finished copy no longer has, in wire form; empty if none."""
    if copy.phase == "partial" or copy.have.complete:
        return b""
    return Bitfield(copy.have.size, copy.have.bits ^ Bitfield.full(copy.have.size).bits).to_wire()

"""The ChunkStore on disk: one folder per node, an SQLite index, files at their places.

    FOLDER/lock          held (flock) while a process uses the folder
    FOLDER/index.sqlite  what is known
    FOLDER/manifests/    exact bytes of every manifest
    FOLDER/held/ID/      artifacts that belong to the store itself

A published artifact is served from where it lies, a downloaded one from its target.
"""

import fcntl
import os
import threading
from collections.abc import Callable
from pathlib import Path

from strew.content.bitfield import Bitfield
from strew.content.digest import ArtifactId
from strew.content.manifest import Manifest
from strew.errors import DiskError, UsageError
from strew.store import parts, retention, shape
from strew.store.catalogue import Catalogue
from strew.store.copy import LocalCopy
from strew.store.folders import kind_at
from strew.store.index import held_path
from strew.store.ingest import read_manifest, scan
from strew.store.installing import install, materialise
from strew.store.placement import Placement
from strew.store.posix import disk_error
from strew.store.reader import FileReader
from strew.store.reuse import reuse
from strew.store.store import ChunkWriter, Kind, ProgressCallback, StoredArtifact


class DiskStore:
    """See ChunkStore. A second store on the same folder is a DiskError."""

    def __init__(self, folder: Path) -> None:
        self.folder = Path(os.path.realpath(folder))
        self._lock = threading.Lock()
        self._turns: dict[ArtifactId, threading.Lock] = {}
        try:
            for below in (self.folder, self.folder / "held", self.folder / "manifests"):
                below.mkdir(mode=0o700, parents=True, exist_ok=True)
            self._lock_fd = _lock_folder(self.folder)
        except OSError as error:
            raise disk_error(error, "use store folder", self.folder) from None
        try:
            self._catalogue = Catalogue(self.folder)
        except DiskError:
            os.close(self._lock_fd)
            raise
        self._copies = self._catalogue.copies

    def ingest(
        self, path: Path, *, name: str | None = None, on_progress: ProgressCallback | None = None
    ) -> Manifest:
        """See ChunkStore.ingest."""
        source = scan(path, name)
        manifest = read_manifest(source, on_progress)
        catalogue = self._catalogue
        with self._turn(manifest.id):
            catalogue.shelf.add(manifest, durable=True)
            known = catalogue.known(manifest.id)
            kind: Kind = "external"
            if known is not None and known.root == source.root and known.phase != "partial":
                kind = known.kind
            elif known is not None:
                catalogue.close_copy(manifest.id)
                if known.phase == "partial":
                    parts.remove_part(known.root, manifest.id)
                if known.kind == "held":
                    retention.remove_held(catalogue.held_folder, manifest.id)
            copy = catalogue.make(
                manifest,
                Placement(catalogue.pool, source.root, source.is_tree),
                root=source.root,
                kind=kind,
                phase="complete",
                have=Bitfield.full(manifest.chunk_count),
                signatures=source.signatures(),
            )
            catalogue.record_complete(copy, pinned=True)
        return manifest

    def begin(self, manifest: Manifest, target: Path | None, *, replace: bool = True) -> Bitfield:
        """See ChunkStore.begin."""
        with self._turn(manifest.id):
            root = self._root_for(manifest, target)
            known = self._catalogue.known(manifest.id)
            if known is None:
                self._catalogue.shelf.add(manifest, durable=target is None)
                copy = self._begin_anew(manifest, root, target, replace, former=None)
            elif known.phase == "partial":
                if target is not None and known.root != root:
                    raise UsageError(
                        f"{manifest.id} is being fetched to {known.root!r} already",
                        hint="wait for it, or abandon it",
                    )
                copy = known
            else:
                copy = self._begin_known(manifest, known, root, target, replace)
            return copy.have.copy()

    def reuse(self, artifact: ArtifactId, on_chunk: Callable[[int], None]) -> int:
        """See ChunkStore.reuse."""
        copy = self._catalogue.require(artifact)
        if copy.phase == "complete":
            return 0
        return reuse(copy, self._catalogue.index, self._catalogue.require, on_chunk)

    def put(self, artifact: ArtifactId, index: int, data: bytes | bytearray | memoryview) -> bool:
        """See ChunkStore.put."""
        copy = self._copies.get(artifact)
        return (copy or self._catalogue.require(artifact)).put(index, data)

    def open_writer(self, artifact: ArtifactId, index: int) -> ChunkWriter:
        """See ChunkStore.open_writer."""
        return self._catalogue.require(artifact).open_writer(index, str(self.folder))

    def reader(self, artifact: ArtifactId, index: int) -> FileReader:
        """See ChunkStore.reader."""
        copy = self._copies.get(artifact)
        return (copy or self._catalogue.require(artifact)).reader(index)

    def read(self, artifact: ArtifactId, index: int) -> bytes:
        """See ChunkStore.read."""
        return self._catalogue.require(artifact).read(index)

    def recheck(self, artifact: ArtifactId, index: int) -> bool:
        """See ChunkStore.recheck."""
        return self._catalogue.require(artifact).recheck(index)

    def finish(self, artifact: ArtifactId) -> Path:
        """See ChunkStore.finish."""
        with self._turn(artifact):
            catalogue = self._catalogue
            copy = catalogue.require(artifact)
            installed = copy.phase == "complete" and copy.pending_root is None
            if installed and not copy.untold:
                return Path(copy.root)
            copy.settle()
            if not copy.have.complete:
                missing = copy.have.size - copy.have.count
                raise UsageError(
                    f"{artifact} is not complete: {missing} chunks are missing",
                    hint="fetch them first",
                )
            if copy.phase != "complete":
                mended = copy.phase == "repairing"
                install(copy)
                copy.untold = "mended" if mended else "fetched"
            elif not installed:
                copy = self._copy_to_pending(copy)
                copy.untold = "fetched"
            row = catalogue.index.get(artifact)
            catalogue.record_complete(copy, pinned=row is not None and row.pinned)
            if copy.untold == "fetched":
                parts.remove_part(copy.root, artifact)
            # else a `.part` is another's: `strew verify --repair` beside a node
            copy.untold = ""
            return Path(copy.root)

    def abandon(self, artifact: ArtifactId) -> None:
        """See ChunkStore.abandon."""
        with self._turn(artifact):
            known = self._catalogue.known(artifact)
            if known is None or known.phase == "partial":
                self._catalogue.forget(self._catalogue.row(artifact))
            else:
                known.pending_root = None

    def manifest(self, artifact: ArtifactId) -> Manifest:
        """See ChunkStore.manifest."""
        return self._catalogue.shelf.get(artifact)

    def bitfield(self, artifact: ArtifactId) -> Bitfield:
        """See ChunkStore.bitfield; of a download that was not resumed yet, nothing is verified."""
        known = self._catalogue.known(artifact)
        if known is not None:
            return known.have.copy()
        return Bitfield(self._catalogue.row(artifact).chunk_count)

    def write_seconds(self, artifact: ArtifactId) -> float:
        """See ChunkStore.write_seconds."""
        return self._catalogue.require(artifact).write_s

    def artifacts(self) -> list[StoredArtifact]:
        """See ChunkStore.artifacts."""
        return [self._catalogue.stored(row) for row in self._catalogue.index.all()]

    def path_of(self, artifact: ArtifactId) -> Path | None:
        """See ChunkStore.path_of."""
        row = self._catalogue.row(artifact)
        return Path(row.root) if row.state == "complete" else None

    def verify(
        self, artifact: ArtifactId, on_progress: ProgressCallback | None = None
    ) -> list[int]:
        """See ChunkStore.verify."""
        copy = self._catalogue.require(artifact)
        size_bytes = copy.manifest.size_bytes
        done_bytes = 0

        def tell(chunk_bytes: int) -> None:
            nonlocal done_bytes
            done_bytes += chunk_bytes
            if on_progress is not None:
                on_progress(done_bytes, size_bytes)

        copy.recheck_all(list(copy.have), tell)
        return list(copy.have.missing())

    def discrepancies(self, artifact: ArtifactId) -> list[str]:
        """See ChunkStore.discrepancies."""
        copy = self._catalogue.require(artifact)
        return shape.discrepancies(copy.placement, copy.manifest)

    def repair_begin(self, artifact: ArtifactId) -> Bitfield:
        """See ChunkStore.repair_begin."""
        with self._turn(artifact):
            copy = self._catalogue.require(artifact)
            if copy.phase == "complete":
                copy.doubt_changed_files()
                self._start_repair(copy)
            return copy.have.copy()

    def pin(self, artifact: ArtifactId) -> None:
        """See ChunkStore.pin."""
        self._catalogue.index.set_pinned(self._catalogue.row(artifact).artifact, True)

    def unpin(self, artifact: ArtifactId) -> None:
        """See ChunkStore.unpin."""
        self._catalogue.index.set_pinned(self._catalogue.row(artifact).artifact, False)

    def drop(self, artifact: ArtifactId) -> None:
        """See ChunkStore.drop."""
        with self._turn(artifact):
            self._catalogue.forget(self._catalogue.row(artifact))

    def gc(self, *, limit_bytes: int | None, dry_run: bool) -> list[StoredArtifact]:
        """See ChunkStore.gc."""
        catalogue = self._catalogue
        going = retention.choose(
            catalogue.index.all(), limit_bytes, is_busy=catalogue.is_being_written
        )
        stored = [catalogue.stored(row) for row in going]
        if not dry_run:
            for row in going:
                with self._turn(row.artifact):
                    catalogue.forget(row)
            troubles = catalogue.tidy()
            if troubles:
                raise troubles[0]
        return stored

    def close(self) -> None:
        """See ChunkStore.close."""
        self._catalogue.close()
        os.close(self._lock_fd)

    def _turn(self, artifact: ArtifactId) -> threading.Lock:
        """One at a time may begin, finish or drop an artifact; chunks need no turn."""
        with self._lock:
            return self._turns.setdefault(artifact, threading.Lock())

    def _root_for(self, manifest: Manifest, target: Path | None) -> str:
        """The absolute path of the finished file or folder; its parent must exist."""
        if target is None:
            return str(held_path(self._catalogue.held_folder, manifest.id, manifest.name))
        parent = os.path.realpath(target.parent)
        if not os.path.isdir(parent):
            raise UsageError(
                f"cannot put {str(target)!r} in place: {parent!r} is not a folder",
                hint="make the folder first",
            )
        if target.name in ("", ".", ".."):
            raise UsageError(f"not a file or folder name: {str(target)!r}", hint="name one")
        return os.path.join(parent, target.name)

    def _begin_anew(
        self,
        manifest: Manifest,
        root: str,
        target: Path | None,
        replace: bool,
        former: LocalCopy | None,
    ) -> LocalCopy:
        """Adopt what lies at the target, or open a `.part`."""
        kind: Kind = "held" if target is None else "installed"
        if former is None and (adopted := self._adopt(manifest, root, kind)) is not None:
            return adopted
        _require_replaceable(root, replace)
        row = self._catalogue.index.get(manifest.id)
        if row is not None and row.state == "partial" and row.root != root:
            # A former run was fetching it to elsewhere; nobody will come back for that.
            parts.remove_part(row.root, manifest.id)
        if target is None:
            try:
                os.makedirs(os.path.dirname(root), mode=0o700, exist_ok=True)
            except OSError as error:
                raise disk_error(error, "use store folder", root) from None
        try:
            copy = self._catalogue.make_partial(manifest, root, kind)
        except DiskError:  # no room, perhaps: then what nobody will end is in the way
            if not self._catalogue.drop_overtaken(root, manifest.id):
                raise
            copy = self._catalogue.make_partial(manifest, root, kind)
        copy.former = former
        self._catalogue.record_partial(copy)
        return copy

    def _begin_known(
        self,
        manifest: Manifest,
        known: LocalCopy,
        root: str,
        target: Path | None,
        replace: bool,
    ) -> LocalCopy:
        """Start from a finished copy: it is here, damaged, to be copied, or only a source."""
        known.doubt_changed_files()
        if target is None or known.root == root:
            if known.have.complete and not shape.discrepancies(known.placement, manifest):
                return known
            self._start_repair(known)
            return known
        if not known.have.complete:
            return self._begin_anew(manifest, root, target, replace, former=known)
        _require_replaceable(root, replace)
        known.pending_root = root
        return known

    def _adopt(self, manifest: Manifest, root: str, kind: Kind) -> LocalCopy | None:
        """Take over what lies at the target, if it is the artifact and no `.part` was begun.

        So an index that was lost, or a kill between the swap and its record, costs no fetch.
        """
        if kind_at(root) != ("dir" if manifest.is_tree else "file"):
            return None
        placement = Placement(self._catalogue.pool, root, manifest.is_tree)
        if parts.is_claimed(root, manifest) or not shape.lies_at(placement, manifest):
            placement.close_files()
            return None
        copy = self._catalogue.make(
            manifest,
            placement,
            root=root,
            kind=kind,
            phase="complete",
            have=Bitfield.full(manifest.chunk_count),
            signatures=placement.signatures(manifest),
        )
        if not all(good for _, good in copy.check(manifest, range(manifest.chunk_count))):
            copy.close()
            return None
        self._catalogue.record_complete(copy, pinned=False)
        parts.remove_part(root, manifest.id)
        if shape.discrepancies(placement, manifest):
            self._start_repair(copy)
        return copy

    def _start_repair(self, copy: LocalCopy) -> None:
        """Let verified chunks be written into a finished copy."""
        copy.close()
        try:
            shape.undress(copy.placement, copy.manifest)
        except OSError as error:
            raise disk_error(error, "repair", copy.root) from None
        copy.hold_manifest(True)
        copy.phase = "repairing"

    def _copy_to_pending(self, copy: LocalCopy) -> LocalCopy:
        """Copy a complete artifact to another place, verified; that is its place from then on."""
        assert copy.pending_root is not None
        manifest = copy.manifest
        twin = self._catalogue.make_partial(manifest, copy.pending_root, "installed")
        materialise(copy, twin)
        install(twin)
        if copy.kind == "held":
            retention.remove_held(self._catalogue.held_folder, manifest.id)
        return twin


def _lock_folder(folder: Path) -> int:
    """Take the folder for this process until the descriptor is closed."""
    fd = os.open(folder / "lock", os.O_RDWR | os.O_CREAT | os.O_CLOEXEC | os.O_NOFOLLOW, 0o600)
    try:
        fcntl.flock(fd, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        os.close(fd)
        raise DiskError(
            f"store folder {str(folder)!r} is in use by another strew",
            hint="stop that one, or choose another --data folder",
        ) from None
    return fd


def _require_replaceable(root: str, replace: bool) -> None:
    if not replace and kind_at(root):
        raise UsageError(f"{root!r} exists", hint="remove it, choose another, or allow replacing")

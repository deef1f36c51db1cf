"""Manifests on disk, and the few of them that are in memory."""

import os
import threading
import weakref
from collections import OrderedDict
from pathlib import Path

from strew.content.digest import ArtifactId
from strew.content.manifest import Manifest
from strew.errors import IntegrityError, NotFoundError
from strew.store.posix import disk_error, write_whole

_KEPT_BYTES_MAX = 2 * 1024 * 1024
"""Manifests kept although nobody uses them: a handful of usual ones (200 KB each). Two hundred
releases in a store must not cost memory."""

_SUFFIX = ".manifest"


class ManifestShelf:
    """One file per manifest, exact bytes; thread-safe.

    Whoever holds a Manifest shares it with all others: it is parsed once as long as it is in use.
    """

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._lock = threading.Lock()
        self._used: weakref.WeakValueDictionary[ArtifactId, Manifest] = (
            weakref.WeakValueDictionary()
        )
        self._kept: OrderedDict[ArtifactId, Manifest] = OrderedDict()
        self._kept_bytes = 0

    def get(self, artifact: ArtifactId) -> Manifest:
        """The manifest; NotFoundError if it is not here, IntegrityError if its file is damaged."""
        manifest = self._used.get(artifact)
        if manifest is not None:
            return manifest
        try:
            raw = self._path(artifact).read_bytes()
        except FileNotFoundError:
            raise NotFoundError(f"no manifest of {artifact} in the store") from None
        except OSError as error:
            raise disk_error(error, "read", self._path(artifact)) from None
        manifest = Manifest.parse(raw)
        if manifest.id != artifact:
            raise IntegrityError(
                f"manifest of {artifact} on disk has other bytes", hint="fetch the artifact again"
            )
        self._keep(manifest)
        return manifest

    def add(self, manifest: Manifest, *, durable: bool) -> None:
        """Write a manifest unless it is there already, whole or not at all.

        A durable one outlives a power loss: the store is then the one to have the artifact. Others
        are got again from whoever told of them, and need not keep a fetch waiting for the disk.
        """
        path = self._path(manifest.id)
        try:
            if not _has_content(path, manifest.raw):
                write_whole(path, manifest.raw, durable=durable)
        except OSError as error:
            raise disk_error(error, "write", path) from None
        self._keep(manifest)

    def remove(self, artifact: ArtifactId) -> None:
        """Delete a manifest's file; nothing there is fine."""
        self._path(artifact).unlink(missing_ok=True)
        with self._lock:
            dropped = self._kept.pop(artifact, None)
            if dropped is not None:
                self._kept_bytes -= len(dropped.raw)

    def keep_only(self, known: set[str]) -> None:
        """Delete all other files; `known` are the hex parts of artifact ids."""
        for name in os.listdir(self._folder):
            if name.removesuffix(_SUFFIX) not in known:
                (self._folder / name).unlink(missing_ok=True)

    def _path(self, artifact: ArtifactId) -> Path:
        return self._folder / (artifact.removeprefix("blake3:") + _SUFFIX)

    def _keep(self, manifest: Manifest) -> None:
        with self._lock:
            kept = self._kept.get(manifest.id)
            self._used[manifest.id] = manifest if kept is None else kept  # which stays in use
            if kept is not None:
                self._kept.move_to_end(manifest.id)
                return
            self._kept[manifest.id] = manifest
            self._kept_bytes += len(manifest.raw)
            while self._kept_bytes > _KEPT_BYTES_MAX:
                self._kept_bytes -= len(self._kept.popitem(last=False)[1].raw)


def _has_content(path: Path, content: bytes) -> bool:
    """Whether it is there, every byte of it."""
    try:
        return path.read_bytes() == content
    except FileNotFoundError:
        return False

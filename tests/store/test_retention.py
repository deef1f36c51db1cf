"""What the store keeps and lets go."""

import os
from pathlib import Path

import pytest

from strew.content.manifest import Manifest
from strew.errors import DiskError
from strew.store import parts
from strew.store.disk import DiskStore
from strew.store.memory import MemoryStore
from tests.store.makers import (
    copy_chunks,
    fetch,
    write_tree,
)


def test_vanished_artifacts_are_forgotten(
    store: DiskStore, origin: MemoryStore, manifest: Manifest, into: Path
) -> None:
    fetch(store, origin, manifest, into / "file").unlink()
    (gone,) = store.gc(limit_bytes=None, dry_run=True)
    assert gone.artifact == manifest.id
    store.gc(limit_bytes=None, dry_run=False)
    assert store.artifacts() == []


def test_installed_files_are_never_deleted(
    store: DiskStore, origin: MemoryStore, manifest: Manifest, into: Path
) -> None:
    path = fetch(store, origin, manifest, into / "file")
    assert store.gc(limit_bytes=0, dry_run=False) == []
    store.drop(manifest.id)
    assert path.exists()


def test_what_nobody_knows_of_is_removed(store: DiskStore) -> None:
    (store.folder / "held/orphan").mkdir()
    (store.folder / "held/orphan/.strew-x.part").write_text("x")
    (store.folder / "manifests/orphan.manifest").write_text("x")
    store.gc(limit_bytes=None, dry_run=False)
    assert os.listdir(store.folder / "held") == os.listdir(store.folder / "manifests") == []


def test_a_store_opens_where_an_output_folder_became_a_file(
    origin: MemoryStore, manifest: Manifest, tmp_path: Path, into: Path
) -> None:
    store = DiskStore(tmp_path / "store")
    store.begin(manifest, into / "file")
    store.close()
    into.rename(tmp_path / "aside")
    into.write_text("what the owner put there instead")
    store = DiskStore(tmp_path / "store")
    store.gc(limit_bytes=None, dry_run=False)
    assert store.artifacts() == []
    store.close()
    assert into.read_text() == "what the owner put there instead"


def test_a_store_opens_where_what_was_left_beside_an_output_cannot_be_removed(
    origin: MemoryStore,
    manifest: Manifest,
    tmp_path: Path,
    into: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """The folder is another's, who may have forbidden it; the garbage collection tells."""
    store = DiskStore(tmp_path / "store")
    fetch(store, origin, manifest, into / "file")
    store.close()

    def forbidden(folder_fd: int, name: str) -> None:
        raise PermissionError(13, os.strerror(13))

    with monkeypatch.context() as context:
        context.setattr(parts, "remove_in", forbidden)
        store = DiskStore(tmp_path / "store")
        with pytest.raises(DiskError, match=r"cannot remove .*Permission denied"):
            store.gc(limit_bytes=None, dry_run=False)
    assert store.gc(limit_bytes=None, dry_run=False) == []
    assert [artifact.state for artifact in store.artifacts()] == ["complete"]
    store.close()


def test_dropping_held_content_frees_its_folder(
    store: DiskStore, origin: MemoryStore, manifest: Manifest
) -> None:
    path = fetch(store, origin, manifest, None)
    store.drop(manifest.id)
    assert not path.exists()
    assert os.listdir(store.folder / "held") == []


def test_an_abandoned_download_leaves_nothing(
    store: DiskStore, origin: MemoryStore, tmp_path: Path, into: Path
) -> None:
    manifest = origin.ingest(write_tree(tmp_path / "tree"))
    store.begin(manifest, into / "tree")
    copy_chunks(origin, store, manifest, at_most=3)
    store.abandon(manifest.id)
    assert os.listdir(into) == []


def test_descriptors_do_not_leak(
    store: DiskStore, origin: MemoryStore, tmp_path: Path, into: Path
) -> None:
    manifest = origin.ingest(write_tree(tmp_path / "tree"))
    fetch(store, origin, manifest, into / "tree")
    store.drop(manifest.id)
    before = len(os.listdir("/proc/self/fd"))
    for _ in range(3):
        fetch(store, origin, manifest, into / "other")
        store.drop(manifest.id)
    assert len(os.listdir("/proc/self/fd")) == before

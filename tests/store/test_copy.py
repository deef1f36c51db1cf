"""Damage to a copy: doubted, quarantined, repaired."""

import errno
import os
import shutil
from pathlib import Path

import pytest

from strew.content.manifest import Manifest
from strew.errors import DiskError, NotFoundError
from strew.store.disk import DiskStore
from strew.store.memory import MemoryStore
from tests.store.makers import (
    KIB,
    copy_chunks,
    fetch,
    overwrite,
    portrait,
    write_file,
    write_tree,
)


def test_an_edited_file_is_no_longer_served_where_it_changed(
    store: DiskStore, tmp_path: Path
) -> None:
    source = write_file(tmp_path / "file")
    manifest = store.ingest(source)
    with store.reader(manifest.id, 0):
        pass
    overwrite(source, manifest.offset(3), b"edited")
    with pytest.raises(NotFoundError, match="changed on disk"):
        store.reader(manifest.id, 3)
    with store.reader(manifest.id, 4):
        pass
    assert list(store.bitfield(manifest.id).missing()) == [3]


def test_a_loss_outlives_the_process(tmp_path: Path) -> None:
    source = write_file(tmp_path / "file")
    first = DiskStore(tmp_path / "store")
    manifest = first.ingest(source)
    overwrite(source, manifest.offset(3), b"edited")
    assert first.recheck(manifest.id, 3) is False
    first.close()
    second = DiskStore(tmp_path / "store")
    assert list(second.bitfield(manifest.id).missing()) == [3]
    assert second.artifacts()[0].have_chunks == manifest.chunk_count - 1
    second.close()


def test_a_doubt_outlives_the_process(tmp_path: Path) -> None:
    source = write_file(tmp_path / "file")
    first = DiskStore(tmp_path / "store")
    manifest = first.ingest(source)
    overwrite(source, manifest.offset(3), b"edited")
    overwrite(source, manifest.offset(5), b"edited")
    with pytest.raises(NotFoundError):
        first.reader(manifest.id, 3)
    first.close()
    second = DiskStore(tmp_path / "store")
    with pytest.raises(NotFoundError):
        second.reader(manifest.id, 5)
    second.close()


def test_rot_without_a_trace_is_found_by_verify_and_repaired(
    store: DiskStore, origin: MemoryStore, tmp_path: Path, into: Path
) -> None:
    source = write_tree(tmp_path / "tree")
    manifest = origin.ingest(source)
    fetch(store, origin, manifest, into / "tree")
    before = (into / "tree/big").stat()
    overwrite(into / "tree/big", 300 * KIB, b"rot")
    os.utime(into / "tree/big", ns=(before.st_atime_ns, before.st_mtime_ns))
    told: list[tuple[int, int]] = []
    bad = store.verify(manifest.id, lambda done, size: told.append((done, size)))
    assert len(bad) == 1
    assert told[-1] == (manifest.size_bytes, manifest.size_bytes)
    assert list(store.repair_begin(manifest.id).missing()) == bad
    assert copy_chunks(origin, store, manifest) == 1
    store.finish(manifest.id)
    assert portrait(into / "tree") == portrait(source)
    assert store.verify(manifest.id) == []


def test_lost_files_modes_and_links_come_back(
    store: DiskStore, origin: MemoryStore, tmp_path: Path, into: Path
) -> None:
    source = write_tree(tmp_path / "tree")
    manifest = origin.ingest(source)
    root = fetch(store, origin, manifest, into / "tree")
    (root / "lib/deep/er").chmod(0o755)
    (root / "lib/deep/er/07").unlink()
    (root / "lib/empty").unlink()
    (root / "bin/run").chmod(0o600)
    (root / "link").unlink()
    (root / "link").write_text("no link")
    (root / "empty folder").rmdir()
    os.truncate(root / "big", 100)
    assert len(store.discrepancies(manifest.id)) == 7
    assert not store.begin(manifest, root).complete
    copy_chunks(origin, store, manifest)
    store.finish(manifest.id)
    assert portrait(root) == portrait(source)
    assert store.discrepancies(manifest.id) == []


def test_a_vanished_folder_comes_back(
    store: DiskStore, origin: MemoryStore, tmp_path: Path, into: Path
) -> None:
    source = write_tree(tmp_path / "tree")
    manifest = origin.ingest(source)
    root = fetch(store, origin, manifest, into / "tree")
    (root / "lib/deep/er").chmod(0o755)
    shutil.rmtree(root)
    fetch(store, origin, manifest, root)
    assert portrait(root) == portrait(source)


def test_a_full_disk_leaves_the_chunk_missing(
    store: DiskStore,
    origin: MemoryStore,
    manifest: Manifest,
    into: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    store.begin(manifest, into / "file")

    def full(fd: int, data: bytes, offset: int) -> int:
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    real_pwrite = os.pwrite
    monkeypatch.setattr(os, "pwrite", full)
    with pytest.raises(DiskError, match="free some space"):
        store.put(manifest.id, 0, origin.read(manifest.id, 0))
    monkeypatch.setattr(os, "pwrite", real_pwrite)
    assert store.bitfield(manifest.id).count == 0
    assert store.put(manifest.id, 0, origin.read(manifest.id, 0)) is True

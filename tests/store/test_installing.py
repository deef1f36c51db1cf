"""How a finished download appears at its place."""

import errno
import os
import shutil
import stat
from pathlib import Path

import pytest

from strew.content.manifest import Manifest
from strew.errors import DiskError
from strew.store import parts
from strew.store.disk import DiskStore
from strew.store.index import Index
from strew.store.memory import MemoryStore
from tests.store.makers import (
    KIB,
    copy_chunks,
    fetch,
    noise,
    overwrite,
    portrait,
    write_file,
    write_tree,
)


def test_a_file_appears_at_once_with_its_mode(
    store: DiskStore, origin: MemoryStore, tmp_path: Path, into: Path
) -> None:
    source = write_file(tmp_path / "program")
    source.chmod(0o4755)
    manifest = origin.ingest(source)
    store.begin(manifest, into / "program")
    copy_chunks(origin, store, manifest)
    assert not (into / "program").exists()
    assert all(name.startswith(".strew-program-") for name in os.listdir(into))
    assert all(stat.S_IMODE((into / name).stat().st_mode) == 0o600 for name in os.listdir(into))
    assert store.path_of(manifest.id) is None
    assert store.finish(manifest.id) == into / "program"
    assert os.listdir(into) == ["program"]
    assert portrait(into / "program") == {"": (0o755, source.read_bytes())}
    assert store.path_of(manifest.id) == into / "program"


def test_a_tree_appears_at_once_as_it_was(
    store: DiskStore, origin: MemoryStore, tmp_path: Path, into: Path
) -> None:
    source = write_tree(tmp_path / "tree")
    manifest = origin.ingest(source)
    store.begin(manifest, into / "tree")
    copy_chunks(origin, store, manifest)
    assert not (into / "tree").exists()
    store.finish(manifest.id)
    assert os.listdir(into) == ["tree"]
    assert portrait(into / "tree") == portrait(source)
    assert store.discrepancies(manifest.id) == []


def test_an_index_that_could_not_be_told_is_told_again(
    store: DiskStore,
    origin: MemoryStore,
    manifest: Manifest,
    into: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """It is in place by then: nothing is fetched again, and nothing is left beside it."""
    store.begin(manifest, into / "file")
    copy_chunks(origin, store, manifest)
    with monkeypatch.context() as failing:

        def fail(index: Index, manifest: Manifest) -> None:
            raise DiskError("cannot use state file")

        failing.setattr(Index, "add_chunks", fail)
        with pytest.raises(DiskError, match="state file"):
            store.finish(manifest.id)
    assert store.begin(manifest, into / "file").complete
    assert store.finish(manifest.id) == into / "file"
    assert os.listdir(into) == ["file"]
    assert [stored.state for stored in store.artifacts()] == ["complete"]
    renamed = origin.ingest(into / "file", name="renamed")
    store.begin(renamed, None)
    assert store.reuse(renamed.id, lambda index: None) == renamed.size_bytes


def test_many_small_files_share_few_descriptors(
    store: DiskStore, origin: MemoryStore, tmp_path: Path, into: Path
) -> None:
    source = tmp_path / "many"
    source.mkdir()
    for index in range(300):
        write_file(source / f"{index:03}", 500, index)
    manifest = origin.ingest(source)
    fetch(store, origin, manifest, into / "many")
    for index in range(manifest.chunk_count):
        with store.reader(manifest.id, index) as reader:
            assert len(reader.spans) == 1
    assert portrait(into / "many") == portrait(source)
    assert len(os.listdir("/proc/self/fd")) < 150


def test_the_previous_version_is_replaced(
    store: DiskStore, origin: MemoryStore, tmp_path: Path, into: Path
) -> None:
    first = origin.ingest(write_tree(tmp_path / "v1", seed=1), name="app")
    source = write_tree(tmp_path / "v2", seed=100)
    (source / "new").write_text("new")
    second = origin.ingest(source, name="app")
    fetch(store, origin, first, into / "app")
    fetch(store, origin, second, into / "app")
    assert portrait(into / "app") == portrait(source)
    assert os.listdir(into) == ["app"]
    assert [stored.artifact for stored in store.artifacts()] == [second.id]


@pytest.mark.parametrize("there", ["file", "folder", "link"])
@pytest.mark.parametrize("is_tree", [False, True])
def test_whatever_was_at_the_target_is_replaced(
    store: DiskStore,
    origin: MemoryStore,
    tmp_path: Path,
    into: Path,
    there: str,
    is_tree: bool,
) -> None:
    source = write_tree(tmp_path / "s") if is_tree else write_file(tmp_path / "s")
    outside = write_file(tmp_path / "outside", 10)
    target = into / "x"
    if there == "file":
        target.write_text("old")
    elif there == "folder":
        target.mkdir()
        (target / "old").write_text("old")
    else:
        target.symlink_to(outside)
    fetch(store, origin, origin.ingest(source), target)
    assert portrait(target) == portrait(source)
    assert os.listdir(into) == ["x"]
    assert outside.read_bytes() == noise(10)


def test_a_running_program_is_not_busy(
    store: DiskStore, origin: MemoryStore, tmp_path: Path, into: Path
) -> None:
    shutil.copy("/bin/true", tmp_path / "true")
    manifest = origin.ingest(tmp_path / "true")
    path = fetch(store, origin, manifest, into / "true")
    with store.reader(manifest.id, 0):
        assert os.spawnv(os.P_WAIT, path, ["true"]) == 0


def test_a_failed_flush_is_not_retried_but_read_back(
    store: DiskStore,
    origin: MemoryStore,
    manifest: Manifest,
    into: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    store.begin(manifest, into / "file")
    copy_chunks(origin, store, manifest)
    part = Path(parts.part_path(str(into / "file"), manifest.id))
    real_fsync = os.fsync

    def failing(fd: int) -> None:
        overwrite(part, manifest.offset(2), b"never reached the disk")
        raise OSError(errno.EIO, os.strerror(errno.EIO))

    monkeypatch.setattr(os, "fsync", failing)
    with pytest.raises(DiskError, match="cannot flush"):
        store.finish(manifest.id)
    monkeypatch.setattr(os, "fsync", real_fsync)
    assert not (into / "file").exists()
    assert list(store.bitfield(manifest.id).missing()) == [2]
    copy_chunks(origin, store, manifest)
    store.finish(manifest.id)
    assert (into / "file").read_bytes() == noise(600 * KIB)

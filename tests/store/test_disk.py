"""Targets of a DiskStore, its lock and its state file."""

import os
import shutil
import sqlite3
from pathlib import Path

import pytest

from strew.content.manifest import Manifest
from strew.errors import DiskError, UsageError
from strew.store.disk import DiskStore
from strew.store.memory import MemoryStore
from tests.store.makers import (
    fetch,
    portrait,
    write_file,
    write_tree,
)


def test_replacing_can_be_forbidden(store: DiskStore, manifest: Manifest, into: Path) -> None:
    (into / "file").write_text("precious")
    with pytest.raises(UsageError, match="exists"):
        store.begin(manifest, into / "file", replace=False)
    assert os.listdir(into) == ["file"]


def test_one_target_at_a_time(store: DiskStore, manifest: Manifest, into: Path) -> None:
    store.begin(manifest, into / "a")
    with pytest.raises(UsageError, match="being fetched"):
        store.begin(manifest, into / "b")


def test_a_target_needs_its_folder(store: DiskStore, manifest: Manifest, into: Path) -> None:
    with pytest.raises(UsageError, match="not a folder"):
        store.begin(manifest, into / "no" / "file")


def test_what_is_here_is_copied_to_another_target(
    store: DiskStore, tmp_path: Path, into: Path
) -> None:
    source = write_tree(tmp_path / "tree")
    manifest = store.ingest(source)
    assert store.begin(manifest, into / "copy").complete
    assert store.finish(manifest.id) == into / "copy"
    assert portrait(into / "copy") == portrait(source)
    assert os.listdir(into) == ["copy"]
    assert source.exists()


def test_held_content_moves_to_a_target(
    store: DiskStore, origin: MemoryStore, manifest: Manifest, into: Path
) -> None:
    held = fetch(store, origin, manifest, None)
    assert store.begin(manifest, into / "file").complete
    store.finish(manifest.id)
    assert not held.exists()
    assert store.artifacts()[0].kind == "installed"


def test_a_long_name_still_gets_a_part(
    store: DiskStore, origin: MemoryStore, manifest: Manifest, into: Path
) -> None:
    fetch(store, origin, manifest, into / ("\u00e9" * 127))
    assert os.listdir(into) == ["\u00e9" * 127]


def test_a_repair_leaves_alone_what_another_process_fetches_to_the_same_place(
    store: DiskStore, origin: MemoryStore, manifest: Manifest, into: Path, tmp_path: Path
) -> None:
    fetch(store, origin, manifest, into / "file")
    with (into / "file").open("r+b") as file:
        file.write(b"rot")
    other = DiskStore(tmp_path / "other")
    other.begin(manifest, into / "file")
    store.recheck(manifest.id, 0)
    store.repair_begin(manifest.id)
    store.put(manifest.id, 0, origin.read(manifest.id, 0))
    store.finish(manifest.id)
    fetch(other, origin, manifest, into / "file")
    other.close()
    assert os.listdir(into) == ["file"]
    assert (into / "file").read_bytes() == (tmp_path / "file").read_bytes()


def test_a_second_store_on_the_folder(store: DiskStore) -> None:
    with pytest.raises(DiskError, match="in use by another strew"):
        DiskStore(store.folder)


@pytest.mark.parametrize("size_bytes", [100, 5000])
def test_a_truncated_state_file(tmp_path: Path, size_bytes: int) -> None:
    first = DiskStore(tmp_path / "store")
    first.ingest(write_file(tmp_path / "file"))
    first.close()
    os.truncate(tmp_path / "store/index.sqlite", size_bytes)
    with pytest.raises(DiskError, match="damaged"):
        DiskStore(tmp_path / "store")


def test_a_state_file_of_a_newer_version(tmp_path: Path) -> None:
    DiskStore(tmp_path / "store").close()
    with sqlite3.connect(tmp_path / "store/index.sqlite") as db:
        db.execute("PRAGMA user_version = 99")
    db.close()
    with pytest.raises(DiskError, match="newer strew"):
        DiskStore(tmp_path / "store")
    with pytest.raises(DiskError, match="newer strew"):
        DiskStore(tmp_path / "store")  # the first refusal gave the folder's lock back


def test_a_folder_that_was_moved_or_restored_elsewhere_keeps_what_it_holds(
    origin: MemoryStore, manifest: Manifest, tmp_path: Path
) -> None:
    first = DiskStore(tmp_path / "first")
    fetch(first, origin, manifest, None)
    first.close()
    shutil.copytree(tmp_path / "first", tmp_path / "second")
    shutil.rmtree(tmp_path / "first")
    second = DiskStore(tmp_path / "second")
    try:
        assert second.path_of(manifest.id).is_relative_to(tmp_path / "second")
        assert second.recheck(manifest.id, 0)
        assert second.read(manifest.id, 0) == origin.read(manifest.id, 0)
    finally:
        second.close()

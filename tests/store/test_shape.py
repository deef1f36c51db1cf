"""Whose files are, and what may be done with them."""

import os
from pathlib import Path

import pytest

from strew.errors import DiskError
from strew.store.disk import DiskStore
from strew.store.memory import MemoryStore
from strew.store.parts import part_path
from tests.store.makers import copy_chunks, fetch, portrait, write_file, write_tree

GROUP = 12345


@pytest.mark.parametrize("umask", [0o000, 0o022, 0o077])
def test_modes_are_as_published_whatever_the_umask(
    store: DiskStore, origin: MemoryStore, tmp_path: Path, into: Path, umask: int
) -> None:
    source = write_tree(tmp_path / "tree")
    (source / "bin/run").chmod(0o6775)
    (source / "lib").chmod(0o1777)
    manifest = origin.ingest(source)
    before = os.umask(umask)
    try:
        fetch(store, origin, manifest, into / "tree")
    finally:
        os.umask(before)
    (source / "bin/run").chmod(0o775)
    (source / "lib").chmod(0o777)
    assert portrait(into / "tree") == portrait(source)


@pytest.mark.skipif(os.geteuid() != 0, reason="giving files to another group takes root")
def test_a_folder_that_gives_its_group_gives_it_all_the_way_down(
    store: DiskStore, origin: MemoryStore, tmp_path: Path, into: Path
) -> None:
    manifest = origin.ingest(write_tree(tmp_path / "tree"))
    os.chown(into, -1, GROUP)
    into.chmod(0o2775)
    fetch(store, origin, manifest, into / "tree")
    everything = [into / "tree", *(into / "tree").rglob("*")]
    assert {path.lstat().st_gid for path in everything} == {GROUP}
    assert {path.lstat().st_uid for path in everything} == {os.geteuid()}
    assert store.discrepancies(manifest.id) == []
    store.repair_begin(manifest.id)
    store.finish(manifest.id)
    assert store.discrepancies(manifest.id) == []


def test_after_a_flush_that_failed_what_was_lost_can_be_written_again(
    store: DiskStore,
    origin: MemoryStore,
    tmp_path: Path,
    into: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """Its files and folders had been made read-only by then."""
    source = write_tree(tmp_path / "tree")
    write_file(source / "lib/secret", 100_000).chmod(0o400)
    manifest = origin.ingest(source)
    store.begin(manifest, into / "tree")
    copy_chunks(origin, store, manifest)
    with monkeypatch.context() as failing:

        def fail(fd: int) -> None:
            raise OSError(5, "Input/output error")

        failing.setattr("strew.store.shape.sync_file_system", fail)
        with pytest.raises(DiskError, match="cannot flush"):
            store.finish(manifest.id)
    part = Path(part_path(str(into / "tree"), manifest.id))
    assert (part / "lib/secret").stat().st_mode & 0o600 == 0o600
    assert (part / "lib/deep/er").stat().st_mode & 0o700 == 0o700
    store.finish(manifest.id)
    assert portrait(into / "tree") == portrait(source)

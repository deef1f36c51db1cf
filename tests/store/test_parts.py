"""Resuming a `.part`, believing nothing, and refusing what is not one."""

import os
import shutil
from pathlib import Path

import pytest

from strew.content.manifest import Manifest
from strew.errors import DiskError
from strew.store import parts
from strew.store.disk import DiskStore
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


def test_another_process_goes_on_where_one_ended(
    origin: MemoryStore, tmp_path: Path, into: Path
) -> None:
    source = write_tree(tmp_path / "tree")
    manifest = origin.ingest(source)
    first = DiskStore(tmp_path / "store")
    first.begin(manifest, into / "tree")
    copy_chunks(origin, first, manifest, at_most=3)
    first.close()
    second = DiskStore(tmp_path / "store")
    (stored,) = second.artifacts()
    assert (stored.state, stored.have_chunks, stored.path) == ("partial", 3, into / "tree")
    assert second.begin(second.manifest(stored.artifact), stored.path).count == 3
    copy_chunks(origin, second, manifest)
    second.finish(manifest.id)
    assert portrait(into / "tree") == portrait(source)
    second.close()


def test_claims_are_hashed_and_not_believed(
    origin: MemoryStore, manifest: Manifest, tmp_path: Path, into: Path
) -> None:
    first = DiskStore(tmp_path / "store")
    first.begin(manifest, into / "file")
    copy_chunks(origin, first, manifest, at_most=5)
    first.close()
    part = Path(parts.part_path(str(into / "file"), manifest.id))
    overwrite(part, manifest.offset(2) + 10, b"rot")
    second = DiskStore(tmp_path / "store")
    assert list(second.begin(manifest, into / "file")) == [0, 1, 3, 4]
    second.close()


@pytest.mark.parametrize("spoil", ["garbage", "missing", "short"])
def test_spoilt_claims_claim_nothing(
    origin: MemoryStore, manifest: Manifest, tmp_path: Path, into: Path, spoil: str
) -> None:
    first = DiskStore(tmp_path / "store")
    first.begin(manifest, into / "file")
    copy_chunks(origin, first, manifest, at_most=5)
    first.close()
    claims = Path(parts.claims_path(str(into / "file"), manifest.id))
    if spoil == "missing":
        claims.unlink()
    else:
        claims.write_bytes(b"\xff" * (1000 if spoil == "garbage" else 3))
    second = DiskStore(tmp_path / "store")
    assert second.begin(manifest, into / "file").count == 0
    fetch(second, origin, manifest, into / "file")
    assert (into / "file").read_bytes() == noise(600 * KIB)
    second.close()


def test_a_lost_index_costs_no_fetch(origin: MemoryStore, tmp_path: Path, into: Path) -> None:
    manifest = origin.ingest(write_tree(tmp_path / "tree"))
    first = DiskStore(tmp_path / "store")
    fetch(first, origin, manifest, into / "tree")
    first.close()
    shutil.rmtree(tmp_path / "store")
    second = DiskStore(tmp_path / "store")
    assert second.begin(manifest, into / "tree").complete
    assert second.finish(manifest.id) == into / "tree"
    second.close()


def test_a_tree_with_strangers_is_not_taken_for_the_artifact(
    store: DiskStore, origin: MemoryStore, tmp_path: Path, into: Path
) -> None:
    source = write_tree(tmp_path / "tree")
    manifest = origin.ingest(source)
    shutil.copytree(source, into / "tree", symlinks=True)
    (into / "tree/stranger").write_text("x")
    assert not store.begin(manifest, into / "tree").complete
    store.reuse(manifest.id, lambda index: None)
    fetch(store, origin, manifest, into / "tree")
    assert portrait(into / "tree") == portrait(source)


def test_the_old_version_in_the_part_is_not_mistaken_for_it(
    origin: MemoryStore, tmp_path: Path, into: Path
) -> None:
    # As a kill leaves it between the swap and its record: `.part` is the old tree.
    source = write_tree(tmp_path / "v2", seed=7)
    manifest = origin.ingest(source, name="app")
    write_tree(into / "app", seed=1)
    first = DiskStore(tmp_path / "store")
    first.begin(manifest, into / "app")
    copy_chunks(origin, first, manifest)
    first.close()
    part = parts.part_path(str(into / "app"), manifest.id)
    os.rename(part, into / "moved")
    os.rename(into / "app", part)
    os.rename(into / "moved", into / "app")
    second = DiskStore(tmp_path / "store")
    assert second.begin(manifest, into / "app").complete
    second.finish(manifest.id)
    assert portrait(into / "app") == portrait(source)
    assert os.listdir(into) == ["app"]
    second.close()


@pytest.mark.parametrize("what", ["link", "folder", "fifo", "hard link"])
def test_a_part_that_is_something_else(
    store: DiskStore, manifest: Manifest, tmp_path: Path, into: Path, what: str
) -> None:
    part = Path(parts.part_path(str(into / "file"), manifest.id))
    victim = write_file(tmp_path / "victim", 10)
    if what == "link":
        part.symlink_to(victim)
    elif what == "folder":
        part.mkdir()
    elif what == "fifo":
        os.mkfifo(part)
    else:
        os.link(victim, part)
    with pytest.raises(DiskError, match="cannot"):
        store.begin(manifest, into / "file")
    assert victim.read_bytes() == noise(10)


def test_a_link_inside_of_the_part_is_not_followed(
    origin: MemoryStore, tmp_path: Path, into: Path
) -> None:
    manifest = origin.ingest(write_tree(tmp_path / "tree"))
    first = DiskStore(tmp_path / "store")
    first.begin(manifest, into / "tree")
    first.close()
    part = Path(parts.part_path(str(into / "tree"), manifest.id))
    victim = write_file(tmp_path / "victim", 10)
    (part / "big").unlink()
    (part / "big").symlink_to(victim)
    second = DiskStore(tmp_path / "store")
    with pytest.raises(DiskError, match="cannot prepare"):
        second.begin(manifest, into / "tree")
    assert victim.read_bytes() == noise(10)
    second.close()


def test_no_room_says_how_much_is_needed(
    store: DiskStore,
    manifest: Manifest,
    into: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(parts, "free_bytes_at", lambda path: 1000)
    with pytest.raises(DiskError, match=f"need {600 * KIB} bytes, 1000 are free"):
        store.begin(manifest, into / "file")
    assert os.listdir(into) == []

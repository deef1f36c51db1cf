"""Filling a download from what this machine has."""

from pathlib import Path

from strew.content.chunker import params_for
from strew.store.disk import DiskStore
from strew.store.memory import MemoryStore
from tests.store.makers import (
    KIB,
    copy_chunks,
    fetch,
    noise,
    overwrite,
    write_bytes,
    write_file,
)


def test_two_percent_changed_leaves_at_most_five_to_fetch(
    store: DiskStore, origin: MemoryStore, tmp_path: Path, into: Path
) -> None:
    old = bytearray(noise(24 * 1024 * KIB))
    first = origin.ingest(write_bytes(tmp_path / "v1", old), name="model")
    fetch(store, origin, first, into / "model")
    # One edit of 2 %, and one insertion: everything behind it moves.
    old[5 << 20 : (5 << 20) + len(old) // 50] = noise(len(old) // 50, seed=2)
    old[15 << 20 : 15 << 20] = b"inserted"
    second = origin.ingest(write_bytes(tmp_path / "v2", old), name="model")
    store.begin(second, into / "model")
    store.reuse(second.id, lambda index: None)
    have = store.bitfield(second.id)
    missing_bytes = sum(second.length(index) for index in have.missing())
    assert missing_bytes <= 0.05 * second.size_bytes
    copy_chunks(origin, store, second)
    store.finish(second.id)
    assert (into / "model").read_bytes() == old


def test_content_that_the_index_does_not_know_is_cut(
    store: DiskStore, origin: MemoryStore, tmp_path: Path, into: Path
) -> None:
    data = noise(2000 * KIB)
    write_bytes(into / "model", data)
    manifest = origin.ingest(write_bytes(tmp_path / "v2", b"new head" + data))
    assert store.begin(manifest, into / "model").count == 0
    assert store.reuse(manifest.id, lambda index: None) > 0.8 * manifest.size_bytes


def test_a_damaged_source_gives_only_what_is_right(
    store: DiskStore, origin: MemoryStore, tmp_path: Path, into: Path
) -> None:
    source = write_file(tmp_path / "v1", 1000 * KIB)
    first = store.ingest(source)
    second = origin.ingest(write_bytes(tmp_path / "v2", source.read_bytes() + b"tail"))
    overwrite(source, first.offset(1) + 5, b"rot")
    store.begin(second, into / "v2")
    store.reuse(second.id, lambda index: None)
    assert 1 not in store.bitfield(second.id)
    assert store.verify(second.id) == list(store.bitfield(second.id).missing())


def test_equal_chunks_come_from_one(
    store: DiskStore, origin: MemoryStore, tmp_path: Path, into: Path
) -> None:
    longest = params_for(0).max_bytes  # where nothing says where to cut
    (tmp_path / "zeros").write_bytes(bytes(8 * longest))
    (tmp_path / "more").write_bytes(bytes(16 * longest))
    store.ingest(tmp_path / "zeros")
    manifest = origin.ingest(tmp_path / "more")
    store.begin(manifest, into / "more")
    assert store.reuse(manifest.id, lambda index: None) == 16 * longest

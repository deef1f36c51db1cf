"""What every ChunkStore must do. A backend joins by a line in BACKENDS."""

import os
import socket
import threading
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from strew.content.digest import ArtifactId
from strew.content.manifest import Manifest
from strew.errors import IntegrityError, NotFoundError, UsageError
from strew.store.disk import DiskStore
from strew.store.memory import MemoryStore
from strew.store.store import ChunkStore
from tests.store.makers import KIB, copy_chunks, noise, write_file, write_tree

BACKENDS: dict[str, Callable[[Path], ChunkStore]] = {
    "memory": lambda folder: MemoryStore(),
    "disk": lambda folder: DiskStore(folder / "store"),
}
UNKNOWN = ArtifactId("blake3:" + "0" * 64)


@pytest.fixture(params=BACKENDS)
def store(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[ChunkStore]:
    backend = BACKENDS[request.param](tmp_path)
    yield backend
    backend.close()


@pytest.fixture
def origin(tmp_path: Path) -> Iterator[MemoryStore]:
    publisher = MemoryStore()
    yield publisher
    publisher.close()


@pytest.fixture
def manifest(origin: MemoryStore, tmp_path: Path) -> Manifest:
    return origin.ingest(write_file(tmp_path / "file"))


def begun(store: ChunkStore, manifest: Manifest) -> ArtifactId:
    store.begin(manifest, None)
    return manifest.id


def sent(store: ChunkStore, artifact: ArtifactId, index: int) -> bytes:
    """A chunk as a neighbour gets it: sendfile of the reader's spans into a socket."""
    left, right = socket.socketpair()
    with left, right, store.reader(artifact, index) as reader:
        size_bytes = sum(length for _, _, length in reader.spans)

        def send() -> None:
            for fd, offset, length in reader.spans:
                end = offset + length
                while offset < end:
                    offset += os.sendfile(left.fileno(), fd, offset, end - offset)

        sender = threading.Thread(target=send)
        sender.start()
        received = bytearray()
        while len(received) < size_bytes:
            received += right.recv(1 << 20)
        sender.join()
    return bytes(received)


class TestPublishing:
    def test_an_ingested_file_is_complete_pinned_and_readable(
        self, store: ChunkStore, tmp_path: Path
    ) -> None:
        path = write_file(tmp_path / "file")
        manifest = store.ingest(path)
        assert manifest.name == "file"
        assert store.bitfield(manifest.id).complete
        assert b"".join(store.read(manifest.id, i) for i in range(manifest.chunk_count)) == (
            path.read_bytes()
        )
        (stored,) = store.artifacts()
        assert (stored.artifact, stored.state, stored.pinned) == (manifest.id, "complete", True)
        assert stored.have_chunks == stored.chunk_count == manifest.chunk_count

    def test_the_same_content_is_the_same_artifact(self, store: ChunkStore, tmp_path: Path) -> None:
        path = write_file(tmp_path / "file")
        assert store.ingest(path).id == store.ingest(path).id
        assert len(store.artifacts()) == 1

    def test_an_empty_file_is_complete_from_the_start(
        self, store: ChunkStore, origin: MemoryStore, tmp_path: Path
    ) -> None:
        (tmp_path / "empty").touch()
        manifest = origin.ingest(tmp_path / "empty")
        assert store.begin(manifest, None).complete
        store.finish(manifest.id)
        assert store.artifacts()[0].state == "complete"

    def test_progress_ends_at_the_size(self, store: ChunkStore, tmp_path: Path) -> None:
        told: list[tuple[int, int]] = []
        store.ingest(
            write_file(tmp_path / "file"),
            on_progress=lambda done, total: told.append((done, total)),
        )
        assert told[-1] == (600 * KIB, 600 * KIB)


class TestChunks:
    def test_a_download_from_nothing_to_all(
        self, store: ChunkStore, origin: MemoryStore, manifest: Manifest
    ) -> None:
        assert store.begin(manifest, None).count == 0
        assert copy_chunks(origin, store, manifest) == manifest.chunk_count
        assert store.bitfield(manifest.id).complete
        store.finish(manifest.id)
        for index in range(manifest.chunk_count):
            assert store.read(manifest.id, index) == origin.read(manifest.id, index)

    def test_a_tree_from_nothing_to_all(
        self, store: ChunkStore, origin: MemoryStore, tmp_path: Path
    ) -> None:
        manifest = origin.ingest(write_tree(tmp_path / "tree"))
        store.begin(manifest, None)
        copy_chunks(origin, store, manifest)
        store.finish(manifest.id)
        for index in range(manifest.chunk_count):
            assert sent(store, manifest.id, index) == origin.read(manifest.id, index)

    def test_the_time_of_writing_is_counted(
        self, store: ChunkStore, origin: MemoryStore, manifest: Manifest
    ) -> None:
        artifact = begun(store, manifest)
        assert store.write_seconds(artifact) == 0.0
        store.put(artifact, 0, origin.read(artifact, 0))
        once = store.write_seconds(artifact)
        assert 0.0 < once < 10.0
        store.put(artifact, 0, origin.read(artifact, 0))
        assert store.write_seconds(artifact) == once, "it was here: nothing was written"
        with pytest.raises(NotFoundError):
            store.write_seconds(UNKNOWN)

    def test_a_chunk_is_new_once(
        self, store: ChunkStore, origin: MemoryStore, manifest: Manifest
    ) -> None:
        artifact = begun(store, manifest)
        data = origin.read(artifact, 0)
        assert store.put(artifact, 0, memoryview(data)) is True
        assert store.put(artifact, 0, bytearray(data)) is False
        assert list(store.bitfield(artifact)) == [0]

    @pytest.mark.parametrize(
        "spoil",
        [
            lambda data: data[:-1],
            lambda data: data + b"x",
            lambda data: b"",
            lambda data: bytes([data[0] ^ 1]) + data[1:],
        ],
        ids=["short", "long", "empty", "flipped"],
    )
    def test_wrong_bytes_are_refused_and_not_had(
        self,
        store: ChunkStore,
        origin: MemoryStore,
        manifest: Manifest,
        spoil: Callable[[bytes], bytes],
    ) -> None:
        artifact = begun(store, manifest)
        with pytest.raises(IntegrityError):
            store.put(artifact, 1, spoil(origin.read(artifact, 1)))
        assert not store.bitfield(artifact)
        with pytest.raises(NotFoundError):
            store.read(artifact, 1)

    def test_a_chunk_can_be_sent_before_the_download_is_complete(
        self, store: ChunkStore, origin: MemoryStore, manifest: Manifest
    ) -> None:
        artifact = begun(store, manifest)
        store.put(artifact, 2, origin.read(artifact, 2))
        assert sent(store, artifact, 2) == origin.read(artifact, 2)

    def test_what_is_not_had_cannot_be_read(self, store: ChunkStore, manifest: Manifest) -> None:
        artifact = begun(store, manifest)
        with pytest.raises(NotFoundError):
            store.reader(artifact, 0)
        with pytest.raises(NotFoundError):
            store.read(artifact, 0)
        assert store.recheck(artifact, 0) is False

    @pytest.mark.parametrize("index", [-1, 1 << 20])
    def test_indexes_outside_of_the_artifact(
        self, store: ChunkStore, manifest: Manifest, index: int
    ) -> None:
        artifact = begun(store, manifest)
        for call in (store.read, store.reader, store.open_writer):
            with pytest.raises(NotFoundError):
                call(artifact, index)
        with pytest.raises(NotFoundError):
            store.put(artifact, index, b"x")

    def test_bitfields_are_copies(
        self, store: ChunkStore, origin: MemoryStore, manifest: Manifest
    ) -> None:
        first = store.begin(manifest, None)
        first.add(0)
        store.bitfield(manifest.id).add(1)
        assert not store.bitfield(manifest.id)

    def test_threads_put_all_chunks_at_once(
        self, store: ChunkStore, origin: MemoryStore, manifest: Manifest
    ) -> None:
        artifact = begun(store, manifest)
        new: list[bool] = []

        def put_all() -> None:
            for index in range(manifest.chunk_count):
                new.append(store.put(artifact, index, origin.read(artifact, index)))

        threads = [threading.Thread(target=put_all) for _ in range(4)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        assert sum(new) == manifest.chunk_count
        assert store.verify(artifact) == []


class TestWriters:
    def test_slices_become_a_chunk(
        self, store: ChunkStore, origin: MemoryStore, manifest: Manifest
    ) -> None:
        artifact = begun(store, manifest)
        data = origin.read(artifact, 1)
        writer = store.open_writer(artifact, 1)
        for start in range(0, len(data), 1000):
            writer.write(memoryview(data)[start : start + 1000])
            assert 1 not in store.bitfield(artifact)
        assert writer.commit() is True
        assert store.read(artifact, 1) == data

    @pytest.mark.parametrize("spoil", [lambda d: d[:-1], lambda d: b"\0" * len(d)])
    def test_wrong_bytes_do_not_commit(
        self,
        store: ChunkStore,
        origin: MemoryStore,
        manifest: Manifest,
        spoil: Callable[[bytes], bytes],
    ) -> None:
        artifact = begun(store, manifest)
        data = origin.read(artifact, 1)
        writer = store.open_writer(artifact, 1)
        writer.write(spoil(data))
        with pytest.raises(IntegrityError):
            writer.commit()
        assert not store.bitfield(artifact)
        again = store.open_writer(artifact, 1)
        again.write(data)
        assert again.commit() is True

    def test_more_than_the_chunk_is_refused_at_once(
        self, store: ChunkStore, manifest: Manifest
    ) -> None:
        artifact = begun(store, manifest)
        writer = store.open_writer(artifact, 0)
        writer.write(bytes(manifest.length(0)))
        with pytest.raises(IntegrityError):
            writer.write(b"x")
        writer.abort()

    def test_an_aborted_writer_leaves_the_place_free(
        self, store: ChunkStore, origin: MemoryStore, manifest: Manifest
    ) -> None:
        artifact = begun(store, manifest)
        writer = store.open_writer(artifact, 0)
        writer.write(b"rubbish")
        writer.abort()
        writer.abort()
        writer.write(b"late")
        assert writer.commit() is False
        assert store.put(artifact, 0, origin.read(artifact, 0)) is True

    @pytest.mark.parametrize("first_to_end", [0, 1])
    def test_two_writers_of_one_chunk_do_not_disturb_each_other(
        self, store: ChunkStore, origin: MemoryStore, manifest: Manifest, first_to_end: int
    ) -> None:
        artifact = begun(store, manifest)
        data = origin.read(artifact, 0)
        writers = [store.open_writer(artifact, 0), store.open_writer(artifact, 0)]
        liar, honest = writers[1 - first_to_end], writers[first_to_end]
        liar.write(bytes(5000))
        honest.write(data[:5000])
        liar.write(bytes(len(data) - 5000))
        honest.write(data[5000:])
        assert honest.commit() is True
        try:
            assert liar.commit() is False
        except IntegrityError:
            pass  # a backend may also notice
        assert store.read(artifact, 0) == data
        assert store.recheck(artifact, 0) is True

    def test_a_whole_chunk_overtakes_one_in_slices_for_good(
        self, store: ChunkStore, origin: MemoryStore, manifest: Manifest
    ) -> None:
        artifact = begun(store, manifest)
        data = origin.read(artifact, 0)
        writer = store.open_writer(artifact, 0)
        writer.write(bytes(100))
        assert store.put(artifact, 0, data) is True
        writer.write(bytes(100))
        assert store.recheck(artifact, 0) is True
        writer.abort()
        assert store.read(artifact, 0) == data

    def test_a_writer_of_what_is_had_changes_nothing(
        self, store: ChunkStore, origin: MemoryStore, manifest: Manifest
    ) -> None:
        artifact = begun(store, manifest)
        data = origin.read(artifact, 0)
        store.put(artifact, 0, data)
        writer = store.open_writer(artifact, 0)
        writer.write(data)
        assert writer.commit() is False
        assert store.recheck(artifact, 0) is True


class TestReuse:
    def test_the_next_version_takes_what_it_shares(
        self, store: ChunkStore, origin: MemoryStore, tmp_path: Path
    ) -> None:
        old = noise(1500 * KIB, 5)
        (tmp_path / "v1").write_bytes(old)
        (tmp_path / "v2").write_bytes(old[: 700 * KIB] + b"changed" + old[700 * KIB :])
        store.ingest(tmp_path / "v1")
        manifest = origin.ingest(tmp_path / "v2")
        store.begin(manifest, None)
        told: list[int] = []
        reused_bytes = store.reuse(manifest.id, told.append)
        assert set(told) == set(store.bitfield(manifest.id))
        assert reused_bytes == sum(manifest.length(index) for index in told)
        assert reused_bytes > 0.75 * manifest.size_bytes
        assert copy_chunks(origin, store, manifest) <= 3
        store.finish(manifest.id)
        assert store.verify(manifest.id) == []

    def test_nothing_to_take(
        self, store: ChunkStore, origin: MemoryStore, manifest: Manifest
    ) -> None:
        assert store.reuse(begun(store, manifest), lambda index: None) == 0


class TestEnding:
    def test_finish_needs_all_chunks(
        self, store: ChunkStore, origin: MemoryStore, manifest: Manifest
    ) -> None:
        artifact = begun(store, manifest)
        copy_chunks(origin, store, manifest, at_most=2)
        with pytest.raises(UsageError, match="chunks are missing"):
            store.finish(artifact)

    def test_finish_twice_is_finish(
        self, store: ChunkStore, origin: MemoryStore, manifest: Manifest
    ) -> None:
        artifact = begun(store, manifest)
        copy_chunks(origin, store, manifest)
        assert store.finish(artifact) == store.finish(artifact)
        assert store.begin(manifest, None).complete

    def test_begin_twice_goes_on(
        self, store: ChunkStore, origin: MemoryStore, manifest: Manifest
    ) -> None:
        begun(store, manifest)
        copy_chunks(origin, store, manifest, at_most=3)
        assert store.begin(manifest, None).count == 3
        assert store.artifacts()[0].have_chunks == 3

    def test_abandoned_is_unknown_but_complete_stays(
        self, store: ChunkStore, origin: MemoryStore, manifest: Manifest, tmp_path: Path
    ) -> None:
        artifact = begun(store, manifest)
        store.abandon(artifact)
        with pytest.raises(NotFoundError):
            store.bitfield(artifact)
        kept = store.ingest(write_file(tmp_path / "kept", seed=9)).id
        store.abandon(kept)
        assert store.bitfield(kept).complete

    def test_every_method_refuses_an_unknown_artifact(self, store: ChunkStore) -> None:
        for call in (
            store.manifest,
            store.bitfield,
            store.path_of,
            store.verify,
            store.finish,
            store.abandon,
            store.drop,
            store.pin,
            store.unpin,
            store.repair_begin,
            store.discrepancies,
        ):
            with pytest.raises(NotFoundError):
                call(UNKNOWN)
        for at in (store.read, store.reader, store.recheck, store.open_writer):
            with pytest.raises(NotFoundError):
                at(UNKNOWN, 0)
        with pytest.raises(NotFoundError):
            store.put(UNKNOWN, 0, b"")


class TestEviction:
    def fill(self, store: ChunkStore, origin: MemoryStore, tmp_path: Path) -> list[ArtifactId]:
        artifacts = []
        for seed in range(3):
            manifest = origin.ingest(write_file(tmp_path / f"f{seed}", 100 * KIB, seed))
            store.begin(manifest, None)
            copy_chunks(origin, store, manifest)
            store.finish(manifest.id)
            artifacts.append(manifest.id)
        return artifacts

    def test_the_oldest_unpinned_go_first(
        self, store: ChunkStore, origin: MemoryStore, tmp_path: Path
    ) -> None:
        oldest, middle, newest = self.fill(store, origin, tmp_path)
        store.pin(oldest)
        would_go = store.gc(limit_bytes=200 * KIB, dry_run=True)
        assert [stored.artifact for stored in would_go] == [middle]
        assert len(store.artifacts()) == 3
        assert store.gc(limit_bytes=200 * KIB, dry_run=False) == would_go
        assert [stored.artifact for stored in store.artifacts()] == [oldest, newest]
        assert store.bitfield(oldest).complete

    def test_without_a_limit_nothing_held_goes(
        self, store: ChunkStore, origin: MemoryStore, tmp_path: Path
    ) -> None:
        self.fill(store, origin, tmp_path)
        assert store.gc(limit_bytes=None, dry_run=False) == []

    def test_unpinned_goes_when_there_is_no_room_at_all(
        self, store: ChunkStore, origin: MemoryStore, tmp_path: Path
    ) -> None:
        first, second, third = self.fill(store, origin, tmp_path)
        store.pin(first)
        store.unpin(first)
        gone = store.gc(limit_bytes=0, dry_run=False)
        assert [stored.artifact for stored in gone] == [first, second, third]
        assert store.artifacts() == []

    def test_what_is_being_fetched_stays(
        self, store: ChunkStore, origin: MemoryStore, manifest: Manifest
    ) -> None:
        artifact = begun(store, manifest)
        assert store.gc(limit_bytes=0, dry_run=False) == []
        assert store.bitfield(artifact).count == 0

    def test_dropped_is_unknown(self, store: ChunkStore, tmp_path: Path) -> None:
        artifact = store.ingest(write_file(tmp_path / "file")).id
        store.drop(artifact)
        with pytest.raises(NotFoundError):
            store.manifest(artifact)
        assert store.artifacts() == []

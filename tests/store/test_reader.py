"""Readers on disk; what all backends promise is in the conformance suite."""

import os
import threading
from pathlib import Path

from strew.content.digest import digest_of
from strew.store.copy import SPANS_MAX
from strew.store.disk import DiskStore
from strew.store.memory import MemoryStore
from tests.store.makers import copy_chunks, write_file, write_tree


def content(spans: list[tuple[int, int, int]]) -> bytes:
    return b"".join(os.pread(fd, length, offset) for fd, offset, length in spans)


def test_a_chunk_in_many_files_is_one_span_in_memory(store: DiskStore, tmp_path: Path) -> None:
    (tmp_path / "few").mkdir()
    (tmp_path / "many").mkdir()
    for index in range(SPANS_MAX + 1):
        write_file(tmp_path / f"many/{index}", 100, index)
        if index < SPANS_MAX:
            write_file(tmp_path / f"few/{index}", 100, index)
    for name, span_count in (("few", SPANS_MAX), ("many", 1)):
        manifest = store.ingest(tmp_path / name)
        with store.reader(manifest.id, 0) as reader:
            assert len(reader.spans) == span_count
            assert digest_of(content(reader.spans)) == manifest.digest(0)
        reader.close()


def test_readers_do_not_notice_the_swap(
    store: DiskStore, origin: MemoryStore, tmp_path: Path, into: Path
) -> None:
    manifest = origin.ingest(write_tree(tmp_path / "tree"))
    failures: list[object] = []
    ended = threading.Event()

    def read_on() -> None:
        while not ended.is_set():
            for index in range(manifest.chunk_count):
                try:
                    with store.reader(manifest.id, index) as reader:
                        if digest_of(content(reader.spans)) != manifest.digest(index):
                            failures.append(index)
                except Exception as error:
                    failures.append(error)
                    return

    store.begin(manifest, into / "tree")
    copy_chunks(origin, store, manifest)
    threads = [threading.Thread(target=read_on) for _ in range(2)]
    for thread in threads:
        thread.start()
    store.finish(manifest.id)
    ended.set()
    for thread in threads:
        thread.join()
    assert failures == []
    assert store.bitfield(manifest.id).complete

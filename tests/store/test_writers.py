"""Writers on disk; what all backends promise is in the conformance suite."""

import os
from pathlib import Path

import pytest

from strew.content.manifest import Manifest
from strew.errors import DiskError
from strew.store import parts
from strew.store.disk import DiskStore
from strew.store.memory import MemoryStore
from strew.store.writers import PlaceWriter, SpareWriter
from tests.store.makers import fetch, noise, overwrite


def test_the_first_writes_in_place_and_the_second_aside(
    store: DiskStore, manifest: Manifest, into: Path
) -> None:
    store.begin(manifest, into / "file")
    first, second = store.open_writer(manifest.id, 0), store.open_writer(manifest.id, 0)
    assert isinstance(first, PlaceWriter)
    assert isinstance(second, SpareWriter)
    first.abort()
    second.abort()
    assert isinstance(store.open_writer(manifest.id, 0), PlaceWriter)


def test_nothing_unverified_reaches_a_visible_file(
    store: DiskStore, origin: MemoryStore, manifest: Manifest, into: Path
) -> None:
    path = fetch(store, origin, manifest, into / "file")
    overwrite(path, manifest.offset(1), b"rot")
    damaged = path.read_bytes()
    assert store.verify(manifest.id) == [1]
    store.repair_begin(manifest.id)
    writer = store.open_writer(manifest.id, 1)
    data = origin.read(manifest.id, 1)
    writer.write(data[:-1])
    assert path.read_bytes() == damaged
    writer.write(data[-1:])
    assert writer.commit() is True
    assert path.read_bytes() == noise(len(damaged))


def test_a_writer_of_an_abandoned_download_fails_on_disk(
    store: DiskStore, origin: MemoryStore, manifest: Manifest, into: Path
) -> None:
    store.begin(manifest, into / "file")
    writer = store.open_writer(manifest.id, 0)
    store.abandon(manifest.id)
    with pytest.raises(DiskError, match="cannot write"):
        writer.write(origin.read(manifest.id, 0))
    writer.abort()
    assert os.listdir(into) == []


def test_a_full_disk_frees_the_place(
    store: DiskStore,
    origin: MemoryStore,
    manifest: Manifest,
    into: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    store.begin(manifest, into / "file")

    def full(fd: int, data: bytes, offset: int) -> int:
        raise OSError(28, os.strerror(28))

    real_pwrite = os.pwrite
    writer = store.open_writer(manifest.id, 0)
    monkeypatch.setattr(os, "pwrite", full)
    with pytest.raises(DiskError, match=f"need {manifest.size_bytes} bytes"):
        writer.write(b"x")
    monkeypatch.setattr(os, "pwrite", real_pwrite)
    again = store.open_writer(manifest.id, 0)
    again.write(origin.read(manifest.id, 0))
    assert again.commit() is True
    assert parts.claimed_count(str(into / "file"), manifest.id) == 1

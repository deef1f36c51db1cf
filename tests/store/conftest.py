"""A store under test, a publisher beside it, and a folder to install into."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from strew.content.manifest import Manifest
from strew.store.disk import DiskStore
from strew.store.memory import MemoryStore
from tests.store.makers import write_file


@pytest.fixture
def store(tmp_path: Path) -> Iterator[DiskStore]:
    disk = DiskStore(tmp_path / "store")
    yield disk
    disk.close()


@pytest.fixture
def origin() -> Iterator[MemoryStore]:
    publisher = MemoryStore()
    yield publisher
    publisher.close()


@pytest.fixture
def into(tmp_path: Path) -> Path:
    folder = tmp_path / "into"
    folder.mkdir()
    return folder


@pytest.fixture
def manifest(origin: MemoryStore, tmp_path: Path) -> Manifest:
    return origin.ingest(write_file(tmp_path / "file"))

import gc
from pathlib import Path

import pytest

from strew.content.manifest import Manifest
from strew.errors import IntegrityError, NotFoundError
from strew.store import shelf as shelf_module
from strew.store.ingest import read_manifest, scan
from strew.store.shelf import ManifestShelf
from tests.store.makers import write_file


@pytest.fixture
def manifest(tmp_path: Path) -> Manifest:
    return read_manifest(scan(write_file(tmp_path / "f"), None), None)


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    (tmp_path / "shelf").mkdir()
    return tmp_path / "shelf"


def test_a_manifest_comes_back_exactly(folder: Path, manifest: Manifest) -> None:
    ManifestShelf(folder).add(manifest, durable=False)
    again = ManifestShelf(folder).get(manifest.id)
    assert again.raw == manifest.raw
    assert len(list(folder.iterdir())) == 1


def test_whoever_uses_a_manifest_shares_it(folder: Path, manifest: Manifest) -> None:
    ManifestShelf(folder).add(manifest, durable=False)
    shelf = ManifestShelf(folder)
    assert shelf.get(manifest.id) is shelf.get(manifest.id)


def test_one_that_was_added_twice_is_still_read_once(folder: Path, manifest: Manifest) -> None:
    shelf = ManifestShelf(folder)
    shelf.add(manifest, durable=False)
    shelf.add(Manifest.parse(manifest.raw), durable=False)  # nobody else holds this one
    gc.collect()
    (path,) = folder.iterdir()
    path.unlink()
    assert shelf.get(manifest.id) is manifest


def test_unused_manifests_leave_memory(
    folder: Path, manifest: Manifest, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(shelf_module, "_KEPT_BYTES_MAX", 0)
    ManifestShelf(folder).add(manifest, durable=False)
    shelf = ManifestShelf(folder)
    shelf.get(manifest.id)
    gc.collect()
    assert not shelf._used


def test_a_damaged_file_is_noticed_and_written_anew(folder: Path, manifest: Manifest) -> None:
    ManifestShelf(folder).add(manifest, durable=False)
    (path,) = folder.iterdir()
    for content in (b"", manifest.raw[:-1] + b"\xff"):
        path.write_bytes(content)
        with pytest.raises(IntegrityError):
            ManifestShelf(folder).get(manifest.id)
    shelf = ManifestShelf(folder)
    shelf.add(manifest, durable=False)
    assert path.read_bytes() == manifest.raw


def test_removed_is_gone(folder: Path, manifest: Manifest) -> None:
    shelf = ManifestShelf(folder)
    shelf.add(manifest, durable=False)
    shelf.remove(manifest.id)
    shelf.remove(manifest.id)
    assert list(folder.iterdir()) == []
    identity = manifest.id
    del manifest
    with pytest.raises(NotFoundError):
        ManifestShelf(folder).get(identity)


def test_only_what_is_known_is_kept(folder: Path, manifest: Manifest) -> None:
    shelf = ManifestShelf(folder)
    shelf.add(manifest, durable=False)
    (folder / "x.manifest").touch()
    (folder / "y.new").touch()
    shelf.keep_only({manifest.id.removeprefix("blake3:")})
    assert len(list(folder.iterdir())) == 1

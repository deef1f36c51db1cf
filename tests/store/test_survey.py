"""Looking at a store that another process holds, and at files nobody holds."""

import random
from pathlib import Path

import pytest

from strew.errors import DiskError
from strew.store.disk import DiskStore
from strew.store.survey import StoreSurvey, inspect


def made(folder: Path, *, size_bytes: int = 300_000) -> tuple[DiskStore, Path]:
    tree = folder / "tree"
    (tree / "sub").mkdir(parents=True)
    (tree / "sub/data").write_bytes(random.Random(5).randbytes(size_bytes))
    (tree / "sub/data").chmod(0o644)
    (tree / "link").symlink_to("sub/data")
    return DiskStore(folder / "store"), tree


def test_a_store_in_use_can_be_looked_at(tmp_path: Path) -> None:
    store, tree = made(tmp_path)
    try:
        manifest = store.ingest(tree)
        survey = StoreSurvey(tmp_path / "store")
        row = survey.complete_at(str(tree))
        assert row is not None and row.artifact == manifest.id
        assert survey.complete(manifest.id) == row
        assert survey.manifest(manifest.id).raw == manifest.raw
        assert survey.droppable(0) == []  # published from where it lies
        assert survey.complete_at(str(tmp_path)) is None
    finally:
        store.close()


def test_no_folder_is_an_empty_store(tmp_path: Path) -> None:
    assert StoreSurvey(tmp_path / "nothing").rows == []
    assert not (tmp_path / "nothing").exists()


def test_a_state_file_that_is_none_is_told(tmp_path: Path) -> None:
    (tmp_path / "index.sqlite").write_bytes(b"nonsense" * 1000)
    with pytest.raises(DiskError, match=r"index\.sqlite"):
        StoreSurvey(tmp_path)


def test_every_kind_of_damage_is_seen(tmp_path: Path) -> None:
    store, tree = made(tmp_path)
    manifest = store.ingest(tree)
    store.close()
    told: list[tuple[int, int]] = []
    assert not inspect(manifest, tree, lambda done, total: told.append((done, total)))
    with (tree / "sub/data").open("r+b") as file:
        file.write(b"rot")
    (tree / "sub/data").chmod(0o600)
    (tree / "link").unlink()
    damage = inspect(manifest, tree)
    assert damage.bad_chunks == (0,)
    assert damage.bad_bytes == manifest.length(0)
    assert damage.differences == ("link: missing", "sub/data: mode 600, should be 644")
    (tree / "sub/data").unlink()
    assert inspect(manifest, tree).bad_bytes == manifest.size_bytes

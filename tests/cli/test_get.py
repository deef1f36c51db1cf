"""Where `strew get` puts what it fetched."""

from pathlib import Path

import pytest

from strew.cli.get import _target
from strew.content.manifest import Manifest
from strew.errors import UsageError
from strew.store.disk import DiskStore


@pytest.fixture
def here(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """An empty working folder."""
    (tmp_path / "here").mkdir()
    monkeypatch.chdir(tmp_path / "here")
    return tmp_path / "here"


@pytest.fixture
def tree(tmp_path: Path) -> Manifest:
    """A folder `app` of `bin`, `lib` and `etc`."""
    for name in ("bin", "lib", "etc"):
        (tmp_path / "app" / name).mkdir(parents=True)
    return manifest_of(tmp_path, "app")


@pytest.fixture
def single(tmp_path: Path) -> Manifest:
    """A file `app.bin`."""
    (tmp_path / "app.bin").write_bytes(b"content")
    return manifest_of(tmp_path, "app.bin")


def manifest_of(folder: Path, name: str) -> Manifest:
    store = DiskStore(folder / "store")
    try:
        return store.ingest(folder / name)
    finally:
        store.close()


def test_its_published_name_here_is_the_default(
    here: Path, single: Manifest, tree: Manifest
) -> None:
    assert _target(None, single, replace=False) == Path("app.bin")
    assert _target(None, tree, replace=False) == Path("app")


def test_a_file_goes_into_a_folder_and_replaces_a_file(here: Path, single: Manifest) -> None:
    (here / "folder").mkdir()
    (here / "old").write_bytes(b"old")
    assert _target("folder", single, replace=False) == Path("folder/app.bin")
    assert _target("folder/", single, replace=False) == Path("folder/app.bin")
    assert _target("old", single, replace=False) == Path("old")
    assert _target("new", single, replace=False) == Path("new")


def test_a_folder_is_its_own_next_version(here: Path, tree: Manifest) -> None:
    (here / "app/bin").mkdir(parents=True)
    (here / "app/share").mkdir()
    assert _target("app", tree, replace=False) == Path("app")
    assert _target("app/", tree, replace=False) == Path("app/app")
    (here / "empty").mkdir()
    assert _target("empty", tree, replace=False) == Path("empty")


def test_what_is_something_else_is_not_replaced_unless_asked_for(
    here: Path, tree: Manifest, single: Manifest
) -> None:
    (here / "home/bin").mkdir(parents=True)
    for name in ("letters", "photos"):
        (here / "home" / name).touch()
    with pytest.raises(UsageError, match="other content"):
        _target("home", tree, replace=False)
    assert _target("home", tree, replace=True) == Path("home")
    with pytest.raises(UsageError, match="not a folder"):
        _target("home/photos", tree, replace=False)
    (here / "app.bin/x").mkdir(parents=True)
    with pytest.raises(UsageError, match="other content"):
        _target(None, single, replace=False)


def test_standard_output_is_for_files(tree: Manifest, single: Manifest) -> None:
    assert _target("-", single, replace=False) is None
    with pytest.raises(UsageError, match="cannot go to standard output"):
        _target("-", tree, replace=False)

"""What an artifact consists of, and what it shares with other versions of its name."""

from pathlib import Path
from types import SimpleNamespace
from typing import cast

import pytest

from strew.agent.agent import Agent
from strew.agent.contents import FILES_MAX, VERSIONS_MAX, Contents
from strew.content.manifest import Manifest
from strew.publication import Publication
from strew.store.disk import DiskStore
from strew.store.memory import MemoryStore
from tests.store.makers import KIB, noise, write_tree


def contents_of(store: DiskStore | MemoryStore) -> Contents:
    return Contents(cast(Agent, SimpleNamespace(store=store, node=None)), None)


def named(manifest: Manifest, reference: str, version: int = 1) -> Publication:
    return Publication(
        reference=reference,
        artifact=manifest.id,
        version=version,
        size_bytes=manifest.size_bytes,
        chunk_count=manifest.chunk_count,
        published_s=1000.0 + version,
        name=manifest.name,
    )


def put(store: MemoryStore, folder: Path, content: bytes, name: str = "app") -> Manifest:
    path = folder / name
    path.write_bytes(content)
    return store.ingest(path)


def test_it_tells_of_every_file_folder_and_link(tmp_path: Path) -> None:
    store = MemoryStore()
    manifest = store.ingest(write_tree(tmp_path / "tree"))
    report = contents_of(store).report(manifest, [named(manifest, "app:1")])
    assert (report.artifact, report.name, report.is_tree) == (manifest.id, "tree", True)
    assert report.references == ("app:1",)
    assert report.entry_count == len(report.entries) == len(manifest.entries)
    link = next(entry for entry in report.entries if entry.path == "link")
    assert (link.kind, link.target) == ("link", "bin/run")
    assert sum(entry.size_bytes for entry in report.entries) == report.size_bytes


def test_versions_tell_how_many_bytes_an_update_from_them_saves(tmp_path: Path) -> None:
    store = MemoryStore()
    half = noise(600 * KIB, 1)
    old = put(store, tmp_path, half + noise(600 * KIB, 2))
    new = put(store, tmp_path, half + noise(600 * KIB, 3))
    names = [named(old, "app:1", 1), named(new, "app:2", 2)]
    (version,) = contents_of(store).report(new, names).versions
    theirs = set(old.digests())
    shared = [i for i, digest in enumerate(new.digests()) if digest in theirs]
    assert (version.artifact, version.references) == (old.id, ("app:1",))
    assert version.shared_chunks == len(shared) > 0
    assert version.shared_bytes == sum(new.length(index) for index in shared)
    assert 0.3 < version.shared_bytes / new.size_bytes <= 0.5


def test_a_version_whose_tag_was_given_to_the_next_is_still_one(tmp_path: Path) -> None:
    store = MemoryStore()
    old = put(store, tmp_path, noise(100 * KIB, 1))
    new = put(store, tmp_path, noise(100 * KIB, 2))
    (version,) = contents_of(store).report(new, [named(new, "app:latest")]).versions
    assert (version.artifact, version.references, version.shared_bytes) == (old.id, (), 0)


def test_artifacts_of_other_names_are_no_versions(tmp_path: Path) -> None:
    store = MemoryStore()
    other = put(store, tmp_path, noise(100 * KIB, 1), "other")
    mine = put(store, tmp_path, noise(100 * KIB, 2))
    names = [named(other, "other:1"), named(mine, "app:1")]
    assert contents_of(store).report(mine, names).versions == ()


def test_a_version_that_nobody_here_holds_is_passed_over(tmp_path: Path) -> None:
    elsewhere, store = MemoryStore(), MemoryStore()
    gone = put(elsewhere, tmp_path, noise(100 * KIB, 1), "gone")
    mine = put(store, tmp_path, noise(100 * KIB, 2))
    names = [named(gone, "app:1", 1), named(mine, "app:2", 2)]
    assert contents_of(store).report(mine, names).versions == ()


def test_only_the_newest_versions_are_compared(tmp_path: Path) -> None:
    store = MemoryStore()
    made = [put(store, tmp_path, noise(70 * KIB, seed)) for seed in range(VERSIONS_MAX + 3)]
    names = [named(manifest, f"app:{at}", at) for at, manifest in enumerate(made, 1)]
    versions = contents_of(store).report(made[0], names).versions
    newest = [manifest.id for manifest in reversed(made[1:])]
    assert [version.artifact for version in versions] == newest[:VERSIONS_MAX]


@pytest.mark.parametrize("many", [FILES_MAX, FILES_MAX + 1])
def test_of_very_many_files_the_largest_are_told(tmp_path: Path, many: int) -> None:
    tree = tmp_path / "tree"
    tree.mkdir()
    for number in range(many):
        (tree / f"{number:05}").write_bytes(b"x" * (number % 7))
    store = MemoryStore()
    report = contents_of(store).report(store.ingest(tree), [])
    assert (report.entry_count, len(report.entries)) == (many, FILES_MAX)
    sizes = sorted((number % 7 for number in range(many)), reverse=True)[:FILES_MAX]
    assert sorted((entry.size_bytes for entry in report.entries), reverse=True) == sizes

"""Pins: what a name names stays, and what no name names any more may go."""

from pathlib import Path

from strew.agent.pinning import Pins
from strew.content.digest import ArtifactId
from strew.publication import Publication
from strew.store.disk import DiskStore


def named(reference: str, artifact: ArtifactId, version: int) -> Publication:
    return Publication(
        reference=reference,
        artifact=artifact,
        version=version,
        size_bytes=1,
        chunk_count=1,
        published_s=0.0,
        name="app",
    )


def pinned(store: DiskStore) -> set[ArtifactId]:
    return {stored.artifact for stored in store.artifacts() if stored.pinned}


def test_an_artifact_is_let_go_with_its_last_name(tmp_path: Path) -> None:
    store = DiskStore(tmp_path / "store")
    ids = []
    for number in range(3):
        path = tmp_path / f"app{number}"
        path.write_bytes(bytes([number]) * 100)
        ids.append(store.ingest(path).id)
        store.pin(ids[-1])
    old, new, unnamed = ids
    pins = Pins(store)
    pins.heard(named("app:latest", old, 1))
    pins.heard(named("app:1", old, 2))
    pins.heard(named("app:latest", new, 3))
    assert pinned(store) == {old, new, unnamed}, "app:1 still names it"
    pins.heard(named("app:1", new, 4))
    assert pinned(store) == {new, unnamed}, "what was never named is about to be"
    pins.heard(named("app:1", new, 5))
    assert pinned(store) == {new, unnamed}
    store.close()


def test_an_artifact_that_is_gone_disturbs_nobody(tmp_path: Path) -> None:
    store = DiskStore(tmp_path / "store")
    pins = Pins(store)
    pins.heard(named("app:1", ArtifactId("blake3:" + "0" * 64), 1))
    pins.heard(named("app:1", ArtifactId("blake3:" + "1" * 64), 2))
    store.close()

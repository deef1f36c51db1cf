"""The scratch folder of a fetch, and when a fetch gives up."""

from pathlib import Path

import pytest

from strew.agent.config import load
from strew.agent.settings import Settings
from strew.cli import fetching
from strew.cli.fetching import Job, fetched, scratch
from strew.cli.output import Output
from strew.content.digest import ArtifactId
from strew.content.manifest import Manifest
from strew.content.reference import Address
from strew.errors import UnavailableError
from strew.fleet import FleetKey
from strew.store.disk import DiskStore

ARTIFACT = ArtifactId("blake3:" + "0" * 64)


def settings_in(folder: Path) -> Settings:
    return load({"data": str(folder)}, environ={}).settings


def manifest_of(path: Path) -> Manifest:
    store = DiskStore(path.parent / "publisher")
    try:
        return store.ingest(path)
    finally:
        store.close()


def test_a_scratch_folder_goes_after_success_and_stays_after_a_failure(tmp_path: Path) -> None:
    settings = settings_in(tmp_path / "data")
    target = tmp_path / "app"
    with pytest.raises(RuntimeError), scratch(settings, target, ARTIFACT) as first:
        raise RuntimeError
    assert first.is_dir()
    with scratch(settings, target, ARTIFACT) as second:
        assert second == first
        with scratch(settings, tmp_path / "other", ARTIFACT) as other:
            assert other != first
    assert not list((tmp_path / "data" / "fetch").iterdir())


def test_without_a_home_the_scratch_folder_is_temporary() -> None:
    settings = load({}, environ={}).settings
    with scratch(settings, None, ARTIFACT) as folder:
        assert folder.is_dir()
    assert not folder.exists()


async def test_a_fetch_without_any_peer_gives_up(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(fetching, "NO_PEER_S", 0.2)
    (tmp_path / "app").write_bytes(b"content")
    nobody = Address("127.0.0.1", 1)
    job = Job(
        settings=settings_in(tmp_path / "data"),
        key=FleetKey(bytes(32)),
        manifest=manifest_of(tmp_path / "app"),
        shown="app:1",
        target=tmp_path / "got",
        tracker=nobody,
        sources=(nobody,),
    )
    with pytest.raises(UnavailableError, match=r"none of 127\.0\.0\.1:1 can be reached"):
        async with fetched(job, Output(quiet=True)):
            pass
    assert not (tmp_path / "got").exists()


async def test_what_is_here_already_needs_no_peer(tmp_path: Path) -> None:
    (tmp_path / "app").write_bytes(b"content")
    nobody = Address("127.0.0.1", 1)
    job = Job(
        settings=settings_in(tmp_path / "data"),
        key=FleetKey(bytes(32)),
        manifest=manifest_of(tmp_path / "app"),
        shown="app:1",
        target=tmp_path / "app",
        tracker=nobody,
        sources=(nobody,),
    )
    async with fetched(job, Output(quiet=True)) as outcome:
        assert (outcome.fetched_bytes, outcome.reused_bytes) == (0, 7)
    assert (tmp_path / "app").read_bytes() == b"content"

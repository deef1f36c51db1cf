"""Fetches, between two agents with real sockets and stores."""

import asyncio
import os
import random
import threading
from pathlib import Path

from strew.agent.config import load
from strew.agent.process import open_agent
from strew.agent.settings import Settings
from strew.agent.transfer import Transfer
from strew.content.bitfield import Bitfield
from strew.content.manifest import Manifest
from strew.fleet import FleetKey
from strew.messages import swarm_key_of
from strew.store.disk import DiskStore

KEY = FleetKey(b"k" * 32)


def _write(path: Path, content: bytes) -> Path:
    path.parent.mkdir()
    path.write_bytes(content)
    return path


def settings_in(folder: Path) -> Settings:
    flags = {"listen": "127.0.0.1:0", "data": str(folder)}
    return load(flags, environ={}, role="node").settings


class SlowStore(DiskStore):
    """Its disk takes as long to begin a fetch as the test wants."""

    def __init__(self, folder: Path) -> None:
        super().__init__(folder)
        self.begun, self.go_on = threading.Event(), threading.Event()

    def begin(self, manifest: Manifest, target: Path | None, *, replace: bool = True) -> Bitfield:
        self.begun.set()
        assert self.go_on.wait(20.0)
        return super().begin(manifest, target, replace=replace)


async def test_a_fetch_that_is_abandoned_while_its_disk_is_at_work_leaves_nothing(
    tmp_path: Path,
) -> None:
    """And a newer version waits for that: the older one cannot come to its place after it."""
    into = tmp_path / "into"
    into.mkdir()
    theirs, ours = DiskStore(tmp_path / "theirs"), SlowStore(tmp_path / "ours")
    old, new = [
        theirs.ingest(_write(tmp_path / f"{seed}/file", random.Random(seed).randbytes(300_000)))
        for seed in (1, 2)
    ]
    async with (
        open_agent(settings_in(tmp_path / "theirs"), theirs, KEY, announces=False) as publisher,
        open_agent(settings_in(tmp_path / "ours"), ours, KEY, announces=False) as node,
    ):

        def fetch(manifest: Manifest) -> Transfer:
            at = (publisher.address,)
            return node.fetches.fetch(
                manifest.id, None, manifest=manifest.raw, sources=at, as_name_in=into
            )

        overtaken = fetch(old)
        assert await asyncio.to_thread(ours.begun.wait, 20.0)
        node.fetches.abandon(old.id)
        newer = fetch(new)
        ours.begun.clear()
        await asyncio.sleep(0)
        assert not ours.begun.is_set()
        ours.go_on.set()
        async with asyncio.timeout(20.0):
            assert await newer.finished == into / "file"
        assert overtaken.finished.exception() is not None
        assert os.listdir(into) == ["file"]
        assert [stored.artifact for stored in ours.artifacts()] == [new.id]
    theirs.close()
    ours.close()


async def test_who_takes_an_artifact_over_is_an_origin_that_deals_with_everybody(
    tmp_path: Path,
) -> None:
    """It fetched from the publisher alone; that must not bind it once it is the origin."""
    (tmp_path / "file").write_bytes(random.Random(1).randbytes(300_000))
    theirs, ours = DiskStore(tmp_path / "theirs"), DiskStore(tmp_path / "ours")
    manifest = theirs.ingest(tmp_path / "file")
    async with (
        open_agent(settings_in(tmp_path / "theirs"), theirs, KEY, announces=False) as publisher,
        open_agent(settings_in(tmp_path / "ours"), ours, KEY, announces=False) as origin,
    ):
        transfer = origin.fetches.publish_from(manifest, publisher.address)
        async with asyncio.timeout(20.0):
            await transfer.finished
        assert origin.node is not None
        part = origin.node.participations[swarm_key_of(manifest.id)]
        assert part.origin and part.swarm.have.complete
        assert part.wants_peers(origin.now()), "its followers are to be named to it"
    theirs.close()
    ours.close()

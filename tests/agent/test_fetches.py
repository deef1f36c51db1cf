"""Fetches, between two agents with real sockets and stores."""

import asyncio
import random
from pathlib import Path

from strew.agent.config import load
from strew.agent.process import open_agent
from strew.agent.settings import Settings
from strew.fleet import FleetKey
from strew.messages import swarm_key_of
from strew.store.disk import DiskStore

KEY = FleetKey(b"k" * 32)


def settings_in(folder: Path) -> Settings:
    flags = {"listen": "127.0.0.1:0", "data": str(folder)}
    return load(flags, environ={}, role="node").settings


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

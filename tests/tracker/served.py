"""A tracker on a loopback port, for tests that speak HTTP to it."""

import random
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass

import aiohttp
from aiohttp import web

from strew.content.chunker import params_for
from strew.content.digest import digest_of
from strew.content.manifest import Entry, Manifest
from strew.content.reference import Address
from strew.fleet import FleetKey
from strew.tracker.client import TrackerClient
from strew.tracker.clock import SteadyClock
from strew.tracker.notary import Notary
from strew.tracker.service import Tracker, application
from strew.tracker.state import MemoryState, StateStore

KEY = FleetKey(bytes(range(32)))
OTHER_KEY = FleetKey(bytes(32))


@dataclass(frozen=True)
class Served:
    """What a test needs: the state to look into, a client, and where to send anything else."""

    state: StateStore
    tracker: Tracker
    client: TrackerClient
    session: aiohttp.ClientSession
    address: Address

    def url(self, path: str) -> str:
        return f"http://{self.address}{path}"


@asynccontextmanager
async def listening(app: web.Application) -> AsyncIterator[Address]:
    """`app` on a loopback port."""
    runner = web.AppRunner(app, shutdown_timeout=1.0)
    await runner.setup()
    site = web.TCPSite(runner, "127.0.0.1", 0)
    await site.start()
    try:
        yield Address("127.0.0.1", runner.addresses[0][1])
    finally:
        await runner.cleanup()


@asynccontextmanager
async def served(
    clock: Callable[[], float] | None = None, notary: Notary | None = None
) -> AsyncIterator[Served]:
    """A tracker over state in memory, until the block ends."""
    state = MemoryState()
    tracker = Tracker(state, KEY, clock or SteadyClock(), random.Random(1), notary=notary)
    async with listening(application(tracker)) as address, aiohttp.ClientSession() as session:
        yield Served(state, tracker, TrackerClient(session, address, KEY), session, address)


def manifest(name: str, content: bytes = b"bytes") -> Manifest:
    """A manifest of one file in one chunk."""
    return Manifest.build(
        name=name,
        is_tree=False,
        mode=0o644,
        entries=[Entry(path=name, kind="file", mode=0o644, size_bytes=len(content))],
        params=params_for(len(content)),
        lengths=[len(content)],
        digests=digest_of(content),
    )

"""When a fleet of processes is complete: seen from its tracker, or from each of its nodes."""

from __future__ import annotations

import asyncio
import re

import aiohttp
from aiohttp import hdrs

from strew.agent.client import NodeClient
from strew.fleet import FleetKey

LOOK_EVERY_S = 0.05

_STREAMS = re.compile(r"^strew_tracker_event_streams ([0-9.]+)$", re.MULTILINE)


async def gathered(
    session: aiohttp.ClientSession, tracker: NodeClient, key: FleetKey, members: int
) -> None:
    """Wait until the tracker knows so many members, and each of them hears of publications."""
    while True:
        known = await tracker.nodes()
        if len(known) >= members and await _streams(session, tracker, key) >= members:
            return
        await asyncio.sleep(LOOK_EVERY_S)


async def acquainted(node: NodeClient, members: int) -> None:
    """Wait until a node knows so many members, itself among them, by gossip."""
    while len(await node.nodes()) < members:
        await asyncio.sleep(LOOK_EVERY_S)


async def _streams(session: aiohttp.ClientSession, tracker: NodeClient, key: FleetKey) -> float:
    """How many nodes listen to the tracker's events."""
    headers = {hdrs.AUTHORIZATION: f"Bearer {key.node_token()}"}
    url = f"http://{tracker.address}/metrics"
    async with session.get(url, headers=headers) as answer:
        found = _STREAMS.search(await answer.text())
    return float(found[1]) if found else 0.0

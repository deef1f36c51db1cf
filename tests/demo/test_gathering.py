"""When a fleet is complete."""

import asyncio
from pathlib import Path

import aiohttp

from strew.agent.client import HOST_HEADER, NodeClient
from strew.content.reference import Address
from strew.demo.child import start_child
from strew.demo.gathering import gathered
from strew.fleet import FleetKey

KEY = FleetKey(bytes(32))


async def test_a_fleet_is_gathered_when_its_last_member_listens(tmp_path: Path) -> None:
    words = ["serve", "--listen", "127.0.0.1:0", "--data", str(tmp_path / "origin")]
    origin = await start_child("origin", words, KEY, tmp_path)
    try:
        fields = (await origin.heard("listening")).fields
        address = Address(fields["host"], fields["port"])
        async with aiohttp.ClientSession(headers=HOST_HEADER) as session:
            tracker = NodeClient(session, address, KEY)
            async with asyncio.timeout(20):
                await gathered(session, tracker, KEY, 1)
            waiting = asyncio.create_task(gathered(session, tracker, KEY, 2))
            node = await start_child("node", node_words(tmp_path, address), KEY, tmp_path)
            try:
                assert not waiting.done()
                async with asyncio.timeout(20):
                    await waiting
            finally:
                await node.stop()
    finally:
        await origin.stop()


def node_words(folder: Path, origin: Address) -> list[str]:
    words = ["node", "--join", str(origin), "--listen", "127.0.0.1:0"]
    return [*words, "--data", str(folder / "node"), "--into", str(folder / "into")]

"""The tracker's answers, over HTTP."""

import socket

import pytest
from aiohttp import web
from aiohttp.test_utils import TestClient, TestServer

from strew.lab.rivals.metainfo import ANNOUNCE_PATH
from strew.lab.rivals.torrent_tracker import INTERVAL_S, Tracker

LOOPBACK = socket.inet_aton("127.0.0.1")


async def answers(*queries: dict[str, str]) -> list[bytes]:
    app = web.Application()
    app.router.add_get(ANNOUNCE_PATH, Tracker().announce)
    async with TestClient(TestServer(app)) as client:
        return [await (await client.get(ANNOUNCE_PATH, params=query)).read() for query in queries]


def naming(*ports: int) -> bytes:
    peers = b"".join(LOOPBACK + port.to_bytes(2, "big") for port in ports)
    return b"d8:intervali%de5:peers%d:%se" % (INTERVAL_S, len(peers), peers)


async def test_everybody_is_named_to_everybody_else(capsys: pytest.CaptureFixture[str]) -> None:
    first, second, again, stopped, after = await answers(
        {"port": "6881", "event": "started"},
        {"port": "6882"},
        {"port": "6881"},
        {"port": "6882", "event": "stopped"},
        {"port": "6883"},
    )
    assert (first, second, again) == (naming(), naming(6881), naming(6882))
    assert (stopped, after) == (naming(6881), naming(6881))
    assert capsys.readouterr().out.count('"announced"') == 3


@pytest.mark.parametrize("port", ["", "0", "65536", "x", "-1"])
async def test_a_port_that_is_none_is_refused(port: str) -> None:
    assert b"failure reason" in (await answers({"port": port}))[0]

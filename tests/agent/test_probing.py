"""Dialling back, at real sockets on loopback."""

from __future__ import annotations

import asyncio
import socket
from typing import Any

import pytest

from strew import __version__
from strew.agent import probing
from strew.agent.probing import Prober, ProbeRequest, decode_probe, probe_datagram
from strew.errors import ProtocolError, UnavailableError
from strew.transfer.sealing import DATAGRAM_BYTES_MAX

HERE = "127.0.0.1"


class Echo(asyncio.DatagramProtocol):
    """Sends back what it may: the first `deaf` datagrams are lost on it."""

    def __init__(self, deaf: int = 0, other: bytes = b"") -> None:
        self.deaf, self.other = deaf, other
        self.came: list[bytes] = []

    def connection_made(self, transport: Any) -> None:
        self.transport = transport

    def datagram_received(self, data: bytes, addr: Any) -> None:
        self.came.append(data)
        if len(self.came) > self.deaf:
            self.transport.sendto(self.other or data, addr)


async def test_an_open_port_is_told_of_with_who_looked() -> None:
    loop = asyncio.get_running_loop()
    server = await asyncio.start_server(lambda _, writer: writer.close(), HERE, 0)
    async with server:
        port = server.sockets[0].getsockname()[1]
        transport, echo = await loop.create_datagram_endpoint(
            lambda: Echo(deaf=2), local_addr=(HERE, port)
        )
        told = await Prober().answer(ProbeRequest(port, "abcd", "pad"), HERE)
        transport.close()
    assert (told.tcp, told.udp, told.reason) == (True, True, "")
    assert (told.host, told.version, told.padding) == (HERE, __version__, "pad")
    assert echo.came == [probe_datagram("abcd")] * 3
    assert len(echo.came[0]) == DATAGRAM_BYTES_MAX


async def test_a_closed_port_is_told_of_at_once_with_the_reason() -> None:
    with socket.socket() as free:
        free.bind((HERE, 0))
        port = free.getsockname()[1]
        told = await Prober().answer(ProbeRequest(port), HERE)
    assert (told.tcp, told.udp) == (False, False)
    assert "refused" in told.reason.lower()


async def test_another_datagram_is_no_echo(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(probing, "ECHO_WITHIN_S", 0.05)
    transport, echo = await asyncio.get_running_loop().create_datagram_endpoint(
        lambda: Echo(other=b"something else"), local_addr=(HERE, 0)
    )
    port = transport.get_extra_info("sockname")[1]
    told = await Prober().answer(ProbeRequest(port), HERE)
    transport.close()
    assert told.udp is False and echo.came


async def test_without_a_port_nobody_is_dialled() -> None:
    told = await Prober().answer(ProbeRequest(), HERE)
    assert told.tcp is None and told.udp is None and told.at_s > 1.7e9


async def test_only_so_many_are_dialled_at_the_same_time(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(probing, "DIALS_MAX", 2)
    prober, port = Prober(), 9
    asked = [prober.answer(ProbeRequest(port), HERE) for _ in range(5)]
    told = await asyncio.gather(*asked, return_exceptions=True)
    assert sum(isinstance(of, UnavailableError) for of in told) == 3
    assert (await prober.answer(ProbeRequest(port), HERE)).tcp is False


@pytest.mark.parametrize(
    "body",
    [
        b'{"port": 0}',
        b'{"port": 65536}',
        b'{"host": "192.0.2.1", "port": 80}',
        b'{"nonce": "xyz"}',
        b'{"nonce": "' + b"a" * 33 + b'"}',
        b'{"padding": "' + b"a" * (probing.PADDING_CHARS_MAX + 1) + b'"}',
        b"[]",
    ],
    ids=lambda body: body[:24].decode(),
)
def test_nobody_has_it_look_elsewhere_or_at_more(body: bytes) -> None:
    with pytest.raises(ProtocolError):
        decode_probe(body)

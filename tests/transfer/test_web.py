"""The manners of HTTP connections, over real sockets."""

from __future__ import annotations

import asyncio
import resource
import socket
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import aiohttp
import pytest
from aiohttp import web as http

from strew.transfer import web
from strew.transfer.web import HEAD_BYTES_MAX, WebConnection
from tests.transfer.ends import LOW, Station, until

ANSWER = b"x" * (8 << 20)
"""More than the kernel takes by itself."""


class Served:
    """A port with a small application behind it, as an agent has one."""

    def __init__(self, station: Station) -> None:
        self.station = station
        self.ended: list[str] = []

    @property
    def port(self) -> int:
        return self.station.port.port

    async def connect(self) -> tuple[asyncio.StreamReader, asyncio.StreamWriter]:
        return await asyncio.open_connection("127.0.0.1", self.port)


@http.middleware
async def attended(request: http.Request, handler: http.RequestHandler) -> http.StreamResponse:
    transport = request.transport
    assert transport is not None
    connection = transport.get_protocol()
    assert isinstance(connection, WebConnection)
    connection.begun()
    try:
        return await handler(request)  # type: ignore[operator, no-any-return]
    finally:
        connection.answered()


@asynccontextmanager
async def served() -> AsyncIterator[Served]:
    async def echo(request: http.Request) -> http.Response:
        return http.Response(text=f"{len(await request.read())}")

    async def large(request: http.Request) -> http.Response:
        return http.Response(body=ANSWER)

    app = http.Application(middlewares=[attended], client_max_size=1 << 24)
    app.router.add_route("*", "/", echo)
    app.router.add_get("/large", large)
    runner = http.AppRunner(
        app, keepalive_timeout=web.IDLE_S, max_line_size=65536, max_field_size=65536
    )
    await runner.setup()
    assert runner.server is not None
    station = await Station(LOW).listen(runner.server)
    try:
        yield Served(station)
    finally:
        await station.port.close()
        await runner.cleanup()


@pytest.fixture(autouse=True)
def short_farewell(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(web, "LINGER_S", 0.2)


async def rest_of(reader: asyncio.StreamReader) -> bytes:
    """All that still comes until the other side ends the connection."""
    async with asyncio.timeout(5.0):
        try:
            return await reader.read()
        except ConnectionResetError:
            return b""


def head(size_bytes: int) -> bytes:
    """A request whose head has so many bytes, its end included."""
    start, end = b"GET / HTTP/1.1\r\nHost: localhost\r\nX: ", b"\r\n\r\n"
    return start + b"x" * (size_bytes - len(start) - len(end)) + end


async def test_a_head_that_is_not_whole_in_time_is_refused(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(web, "HEAD_WITHIN_S", 0.2)
    async with served() as on:
        reader, writer = await on.connect()

        async def drip() -> None:
            for byte in head(400):
                writer.write(bytes([byte]))
                await asyncio.sleep(0.02)

        dripping = asyncio.ensure_future(drip())
        answer = await rest_of(reader)
        dripping.cancel()
        assert answer.startswith(b"HTTP/1.1 408 ") and b"application/problem+json" in answer
        writer.close()


async def test_a_second_head_has_the_same_time(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(web, "HEAD_WITHIN_S", 0.2)
    async with served() as on:
        reader, writer = await on.connect()
        writer.write(head(100))
        await reader.readuntil(b"\r\n\r\n0")
        await asyncio.sleep(0.3)  # idle is no part of a head
        writer.write(head(100)[:50])
        assert (await rest_of(reader)).startswith(b"HTTP/1.1 408 ")
        writer.close()


async def test_a_slow_body_is_no_slow_head(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(web, "HEAD_WITHIN_S", 0.1)
    async with served() as on:
        reader, writer = await on.connect()
        writer.write(b"POST / HTTP/1.1\r\nHost: localhost\r\nContent-Length: 4\r\n\r\n")
        for _ in range(4):
            await asyncio.sleep(0.06)
            writer.write(b"x")
        async with asyncio.timeout(3.0):
            assert await reader.readuntil(b"\r\n\r\n4")
        writer.close()


@pytest.mark.parametrize("over", [False, True])
async def test_the_size_of_a_head_is_bounded(over: bool) -> None:
    async with served() as on:
        reader, writer = await on.connect()
        writer.write(head(HEAD_BYTES_MAX + (5 if over else 4)))
        if over:
            assert (await rest_of(reader)).startswith(b"HTTP/1.1 431 ")
        else:
            assert await reader.readuntil(b"\r\n\r\n0")
        writer.close()


async def test_a_head_without_end_is_stopped_at_the_limit() -> None:
    async with served() as on:
        _, writer = await on.connect()
        writer.write(b"GET / HTTP/1.1\r\nHost: localhost\r\n")
        async with asyncio.timeout(5.0):
            with pytest.raises(ConnectionError):
                while True:
                    writer.write(b"X-Endless: %s\r\n" % (b"x" * 500))
                    await writer.drain()
                    await asyncio.sleep(0.001)
        writer.close()


@pytest.mark.parametrize("cut", [1, 2, 3])
async def test_an_end_that_comes_in_pieces_is_seen(cut: int) -> None:
    async with served() as on:
        reader, writer = await on.connect()
        message = b"\r\n" + head(200)
        for piece in (message[: -4 + cut], message[-4 + cut :], message):
            writer.write(piece)
            await writer.drain()
            await asyncio.sleep(0.02)
        async with asyncio.timeout(3.0):
            for _ in range(2):
                await reader.readuntil(b"\r\n\r\n0")
        writer.close()


async def test_bodies_are_not_counted_as_heads() -> None:
    async with served() as on, aiohttp.ClientSession() as session:
        for size_bytes in (0, 1, 100_000, 3_000_000):
            async with session.post(
                f"http://127.0.0.1:{on.port}/", data=b"x" * size_bytes
            ) as answer:
                assert await answer.text() == str(size_bytes)


async def test_an_idle_connection_ends(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(web, "IDLE_S", 0.2)
    async with served() as on:
        reader, writer = await on.connect()
        writer.write(head(100))
        await reader.readuntil(b"\r\n\r\n0")
        assert await rest_of(reader) == b""
        writer.close()


async def test_an_answer_that_nobody_reads_is_given_up(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(web, "UNREAD_WITHIN_S", 0.1)
    async with served() as on:
        _, writer = await on.connect()
        writer.write(b"GET /large HTTP/1.1\r\nHost: localhost\r\n\r\n")
        await writer.drain()
        writer.transport.pause_reading()  # type: ignore[attr-defined]
        await until(lambda: len(on.station.port.reception) == 1)
        await until(lambda: len(on.station.port.reception) == 0)
        writer.close()


async def test_half_read_answers_end_in_bounded_memory(monkeypatch: pytest.MonkeyPatch) -> None:
    """Fifty readers who take none of 8 MiB each, again and again."""
    monkeypatch.setattr(web, "UNREAD_WITHIN_S", 0.05)
    async with served() as on:
        before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
        for _ in range(4):
            kept = []
            for _ in range(50):
                sock = socket.socket()
                sock.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
                sock.setblocking(False)
                loop = asyncio.get_running_loop()
                await loop.sock_connect(sock, ("127.0.0.1", on.port))
                await loop.sock_sendall(sock, b"GET /large HTTP/1.1\r\nHost: localhost\r\n\r\n")
                kept.append(sock)
            await until(lambda: len(on.station.port.reception) == 0)
            for sock in kept:
                sock.close()
        grown_kib = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before
        assert grown_kib < 50 * 2 * (len(ANSWER) >> 10), "not four times fifty answers"


async def test_a_slow_reader_is_served_to_the_end(monkeypatch: pytest.MonkeyPatch) -> None:
    """For longer than an answer that nobody reads would be kept."""
    monkeypatch.setattr(web, "UNREAD_WITHIN_S", 0.5)
    async with served() as on:
        reader, writer = await on.connect()
        writer.write(b"GET /large HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n")
        got = 0
        while piece := await reader.read(256 << 10):
            got += len(piece)
            await asyncio.sleep(0.04)
        assert got > len(ANSWER)
        writer.close()

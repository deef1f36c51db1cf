"""One port for the peer wire and HTTP; dialling, pairing, and who is turned away."""

from __future__ import annotations

import asyncio
import gc

import aiohttp
import pytest
from aiohttp import web

from strew.codec import PREFACE
from strew.errors import ConfigurationError, DeniedError, ProtocolError, UnavailableError
from strew.messages import Offer
from strew.transfer import port as port_module
from strew.transfer.port import Identity
from strew.transfer.reception import Reception
from tests.transfer.ends import (
    HIGH,
    LOW,
    OTHER_KEY,
    SWARM,
    Owner,
    Station,
    StoredChunk,
    header,
    two_linked,
    until,
)


async def close(*stations: Station) -> None:
    for station in stations:
        await station.port.close()
    await asyncio.sleep(0)


async def speaks(low: Station, high: Station) -> None:
    """A message goes each way over the one link both sides keep."""
    low.link.send(Offer(SWARM))
    high.link.send(Offer(SWARM))
    await until(lambda: low.owner.messages and high.owner.messages)


# --- links ----------------------------------------------------------------------------------------


async def test_a_dial_ends_in_a_link_on_both_sides() -> None:
    low, high = await two_linked()
    assert low.link.peer == HIGH and low.link.dialled
    assert high.link.peer == LOW and not high.link.dialled
    assert (high.link.host, high.link.port, high.link.zone) == (
        "127.0.0.1",
        low.port.port,
        "rack",
    )
    await speaks(low, high)
    await close(low, high)


async def test_both_dial_at_once_and_keep_one_link() -> None:
    for _ in range(5):
        low, high = await Station(LOW).listen(), await Station(HIGH).listen()
        await asyncio.gather(low.dial(high), high.dial(low))
        await until(lambda: low.port.links and high.port.links)  # noqa: B023
        await asyncio.sleep(0.05)
        assert low.link.dialled and not high.link.dialled, "the lower id's is kept"
        await speaks(low, high)
        assert len(low.owner.up) - len(low.owner.lost) == 1
        assert len(high.owner.up) - len(high.owner.lost) == 1
        await close(low, high)


async def test_a_second_dial_replaces_the_link_and_tells_its_end() -> None:
    low, high = await two_linked()
    first = low.link
    await low.dial(high)
    await until(lambda: len(high.owner.up) == 2)
    assert low.link is not first and first.closed
    assert [reason for _, reason in low.owner.lost] == ["replaced by a newer link"]
    await speaks(low, high)
    await close(low, high)


async def test_a_node_that_died_and_came_back_replaces_its_old_link() -> None:
    """Its old connections still look alive; the epoch tells the two lives apart."""
    high = await Station(HIGH).listen()
    before = await Station(LOW, identity=Identity(LOW, epoch="aa")).listen()
    await before.dial(high)
    await until(lambda: high.port.links)
    after = await Station(LOW, identity=Identity(LOW, epoch="bb")).listen()
    await high.dial(after)
    await until(lambda: after.port.links)
    assert high.link.epoch == "bb" and high.link.dialled
    assert len(high.owner.lost) == 1
    await speaks(after, high)
    await close(before, after, high)


async def test_three_nodes_have_three_links() -> None:
    stations = [await Station(name).listen() for name in (LOW, HIGH, "5" * 32)]  # type: ignore[arg-type]
    for i, one in enumerate(stations):
        for other in stations[:i]:
            await one.dial(other)
    await until(lambda: all(len(s.port.links) == 2 for s in stations))
    await close(*stations)


# --- refusals -------------------------------------------------------------------------------------


async def test_a_node_of_another_fleet_is_refused_on_both_sides() -> None:
    low, high = await Station(LOW).listen(), await Station(HIGH, key=OTHER_KEY).listen()
    unproved: list[str] = []
    low.port.on_unproved = lambda host, error: unproved.append(host)
    with pytest.raises(DeniedError, match="key"):
        await low.dial(high)
    assert unproved == [], "it dialled itself, and was told"
    with pytest.raises(DeniedError, match="key"):
        await high.dial(low)
    await until(lambda: unproved == ["127.0.0.1", "127.0.0.1"])  # both connections of the dial
    await asyncio.sleep(0.02)
    assert not low.port.links and not high.port.links
    await close(low, high)


async def test_ones_own_address_is_no_peer() -> None:
    low = await Station(LOW).listen()
    with pytest.raises((ProtocolError, UnavailableError)):
        await low.dial(low)
    assert not low.port.links
    await close(low)


async def test_nobody_there() -> None:
    low = await Station(LOW).listen()
    with pytest.raises(UnavailableError, match=r"127\.0\.0\.1:1"):
        await low.port.dial("127.0.0.1", 1)
    await close(low)


@pytest.mark.parametrize(
    ("host", "port"),
    [("127.0.0.1", 99_999), ("127.0.0.1", -1), ("\x00", 80), ("a" * 300, 80), ("\udcff", 80)],
)
async def test_an_address_that_cannot_be_is_unavailable(host: str, port: int) -> None:
    """A peer may name it in a plan: it must not break the dialling of others."""
    low = await Station(LOW).listen()
    with pytest.raises(UnavailableError):
        await low.port.dial(host, port)
    assert not low.port._dials
    await close(low)


async def test_a_server_of_something_else_is_no_peer() -> None:
    async def talk(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        writer.write(b"HTTP/1.1 400 Bad Request\r\n\r\n")
        await writer.drain()

    server = await asyncio.start_server(talk, "127.0.0.1", 0)
    low = await Station(LOW).listen()
    with pytest.raises((ProtocolError, UnavailableError)):
        await low.port.dial("127.0.0.1", server.sockets[0].getsockname()[1])
    server.close()
    await close(low)


async def test_a_silent_server_is_given_up(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(port_module, "DIAL_S", 0.1)
    kept = []  # a writer that nobody holds closes its connection from Python 3.13 on

    async def silent(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        kept.append(writer)

    server = await asyncio.start_server(silent, "127.0.0.1", 0)
    low = await Station(LOW).listen()
    with pytest.raises(UnavailableError, match="did not answer"):
        await low.port.dial("127.0.0.1", server.sockets[0].getsockname()[1])
    assert not low.port._dials and not low.port._halves
    server.close()
    await close(low)


@pytest.mark.parametrize("said", [b"", PREFACE[:1], PREFACE, PREFACE + b"\x00\x00"])
async def test_half_a_handshake_then_silence_is_disconnected(
    said: bytes, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(port_module, "HANDSHAKE_S", 0.1)
    low = await Station(LOW).listen()
    reader, writer = await asyncio.open_connection("127.0.0.1", low.port.port)
    writer.write(said)
    async with asyncio.timeout(3.0):
        try:
            assert await reader.read() == b""
        except ConnectionResetError:
            pass
    writer.close()
    await close(low)


async def test_four_gib_frames_from_a_stranger_are_refused_at_once() -> None:
    low = await Station(LOW).listen()
    reader, writer = await asyncio.open_connection("127.0.0.1", low.port.port)
    writer.write(PREFACE + b"\xff\xff\xff\xff\x01" + bytes(1000))
    async with asyncio.timeout(3.0):
        try:
            assert await reader.read() == b""
        except ConnectionResetError:
            pass
    writer.close()
    await close(low)


async def test_one_connection_without_its_twin_makes_no_link(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(port_module, "HANDSHAKE_S", 0.1)
    low, high = await Station(LOW).listen(), await Station(HIGH).listen()
    loop = asyncio.get_running_loop()
    future = loop.create_future()
    await low.port._dial_one("127.0.0.1", high.port.port, "abcd", "control", future)
    await until(lambda: high.port._halves)
    assert not high.port.links
    await until(lambda: not high.port._halves)
    future.cancel()
    await close(low, high)


async def test_accepted_connections_are_bounded() -> None:
    low = Station(LOW)
    await low.port.listen("127.0.0.1", 0, asyncio.Protocol, reception=Reception(2))
    kept = [await asyncio.open_connection("127.0.0.1", low.port.port) for _ in range(2)]
    await until(lambda: len(low.port.reception) == 2)
    reader, writer = await asyncio.open_connection("127.0.0.1", low.port.port)
    async with asyncio.timeout(3.0):
        try:
            assert await reader.read() == b""
        except ConnectionResetError:
            pass
    kept[0][1].close()
    writer.close()
    await until(lambda: len(low.port.reception) < 2)
    _, again = await asyncio.open_connection("127.0.0.1", low.port.port)
    await until(lambda: len(low.port.reception) == 2)
    again.close()
    kept[1][1].close()
    await close(low)


async def test_a_link_takes_no_place_of_a_stranger() -> None:
    low, high = Station(LOW), await Station(HIGH).listen()
    await low.port.listen("127.0.0.1", 0, asyncio.Protocol, reception=Reception(2))
    await high.dial(low)
    await until(lambda: low.port.links)
    assert len(low.port.reception) == 0
    await high.port.close()
    await close(low)


async def test_a_taken_port_is_the_operators_to_solve() -> None:
    low = await Station(LOW).listen()
    other = Station(HIGH)
    with pytest.raises(ConfigurationError, match="cannot listen"):
        await other.port.listen("127.0.0.1", low.port.port, asyncio.Protocol)
    await close(low, other)


# --- HTTP -----------------------------------------------------------------------------------------


async def test_http_and_the_peer_wire_share_a_port() -> None:
    async def hello(request: web.Request) -> web.Response:
        return web.Response(text=await request.text() or "hello")

    app = web.Application()
    app.router.add_route("*", "/", hello)
    runner = web.AppRunner(app)
    await runner.setup()
    assert runner.server is not None
    low = await Station(LOW).listen()
    high = await Station(HIGH).listen(runner.server)
    await low.dial(high)
    address = f"http://127.0.0.1:{high.port.port}/"
    async with aiohttp.ClientSession() as session:
        async with session.get(address) as answer:
            assert await answer.text() == "hello"
        async with session.post(address, data="x" * 100_000) as answer:
            assert len(await answer.text()) == 100_000
    await speaks(low, high)
    await close(low, high)
    await runner.cleanup()


async def test_http_that_comes_byte_by_byte_is_http() -> None:
    async def hello(request: web.Request) -> web.Response:
        return web.Response(text="hello")

    app = web.Application()
    app.router.add_get("/", hello)
    runner = web.AppRunner(app)
    await runner.setup()
    assert runner.server is not None
    low = await Station(LOW).listen(runner.server)
    reader, writer = await asyncio.open_connection("127.0.0.1", low.port.port)
    for byte in b"GET / HTTP/1.0\r\nHost: localhost\r\n\r\n":
        writer.write(bytes([byte]))
        await writer.drain()
    async with asyncio.timeout(3.0):
        assert (await reader.read()).endswith(b"hello")
    writer.close()
    await close(low)
    await runner.cleanup()


# --- the end --------------------------------------------------------------------------------------


async def test_closing_ends_every_link_and_tells_only_the_others() -> None:
    low, high = await two_linked()
    await low.port.close()
    await until(lambda: high.owner.lost)
    assert low.owner.lost == [] and not low.port.links
    await close(high)


async def test_a_course_of_links_leaves_no_descriptors_behind() -> None:
    import os

    async def course() -> None:
        low, high = await two_linked()
        low.link.send_chunk(header(1, 1 << 20), lambda: StoredChunk(bytes(1 << 20)))
        await until(lambda: 1 in high.owner.chunks)
        with pytest.raises(UnavailableError):
            await low.port.dial("127.0.0.1", 1)
        await close(low, high)
        await asyncio.sleep(0.02)

    await course()
    gc.collect()
    before = len(os.listdir("/proc/self/fd"))
    for _ in range(5):
        await course()
    gc.collect()
    assert len(os.listdir("/proc/self/fd")) <= before + 1


def test_an_owner_is_what_links_ask_for() -> None:
    assert {"link_up", "link_lost", "message_came", "chunk_sent"} <= set(dir(Owner))

"""The sending end over real sockets, in both profiles: what leaves is what was stored, and never
too deep."""

from __future__ import annotations

import asyncio
import os
import random
import socket
import ssl
from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from strew.codec import (
    CHUNK_HEADER_BYTES,
    SLICE_BYTES_MAX,
    TYPE_BREAK,
    ChunkHeader,
    unpack_chunk_header,
)
from strew.transfer.limits import FAST_BYTES_PER_S, Buckets, queue_bytes_min
from strew.transfer.secured import SecuredTransport
from strew.transfer.secured_sending import SecuredChunkSender
from strew.transfer.sending import ChunkSender, Outgoing
from tests.certificates.issued import Issuer
from tests.transfer.ends import StoredChunk, header, socket_pair, until


class Line:
    """A sender, and the socket at which its bytes come out."""

    _transport: asyncio.Transport | None = None

    def __init__(self, rate: float | None, tls: Issuer | None) -> None:
        loop = asyncio.get_running_loop()
        self.near, self.far = socket_pair()
        self.far.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 64 << 10)
        self.reports: list[tuple[int, bool]] = []
        self.lost: list[str] = []
        self.ahead_s = 0.0
        self.buckets = Buckets.limited(rate, None, lambda: loop.time() + self.ahead_s)
        self.out = b""
        self.sender: ChunkSender
        self._tls: ssl.SSLObject | None = None
        self._incoming, self._outgoing = ssl.MemoryBIO(), ssl.MemoryBIO()
        if tls is None:
            self.sender = ChunkSender(loop, self.near, self.buckets, self.report, self.lost.append)
        else:
            self._tls = tls.credentials("far").met.wrap_bio(self._incoming, self._outgoing)

    @classmethod
    async def opened(cls, tls: Issuer | None, rate: float | None = None) -> Line:
        """A line that is ready, under TLS if there is somebody to issue certificates."""
        line = cls(rate, tls)
        if tls is None or line._tls is None:
            return line
        loop = asyncio.get_running_loop()
        begun = Begun()
        near = SecuredTransport(tls.credentials("near").server, begun, server_side=True)
        await loop.connect_accepted_socket(lambda: near, line.near)
        while True:
            try:
                line._tls.do_handshake()
                break
            except ssl.SSLWantReadError:
                await loop.sock_sendall(line.far, line._outgoing.read())
                line._incoming.write(await loop.sock_recv(line.far, 1 << 16))
        await loop.sock_sendall(line.far, line._outgoing.read())
        await begun.up.wait()
        line.sender = SecuredChunkSender(loop, near, line.buckets, line.report, line.lost.append)
        line.near = near.get_extra_info("socket")
        line._transport = near
        return line

    def report(self, header: ChunkHeader, done: bool) -> None:
        self.reports.append((header.chunk, done))

    def put(self, index: int, stored: StoredChunk, total: int | None = None) -> None:
        size = sum(length for _, _, length in stored.spans) if total is None else total
        self.sender.put(Outgoing(header(index, size), lambda: stored))

    async def slices(self, count: int) -> list[tuple[ChunkHeader, bytes]]:
        """The next frames that come out, their lengths checked by the codec."""
        found = []
        for _ in range(count):
            head = unpack_chunk_header(await self._exactly(CHUNK_HEADER_BYTES))
            found.append((head, await self._exactly(head.slice_bytes)))
        return found

    async def _exactly(self, count: int) -> bytes:
        loop = asyncio.get_running_loop()
        async with asyncio.timeout(5.0):
            while len(self.out) < count:
                piece = await loop.sock_recv(self.far, 1 << 20)
                assert piece, "the connection ended"
                self.out += piece if self._tls is None else self._opened(piece, self._tls)
        data, self.out = self.out[:count], self.out[count:]
        return data

    def _opened(self, piece: bytes, tls: ssl.SSLObject) -> bytes:
        """What TLS makes of bytes from the wire."""
        self._incoming.write(piece)
        plain = []
        try:
            while True:
                plain.append(tls.read(1 << 20))
        except ssl.SSLWantReadError:
            return b"".join(plain)

    def close(self) -> None:
        self.sender.close()
        if self._transport is not None:
            self._transport.abort()
        else:
            self.near.close()
        self.far.close()


class Begun(asyncio.Protocol):
    """Knows when both ends have proved themselves."""

    def __init__(self) -> None:
        self.up = asyncio.Event()

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self.up.set()


@pytest.fixture(params=["plain", "tls"])
def tls(request: pytest.FixtureRequest, tmp_path: Path) -> Issuer | None:
    """Everything here holds in both profiles."""
    return Issuer(tmp_path) if request.param == "tls" else None


@pytest.fixture
async def line(tls: Issuer | None) -> AsyncIterator[Line]:
    one = await Line.opened(tls)
    yield one
    one.close()


def noise(size: int) -> bytes:
    return random.Random(size).randbytes(size)


@pytest.mark.parametrize("size", [1, 1000, 128 << 10, (128 << 10) + 1, SLICE_BYTES_MAX])
async def test_a_chunk_of_one_slice_arrives_intact(line: Line, size: int) -> None:
    stored = StoredChunk(noise(size))
    line.put(4, stored)
    [(head, data)] = await line.slices(1)
    assert (head.chunk, head.offset, head.total) == (4, 0, size)
    assert data == noise(size)
    await until(lambda: line.reports == [(4, True)])
    assert stored.closed == 1
    assert line.sender.payload_bytes == size and not line.sender.busy


async def test_a_large_chunk_arrives_in_slices(line: Line) -> None:
    size = 3 * SLICE_BYTES_MAX + 5
    line.put(1, StoredChunk(noise(size)))
    found = await line.slices(4)
    assert [head.offset for head, _ in found] == [n * SLICE_BYTES_MAX for n in range(4)]
    assert b"".join(data for _, data in found) == noise(size)


async def test_a_chunk_that_spans_files_arrives_as_one(line: Line) -> None:
    line.put(1, StoredChunk(noise(400_000), cuts=(1, 2, 200_000, 399_999)))
    [(head, data)] = await line.slices(1)
    assert head.total == 400_000 and data == noise(400_000)


async def test_chunks_leave_in_the_order_they_were_queued(line: Line) -> None:
    for index in range(20):
        line.put(index, StoredChunk(noise(5000 + index)))
    found = await line.slices(20)
    assert [head.chunk for head, _ in found] == list(range(20))
    assert all(data == noise(5000 + n) for n, (_, data) in enumerate(found))
    await until(lambda: len(line.reports) == 20)


async def test_a_chunk_has_not_left_while_the_socket_is_full(line: Line) -> None:
    """Nobody reads: what the kernel holds is bounded, and no chunk after it is begun."""
    opened = []
    for index in range(40):
        stored = StoredChunk(noise(64 << 10))
        line.sender.put(
            Outgoing(header(index, 64 << 10), lambda s=stored, i=index: opened.append(i) or s)
        )
    await asyncio.sleep(0.05)
    assert len(line.reports) < 12, "shallow: not all 40 of them are in the kernel"
    assert len(opened) <= len(line.reports) + 1
    await line.slices(40)
    await until(lambda: len(line.reports) == 40)


async def test_no_piece_for_a_shallow_queue_is_read_before_there_is_room_for_it(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """One that does not go is read again later (docs/BENCHMARKS.md says how often that was)."""
    loop = asyncio.get_running_loop()
    near, far = socket_pair(segment_bytes=8000)
    far.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 32 << 10)
    left: list[bool] = []
    buckets = Buckets.limited(None, None, loop.time)
    sender = ChunkSender(
        loop, near, buckets, lambda header, done: left.append(done), lambda why: None
    )
    read_bytes = 0
    pread = os.pread

    def counted(fd: int, count: int, offset: int) -> bytes:
        nonlocal read_bytes
        read_bytes += count
        return pread(fd, count, offset)

    monkeypatch.setattr("os.pread", counted)
    size, came = 500_000, 0
    sender.put(Outgoing(header(0, size), lambda: StoredChunk(noise(size))))
    while came < CHUNK_HEADER_BYTES + size:
        came += len(await loop.sock_recv(far, 8000))
        await asyncio.sleep(0)
    await until(lambda: left)
    assert read_bytes < 1.2 * size
    sender.close()
    near.close()
    far.close()


@pytest.mark.parametrize(
    ("size", "measured"),
    [(1000, [2, 18, 34]), (256 << 10, [2, 18, 34]), (1 << 20, [1, 5, 9, 13]), (5 << 20, [1, 2, 3])],
)
async def test_a_queue_follows_the_rate_of_some_chunks_or_of_some_bytes(
    line: Line, monkeypatch: pytest.MonkeyPatch, size: int, measured: list[int]
) -> None:
    """Few large chunks are as much as many small ones; and what else the node moves counts, whether
    it sends or receives it."""
    found: list[tuple[int, float]] = []

    def fitted(sock: socket.socket, rate: float, piece_bytes: int, node: float) -> int:
        found.append((len(line.reports), node))
        return queue_bytes_min(piece_bytes)

    monkeypatch.setattr("strew.transfer.sending.send_queue_bytes", fitted)
    line.buckets.down.take(FAST_BYTES_PER_S)
    line.ahead_s = 1.0
    for index in range(measured[-1]):
        line.put(index, StoredChunk(noise(size)))
    await line.slices(measured[-1] * -(-size // SLICE_BYTES_MAX))
    await until(lambda: len(line.reports) == measured[-1])
    assert [count + 1 for count, _ in found] == measured
    assert FAST_BYTES_PER_S / 2 < found[0][1] <= FAST_BYTES_PER_S


async def test_a_waiting_chunk_can_be_cancelled_and_a_running_one_not(line: Line) -> None:
    for index in range(3):
        line.put(index, StoredChunk(noise(4 << 20)))
    assert line.sender.cancel(header(1, 0).swarm, 1)
    assert not line.sender.cancel(header(0, 0).swarm, 0), "it has begun"
    assert not line.sender.cancel(999, 2), "another swarm's"
    found = await line.slices(16)
    assert {head.chunk for head, _ in found} == {0, 2}
    await until(lambda: len(line.reports) == 3)
    assert sorted(line.reports) == [(0, True), (1, False), (2, True)]


async def test_a_chunk_that_cannot_be_read_is_reported_and_the_next_one_sent(line: Line) -> None:
    def gone() -> StoredChunk:
        raise FileNotFoundError("somebody deleted it")

    line.sender.put(Outgoing(header(1, 100), gone))
    line.put(2, StoredChunk(b"next"))
    [(head, data)] = await line.slices(1)
    assert (head.chunk, data) == (2, b"next")
    await until(lambda: sorted(line.reports) == [(1, False), (2, True)])


@pytest.mark.parametrize("left", [0, 1000, 130 << 10, SLICE_BYTES_MAX, SLICE_BYTES_MAX + 7])
async def test_a_file_that_shrinks_breaks_the_chunk_off_and_not_the_connection(
    line: Line, left: int
) -> None:
    """The header promised a slice: it is filled, then the chunk is declared void."""
    size = 2 * SLICE_BYTES_MAX
    stored = StoredChunk(noise(size), before=b"")
    os.truncate(stored.file.fileno(), left)
    line.put(1, stored)
    line.put(2, StoredChunk(b"next"))
    promised = 2 if left >= SLICE_BYTES_MAX else 1
    found = await line.slices(promised + 2)
    assert b"".join(data for _, data in found[:promised])[:left] == noise(size)[:left]
    assert (found[-2][0].kind, found[-2][0].chunk) == (TYPE_BREAK, 1)
    assert (found[-1][0].chunk, found[-1][1]) == (2, b"next")
    await until(lambda: sorted(line.reports) == [(1, False), (2, True)])
    assert stored.closed == 1 and line.lost == []


async def test_a_peer_that_is_gone_is_told_once(tls: Issuer | None) -> None:
    line = await Line.opened(tls)
    line.far.close()
    for index in range(4):
        line.put(index, StoredChunk(noise(1 << 20)))
    await until(lambda: line.lost)
    line.close()
    assert "sending failed" in line.lost[0]


async def test_after_close_nothing_is_reported_and_files_are_shut(tls: Issuer | None) -> None:
    line = await Line.opened(tls)
    running, waiting = StoredChunk(noise(4 << 20)), StoredChunk(noise(10))
    line.put(1, running)
    line.put(2, waiting)
    line.sender.close()
    line.sender.close()
    await asyncio.sleep(0.02)
    assert line.reports == [] and running.closed == 1 and waiting.closed == 0
    line.close()


async def test_the_rate_holds_by_the_buckets_own_counters(tls: Issuer | None) -> None:
    """Bytes sent never exceed what the time waited allows: two quanta in advance at most."""
    rate = 20e6
    line = await Line.opened(tls, rate)
    started_s = asyncio.get_running_loop().time()
    for index in range(30):
        line.put(index, StoredChunk(noise(100_000)))
    found = await line.slices(30)
    assert all(data == noise(100_000) for _, data in found)
    took_s = asyncio.get_running_loop().time() - started_s
    assert line.sender.payload_bytes == 3_000_000
    assert rate * took_s + 2 * line.buckets.up.quantum_bytes + (128 << 10) >= 3_000_000
    assert line.buckets.up.waited_s > 0
    line.close()

"""The reading end: slices from a byte stream, pauses when memory or rate run out."""

from __future__ import annotations

import asyncio
from typing import Any

from hypothesis import given
from hypothesis import strategies as st

from strew.codec import SLICE_BYTES_MAX, TYPE_BREAK, TYPE_CHUNK, ChunkHeader, pack_chunk_header
from strew.messages import Guilt
from strew.transfer.limits import MEASURE_S, TokenBucket
from strew.transfer.receiving import (
    BUFFERS_MAX,
    KEPT_MAX,
    BufferPool,
    ChunkReceiver,
    SliceBuffer,
)
from tests.transfer.ends import until


class Pipe(asyncio.Transport):
    """What of a transport a receiver uses: it can be paused."""

    def __init__(self) -> None:
        super().__init__()
        self.paused = False
        self.aborted = False

    def pause_reading(self) -> None:
        assert not self.paused
        self.paused = True

    def resume_reading(self) -> None:
        assert self.paused
        self.paused = False

    def abort(self) -> None:
        self.aborted = True


class Sink:
    def __init__(self, keep: bool = False) -> None:
        self.begun: list[int] = []
        self.slices: list[tuple[int, int, bytes]] = []
        self.broken: list[int] = []
        self.lost: list[str] = []
        self.unwanted: set[int] = set()
        self.kept: list[SliceBuffer] | None = [] if keep else None

    def chunk_begins(self, header: ChunkHeader) -> bool:
        self.begun.append(header.chunk)
        return header.chunk not in self.unwanted

    def slice_came(self, header: ChunkHeader, buffer: SliceBuffer) -> None:
        data = bytes(buffer.view[: header.slice_bytes])
        self.slices.append((header.chunk, header.offset, data))
        if self.kept is None:
            buffer.release()
        else:
            self.kept.append(buffer)

    def chunk_broken(self, header: ChunkHeader) -> None:
        self.broken.append(header.chunk)

    def data_lost(self, reason: str, guilt: Guilt) -> None:
        self.lost.append(reason)


class Reader:
    """A receiver and the stream that a kernel would hand it, in pieces of any size."""

    def __init__(self, *, buffers: int = 4, rate: float | None = None, keep: bool = False) -> None:
        self.sink = Sink(keep)
        self.pool = BufferPool(buffers)
        self.clock = 100.0
        self.bucket = TokenBucket(rate, lambda: self.clock)
        self.receiver = ChunkReceiver(self.pool, self.bucket, self.sink)
        self.transport = Pipe()
        self.receiver.connection_made(self.transport)
        self.waiting = b""

    def comes(self, data: bytes, piece_bytes: int = 1 << 20) -> None:
        """Read until the stream is used up or the receiver paused."""
        self.waiting += data
        while self.waiting and not self.transport.paused and not self.transport.aborted:
            target: Any = self.receiver.get_buffer(-1)
            assert len(target) > 0, "asyncio would fail here"
            count = min(len(target), len(self.waiting), piece_bytes)
            target[:count] = self.waiting[:count]
            self.waiting = self.waiting[count:]
            self.receiver.buffer_updated(count)


def slice_of(chunk: int, data: bytes, offset: int = 0, total: int | None = None) -> bytes:
    total = len(data) if total is None else total
    head = ChunkHeader(TYPE_CHUNK, 7, chunk, offset, total, 0, 0, len(data))
    return pack_chunk_header(head) + data


def break_of(chunk: int, total: int) -> bytes:
    return pack_chunk_header(ChunkHeader(TYPE_BREAK, 7, chunk, 0, total, 0, 0, 0))


@given(st.lists(st.integers(1, 3000), min_size=1, max_size=8), st.integers(1, 4000))
def test_slices_are_found_however_the_stream_is_cut(sizes: list[int], piece_bytes: int) -> None:
    async def course() -> None:
        reader = Reader()
        data = [bytes([n % 256]) * size for n, size in enumerate(sizes)]
        stream = b"".join(slice_of(n, one) for n, one in enumerate(data))
        reader.comes(stream, piece_bytes)
        assert reader.sink.slices == [(n, 0, one) for n, one in enumerate(data)]

    asyncio.run(course())


async def test_a_chunk_of_several_slices_begins_once() -> None:
    reader = Reader()
    big = bytes(range(256)) * (SLICE_BYTES_MAX // 256)
    total = SLICE_BYTES_MAX + 100
    reader.comes(slice_of(1, big, 0, total) + slice_of(1, b"e" * 100, SLICE_BYTES_MAX, total))
    assert reader.sink.begun == [1]
    assert [(n, o, len(d)) for n, o, d in reader.sink.slices] == [
        (1, 0, SLICE_BYTES_MAX),
        (1, SLICE_BYTES_MAX, 100),
    ]
    assert reader.sink.slices[0][2] == big


async def test_an_unwanted_chunk_is_read_off_and_costs_no_buffer() -> None:
    reader = Reader(buffers=0)
    reader.sink.unwanted = {1}
    reader.comes(slice_of(1, bytes(300_000)))
    assert reader.sink.slices == [] and not reader.transport.paused
    assert reader.waiting == b""


async def test_without_a_buffer_reading_pauses_and_goes_on_when_one_is_free() -> None:
    reader = Reader(buffers=2, keep=True)
    reader.comes(slice_of(1, b"a" * 1000) + slice_of(2, b"b" * 1000) + slice_of(3, b"c" * 1000))
    assert len(reader.sink.slices) == 2
    assert reader.transport.paused and reader.waiting
    assert reader.sink.kept is not None
    reader.sink.kept.pop().release()
    assert not reader.transport.paused
    reader.comes(b"")
    assert [n for n, _, _ in reader.sink.slices] == [1, 2, 3]


async def test_of_several_that_wait_the_first_gets_the_buffer() -> None:
    pool = BufferPool(1)
    taken = pool.take()
    woken: list[str] = []
    pool.when_free(lambda: woken.append("first"))
    pool.when_free(lambda: woken.append("second"))
    assert taken is not None and pool.take() is None
    taken.release()
    assert woken == ["first"]


async def test_a_connection_that_ends_while_it_waits_wakes_nobody() -> None:
    reader = Reader(buffers=1, keep=True)
    reader.comes(slice_of(1, b"a" * 10) + slice_of(2, b"b" * 10))
    assert reader.transport.paused
    reader.receiver.connection_lost(None)
    assert reader.sink.lost == ["peer closed the data connection"]
    assert reader.sink.kept is not None
    reader.sink.kept.pop().release()
    assert reader.pool.take() is not None, "the buffer is there for others"


async def test_a_half_filled_buffer_goes_back_when_the_connection_ends() -> None:
    reader = Reader(buffers=1)
    reader.comes(slice_of(1, b"a" * 1000)[:500])
    assert reader.pool.take() is None
    reader.receiver.connection_lost(ConnectionResetError("reset"))
    assert reader.pool.take() is not None
    assert "reset" in reader.sink.lost[0]


async def test_buffers_are_bounded_and_few_are_kept() -> None:
    pool = BufferPool()
    taken = [pool.take() for _ in range(BUFFERS_MAX)]
    assert pool.take() is None
    for buffer in taken:
        assert buffer is not None
        buffer.release()
    assert len(pool._free) == KEPT_MAX
    again = [pool.take() for _ in range(BUFFERS_MAX + 1)]
    assert again.count(None) == 1


async def test_a_broken_off_chunk_is_told_and_the_next_one_read() -> None:
    reader = Reader()
    total = SLICE_BYTES_MAX + 100
    stream = slice_of(1, bytes(SLICE_BYTES_MAX), 0, total) + break_of(1, total)
    reader.comes(stream + slice_of(2, b"next"))
    assert reader.sink.broken == [1]
    assert reader.sink.slices[-1] == (2, 0, b"next")


async def test_a_lie_in_a_header_ends_the_connection() -> None:
    reader = Reader()
    reader.comes(b"\xff" * 32)
    assert reader.transport.aborted
    assert len(reader.sink.lost) == 1
    reader.receiver.connection_lost(None)
    assert len(reader.sink.lost) == 1, "told once"


async def test_what_comes_counts_also_where_there_is_no_limit() -> None:
    """A node's senders fit their queues by it."""
    reader = Reader()
    reader.comes(slice_of(1, bytes(100_000)), 8000)
    reader.clock += MEASURE_S
    assert reader.bucket.pace_bytes_per_s == 100_000 / MEASURE_S


async def test_the_rate_holds_by_its_own_counters() -> None:
    """Bytes read never exceed what the clock allows, and reading pauses instead of dropping."""
    rate = 10e6
    reader = Reader(rate=rate)
    size = 2 << 20
    stream = b"".join(
        slice_of(n, bytes(SLICE_BYTES_MAX), 0) for n in range(size // SLICE_BYTES_MAX)
    )
    reader.comes(stream)
    pauses = 0
    while reader.waiting:
        assert reader.transport.paused
        read = len(stream) - len(reader.waiting)
        allowed = rate * (reader.clock - 100.0) + 2 * reader.bucket.quantum_bytes + 32 * 8
        assert read <= allowed
        reader.clock += 0.004  # the wait is over; the timer only has to notice
        await until(lambda: not reader.transport.paused)
        reader.comes(b"")
        pauses += 1
    assert pauses >= 0.8 * size / rate / 0.004 / 2
    assert len(reader.sink.slices) == 4


async def test_bytes_that_were_read_with_the_handshake_come_first() -> None:
    reader = Reader()
    stream = slice_of(1, b"a" * 100) + slice_of(2, b"b" * 100)
    reader.receiver.feed(stream[:150])
    reader.comes(stream[150:])
    assert [n for n, _, _ in reader.sink.slices] == [1, 2]

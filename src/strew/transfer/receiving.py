"""Chunks in: a BufferedProtocol that reads payload straight into pooled buffers."""

from __future__ import annotations

import asyncio
import mmap
from collections.abc import Callable
from typing import Protocol

from strew.codec import (
    CHUNK_HEADER_BYTES,
    SLICE_BYTES_MAX,
    TYPE_BREAK,
    ChunkHeader,
    unpack_chunk_header,
)
from strew.errors import ProtocolError
from strew.messages import Guilt
from strew.transfer.limits import TokenBucket
from strew.transfer.progress import Progress

BUFFERS_MAX = 40
"""Slices in memory at once, 20 MiB: one for each of 24 neighbours and some being written. A
connection that finds none waits, and TCP holds its sender."""

KEPT_MAX = 16
"""Buffers kept for the next slices when nothing arrives: 8 MiB."""


class SliceBuffer:
    """A buffer of the pool; whoever is handed one must `release` it.

    It has room for a slice and the header of the next one, which mostly comes in the same read. Its
    memory is a mapping of its own (mmap(2)): a page of it exists once something was written there.
    A bytearray would be filled with zeros first, 0.3 to 0.5 ms at each new link.
    """

    __slots__ = ("_pool", "view")

    def __init__(self, pool: BufferPool) -> None:
        self.view = memoryview(mmap.mmap(-1, SLICE_BYTES_MAX + CHUNK_HEADER_BYTES))
        self._pool = pool

    def release(self) -> None:
        self._pool.put_back(self)


class BufferPool:
    """At most `limit` slice buffers; whoever finds none is called when one comes back.

    Memory of a buffer is touched only as far as slices reach, so that small chunks cost little.
    """

    def __init__(self, limit: int = BUFFERS_MAX, rate_bytes_per_s: float | None = None) -> None:
        """`rate_bytes_per_s` is the download limit of those that fill them."""
        self.progress = Progress(None if rate_bytes_per_s is None else rate_bytes_per_s / limit)
        self._limit = limit
        self._free: list[SliceBuffer] = []
        self._made = 0
        self._waiting: list[Callable[[], None]] = []

    @property
    def wanted(self) -> bool:
        """Whether somebody waits for one."""
        return bool(self._waiting)

    def take(self) -> SliceBuffer | None:
        """A buffer, or None if all are in use."""
        if self._free:
            return self._free.pop()
        if self._made < self._limit:
            self._made += 1
            return SliceBuffer(self)
        self.progress.buffers_wanted = True
        return None

    def put_back(self, buffer: SliceBuffer) -> None:
        if len(self._free) >= KEPT_MAX and not self._waiting:
            self._made -= 1
            return
        self._free.append(buffer)
        if self._waiting:
            self._waiting.pop(0)()

    def when_free(self, call: Callable[[], None]) -> None:
        self._waiting.append(call)

    def forget(self, call: Callable[[], None]) -> None:
        if call in self._waiting:
            self._waiting.remove(call)


class ChunkSink(Protocol):
    """Who receives what a data connection brings."""

    def chunk_begins(self, header: ChunkHeader) -> bool:
        """Whether the chunk is wanted; called at its first slice."""

    def slice_came(self, header: ChunkHeader, buffer: SliceBuffer) -> None:
        """A whole slice is in the buffer, which now belongs to the callee."""

    def chunk_broken(self, header: ChunkHeader) -> None:
        """The sender gave up on a chunk it began."""

    def data_lost(self, reason: str, guilt: Guilt) -> None:
        """The connection ended, or broke the protocol; called once."""


class ChunkReceiver(asyncio.BufferedProtocol):
    """The reading end of a data connection."""

    def __init__(self, pool: BufferPool, bucket: TokenBucket, sink: ChunkSink) -> None:
        self._loop = asyncio.get_running_loop()
        self._pool = pool
        self._bucket = bucket
        self._sink = sink
        self._transport: asyncio.Transport | None = None
        self._head = bytearray(CHUNK_HEADER_BYTES)
        self._head_view = memoryview(self._head)
        self._waste: memoryview | None = None
        self._header: ChunkHeader | None = None
        self._unfinished: ChunkHeader | None = None
        """The last slice of a chunk that has more to come: these are next, or a BREAK."""
        self._wanted = False
        self._buffer: SliceBuffer | None = None
        self._filled = 0
        self._paused = False
        self._timer: asyncio.TimerHandle | None = None
        self._ended = False
        self.received_bytes = 0

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        assert isinstance(transport, asyncio.Transport)
        self._transport = transport
        self._pool.progress.watch(self)

    @property
    def is_under_way(self) -> bool:
        """Whether a chunk has begun that is not whole, and nothing here makes it wait."""
        begun = self._header is not None or self._unfinished is not None
        return begun and not self._paused

    def drips(self) -> None:
        """What it brings is too slow for the buffer it holds."""
        self._end("its chunks come too slowly", Guilt.DRIPS)

    def connection_lost(self, exc: Exception | None) -> None:
        self._end(f"data connection: {exc}" if exc else "peer closed the data connection")

    def feed(self, data: bytes) -> None:
        """Bytes that were read before this protocol took over."""
        while data and not self._ended:
            target = self.get_buffer(len(data))
            count = min(len(target), len(data))
            target[:count] = data[:count]
            data = data[count:]
            self.buffer_updated(count)

    # --- the hot path: twice or thrice a slice ---------------------------------------------------

    def get_buffer(self, sizehint: int) -> memoryview:
        header = self._header
        if header is None:
            return self._head_view[self._filled :]
        if self._buffer is not None:
            end = header.slice_bytes + CHUNK_HEADER_BYTES
            if self._bucket.limited:
                end = min(end, self._filled + self._bucket.quantum_bytes)
            return self._buffer.view[self._filled : end]
        if self._waste is None:
            self._waste = memoryview(bytearray(64 << 10))
        return self._waste[: header.slice_bytes - self._filled]

    def buffer_updated(self, nbytes: int) -> None:
        self._filled += nbytes
        self.received_bytes += nbytes
        header = self._header
        if header is None:
            if self._filled == CHUNK_HEADER_BYTES:
                self._filled = 0
                self._head_came()
            return
        self._bucket.take(nbytes)
        if self._filled >= header.slice_bytes:
            self._slice_came(header)
        if self._bucket.limited:
            wait_s = self._bucket.wait_s()
            if wait_s > 0:
                self._pause()
                self._timer = self._loop.call_later(wait_s, self._resume)

    def _slice_came(self, header: ChunkHeader) -> None:
        """The slice is whole; behind it there may be some of the next header, or all of it."""
        beyond = self._filled - header.slice_bytes
        self._header = None
        self._filled = beyond
        buffer, self._buffer = self._buffer, None
        if buffer is not None:
            if beyond:
                self._head[:beyond] = buffer.view[header.slice_bytes : header.slice_bytes + beyond]
            self._sink.slice_came(header, buffer)
        elif self._wanted:
            self._wanted = False
            self._sink.chunk_broken(header)  # came before the first buffer was free
        if beyond == CHUNK_HEADER_BYTES and not self._ended:
            self._filled = 0
            self._head_came()

    def _head_came(self) -> None:
        try:
            header = unpack_chunk_header(self._head)
            self._unfinished = _following(self._unfinished, header)
        except ProtocolError as error:
            self._end(error.message, Guilt.BREACH)
            return
        if header.kind == TYPE_BREAK:
            self._sink.chunk_broken(header)
            return
        if header.offset == 0:
            self._wanted = self._sink.chunk_begins(header)
        if self._ended:
            return
        self._header = header
        if self._wanted:
            self._buffer = self._pool.take()
            if self._buffer is None:
                self._pause()
                self._pool.when_free(self._buffer_free)

    # --- waiting ---------------------------------------------------------------------------------

    def _buffer_free(self) -> None:
        self._buffer = self._pool.take()
        if self._buffer is None:
            self._pool.when_free(self._buffer_free)
        else:
            self._resume()

    def _pause(self) -> None:
        if not self._paused and self._transport is not None:
            self._paused = True
            self._transport.pause_reading()

    def _resume(self) -> None:
        self._timer = None
        if self._paused and self._transport is not None and not self._ended:
            if self._header is not None and self._wanted and self._buffer is None:
                return  # still without a buffer
            self._paused = False
            self._transport.resume_reading()

    def stop(self) -> None:
        """Close the connection without telling the sink."""
        self._ended = True
        self._pool.progress.forget(self)
        self._drop_buffer()
        if self._timer is not None:
            self._timer.cancel()
        if self._transport is not None:
            self._transport.abort()

    def _drop_buffer(self) -> None:
        self._pool.forget(self._buffer_free)
        if self._buffer is not None:
            self._buffer.release()
            self._buffer = None

    def _end(self, reason: str, guilt: Guilt = Guilt.NOBODY) -> None:
        if self._ended:
            return
        self.stop()
        self._sink.data_lost(reason, guilt)


def _following(before: ChunkHeader | None, header: ChunkHeader) -> ChunkHeader | None:
    """Check that a slice is the next one of the unfinished chunk, or the first of any, and return
    it if more must come. ProtocolError: chunks are never interleaved, nor begun anew."""
    if before is None:
        if header.kind == TYPE_BREAK or header.offset:
            raise ProtocolError(f"slice at {header.offset} of chunk {header.chunk}, never begun")
    else:
        same = (before.swarm, before.chunk, before.total)
        end = before.offset + before.slice_bytes
        if (header.swarm, header.chunk, header.total) != same:
            raise ProtocolError(f"chunk {header.chunk} begun before chunk {before.chunk} ended")
        if header.kind == TYPE_BREAK:
            return None
        if header.offset != end:
            raise ProtocolError(f"slice at {header.offset} of chunk {header.chunk}, {end} is next")
    return header if header.offset + header.slice_bytes < header.total else None

"""Chunks out: one data connection's queue, sent with sendfile, never deep in the kernel.

The socket is used directly (asyncio's own sendfile stops reading while it sends, and two ends that
both send would wait for each other for ever); the connection's transport goes on reading from it.
"""

from __future__ import annotations

import asyncio
import os
import select
import socket
from collections import deque
from collections.abc import Callable, Sequence
from typing import Protocol

from strew.codec import SLICE_BYTES_MAX, TYPE_BREAK, TYPE_CHUNK, ChunkHeader, pack_chunk_header
from strew.transfer.limits import (
    DEEP_BYTES,
    Buckets,
    queue_bytes_min,
    send_queue_bytes,
    shallow,
)

TURN_BYTES_MAX = 1 << 20
"""Sent in one turn of the event loop before others have theirs."""

WHOLE_BYTES_MAX = 128 << 10
"""A slice of no more is copied and leaves with its header in one call."""

WITH_HEADER_BYTES = 16 << 10
"""So much of a longer slice leaves with its header; the rest goes by sendfile, uncopied."""

MEASURE_CHUNKS, MEASURE_BYTES = 16, 4 << 20
"""Over so much the rate of a connection is measured, whichever is less."""

MEASURE_FIRST_CHUNKS, MEASURE_FIRST_BYTES = 2, 1 << 20
"""And over so much for the first time: until then its queue is the least there is."""


class ReadableChunk(Protocol):
    """A stored chunk, open for reading (strew.store has it)."""

    @property
    def spans(self) -> Sequence[tuple[int, int, int]]:
        """(file descriptor, offset in bytes, length in bytes), in order."""

    def close(self) -> None:
        """Must be called once, when nothing more is read from it."""


class Outgoing:
    """One chunk in the queue of a connection; `open` opens it for reading when its turn comes."""

    __slots__ = ("header", "open")

    def __init__(self, header: ChunkHeader, opener: Callable[[], ReadableChunk]) -> None:
        self.header = header
        self.open = opener


class ChunkSender:
    """Sends queued chunks one after another; `sent` is called when one has left.

    A chunk has left when its last byte was handed over and the socket is writable again, so that
    the next decision is never far ahead of the wire. `sent(header, True)` or, for a chunk that
    could not be read or was broken off, `sent(header, False)`.
    """

    def __init__(
        self,
        loop: asyncio.AbstractEventLoop,
        sock: socket.socket,
        buckets: Buckets,
        sent: Callable[[ChunkHeader, bool], None],
        lost: Callable[[str], None],
    ) -> None:
        self._loop = loop
        self._sock = socket.socket(fileno=os.dup(sock.fileno()))
        self._sock.setblocking(False)
        self._piece_bytes = shallow(self._sock)
        self._fd = self._sock.fileno()
        self._poll = select.poll()
        self._poll.register(self._fd, select.POLLOUT)
        self._buckets = buckets
        self._bucket = buckets.up
        self._sent = sent
        self._lost = lost
        self._queue: deque[Outgoing] = deque()
        self._current: Outgoing | None = None
        self._reader: ReadableChunk | None = None
        self._span = 0
        self._span_done = 0
        self._chunk_done = 0
        self._slice_left = 0
        self._pending = b""
        self._broken = False
        self._finished: ChunkHeader | None = None
        self._writing = False
        self._pumping = False
        self._timer: asyncio.TimerHandle | None = None
        self._closed = False
        self._measure_chunks, self._measure_bytes = MEASURE_FIRST_CHUNKS, MEASURE_FIRST_BYTES
        self._queue_bytes = queue_bytes_min(self._piece_bytes)
        self._began_s = 0.0
        self._measured_chunks = 0
        self._measured_bytes = 0
        self._measured_s = 0.0
        self.payload_bytes = 0

    @property
    def busy(self) -> bool:
        return self._current is not None or bool(self._queue)

    def put(self, outgoing: Outgoing) -> None:
        """Queue a chunk."""
        self._queue.append(outgoing)
        if self._current is None and self._finished is None and self._timer is None:
            self._pump()

    def cancel(self, swarm: int, index: int) -> bool:
        """Take a chunk that still waits out of the queue; its `sent` is called with False."""
        for outgoing in self._queue:
            if outgoing.header.swarm == swarm and outgoing.header.chunk == index:
                self._queue.remove(outgoing)
                self._loop.call_soon(self._sent, outgoing.header, False)
                return True
        return False

    def close(self) -> None:
        """Stop; nothing is reported any more."""
        if self._closed:
            return
        self._closed = True
        self._queue.clear()
        if self._timer is not None:
            self._timer.cancel()
        if self._writing:
            self._loop.remove_writer(self._fd)
        self._sock.close()
        self._close_reader()

    def _close_reader(self) -> None:
        if self._reader is not None:
            self._reader.close()
            self._reader = None

    # --- sending ---------------------------------------------------------------------------------

    def _pump(self) -> None:
        """Send until the socket is full, the bucket empty, or the turn is over."""
        if self._pumping or self._closed:
            return
        self._timer = None
        self._pumping = True
        try:
            self._pump_turn()
        except BlockingIOError:
            self._want_writable(True)
        except OSError as error:
            self._lost(f"sending failed: {error.strerror}")
        finally:
            self._pumping = False

    def _pump_turn(self) -> None:
        turn_bytes = 0
        while True:
            if self._must_wait():
                self._want_writable(True)
                return
            if self._closed or (self._current is None and not self._next()):
                break
            wait_s = self._bucket.wait_s()
            if wait_s > 0:
                self._want_writable(False)
                self._timer = self._loop.call_later(wait_s, self._pump)
                return
            if turn_bytes >= TURN_BYTES_MAX:
                self._want_writable(False)
                self._timer = self._loop.call_later(0, self._pump)
                return
            turn_bytes += self._send_some()
            if self._current is not None and self._queue_bytes < DEEP_BYTES:
                self._want_writable(True)  # the queue holds one piece: another would not go
                return
        self._want_writable(False)

    def _must_wait(self) -> bool:
        """A chunk was handed over: the next begins when the socket is writable again."""
        while self._finished is not None and self._has_left():
            header, self._finished = self._finished, None
            self._measure(header)
            self._sent(header, True)  # may queue another chunk, or close this sender
        return self._finished is not None and not self._closed

    def _has_left(self) -> bool:
        return bool(self._poll.poll(0))

    def _want_writable(self, wants: bool) -> None:
        if self._closed:
            return
        if wants and not self._writing:
            self._loop.add_writer(self._fd, self._pump)
        elif not wants and self._writing:
            self._loop.remove_writer(self._fd)
        self._writing = wants

    def _next(self) -> bool:
        """Open the next chunk of the queue; False if there is none."""
        while self._queue:
            outgoing = self._queue.popleft()
            try:
                self._reader = outgoing.open()
            except Exception:  # whatever the store's reason: this chunk cannot be sent from here
                self._loop.call_soon(self._sent, outgoing.header, False)
                continue
            self._current = outgoing
            self._began_s = self._loop.time()
            self._span = self._span_done = self._chunk_done = 0
            self._begin_slice(outgoing.header)
            return True
        return False

    def _begin_slice(self, header: ChunkHeader) -> None:
        self._slice_left = min(header.total - self._chunk_done, SLICE_BYTES_MAX)
        self._pending = pack_chunk_header(
            header._replace(kind=TYPE_CHUNK, offset=self._chunk_done, slice_bytes=self._slice_left)
        )

    def _send_some(self) -> int:
        """One system call's worth (or two); returns payload bytes."""
        current, reader = self._current, self._reader
        assert current is not None and reader is not None
        if self._broken:
            return self._send_broken(current.header)
        if self._span >= len(reader.spans):
            self._break_off(current.header)  # the store has less of it than the manifest says
            return 0
        fd, offset, length = reader.spans[self._span]
        wanted = min(length - self._span_done, self._slice_left)
        if self._bucket.limited:
            wanted = min(wanted, self._bucket.quantum_bytes)
        count = self._move(current.header, fd, offset + self._span_done, wanted)
        if count == 0:
            return 0
        self._bucket.take(count)
        self.payload_bytes += count
        self._span_done += count
        self._chunk_done += count
        self._slice_left -= count
        if self._span_done == length:
            self._span += 1
            self._span_done = 0
        if self._slice_left == 0:
            if self._chunk_done == current.header.total:
                self._finish(current.header)
            else:
                self._begin_slice(current.header)
        return count

    def _move(self, header: ChunkHeader, fd: int, offset: int, wanted: int) -> int:
        """What is left of the header, and some payload; returns payload bytes. BlockingIOError."""
        if self._pending or self._queue_bytes < DEEP_BYTES:
            return self._send_piece(header, fd, offset, wanted)
        count = os.sendfile(self._fd, fd, offset, wanted)
        if count == 0:
            self._break_off(header)
        return count

    def _send_piece(self, header: ChunkHeader, fd: int, offset: int, wanted: int) -> int:
        """What is left of the header, and the payload behind it, in one call: a header alone would
        wake the receiver for 32 bytes. Returns payload bytes.

        To a deep queue small chunks go whole. To a shallow one go pieces that nothing is appended
        to (MSG_EOR), so that its limit holds.
        """
        flags = 0
        if self._queue_bytes < DEEP_BYTES:
            flags = socket.MSG_EOR
            wanted = min(wanted, self._pieces_bytes() - len(self._pending))
        elif wanted > WHOLE_BYTES_MAX:
            wanted = WITH_HEADER_BYTES
        payload = os.pread(fd, wanted, offset)
        if not (payload or self._pending):
            self._break_off(header)
            return 0
        count = self._sock.sendmsg((self._pending, payload), (), flags)
        header_bytes = len(self._pending)
        self._pending = self._pending[count:]
        return max(count - header_bytes, 0)

    def _pieces_bytes(self) -> int:
        """What a shallow queue takes at once."""
        return max(1, self._queue_bytes // 2 // self._piece_bytes) * self._piece_bytes

    def _send_broken(self, header: ChunkHeader) -> int:
        """The rest of a chunk that was broken off."""
        self._pending = self._pending[self._send_bytes(self._pending) :]
        if not self._pending:
            self._broken = False
            self._close_reader()
            self._current = None
            self._loop.call_soon(self._sent, header, False)
        return 0

    def _send_bytes(self, data: bytes) -> int:
        return self._sock.send(data)

    def _finish(self, header: ChunkHeader) -> None:
        self._close_reader()
        self._current = None
        self._finished = header

    def _measure(self, header: ChunkHeader) -> None:
        """A chunk has left. Now and then fit the kernel's queue to the connection's rate."""
        self._measured_chunks += 1
        self._measured_bytes += header.total
        self._measured_s += self._loop.time() - self._began_s
        if (
            self._measured_chunks < self._measure_chunks
            and self._measured_bytes < self._measure_bytes
        ):
            return
        self._measure_chunks, self._measure_bytes = MEASURE_CHUNKS, MEASURE_BYTES
        rate_bytes_per_s = self._measured_bytes / max(self._measured_s, 1e-6)
        self._measured_chunks, self._measured_bytes, self._measured_s = 0, 0, 0.0
        wanted = send_queue_bytes(
            self._sock, rate_bytes_per_s, self._piece_bytes, self._buckets.pace_bytes_per_s
        )
        if not self._queue_bytes / 2 < wanted < self._queue_bytes * 2:
            self._queue_bytes = wanted
            self._sock.setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, wanted)

    def _break_off(self, header: ChunkHeader) -> None:
        """The file became shorter under us: fill the slice, then say that the chunk is void.

        The receiver was promised this slice's length; zeros cost less than a new connection.
        """
        end = pack_chunk_header(header._replace(kind=TYPE_BREAK, slice_bytes=0))
        self._pending += bytes(self._slice_left) + end
        self._broken = True

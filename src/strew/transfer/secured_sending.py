"""Chunks out under TLS: read, encrypted in large writes, and sent from the sender's own hands.

The kernel cannot encrypt for us here (kTLS, which would let sendfile go on, is an option of the
kernel that many lack, and of Python from 3.12 on), and asyncio's fallback for sendfile reads and
writes 16 KiB at a time: 0.1 GB/s. So payload is read into one buffer and goes to TLS in pieces of
256 KiB, sixteen records at a time. What they become is sent as plain chunks are: into a shallow
queue, piece by piece, so that the next decision is never far ahead of the wire.
"""

from __future__ import annotations

import asyncio
import contextlib
import os
import socket
from collections import deque
from collections.abc import Callable

from strew.codec import CHUNK_HEADER_BYTES, ChunkHeader
from strew.transfer.limits import DEEP_BYTES, Buckets
from strew.transfer.secured import SecuredTransport
from strew.transfer.sending import ChunkSender

WRITE_BYTES = 256 << 10
"""Given to TLS at once. Less: more calls for each byte; more: longer turns, and more memory for
each connection that sends."""


class SecuredChunkSender(ChunkSender):
    """A ChunkSender on the data connection of a link under TLS."""

    def __init__(
        self,
        loop: asyncio.AbstractEventLoop,
        transport: SecuredTransport,
        buckets: Buckets,
        sent: Callable[[ChunkHeader, bool], None],
        lost: Callable[[str], None],
    ) -> None:
        super().__init__(loop, transport.get_extra_info("socket"), buckets, sent, lost)
        self._transport = transport
        self._sealed: deque[memoryview] = deque()
        """What TLS made of what was sent, and the connection has not taken yet."""
        self._read = bytearray()
        transport.divert(lambda data: self._sealed.append(memoryview(data)))

    def _has_left(self) -> bool:
        self._flush()
        return super()._has_left()

    def _want_writable(self, wants: bool) -> None:
        if not (wants or self._closed):
            try:
                self._flush()
            except BlockingIOError:
                wants = True
        super()._want_writable(wants)

    def _move(self, header: ChunkHeader, fd: int, offset: int, wanted: int) -> int:
        self._flush()
        if not self._read:
            self._read = bytearray(CHUNK_HEADER_BYTES + WRITE_BYTES)
        view = memoryview(self._read)
        head_bytes = len(self._pending)
        view[:head_bytes] = self._pending
        end = head_bytes + min(wanted, WRITE_BYTES)
        count = os.preadv(fd, (view[head_bytes:end],), offset)
        data = view[: head_bytes + count]
        self._pending = b""
        if data:
            self._transport.write(data)
        else:
            self._break_off(header)
        with contextlib.suppress(BlockingIOError):  # the next call is told of it
            self._flush()
        return count

    def _send_bytes(self, data: bytes) -> int:
        self._flush()
        self._transport.write(data[:WRITE_BYTES])
        return min(len(data), WRITE_BYTES)

    def _flush(self) -> None:
        """Send what TLS has made; BlockingIOError if the connection does not take all of it."""
        while self._sealed:
            data = self._sealed[0]
            if self._queue_bytes < DEEP_BYTES:
                count = self._sock.send(data[: self._pieces_bytes()], socket.MSG_EOR)
            else:
                count = self._sock.send(data)
            if count == len(data):
                self._sealed.popleft()
            else:
                self._sealed[0] = data[count:]

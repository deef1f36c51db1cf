"""One neighbour's link: a control connection for messages, a data connection for chunks.

Two connections, so that a request never waits behind payload in this node's own send queue
(measured: one connection for both 1.29 of the bound, two 1.24, before other mends).
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from typing import Protocol

from strew.access.wire import on_link
from strew.codec import CONTROL_FRAME_BYTES_MAX, ChunkHeader, FrameReader, Hello, decode, encode
from strew.errors import ProtocolError
from strew.messages import Guilt, PeerId, Wire
from strew.transfer.limits import Buckets, keep_alive
from strew.transfer.receiving import BufferPool, ChunkReceiver, SliceBuffer
from strew.transfer.secured import SecuredTransport
from strew.transfer.secured_sending import SecuredChunkSender
from strew.transfer.sending import ChunkSender, Outgoing, ReadableChunk

CONTROL_BACKLOG_BYTES_MAX = 4 << 20
"""A peer that does not read its messages is given up when so much waits for it."""


class LinkOwner(Protocol):
    """Who is told what happens on links. Every call is made on the event loop."""

    def link_up(self, link: PeerLink) -> None: ...

    def link_lost(self, link: PeerLink, reason: str, guilt: Guilt) -> None: ...

    def message_came(self, link: PeerLink, message: Wire) -> None: ...

    def chunk_begins(self, link: PeerLink, header: ChunkHeader) -> bool: ...

    def slice_came(self, link: PeerLink, header: ChunkHeader, buffer: SliceBuffer) -> None: ...

    def chunk_broken(self, link: PeerLink, header: ChunkHeader) -> None: ...

    def chunk_sent(self, link: PeerLink, header: ChunkHeader, done: bool) -> None: ...


class ControlEncoder:
    """Encodes messages; one that goes to many neighbours in a row is encoded once."""

    def __init__(self) -> None:
        self._message: Wire | None = None
        self._bytes = b""

    def encode(self, message: Wire) -> bytes:
        if message is not self._message:
            self._bytes = encode(message)
            self._message = message
        return self._bytes


class ControlConnection(asyncio.Protocol):
    """Frames both ways; what is sent in one turn of the loop leaves in one write."""

    def __init__(self, link: PeerLink) -> None:
        self._link = link
        self._loop = asyncio.get_running_loop()
        self._reader = FrameReader(CONTROL_FRAME_BYTES_MAX)
        self._transport: asyncio.Transport | None = None
        self._out: list[bytes] = []

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        assert isinstance(transport, asyncio.Transport)
        self._transport = transport

    def connection_lost(self, exc: Exception | None) -> None:
        self._link.lose(f"control connection: {exc}" if exc else "peer closed the connection")

    def data_received(self, data: bytes) -> None:
        try:
            for kind, body in self._reader.feed(data):
                message = decode(kind, body)
                if message is not None and on_link(message) and not self._link.closed:
                    self._link.owner.message_came(self._link, message)
        except ProtocolError as error:
            self._link.lose(error.message, Guilt.BREACH)

    def send(self, data: bytes) -> None:
        if not self._out:
            self._loop.call_soon(self._flush)
        self._out.append(data)

    def _flush(self) -> None:
        out, self._out = self._out, []
        if self._transport is None or self._transport.is_closing():
            return
        self._transport.write(b"".join(out))
        if self._transport.get_write_buffer_size() > CONTROL_BACKLOG_BYTES_MAX:
            self._link.lose("peer does not read its messages", Guilt.DRIPS)

    def close(self) -> None:
        if self._transport is not None:
            self._flush()
            self._transport.close()


class PeerLink:
    """Both connections of one pair of nodes. `lose` or `close` ends both; `lost` is told once."""

    def __init__(
        self,
        hello: Hello,
        host: str,
        dialled: bool,
        owner: LinkOwner,
        encoder: ControlEncoder,
        gone: Callable[[PeerLink], None],
    ) -> None:
        self.peer = PeerId(hello.node)
        self.epoch = hello.epoch
        self.zone = hello.zone
        self.host = host
        self.port = hello.port
        self.dialled = dialled
        self.owner = owner
        self.closed = False
        self._encoder = encoder
        self._gone = gone
        self._control: ControlConnection | None = None
        self._receiver: ChunkReceiver | None = None
        self._sender: ChunkSender | None = None

    def attach(
        self,
        control: tuple[asyncio.Transport, bytes],
        data: tuple[asyncio.Transport, bytes],
        pool: BufferPool,
        buckets: Buckets,
    ) -> None:
        """Take over both transports; bytes that were already read come with them."""
        loop = asyncio.get_running_loop()
        for transport, _ in (control, data):
            keep_alive(transport.get_extra_info("socket"))
        self._control = ControlConnection(self)
        self._receiver = ChunkReceiver(pool, buckets.down, self)
        sock = data[0].get_extra_info("socket")
        if isinstance(data[0], SecuredTransport):
            self._sender = SecuredChunkSender(loop, data[0], buckets, self._chunk_sent, self.lose)
        else:
            self._sender = ChunkSender(loop, sock, buckets, self._chunk_sent, self.lose)
        for (transport, rest), protocol in ((control, self._control), (data, self._receiver)):
            transport.set_protocol(protocol)
            protocol.connection_made(transport)
            transport.resume_reading()
            del rest
        self.owner.link_up(self)
        if control[1]:
            self._control.data_received(control[1])
        if data[1] and not self.closed:
            self._receiver.feed(data[1])

    @property
    def received_bytes(self) -> int:
        """What came over its data connection so far."""
        return self._receiver.received_bytes if self._receiver is not None else 0

    @property
    def sent_bytes(self) -> int:
        """Payload that it was handed to send and that left this process so far."""
        return self._sender.payload_bytes if self._sender is not None else 0

    # --- out -------------------------------------------------------------------------------------

    def send(self, message: Wire) -> None:
        if self._control is not None and not self.closed:
            self._control.send(self._encoder.encode(message))

    def send_chunk(self, header: ChunkHeader, opener: Callable[[], ReadableChunk]) -> None:
        if self._sender is not None and not self.closed:
            self._sender.put(Outgoing(header, opener))

    def cancel_chunk(self, swarm: int, index: int) -> None:
        if self._sender is not None and not self.closed:
            self._sender.cancel(swarm, index)

    # --- in (ChunkSink) --------------------------------------------------------------------------

    def chunk_begins(self, header: ChunkHeader) -> bool:
        return self.owner.chunk_begins(self, header)

    def slice_came(self, header: ChunkHeader, buffer: SliceBuffer) -> None:
        self.owner.slice_came(self, header, buffer)

    def chunk_broken(self, header: ChunkHeader) -> None:
        self.owner.chunk_broken(self, header)

    def data_lost(self, reason: str, guilt: Guilt) -> None:
        self.lose(reason, guilt)

    def _chunk_sent(self, header: ChunkHeader, done: bool) -> None:
        if not self.closed:
            self.owner.chunk_sent(self, header, done)

    # --- the end ---------------------------------------------------------------------------------

    def close(self) -> None:
        """End both connections; the owner is not told."""
        if self.closed:
            return
        self.closed = True
        self._gone(self)
        if self._sender is not None:
            self._sender.close()
        if self._receiver is not None:
            self._receiver.stop()
        if self._control is not None:
            self._control.close()

    def lose(self, reason: str, guilt: Guilt = Guilt.NOBODY) -> None:
        """Something ended the link; the owner is told."""
        if self.closed:
            return
        self.close()
        self.owner.link_lost(self, reason, guilt)

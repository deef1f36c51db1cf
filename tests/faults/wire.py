"""A peer of the wire that keeps no rule: it proves the fleet's key, and then says what it likes.

It uses strew's own handshake and frames, so that it is let in, and nothing else of a node: no
store, no swarm, no port. Who uses it decides each byte that leaves.
"""

from __future__ import annotations

import asyncio
import contextlib
import secrets
from collections.abc import Awaitable, Callable

from strew.codec import (
    CONTROL_FRAME_BYTES_MAX,
    TYPE_CHUNK,
    ChunkHeader,
    FrameReader,
    Hello,
    decode,
    encode,
    pack_chunk_header,
)
from strew.errors import StrewError
from strew.fleet import FleetKey
from strew.messages import PROTOCOL_VERSION, PeerId, Wire
from strew.transfer.handshake import Handshake

READ_BYTES = 1 << 16

WITHIN_S = 5.0
"""For a handshake with a process of this machine."""


class Connection:
    """One proven connection: its streams, and what came behind the last proof."""

    def __init__(
        self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter, hello: Hello, rest: bytes
    ) -> None:
        self.reader = reader
        self.writer = writer
        self.hello = hello
        self.rest = rest

    def write(self, data: bytes) -> None:
        """Any bytes at all."""
        if not self.writer.is_closing():
            self.writer.write(data)

    async def ends(self, within_s: float) -> None:
        """Read until the other side hangs up; TimeoutError if it does not."""
        async with asyncio.timeout(within_s):
            with contextlib.suppress(ConnectionError):
                while await self.reader.read(READ_BYTES):
                    pass

    def close(self) -> None:
        self.writer.close()


class Link:
    """Both connections to one node."""

    def __init__(self, control: Connection, data: Connection) -> None:
        self.peer = PeerId(control.hello.node)
        self.control = control
        self.data = data

    def tell(self, message: Wire) -> None:
        self.control.write(encode(message))

    def send_slice(
        self, swarm: int, index: int, payload: bytes, *, total: int, offset: int = 0, role: int = 0
    ) -> None:
        """A slice whose header says what the caller wants."""
        head = ChunkHeader(TYPE_CHUNK, swarm, index, offset, total, role, 0, len(payload))
        self.data.write(pack_chunk_header(head) + payload)

    async def messages(self, heard: Callable[[Wire], None]) -> None:
        """Hand over each control message until the connection ends."""
        frames = FrameReader(CONTROL_FRAME_BYTES_MAX)
        data = self.control.rest or await self.control.reader.read(READ_BYTES)
        while data:
            for kind, body in frames.feed(data):
                message = decode(kind, body)
                if message is not None:
                    heard(message)
            data = await self.control.reader.read(READ_BYTES)

    def close(self) -> None:
        self.control.close()
        self.data.close()


class WirePeer:
    """Listens and dials as a node does. `linked` is run for each link, as a task of its own."""

    def __init__(self, key: FleetKey, linked: Callable[[Link], Awaitable[None]]) -> None:
        self.id = PeerId(secrets.token_hex(16))
        self.port = 0
        self._key = key
        self._linked = linked
        self._epoch = secrets.token_hex(8)
        self._halves: dict[tuple[str, str], Connection] = {}
        self._tasks: set[asyncio.Task[None]] = set()
        self._server: asyncio.Server | None = None

    async def listen(self, host: str = "127.0.0.1") -> None:
        self._server = await asyncio.start_server(self._called, host, 0)
        self.port = self._server.sockets[0].getsockname()[1]

    async def close(self) -> None:
        if self._server is not None:
            self._server.close()
        for task in list(self._tasks):
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)
        for half in self._halves.values():
            half.close()

    def spawn(self, course: Awaitable[None]) -> None:
        """Run beside everything else; whatever the network does to it ends it quietly."""

        async def run() -> None:
            with contextlib.suppress(OSError, StrewError, TimeoutError, EOFError):
                await course

        task = asyncio.ensure_future(run())
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)

    def hello(self, session: str, channel: str, version: int = PROTOCOL_VERSION) -> Hello:
        nonce = secrets.token_bytes(32)
        return Hello(version, self.id, self._epoch, session, channel, self.port, "", nonce)

    async def dial(self, host: str, port: int) -> Link:
        """Both connections to a node; OSError, StrewError or TimeoutError if it has none of it."""
        session = secrets.token_hex(8)
        async with asyncio.timeout(WITHIN_S):
            control = await self.dial_one(host, port, session, "control")
            data = await self.dial_one(host, port, session, "data")
        return Link(control, data)

    async def dial_one(self, host: str, port: int, session: str, channel: str) -> Connection:
        """One connection of a link, proven."""
        reader, writer = await asyncio.open_connection(host, port)
        handshake = Handshake(self._key, self.hello(session, channel))
        writer.write(handshake.start())
        return await self._prove(handshake, reader, writer)

    async def _prove(
        self, handshake: Handshake, reader: asyncio.StreamReader, writer: asyncio.StreamWriter
    ) -> Connection:
        while not handshake.done:
            data = await reader.read(READ_BYTES)
            if not data:
                writer.close()
                raise ConnectionResetError("hung up before the handshake ended")
            writer.write(handshake.feed(data))
        assert handshake.peer is not None
        return Connection(reader, writer, handshake.peer, handshake.rest)

    async def _called(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        with contextlib.suppress(OSError, StrewError, TimeoutError):
            mine = self.hello("", "control")
            answer = Handshake(self._key, mine, lambda it: self.hello(it.session, it.channel))
            connection = await self._prove(answer, reader, writer)
            key = (connection.hello.node, connection.hello.session)
            other = self._halves.pop(key, None)
            if other is None:
                self._halves[key] = connection
                return
            ends = {end.hello.channel: end for end in (connection, other)}
            self.spawn(self._linked(Link(ends["control"], ends["data"])))

"""Both ends of real connections on loopback, and who is told what happens on them."""

from __future__ import annotations

import asyncio
import socket
import ssl
import tempfile
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from typing import IO

from strew.certificates.credentials import Credentials
from strew.codec import TYPE_CHUNK, ChunkHeader
from strew.fleet import FleetKey
from strew.messages import Guilt, PeerId, Wire
from strew.transfer.limits import Buckets
from strew.transfer.peer import PeerLink
from strew.transfer.port import Identity, Port
from strew.transfer.receiving import SliceBuffer
from tests.certificates.issued import Issuer

KEY = FleetKey(bytes(range(32)))
OTHER_KEY = FleetKey(bytes(32))
LOW = PeerId("1" * 32)
HIGH = PeerId("9" * 32)
SWARM = 77
WITHIN_S = 5.0


async def until(true: Callable[[], object]) -> None:
    """Let the loop run until something holds; fails after some seconds."""
    async with asyncio.timeout(WITHIN_S):
        while not true():
            await asyncio.sleep(0.001)


class StoredChunk:
    """A chunk in an anonymous file, as a store hands it out; `spans` may be several."""

    def __init__(self, data: bytes, cuts: tuple[int, ...] = (), before: bytes = b"junk") -> None:
        self.file: IO[bytes] = tempfile.TemporaryFile()  # noqa: SIM115 (closed by `close`)
        self.file.write(before + data + b"junk")
        self.file.flush()
        ends = [*cuts, len(data)]
        starts = [0, *cuts]
        self.spans = [
            (self.file.fileno(), len(before) + start, end - start)
            for start, end in zip(starts, ends, strict=True)
        ]
        self.closed = 0

    def close(self) -> None:
        self.closed += 1
        self.file.close()


def header(index: int, total: int, role: int = 0) -> ChunkHeader:
    return ChunkHeader(TYPE_CHUNK, SWARM, index, 0, total, role, 0, 0)


class Owner:
    """Writes down what links report; chunks are put together from their slices."""

    def __init__(self) -> None:
        self.up: list[PeerLink] = []
        self.lost: list[tuple[PeerId, str]] = []
        self.messages: list[tuple[PeerId, Wire]] = []
        self.begun: list[ChunkHeader] = []
        self.arriving: dict[int, bytearray] = {}
        self.chunks: dict[int, bytes] = {}
        self.broken: list[int] = []
        self.sent: list[tuple[int, bool]] = []
        self.unwanted: set[int] = set()
        self.kept: list[SliceBuffer] | None = None
        """Buffers that are not given back, as of a disk that cannot keep up."""

    def link_up(self, link: PeerLink) -> None:
        self.up.append(link)

    def link_lost(self, link: PeerLink, reason: str, guilt: Guilt) -> None:
        self.lost.append((link.peer, reason))

    def message_came(self, link: PeerLink, message: Wire) -> None:
        self.messages.append((link.peer, message))

    def chunk_begins(self, link: PeerLink, header: ChunkHeader) -> bool:
        self.begun.append(header)
        if header.chunk in self.unwanted:
            return False
        self.arriving[header.chunk] = bytearray()
        return True

    def slice_came(self, link: PeerLink, header: ChunkHeader, buffer: SliceBuffer) -> None:
        data = self.arriving[header.chunk]
        assert len(data) == header.offset
        data += buffer.view[: header.slice_bytes]
        if self.kept is None:
            buffer.release()
        else:
            self.kept.append(buffer)
        if len(data) == header.total:
            self.chunks[header.chunk] = bytes(self.arriving.pop(header.chunk))

    def chunk_broken(self, link: PeerLink, header: ChunkHeader) -> None:
        self.broken.append(header.chunk)

    def chunk_sent(self, link: PeerLink, header: ChunkHeader, done: bool) -> None:
        self.sent.append((header.chunk, done))


@dataclass
class Shown:
    """What a port of profile strict proves itself with; a renewal gives it other contexts."""

    server: ssl.SSLContext
    met: ssl.SSLContext
    plain_answer: bytes = b"TLS, please"


class Station:
    """A port that listens, and the owner of its links."""

    def __init__(
        self,
        name: PeerId,
        *,
        key: FleetKey = KEY,
        up: float | None = None,
        down: float | None = None,
        identity: Identity | None = None,
        credentials: Credentials | None = None,
    ) -> None:
        clock = asyncio.get_running_loop().time
        self.owner = Owner()
        self.buckets = Buckets.limited(up, down, clock)
        identity = identity or Identity(name, "rack")
        security = Shown(credentials.server, credentials.met) if credentials else None
        self.port = Port(identity, key, self.owner, self.buckets, security)

    async def listen(self, http: Callable[[], asyncio.Protocol] = asyncio.Protocol) -> Station:
        await self.port.listen("127.0.0.1", 0, http)
        return self

    def dial(self, other: Station) -> Awaitable[PeerLink]:
        return self.port.dial("127.0.0.1", other.port.port)

    @property
    def link(self) -> PeerLink:
        [link] = self.port.links.values()
        return link


async def two_linked(
    issuer: Issuer | None = None, **settings: float | None
) -> tuple[Station, Station]:
    """LOW has dialled HIGH, over TLS if somebody issues certificates; the settings are LOW's."""
    one, other = (issuer and issuer.named(name) for name in (LOW, HIGH))
    low = await Station(LOW, credentials=one, **settings).listen()  # type: ignore[arg-type]
    high = await Station(HIGH, credentials=other).listen()
    await low.dial(high)
    await until(lambda: high.owner.up)
    return low, high


def socket_pair(segment_bytes: int = 0) -> tuple[socket.socket, socket.socket]:
    """Two ends of a TCP connection on loopback, not blocking; with segments of so many bytes, as on
    a network, if any are given."""
    with socket.create_server(("127.0.0.1", 0)) as server:
        one = socket.socket()
        if segment_bytes:
            one.setsockopt(socket.IPPROTO_TCP, socket.TCP_MAXSEG, segment_bytes)
        one.connect(server.getsockname())
        two, _ = server.accept()
    for end in (one, two):
        end.setblocking(False)
    return one, two

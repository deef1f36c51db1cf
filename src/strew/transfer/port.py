"""One listening port for the peer wire and HTTP, told apart by their first byte; and dialling.

A connection that begins with a zero byte is the peer wire; anything else is handed, with what was
read, to the HTTP server. A link is up when its control and its data connection have both proved
the fleet key; two nodes that dial each other at once keep the link of the one with the lower id.

With `Security` every connection is TLS, which begins with a byte of its own, and what it carries
is told apart the same way; a node may then only call itself what its certificate says.
"""

from __future__ import annotations

import asyncio
import secrets
import socket
import ssl
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Protocol

from strew.certificates.identity import require_certified
from strew.codec import PREFACE, Hello
from strew.errors import (
    ConfigurationError,
    DeniedError,
    ProtocolError,
    StrewError,
    UnavailableError,
)
from strew.fleet import FleetKey
from strew.messages import PROTOCOL_VERSION, PeerId
from strew.transfer.handshake import Handshake
from strew.transfer.limits import RECEIVE_QUEUE_LIMITED_BYTES, Buckets
from strew.transfer.peer import ControlEncoder, LinkOwner, PeerLink
from strew.transfer.receiving import BufferPool
from strew.transfer.reception import Reception
from strew.transfer.secured import FIRST_BYTE, SecuredTransport
from strew.transfer.web import WebConnection

DIAL_S = 5.0
"""A connection not up by then is given up; a lost SYN alone would take the kernel over a minute."""

HANDSHAKE_S = 10.0
"""A stranger that says nothing for so long is disconnected."""

PEER_CONNECTIONS_MAX = 16
"""Proven connections of one node, its link's and those that wait for their twin. Lower: dials that
cross, or follow each other quickly, end one another; higher: one member with the key keeps others
out."""

BACKLOG = 512

HttpFactory = Callable[[], asyncio.Protocol]
Established = Callable[[Hello, asyncio.Transport, bytes, bool], None]


@dataclass(frozen=True, slots=True)
class Identity:
    """How this node introduces itself. `epoch` differs between two lives of one node."""

    node: PeerId
    zone: str = ""
    epoch: str = field(default_factory=lambda: secrets.token_hex(8))


class Security(Protocol):
    """What profile strict gives a port. The contexts may be others each time: they are renewed."""

    @property
    def server(self) -> ssl.SSLContext: ...

    @property
    def met(self) -> ssl.SSLContext: ...

    @property
    def plain_answer(self) -> bytes:
        """What to say to HTTP in the clear."""


class Greeting(asyncio.Protocol):
    """The handshake of one connection; afterwards the transport goes to `established`."""

    def __init__(
        self,
        handshake: Handshake,
        dialled: bool,
        established: Established,
        failed: Callable[[StrewError], None],
    ) -> None:
        self._handshake = handshake
        self._dialled = dialled
        self._established = established
        self._failed: Callable[[StrewError], None] | None = failed
        self._transport: asyncio.Transport | None = None
        self._timer: asyncio.TimerHandle | None = None

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        assert isinstance(transport, asyncio.Transport)
        self._transport = transport
        late = UnavailableError("peer did not finish its handshake in time")
        self._timer = asyncio.get_running_loop().call_later(HANDSHAKE_S, self._fail, late)
        if self._dialled:
            transport.write(self._handshake.start())

    def data_received(self, data: bytes) -> None:
        assert self._transport is not None
        try:
            out = self._handshake.feed(data)
            if self._handshake.peer is not None:
                require_certified(self._transport, self._handshake.peer.node)
        except (ProtocolError, DeniedError) as error:
            self._fail(error)
            return
        if out:
            self._transport.write(out)
        if self._handshake.done and self._failed is not None:
            assert self._handshake.peer is not None
            self._failed = None
            self._stop_timer()
            self._transport.pause_reading()
            self._established(
                self._handshake.peer, self._transport, self._handshake.rest, self._dialled
            )

    def connection_lost(self, exc: Exception | None) -> None:
        closed = UnavailableError("peer closed the connection before it proved itself")
        self._fail(exc if isinstance(exc, StrewError) else closed)

    @property
    def host(self) -> str:
        """The other side's address; empty before there is one."""
        if self._transport is None:
            return ""
        return str((self._transport.get_extra_info("peername") or ("",))[0])

    def _fail(self, error: StrewError) -> None:
        failed, self._failed = self._failed, None
        self._stop_timer()
        if failed is None:
            return
        if self._transport is not None:
            self._transport.abort()
        failed(error)

    def _stop_timer(self) -> None:
        if self._timer is not None:
            self._timer.cancel()


class Sniffer(asyncio.Protocol):
    """Decides by the first byte who shall have an accepted connection. With `wrapped` it is what
    TLS carries, and was counted when it came in."""

    def __init__(self, port: Port, *, wrapped: bool = False) -> None:
        self._port = port
        self._wrapped = wrapped
        self._transport: asyncio.Transport | None = None
        self._timer: asyncio.TimerHandle | None = None

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        assert isinstance(transport, asyncio.Transport)
        self._transport = transport
        if not self._wrapped and not self._port.reception.admit(transport):
            transport.abort()
            return
        loop = asyncio.get_running_loop()
        self._timer = loop.call_later(HANDSHAKE_S, transport.abort)

    def data_received(self, data: bytes) -> None:
        assert self._transport is not None
        if self._timer is not None:
            self._timer.cancel()
        if self._port.security is not None and not self._wrapped:
            self._secure(data, self._port.security)
            return
        protocol = self._port.protocol_for(data[:1] == PREFACE[:1])
        self._transport.set_protocol(protocol)
        protocol.connection_made(self._transport)
        protocol.data_received(data)

    def _secure(self, data: bytes, security: Security) -> None:
        """TLS or nothing; whoever speaks HTTP in the clear is told so."""
        assert self._transport is not None
        if data[0] == FIRST_BYTE:
            above = Sniffer(self._port, wrapped=True)
            secured = SecuredTransport(security.server, above, server_side=True)
            self._transport.set_protocol(secured)
            secured.connection_made(self._transport)
            secured.feed(data)
            return
        if data[0] != PREFACE[0]:
            self._transport.write(security.plain_answer)
        self._transport.close()

    def connection_lost(self, exc: Exception | None) -> None:
        if self._timer is not None:
            self._timer.cancel()


class Port:
    """The node's place on the network: listens, dials, pairs connections, keeps the live links."""

    def __init__(
        self,
        identity: Identity,
        key: FleetKey,
        owner: LinkOwner,
        buckets: Buckets,
        security: Security | None = None,
    ) -> None:
        self.security = security
        self._identity = identity
        self._key = key
        self._owner = owner
        self._buckets = buckets
        self._pool = BufferPool(rate_bytes_per_s=buckets.down.rate_bytes_per_s)
        self._encoder = ControlEncoder()
        self._http: HttpFactory | None = None
        self._server: asyncio.Server | None = None
        self.reception = Reception()
        self._halves: dict[tuple[str, str], tuple[Hello, asyncio.Transport, bytes]] = {}
        self._dials: dict[str, asyncio.Future[PeerLink]] = {}
        self.links: dict[PeerId, PeerLink] = {}
        self.port = 0
        self.on_unproved: Callable[[str, StrewError], None] | None = None
        """Told of each connection that said who it is and did not prove the fleet key (one of
        another fleet leaves by itself, as it sees first that keys differ), with its address."""

    @property
    def buffers_wanted(self) -> bool:
        """Whether a connection waits for a buffer: what came is not stored quickly enough."""
        return self._pool.wanted

    async def listen(
        self, host: str, port: int, http: HttpFactory, *, reception: Reception | None = None
    ) -> None:
        """Accept on host:port (0 takes a free one, found in `port` afterwards), whom `reception`
        admits.

        Raises ConfigurationError if the address cannot be had.
        """
        self._http = http
        if reception is not None:
            self.reception = reception
        loop = asyncio.get_running_loop()
        try:
            self._server = await loop.create_server(
                lambda: Sniffer(self), host, port, backlog=BACKLOG, reuse_address=True
            )
        except OSError as error:
            raise ConfigurationError(
                f"cannot listen on {host}:{port}: {error.strerror or error}",
                hint="choose another address with --listen",
            ) from None
        self.port = self._server.sockets[0].getsockname()[1]
        if self._buckets.down.limited:
            for sock in self._server.sockets:
                sock.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, RECEIVE_QUEUE_LIMITED_BYTES)

    def protocol_for(self, peer_wire: bool) -> asyncio.Protocol:
        if not peer_wire:
            assert self._http is not None
            return WebConnection(self._http())
        handshake = Handshake(self._key, self._hello("", "control", b""), self._answer)

        def failed(error: StrewError) -> None:
            if handshake.peer is not None and self.on_unproved is not None:
                self.on_unproved(greeting.host, error)

        greeting = Greeting(handshake, False, self._established, failed)
        return greeting

    def _hello(self, session: str, channel: str, nonce: bytes) -> Hello:
        me = self._identity
        return Hello(
            PROTOCOL_VERSION, me.node, me.epoch, session, channel, self.port, me.zone, nonce
        )

    def _answer(self, theirs: Hello) -> Hello:
        return self._hello(theirs.session, theirs.channel, secrets.token_bytes(32))

    # --- dialling --------------------------------------------------------------------------------

    async def dial(self, host: str, port: int) -> PeerLink:
        """The link to the node at host:port, once both connections are up.

        Raises UnavailableError (nobody there, or too slow), DeniedError (another fleet's node) or
        ProtocolError (no strew node, another version).
        """
        session = secrets.token_hex(8)
        loop = asyncio.get_running_loop()
        future: asyncio.Future[PeerLink] = loop.create_future()
        self._dials[session] = future
        try:
            async with asyncio.timeout(DIAL_S):
                await asyncio.gather(
                    self._dial_one(host, port, session, "control", future),
                    self._dial_one(host, port, session, "data", future),
                )
                return await future
        except TimeoutError:
            raise UnavailableError(f"{host}:{port} did not answer within {DIAL_S:.0f} s") from None
        except OSError as error:
            raise UnavailableError(f"{host}:{port}: {error.strerror or error}") from None
        except (ValueError, OverflowError):  # a peer or plan named what can be no address
            raise UnavailableError(f"{host!r}:{port} is not an address") from None
        finally:
            del self._dials[session]
            future.cancel()
            for key in [k for k in self._halves if k[1] == session]:
                self._halves.pop(key)[1].abort()

    async def _dial_one(
        self, host: str, port: int, session: str, channel: str, future: asyncio.Future[PeerLink]
    ) -> None:
        hello = self._hello(session, channel, secrets.token_bytes(32))

        def failed(error: StrewError) -> None:
            if not future.done():
                future.set_exception(error)

        greeting = Greeting(Handshake(self._key, hello), True, self._established, failed)
        protocol: asyncio.BaseProtocol = greeting
        if self.security is not None:
            protocol = SecuredTransport(self.security.met, greeting, server_side=False)
        loop = asyncio.get_running_loop()
        transport, _ = await loop.create_connection(lambda: protocol, host, port)
        if channel == "data" and self._buckets.down.limited:
            sock = transport.get_extra_info("socket")
            sock.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, RECEIVE_QUEUE_LIMITED_BYTES)

    # --- pairing ---------------------------------------------------------------------------------

    def _established(
        self, hello: Hello, transport: asyncio.Transport, rest: bytes, dialled: bool
    ) -> None:
        """One connection proved itself; with its twin it makes a link."""
        key = (hello.node, hello.session)
        other = self._halves.pop(key, None)
        if other is None:
            waiting = sum(node == hello.node for node, _ in self._halves)
            if waiting + 2 >= PEER_CONNECTIONS_MAX:
                transport.abort()
                return
            self._halves[key] = (hello, transport, rest)
            asyncio.get_running_loop().call_later(HANDSHAKE_S, self._expire, key, transport)
            return
        if other[0].channel == hello.channel or other[0].epoch != hello.epoch:
            transport.abort()
            other[1].abort()
            return
        ends = {other[0].channel: (other[1], other[2]), hello.channel: (transport, rest)}
        host = str(transport.get_extra_info("peername")[0])
        link = PeerLink(hello, host, dialled, self._owner, self._encoder, self._gone)
        future = self._dials.get(hello.session) if dialled else None
        if not self._prefer(link):
            for end, _ in ends.values():
                end.abort()
            link = self.links[link.peer]
        else:
            self.links[link.peer] = link
            for end, _ in ends.values():
                self.reception.proved(end.raw if isinstance(end, SecuredTransport) else end)
            link.attach(ends["control"], ends["data"], self._pool, self._buckets)
        if future is not None and not future.done():
            future.set_result(link)

    def _expire(self, key: tuple[str, str], transport: asyncio.Transport) -> None:
        half = self._halves.get(key)
        if half is not None and half[1] is transport:
            del self._halves[key]
            transport.abort()

    def _prefer(self, new: PeerLink) -> bool:
        """Whether a new link is to be kept beside what there is; ends the old one if so."""
        old = self.links.get(new.peer)
        if old is None:
            return True
        me = self._identity.node
        crossed = old.epoch == new.epoch and old.dialled != new.dialled
        if crossed and (me < new.peer) != new.dialled:
            return False
        old.lose("replaced by a newer link")
        return True

    def _gone(self, link: PeerLink) -> None:
        if self.links.get(link.peer) is link:
            del self.links[link.peer]

    async def close(self) -> None:
        """Stop listening and end every link; owners are not told."""
        if self._server is not None:
            self._server.close()
        for link in list(self.links.values()):
            link.close()
        for _, transport, _ in self._halves.values():
            transport.abort()
        self._halves.clear()
        self.reception.clear()

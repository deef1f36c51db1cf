"""One UDP endpoint, on the number of the TCP port: several kinds of datagrams, told apart by their
first byte.

Theory of operation. A *kind* (gossip, the distributed hash table) brings its own encoding; this
room seals what it sends and hands over what came, proved and decoded. A kind whose label is
`Label.PLAIN` is not sealed: its datagrams are the bare encoding, whose first byte is that label.
BEP 5 messages are bencoded dictionaries (BEP 3), which all begin with a `d`, so that plain ones
and sealed ones share the port.

Anybody can send to a UDP port, in anybody's name. So what costs work is counted against whoever
seems to send it, and the cheapest test comes first:

* What does not prove the key (plain datagrams too) is counted by *source*, a host. One that sends
  more than `STRANGER_PER_S` is silent for `SILENCE_S`: not even looked at.
* A process that proved the key is known by its sender (see strew.transfer.sealing) and has a
  budget of its own. It is heard also from a silent source: else fifty datagrams in a member's name
  would shut it out. Only a process that begins while its host is silent has to wait.

Nothing is ever answered here. What is dropped is counted by its reason in `dropped`; no datagram,
whatever is in it, raises.
"""

from __future__ import annotations

import asyncio
import socket
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from enum import IntEnum
from typing import Any, Generic, TypeVar, cast

from strew.announce.address import is_dialable
from strew.errors import ConfigurationError, ProtocolError
from strew.fleet import FleetKey
from strew.messages import Datagram, DatagramReceived
from strew.transfer.sealing import DATAGRAM_BYTES_MAX, Budget, Fault, Seal

STRANGER_PER_S = 50
"""Datagrams a second taken from one host that prove no key, and as many at once after a pause.
Lower: a busy node of an open distributed hash table is shut out; higher: a flood costs more before
it is silent."""

SILENCE_S = 300.0
"""How long a host that sent more is not listened to, as libtorrent blocks a flooding DHT node
(`dht_block_timeout`). Lower: a flood is looked at again more often; higher: whoever shares a host
with it, or whose address it forged, waits longer."""

SOURCES_MAX = 16_384
"""Hosts whose rate is remembered; the one quiet for longest is forgotten first, and a flood is not
quiet. About 0.3 kB each. Lower: forged sources push out true ones sooner; higher: memory."""


class Label(IntEnum):
    """The first byte of a datagram. Its upper half is the version of the sealed layout, 1."""

    GOSSIP = 0x11
    DHT = 0x12
    PLAIN = 0x64
    """`d`: a bencoded dictionary, in the open."""


M = TypeVar("M", bound=Datagram)


@dataclass(frozen=True, slots=True)
class Kind(Generic[M]):
    """Messages of one subject and their bytes.

    `messages` are the exact classes that `encode` takes. `encode` must stay within
    `MESSAGE_BYTES_MAX`, plain within `DATAGRAM_BYTES_MAX`; `decode` must raise nothing but
    ProtocolError.
    """

    label: Label
    messages: tuple[type[M], ...]
    encode: Callable[[M], bytes]
    decode: Callable[[bytes], M]


class Source:
    """A host that sent what proves no key."""

    __slots__ = ("budget", "silent_until_s")

    def __init__(self, now: float) -> None:
        self.budget = Budget(STRANGER_PER_S, now)
        self.silent_until_s = now


class Sources:
    """The hosts that strangers send from: how fast, and which are silent."""

    def __init__(self) -> None:
        self._sources: dict[str, Source] = {}

    def __len__(self) -> int:
        return len(self._sources)

    def is_silent(self, host: str, now: float) -> bool:
        """Whether what comes from there is not to be looked at."""
        source = self._sources.get(host)
        if source is None or now >= source.silent_until_s:
            return False
        self._touch(host, source)
        return True

    def charge(self, host: str, now: float) -> bool:
        """Count a datagram that proved no key; False if its source is silent, or is so from now."""
        if self.is_silent(host, now):
            return False
        source = self._sources.get(host) or Source(now)
        self._touch(host, source)
        if len(self._sources) > SOURCES_MAX:
            del self._sources[next(iter(self._sources))]
        if source.budget.take(now):
            return True
        source.silent_until_s = now + SILENCE_S
        return False

    def _touch(self, host: str, source: Source) -> None:
        self._sources.pop(host, None)
        self._sources[host] = source


class DatagramPort(asyncio.DatagramProtocol):
    """The endpoint. `received` is called with each message that came, and must not raise."""

    def __init__(
        self,
        key: FleetKey,
        kinds: Sequence[Kind[Any]],
        received: Callable[[DatagramReceived], None],
        clock: Callable[[], float],
    ) -> None:
        self._kinds: dict[int, Kind[Any]] = {kind.label: kind for kind in kinds}
        self._kind_of = {message: kind for kind in kinds for message in kind.messages}
        self._received = received
        self._clock = clock
        self._seal = Seal(key)
        self._sources = Sources()
        self._transport: asyncio.DatagramTransport | None = None
        self._full = False
        self.port = 0
        self.dropped: dict[Fault, int] = dict.fromkeys(Fault, 0)

    async def listen(self, host: str, port: int) -> None:
        """Take host:port (0 takes a free one, found in `port` afterwards).

        Like the TCP port, an IPv6 address takes no IPv4. Raises ConfigurationError if the address
        cannot be had.
        """
        loop = asyncio.get_running_loop()
        try:
            [(family, form, protocol, _, address), *_] = await loop.getaddrinfo(
                host, port, type=socket.SOCK_DGRAM, flags=socket.AI_PASSIVE
            )
            sock = socket.socket(family, form, protocol)
            try:
                if family == socket.AF_INET6:
                    sock.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_V6ONLY, 1)
                sock.setblocking(False)
                sock.bind(address)
                self.port = sock.getsockname()[1]
                await loop.create_datagram_endpoint(lambda: self, sock=sock)
            except BaseException:
                sock.close()
                raise
        except OSError as error:
            raise ConfigurationError(
                f"cannot take UDP {host}:{port}: {error.strerror or error}",
                hint="choose another address with --listen",
            ) from None

    def send(self, host: str, port: int, message: Datagram) -> None:
        """Send a message of one of the kinds; that it arrives, nobody says.

        `host` must be an IP literal: no name is ever looked up. Nothing is sent before `listen`
        or after `close`.
        """
        if self._transport is None:
            return
        if not (0 < port < 65536 and is_dialable(host)):
            self.dropped[Fault.ADDRESS] += 1
            return
        if self._full:
            self.dropped[Fault.QUEUE] += 1
            return
        kind = self._kind_of[type(message)]
        data = kind.encode(message)
        if kind.label != Label.PLAIN:
            data = self._seal.seal(kind.label, data)
        assert len(data) <= DATAGRAM_BYTES_MAX, f"{len(data)} bytes of {type(message).__name__}"
        self._transport.sendto(data, (host, port))

    def close(self) -> None:
        """Send what waits, take nothing more."""
        transport, self._transport = self._transport, None
        if transport is not None:
            transport.close()

    # --- what the transport tells ----------------------------------------------------------------

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = cast(asyncio.DatagramTransport, transport)

    def connection_lost(self, exc: Exception | None) -> None:
        self._transport = None

    def pause_writing(self) -> None:
        """The kernel takes no more and 64 KiB wait: what is sent now would come too late."""
        self._full = True

    def resume_writing(self) -> None:
        self._full = False

    def error_received(self, exc: Exception) -> None:
        """Nobody listens at some address (ICMP), or the kernel refused to send: as good as lost."""

    def datagram_received(self, data: bytes, address: tuple[Any, ...]) -> None:
        host, port = address[0], address[1]
        taken = self._take(data, host, self._clock())
        if isinstance(taken, Fault):
            self.dropped[taken] += 1
        else:
            self._received(DatagramReceived(host, port, taken))

    def _take(self, data: bytes, host: str, now: float) -> Datagram | Fault:
        """The message of a datagram, or why there is none."""
        if not self._seal.knows(data) and self._sources.is_silent(host, now):
            return Fault.FLOOD
        kind = self._kinds.get(data[0]) if data else None
        message: bytes | Fault
        if kind is None:
            message = Fault.LABEL if data else Fault.LENGTH
        elif kind.label != Label.PLAIN:
            message = self._seal.open(data, now)
        else:
            message = data if self._sources.charge(host, now) else Fault.FLOOD
        if isinstance(message, Fault):
            if message is not Fault.FLOOD:
                self._sources.charge(host, now)
            return message
        assert kind is not None
        try:
            decoded: Datagram = kind.decode(message)
        except ProtocolError:
            return Fault.MALFORMED
        return decoded

"""The agent's part in gossip and the hash table: datagrams, and exchanges over HTTP."""

from __future__ import annotations

import asyncio
import contextlib
import itertools
import socket
from collections.abc import Callable, Sequence
from functools import partial
from typing import TYPE_CHECKING, TypeVar

import structlog

from strew.access.wire import in_datagram
from strew.agent.client import NodeClient
from strew.announce.address import is_loopback
from strew.certificates.identity import require_certified
from strew.content.reference import Address
from strew.dht import krpc
from strew.errors import ProtocolError, StrewError, UnavailableError
from strew.gossip import protocol
from strew.gossip.exchange import (
    AnswerExchange,
    Exchange,
    ExchangeAnswered,
    ExchangeAsked,
    ExchangeFailed,
)
from strew.messages import Datagram, DatagramReceived, SendDatagram
from strew.transfer.datagram import DatagramPort, Kind, Label

if TYPE_CHECKING:
    from strew.agent.agent import Agent

EVERY_CARD = ("0.0.0.0", "::")

OUTSIDE = {socket.AF_INET: "192.0.2.1", socket.AF_INET6: "2001:db8::1"}
"""Addresses for documentation (RFC 5737, RFC 3849): the way to them is the default route."""

ANSWER_WITHIN_S = 5.0
"""For the core to answer an exchange: it does so at once, or has left the fleet."""

M = TypeVar("M", bound=Datagram)

_log = structlog.get_logger(__name__)


def kinds(*, dht_open: bool) -> Sequence[Kind[protocol.Message] | Kind[krpc.Krpc]]:
    """What this node's UDP port takes and sends; strew.access.wire says what each must prove."""
    gossip: Kind[protocol.Message] = Kind(
        Label.GOSSIP,
        protocol.Message.__args__,
        protocol.encode,
        partial(_proved, protocol.decode, sealed=True),
    )
    label = Label.PLAIN if dht_open else Label.DHT
    read = partial(_proved, krpc.decode, sealed=not dht_open)
    return (gossip, Kind(label, krpc.MESSAGES, krpc.encode, read))


def _proved(decode: Callable[[bytes], M], data: bytes, *, sealed: bool) -> M:
    """The message of a datagram. ProtocolError, also if more must be proved than it came with."""
    message = decode(data)
    if not in_datagram(message, sealed=sealed):
        raise ProtocolError(f"{type(message).__name__} is not taken from who proved so little")
    return message


class Gossiping:
    """One per agent. Without (see `Agent`) a node hears of others from trackers alone."""

    def __init__(self, agent: Agent, seeds: Sequence[Address], *, dht_open: bool) -> None:
        loop = asyncio.get_running_loop()
        self._agent = agent
        self._seeds = seeds
        self.port = DatagramPort(agent.key, kinds(dht_open=dht_open), self._came, loop.time)
        self._tokens = itertools.count()
        self._asked: dict[int, asyncio.Future[bytes]] = {}

    async def addresses(self) -> tuple[tuple[str, int], ...]:
        """The seeds as IP literals; names that cannot be resolved now are left out."""
        loop = asyncio.get_running_loop()
        found: list[tuple[str, int]] = []
        for host, port in self._seeds:
            with contextlib.suppress(OSError):
                for *_, address in await loop.getaddrinfo(host, port, type=socket.SOCK_STREAM):
                    found.append((str(address[0]), port))
                    break
        return tuple(found)

    # --- actions ---------------------------------------------------------------------------------

    def send(self, action: SendDatagram) -> None:
        self.port.send(action.host, action.port, action.message)

    def exchange(self, action: Exchange) -> None:
        self._agent.spawn(self._exchange(action))

    async def _exchange(self, action: Exchange) -> None:
        agent, address = self._agent, Address(action.host, action.port)
        assert agent.session is not None
        try:
            client = NodeClient(agent.session, address, agent.key, tls=agent.tls_met)
            answer = protocol.decode_exchange(
                await client.exchange(protocol.encode(action.message))
            )
        except StrewError as error:
            _log.debug("exchange failed", node=str(address), reason=error.message)
            agent.tell(ExchangeFailed(*address, error.message))
        else:
            agent.tell(ExchangeAnswered(*address, answer))

    def answer(self, action: AnswerExchange) -> None:
        asked = self._asked.get(action.token)
        if asked is not None and not asked.done():
            asked.set_result(protocol.encode(action.message))

    # --- from outside ----------------------------------------------------------------------------

    def _came(self, event: DatagramReceived) -> None:
        if not isinstance(event.message, krpc.Krpc):
            kind = type(event.message).__name__.lower()
            self._agent.metrics.gossip_messages.labels(kind).inc()
        self._agent.tell(event)

    async def asked(self, body: bytes, transport: asyncio.BaseTransport | None) -> bytes:
        """Answer a body that another node sent over a connection. ProtocolError; DeniedError if its
        certificate is another's; UnavailableError if there are too many at once, or this node
        leaves."""
        message = protocol.decode_exchange(body)
        require_certified(transport, message.sender.id)
        if len(self._asked) >= protocol.EXCHANGES_MAX:
            raise UnavailableError("this node answers as many exchanges as it can")
        token = next(self._tokens)
        asked: asyncio.Future[bytes] = asyncio.get_running_loop().create_future()
        self._asked[token] = asked
        try:
            self._agent.tell(ExchangeAsked(token, message))
            async with asyncio.timeout(ANSWER_WITHIN_S):
                return await asked
        except TimeoutError:
            raise UnavailableError("this node takes no part in gossip any more") from None
        finally:
            del self._asked[token]


def own_host(listen: Address, seeds: Sequence[tuple[str, int]]) -> str:
    """The address others reach this machine at: what it listens on, or, where that is every card,
    that of the card that leads to the fleet. Nothing is sent: a datagram socket that connects only
    looks up the way."""
    if listen.host not in EVERY_CARD:
        return listen.host
    family = socket.AF_INET6 if listen.host == "::" else socket.AF_INET
    outside = [host for host, _ in seeds if not is_loopback(host)]
    for towards in (*outside, OUTSIDE[family]):
        with contextlib.suppress(OSError), socket.socket(family, socket.SOCK_DGRAM) as probe:
            probe.connect((towards, 9))
            return str(probe.getsockname()[0])
    return "::1" if family == socket.AF_INET6 else "127.0.0.1"

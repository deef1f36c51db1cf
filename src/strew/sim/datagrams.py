"""Datagrams and exchanges: what machines tell each other without a link between them.

A message travels as the object it is, and weighs what it would on the wire. A datagram goes the way
of a control message; it is lost by the world's dice, between two sides of a partition, and when it
comes to a process that is dead. An exchange opens a connection and carries two bodies over the
links, long ones as flows beside the payload; TCP repeats what is lost, so it fails only when nobody
is there or a partition lies between.
"""

from __future__ import annotations

import itertools
from collections.abc import Callable
from dataclasses import dataclass
from typing import Protocol

from strew.dht import krpc
from strew.dht.krpc import Krpc
from strew.gossip import protocol
from strew.gossip.exchange import (
    AnswerExchange,
    Exchange,
    ExchangeAnswered,
    ExchangeAsked,
    ExchangeFailed,
)
from strew.gossip.protocol import ExchangeMessage
from strew.messages import Datagram, DatagramReceived, Event, SendDatagram
from strew.sim.network import Flow, Host, Network
from strew.sim.peers import DIAL_GIVEN_UP_S, FRAME_BYTES_MAX, PROCESS_S
from strew.sim.world import World
from strew.transfer.sealing import SEAL_BYTES

UDP_IP_BYTES = 28
DATAGRAM_HEAD_BYTES = UDP_IP_BYTES + SEAL_BYTES
"""What a datagram weighs beside its message."""

EXCHANGE_HEAD_BYTES = 300
"""... and one body of an exchange: its HTTP head with the token, and its share of the connection's
segments."""

SEGMENT_BYTES = 40
"""One that opens a connection."""


class Station(Protocol):
    """Whoever listens at an address: one process on one host."""

    host: Host
    address: tuple[str, int]
    alive: bool

    def tell(self, event: Event) -> None:
        """Hand it an event; nothing happens if it is dead."""


@dataclass(slots=True)
class Traffic:
    """What one host sent and received of datagrams and exchanges, heads included."""

    sent_bytes: int = 0
    received_bytes: int = 0


class Datagrams:
    """The part of the network without links. `loss` is the share of datagrams that is lost."""

    def __init__(self, world: World, network: Network, loss: float) -> None:
        self.traffic: dict[int, Traffic] = {}
        """By the host's number."""
        self._world = world
        self._network = network
        self._loss = loss
        self._stations: dict[tuple[str, int], Station] = {}
        self._tokens = itertools.count()
        self._asked: dict[int, tuple[Station, Station]] = {}
        self._weighed: Datagram | None = None
        self._weight_bytes = 0

    def listen(self, station: Station) -> None:
        """From now on this is who listens at its address."""
        self._stations[station.address] = station
        self.traffic.setdefault(station.host.number, Traffic())

    @property
    def sent_bytes(self) -> int:
        """By all together."""
        return sum(traffic.sent_bytes for traffic in self.traffic.values())

    # --- datagrams -------------------------------------------------------------------------------

    def send(self, sender: Station, action: SendDatagram) -> None:
        """A datagram leaves; whether it comes, nobody is told."""
        size_bytes = self._weigh(action.message)
        self.traffic[sender.host.number].sent_bytes += size_bytes
        far = self._stations.get((action.host, action.port))
        world, network = self._world, self._network
        if self._loss and world.dice.random() < self._loss:
            return
        if far is None or network.severed_s(sender.host, far.host) > 0.0:
            return
        delay_s = network.control_delay_s(sender.host, far.host, size_bytes) + PROCESS_S
        event = DatagramReceived(*sender.address, action.message)
        world.at(world.now + delay_s, self._came, far, event, size_bytes)

    def _came(self, far: Station, event: DatagramReceived, size_bytes: int) -> None:
        if far.alive:
            self.traffic[far.host.number].received_bytes += size_bytes
            far.tell(event)

    def _weigh(self, message: Datagram) -> int:
        """Several are often sent the same."""
        if message is not self._weighed:
            self._weighed = message
            if isinstance(message, Krpc):
                size_bytes = len(krpc.encode(message))
            else:
                assert isinstance(message, protocol.Message)
                size_bytes = len(protocol.encode(message))
            self._weight_bytes = size_bytes + DATAGRAM_HEAD_BYTES
        return self._weight_bytes

    # --- exchanges -------------------------------------------------------------------------------

    def exchange(self, asker: Station, action: Exchange) -> None:
        """Connect and send the first body."""
        address = (action.host, action.port)
        far = self._stations.get(address)
        network = self._network
        if far is None or not far.host.alive or network.severed_s(asker.host, far.host) > 0.0:
            self._after(DIAL_GIVEN_UP_S, asker.tell, ExchangeFailed(*address, "nobody answers"))
        elif not far.alive:
            refused = ExchangeFailed(*address, "connection refused")
            self._after(2.0 * network.latency_s, asker.tell, refused)
        else:
            opened_s = network.control_delay_s(asker.host, far.host, SEGMENT_BYTES)
            opened_s += network.control_delay_s(far.host, asker.host, SEGMENT_BYTES)
            self._after(opened_s, self._ask, asker, far, action.message)

    def _ask(self, asker: Station, far: Station, message: ExchangeMessage) -> None:
        self._carry(asker, far, message, lambda: self._was_asked(asker, far, message))

    def _was_asked(self, asker: Station, far: Station, message: ExchangeMessage) -> None:
        token = next(self._tokens)
        self._asked[token] = (asker, far)
        far.tell(ExchangeAsked(token, message))
        if self._asked.pop(token, None) is not None:
            reason = "takes no part in gossip" if far.alive else "connection reset"
            failed = ExchangeFailed(*far.address, reason)
            self._after(self._network.latency_s, asker.tell, failed)

    def answer(self, action: AnswerExchange) -> None:
        """The second body leaves."""
        asker, far = self._asked.pop(action.token)
        answered = ExchangeAnswered(*far.address, action.message)
        self._carry(far, asker, action.message, lambda: asker.tell(answered))

    def _carry(
        self, source: Station, target: Station, message: ExchangeMessage, then: Callable[[], None]
    ) -> None:
        """Send a body; `then()` when it is there, unless its sender died meanwhile."""
        size_bytes = len(protocol.encode(message)) + EXCHANGE_HEAD_BYTES
        self.traffic[source.host.number].sent_bytes += size_bytes

        def came() -> None:
            if source.alive:
                self.traffic[target.host.number].received_bytes += size_bytes
                then()

        def left(flow: Flow) -> None:
            self._after(self._network.latency_s + PROCESS_S, came)

        if size_bytes > FRAME_BYTES_MAX:
            self._network.start(source.host, target.host, size_bytes, left)
        else:
            delay_s = self._network.control_delay_s(source.host, target.host, size_bytes)
            self._after(delay_s + PROCESS_S, came)

    def _after(self, seconds: float, call: Callable[..., None], *args: object) -> None:
        self._world.at(self._world.now + seconds, call, *args)

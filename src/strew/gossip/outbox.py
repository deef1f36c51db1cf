"""What leaves the node in one call: datagrams that carry rumours, and other actions.

Every datagram takes along what is to be told, up to `DATAGRAM_BYTES_MAX`. Whoever is thought not to
be alive is told so first, in the very datagram that goes to it (Lifeguard's buddy system), since it
alone can refute that.

A rumour is sent a limited number of times, and only what goes to members that may hear it counts:
not to suspects, nor what is asked again of somebody silent. Where several die at once those are
most of what is sent, and without that the rumour of a death would be spent on the dead.
"""

from strew.gossip.membership import Membership
from strew.gossip.protocol import (
    DATAGRAM_BYTES_MAX,
    HEAD_BYTES_MAX,
    Ack,
    Member,
    MemberState,
    Nack,
    Ping,
    PingRequest,
    Rumours,
    Tidings,
    wire_bytes,
)
from strew.gossip.rumours import RumourQueue
from strew.messages import Action, Datagram, PeerId, SendDatagram


class Outbox:
    """Collects the actions of one call."""

    def __init__(self, membership: Membership, queue: RumourQueue) -> None:
        self._membership = membership
        self._queue = queue
        self.actions: list[Action] = []
        self._measured = membership.me
        self._room_bytes = _room(membership.me)

    def take(self) -> list[Action]:
        """All actions so far; the outbox is empty then."""
        actions, self.actions = self.actions, []
        return actions

    def ping(self, member: Member, number: int, *, again: bool = False) -> None:
        """Ask a member whether it is there; `again`: it did not answer the first time."""
        message = Ping(self._membership.me, number, self._riding(member, counts=not again))
        self._send(member.host, member.port, message)

    def call(self, host: str, port: int, number: int) -> None:
        """Ask an address who is there."""
        self._send(host, port, Ping(self._membership.me, number))

    def ask(self, relay: Member, number: int, target: PeerId) -> None:
        """Have a member ping another."""
        message = PingRequest(self._membership.me, number, target, self._riding(relay))
        self._send(relay.host, relay.port, message)

    def ack(self, host: str, port: int, number: int, asker: Member) -> None:
        """Answer a ping. If it came from another address than its sender names, somebody on the
        way may have forged that: it gets what it has to know, not a multiple of what it sent."""
        if (asker.host, asker.port) == (host, port):
            rumours = self._riding(asker)
        else:
            rumours = self._obituary(asker.id)
        self._send(host, port, Ack(self._membership.me, number, "", rumours))

    def relay(self, host: str, port: int, number: int, of: Member) -> None:
        """Tell whoever asked that a member answered, with the member's own claim."""
        self._send(host, port, Ack(self._membership.me, number, of.id, (of,)))

    def nack(self, host: str, port: int, number: int) -> None:
        """Tell whoever asked that a member did not answer."""
        self._send(host, port, Nack(self._membership.me, number))

    def tell(self, members: list[Member], rumours: Rumours) -> None:
        """Send the same rumours to some members."""
        message = Tidings(self._membership.me, rumours)
        for member in members:
            self._send(member.host, member.port, message)

    def tell_queued(self, members: list[Member]) -> None:
        """Send some members what the queue has."""
        if members:
            hearing = sum(1 for member in members if member.state == MemberState.ALIVE)
            self.tell(members, self._queue.fill(self._room(), self._membership.living, hearing))

    def _riding(self, to: Member, *, counts: bool = True) -> Rumours:
        """What goes along to a member: what is thought of it, and what waits."""
        first = self._obituary(to.id)
        room_bytes = self._room()
        if first:
            room_bytes -= wire_bytes(first[0])
        copies = 1 if counts and not first else 0
        return first + self._queue.fill(room_bytes, self._membership.living, copies)

    def _obituary(self, peer: PeerId) -> Rumours:
        """What is thought of a member, unless that it lives."""
        known = self._membership.table.get(peer)
        return () if known is None or known.state == MemberState.ALIVE else (known,)

    def _room(self) -> int:
        if self._measured is not self._membership.me:
            self._measured = self._membership.me
            self._room_bytes = _room(self._measured)
        return self._room_bytes

    def _send(self, host: str, port: int, message: Datagram) -> None:
        self.actions.append(SendDatagram(host, port, message))


def _room(me: Member) -> int:
    """Bytes for rumours beside the sender."""
    return DATAGRAM_BYTES_MAX - HEAD_BYTES_MAX - wire_bytes(me)

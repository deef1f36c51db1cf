"""What there is to tell, how often it was told, and what rides on the next datagram.

Theory of operation. A rumour is sent a limited number of times, a multiple of the logarithm of the
number of members, and then dropped: by then an epidemic has reached all but a few (SWIM, section
4.1), and those learn it by exchange. A datagram takes from the first lane as much as fits, then
from the next ones; within a lane, what was told least often goes first. A newer rumour about the
same subject takes the older one's place. The queue is bounded: what is dear displaces what is
cheap, and what was told often gives way first.
"""

import math
from enum import IntEnum

from strew.gossip.protocol import RUMOUR_BYTES_MAX, Rumour, Rumours, wire_bytes

RUMOURS_MAX = 2048
"""Rumours waiting. At 12 in a datagram and 15 datagrams a second that is ten seconds of telling:
what comes faster is carried by exchanges."""

SENT_MAX = 40
"""More often nothing is sent, whatever the number of members."""


class Lane(IntEnum):
    """What goes first."""

    NAMES = 0
    """Publications: machines wait for them."""
    FIRST = 1
    """Suspicions, deaths, refutations: others act on them at once."""
    SOON = 2
    """New members, and what becomes of those that never spoke for themselves."""
    LAZY = 3
    """Holdings: they ride where there is room, and cause no datagram."""


LAMBDAS = {Lane.NAMES: 8.0, Lane.FIRST: 4.0, Lane.SOON: 4.0, Lane.LAZY: 1.0}
"""A rumour is sent lambda * log10(n + 1) times by each who hears it (SWIM calls this lambda log n;
memberlist's RetransmitMult is 4). Lower: more miss it until an exchange; higher: more bytes for
each event. Where 5 % of datagrams are lost, of 30 nodes one in 300 misses a rumour sent 4 times
log10(n + 1), none in practice one sent twice as often; of holdings a tenth may miss."""


class _Waiting:
    """A rumour in the queue; `size` in bytes."""

    __slots__ = ("lane", "rumour", "sent", "size", "subject")

    def __init__(self, subject: str, rumour: Rumour, lane: Lane, size: int, sent: int) -> None:
        self.subject = subject
        self.rumour = rumour
        self.lane = lane
        self.size = size
        self.sent = sent


def retransmits(members: int, lane: Lane) -> int:
    """How often each node sends a rumour of this lane in a fleet of so many."""
    return max(1, min(SENT_MAX, math.ceil(LAMBDAS[lane] * math.log10(members + 1))))


class RumourQueue:
    """Rumours by lane and by how often they were sent."""

    def __init__(self) -> None:
        self._by_subject: dict[str, _Waiting] = {}
        self._lanes: list[list[dict[str, _Waiting]]] = [[{} for _ in range(SENT_MAX)] for _ in Lane]
        self._counts = [0 for _ in Lane]

    def __len__(self) -> int:
        return len(self._by_subject)

    @property
    def pressing(self) -> bool:
        """Whether something waits that is worth a datagram of its own."""
        return len(self._by_subject) > self._counts[Lane.LAZY]

    def push(self, subject: str, rumour: Rumour, lane: Lane, sent: int = 0) -> None:
        """Tell this from now on, instead of what was told of `subject` before.

        It counts as `sent` so many times already. What is too long for a datagram is left out."""
        earlier = self._by_subject.get(subject)
        if earlier is not None:
            self._remove(earlier)
        size = wire_bytes(rumour)
        if size > RUMOUR_BYTES_MAX:
            return
        if len(self._by_subject) >= RUMOURS_MAX:
            self._give_way()
        self._put(_Waiting(subject, rumour, lane, size, min(sent, SENT_MAX - 1)))

    def fill(self, room_bytes: int, members: int, copies: int = 1) -> Rumours:
        """Rumours for a datagram with so much room, of which `copies` are sent to
        members that may hear it."""
        if not self._by_subject:
            return ()
        taken: list[_Waiting] = []
        for lane, tiers in enumerate(self._lanes):
            if self._counts[lane]:
                room_bytes = _take(tiers, room_bytes, taken)
        limits = [retransmits(members, lane) for lane in Lane]
        for waiting in taken:
            self._remove(waiting)
            waiting.sent += copies
            if waiting.sent < limits[waiting.lane]:
                self._put(waiting)
        return tuple([waiting.rumour for waiting in taken])

    def _put(self, waiting: _Waiting) -> None:
        self._by_subject[waiting.subject] = waiting
        self._lanes[waiting.lane][waiting.sent][waiting.subject] = waiting
        self._counts[waiting.lane] += 1

    def _remove(self, waiting: _Waiting) -> None:
        del self._by_subject[waiting.subject]
        del self._lanes[waiting.lane][waiting.sent][waiting.subject]
        self._counts[waiting.lane] -= 1

    def _give_way(self) -> None:
        """Drop what matters least: of the last lane that has any, the rumour told most often."""
        lane = max(lane for lane in Lane if self._counts[lane])
        tier = next(tier for tier in reversed(self._lanes[lane]) if tier)
        self._remove(next(iter(tier.values())))


def _take(tiers: list[dict[str, _Waiting]], room_bytes: int, taken: list[_Waiting]) -> int:
    """Add the least told of a lane until one does not fit; returns the room that is left."""
    for tier in tiers:
        for waiting in tier.values():
            if waiting.size > room_bytes:
                return room_bytes
            room_bytes -= waiting.size
            taken.append(waiting)
    return room_bytes

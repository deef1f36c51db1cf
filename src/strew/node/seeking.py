"""Whom to dial: the peers that sources name, and when a swarm has neighbours enough.

Of two nodes that are named to each other the one with the lower id dials and the other waits a
moment; a node that lacks chunks dials complete peers at once, whoever has the lower id; a complete
node dials only as an origin. A source that falls silent changes nothing: what it named stays.
"""

from __future__ import annotations

from collections.abc import Collection, Sequence

from strew.announce.protocol import Peer
from strew.messages import Dial, DialDone, DialFailed, PeerId, PlanMember
from strew.node.participation import Participation
from strew.node.peers import PeerBook

NEIGHBOURS_DEFAULT = 40
"""Neighbours sought in a swarm: a whole push group and some of other groups."""

PLAN = "plan"
"""The source of peers that a push plan names: they are met even by a node with enough others."""

DIALS_MAX = 32
"""Dials under way at once. Who stands in a plan is dialled beside them: a second lost there leaves
a hole in the paths that chunks are pushed along."""

COURTESY_S = 0.3
"""Of two nodes named to each other the one with the lower id dials; the other waits so long."""

NAMED_MAX = 1000
"""Peers of one handout that are remembered for dialling. An origin's names all of a fleet, for the
plan; looking through ten thousand at each dial would cost it more than its payload."""

EXPECTED_DIALS_MAX = 4
"""Peers dialled for an artifact whose manifest is still on its way."""

AGAIN_S = 1.0
"""An address that was dialled, or is not needed now, is looked at again after this."""


class Seeker:
    """The node's dialling; `seek` decides, everything else tells it something."""

    def __init__(self, me: PeerId, neighbours: int) -> None:
        self.book = PeerBook()
        self.wanting: set[int] = set()
        """Swarms that look for peers."""
        self._me = me
        self._neighbours = neighbours
        self._dialling: set[tuple[str, int]] = set()
        self._expected: set[int] = set()

    def expect(self, key: int) -> None:
        """This node is about to take part in a swarm: its peers are worth knowing."""
        self._expected.add(key)

    def expects(self, key: int) -> bool:
        """Whether this node is about to take part in a swarm."""
        return key in self._expected

    def opened(self, key: int, sources: Sequence[tuple[str, int]], now: float) -> None:
        """The swarm is open; `sources` are addresses the user named."""
        self._expected.discard(key)
        self.book.resume(key, now)
        for address in sources:
            self.book.learn(key, address, PeerId(""), "", "user", now, now)

    def closed(self, key: int) -> None:
        """The node takes no part in the swarm any more."""
        self._expected.discard(key)
        self.wanting.discard(key)
        self.book.forget(key)

    def next_due_s(self) -> float | None:
        """When `seek` should be called again, for any swarm."""
        due = [self.book.next_due_s(key) for key in self.wanting]
        return min((d for d in due if d is not None), default=None)

    def named(
        self, key: int, part: Participation | None, peers: Sequence[Peer], source: str, now: float
    ) -> bool:
        """A source names peers of a swarm; False if this node has no use for them."""
        if part.only_sources if part else key not in self._expected:
            return False
        seeding = part is not None and part.swarm.have.complete
        for peer in peers[:NAMED_MAX]:
            if peer.id == self._me:
                continue
            at_once = not seeding and (peer.complete or self._me < peer.id)
            due_s = now if at_once else now + COURTESY_S
            address = (peer.host, peer.port)
            self.book.learn(
                key, address, peer.id, peer.zone, source, due_s, now, seed=peer.complete
            )
        if part is None or part.origin or not seeding:
            self.wanting.add(key)
        return True

    def meet(self, key: int, members: Sequence[PlanMember], now: float, *, mutual: bool) -> None:
        """A plan names machines to which this node passes chunks."""
        for member in members:
            peer = PeerId(member.id)
            due_s = now + COURTESY_S if mutual and peer < self._me else now
            address = (member.host, member.port)
            self.book.learn(key, address, peer, "", PLAN, due_s, now)
        self.wanting.add(key)

    def dial_ended(self, event: DialDone | DialFailed, now: float) -> None:
        address = (event.host, event.port)
        self._dialling.discard(address)
        if isinstance(event, DialDone):
            self.book.reached(address, event.peer)
        else:
            self.book.failed(address, now)

    def seek(
        self, key: int, part: Participation | None, linked: Collection[PeerId], now: float
    ) -> tuple[list[Dial], list[PeerId]]:
        """Whom to dial for a swarm now, and which of its peers are linked already."""
        missing = self._missing(key, part, linked)
        if missing == 0 and not self._awaits_plan(key, part, linked):
            self.wanting.discard(key)
            return [], []
        places = missing - len(self._dialling)
        dials: list[Dial] = []
        found: list[PeerId] = []
        for peer in self.book.due(key, now):
            peer.due_s = now + AGAIN_S
            address = (peer.host, peer.port)
            if peer.id in linked:
                found.append(peer.id)
                continue
            wanted = peer.source == PLAN or (places > 0 and len(self._dialling) < DIALS_MAX)
            if wanted and address not in self._dialling:
                places -= 1
                self._dialling.add(address)
                dials.append(Dial(*address))
            else:
                peer.postponed = address not in self._dialling
        return dials, found

    def _awaits_plan(
        self, key: int, part: Participation | None, linked: Collection[PeerId]
    ) -> bool:
        """Whether a plan named machines that this node is not connected with yet."""
        if part is None or (part.swarm.have.complete and not part.origin):
            return False
        known = self.book.known.get(key, {}).values()
        return any(p.source == PLAN and p.id not in linked for p in known)

    def _missing(self, key: int, part: Participation | None, linked: Collection[PeerId]) -> int:
        """How many neighbours more the swarm could do with."""
        if part is None:
            known = self.book.known.get(key, {}).values() if key in self._expected else ()
            there = sum(p.id in linked for p in known)
            return max(0, EXPECTED_DIALS_MAX - there) if known else 0
        if part.swarm.have.complete and not part.origin:
            return 0
        return self._neighbours - len(part.swarm.neighbours)

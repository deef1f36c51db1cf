"""Who holds what: how many chunks each node has of each artifact.

Theory of operation. Only a node itself tells of its holdings, each time with a higher sequence; the
highest heard is true. That something begins, ends, pauses or is given up is told at once, progress
only now and then: in a crowd of N nodes that fetch, N times what each tells reaches everybody. What
a dead member held is forgotten with it.
"""

import math
from collections.abc import Sequence

import msgspec

from strew.gossip.marks import Sums, held_mark
from strew.gossip.protocol import Held
from strew.messages import Event, PeerId
from strew.publication import HoldingState

HELD_PER_NODE_MAX = 64
"""Artifacts one node is known to hold; of more, those it told of last."""

HELD_MAX = 200_000
"""Entries of all nodes, about 40 MB."""

PROGRESS_S = 10.0
"""Least time between two reports of progress with one artifact."""

PROGRESS_PER_MEMBER_S = 0.03
"""That time grows with the fleet: each node then hears at most 33 such reports a second, 2.5 kB."""


class Holding(msgspec.Struct, frozen=True, gc=False):
    """What this node has of an artifact; `digest` are 8 bytes of its bitfield's digest."""

    swarm: int
    have_chunks: int
    chunk_count: int
    digest: bytes
    state: HoldingState = "fetching"


class HoldingsTold(Event, frozen=True):
    """All that this node holds now; what it does not name is no longer held."""

    holdings: tuple[Holding, ...]


class Holdings:
    """The newest `Held` of each node and artifact."""

    def __init__(self) -> None:
        self.by_node: dict[PeerId, dict[int, Held]] = {}
        self.count = 0
        self.sums = Sums()

    def hear(self, held: Held) -> bool:
        """Take what a node holds; True if it is newer than what was known."""
        of_node = self.by_node.get(held.id)
        known = of_node.get(held.swarm) if of_node is not None else None
        if known is not None:
            if held.sequence <= known.sequence:
                return False
            self.sums.remove(*held_mark(known))
            self.count -= 1
        elif of_node is None:
            if self.count >= HELD_MAX:
                return False
            of_node = self.by_node[held.id] = {}
        elif not self._has_room(of_node, held):
            return False
        assert of_node is not None
        of_node[held.swarm] = held
        self.sums.add(*held_mark(held))
        self.count += 1
        return True

    def _has_room(self, of_node: dict[int, Held], held: Held) -> bool:
        """Whether the node may be known to hold one more; its oldest entry gives way."""
        if len(of_node) >= HELD_PER_NODE_MAX:
            oldest = min(of_node.values(), key=lambda known: known.sequence)
            if held.sequence <= oldest.sequence:
                return False
            self.sums.remove(*held_mark(oldest))
            del of_node[oldest.swarm]
            self.count -= 1
        return self.count < HELD_MAX

    def forget(self, peer: PeerId) -> None:
        """The node is gone, and what it held with it."""
        for held in self.by_node.pop(peer, {}).values():
            self.sums.remove(*held_mark(held))
            self.count -= 1

    def of(self, swarm: int) -> list[Held]:
        """Of every node that holds some of this artifact."""
        return [
            held
            for of_node in self.by_node.values()
            if (held := of_node.get(swarm)) is not None and held.chunk_count
        ]


class OwnHoldings:
    """What this node tells of itself, and when. `tell` and `due` return what to tell now."""

    def __init__(self, me: PeerId, sequence: int) -> None:
        """`sequence` must exceed all that an earlier life of this node told: its incarnation."""
        self._me = me
        self._sequence = sequence
        self.told: dict[int, Held] = {}
        self._told_s: dict[int, float] = {}
        self._waiting: dict[int, Holding] = {}

    def tell(self, holdings: Sequence[Holding], members: int, now: float) -> list[Held]:
        """The node's holdings are now these; of more than `HELD_PER_NODE_MAX`, the first."""
        listed = {holding.swarm: holding for holding in holdings[:HELD_PER_NODE_MAX]}
        news = [self._give_up(swarm) for swarm in list(self.told) if swarm not in listed]
        for swarm, holding in listed.items():
            held = self.told.get(swarm)
            if held is not None and _same(held, holding):
                self._waiting.pop(swarm, None)
            elif held is None or holding.state != held.state:
                news.append(self._tell(holding, now))
            else:
                self._waiting[swarm] = holding
        return news + self.due(members, now)

    def due(self, members: int, now: float) -> list[Held]:
        """Progress that has waited long enough."""
        if not self._waiting:
            return []
        pause_s = _pause_s(members)  # added as in next_s, lest rounding put it off for ever
        ready = [h for h in self._waiting.values() if self._told_s[h.swarm] + pause_s <= now]
        return [self._tell(holding, now) for holding in ready]

    def again(self, now: float) -> list[Held]:
        """Tell all once more, with new sequences: others have forgotten it."""
        return [
            self._tell(
                Holding(held.swarm, held.have_chunks, held.chunk_count, held.digest, held.state),
                now,
            )
            for held in list(self.told.values())
        ]

    def next_s(self, members: int) -> float:
        """When `due` has something; infinite if nothing waits."""
        if not self._waiting:
            return math.inf
        pause_s = _pause_s(members)
        return min(self._told_s[swarm] + pause_s for swarm in self._waiting)

    def _tell(self, holding: Holding, now: float) -> Held:
        held = self.told[holding.swarm] = self._held(holding)
        self._told_s[holding.swarm] = now
        self._waiting.pop(holding.swarm, None)
        return held

    def _give_up(self, swarm: int) -> Held:
        del self.told[swarm], self._told_s[swarm]
        self._waiting.pop(swarm, None)
        return self._held(Holding(swarm, 0, 0, b""))

    def _held(self, holding: Holding) -> Held:
        self._sequence += 1
        return Held(
            self._me,
            holding.swarm,
            holding.have_chunks,
            holding.chunk_count,
            holding.digest,
            self._sequence,
            holding.state,
        )


def _pause_s(members: int) -> float:
    """Between two reports of progress."""
    return max(PROGRESS_S, PROGRESS_PER_MEMBER_S * members)


def _same(held: Held, holding: Holding) -> bool:
    return (held.have_chunks, held.chunk_count, held.digest, held.state) == (
        holding.have_chunks,
        holding.chunk_count,
        holding.digest,
        holding.state,
    )

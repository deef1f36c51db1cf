"""One artifact on this node: its swarm, and what trackers are told of it."""

from __future__ import annotations

from strew.announce.protocol import Holding
from strew.content.bitfield import Bitfield
from strew.messages import Have, Join, Opened, PeerId, StateChanged
from strew.publication import HoldingState
from strew.swarm.haves import INDEXES_MAX
from strew.swarm.swarm import Swarm

REASON_CHARS_MAX = 256
"""Of why it paused or failed: one line in a table."""

WANTED_S = 600.0
"""An origin asks for its followers for so long after it published; later ones find it."""


WAITS_AFTER_S = 5.0
"""A fetch to which nothing came for so long says which chunks it cannot get. Lower: it does so
while others are only busy; higher: whoever looks at it wonders for longer."""

RANGES_MAX = 12
"""Named of what nobody has: more are no help, and the line must fit its limit."""


class Participation:
    """A swarm this node is in, and to which links it has said so."""

    def __init__(self, swarm: Swarm, opened: Opened, now: float) -> None:
        self.artifact = opened.artifact
        self.swarm = swarm
        self.chunk_count = len(opened.lengths)
        self.origin = opened.origin
        self.only_sources = opened.only_sources
        self.state: HoldingState = "seeding" if swarm.have.complete else "fetching"
        self.reason = ""
        self.joined: dict[PeerId, int] = {}
        """Whom this node told that it takes part, and what it had then, as a bit set."""
        self._wanted_until_s = now + WANTED_S
        self._had = swarm.have.count
        self._had_s = now

    def enter(self, event: StateChanged) -> None:
        """What the agent says has become of it."""
        self.state = state_of(event)
        self.reason = event.reason

    def look(self, now: float) -> None:
        """Once in a while, of a fetch: when nothing comes, see whether nobody has what is missing,
        and say so."""
        count = self.swarm.have.count
        if count != self._had:
            self._had, self._had_s = count, now
        self.reason = ""
        nowhere = self.swarm.nowhere if now - self._had_s >= WAITS_AFTER_S else 0
        if nowhere:
            self.reason = f"waits for chunks that nobody connected has: {ranges_of(nowhere)}"

    def wants_peers(self, now: float) -> bool:
        """Whether trackers are to name peers of this swarm."""
        if self.only_sources:
            return False
        return now < self._wanted_until_s if self.origin else not self.swarm.have.complete

    def holding(self) -> Holding:
        """What trackers are told."""
        return Holding(
            artifact=self.artifact,
            have_chunks=self.swarm.have.count,
            chunk_count=self.chunk_count,
            state=self.state,
            origin=self.origin,
            reason=self.reason[:REASON_CHARS_MAX],
            **self.swarm.traffic(),
        )

    def news_for(self, peer: PeerId) -> list[Have]:
        """What was stored since the peer was sent this node's Join.

        Haves go to neighbours only, and it was none yet: between two Joins that cross, chunks
        would be told to nobody.
        """
        news = self.swarm.have.bits & ~self.joined.get(peer, 0)
        indexes = list(Bitfield(self.chunk_count, news))
        starts = range(0, len(indexes), INDEXES_MAX)
        return [Have(self.swarm.key, indexes[at : at + INDEXES_MAX]) for at in starts]

    def join_message(self, zone: str) -> Join:
        """What a linked peer is told."""
        return Join(
            self.swarm.key,
            self.artifact,
            self.swarm.have.to_wire(),
            self.chunk_count,
            zone,
            self.origin,
            self.swarm.fit,
        )


def ranges_of(bits: int) -> str:
    """A set of chunks for people: `3, 7-12, 40-41 ...`."""
    ranges: list[str] = []
    while bits:
        first = (bits & -bits).bit_length() - 1
        run = bits >> first
        length = (run + 1 & ~run).bit_length() - 1
        if len(ranges) == RANGES_MAX:
            return ", ".join(ranges) + " ..."
        ranges.append(f"{first}-{first + length - 1}" if length > 1 else str(first))
        bits &= -1 << (first + length)
    return ", ".join(ranges)


def holding_aside(event: StateChanged) -> Holding | None:
    """What trackers are told of an artifact that is in no swarm; None if there is nothing to."""
    if event.chunk_count == 0:
        return None
    return Holding(
        artifact=event.artifact,
        have_chunks=event.have_chunks,
        chunk_count=event.chunk_count,
        state=state_of(event),
        reason=event.reason[:REASON_CHARS_MAX],
    )


def state_of(event: StateChanged) -> HoldingState:
    """The event's state, checked."""
    assert event.state in ("seeding", "fetching", "paused", "failed")
    return event.state  # type: ignore[return-value]

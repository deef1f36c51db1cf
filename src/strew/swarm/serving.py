"""Layer 2, the sending end: a free slot is offered to all that lack something.

An offer names no chunk: the receiver (strew.swarm.offers) chooses. It stands until it is used or
taken back.
"""

from __future__ import annotations

from strew.messages import Close, Nack, Offer, PeerId, Role
from strew.swarm.haves import Haves
from strew.swarm.neighbour import Neighbour, by_joining
from strew.swarm.slots import Slot
from strew.swarm.state import SwarmState
from strew.telemetry.protocol import Uplink

RUN_MAX = 64
"""Chunks in a row to one neighbour while others wait."""

QUIET_S = 0.05
"""After a refusal no offer is made for so long, lest the two spin."""


class Serving:
    """Offering, and serving what is asked for."""

    def __init__(self, state: SwarmState, haves: Haves) -> None:
        self._state = state
        self._haves = haves
        self._open: dict[PeerId, Neighbour] = {}  # who holds an offer of this node
        self._ripe_seen = 0

    def offer(self, now: float) -> None:
        """While a slot is free, offer to each neighbour that lacks something ripe."""
        state = self._state
        if state.slots.free <= 0:
            return
        ripe = state.offerable(now)
        if ripe != self._ripe_seen:
            fresh = ripe ^ (ripe & self._ripe_seen)
            self._ripe_seen = ripe
            if fresh and fresh != state.availability.held_by(len(state.neighbours), fresh):
                state.unoffered.update(state.neighbours)
        if not state.unoffered:
            return
        for neighbour in sorted(state.unoffered.values(), key=by_joining):
            if neighbour.offered or neighbour.slot is not Slot.NONE:
                del state.unoffered[neighbour.id]
            elif neighbour.quiet_until_s <= now:
                del state.unoffered[neighbour.id]
                if neighbour.have.bits | ripe != neighbour.have.bits:
                    neighbour.offered = True
                    self._open[neighbour.id] = neighbour
                    self._haves.catch_up(neighbour)
                    state.tell(neighbour, Offer(state.key))

    def uplink(self, now: float) -> Uplink:
        """What the sending end does."""
        state = self._state
        neighbours = state.neighbours
        if any(n.sending for n in neighbours.values()):
            return Uplink.SENDING
        ripe = state.offerable(now)
        wanted = ripe ^ state.availability.held_by(len(neighbours), ripe)
        return Uplink.UNANSWERED if neighbours and wanted else Uplink.UNWANTED

    def close(self) -> None:
        """No slot is free any more, or none should be taken: the open offers are taken back."""
        state = self._state
        if not self._open:
            return
        for neighbour in sorted(self._open.values(), key=by_joining):
            neighbour.offered = False
            state.tell(neighbour, Close(state.key))
        state.unoffered.update(self._open)
        self._open.clear()

    def requested(
        self, by: Neighbour, index: int, now: float, *, renew: bool, behind: bool
    ) -> None:
        """A neighbour asks for a chunk: serve it now, right after the running one, or not, as when
        this node is behind with what it is to push."""
        state = self._state
        by.offered = False
        self._open.pop(by.id, None)
        state.unoffered[by.id] = by
        if not 0 <= index < len(state.lengths) or index not in state.have:
            self._refuse(by, index, now)
            return
        if behind or (by.fit and state.withheld >> index & 1):
            self._refuse(by, index, now)
            return
        if index in by.sending:
            return
        running = bool(by.sending)
        by.run = by.run + 1 if renew else 0
        if (
            running and len(by.sending) < 2 and (by.run < RUN_MAX or not self._others_wait(by, now))
        ) or (not running and state.slots.free > 0):
            self._haves.catch_up(by)
            state.send_chunk(by, index, now, Role.SERVED)
        else:
            by.run = 0
            self._refuse(by, index, now)

    def _refuse(self, by: Neighbour, index: int, now: float) -> None:
        by.quiet_until_s = now + QUIET_S
        self._state.tell(by, Nack(self._state.key, index))

    def _others_wait(self, than: Neighbour, now: float) -> bool:
        state = self._state
        ripe = state.offerable(now)
        return any(
            n is not than and n.slot is Slot.NONE and ripe & ~n.have.bits
            for n in state.neighbours.values()
        )

    def left(self, neighbour: Neighbour) -> None:
        """It holds no offer any more."""
        self._open.pop(neighbour.id, None)

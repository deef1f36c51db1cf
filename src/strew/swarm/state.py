"""The facts both layers of a swarm share: who has what, what is on its way, how fast it goes."""

from __future__ import annotations

import random
from collections import deque
from collections.abc import Sequence

from strew.content.bitfield import Bitfield, indexes_of
from strew.messages import Action, CancelSend, PeerId, Role, Send, SendChunk, Wire
from strew.swarm.availability import Availability
from strew.swarm.neighbour import PACE_MEMORY, Neighbour
from strew.swarm.slots import Slot, UploadSlots

GRACE_MIN_S = 0.15
"""A chunk younger than this is on its way by push; three batches of haves are as old."""

SETTLE_S = 0.15
"""After the grace, haves are still on their way for so long: nobody is offered such a chunk."""

GRACE_MAX_S = 3.0
"""Even when pushes are slow a hole is asked for after so long."""

PASSED_OVER_EIGHTHS = 7
"""What so many of eight neighbours have was passed over here: it is asked for at once. Fewer: more
chunks come twice, since in a large fleet the last leaves of a stripe get it late; 8: one other that
lacks it too holds both back for the whole grace."""

FEW_CHUNKS = 16
"""An artifact of so few chunks is over in a moment: nothing is gathered, and little waited for."""

GRACE_FIRST_S = 0.4
"""Before any push was timed."""

PATIENCE_MIN_S = 0.25
"""A send is never called slow before this: a garbage collection or a busy core is no slow link."""

PATIENCE_FIRST_S = 5.0
"""How long a send may take before any other was timed."""

PATIENCE_RATIO = 4.0
"""A send that takes so many times what the others take has a receiver whose socket stays full."""

SKIP_S = 5.0
"""A receiver whose socket stayed full is left to layer 2 for this long."""

SLOW_RATIO = 3.0
"""A receiver that takes chunks so many times slower than the median one is slow."""


class SwarmState:
    """One swarm's facts, with the bookkeeping that must never disagree.

    Chunk sets that are combined on every decision are kept as integers used as bit sets: at 8000
    chunks a union or intersection costs a tenth of a microsecond. A difference is written
    `a ^ (a & b)`: `a & ~b` goes through a negative number and costs four times as much.
    """

    def __init__(
        self,
        key: int,
        me: PeerId,
        zone: str,
        lengths: Sequence[int],
        have: Bitfield,
        slots: UploadSlots,
        dice: random.Random,
        origin: bool,
    ) -> None:
        self.key = key
        self.me = me
        self.zone = zone
        self.lengths = lengths
        self.have = have
        self.slots = slots
        self.dice = dice
        self.origin = origin
        self.neighbours: dict[PeerId, Neighbour] = {}
        self._joins = 0
        self.unoffered: dict[PeerId, Neighbour] = {}
        """Who is to be looked at for an offer again: it came, it lacks a chunk more, what was sent
        to it ended or its offer did."""
        self.availability = Availability()
        self.actions: list[Action] = []
        # bit sets over chunks
        self.in_flight = 0
        self.withheld = 0
        """What an origin is about to give by push, and so neither offers nor serves."""
        self.young = 0
        self.settling = 0
        self.heard = 0
        self.near_held = 0
        self.mates_held = 0
        # pace and age
        self.send_pace_s_per_byte = 0.0
        self.grace_s = GRACE_FIRST_S if len(lengths) > FEW_CHUNKS else GRACE_MIN_S
        self.pushing_until_s = 0.0
        self._births: deque[tuple[float, int]] = deque()  # since when, which
        self._ripe: deque[tuple[float, int]] = deque()
        self._born: dict[int, float] = {}
        self.duplicate_bytes = 0
        self.received_bytes = 0
        self.received_origin_bytes = 0
        self.sent_bytes = 0

    # --- control ---------------------------------------------------------------------------------

    def tell(self, neighbour: Neighbour, message: Wire) -> None:
        self.actions.append(Send(neighbour.id, message))

    # --- who has what ----------------------------------------------------------------------------

    def joined(self, neighbour: Neighbour) -> None:
        self.neighbours[neighbour.id] = neighbour
        self._joins += 1
        neighbour.number = self._joins
        self.unoffered[neighbour.id] = neighbour
        self.availability.add(neighbour.have.bits)
        if not neighbour.origin:
            self.heard |= neighbour.have.bits
        self._add_held(neighbour, neighbour.have.bits)

    def left(self, neighbour: Neighbour) -> None:
        """Forget a neighbour; what was on its way either way is given up by the layers first."""
        assert not neighbour.requested and not neighbour.arriving and not neighbour.sending
        del self.neighbours[neighbour.id]
        self.unoffered.pop(neighbour.id, None)
        self.availability.remove(neighbour.have.bits)
        self.near_held = self.mates_held = 0
        for other in self.neighbours.values():
            self._add_held(other, other.have.bits)

    def neighbour_has(self, neighbour: Neighbour, bits: int, now: float) -> None:
        """It said that it has these chunks, a set within the artifact."""
        fresh = neighbour.have.include(bits)
        if not fresh:
            return
        self.availability.add(fresh)
        self._add_held(neighbour, fresh)
        self.hear_of(fresh, now)
        awaited = fresh & self.young
        if awaited:
            most = -(-len(self.neighbours) * PASSED_OVER_EIGHTHS // 8)
            self.young ^= self.availability.held_by(most, awaited)

    def neighbour_lacks(self, neighbour: Neighbour, index: int) -> None:
        """It said it had the chunk and cannot give it."""
        if index in neighbour.have:
            neighbour.have.discard(index)
            self.availability.remove(1 << index)
            self.unoffered[neighbour.id] = neighbour

    def _add_held(self, neighbour: Neighbour, bits: int) -> None:
        if not neighbour.origin:
            self.mates_held |= bits
            if neighbour.near:
                self.near_held |= bits

    # --- age -------------------------------------------------------------------------------------

    def hear_of(self, bits: int, now: float) -> None:
        """These chunks exist outside their origin since now, if they were not known before."""
        news = bits ^ (bits & self.heard)
        if not news:
            return
        self.heard |= news
        if now < self.pushing_until_s:
            self.young |= news
            self.settling |= news
            self._births.append((now, news))
            for index in indexes_of(news):
                self._born[index] = now

    def ripen(self, now: float) -> None:
        """Chunks older than the grace may be asked for; a little later they may be offered."""
        births, ripe = self._births, self._ripe
        ended = now >= self.pushing_until_s
        while births and (ended or births[0][0] + self.grace_s <= now):
            _, bits = births.popleft()
            self.young ^= self.young & bits
            ripe.append((now, bits))
        while ripe and (ended or ripe[0][0] + SETTLE_S <= now):
            _, bits = ripe.popleft()
            self.settling ^= self.settling & bits

    @property
    def offerable(self) -> int:
        """What is stored here and no longer on its way by push; everything, once complete."""
        if self.have.complete:
            return self.have.bits ^ (self.have.bits & self.withheld)
        return self.have.bits ^ (self.have.bits & self.settling)

    def pushed(self, index: int, now: float) -> None:
        """A chunk came by push: learn how long after hearing of it that was."""
        lag_s = now - self._born.pop(index, now)
        target_s = min(max(GRACE_MIN_S, 4.0 * lag_s), GRACE_MAX_S)
        weight = PACE_MEMORY if target_s > self.grace_s else 0.01
        self.grace_s += weight * (target_s - self.grace_s)

    def duplicated(self, length_bytes: int) -> None:
        """A chunk came twice: the grace was too short."""
        self.duplicate_bytes += length_bytes
        self.grace_s = min(self.grace_s * 1.25, GRACE_MAX_S)

    # --- sending ---------------------------------------------------------------------------------

    def send_chunk(
        self, to: Neighbour, index: int, now: float, role: int, root: int = 0, plan_version: int = 0
    ) -> None:
        if to.slot is Slot.NONE:
            to.slot = Slot.SERVING if role == Role.SERVED else Slot.PUSHING
            self.slots.take(to.slot)
        to.sending[index] = now
        self.actions.append(SendChunk(to.id, self.key, index, role, root, plan_version))

    def send_ended(self, to: Neighbour, index: int, now: float, done: bool) -> None:
        started_s = to.sending.pop(index, None)
        if started_s is None:
            return
        if done:
            length_bytes = self.lengths[index]
            seconds = max(now - started_s, 1e-6)
            to.sent(length_bytes, seconds, pushed=to.slot is not Slot.SERVING)
            self.sent_bytes += length_bytes
            pace = seconds / length_bytes
            if self.send_pace_s_per_byte == 0.0:
                self.send_pace_s_per_byte = pace
            elif to.slot is not Slot.DETACHED:
                self.send_pace_s_per_byte += PACE_MEMORY * (pace - self.send_pace_s_per_byte)
        for other in to.sending:
            to.sending[other] = now  # the one behind it starts now
            break
        if not to.sending:
            if to.full and done:
                to.full = False
                to.skipped_until_s = now  # its socket has room again
            self._release(to)

    def cancel_sends(self, to: Neighbour) -> None:
        """Nothing more will be sent to this neighbour."""
        for index in to.sending:
            self.actions.append(CancelSend(to.id, self.key, index))
        to.sending.clear()
        self._release(to)

    def _release(self, to: Neighbour) -> None:
        self.slots.give_back(to.slot)
        to.slot = Slot.NONE
        self.unoffered[to.id] = to

    def was_late(self, late_s: float) -> None:
        """This process did not run for a while: nobody else was slow in that time."""
        for neighbour in self.neighbours.values():
            for times_s in (neighbour.sending, neighbour.requested, neighbour.arriving):
                for index in times_s:
                    times_s[index] += late_s

    def skip_full_sockets(self, now: float) -> None:
        """Receivers that do not take what they are sent lose their slot and their pushes."""
        timed = [n.pushed_pace for n in self.neighbours.values() if n.sent_recent]
        slow_pace = SLOW_RATIO * sorted(timed)[len(timed) // 2] if len(timed) > 1 else 1e9
        for neighbour in self.neighbours.values():
            slow = neighbour.quickest_pace > slow_pace
            if neighbour.slot in (Slot.PUSHING, Slot.SERVING):
                index, started_s = next(iter(neighbour.sending.items()))
                full = now - started_s > self.patience_s(index)
                if slow or full:
                    neighbour.skipped_until_s = now + SKIP_S
                    neighbour.full = full and not slow
                    if self.slots.detach(neighbour.slot):
                        neighbour.slot = Slot.DETACHED
            elif slow and neighbour.skipped_until_s <= now:
                neighbour.skipped_until_s = now + SKIP_S

    def patience_s(self, index: int) -> float:
        if self.send_pace_s_per_byte == 0.0:
            return PATIENCE_FIRST_S
        expected_s = self.send_pace_s_per_byte * self.lengths[index]
        return max(PATIENCE_MIN_S, PATIENCE_RATIO * expected_s)

"""The facts both layers of a swarm share: who has what, what is on its way, how fast it goes."""

from __future__ import annotations

import random
from array import array
from collections import deque
from collections.abc import Sequence

from strew.content.bitfield import Bitfield
from strew.messages import Action, CancelSend, PeerId, Send, SendChunk, Wire
from strew.swarm.neighbour import PACE_MEMORY, Neighbour
from strew.swarm.slots import Slot, UploadSlots

GRACE_MIN_S = 0.15
"""A chunk younger than this is on its way by push; three batches of haves are as old."""

SETTLE_S = 0.15
"""After the grace, haves are still on their way for so long: nobody is offered such a chunk."""

GRACE_MAX_S = 3.0
"""Even when pushes are slow a hole is asked for after so long."""

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
    chunks a union or difference costs under a microsecond.
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
        self.availability = array("H", bytes(2 * len(lengths)))
        self.actions: list[Action] = []
        # bit sets over chunks
        self.in_flight = 0
        self.young = 0
        self.settling = 0
        self.heard = 0
        self.near_held = 0
        self.mates_held = 0
        # pace and age
        self.send_pace_s_per_byte = 0.0
        self.grace_s = GRACE_FIRST_S if len(lengths) > FEW_CHUNKS else GRACE_MIN_S
        self.pushing_until_s = 0.0
        self._births: deque[tuple[float, int]] = deque()
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
        for index in neighbour.have:
            self.availability[index] += 1
        if not neighbour.origin:
            self.heard |= neighbour.have.bits
        self._add_held(neighbour, neighbour.have.bits)

    def left(self, neighbour: Neighbour) -> None:
        """Forget a neighbour; what was on its way either way is given up by the layers first."""
        assert not neighbour.requested and not neighbour.arriving and not neighbour.sending
        del self.neighbours[neighbour.id]
        for index in neighbour.have:
            self.availability[index] -= 1
        self.near_held = self.mates_held = 0
        for other in self.neighbours.values():
            self._add_held(other, other.have.bits)

    def neighbour_has(self, neighbour: Neighbour, index: int, now: float) -> None:
        if neighbour.have.add(index):
            self.availability[index] += 1
            self._add_held(neighbour, 1 << index)
            self.hear_of(index, now)
            if self.availability[index] >= len(self.neighbours):
                self.young &= ~(1 << index)  # all have it but this node: it was passed over

    def neighbour_lacks(self, neighbour: Neighbour, index: int) -> None:
        """It said it had the chunk and cannot give it."""
        if index in neighbour.have:
            neighbour.have.discard(index)
            self.availability[index] -= 1

    def _add_held(self, neighbour: Neighbour, bits: int) -> None:
        if not neighbour.origin:
            self.mates_held |= bits
            if neighbour.near:
                self.near_held |= bits

    # --- age -------------------------------------------------------------------------------------

    def hear_of(self, index: int, now: float) -> None:
        """The chunk exists outside its origin since now, if it was not known before."""
        bit = 1 << index
        if self.heard & bit:
            return
        self.heard |= bit
        if now < self.pushing_until_s:
            self.young |= bit
            self.settling |= bit
            self._births.append((now, index))
            self._born[index] = now

    def ripen(self, now: float) -> None:
        """Chunks older than the grace may be asked for; a little later they may be offered."""
        births, ripe = self._births, self._ripe
        ended = now >= self.pushing_until_s
        while births and (ended or births[0][0] + self.grace_s <= now):
            _, index = births.popleft()
            self.young &= ~(1 << index)
            ripe.append((now, index))
        while ripe and (ended or ripe[0][0] + SETTLE_S <= now):
            _, index = ripe.popleft()
            self.settling &= ~(1 << index)

    @property
    def offerable(self) -> int:
        """What is stored here and no longer on its way by push; everything, once complete."""
        if self.have.complete:
            return self.have.bits
        return self.have.bits & ~self.settling

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
            to.slot = Slot.HELD
            self.slots.take()
        to.sending[index] = now
        self.actions.append(SendChunk(to.id, self.key, index, role, root, plan_version))

    def send_ended(self, to: Neighbour, index: int, now: float, done: bool) -> None:
        started_s = to.sending.pop(index, None)
        if started_s is None:
            return
        if done:
            length_bytes = self.lengths[index]
            seconds = max(now - started_s, 1e-6)
            to.sent(length_bytes, seconds)
            self.sent_bytes += length_bytes
            pace = seconds / length_bytes
            if self.send_pace_s_per_byte == 0.0:
                self.send_pace_s_per_byte = pace
            elif to.slot is Slot.HELD:
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
        if to.slot is Slot.HELD:
            self.slots.give_back()
        elif to.slot is Slot.DETACHED:
            self.slots.end_detached()
        to.slot = Slot.NONE

    def was_late(self, late_s: float) -> None:
        """This process did not run for a while: nobody else was slow in that time."""
        for neighbour in self.neighbours.values():
            for times_s in (neighbour.sending, neighbour.requested, neighbour.arriving):
                for index in times_s:
                    times_s[index] += late_s

    def skip_full_sockets(self, now: float) -> None:
        """Receivers that do not take what they are sent lose their slot and their pushes."""
        timed = [n.sent_pace for n in self.neighbours.values() if n.sent_recent]
        slow_pace = SLOW_RATIO * sorted(timed)[len(timed) // 2] if len(timed) > 1 else 1e9
        for neighbour in self.neighbours.values():
            slow = neighbour.quickest_pace > slow_pace
            if neighbour.slot is Slot.HELD:
                index, started_s = next(iter(neighbour.sending.items()))
                full = now - started_s > self.patience_s(index)
                if slow or full:
                    neighbour.skipped_until_s = now + SKIP_S
                    neighbour.full = full and not slow
                    if self.slots.detach():
                        neighbour.slot = Slot.DETACHED
            elif slow and neighbour.skipped_until_s <= now:
                neighbour.skipped_until_s = now + SKIP_S

    def patience_s(self, index: int) -> float:
        if self.send_pace_s_per_byte == 0.0:
            return PATIENCE_FIRST_S
        expected_s = self.send_pace_s_per_byte * self.lengths[index]
        return max(PATIENCE_MIN_S, PATIENCE_RATIO * expected_s)

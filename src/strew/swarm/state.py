"""The facts both layers of a swarm share: who has what, what is on its way, how fast it goes."""

from __future__ import annotations

import random
from collections.abc import Iterable, Sequence

from strew.content.bitfield import Bitfield
from strew.messages import Action, CancelSend, PeerId, Role, Send, SendChunk, Wire
from strew.swarm.availability import Availability
from strew.swarm.frontier import Frontier
from strew.swarm.neighbour import Neighbour
from strew.swarm.pace import PACE_MEMORY, Pace
from strew.swarm.slots import Slot, UploadSlots

FEW_CHUNKS = 16
"""An artifact of so few chunks is over in a moment: nothing is gathered, and little waited for."""

PUSH_GAPS, PUSHING_MIN_S, PUSHING_MAX_S = 32, 0.15, 1.0
"""After the last pushed chunk, chunks are taken to be on their way by push for so many times the
usual time between two, within bounds."""

PUSHING_ARRIVALS = 4
"""... the upper of which is what so many chunks take to arrive, where that is longer: over a thin
link they begin in bursts, because all that arrive at once share it."""

END_GAPS, END_MIN_S = 16, 0.05
"""... and for so long once most stripes have come to the end of the file: who lacks a chunk then
is waited for by everybody who waits for the last machine."""

PATIENCE_MIN_S = 0.25
"""A send is never called slow before this: a garbage collection or a busy core is no slow link."""

PATIENCE_FIRST_S = 5.0
"""How long a send may take before it is known how long one does, for each that goes out at once."""

PATIENCE_RATIO = 4.0
"""A send that takes so many times what the others take has a receiver whose socket stays full."""

SLOW_RATIO = 3.0
"""A receiver that takes so many times longer for a chunk than at its share of this node's uplink is
slow. What other receivers take says little: a queue that takes a chunk at once is quick."""

MEASURE_S, MEASURE_ROUNDS = 0.25, 4
"""Over how long the uplink is measured, at least, and over how many sends to all at once: these end
together, and one round more or less would be taken for another rate."""

THIN_RATIO = 0.6
"""Machines with a plan's share of the load send about what they receive."""

UPLINK_FADES = 0.95
"""What an earlier measurement of the uplink counts for beside a new one."""


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
        self.average_bytes = sum(lengths) / max(1, len(lengths))
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
        self.near_held = 0
        self.mates_held = 0
        # pace and age
        self.sends = Pace()
        self.arrivals = Pace()
        self.frontier = Frontier(len(lengths))
        self.origin_offers = False
        self.served_until_s = 0.0
        """An origin that offers or serves gives nothing by its plan meanwhile: what is missing will
        not come by push."""
        self._pushed_s = 0.0
        self._pushing_for_s = 0.0
        self._push_gap_s = PUSHING_MIN_S / PUSH_GAPS
        self._uplink_bytes_per_s = 0.0
        self._sends_at_once = 1.0
        self._measured_s = 0.0
        self._measured_bytes = 0
        self._measured_sends = 0
        self._downlink_bytes_per_s = 0.0
        self._measured_received_bytes = 0
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
        self._add_held(neighbour, neighbour.have.bits)

    def left(self, neighbour: Neighbour) -> None:
        """Forget a neighbour; what was on its way either way is given up by the layers first."""
        assert not neighbour.requested and not neighbour.arriving and not neighbour.sending
        del self.neighbours[neighbour.id]
        self.unoffered.pop(neighbour.id, None)
        self.availability.remove(neighbour.have.bits)
        self._count_held()

    def neighbour_has(self, neighbour: Neighbour, bits: int) -> None:
        """It said that it has these chunks, a set within the artifact."""
        fresh = neighbour.have.include(bits)
        if not fresh:
            return
        self.availability.add(fresh)
        self._add_held(neighbour, fresh)

    def neighbour_lacks(self, neighbour: Neighbour, index: int) -> None:
        """It said it had the chunk and cannot give it."""
        if index in neighbour.have:
            neighbour.have.discard(index)
            self.availability.remove(1 << index)
            self.unoffered[neighbour.id] = neighbour

    def judge(self, neighbours: Iterable[Neighbour], *, hollow: bool) -> None:
        """Whether what these say they have counts where it is asked who else has a chunk."""
        changed = [each for each in neighbours if each.hollow != hollow]
        for neighbour in changed:
            neighbour.hollow = hollow
        if changed:
            self._count_held()

    def _count_held(self) -> None:
        self.near_held = self.mates_held = 0
        for neighbour in self.neighbours.values():
            self._add_held(neighbour, neighbour.have.bits)

    def _add_held(self, neighbour: Neighbour, bits: int) -> None:
        if not (neighbour.origin or neighbour.hollow):
            self.mates_held |= bits
            if neighbour.near:
                self.near_held |= bits

    # --- what comes by push ----------------------------------------------------------------------

    def pushed(self, index: int, now: float) -> None:
        """A chunk comes by push."""
        gap_s = min(now - self._pushed_s, self._pushing_max_s)
        self._pushed_s = now
        self._push_gap_s += PACE_MEMORY * (gap_s - self._push_gap_s)
        self.frontier.pushed(index)
        gaps, least_s = (PUSH_GAPS, PUSHING_MIN_S)
        if self.frontier.ends:
            gaps, least_s = END_GAPS, END_MIN_S
        self._pushing_for_s = max(least_s, gaps * self._push_gap_s)

    @property
    def _pushing_max_s(self) -> float:
        """For how long at most pushing is taken to go on after a chunk began to come by it."""
        return max(PUSHING_MAX_S, PUSHING_ARRIVALS * self.arrivals.seconds(self.average_bytes))

    def pushing(self, now: float) -> bool:
        """Whether chunks are taken to be on their way by push."""
        return now < self._pushed_s + min(self._pushing_for_s, self._pushing_max_s)

    def look_at_others(self, now: float) -> None:
        """Those who are pushed to say how far pushing is, if little of it comes here."""
        if self.pushing(now):
            counts = sorted([n.have.count for n in self.neighbours.values() if not n.origin])
            if counts:
                self.frontier.others_have(counts[len(counts) // 2])

    def young(self, now: float) -> int:
        """What may still come by push, as a bit set."""
        if self.origin_offers or now < self.served_until_s or not self.pushing(now):
            return 0
        return self.frontier.young

    def offerable(self, now: float) -> int:
        """What is stored here and no longer on its way by push; everything, once complete."""
        kept = self.withheld if self.have.complete else self.young(now)
        return self.have.bits ^ (self.have.bits & kept)

    def traffic(self) -> dict[str, int]:
        """Payload in bytes, by where it came from and went."""
        return {
            "received_bytes": self.received_bytes,
            "received_origin_bytes": self.received_origin_bytes,
            "duplicate_bytes": self.duplicate_bytes,
            "sent_bytes": self.sent_bytes,
        }

    def duplicated(self, length_bytes: int) -> None:
        """A chunk came twice."""
        self.duplicate_bytes += length_bytes

    # --- sending ---------------------------------------------------------------------------------

    def send_chunk(self, to: Neighbour, index: int, now: float, role: int, plan: int = 0) -> None:
        if to.slot is Slot.NONE:
            to.slot = Slot.SERVING if role == Role.SERVED else Slot.PUSHING
            self.slots.take(to.slot)
        self._sends_at_once = max(self._sends_at_once, self.slots.pushing)
        to.sending[index] = now
        self.actions.append(SendChunk(to.id, self.key, index, role, plan))

    def send_ended(self, to: Neighbour, index: int, now: float, done: bool) -> None:
        started_s = to.sending.pop(index, None)
        if started_s is None:
            return
        if done:
            length_bytes = self.lengths[index]
            seconds = max(now - started_s, 1e-6)
            to.sent(length_bytes, seconds, pushed=to.slot is not Slot.SERVING)
            self.sent_bytes += length_bytes
            self._measured_sends += 1
            if to.slot is not Slot.DETACHED or not self.sends.begun:
                self.sends.took(length_bytes, seconds)
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
        self._measure_uplink(now)
        slow_pace = 1e9
        if self._uplink_bytes_per_s > 0.0:
            slow_pace = SLOW_RATIO * self._sends_at_once / self._uplink_bytes_per_s
        for neighbour in self.neighbours.values():
            slow = neighbour.usual_pace > slow_pace
            if neighbour.slot in (Slot.PUSHING, Slot.SERVING):
                index, started_s = next(iter(neighbour.sending.items()))
                full = now - started_s > self.patience_s(index)
                if slow or full:
                    if neighbour.skipped_until_s <= now:
                        neighbour.skip(now)
                    neighbour.full = full and not slow
                    if self.slots.detach(neighbour.slot):
                        neighbour.slot = Slot.DETACHED
            elif slow and neighbour.skipped_until_s <= now:
                neighbour.skip(now)

    def _measure_uplink(self, now: float) -> None:
        """The most this node has sent in a while: what its uplink carries, or less."""
        if self.sent_bytes == 0:
            self._measured_s = now  # nothing left yet: that says nothing
            self._measured_received_bytes = self.received_bytes
        seconds = now - self._measured_s
        if seconds < MEASURE_S or self._measured_sends < MEASURE_ROUNDS * self._sends_at_once:
            return
        rate = (self.sent_bytes - self._measured_bytes) / seconds
        self._uplink_bytes_per_s = max(rate, UPLINK_FADES * self._uplink_bytes_per_s)
        self._sends_at_once *= UPLINK_FADES
        received = (self.received_bytes - self._measured_received_bytes) / seconds
        self._downlink_bytes_per_s = max(received, UPLINK_FADES * self._downlink_bytes_per_s)
        self._measured_s, self._measured_bytes, self._measured_sends = now, self.sent_bytes, 0
        self._measured_received_bytes = self.received_bytes

    @property
    def thin_uplink(self) -> bool:
        """Whether this node sends far less than it receives."""
        return self._uplink_bytes_per_s < THIN_RATIO * self._downlink_bytes_per_s

    def patience_s(self, index: int) -> float:
        """How long a send may take before its receiver is called slow."""
        patience_s = max(PATIENCE_MIN_S, PATIENCE_RATIO * self.sends.seconds(self.lengths[index]))
        if self.sends.known:
            return patience_s
        return max(patience_s, PATIENCE_FIRST_S * max(1, self.slots.pushing))

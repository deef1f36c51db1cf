"""Layer 2, the receiving end: offers are matched to wants, and a run of chunks is renewed.

Late joiners, slow machines, holes, deaths, no plan, many sources from the start: whatever layer 1
does not bring comes this way. An uploader with a free slot *offers* to every neighbour that lacks
something it has, naming no chunk; the receiver answers with a *request* for the chunk it likes
best, so that nothing comes twice; before the chunk ends it *renews* with the same sender, so that
the uplink has no gap. Measured in simulation at 1.02 to 1.03 of the bound.
"""

from __future__ import annotations

from strew.messages import (
    Cancel,
    Drop,
    PeerId,
    Renew,
    Request,
)
from strew.swarm.neighbour import REFUSALS_MAX, STALLS_MAX, Neighbour, by_joining
from strew.swarm.state import SwarmState
from strew.telemetry.protocol import Downlink

CREDIT_DEFAULT = 3
"""Chunks asked for and not yet arriving. As many as slots did best (2, 3, 4, 5 gave 1.26, 1.02,
1.19 and 1.29 of the bound in simulation)."""

SAMPLES_MAX = 12
"""Chunks looked at to find a rare one: which chunk is picked hardly matters, its cost does."""

ENDGAME_MAX = 16
"""When no more than this is missing, it may be asked of a second neighbour."""

RENEW_LEAD_S = 0.1
"""A running chunk is renewed when it is expected to end within this time."""

UNANSWERED_MIN_S = 1.0
"""A request not answered by then is made elsewhere."""

STALL_MIN_S = 1.5
"""A chunk that began to arrive is never called stalled before this."""

STALL_DEFAULT_S = 5.0
"""A chunk that takes longer is asked for elsewhere."""

STALL_RATIO = 2.0
"""... unless the usual chunk takes half of that or more: then one that takes so many times as long;
and twice as much where several arrive, and how long one takes beside others is not known yet."""

SLOW_RATIO = 3.0
"""A chunk that takes so many times what it should is asked elsewhere."""

STARVED_AFTER_S = 1.0
"""Nothing asked for and nothing coming for so long, while chunks are missing: those who are said
to have them nearby do not give them."""

STARVED_S = 5.0
"""Locality and the origin's privilege do not count for so long after a node starved."""

BAN_STALLED_S = 60.0
"""A neighbour dropped because it stalled may come back after this."""


class Offers:
    """The receiving end of layer 2: asking; the other end is strew.swarm.serving."""

    def __init__(
        self,
        state: SwarmState,
        credit: int = CREDIT_DEFAULT,
        stall_s: float = STALL_DEFAULT_S,
    ) -> None:
        self._state = state
        self._stall_max_s = stall_s
        self._credit = credit
        self._all = (1 << len(state.lengths)) - 1
        self._sources: dict[int, int] = {}  # chunk -> how many were asked for it or send it
        self._comes: dict[int, int] = {}  # chunk -> from how many it is arriving
        self._asked = 0  # chunks asked for and not yet arriving
        self._doubtful = 0  # those of them asked of neighbours that were late before
        self._parked: dict[PeerId, Neighbour] = {}
        self._news: dict[PeerId, Neighbour] = {}  # parked ones not known to be of no use now
        self._closed_seen = (0, 0, 0)
        self._urgent = 0  # chunks for which a holder was too late: locality no longer counts
        self._fed_s: float | None = None
        self._stored_s = 0.0
        self._starved_until_s = 0.0

    # --- asking -----------------------------------------------------------------------------------

    def park(self, neighbour: Neighbour, now: float) -> None:
        """It offers: the offer stands until it is used or taken back."""
        neighbour.parked_s = now
        self._state.origin_offers |= neighbour.origin
        self._parked[neighbour.id] = self._news[neighbour.id] = neighbour

    def unpark(self, neighbour: Neighbour) -> None:
        """Its offer no longer stands."""
        if neighbour.origin:
            self._state.origin_offers = False
        neighbour.parked_s = None
        if self._parked.pop(neighbour.id, None) is not None:
            self._news.pop(neighbour.id, None)

    def gained(self, neighbour: Neighbour) -> None:
        """It has more than before."""
        if neighbour.parked_s is not None:
            self._news[neighbour.id] = neighbour

    def comes(self, index: int) -> bool:
        """Whether this chunk is arriving from somebody."""
        return index in self._comes

    def downlink(self, awaiting: bool) -> Downlink:
        """What the receiving end does; `awaiting`: nothing that is missing could be asked for."""
        if self._comes:
            return Downlink.RECEIVING
        if not self._state.neighbours:
            return Downlink.STARTING
        if self._asked:
            return Downlink.ASKED
        return Downlink.NOWHERE if awaiting else Downlink.UNOFFERED

    def ask(self, now: float) -> None:
        """While there is credit, answer parked offers with requests."""
        state = self._state
        credit = self._credit + self._doubtful
        if not self._parked or self._asked >= credit or state.have.complete:
            return
        closed = self._closed(now)
        if any(
            was | now_is != now_is for was, now_is in zip(self._closed_seen, closed, strict=True)
        ):
            self._news.update(self._parked)
        self._closed_seen = closed
        if not self._news:
            return
        useful = [
            n for n in self._news.values() if n.have.bits | closed[_kind(n)] != closed[_kind(n)]
        ]
        self._news = {n.id: n for n in useful}
        useful.sort(
            key=lambda n: (not n.near, n.origin, len(n.arriving), self._takes_s(n), n.number)
        )
        for neighbour in useful:
            if self._asked >= credit:
                return
            if neighbour.stalls and (neighbour.requested or neighbour.arriving):
                continue  # first let it send what it owes
            index = self._choose(neighbour, now)
            if index is None:
                continue
            self.unpark(neighbour)
            neighbour.renewed = False
            self._request(neighbour, index, now)
            state.tell(neighbour, Request(state.key, index))

    def _takes_s(self, neighbour: Neighbour) -> float:
        """How long an average chunk takes from its request until it is here. Who sent none yet
        answers at once and sends as others do, until it is known better."""
        average_bytes = self._state.average_bytes
        chunk_s = neighbour.received_pace * average_bytes
        return neighbour.answer_s + (chunk_s or self._state.arrivals.seconds(average_bytes))

    def renew(self, neighbour: Neighbour, now: float) -> None:
        """If its running chunk is about to end, ask the same sender for the next one."""
        state = self._state
        if neighbour.requested or neighbour.renewed or len(neighbour.arriving) != 1:
            return
        if neighbour.stalls:
            return  # first let it send what it began
        index, started_s = next(iter(neighbour.arriving.items()))
        if index not in self._sources:
            return  # it was pushed: no run to renew
        length_bytes = state.lengths[index]
        if neighbour.received_rate > 0:
            expected_s = length_bytes / neighbour.received_rate
        else:
            expected_s = state.arrivals.seconds(length_bytes)
        if started_s + expected_s - now > RENEW_LEAD_S:
            return
        if neighbour.answer_s > expected_s and self._parked:
            return  # runs are to leave no gaps, and this one's are longer than its chunks
        successor = self._choose(neighbour, now)
        if successor is None:
            return
        neighbour.renewed = True
        self._request(neighbour, successor, now)
        state.tell(neighbour, Renew(state.key, successor))

    def _closed(self, now: float) -> tuple[int, int, int]:
        """What is not to be asked of a near neighbour, a far one, an origin.

        Of a far one only what nobody near has; of the origin only what nobody else has, and
        nothing while it pushes: what it has let go of is on its way.
        """
        state, urgent = self._state, self._urgent
        near = state.have.bits | state.in_flight | state.young(now)
        if now < self._starved_until_s:
            return near, near, near  # whoever has it
        far = near | (state.near_held ^ (state.near_held & urgent))
        if state.pushing(now):
            return near, far, near | (self._all ^ urgent)
        return near, far, near | (state.mates_held ^ (state.mates_held & urgent))

    def _choose(self, neighbour: Neighbour, now: float) -> int | None:
        """The rarest of a few useful chunks of this neighbour."""
        state = self._state
        closed = self._closed(now)[_kind(neighbour)]
        wanted = neighbour.have.bits ^ (neighbour.have.bits & closed)
        if not wanted:
            return None
        sampled = [self._random_one(wanted) for _ in range(SAMPLES_MAX)]
        among = 0
        for index in sampled:
            among |= 1 << index
        rarest = state.availability.rarest(among)
        return next(index for index in sampled if rarest >> index & 1)

    def _random_one(self, wanted: int) -> int:
        """The first of these chunks at or after a random place, around the end."""
        start = self._state.dice.randrange(len(self._state.lengths))
        rest = wanted >> start
        if not rest:
            start, rest = 0, wanted
        return start + (rest & -rest).bit_length() - 1

    def _request(self, neighbour: Neighbour, index: int, now: float) -> None:
        self._asked += index not in neighbour.requested
        neighbour.requested[index] = now
        self._sources[index] = self._sources.get(index, 0) + 1
        self._state.in_flight |= 1 << index

    def _unask(self, neighbour: Neighbour, index: int) -> bool:
        """It is no longer asked for this chunk; False if it was not."""
        if neighbour.requested.pop(index, None) is None:
            return False
        self._asked -= 1
        return True

    def refused(self, neighbour: Neighbour, index: int) -> None:
        """It will not send this chunk (Nack); its offer, if any, is used up."""
        self.unpark(neighbour)
        neighbour.renewed = False
        if self._unask(neighbour, index):
            self._release(index)
            neighbour.refusals += 1
            if neighbour.refusals >= REFUSALS_MAX:
                self._state.judge((neighbour,), hollow=True)

    def _release(self, index: int) -> None:
        """One source fewer for this chunk; without any it may be asked for again."""
        left = self._sources.get(index, 0) - 1
        if left > 0:
            self._sources[index] = left
            return
        self._sources.pop(index, None)
        if index not in self._comes:
            self._state.in_flight &= ~(1 << index)

    def arriving(self, sender: Neighbour, index: int, now: float, pushed: bool) -> None:
        """Its header came: the chunk is on its way, whoever else was asked."""
        asked_s = sender.requested.get(index)
        if asked_s is not None:
            sender.answered(asked_s, now)
        sender.renewed = False
        self._unask(sender, index)
        if index not in sender.arriving:
            self._comes[index] = self._comes.get(index, 0) + 1
        sender.arriving[index] = now
        self._state.in_flight |= 1 << index
        if pushed:
            self._withdraw(index, sender)
        else:
            self.renew(sender, now)

    def _ended(self, sender: Neighbour, index: int) -> float | None:
        """A chunk arrives no longer: since when it did, None if it did not."""
        started_s = sender.arriving.pop(index, None)
        if started_s is not None:
            left = self._comes[index] - 1
            if left:
                self._comes[index] = left
            else:
                del self._comes[index]
        return started_s

    def _withdraw(self, index: int, but: Neighbour | None) -> None:
        """Nobody else need send this chunk."""
        state = self._state
        if index not in self._sources:
            return
        for neighbour in state.neighbours.values():
            if neighbour is not but and self._unask(neighbour, index):
                state.tell(neighbour, Cancel(state.key, index))
        self._sources.pop(index, None)

    def stored(self, sender: Neighbour | None, index: int, now: float) -> None:
        """The chunk is verified and kept."""
        state = self._state
        if sender is not None:
            at_once = len(self._comes)
            started_s = self._ended(sender, index)
            self._stored_s = sender.stored_s = now
            if started_s is not None:
                seconds = max(now - started_s, 1e-6)
                length_bytes = state.lengths[index]
                sender.received(length_bytes, seconds)
                if sender.hollow:
                    state.judge((sender,), hollow=False)
                state.arrivals.took(length_bytes, seconds, at_once)
        self._withdraw(index, None)
        bit = 1 << index
        state.in_flight ^= state.in_flight & bit
        self._urgent ^= self._urgent & bit

    def failed(self, sender: Neighbour, index: int) -> None:
        """What was arriving will not be kept."""
        sender.renewed = False
        if self._ended(sender, index) is not None:
            self._urgent |= 1 << index
            self._release(index)

    def neighbour_left(self, neighbour: Neighbour) -> None:
        """Everything asked of it or arriving from it is asked elsewhere."""
        for index in list(neighbour.requested):
            self._unask(neighbour, index)
            self._release(index)
        for index in list(neighbour.arriving):
            self.failed(neighbour, index)
        self.unpark(neighbour)

    # --- time ------------------------------------------------------------------------------------

    def watch(self, now: float) -> None:
        """Ask elsewhere for what does not come; renew what is about to end; insure the end."""
        state = self._state
        self._notice_hunger(now)
        self._doubtful = sum(len(n.requested) for n in state.neighbours.values() if n.stalls)
        for neighbour in state.neighbours.values():
            if not (neighbour.requested or neighbour.arriving):
                continue
            for index, asked_s in list(neighbour.requested.items()):
                behind_s = self._expected_s(neighbour, index) * (1 + len(neighbour.arriving))
                if now - asked_s > UNANSWERED_MIN_S + SLOW_RATIO * behind_s:
                    state.tell(neighbour, Cancel(state.key, index))
                    self.refused(neighbour, index)
                    self._urgent |= 1 << index
                    if neighbour.arriving:
                        neighbour.renewed = True  # it waits behind that one: no more until it ends
                    else:
                        self._strike(neighbour, index, asked_s)
            for index, started_s in neighbour.arriving.items():
                if now - started_s > self._stall_s(index):
                    self._stalled(neighbour, index, started_s, now)
                    break
            self.renew(neighbour, now)
        self._insure(now)

    def _notice_hunger(self, now: float) -> None:
        state = self._state
        if state.in_flight or self._fed_s is None:
            self._fed_s = now
        elif now - self._fed_s > STARVED_AFTER_S:
            self._fed_s = now
            self._starved_until_s = now + STARVED_S
            state.judge(state.neighbours.values(), hollow=True)  # until they send something

    def _expected_s(self, neighbour: Neighbour, index: int) -> float:
        length_bytes = self._state.lengths[index]
        expected_s = self._state.arrivals.seconds(length_bytes)
        if neighbour.received_rate > 0:
            return min(length_bytes / neighbour.received_rate, self._longest_s(expected_s))
        return expected_s

    def _longest_s(self, usual_s: float) -> float:
        """No chunk takes longer that usually takes so long, unless it stalled."""
        return max(self._stall_max_s, STALL_RATIO * usual_s)

    def _stall_s(self, index: int) -> float:
        """After how long a chunk that arrives is called stalled."""
        arrivals, at_once = self._state.arrivals, len(self._comes)
        expected_s = arrivals.seconds(self._state.lengths[index], at_once)
        limit_s = self._longest_s(expected_s)
        if not arrivals.known:
            return max(limit_s, self._stall_max_s * min(at_once, STALL_RATIO))
        return min(STALL_MIN_S + SLOW_RATIO * expected_s, limit_s)

    def _stalled(self, neighbour: Neighbour, index: int, since_s: float, now: float) -> None:
        """Let others send the chunk; what still comes is kept if it comes first."""
        state = self._state
        neighbour.arriving[index] = now  # one strike a period, not one a tick
        state.in_flight &= ~(1 << index)
        self._urgent |= 1 << index
        self._strike(neighbour, index, max(since_s, now - self._stall_max_s))

    def _strike(self, neighbour: Neighbour, index: int, since_s: float) -> None:
        """It did not send in time: replaced after a few in a row, if another has the chunk. Where
        chunks come from others, too, and none of them came since, it may be this node's own link
        that is slow, and nobody is to blame."""
        state = self._state
        if len(self._comes) > 1 and not state.arrivals.known:
            return  # nor is it, while nobody knows what a chunk takes beside others
        if self._stored_s < since_s and any(
            n.arriving for n in state.neighbours.values() if n is not neighbour
        ):
            return
        neighbour.stalls += 1
        others = any(n is not neighbour and index in n.have for n in state.neighbours.values())
        if neighbour.stalls >= STALLS_MAX and others:
            state.actions.append(Drop(neighbour.id, "stalled", BAN_STALLED_S))

    def _insure(self, now: float) -> None:
        """Near the end, ask a second neighbour for what one alone was asked for too long ago."""
        state = self._state
        if not 0 < len(state.lengths) - state.have.count <= ENDGAME_MAX:
            return
        missing = self._all ^ state.have.bits
        if missing & ~state.in_flight:
            return
        parked = sorted(self._parked.values(), key=by_joining)
        while missing and parked:
            index = (missing & -missing).bit_length() - 1
            missing &= missing - 1
            sources = [
                n for n in state.neighbours.values() if index in n.requested or index in n.arriving
            ]
            if len(sources) != 1:
                continue
            since_s = sources[0].requested.get(index) or sources[0].arriving.get(index) or now
            if now - since_s < 0.25 + 2.0 * self._expected_s(sources[0], index):
                continue
            for other in parked:
                if index in other.have and other is not sources[0]:
                    parked.remove(other)
                    self.unpark(other)
                    self._request(other, index, now)
                    state.tell(other, Request(state.key, index))
                    break


def _kind(neighbour: Neighbour) -> int:
    """Which of `_closed` counts for it."""
    if neighbour.origin:
        return 2
    return 0 if neighbour.near else 1

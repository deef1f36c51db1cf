"""How long a silent member is suspected before it counts as dead.

Theory of operation (Lifeguard: Dadgar, Phillips, Currey 2018, section IV-B). A suspicion begins
with a long time limit. Each independent accuser shortens it, logarithmically, down to the least:
a machine that is truly dead is accused by several within seconds, while one that is accused by a
single slow node has long to refute. When the time is over the suspect has the last word: it is
asked once more, and told of its suspicion, since the refutation may have been lost on its way
here; only if that too is not answered it is dead.
"""

import heapq
import math

from strew.messages import PeerId

TIMEOUT_MIN_MULTIPLE = 2.0
"""Least time limit in probe periods, times log10 of the number of members: 6 s of 1000, in which
a rumour and its refutation cross the fleet several times. Higher: deaths are known later; lower:
lost datagrams kill."""

TIMEOUT_MIN_PERIODS = 4.0
"""In small fleets the least time limit is so many probe periods: a busy machine may stand still for
seconds."""

TIMEOUT_MAX_RATIO = 6.0
"""The longest time limit as a multiple of the least (memberlist: SuspicionMaxTimeoutMult)."""

CONFIRMATIONS = 2
"""Accusers beside the first after whom the least time limit holds; fewer where there are not so
many others (memberlist does the same)."""

LAST_WORD_S = 1.0
"""What a suspect has to answer the last question."""


class Suspicion:
    """One suspect: since when, by whom, until when."""

    __slots__ = ("accusers", "asked", "deadline_s", "incarnation", "started_s")

    def __init__(self, incarnation: int, by: str, now: float, deadline_s: float) -> None:
        self.incarnation = incarnation
        self.accusers = {by}
        self.started_s = now
        self.deadline_s = deadline_s
        self.asked = False
        """It was asked for its last word."""


def timeout_s(members: int, confirmations: int, period_s: float) -> float:
    """The time limit of a suspicion in a fleet of so many others, after so many confirmations."""
    least_s = period_s * max(TIMEOUT_MIN_PERIODS, TIMEOUT_MIN_MULTIPLE * math.log10(members + 1))
    wanted = min(CONFIRMATIONS, members - 1)
    if confirmations >= wanted:
        return least_s
    share = math.log(confirmations + 1) / math.log(wanted + 1)
    return least_s * (TIMEOUT_MAX_RATIO - (TIMEOUT_MAX_RATIO - 1.0) * share)


class Suspicions:
    """All suspects of one node."""

    def __init__(self, period_s: float) -> None:
        self._period_s = period_s
        self._by_id: dict[PeerId, Suspicion] = {}
        self._heap: list[tuple[float, PeerId]] = []
        """Deadlines; an entry that is not its suspicion's deadline is out of date."""

    def __len__(self) -> int:
        return len(self._by_id)

    def accuse(self, peer: PeerId, incarnation: int, by: str, members: int, now: float) -> bool:
        """`by` suspects `peer`; True if that is worth telling: the first accuser, or one of the
        next few of the same incarnation."""
        suspicion = self._by_id.get(peer)
        if suspicion is None or suspicion.incarnation != incarnation:
            deadline_s = now + timeout_s(members, 0, self._period_s)
            self._by_id[peer] = Suspicion(incarnation, by, now, deadline_s)
            heapq.heappush(self._heap, (deadline_s, peer))
            return True
        if by in suspicion.accusers or len(suspicion.accusers) > CONFIRMATIONS:
            return False
        suspicion.accusers.add(by)
        if not suspicion.asked:
            limit_s = timeout_s(members, len(suspicion.accusers) - 1, self._period_s)
            self._put_off(peer, suspicion, max(now, suspicion.started_s + limit_s))
        return True

    def clear(self, peer: PeerId) -> None:
        """It lives, or is dead: the suspicion is over."""
        self._by_id.pop(peer, None)

    def due(self, now: float) -> list[tuple[PeerId, bool]]:
        """Suspects whose time is over; each with True if it is dead, and with False if it has to
        be asked for its last word now."""
        ended: list[tuple[PeerId, bool]] = []
        while self.next_s() <= now:
            _, peer = heapq.heappop(self._heap)
            suspicion = self._by_id[peer]
            ended.append((peer, suspicion.asked))
            if suspicion.asked:
                del self._by_id[peer]
            else:
                suspicion.asked = True
                self._put_off(peer, suspicion, now + LAST_WORD_S)
        return ended

    def next_s(self) -> float:
        """When `due` has something; infinite if there are no suspects."""
        heap = self._heap
        while heap:
            deadline_s, peer = heap[0]
            suspicion = self._by_id.get(peer)
            if suspicion is not None and suspicion.deadline_s == deadline_s:
                return deadline_s
            heapq.heappop(heap)
        return math.inf

    def pause(self, paused_s: float) -> None:
        """This node stood still for so long and heard no refutation: all get that time on top."""
        for suspicion in self._by_id.values():
            suspicion.started_s += paused_s
            suspicion.deadline_s += paused_s
        self._heap = [(s.deadline_s, peer) for peer, s in self._by_id.items()]
        heapq.heapify(self._heap)

    def _put_off(self, peer: PeerId, suspicion: Suspicion, deadline_s: float) -> None:
        suspicion.deadline_s = deadline_s
        heapq.heappush(self._heap, (deadline_s, peer))

"""The plan of layer 1: made by the origin, read by everyone who passes chunks on.

A *group* is the machines of a zone (those alone in theirs share one). In a group of up to
`STAR_MAX` each machine owns every n-th chunk and passes it straight to all others. A larger group
is striped: each machine is an inner node of one stripe and a leaf of all others, so that every
uplink carries one copy of the file, a chunk reaches n machines in log n hops, and whom a machine
sends to stays the same from chunk to chunk (interior-node-disjoint trees: SplitStream, Castro et
al., SOSP 2003; the star is the case in which every machine is a stripe). A chunk enters a group
once, at the *entry* of its stripe, which also hands it to the entries of the groups below
(strew.swarm.grouping): every boundary between zones is crossed once a chunk.

Which stripe a chunk belongs to in a group follows from the chunks' lengths and the number of its
stripes (`deal`): everybody knows it, also of a chunk that came in another way.
"""

from __future__ import annotations

from collections import Counter
from typing import NamedTuple

from strew.messages import PeerId, Plan, PlanMember
from strew.swarm.layout import ENTRIES_MAX, FANOUT, HUGE_FANOUT, HUGE_MIN, STAR_MAX

GROUP_MIN = 2
"""Zones smaller than this share a group: to machines that are alone in theirs a chunk must cross a
boundary each in any order, and a star is the quickest."""

MEMBERS_MAX = 10_000
"""Machines of a plan: its message stays under a control frame's 1 MiB."""


NOBODY = PlanMember("", "", 0)
"""A place without a machine. In a striped group places stay when machines go, lest all trees
change: the others of the stripe share what it would send (strew.swarm.layout)."""

HOLES_RATIO = 0.06
"""A striped group is laid out anew when so many of its machines went: with places empty here and
there the busiest machines of a stripe send more copies than the others (simulated, 200 machines and
20 holes: 0.93 of what the links carry)."""

GROWTH_RATIO = 0.1
"""A striped group that grows gets so many places more than it has machines: whoever comes next
takes one, and everybody else's stays."""


LEFT_OUT_S, DOUBLINGS_MAX = 15.0, 4
"""A machine that is too slow is left out for so long the first time, when it may have had a bad
moment, and then twice as long each time, 4 minutes at most: tried again sooner, those that are slow
for good would hold up those behind them again and again."""


class _LeftOut(NamedTuple):
    member: PlanMember
    zone: str
    until_s: float


class _Zone:
    """The machines of a zone at their places."""

    def __init__(self) -> None:
        self.places: list[PlanMember] = []
        self.holes: list[int] = []
        self._laid_out = 0
        self._gone = 0

    @property
    def size(self) -> int:
        return len(self.places) - len(self.holes)

    def add(self, member: PlanMember) -> None:
        if self.holes:
            self.places[self.holes.pop()] = member
            self._gone = max(0, self._gone - 1)
        else:
            self.places.append(member)

    def remove(self, peer: PeerId) -> None:
        place = next(n for n, member in enumerate(self.places) if member.id == peer)
        self.places[place] = NOBODY
        self.holes.append(place)
        self._gone += 1

    def laid_out(self) -> list[PlanMember]:
        """The places: without holes in a star, and where too many are."""
        is_star = len(self.places) <= STAR_MAX
        if is_star or self._gone > HOLES_RATIO * len(self.places):
            self.places = [member for member in self.places if member.id]
            self.holes = []
            self._gone = 0
        elif 0 < self._laid_out < len(self.places):
            more = int(GROWTH_RATIO * len(self.places))
            self.holes += range(len(self.places), len(self.places) + more)
            self.places += [NOBODY] * more
        for hole in [hole for hole in self.holes if hole < ENTRIES_MAX]:
            self._fill(hole)
        self._laid_out = len(self.places)
        return list(self.places)

    def _fill(self, hole: int) -> None:
        """An entry's place is never empty: the last machine takes it."""
        last = max(n for n, member in enumerate(self.places) if member.id)
        if last > hole:
            self.places[hole], self.places[last] = self.places[last], NOBODY
            self.holes.remove(hole)
            self.holes.append(last)


class PlanMaker:
    """The origin's list of machines, kept in an order that changes as little as possible."""

    def __init__(self, me: PeerId, zone: str = "") -> None:
        self._me = me
        self._zones: dict[str, _Zone] = {zone: _Zone()}
        self._zone_of: dict[PeerId, str] = {}
        self._left_out: dict[PeerId, _LeftOut] = {}
        self._times_left_out: Counter[PeerId] = Counter()
        self._gone: set[PeerId] = set()
        self._huge = False
        self.version = 0
        self.changed = False

    def __len__(self) -> int:
        return len(self._zone_of)

    @property
    def left_out(self) -> int:
        """How many are left out for now."""
        return len(self._left_out)

    def add(self, member: PlanMember, zone: str, *, seen: bool = False) -> bool:
        """A machine takes part. False if it had gone: of one that was not `seen` since, what others
        say is old."""
        peer = PeerId(member.id)
        if peer in self._gone and not seen:
            return False
        self._gone.discard(peer)
        self._add(peer, member, zone)
        return True

    def _add(self, peer: PeerId, member: PlanMember, zone: str) -> None:
        rest = self._left_out.get(peer)
        if rest is not None:  # it may have another address than when it was left out
            self._left_out[peer] = rest._replace(member=member, zone=zone)
        if rest is not None or peer in self._zone_of or peer in ("", self._me):
            return
        if len(self) >= MEMBERS_MAX:
            return
        self._zones.setdefault(zone, _Zone()).add(member)
        self._zone_of[peer] = zone
        self.changed = True

    def member(self, peer: PeerId) -> PlanMember | None:
        """The machine of this name, if the next plan has it."""
        zone = self._zone_of.get(peer)
        if zone is None:
            return None
        return next(member for member in self._zones[zone].places if member.id == peer)

    def remove(self, peer: PeerId) -> bool:
        """A machine is gone, until it is seen again. False if it was not there."""
        self._gone.add(peer)
        return self._take_out(peer)

    def _take_out(self, peer: PeerId) -> bool:
        zone = self._zone_of.pop(peer, None)
        if zone is None:
            return False
        self._zones[zone].remove(peer)
        self.changed = True
        return True

    def leave_out(self, peer: PeerId, now: float) -> bool:
        """A machine too slow to pass chunks on: layer 2 serves it for a while. False if it is not
        there."""
        member = self.member(peer)
        if member is None:
            return False
        zone = self._zone_of[peer]
        self._take_out(peer)
        seconds = LEFT_OUT_S * 2.0 ** min(self._times_left_out[peer], DOUBLINGS_MAX)
        self._times_left_out[peer] += 1
        self._left_out[peer] = _LeftOut(member, zone, now + seconds)
        return True

    def take_back(self, now: float) -> None:
        """Whoever was left out for long enough has a place again, unless it went meanwhile."""
        due = [peer for peer, each in self._left_out.items() if each.until_s <= now]
        for peer in due:
            member, zone, _ = self._left_out.pop(peer)
            self.add(member, zone)

    def make(self, swarm: int) -> Plan:
        """The next version of the plan; `group` and `place` are those of no machine."""
        self.version += 1
        self.changed = False
        groups: list[list[PlanMember]] = []
        small: list[PlanMember] = []
        for zone in self._zones.values():
            if zone.size >= GROUP_MIN:
                groups.append(zone.laid_out())
            else:
                small += [member for member in zone.places if member.id]
        if small:
            groups.append(small)
        return Plan(swarm, self.version, self._me, self._fanout(groups), groups, -1, -1)

    def _fanout(self, groups: list[list[PlanMember]]) -> int:
        """That of the largest group. Once huge it stays so until it is half as large: another
        number of stripes changes everybody's trees."""
        largest = max(map(len, groups), default=0)
        self._huge = largest >= (HUGE_MIN // 2 if self._huge else HUGE_MIN)
        return HUGE_FANOUT if self._huge else FANOUT

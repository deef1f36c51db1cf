"""The plan of layer 1: made by the origin, read by everyone who passes chunks on.

A *group* is the machines of a zone (small zones share one). In a group of up to `STAR_MAX` each
machine owns every n-th chunk and passes it straight to all others. A larger group is striped: each
machine is an inner node of one stripe and a leaf of all others, so that every uplink carries one
copy of the file, a chunk reaches n machines in log n hops, and whom a machine sends to stays the
same from chunk to chunk (interior-node-disjoint trees: SplitStream, Castro et al., SOSP 2003; the
star is the case in which every machine is a stripe). A chunk enters a group once, at the *entry* of
its stripe, which also hands it to the entries of the groups below: every boundary between zones is
crossed once a chunk.

A chunk carries a *tag*, counted up by the origin: tag modulo the number of a group's stripes is its
stripe there.
"""

from __future__ import annotations

from strew.messages import PeerId, Plan, PlanMember

STAR_MAX = 24
"""Machines of a group in which owners pass chunks to all others. The tail of a transfer is about so
many chunk times, and each member keeps a connection to every other."""

FANOUT = 8
"""About so many stripes has a large group, and so many copies sends an inner node. The tail is
about fan-out times depth: 4 is shorter for thousands of machines, and loses more of them with each
that dies."""

FANOUT_SPREAD = 4
"""Stripes may be so many more or fewer, to divide the group without remainder: of 100 machines in 8
stripes some would have to send nine copies of every eighth chunk."""

ENTRIES_MAX = FANOUT + FANOUT_SPREAD

FANOUTS = range(FANOUT_SPREAD + 3, STAR_MAX - FANOUT_SPREAD + 1)
"""What a plan may name: with fewer than 3 stripes `branch` is no tree when groups are below, and
with more than `STAR_MAX` some would have no machine."""

GROUP_MIN = 8
"""Zones smaller than this share a group: in a tiny one each machine would have to pass every chunk
on to other groups."""

CHAIN_MAX = 4
"""So many groups pass chunks one to the next; more form a binary tree below the first."""

MEMBERS_MAX = 10_000
"""Machines of a plan: its message stays under a control frame's 1 MiB."""


NOBODY = PlanMember("", "", 0)
"""A place whose machine is gone. In a striped group it stays, lest all trees change: whoever sent
to it sends to those it would have sent to."""

HOLES_RATIO = 0.1
"""A striped group is laid out anew when so many of its places are empty, or so many machines wait
for a place: everybody then sends to others than before."""


class _Zone:
    """The machines of a zone at their places; those that came later wait for a layout."""

    def __init__(self) -> None:
        self.places: list[PlanMember] = []
        self.holes: list[int] = []

    @property
    def size(self) -> int:
        return len(self.places) - len(self.holes)

    def add(self, member: PlanMember) -> None:
        if self.holes:
            self.places[self.holes.pop()] = member
        else:
            self.places.append(member)

    def remove(self, peer: PeerId) -> None:
        place = next(n for n, member in enumerate(self.places) if member.id == peer)
        self.places[place] = NOBODY
        self.holes.append(place)

    def laid_out(self) -> list[PlanMember]:
        """The places, without holes where that changes little or much is to change anyway."""
        if len(self.holes) > HOLES_RATIO * len(self.places) or len(self.places) <= STAR_MAX:
            self.places = [member for member in self.places if member.id]
            self.holes = []
        for hole in [hole for hole in self.holes if hole < ENTRIES_MAX]:
            self._fill(hole)
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
        self._left_out: set[PeerId] = set()
        self.version = 0
        self.changed = False

    def __len__(self) -> int:
        return len(self._zone_of)

    def add(self, member: PlanMember, zone: str) -> None:
        """A machine takes part."""
        peer = PeerId(member.id)
        if peer in self._zone_of or peer in self._left_out or peer in ("", self._me):
            return
        if len(self) >= MEMBERS_MAX:
            return
        self._zones.setdefault(zone, _Zone()).add(member)
        self._zone_of[peer] = zone
        self.changed = True

    def remove(self, peer: PeerId) -> bool:
        """A machine is gone. False if it was not there."""
        zone = self._zone_of.pop(peer, None)
        if zone is None:
            return False
        self._zones[zone].remove(peer)
        self.changed = True
        return True

    def leave_out(self, peer: PeerId) -> bool:
        """A machine too slow to pass chunks on: layer 2 serves it. False if that is known."""
        if peer in self._left_out or not self.remove(peer):
            return False
        self._left_out.add(peer)
        return True

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
        return Plan(swarm, self.version, self._me, FANOUT, groups, -1, -1)


def stripes_of(size: int, fanout: int) -> int:
    """How many stripes a group of this size has: of the numbers near `fanout` the one with which
    the busiest uplink carries least, which is one copy if the division leaves over one machine or
    none. What is left over is an inner node nowhere."""
    if size <= STAR_MAX:
        return size
    near = range(fanout - FANOUT_SPREAD, fanout + FANOUT_SPREAD + 1)

    def cost(stripes: int) -> tuple[float, int]:
        busiest = -(-(size - 1) // (size // stripes))
        return busiest / stripes, abs(stripes - fanout)

    return min(near, key=cost)


def groups_below(group: int, count: int) -> list[int]:
    """The groups to which the entries of a group hand chunks."""
    if count <= CHAIN_MAX:
        below: tuple[int, ...] = (group + 1,)
    elif group == 0:
        below = (1,)
    else:
        below = (2 * group, 2 * group + 1)
    return [number for number in below if number < count]


def ring(position: int, size: int) -> list[int]:
    """The order in which the owner at a place of a star passes a chunk to the other places.

    The origin gives to one owner after the other, so the owner at place p is at its k-th mate when
    its neighbour at p + 1 is at its (k - 1)-th. By steps of two around an odd circle all of them
    then send to different mates at any moment: (p + 2k) = 2t - p (mod m) at time t = p + k. An even
    group gets one empty place.
    """
    circle = size | 1
    places = ((position + 2 * step) % circle for step in range(1, circle))
    return [place for place in places if place < size]


def branch(place: int, size: int, stripes: int, extra: int) -> list[int]:
    """The places an inner node passes its stripe's chunks to.

    A stripe's inner nodes are the places that are equal to it modulo `stripes`, what the division
    leaves over excepted; in the order of the tree they come first, then everybody else. Its
    `size - 1` copies, and `extra` ones that its entry sends to other groups, are divided evenly.
    """
    stripe, number = place % stripes, place // stripes
    inner = size // stripes
    if number >= inner:
        return []
    copies = size - 1 + extra
    start = 1 + copies * number // inner - (extra if number else 0)
    end = 1 + copies * (number + 1) // inner - extra
    places: list[int] = []
    for position in range(start, min(end, size)):
        if position < inner:
            places.append(position * stripes + stripe)
            continue
        block, rest = divmod(position - inner, stripes - 1)
        if block < inner:
            places.append(block * stripes + rest + (rest >= stripe))
        else:  # left over
            places.append(position)
    return places

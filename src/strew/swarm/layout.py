"""Layout: who sends to whom in one group of a plan, by arithmetic on places alone.

Everybody computes it from the plan, so nothing need be agreed on. Places without a machine are part
of it: as long as the places stay, a machine that goes changes little for the others.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from functools import lru_cache
from heapq import heapify, heapreplace
from types import MappingProxyType
from typing import NamedTuple

STAR_MAX = 24
"""Machines of a group in which owners pass chunks to all others. The tail of a transfer is about so
many chunk times, and each member keeps a connection to every other."""

FANOUT = 8
"""About so many stripes has a large group, and so many copies sends an inner node."""

HUGE_FANOUT, HUGE_MIN = 5, 5000
"""... and so many one of thousands, which makes its tail shorter: about fan-out times depth.
But each machine has fewer senders, of whom several must find it slow, and takes more with it when
it dies; a smaller fleet feels that."""

FANOUT_SPREAD = 4
"""Stripes may be so many more or fewer, to divide the group without remainder: of 100 machines in 8
stripes some would have to send nine copies of every eighth chunk."""

STRIPES_MIN = 4
"""No large group has fewer: with 2 `branch` is no tree when groups are below."""

ENTRIES_MAX = FANOUT + FANOUT_SPREAD

FANOUTS = range(STRIPES_MIN, STAR_MAX - FANOUT_SPREAD + 1)
"""What a plan may name: with more than `STAR_MAX` stripes some would have no machine."""

TURNS = 8
"""What is in no branch, or in an empty place's, is sent to by so many in turn, chunk by chunk: the
busiest of a stripe then sends an eighth of a copy more than it need, not a whole one. With more
each would need more links."""

DEALS_MAX = 64
"""Layouts and deals remembered: a node needs one for its own group and for each below, of each
artifact."""


def stripes_of(size: int, fanout: int, extra: int = 0) -> int:
    """How many stripes a group of this size has whose entries send `extra` copies to other groups:
    of the numbers near `fanout` the one with which the busiest uplink carries least, which is one
    copy if the division leaves over one machine or none. What is left over is an inner node
    nowhere, and what would be sent to more is sent to by `TURNS`."""
    if size <= STAR_MAX:
        return size
    near = range(max(STRIPES_MIN, fanout - FANOUT_SPREAD), fanout + FANOUT_SPREAD + 1)

    def cost(stripes: int) -> tuple[float, int]:
        busiest = -(-TURNS * (size - 1 + extra) // (size // stripes))
        return max(TURNS * stripes, busiest) / stripes, abs(stripes - fanout)

    return min(near, key=cost)


@lru_cache(maxsize=DEALS_MAX)
def trees_of(lengths: tuple[int, ...], trees: int) -> Sequence[int]:
    """The tree in which each chunk goes from group to group (strew.swarm.grouping), so that at any
    point of the file all have carried as much."""
    return _dealt(lengths, (1.0,) * trees)


@lru_cache(maxsize=DEALS_MAX)
def deal(lengths: tuple[int, ...], weights: tuple[float, ...], trees: int = 1) -> Sequence[int]:
    """The stripe of each chunk, so that at any point of the file all have carried bytes by their
    weights; the chunks of each tree apart, since they cost an entry more in one than in the other.

    Every uplink of a plan carries one copy of the file and none to spare. Chunks differ in length,
    and dealt out in turn they would leave one stripe some chunks' time behind another: its inner
    nodes fall behind for ever, those of the others idle (simulated, 400 machines: 0.94 and falling
    of what the links carry, against 1.00 with this rule).
    """
    if trees == 1:
        return _dealt(lengths, weights)
    tree_of = trees_of(lengths, trees)
    dealt = []
    for tree in range(trees):
        its = [length for length, of in zip(lengths, tree_of, strict=True) if of == tree]
        dealt.append(iter(_dealt(its, weights)))
    return [next(dealt[tree]) for tree in tree_of]


def _dealt(lengths: Sequence[int], weights: tuple[float, ...]) -> list[int]:
    """Who takes each of these: who has carried least for its weight."""
    carried = [(0.0, number) for number in range(len(weights))]
    dealt: list[int] = []
    for length_bytes in lengths:
        so_far, number = carried[0]
        dealt.append(number)
        heapreplace(carried, (so_far + length_bytes / weights[number], number))
    return dealt


def depth(size: int, stripes: int) -> int:
    """In how many hops a chunk comes from a stripe's entry to everybody."""
    hops, last, reached = 0, 1, 1
    while reached < size:
        last *= stripes
        reached += last
        hops += 1
    return max(1, hops)


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
    """The places an inner node passes its stripe's chunks to, whatever the turn.

    A stripe's inner nodes are the places that are equal to it modulo `stripes`, what the division
    leaves over excepted; in the order of the tree they come first, then everybody else. Its
    `size - 1` copies, and `extra` ones that its entry sends to other groups, are divided evenly,
    `stripes` to each at most; see `remainder`.
    """
    stripe, number = place % stripes, place // stripes
    inner = size // stripes
    if number >= inner:
        return []
    copies = min(size - 1 + extra, inner * stripes)
    start = 1 + copies * number // inner - (extra if number else 0)
    end = 1 + copies * (number + 1) // inner - extra
    return _places(range(start, min(end, size)), stripe, size, stripes)


def remainder(stripe: int, size: int, stripes: int, extra: int) -> list[int]:
    """The places, the last in the order of the tree, that are in no branch of a stripe: whoever
    always sent to one of these as well would send one copy more than all others, and the stripe
    would carry so much less."""
    first = 1 + size // stripes * stripes - extra
    return _places(range(first, size), stripe, size, stripes)


def _places(positions: range, stripe: int, size: int, stripes: int) -> list[int]:
    """What stands at these positions in the order of a stripe's tree."""
    inner = size // stripes
    places: list[int] = []
    for position in positions:
        if position < inner:
            places.append(position * stripes + stripe)
            continue
        block, rest = divmod(position - inner, stripes - 1)
        if block < inner:
            places.append(block * stripes + rest + (rest >= stripe))
        else:  # left over
            places.append(position)
    return places


class Layout(NamedTuple):
    """`branches` are the places that the machine at each place sends to whatever the turn, and
    `inherited`, by place and turn, those it sends to in the stead of empty places, or because the
    branches leave them over; `weights` are the stripes' parts of the file, in proportion."""

    stripes: int
    branches: Sequence[Sequence[int]]
    weights: tuple[float, ...]
    inherited: Mapping[int, Sequence[Sequence[int]]] = MappingProxyType({})

    def turns(self, place: int) -> int:
        """After so many turns the machine at this place sends as in the first again."""
        return TURNS if place in self.inherited else 1

    def sent_to(self, place: int, turn: int) -> Sequence[int]:
        """The places that the machine at this one sends to in this turn."""
        inherited = self.inherited.get(place)
        branch = self.branches[place]
        return [*branch, *inherited[turn % TURNS]] if inherited else branch


@lru_cache(maxsize=DEALS_MAX)
def layout(present: bytes, stripes: int, extra: int) -> Layout:
    """A group of which these places have a machine (1 or 0 each); an entry's always has one.

    What an empty place would send to is divided among the inner nodes of its stripe that are not
    behind it, each target among several that send to it in turn, so that none carries much more
    than another: a lone heir of one target would send nine copies where all others send eight, and
    the stripe would carry a ninth less. What the branches leave over is sent to in the same way, by
    the stripe's last inner nodes, behind which are only leaves, and with empty places elsewhere by
    the same. A stripe whose busiest machine still sends more than another's gets fewer chunks.
    """
    size = len(present)
    if stripes == size:
        return Layout(stripes, [ring(place, size) for place in range(size)], (1.0,) * size)
    inner = size // stripes
    branches: list[list[int]] = [[] for _ in range(size)]
    inherited: dict[int, list[list[int]]] = {}
    weights: list[float] = []
    for stripe in range(stripes):
        nodes = range(stripe, inner * stripes, stripes)
        orphans: list[int] = []
        for place in nodes:
            kept = [each for each in branch(place, size, stripes, extra) if present[each]]
            if present[place]:
                branches[place] = kept
            else:
                orphans += kept
        # Copies of the stripe in all turns together, of each that sends any.
        loads = {place: TURNS * len(branches[place]) for place in nodes if present[place]}
        loads[stripe] += TURNS * extra
        by_load = [(load, place) for place, load in loads.items()]
        heapify(by_load)
        estate: list[tuple[int, int, Sequence[int]]] = []  # a target, a turn, who may be heir
        for number, each in enumerate(remainder(stripe, size, stripes, extra)):
            for turn in range(TURNS if present[each] else 0):
                last = nodes[-1 - (number * TURNS + turn) % inner]
                estate.append((each, turn, (last,) if present[last] else ()))
        for each in orphans:
            before = [place for place in loads if place < each] if each in nodes else ()
            estate += [(each, turn, before) for turn in range(TURNS)]
        for each, turn, heirs in estate:
            heir = min(heirs, key=loads.__getitem__) if heirs else _idlest(by_load, loads)
            loads[heir] += 1
            inherited.setdefault(heir, [[] for _ in range(TURNS)])[turn].append(each)
        weights.append(TURNS / max(TURNS, *loads.values()))
    return Layout(stripes, branches, tuple(weights), inherited)


def _idlest(by_load: list[tuple[int, int]], loads: Mapping[int, int]) -> int:
    """The place with the least load, of equal ones the lowest, from a heap in which some loads are
    less than they are by now."""
    load, place = by_load[0]
    while load < loads[place]:
        heapreplace(by_load, (loads[place], place))
        load, place = by_load[0]
    return place


def is_inner(place: int, size: int, stripes: int, stripe: int) -> bool:
    """Whether the machine at a place passes on the chunks of a stripe; in a star nobody does but
    whom the origin gave them."""
    return stripes < size and place % stripes == stripe and place // stripes < size // stripes

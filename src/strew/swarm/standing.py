"""Standing: what one plan makes of one node. Whom it passes which chunk to, and whom it tells."""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterable, Sequence
from itertools import chain
from typing import NamedTuple

from strew.messages import PeerId, Plan, PlanMember
from strew.swarm.grouping import Grouping
from strew.swarm.layout import (
    FANOUTS,
    STAR_MAX,
    Layout,
    deal,
    depth,
    is_inner,
    layout,
    stripes_of,
    trees_of,
)

ACQUAINTANCES_MAX = 3 * STAR_MAX
"""Machines one plan can make a node dial: the mates of a star and the entries of two below it."""

TOLD_MAX = 64
"""An origin tells so many machines of its plan itself; more hear it from each other."""

WAIT_RATIO = 2
"""How many times longer a chunk's hop in a tree takes than sending it at an even share of the
uplink: it waits until the longest of those before it has gone (`python -m bench.way_down`)."""

TELLING_STRIPES, TELLING_TURN = 2, 0
"""A plan travels down so many stripes: everyone hears it twice, lest one death hide it. It goes the
ways of one turn."""

Hop = tuple[int, bool]
"""A place of this node's group, and whether the machine there passes on what it is sent."""


class Below(NamedTuple):
    """A group to which this one's entries hand chunks: the stripe of each chunk there, and the
    machines by which chunks come into it, by stripe; in a star these are all."""

    stripe_of: Sequence[int]
    entries: Sequence[PlanMember]
    is_star: bool

    def entry(self, index: int, present: Callable[[PeerId], bool]) -> PeerId:
        """To whom a chunk goes: the entry of its stripe. In a star, where whoever is given a chunk
        sends it to all, the next that is present if that one is not."""
        stripe, entries = self.stripe_of[index], self.entries
        if self.is_star:
            for step in range(len(entries)):
                peer = PeerId(entries[(stripe + step) % len(entries)].id)
                if present(peer):
                    return peer
        return PeerId(entries[stripe].id)


class Standing:
    """The reading of a plan by the machine at its `group` and `place`, or by its origin.

    Whose plan it is and whom it names is `is_sound`'s to judge, before. `lengths` are those of the
    chunks. Nothing here is a copy of the plan: ten thousand of these stand in one simulation.
    """

    def __init__(self, plan: Plan, lengths: tuple[int, ...]) -> None:
        self.plan = plan
        self._members = plan.groups[max(plan.group, 0)]
        self._grouping = Grouping([len(members) for members in plan.groups])
        found = self._layout_of(max(plan.group, 0))
        self._layout = found
        self.stripes = found.stripes
        trees = self._grouping.trees
        self.stripe_of: Sequence[int] = deal(lengths, found.weights, trees)
        self._tree_of = trees_of(lengths, trees)
        self.origins = plan.place < 0
        self.alone = len(plan.groups) == 1 and len(plan.groups[0]) <= STAR_MAX
        """One star: everybody near is a mate, also who joined after the plan."""
        self._branch: list[Hop] = []  # in all turns
        self._turns: list[list[Hop]] = [[]]
        self._below: dict[int, Below] = {}  # by group
        self._below_in: list[list[int]] = [[] for _ in range(trees)]  # groups, by tree
        if not self.origins:
            self._turns = self._turns_of(plan.place)
            self._branch = _together(self._turns)
            for tree, below in enumerate(self._below_in):
                below += self._grouping.below(plan.group, tree)
                for group in below:
                    self._below[group] = self._below_here(group, lengths)
        self._branch_ids = {PeerId(self._members[place].id) for place, _ in self._branch}
        self.acquaintances: tuple[PlanMember, ...] = self._acquaintances()
        self._met = {member.id for member in self.acquaintances}

    @property
    def weights(self) -> tuple[float, ...]:
        """The stripes' parts of the file, in proportion."""
        return self._layout.weights

    def _acquaintances(self) -> tuple[PlanMember, ...]:
        """Everyone this node passes chunks to by the plan."""
        if self.origins:
            return tuple(self._members[: self.stripes])
        known = [self._members[place] for place, _ in self._branch]
        if self.plan.place < self.stripes:
            for below in self._below.values():
                known += below.entries
        return tuple(known[:ACQUAINTANCES_MAX])

    def _layout_of(self, group: int) -> Layout:
        members, extra = self.plan.groups[group], self._grouping.copies(group)
        stripes = stripes_of(len(members), self.plan.fanout, extra)
        return layout(bytes(bool(member.id) for member in members), stripes, extra)

    def _below_here(self, group: int, lengths: tuple[int, ...]) -> Below:
        members, found = self.plan.groups[group], self._layout_of(group)
        stripe_of = deal(lengths, found.weights, self._grouping.trees)
        return Below(stripe_of, members[: found.stripes], found.stripes == len(members))

    def _sent_to(self, place: int, turn: int) -> list[Hop]:
        """Whom the machine at a place of this node's group sends to in a turn."""
        stripe, size = place % self.stripes, len(self._members)
        return [
            (each, is_inner(each, size, self.stripes, stripe))
            for each in self._layout.sent_to(place, turn)
        ]

    def _turns_of(self, place: int) -> list[list[Hop]]:
        """Whom it sends to, by turn."""
        return [self._sent_to(place, turn) for turn in range(self._layout.turns(place))]

    def _branch_in(self, turn: int) -> list[Hop]:
        """Whom this node sends to in a turn."""
        return self._turns[turn % len(self._turns)]

    # --- chunks ----------------------------------------------------------------------------------

    def is_inner(self, index: int) -> bool:
        """Whether this node is an inner node of the chunk's stripe."""
        return bool(self._branch) and self.stripe_of[index] == self.plan.place % self.stripes

    def passes_to(self, peer: PeerId) -> bool:
        """Whether the plan names this machine among those that this node passes chunks to."""
        return peer in self._branch_ids

    def targets(
        self, index: int, present: Callable[[PeerId], bool], rotation: int
    ) -> list[tuple[PeerId, bool]]:
        """Whom this node passes a chunk to, in order, and whether each passes it on. Who is not
        present is passed over, and those it would send to are sent to from here. In a tree those
        that pass it on come first, and each `rotation` begins with another leaf: an uplink that is
        behind would always fail the same ones. In a star the order is that of the ring."""
        if not self._branch:
            return []
        targets: list[tuple[PeerId, bool]] = []
        if self.plan.place < self.stripes:
            for group in self._below_in[self._tree_of[index]]:
                targets.append((self._below[group].entry(index, present), True))
        reached = self._reached(present, turn=index // self.stripes)
        if self.stripes == len(self._members):
            return targets + reached
        targets += [each for each in reached if each[1]]
        leaves = [each for each in reached if not each[1]]
        start = rotation % max(1, len(leaves))
        return targets + leaves[start:] + leaves[:start]

    def _reached(self, present: Callable[[PeerId], bool], turn: int) -> list[tuple[PeerId, bool]]:
        """The branch in a turn; in the stead of an inner node that is not present its own one."""
        reached: list[tuple[PeerId, bool]] = []
        waiting = list(self._branch_in(turn))
        while waiting and len(reached) < ACQUAINTANCES_MAX:
            place, passes_on = waiting.pop(0)
            peer = PeerId(self._members[place].id)
            if present(peer):
                reached.append((peer, passes_on))
            elif passes_on:
                waiting += self._sent_to(place, turn)
        return reached

    def absent(self, present: Callable[[PeerId], bool]) -> tuple[PeerId, ...]:
        """Whom this node should pass chunks to and cannot."""
        peers = (PeerId(member.id) for member in self.acquaintances)
        return tuple(peer for peer in peers if not present(peer))

    def orphans(self, present: Callable[[PeerId], bool]) -> tuple[PlanMember, ...]:
        """Machines to be met beside the acquaintances: those behind an inner node that is not
        present. Each is named once; who stands behind it is, if it is not there the next time."""
        if self.origins or self.alone:
            return ()
        orphans: list[PlanMember] = []
        waiting = list(self._branch)
        while waiting and len(orphans) < ACQUAINTANCES_MAX:
            place, passes_on = waiting.pop(0)
            member = self._members[place]
            if present(PeerId(member.id)):
                continue
            if member.id not in self._met:
                orphans.append(member)
            elif passes_on:
                waiting += _together(self._turns_of(place))
        self._met.update(member.id for member in orphans)
        return tuple(orphans)

    def course(self) -> tuple[Sequence[int], int, int, int]:
        """What `Frontier.planned` is told: how chunks come to this node by the plan."""
        plan, size = self.plan, len(self._members)
        above = self._grouping.above(max(plan.group, 0))
        if self.stripes == size:
            lag = size + self.stripes * above
        else:
            lag = WAIT_RATIO * self.stripes * (depth(size, self.stripes) + above)
        inner_of = 0
        if not self.alone:  # in one star nobody stands behind anybody
            inner_of = sum(1 << i for i in range(len(self.stripe_of)) if self.is_inner(i))
        return self.stripe_of, self.stripes, lag, inner_of

    # --- the plan itself -------------------------------------------------------------------------

    def telling(self) -> list[tuple[PeerId, Plan]]:
        """Whom this node tells of the plan, each with its own place in it."""
        plan = self.plan
        told: list[tuple[PeerId, Plan]] = []
        if self.origins:
            if sum(len(members) for members in plan.groups) > TOLD_MAX:
                return [_told(plan, 0, place) for place in range(self.stripes)]
            for group, members in enumerate(plan.groups):
                told += [_told(plan, group, place) for place, m in enumerate(members) if m.id]
            return told
        if plan.place % self.stripes >= TELLING_STRIPES:
            return told
        told += [_told(plan, plan.group, place) for place, _ in self._branch_in(TELLING_TURN)]
        if plan.place < self.stripes:
            for group, below in self._below.items():
                few = range(min(TELLING_STRIPES, len(below.entries)))
                told += [_told(plan, group, place) for place in few]
        return told

    def hearers(self) -> Collection[PeerId]:
        """Who hears from this node of what comes after this plan."""
        if self.origins:
            return {PeerId(member.id) for member in self.acquaintances}
        if self.plan.place % self.stripes >= TELLING_STRIPES:
            return ()
        return {PeerId(self._members[place].id) for place, _ in self._branch_in(TELLING_TURN)}

    def told(self, peers: Collection[PeerId]) -> dict[PeerId, Plan]:
        """The plan for each of these machines that it names."""
        return dict(
            _told(self.plan, group, place)
            for group, members in enumerate(self.plan.groups)
            for place, member in enumerate(members)
            if member.id in peers
        )


def _together(turns: Iterable[Iterable[Hop]]) -> list[Hop]:
    """Whoever is sent to in one turn or another."""
    return list(dict.fromkeys(chain.from_iterable(turns)))


def is_sound(plan: Plan, me: PeerId) -> bool:
    """Whether an origin can have made this plan for `me`: nobody stands at two places, a place is
    empty only in a striped group and is no entry's, and `me` is where it says. Others would have
    chunks go in circles."""
    if not plan.groups or not all(plan.groups) or plan.fanout not in FANOUTS:
        return False
    there = [member.id for members in plan.groups for member in members if member.id]
    if len(set(there)) < len(there):
        return False
    grouping = Grouping([len(members) for members in plan.groups])
    for group, members in enumerate(plan.groups):
        entries = members[: stripes_of(len(members), plan.fanout, grouping.copies(group))]
        if not all(member.id for member in entries):
            return False
    if plan.place < 0:
        return plan.origin == me and plan.group < 0
    return _names(plan, me)


def _names(plan: Plan, me: PeerId) -> bool:
    """Whether the plan has this node at the place it says."""
    if not 0 <= plan.group < len(plan.groups):
        return False
    members = plan.groups[plan.group]
    return 0 <= plan.place < len(members) and members[plan.place].id == me


def _told(plan: Plan, group: int, place: int) -> tuple[PeerId, Plan]:
    peer = PeerId(plan.groups[group][place].id)
    return peer, Plan(plan.swarm, plan.version, plan.origin, plan.fanout, plan.groups, group, place)

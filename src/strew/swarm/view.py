"""One node's reading of the newest plan it has: whom it passes which chunk to."""

from __future__ import annotations

from collections.abc import Callable, Sequence

from strew.messages import PeerId, Plan, PlanMember
from strew.swarm.layout import (
    FANOUTS,
    STAR_MAX,
    Layout,
    deal,
    depth,
    groups_above,
    groups_below,
    is_inner,
    layout,
    stripes_of,
)

ACQUAINTANCES_MAX = 3 * STAR_MAX
"""Machines one plan can make a node dial: the mates of a star and the entries of two below it."""

TOLD_MAX = 64
"""An origin tells so many machines of its plan itself; more hear it from each other."""

TELLING_STRIPES = 2
"""A plan travels down so many stripes: everyone hears it twice, lest one death hide it."""


class PushView:
    """One node's reading of the newest plan it has; `lengths` are those of the chunks."""

    def __init__(self, me: PeerId, lengths: Sequence[int]) -> None:
        self._me = me
        self._lengths = tuple(lengths)
        self._stripe_of: Sequence[int] = ()
        self._entries_below: list[tuple[int, Sequence[int]]] = []
        self._plan: Plan | None = None
        self._stripes = 0
        self._branch: list[tuple[PlanMember, bool]] = []
        self._branch_ids: set[PeerId] = set()
        self._places: dict[str, int] = {}
        self.weights: tuple[float, ...] = ()
        """Of the stripes of an origin's own group."""
        self._below: list[int] = []
        self._home: dict[str, int] = {}
        self._known: tuple[PlanMember, ...] = ()
        self._met: set[str] = set()

    @property
    def version(self) -> int:
        return self._plan.version if self._plan else 0

    @property
    def plan(self) -> Plan | None:
        return self._plan

    def adopt(self, plan: Plan) -> bool:
        """Take a newer plan; False if it is older (of the same origin) or not about this node."""
        if not _well_formed(plan):
            return False  # no origin makes that
        if self._plan and self._plan.origin == plan.origin and plan.version <= self.version:
            return False
        if plan.origin != self._me and not _names(plan, self._me):
            return False
        self.forget()
        self._plan = plan
        if plan.origin == self._me:
            home = plan.groups[0]
            found = _layout_of(plan, 0)
            self._stripes = found.stripes
            self._home = {member.id: place for place, member in enumerate(home) if member.id}
            self.weights = found.weights
            self._stripe_of = deal(self._lengths, self.weights)
            return True
        members = plan.groups[plan.group]
        found = _layout_of(plan, plan.group)
        self._stripes = found.stripes
        self._stripe_of = deal(self._lengths, found.weights)
        self._below = groups_below(plan.group, len(plan.groups))
        for group in self._below:
            weights = _layout_of(plan, group).weights
            self._entries_below.append((group, deal(self._lengths, weights)))
        self._branch = self._sent_to(found, plan.place)
        self._places = {member.id: place for place, member in enumerate(members) if member.id}
        self._branch_ids = {PeerId(member.id) for member, _ in self._branch}
        self._acquaint()
        return True

    def _acquaint(self) -> None:
        """Whom to know: those this node sends to."""
        plan = self._plan
        assert plan is not None
        known = [member for member, _ in self._branch]
        if plan.place < self._stripes:
            for group in self._below:
                below = plan.groups[group]
                known += below[: _layout_of(plan, group).stripes]
        self._known = tuple(known[:ACQUAINTANCES_MAX])
        self._met = {member.id for member in self._known}

    def _sent_to(self, found: Layout, place: int) -> list[tuple[PlanMember, bool]]:
        """Whom the machine at a place of this node's group sends to, and whether each passes on."""
        plan = self._plan
        assert plan is not None
        members, stripe = plan.groups[plan.group], plan.place % found.stripes
        return [
            (members[each], is_inner(each, len(members), found.stripes, stripe))
            for each in found.branches[place]
        ]

    def _behind(self, member: PlanMember) -> list[tuple[PlanMember, bool]]:
        """What a machine of this node's branch passes chunks on to."""
        plan = self._plan
        assert plan is not None
        return self._sent_to(_layout_of(plan, plan.group), self._places[member.id])

    def _reached(self, present: Callable[[PeerId], bool]) -> list[tuple[PlanMember, bool]]:
        """The branch; in the place of an inner node that is not present, its own branch."""
        reached: list[tuple[PlanMember, bool]] = []
        waiting = list(self._branch)
        while waiting and len(reached) < ACQUAINTANCES_MAX:
            member, passes_on = waiting.pop(0)
            if present(PeerId(member.id)):
                reached.append((member, passes_on))
            elif passes_on:
                waiting += self._behind(member)
        return reached

    def orphans(self, present: Callable[[PeerId], bool]) -> tuple[PlanMember, ...]:
        """Machines to be met beside the acquaintances: those behind an inner node that is not
        present. Each is named once; who stands behind it is, if it is not there the next time."""
        if self._plan is None or self._plan.place < 0 or self.alone:
            return ()
        orphans: list[PlanMember] = []
        waiting = list(self._branch)
        while waiting and len(orphans) < ACQUAINTANCES_MAX:
            member, passes_on = waiting.pop(0)
            if present(PeerId(member.id)):
                continue
            if member.id not in self._met:
                orphans.append(member)
            elif passes_on:
                waiting += self._behind(member)
        self._met.update(member.id for member in orphans)
        return tuple(orphans)

    def forget(self) -> None:
        """The plan's origin is gone; should it come back, it counts its versions anew."""
        self._plan = None
        self._stripes = 0
        self._branch = []
        self._branch_ids = set()
        self._places = {}
        self._below = []
        self._entries_below = []
        self._stripe_of = ()
        self.weights = ()
        self._home = {}
        self._known = ()
        self._met = set()

    # --- the origin's reading --------------------------------------------------------------------

    def entry(self, stripe: int) -> PeerId | None:
        """To whom the origin gives this stripe's chunks; None without a plan."""
        if self._plan is None or not self._home:
            return None
        return PeerId(self._plan.groups[0][stripe].id)

    @property
    def entries(self) -> int:
        """How many machines the origin gives chunks to by the plan."""
        return self._stripes if self._home else 0

    def fellows(self, one: PeerId, two: PeerId) -> bool:
        """Whether what one of them gets comes to the other by the plan; so without a plan."""
        return not self._home or (one in self._home and two in self._home)

    def stripe_of(self, index: int) -> int:
        """The stripe of a chunk in this node's group, for the origin in its own; needs a plan."""
        return self._stripe_of[index]

    # --- an inner node's reading -----------------------------------------------------------------

    def is_inner(self, index: int) -> bool:
        """Whether this node is an inner node of the chunk's stripe."""
        plan = self._plan
        return (
            plan is not None
            and plan.place >= 0
            and bool(self._branch)
            and self._stripe_of[index] == plan.place % self._stripes
        )

    def course(self) -> tuple[Sequence[int], int, int, int]:
        """What `Frontier.planned` is told: how chunks come to this node by the plan."""
        plan = self._plan
        assert plan is not None
        size = len(plan.groups[max(plan.group, 0)])
        lag = size if self._stripes == size else self._stripes * depth(size, self._stripes)
        lag += self._stripes * groups_above(max(plan.group, 0), len(plan.groups))
        inner_of = 0
        if not self.alone:  # in one star nobody stands behind anybody
            inner_of = sum(1 << i for i in range(len(self._lengths)) if self.is_inner(i))
        return self._stripe_of, self._stripes, lag, inner_of

    @property
    def alone(self) -> bool:
        """One star, or no plan: everybody near is a mate, also who joined after the plan."""
        plan = self._plan
        return plan is None or (len(plan.groups) == 1 and len(plan.groups[0]) <= STAR_MAX)

    def passes_to(self, peer: PeerId) -> bool:
        """Whether the plan names this machine among those that this node passes chunks to."""
        return peer in self._branch_ids

    def targets(self, index: int, present: Callable[[PeerId], bool]) -> list[tuple[PeerId, bool]]:
        """Whom this node passes a chunk to, in order, and whether each passes it on. Who is not
        present is passed over, and those it would send to are sent to from here."""
        plan = self._plan
        if plan is None or plan.place < 0 or not self._branch:
            return []
        targets: list[tuple[PeerId, bool]] = []
        if plan.place < self._stripes:
            for group, stripe_of in self._entries_below:
                targets.append((PeerId(plan.groups[group][stripe_of[index]].id), True))
        targets += [(PeerId(member.id), passes_on) for member, passes_on in self._reached(present)]
        return targets

    def telling(self) -> list[tuple[PeerId, Plan]]:
        """Whom this node tells of the plan, each with its own place in it."""
        plan = self._plan
        if plan is None:
            return []
        told: list[tuple[PeerId, Plan]] = []
        if plan.place < 0:
            few = sum(len(members) for members in plan.groups) <= TOLD_MAX
            if not few:
                return [_told(plan, 0, place) for place in range(self._stripes)]
            for group, members in enumerate(plan.groups):
                told += [_told(plan, group, place) for place, m in enumerate(members) if m.id]
            return told
        if plan.place % self._stripes >= TELLING_STRIPES:
            return told
        told += [_told(plan, plan.group, self._places[member.id]) for member, _ in self._branch]
        if plan.place < self._stripes:
            for group in self._below:
                stripes = _layout_of(plan, group).stripes
                told += [
                    _told(plan, group, place) for place in range(min(TELLING_STRIPES, stripes))
                ]
        return told

    def acquaintances(self) -> tuple[PlanMember, ...]:
        """Everyone this node passes chunks to by the plan."""
        plan = self._plan
        if plan is None:
            return ()
        if plan.place < 0:
            return tuple(plan.groups[0][: self._stripes])
        return self._known


def _well_formed(plan: Plan) -> bool:
    """Whether an origin can have made it: nobody stands at two places, and a place is empty only in
    a striped group and is no entry's. Others would have chunks go in circles."""
    if not plan.groups or not all(plan.groups) or plan.fanout not in FANOUTS:
        return False
    there = [member.id for members in plan.groups for member in members if member.id]
    if len(set(there)) < len(there):
        return False
    for group, members in enumerate(plan.groups):
        extra = len(groups_below(group, len(plan.groups)))
        entries = members[: stripes_of(len(members), plan.fanout, extra)]
        if not all(member.id for member in entries):
            return False
    return True


def _names(plan: Plan, me: PeerId) -> bool:
    """Whether the plan has this node at the place it says."""
    if not 0 <= plan.group < len(plan.groups):
        return False
    members = plan.groups[plan.group]
    return 0 <= plan.place < len(members) and members[plan.place].id == me


def _layout_of(plan: Plan, group: int) -> Layout:
    members = plan.groups[group]
    extra = len(groups_below(group, len(plan.groups)))
    stripes = stripes_of(len(members), plan.fanout, extra)
    return layout(bytes(bool(member.id) for member in members), stripes, extra)


def _told(plan: Plan, group: int, place: int) -> tuple[PeerId, Plan]:
    peer = PeerId(plan.groups[group][place].id)
    return peer, Plan(plan.swarm, plan.version, plan.origin, plan.fanout, plan.groups, group, place)

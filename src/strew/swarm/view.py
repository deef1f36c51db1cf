"""One node's reading of the newest plan it has: whom it passes which chunk to."""

from __future__ import annotations

from collections.abc import Callable

from strew.messages import PeerId, Plan, PlanMember
from strew.swarm.plan import FANOUTS, STAR_MAX, branch, groups_below, ring, stripes_of

ACQUAINTANCES_MAX = 3 * STAR_MAX
"""Machines one plan can make a node dial: the mates of a star and the entries of two below it."""

TOLD_MAX = 64
"""An origin tells so many machines of its plan itself; more hear it from each other."""

TELLING_STRIPES = 2
"""A plan travels down so many stripes: everyone hears it twice, lest one death hide it."""


class PushView:
    """One node's reading of the newest plan it has."""

    def __init__(self, me: PeerId) -> None:
        self._me = me
        self._plan: Plan | None = None
        self._stripes = 0
        self._branch: list[tuple[int, PeerId]] = []
        self._branch_ids: set[PeerId] = set()
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
        if not plan.groups or not all(plan.groups) or plan.fanout not in FANOUTS:
            return False  # no origin makes that
        if self._plan and self._plan.origin == plan.origin and plan.version <= self.version:
            return False
        if plan.origin != self._me and not _names(plan, self._me):
            return False
        self.forget()
        self._plan = plan
        if plan.origin == self._me:
            home = plan.groups[0]
            self._stripes = stripes_of(len(home), plan.fanout)
            self._home = {member.id: place for place, member in enumerate(home) if member.id}
            return True
        members = plan.groups[plan.group]
        size = len(members)
        self._stripes = stripes_of(size, plan.fanout)
        self._below = groups_below(plan.group, len(plan.groups))
        if self._stripes == size:
            places = ring(plan.place, size)
        else:
            places = branch(plan.place, size, self._stripes, len(self._below))
        self._branch = [(place, PeerId(members[place].id)) for place in places]
        self._branch_ids = {peer for _, peer in self._branch}
        self._acquaint()
        return True

    def _acquaint(self) -> None:
        """Whom to know: those this node sends to, and for empty places those behind them."""
        plan = self._plan
        assert plan is not None
        members = plan.groups[plan.group]
        known = [members[place] for place, _ in self._reached(lambda peer: True)]
        if plan.place < self._stripes:
            for group in self._below:
                below = plan.groups[group]
                known += below[: stripes_of(len(below), plan.fanout)]
        self._known = tuple([member for member in known if member.id][:ACQUAINTANCES_MAX])
        self._met = {member.id for member in self._known}

    def _reached(self, present: Callable[[PeerId], bool]) -> list[tuple[int, PeerId]]:
        """The branch; in the place of an inner node that is not present, its own branch."""
        plan = self._plan
        assert plan is not None
        members = plan.groups[plan.group]
        if self._stripes == len(members):
            return self._branch
        reached: list[tuple[int, PeerId]] = []
        waiting = list(self._branch)
        while waiting and len(reached) < ACQUAINTANCES_MAX:
            place, peer = waiting.pop(0)
            if peer and present(peer):
                reached.append((place, peer))
            elif place % self._stripes == plan.place % self._stripes:
                behind = branch(place, len(members), self._stripes, len(self._below))
                waiting += [(other, PeerId(members[other].id)) for other in behind]
        return reached

    def orphans(self, present: Callable[[PeerId], bool]) -> tuple[PlanMember, ...]:
        """Machines to be met beside the acquaintances: those behind an inner node that is not
        present. Each is named once; who stands behind it is, if it is not there the next time."""
        plan = self._plan
        if plan is None or plan.place < 0 or self.alone:
            return ()
        members = plan.groups[plan.group]
        orphans: list[PlanMember] = []
        waiting = [place for place, _ in self._branch]
        while waiting and len(orphans) < ACQUAINTANCES_MAX:
            place = waiting.pop(0)
            member = members[place]
            if member.id and present(PeerId(member.id)):
                continue
            if member.id and member.id not in self._met:
                orphans.append(member)
            elif place % self._stripes == plan.place % self._stripes:
                waiting += branch(place, len(members), self._stripes, len(self._below))
        self._met.update(member.id for member in orphans)
        return tuple(orphans)

    def forget(self) -> None:
        """The plan's origin is gone; should it come back, it counts its versions anew."""
        self._plan = None
        self._stripes = 0
        self._branch = []
        self._branch_ids = set()
        self._below = []
        self._home = {}
        self._known = ()
        self._met = set()

    # --- the origin's reading --------------------------------------------------------------------

    def entry(self, tag: int) -> PeerId | None:
        """To whom the origin gives the chunk with this tag; None without a plan."""
        if self._plan is None or not self._home:
            return None
        home = self._plan.groups[0]
        return PeerId(home[tag % self._stripes].id)

    @property
    def entries(self) -> int:
        """How many machines the origin gives chunks to by the plan."""
        return self._stripes if self._home else 0

    def fellows(self, one: PeerId, two: PeerId) -> bool:
        """Whether what one of them gets comes to the other by the plan; so without a plan."""
        return not self._home or (one in self._home and two in self._home)

    # --- an inner node's reading -----------------------------------------------------------------

    @property
    def alone(self) -> bool:
        """One star, or no plan: everybody near is a mate, also who joined after the plan."""
        plan = self._plan
        return plan is None or (len(plan.groups) == 1 and len(plan.groups[0]) <= STAR_MAX)

    def passes_to(self, peer: PeerId) -> bool:
        """Whether the plan names this machine among those that this node passes chunks to."""
        return peer in self._branch_ids

    def targets(self, tag: int, present: Callable[[PeerId], bool]) -> list[tuple[PeerId, bool]]:
        """Whom a chunk with this tag is passed to, in order, and whether each passes it on. Who is
        not present is passed over, and those it would send to are sent to from here."""
        plan = self._plan
        if plan is None or plan.place < 0:
            return []
        size = len(plan.groups[plan.group])
        stripe = tag % self._stripes
        if plan.place % self._stripes != stripe or not self._branch:
            return []
        targets: list[tuple[PeerId, bool]] = []
        if plan.place == stripe:
            for group in self._below:
                members = plan.groups[group]
                entry = tag % stripes_of(len(members), plan.fanout)
                targets.append((PeerId(members[entry].id), True))
        inner = 0 if self._stripes == size else size // self._stripes * self._stripes
        targets += [
            (peer, place < inner and place % self._stripes == stripe)
            for place, peer in self._reached(present)
        ]
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
        told += [_told(plan, plan.group, place) for place, _ in self._reached(lambda peer: True)]
        if plan.place < self._stripes:
            for group in self._below:
                stripes = stripes_of(len(plan.groups[group]), plan.fanout)
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
            return tuple(m for m in plan.groups[0][: self._stripes] if m.id)
        return self._known


def _names(plan: Plan, me: PeerId) -> bool:
    """Whether the plan has this node at the place it says."""
    if not 0 <= plan.group < len(plan.groups):
        return False
    members = plan.groups[plan.group]
    return 0 <= plan.place < len(members) and members[plan.place].id == me


def _told(plan: Plan, group: int, place: int) -> tuple[PeerId, Plan]:
    peer = PeerId(plan.groups[group][place].id)
    return peer, Plan(plan.swarm, plan.version, plan.origin, plan.fanout, plan.groups, group, place)

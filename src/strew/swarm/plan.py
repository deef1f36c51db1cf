"""The plan of groups: made by the origin, read by owners.

Up to `GROUP_MAX` machines form one group, in which an owner passes a chunk straight to everyone.
More machines form several groups (a rack, or a random set), and a chunk goes down a binary tree
over the groups before it is passed on inside each: its owner hands it to one *designate* of each
child group. The tree is rotated so that several groups take turns as its root, and nobody's
uplink is asked for more than group size + 1 copies. Each rack boundary is crossed once a chunk.

With G groups, a chunk that entered at root r finds group g at position p = (g - r) mod G, whose
children stand at 2p + 1 and 2p + 2. A designate is the *twin* of the one that sends: the member
that has the same place in its own group, so that a machine knows few machines of other groups.
"""

from __future__ import annotations

from strew.messages import PeerId, Plan, PlanMember

GROUP_MAX = 24
"""Machines of a group. The tail of a transfer is about (group size + a few per tree level) chunk
times, and each member keeps a connection to every other."""

ROOTS_MAX = 4
"""Groups that take turns as root: the origin keeps connections to no more than these."""

ACQUAINTANCES_MAX = 2 * GROUP_MAX
"""Machines one plan can make a node dial: its group and some twins."""

MEMBERS_MAX = 10_000
"""Machines of a plan: its message stays under a control frame's 1 MiB."""


class PlanMaker:
    """The origin's list of machines, kept in groups that change as little as possible."""

    def __init__(self, me: PeerId) -> None:
        self._me = me
        self._groups: list[tuple[str, list[PlanMember]]] = []
        self._place: dict[PeerId, int] = {}
        self.version = 0
        self.changed = False

    def __len__(self) -> int:
        return len(self._place)

    def add(self, member: PlanMember, zone: str) -> None:
        """A machine takes part; it joins the smallest group of its zone that has room."""
        if member.id in self._place or member.id == self._me or len(self) >= MEMBERS_MAX:
            return
        rooms = [
            (len(members), number)
            for number, (place, members) in enumerate(self._groups)
            if place == zone
        ]
        if not rooms:
            self._groups.append((zone, []))
            number = len(self._groups) - 1
        else:
            size, number = min(rooms)
            if size >= GROUP_MAX:
                number = self._split(number, zone)
        self._groups[number][1].append(member)
        self._place[PeerId(member.id)] = number
        self.changed = True

    def _split(self, number: int, zone: str) -> int:
        """Halve a full group; returns the new one, which has the second half."""
        members = self._groups[number][1]
        moved = members[len(members) // 2 :]
        del members[len(members) // 2 :]
        self._groups.append((zone, moved))
        for member in moved:
            self._place[PeerId(member.id)] = len(self._groups) - 1
        return len(self._groups) - 1

    def remove(self, peer: PeerId) -> None:
        """A machine is gone; an empty group vanishes."""
        number = self._place.pop(peer, None)
        if number is None:
            return
        zone, members = self._groups[number]
        self._groups[number] = (zone, [m for m in members if m.id != peer])
        if not self._groups[number][1]:
            del self._groups[number]
            self._place = {PeerId(m.id): n for n, (_, ms) in enumerate(self._groups) for m in ms}
        self.changed = True

    def make(self, swarm: int) -> Plan:
        """The next version of the plan."""
        self.version += 1
        self.changed = False
        count = len(self._groups)
        roots = min(ROOTS_MAX, count)
        return Plan(
            swarm,
            self.version,
            self._me,
            [i * count // roots for i in range(roots)],
            [list(members) for _, members in self._groups],
        )


class PushView:
    """One node's reading of the newest plan it has. Without a plan every neighbour is a mate."""

    def __init__(self, me: PeerId) -> None:
        self._me = me
        self._plan: Plan | None = None
        self._group_of: dict[str, int] = {}
        self._mine: int | None = None
        self._position = 0

    @property
    def version(self) -> int:
        return self._plan.version if self._plan else 0

    @property
    def plan(self) -> Plan | None:
        return self._plan

    def adopt(self, plan: Plan) -> bool:
        """Take a newer plan; False if it is older (of the same origin) or has an empty group."""
        if not all(plan.groups):
            return False  # no origin makes that; there would be no twin in it
        if self._plan and self._plan.origin == plan.origin and plan.version <= self.version:
            return False
        self._plan = plan
        self._group_of = {m.id: g for g, members in enumerate(plan.groups) for m in members}
        self._mine = self._group_of.get(self._me)
        self._position = 0
        if self._mine is not None:
            ids = [m.id for m in plan.groups[self._mine]]
            self._position = ids.index(self._me)
        return True

    def forget(self) -> None:
        """The plan's origin is gone; should it come back, it counts its versions anew."""
        self._plan = None
        self._group_of = {}
        self._mine = None
        self._position = 0

    def group_of(self, peer: PeerId) -> int:
        """The number of its group; 0 for a machine the plan does not have."""
        return self._group_of.get(peer, 0)

    def is_mate(self, peer: PeerId) -> bool:
        """Whether an owner passes its chunks to this neighbour."""
        if self._plan is None or len(self._plan.groups) <= 1:
            return True  # who joined after the plan was made is a mate as well
        return self._mine is not None and self._group_of.get(peer) == self._mine

    def receives_from_origin(self, peer: PeerId) -> bool:
        """Whether the origin gives chunks to this neighbour."""
        if self._plan is None or len(self._plan.groups) <= 1:
            return True
        return self._group_of.get(peer) in self._plan.roots

    def designates(self, root: int) -> list[PeerId]:
        """Whom an owner hands a chunk that entered at group `root`: one of each child group."""
        if self._plan is None or self._mine is None:
            return []
        count = len(self._plan.groups)
        at = (self._mine - root) % count
        children = [c for c in (2 * at + 1, 2 * at + 2) if c < count]
        return [self._twin((c + root) % count) for c in children]

    def _twin(self, group: int) -> PeerId:
        assert self._plan is not None
        members = self._plan.groups[group]
        return PeerId(members[self._position % len(members)].id)

    def acquaintances(self) -> tuple[PlanMember, ...]:
        """Everyone this node passes chunks to or gets them from by the plan, itself left out."""
        plan = self._plan
        if plan is None or self._mine is None:
            return ()
        known = {m.id: m for m in plan.groups[self._mine]}
        for root in plan.roots:
            for peer in self.designates(root):
                members = plan.groups[self._group_of[peer]]
                known[peer] = members[self._position % len(members)]
        known.pop(self._me, None)
        return tuple(known.values())[:ACQUAINTANCES_MAX]

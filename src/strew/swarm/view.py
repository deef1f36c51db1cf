"""One node's view of the plans it was told: the newest, and those before it.

A chunk goes down by the plan by which the origin gave it, which its header names: those that are on
their way when a new plan comes end it by the old one, while the next ones take the new. Were all to
go by the newest, every change would leave to layer 2 what a fleet has on its way (simulated, 200
machines of which a tenth is left out: 80 chunks of each machine).
"""

from __future__ import annotations

from collections.abc import Callable, Sequence

from strew.messages import PeerId, Plan, PlanMember
from strew.swarm.standing import Standing, is_sound

TAGS = 255
"""A plan's tag in a chunk's header is its version modulo this, plus 1; 0 names none."""

PLANS_KEPT = 4
"""Machines that go one after the other make a plan a period, and the origin begins to give by it
not long before the next: with two kept, whatever was on its way by the one before these was lost to
layer 1 (`python -m bench.deaths`). This many last for two periods and more, longer than a chunk is
on its way."""


class PushView:
    """One node's reading of the plans it has; `lengths` are those of the chunks."""

    def __init__(self, me: PeerId, lengths: Sequence[int]) -> None:
        self._me = me
        self._lengths = tuple(lengths)
        self._now: Standing | None = None
        self._before: tuple[Standing, ...] = ()  # the newest first
        self._gives: Standing | None = None  # an origin's; the one before until the new one settled
        self._home: set[str] = set()

    @property
    def version(self) -> int:
        return self._now.plan.version if self._now else 0

    @property
    def tag(self) -> int:
        """That of the plan by which this node sends chunks that came by none."""
        return _tag(self._gives or self._now)

    def knows(self, tag: int) -> bool:
        """Whether a chunk of this tag need not wait for its plan: it was told, or is so old that it
        is no longer kept, or all that are near get the chunk."""
        return self.alone or tag == 0 or not self._is_newer(tag)

    @property
    def plan(self) -> Plan | None:
        return self._now.plan if self._now else None

    def adopt(self, plan: Plan) -> bool:
        """Take a newer plan; False if it is older (of the same origin) or not about this node."""
        if not is_sound(plan, self._me):
            return False
        before = () if self._now is None else (self._now, *self._before)[: PLANS_KEPT - 1]
        if before and before[0].plan.origin != plan.origin:
            before = ()
        if before and plan.version <= before[0].plan.version:
            return False
        self._now, self._before = Standing(plan, self._lengths), before
        if not before or self._now.alone or not self._now.origins:
            self.settle()  # in one star there is no way that could take long
        return True

    @property
    def settled(self) -> bool:
        """Whether an origin gives by the newest plan."""
        return self._gives is self._now or self._now is None or not self._now.origins

    def settle(self) -> None:
        """Those whom the newest plan names had time to hear of it: an origin gives by it now."""
        self._gives = self._now if self._now is not None and self._now.origins else None
        self._home = set()
        if self._gives is not None:
            self._home = {member.id for member in self._gives.plan.groups[0] if member.id}

    def forget(self) -> None:
        """The plan's origin is gone; should it come back, it counts its versions anew."""
        self._now = self._gives = None
        self._before = ()
        self._home = set()

    # --- the origin's reading --------------------------------------------------------------------

    def entry(self, stripe: int) -> PeerId | None:
        """To whom the origin gives this stripe's chunks; None without a plan."""
        return None if self._gives is None else PeerId(self._gives.plan.groups[0][stripe].id)

    @property
    def entries(self) -> int:
        """How many machines the origin gives chunks to by the plan."""
        return 0 if self._gives is None else self._gives.stripes

    @property
    def weights(self) -> tuple[float, ...]:
        """The parts of the file of the stripes of an origin's own group, in proportion."""
        return () if self._gives is None else self._gives.weights

    def fellows(self, one: PeerId, two: PeerId) -> bool:
        """Whether what one of them gets comes to the other by the plan; so without a plan."""
        return not self._home or (one in self._home and two in self._home)

    def stripe_of(self, index: int) -> int:
        """The stripe of a chunk in this node's group, for the origin in its own; needs a plan."""
        standing = self._gives or self._now
        assert standing is not None
        return standing.stripe_of[index]

    # --- an inner node's reading -----------------------------------------------------------------

    def is_inner(self, index: int, tag: int = 0) -> bool:
        """Whether this node is an inner node of the chunk's stripe, in the plan of this tag."""
        standing = self._of(tag)
        return standing is not None and standing.is_inner(index)

    @property
    def alone(self) -> bool:
        """One star, or no plan: everybody near is a mate, also who joined after the plan."""
        return self._now is None or self._now.alone

    def passes_to(self, peer: PeerId) -> bool:
        """Whether the plan names this machine among those that this node passes chunks to."""
        return self._now is not None and self._now.passes_to(peer)

    def targets(
        self, index: int, present: Callable[[PeerId], bool], tag: int = 0, rotation: int = 0
    ) -> list[tuple[PeerId, bool]]:
        """Whom this node passes a chunk to by the plan of this tag; see `Standing.targets`."""
        standing = self._of(tag)
        return [] if standing is None else standing.targets(index, present, rotation)

    def absent(self, present: Callable[[PeerId], bool]) -> tuple[PeerId, ...]:
        """See `Standing.absent`."""
        return () if self._now is None else self._now.absent(present)

    def orphans(self, present: Callable[[PeerId], bool]) -> tuple[PlanMember, ...]:
        """See `Standing.orphans`."""
        return () if self._now is None else self._now.orphans(present)

    def course(self) -> tuple[Sequence[int], int, int, int]:
        """See `Standing.course`; needs a plan."""
        assert self._now is not None
        return self._now.course()

    def telling(self) -> list[tuple[PeerId, Plan]]:
        """Whom this node tells of the newest plan, each with its own place in it: those that are
        to hear it by that plan, and, with links that are there already, by the one before."""
        if self._now is None:
            return []
        told = dict(self._now.telling())
        if self._before:
            told |= self._now.told(self._before[0].hearers())
        return list(told.items())

    def acquaintances(self) -> tuple[PlanMember, ...]:
        """Everyone this node passes chunks to by the plan."""
        return () if self._now is None else self._now.acquaintances

    def _is_newer(self, tag: int) -> bool:
        """Whether the plan of this tag is one that was not told yet. Tags go around."""
        return 0 < (tag - _tag(self._now)) % TAGS <= TAGS // 2

    def _of(self, tag: int) -> Standing | None:
        """The plan of this tag, or the oldest that is kept if that one is older; the newest for a
        chunk that goes by none or by one that was not told yet."""
        if tag in (0, _tag(self._now)) or self._is_newer(tag):
            return self._now
        for standing in self._before:
            if tag == _tag(standing):
                return standing
        return self._before[-1] if self._before else self._now


def _tag(standing: Standing | None) -> int:
    return 0 if standing is None else 1 + standing.plan.version % TAGS

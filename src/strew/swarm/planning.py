"""The life of a plan on one node: made anew by the origin, told on, and mended where machines lack.

Whoever finds that a machine of its branch is not there sends to those behind it, and nobody need be
asked. A machine that is there and too slow is reported to the origin, up the way the chunks came,
and the next plan leaves it out.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable

from strew.messages import Meet, PeerId, Plan, PlanMember, Unfit
from strew.swarm.neighbour import Neighbour
from strew.swarm.plan import PlanMaker
from strew.swarm.push import OwnerPush
from strew.swarm.state import SwarmState

PLAN_PERIOD_S = 0.3
"""A crowd that joins within this time makes one new plan, not one each."""

MEMBERS_PER_PERIOD = 2000
"""In a fleet this large the period is twice as long: a plan of 10,000 machines is 0.6 MB."""

SETTLE_S = 0.25
"""The origin gives by the plan before for so long: a new one has to travel, and links to be made
(simulated, 200 machines: 0.25 s until all had it and were connected). Must be less than a plan's
period."""

assert SETTLE_S < PLAN_PERIOD_S

LOOK_EVERY_S = 0.25
"""How often a node looks whether those it passes chunks to are there."""

ABSENT_S = 1.0
"""Who is not connected so long after a plan is taken for gone, until it comes."""

LAGGING = 6
"""Chunks waiting to be passed on that make a node with a thin uplink call itself too slow, when
they do at two looks in a row: at first its branch is still connecting (simulated, 1000 machines: a
single one that was left out for that ended at 1.48, and 2.7 % came twice, not 0.4)."""

UNFIT_MAX = 16
"""Machines named in one report."""

UNFIT_WITNESSES = 3
"""Machines that must find another too slow before a plan leaves it out: two may be mistaken, and a
slow one has a sender in each stripe."""

WITNESS_S = 1.0
"""What was said of a machine counts for so long, at most: a thin link has all its witnesses at
once, and everybody has a bad moment in a long transfer. Who still finds it slow says so again."""

LEFT_OUT_RATIO = 0.5
"""No more of the fleet than this is left out, whoever says what."""


class Planning:
    """The plan's side of a swarm; only the origin has a maker."""

    def __init__(self, state: SwarmState, push: OwnerPush) -> None:
        self._state = state
        self._push = push
        self._maker = PlanMaker(state.me, state.zone) if state.origin else None
        self._telling: dict[PeerId, Plan] = {}
        self._reported: Counter[str] = Counter()
        self._found_slow: set[str] = set()
        self._planned_s = 0.0
        self._look_s = 0.0
        self._forget_s = 0.0
        self._left_out = 0
        self._lagged = False
        self.due_s: float | None = None
        """When the origin makes its next plan."""

    # --- the origin ------------------------------------------------------------------------------

    def named(self, members: Iterable[tuple[PlanMember, str]], now: float) -> None:
        """Machines that take part, with their zones."""
        if self._maker is not None:
            for member, zone in members:
                self._maker.add(member, zone)
            self._soon(now)

    def left(self, neighbour: Neighbour, now: float) -> None:
        """A neighbour is gone."""
        if neighbour.origin:
            self._push.view.forget()
        if self._maker is not None:
            self._maker.remove(neighbour.id)
            self._soon(now)

    def _soon(self, now: float) -> None:
        maker = self._maker
        if maker is None or not maker.changed or self.due_s is not None:
            return
        if maker.version == 0:
            self._publish(now)
        else:
            self.due_s = now + PLAN_PERIOD_S * self._patience

    @property
    def _patience(self) -> float:
        """How many times longer a large fleet takes than a small one."""
        return 1.0 + len(self._maker or ()) / MEMBERS_PER_PERIOD

    def _publish(self, now: float) -> None:
        assert self._maker is not None
        self.due_s = None
        if not self._push.view.settled:
            self._give_by_newest(now)  # it was told a period ago
        if self._push.view.adopt(self._maker.make(self._state.key)):
            if self._push.view.settled:
                self._push.giving.planned(now)
            self._adopted(now, mutual=False)

    def _settle(self, now: float) -> None:
        """Give by the newest plan once it has been told."""
        told_s = self._planned_s + SETTLE_S * self._patience
        if not self._push.view.settled and now >= told_s:
            self._give_by_newest(now)

    def _give_by_newest(self, now: float) -> None:
        self._push.view.settle()
        self._push.giving.planned(now)

    # --- everybody -------------------------------------------------------------------------------

    def came(self, plan: Plan, now: float) -> None:
        """A plan from a neighbour."""
        if not self._state.origin and self._push.view.adopt(plan):
            self._adopted(now, mutual=self._push.view.alone)

    def _adopted(self, now: float, mutual: bool) -> None:
        """A new plan: meet whom it names, and tell those who are to hear it from here."""
        view = self._push.view
        self._planned_s = now
        self._reported.clear()
        self._found_slow.clear()
        self._state.frontier.planned(*view.course())
        self._push.planned(now)
        members = view.acquaintances()
        if members:
            self._state.actions.append(Meet(self._state.key, members, mutual))
        self._telling = dict(view.telling())
        for neighbour in self._state.neighbours.values():
            self.greet(neighbour)

    def greet(self, neighbour: Neighbour) -> None:
        """A neighbour came: it may be one that hears of the plan from here."""
        plan = self._telling.get(neighbour.id)
        if plan is not None:
            self._state.tell(neighbour, plan)

    def tick(self, now: float) -> None:
        """Make the plan that is due; see whether those it names are there and keep up."""
        self._settle(now)
        if self.due_s is not None and now >= self.due_s:
            self._publish(now)
        if self._maker is not None:
            self._push.giving.withhold(now)
        if now < self._look_s or self._push.view.alone:
            return
        self._look_s = now + LOOK_EVERY_S
        if now >= self._forget_s:
            self._forget_s = now + WITNESS_S
            self._reported.clear()
            self._found_slow.clear()
        state, view = self._state, self._push.view
        had_time = now >= self._planned_s + ABSENT_S
        if self._maker is not None:
            for owner in self._push.giving.unfit(now):
                self._witness(owner, UNFIT_WITNESSES)
            for member in view.acquaintances():
                entry = state.neighbours.get(PeerId(member.id))
                if entry is None and had_time:
                    self._maker.remove(PeerId(member.id))
                if entry is None or entry.skipped_until_s <= now or entry.id in self._found_slow:
                    continue
                self._found_slow.add(entry.id)
                self._witness(entry.id)
            self._soon(now)
            return
        orphans = view.orphans(state.neighbours.__contains__) if had_time else ()
        if orphans:
            state.actions.append(Meet(state.key, orphans, mutual=False))
        slow = [
            n.id
            for n in state.neighbours.values()
            if n.skipped_until_s > now and view.passes_to(n.id)
        ]
        lags = self._push.backlog >= LAGGING and state.thin_uplink
        if lags and self._lagged:
            slow.append(state.me)
        self._lagged = lags
        self._report(slow)

    # --- the slow --------------------------------------------------------------------------------

    def _report(self, slow: Iterable[str], witnesses: int = 1) -> None:
        """Tell the origin, or whoever last gave this node a chunk to own, what was not told yet by
        so many."""
        news = [peer for peer in slow if self._reported[peer] < witnesses][:UNFIT_MAX]
        giver = self._state.neighbours.get(self._push.giver)
        if not news or giver is None:
            return
        self._reported.update(news)
        self._state.tell(giver, Unfit(self._state.key, news))

    def reported(self, by: Neighbour, peers: list[str], now: float) -> None:
        """A neighbour says that these do not keep up. One that says so of itself needs no other
        witness, here or further up, and is left to layer 2 until the next plan."""
        if self._push.view.alone:
            return
        if by.id in peers:
            by.skip(now)
        if self._maker is None:
            itself = [by.id] * (UNFIT_WITNESSES - 1) if by.id in peers else []
            self._report([*itself, *peers[:UNFIT_MAX]], UNFIT_WITNESSES)
            return
        for peer in peers[:UNFIT_MAX]:
            self._witness(peer, UNFIT_WITNESSES if by.id == peer else 1)
        self._soon(now)

    def _witness(self, peer: str, witnesses: int = 1) -> None:
        """So many machines more found one too slow to pass chunks on."""
        assert self._maker is not None
        self._reported[peer] += witnesses
        if self._reported[peer] >= UNFIT_WITNESSES and self._left_out < LEFT_OUT_RATIO * len(
            self._maker
        ):
            self._left_out += self._maker.leave_out(PeerId(peer))

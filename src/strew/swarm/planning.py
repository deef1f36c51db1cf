"""The life of a plan on one node: made anew by the origin, told on, and mended where machines lack.

Whoever finds that a machine of its branch is not there sends to those behind it, and nobody need be
asked. But it sends twice what others send then, so that is reported to the origin, up the way the
chunks came; the origin looks for itself (strew.swarm.suspects). A machine that is there and is too
slow is reported in the same way, and the next plan leaves it out.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable

from strew.messages import Gone, Meet, PeerId, Plan, PlanMember, Unfit
from strew.swarm.neighbour import Neighbour
from strew.swarm.plan import PlanMaker
from strew.swarm.push import OwnerPush
from strew.swarm.state import SwarmState
from strew.swarm.suspects import Suspects

PLAN_PERIOD_S = 0.3
"""Plans are so far apart, at least."""

GATHER_S = 0.03
"""What is heard within this time makes one plan, also when the last is long ago: machines that are
slow are found one by one."""

MEMBERS_PER_PERIOD = 2000
"""In a fleet this large the period is twice as long: a plan of 10,000 machines is 0.6 MB."""

SETTLE_S = 0.05
"""The origin gives by the plan before for so long: a new one has to travel, and links to be made.
Chunks that overtake it wait for it; until all have it and are linked (simulated, 200 machines: 0.25
s) costs more, because the old plan has branches that lead nowhere. Must be less than a plan's
period."""

assert SETTLE_S < PLAN_PERIOD_S

LOOK_EVERY_S = 0.1
"""How often a node looks whether those it passes chunks to are there."""

ABSENT_S = 1.0
"""Whom a plan has this node pass chunks to, and who is not linked for so long, is taken for gone,
until it comes."""

LAGGING, LAGGING_S = 6, 0.25
"""Chunks waiting to be passed on that make a node with a thin uplink call itself too slow, when
they do for so long: at first its branch is still connecting (simulated, 1000 machines: a single one
that was left out for that ended at 1.48, and 2.7 % came twice, not 0.4)."""

UNFIT_MAX = 16
"""Machines named in one report."""

UNFIT_WITNESSES = 3
"""Machines that must find another too slow before a plan leaves it out: two may be mistaken, and a
slow one has a sender in each stripe."""

SLOW_PART_MAX = 0.5
"""Who finds more of its branch slow than this is slow itself, and no witness: of machines whose
sends stall, three at a time had honest ones left out after 5 s."""

WITNESS_S = 1.0
"""What was said of a machine counts for so long, at most: a thin link has all its witnesses at
once, and everybody has a bad moment in a long transfer. Who still finds it slow says so again."""

GONE_MAX = 128
"""Machines that a node says are gone, until the next plan: its own branch has a dozen."""

LEFT_OUT_RATIO = 0.5
"""No more of the fleet than this is left out, whoever says what."""


class Planning:
    """The plan's side of a swarm; only the origin has a maker."""

    def __init__(self, state: SwarmState, push: OwnerPush) -> None:
        self._state = state
        self._push = push
        self._maker = PlanMaker(state.me, state.zone) if state.origin else None
        self._suspects = Suspects()
        self._gone: dict[PeerId, bool] = {}  # of the plan's, and whether that was told
        self._absent_s: dict[PeerId, float] = {}  # of those it names, since when
        self._telling: dict[PeerId, Plan] = {}
        self._reported: Counter[str] = Counter()
        self._found_slow: set[str] = set()
        self._planned_s = 0.0
        self._look_s = 0.0
        self._forget_s = 0.0
        self._lags_since_s: float | None = None
        self.due_s: float | None = None
        """When the origin makes its next plan."""

    # --- the origin ------------------------------------------------------------------------------

    def named(self, members: Iterable[tuple[PlanMember, str]], now: float, *, seen: bool) -> None:
        """Machines that take part, with their zones: the origin has `seen` them, or others say
        so."""
        if self._maker is not None:
            for member, zone in members:
                if not self._maker.add(member, zone, seen=seen):
                    self._look_for(member, now)
            self._soon(now)

    def left(self, neighbour: Neighbour, now: float) -> None:
        """A neighbour is gone."""
        if neighbour.origin:
            self._push.view.forget()
        if self._maker is not None:
            self._maker.remove(neighbour.id)
            self._soon(now)
        elif self._push.view.passes_to(neighbour.id) and not self._state.have.complete:
            self._tell_gone((neighbour.id,))

    def _soon(self, now: float) -> None:
        maker = self._maker
        if maker is None or not maker.changed or self.due_s is not None:
            return
        if maker.version == 0:
            self._publish(now)
        else:
            next_s = self._planned_s + PLAN_PERIOD_S * self._patience
            self.due_s = max(now + GATHER_S, next_s)

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
        self._gone.clear()
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
            for peer in self._suspects.confirmed(self._state.neighbours.__contains__, now):
                self._maker.remove(peer)
            if self._push.giving.ungiven:
                self._maker.take_back(now)
            self._soon(now)
        if now < self._look_s or self._push.view.alone:
            return
        self._look_s = now + LOOK_EVERY_S
        if now >= self._forget_s:
            self._forget_s = now + WITNESS_S
            self._reported.clear()
            self._found_slow.clear()
        if self._maker is not None:
            self._look_at_entries(self._maker, now)
        else:
            self._look_at_branch(now)

    def _late(self, now: float) -> list[PeerId]:
        """Whom the newest plan has this node pass chunks to, and who did not come in time, whatever
        plans there were meanwhile."""
        absent = self._push.view.absent(self._state.neighbours.__contains__)
        self._absent_s = {peer: self._absent_s.get(peer, now) for peer in absent}
        return [peer for peer, since_s in self._absent_s.items() if now >= since_s + ABSENT_S]

    def _look_at_entries(self, maker: PlanMaker, now: float) -> None:
        """An origin's look."""
        neighbours = self._state.neighbours
        for peer in self._late(now):
            maker.remove(peer)
        for owner in self._push.giving.unfit(now):
            self._witness(owner, now, UNFIT_WITNESSES)
        for member in self._push.view.acquaintances():
            entry = neighbours.get(PeerId(member.id))
            if entry is None or entry.skipped_until_s <= now or entry.id in self._found_slow:
                continue
            self._found_slow.add(entry.id)
            self._witness(entry.id, now)
        self._soon(now)

    def _look_at_branch(self, now: float) -> None:
        """Everybody else's."""
        state, view = self._state, self._push.view
        late = self._late(now)
        self._tell_gone(late if not state.have.complete else ())
        orphans = view.orphans(state.neighbours.__contains__) if late else ()
        if orphans:
            state.actions.append(Meet(state.key, orphans, mutual=False))
        branch = [n for n in state.neighbours.values() if view.passes_to(n.id)]
        lags = self._push.backlog >= LAGGING
        held_up_by = self._push.held_up_by(len(branch)) if lags else ()
        slow = [n.id for n in branch if n.skipped_until_s > now or n.full or n.id in held_up_by]
        if len(slow) > max(1, SLOW_PART_MAX * len(branch)):
            slow = []
        if not lags or held_up_by or not state.thin_uplink:
            self._lags_since_s = None
        elif self._lags_since_s is None:
            self._lags_since_s = now
        elif now >= self._lags_since_s + LAGGING_S:
            slow.append(state.me)
        self._report(slow)

    # --- the gone --------------------------------------------------------------------------------

    def _tell_gone(self, peers: Iterable[PeerId]) -> None:
        """Hand up to the origin that these are not there either; each once a plan, and as soon as
        there is a way."""
        for peer in peers:
            if len(self._gone) < GONE_MAX:
                self._gone.setdefault(peer, False)
        news = [peer for peer, told in self._gone.items() if not told][:UNFIT_MAX]
        giver = self._state.neighbours.get(self._push.giver)
        if news and giver is not None:
            self._gone.update(dict.fromkeys(news, True))
            self._state.tell(giver, Gone(self._state.key, list(news)))

    def went(self, by: Neighbour, message: Gone, now: float) -> None:
        """A neighbour says that these are not there."""
        if self._push.view.alone:
            return
        peers = [PeerId(peer) for peer in message.peers[:UNFIT_MAX]]
        if self._maker is None:
            self._tell_gone(peers)
            return
        for member in filter(None, map(self._maker.member, peers)):
            self._look_for(member, now)

    def _look_for(self, member: PlanMember, now: float) -> None:
        """An origin dials whom others say to be gone, or not to be."""
        peer = PeerId(member.id)
        if peer not in self._state.neighbours and self._suspects.suspect(peer, now):
            self._state.actions.append(Meet(self._state.key, (member,), mutual=False))

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

    def reported(self, by: Neighbour, message: Unfit, now: float) -> None:
        """A neighbour says that these do not keep up. One that says so of itself needs no other
        witness, here or further up, and is left to layer 2 until the next plan."""
        if self._push.view.alone:
            return
        peers = message.peers
        if by.id in peers:
            by.skip(now)
        if self._maker is None:
            itself = [by.id] * (UNFIT_WITNESSES - 1) if by.id in peers else []
            self._report([*itself, *peers[:UNFIT_MAX]], UNFIT_WITNESSES)
            return
        for peer in peers[:UNFIT_MAX]:
            self._witness(peer, now, UNFIT_WITNESSES if by.id == peer else 1)
        self._soon(now)

    def _witness(self, peer: str, now: float, witnesses: int = 1) -> None:
        """So many machines more found one too slow to pass chunks on."""
        assert self._maker is not None
        self._reported[peer] += witnesses
        few = self._maker.left_out < LEFT_OUT_RATIO * len(self._maker)
        if self._reported[peer] >= UNFIT_WITNESSES and few:
            self._maker.leave_out(PeerId(peer), now)

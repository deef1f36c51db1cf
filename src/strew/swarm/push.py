"""Layer 1: chunks that just left the origin go down the stripes of its plan.

Nobody else can have such a chunk, so no consent is needed and no message is lost on it. With
equal machines this is the fluid optimum of Kumar and Ross (HotWeb 2006): each passes on a share
of the file in proportion to its uplink, straight to all others.

Theory of operation. The origin gives each chunk once, to the *entry* of its stripe (`giving`), and
every inner node of the stripe passes it on to its branch, however it came by it: a chunk that was
late by its own way and was fetched by layer 2 goes down from there as if it had come by push. A
receiver whose socket stays full is skipped and asks for the chunk itself; those behind one that is
gone are sent to in its place. Whatever goes wrong here costs a round trip of layer 2 and never a
chunk.
"""

from __future__ import annotations

from collections import deque

from strew.messages import Passed, PeerId, Role
from strew.swarm.giving import CREDIT_IN_ALL, Giving
from strew.swarm.neighbour import Neighbour
from strew.swarm.passing import Backlog
from strew.swarm.state import SwarmState
from strew.swarm.view import PushView

EARLY_GIVERS_MAX = 8
"""Peers whose chunk came before their Join, for whom credit is kept. Mostly it is one origin."""

OFFERED_BATCH = 4
"""Chunks whose credit a lone owner, which has nobody to pass them to, returns at once. Must be
well under `CREDIT_IN_ALL`."""

assert OFFERED_BATCH * 2 < CREDIT_IN_ALL

EARLY_MAX = 64
"""Chunks that wait for the plan they overtook; before more do, the oldest takes what plan there
is."""

AHEAD_MAX = 4
"""Chunks being passed on beside which others may be served; equal machines have 1 or 2."""


class OwnerPush:
    """Both halves of layer 1: giving (at the origin) and passing on (at inner nodes)."""

    def __init__(self, state: SwarmState) -> None:
        self._state = state
        self.view = PushView(state.me, state.lengths)
        self.giving = Giving(state, self.view)
        self._backlog = Backlog(state, self.offered_to_all)
        self._rotation = 0
        self.giver = PeerId("")
        """Who gave the last chunk to own: the way to the origin."""
        self._offered: dict[PeerId, list[int]] = {}
        self._early: deque[tuple[PeerId, int, int]] = deque()
        """What is to be passed on by a plan that was not told yet: giver, chunk, tag."""

    # --- what is to be passed on -----------------------------------------------------------------

    def heeds(self, sender: Neighbour) -> bool:
        """Whether this node passes on what a neighbour tells it to. An origin gives by its own plan
        alone, and in a star nobody but an origin gives: else any machine could have this one's
        uplink send to all what it had already, again and again."""
        return not self._state.origin and (sender.origin or not self.view.alone)

    def own(self, giver: PeerId, index: int, plan: int, now: float) -> None:
        """This node was told to pass on a chunk that it has, by the plan of this tag. One that
        overtook its plan waits for it."""
        self.giver = giver
        if self.view.knows(plan):
            self._pass_on(giver, index, plan, now)
            return
        self._early.append((giver, index, plan))
        if len(self._early) > EARLY_MAX:
            self._pass_on(*self._early.popleft(), now)

    def had(self, giver: PeerId, index: int, plan: int, now: float) -> None:
        """... one that it had already: those behind it lack it only if it is of another stripe."""
        if self.view.is_inner(index, plan):
            self.offered_to_all(giver, index)
        else:
            self.own(giver, index, plan, now)

    def planned(self, now: float) -> None:
        """There is a new plan: chunks that overtook it go down by it."""
        early, self._early = self._early, deque()
        for giver, index, plan in early:
            self.own(giver, index, plan, now)

    def fetched(self, index: int, now: float) -> None:
        """A chunk came by layer 2: as an inner node of its stripe this one passes it on. In a star
        nobody waits for it behind this node, and all ask for it themselves."""
        if self.view.is_inner(index) and not self.view.alone:
            self._pass_on(PeerId(""), index, self.view.tag, now)

    def _pass_on(self, giver: PeerId, index: int, plan: int, now: float) -> None:
        targets = self._targets(giver, index, plan)
        if not targets:
            self.offered_to_all(giver, index)
            return
        self._backlog.add(index, targets, giver, plan)

    def _targets(self, giver: PeerId, index: int, plan: int) -> dict[PeerId, Role]:
        state = self._state
        targets: dict[PeerId, Role] = {}
        self._rotation += 1
        present, rotation = state.neighbours.__contains__, self._rotation
        for peer, owns in self.view.targets(index, present, plan, rotation):
            if peer != giver and self._lacks(peer, index):
                targets[peer] = Role.OWNED if owns else Role.COPIED
        if self.view.alone:
            others = [
                n.id
                for n in state.neighbours.values()
                if n.id != giver
                and not n.origin
                and not self.view.passes_to(n.id)
                and self._lacks(n.id, index)
            ]
            start = rotation % max(1, len(others))
            targets.update((peer, Role.COPIED) for peer in others[start:] + others[:start])
        return targets

    def _lacks(self, peer: PeerId, index: int) -> bool:
        neighbour = self._state.neighbours.get(peer)
        return neighbour is not None and index not in neighbour.have

    def offered_to_all(self, giver: PeerId, index: int) -> None:
        """The chunk was passed on as far as it goes, or need not be: the credit returns."""
        if not giver:
            return
        offered = self._offered.setdefault(giver, [])
        offered.append(index)
        alone = len(self._state.neighbours) <= 1
        if len(offered) >= (OFFERED_BATCH if alone else 1):
            self.return_credit()

    def return_credit(self) -> None:
        """Tell the origin of what was offered to all since the last time.

        Who is not known yet hears it later: its chunk overtook its Join.
        """
        early: dict[PeerId, list[int]] = {}
        for giver, indexes in self._offered.items():
            neighbour = self._state.neighbours.get(giver)
            if neighbour is None:
                early[giver] = indexes[-CREDIT_IN_ALL:]
            elif neighbour.origin:
                self._state.tell(neighbour, Passed(self._state.key, indexes))
        self._offered = early if len(early) <= EARLY_GIVERS_MAX else {}

    # --- filling slots ---------------------------------------------------------------------------

    def fill(self, now: float) -> None:
        """Start what can be started: passing on first, then (at the origin) giving."""
        state = self._state
        while state.slots.free_to_push > 0:
            if not (self._backlog.send_one(now) or (state.origin and self.giving.give_one(now))):
                return

    def tick(self, now: float) -> None:
        """Time passes, whatever else happens. In a tree nobody is left to layer 2 because chunks
        pile up for it: there those are the unlucky ones of a full uplink (simulated: with 5 ms of
        latency 3 of 200 equal machines were left out for it)."""
        if self.view.alone:
            self._backlog.skip_those_behind(now)
        self._backlog.drop_needless(now)
        self.giving.look_again()
        self.return_credit()

    def held_up_by(self, receivers: int) -> list[PeerId]:
        """In a tree; see `Backlog.held_up_by`."""
        return self._backlog.held_up_by(receivers)

    def look_again(self) -> None:
        """Anybody may be able to take a chunk now."""
        self._backlog.look_again()
        self.giving.look_again()

    def sent(self, peer: PeerId) -> None:
        """A chunk left for `peer`, who may take another."""
        self._backlog.sent(peer)
        self.giving.look_again()

    def left(self, peer: PeerId) -> None:
        """A neighbour is gone."""
        self.giving.owner_left(peer)
        self._offered.pop(peer, None)

    def not_sent(self, peer: PeerId, index: int) -> None:
        """A chunk given or passed to `peer` never left."""
        self.look_again()
        self.giving.not_sent(peer, index)

    @property
    def busy(self) -> bool:
        """There is something given or to be passed on."""
        return not self._backlog.is_empty or self.giving.busy

    @property
    def behind(self) -> bool:
        """Too much is to be passed on to serve anybody beside: that would only be late, too."""
        return len(self._backlog) > AHEAD_MAX

    @property
    def backlog(self) -> int:
        """Chunks that wait to be passed on."""
        return len(self._backlog)

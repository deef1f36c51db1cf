"""Swarm: the state machine of one download or seed.

Two layers under one door. Layer 1 (`push`) spreads chunks that just left the origin; layer 2
(`offers`) brings everything else. The swarm owns the facts both share (`state`), feeds each event
to both, and after each event lets layer 1 fill the upload slots first.

Must: nothing is sent that is not verified and stored here; no chunk waits on one neighbour for
ever; every list and message has a limit. Must not: open files, read clocks, throw dice of its own.
"""

from __future__ import annotations

import random
from collections.abc import Callable, Sequence
from typing import Any

from strew.content.bitfield import Bitfield, bits_of, indexes_of
from strew.messages import (
    Action,
    BadChunk,
    Cancel,
    CancelSend,
    ChunkAborted,
    ChunkArriving,
    ChunkCorrupt,
    ChunkNotSent,
    ChunkRotten,
    ChunkSent,
    ChunksFound,
    ChunkStored,
    Close,
    Completed,
    Discard,
    Drop,
    Event,
    Gone,
    Have,
    Leave,
    MembersNamed,
    MessageReceived,
    Nack,
    NeighbourJoined,
    NeighbourLeft,
    Offer,
    Passed,
    PeerId,
    Plan,
    Recheck,
    Renew,
    Request,
    Retiring,
    Role,
    Tick,
    Unfit,
)
from strew.swarm.handover import HandOver
from strew.swarm.haves import Haves
from strew.swarm.liars import BAN_BAD_S, Liars
from strew.swarm.neighbour import Neighbour
from strew.swarm.offers import CREDIT_DEFAULT, STALL_DEFAULT_S, Offers
from strew.swarm.planning import Planning
from strew.swarm.posture import posture_of
from strew.swarm.push import OwnerPush
from strew.swarm.serving import Serving
from strew.swarm.slots import UploadSlots
from strew.swarm.state import PUSHING_MAX_S, SwarmState
from strew.telemetry.timeline import Posture

TICK_S = 0.05
"""How often an active swarm looks at its clocks: a fifth of the shortest patience it has."""

RECHECK_EVERY_S = 0.5
"""A neighbour's complaints about chunks are looked into at most so often."""


class Swarm:
    """One artifact on one node.

    `lengths` are the chunks' lengths in bytes, in order; `have` is what is verified and stored
    here (the swarm keeps and changes its own copy); `slots` is shared by all swarms of the node;
    `fit` is false for a node that fetches only from sources its user named.
    """

    def __init__(
        self,
        key: int,
        me: PeerId,
        lengths: Sequence[int],
        have: Bitfield,
        slots: UploadSlots,
        dice: random.Random,
        *,
        zone: str = "",
        origin: bool = False,
        fit: bool = True,
        credit: int = CREDIT_DEFAULT,
        stall_s: float = STALL_DEFAULT_S,
    ) -> None:
        self.key = key
        self.fit = fit
        self._state = SwarmState(key, me, zone, lengths, have.copy(), slots, dice, origin)
        self._push = OwnerPush(self._state)
        self._haves = Haves(self._state)
        self._serving = Serving(self._state, self._haves)
        self._offers = Offers(self._state, credit, stall_s)
        self._planning = Planning(self._state, self._push)
        self._handover = HandOver(self._state)
        self._pushed: dict[int, tuple[PeerId, int] | None] = {}
        """What comes by push: who is told when it was passed on, and the tag of its plan; None: it
        is not to be."""
        self._pushers: dict[int, PeerId] = {}  # by stripe: who would still send a chunk of it
        self._early_bytes: dict[PeerId, int] = {}
        self._liars = Liars(self._state)
        self._tick_s: float | None = None
        self._said_complete = have.complete
        self._on: dict[type, Callable[[Any, float], None]] = {
            Tick: self._on_tick,
            NeighbourJoined: self._on_joined,
            NeighbourLeft: self._on_left,
            MessageReceived: self._on_message,
            ChunkArriving: self._on_arriving,
            ChunkStored: self._on_stored,
            ChunkCorrupt: self._on_corrupt,
            ChunkAborted: self._on_aborted,
            ChunksFound: self._on_found,
            ChunkRotten: self._on_rotten,
            ChunkSent: self._on_sent,
            ChunkNotSent: self._on_not_sent,
            MembersNamed: self._on_members,
            Retiring: self._on_retiring,
        }
        self._on_wire: dict[type, Callable[[Neighbour, Any, float], None]] = {
            Have: self._on_have,
            Offer: self._on_offer,
            Close: self._on_close,
            Request: self._on_request,
            Renew: self._on_renew,
            Nack: self._on_nack,
            Cancel: self._on_cancel,
            Plan: self._on_plan,
            Passed: self._on_passed,
            Unfit: self._planning.reported,
            Gone: self._planning.went,
            BadChunk: self._on_bad,
        }

    # --- the door --------------------------------------------------------------------------------

    def handle(self, event: Event, now: float) -> list[Action]:
        """Tell the swarm what happened; returns what it wants done, in order."""
        state = self._state
        state.actions = []
        self._on[type(event)](event, now)
        if self._handover.begun:
            self._handover.step(now)
        else:
            self._give_and_take(now)
        self._haves.flush(now)
        if not self._said_complete and state.have.complete:
            self._said_complete = True
            state.actions.append(Completed(self.key))
        if self._tick_s is None and self._active():
            self._tick_s = now + TICK_S
        return state.actions

    def _give_and_take(self, now: float) -> None:
        """Layer 1 first; what it leaves of the slots is offered, and offers are answered."""
        slots = self._state.slots
        if slots.free_to_push > 0:
            self._push.fill(now)
        if self._state.neighbours:
            if slots.free > 0 and not (self._push.behind or self._state.withheld):
                self._serving.offer(now)
            else:
                self._serving.close()
            self._offers.ask(now)

    def deadline(self) -> float | None:
        """When the swarm wants its next `Tick`; None while nothing can become late."""
        return self._tick_s

    def snapshot(self) -> dict[str, Any]:
        """Plain data for status, dashboard and checkers."""
        state = self._state
        return {
            "have_chunks": state.have.count,
            "chunk_count": len(state.lengths),
            "complete": state.have.complete,
            "origin": state.origin,
            **self.traffic(),
            "ungiven": self._push.giving.ungiven if state.origin else 0,
            "plan_version": self._push.view.version,
            "neighbours": [neighbour.snapshot() for neighbour in state.neighbours.values()],
        }

    def traffic(self) -> dict[str, int]:
        """Payload in bytes since the swarm was opened, by where it came from and went."""
        return self._state.traffic()

    @property
    def have(self) -> Bitfield:
        """What is verified and stored; to be read only."""
        return self._state.have

    @property
    def neighbours(self) -> dict[PeerId, Neighbour]:
        """To be read only."""
        return self._state.neighbours

    @property
    def owed(self) -> int:
        """How many chunks only this node has, that somebody could take over."""
        return self._handover.owed.bit_count()

    @property
    def nowhere(self) -> int:
        """What is missing here and at every neighbour, as a bit set."""
        state = self._state
        missing = state.have.bits ^ ((1 << len(state.lengths)) - 1)
        return state.availability.held_by(0, missing)

    def posture(self, now: float) -> Posture:
        """What keeps this node from receiving and sending more; changes nothing."""
        return posture_of(self._state, self._offers, self._serving, now)

    def copies(self) -> int:
        """How many neighbours hold the rarest chunk (0 without chunks counts as many)."""
        state = self._state
        if not state.lengths:
            return 1 << 16
        rarest = state.availability.rarest((1 << len(state.lengths)) - 1)
        return state.availability[next(indexes_of(rarest))]

    def _active(self) -> bool:
        state = self._state
        if not state.neighbours:
            return False
        if not state.have.complete or self._haves.waiting or self._planning.due_s is not None:
            return True
        if self._handover.begun and self._handover.owed:
            return True
        return self._push.busy or any(
            n.sending or not n.have.complete for n in state.neighbours.values()
        )

    # --- time ------------------------------------------------------------------------------------

    def _on_tick(self, event: Tick, now: float) -> None:
        state = self._state
        late_s = now - self._tick_s if self._tick_s is not None else 0.0
        if late_s > TICK_S:
            state.was_late(late_s)
            self._push.giving.was_late(late_s)
        self._tick_s = now + TICK_S if self._active() else None
        state.look_at_others(now)
        state.skip_full_sockets(now)
        self._push.tick(now)
        if state.origin:
            self._push.giving.reclaim(now)
        if self.fit:
            self._planning.tick(now)
        if not (state.have.complete or self._handover.begun):
            self._offers.watch(now)

    def _on_retiring(self, event: Retiring, now: float) -> None:
        self._serving.close()
        self._handover.begin()

    # --- neighbours ------------------------------------------------------------------------------

    def _on_joined(self, event: NeighbourJoined, now: float) -> None:
        state = self._state
        if event.peer in state.neighbours:
            self._forget(state.neighbours[event.peer])  # it was there all along
        near = event.zone == state.zone
        neighbour = Neighbour(
            event.peer, event.have, event.zone, near, event.origin, event.fit, now
        )
        self._liars.joined(neighbour)
        state.joined(neighbour)
        self._haves.joined(neighbour)
        self._push.look_again()
        early_bytes = self._early_bytes.pop(event.peer, 0)
        if event.origin:
            state.received_origin_bytes += early_bytes
        self._planning.greet(neighbour)

    def _on_left(self, event: NeighbourLeft, now: float) -> None:
        neighbour = self._state.neighbours.get(event.peer)
        if neighbour is not None:
            self._forget(neighbour)
            self._planning.left(neighbour, now)

    def _forget(self, neighbour: Neighbour) -> None:
        state = self._state
        self._liars.left(neighbour)
        self._push.left(neighbour.id)
        state.cancel_sends(neighbour)
        self._offers.neighbour_left(neighbour)
        self._serving.left(neighbour)
        state.left(neighbour)
        if not state.neighbours:
            self._push.giving.start_anew()
        elif state.origin:
            self._push.giving.look_for_lost()

    def _on_message(self, event: MessageReceived, now: float) -> None:
        neighbour = self._state.neighbours.get(event.peer)
        if neighbour is None:
            return
        if type(event.message) is Leave:
            self._on_left(NeighbourLeft(event.peer), now)
            return
        handler = self._on_wire.get(type(event.message))
        if handler is not None:
            handler(neighbour, event.message, now)

    def _on_have(self, neighbour: Neighbour, message: Have, now: float) -> None:
        state = self._state
        try:
            bits = bits_of(message.indexes, len(state.lengths))
        except IndexError:
            state.actions.append(Drop(neighbour.id, "have of a chunk that is not", BAN_BAD_S))
            return
        state.neighbour_has(neighbour, bits)
        self._offers.gained(neighbour)

    # --- layer 1's plan --------------------------------------------------------------------------

    def _on_members(self, event: MembersNamed, now: float) -> None:
        self._planning.named(event.members, now, seen=event.seen)

    def _on_plan(self, neighbour: Neighbour, message: Plan, now: float) -> None:
        if self.fit:
            self._planning.came(message, now)

    def _on_passed(self, neighbour: Neighbour, message: Passed, now: float) -> None:
        self._push.giving.credit(neighbour.id, message.indexes, now)

    # --- receiving -------------------------------------------------------------------------------

    def _on_offer(self, neighbour: Neighbour, message: Offer, now: float) -> None:
        self._offers.park(neighbour, now)

    def _on_close(self, neighbour: Neighbour, message: Close, now: float) -> None:
        self._offers.unpark(neighbour)

    def _on_nack(self, neighbour: Neighbour, message: Nack, now: float) -> None:
        self._offers.refused(neighbour, message.index)

    def _on_arriving(self, event: ChunkArriving, now: float) -> None:
        state = self._state
        sender = state.neighbours.get(event.peer)
        index = event.index
        if not 0 <= index < len(state.lengths):
            self._discard(event.peer, index)
            return
        if sender is None:
            self._on_early(event, now)
            return
        pushed = event.role != Role.SERVED
        owned = event.role == Role.OWNED and self._push.heeds(sender)
        asked = index in sender.requested
        if index in state.have or (not asked and self._offers.comes(index)):
            self._discard(sender.id, index)
            self._liars.sent_twice(sender, index)
            if asked:
                self._offers.refused(sender, index)
            elif pushed:
                state.frontier.came_after_all(index)
            if owned and index in state.have:
                self._push.had(sender.id, index, event.plan, now)
            elif owned:
                self._pushed[index] = (sender.id, event.plan)
            return
        if pushed:
            state.pushed(index, now)
            if self._push.view.version:
                self._pushers[self._push.view.stripe_of(index)] = sender.id
            self._pushed[index] = (sender.id, event.plan) if owned else None
        elif sender.origin:
            state.served_until_s = now + PUSHING_MAX_S
        self._offers.arriving(sender, index, now, pushed)

    def _on_early(self, event: ChunkArriving, now: float) -> None:
        """A chunk overtook its sender's Join, which travels on the other connection."""
        if event.index in self._state.have or self._offers.comes(event.index):
            self._discard(event.peer, event.index)
        elif event.role != Role.SERVED:
            owned = event.role == Role.OWNED
            self._pushed[event.index] = (event.peer, event.plan) if owned else None

    def _discard(self, peer: PeerId, index: int) -> None:
        self._state.actions.append(Discard(peer, self.key, index))

    def _on_stored(self, event: ChunkStored, now: float) -> None:
        state = self._state
        sender = state.neighbours.get(event.peer)
        index = event.index
        self._offers.stored(sender, index, now)
        if not state.have.add(index):
            state.duplicated(state.lengths[index])
            return
        length_bytes = state.lengths[index]
        state.received_bytes += length_bytes
        if sender is not None:
            sender.duplicates = 0
            if sender.origin:
                state.received_origin_bytes += length_bytes
        else:
            early_bytes = self._early_bytes.get(event.peer, 0)
            self._early_bytes[event.peer] = early_bytes + length_bytes
        self._haves.note(index, now)
        self._spare_the_pusher(index, event.peer)
        if index not in self._pushed:
            self._push.fetched(index, now)
            return
        pushed = self._pushed.pop(index)
        if pushed is not None:
            giver, plan = pushed
            self._push.own(giver, index, plan, now)

    def _spare_the_pusher(self, index: int, sender: PeerId) -> None:
        """A chunk came in another way than its stripe's: whoever is about to push it hears so."""
        if not self._pushers or not self._push.view.version:
            return
        pusher = self._pushers.get(self._push.view.stripe_of(index))
        neighbour = self._state.neighbours.get(pusher) if pusher is not None else None
        if neighbour is not None and pusher != sender:
            self._haves.catch_up(neighbour)

    def _on_corrupt(self, event: ChunkCorrupt, now: float) -> None:
        state = self._state
        self._pushed.pop(event.index, None)
        sender = state.neighbours.get(event.peer)
        self._liars.sent_bad(event.peer, sender)
        if sender is None:
            return
        self._offers.failed(sender, event.index)
        state.neighbour_lacks(sender, event.index)
        state.tell(sender, BadChunk(self.key, event.index))

    def _on_aborted(self, event: ChunkAborted, now: float) -> None:
        sender = self._state.neighbours.get(event.peer)
        self._pushed.pop(event.index, None)
        if sender is not None:
            self._offers.failed(sender, event.index)

    def _on_found(self, event: ChunksFound, now: float) -> None:
        for index in event.indexes:
            if self._state.have.add(index):
                self._offers.stored(None, index, now)
                self._haves.note(index, now)

    def _on_rotten(self, event: ChunkRotten, now: float) -> None:
        state = self._state
        if state.have.discard(event.index):
            self._said_complete = False

    # --- sending ---------------------------------------------------------------------------------

    def _on_request(self, neighbour: Neighbour, message: Request, now: float) -> None:
        self._requested(neighbour, message.index, now, renew=False)

    def _on_renew(self, neighbour: Neighbour, message: Renew, now: float) -> None:
        self._requested(neighbour, message.index, now, renew=True)

    def _requested(self, by: Neighbour, index: int, now: float, *, renew: bool) -> None:
        """In a tree others wait behind a node that is behind, and it serves nobody beside. In a
        star nobody does, and refusing costs more than it spares (lab, 16 machines: 1.10, not 1.06).
        """
        behind = self._push.behind and not self._push.view.alone
        behind = behind or self._handover.begun
        self._serving.requested(by, index, now, renew=renew, behind=behind)

    def _on_cancel(self, neighbour: Neighbour, message: Cancel, now: float) -> None:
        self._state.actions.append(CancelSend(neighbour.id, self.key, message.index))

    def _on_sent(self, event: ChunkSent, now: float) -> None:
        neighbour = self._state.neighbours.get(event.peer)
        if neighbour is not None:
            self._state.send_ended(neighbour, event.index, now, done=True)
            self._push.sent(event.peer)
            self._handover.sent(event.index, now)

    def _on_not_sent(self, event: ChunkNotSent, now: float) -> None:
        neighbour = self._state.neighbours.get(event.peer)
        if neighbour is not None:
            self._state.send_ended(neighbour, event.index, now, done=False)
            self._push.not_sent(event.peer, event.index)
            self._handover.not_sent(event.index)

    def _on_bad(self, neighbour: Neighbour, message: BadChunk, now: float) -> None:
        if now < neighbour.recheck_due_s:
            return  # nobody makes this node hash its disk without end
        neighbour.recheck_due_s = now + RECHECK_EVERY_S
        if 0 <= message.index < len(self._state.lengths) and message.index in self._state.have:
            self._state.actions.append(Recheck(self.key, message.index))

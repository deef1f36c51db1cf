"""Node: joins swarms and sources of peers; the object that agents and the simulator both run.

A node takes part in any number of swarms over one link to each peer. It decides whom to dial,
tells neighbours which swarms it is in, tells trackers what it holds, and feeds each swarm what
concerns it. What to do when a tracker dies is decided here, not in the agent: sources of peers are
asked side by side, and their names stay known while they are silent.
"""

from __future__ import annotations

import random
from collections.abc import Callable, Sequence
from typing import Any, get_args

from strew.announce.protocol import Holding
from strew.content.bitfield import Bitfield
from strew.errors import ProtocolError
from strew.gossip.gossip import Gossip
from strew.gossip.protocol import Member
from strew.messages import (
    Action,
    ChunkArriving,
    ChunkEvent,
    Closed,
    Completed,
    Discard,
    Disconnect,
    Drop,
    Event,
    Guilt,
    Join,
    Leave,
    Leaving,
    LinkLost,
    LinkUp,
    Meet,
    MembersNamed,
    MessageReceived,
    NeighbourJoined,
    NeighbourLeft,
    Opened,
    PeerId,
    PlanMember,
    Retiring,
    Send,
    StateChanged,
    Tick,
    swarm_key_of,
)
from strew.node.discovery import DISCOVERY_EVENTS, Discovery
from strew.node.participation import Participation, holding_aside
from strew.node.peers import PeerBook
from strew.node.seeking import NEIGHBOURS_DEFAULT
from strew.node.sources import Sources
from strew.publication import Admits, admit_all
from strew.swarm.liars import BAN_BAD_S
from strew.swarm.offers import BAN_STALLED_S, CREDIT_DEFAULT, STALL_DEFAULT_S
from strew.swarm.slots import SLOTS_DEFAULT, UploadSlots
from strew.swarm.swarm import Swarm

LINKS_MAX = 512
"""Links at once that others may bring."""

DIALLED_MAX = 128
"""Links beside these that this node may bring itself: whose places were all taken by others still
reaches the entries of its plan, and finds out who is gone."""

IDLE_LINKS_MAX, IDLE_AFTER_S = 64, 10.0
"""Links kept although nobody lacks anything: a mesh that is up makes the next push quick. None is
idle before: who is at its other end may be about to take part."""

EARLY_HAVE_BYTES_MAX = 128 << 10
"""Longest bitfield kept for later: 2^20 chunks."""

EARLY_JOINS_MAX = 16
"""Joins kept per peer for swarms this node is not in yet: it may be told of them a moment later."""

REFRESH_S = 1.0
"""How often the state told to trackers is renewed while something is being fetched."""

BAN_S = {Guilt.DRIPS: BAN_STALLED_S, Guilt.BREACH: BAN_BAD_S}
"""How long a peer is not dealt with whose link ended by its own fault, as the swarms have it for
neighbours that stall and that send bad chunks. Shorter: it does the same again sooner."""

_FOR_THE_NODE = frozenset((Meet, Drop, Completed))
"""What a swarm wants that the node has a part in; everything else goes on to the shell."""


class Node:
    """See the module. `follows` and `trackers` are what the user configured; `now` the start.

    `host` is told to trackers, which otherwise take the address they see; `reached_at` to members,
    as is `incarnation`, which must grow from one life of this node to the next. `admits` says which
    publications are believed. `seeds`, `is_member` and `known`: see strew.node.sources.
    """

    def __init__(
        self,
        me: PeerId,
        dice: random.Random,
        now: float,
        *,
        zone: str = "",
        port: int = 0,
        host: str = "",
        follows: Sequence[str] = (),
        trackers: Sequence[str] = (),
        slots: int = SLOTS_DEFAULT,
        credit: int = CREDIT_DEFAULT,
        stall_s: float = STALL_DEFAULT_S,
        neighbours: int = NEIGHBOURS_DEFAULT,
        limited: bool = True,
        seeds: Sequence[tuple[str, int]] | None = None,
        is_member: bool = True,
        reached_at: str = "",
        incarnation: int = 0,
        known: Sequence[Member] = (),
        admits: Admits = admit_all,
    ) -> None:
        self.me = me
        self.zone = zone
        self.participations: dict[int, Participation] = {}
        self._aside: dict[int, Holding] = {}  # paused or failed, in no swarm meanwhile
        self._dice = dice
        self.slots = UploadSlots(slots)
        self._credit = credit
        self._stall_s = stall_s
        self._links: dict[PeerId, LinkUp] = {}
        self._linked_s: dict[PeerId, float] = {}
        self._early: dict[PeerId, dict[int, Join]] = {}
        self._discovery = Discovery(
            me,
            dice,
            Sources(
                Member(me, reached_at or host, port, zone, tuple(follows), incarnation),
                dice,
                now,
                host=host,
                trackers=trackers,
                limited=limited,
                seeds=seeds,
                is_member=is_member,
                known=known,
                admits=admits,
            ),
            neighbours,
            self.participations,
            self._links,
            self._early,
            self._to_swarm,
            self._join,
            admits,
        )
        self._refresh_s: float | None = None
        self._slow_due_s: float | None = None
        self._out: list[Action] = []
        self._often: dict[type, Callable[[Any, float], None]] = {
            **dict.fromkeys(get_args(ChunkEvent), self._on_chunk),
            MessageReceived: self._on_message,
            Tick: self._on_tick,
        }

    # --- the door --------------------------------------------------------------------------------

    def handle(self, event: Event, now: float) -> list[Action]:
        """Tell the node what happened; returns what it wants done, in order."""
        self._out = []
        often = self._often.get(type(event))
        if often is not None:
            often(event, now)
        else:
            self._handle_rare(event, now)
            self._look_ahead()
        return self._take()

    def _take(self) -> list[Action]:
        if self._discovery.actions:  # seldom: most events are of chunks
            self._out += self._discovery.actions
            self._discovery.actions.clear()
        return self._out

    def _handle_rare(self, event: Event, now: float) -> None:
        match event:
            case LinkUp():
                self._on_link(event, now)
            case LinkLost():
                self._on_lost(event, now)
            case Opened():
                self._on_opened(event, now)
            case StateChanged():
                self._on_state(event, now)
            case Closed():
                self._on_closed(event, now)
            case Retiring():
                for key in list(self.participations):
                    self._to_swarm(key, event, now)
            case Leaving():
                self._announce(now, leaving=True)
            case _ if isinstance(event, DISCOVERY_EVENTS):
                self._discovery.handle(event, now)
            case _:
                raise AssertionError(f"a node is not told of {type(event).__name__}")

    @property
    def owed(self) -> int:
        """How many chunks only this node has, of those that somebody could take over."""
        return sum(part.swarm.owed for part in self.participations.values())

    @property
    def book(self) -> PeerBook:
        """The peers this node knows of; to be read only."""
        return self._discovery.book

    @property
    def gossip(self) -> Gossip | None:
        """What this node knows of its fleet without a centre; to be read only."""
        return self._discovery.sources.gossip

    @property
    def lookups(self) -> tuple[int, float]:
        """How many searches of the hash table ended, and the seconds they took in all."""
        return self._discovery.sources.lookups

    def deadline(self) -> float | None:
        """When the node wants its next `Tick`."""
        due_s = self._slow_due_s
        for part in self.participations.values():
            swarm_due_s = part.swarm.deadline()
            if swarm_due_s is not None and (due_s is None or swarm_due_s < due_s):
                due_s = swarm_due_s
        return due_s

    def _look_ahead(self) -> None:
        """Remember when anything but a swarm is due; chunks and messages do not change that."""
        due = (self._discovery.next_due_s(), self._refresh_s)
        self._slow_due_s = min((d for d in due if d is not None), default=None)

    def snapshot(self, now: float) -> dict[str, Any]:
        """Plain data for status and dashboard."""
        return {
            "id": self.me,
            "zone": self.zone,
            "links": len(self._links),
            **self._discovery.sources.snapshot(now),
            "bans": self.book.bans(now),
            "swarms": {
                p.artifact: {"state": p.state, "reason": p.reason, **p.swarm.snapshot()}
                for p in self.participations.values()
            },
        }

    def join_fleet(self, now: float) -> list[Action]:
        """The first announce; to be called once, when the port is open."""
        self._out = []
        self._announce(now, urgent=True)
        self._look_ahead()
        return self._take()

    # --- time ------------------------------------------------------------------------------------

    def _on_tick(self, event: Tick, now: float) -> None:
        """Swarms want many of these, everything else a few in a second."""
        for key, part in list(self.participations.items()):
            due = part.swarm.deadline()
            if due is not None and due <= now:
                self._to_swarm(key, event, now)
        if self._slow_due_s is not None and self._slow_due_s <= now:
            self._pass_time(now)
            self._look_ahead()

    def _pass_time(self, now: float) -> None:
        """For all but the swarms."""
        if self._refresh_s is not None and now >= self._refresh_s:
            fetching = [p for p in self.participations.values() if p.state == "fetching"]
            for part in fetching:
                part.look(now)
            self._refresh_s = now + REFRESH_S if fetching else None
            self._announce(now)
            self._discovery.look_again(now)
        self._close_idle(now)
        due_s = self._discovery.sources.announce_due_s()
        if due_s is not None and due_s <= now:
            self._announce(now)  # what goes out is the state of this moment
        self._discovery.tick(now)

    def _close_idle(self, now: float) -> None:
        """Keep no more than a few links over which nothing will come or go."""
        if len(self._links) <= IDLE_LINKS_MAX:
            return
        busy = {peer for peer, since_s in self._linked_s.items() if since_s > now - IDLE_AFTER_S}
        for part in self.participations.values():
            for peer, neighbour in part.swarm.neighbours.items():
                if not (part.swarm.have.complete and neighbour.have.complete):
                    busy.add(peer)
        idle = [peer for peer in self._links if peer not in busy]
        for peer in idle[: len(self._links) - IDLE_LINKS_MAX]:
            self._out.append(Disconnect(peer, "idle"))

    # --- swarms ----------------------------------------------------------------------------------

    def _on_chunk(self, event: ChunkEvent, now: float) -> None:
        self._to_swarm(event.swarm, event, now)

    def _to_swarm(self, key: int, event: Event, now: float) -> None:
        part = self.participations.get(key)
        if part is None:
            if isinstance(event, ChunkArriving):
                self._out.append(Discard(event.peer, event.swarm, event.index))
            return
        for action in part.swarm.handle(event, now):
            if type(action) not in _FOR_THE_NODE:
                self._out.append(action)
            elif isinstance(action, Meet):
                self._discovery.meet(key, action.members, now, mutual=action.mutual)
                self._look_ahead()
            elif isinstance(action, Drop):
                self.book.ban(action.peer, now + action.ban_s, now, action.reason)
                self._out.append(Disconnect(action.peer, action.reason))
            else:
                self._out.append(action)
                self._discovery.completed(key)
                self._look_ahead()

    def _on_opened(self, event: Opened, now: float) -> None:
        key = swarm_key_of(event.artifact)
        self._leave(key, now)
        self._aside.pop(key, None)
        swarm = Swarm(
            key,
            self.me,
            event.lengths,
            event.have,
            self.slots,
            random.Random(self._dice.getrandbits(64)),
            zone=self.zone,
            origin=event.origin,
            fit=not event.only_sources,
            credit=self._credit,
            stall_s=self._stall_s,
        )
        part = self.participations[key] = Participation(swarm, event, now)
        self._discovery.opened(part, event, now)
        for peer in list(self._links):
            early = self._early.get(peer, {}).pop(key, None)
            if not swarm.have.complete or early is not None:
                self._join(key, peer)
            if early is not None:
                self._admit(key, peer, early, now)
        if not swarm.have.complete and self._refresh_s is None:
            self._refresh_s = now + REFRESH_S
        alone = not swarm.have.complete and not self.book.known.get(key)
        self._announce(now, urgent=event.origin or (alone and not event.only_sources))

    def _on_state(self, event: StateChanged, now: float) -> None:
        key = swarm_key_of(event.artifact)
        part = self.participations.get(key)
        if part is None:
            told = holding_aside(event)
            if told is None or told == self._aside.get(key):
                return
            self._aside[key] = told
        elif (part.state, part.reason) == (event.state, event.reason):
            return
        else:
            part.enter(event)
        self._announce(now, urgent=True)

    def _on_closed(self, event: Closed, now: float) -> None:
        key = swarm_key_of(event.artifact)
        if self._leave(key, now) or self._aside.pop(key, None) is not None:
            self._discovery.closed(key)
            self._announce(now)

    def _leave(self, key: int, now: float) -> bool:
        """End what this node does in a swarm; False if it did nothing there."""
        part = self.participations.get(key)
        if part is None:
            return False
        for peer in list(part.swarm.neighbours):
            self._to_swarm(key, NeighbourLeft(peer, "closed"), now)
        for peer in part.joined:
            self._out.append(Send(peer, Leave(key)))
        del self.participations[key]
        return True

    # --- links -----------------------------------------------------------------------------------

    def _on_link(self, event: LinkUp, now: float) -> None:
        places = LINKS_MAX + DIALLED_MAX * event.dialled
        if self.book.banned(event.peer, now) or len(self._links) >= places:
            self._out.append(Disconnect(event.peer, "banned or too many links"))
            return
        self._links[event.peer] = event
        self._linked_s[event.peer] = now
        for key, part in self.participations.items():
            named = any(p.id == event.peer for p in self.book.known.get(key, {}).values())
            if not part.swarm.have.complete or (part.origin and named):
                self._join(key, event.peer)

    def _on_lost(self, event: LinkLost, now: float) -> None:
        self._links.pop(event.peer, None)
        self._linked_s.pop(event.peer, None)
        self._early.pop(event.peer, None)
        self.book.lost(event.peer, now)
        if event.guilt in BAN_S:
            self.book.ban(event.peer, now + BAN_S[event.guilt], now, event.reason)
        for key, part in list(self.participations.items()):
            part.joined.pop(event.peer, None)
            if event.peer in part.swarm.neighbours:
                self._to_swarm(key, NeighbourLeft(event.peer, event.reason), now)
            if not part.swarm.have.complete:
                self._discovery.wants(key, now)

    def _on_message(self, event: MessageReceived, now: float) -> None:
        message = event.message
        if type(message) is Join:
            self._on_join(event.peer, message, now)
            self._look_ahead()
        else:
            if type(message) is Leave:
                self._on_leave(event.peer, message.swarm, now)
            self._to_swarm(message.swarm, event, now)

    def _on_join(self, peer: PeerId, join: Join, now: float) -> None:
        part = self.participations.get(join.swarm)
        if part is None:
            early = self._early.setdefault(peer, {})
            kept = len(early) < EARLY_JOINS_MAX and len(join.have) <= EARLY_HAVE_BYTES_MAX
            if kept:
                early[join.swarm] = join
                if peer in self._links:
                    self._discovery.met(join.swarm, self._links[peer])
            if not kept or not self._discovery.expects(join.swarm):
                # what is not kept must be said again: it is, when this node joins after a Leave
                self._out.append(Send(peer, Leave(join.swarm)))
            return
        if peer in self._links:
            self._join(join.swarm, peer)
            self._admit(join.swarm, peer, join, now)

    def _on_leave(self, peer: PeerId, key: int, now: float) -> None:
        """A peer left one swarm, or was never in it; should it come (back) over the same link, it
        is answered anew."""
        self.book.without(key, peer, now)
        self._early.get(peer, {}).pop(key, None)
        part = self.participations.get(key)
        if part is not None:
            part.joined.pop(peer, None)

    def _join(self, key: int, peer: PeerId) -> None:
        """Tell the peer that this node takes part, once for each link."""
        part = self.participations[key]
        if peer in part.joined or not self._deals(key, peer):
            return
        part.joined[peer] = part.swarm.have.bits
        self._out.append(Send(peer, part.join_message(self.zone)))

    def _deals(self, key: int, peer: PeerId) -> bool:
        """A fetch from named sources deals with nobody else, whoever is linked already."""
        part = self.participations[key]
        if not part.only_sources or part.swarm.have.complete:
            return True
        link = self._links[peer]
        return (link.host, link.port) in self.book.known.get(key, {})

    def _admit(self, key: int, peer: PeerId, join: Join, now: float) -> None:
        """A linked peer takes part: it becomes a neighbour of the swarm."""
        part = self.participations[key]
        if not self._deals(key, peer):
            return
        if join.artifact != part.artifact or join.chunk_count != part.chunk_count:
            return
        try:
            have = Bitfield.from_wire(join.have, part.chunk_count)
        except ProtocolError:
            misfit = "bitfield that does not fit the artifact"
            self.book.ban(peer, now + BAN_BAD_S, now, misfit)
            self._out.append(Disconnect(peer, misfit))
            return
        link = self._links[peer]
        if part.origin and join.fit and not have.complete and link.port:
            member = (PlanMember(peer, link.host, link.port), join.zone)
            self._to_swarm(key, MembersNamed((member,), seen=True), now)
        event = NeighbourJoined(peer, have, join.zone, join.origin, join.fit, link.dialled)
        self._to_swarm(key, event, now)
        self._out += [Send(peer, news) for news in part.news_for(peer)]

    def _announce(self, now: float, *, urgent: bool = False, leaving: bool = False) -> None:
        """Tell all sources of peers what this node holds."""
        self._discovery.tell(self._aside, now, urgent=urgent, leaving=leaving)

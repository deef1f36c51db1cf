"""Sources: whoever names peers to this node. Trackers, gossip and the distributed hash table.

They stand side by side: the node tells all of them what it holds, asks all of them, and hears any
of them. None is believed over a dial, any may be absent, and what one named stays known while it is
silent. There is no switch between them.

* **Trackers** (strew.announce) know who follows and who holds.
* **Gossip** (strew.gossip) has every member with what it follows, so that whoever publishes knows
  at once who will take part; it carries the publication to them, and what each holds to everybody.
* **The hash table** (strew.dht) is asked while no peer is there: it needs one known address.
"""

from __future__ import annotations

import random
from collections.abc import Collection, Iterable, Sequence
from dataclasses import asdict
from typing import Any

from blake3 import blake3

from strew.announce.announcer import (
    AnnounceAnswered,
    AnnounceFailed,
    Announcer,
    CatalogueForgotten,
    HoldingsChanged,
    Nudge,
)
from strew.announce.handout import NEIGHBOURS
from strew.announce.protocol import HOLDINGS_MAX, WANTS_MAX, Announce, Holding, Peer
from strew.announce.reference import follower_of, follows
from strew.announce.registry import spread_of
from strew.content.digest import ArtifactId
from strew.dht.contact import key_of, node_id_of
from strew.dht.dht import Dht
from strew.dht.events import ContactNamed, DhtSnapshot, Find, Provide, Withdraw
from strew.dht.krpc import Krpc
from strew.gossip import holdings
from strew.gossip.gossip import Gossip, Spread, TrustChanged
from strew.gossip.holdings import HoldingsTold
from strew.gossip.membership import MemberCame
from strew.gossip.protocol import Holder, Member, told_follows
from strew.messages import (
    Action,
    DatagramReceived,
    Event,
    Leaving,
    Tick,
    swarm_key_of,
)
from strew.node.participation import Participation
from strew.publication import Admits, Publication, admit_all

Address = tuple[str, int]

SAMPLE = NEIGHBOURS
"""Members named for one swarm: as many as a tracker hands out. The graph of all is random with
nearly even degrees, two thirds of its links local."""

HOLDERS_NAMED = 12
"""Machines that hold all of it, named beside them: a late one must not meet only the empty."""

PROVIDERS_PER_S = 30.0
"""A fleet that is done at once enters itself into the hash table one machine after the other: the
same few nodes keep all those entries."""

WAYS_IN = 12
"""Members of an earlier life by which the hash table is joined beside the seeds, lest all begin at
the one address that all were given."""

FIND_EVERY_S = 5.0
"""How often the hash table is asked for one artifact while no peer is there."""

_FOR_TRACKERS = (AnnounceAnswered, AnnounceFailed, Nudge)


class Sources:
    """See the module. `seeds` are addresses of nodes to begin with. Without (None) there is neither
    gossip nor hash table. A process that lives for one transfer is no `member`: it asks the hash
    table and is told by nobody."""

    def __init__(
        self,
        me: Member,
        dice: random.Random,
        now: float,
        *,
        host: str,
        trackers: Sequence[str],
        limited: bool,
        seeds: Sequence[Address] | None,
        is_member: bool = True,
        known: Sequence[Member] = (),
        admits: Admits = admit_all,
    ) -> None:
        """`me` is this node as members are told of it; `host` what a tracker is, or nothing.
        `known` are members of an earlier life."""
        self._me = me
        self._host = host
        self._follows = me.follows
        self._dice = dice
        self._announcer = Announcer(tuple(trackers), dice, now, limited=limited)
        self.gossip: Gossip | None = None
        """To be read only."""
        self._dht: Dht | None = None
        if seeds is not None:
            own = random.Random(dice.getrandbits(64))
            earlier = own.sample(known, min(WAYS_IN, len(known)))
            ways = (*seeds, *((member.host, member.port) for member in earlier))
            self._dht = Dht(node_id_of(me.id), own, now, me.port, ways, read_only=not is_member)
            if is_member:
                claim = Member(
                    me.id, me.host, me.port, me.zone, told_follows(me.follows), me.incarnation
                )
                own = random.Random(dice.getrandbits(64))
                self.gossip = Gossip(claim, own, now, seeds, known, admits)
        self._provide_s: dict[ArtifactId, float | None] = {}
        """When each artifact held here is to be entered into the hash table; None once it is."""
        self._found_s: dict[ArtifactId, float] = {}

    # --- events ----------------------------------------------------------------------------------

    def handle(self, event: Event, now: float) -> list[Action]:
        """What a source said, or that time passed."""
        if isinstance(event, _FOR_TRACKERS):
            return self._announcer.handle(event, now)
        actions: list[Action] = []
        if isinstance(event, Tick):
            actions += self._announcer.handle(event, now)
            actions += self._provide(now)
        elif isinstance(event, DatagramReceived) and isinstance(event.message, Krpc):
            return self._dht.handle(event, now) if self._dht is not None else []
        if self.gossip is not None:
            actions += self.gossip.handle(event, now)  # type: ignore[arg-type]
        if self._dht is not None:
            for action in [a for a in actions if isinstance(a, MemberCame)]:
                named = ContactNamed(action.member.host, action.member.port)
                actions += self._dht.handle(named, now)
            if isinstance(event, Tick):
                actions += self._dht.handle(event, now)
        return actions

    def announce_due_s(self) -> float | None:
        """When trackers want to be told: the node tells its newest state just before its Tick."""
        return self._announcer.deadline()

    def deadline(self) -> float | None:
        """When any source wants a Tick."""
        due = [self._announcer.deadline(), *self._provide_s.values()]
        due += [core.deadline() for core in (self.gossip, self._dht) if core is not None]
        return min((due_s for due_s in due if due_s is not None), default=None)

    def snapshot(self, now: float) -> dict[str, Any]:
        """Plain data for status and dashboard."""
        facts: dict[str, Any] = {"announcer": self._announcer.snapshot(now)}
        if self.gossip is not None:
            facts["gossip"] = self.gossip.snapshot()
        if self._dht is not None:
            facts["dht"] = _in_hex(self._dht.snapshot())
        return facts

    # --- telling ---------------------------------------------------------------------------------

    def tell(
        self,
        parts: Collection[Participation],
        aside: Collection[Holding],
        now: float,
        *,
        urgent: bool = False,
        leaving: bool = False,
    ) -> list[Action]:
        """This is what the node holds and wants; `aside` is what it holds in no swarm."""
        newest = list(parts)[-HOLDINGS_MAX:]
        announce = Announce(
            node=self._me.id,
            port=self._me.port,
            zone=self._me.zone,
            host=self._host,
            follows=self._follows,
            holdings=(*aside, *(part.holding() for part in newest))[-HOLDINGS_MAX:],
            wants=tuple(part.artifact for part in newest if part.wants_peers(now))[-WANTS_MAX:],
            leaving=leaving,
        )
        actions = self._announcer.handle(HoldingsChanged(announce, urgent), now)
        if self.gossip is not None:
            told = HoldingsTold((*map(_held_aside, aside), *map(_holding, newest)))
            actions += self.gossip.handle(Leaving() if leaving else told, now)
        if self._dht is not None:
            actions += self._keep_provided(newest, now)
        return actions

    def spread(
        self, publication: Publication, now: float, holders: tuple[Holder, ...] = ()
    ) -> list[Action]:
        """A name was given, here or as a tracker tells, and is where `holders` are: everybody is to
        hear of it."""
        if self.gossip is None:
            return []
        return self.gossip.handle(Spread(publication, holders), now)

    def judge_again(self, now: float) -> list[Action]:
        """Other keys are trusted than before: have all names told again."""
        actions = self._announcer.handle(CatalogueForgotten(), now)
        if self.gossip is not None:
            actions += self.gossip.handle(TrustChanged(), now)
        return actions

    @property
    def here(self) -> Holder:
        """This node as one that holds something."""
        return Holder(self._me.id, self._me.host, self._me.port)

    def _keep_provided(self, parts: Iterable[Participation], now: float) -> list[Action]:
        """Have the hash table name this node for all it holds whole, and for nothing else."""
        assert self._dht is not None
        whole = [part.artifact for part in parts if part.swarm.have.complete]
        for artifact in whole:
            if artifact not in self._provide_s:
                spread_s = self.members / PROVIDERS_PER_S
                self._provide_s[artifact] = now + self._dice.uniform(0.0, spread_s)
        actions: list[Action] = []
        for artifact in [held for held in self._provide_s if held not in whole]:
            del self._provide_s[artifact]
            actions += self._dht.handle(Withdraw(key_of(artifact)), now)
        return actions

    def _provide(self, now: float) -> list[Action]:
        actions: list[Action] = []
        for artifact, due_s in self._provide_s.items():
            if due_s is not None and due_s <= now:
                assert self._dht is not None
                self._provide_s[artifact] = None
                actions += self._dht.handle(Provide(key_of(artifact), self._me.port), now)
        return actions

    # --- asking ----------------------------------------------------------------------------------

    @property
    def lookups(self) -> tuple[int, float]:
        """How many searches of the hash table ended since the start, and what all took, in s."""
        if self._dht is None:
            return 0, 0.0
        table = self._dht.snapshot()
        return table.ended, table.ended_s

    @property
    def members(self) -> int:
        """How many other members are known to live."""
        return self.gossip.living if self.gossip is not None else 0

    @property
    def spread_s(self) -> float:
        """Within how many seconds members should ask one of them for the same manifest."""
        return spread_of(self.members)

    def follows(self, reference: str) -> bool:
        """Whether this node is to take what the reference names."""
        return follows(self._follows, reference)

    def peers(self, artifact: ArtifactId, *, everybody: bool = False) -> tuple[Peer, ...]:
        """Members that hold some of an artifact or follow a name of it: some of them at random, or
        `everybody`, for an origin, which deals to all."""
        if self.gossip is None:
            return ()
        key = swarm_key_of(artifact)
        held = {member.id: (member, of) for member, of in self.gossip.holders(key)}
        is_follower = follower_of(self.references(artifact))

        def takes_part(member: Member) -> bool:
            return member.id in held or is_follower(member.follows)

        if everybody:
            chosen = {member.id: member for member in self.gossip.members() if takes_part(member)}
        else:
            sample = self.gossip.sample(SAMPLE, self._me.zone, takes_part)
            chosen = {member.id: member for member in sample}
            whole = [member for member, of in held.values() if of.whole]
            for member in self._dice.sample(whole, min(HOLDERS_NAMED, len(whole))):
                chosen[member.id] = member
        return tuple(
            Peer(m.id, m.host, m.port, m.zone, complete=m.id in held and held[m.id][1].whole)
            for m in chosen.values()
        )

    def references(self, artifact: ArtifactId) -> list[str]:
        """The names of an artifact that members told of."""
        if self.gossip is None:
            return []
        told = (named.publication for named in self.gossip.names())
        return [of.reference for of in told if of.artifact == artifact]

    def find(self, artifact: ArtifactId, now: float) -> list[Action]:
        """Ask the hash table who holds an artifact, now and then."""
        if self._dht is None or now < self._found_s.get(artifact, 0.0):
            return []
        self._found_s = {a: due_s for a, due_s in self._found_s.items() if due_s > now}
        self._found_s[artifact] = now + FIND_EVERY_S
        return self._dht.handle(Find(key_of(artifact)), now)

    def is_here(self, address: Address) -> bool:
        """Whether this is the node's own address."""
        return address == (self._me.host, self._me.port)


def _in_hex(table: DhtSnapshot) -> dict[str, Any]:
    """The same with keys as text: readers of JSON have no numbers of 160 bits."""
    facts = asdict(table)
    facts["provided"] = [(f"{key:040x}", kept_by) for key, kept_by in table.provided]
    for record in facts["records"]:
        record["target"] = f"{record['target']:040x}"
    return facts


def _holding(part: Participation) -> holdings.Holding:
    """What members are told of one artifact."""
    have = part.swarm.have
    digest = blake3(have.to_wire()).digest(8)
    return holdings.Holding(part.swarm.key, have.count, part.chunk_count, digest, part.state)


def _held_aside(holding: Holding) -> holdings.Holding:
    """The same of what is paused or has failed, in no swarm meanwhile."""
    key = swarm_key_of(holding.artifact)
    return holdings.Holding(key, holding.have_chunks, holding.chunk_count, b"", holding.state)

"""Discovery: which machines a node has to deal with, and how it comes to them.

It hears the sources (strew.node.sources), keeps what they name (strew.node.peers), decides whom to
dial (strew.node.seeking), and remembers publications until somebody is met that has them
(strew.node.news). What to do when a tracker dies is decided here, for all sources alike: those that
are left go on.
"""

from __future__ import annotations

import random
from collections.abc import Callable, Mapping, Sequence

from strew.announce.announcer import AnnounceAnswered, AnnounceFailed, Nudge
from strew.announce.protocol import Handout, Holding, Peer
from strew.announce.reference import follows
from strew.content.digest import ArtifactId
from strew.dht.contact import swarm_of
from strew.dht.events import ProvidersFound
from strew.gossip.exchange import ExchangeAnswered, ExchangeAsked, ExchangeFailed
from strew.gossip.gossip import TrustChanged
from strew.gossip.membership import MemberCame, MemberGone
from strew.gossip.names import NameHeard
from strew.gossip.protocol import Member
from strew.messages import (
    Action,
    DatagramReceived,
    DialDone,
    DialFailed,
    Event,
    Join,
    LinkUp,
    MembersNamed,
    Opened,
    PeerId,
    PlanMember,
    Tick,
    swarm_key_of,
)
from strew.node.news import HANDOUT_WITHIN_S, News, Obtain, Published, PublishedHere, Remembered
from strew.node.participation import Participation
from strew.node.peers import PeerBook
from strew.node.seeking import Seeker
from strew.node.sources import SAMPLE, Sources
from strew.publication import Admits, Publication

DISCOVERY_EVENTS = (
    AnnounceAnswered,
    AnnounceFailed,
    Nudge,
    Published,
    PublishedHere,
    Remembered,
    TrustChanged,
    DialDone,
    DialFailed,
    DatagramReceived,
    ExchangeAsked,
    ExchangeAnswered,
    ExchangeFailed,
)
"""What `Discovery.handle` is told."""

FEW_NEIGHBOURS = 12
"""A fetch with fewer asks its sources again, each second: a graph of less than that degree has
holes."""


class Discovery:
    """One per node, which shares its `participations`, `links` and `early` joins (read only here)
    and lends two hands: `to_swarm` tells a swarm an event, `join` tells a linked peer that this
    node takes part. What is to be done stands in `actions`; the node takes it from there. Of a
    publication that `admits` does not believe nothing is done, whoever tells of it."""

    def __init__(
        self,
        me: PeerId,
        dice: random.Random,
        sources: Sources,
        neighbours: int,
        participations: Mapping[int, Participation],
        links: Mapping[PeerId, LinkUp],
        early: Mapping[PeerId, Mapping[int, Join]],
        to_swarm: Callable[[int, Event, float], None],
        join: Callable[[int, PeerId], None],
        admits: Admits,
    ) -> None:
        self.sources = sources
        self.actions: list[Action] = []
        self._me = me
        self._dice = dice
        self._seeker = Seeker(me, neighbours)
        self._news = News()
        self._participations = participations
        self._links = links
        self._early = early
        self._to_swarm = to_swarm
        self._join = join
        self._admits = admits

    @property
    def book(self) -> PeerBook:
        """The peers this node knows of."""
        return self._seeker.book

    def next_due_s(self) -> float | None:
        """When `tick` should be called."""
        due = (self.sources.deadline(), self._seeker.next_due_s(), self._news.next_due_s())
        return min((due_s for due_s in due if due_s is not None), default=None)

    # --- what happens ----------------------------------------------------------------------------

    def handle(self, event: Event, now: float) -> None:
        """A source said something, or a dial ended."""
        match event:
            case AnnounceAnswered():
                self._heed(self.sources.handle(event, now), now)
                self._on_handout(event.handout, now)
            case Published() | PublishedHere() | Remembered():
                if self._admits(event.publication):
                    self._on_publication(event, now)
            case TrustChanged():
                self._news.keep_only(self._admits)
                self._heed(self.sources.judge_again(now), now)
            case DialDone() | DialFailed():
                self._seeker.dial_ended(event, now)
                self._seek_all(now)
            case _:
                self._heed(self.sources.handle(event, now), now)

    def _on_publication(self, event: Published | PublishedHere | Remembered, now: float) -> None:
        match event:
            case Published():
                due_s = now + event.spread_s + HANDOUT_WITHIN_S
                self._expect(event.publication, None, due_s)
                self._heed(self.sources.spread(event.publication, now), now)
                self._heed(self.sources.handle(Nudge(event.spread_s), now), now)
            case PublishedHere():
                spread = self.sources.spread(event.publication, now, (self.sources.here,))
                self._heed(spread, now)
                self._name_members(event.publication.artifact, now)
            case Remembered():
                here = self.sources.here
                holders = tuple(here if h.id == here.id else h for h in event.holders)
                self._heed(self.sources.spread(event.publication, now, holders), now)
                self._on_name(NameHeard(event.publication, event.holders), now)

    def tick(self, now: float) -> None:
        """Dial who is due; then let the sources' time pass."""
        self._seek_all(now)
        self._heed(self.sources.handle(Tick(), now), now)
        self.actions += self._news.due(now)

    def tell(
        self, aside: Mapping[int, Holding], now: float, *, urgent: bool, leaving: bool
    ) -> None:
        """Tell all sources what this node holds; `aside` is what it holds in no swarm."""
        parts = self._participations.values()
        told = self.sources.tell(parts, aside.values(), now, urgent=urgent, leaving=leaving)
        self._heed(told, now)

    def look_again(self, now: float) -> None:
        """A fetch that has few neighbours asks again, one that has none asks the hash table too."""
        for part in list(self._participations.values()):
            if part.swarm.have.complete or part.only_sources:
                continue
            if len(part.swarm.neighbours) < FEW_NEIGHBOURS:
                self._name_members(part.artifact, now)
            if not part.swarm.neighbours:
                self._heed(self.sources.find(part.artifact, now), now)

    # --- swarms come and go ----------------------------------------------------------------------

    def expects(self, key: int) -> bool:
        """Whether this node is about to take part in a swarm."""
        return self._seeker.expects(key)

    def opened(self, part: Participation, event: Opened, now: float) -> None:
        """This node takes part in a swarm from now on."""
        key = part.swarm.key
        self._seeker.opened(key, event.sources, now)
        if not event.have.complete or event.origin:
            self._seeker.wanting.add(key)
            self.seek(key, now)
            if not event.only_sources:
                if event.origin or len(self.book.known.get(key, ())) < SAMPLE:
                    self._name_members(event.artifact, now)
                if not (event.origin or self.book.known.get(key)):
                    self._heed(self.sources.find(event.artifact, now), now)

    def closed(self, key: int) -> None:
        """It takes no part any more."""
        self._seeker.closed(key)

    def completed(self, key: int) -> None:
        """It lacks nothing any more."""
        self._seeker.wanting.discard(key)

    def wants(self, key: int, now: float) -> None:
        """A swarm lost a neighbour, and could do with another."""
        self._seeker.wanting.add(key)
        self.seek(key, now)

    def meet(self, key: int, members: Sequence[PlanMember], now: float, *, mutual: bool) -> None:
        """A plan has this node pass chunks to these machines."""
        self._seeker.meet(key, members, now, mutual=mutual)
        self.seek(key, now)

    def met(self, key: int, link: LinkUp) -> None:
        """A linked peer takes part in a swarm that this node is not in: it may be waited for."""
        if link.port:
            self.actions += self._news.obtain(key, (link.host, link.port))

    def seek(self, key: int, now: float) -> None:
        """Dial known peers of the swarm until it has neighbours enough."""
        part = self._participations.get(key)
        dials, linked = self._seeker.seek(key, part, self._links.keys(), now)
        self.actions += dials
        if part is not None:
            for peer in linked:
                self._join(key, peer)

    def _seek_all(self, now: float) -> None:
        for key in list(self._seeker.wanting):
            self.seek(key, now)

    # --- publications ----------------------------------------------------------------------------

    def _expect(
        self, publication: Publication, holder: tuple[str, int] | None, due_s: float
    ) -> None:
        """This node is to take part: it begins with the first peer that comes, or asks `holder`."""
        key = swarm_key_of(publication.artifact)
        if key in self._participations:
            return
        self._news.hear(publication, holder, due_s)
        self._seeker.expect(key)
        for peer, link in self._links.items():
            if key in self._early.get(peer, {}):
                self.met(key, link)

    def _on_handout(self, handout: Handout, now: float) -> None:
        for publication in filter(self._admits, handout.publications):
            key = swarm_key_of(publication.artifact)
            self._news.settle(key)
            if key not in self._participations:
                self._seeker.expect(key)
            manifest = handout.manifests.get(publication.artifact, b"")
            self.actions.append(Obtain(publication, manifest))
            self._heed(self.sources.spread(publication, now), now)
        for artifact, peers in handout.peers.items():
            self._on_peers(swarm_key_of(artifact), peers, "tracker", now)

    # --- gossip and the hash table ---------------------------------------------------------------

    def _heed(self, actions: Sequence[Action], now: float) -> None:
        """What sources have to say to the node; everything else goes on to the shell."""
        for action in actions:
            match action:
                case NameHeard():
                    self._on_name(action, now)
                case MemberCame():
                    self._on_member(action.member, now)
                case ProvidersFound():
                    self._on_providers(action, now)
                case MemberGone():
                    pass  # a link that still stands says more than a rumour
                case _:
                    self.actions.append(action)

    def _on_name(self, heard: NameHeard, now: float) -> None:
        """Members tell of a publication. Of a crowd, each asks a holder at a moment of its own, if
        it was not met before."""
        publication = heard.publication
        if self.sources.follows(publication.reference):
            others = [h for h in heard.holders if h.id != self._me]
            holder = (others[0].host, others[0].port) if others else None
            wait_s = self._dice.uniform(0.0, self.sources.spread_s)
            self._expect(publication, holder, now + wait_s)
            self.actions += self._news.due(now)
        self._name_members(publication.artifact, now)

    def _on_member(self, member: Member, now: float) -> None:
        """One came: an origin has something for it."""
        for key, part in list(self._participations.items()):
            if part.origin and part.wants_peers(now):
                references = self.sources.references(part.artifact)
                if any(follows(member.follows, reference) for reference in references):
                    peer = Peer(member.id, member.host, member.port, member.zone)
                    self._on_peers(key, (peer,), "gossip", now)

    def _on_providers(self, found: ProvidersFound, now: float) -> None:
        peers = [
            Peer(PeerId(""), *address, complete=True)
            for address in found.addresses
            if not self.sources.is_here(address)
        ]
        self._on_peers(swarm_of(found.key), peers, "dht", now)

    def _name_members(self, artifact: ArtifactId, now: float) -> None:
        """Members that are or will be in a swarm, as gossip knows them, if this node has a use for
        them: finding them means looking through the whole fleet."""
        key = swarm_key_of(artifact)
        part = self._participations.get(key)
        if part is None:
            lacks, everybody = self._seeker.expects(key), False
        else:
            lacks, everybody = not part.swarm.have.complete, part.origin
        if lacks or everybody:
            peers = self.sources.peers(artifact, everybody=everybody)
            self._on_peers(key, peers, "gossip", now)

    def _on_peers(self, key: int, peers: Sequence[Peer], source: str, now: float) -> None:
        """A source names peers of a swarm this node is in, or is about to be in."""
        part = self._participations.get(key)
        if not peers or not self._seeker.named(key, part, peers, source, now):
            return
        if part is not None and part.origin:
            named = tuple(
                (PlanMember(p.id, p.host, p.port), p.zone)
                for p in peers
                if p.id not in ("", self._me) and not p.complete
            )
            self._to_swarm(key, MembersNamed(named), now)
        self.seek(key, now)

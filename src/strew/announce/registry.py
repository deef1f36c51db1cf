"""A tracker's decisions: (event, view of the state, now) -> (reply, writes).

Theory of operation. Every announce replaces all that is known of its node and renews its lease;
nothing else tells of a node, so a tracker that lost its state is whole again after one interval.
A publication makes every node that follows its name a *member* of the artifact's swarm before it
has heard of it: the first to ask already gets those who will ask next, and the graph is there
when the chunks are. Once a node has announced a `seen` above the publication, it is a member only
by what it holds and wants.

The registry keeps no state of its own: the view is what was stored, and the writes are to be
applied together, before anyone reads again. `now` is unix seconds of a clock that does not jump.
"""

import random
from collections.abc import Iterable
from dataclasses import dataclass

from strew.announce.address import address_of, reachable_host
from strew.announce.allowance import ANNOUNCE_EVERY_S
from strew.announce.decision import Decision, Refused
from strew.announce.handout import SAMPLE, choose_peers, share_of_reply
from strew.announce.naming import PublishAsked, RecordGiven, published, recorded
from strew.announce.protocol import (
    INLINE_MANIFEST_BYTES_MAX,
    PEERS_MAX,
    PUBLICATIONS_MAX,
    Announce,
    Handout,
    Peer,
)
from strew.announce.records import (
    Dealt,
    DropNode,
    NodeRecord,
    PutNode,
    RegistryView,
)
from strew.announce.reference import follows
from strew.announce.tracking import moved_between, record_after
from strew.content.digest import ArtifactId
from strew.messages import PeerId
from strew.publication import Publication
from strew.trust.signing import UNSIGNED, Signatory

FETCHING_INTERVAL_S = 10.0
"""A node with something to fetch. Lower: fresher progress, more load; 5 is the least that the
allowance of a node can sustain."""

IDLE_INTERVAL_S = 30.0
"""A node with nothing to fetch: at 1000 nodes that is 33 announces a second."""

LEASE_INTERVALS = 3
"""Announces a node may miss before it is forgotten: two lost ones are an accident."""

NODES_MAX = 20_000
"""Records a tracker keeps, about 2 kB each with a few holdings."""

SCAN_MAX = 2000
"""Publications matched for one announce; a node that lacks more goes on in its next."""

INLINE_BYTES_PER_REPLY_MAX = 256 << 10
"""Manifests in one handout, all together; a third more in JSON."""

NODES_AT_ONCE = 50
"""Nodes that may all announce at the moment of a publication. A larger fleet is asked to spread
out at SPREAD_NODES_PER_S."""

SPREAD_NODES_PER_S = 1500.0
"""Announces a second that one core takes with some reserve (see bench/announce.py)."""

assert ANNOUNCE_EVERY_S <= FETCHING_INTERVAL_S < IDLE_INTERVAL_S


def spread_of(nodes: int) -> float:
    """Within how many seconds of a publication the announces of so many nodes should come."""
    return max(0, nodes - NODES_AT_ONCE) / SPREAD_NODES_PER_S


@dataclass(frozen=True, slots=True)
class AnnounceReceived:
    """An announce from a connection with this source address, to this address of ours."""

    announce: Announce
    source: str
    reached: str = ""


@dataclass(frozen=True, slots=True)
class LeasesDue:
    """Time to look for leases that ended."""


RegistryEvent = AnnounceReceived | PublishAsked | RecordGiven | LeasesDue


class Registry:
    """Decides; see the module's theory of operation. `dice` choose among equal peers."""

    def __init__(self, dice: random.Random, signatory: Signatory = UNSIGNED) -> None:
        """`signatory` signs names that are asked for; one without keys leaves them unsigned."""
        self._dice = dice
        self._signatory = signatory
        self.own: PeerId | None = None
        """The node that lives in the tracker's own process: it may announce as often as it likes,
        since every push of a user goes through it."""

    def handle(self, event: RegistryEvent, view: RegistryView, now: float) -> Decision:
        """Decide one event. The writes must be applied before the next call."""
        match event:
            case AnnounceReceived():
                return self._announced(event, view, now)
            case PublishAsked():
                return published(event, view, now, self._signatory)
            case RecordGiven():
                return recorded(event, view, now)
            case LeasesDue():
                return _leases_ended(view, now)

    def _announced(self, event: AnnounceReceived, view: RegistryView, now: float) -> Decision:
        announce = event.announce
        host = address_of(event.source, announce.host)
        known = view.node(announce.node)
        if known is not None and known.lease_until_s <= now:
            known = None
        limited = announce.node != self.own
        refusal = _refusal_of(announce, host, known, view, now, limited)
        if refusal is not None:
            return Decision(refusal)
        if announce.leaving:
            handout = Handout(lease_s=0.0, interval_s=IDLE_INTERVAL_S, seen=announce.seen)
            moved = known.swarms if known is not None else frozenset()
            return Decision(handout, (DropNode(announce.node),), moved)

        news, seen, more = _news_for(announce, view)
        told = frozenset(p.artifact for p in news)
        interval_s = _interval_of(announce, busy=bool(news), more=more)
        record = record_after(
            announce, host, known, told, now, lease_s=LEASE_INTERVALS * interval_s
        )
        peers, dealt = self._peers_for(event, record, told, view)
        handout = Handout(
            lease_s=LEASE_INTERVALS * interval_s,
            interval_s=interval_s,
            seen=seen,
            peers=peers,
            publications=news,
            manifests=_small_manifests(news, announce, view),
        )
        return Decision(handout, (PutNode(record), *dealt), moved_between(known, record))

    def _peers_for(
        self,
        event: AnnounceReceived,
        record: NodeRecord,
        told: frozenset[ArtifactId],
        view: RegistryView,
    ) -> tuple[dict[ArtifactId, tuple[Peer, ...]], list[Dealt]]:
        """Peers for each wanted artifact and each one the node is told of in this reply."""
        wanted = list(dict.fromkeys((*event.announce.wants, *sorted(told))))
        peers: dict[ArtifactId, tuple[Peer, ...]] = {}
        dealt: list[Dealt] = []
        given = 0
        for position, artifact in enumerate(wanted):
            tracked = record.holdings.get(artifact)
            origin = tracked is not None and tracked.holding.origin
            limit = share_of_reply(position, len(wanted), given, origin=origin)
            if limit <= 0:
                continue
            sample = PEERS_MAX if origin else SAMPLE
            chosen = choose_peers(
                view.candidates(artifact, record.peer.zone, sample, self._dice),
                asker=record.peer.id,
                zone=record.peer.zone,
                limit=limit,
                dice=self._dice,
            )
            given += len(chosen)
            peers[artifact] = tuple(
                _seen_from(peer, record.peer.host, event.reached) for peer in chosen
            )
            # What the origin gets is everybody: counting it would only shift all by one.
            if chosen and not origin:
                dealt.append(Dealt(artifact, tuple(peer.id for peer in chosen)))
        return peers, dealt


def _refusal_of(
    announce: Announce,
    host: str,
    known: NodeRecord | None,
    view: RegistryView,
    now: float,
    limited: bool,
) -> Refused | None:
    """Why this announce is not taken, None if it is."""
    if not host:
        return Refused("invalid", "the connection has no source address that others could dial")
    for holding in announce.holdings:
        if holding.have_chunks > holding.chunk_count:
            return Refused(
                "invalid",
                f"{holding.artifact}: {holding.have_chunks} chunks held of {holding.chunk_count}",
            )
    if known is None:
        if view.node_count() >= NODES_MAX and not announce.leaving:
            return Refused(
                "limited",
                f"this tracker keeps {NODES_MAX} nodes and has as many",
                "use a second tracker",
                retry_after_s=IDLE_INTERVAL_S,
            )
        return None
    if known.peer.host != host:
        return Refused(
            "denied",
            f"node {announce.node} is known at another address for "
            f"{known.lease_until_s - now:.0f} s more",
            "if its data folder was copied from another machine, give it a folder of its own",
        )
    if limited and not announce.leaving and known.allowance.spent(now) is None:
        return Refused(
            "limited",
            f"more than one announce in {ANNOUNCE_EVERY_S:.0f} s",
            retry_after_s=known.allowance.ready_s(now),
        )
    return None


def _news_for(announce: Announce, view: RegistryView) -> tuple[tuple[Publication, ...], int, bool]:
    """The publications the node follows and has not seen, what it has then seen, and whether
    there may be more."""
    last = view.last_version()
    # Above what we ever gave out: it was another tracker's, or ours before we lost everything.
    since = announce.seen if announce.seen <= last else 0
    if since == last:
        return (), last, False
    news: list[Publication] = []
    scanned = view.publications_since(since, SCAN_MAX)
    for publication in scanned:
        if announce.follows and follows(announce.follows, publication.reference):
            if len(news) == PUBLICATIONS_MAX:
                return tuple(news), news[-1].version, True
            news.append(publication)
    if len(scanned) == SCAN_MAX:
        return tuple(news), scanned[-1].version, True
    return tuple(news), last, False


def _interval_of(announce: Announce, *, busy: bool, more: bool) -> float:
    """When the node should announce again, in seconds."""
    if more:
        return ANNOUNCE_EVERY_S
    fetching = any(holding.state == "fetching" for holding in announce.holdings)
    return FETCHING_INTERVAL_S if fetching or announce.wants or busy else IDLE_INTERVAL_S


def _small_manifests(
    news: Iterable[Publication], announce: Announce, view: RegistryView
) -> dict[ArtifactId, bytes]:
    """The manifests to send along: small ones, of artifacts the node does not hold."""
    held = {holding.artifact for holding in announce.holdings}
    found: dict[ArtifactId, bytes] = {}
    left_bytes = INLINE_BYTES_PER_REPLY_MAX
    for publication in news:
        artifact = publication.artifact
        facts = view.facts(artifact)
        if facts is None or artifact in held or artifact in found:
            continue
        if facts.manifest_bytes > min(INLINE_MANIFEST_BYTES_MAX, left_bytes):
            continue
        raw = view.manifest(artifact)
        if raw is not None:
            found[artifact] = raw
            left_bytes -= len(raw)
    return found


def _seen_from(peer: Peer, asker: str, reached: str) -> Peer:
    """`peer` with the address under which `asker` reaches it."""
    host = reachable_host(peer.host, asker=asker, reached=reached)
    return peer if host == peer.host else Peer(peer.id, host, peer.port, peer.zone)


def _leases_ended(view: RegistryView, now: float) -> Decision:
    gone = view.expired(now)
    moved: set[ArtifactId] = set()
    for peer in gone:
        record = view.node(peer)
        if record is not None:
            moved |= record.swarms
    return Decision(None, tuple(DropNode(peer) for peer in gone), frozenset(moved))

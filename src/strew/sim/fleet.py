"""Fleet: an origin with its tracker and N machines in a virtual network, from publish to the last.

Before the clock starts every machine has joined: it announced itself and follows the name. Time
counts from the moment of the publication, and what each machine then needs (the news, its announce,
the manifest, its connections) takes its time.

A fleet that gossips, beside its tracker or without one, lives for `GATHER_S` before that moment:
its members knew each other all along, but have to come into the hash table and to rest.
"""

from __future__ import annotations

import random
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field

from strew.announce.announcer import Nudge
from strew.announce.records import ArtifactFacts
from strew.announce.registry import spread_of
from strew.content.bitfield import Bitfield
from strew.content.digest import ArtifactId
from strew.gossip.protocol import Member
from strew.messages import Opened, PeerId, Plan, StateChanged
from strew.node import Node, Published, PublishedHere
from strew.node.seeking import NEIGHBOURS_DEFAULT
from strew.publication import Publication
from strew.sim.checkers import Laws
from strew.sim.datagrams import Datagrams
from strew.sim.lengths import chunk_lengths
from strew.sim.manifests import Manifests, manifest_bytes_of
from strew.sim.network import Host, Network
from strew.sim.peers import DONE, SENT, SimPeer
from strew.sim.tracker import ADDRESS, EPOCH_S, FEED_S, SimTracker
from strew.sim.world import World
from strew.swarm.slots import SLOTS_DEFAULT

ARTIFACT = ArtifactId("blake3:" + "5" * 64)
REFERENCE = "sim:input"
FOLLOWS = ("sim:*",)
PORT = 7301
MS_PER_S = 1000

GATHER_S = 20.0
"""Until a fleet that gossips is at rest: what all say of themselves at their start is told by then,
and every table of the hash table is filled. Shorter: that still goes on beside the payload."""

OPEN_S = 0.003
"""A store opens an artifact: the part file, its index."""

FINISH_S = 0.01
"""From the last chunk to the visible file: what of fsync early writeback has left, and a rename."""

MEMBER_BYTES = 58
"""One machine in a plan: its id, address and port in msgpack."""


@dataclass(frozen=True, kw_only=True)
class Terms:
    """What is simulated. Rates are payload bytes/s both ways; ratios are of `rate_bytes_per_s`."""

    nodes: int = 200
    size_bytes: int = 10**9
    chunks: int = 1000
    rate_bytes_per_s: float = 125e6
    origin_ratio: float = 1.0
    latency_s: float = 0.0001
    seed: int = 1
    racks: int = 1
    rack_ratio: float = 4.0
    """How many times more the machines of a rack could send than its link to the core carries."""
    slots: int = SLOTS_DEFAULT
    neighbours: int = NEIGHBOURS_DEFAULT
    limit_s: float = 0.0
    """Virtual seconds until a run is given up; 0 for what a single server would need."""
    trackerless: bool = False
    """No tracker: machines know of each other and of the artifact by gossip and the hash table."""
    gossip: bool = False
    """They gossip beside their tracker; without one they always do."""
    loss: float = 0.0
    """Share of datagrams that is lost. What travels over links is repeated by TCP."""

    @property
    def gossips(self) -> bool:
        """Whether there are datagrams at all."""
        return self.trackerless or self.gossip


@dataclass
class Machine:
    """What one machine is to be, beside the terms: set by scenarios before the fleet is made."""

    up_ratio: float = 1.0
    down_ratio: float = 1.0
    starts_s: float = 0.0
    rack: int = 0
    liar: bool = False
    stalled: bool = False
    cut_off: bool = False
    cold: bool = False
    """It knows no member at its start, but the origin's address."""


@dataclass(frozen=True, slots=True)
class _Identity:
    """Who a machine is, before there is a node."""

    host: Host
    member: Member
    dice: random.Random


@dataclass
class Fleet:
    """Made with its machines; `spread` publishes and lets time pass until all are done."""

    terms: Terms
    machines: Sequence[Machine] = ()
    done: int = 0
    sent_by_origin_bytes: float = 0.0
    publication_s: float = 0.0
    on_done: Callable[[SimPeer], None] | None = None
    peers: list[SimPeer] = field(default_factory=list)

    def __post_init__(self) -> None:
        terms = self.terms
        self.world = World(terms.seed)
        self.laws = Laws(terms.seed)
        rate = terms.rate_bytes_per_s
        machines = self.machines or [
            Machine(rack=number % terms.racks) for number in range(terms.nodes)
        ]
        self.machines = machines
        rack_rate = None
        if terms.racks > 1:
            rack_rate = rate * terms.nodes / terms.racks / terms.rack_ratio
        self.network = Network(
            self.world, terms.latency_s, racks=terms.racks, rack_bytes_per_s=rack_rate
        )
        self.datagrams = Datagrams(self.world, self.network, terms.loss)
        if terms.gossips:
            self.world.now = -GATHER_S
        self.lengths = chunk_lengths(terms.size_bytes, terms.chunks, self.world.dice)
        self._by_address: dict[tuple[str, int], SimPeer] = {}
        self._plan_bytes: dict[int, int] = {}
        up = rate * terms.origin_ratio
        origin = self._identity(self.network.host(up, up, 0))
        self.tracker = SimTracker(self.world, self.network, origin.host)
        self.tracker.alive = not terms.trackerless
        self.manifests = Manifests(
            self.world,
            self.network,
            ARTIFACT,
            manifest_bytes_of(len(self.lengths)),
            None if terms.trackerless else origin.host,
            self.at_address,
            self._located,
        )
        identities = []
        for machine in machines:
            up, down = rate * machine.up_ratio, rate * machine.down_ratio
            identities.append(self._identity(self.network.host(up, down, machine.rack)))
        pairs = list(zip(machines, identities, strict=True))
        self._known = [origin.member]
        self._known += [each.member for machine, each in pairs if machine.starts_s <= 0.0]
        self.origin = self._peer(origin, Machine())
        self.tracker.own(self.origin)
        for machine, identity in pairs:
            peer = self._peer(identity, machine)
            peer.liar, peer.stalled = machine.liar, machine.stalled
            peer.started_s = machine.starts_s
            self.peers.append(peer)
        self.wanted = sum(not (m.liar or m.stalled) for m in machines)

    def _identity(self, host: Host) -> _Identity:
        number = host.number
        member = Member(
            PeerId(f"{self.world.dice.getrandbits(128):032x}"),
            f"10.{number >> 16}.{number >> 8 & 255}.{number & 255}",
            PORT,
            f"rack{host.rack}" if self.terms.racks > 1 else "",
            FOLLOWS,
            round(EPOCH_S * MS_PER_S),
        )
        return _Identity(host, member, random.Random(self.world.dice.getrandbits(64)))

    def _peer(self, identity: _Identity, machine: Machine) -> SimPeer:
        terms, me = self.terms, identity.member
        origin = self._known[0]
        node = Node(
            me.id,
            identity.dice,
            machine.starts_s if terms.gossips and machine.starts_s > 0.0 else self.world.now,
            zone=me.zone,
            port=PORT,
            host=me.host,
            follows=FOLLOWS,
            trackers=() if terms.trackerless else (ADDRESS,),
            slots=terms.slots,
            neighbours=terms.neighbours,
            limited=identity.host.number != 0,
            seeds=((origin.host, origin.port),) if terms.gossips else None,
            reached_at=me.host,
            incarnation=me.incarnation,
            known=() if machine.cold else self._known,
        )
        peer = SimPeer(self, node, identity.host, (me.host, PORT))
        self._by_address[peer.address] = peer
        self.datagrams.listen(peer)
        return peer

    # --- the course ------------------------------------------------------------------------------

    def spread(self) -> None:
        """Publish at time 0 and run until everybody who can be is done."""
        self.gather()
        if self.terms.gossips:
            self.world.at(0.0, self.publish)
        else:
            self.publish()
        limit_s = self.terms.limit_s or 60.0 + 2.0 * self.terms.nodes * self.terms.size_bytes / (
            self.terms.rate_bytes_per_s * min(1.0, self.terms.origin_ratio)
        )
        self.world.run(self._finished, limit_s)

    def gather(self) -> None:
        """Have every machine arrive at its time."""
        for peer in (self.origin, *self.peers):
            if peer.started_s <= 0.0:
                self._arrive(peer)
            else:
                self.world.at(peer.started_s, self._arrive, peer)

    def publish(self) -> None:
        """The origin opens the artifact and gives it a name."""
        self._open(self.origin, Bitfield.full(len(self.lengths)), origin=True)
        publication = self._named()
        if self.terms.gossips:
            self.origin.tell(PublishedHere(publication))
        if self.terms.trackerless:
            return
        self.origin.tell(Nudge())
        told = [p for p in self.peers if p.started_s <= 0.0]
        spread_s = spread_of(len(told) + 1)
        self.world.dice.shuffle(told)
        for place, peer in enumerate(told):
            heard_s = self.network.latency_s + place * FEED_S
            self.world.at(heard_s, peer.tell, Published(publication, spread_s))

    def _named(self) -> Publication:
        """The artifact's name, as its tracker gives it or its origin itself."""
        size_bytes, chunks = self.terms.size_bytes, len(self.lengths)
        if not self.terms.trackerless:
            facts = ArtifactFacts(
                ARTIFACT, "input", False, size_bytes, chunks, manifest_bytes_of(chunks), EPOCH_S
            )
            return self.tracker.publish(REFERENCE, facts)
        return self.publication

    @property
    def publication(self) -> Publication:
        """The artifact's name as its origin gives it, where there is no tracker."""
        return Publication(
            reference=REFERENCE,
            artifact=ARTIFACT,
            version=round(EPOCH_S * MS_PER_S),
            size_bytes=self.terms.size_bytes,
            chunk_count=len(self.lengths),
            published_s=EPOCH_S,
            name="input",
        )

    def _finished(self) -> bool:
        return self.done >= self.wanted

    def _arrive(self, peer: SimPeer) -> None:
        """It announces itself; before the clock starts, that has taken no time."""
        peer.carry_out(peer.node.join_fleet(self.world.now))

    def _located(self, peer: SimPeer) -> None:
        """Its manifest is there."""
        opened_s = self.world.now + OPEN_S
        self.world.at(opened_s, self._open, peer, Bitfield(len(self.lengths)))

    def _open(self, peer: SimPeer, have: Bitfield, *, origin: bool = False) -> None:
        peer.tell(Opened(ARTIFACT, self.lengths, have, origin))

    def completed(self, peer: SimPeer) -> None:
        """Every chunk of it is there."""
        self.world.at(self.world.now + FINISH_S, self._visible, peer)

    def _visible(self, peer: SimPeer) -> None:
        if not peer.alive or peer.done_s is not None:
            return
        peer.done_s = self.world.now
        self.world.trace(DONE, peer.host.number, 0, 0)
        if not (peer.liar or peer.stalled):
            self.done += 1
        peer.tell(StateChanged(ARTIFACT, "seeding"))
        if self.on_done is not None:
            self.on_done(peer)

    # --- what peers ask --------------------------------------------------------------------------

    def at_address(self, host: str, port: int) -> SimPeer | None:
        """Who listens there."""
        return self._by_address.get((host, port))

    def plan_bytes(self, plan: Plan) -> int:
        """How long a plan is on the wire."""
        size_bytes = self._plan_bytes.get(plan.version)
        if size_bytes is None:
            size_bytes = MEMBER_BYTES * sum(len(members) for members in plan.groups)
            self._plan_bytes[plan.version] = size_bytes
        return size_bytes

    def chunk_left(self, sender: SimPeer, to: SimPeer, index: int) -> None:
        """The last byte of a chunk left its sender."""
        self.world.trace(SENT, sender.host.number, to.host.number, index)
        if sender is self.origin:
            self.sent_by_origin_bytes += self.lengths[index]

    def kill(self, peer: SimPeer, *, machine: bool = False) -> None:
        """End a process or a machine; it is waited for no longer."""
        if not peer.alive:
            return
        if peer.done_s is None and peer is not self.origin and not (peer.liar or peer.stalled):
            self.wanted -= 1
        peer.kill(machine=machine)

    @property
    def times_s(self) -> list[float]:
        """When each machine was done, in its order; of those that are."""
        return [p.done_s for p in self.peers if p.done_s is not None]

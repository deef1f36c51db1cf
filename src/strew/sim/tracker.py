"""The tracker in the virtual world: the real registry over the memory state, behind a queue."""

from __future__ import annotations

import random
from typing import TYPE_CHECKING

from strew.announce.announcer import AnnounceAnswered, AnnounceFailed, SendAnnounce
from strew.announce.naming import PublishAsked
from strew.announce.protocol import Handout
from strew.announce.records import ArtifactFacts
from strew.announce.registry import AnnounceReceived, Registry
from strew.content.digest import ArtifactId
from strew.publication import Publication
from strew.sim.network import Host, Network
from strew.sim.world import World
from strew.tracker.state import MemoryState

if TYPE_CHECKING:
    from strew.sim.peers import SimPeer

ADDRESS = "10.255.255.254:7300"

ANNOUNCE_S = 0.0006
"""What the service needs for one announce of a crowd (docs/BENCHMARKS.md: 1000 in 0.6 s)."""

FEED_S = 55e-6
"""... and to write one event to one of its streams (1000 nodes heard within 55 ms)."""

ANNOUNCE_BYTES = 600
PEER_BYTES = 110
EPOCH_S = 1.8e9
"""The unix time at which virtual time begins."""


class SimTracker:
    """Decides as the real one; answers after its queue. It lives on the origin's machine."""

    def __init__(self, world: World, network: Network, host: Host) -> None:
        self._world = world
        self._network = network
        self._host = host
        self._state = MemoryState()
        self._registry = Registry(random.Random(world.dice.getrandbits(64)))
        self._free_s = 0.0
        self.alive = True
        self.published = False
        self.announces = 0

    def own(self, peer: SimPeer) -> None:
        """The node that lives in this tracker's process."""
        self._registry.own = peer.id

    def announce(self, peer: SimPeer, action: SendAnnounce) -> None:
        """A node's request is on its way; before the clock started it takes no time."""
        if not self.published:
            handout = self._enrol(peer, action)
            assert handout is not None
            peer.tell(AnnounceAnswered(action.tracker, handout))
            return
        delay_s = self._network.latency_s
        if peer.host is not self._host:
            delay_s = self._network.control_delay_s(peer.host, self._host, ANNOUNCE_BYTES)
        self._world.at(self._world.now + delay_s, self._came, peer, action)

    def _enrol(self, peer: SimPeer, action: SendAnnounce) -> Handout | None:
        """Decide an announce; None if it is refused."""
        self.announces += 1
        event = AnnounceReceived(action.announce, peer.address[0])
        decision = self._registry.handle(event, self._state, EPOCH_S + self._world.now)
        self._state.apply(decision.writes)
        return decision.reply if isinstance(decision.reply, Handout) else None

    def _came(self, peer: SimPeer, action: SendAnnounce) -> None:
        now = self._world.now
        if not self.alive:
            failed = AnnounceFailed(action.tracker, "connection refused")
            self._world.at(now + self._network.latency_s, peer.tell, failed)
            return
        self._free_s = max(self._free_s, now) + ANNOUNCE_S
        self._world.at(self._free_s, self._answer, peer, action)

    def _answer(self, peer: SimPeer, action: SendAnnounce) -> None:
        if not self.alive:
            return
        handout = self._enrol(peer, action)
        answer: AnnounceAnswered | AnnounceFailed
        size_bytes = ANNOUNCE_BYTES
        if handout is None:
            answer = AnnounceFailed(action.tracker, "refused")
        else:
            answer = AnnounceAnswered(action.tracker, handout)
            size_bytes += PEER_BYTES * sum(len(peers) for peers in handout.peers.values())
        delay_s = self._network.latency_s
        if peer.host is not self._host:
            delay_s = self._network.control_delay_s(self._host, peer.host, size_bytes)
        self._world.at(self._world.now + delay_s, peer.tell, answer)

    def publish(self, reference: str, facts: ArtifactFacts) -> Publication:
        """Give the artifact a name; its origin must have announced it."""
        self._state.put_manifest(facts, b"")
        decision = self._registry.handle(
            PublishAsked(reference, facts.artifact), self._state, EPOCH_S + self._world.now
        )
        assert isinstance(decision.reply, Publication), decision.reply
        self._state.apply(decision.writes)
        self.published = True
        return decision.reply

    def members(self, artifact: ArtifactId) -> int:
        """How many nodes it counts in the artifact's swarm."""
        return sum(artifact in record.swarms for record in self._state.nodes())

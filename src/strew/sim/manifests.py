"""Manifests: how that of the artifact comes to machines that heard of it.

It is asked for over HTTP, of the tracker or of a machine that takes part, and weighs what it would.
Who asks is answered or referred as in the product (strew.announce.referral).
"""

from __future__ import annotations

from collections.abc import Callable
from functools import partial

from strew.announce.referral import (
    REFERRED_BYTES_MIN,
    REFERRED_WITHIN_S,
    TURN_LOOK_S,
    Caller,
    Referrals,
    Verdict,
)
from strew.content.digest import ArtifactId
from strew.messages import swarm_key_of
from strew.node import Obtain
from strew.sim.network import Flow, Host, Network
from strew.sim.peers import DIAL_GIVEN_UP_S, SimPeer
from strew.sim.world import World

ASK_S = 0.002
"""One HTTP request and its answer's head, both ends."""

RETRY_S = 0.5
"""Where no tracker has the manifest and the machine asked had not either, another one is asked
after this, as the agent does."""

ASK_BYTES = 300
"""A request with its token."""

HEAD_BYTES = 200
BYTES_PER_CHUNK = 36

AtAddress = Callable[[str, int], SimPeer | None]


def manifest_bytes_of(chunks: int) -> int:
    """How long a manifest is on the wire."""
    return BYTES_PER_CHUNK * chunks + HEAD_BYTES


class Manifests:
    """The ways of one artifact's manifest. `came` is told of each machine that has got it; without
    a `tracker` only machines are asked."""

    def __init__(
        self,
        world: World,
        network: Network,
        artifact: ArtifactId,
        size_bytes: int,
        tracker: Host | None,
        at_address: AtAddress,
        came: Callable[[SimPeer], None],
    ) -> None:
        self._world = world
        self._network = network
        self._artifact = artifact
        self._size_bytes = size_bytes
        self._tracker = tracker
        self._at_address = at_address
        self._came = came
        self._asking: set[SimPeer] = set()
        self._located: set[SimPeer] = set()
        self._referrals: dict[Host, Referrals] = {}
        self._under_way: dict[Host, int] = {}
        self._waiting: dict[SimPeer, list[SimPeer]] = {}

    def obtain(self, peer: SimPeer, action: Obtain) -> None:
        """A node heard of the artifact: its manifest comes from a peer, or from the tracker."""
        if peer in self._asking or peer.node.participations:
            return
        self._asking.add(peer)
        holder = self._at_address(*action.holder) if action.holder else None
        if self._tracker is None:
            self._ask_member(peer, holder or self._acquaintance(peer))
        else:
            self._ask(peer, holder.host if holder is not None else self._tracker)

    def _ask_member(self, peer: SimPeer, holder: SimPeer | None) -> None:
        """Ask where no tracker has it: the next one if this one cannot give it."""
        wait_s = RETRY_S
        if holder is not None and holder.host.alive:
            if holder.alive and holder.node.participations:
                self._ask(peer, holder.host)
                return
            wait_s += 2.0 * self._network.control_delay_s(peer.host, holder.host, ASK_BYTES)
        elif holder is not None:
            wait_s += DIAL_GIVEN_UP_S
        self._world.at(self._world.now + wait_s, self._ask_another, peer)

    def _ask_another(self, peer: SimPeer) -> None:
        if peer.alive:
            self._ask_member(peer, self._acquaintance(peer))

    def _acquaintance(self, peer: SimPeer) -> SimPeer | None:
        """Any of those that a node knows to take part."""
        known = peer.node.book.known.get(swarm_key_of(self._artifact), {})
        return self._at_address(*self._world.dice.choice(list(known))) if known else None

    # --- an answer or a referral -----------------------------------------------------------------

    def _ask(self, peer: SimPeer, host: Host) -> None:
        self._after_request(peer.host, host, partial(self._answer, host, peer))

    def _after_request(self, asker: Host, asked: Host, then: Callable[[], None]) -> None:
        delay_s = self._network.control_delay_s(asker, asked, ASK_BYTES) + ASK_S
        self._world.at(self._world.now + delay_s, then)

    def _answer(self, host: Host, peer: SimPeer) -> None:
        """A request is at a machine that has it."""
        now = self._world.now
        verdict: Verdict = "answer"
        if self._size_bytes >= REFERRED_BYTES_MIN:
            referrals = self._referrals.setdefault(host, Referrals())
            under_way = self._under_way.get(host, 0)
            verdict = referrals.ask(self._artifact, peer.address, under_way, now)
        if verdict == "answer":
            self._send(host, peer)
        elif verdict == "later":
            self._world.at(now + TURN_LOOK_S, self._answer, host, peer)
        else:
            hears_s = now + self._network.control_delay_s(host, peer.host, ASK_BYTES)
            self._world.at(hears_s, self._follow, peer, verdict, host)

    def _follow(self, peer: SimPeer, to: Caller, host: Host) -> None:
        """Ask whom it was referred to; the first one again if that one does not give it in time."""
        other = self._at_address(*to)
        assert other is not None
        if other.host.alive:
            self._after_request(peer.host, other.host, partial(self._answer_referred, other, peer))
        given_up_s = self._world.now + REFERRED_WITHIN_S
        self._world.at(given_up_s, self._give_up, peer, other, host)

    def _answer_referred(self, other: SimPeer, peer: SimPeer) -> None:
        if other in self._located and other.alive:
            self._send(other.host, peer)
        else:
            self._waiting.setdefault(other, []).append(peer)

    def _give_up(self, peer: SimPeer, other: SimPeer, host: Host) -> None:
        waiting = self._waiting.get(other, [])
        if peer in waiting:
            waiting.remove(peer)
        elif other.alive:
            return  # it is on its way
        if peer not in self._located:
            self._ask(peer, host)

    def _send(self, host: Host, peer: SimPeer) -> None:
        self._under_way[host] = self._under_way.get(host, 0) + 1
        sent = partial(self._sent, host, peer)
        self._network.start(host, peer.host, self._size_bytes, sent)

    def _sent(self, host: Host, peer: SimPeer, _flow: Flow) -> None:
        self._under_way[host] -= 1
        self._world.at(self._world.now + self._network.latency_s, self._arrive, peer)

    def _arrive(self, peer: SimPeer) -> None:
        """It is there, and others may have waited for it."""
        if peer in self._located or not peer.alive:
            return
        self._located.add(peer)
        for other in self._waiting.pop(peer, ()):
            self._send(peer.host, other)
        self._came(peer)

"""Laws that hold at every moment of a run, watched while it runs."""

from __future__ import annotations

from typing import TYPE_CHECKING

from strew.swarm.giving import PIPELINE_MAX
from strew.swarm.slots import DETACHED_MAX_RATIO

if TYPE_CHECKING:
    from strew.messages import SendChunk
    from strew.sim.peers import Link, SimPeer


class LawBroken(AssertionError):
    """A node did what no node may do: a bug of the policy, never a user's mistake."""


class Laws:
    """Nobody sends what it lacks; slots and queues stay within their limits; bitfields only grow.

    That every node which can finish does is the fleet's business: its run does not end before.
    """

    def __init__(self, seed: int) -> None:
        self._seed = seed
        self.checked = 0

    def _broken(self, peer: SimPeer, what: str) -> LawBroken:
        return LawBroken(f"node {peer.host.number} {what} (seed {self._seed})")

    def queued(self, link: Link, action: SendChunk) -> None:
        """A chunk was put on a connection."""
        peer = link.peer
        self.checked += 1
        if action.index not in peer.node.participations[action.swarm].swarm.have:
            raise self._broken(peer, f"sends chunk {action.index}, which it lacks")
        if len(link.queue) > PIPELINE_MAX:
            raise self._broken(peer, f"has {len(link.queue)} chunks on one connection")
        slots = peer.node.slots
        if not 0 <= slots.serving <= slots.limit or not 0 <= slots.pushing <= slots.push_limit:
            raise self._broken(peer, f"serves {slots.serving} and pushes to {slots.pushing} others")
        if not 0 <= slots.detached <= slots.limit * DETACHED_MAX_RATIO:
            raise self._broken(peer, f"has {slots.detached} detached sends")

    def stored(self, peer: SimPeer, had: int, has: int) -> None:
        """A chunk was verified and kept."""
        self.checked += 1
        if has < had:
            raise self._broken(peer, f"had {had} chunks and has {has}")

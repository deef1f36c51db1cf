"""The peers a node knows of: where they are, for which artifact, who said so, how dials went.

Sources (tracker, plan, user, gossip and the distributed hash table) stand side by side and none is
believed over its own dial: an address that fails is tried later, twice as late each time, and
forgotten after a few failures. An address without failures comes first, then the freshest. What
came by hearsay is forgotten sooner, and not heard again for a while: stale providers are the known
disease of such sources.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

from strew.messages import PeerId

FAILURES_MAX = 4
"""An address that failed so often in a row is forgotten until somebody names it again."""

HEARSAY = frozenset(("gossip", "dht"))
"""Sources that pass on what others said."""

HEARSAY_FAILURES_MAX, UNHEARD_S = 2, 30.0
"""An address known by hearsay alone is forgotten after so many failures, for so long."""

RETRY_FIRST_S = 0.5
"""Wait after the first failure: a node that was named while it was starting."""

ADDRESSES_MAX = 4096
"""Addresses known per artifact: 1000 (strew.node.seeking) from each of several sources."""

BANS_MAX = 4096

REASON_CHARS_MAX = 256
"""Of why a peer is banned: one line."""

Address = tuple[str, int]


@dataclass(slots=True)
class KnownPeer:
    """An address that was named for an artifact. `id` is empty while only the address is known.

    `seed`: it was said to hold everything. `postponed`: it was due and there was no place.
    """

    host: str
    port: int
    id: PeerId
    zone: str
    source: str
    named_s: float
    due_s: float
    failures: int = 0
    seed: bool = False
    postponed: bool = False


@dataclass(slots=True)
class PeerBook:
    """Known peers by artifact, and the bans of this node."""

    known: dict[int, dict[Address, KnownPeer]] = field(default_factory=dict)
    banned_until_s: dict[PeerId, float] = field(default_factory=dict)
    ban_reasons: dict[PeerId, str] = field(default_factory=dict)
    """Of the same peers, for people."""
    _unheard_until_s: dict[Address, float] = field(default_factory=dict)

    def learn(
        self,
        swarm: int,
        address: Address,
        peer: PeerId,
        zone: str,
        source: str,
        due_s: float,
        now: float,
        seed: bool = False,
    ) -> None:
        """A source names an address; what is known of its failures stays."""
        peers = self.known.setdefault(swarm, {})
        entry = peers.get(address)
        if entry is None:
            if source in HEARSAY and self._unheard_until_s.get(address, 0.0) > now:
                return
            if len(peers) < ADDRESSES_MAX:
                peers[address] = KnownPeer(*address, peer, zone, source, now, due_s, seed=seed)
            return
        if peer and entry.id != peer:
            entry.id = peer  # its failures stay: ever new ids would have it dialled for ever
        entry.named_s = now
        if source == "plan" or entry.source in HEARSAY:
            entry.source = source
        entry.seed = entry.seed or seed
        entry.due_s = min(entry.due_s, due_s) if not entry.failures else entry.due_s

    def forget(self, swarm: int) -> None:
        self.known.pop(swarm, None)

    def due(self, swarm: int, now: float) -> list[KnownPeer]:
        """Addresses that may be dialled now, the most promising first."""
        ready = [
            p
            for p in self.known.get(swarm, {}).values()
            if p.due_s <= now and self.banned_until_s.get(p.id, 0.0) <= now
        ]
        ready.sort(key=lambda p: (p.failures, not p.seed, -p.named_s))
        return ready

    def resume(self, swarm: int, now: float) -> None:
        """There are places again: what had to wait for one is due."""
        for peer in self.known.get(swarm, {}).values():
            if peer.postponed:
                peer.postponed = False
                peer.due_s = min(peer.due_s, now)

    def next_due_s(self, swarm: int) -> float | None:
        """When the next address becomes due; that of a banned peer not before its ban ends."""
        peers = self.known.get(swarm, {}).values()
        bans = self.banned_until_s
        return min((max(p.due_s, bans.get(p.id, p.due_s)) for p in peers), default=None)

    def failed(self, address: Address, now: float) -> None:
        """A dial found nobody there."""
        for peers in self.known.values():
            entry = peers.get(address)
            if entry is not None:
                entry.failures += 1
                entry.due_s = now + RETRY_FIRST_S * 2.0**entry.failures
                hearsay = entry.source in HEARSAY
                if entry.failures >= (HEARSAY_FAILURES_MAX if hearsay else FAILURES_MAX):
                    del peers[address]
                    if hearsay:
                        self._unhear(address, now)

    def _unhear(self, address: Address, now: float) -> None:
        if len(self._unheard_until_s) >= BANS_MAX:
            self._unheard_until_s = {a: t for a, t in self._unheard_until_s.items() if t > now}
        self._unheard_until_s[address] = now + UNHEARD_S

    def without(self, swarm: int, peer: PeerId, now: float) -> None:
        """The peer itself says that it takes no part in this swarm: that is believed at once."""
        peers = self.known.get(swarm, {})
        for entry in [entry for entry in peers.values() if entry.id == peer]:
            entry.due_s = max(entry.due_s, now + UNHEARD_S)
            entry.seed = False

    def reached(self, address: Address, peer: PeerId) -> None:
        """A dial ended in a link to this peer."""
        for peers in self.known.values():
            entry = peers.get(address)
            if entry is not None:
                entry.id, entry.failures = peer, 0

    def lost(self, peer: PeerId, now: float) -> None:
        """A link ended: its address is tried again, not at once."""
        for peers in self.known.values():
            for entry in peers.values():
                if entry.id == peer:
                    entry.due_s = max(entry.due_s, now + RETRY_FIRST_S)

    def ban(self, peer: PeerId, until_s: float, now: float, reason: str = "") -> None:
        """Deal no more with this peer for a while."""
        if len(self.banned_until_s) >= BANS_MAX:
            self.banned_until_s = {p: t for p, t in self.banned_until_s.items() if t > now}
            self.ban_reasons = {p: self.ban_reasons[p] for p in self.banned_until_s}
        self.banned_until_s[peer] = until_s
        self.ban_reasons[peer] = reason[:REASON_CHARS_MAX]

    def bans(self, now: float) -> list[dict[str, Any]]:
        """Whom this node does not deal with, why, and for how many seconds more."""
        return [
            {"id": peer, "reason": self.ban_reasons[peer], "left_s": until_s - now}
            for peer, until_s in self.banned_until_s.items()
            if until_s > now
        ]

    def banned(self, peer: PeerId, now: float) -> bool:
        return self.banned_until_s.get(peer, 0.0) > now

"""BitTorrent-like: rarest first over random neighbours, with choking.

As BEP 3 and the mainline client have it: a peer sends to 4 neighbours it gets most from (tit for
tat) and to 1 picked at random (optimistic); every 10 s it chooses anew. A seed, and the origin is
one, serves in turn those that were not served for the longest time. A slot whose neighbour needs
nothing any more goes to another at once. Up to 5 chunks are asked of a neighbour at a time; the
uploader keeps them in order. At the end the last chunks are asked of several.

Kinder than real clients: all have each other's addresses at once and stand connected when the
clock starts, interest needs no message, verification takes no time.
"""

from __future__ import annotations

from strew.sim import bounds
from strew.sim.baselines.exchange import Exchange
from strew.sim.baselines.graph import random_regular
from strew.sim.network import Host, Network
from strew.sim.world import World

NEIGHBOURS_DEFAULT = 40
"""Neighbours of a peer. More of them find rare chunks sooner and cost more messages."""

PIPELINE_DEFAULT = 5
"""Chunks asked of a neighbour at a time. More of them wait in the uploader's queue for longer, so
that a chunk takes longer from hand to hand; fewer may leave a slot idle for a round trip. 1 is
best where the round trip is short against a chunk, as with real clients that are tuned."""

RECIPROCAL_SLOTS = 4
OPTIMISTIC_SLOTS = 1
SLOTS = RECIPROCAL_SLOTS + OPTIMISTIC_SLOTS
"""Mainline's. More slots share the uplink more thinly; fewer leave it idle when one has nothing
to ask for."""

CHOKE_INTERVAL_S = 10.0
"""BEP 3: long enough for TCP to reach its speed. A shorter one finds good partners sooner."""

NEVER_S = -1.0
"""When a neighbour was unchoked that never was."""


def bound_s(size_bytes: float, chunks: int, nodes: int, bytes_per_s: float) -> float:
    """T* = F/B · (1 + floor(log2 N)/M), which binds every way over equal links."""
    return bounds.equal_links_s(size_bytes, chunks, nodes, bytes_per_s)


def spread(
    world: World,
    network: Network,
    origin: Host,
    machines: list[Host],
    size_bytes: int,
    chunks: int,
    *,
    neighbours: int = NEIGHBOURS_DEFAULT,
    pipeline: int = PIPELINE_DEFAULT,
) -> list[float]:
    """Seconds until each machine has the file."""
    hosts = [origin, *machines]
    graph = random_regular(world.dice, len(hosts), neighbours)
    swarm = _Choking(
        world,
        network,
        hosts,
        size_bytes,
        chunks,
        graph,
        pipeline=pipeline,
        parallel=SLOTS,
        endgame_chunks=chunks,
    )
    swarm.begin()
    return swarm.completion.run(bound_s(size_bytes, chunks, len(machines), origin.up_bytes_per_s))


class _Choking(Exchange):
    """An exchange in which each peer serves a few neighbours and chooses them anew now and then."""

    def begin(self) -> None:
        """All are connected; the origin gives its slots away, everybody starts its timer."""
        count = len(self.hosts)
        self._unchoked: list[list[int]] = [[] for _ in range(count)]
        self._told: list[list[int]] = [[] for _ in range(count)]  # as the neighbours know
        self._since_s: list[dict[int, float]] = [
            dict.fromkeys(each, NEVER_S) for each in self.neighbours
        ]
        self._from: list[dict[int, int]] = [dict.fromkeys(each, 0) for each in self.neighbours]
        for peer in range(count):
            # timers of machines are not in step
            self.world.at(self.world.dice.random() * CHOKE_INTERVAL_S, self._choose, peer)
        self._fill(0)

    def askers(self, peer: int) -> list[int]:
        return self._told[peer]

    def serves(self, peer: int, asker: int) -> bool:
        return asker in self._unchoked[peer]

    def heard(self, peer: int) -> None:
        self._fill(peer)

    def got(self, peer: int, sender: int) -> None:
        self._from[peer][sender] += 1

    # --- slots -----------------------------------------------------------------------------------

    def _interested(self, peer: int) -> list[int]:
        """The neighbours that lack something this peer has."""
        announced, lacks = self.announced[peer], self.lacks
        return [each for each in self.neighbours[peer] if lacks[each] & announced]

    def _fill(self, peer: int) -> None:
        """Free the slots of those who need nothing, and give free slots away."""
        announced, lacks, unchoked = self.announced[peer], self.lacks, self._unchoked[peer]
        for each in unchoked:
            if not lacks[each] & announced:
                break
        else:
            if len(unchoked) >= SLOTS:
                return
        for each in [each for each in unchoked if not lacks[each] & announced]:
            self._choke(peer, each)
        free = SLOTS - len(unchoked)
        waiting = [each for each in self._interested(peer) if each not in unchoked]
        for each in self._ranked(peer, waiting)[:free]:
            self._unchoke(peer, each)

    def _choose(self, peer: int) -> None:
        """Every 10 s: the best givers keep their slots, one more gets its chance."""
        ranked = self._ranked(peer, self._interested(peer))
        kept = ranked[:RECIPROCAL_SLOTS]
        others = ranked[RECIPROCAL_SLOTS:]
        kept += self.world.dice.sample(others, min(OPTIMISTIC_SLOTS, len(others)))
        for each in [each for each in self._unchoked[peer] if each not in kept]:
            self._choke(peer, each)
        for each in kept:
            if each not in self._unchoked[peer]:
                self._unchoke(peer, each)
        self._from[peer] = dict.fromkeys(self.neighbours[peer], 0)
        self.world.at(self.world.now + CHOKE_INTERVAL_S, self._choose, peer)

    def _ranked(self, peer: int, candidates: list[int]) -> list[int]:
        """Best first: who gave most since the last choice; a seed has those first that were
        unchoked the longest time ago. Ties by dice."""
        dice = self.world.dice.random
        given, since_s, seed = self._from[peer], self._since_s[peer], not self.lacks[peer]
        keys = [(since_s[each] if seed else -given[each], dice(), each) for each in candidates]
        return [each for _, _, each in sorted(keys)]

    def _unchoke(self, peer: int, other: int) -> None:
        self._unchoked[peer].append(other)
        self._since_s[peer][other] = self.world.now
        self.world.at(self.world.now + self.delay_s(peer, other), self._unchoked_by, other, peer)

    def _unchoked_by(self, peer: int, other: int) -> None:
        if peer in self._unchoked[other] and peer not in self._told[other]:
            self._told[other].append(peer)
            self.ask(peer, other)

    def _choke(self, peer: int, other: int) -> None:
        """Drop its requests; the chunk that is on its way is sent to the end."""
        self._unchoked[peer].remove(other)
        self.world.at(self.world.now + self.delay_s(peer, other), self._choked_by, other, peer)

    def _choked_by(self, peer: int, other: int) -> None:
        """What was asked of it and does not come can be asked of others."""
        if peer in self._unchoked[other] or peer not in self._told[other]:
            return
        self._told[other].remove(peer)
        self.withdraw(peer, other)
        for holder in self.neighbours[peer]:
            if peer in self._told[holder]:
                self.ask(peer, holder)

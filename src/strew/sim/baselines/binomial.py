"""The binomial pipeline: the schedule that reaches T*, as ceiling. Nobody can run it.

It takes equal links, machines in lock-step, a central plan, no latency and no loss, so it is
worked out in rounds, not in flows: its seconds are what the others strive for. Ganesan, Seshadri:
On cooperative content distribution and the price of barter, ICDCS 2005.

2^m vertices of a hypercube exchange along one dimension a round, the dimensions in turn; each
sends its newest chunk, the origin (vertex 0) one chunk after the other. Of N + 1 hosts, those
above 2^m double a vertex: of such a pair one member sends to the next vertex, the other receives
from there and meanwhile gives its mate a chunk it lacks. Either lacks one chunk at most, so that
one round more than the cube needs brings both to the end: M + floor(log2 N) rounds for any N.
"""

from __future__ import annotations

from strew.sim import bounds
from strew.sim.baselines.completion import Completion
from strew.sim.network import Host, Network
from strew.sim.world import World


def bound_s(size_bytes: float, chunks: int, nodes: int, bytes_per_s: float) -> float:
    """T* = F/B · (1 + floor(log2 N)/M)."""
    return bounds.equal_links_s(size_bytes, chunks, nodes, bytes_per_s)


def spread(
    world: World, network: Network, origin: Host, machines: list[Host], size_bytes: int, chunks: int
) -> list[float]:
    """Seconds until each machine has the file; the slowest link of all sets the pace."""
    hosts = [origin, *machines]
    rate = min(
        origin.up_bytes_per_s,
        *(min(host.up_bytes_per_s, host.down_bytes_per_s) for host in machines),
    )
    pipeline = _Pipeline(world, hosts, size_bytes / chunks, chunks, rate)
    return pipeline.run(bound_s(size_bytes, chunks, len(machines), rate))


class _Pipeline:
    """All hosts' chunks as bit sets, moved on round by round."""

    def __init__(
        self, world: World, hosts: list[Host], chunk_bytes: float, chunks: int, rate: float
    ) -> None:
        self._world = world
        self._hosts = hosts
        self._chunk_bytes = chunk_bytes
        self._round_s = chunk_bytes / rate
        self._chunks = chunks
        self._all = (1 << chunks) - 1
        self._have = [self._all, *([0] * (len(hosts) - 1))]
        self._completion = Completion(world, len(hosts) - 1)
        self._dimensions = len(hosts).bit_length() - 1
        vertices = 1 << self._dimensions
        doubled = len(hosts) - vertices
        self._members = [
            (v, vertices + v - 1) if 1 <= v <= doubled else (v, v) for v in range(vertices)
        ]
        self._round = 0

    def run(self, bound_s: float) -> list[float]:
        """Play all rounds; seconds of each machine."""
        self._plan()
        return self._completion.run(bound_s)

    def _plan(self) -> None:
        """Decide this round's moves from what everybody has now; they end together."""
        moves: list[tuple[int, int, int]] = []
        have, members = self._have, self._members
        dimension = 1 << (self._round % self._dimensions)
        senders, receivers = zip(*map(self._roles, range(len(members))), strict=True)
        busy = [False] * len(members)
        for vertex, sender in enumerate(senders):
            other = vertex ^ dimension
            bit = self._newest(vertex)
            one, two = members[other]
            if bit and not (have[one] | have[two]) & bit:
                moves.append((sender, receivers[other], bit))
                busy[vertex] = True
        for vertex, (sender, receiver) in enumerate(zip(senders, receivers, strict=True)):
            if sender != receiver:
                self._within(moves, sender, receiver)
                if not busy[vertex] and not busy[vertex ^ dimension]:
                    self._within(moves, receiver, sender)
        self._round += 1
        self._world.at(self._round * self._round_s, self._move, moves)

    def _newest(self, vertex: int) -> int:
        """The chunk a vertex would send, as a bit; 0 if it has none."""
        if vertex == 0:
            return 1 << min(self._round, self._chunks - 1)
        one, two = self._members[vertex]
        held = self._have[one] | self._have[two]
        return 1 << held.bit_length() - 1 if held else 0

    def _roles(self, vertex: int) -> tuple[int, int]:
        """Who of a pair sends to another vertex (it must have what is sent), and who receives."""
        one, two = self._members[vertex]
        bit = self._newest(vertex)
        of_one, of_two = self._have[one], self._have[two]
        if of_one & bit and of_two & bit:
            return (one, two) if of_two & ~of_one else (two, one)
        return (one, two) if of_one & bit else (two, one)

    def _within(self, moves: list[tuple[int, int, int]], to: int, source: int) -> None:
        """A member gives its mate the first chunk it lacks."""
        lacking = self._have[source] & ~self._have[to]
        if lacking:
            moves.append((source, to, lacking & -lacking))

    def _move(self, moves: list[tuple[int, int, int]]) -> None:
        for source, target, bit in moves:
            self._hosts[source].sent_bytes += self._chunk_bytes
            self._hosts[target].received_bytes += self._chunk_bytes
            self._completion.arrived(target, bit.bit_length() - 1, source)
            self._have[target] |= bit
            if self._have[target] == self._all:
                self._completion.done(target)
        if moves:
            self._plan()

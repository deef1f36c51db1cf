"""Replicas: k machines get the whole file first; then they and the origin serve the others.

Each of the others fetches from one server, in turn, as behind a load balancer.
"""

from __future__ import annotations

from strew.sim import bounds
from strew.sim.baselines.completion import Completion
from strew.sim.baselines.fetching import Fetching
from strew.sim.network import Host, Network
from strew.sim.world import World

SERVERS_DEFAULT = 3
"""Machines filled first, as in `strew demo`. More of them delay the start and shorten the rest;
about the root of N is best."""


def servers_of(nodes: int, servers: int) -> int:
    """How many machines are filled first: at most half of them."""
    return min(servers, max(1, nodes // 2))


def bound_s(
    size_bytes: float,
    chunks: int,
    nodes: int,
    bytes_per_s: float,
    *,
    servers: int = SERVERS_DEFAULT,
) -> float:
    """F/B · (k + ceil((N - k)/(k + 1)))."""
    return bounds.replicated_s(size_bytes, nodes, bytes_per_s, servers_of(nodes, servers))


def spread(
    world: World,
    network: Network,
    origin: Host,
    machines: list[Host],
    size_bytes: int,
    chunks: int,
    *,
    servers: int = SERVERS_DEFAULT,
) -> list[float]:
    """Seconds until each machine has the file; the replicas are the first ones. Chunks play no
    part."""
    count = len(machines)
    replicas = servers_of(count, servers)
    completion = Completion(world, count)
    fetching = Fetching(world, network, [origin, *machines], completion)
    unfilled = replicas

    def filled(replica: int) -> None:
        nonlocal unfilled
        completion.done(replica)
        unfilled -= 1
        if not unfilled:
            for number, machine in enumerate(range(replicas + 1, count + 1)):
                fetching.fetch(machine, number % (replicas + 1), 0, size_bytes, completion.done)

    for replica in range(1, replicas + 1):
        fetching.fetch(replica, 0, 0, size_bytes, filled)
    bound = bound_s(size_bytes, chunks, count, origin.up_bytes_per_s, servers=servers)
    return completion.run(bound)

"""Shards: k machines get a k-th of the file each; then every machine fetches what it lacks from
all of them at once. The origin serves nobody else."""

from __future__ import annotations

from strew.sim import bounds
from strew.sim.baselines.completion import Completion
from strew.sim.baselines.fetching import Fetching
from strew.sim.baselines.replicated import SERVERS_DEFAULT, servers_of
from strew.sim.network import Host, Network
from strew.sim.world import World


def bound_s(
    size_bytes: float,
    chunks: int,
    nodes: int,
    bytes_per_s: float,
    *,
    servers: int = SERVERS_DEFAULT,
) -> float:
    """F/B · (1 + (N - 1)/k)."""
    return bounds.sharded_s(size_bytes, nodes, bytes_per_s, servers_of(nodes, servers))


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
    """Seconds until each machine has the file; the servers are the first ones. Chunks play no
    part."""
    count = len(machines)
    shards = servers_of(count, servers)
    shard_bytes = size_bytes / shards
    completion = Completion(world, count)
    fetching = Fetching(world, network, [origin, *machines], completion)
    unfilled = shards
    lacks = [0, *([shards - 1] * shards), *([shards] * (count - shards))]

    def filled(server: int) -> None:
        nonlocal unfilled
        unfilled -= 1
        if lacks[server] == 0:
            completion.done(server)
        if not unfilled:
            for machine in range(1, count + 1):
                for home in range(1, shards + 1):
                    if home != machine:
                        fetching.fetch(machine, home, home, shard_bytes, gathered)

    def gathered(machine: int) -> None:
        lacks[machine] -= 1
        if lacks[machine] == 0:
            completion.done(machine)

    for server in range(1, shards + 1):
        fetching.fetch(server, 0, server, shard_bytes, filled)
    bound = bound_s(size_bytes, chunks, count, origin.up_bytes_per_s, servers=servers)
    return completion.run(bound)

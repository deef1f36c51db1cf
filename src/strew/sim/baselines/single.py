"""Single server: every machine fetches the whole file from the origin, all at once."""

from __future__ import annotations

from strew.sim import bounds
from strew.sim.baselines.completion import Completion
from strew.sim.baselines.fetching import Fetching
from strew.sim.network import Host, Network
from strew.sim.world import World


def bound_s(size_bytes: float, chunks: int, nodes: int, bytes_per_s: float) -> float:
    """N·F/B."""
    return bounds.single_s(size_bytes, nodes, bytes_per_s)


def spread(
    world: World, network: Network, origin: Host, machines: list[Host], size_bytes: int, chunks: int
) -> list[float]:
    """Seconds until each machine has the file. Chunks play no part."""
    completion = Completion(world, len(machines))
    fetching = Fetching(world, network, [origin, *machines], completion)
    for machine in range(1, len(machines) + 1):
        fetching.fetch(machine, 0, 0, size_bytes, completion.done)
    return completion.run(bound_s(size_bytes, chunks, len(machines), origin.up_bytes_per_s))

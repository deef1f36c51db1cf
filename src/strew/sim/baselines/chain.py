"""Chain: each machine passes every chunk on to the next one, as `nc | tee | nc` does."""

from __future__ import annotations

from strew.sim import bounds
from strew.sim.baselines.relay import Relay
from strew.sim.network import Host, Network
from strew.sim.world import World


def bound_s(size_bytes: float, chunks: int, nodes: int, bytes_per_s: float) -> float:
    """F/B · (1 + (N - 1)/M)."""
    return bounds.chain_s(size_bytes, chunks, nodes, bytes_per_s)


def spread(
    world: World, network: Network, origin: Host, machines: list[Host], size_bytes: int, chunks: int
) -> list[float]:
    """Seconds until each machine has the file; it dies with any member, which is not shown."""
    relay = Relay(world, network, [origin, *machines], size_bytes, chunks, 1)
    return relay.run(bound_s(size_bytes, chunks, len(machines), origin.up_bytes_per_s))

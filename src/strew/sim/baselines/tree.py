"""Tree: each machine passes every chunk on to its k children. Half of the machines or more are
leaves, whose uplinks stay idle: that is why it takes k times the line."""

from __future__ import annotations

from strew.sim import bounds
from strew.sim.baselines.relay import Relay
from strew.sim.network import Host, Network
from strew.sim.world import World

ARITY_DEFAULT = 2
"""Children of a machine. More of them make the tree flatter and each link to a child slower."""


def bound_s(
    size_bytes: float,
    chunks: int,
    nodes: int,
    bytes_per_s: float,
    *,
    arity: int = ARITY_DEFAULT,
) -> float:
    """F/(M·B) · (k(M - 1) + the slowest way down)."""
    return bounds.tree_s(size_bytes, chunks, nodes, bytes_per_s, arity)


def spread(
    world: World,
    network: Network,
    origin: Host,
    machines: list[Host],
    size_bytes: int,
    chunks: int,
    *,
    arity: int = ARITY_DEFAULT,
) -> list[float]:
    """Seconds until each machine has the file."""
    relay = Relay(world, network, [origin, *machines], size_bytes, chunks, arity)
    bound = bound_s(size_bytes, chunks, len(machines), origin.up_bytes_per_s, arity=arity)
    return relay.run(bound)

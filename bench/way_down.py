"""How long chunks are on their way down a fleet of equal machines, simulated.

    python -m bench.way_down [NODES ...] [--chunks 1000]

Chunks of the usual length over 5 Gbit/s, seed 1. *Behind*: how many chunks the origin has begun to
give and the average machine does not have; it gives one each chunk time. *Even* is fan-out times
depth, what hops at an even share of the uplink take. Some minutes of one core.
"""

import argparse
from collections.abc import Sequence
from statistics import fmean, median

from strew.sim.fleet import Fleet, Terms
from strew.sim.peers import SimPeer
from strew.swarm.layout import FANOUT, HUGE_FANOUT, HUGE_MIN, depth, stripes_of
from strew.swarm.swarm import Swarm

FLEETS = (32, 100, 333, 1000)

CHUNK_BYTES = 1_132_503
RATE_BYTES_PER_S = 625e6

LOOKS = (0.4, 0.5, 0.6, 0.7, 0.8, 0.9)
"""When it is looked at, in F/B: after the start, and while the origin gives."""


def swarm_of(peer: SimPeer) -> Swarm:
    [part] = peer.node.participations.values()
    return part.swarm


def behind(nodes: int, chunks: int) -> float:
    """Of several looks the middle one."""
    size_bytes = chunks * CHUNK_BYTES
    fleet = Fleet(
        Terms(nodes=nodes, size_bytes=size_bytes, chunks=chunks, rate_bytes_per_s=RATE_BYTES_PER_S)
    )
    seen: list[float] = []

    def look() -> None:
        given = chunks - swarm_of(fleet.origin).snapshot()["ungiven"]
        seen.append(given - fmean(swarm_of(peer).have.count for peer in fleet.peers))

    for at in LOOKS:
        fleet.world.at(at * size_bytes / RATE_BYTES_PER_S, look)
    fleet.spread()
    return median(seen)


def main(arguments: Sequence[str] | None = None) -> None:
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("fleets", nargs="*", type=int, default=FLEETS, metavar="NODES")
    parser.add_argument("--chunks", type=int, default=1000)
    asked = parser.parse_args(arguments)
    print(f"{'machines':>8} {'even':>5} {'behind':>7} {'ratio':>6}")
    for nodes in asked.fleets:
        stripes = stripes_of(nodes, FANOUT if nodes < HUGE_MIN else HUGE_FANOUT)
        even, found = stripes * depth(nodes, stripes), behind(nodes, asked.chunks)
        print(f"{nodes:8} {even:5} {found:7.1f} {found / even:6.2f}", flush=True)


if __name__ == "__main__":
    main()

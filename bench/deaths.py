"""What it costs those that live when machines of a large fleet die in a row, simulated.

    python -m bench.deaths [--nodes 1000] [--chunks 1000] [--dead 20] [--seeds 1]

1 GB over 1 Gbit/s. Of the processes one after the other dies in the second from 0.5 s on; their
kernels say so to those they are connected with and to nobody else. Times are over F/B, of those
that live; the first line is the same fleet without a death. Some minutes of one core.
"""

import argparse
import random
from collections.abc import Sequence
from statistics import median

from strew.sim.fleet import Fleet, Terms

SIZE_BYTES = 1_000_000_000
RATE_BYTES_PER_S = 125e6
FIRST_S, WITHIN_S = 0.5, 1.0


def spread(nodes: int, chunks: int, dead: int, seed: int) -> list[float]:
    """When each that lives was done, in F/B."""
    fleet = Fleet(
        Terms(
            nodes=nodes,
            size_bytes=SIZE_BYTES,
            chunks=chunks,
            rate_bytes_per_s=RATE_BYTES_PER_S,
            seed=seed,
        )
    )
    dying = random.Random(seed).sample(fleet.peers, dead)
    for place, peer in enumerate(dying):
        fleet.world.at(FIRST_S + place * WITHIN_S / dead, fleet.kill, peer)
    fleet.spread()
    return sorted(done_s * RATE_BYTES_PER_S / SIZE_BYTES for done_s in fleet.times_s)


def main(arguments: Sequence[str] | None = None) -> None:
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--nodes", type=int, default=1000)
    parser.add_argument("--chunks", type=int, default=1000)
    parser.add_argument("--dead", type=int, default=20)
    parser.add_argument("--seeds", type=int, default=1, help="so many runs with deaths")
    asked = parser.parse_args(arguments)
    if not 0 < asked.dead < asked.nodes:
        parser.error(f"--dead {asked.dead}: from 1 to {asked.nodes - 1} of {asked.nodes} can die")
    print(f"{'seed':>4} {'dead':>5} {'median':>7} {'last':>7}  of F/B")
    for seed, dead in [(1, 0), *((seed, asked.dead) for seed in range(1, asked.seeds + 1))]:
        times = spread(asked.nodes, asked.chunks, dead, seed)
        print(f"{seed:4} {dead:5} {median(times):7.3f} {times[-1]:7.3f}", flush=True)


if __name__ == "__main__":
    main()

"""Fleets in zones, simulated: when the last machine is done, and how often the file crosses.

    python -m bench.zones [NODES/ZONES ...] [--chunks 1000]

1 GB over 1 Gbit/s, seed 1. *Thin* links of a zone carry a quarter of what its machines could send,
or 1.05 times one machine's rate if that is more; *ample* ones are never full. Times are over
F/B = 8 s; crossed is in copies of the file. Some minutes of one core.
"""

import argparse
from collections.abc import Sequence
from statistics import median
from typing import NamedTuple

from strew.sim.fleet import Fleet, Terms

FLEETS = ("9/3", "12/4", "12/6", "16/4", "30/10", "60/20", "80/8", "120/8", "200/20")

SIZE_BYTES = 10**9
RATE_BYTES_PER_S = 125e6
SEED = 1

THIN_RATIO = 4.0
LEAST_RATE = 1.05
"""Of one machine: what a thin link carries at least. Below 1 it would be the bottleneck."""


class Spread(NamedTuple):
    """Over F/B, and copies of the file that went from zone to zone."""

    last: float
    median: float
    crossed: float


def spread(nodes: int, zones: int, ratio: float, chunks: int) -> Spread:
    """One run; a zone's machines could send `ratio` times what its link carries."""
    fleet = Fleet(
        Terms(
            nodes=nodes,
            racks=zones,
            rack_ratio=ratio,
            size_bytes=SIZE_BYTES,
            chunks=chunks,
            rate_bytes_per_s=RATE_BYTES_PER_S,
            seed=SEED,
        )
    )
    fleet.spread()
    line_s = SIZE_BYTES / RATE_BYTES_PER_S
    crossed = fleet.network.crossed_bytes / SIZE_BYTES
    return Spread(max(fleet.times_s) / line_s, median(fleet.times_s) / line_s, crossed)


def main(arguments: Sequence[str] | None = None) -> None:
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("fleets", nargs="*", default=FLEETS, metavar="NODES/ZONES")
    parser.add_argument("--chunks", type=int, default=1000)
    asked = parser.parse_args(arguments)
    print(f"{'machines, zones':<16} {'links':<6} {'last':>6} {'median':>7} {'crossed':>9}")
    for fleet in asked.fleets:
        nodes, zones = map(int, fleet.split("/"))
        thin = min(THIN_RATIO, nodes / zones / LEAST_RATE)
        for links, ratio in (("thin", thin), ("ample", 1.0 / zones)):
            of = spread(nodes, zones, ratio, asked.chunks)
            shown = f"{of.last:6.3f} {of.median:7.3f} {of.crossed:7.2f} F"
            print(f"{nodes:>8}, {zones:<6} {links:<6} {shown}", flush=True)


if __name__ == "__main__":
    main()

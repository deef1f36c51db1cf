"""One origin to 4 and to 8 nodes, unlimited, all on this machine's cores."""

import filecmp
from collections.abc import Iterator

from bench.figures import GB, GIB, MIB, Figure
from bench.fleet import Fleet, Round
from bench.processes import Processes
from bench.scratch import Bench, write_noise

CASE = "one_to_many"
FLEETS = (4, 8)
SIZE_SHARES = {4: 1, 8: 2}
"""The file is so many times smaller: all its copies are to stay in memory."""
MARKS_CPU_S_PER_GIB = {4: 2.0}


def run(bench: Bench) -> Iterator[Figure]:
    rounds: dict[int, list[Round]] = {count: [] for count in FLEETS}
    copies_bytes = max((2 + count) * bench.size_bytes // SIZE_SHARES[count] for count in FLEETS)
    with (
        bench.scratch(copies_bytes + bench.size_bytes) as folder,
        Processes(folder) as processes,
    ):
        fleet = Fleet(processes, folder)
        sources = {}
        for count in FLEETS:
            source = folder / f"source-{count}"
            write_noise(source, bench.size_bytes // SIZE_SHARES[count])
            sources[count] = source, fleet.push(source, source.name)
        for number in range(bench.rounds):
            for count in FLEETS:
                bench.say(f"{CASE}: {count} nodes, round {number + 1} of {bench.rounds}")
                source, artifact = sources[count]
                name = f"round-{number}-of-{count}"
                nodes = [fleet.node(name) for _ in range(count)]
                rounds[count].append(fleet.spread(artifact, f"{name}:1", nodes))
                for node in nodes:
                    assert filecmp.cmp(source, node.into / source.name, shallow=False)
                fleet.stop(nodes)
    for count in FLEETS:
        shown = f"{count} nodes, {bench.size_bytes // SIZE_SHARES[count] >> 20} MiB"
        yield from _figures(count, shown, rounds[count])


def _figures(count: int, shown: str, rounds: list[Round]) -> Iterator[Figure]:
    yield Figure(
        case=CASE,
        what=f"{shown}, all processes, with fsync",
        unit="CPU s/GiB delivered",
        samples=tuple(each.cpu_s_per_gib for each in rounds),
        mark=MARKS_CPU_S_PER_GIB.get(count),
    )
    yield Figure(
        case=CASE,
        what=f"{shown}, published to last written",
        unit="s",
        samples=tuple(each.written_s for each in rounds),
    )
    yield Figure(
        case=CASE,
        what=f"{shown}, published to last in place",
        unit="s",
        samples=tuple(each.placed_s for each in rounds),
    )
    yield Figure(
        case=CASE,
        what=f"{shown}, together, to written",
        unit="GB/s",
        samples=tuple(each.delivered_gib * GIB / GB / each.written_s for each in rounds),
    )
    yield Figure(
        case=CASE,
        what=f"{shown}, peak RSS of the largest",
        unit="MiB",
        samples=tuple(each.nodes_peak_bytes / MIB for each in rounds),
        mark=80,
    )

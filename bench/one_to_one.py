"""One origin to one node, unlimited, on loopback: every byte verified and written."""

import filecmp
from collections.abc import Iterator
from statistics import median

from bench import floor
from bench.figures import GIB, MIB, Figure
from bench.fleet import Fleet, Round
from bench.processes import Processes
from bench.scratch import Bench, write_noise

CASE = "one_to_one"


def run(bench: Bench) -> Iterator[Figure]:
    """Floor and strew in turn, so that what else the machine does falls on both."""
    bare: list[floor.Bare] = []
    rounds: list[Round] = []
    with (
        bench.scratch(3 * bench.size_bytes) as folder,
        Processes(folder) as processes,
    ):
        source = folder / "source"
        write_noise(source, bench.size_bytes)
        fleet = Fleet(processes, folder)
        artifact = fleet.push(source, "source")
        for number in range(bench.rounds):
            bench.say(f"{CASE}: round {number + 1} of {bench.rounds}")
            bare.append(floor.transfer(processes, source))
            name = f"round-{number}"
            node = fleet.node(name)
            rounds.append(fleet.spread(artifact, f"{name}:1", [node]))
            assert filecmp.cmp(source, node.into / source.name, shallow=False)
            fleet.stop([node])
    yield from floor.figures(CASE, "floor", bare)
    yield from _figures(rounds, bare)


def _figures(rounds: list[Round], bare: list[floor.Bare]) -> Iterator[Figure]:
    yield Figure(
        case=CASE,
        what="strew, to written",
        unit="GB/s",
        samples=tuple(each.deliveries[0].gb_per_s for each in rounds),
        mark=1.0,
        at_least=True,
        floor=median(run.gb_per_s for run in bare),
    )
    yield Figure(
        case=CASE,
        what="strew, with fsync, both ends",
        unit="CPU s/GiB",
        samples=tuple(each.cpu_s_per_gib for each in rounds),
        mark=1.6,
        floor=median(run.cpu_s_per_gib for run in bare),
    )
    size_gib = rounds[0].deliveries[0].size_bytes / GIB
    for end, spent in (
        ("origin", [each.serve_cpu_s for each in rounds]),
        ("node", [each.nodes_cpu_s for each in rounds]),
    ):
        yield Figure(
            case=CASE,
            what=f"strew, {end} alone",
            unit="CPU s/GiB",
            samples=tuple(cpu_s / size_gib for cpu_s in spent),
        )
    yield Figure(
        case=CASE,
        what="published to in place, with fsync",
        unit="s",
        samples=tuple(each.placed_s for each in rounds),
        floor=median(run.placed_s for run in bare),
    )
    for end, peaks in (
        ("origin", [each.serve_peak_bytes for each in rounds]),
        ("node", [each.nodes_peak_bytes for each in rounds]),
    ):
        yield Figure(
            case=CASE,
            what=f"peak RSS, {end}",
            unit="MiB",
            samples=tuple(peak / MIB for peak in peaks),
            mark=80 if end == "node" else None,
        )

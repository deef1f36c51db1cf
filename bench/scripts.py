"""The benchmarks that stand by themselves, as cases: bench/ingest.py, announce.py, attacks.py."""

from collections.abc import Iterator
from typing import Any

from bench.figures import MIB, Figure
from bench.processes import Process, Processes
from bench.scratch import Bench

IDLE_S = 15.0
"""Half an announce interval: every second node announces once."""


SHORT = ("begin", "finish")
"""Steps that move no bytes."""


def ingest(bench: Bench) -> Iterator[Figure]:
    """Publishing and storing, from page cache."""
    figures: dict[str, list[dict[str, Any]]] = {}
    with bench.scratch(3 * bench.size_bytes) as folder, Processes(folder) as processes:
        for number in range(bench.rounds):
            bench.say(f"ingest: round {number + 1} of {bench.rounds}")
            process = processes.python(
                *("-m", "bench.ingest", "--json"),
                *("--size", str(bench.size_bytes), "--folder", str(folder)),
            )
            for said in _all_of(process):
                figures.setdefault(said["figure"], []).append(said)
            processes.stop(process)
    for name, runs in figures.items():
        if name in SHORT:
            took_ms = tuple(1000 * run["seconds"] for run in runs)
            yield Figure(case="ingest", what=name, unit="ms", samples=took_ms)
            continue
        is_ingest = name == "ingest"
        yield Figure(
            case="ingest",
            what=name,
            unit="GB/s",
            samples=tuple(run["gb_per_s"] for run in runs),
            mark=0.7 if is_ingest else None,
            at_least=is_ingest,
        )
        yield Figure(
            case="ingest",
            what=name,
            unit="CPU s/GiB",
            samples=tuple(run["cpu_s_per_gib"] for run in runs),
        )
    yield Figure(
        case="ingest",
        what="ingest, peak RSS",
        unit="MiB",
        samples=tuple(run["rss_peak_bytes"] / MIB for run in figures["ingest"]),
        mark=80,
    )


def announce(bench: Bench) -> Iterator[Figure]:
    """What a tracker bears."""
    bench.say("announce")
    with bench.scratch(0) as folder, Processes(folder) as processes:
        process = processes.python("-m", "bench.announce", "--json", "--idle-s", str(IDLE_S))
        said = process.wait_for("result")
    for name, what in (("idle", "nodes with nothing to do"), ("wanting", "nodes that want peers")):
        yield _announced(f"announces, {what}", "1/s", said[name]["announces_per_s"])
        yield _announced(f"announces, {what}, p99", "ms", 1000 * said[name]["p99_s"])
    waiting = said["waiting"]
    yield Figure(
        case="announce",
        what=f"{waiting['nodes']} waiting nodes",
        unit="% of a core",
        samples=(100 * waiting["cpu_share_of_core"],),
        mark=10,
    )
    yield Figure(
        case="announce",
        what=f"publication heard by the last of {waiting['nodes']}",
        unit="s",
        samples=(waiting["publication_heard_last_s"],),
        mark=1,
    )


def attacks(bench: Bench) -> Iterator[Figure]:
    """What an attacked process is to those who ask it honestly."""
    bench.say("attacks")
    with bench.scratch(0) as folder, Processes(folder) as processes:
        process = processes.python("-m", "bench.attacks", "--json", "--rounds", str(bench.rounds))
        said = process.wait_for("result")
    for name, what in (("idle", "requests, p99"), ("attacked", "under 500 slow heads, p99")):
        yield Figure(case="attacks", what=what, unit="ms", samples=(1000 * said[f"{name}_p99_s"],))
    yield Figure(
        case="attacks",
        what="the latter of the former",
        unit="",
        samples=(said["p99_ratio"],),
        mark=2,
    )
    yield Figure(
        case="attacks",
        what="1000 announces in a second, p99",
        unit="ms",
        samples=(1000 * said["announce_p99_s"],),
        mark=250,
    )


def _announced(what: str, unit: str, value: float) -> Figure:
    return Figure(case="announce", what=what, unit=unit, samples=(value,))


def _all_of(process: Process) -> Iterator[dict[str, Any]]:
    """All it says, once it has ended well."""
    process.ended()
    yield from process.rest()

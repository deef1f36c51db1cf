"""Peak memory of every process that an artifact passes, by the artifact's size."""

from collections.abc import Iterator

from bench.figures import GIB, MIB, Figure
from bench.fleet import Fleet
from bench.processes import Processes
from bench.scratch import Bench, write_noise

CASE = "memory"
MARK_MIB = 80
SIZES_BYTES = (1, 256 << 20, 1 << 30)
SIZES_LARGE_BYTES = (4 << 30, 20 << 30)
COPIES = 3
"""Source, origin, node."""


def run(bench: Bench) -> Iterator[Figure]:
    for size_bytes in SIZES_BYTES + (SIZES_LARGE_BYTES if bench.large else ()):
        yield from _of(bench, size_bytes)


def _of(bench: Bench, size_bytes: int) -> Iterator[Figure]:
    """New processes for each size: a peak never falls."""
    shown = f"{size_bytes >> 20} MiB" if size_bytes < GIB else f"{size_bytes >> 30} GiB"
    shown = shown if size_bytes >= MIB else f"{size_bytes} byte"
    bench.say(f"{CASE}: {shown}")
    with (
        bench.scratch(COPIES * size_bytes) as folder,
        Processes(folder) as processes,
    ):
        source = folder / "source"
        write_noise(source, size_bytes)
        fleet = Fleet(processes, folder)
        artifact = fleet.push(source, "source")
        source.unlink()
        round_ = fleet.spread(artifact, "fetched:1", [fleet.node("fetched")])
    peaks = (
        ("push", fleet.push_peak_bytes),
        ("serve", round_.serve_peak_bytes),
        ("node", round_.nodes_peak_bytes),
    )
    for process, peak_bytes in peaks:
        yield Figure(
            case=CASE,
            what=f"{shown}, strew {process}",
            unit="MiB",
            samples=(peak_bytes / MIB,),
            mark=MARK_MIB if process == "node" else None,
        )

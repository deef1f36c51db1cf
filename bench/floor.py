"""The floor: sendfile, recv_into, BLAKE3 and pwrite in bare Python, for several sizes of chunks."""

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from bench.figures import GB, GIB, Figure
from bench.processes import Processes
from bench.scratch import Bench, write_noise
from strew.codec import SLICE_BYTES_MAX

SLICES_BYTES = (64 << 10, 256 << 10, SLICE_BYTES_MAX)
SLICE_BYTES = SLICE_BYTES_MAX
"""What the chunks of a 1 GiB artifact travel in."""


@dataclass(frozen=True, slots=True)
class Bare:
    """One transfer. `written`: all bytes verified and handed to the kernel; `placed`: on the disk
    and renamed. CPU of both ends."""

    size_bytes: int
    written_s: float
    placed_s: float
    written_cpu_s: float
    placed_cpu_s: float

    @property
    def gb_per_s(self) -> float:
        return self.size_bytes / self.written_s / GB

    @property
    def cpu_s_per_gib(self) -> float:
        return self.placed_cpu_s * GIB / self.size_bytes

    @property
    def written_cpu_s_per_gib(self) -> float:
        return self.written_cpu_s * GIB / self.size_bytes


def transfer(processes: Processes, source: Path, slice_bytes: int = SLICE_BYTES) -> Bare:
    """Move a file between two fresh processes; the copy is deleted."""
    target = source.with_name("bare")
    size_bytes = source.stat().st_size
    sender = processes.python("-m", "bench.bare", "send", str(source))
    port = sender.wait_for("listening")["port"]
    receiver = processes.python(
        *("-m", "bench.bare", "receive"),
        *(str(port), str(size_bytes), str(target), str(slice_bytes)),
    )
    got = receiver.wait_for("result")
    sent_cpu_s = sender.wait_for("result")["cpu_s"]
    for process in (sender, receiver):
        processes.stop(process)
    target.unlink()
    return Bare(
        size_bytes=size_bytes,
        written_s=got["written_s"],
        placed_s=got["placed_s"],
        written_cpu_s=got["written_cpu_s"] + sent_cpu_s,
        placed_cpu_s=got["placed_cpu_s"] + sent_cpu_s,
    )


def figures(case: str, what: str, runs: list[Bare]) -> Iterator[Figure]:
    """What one_to_one and the rivals are held against."""
    yield Figure(
        case=case,
        what=f"{what}, to written",
        unit="GB/s",
        samples=tuple(run.gb_per_s for run in runs),
    )
    yield Figure(
        case=case,
        what=f"{what}, to written, both ends",
        unit="CPU s/GiB",
        samples=tuple(run.written_cpu_s_per_gib for run in runs),
    )
    yield Figure(
        case=case,
        what=f"{what}, with fsync, both ends",
        unit="CPU s/GiB",
        samples=tuple(run.cpu_s_per_gib for run in runs),
    )


def run(bench: Bench) -> Iterator[Figure]:
    with (
        bench.scratch(2 * bench.size_bytes) as folder,
        Processes(folder) as processes,
    ):
        source = folder / "source"
        write_noise(source, bench.size_bytes)
        runs: dict[int, list[Bare]] = {size: [] for size in SLICES_BYTES}
        for number in range(bench.rounds):
            bench.say(f"floor: round {number + 1} of {bench.rounds}")
            for slice_bytes in SLICES_BYTES:
                runs[slice_bytes].append(transfer(processes, source, slice_bytes))
        for slice_bytes in SLICES_BYTES:
            yield from figures("floor", f"chunks of {slice_bytes >> 10} KiB", runs[slice_bytes])

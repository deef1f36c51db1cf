"""What publishing and storing cost, on files in page cache.

    python bench/ingest.py [--size 1G] [--folder DIR] [--json]

Each figure comes from a process of its own, so that peak RSS belongs to it alone:

* ingest: read, cut, hash, index one file; GB/s, CPU seconds per GiB, peak RSS;
* put: verify and write all chunks of it into a preallocated `.part` of another store (pages of the
  target are warmed by an earlier run: first touch of memory would measure the machine);
* resume: hash again all that the `.part` claims to have;
* finish: modes, fsync, rename.

`floor` beside them: BLAKE3 and pwrite of the same chunks in bare Python.
"""

import argparse
import json
import os
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path

from strew.content.digest import digest_of
from strew.content.manifest import Manifest
from strew.store.disk import DiskStore

GIB = 1 << 30
BLOCK_BYTES = 4 << 20
UNITS = {"K": 1 << 10, "M": 1 << 20, "G": GIB}

Figures = dict[str, float | int | str]


def measured(name: str, size_bytes: int, work: Callable[[], object]) -> Figures:
    """Run once; rate in GB/s (10^9), CPU per GiB of all threads, and the peak of this process."""
    wall_s, cpu_s = time.perf_counter(), time.process_time()
    work()
    wall_s, cpu_s = time.perf_counter() - wall_s, time.process_time() - cpu_s
    return {
        "figure": name,
        "size_bytes": size_bytes,
        "seconds": round(wall_s, 4),
        "gb_per_s": round(size_bytes / wall_s / 1e9, 3),
        "cpu_s_per_gib": round(cpu_s * GIB / max(size_bytes, 1), 3),
        "rss_peak_bytes": rss_peak_bytes(),
    }


def rss_peak_bytes() -> int:
    """VmHWM of this process; ru_maxrss counts its parent's memory, from before exec, as well."""
    lines = Path("/proc/self/status").read_text().splitlines()
    return next(int(line.split()[1]) << 10 for line in lines if line.startswith("VmHWM:"))


def chunks_of(
    source: Path, manifest: Manifest
) -> Callable[[Callable[[int, memoryview], object]], None]:
    """A loop over the chunks, read into one buffer, so that it costs little itself."""

    def each(take: Callable[[int, memoryview], object]) -> None:
        buffer = memoryview(bytearray(manifest.params.max_bytes))
        with source.open("rb", buffering=0) as file:
            for index in range(manifest.chunk_count):
                chunk = buffer[: manifest.length(index)]
                file.readinto(chunk)
                take(index, chunk)

    return each


def ingest(folder: Path) -> list[Figures]:
    store = DiskStore(folder / "publisher")
    source = folder / "source"
    return [measured("ingest", source.stat().st_size, lambda: store.ingest(source))]


def put(folder: Path) -> list[Figures]:
    source = folder / "source"
    publisher = DiskStore(folder / "publisher")
    (stored,) = publisher.artifacts()
    manifest = publisher.manifest(stored.artifact)
    store = DiskStore(folder / "node")
    each = chunks_of(source, manifest)
    floor_fd = os.open(folder / "floor", os.O_RDWR | os.O_CREAT)

    def bare(index: int, chunk: memoryview) -> None:
        digest_of(chunk)
        os.pwrite(floor_fd, chunk, manifest.offset(index))

    each(bare)  # warms the pages
    os.ftruncate(floor_fd, 0)
    os.posix_fallocate(floor_fd, 0, manifest.size_bytes)
    size_bytes = manifest.size_bytes
    results = [measured("floor: BLAKE3 and pwrite", size_bytes, lambda: each(bare))]
    os.close(floor_fd)
    (folder / "floor").unlink()
    results.append(measured("begin", size_bytes, lambda: store.begin(manifest, folder / "target")))
    results.append(
        measured("put", size_bytes, lambda: each(lambda i, chunk: store.put(manifest.id, i, chunk)))
    )
    store.close()
    return results


def finish(folder: Path) -> list[Figures]:
    publisher = DiskStore(folder / "publisher")
    (stored,) = publisher.artifacts()
    manifest = publisher.manifest(stored.artifact)
    store = DiskStore(folder / "node")
    size_bytes = manifest.size_bytes
    return [
        measured("resume", size_bytes, lambda: store.begin(manifest, folder / "target")),
        measured("finish", size_bytes, lambda: store.finish(manifest.id)),
        measured("verify", size_bytes, lambda: store.verify(manifest.id)),
    ]


STEPS = {"ingest": ingest, "put": put, "finish": finish}


def write_noise(path: Path, size_bytes: int) -> None:
    with path.open("wb") as file:
        for start in range(0, size_bytes, BLOCK_BYTES):
            file.write(os.urandom(min(BLOCK_BYTES, size_bytes - start)))


def in_own_process(step: str, folder: Path) -> list[Figures]:
    child = subprocess.run(
        [sys.executable, __file__, "--step", step, "--folder", str(folder)],
        check=True,
        stdout=subprocess.PIPE,
        env={**os.environ, "PYTHONPATH": os.pathsep.join(sys.path)},
    )
    figures: list[Figures] = json.loads(child.stdout)
    return figures


def parse_size(text: str) -> int:
    return int(text[:-1]) * UNITS[text[-1]] if text[-1] in UNITS else int(text)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--size", type=parse_size, default=GIB)
    parser.add_argument("--folder", type=Path, help="where to work (default: a temporary folder)")
    parser.add_argument("--json", action="store_true")
    parser.add_argument("--step", choices=STEPS, help=argparse.SUPPRESS)
    options = parser.parse_args()
    if options.step:
        print(json.dumps(STEPS[options.step](options.folder)))
        return
    with tempfile.TemporaryDirectory(dir=options.folder) as name:
        folder = Path(name)
        write_noise(folder / "source", options.size)
        os.sync()  # otherwise the figures would share the disk with this
        figures = [figure for step in STEPS for figure in in_own_process(step, folder)]
    for figure in figures:
        if options.json:
            print(json.dumps(figure))
        else:
            print(
                f"{figure['figure']:<26} {figure['seconds']:>9} s  {figure['gb_per_s']:>7} GB/s"
                f"  {figure['cpu_s_per_gib']:>6} CPU s/GiB"
                f"  {int(figure['rss_peak_bytes']) >> 20:>4} MiB peak"
            )


if __name__ == "__main__":
    main()

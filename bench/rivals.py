"""What others need for the work of one_to_one, where they are installed.

aria2c fetches over two connections from the /files of `strew serve`, and checks SHA-256 of the
whole; libtorrent seeds and fetches in two processes. CPU is of both ends.
"""

import hashlib
import importlib.util
import shutil
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from statistics import median

import msgspec

from bench import floor
from bench.figures import GB, GIB, Figure
from bench.fleet import KEY, Fleet
from bench.processes import Ended, Process, Processes
from bench.scratch import Bench, write_noise
from strew.lab.rivals import torrent_peer
from strew.lab.rivals.metainfo import describe
from strew.lab.rivals.torrent_peer import Task

CASE = "rivals"
ROUNDS_MAX = 3

LOOPBACK = "127.0.0.1"
SEEDER_PORT = 16881
FETCHER_PORT = 16882

PIECE_BYTES = 256 << 10

FAST_LINK: dict[str, bool | int] = {
    "max_out_request_queue": 2000,
    "max_allowed_in_request_queue": 4000,
    "send_buffer_watermark": 8 << 20,
    "allow_multiple_connections_per_ip": True,
}
"""Queues of libtorrent for two peers on a link with nobody else."""


@dataclass(frozen=True, slots=True)
class Fetch:
    """One fetch by a rival: seconds to the last verified byte, CPU of both ends."""

    seconds: float
    cpu_s: float


def run(bench: Bench) -> Iterator[Figure]:
    bare: list[floor.Bare] = []
    fetches: dict[str, list[Fetch]] = {}
    skipped = []
    with bench.scratch(3 * bench.size_bytes) as folder, Processes(folder) as processes:
        source = folder / "source"
        write_noise(source, bench.size_bytes)
        ways: dict[str, Callable[[], Fetch]] = {}
        if shutil.which("aria2c"):
            ways["aria2c, 2 connections"] = _aria2(processes, folder, source)
        else:
            skipped.append("aria2c is not installed: skipped")
        if importlib.util.find_spec("libtorrent"):
            ways["libtorrent"] = _libtorrent(processes, folder, source)
        else:
            skipped.append("libtorrent is not installed (pip install libtorrent): skipped")
        for number in range(min(bench.rounds, ROUNDS_MAX) if ways else 0):
            bench.say(f"{CASE}: round {number + 1}")
            bare.append(floor.transfer(processes, source))
            for name, way in list(ways.items()):
                try:
                    fetches.setdefault(name, []).append(way())
                except Ended as error:
                    skipped.append(f"{name}: {error}")
                    del ways[name]
    for reason in skipped:
        bench.say(f"{CASE}: {reason}")
    for name, runs in fetches.items():
        if not runs:
            continue
        yield Figure(
            case=CASE,
            what=f"{name}, both ends",
            unit="CPU s/GiB",
            samples=tuple(each.cpu_s * GIB / bench.size_bytes for each in runs),
            floor=median(each.written_cpu_s_per_gib for each in bare),
        )
        yield Figure(
            case=CASE,
            what=name,
            unit="GB/s",
            samples=tuple(bench.size_bytes / each.seconds / GB for each in runs),
            floor=median(each.gb_per_s for each in bare),
        )


def _aria2(processes: Processes, folder: Path, source: Path) -> Callable[[], Fetch]:
    fleet = Fleet(processes, folder)
    artifact = fleet.push(source, "source")
    url = f"http://{fleet.address}/files/{artifact}/source?token={KEY.read_token(artifact)}"
    with source.open("rb") as file:
        digest = hashlib.file_digest(file, "sha256").hexdigest()
    target = folder / "by-aria2"

    def fetch() -> Fetch:
        served_cpu_s = fleet.serve.cpu_s()
        started_s = time.perf_counter()
        process = processes.start(
            *("aria2c", "-x", "2", "-s", "2", "-k", "1M", "--no-conf", "--quiet"),
            *("--file-allocation=falloc", f"--checksum=sha-256={digest}"),
            *("-d", str(folder), "-o", target.name, url),
        )
        cpu_s = process.ended()
        seconds = time.perf_counter() - started_s
        cpu_s += fleet.serve.cpu_s() - served_cpu_s
        assert target.stat().st_size == source.stat().st_size
        target.unlink()
        processes.stop(process)
        return Fetch(seconds, cpu_s)

    return fetch


def _libtorrent(processes: Processes, folder: Path, source: Path) -> Callable[[], Fetch]:
    torrent = folder / "source.torrent"
    torrent.write_bytes(describe(source, PIECE_BYTES).raw)
    into = folder / "by-libtorrent"

    def peer(folder: Path, port: int, others: list[int]) -> Process:
        task = Task(
            torrent=str(torrent),
            folder=str(folder),
            host=LOOPBACK,
            port=port,
            seeds=not others,
            peers=[(LOOPBACK, other) for other in others],
            settings=FAST_LINK,
        )
        return processes.python(torrent_peer.__file__, msgspec.json.encode(task).decode())

    def fetch() -> Fetch:
        into.mkdir()
        seeder = peer(source.parent, SEEDER_PORT, [])
        seeder.wait_for("done")
        before_s = seeder.cpu_s()
        fetcher = peer(into, FETCHER_PORT, [SEEDER_PORT])
        done = fetcher.wait_for("done")
        cpu_s = seeder.cpu_s() - before_s + fetcher.cpu_s()
        for process in (fetcher, seeder):
            processes.stop(process)
        shutil.rmtree(into)
        return Fetch(done["done_s"] - done["begun_s"], cpu_s)

    return fetch

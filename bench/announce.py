"""What a tracker process bears: announces a second, and the cost of a fleet that waits.

    python bench/announce.py [--nodes 1000] [--announces 10000] [--idle-s 30] [--json]

A real tracker (own process, SQLite state, loopback TCP) is asked by this process over raw
keep-alive connections, so that the asking costs little. Three figures:

* announces of nodes with nothing to do, and of nodes that want peers in a swarm of all nodes
  (24 peers in each answer): how many a second, and the time from request to answer, p50 and p99;
* all nodes waiting: each holds an event stream and announces every 30 s over a new connection;
  the tracker's CPU time as a share of one core;
* one publication: when the last waiting node has heard of it.
"""

import argparse
import asyncio
import json
import os
import random
import resource
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import msgspec

from strew.announce.protocol import Announce, Holding, encode
from strew.content.chunker import params_for
from strew.content.digest import digest_of
from strew.content.manifest import Entry, Manifest
from strew.fleet import FleetKey
from strew.messages import PeerId
from strew.tracker.reports import PublishRequest

KEY = FleetKey(bytes(32))
CONNECTIONS = 16
"""Announces under way at one time."""
ANNOUNCES_PER_NODE = 5
"""As many as a node may send in a burst."""
IDLE_EVERY_S = 30.0


# --- the tracker's process ----------------------------------------------------------------------


async def serve(folder: Path) -> None:
    """Run a tracker on a free loopback port; prints the port, ends when stdin does."""
    from aiohttp import web

    from strew.tracker.clock import SteadyClock
    from strew.tracker.service import Tracker, application
    from strew.tracker.sqlite import SqliteState

    state = SqliteState(folder / "tracker.db")
    tracker = Tracker(state, KEY, SteadyClock(), random.Random(1))
    runner = web.AppRunner(application(tracker), access_log=None, shutdown_timeout=1.0)
    await runner.setup()
    site = web.TCPSite(runner, "127.0.0.1", 0, backlog=1024)
    await site.start()
    print(runner.addresses[0][1], flush=True)
    await asyncio.to_thread(sys.stdin.read)
    await runner.cleanup()
    state.close()


@contextmanager
def tracker_process() -> Iterator[tuple[int, int]]:
    """A tracker in a process of its own: (process id, port)."""
    with tempfile.TemporaryDirectory() as folder:
        command = [sys.executable, __file__, "--serve", folder]
        environment = os.environ | {"PYTHONPATH": os.pathsep.join(sys.path)}
        with subprocess.Popen(
            command,
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.DEVNULL,
            env=environment,
        ) as process:
            assert process.stdin is not None and process.stdout is not None
            yield process.pid, int(process.stdout.readline())
            process.stdin.close()


def cpu_s(pid: int) -> float:
    """User and system time of a process so far."""
    fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")


def rss_bytes(pid: int) -> int:
    """Resident memory of a process."""
    pages = int(Path(f"/proc/{pid}/statm").read_text().split()[1])
    return pages * os.sysconf("SC_PAGE_SIZE")


# --- asking -------------------------------------------------------------------------------------


def request(method: str, path: str, token: str, body: bytes = b"", *, close: bool = False) -> bytes:
    """A request as bytes."""
    head = (
        f"{method} {path} HTTP/1.1\r\nHost: 127.0.0.1\r\nAuthorization: Bearer {token}\r\n"
        f"Content-Length: {len(body)}\r\n{'Connection: close' if close else 'Accept: */*'}\r\n\r\n"
    )
    return head.encode() + body


class Asker:
    """One keep-alive connection: a request, its answer, the next."""

    def __init__(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self._reader = reader
        self._writer = writer

    @classmethod
    async def to(cls, port: int) -> "Asker":
        return cls(*await asyncio.open_connection("127.0.0.1", port))

    async def ask(self, message: bytes) -> bytes:
        """The answer's body; anything but a success ends the benchmark."""
        self._writer.write(message)
        head = await self._reader.readuntil(b"\r\n\r\n")
        assert head[9:10] == b"2", head
        length = next(line for line in head.split(b"\r\n") if line.startswith(b"Content-Length:"))
        return await self._reader.readexactly(int(length[15:]))

    def close(self) -> None:
        self._writer.close()


def announce_of(number: int, **fields: object) -> bytes:
    """An announce of node `number`."""
    values = {"port": 7301, "follows": ("app:*",), **fields}
    node = PeerId(f"{number:032x}")
    return encode(Announce(node=node, **values))  # type: ignore[arg-type]


async def announces(port: int, bodies: list[bytes]) -> dict[str, float]:
    """Send them all over CONNECTIONS connections; rate and times."""
    token = KEY.node_token()
    waiting = [request("POST", "/api/v1/announce", token, body) for body in reversed(bodies)]
    times_s: list[float] = []

    async def work() -> None:
        asker = await Asker.to(port)
        while waiting:
            message = waiting.pop()
            started = time.perf_counter()
            await asker.ask(message)
            times_s.append(time.perf_counter() - started)
        asker.close()

    started = time.perf_counter()
    await asyncio.gather(*(work() for _ in range(CONNECTIONS)))
    seconds = time.perf_counter() - started
    times_s.sort()
    return {
        "announces_per_s": len(times_s) / seconds,
        "p50_s": times_s[len(times_s) // 2],
        "p99_s": times_s[len(times_s) * 99 // 100],
    }


def manifest_of(name: str) -> Manifest:
    """A file of one chunk."""
    content = name.encode()
    return Manifest.build(
        name=name,
        is_tree=False,
        mode=0o644,
        entries=[Entry(path=name, kind="file", mode=0o644, size_bytes=len(content))],
        params=params_for(len(content)),
        lengths=[len(content)],
        digests=digest_of(content),
    )


def holding_all(manifest: Manifest) -> Holding:
    """What an origin says of an artifact."""
    return Holding(
        artifact=manifest.id,
        have_chunks=manifest.chunk_count,
        chunk_count=manifest.chunk_count,
        state="seeding",
        origin=True,
    )


async def publish(port: int, manifest: Manifest, origin: int) -> None:
    """Upload the manifest, announce an origin that holds it, name it app:NAME."""
    asker = await Asker.to(port)
    token = KEY.publish_token()
    upload = f"/api/v1/artifacts/{manifest.id}/manifest"
    await asker.ask(request("PUT", upload, token, manifest.raw))
    body = announce_of(origin, holdings=(holding_all(manifest),))
    await asker.ask(request("POST", "/api/v1/announce", KEY.node_token(), body))
    named = msgspec.json.encode(PublishRequest(manifest.id))
    await asker.ask(request("PUT", f"/api/v1/names/app/{manifest.name}", token, named))
    asker.close()


# --- the measurements ---------------------------------------------------------------------------


async def measure_announces(nodes: int, count: int) -> dict[str, object]:
    """Announces a second: of idle nodes, and of nodes that want peers."""
    rounds = min(ANNOUNCES_PER_NODE, max(1, count // nodes))
    with tracker_process() as (pid, port):
        before_s = cpu_s(pid)
        idle = await announces(port, [announce_of(n) for _ in range(rounds) for n in range(nodes)])
        idle["cpu_s_per_1000"] = (cpu_s(pid) - before_s) * 1000 / (rounds * nodes)
    with tracker_process() as (pid, port):
        manifest = manifest_of("v1")
        await publish(port, manifest, nodes)
        has_none = Holding(artifact=manifest.id, have_chunks=0, chunk_count=1, state="fetching")
        bodies = [
            announce_of(n, holdings=(has_none,), wants=(manifest.id,), follows=())
            for n in range(nodes)
        ]
        await announces(port, bodies)
        before_s = cpu_s(pid)
        wanting = await announces(port, bodies * (rounds - 1 or 1))
        spent_s = cpu_s(pid) - before_s
        wanting["cpu_s_per_1000"] = spent_s * 1000 / (len(bodies) * (rounds - 1 or 1))
    return {"idle": idle, "wanting": wanting}


async def measure_waiting(nodes: int, period_s: float) -> dict[str, object]:
    """CPU share of a tracker with `nodes` waiting, then one publication to all of them."""
    heard_at: list[float] = []

    async def listen(port: int, opened: asyncio.Event) -> None:
        reader, writer = await asyncio.open_connection("127.0.0.1", port)
        writer.write(request("GET", "/api/v1/events?kinds=publication", KEY.node_token()))
        await reader.readuntil(b"event: open\n")
        opened.set()
        await reader.readuntil(b"event: publication\n")
        heard_at.append(time.perf_counter())
        writer.close()

    async def announce_once(port: int, number: int) -> None:
        asker = await Asker.to(port)
        path, token = "/api/v1/announce", KEY.node_token()
        await asker.ask(request("POST", path, token, announce_of(number), close=True))
        asker.close()

    with tracker_process() as (pid, port):
        listeners = []
        for number in range(nodes):
            opened = asyncio.Event()
            listeners.append(asyncio.create_task(listen(port, opened)))
            await opened.wait()
            await announce_once(port, number)
        before_s, started = cpu_s(pid), time.perf_counter()
        sent = 0
        while (elapsed_s := time.perf_counter() - started) < period_s:
            while sent < elapsed_s * nodes / IDLE_EVERY_S:
                await announce_once(port, sent % nodes)
                sent += 1
            await asyncio.sleep(0.01)
        share = (cpu_s(pid) - before_s) / (time.perf_counter() - started)
        memory_bytes = rss_bytes(pid)
        published_at = time.perf_counter()
        await publish(port, manifest_of("v2"), nodes)
        async with asyncio.timeout(30):
            await asyncio.gather(*listeners)
        heard_at.sort()
        return {
            "nodes": nodes,
            "period_s": period_s,
            "announces": sent,
            "cpu_share_of_core": share,
            "rss_bytes": memory_bytes,
            "publication_heard_first_s": heard_at[0] - published_at,
            "publication_heard_last_s": heard_at[-1] - published_at,
        }


async def run(options: argparse.Namespace) -> None:
    _, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (hard, hard))
    measured = await measure_announces(options.nodes, options.announces)
    waiting = await measure_waiting(options.nodes, options.idle_s)
    if options.json:
        print(json.dumps({"type": "result", **measured, "waiting": waiting}))
        return
    for name, figures in measured.items():
        assert isinstance(figures, dict)
        print(
            f"{name:8} {figures['announces_per_s']:7.0f} announces/s"
            f"   p50 {figures['p50_s'] * 1000:6.2f} ms   p99 {figures['p99_s'] * 1000:6.2f} ms"
            f"   {figures['cpu_s_per_1000']:.3f} CPU s per 1000"
        )
    print(
        f"waiting  {waiting['nodes']} nodes: {waiting['cpu_share_of_core']:.1%} of a core over "
        f"{waiting['period_s']:.0f} s, {waiting['rss_bytes'] / 2**20:.0f} MiB resident; a "  # type: ignore[operator]
        f"publication was heard by the last after {waiting['publication_heard_last_s']:.3f} s"
    )


def main() -> None:
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("--nodes", type=int, default=1000)
    parser.add_argument("--announces", type=int, default=5000)
    parser.add_argument("--idle-s", type=float, default=30.0)
    parser.add_argument("--json", action="store_true")
    parser.add_argument("--serve", type=Path, help=argparse.SUPPRESS)
    options = parser.parse_args()
    asyncio.run(serve(options.serve) if options.serve else run(options))


if __name__ == "__main__":
    main()

"""What TLS costs: one connection with nothing around it, and one origin to one node.

Each in turn with the same in the clear, so that what else the machine does falls on both. The
connection is that of the peer wire: its sender on one end, its receiver on the other, chunks of
512 KiB from one file of the page cache, and nothing hashed or written. Beside it `asyncio` is what
its own `loop.sendfile` does under TLS, which is not used.
"""

import asyncio
import filecmp
import json
import sys
import time
from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path
from statistics import median

from bench.figures import GB, GIB, Figure
from bench.fleet import Certificates, Fleet, Round
from bench.processes import Processes
from bench.scratch import Bench, write_noise
from strew.certificates.credentials import Credentials, Files, load
from strew.codec import TYPE_CHUNK, ChunkHeader
from strew.transfer.limits import Buckets, TokenBucket
from strew.transfer.receiving import BufferPool, ChunkReceiver, SliceBuffer
from strew.transfer.secured import SecuredTransport
from strew.transfer.secured_sending import SecuredChunkSender
from strew.transfer.sending import ChunkSender, Outgoing

CASE = "secured"
CHUNK_BYTES = 512 << 10
WAYS = ("plain", "tls", "asyncio")
FALLBACK_BYTES = 64 << 20
"""Sent by asyncio's fallback: it takes ten times as long."""
QUEUED = 8
MARK_GB_PER_S = 0.4


class Stored:
    """A chunk of an open file."""

    def __init__(self, fd: int) -> None:
        self.spans = ((fd, 0, CHUNK_BYTES),)

    def close(self) -> None:
        """The file stays open for the next chunk."""


class Counted:
    """A sink that drops what comes."""

    def __init__(self, wanted_bytes: int) -> None:
        self._left_bytes = wanted_bytes
        self.done = asyncio.get_running_loop().create_future()

    def chunk_begins(self, header: ChunkHeader) -> bool:
        return True

    def slice_came(self, header: ChunkHeader, buffer: SliceBuffer) -> None:
        self.count(header.slice_bytes)
        buffer.release()

    def count(self, count: int) -> None:
        self._left_bytes -= count
        if self._left_bytes <= 0 and not self.done.done():
            self.done.set_result(None)

    def chunk_broken(self, header: ChunkHeader) -> None:
        self.data_lost("a chunk broke off")

    def data_lost(self, reason: str) -> None:
        if not self.done.done():
            self.done.set_exception(ConnectionResetError(reason))


class Plain(asyncio.BufferedProtocol):
    """Counts bytes without frames."""

    def __init__(self, sink: Counted) -> None:
        self._sink = sink
        self._buffer = memoryview(bytearray(CHUNK_BYTES))

    def get_buffer(self, sizehint: int) -> memoryview:
        return self._buffer

    def buffer_updated(self, nbytes: int) -> None:
        self._sink.count(nbytes)


class Begun(asyncio.Protocol):
    """Waits until the connection, TLS and all, is up."""

    def __init__(self) -> None:
        self.up: asyncio.Future[asyncio.Transport]
        self.up = asyncio.get_running_loop().create_future()

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        assert isinstance(transport, asyncio.Transport)
        if not self.up.done():
            self.up.set_result(transport)


async def receive(way: str, port: int, size_bytes: int, credentials: Credentials) -> None:
    """The dialling end; tells seconds and its CPU time."""
    loop = asyncio.get_running_loop()
    sink = Counted(size_bytes)
    begun = Begun()
    protocol: asyncio.BaseProtocol = begun
    if way == "tls":
        protocol = SecuredTransport(credentials.met, begun, server_side=False)
    await loop.create_connection(
        lambda: protocol,
        "127.0.0.1",
        port,
        ssl=credentials.met if way == "asyncio" else None,
        server_hostname="" if way == "asyncio" else None,
    )
    transport = await begun.up
    receiver: asyncio.BaseProtocol = Plain(sink)
    if way != "asyncio":
        receiver = ChunkReceiver(BufferPool(), TokenBucket(None, loop.time), sink)
    receiver.connection_made(transport)
    transport.set_protocol(receiver)
    started_s, started_cpu_s = time.perf_counter(), time.process_time()
    transport.write(b"!")  # the protocol is in place
    await sink.done
    seconds = time.perf_counter() - started_s
    say("result", seconds=seconds, cpu_s=time.process_time() - started_cpu_s)


async def send(way: str, source: Path, size_bytes: int, credentials: Credentials) -> None:
    """The listening end; tells its port and its CPU time."""
    loop = asyncio.get_running_loop()
    begun = Begun()

    def accepted() -> asyncio.BaseProtocol:
        if way == "tls":
            return SecuredTransport(credentials.server, begun, server_side=True)
        return begun

    context = credentials.server if way == "asyncio" else None
    server = await loop.create_server(accepted, "127.0.0.1", 0, ssl=context)
    say("listening", port=server.sockets[0].getsockname()[1])
    transport = await begun.up
    started_cpu_s = time.process_time()
    with source.open("rb") as file:
        if way == "asyncio":
            await loop.sendfile(transport, file, 0, size_bytes)
        else:
            await chunks(transport, file.fileno(), size_bytes // CHUNK_BYTES)
    say("result", cpu_s=time.process_time() - started_cpu_s)
    await asyncio.sleep(1.0)  # the other end hangs up first


async def chunks(transport: asyncio.Transport, fd: int, count: int) -> None:
    """Send so many, some of them queued, as a node does."""
    loop = asyncio.get_running_loop()
    done = loop.create_future()
    left = count

    def sent(header: ChunkHeader, whole: bool) -> None:
        nonlocal left
        left -= 1
        if left >= QUEUED:
            put()
        elif left == 0:
            done.set_result(None)

    def lost(reason: str) -> None:
        done.set_exception(ConnectionResetError(reason))

    buckets = Buckets.limited(None, None, loop.time)
    sender: ChunkSender
    if isinstance(transport, SecuredTransport):
        sender = SecuredChunkSender(loop, transport, buckets, sent, lost)
    else:
        sender = ChunkSender(loop, transport.get_extra_info("socket"), buckets, sent, lost)

    def put() -> None:
        header = ChunkHeader(TYPE_CHUNK, 1, 0, 0, CHUNK_BYTES, 0, 0, 0)
        sender.put(Outgoing(header, lambda: Stored(fd)))

    for _ in range(min(QUEUED, count)):
        put()
    await done


def say(kind: str, **facts: object) -> None:
    """One JSON line."""
    print(json.dumps({"type": kind, **facts}), flush=True)


def connection(
    processes: Processes, source: Path, size_bytes: int, way: str, files: Files
) -> tuple[float, float]:
    """One connection's GB/s, and CPU s/GiB of both ends."""
    words = (str(files.ca), str(files.certificate), str(files.key))
    sender = processes.python(
        "-m", "bench.secured", "send", way, str(source), str(size_bytes), *words
    )
    port = sender.wait_for("listening")["port"]
    receiver = processes.python(
        "-m", "bench.secured", "receive", way, str(port), str(size_bytes), *words
    )
    got = receiver.wait_for("result")
    cpu_s = got["cpu_s"] + sender.wait_for("result")["cpu_s"]
    for process in (sender, receiver):
        processes.stop(process)
    return size_bytes / got["seconds"] / GB, cpu_s * GIB / size_bytes


def run(bench: Bench) -> Iterator[Figure]:
    """Both, in the clear and under TLS in turn."""
    rates: dict[str, list[tuple[float, float]]] = {way: [] for way in WAYS}
    rounds: dict[bool, list[Round]] = {False: [], True: []}
    with bench.scratch(4 * bench.size_bytes) as folder, Processes(folder) as processes:
        source = folder / "source"
        write_noise(source, bench.size_bytes)
        files = Certificates(folder / "ends").files("ends")
        fleets, artifacts = {}, {}
        for strict in rounds:
            place = folder / ("strict" if strict else "lab")
            place.mkdir()
            fleets[strict] = Fleet(processes, place, strict=strict)
            artifacts[strict] = fleets[strict].push(source, "source")
        for number in range(bench.rounds):
            bench.say(f"{CASE}: round {number + 1} of {bench.rounds}")
            for way, found in rates.items():
                size_bytes = FALLBACK_BYTES if way == "asyncio" else bench.size_bytes
                found.append(connection(processes, source, size_bytes, way, files))
            for strict, fleet in fleets.items():
                name = f"round-{number}"
                node = fleet.node(name)
                rounds[strict].append(fleet.spread(artifacts[strict], f"{name}:1", [node]))
                assert filecmp.cmp(source, node.into / source.name, shallow=False)
                fleet.stop([node])
    yield from _figures(rates, rounds)


def _figures(
    rates: dict[str, list[tuple[float, float]]], rounds: dict[bool, list[Round]]
) -> Iterator[Figure]:
    plain = rates["plain"]
    for way, found in rates.items():
        for number, unit in enumerate(("GB/s", "CPU s/GiB")):
            is_rate = number == 0
            yield Figure(
                case=CASE,
                what=f"one connection, {way}",
                unit=unit,
                samples=tuple(each[number] for each in found),
                mark=MARK_GB_PER_S if way == "tls" and is_rate else None,
                at_least=True,
                floor=None if way == "plain" else median(each[number] for each in plain),
                note="the floor is the same in the clear",
            )
    for strict, found_rounds in rounds.items():
        profile = "strict" if strict else "lab"
        lab = rounds[False]
        yield Figure(
            case=CASE,
            what=f"one to one, {profile}, to written",
            unit="GB/s",
            samples=tuple(each.deliveries[0].gb_per_s for each in found_rounds),
            mark=MARK_GB_PER_S if strict else None,
            at_least=True,
            floor=median(each.deliveries[0].gb_per_s for each in lab) if strict else None,
        )
        yield Figure(
            case=CASE,
            what=f"one to one, {profile}, with fsync, both ends",
            unit="CPU s/GiB",
            samples=tuple(each.cpu_s_per_gib for each in found_rounds),
            floor=median(each.cpu_s_per_gib for each in lab) if strict else None,
        )


if __name__ == "__main__":
    end, way_, what, size = sys.argv[1:5]
    loaded = load(Files(*map(Path, sys.argv[5:8])), datetime.now(UTC))
    if end == "send":
        asyncio.run(send(way_, Path(what), int(size), loaded))
    else:
        asyncio.run(receive(way_, int(what), int(size), loaded))

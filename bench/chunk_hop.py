"""Does handing a chunk to a thread pay? `ChunkStore.put` on the event loop and in a thread.

One process sends chunks over loopback, another receives them on an asyncio loop and puts them into
a store, once on the loop and once through a thread, as strew.agent.storing can do either (its own
switch is held). Chunks of more than 512 KiB come in slices of that, as in a node.
"""

import asyncio
import json
import os
import resource
import socket
import sys
import time
from collections.abc import Iterator
from functools import partial
from pathlib import Path
from statistics import median

from bench.figures import GB, GIB, MIB, Figure
from bench.processes import Processes
from bench.scratch import Bench, write_noise
from strew.agent.storing import StoreThread
from strew.codec import SLICE_BYTES_MAX
from strew.content.chunker import ChunkerParams
from strew.content.digest import digest_of
from strew.content.manifest import Entry, Manifest
from strew.store.disk import DiskStore
from strew.store.store import ChunkWriter

CASE = "chunk_hop"
CHUNKS_BYTES = (64 << 10, 256 << 10, 512 << 10, 2 << 20)
SIZE_BYTES = 256 << 20
BUFFERS = 16
"""Slices in memory at once."""


class Receiver(asyncio.BufferedProtocol):
    """Slices of chunks of one size, each into a free buffer and then to the store."""

    def __init__(self, storing: StoreThread, store: DiskStore, manifest: Manifest) -> None:
        self._storing = storing
        self._store = store
        self._artifact = manifest.id
        self._slice_bytes = min(manifest.length(0), SLICE_BYTES_MAX)
        self._chunk_slices = manifest.length(0) // self._slice_bytes
        self._slices = manifest.chunk_count * self._chunk_slices
        self._free = [memoryview(bytearray(self._slice_bytes)) for _ in range(BUFFERS)]
        self._buffer = self._free.pop()
        self._filled = 0
        self._received = 0
        self._stored = 0
        self._waits = False
        self._writer: ChunkWriter | None = None
        self._transport: asyncio.Transport | None = None
        self.done = asyncio.get_running_loop().create_future()

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        assert isinstance(transport, asyncio.Transport)
        self._transport = transport

    def get_buffer(self, sizehint: int) -> memoryview:
        return self._buffer[self._filled :]

    def buffer_updated(self, nbytes: int) -> None:
        self._filled += nbytes
        if self._filled < self._slice_bytes:
            return
        buffer = self._buffer
        work = partial(self._put, self._received, buffer)
        self._received += 1
        self._filled = 0
        self._storing.submit(work, partial(self._put_back, buffer))
        if self._free:
            self._buffer = self._free.pop()
        elif self._transport is not None:
            self._waits = True
            self._transport.pause_reading()

    def _put(self, number: int, data: memoryview) -> None:
        """What the agent does with a slice: strew.agent.agent.Agent.slice_came."""
        index, part = divmod(number, self._chunk_slices)
        if self._chunk_slices == 1:
            self._store.put(self._artifact, index, data)
            return
        if self._writer is None:
            self._writer = self._store.open_writer(self._artifact, index)
        self._writer.write(data)
        if part == self._chunk_slices - 1:
            self._writer.commit()
            self._writer = None

    def _put_back(self, buffer: memoryview, result: object, error: BaseException | None) -> None:
        if error is not None:
            raise error
        self._free.append(buffer)
        self._stored += 1
        if self._stored == self._slices:
            self.done.set_result(None)
        elif self._waits and self._transport is not None:
            self._waits = False
            self._buffer = self._free.pop()
            self._transport.resume_reading()


def manifest_of(source: Path, chunk_bytes: int) -> Manifest:
    """Cut into chunks of one size."""
    digests = []
    with source.open("rb") as file:
        while chunk := file.read(chunk_bytes):
            digests.append(digest_of(chunk))
    return Manifest.build(
        name=source.name,
        is_tree=False,
        mode=0o644,
        entries=[
            Entry(path=source.name, kind="file", mode=0o644, size_bytes=source.stat().st_size)
        ],
        params=ChunkerParams(chunk_bytes, chunk_bytes // 4, 2 * chunk_bytes, 3),
        lengths=[chunk_bytes] * len(digests),
        digests=b"".join(digests),
    )


async def receive(folder: Path, source: Path, chunk_bytes: int, threaded: bool) -> dict[str, float]:
    """Receive all chunks; seconds and CPU seconds of this process."""
    manifest = manifest_of(source, chunk_bytes)
    store = DiskStore(folder / "store")
    store.begin(manifest, folder / "target")
    loop = asyncio.get_running_loop()
    storing = StoreThread(loop)
    # its own switch, which a slow disk throws; never or always here
    storing._threaded_until_s = float("inf") if threaded else 0.0
    with socket.create_server(("127.0.0.1", 0)) as server:
        print(json.dumps({"type": "listening", "port": server.getsockname()[1]}), flush=True)
        connection, _ = await asyncio.to_thread(server.accept)
    connection.setblocking(False)
    before, started_s = resource.getrusage(resource.RUSAGE_SELF), time.perf_counter()
    transport, receiver = await loop.connect_accepted_socket(
        lambda: Receiver(storing, store, manifest), connection
    )
    await receiver.done
    seconds = time.perf_counter() - started_s
    after = resource.getrusage(resource.RUSAGE_SELF)
    transport.close()
    storing.stop()
    store.abandon(manifest.id)
    store.close()
    cpu_s = after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime
    return {"seconds": seconds, "cpu_s": cpu_s}


def send(source: str, port: str) -> None:
    """The child: the whole file."""
    with socket.create_connection(("127.0.0.1", int(port))) as connection, open(source, "rb") as f:
        offset = 0
        while sent := os.sendfile(connection.fileno(), f.fileno(), offset, 1 << 20):
            offset += sent


def run(bench: Bench) -> Iterator[Figure]:
    samples: dict[tuple[int, bool], list[dict[str, float]]] = {}
    with bench.scratch(2 * SIZE_BYTES) as folder, Processes(folder) as processes:
        source = folder / "source"
        write_noise(source, SIZE_BYTES)
        for number in range(bench.rounds):
            bench.say(f"{CASE}: round {number + 1} of {bench.rounds}")
            for chunk_bytes in CHUNKS_BYTES:
                for threaded in (False, True):
                    receiver = processes.python(
                        *("-m", "bench.chunk_hop", "receive", str(folder), str(source)),
                        *(str(chunk_bytes), "thread" if threaded else "inline"),
                    )
                    port = receiver.wait_for("listening")["port"]
                    sender = processes.python(
                        "-m", "bench.chunk_hop", "send", str(source), str(port)
                    )
                    measured = receiver.wait_for("result")
                    samples.setdefault((chunk_bytes, threaded), []).append(measured)
                    processes.stop(sender)
                    processes.stop(receiver)
    for chunk_bytes in CHUNKS_BYTES:
        yield from _figures(chunk_bytes, samples)


def _figures(
    chunk_bytes: int, samples: dict[tuple[int, bool], list[dict[str, float]]]
) -> Iterator[Figure]:
    """Both ways beside each other; what is in the thread is held against inline as its floor."""
    shown = f"{chunk_bytes >> 10} KiB" if chunk_bytes < MIB else f"{chunk_bytes >> 20} MiB"
    inline, threaded = samples[chunk_bytes, False], samples[chunk_bytes, True]
    for way, measured in (("on the loop", inline), ("in a thread", threaded)):
        cpu = tuple(each["cpu_s"] * GIB / SIZE_BYTES for each in measured)
        rate = tuple(SIZE_BYTES / each["seconds"] / GB for each in measured)
        hop = measured is threaded
        yield Figure(
            case=CASE,
            what=f"chunks of {shown}, {way}, receiver",
            unit="CPU s/GiB",
            samples=cpu,
            floor=median(each["cpu_s"] * GIB / SIZE_BYTES for each in inline) if hop else None,
            note="the floor of `in a thread` is `on the loop`",
        )
        yield Figure(
            case=CASE,
            what=f"chunks of {shown}, {way}",
            unit="GB/s",
            samples=rate,
            floor=median(SIZE_BYTES / each["seconds"] / GB for each in inline) if hop else None,
        )


if __name__ == "__main__":
    if sys.argv[1] == "send":
        send(*sys.argv[2:])
    else:
        _, _, place, file, size, way_ = sys.argv
        result = asyncio.run(receive(Path(place), Path(file), int(size), way_ == "thread"))
        print(json.dumps({"type": "result", **result}), flush=True)

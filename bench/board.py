"""What it costs a tracker to be looked at: telemetry of a large fleet, and one onlooker.

    python -m bench.board [--nodes 1000] [--chunks 8000] [--seconds 60] [--json]

A real tracker (own process, SQLite state, loopback TCP) hears of machines that are not there, each
of which tells its telemetry over raw keep-alive connections whenever it is asked to. Chunks, rates
and neighbours are invented, their number and size are those of a transfer under way. Announces go
on in no window, so that the CPU time is that of telemetry and boards alone. Figures:

* at rest: the share of a core that the tracker takes with the fleet's leases alone. It is in all
  shares below;
* with nobody looking: the CPU time of one message (TELEMETRY_COST_S of
  strew.tracker.telemetry_pace), and the share of a core that the fleet costs at the pace the
  tracker asks for;
* with one onlooker on the event stream: the share of a core, and the stream's bytes a minute;
* the whole board: its bytes, and the seconds until it is here.
"""

import argparse
import asyncio
import heapq
import json
import random
import time

import msgspec

from bench.announce import (
    KEY,
    Asker,
    announce_of,
    cpu_s,
    holding_all,
    publish,
    request,
    rss_bytes,
    tracker_process,
)
from strew.content.bitfield import Bitfield
from strew.content.chunker import params_for
from strew.content.digest import digest_of
from strew.content.manifest import Entry, Manifest
from strew.messages import PeerId
from strew.telemetry.protocol import (
    LinkTelemetry,
    SwarmTelemetry,
    Telemetry,
    TelemetryWanted,
    encode_telemetry,
)

CONNECTIONS = 32
"""Messages under way at one time; nodes have a connection each."""

NEIGHBOURS = 40
"""Of each machine, as in a fleet of this size."""

SETTLE_S = 5.0
"""Before a window: the tracker has found its pace."""

SETTLE_WAITS = 2
"""And after so many of a machine's waits: those that all began at one moment tell in waves at
first, and a window may have many of them or few."""

ANNOUNCE_EVERY_S = 25.0
"""Within the shortest lease, and not more often: what announces cost is another benchmark's."""

ZONES = 20


def manifest_of(name: str, chunks: int) -> Manifest:
    """A file of so many chunks of 1 MiB, which nobody reads."""
    size_bytes = chunks << 20
    return Manifest.build(
        name=name,
        is_tree=False,
        mode=0o644,
        entries=[Entry(path=name, kind="file", mode=0o644, size_bytes=size_bytes)],
        params=params_for(size_bytes),
        lengths=[1 << 20] * chunks,
        digests=b"".join(digest_of(b"%d" % number) for number in range(chunks)),
    )


class Crowd:
    """Machines 1 to `nodes`, which fetch all of an artifact in `over_s`."""

    def __init__(self, manifest: Manifest, nodes: int, over_s: float) -> None:
        self.manifest = manifest
        self.nodes = nodes
        self._over_s = over_s
        self._dice = random.Random(1)
        count = manifest.chunk_count
        self._masks = [self._dice.getrandbits(count) for _ in range(nodes + 1)]
        self.messages = 0
        self.bytes = 0
        self.wait_s = 0.0
        self._began_s = time.monotonic()

    def message(self, number: int) -> bytes:
        """What one tells now: all chunks up to a point, and half of those of the next tenth."""
        dice, count = self._dice, self.manifest.chunk_count
        elapsed_s = time.monotonic() - self._began_s
        part = min(1.0, elapsed_s / self._over_s * (0.9 + 0.2 * number / self.nodes))
        whole, ahead = int(part * count), min(count, int((part + 0.1) * count))
        window = ((1 << ahead) - 1) ^ ((1 << whole) - 1)
        have = Bitfield(count, ((1 << whole) - 1) | (window & self._masks[number]))
        got = have.count << 20
        swarm = SwarmTelemetry(
            artifact=self.manifest.id,
            have=have.to_wire(),
            chunk_count=count,
            sources="".join(dice.choices("123", k=min(256, count))),
            received_origin_bytes=got // 100,
            received_near_bytes=got // 2,
            received_far_bytes=got // 2 - got // 100,
            sent_bytes=int(got * dice.uniform(0.5, 1.5)),
            received_bytes_per_s=dice.uniform(0.9e8, 1.2e8),
            sent_bytes_per_s=dice.uniform(0.9e8, 1.2e8),
            fastest_received_bytes_per_s=1.25e8,
            fastest_sent_bytes_per_s=1.25e8,
            down=(0.0, 0.8, 0.1, 0.1, 0.0, 0.0, 0.0),
            up=(0.8, 0.1, 0.1, 0.0),
            neighbours=NEIGHBOURS,
            hash_s=elapsed_s / 10,
            write_s=elapsed_s / 10,
            elapsed_s=elapsed_s,
        )
        links = tuple(
            LinkTelemetry(PeerId(f"{dice.randint(1, self.nodes):032x}"), got // 99, got // 98)
            for _ in range(NEIGHBOURS)
        )
        told = Telemetry(
            node=PeerId(f"{number:032x}"), at_s=time.time(), swarms=(swarm,), links=links
        )
        return encode_telemetry(told)

    async def tell(self, port: int) -> None:
        """Tell at the pace that is asked for, until cancelled."""
        due = [(number / self.nodes, number) for number in range(1, self.nodes + 1)]
        heapq.heapify(due)
        token = KEY.node_token()

        async def work() -> None:
            asker = await Asker.to(port)
            while True:
                due_s, number = heapq.heappop(due)
                await asyncio.sleep(max(0.0, due_s - (time.monotonic() - self._began_s)))
                body = self.message(number)
                answer = await asker.ask(request("POST", "/api/v1/telemetry", token, body))
                wanted = msgspec.json.decode(answer, type=TelemetryWanted)
                self.messages += 1
                self.bytes += len(body)
                self.wait_s = wanted.next_s
                heapq.heappush(due, (time.monotonic() - self._began_s + wanted.next_s, number))

        await asyncio.gather(*(work() for _ in range(CONNECTIONS)))


class Onlooker:
    """Takes the board, then its events."""

    def __init__(self, port: int, artifact: str) -> None:
        self._port = port
        self._artifact = artifact
        self.bytes = 0
        self.events = 0

    async def board(self) -> tuple[int, float]:
        """Its bytes, and how long it took."""
        asker = await Asker.to(self._port)
        began_s = time.monotonic()
        path = f"/api/v1/swarms/{self._artifact}/board"
        body = await asker.ask(request("GET", path, KEY.viewer_token()))
        seconds = time.monotonic() - began_s
        asker.close()
        return len(body), seconds

    async def look(self) -> None:
        """Count what the stream brings, until cancelled."""
        reader, writer = await asyncio.open_connection("127.0.0.1", self._port)
        path = f"/api/v1/events?kinds=board&artifact={self._artifact}"
        writer.write(request("GET", path, KEY.viewer_token()))
        while piece := await reader.read(1 << 16):
            self.bytes += len(piece)
            self.events += piece.count(b"event: board")


async def announce_all(port: int, manifest: Manifest, nodes: int) -> None:
    """For ever, one after the other: a tracker forgets who is silent for long, and its telemetry.
    The last is the origin."""
    asker = await Asker.to(port)
    whole = holding_all(manifest)
    while True:
        for number in range(1, nodes + 2):
            await asyncio.sleep(ANNOUNCE_EVERY_S / nodes)
            holdings = (whole,) if number > nodes else ()
            body = announce_of(number, zone=f"rack{number % ZONES}", holdings=holdings)
            await asker.ask(request("POST", "/api/v1/announce", KEY.node_token(), body))


async def measured(nodes: int, chunks: int, seconds: float) -> dict[str, float]:
    """All figures of one tracker."""
    with tracker_process() as (pid, port):
        manifest = manifest_of("image", chunks)
        await publish(port, manifest, nodes + 1)
        announcing = asyncio.create_task(announce_all(port, manifest, nodes))
        await asyncio.sleep(ANNOUNCE_EVERY_S)
        cpu, began_s = cpu_s(pid), time.monotonic()
        await asyncio.sleep(seconds)
        rest_share = (cpu_s(pid) - cpu) / (time.monotonic() - began_s)

        crowd = Crowd(manifest, nodes, 5 * (seconds + SETTLE_S))
        telling = asyncio.create_task(crowd.tell(port))
        await asyncio.sleep(SETTLE_S)
        await asyncio.sleep(SETTLE_WAITS * crowd.wait_s)
        cpu, messages, began_s = cpu_s(pid), crowd.messages, time.monotonic()
        await asyncio.sleep(seconds)
        alone_s, told = cpu_s(pid) - cpu, crowd.messages - messages
        alone_share = alone_s / (time.monotonic() - began_s)

        onlooker = Onlooker(port, manifest.id)
        board_bytes, board_s = await onlooker.board()
        looking = asyncio.create_task(onlooker.look())
        await asyncio.sleep(SETTLE_S)
        cpu, messages, began_s = cpu_s(pid), crowd.messages, time.monotonic()
        stream_bytes, events = onlooker.bytes, onlooker.events
        await asyncio.sleep(seconds)
        span_s = time.monotonic() - began_s
        looked_share, told_looked = (cpu_s(pid) - cpu) / span_s, crowd.messages - messages
        for task in (announcing, telling, looking):
            if task.done():
                task.result()  # it broke, and the figures with it
        figures = {
            "nodes": nodes,
            "chunks": chunks,
            "message_bytes": crowd.bytes / crowd.messages,
            "messages_per_s": told / seconds,
            "messages_per_s_looked_at": told_looked / span_s,
            "message_cpu_s": (alone_share - rest_share) * seconds / told,
            "core_share_at_rest": rest_share,
            "core_share_alone": alone_share,
            "core_share_looked_at": looked_share,
            "stream_bytes_per_minute": (onlooker.bytes - stream_bytes) / span_s * 60,
            "events_per_s": (onlooker.events - events) / span_s,
            "board_bytes": board_bytes,
            "board_s": board_s,
            "rss_bytes": rss_bytes(pid),
        }
        for task in (announcing, telling, looking):
            task.cancel()
        await asyncio.gather(announcing, telling, looking, return_exceptions=True)
        return figures


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--nodes", type=int, default=1000)
    parser.add_argument("--chunks", type=int, default=8000)
    parser.add_argument("--seconds", type=float, default=60.0)
    parser.add_argument("--json", action="store_true")
    asked = parser.parse_args()
    figures = asyncio.run(measured(asked.nodes, asked.chunks, asked.seconds))
    if asked.json:
        print(json.dumps(figures))
        return
    for name, value in figures.items():
        print(f"{name:>24} {value:12.4f}" if value < 100 else f"{name:>24} {value:12.0f}")


if __name__ == "__main__":
    main()

"""A crowd of machines that are not there: a simulated spread, played into a real tracker.

    STREW_FLEET_KEY=... python -m bench.crowd --at 127.0.0.1:7300 --nodes 1000 --size 5GB

For whoever measures or draws what a tracker shows of a large fleet. The machines are simulated
first: a thousand of them with 1000 chunks take minutes, with `--size 1GB --chunks 256` a quarter.
That run is kept in a file and taken again (bench.spread). Then each announces and tells telemetry
at the moments the tracker asks for, through the API. Chunks are not sent: nobody could fetch one.
Prints a line when the name is given, and at the end one JSON object with what was asked and how
the tracker answered.
"""

import argparse
import asyncio
import heapq
import json
import os
import random
import sys
import time
from collections.abc import Awaitable, Callable
from pathlib import Path

import msgspec
from blake3 import blake3

from bench.announce import request
from bench.playing import FOLLOWS, Player, Playing
from bench.spread import LINE_S, Broken, Spread, kept
from strew.agent.quantity import parse_rate, parse_size
from strew.announce.protocol import Handout, encode
from strew.content.chunker import AVERAGE_BYTES_MAX, AVERAGE_BYTES_MIN, ChunkerParams
from strew.content.manifest import Entry, Manifest
from strew.content.reference import parse_name
from strew.errors import StrewError
from strew.fleet import FleetKey
from strew.publication import Publication
from strew.sim.fleet import Terms
from strew.telemetry.protocol import TelemetryWanted, encode_telemetry
from strew.tracker.reports import PublishRequest

CONNECTIONS = 16
"""Requests under way at one time; real nodes have a connection each, which costs a tracker more."""

TURN_S = 0.01
"""How often it is looked what is due."""

FIRST_TELEMETRY_S = 1.0
"""After its first announce a node tells of its transfer this much later, as agents do."""

RETRY_S = 2.0
"""After an answer that was none: a tracker that is busy says 429 or 503."""

SPREADS = Path("build/crowd")


class Refusal(Exception):
    """An answer that is no success."""

    def __init__(self, status: int, body: bytes) -> None:
        super().__init__(f"HTTP {status}: {body[:300].decode('utf-8', 'replace')}")
        self.status = status


class Line:
    """One keep-alive connection, opened again whenever it ended."""

    def __init__(self, host: str, port: int) -> None:
        self._address = host, port
        self._streams: tuple[asyncio.StreamReader, asyncio.StreamWriter] | None = None

    async def ask(self, message: bytes) -> bytes:
        """The answer's body. Refusal; OSError where nobody answers."""
        if self._streams is None:
            self._streams = await asyncio.open_connection(*self._address)
        reader, writer = self._streams
        try:
            writer.write(message)
            head = await reader.readuntil(b"\r\n\r\n")
            lines = head.lower().split(b"\r\n")
            length = next(line for line in lines if line.startswith(b"content-length:"))
            body = await reader.readexactly(int(length[15:]))
        except (OSError, asyncio.IncompleteReadError) as error:
            self.close()
            raise ConnectionError(str(error)) from None
        status = int(head[9:12])
        if not 200 <= status < 300:
            raise Refusal(status, body)
        return body

    def close(self) -> None:
        if self._streams is not None:
            self._streams[1].close()
            self._streams = None


Task = Callable[[Line], Awaitable[None]]


class Crowd:
    """Plays a spread; `tally` counts what was asked and answered."""

    def __init__(self, options: argparse.Namespace, key: FleetKey, spread: Spread) -> None:
        self.options = options
        self.key = key
        self.spread = spread
        self.manifest = manifest_of(spread, options.name)
        pace = options.rate / spread.recorded.rate_bytes_per_s
        if options.seconds:
            pace = spread.end_s / options.seconds
        self.playing = Playing(spread, self.manifest.id, pace)
        self.dice = random.Random(spread.recorded.seed)
        self.tally = {"announces": 0, "telemetry": 0, "refused": 0, "lost": 0}
        self.answers_s: list[float] = []
        self.late_s = 0.0
        self.wanted_s = 0.0
        self.takes_telemetry = True
        self._heap: list[tuple[float, int, Callable[[], Task | None]]] = []
        self._order = 0
        self._queue: asyncio.Queue[tuple[float, Callable[[], Task | None]]] = asyncio.Queue()
        self._began_s = 0.0

    # --- the course ------------------------------------------------------------------------------

    async def play(self) -> None:
        """Join, publish, play to the end, and stay as long as asked for."""
        host, _, port = self.options.at.rpartition(":")
        lines = [Line(host, int(port)) for _ in range(CONNECTIONS)]
        try:
            await self._join(lines)
            publication = await self._publish(lines[0])
            print(f"published {publication.artifact} {publication.reference}", flush=True)
            await self._spread(lines)
        finally:
            for line in lines:
                line.close()

    async def _join(self, lines: list[Line]) -> None:
        waiting = [self._joining(player) for player in self.playing.players[1:]]

        async def work(line: Line) -> None:
            while waiting:
                await waiting.pop()(line)

        await asyncio.gather(*map(work, lines))

    def _joining(self, player: Player) -> Task:
        async def ask(line: Line) -> None:
            body = encode(self.playing.joining(player))
            await self._announced(player, await line.ask(self._post("announce", body)))

        return ask

    async def _publish(self, line: Line) -> Publication:
        token, manifest = self.key.publish_token(), self.manifest
        path = f"/api/v1/artifacts/{manifest.id}/manifest"
        await line.ask(request("PUT", path, token, manifest.raw))
        origin = self.playing.players[0]
        told = self._post("announce", encode(self.playing.announce(origin)))
        await self._announced(origin, await line.ask(told))
        name = parse_name(self.options.name)
        body = msgspec.json.encode(PublishRequest(manifest.id))
        path = f"/api/v1/names/{name.name}/{name.tag}"
        answer = await line.ask(request("PUT", path, token, body))
        return msgspec.json.decode(answer, type=Publication)

    async def _spread(self, lines: list[Line]) -> None:
        self._began_s = time.monotonic()
        pace, players = self.playing.pace, self.playing.players
        spread_s = len(players) / 1500.0
        for player in players:
            first_s = self.dice.uniform(0.0, spread_s)
            self._at(first_s, self._announcing, player)
            self._at(first_s + FIRST_TELEMETRY_S, self._telling, player)
        last_s = self.spread.end_s / pace
        for moment_s, number in self.playing.ends():
            self._at(moment_s / pace, self._announcing, players[number], once=True)
            self._at(moment_s / pace, self._telling, players[number], once=True)
        workers = [asyncio.create_task(self._work(line)) for line in lines]
        shown_s = 0.0
        try:
            while (now_s := self._now_s()) < last_s + self.options.stay:
                self.playing.advance(now_s * pace)
                while self._heap and self._heap[0][0] <= now_s:
                    due_s, _, make = heapq.heappop(self._heap)
                    self._queue.put_nowait((due_s, make))
                if now_s - shown_s >= 5.0:
                    shown_s = now_s
                    self._show(now_s, last_s)
                await asyncio.sleep(TURN_S)
                await _unless_failed(workers)
            await self._queue.join()
        finally:
            for worker in workers:
                worker.cancel()
            await asyncio.gather(*workers, return_exceptions=True)

    def _now_s(self) -> float:
        """Seconds since the publication."""
        return time.monotonic() - self._began_s

    def _at(
        self,
        when_s: float,
        make: Callable[[Player, bool], Task | None],
        player: Player,
        once: bool = False,
    ) -> None:
        self._order += 1
        heapq.heappush(self._heap, (when_s, self._order, lambda: make(player, once)))

    async def _work(self, line: Line) -> None:
        while True:
            due_s, make = await self._queue.get()
            task = make()
            self.late_s = max(self.late_s, self._now_s() - due_s)
            if task is not None:
                began_s = time.perf_counter()
                await task(line)
                self.answers_s.append(time.perf_counter() - began_s)
            self._queue.task_done()

    def _show(self, now_s: float, last_s: float) -> None:
        done = sum(player.have.complete for player in self.playing.players[1:])
        print(
            f"{now_s:5.0f} of {last_s:.0f} s: {done} of {len(self.playing.players) - 1} done, "
            f"{self.tally['announces']} announces, {self.tally['telemetry']} telemetry, "
            f"{self.tally['refused']} refused",
            file=sys.stderr,
        )

    # --- what one machine asks -------------------------------------------------------------------

    def _post(self, what: str, body: bytes) -> bytes:
        return request("POST", f"/api/v1/{what}", self.key.node_token(), body)

    def _announcing(self, player: Player, once: bool) -> Task | None:
        """Its next announce, and after it the one that the tracker wants."""
        playing = self.playing
        if playing.is_silent(player):
            return None

        async def ask(line: Line) -> None:
            wait_s = RETRY_S
            try:
                body = encode(playing.announce(player))
                answer = await line.ask(self._post("announce", body))
                wait_s = await self._announced(player, answer)
            except (Refusal, ConnectionError) as error:
                self._note(error)
            if not once:
                self._at(self._now_s() + wait_s, self._announcing, player)

        return ask

    async def _announced(self, player: Player, answer: bytes) -> float:
        handout = msgspec.json.decode(answer, type=Handout)
        player.seen = handout.seen
        self.tally["announces"] += 1
        return handout.interval_s

    def _telling(self, player: Player, once: bool) -> Task | None:
        """Its next telemetry, and after it the one that the tracker wants; none when all is over
        or its disk is full: nothing is under way then."""
        playing = self.playing
        over = playing.now_s > self.spread.end_s or playing.is_paused(player)
        if not self.takes_telemetry or playing.is_silent(player) or (over and not once):
            return None

        async def ask(line: Line) -> None:
            wait_s = RETRY_S
            try:
                body = encode_telemetry(playing.telemetry(player, time.time()))
                answer = await line.ask(self._post("telemetry", body))
                wait_s = msgspec.json.decode(answer, type=TelemetryWanted).next_s
                self.wanted_s = max(self.wanted_s, wait_s)
                self.tally["telemetry"] += 1
            except Refusal as error:
                self._note(error)
                if error.status in (404, 405):
                    self._untold()
            except ConnectionError as error:
                self._note(error)
            if not once:
                self._at(self._now_s() + wait_s, self._telling, player)

        return ask

    def _untold(self) -> None:
        if self.takes_telemetry:
            print("that tracker takes no telemetry: announces alone are played", file=sys.stderr)
        self.takes_telemetry = False

    def _note(self, error: Exception) -> None:
        known = "refused" if isinstance(error, Refusal) else "lost"
        if not self.tally[known]:
            print(f"bench.crowd: {error}", file=sys.stderr)
        self.tally[known] += 1

    def result(self) -> dict[str, object]:
        """What was asked and how it was answered, for JSON."""
        times_s = sorted(self.answers_s) or [0.0]
        return {
            "type": "result",
            "artifact": self.manifest.id,
            "reference": self.options.name,
            "nodes": self.spread.recorded.nodes,
            "chunks": len(self.spread.recorded.lengths),
            "seconds": self.spread.end_s / self.playing.pace,
            **self.tally,
            "answer_s_p50": times_s[len(times_s) // 2],
            "answer_s_p99": times_s[len(times_s) * 99 // 100],
            "late_s_max": self.late_s,
            "next_s_max": self.wanted_s,
        }


async def _unless_failed(workers: list[asyncio.Task[None]]) -> None:
    for worker in workers:
        if worker.done():
            await worker


def manifest_of(spread: Spread, name: str) -> Manifest:
    """Of a file that does not exist: the recorded lengths, digests of nothing in particular."""
    lengths = spread.recorded.lengths
    average_bytes = AVERAGE_BYTES_MIN
    while 2 * average_bytes < max(lengths) and average_bytes < AVERAGE_BYTES_MAX:
        average_bytes *= 2
    size_bytes = sum(lengths)
    return Manifest.build(
        name=parse_name(name).name,
        is_tree=False,
        mode=0o644,
        entries=[Entry(path=parse_name(name).name, kind="file", mode=0o644, size_bytes=size_bytes)],
        params=ChunkerParams(average_bytes, average_bytes // 4, 2 * average_bytes, 3),
        lengths=lengths,
        digests=blake3(name.encode()).digest(length=32 * len(lengths)),
    )


def terms_of(options: argparse.Namespace) -> Terms:
    """What is to be simulated."""
    return Terms(
        nodes=options.nodes,
        size_bytes=options.size,
        chunks=options.chunks,
        rate_bytes_per_s=options.size / LINE_S,
        seed=options.seed,
        racks=options.racks,
        rack_ratio=1.0,
    )


def main() -> int:
    options = parse()
    broken = Broken(
        slow=options.slow, silent=options.silent, paused=options.paused, bad=options.bad
    )
    terms = terms_of(options)
    try:
        key = FleetKey.parse(os.environ.get("STREW_FLEET_KEY", ""))
        where = options.spread or SPREADS / (blake3(repr((terms, broken)).encode()).hexdigest(8))
        print(f"the spread is in {where}, or will be", file=sys.stderr)
        spread = kept(where, terms, broken)
        crowd = Crowd(options, key, spread)
        asyncio.run(crowd.play())
    except (StrewError, Refusal, OSError) as error:
        print(f"bench.crowd: {error}", file=sys.stderr)
        return 1
    print(json.dumps(crowd.result()), flush=True)
    return 0


def parse() -> argparse.Namespace:
    """The command line."""
    parser = argparse.ArgumentParser(
        prog="python -m bench.crowd", description=(__doc__ or "").partition("\n")[0]
    )
    add = parser.add_argument
    add("--at", default="127.0.0.1:7300", help="the tracker, HOST:PORT")
    add("--name", default="crowd:v1", help="NAME:TAG to publish; must match " + FOLLOWS[0])
    add("--nodes", type=int, default=1000)
    add("--size", type=parse_size, default="5GB")
    add("--chunks", type=int, default=1000)
    add("--rate", type=parse_rate, default="1Gbit", help="of each link, both ways")
    add("--racks", type=int, default=1, help="zones")
    add("--seed", type=int, default=1)
    add(
        "--seconds",
        type=float,
        default=0.0,
        help="play it in this time (default: as long as --rate takes)",
    )
    add("--stay", type=float, default=5.0, help="seconds to go on announcing after the last")
    add("--slow", type=int, default=0, help="machines with half of the rate")
    add("--silent", type=int, default=0, help="machines that end at a third of the line time")
    add("--paused", type=int, default=0, help="machines whose disk is full by then")
    add("--bad", type=int, default=0, help="machines that are sent wrong bytes from then on")
    add("--spread", type=Path, help=f"file to keep the simulated run in (default: in {SPREADS})")
    options = parser.parse_args()
    if options.slow + options.silent + options.paused + options.bad >= options.nodes:
        parser.error("some machines must be whole")
    return options


if __name__ == "__main__":
    sys.exit(main())

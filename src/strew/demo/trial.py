"""One strategy from start to end: a fresh fleet, the spread, the count, every copy checked."""

from __future__ import annotations

import asyncio
import shutil
from collections.abc import AsyncIterator, Callable, Coroutine, Sequence
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import msgspec

from strew.agent.client import NodeReport
from strew.agent.quantity import GIB, MIB, exact_size
from strew.agent.stoppable import Step, stoppable
from strew.demo.fleet import Fleet, open_fleet
from strew.demo.measure import Counts, Result, cpu_s, result_of, rss_peak_bytes
from strew.demo.source import SourceFile, cut, digest_of_files, held_source
from strew.demo.strategies import (
    SERVERS_DEFAULT,
    Spread,
    Strategy,
    parts_of,
    servers_of,
    spread_by,
)
from strew.errors import UnavailableError, UsageError

NODES_MAX = 64
"""Each is a process of some 60 MiB; more on one machine measure its scheduler."""

SIZE_MIN_BYTES = MIB
SIZE_MAX_BYTES = 64 * GIB
"""Below, the start of a transfer is all one sees; above, no disk is meant for a demo."""

LOOK_EVERY_S = 0.5
LOOK_EACH_S = 0.04
"""A look asks every node, at some milliseconds of CPU each: at most some percent of a core."""

STALLED_S = 60.0
"""Longer than every patience a node has: what stands still for so long will not move again."""


RATE_MAX_BYTES_PER_S = 100 * MIB
"""The default limit of a link, where the machine can carry it."""

CORE_CARRIES_BYTES_PER_S = 100 * MIB
"""What one core carries at the default size, received, verified and sent on (measured: 7 CPU
seconds a GiB delivered, two cores doing little else). Beyond it the demo would measure the
machine's processors and not the way the file is spread."""


def default_rate(nodes: int, cores: int) -> int:
    """A limit in bytes/s at which the links are what holds everybody back."""
    return min(RATE_MAX_BYTES_PER_S, CORE_CARRIES_BYTES_PER_S * cores // max(1, nodes))


class Terms(msgspec.Struct, frozen=True, kw_only=True):
    """What is asked for; `check` raises UsageError."""

    nodes: int = 8
    size_bytes: int = 256 * MIB
    rate_bytes_per_s: int | None = 100 * MIB
    servers: int = SERVERS_DEFAULT
    trackerless: bool = False

    def check(self) -> None:
        """Whether these can be met on any machine."""
        if not 1 <= self.nodes <= NODES_MAX:
            raise UsageError(f"{self.nodes} nodes: from 1 to {NODES_MAX} can be had")
        if not SIZE_MIN_BYTES <= self.size_bytes <= SIZE_MAX_BYTES:
            limits = f"from {exact_size(SIZE_MIN_BYTES)} to {exact_size(SIZE_MAX_BYTES)}"
            raise UsageError(f"a file of {self.size_bytes} bytes: {limits} can be had")
        if self.servers < 1:
            raise UsageError(f"{self.servers} servers: at least 1 is needed")


@dataclass(frozen=True, slots=True)
class Sight:
    """How far a node is, for whoever watches. `origin_ratio` is the share that the origin sent."""

    name: str
    done_bytes: int
    total_bytes: int
    neighbours: int
    origin_ratio: float | None


Watcher = Callable[[Sight], None]

Opened = Callable[[Fleet], None]
"""Told of a fleet that is up, before anything moves."""

Stay = Callable[[Fleet, Result], Coroutine[Any, Any, None]]
"""What is waited for before a fleet that has its file is ended."""


@asynccontextmanager
async def demo_source(terms: Terms) -> AsyncIterator[SourceFile]:
    """The file, in a temporary folder that is deleted with all below it.

    UsageError, DiskError, OSError.
    """
    terms.check()
    async with held_source("demo", terms.size_bytes, terms.nodes) as source:
        yield source


async def measured(
    strategy: Strategy,
    terms: Terms,
    source: SourceFile,
    on_sight: Watcher,
    on_open: Opened = lambda _fleet: None,
    stay: Stay | None = None,
) -> Result:
    """Spread the source in one way. Leaves no process and no file; with `stay`, once that is over.

    PartialError if a process ended or a transfer failed, UnavailableError if nothing moves.
    """
    folder = source.path.parent / strategy
    folder.mkdir()
    try:
        staged = await stoppable(lambda step: _staged(strategy, terms, source, folder, step))
        opened = open_fleet(
            folder, terms.nodes, terms.rate_bytes_per_s, staged, trackerless=terms.trackerless
        )
        async with opened as fleet:
            on_open(fleet)
            counts = await _spread(strategy, terms, source, fleet, on_sight)
            result = result_of(strategy, source.size_bytes, terms.rate_bytes_per_s, counts)
            if stay is not None:
                await _first_of(fleet.loss(), stay(fleet, result))
        return result
    finally:
        shutil.rmtree(folder, ignore_errors=True)


def _staged(
    strategy: Strategy, terms: Terms, source: SourceFile, folder: Path, step: Step
) -> Sequence[Path]:
    """The files the origin is to have from the start."""
    parts = parts_of(strategy, terms.nodes, terms.servers)
    return cut(source, folder, parts, step) if parts > 1 else [source.path] * parts


async def _spread(
    strategy: Strategy, terms: Terms, source: SourceFile, fleet: Fleet, on_sight: Watcher
) -> Counts:
    """The measured stretch, and what was counted."""
    spent_s = 0.0

    def begun() -> None:
        nonlocal spent_s
        spent_s = -cpu_s(fleet.pids)

    servers = servers_of(strategy, terms.nodes, terms.servers)
    spread = Spread(fleet, source.path, servers, begun)
    await _first_of(fleet.loss(), spread_by(strategy, spread), _watch(spread, on_sight))
    spent_s += cpu_s(fleet.pids)
    reports = await _look(spread, on_sight)
    origin = await fleet.origin.client.node()
    return Counts(
        seconds=[spread.done_s[node.name] for node in fleet.nodes],
        chunks=sum(part.chunks for part in spread.parts),
        origin_sent_bytes=_sum_of("sent_bytes", spread, [origin]),
        duplicate_bytes=_sum_of("duplicate_bytes", spread, reports),
        verified=await asyncio.to_thread(_verified, spread, source),
        cpu_s=spent_s,
        rss_peak_bytes=max(rss_peak_bytes(node.child.pid) for node in fleet.nodes),
    )


async def _first_of(*jobs: Coroutine[Any, Any, None]) -> None:
    """Run all until one of them ends, which decides the outcome; the others are cancelled."""
    tasks = [asyncio.create_task(job) for job in jobs]
    try:
        await asyncio.wait(tasks, return_when=asyncio.FIRST_COMPLETED)
        for task in tasks:
            if task.done():
                task.result()
                return
    finally:
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)


async def _watch(spread: Spread, on_sight: Watcher) -> None:
    """Look now and then; ends only with UnavailableError, when nothing moves any more."""
    loop = asyncio.get_running_loop()
    had_bytes, since_s = -1, loop.time()
    while True:
        await asyncio.sleep(LOOK_EVERY_S + LOOK_EACH_S * len(spread.fleet.nodes))
        try:
            reports = await _look(spread, on_sight)
        except UnavailableError:
            continue  # a node that ended; one that is only busy is asked again
        have_bytes = _sum_of("received_bytes", spread, reports)
        if have_bytes != had_bytes:
            had_bytes, since_s = have_bytes, loop.time()
        elif loop.time() - since_s > STALLED_S:
            raise UnavailableError(
                f"nothing moved for {STALLED_S:.0f} s: {_waiting(spread, reports)}",
                hint="a bug, unless this machine is overloaded: give fewer --nodes",
            )


def _waiting(spread: Spread, reports: Sequence[NodeReport]) -> str:
    """Who is not done, and how far the first of them is."""
    late = [
        (node.name, report)
        for node, report in zip(spread.fleet.nodes, reports, strict=True)
        if node.name not in spread.done_s
    ]
    if not late:
        return "every node has a part"
    name, report = late[0]
    chunks = sum(part.chunks for part in spread.parts)
    have = _sum_of("have_chunks", spread, [report])
    return f"{len(late)} nodes wait, {name} has {have} of {chunks} chunks"


async def _look(spread: Spread, on_sight: Watcher) -> list[NodeReport]:
    """Ask all nodes how far they are."""
    nodes = spread.fleet.nodes
    reports = list(await asyncio.gather(*(node.client.node() for node in nodes)))
    total_bytes = sum(part.size_bytes for part in spread.parts)
    for node, report in zip(nodes, reports, strict=True):
        done_bytes = neighbours = 0
        for part in spread.parts:
            swarm = report.swarms.get(part.artifact)
            if swarm is not None and part.chunks:
                done_bytes += part.size_bytes * swarm["have_chunks"] // part.chunks
                neighbours = max(neighbours, len(swarm["neighbours"]))
        received_bytes = _sum_of("received_bytes", spread, [report])
        from_origin_bytes = _sum_of("received_origin_bytes", spread, [report])
        ratio = from_origin_bytes / received_bytes if received_bytes else None
        if total_bytes:
            on_sight(Sight(node.name, done_bytes, total_bytes, neighbours, ratio))
    return reports


def _sum_of(count: str, spread: Spread, reports: Sequence[NodeReport]) -> int:
    """One count of these nodes over all parts."""
    swarms = [report.swarms.get(part.artifact, {}) for report in reports for part in spread.parts]
    return sum(int(swarm.get(count, 0)) for swarm in swarms)


def _verified(spread: Spread, source: SourceFile) -> int:
    """How many nodes have, byte for byte, what was spread."""
    good = 0
    for node in spread.fleet.nodes:
        with suppress(OSError):
            paths = [node.into / part.name for part in spread.parts]
            good += digest_of_files(paths) == source.digest
    return good

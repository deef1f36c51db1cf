"""The ways to bring one file from its origin to all machines.

All but `swarm` are told to the nodes from outside: which part to fetch, from whom, and from nobody
else. Parts are artifacts of their own, which the origin has before the clock starts.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Awaitable, Callable, Iterable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Literal, get_args

from strew.content.digest import ArtifactId
from strew.demo.fleet import Fleet, Member

Strategy = Literal["single", "replicated", "sharded", "scatter", "swarm"]

STRATEGIES: tuple[Strategy, ...] = get_args(Strategy)

REFERENCE = "demo:input"

SERVERS_DEFAULT = 3


@dataclass(frozen=True, slots=True)
class Part:
    """An artifact that each node must get: the whole file, or a stretch of it. `name` is that of
    the file it appears as."""

    artifact: ArtifactId
    name: str
    size_bytes: int
    chunks: int


@dataclass(slots=True)
class Spread:
    """One strategy under way. `begin` must be called by the strategy when its clock starts.

    `parts` are in the order of the file; `done_s` has the time of each node that has them all.
    """

    fleet: Fleet
    source: Path
    servers: int
    on_begin: Callable[[], None]
    parts: list[Part] = field(default_factory=list)
    started_s: float = 0.0
    done_s: dict[str, float] = field(default_factory=dict)

    def __post_init__(self) -> None:
        self.parts = [Part(m.id, m.name, m.size_bytes, m.chunk_count) for m in self.fleet.staged]

    def begin(self, at_s: float | None = None) -> None:
        """Start the clock, or say when (time of the event loop) it started."""
        self.started_s = asyncio.get_running_loop().time() if at_s is None else at_s
        self.on_begin()

    async def fetch(self, node: Member, part: Part, giver: Member) -> None:
        """Have a node fetch a part from one other member; returns when it is in place."""
        await node.client.fetch(part.artifact, (giver.address,), only_sources=True)
        await self.arrival(node, part.artifact)

    async def arrival(self, node: Member, artifact: ArtifactId) -> None:
        """Wait until a node has put an artifact in place; its last arrival is its time."""
        heard = await node.child.heard("transfer", artifact)
        self.done_s[node.name] = heard.at_s - self.started_s


def servers_of(strategy: Strategy, nodes: int, servers: int) -> int:
    """How many of the nodes are filled first: at most half of them."""
    if strategy == "scatter":
        return nodes
    return min(servers, max(1, nodes // 2)) if strategy in ("replicated", "sharded") else 0


def parts_of(strategy: Strategy, nodes: int, servers: int) -> int:
    """In how many parts the origin must have the file; 0 if it gets the file by `push`."""
    if strategy == "swarm":
        return 0
    return servers_of(strategy, nodes, servers) if strategy in ("sharded", "scatter") else 1


async def spread_by(strategy: Strategy, spread: Spread) -> None:
    """Bring the file to all nodes in this way. PartialError, UnavailableError."""
    await _WAYS[strategy](spread)


async def _single(spread: Spread) -> None:
    spread.begin()
    fleet = spread.fleet
    await _all(spread.fetch(node, spread.parts[0], fleet.origin) for node in fleet.nodes)


async def _replicated(spread: Spread) -> None:
    spread.begin()
    origin, nodes, part = spread.fleet.origin, spread.fleet.nodes, spread.parts[0]
    servers, others = nodes[: spread.servers], nodes[spread.servers :]
    await _all(spread.fetch(server, part, origin) for server in servers)
    givers = [origin, *servers]
    await _all(
        spread.fetch(node, part, givers[number % len(givers)]) for number, node in enumerate(others)
    )


async def _in_parts(spread: Spread) -> None:
    """Each server gets its part; only when all have theirs, every node fetches all it lacks."""
    spread.begin()
    origin, nodes = spread.fleet.origin, spread.fleet.nodes
    homes = list(zip(nodes[: spread.servers], spread.parts, strict=True))
    await _all(spread.fetch(server, part, origin) for server, part in homes)
    await _all(
        spread.fetch(node, part, server)
        for node in nodes
        for server, part in homes
        if node is not server
    )


async def _swarm(spread: Spread) -> None:
    fleet = spread.fleet
    push = await fleet.push(spread.source, REFERENCE)
    fields = (await push.heard("published")).fields
    part = Part(
        ArtifactId(fields["artifact"]), spread.source.name, fields["size_bytes"], fields["chunks"]
    )
    spread.parts = [part]
    # nodes heard of it before this process did: the tracker says when it was
    published_s = (await fleet.origin.client.swarm(part.artifact)).published_s
    assert published_s is not None
    spread.begin(asyncio.get_running_loop().time() - (time.time() - published_s))
    await _all(spread.arrival(node, part.artifact) for node in fleet.nodes)


async def _all(jobs: Iterable[Awaitable[None]]) -> None:
    """Side by side; the first failure is raised."""
    await asyncio.gather(*jobs)


_WAYS: dict[Strategy, Callable[[Spread], Awaitable[None]]] = {
    "single": _single,
    "replicated": _replicated,
    "sharded": _in_parts,
    "scatter": _in_parts,
    "swarm": _swarm,
}

"""`strew status`: who has how much, and who lags behind."""

import asyncio
import sys
from typing import Annotated, Any

import msgspec

from strew.agent.client import NodeClient
from strew.agent.quantity import format_duration, format_rate, format_size
from strew.cli.call import command_app
from strew.cli.connection import Found, connected, resolve
from strew.cli.ending import interruptible
from strew.cli.flags import (
    ClientFlags,
    ConfigFlags,
    ReferenceArgument,
    configuration,
    flag,
)
from strew.cli.output import Output, table
from strew.content.reference import Link, Name, Reference, parse_reference
from strew.errors import NotFoundError
from strew.publication import Publication
from strew.tracker.reports import NodeReport, SwarmNode, SwarmReport

app = command_app(
    "status",
    "Show who has how much of an artifact, the stragglers last; without one, the nodes of the "
    "fleet.",
)

WATCH_EVERY_S = 1.0

_CLEAR = "\x1b[H\x1b[2J"

_ORDER = {"seeding": 0, "fetching": 1, "waiting": 2, "paused": 3, "failed": 4}


@app.default
async def status(
    reference: ReferenceArgument | None = None,
    /,
    *,
    watch: Annotated[bool, flag("--watch", "Show it again each second, until Ctrl-C.")] = False,
    trackerless: Annotated[
        bool, flag("--trackerless", "What members tell each other, and not what a tracker knows.")
    ] = False,
    client: ClientFlags = ClientFlags(),
    file: ConfigFlags = ConfigFlags(),
    out: Output = Output(),
) -> None:
    """Show the swarm of what the reference names; or all nodes."""
    settings = configuration("client", file, client).settings
    wanted = parse_reference(reference) if reference is not None else None
    async with interruptible(), connected(settings, wanted) as tracker:
        while True:
            lines, facts = await _look(tracker, wanted, trackerless=trackerless)
            if watch:
                out.event("status", **facts)
                if sys.stdout.isatty():
                    out.line(_CLEAR + lines[0])
                    lines = lines[1:]
            for line in lines:
                out.line(line)
            if not watch:
                break
            await asyncio.sleep(WATCH_EVERY_S)
    out.result(**facts)


async def _look(
    client: NodeClient, wanted: Reference | None, *, trackerless: bool
) -> tuple[list[str], dict[str, Any]]:
    """What there is to see now, for people and for programs."""
    if wanted is None:
        nodes = await (client.gossip_nodes() if trackerless else client.nodes())
        return _fleet(nodes), {"nodes": [msgspec.structs.asdict(node) for node in nodes]}
    found = await (_told(client, wanted) if trackerless else resolve(client, wanted))
    look = client.gossip_swarm if trackerless else client.swarm
    report = await look(found.artifact)
    nodes_sorted = sorted(report.nodes, key=_lag)
    lost = [c for c in await _conflicts(client) if c.reference == found.reference]
    facts = {
        "reference": found.reference,
        **msgspec.structs.asdict(report.summary),
        "conflicts": [msgspec.to_builtins(conflict) for conflict in lost],
        "nodes": [_facts(node) for node in nodes_sorted],
    }
    return [*_swarm(found.shown, report, nodes_sorted), *map(_conflict, lost)], facts


def _facts(node: SwarmNode) -> dict[str, Any]:
    """A node for programs, without its bitfield: that is for who draws maps, and asks the API."""
    facts = msgspec.structs.asdict(node)
    del facts["have"]
    return facts


async def _told(client: NodeClient, wanted: Reference) -> Found:
    """What a reference names, as members told. NotFoundError."""
    if not isinstance(wanted, Name | Link):
        return Found(wanted, "", None)
    name = str(wanted.name if isinstance(wanted, Link) else wanted)
    for publication in await client.gossip_names():
        if publication.reference == name:
            return Found(publication.artifact, publication.reference, publication)
    raise NotFoundError(f"no member told of {name}", hint="see 'strew ls'")


async def _conflicts(client: NodeClient) -> list[Publication]:
    """Names given twice; a tracker that is no node knows of none."""
    try:
        return await client.conflicts()
    except NotFoundError:
        return []


def _conflict(lost: Publication) -> str:
    return (
        f"{lost.reference} was given to {lost.artifact} as well, at the same time by another "
        "publisher, and lost: push it again if that is the one to have"
    )


def _lag(node: SwarmNode) -> tuple[int, int, float]:
    """The origin first, then the done in the order of their being done, the stragglers last."""
    rank = -1 if node.origin else _ORDER[node.state]
    return rank, -node.have_chunks, node.done_s or 0.0


def _fleet(nodes: list[NodeReport]) -> list[str]:
    if not nodes:
        return ["no node has joined"]
    rows: list[tuple[str, ...]] = [("NODE", "ADDRESS", "ZONE", "FOLLOWS", "HAS", "FETCHING", "UP")]
    rows += [
        (
            node.id[:12],
            f"{node.host}:{node.port}",
            node.zone or "-",
            ",".join(node.follows) or "-",
            str(node.complete),
            str(node.fetching),
            format_duration(max(0.0, node.up_s)),
        )
        for node in nodes
    ]
    return table(rows, right=frozenset({4, 5, 6}))


def _swarm(shown: str, report: SwarmReport, nodes: list[SwarmNode]) -> list[str]:
    summary = report.summary
    head = (
        f"{shown}  {format_size(summary.size_bytes)} in {summary.chunk_count} chunks: "
        f"{summary.done} of {summary.total} nodes have it"
    )
    for count, word in ((summary.failed, "failed"), (summary.paused, "paused")):
        head += f", {count} {word}" if count else ""
    if summary.done_s_last is not None and summary.done == summary.total:
        head += f"; the last after {format_duration(summary.done_s_last)}"
    rows: list[tuple[str, ...]] = [
        ("NODE", "ADDRESS", "ZONE", "STATE", "HAS", "IN", "OUT", "DONE", "WHY")
    ]
    rows += [_row(node, summary.chunk_count) for node in nodes]
    return [head, *(table(rows, right=frozenset({4, 5, 6, 7})) if nodes else [])]


def _row(node: SwarmNode, chunk_count: int) -> tuple[str, ...]:
    ratio = node.have_chunks / chunk_count if chunk_count else float(node.state == "seeding")
    return (
        node.id[:12],
        f"{node.host}:{node.port}",
        node.zone or "-",
        "origin" if node.origin else node.state,
        f"{100 * ratio:.1f} %",
        format_rate(node.received_bytes_per_s),
        format_rate(node.sent_bytes_per_s),
        "-" if node.done_s is None or node.origin else format_duration(node.done_s),
        node.reason,
    )

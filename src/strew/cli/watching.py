"""Following one transfer: its board, then what changes, over a tracker's restarts.

A tracker older than boards, and a node that was never asked for one, tell who has how much when
they are asked: then that is asked for each second, and made into a board of what it says.
"""

import asyncio
from collections.abc import AsyncIterator
from contextlib import aclosing

import msgspec

from strew.agent.client import NodeClient
from strew.content.digest import ArtifactId
from strew.errors import NotFoundError, ProtocolError, UnavailableError
from strew.telemetry.series import Rates
from strew.telemetry.view import BoardChange, BoardView, MachineRow, Progress
from strew.telemetry.watched import Watched
from strew.tracker.reports import SwarmNode, SwarmReport

POLL_EVERY_S = 1.0
"""Lower: a large fleet's report, 360 kB at 1000 machines, costs the tracker more than it tells."""

AWAY_S = 60.0
"""A tracker that is away for longer is not waited for."""

RETRY_S = 0.5

_change_decoder = msgspec.json.Decoder(BoardChange)


async def look(client: NodeClient, artifact: ArtifactId, *, trackerless: bool = False) -> Watched:
    """The transfer as it is now. With `trackerless`, as members tell each other. NotFoundError,
    UnavailableError."""
    if trackerless:
        return board_of(artifact, await client.gossip_swarm(artifact))
    try:
        return Watched(await client.board(artifact))
    except NotFoundError:
        return board_of(artifact, await client.swarm(artifact))


async def boards(
    client: NodeClient, artifact: ArtifactId, *, trackerless: bool = False
) -> AsyncIterator[Watched]:
    """The transfer at each change, for ever. NotFoundError at once if nothing is known of it,
    UnavailableError when the process asked is away for long."""
    loop = asyncio.get_running_loop()
    heard_s = loop.time()
    while True:
        try:
            told = _polled(client, artifact) if trackerless else _told(client, artifact)
            async for watched in told:
                yield watched
                heard_s = loop.time()
        except UnavailableError:
            if loop.time() - heard_s > AWAY_S:
                raise
        await asyncio.sleep(RETRY_S)


async def _told(client: NodeClient, artifact: ArtifactId) -> AsyncIterator[Watched]:
    """A board and its changes until something does not fit, or the connection ends."""
    try:
        watched = Watched(await client.board(artifact))
    except NotFoundError:
        while True:
            yield board_of(artifact, await client.swarm(artifact))
            await asyncio.sleep(POLL_EVERY_S)
    yield watched
    events = client.events(kinds=("board",), artifact=artifact, last_event_id=str(watched.event_id))
    async with aclosing(events):
        async for event in events:
            if event.kind == "open":
                if b'"resumed":true' not in event.data.replace(b" ", b""):
                    watched = Watched(await client.board(artifact))
                    yield watched
            elif event.kind == "board":
                try:
                    change = _change_decoder.decode(event.data)
                    moved = event.id.isdigit() and watched.apply(int(event.id), change)
                except (msgspec.DecodeError, ProtocolError):
                    return  # asked for anew
                if moved:
                    yield watched


async def _polled(client: NodeClient, artifact: ArtifactId) -> AsyncIterator[Watched]:
    while True:
        yield await look(client, artifact, trackerless=True)
        await asyncio.sleep(POLL_EVERY_S)


# --- without a board -----------------------------------------------------------------------------


def board_of(artifact: ArtifactId, report: SwarmReport) -> Watched:
    """What a swarm's report says, as a board. What it does not know is empty: cells, causes, ETA
    from the machines' rates, no bound."""
    zones = sorted({node.zone for node in report.nodes})
    place = {zone: number for number, zone in enumerate(zones)}
    counted = [node for node in report.nodes if not node.origin]
    done_s = sorted(node.done_s for node in counted if node.done_s is not None)
    view = BoardView(
        event_id=0,
        now_s=-1.0,
        published_unix_s=report.published_s or 0.0,
        artifact=artifact,
        references=list(report.references),
        name="",
        size_bytes=report.summary.size_bytes,
        chunk_count=report.summary.chunk_count,
        columns=0,
        progress=_progress(report, counted),
        zones=zones,
        machines=[_row(node, place[node.zone]) for node in report.nodes],
        times_s=done_s,
        previous=None,
        rates=Rates([], [], [], []),
        flows=[],
    )
    return Watched(view)


def _progress(report: SwarmReport, counted: list[SwarmNode]) -> Progress:
    summary = report.summary
    whole = summary.total * summary.chunk_count
    share = summary.have_chunks / whole if whole else 1.0
    total_bytes = summary.total * summary.size_bytes
    done_bytes = int(share * total_bytes)
    rate = sum(node.received_bytes_per_s for node in counted if node.state == "fetching")
    from_origin = sum(node.received_origin_bytes for node in counted)
    received = max(1, summary.received_bytes)
    left_bytes = total_bytes - done_bytes
    eta_s = left_bytes / rate if rate > 0.0 and left_bytes else None
    over = summary.following_done + summary.following_failed >= summary.following
    return Progress(
        total=summary.total,
        done=summary.done,
        failed=summary.failed,
        paused=summary.paused,
        fetching=summary.fetching,
        waiting=summary.waiting,
        done_bytes=done_bytes,
        total_bytes=total_bytes,
        eta_s=None if over else eta_s,
        rate_bytes_per_s=rate,
        origin_rate_bytes_per_s=sum(n.sent_bytes_per_s for n in report.nodes if n.origin),
        origin_sent_ratio=summary.origin_sent_bytes / max(1, summary.size_bytes),
        peer_share=1.0 - min(1.0, from_origin / received) if summary.received_bytes else 0.0,
        duplicate_ratio=summary.duplicate_bytes / received,
        line_seconds=None,
        bound_seconds=None,
        link_bytes_per_s=None,
        link_from="",
        ratio_now=None,
        ratio_end=None,
        rarest=None,
        over=over,
    )


def _row(node: SwarmNode, zone_index: int) -> MachineRow:
    return MachineRow(
        id=node.id,
        host=node.host,
        port=node.port,
        zone_index=zone_index,
        state=node.state,
        is_origin=node.origin,
        follows=node.follows,
        have_chunks=node.have_chunks,
        received_bytes_per_s=node.received_bytes_per_s,
        sent_bytes_per_s=node.sent_bytes_per_s,
        done_s=node.done_s,
        silent_s=node.heard_s,
        cause="paused" if node.state == "paused" else "failed" if node.state == "failed" else "",
        why=node.reason,
        remedy="",
        received_bytes=node.received_bytes,
        received_origin_bytes=node.received_origin_bytes,
        reused_bytes=0,
        sent_bytes=node.sent_bytes,
        duplicate_bytes=node.duplicate_bytes,
        neighbours=0,
        cells="",
    )

"""Waiting until every node that follows a publication has it."""

import asyncio
import math
from collections.abc import AsyncIterator
from contextlib import aclosing

import msgspec

from strew.agent.client import NodeClient
from strew.cli.progress import Progress, Transfer
from strew.content.digest import ArtifactId
from strew.errors import NotFoundError, UnavailableError
from strew.tracker.reports import SwarmSummary

LOOK_EVERY_S = 5.0
"""A look at the whole swarm beside the stream of events, should one of these be lost."""

LOOK_AT_NODE_EVERY_S = 0.25
"""How often a node is asked that tells nothing by itself."""

AWAY_S = 60.0
"""A tracker that is away for longer is not waited for: the push itself is done."""

RETRY_S = 0.5


CONFIRM_EVERY_S = 0.5
"""How often the swarm is looked at while the tracker's account of some node is too old."""


async def wait_for_fleet(
    client: NodeClient,
    artifact: ArtifactId,
    progress: Progress,
    shown: str,
    *,
    since_s: float | None,
) -> SwarmSummary:
    """The swarm once each following node is done or has failed. UnavailableError.

    `since_s`: when it was published, on the event loop's clock. What a node said before counts for
    nothing: it may have had this very artifact, and replaced it by a newer one since. None for
    what was published before, of which nobody is told anew.
    """
    async for summary in _summaries(client, artifact):
        total_bytes = summary.size_bytes * summary.total
        whole = summary.total * summary.chunk_count
        done = summary.have_chunks / whole if whole else 1.0
        note = f"{summary.following_done} of {summary.following} nodes"
        if summary.following_failed:
            note += f", {summary.following_failed} failed"
        progress.update(shown, Transfer(int(done * total_bytes), total_bytes, note=note))
        if not _is_over(summary):
            continue
        confirmed = await _confirmed(client, artifact, since_s)
        if confirmed is not None:
            return confirmed
    raise AssertionError("the summaries never end")


def _is_over(summary: SwarmSummary) -> bool:
    return summary.following_done + summary.following_failed >= summary.following


async def _confirmed(
    client: NodeClient, artifact: ArtifactId, since_s: float | None
) -> SwarmSummary | None:
    """The swarm, once each following node was heard of since; None if it is not over then."""
    loop = asyncio.get_running_loop()
    while True:
        asked_s = loop.time()
        try:
            report = await client.swarm(artifact)
        except UnavailableError:
            return None  # the tracker may be back for the next summary
        if not _is_over(report.summary):
            return None
        age_s = asked_s - since_s if since_s is not None else math.inf
        if all(node.heard_s <= age_s for node in report.nodes if node.follows):
            return report.summary
        await asyncio.sleep(CONFIRM_EVERY_S)


async def _summaries(client: NodeClient, artifact: ArtifactId) -> AsyncIterator[SwarmSummary]:
    """What the tracker tells of the swarm, for ever, over its restarts."""
    loop = asyncio.get_running_loop()
    heard_s = loop.time()
    while True:
        try:
            yield (await client.swarm(artifact)).summary
            heard_s = loop.time()
            async with asyncio.timeout(LOOK_EVERY_S):
                async for summary in _told(client, artifact):
                    yield summary
                    heard_s = loop.time()
        except TimeoutError:
            continue
        except UnavailableError:
            if loop.time() - heard_s > AWAY_S:
                raise
            await asyncio.sleep(RETRY_S)


async def _told(client: NodeClient, artifact: ArtifactId) -> AsyncIterator[SwarmSummary]:
    """The stream's events about one swarm; one look once nothing can be missed any more. A node
    that is no tracker has no stream, and is looked at often."""
    try:
        async for summary in _streamed(client, artifact):
            yield summary
    except NotFoundError:
        while True:
            await asyncio.sleep(LOOK_AT_NODE_EVERY_S)
            yield (await client.swarm(artifact)).summary


async def _streamed(client: NodeClient, artifact: ArtifactId) -> AsyncIterator[SwarmSummary]:
    async with aclosing(client.events(kinds=("swarm",))) as events:
        async for event in events:
            if event.kind == "open":
                yield (await client.swarm(artifact)).summary
            elif event.kind == "swarm":
                summary = msgspec.json.decode(event.data, type=SwarmSummary)
                if summary.artifact == artifact:
                    yield summary

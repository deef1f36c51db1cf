"""What a node that is no tracker shows of transfers: itself, its neighbours, and gossip's word.

The same routes as a tracker's, kept by the same observer. Nobody tells a node telemetry: it knows
of itself, and which chunks its neighbours have, and asks itself once a second while somebody looks.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncIterator, Iterable, Iterator, Sequence
from contextlib import asynccontextmanager
from typing import TYPE_CHECKING, Final

import msgspec
import structlog
from aiohttp import web

from strew.agent.directory import Directory
from strew.announce.records import NodeRecord
from strew.content.digest import ArtifactId
from strew.errors import NotFoundError, StrewError
from strew.messages import PeerId
from strew.telemetry.progress import Facts
from strew.telemetry.protocol import SWARMS_MAX, SwarmTelemetry, Telemetry
from strew.telemetry.rows import MachineTold
from strew.tracker.clock import SteadyClock
from strew.tracker.feed import Feed
from strew.tracker.gate import Handler
from strew.tracker.observer import Observer
from strew.tracker.reports import NodeReport, PublicationEvent, SwarmReport, SwarmSummary
from strew.tracker.sight import machine_told
from strew.tracker.streaming import kinds_of, stream

if TYPE_CHECKING:
    from strew.agent.agent import Agent

LOOK_EVERY_S: Final = 1.0
"""Between two looks at what gossip knows; a look at 1000 members takes some 10 ms."""

SWARMS_TOLD_MAX: Final = 4
"""Artifacts whose summaries are told of after one look, the newest of those asked for."""

_log = structlog.get_logger(__name__)
_encoder = msgspec.json.Encoder()


class NodeSight:
    """strew.tracker.sight.Sight by what a node knows."""

    def __init__(self, agent: Agent, directory: Directory) -> None:
        self._agent = agent
        self._directory = directory
        self._last_line = 0
        """Of the node's diary: what an observer heard already."""

    def facts(self, artifact: ArtifactId) -> Facts | None:
        """As Sight.facts."""
        try:
            known = self._directory.artifact(artifact)
        except NotFoundError:
            return None
        published = [p.published_s for p in self._directory.names() if p.artifact == artifact]
        return Facts(
            artifact=known.artifact,
            references=known.references,
            name=known.name,
            size_bytes=known.size_bytes,
            chunk_count=known.chunk_count,
            published_unix_s=max(published, default=known.added_s or time.time()),
        )

    def machines(self, facts: Facts) -> Iterable[MachineTold]:
        """As Sight.machines; nobody where there is no gossip."""
        try:
            report = self._directory.swarm(facts.artifact)
        except NotFoundError:
            return []
        return [machine_told(node, facts.published_unix_s) for node in report.nodes]

    def node(self, peer: PeerId) -> NodeReport | None:
        """As Sight.node."""
        try:
            return next((of for of in self._directory.nodes() if of.id == peer), None)
        except NotFoundError:
            return None

    def record(self, peer: PeerId) -> NodeRecord | None:
        """Nobody announces to a node."""
        return None

    def newest(self, limit: int) -> Sequence[ArtifactId]:
        """As Sight.newest."""
        named = {p.artifact: None for p in reversed(self._directory.names())}
        return list(named)[:limit]

    def moment(self) -> Iterator[Telemetry]:
        """As Sight.moment: this node, then each neighbour."""
        node = self._agent.node
        if node is None:
            return
        own = self._agent.sampler.telemetry(self._last_line)
        self._last_line = own.last_line
        yield own.telemetry
        told: dict[PeerId, list[SwarmTelemetry]] = {}
        for part in node.participations.values():
            for neighbour in part.swarm.neighbours.values():
                swarm = SwarmTelemetry(
                    artifact=part.artifact,
                    have=neighbour.have.to_wire(),
                    chunk_count=neighbour.have.size,
                    origin=neighbour.origin,
                )
                told.setdefault(neighbour.id, []).append(swarm)
        for peer, swarms in told.items():
            yield Telemetry(node=peer, at_s=time.time(), swarms=tuple(swarms[:SWARMS_MAX]))


class Looking:
    """The routes of one node, see the module."""

    def __init__(self, agent: Agent, directory: Directory) -> None:
        self._directory = directory
        self._clock = SteadyClock()
        self._feed = Feed()
        self._sight = NodeSight(agent, directory)
        self._observer = Observer(self._sight, self._feed, self._clock)
        self._last_version = 0
        self._told: dict[ArtifactId, SwarmSummary] = {}

    def handlers(self) -> dict[str, Handler]:
        """What is served here, by op of strew.access.routes."""
        return self._observer.handlers() | {"events": self._events}

    def with_chunks(self, report: SwarmReport) -> SwarmReport:
        """As Observer.with_chunks."""
        return self._observer.with_chunks(report)

    def mount(self, app: web.Application) -> None:
        """Live as long as `app` runs; its routes are the caller's to add."""
        app.cleanup_ctx.append(self._running)
        app.on_shutdown.append(self._end_streams)

    async def _end_streams(self, _app: web.Application) -> None:
        self._feed.close()

    @asynccontextmanager
    async def _running(self, _app: web.Application) -> AsyncIterator[None]:
        task = asyncio.create_task(self._keep_looking(), name="node events")
        try:
            async with self._observer.running():
                yield
        finally:
            self._feed.close()
            task.cancel()
            await asyncio.gather(task, return_exceptions=True)

    async def _events(self, request: web.Request) -> web.StreamResponse:
        """As a tracker's; but a node that joins by this one, and looks for a tracker here, is told
        that this is none: names come to it by gossip."""
        if kinds_of(request) == {"publication"}:
            raise NotFoundError("this node is no tracker: names are told by gossip")
        return await stream(self._feed, request)

    async def _keep_looking(self) -> None:
        while True:
            await asyncio.sleep(LOOK_EVERY_S)
            try:
                self._tell_names()
                self._tell_swarms()
            except StrewError as error:
                _log.warning("telling onlookers failed", reason=str(error))

    def _tell_names(self) -> None:
        if not self._feed.wanted("publication"):
            self._last_version = 0
            return
        names = self._directory.names()
        is_first = not self._last_version
        for publication in names:
            if publication.version > self._last_version:
                self._last_version = publication.version
                if not is_first:
                    data = _encoder.encode(PublicationEvent(publication))
                    self._feed.publish("publication", data, self._clock())

    def _tell_swarms(self) -> None:
        if not self._feed.wanted("swarm"):
            self._told.clear()
            return
        wanted = [a for a in self._sight.newest(64) if self._feed.wanted("swarm", a)]
        for artifact in wanted[:SWARMS_TOLD_MAX]:
            summary = self._directory.swarm(artifact).summary
            if self._told.get(artifact) != summary:
                self._told[artifact] = summary
                data = _encoder.encode(summary)
                self._feed.publish("swarm", data, self._clock(), artifact)

"""The tracker: HTTP around announce.registry. Read, decide, write, tell.

One event loop; every decision and its writes happen without a wait between them, so no lock is
needed. It mounts into any aiohttp application (`Tracker.mount`); `application()` is the smallest.
"""

import asyncio
import random
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Protocol

import msgspec
import structlog
from aiohttp import hdrs, web
from prometheus_client import CollectorRegistry, Gauge, generate_latest

from strew.announce.decision import Decision, Refused
from strew.announce.naming import PublishAsked, RecordGiven, renewals
from strew.announce.protocol import (
    CONTROL_BODY_BYTES_MAX,
    Handout,
    decode_announce,
    decoded,
    encode,
)
from strew.announce.records import ArtifactFacts, DropNode, PutNode, PutPublication
from strew.announce.registry import (
    AnnounceReceived,
    LeasesDue,
    Registry,
    RegistryEvent,
    spread_of,
)
from strew.certificates.identity import require_certified
from strew.content.digest import ArtifactId, artifact_id_of, parse_artifact_id
from strew.content.manifest import MANIFEST_BYTES_MAX, Manifest
from strew.errors import (
    IntegrityError,
    NotFoundError,
    StrewError,
    UnavailableError,
)
from strew.fleet import FleetKey
from strew.messages import PeerId
from strew.publication import Publication
from strew.telemetry.recording import Recording
from strew.tracker.feed import Feed
from strew.tracker.gate import Gate, Guard, Handler, RequestMetrics, body_of, reference_of
from strew.tracker.notary import NoNotary, Notary
from strew.tracker.observer import Observer
from strew.tracker.problem import refusal_of_decision
from strew.tracker.recording_files import RecordingFiles
from strew.tracker.recordings import Recordings
from strew.tracker.referring import Referring
from strew.tracker.reporting import answer
from strew.tracker.reports import (
    ArtifactReport,
    NodeReport,
    PublicationEvent,
    PublishRequest,
    SwarmReport,
    artifact_report,
    node_report,
    record_fits,
    swarm_report,
    untrusted_record,
)
from strew.tracker.sight import TrackerSight
from strew.tracker.state import StateStore
from strew.tracker.streaming import stream
from strew.tracker.targets import targets_of

LEASES_EVERY_S = 1.0
"""How often ended leases are looked for."""

PROGRESS_EVERY_S = 0.25
"""Swarm events are sent at most so often for each swarm: four a second."""

PROGRESS_SWARMS_MAX = 16
"""Swarms told of at one time; each costs a look at all nodes, the others wait their turn."""

UNNAMED_KEPT_S = 86_400.0
"""A manifest that nobody named and nobody holds is forgotten after a day: its push died."""

PRUNE_EVERY_S = 3600.0

_log = structlog.get_logger(__name__)
_encoder = msgspec.json.Encoder()
_publish_decoder = msgspec.json.Decoder(PublishRequest)


class Beside(Protocol):
    """What the node in a tracker's process knows by gossip, of names that were given at nodes.

    Each raises NotFoundError for what it does not know.
    """

    def names(self) -> list[Publication]: ...
    def artifacts(self) -> list[ArtifactReport]: ...
    def nodes(self) -> list[NodeReport]: ...
    def resolve(self, reference: str) -> Publication: ...
    def artifact(self, artifact: ArtifactId) -> ArtifactReport: ...
    def swarm(self, artifact: ArtifactId) -> SwarmReport: ...
    async def manifest(self, artifact: ArtifactId) -> bytes: ...
    async def recording(self, artifact: ArtifactId) -> Recording: ...


class Tracker:
    """The service. `clock` gives unix seconds and must not jump (strew.tracker.clock); `dice`
    choose peers; `notary` signs names, and judges those signed elsewhere; recordings of transfers
    are kept in `folder`, or in memory without one. `state` stays the
    caller's to close, after `running` has ended."""

    def __init__(
        self,
        state: StateStore,
        key: FleetKey,
        clock: Callable[[], float],
        dice: random.Random,
        *,
        guard: Guard | None = None,
        metrics: CollectorRegistry | None = None,
        notary: Notary | None = None,
        folder: Path | None = None,
    ) -> None:
        self._state = state
        self.recordings = Recordings(state, RecordingFiles(folder))
        self._clock = clock
        self._notary = notary or NoNotary()
        self._registry = Registry(dice, self._notary.signatory)
        self._feed = Feed()
        self._referring = Referring()
        self.sight = TrackerSight(state, clock)
        self.observer = Observer(self.sight, self._feed, clock, self.recordings)
        self._moved: dict[ArtifactId, None] = {}
        """Swarms to tell of, in the order in which they moved."""
        self._ready = False
        self.beside: Beside | None = None
        """Asked for what this tracker does not know. Nothing of it is taken into the state: names
        of two trackers would overtake each other for ever."""
        self.metrics = metrics if metrics is not None else CollectorRegistry()
        self.gate = Gate(key, RequestMetrics(self.metrics), guard)
        nodes = Gauge("strew_tracker_nodes", "Nodes whose lease runs", registry=self.metrics)
        nodes.set_function(state.node_count)
        streams = Gauge("strew_tracker_event_streams", "Open event streams", registry=self.metrics)
        streams.set_function(lambda: len(self._feed))

    @property
    def state(self) -> StateStore:
        """What it remembers, for others of this process to read."""
        return self._state

    def adopt(self, node: PeerId) -> None:
        """`node` lives in this process: its announces are not limited."""
        self._registry.own = node

    # --- mounting ---

    def handlers(self) -> dict[str, Handler]:
        """What the API does, by op of strew.access.routes."""
        return {
            "announce": self._announce,
            "artifacts": self._artifacts,
            "artifact": self._artifact,
            "manifest": self._manifest,
            "upload": self._put_manifest,
            "names": self._names,
            "resolve": self._resolve,
            "publish": self._publish,
            "swarm": self._swarm,
            "report": self._report,
            "nodes": self._nodes,
            "targets": self._targets,
            "events": self._events,
            **self.observer.handlers(),
        }

    def probes(self) -> dict[str, Handler]:
        """Health and metrics, for an application that has none of its own."""
        return {"healthz": self._healthz, "readyz": self._readyz, "metrics": self._metrics}

    def mount(self, app: web.Application) -> None:
        """Live as long as `app` runs; its routes are the caller's to add."""
        app.cleanup_ctx.append(self.running)
        # aiohttp waits for open answers before it cleans up: streams must end before that.
        app.on_shutdown.append(self._end_streams)

    @asynccontextmanager
    async def running(self, _app: web.Application | None = None) -> AsyncIterator[None]:
        """Leases end and progress is told while this context lasts; streams end with it."""
        tasks = [
            asyncio.create_task(self._watch_leases(), name="tracker leases"),
            asyncio.create_task(self._tell_progress(), name="tracker progress"),
        ]
        self._ready = True
        try:
            async with self.observer.running():
                yield
        finally:
            self._ready = False
            self._feed.close()
            for task in tasks:
                task.cancel()
            await asyncio.gather(*tasks, return_exceptions=True)

    async def _end_streams(self, _app: web.Application) -> None:
        self._ready = False
        self._feed.close()

    # --- deciding ---

    def _decide(self, event: RegistryEvent) -> Decision:
        """Decide, write, and note what moved."""
        decision = self._registry.handle(event, self._state, self._clock())
        if decision.writes:
            self._state.apply(decision.writes)
        for artifact in decision.moved:
            self._moved[artifact] = None
        for write in decision.writes:
            if isinstance(write, PutNode):
                self.observer.announced(write.record)
            elif isinstance(write, DropNode):
                self.observer.left(write.peer)
        return decision

    async def _watch_leases(self) -> None:
        prune_at_s = self._clock() + PRUNE_EVERY_S
        while True:
            await asyncio.sleep(LEASES_EVERY_S)
            self._decide(LeasesDue())
            now = self._clock()
            if now >= prune_at_s:
                prune_at_s = now + PRUNE_EVERY_S
                self._prune(now)

    def _prune(self, now: float) -> None:
        try:
            for artifact in self._state.prune(now - UNNAMED_KEPT_S):
                _log.info("forgot a manifest nobody named", artifact=artifact)
        except StrewError as error:
            _log.error("could not forget old manifests", error=str(error))

    async def _tell_progress(self) -> None:
        while True:
            await asyncio.sleep(PROGRESS_EVERY_S)
            if not self._moved:
                continue
            if not self._feed.wanted("swarm"):
                self._moved.clear()
                continue
            for artifact in list(self._moved)[:PROGRESS_SWARMS_MAX]:
                del self._moved[artifact]
                summary = self._report_of(artifact).summary
                self._feed.publish("swarm", _encoder.encode(summary), self._clock(), artifact)

    def _report_of(self, artifact: ArtifactId) -> SwarmReport:
        return swarm_report(
            artifact,
            self._state.facts(artifact),
            self._state.names_of(artifact),
            self._state.nodes(),
            self._clock(),
        )

    # --- handlers ---

    async def _announce(self, request: web.Request) -> web.Response:
        announce = decode_announce(await body_of(request, CONTROL_BODY_BYTES_MAX))
        transport = request.transport
        if transport is None:
            raise ConnectionResetError("the asker has gone")
        require_certified(transport, announce.node)
        source = transport.get_extra_info("peername") or ("",)
        reached = transport.get_extra_info("sockname") or ("",)
        is_new = self._state.node(announce.node) is None
        reply = self._decide(AnnounceReceived(announce, source[0], reached[0])).reply
        if isinstance(reply, Refused):
            raise refusal_of_decision(reply)
        assert isinstance(reply, Handout)
        if is_new and not announce.leaving:
            self.gate.note(request, "member", node=announce.node)
        return _json_bytes(encode(reply))

    async def _artifacts(self, _request: web.Request) -> web.Response:
        names: dict[ArtifactId, list[Publication]] = {}
        for publication in self._state.publications():
            names.setdefault(publication.artifact, []).append(publication)
        reports = {of.artifact: of for of in self.beside.artifacts()} if self.beside else {}
        for facts in self._state.artifacts():
            reports[facts.artifact] = artifact_report(facts, names.get(facts.artifact, ()))
        return _json(list(reports.values()))

    async def _artifact(self, request: web.Request) -> web.Response:
        artifact = parse_artifact_id(request.match_info["id"])
        if self.beside is not None and self._state.facts(artifact) is None:
            return _json(self.beside.artifact(artifact))
        facts = self._facts_of(request)
        return _json(artifact_report(facts, self._state.names_of(facts.artifact)))

    async def _manifest(self, request: web.Request) -> web.Response:
        artifact = parse_artifact_id(request.match_info["id"])
        if self.beside is not None and self._state.facts(artifact) is None:
            told = await self.beside.manifest(artifact)
            return web.Response(body=told, content_type="application/octet-stream")
        facts = self._facts_of(request)
        etag = f'"{artifact}"'
        headers = {hdrs.ETAG: etag, hdrs.CACHE_CONTROL: "private, max-age=31536000, immutable"}
        if request.headers.get(hdrs.IF_NONE_MATCH) == etag:
            return web.Response(status=304, headers=headers)
        elsewhere = await self._referring.referral(request, artifact, facts.manifest_bytes)
        if elsewhere is not None:
            return elsewhere
        raw = self._state.manifest(artifact)
        if raw is None:
            raise NotFoundError(f"no manifest of {artifact}")
        return web.Response(body=raw, content_type="application/octet-stream", headers=headers)

    async def _put_manifest(self, request: web.Request) -> web.Response:
        artifact = parse_artifact_id(request.match_info["id"])
        raw = await body_of(request, MANIFEST_BYTES_MAX)
        # Hashing and parsing 16 MiB, and the write, take long enough to hold up announces.
        facts = await asyncio.to_thread(_facts_from, artifact, raw, self._clock())
        new = await asyncio.to_thread(self._state.put_manifest, facts, raw)
        report = artifact_report(facts, self._state.names_of(artifact))
        return _json(report, status=201 if new else 200)

    async def _names(self, _request: web.Request) -> web.Response:
        names = {of.reference: of for of in self._state.publications()}
        for told in self.beside.names() if self.beside is not None else ():
            known = names.get(told.reference)
            if known is None or known.version < told.version:
                names[told.reference] = told
        return _json(sorted(names.values(), key=lambda of: of.version))

    async def _resolve(self, request: web.Request) -> web.Response:
        reference = reference_of(request)
        publication = self._state.publication(reference)
        for told in self.beside.names() if self.beside is not None else ():
            newer = publication is None or publication.version < told.version
            if told.reference == reference and newer:
                publication = told
        if publication is None:
            raise NotFoundError(f"no artifact is named {reference}", hint="see `strew ls`")
        return _json(publication)

    async def _publish(self, request: web.Request) -> web.Response:
        reference = reference_of(request)
        body = await body_of(request, CONTROL_BODY_BYTES_MAX)
        asked = decoded(body, _publish_decoder, "request to publish")
        if asked.record is None:
            decision = self._decide(PublishAsked(reference, asked.artifact, asked.draft))
        else:
            record_fits(asked, reference)
            if not self._notary.admits(asked.record):
                raise untrusted_record(reference)
            decision = self._decide(RecordGiven(asked.record))
        if isinstance(decision.reply, Refused):
            raise refusal_of_decision(decision.reply)
        assert isinstance(decision.reply, Publication)
        if decision.writes:
            self.gate.note(request, "publish", reference=reference, artifact=asked.artifact)
            self._tell_publication(decision.reply)
            raw = self._state.manifest(asked.artifact)
            assert raw is not None
            given = asked.manifest_signatures
            await asyncio.to_thread(self._notary.witness, asked.artifact, raw, given)
        return _json(decision.reply)

    def renew(self) -> None:
        """Sign anew what this process gave and what needs it; before anybody asks."""
        renewed = renewals(self._state, self._clock(), self._notary.signatory)
        self._state.apply([PutPublication(publication) for publication in renewed])
        for artifact in {publication.artifact for publication in renewed}:
            raw = self._state.manifest(artifact)
            if raw is not None:
                self._notary.witness(artifact, raw)

    def _tell_publication(self, publication: Publication) -> None:
        nodes = self._state.node_count()
        spread_s = spread_of(nodes)
        data = _encoder.encode(PublicationEvent(publication, spread_s))
        self._feed.publish("publication", data, self._clock())
        self.observer.published(publication.artifact)
        _log.info(
            "published",
            reference=publication.reference,
            artifact=publication.artifact,
            nodes=nodes,
        )

    async def _swarm(self, request: web.Request) -> web.Response:
        artifact = parse_artifact_id(request.match_info["id"])
        report = self._report_of(artifact)
        if self._state.facts(artifact) is None and not report.nodes:
            if self.beside is not None:
                return _json(self.beside.swarm(artifact))
            raise NotFoundError(f"nothing is known of {artifact}")
        return _json(self.observer.with_chunks(report))

    async def _report(self, request: web.Request) -> web.Response:
        return await answer(request, self._recording_of)

    async def _recording_of(self, artifact: ArtifactId) -> Recording:
        if self.beside is not None and self._state.facts(artifact) is None:
            return await self.beside.recording(artifact)
        return await self.recordings.recording(artifact)

    def _known_nodes(self) -> list[NodeReport]:
        now = self._clock()
        reports = {of.id: of for of in self.beside.nodes()} if self.beside is not None else {}
        reports |= {record.peer.id: node_report(record, now) for record in self._state.nodes()}
        return list(reports.values())

    async def _nodes(self, _request: web.Request) -> web.Response:
        return _json(self._known_nodes())

    async def _targets(self, _request: web.Request) -> web.Response:
        return _json(targets_of(self._known_nodes()))

    async def _events(self, request: web.Request) -> web.StreamResponse:
        return await stream(self._feed, request)

    async def _healthz(self, _request: web.Request) -> web.Response:
        return web.Response(text="ok\n")

    async def _readyz(self, _request: web.Request) -> web.Response:
        if not self._ready:
            raise UnavailableError("the tracker is starting or ending")
        return web.Response(text="ready\n")

    async def _metrics(self, _request: web.Request) -> web.Response:
        response = web.Response(body=generate_latest(self.metrics))
        response.headers[hdrs.CONTENT_TYPE] = "text/plain; version=0.0.4; charset=utf-8"
        return response

    def _facts_of(self, request: web.Request) -> ArtifactFacts:
        artifact = parse_artifact_id(request.match_info["id"])
        facts = self._state.facts(artifact)
        if facts is None:
            raise NotFoundError(f"no manifest of {artifact} is known here", hint="see `strew ls`")
        return facts


def application(tracker: Tracker) -> web.Application:
    """A tracker and nothing else."""
    app = web.Application(middlewares=[tracker.gate.strangers])
    app.add_routes(tracker.gate.routes(tracker.handlers() | tracker.probes()))
    tracker.mount(app)
    return app


def _facts_from(artifact: ArtifactId, raw: bytes, now: float) -> ArtifactFacts:
    """Check a manifest against its id and its rules. IntegrityError."""
    if artifact_id_of(raw) != artifact:
        raise IntegrityError(f"the uploaded bytes are not the manifest of {artifact}")
    manifest = Manifest.parse(raw)
    return ArtifactFacts(
        artifact=artifact,
        name=manifest.name,
        is_tree=manifest.is_tree,
        size_bytes=manifest.size_bytes,
        chunk_count=manifest.chunk_count,
        manifest_bytes=len(raw),
        added_s=now,
    )


def _json(value: object, *, status: int = 200) -> web.Response:
    return _json_bytes(_encoder.encode(value), status=status)


def _json_bytes(body: bytes, *, status: int = 200) -> web.Response:
    return web.Response(body=body, status=status, content_type="application/json")

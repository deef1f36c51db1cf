"""The node's HTTP API: control, manifests, ranges of files, health and metrics.

Every route stands in one table with its role (strew.access.routes); the gate (strew.tracker.gate)
checks Host and token before the handler is called. In a process that is a tracker as well, the
tracker's handlers take the place of those here; what gossip says is then found below
`/api/v1/gossip`, as on any other node.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from pathlib import Path
from types import MappingProxyType
from typing import Any, Final

import msgspec
from aiohttp import web
from prometheus_client import generate_latest
from prometheus_client.exposition import CONTENT_TYPE_LATEST

from strew.access.routes import route_of
from strew.agent.agent import Agent
from strew.agent.contents import Contents
from strew.agent.directory import Directory
from strew.agent.files import Files
from strew.agent.looking import Looking, NodeSight
from strew.agent.memberships import members_report
from strew.agent.openapi import document
from strew.agent.probing import Prober, decode_probe
from strew.agent.recollecting import own_telemetry
from strew.agent.requests import FetchRequest
from strew.agent.transfer import Transfer
from strew.announce.address import is_dialable
from strew.announce.protocol import decoded
from strew.announce.reference import follows
from strew.announce.referral import REFERRED_WITHIN_S
from strew.content.digest import ArtifactId, parse_artifact_id
from strew.content.manifest import MANIFEST_BYTES_MAX, Manifest
from strew.errors import NotFoundError, UsageError
from strew.gossip.protocol import EXCHANGE_BYTES_MAX
from strew.tracker.admission import Admission
from strew.tracker.client import PEM
from strew.tracker.clientfaults import client_faults
from strew.tracker.gate import (
    Gate,
    Guard,
    Handler,
    RequestMetrics,
    body_of,
    port_of,
    reference_of,
    source_of,
)
from strew.tracker.location import HELD
from strew.tracker.referring import Referring
from strew.tracker.reporting import answer
from strew.tracker.reports import PublishRequest, record_fits
from strew.tracker.service import Tracker
from strew.tracker.targets import targets_of
from strew.transfer.web import HEAD_BYTES_MAX, IDLE_S
from strew.trust import dsse

REQUEST_BYTES_MAX = 64 << 10
"""Largest control request: a fetch with its list of sources."""


NO_PAGES: Final[Mapping[str, Handler]] = MappingProxyType({})
"""Of a process that nobody looks at with a browser."""

_publish_decoder = msgspec.json.Decoder(PublishRequest)
_fetch_decoder = msgspec.json.Decoder(FetchRequest)


class NodeApi:
    """The application around one agent."""

    def __init__(
        self,
        agent: Agent,
        tracker: Tracker | None = None,
        into: Path | None = None,
        guard: Guard | None = None,
        pages: Mapping[str, Handler] = NO_PAGES,
    ) -> None:
        self._agent = agent
        self._tracker = tracker
        self._into = into
        self._directory = Directory(agent)
        if tracker is not None:
            self._gate = tracker.gate
            if agent.gossiping is not None:
                tracker.beside = self._directory
                tracker.sight.beside = NodeSight(agent, self._directory).facts
        else:
            metrics = RequestMetrics(agent.metrics.registry)
            self._gate = Gate(agent.key, metrics, guard)
        self._files = Files(agent)
        self._contents = Contents(agent, tracker)
        self._referring = Referring()
        self._pages = pages
        self._prober = Prober()
        self._looking = Looking(agent, self._directory) if tracker is None else None
        self._document = b""

    def handlers(self) -> dict[str, Handler]:
        """What a node does, by op of strew.access.routes."""
        return {
            "healthz": self._healthz,
            "readyz": self._readyz,
            "metrics": self._metrics,
            "openapi": self._openapi,
            "node": self._node,
            "artifacts": self._artifacts,
            "artifact": self._artifact,
            "manifest": self._manifest,
            "envelope": self._envelope,
            "swarm": self._swarm,
            "report": self._report,
            "nodes": self._nodes,
            "targets": self._targets,
            "names": self._names,
            "resolve": self._resolve,
            "publish": self._publish,
            "upload": self._put_manifest,
            "take": self._take,
            "transfer": self._transfer,
            "fetch": self._fetch,
            "gossip": self._gossip,
            "certify": self._certify,
            "probe": self._probe,
            "gossip-nodes": self._nodes,
            "gossip-names": self._names,
            "gossip-swarm": self._swarm,
            "files": self._files.get,
            "members": self._members,
            "contents": self._contents_of,
            **self._pages,
        }

    def application(self) -> web.Application:
        """The application, with the tracker's routes if this process is one."""
        app = web.Application(
            middlewares=[self._gate.strangers], client_max_size=MANIFEST_BYTES_MAX
        )
        handlers = self.handlers()
        vault = self._gate.guard.vault
        if vault is not None:
            handlers |= Admission(self._gate, self._agent.key, vault, self._anchors).handlers()
        if self._tracker is not None:
            handlers |= self._tracker.handlers()
            self._tracker.mount(app)
        if self._looking is not None:
            handlers |= self._looking.handlers()
            self._looking.mount(app)
        self._document = msgspec.json.encode(document(map(route_of, handlers)))
        app.add_routes(self._gate.routes(handlers))
        return app

    # --- health ----------------------------------------------------------------------------------

    async def _healthz(self, _request: web.Request) -> web.Response:
        return web.Response(text="ok\n")

    async def _readyz(self, _request: web.Request) -> web.Response:
        ready = self._agent.node is not None
        return web.Response(text="ready\n" if ready else "starting\n", status=200 if ready else 503)

    async def _metrics(self, _request: web.Request) -> web.Response:
        body = generate_latest(self._agent.metrics.registry)
        if self._tracker is not None:
            body += generate_latest(self._tracker.metrics)
        return web.Response(body=body, headers={"Content-Type": CONTENT_TYPE_LATEST})

    async def _openapi(self, _request: web.Request) -> web.Response:
        return web.Response(body=self._document, content_type="application/json")

    def _anchors(self) -> tuple[str, ...]:
        return tuple(map(str, self._agent.trusting.told()))

    # --- what is known ---------------------------------------------------------------------------

    async def _node(self, _request: web.Request) -> web.Response:
        return _json(self._agent.snapshot())

    async def _artifacts(self, _request: web.Request) -> web.Response:
        return _json(list((await self._known_artifacts()).values()))

    async def _artifact(self, request: web.Request) -> web.Response:
        wanted = parse_artifact_id(request.match_info["id"])
        known = (await self._known_artifacts()).get(wanted)
        if known is None:
            raise NotFoundError(f"nothing is known of {wanted}")
        return _json(known)

    async def _known_artifacts(self) -> dict[ArtifactId, dict[str, Any]]:
        """What members gave a name, and what this node stores, with what the store says of it."""
        known: dict[ArtifactId, dict[str, Any]] = {}
        for report in self._directory.artifacts():
            known[report.artifact] = msgspec.structs.asdict(report)
        for stored in await asyncio.to_thread(self._agent.store.artifacts):
            told = known.setdefault(stored.artifact, {"manifest_bytes": 0, "references": ()})
            told["added_s"] = told.get("added_s") or stored.added_unix_s
            told |= _stored(stored)
        return known

    async def _manifest(self, request: web.Request) -> web.Response:
        """That of what is stored here, or comes here within moments, else from a member that holds
        some of it; of a crowd of callers, most are referred to others."""
        artifact = parse_artifact_id(request.match_info["id"])
        raw = await self._manifest_of(artifact, only_held=HELD in request.query)
        elsewhere = await self._referring.referral(request, artifact, len(raw))
        if elsewhere is not None:
            return elsewhere
        return web.Response(body=raw, content_type="application/octet-stream")

    async def _manifest_of(self, artifact: ArtifactId, *, only_held: bool) -> bytes:
        try:
            return self._agent.store.manifest(artifact).raw
        except NotFoundError:
            if only_held:
                return await self._agent.fetches.manifest(artifact, REFERRED_WITHIN_S)
            return await self._directory.manifest(artifact)

    async def _envelope(self, request: web.Request) -> web.Response:
        """The signed manifest as tools of others read it: DSSE in JSON. Kept here, else from a
        member that holds the artifact."""
        artifact = parse_artifact_id(request.match_info["id"])
        records = self._agent.trusting.records
        signatures = records.signatures(artifact) if records is not None else ()
        if signatures:
            raw = await self._manifest_of(artifact, only_held=True)
        elif HELD in request.query:
            raise NotFoundError(f"no signature over the manifest of {artifact} is kept here")
        else:
            opened = await self._directory.envelope(artifact)
            raw, signatures = opened.payload, opened.signatures
        body = dsse.envelope(dsse.MANIFEST_TYPE, raw, signatures)
        return web.Response(body=body, content_type="application/json")

    async def _swarm(self, request: web.Request) -> web.Response:
        report = self._directory.swarm(parse_artifact_id(request.match_info["id"]))
        return _json(self._looking.with_chunks(report) if self._looking is not None else report)

    async def _report(self, request: web.Request) -> web.Response:
        return await answer(request, self._directory.recording)

    async def _nodes(self, _request: web.Request) -> web.Response:
        return _json(self._directory.nodes())

    async def _members(self, _request: web.Request) -> web.Response:
        return _json(members_report(self._agent))

    async def _contents_of(self, request: web.Request) -> web.Response:
        artifact = parse_artifact_id(request.match_info["id"])
        try:
            manifest = self._contents.manifest(artifact)
        except NotFoundError:
            manifest = Manifest.parse(await self._directory.manifest(artifact))
        names = self._contents.names()
        return _json(await asyncio.to_thread(self._contents.report, manifest, names))

    async def _targets(self, _request: web.Request) -> web.Response:
        return _json(targets_of(self._directory.nodes()))

    async def _names(self, _request: web.Request) -> web.Response:
        return _json(self._directory.names())

    async def _resolve(self, request: web.Request) -> web.Response:
        return _json(self._directory.resolve(reference_of(request)))

    # --- publishing ------------------------------------------------------------------------------

    async def _put_manifest(self, request: web.Request) -> web.Response:
        """Whoever uploaded the artifact brought its manifest along; anything else is refused."""
        return _json(self._directory.artifact(parse_artifact_id(request.match_info["id"])))

    async def _publish(self, request: web.Request) -> web.Response:
        """Give an artifact that was uploaded here a name."""
        body = await body_of(request, REQUEST_BYTES_MAX)
        asked = decoded(body, _publish_decoder, "request to publish")
        reference = reference_of(request)
        record_fits(asked, reference)
        publication = self._directory.publish(reference, asked)
        if asked.draft:
            return _json(publication)
        self._gate.note(
            request, "publish", reference=publication.reference, artifact=publication.artifact
        )
        raw = self._agent.store.manifest(asked.artifact).raw
        witness = self._agent.trusting.witness
        await asyncio.to_thread(witness, asked.artifact, raw, asked.manifest_signatures)
        if self._agent.memory is not None:
            await asyncio.to_thread(self._agent.memory.save)
        if self._into is not None and follows(self._agent.settings.follow, publication.reference):
            self._agent.trusting.begin([publication], time.time())
            self._agent.spawn(self._agent.fetches.install(publication.artifact, self._into))
        return _json(publication)

    # --- control ---------------------------------------------------------------------------------

    async def _take(self, request: web.Request) -> web.Response:
        """A publisher offers a manifest: fetch it from the publisher's own node.

        Query: `port`, where the publisher listens; its address is that of this connection.
        """
        artifact = parse_artifact_id(request.match_info["id"])
        raw = await body_of(request, MANIFEST_BYTES_MAX)
        manifest = Manifest.parse(raw)
        if manifest.id != artifact:
            raise UsageError(f"the uploaded manifest is not that of {artifact}")
        address = (str(request.remote), port_of(request))
        transfer = self._agent.fetches.transfers.get(artifact)
        if transfer is None or transfer.finished.done():
            transfer = self._agent.fetches.publish_from(manifest, address)
        return _json(_progress(self._agent, transfer))

    async def _gossip(self, request: web.Request) -> web.Response:
        """One body of an exchange between two members."""
        gossiping = self._agent.gossiping
        if gossiping is None:
            raise NotFoundError("this node takes no part in gossip")
        body = await body_of(request, EXCHANGE_BYTES_MAX)
        answer = await gossiping.asked(body, request.transport)
        return web.Response(body=answer, content_type="application/octet-stream")

    async def _certify(self, request: web.Request) -> web.Response:
        """Renew the certificate of whoever asks: the one shown on this very connection."""
        body = await body_of(request, REQUEST_BYTES_MAX)
        security, transport = self._agent.security, request.transport
        if security is None or transport is None:
            raise NotFoundError("this process issues no certificates")
        return web.Response(body=security.reissue(body, transport), content_type=PEM)

    async def _probe(self, request: web.Request) -> web.Response:
        asked = decode_probe(await body_of(request, REQUEST_BYTES_MAX))
        return _json(await self._prober.answer(asked, source_of(request)))

    async def _fetch(self, request: web.Request) -> web.Response:
        body = await body_of(request, REQUEST_BYTES_MAX)
        wanted = decoded(body, _fetch_decoder, "request to fetch")
        for host, _ in wanted.sources:
            if not is_dialable(host):
                raise UsageError(
                    f"source {host!a} is no address of a machine", hint="name it by its IP address"
                )
        transfer = self._agent.fetches.fetch(
            wanted.artifact,
            None,
            sources=wanted.sources,
            only_sources=wanted.only_sources,
            as_name_in=self._into if wanted.install else None,
        )
        return _json(_progress(self._agent, transfer), status=202)

    async def _transfer(self, request: web.Request) -> web.Response:
        artifact = parse_artifact_id(request.match_info["id"])
        transfer = self._agent.fetches.transfers.get(artifact)
        if transfer is None:
            raise NotFoundError(f"{artifact} was not fetched by this process")
        return _json(_progress(self._agent, transfer))

    @asynccontextmanager
    async def running(self) -> AsyncIterator[web.Server]:
        """The HTTP server for the agent's port, while this context lasts."""
        runner = web.AppRunner(
            self.application(),
            access_log=None,
            handle_signals=False,
            keepalive_timeout=IDLE_S,
            max_line_size=HEAD_BYTES_MAX,
            max_field_size=HEAD_BYTES_MAX,
            logger=client_faults,
        )
        await runner.setup()
        try:
            assert runner.server is not None
            yield runner.server
        finally:
            await runner.cleanup()


def _json(value: Any, *, status: int = 200) -> web.Response:
    body = msgspec.json.encode(value, enc_hook=str)
    return web.Response(body=body, status=status, content_type="application/json")


def _stored(artifact: Any) -> dict[str, Any]:
    facts = dict(msgspec.structs.asdict(artifact))
    facts["path"] = None if facts["path"] is None else str(facts["path"])
    return facts


def _progress(agent: Agent, transfer: Transfer) -> dict[str, Any]:
    """A transfer as callers see it."""
    return {
        "artifact": transfer.artifact,
        "stage": transfer.stage,
        "reason": transfer.reason or agent.reason(ArtifactId(transfer.artifact)),
        "code": transfer.failure_code,
        "reused_bytes": transfer.reused_bytes,
        "fetched_bytes": transfer.fetched_bytes,
        "seconds": (transfer.ended_s or agent.now()) - transfer.started_s,
        **agent.traffic(ArtifactId(transfer.artifact)),
        "telemetry": own_telemetry(agent, transfer.artifact),
    }

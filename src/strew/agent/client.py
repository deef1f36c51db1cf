"""The client's end of a node's API, which answers what a tracker does about artifacts, and more.

Failures are those of strew.tracker.client.
"""

from collections.abc import Sequence
from typing import Any

import msgspec
from aiohttp import hdrs

from strew.agent.probing import ProbeReport, ProbeRequest
from strew.content.digest import ArtifactId
from strew.content.manifest import Manifest
from strew.content.reference import Address
from strew.gossip.protocol import EXCHANGE_BYTES_MAX
from strew.publication import Publication
from strew.telemetry.protocol import SwarmTelemetry
from strew.tracker.client import (
    LISTING_BYTES_MAX,
    MANIFEST_SILENCE_S,
    MANIFEST_WITHIN_S,
    TrackerClient,
)
from strew.tracker.location import HELD
from strew.tracker.reports import NodeReport as TrackerNodeReport
from strew.tracker.reports import SwarmReport
from strew.trust import dsse

HOST_HEADER = {hdrs.HOST: "localhost"}
"""For the session of every strew client. The other end admits IP literals and localhost, to keep
out pages of browsers (DNS rebinding); it need not know by which name its machine is called."""


class TransferReport(msgspec.Struct, frozen=True, kw_only=True):
    """A transfer of another process. `stage` as strew.agent.transfer.Stage; `code` and `reason`
    say why it is `paused` or `failed`; `fetched_bytes` is counted when all of it is there."""

    artifact: ArtifactId
    stage: str
    reason: str = ""
    code: str = ""
    reused_bytes: int = 0
    fetched_bytes: int = 0
    have_chunks: int = 0
    chunk_count: int = 0
    neighbours: int = 0
    received_bytes: int = 0
    telemetry: SwarmTelemetry | None = None
    """What it is like in detail, with its timeline once it is over."""


class NodeReport(msgspec.Struct, frozen=True, kw_only=True):
    """What a node says of itself: strew.node.Node.snapshot. `swarms` are by artifact; `dht_open`
    says in which form it speaks the hash table."""

    id: str
    zone: str = ""
    links: int = 0
    announcer: dict[str, Any] = {}
    gossip: dict[str, Any] = {}
    dht_open: bool = False
    swarms: dict[str, dict[str, Any]] = {}


class NodeClient(TrackerClient):
    """Speaks to a node, or to the tracker and node of `strew serve`."""

    async def upload(self, manifest: Manifest, port: int) -> TransferReport:
        """Have the node fetch an artifact from this machine's `port`, to be its origin.

        Asked again while it is under way, the answer is how far it is.
        """
        path = f"/api/v1/uploads/{manifest.id}?port={port}"
        body = await self._asked(
            "PUT", path, self._publisher, data=manifest.raw, within_s=MANIFEST_WITHIN_S
        )
        return self._decoded(body, TransferReport)

    async def fetch(
        self,
        artifact: ArtifactId,
        sources: Sequence[Address] = (),
        *,
        only_sources: bool = False,
    ) -> TransferReport:
        """Have the node fetch an artifact into its own folder; nobody else is asked for it with
        `only_sources`. Returns at once: it has only begun."""
        wanted = {"artifact": artifact, "sources": sources, "only_sources": only_sources}
        body = await self._asked(
            "POST", "/api/v1/transfers", self._node, data=msgspec.json.encode(wanted)
        )
        return self._decoded(body, TransferReport)

    async def transfer(self, artifact: ArtifactId) -> TransferReport:
        """How far a transfer of that process is. NotFoundError if it has none."""
        return await self._listed(f"/api/v1/transfers/{artifact}", TransferReport)

    async def probe(self, asked: ProbeRequest) -> ProbeReport:
        """Be dialled back by that process. NotFoundError by one that is older than this."""
        body = await self._asked(
            "POST", "/api/v1/probe", self._node, data=msgspec.json.encode(asked)
        )
        return self._decoded(body, ProbeReport)

    async def exchange(self, body: bytes) -> bytes:
        """Compare what is known of the fleet; see strew.gossip.exchange for the bodies."""
        return await self._asked(
            "POST",
            "/api/v1/gossip",
            self._node,
            data=body,
            limit_bytes=EXCHANGE_BYTES_MAX,
            content_type="application/octet-stream",
        )

    async def held_manifest(
        self, artifact: ArtifactId, patience_s: float = MANIFEST_SILENCE_S
    ) -> bytes:
        """As `manifest`, of what that very node holds: it asks nobody else for it, and refers to
        nobody. UnavailableError if nothing comes for `patience_s`."""
        path = f"/api/v1/artifacts/{artifact}/manifest?{HELD}=1"
        return await self._manifest(artifact, path, patience_s)

    async def held_envelope(self, artifact: ArtifactId) -> dsse.Opened:
        """As `envelope`, of what that very node keeps."""
        return await self.envelope(artifact, f"?{HELD}=1")

    async def gossip_nodes(self) -> list[TrackerNodeReport]:
        """Members, as this node knows them by gossip; also where it is a tracker as well."""
        return await self._listed("/api/v1/gossip/nodes", list[TrackerNodeReport])

    async def gossip_names(self) -> list[Publication]:
        """Names that members told of."""
        return await self._listed("/api/v1/gossip/names", list[Publication])

    async def gossip_swarm(self, artifact: ArtifactId) -> SwarmReport:
        """Who has how much of an artifact, by gossip. NotFoundError."""
        return await self._listed(f"/api/v1/gossip/swarms/{artifact}", SwarmReport)

    async def conflicts(self) -> list[Publication]:
        """Publications that lost against another publisher's of the same name, as far as members
        told of them."""
        told = (await self.node()).gossip.get("conflicts", [])
        return msgspec.convert(told, list[Publication])

    async def node(self) -> NodeReport:
        """The node as it is now."""
        body = await self._asked("GET", "/api/v1/node", self._node, limit_bytes=LISTING_BYTES_MAX)
        return self._decoded(body, NodeReport)

"""What the tracker's API shows of its state, as values both ends of it share."""

from collections.abc import Iterable
from statistics import median
from typing import Literal

import msgspec

from strew.announce.records import ArtifactFacts, NodeRecord
from strew.announce.reference import follower_of
from strew.content.digest import ArtifactId
from strew.errors import DeniedError, UsageError
from strew.publication import (
    ArtifactText,
    HoldingState,
    PeerText,
    Publication,
    ReferenceText,
    Signatures,
)
from strew.telemetry.view import Cause, MachineBan, MachineEvent, MachineNeighbour, MachineSwarm

NodeState = HoldingState | Literal["waiting"]
"""As announced; `waiting` for a node that follows the artifact and has told nothing of it yet."""


class ArtifactReport(msgspec.Struct, frozen=True, kw_only=True):
    """An artifact the tracker has the manifest of. `added_s` is unix time."""

    artifact: ArtifactText
    name: str
    is_tree: bool
    size_bytes: int
    chunk_count: int
    manifest_bytes: int
    added_s: float
    references: tuple[ReferenceText, ...]


class SwarmNode(msgspec.Struct, frozen=True, kw_only=True):
    """One node of a swarm. `done_s` counts from the publication, None while not done or if it
    was done before the tracker looked; `heard_s` is how long ago it announced."""

    id: PeerText
    host: str
    port: int
    zone: str
    state: NodeState
    follows: bool
    origin: bool
    have_chunks: int
    received_bytes: int
    received_origin_bytes: int
    duplicate_bytes: int
    sent_bytes: int
    received_bytes_per_s: float
    sent_bytes_per_s: float
    heard_s: float
    done_s: float | None = None
    reason: str = ""
    have: bytes | None = None
    """Which chunks, a Bitfield in its wire form (base64 in JSON); None where it is not known."""


class SwarmSummary(msgspec.Struct, frozen=True, kw_only=True):
    """A swarm in numbers. The origin is in none of the counts of nodes.

    `total` = done + failed + paused + fetching + waiting; the `following` ones of these follow a
    name of the artifact: a push is over when `following_done + following_failed == following`.
    """

    artifact: ArtifactText
    chunk_count: int
    size_bytes: int
    total: int
    done: int
    failed: int
    paused: int
    fetching: int
    waiting: int
    following: int
    following_done: int
    following_failed: int
    have_chunks: int
    """Over all counted nodes: `total * chunk_count` when all are done."""
    received_bytes: int
    duplicate_bytes: int
    origin_sent_bytes: int
    done_s_median: float | None = None
    done_s_last: float | None = None


class SwarmReport(msgspec.Struct, frozen=True, kw_only=True):
    """A swarm as GET /api/v1/swarms/{id} shows it."""

    summary: SwarmSummary
    references: tuple[ReferenceText, ...]
    published_s: float | None
    nodes: tuple[SwarmNode, ...]


class NodeReport(msgspec.Struct, frozen=True, kw_only=True):
    """A node whose lease runs; `lease_s` is how much of it is left."""

    id: PeerText
    host: str
    port: int
    zone: str
    follows: tuple[str, ...]
    holdings: int
    complete: int
    fetching: int
    up_s: float
    heard_s: float
    lease_s: float


class MachineView(msgspec.Struct, frozen=True, kw_only=True):
    """One machine as GET /api/v1/nodes/{id} shows it. `node` is None for one whose lease ended;
    `cause`, `why`, `remedy` are of the transfer in which it lags. Neighbours are those of the last
    seconds, events newest first."""

    node: NodeReport | None
    id: PeerText
    cause: Cause
    why: str
    remedy: str
    silent_s: float
    swarms: list[MachineSwarm]
    neighbours: list[MachineNeighbour]
    bans: list[MachineBan]
    events: list[MachineEvent]


class PublishRequest(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """Body of PUT /api/v1/names/{name}/{tag}."""

    artifact: ArtifactText
    draft: bool = False
    """Only tell what the name's record would be: whoever asks signs it and hands it in."""
    record: Publication | None = None
    """Signed elsewhere; without, the process that is asked signs."""
    manifest_signatures: Signatures = ()
    """Over the manifest, beside the record."""


def record_fits(asked: PublishRequest, reference: str) -> None:
    """UsageError if a record that is handed in is of another name than the request."""
    record = asked.record
    if record is not None and (record.reference, record.artifact) != (reference, asked.artifact):
        raise UsageError(f"the record names {record.reference}, the request {reference}")


def untrusted_record(reference: str) -> DeniedError:
    """What a record signed by nobody who is trusted here is answered with."""
    return DeniedError(
        f"the record of {reference} has no signature by a key that is trusted here for it",
        hint="'strew key trust KEY --data DIR' on that machine trusts a publisher's key",
    )


class PublicationEvent(msgspec.Struct, frozen=True):
    """Data of a `publication` event. A node that follows it, and its origin, should announce at a
    random moment within `spread_s`."""

    publication: Publication
    spread_s: float = 0.0


def artifact_report(facts: ArtifactFacts, names: Iterable[Publication]) -> ArtifactReport:
    """The report of one artifact; `names` are those that name it."""
    return ArtifactReport(
        artifact=facts.artifact,
        name=facts.name,
        is_tree=facts.is_tree,
        size_bytes=facts.size_bytes,
        chunk_count=facts.chunk_count,
        manifest_bytes=facts.manifest_bytes,
        added_s=facts.added_s,
        references=tuple(p.reference for p in names),
    )


def node_report(record: NodeRecord, now: float) -> NodeReport:
    """The report of one node."""
    states = [tracked.holding for tracked in record.holdings.values()]
    return NodeReport(
        id=record.peer.id,
        host=record.peer.host,
        port=record.peer.port,
        zone=record.peer.zone,
        follows=record.follows,
        holdings=len(states),
        complete=sum(1 for holding in states if holding.complete),
        fetching=sum(1 for holding in states if holding.state == "fetching"),
        up_s=now - record.since_s,
        heard_s=now - record.heard_s,
        lease_s=max(0.0, record.lease_until_s - now),
    )


def swarm_report(
    artifact: ArtifactId,
    facts: ArtifactFacts | None,
    names: list[Publication],
    records: Iterable[NodeRecord],
    now: float,
) -> SwarmReport:
    """The report of one swarm: of all `records`, those that are in it or follow it."""
    published_s = max((p.published_s for p in names), default=None)
    is_follower = follower_of(p.reference for p in names)
    nodes: list[SwarmNode] = []
    for record in records:
        following = is_follower(record.follows)
        if following or artifact in record.swarms:
            nodes.append(swarm_node(artifact, record, published_s, now, following=following))
    nodes.sort(key=lambda node: (not node.origin, node.host, node.port))
    return SwarmReport(
        summary=_summary_of(artifact, facts, nodes),
        references=tuple(p.reference for p in names),
        published_s=published_s,
        nodes=tuple(nodes),
    )


def swarm_node(
    artifact: ArtifactId,
    record: NodeRecord,
    published_s: float | None,
    now: float,
    *,
    following: bool,
) -> SwarmNode:
    """One node's part in a swarm."""
    tracked = record.holdings.get(artifact)
    holding = tracked.holding if tracked is not None else None
    done_s = None
    if tracked is not None and tracked.done_at_s is not None and published_s is not None:
        done_s = max(0.0, tracked.done_at_s - published_s)
    return SwarmNode(
        id=record.peer.id,
        host=record.peer.host,
        port=record.peer.port,
        zone=record.peer.zone,
        state=holding.state if holding is not None else "waiting",
        follows=following,
        origin=holding is not None and holding.origin,
        have_chunks=holding.have_chunks if holding is not None else 0,
        received_bytes=holding.received_bytes if holding is not None else 0,
        received_origin_bytes=holding.received_origin_bytes if holding is not None else 0,
        duplicate_bytes=holding.duplicate_bytes if holding is not None else 0,
        sent_bytes=holding.sent_bytes if holding is not None else 0,
        received_bytes_per_s=tracked.received_bytes_per_s if tracked is not None else 0.0,
        sent_bytes_per_s=tracked.sent_bytes_per_s if tracked is not None else 0.0,
        heard_s=now - record.heard_s,
        done_s=done_s,
        reason=holding.reason if holding is not None else "",
    )


def _summary_of(
    artifact: ArtifactId, facts: ArtifactFacts | None, nodes: list[SwarmNode]
) -> SwarmSummary:
    counted = [node for node in nodes if not node.origin]
    following = [node for node in counted if node.follows]
    done_s = [node.done_s for node in counted if node.done_s is not None]

    def count(state: NodeState, among: list[SwarmNode] = counted) -> int:
        return sum(1 for node in among if node.state == state)

    return SwarmSummary(
        artifact=artifact,
        chunk_count=facts.chunk_count if facts is not None else 0,
        size_bytes=facts.size_bytes if facts is not None else 0,
        total=len(counted),
        done=count("seeding"),
        failed=count("failed"),
        paused=count("paused"),
        fetching=count("fetching"),
        waiting=count("waiting"),
        following=len(following),
        following_done=count("seeding", following),
        following_failed=count("failed", following),
        have_chunks=sum(node.have_chunks for node in counted),
        received_bytes=sum(node.received_bytes for node in counted),
        duplicate_bytes=sum(node.duplicate_bytes for node in counted),
        origin_sent_bytes=sum(node.sent_bytes for node in nodes if node.origin),
        done_s_median=median(done_s) if done_s else None,
        done_s_last=max(done_s) if done_s else None,
    )

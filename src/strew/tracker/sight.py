"""From a tracker's records to what a board is told, and where an observer finds them."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from typing import Final, Protocol

from strew.announce.records import ArtifactFacts, NodeRecord
from strew.announce.reference import follows
from strew.content.digest import ArtifactId
from strew.messages import PeerId
from strew.publication import Publication
from strew.telemetry.progress import Facts
from strew.telemetry.protocol import Telemetry
from strew.telemetry.rows import MachineTold
from strew.tracker.reports import NodeReport, SwarmNode, node_report, swarm_node
from strew.tracker.state import StateStore

NEWER_MAX: Final = 1000
"""Publications looked through for newer ones of the same file name."""

NEWER_KEPT: Final = 8
"""Of these, the last ones: each is matched against what a node follows, whenever it announces."""


class Sight(Protocol):
    """What an observer may ask of its process."""

    def facts(self, artifact: ArtifactId) -> Facts | None:
        """What an artifact is, and its names; None where it is not known."""

    def machines(self, facts: Facts) -> Iterable[MachineTold]:
        """All that are in the artifact's swarm, or follow it."""

    def node(self, peer: PeerId) -> NodeReport | None:
        """A node that lives."""

    def record(self, peer: PeerId) -> NodeRecord | None:
        """What a node that lives announced."""

    def newest(self, limit: int) -> Sequence[ArtifactId]:
        """The artifacts that were named last, newest first."""

    def moment(self) -> Iterable[Telemetry]:
        """What is known of machines that need not tell it: on a node, itself and its neighbours."""


class TrackerSight:
    """Sight by a tracker's state."""

    def __init__(self, state: StateStore, clock: Callable[[], float]) -> None:
        self._state = state
        self._clock = clock
        self.beside: Callable[[ArtifactId], Facts | None] | None = None
        """Asked for what has its name from elsewhere: nodes tell of that here, too."""

    def facts(self, artifact: ArtifactId) -> Facts | None:
        """As Sight.facts."""
        known = self._state.facts(artifact)
        if known is not None:
            names = self._state.names_of(artifact)
            return facts_of(known, names, self._newer(known, names))
        return self.beside(artifact) if self.beside is not None else None

    def _newer(self, known: ArtifactFacts, names: Sequence[Publication]) -> list[Publication]:
        last = max((p.version for p in names), default=0)
        newer = self._state.publications_since(last, NEWER_MAX) if last else []
        same = [p for p in newer if p.name == known.name and p.artifact != known.artifact]
        return same[-NEWER_KEPT:]

    def machines(self, facts: Facts) -> Iterable[MachineTold]:
        """As Sight.machines."""
        for record in self._state.nodes():
            told = told_of(facts, record)
            if told is not None:
                yield told

    def node(self, peer: PeerId) -> NodeReport | None:
        """As Sight.node."""
        record = self._state.node(peer)
        return node_report(record, self._clock()) if record is not None else None

    def record(self, peer: PeerId) -> NodeRecord | None:
        """As Sight.record."""
        return self._state.node(peer)

    def newest(self, limit: int) -> Sequence[ArtifactId]:
        """As Sight.newest."""
        named = {p.artifact: None for p in reversed(self._state.publications())}
        return list(named)[:limit]

    def moment(self) -> Iterable[Telemetry]:
        """Nothing: nodes tell."""
        return ()


def facts_of(
    known: ArtifactFacts, names: Sequence[Publication], newer: Sequence[Publication] = ()
) -> Facts:
    """What a board says of its artifact. Without a name it counts from when it was heard of."""
    return Facts(
        artifact=known.artifact,
        references=tuple(p.reference for p in names),
        name=known.name,
        size_bytes=known.size_bytes,
        chunk_count=known.chunk_count,
        published_unix_s=max((p.published_s for p in names), default=known.added_s),
        newer=tuple(p.reference for p in newer),
    )


def told_of(facts: Facts, record: NodeRecord) -> MachineTold | None:
    """A node's part in an artifact; None if it has none and follows none of its names."""
    following = any(follows(record.follows, reference) for reference in facts.references)
    is_in = facts.artifact in record.swarms
    if not is_in and any(follows(record.follows, reference) for reference in facts.newer):
        return None  # it takes what has the same name and is newer
    if not following and not is_in:
        return None
    node = swarm_node(
        facts.artifact, record, facts.published_unix_s, record.heard_s, following=following
    )
    return machine_told(node, facts.published_unix_s)


def machine_told(node: SwarmNode, published_unix_s: float) -> MachineTold:
    """A line of a swarm's report as a board is told it."""
    return MachineTold(
        id=node.id,
        host=node.host,
        port=node.port,
        zone=node.zone,
        state=node.state,
        is_origin=node.origin,
        follows=node.follows,
        have_chunks=node.have_chunks,
        received_bytes=node.received_bytes,
        received_origin_bytes=node.received_origin_bytes,
        duplicate_bytes=node.duplicate_bytes,
        sent_bytes=node.sent_bytes,
        received_bytes_per_s=node.received_bytes_per_s,
        sent_bytes_per_s=node.sent_bytes_per_s,
        done_unix_s=published_unix_s + node.done_s if node.done_s else None,  # 0: before it
        reason=node.reason,
    )

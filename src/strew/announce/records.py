"""What a tracker knows: nodes with their leases, and artifacts with their names.

Also the writes by which a decision changes it, and the view of it that a decision reads.
Times are unix seconds of the tracker's steady clock.
"""

import random
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Protocol

from strew.announce.allowance import Allowance
from strew.announce.protocol import Holding, Peer
from strew.content.digest import ArtifactId
from strew.messages import PeerId
from strew.publication import Publication, ReferenceText


@dataclass(frozen=True, slots=True)
class TrackedHolding:
    """A holding as last announced, with what its announces show over time.

    `done_at_s` is when the tracker first heard that it is complete; None if it is not, or if it
    was complete in the node's first announce.
    """

    holding: Holding
    received_bytes_per_s: float = 0.0
    sent_bytes_per_s: float = 0.0
    done_at_s: float | None = None


@dataclass(frozen=True, slots=True)
class NodeRecord:
    """A node whose lease runs. `swarms` are the artifacts it is a member of: it holds them, wants
    them, or was just told of them."""

    peer: Peer
    follows: tuple[str, ...]
    holdings: Mapping[ArtifactId, TrackedHolding]
    wants: tuple[ArtifactId, ...]
    swarms: frozenset[ArtifactId]
    seen: int
    since_s: float
    heard_s: float
    lease_until_s: float
    allowance: Allowance

    def holds_all_of(self, artifact: ArtifactId) -> bool:
        """Whether the node reported every chunk of `artifact`."""
        tracked = self.holdings.get(artifact)
        return tracked is not None and tracked.holding.complete


@dataclass(frozen=True, slots=True)
class ArtifactFacts:
    """What a manifest says of its artifact as a whole."""

    artifact: ArtifactId
    name: str
    is_tree: bool
    size_bytes: int
    chunk_count: int
    manifest_bytes: int
    added_s: float


@dataclass(frozen=True, slots=True)
class Candidate:
    """A member of a swarm that could be handed out. `handed` counts how often it was."""

    peer: Peer
    complete: bool
    handed: int


# --- writes -------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class PutNode:
    """Store the record in place of the node's earlier one, with its memberships."""

    record: NodeRecord


@dataclass(frozen=True, slots=True)
class DropNode:
    """Forget the node and its memberships."""

    peer: PeerId


@dataclass(frozen=True, slots=True)
class Dealt:
    """These members of the swarm were handed out once more."""

    artifact: ArtifactId
    peers: tuple[PeerId, ...]


@dataclass(frozen=True, slots=True)
class Enrol:
    """These nodes will take part in the swarm, since they follow its new name."""

    artifact: ArtifactId
    peers: tuple[PeerId, ...]


@dataclass(frozen=True, slots=True)
class PutPublication:
    """Store the name in place of what the reference named. Must survive a crash once applied."""

    publication: Publication


Write = PutNode | DropNode | Dealt | Enrol | PutPublication


class RegistryView(Protocol):
    """What a decision may read. No method changes anything."""

    def node(self, peer: PeerId) -> NodeRecord | None:
        """The record of a node, also one whose lease ended but was not yet dropped."""

    def nodes(self) -> Iterable[NodeRecord]:
        """All records, in no particular order."""

    def node_count(self) -> int:
        """How many records there are."""

    def expired(self, now: float) -> list[PeerId]:
        """Nodes whose lease ended before `now`."""

    def candidates(
        self, artifact: ArtifactId, zone: str, limit: int, dice: random.Random
    ) -> list[Candidate]:
        """Members of a swarm, each once: up to `limit` drawn from those in `zone`, as many from
        all, and as many from those that hold all of it."""

    def has_complete(self, artifact: ArtifactId) -> bool:
        """Whether some node holds all of `artifact`."""

    def facts(self, artifact: ArtifactId) -> ArtifactFacts | None:
        """What is known of an artifact; None if its manifest is not here."""

    def manifest(self, artifact: ArtifactId) -> bytes | None:
        """The exact bytes of a manifest."""

    def publication(self, reference: ReferenceText) -> Publication | None:
        """What a reference names."""

    def publications_since(self, version: int, limit: int) -> list[Publication]:
        """Up to `limit` publications above `version`, lowest version first."""

    def last_version(self) -> int:
        """The highest version ever given, 0 if none."""

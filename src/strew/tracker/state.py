"""What a tracker remembers: the port, and the backend in memory.

The state has two halves. The *catalogue* (manifests, names, versions) must survive whatever the
process does not; a backend says in its docstring what it promises. The *leases* are volatile in
every backend, see strew.tracker.leases. All methods are synchronous and may be called from any
thread; none takes longer than one small disk write, except those that move a manifest.
"""

import random
from bisect import bisect_right
from collections.abc import Iterable, Sequence
from operator import attrgetter
from threading import RLock
from typing import Protocol

from strew.announce.naming import REFERENCES_MAX
from strew.announce.records import (
    ArtifactFacts,
    Candidate,
    NodeRecord,
    PutPublication,
    RegistryView,
    Write,
)
from strew.content.digest import ArtifactId
from strew.errors import DeniedError
from strew.messages import PeerId
from strew.publication import Publication, ReferenceText
from strew.tracker.leases import Leases

ARTIFACTS_MAX = 10_000
"""Manifests a tracker keeps. At the 100 to 200 kB of a usual one that is 2 GB on disk."""


class StateStore(RegistryView, Protocol):
    """The port. Reading is RegistryView's; this adds writing and what the API lists."""

    def apply(self, writes: Sequence[Write]) -> None:
        """Carry out the writes of one decision, names first. When it returns, names are as safe
        as the backend promises. DiskError if they could not be stored: then nothing changed.
        DeniedError over REFERENCES_MAX."""

    def put_manifest(self, facts: ArtifactFacts, raw: bytes) -> bool:
        """Keep a manifest that was verified against its id; False if it was known. DiskError,
        or DeniedError over ARTIFACTS_MAX when nothing unnamed can make room."""

    def artifacts(self) -> list[ArtifactFacts]:
        """All artifacts, oldest first."""

    def publications(self) -> list[Publication]:
        """All names, lowest version first."""

    def names_of(self, artifact: ArtifactId) -> list[Publication]:
        """The references that name `artifact`."""

    def prune(self, before_s: float) -> list[ArtifactId]:
        """Forget manifests added before `before_s` that no reference names and no node is in the
        swarm of; returns them."""

    def close(self) -> None:
        """Release what the backend holds. Nothing may be called afterwards."""


class MemoryState:
    """StateStore in memory: nothing survives the process. For tests, simulations and
    laboratories, and the working copy of the other backends."""

    def __init__(self) -> None:
        self._lock = RLock()
        """Held over the working copy in memory; never while a disk is written."""
        self._catalogue_lock = RLock()
        """Held over a change of the catalogue, disk included; taken before the other."""
        self._leases = Leases()
        self._facts: dict[ArtifactId, ArtifactFacts] = {}
        self._raw: dict[ArtifactId, bytes] = {}
        self._by_reference: dict[ReferenceText, Publication] = {}
        self._by_version: list[Publication] = []
        self._last_version = 0

    # --- the catalogue ---

    def put_manifest(self, facts: ArtifactFacts, raw: bytes) -> bool:
        """As StateStore.put_manifest."""
        with self._catalogue_lock:
            if facts.artifact in self._facts:
                return False
            self._make_room()
            self._keep_manifest(facts, raw)
            with self._lock:
                self._facts[facts.artifact] = facts
            return True

    def manifest(self, artifact: ArtifactId) -> bytes | None:
        """As RegistryView.manifest."""
        return self._raw.get(artifact)

    def facts(self, artifact: ArtifactId) -> ArtifactFacts | None:
        """As RegistryView.facts."""
        return self._facts.get(artifact)

    def artifacts(self) -> list[ArtifactFacts]:
        """As StateStore.artifacts."""
        with self._lock:
            return list(self._facts.values())

    def publication(self, reference: ReferenceText) -> Publication | None:
        """As RegistryView.publication."""
        return self._by_reference.get(reference)

    def publications(self) -> list[Publication]:
        """As StateStore.publications."""
        with self._lock:
            return list(self._by_version)

    def publications_since(self, version: int, limit: int) -> list[Publication]:
        """As RegistryView.publications_since."""
        with self._lock:
            start = bisect_right(self._by_version, version, key=attrgetter("version"))
            return self._by_version[start : start + limit]

    def names_of(self, artifact: ArtifactId) -> list[Publication]:
        """As StateStore.names_of."""
        with self._lock:
            return [p for p in self._by_version if p.artifact == artifact]

    def last_version(self) -> int:
        """As RegistryView.last_version."""
        return self._last_version

    def prune(self, before_s: float) -> list[ArtifactId]:
        """As StateStore.prune."""
        with self._catalogue_lock:
            with self._lock:
                named = {p.artifact for p in self._by_version}
                gone = [
                    facts.artifact
                    for facts in self._facts.values()
                    if facts.added_s < before_s
                    and facts.artifact not in named
                    and not self._leases.members(facts.artifact)
                ]
            self._forget_manifests(gone)
            with self._lock:
                for artifact in gone:
                    del self._facts[artifact]
            return gone

    # --- leases ---

    def node(self, peer: PeerId) -> NodeRecord | None:
        """As RegistryView.node."""
        return self._leases.node(peer)

    def nodes(self) -> Iterable[NodeRecord]:
        """As RegistryView.nodes."""
        with self._lock:
            return list(self._leases.nodes())

    def node_count(self) -> int:
        """As RegistryView.node_count."""
        return self._leases.node_count()

    def expired(self, now: float) -> list[PeerId]:
        """As RegistryView.expired."""
        with self._lock:
            return self._leases.expired(now)

    def candidates(
        self, artifact: ArtifactId, zone: str, limit: int, dice: random.Random
    ) -> list[Candidate]:
        """As RegistryView.candidates."""
        with self._lock:
            return self._leases.candidates(artifact, zone, limit, dice)

    def has_complete(self, artifact: ArtifactId) -> bool:
        """As RegistryView.has_complete."""
        return self._leases.has_complete(artifact)

    # --- writing ---

    def apply(self, writes: Sequence[Write]) -> None:
        """As StateStore.apply."""
        names = [write.publication for write in writes if isinstance(write, PutPublication)]
        if names:
            self._apply_names(names)
        with self._lock:
            for write in writes:
                if not isinstance(write, PutPublication):
                    self._leases.apply(write)

    def _apply_names(self, publications: list[Publication]) -> None:
        with self._catalogue_lock:
            new = {p.reference for p in publications} - self._by_reference.keys()
            if len(self._by_reference) + len(new) > REFERENCES_MAX:
                raise DeniedError(f"this tracker keeps {REFERENCES_MAX} names, not more")
            self._keep_publications(publications)
            with self._lock:
                for publication in publications:
                    self._name(publication)

    def close(self) -> None:
        """As StateStore.close."""

    # --- what a backend on disk does differently ---

    def _keep_manifest(self, facts: ArtifactFacts, raw: bytes) -> None:
        self._raw[facts.artifact] = raw

    def _keep_publications(self, publications: list[Publication]) -> None:
        pass

    def _forget_manifests(self, artifacts: list[ArtifactId]) -> None:
        for artifact in artifacts:
            del self._raw[artifact]

    # --- the working copy ---

    def _name(self, publication: Publication) -> None:
        """Put a publication in its place; versions only grow, so it is the last one."""
        assert publication.version > self._last_version
        earlier = self._by_reference.get(publication.reference)
        if earlier is not None:
            place = bisect_right(self._by_version, earlier.version, key=attrgetter("version"))
            del self._by_version[place - 1]
        self._by_reference[publication.reference] = publication
        self._by_version.append(publication)
        self._last_version = publication.version

    def _make_room(self) -> None:
        if len(self._facts) >= ARTIFACTS_MAX and not self.prune(float("inf")):
            raise DeniedError(
                f"this tracker keeps {ARTIFACTS_MAX} artifacts, and all of them are in use"
            )

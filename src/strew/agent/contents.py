"""What an artifact consists of, and what it has in common with other versions of its name.

A machine that has one version fetches only the chunks of the next that it lacks: how much two
versions share is how little an update costs. Versions are the artifacts of other tags of the same
NAME, and those in this node's store that were published under the same file name before.
"""

from __future__ import annotations

import contextlib
from collections.abc import Iterable
from typing import TYPE_CHECKING, Final

import msgspec

from strew.announce.reference import name_of
from strew.content.digest import ArtifactId
from strew.content.manifest import Entry, Kind, Manifest
from strew.errors import NotFoundError, PeerError
from strew.publication import ArtifactText, Publication, ReferenceText

if TYPE_CHECKING:
    from strew.agent.agent import Agent
    from strew.tracker.service import Tracker

FILES_MAX: Final = 2000
"""Entries that are told of, the largest files first: some 200 kB, and more than anybody reads.
Fewer hide what a search of the page should find; more hold up a browser. `strew show` lists all."""

VERSIONS_MAX: Final = 16
"""Versions compared, the newest: each costs a look at its whole manifest, some 10 ms for a large
one."""


class ContentsEntry(msgspec.Struct, frozen=True):
    """A file, folder or link."""

    path: str
    kind: Kind
    mode: int
    size_bytes: int
    target: str = ""


class ContentsVersion(msgspec.Struct, frozen=True, kw_only=True):
    """Another version. `shared_bytes` of the artifact that was asked for are in it too: a machine
    that has this version need not fetch them."""

    artifact: ArtifactText
    references: tuple[ReferenceText, ...]
    size_bytes: int
    chunk_count: int
    published_s: float
    """Unix time; of a version that has no name now, when it came here."""
    shared_chunks: int
    shared_bytes: int


class ContentsReport(msgspec.Struct, frozen=True, kw_only=True):
    """An artifact. `entry_count` counts all entries, `entries` holds at most FILES_MAX of them."""

    artifact: ArtifactText
    name: str
    is_tree: bool
    size_bytes: int
    chunk_count: int
    chunk_average_bytes: int
    manifest_bytes: int
    references: tuple[ReferenceText, ...]
    entry_count: int
    entries: tuple[ContentsEntry, ...]
    versions: tuple[ContentsVersion, ...]


class Contents:
    """Looks into the store, gossip's names and, where there is one, the tracker's catalogue."""

    def __init__(self, agent: Agent, tracker: Tracker | None) -> None:
        self._agent = agent
        self._tracker = tracker

    def manifest(self, artifact: ArtifactId) -> Manifest:
        """As far as this process keeps it. NotFoundError."""
        with contextlib.suppress(NotFoundError):
            return self._agent.store.manifest(artifact)
        raw = self._tracker.state.manifest(artifact) if self._tracker is not None else None
        if raw is None:
            raise NotFoundError(f"no manifest of {artifact} is kept here")
        return Manifest.parse(raw)

    def names(self) -> list[Publication]:
        """All names known here, oldest version first. To be called on the event loop."""
        names = list(self._tracker.state.publications()) if self._tracker is not None else []
        node = self._agent.node
        if node is not None and node.gossip is not None:
            known = {publication.reference: publication.version for publication in names}
            told = [named.publication for named in node.gossip.names()]
            names += [of for of in told if known.get(of.reference, -1) < of.version]
        newest = {of.reference: of for of in sorted(names, key=lambda of: of.version)}
        return sorted(newest.values(), key=lambda of: of.version)

    def report(self, manifest: Manifest, names: list[Publication]) -> ContentsReport:
        """The report of one artifact; `names` are all that are known. Reads manifests from disk."""
        return ContentsReport(
            artifact=manifest.id,
            name=manifest.name,
            is_tree=manifest.is_tree,
            size_bytes=manifest.size_bytes,
            chunk_count=manifest.chunk_count,
            chunk_average_bytes=manifest.params.average_bytes,
            manifest_bytes=len(manifest.raw),
            references=tuple(of.reference for of in names if of.artifact == manifest.id),
            entry_count=len(manifest.entries),
            entries=_told(manifest.entries),
            versions=tuple(self._versions(manifest, names)),
        )

    def _versions(self, manifest: Manifest, names: list[Publication]) -> Iterable[ContentsVersion]:
        """Others, newest first."""
        own = {name_of(of.reference) for of in names if of.artifact == manifest.id}
        at_s = {
            stored.artifact: stored.added_unix_s
            for stored in self._agent.store.artifacts()
            if stored.name == manifest.name
        }
        at_s |= {of.artifact: of.published_s for of in names if name_of(of.reference) in own}
        at_s.pop(manifest.id, None)
        for artifact in sorted(at_s, key=lambda of: at_s[of], reverse=True)[:VERSIONS_MAX]:
            # one that nobody here holds any more, or whose manifest is damaged, is no loss
            with contextlib.suppress(NotFoundError, PeerError):
                other = self.manifest(artifact)
                references = tuple(of.reference for of in names if of.artifact == artifact)
                yield _version(manifest, other, references, at_s[artifact])


def _told(entries: tuple[Entry, ...]) -> tuple[ContentsEntry, ...]:
    kept: Iterable[Entry] = entries
    if len(entries) > FILES_MAX:
        kept = sorted(entries, key=lambda entry: entry.size_bytes, reverse=True)[:FILES_MAX]
    return tuple(ContentsEntry(e.path, e.kind, e.mode, e.size_bytes, e.target) for e in kept)


def _version(
    manifest: Manifest, other: Manifest, references: tuple[ReferenceText, ...], at_s: float
) -> ContentsVersion:
    theirs = set(other.digests())
    shared = [i for i, digest in enumerate(manifest.digests()) if digest in theirs]
    return ContentsVersion(
        artifact=other.id,
        references=references,
        size_bytes=other.size_bytes,
        chunk_count=other.chunk_count,
        published_s=at_s,
        shared_chunks=len(shared),
        shared_bytes=sum(manifest.length(index) for index in shared),
    )

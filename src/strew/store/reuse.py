"""Filling a download from what this machine has: other artifacts' chunks, the target's old content.

Every chunk is verified on its way, so a source may be stale or damaged: it then gives nothing.
"""

from array import array
from bisect import bisect_left
from collections.abc import Callable, Iterator
from pathlib import Path

from strew.content.chunker import cut
from strew.content.digest import ArtifactId, digest_of
from strew.content.manifest import Manifest
from strew.errors import CallerError, DiskError, NotFoundError, PeerError
from strew.store.copy import LocalCopy
from strew.store.folders import kind_at
from strew.store.index import Index, prefix_of
from strew.store.ingest import SourceStream, scan

OnChunk = Callable[[int], None]
OpenCopy = Callable[[ArtifactId], LocalCopy]


def reuse(copy: LocalCopy, index: Index, open_copy: OpenCopy, on_chunk: OnChunk) -> int:
    """See ChunkStore.reuse."""
    filling = _Filling(copy, on_chunk)
    if not copy.have.complete and copy.former is not None:
        filling.from_former(copy.former)
    if not copy.have.complete:
        filling.from_index(index, open_copy)
    if not copy.have.complete:
        for root in _roots_to_cut(copy, index, open_copy):
            filling.from_content(root)
    return filling.filled_bytes


class _Filling:
    """One run: the missing chunks by digest, and what has been filled."""

    def __init__(self, copy: LocalCopy, on_chunk: OnChunk) -> None:
        self._copy = copy
        self._manifest = copy.manifest
        self._missing = _DigestTable(self._manifest, copy.have.missing())
        self._on_chunk = on_chunk
        self.filled_bytes = 0

    def from_former(self, former: LocalCopy) -> None:
        """Take what the same artifact still has at another place."""
        for index in former.have.minus(self._copy.have):
            self._take(former, index, [index])

    def from_index(self, index: Index, open_copy: OpenCopy) -> None:
        """Take chunks of complete artifacts that the index knows by digest."""
        for prefix, artifact, source_index in index.find(self._missing.prefixes):
            wanted = [i for i in self._missing.indexes(prefix) if i not in self._copy.have]
            if not wanted:
                continue
            try:
                source = open_copy(artifact)
            except (NotFoundError, DiskError):
                continue
            self._take(source, source_index, wanted)

    def from_content(self, root: str) -> None:
        """Cut a file or folder with this manifest's parameters and take what fits."""
        try:
            stream = SourceStream(scan(Path(root), None))
        except (CallerError, DiskError):
            return
        try:
            for _, chunk in cut(stream, self._manifest.params):
                digest = digest_of(chunk)
                for index in self._missing.indexes(prefix_of(digest)):
                    if index not in self._copy.have and self._manifest.digest(index) == digest:
                        self._keep(index, chunk)
                if self._copy.have.complete:
                    return
        except (CallerError, OSError):
            return  # it changed or fails: what was taken so far is verified
        finally:
            stream.close()

    def _take(self, source: LocalCopy, source_index: int, wanted: list[int]) -> None:
        try:
            data = memoryview(source.read(source_index))
        except (NotFoundError, DiskError):
            return
        if source.phase == "partial":
            return  # it is being fetched anew meanwhile
        digest = source.manifest.digest(source_index)  # `read` of a finished copy compared it
        for index in wanted:
            if self._manifest.digest(index) == digest:
                self._keep(index, data)

    def _keep(self, index: int, data: memoryview) -> None:
        if self._copy.put_verified(index, data):
            self.filled_bytes += len(data)
            self._on_chunk(index)


class _DigestTable:
    """Indexes by 8 bytes of digest, 12 bytes a chunk: a dict would take 100."""

    def __init__(self, manifest: Manifest, indexes: Iterator[int]) -> None:
        pairs = sorted((prefix_of(manifest.digest(index)), index) for index in indexes)
        self.prefixes = array("q", (prefix for prefix, _ in pairs))
        self._indexes = array("I", (index for _, index in pairs))

    def indexes(self, prefix: int) -> Iterator[int]:
        """All indexes whose digest starts so."""
        position = bisect_left(self.prefixes, prefix)
        while position < len(self.prefixes) and self.prefixes[position] == prefix:
            yield self._indexes[position]
            position += 1


def _roots_to_cut(copy: LocalCopy, index: Index, open_copy: OpenCopy) -> Iterator[str]:
    """Old content that the index cannot speak for, most likely relatives first.

    That is the target itself, and the newest artifact of the same name; unless it is indexed and
    was cut with the same parameters: its chunks have been found by digest then.
    """
    params = copy.manifest.params
    candidates = [row for row in index.rooted_at(copy.root) if row.state == "complete"]
    if not candidates and kind_at(copy.root) in ("file", "dir"):
        yield copy.root
    name = copy.manifest.name
    same_name = [r for r in index.all() if r.name == name and r.state == "complete"]
    for row in (candidates + same_name[::-1])[:1]:
        try:
            known = open_copy(row.artifact)
            if known.manifest.params != params and kind_at(row.root) in ("file", "dir"):
                yield row.root
        except (NotFoundError, DiskError, PeerError):
            continue

"""The manifest: what an artifact consists of, in exact bytes that name it.

A manifest is MAGIC (whose last byte is the format version), then one MessagePack map. Its exact
bytes are what an ArtifactId hashes and what is passed on; they are never re-serialised. It lists
every file, folder and link, and length and digest of every chunk, so that a reader needs no
chunker. A tree's content is the concatenation of its regular files in the order of its entries;
chunks may span files.

Memory: the raw bytes are kept once and digests are read out of them; beside them stand 12 bytes a
chunk (lengths and offsets) and 8 bytes a file.
"""

import sys
from array import array
from bisect import bisect_right
from collections.abc import Iterable, Iterator, Sequence
from itertools import accumulate
from typing import Literal, NamedTuple

import msgspec

from strew.content import paths
from strew.content.chunker import ChunkerParams
from strew.content.digest import DIGEST_BYTES, ArtifactId, Digest, artifact_id_of
from strew.errors import IntegrityError, UsageError

FORMAT_VERSION = 1
MAGIC = b"strewm\x00" + bytes((FORMAT_VERSION,))

MANIFEST_BYTES_MAX = 16 * 1024 * 1024
"""A node holds and sends manifests whole; this one has room for 2 TB in chunks of 4 MiB."""

CHUNKS_MAX = 1 << 20
"""Bounds bitfields to 128 KiB."""

ENTRIES_MAX = 65_536
"""Bounds what creating a tree may cost a node in inodes and time."""

SIZE_BYTES_MAX = 4 << 40
"""4 TiB: beyond the 1 TB strew is made for; keeps every offset far from 2^63."""

MODE_MASK = 0o777
"""Permissions only: set-uid, set-gid and sticky bits are not distributed."""

Kind = Literal["file", "dir", "link"]


class Entry(msgspec.Struct, frozen=True, array_like=True, forbid_unknown_fields=True, gc=False):
    """One file, folder or symbolic link. `target`: a link's text; `size_bytes`: a file's length."""

    path: str
    kind: Kind
    mode: int
    size_bytes: int = 0
    target: str = ""


class Span(NamedTuple):
    """A piece of a chunk inside one file."""

    entry_index: int
    offset_bytes: int
    length_bytes: int


class _Body(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """The MessagePack map. `lengths`: little-endian uint32 each; `digests`: 32 bytes each.

    `mode` is the published folder's own (or the single file's).
    """

    name: str
    tree: bool
    mode: int
    size_bytes: int
    params: ChunkerParams
    entries: tuple[Entry, ...]
    lengths: memoryview
    digests: memoryview


_DECODER = msgspec.msgpack.Decoder(_Body, strict=True)
_ENCODER = msgspec.msgpack.Encoder()


class Manifest:
    """A parsed manifest; immutable. Made by `build` (publisher) or `parse` (everybody else)."""

    __slots__ = (
        "__weakref__",
        "_digests",
        "_file_indexes",
        "_file_starts",
        "_offsets",
        "chunk_count",
        "entries",
        "id",
        "is_tree",
        "lengths",
        "mode",
        "name",
        "params",
        "raw",
        "size_bytes",
    )

    raw: bytes
    id: ArtifactId
    name: str
    is_tree: bool
    mode: int
    size_bytes: int
    params: ChunkerParams
    entries: tuple[Entry, ...]
    chunk_count: int
    lengths: "array[int]"

    def __init__(self, raw: bytes, body: _Body, lengths: "array[int]") -> None:
        """Internal: `build` and `parse` have checked everything."""
        self.raw = raw
        self.id = artifact_id_of(raw)
        self.name = body.name
        self.is_tree = body.tree
        self.mode = body.mode
        self.size_bytes = body.size_bytes
        self.params = body.params
        self.entries = body.entries
        self.lengths = lengths
        self.chunk_count = len(lengths)
        self._digests = body.digests
        self._offsets = array("Q", accumulate(lengths, initial=0))
        # Empty files hold no byte of any chunk; leaving them out makes starts strictly ascending.
        self._file_indexes = array(
            "I", (i for i, e in enumerate(body.entries) if e.kind == "file" and e.size_bytes)
        )
        sizes = (body.entries[i].size_bytes for i in self._file_indexes)
        self._file_starts = array("Q", accumulate(sizes, initial=0))

    @classmethod
    def build(
        cls,
        *,
        name: str,
        is_tree: bool,
        mode: int,
        entries: Iterable[Entry],
        params: ChunkerParams,
        lengths: Sequence[int],
        digests: bytes | bytearray,
    ) -> "Manifest":
        """Make the manifest of what was read; UsageError names the rule that the input breaks.

        `entries` must be in ascending order of path; `digests` is 32 bytes per chunk, joined.
        """
        entries = tuple(entries)
        body = _Body(
            name=name,
            tree=is_tree,
            mode=mode,
            size_bytes=sum(lengths),
            params=params,
            entries=entries,
            lengths=memoryview(_to_little_endian(array("I", lengths)).tobytes()),
            digests=memoryview(digests),
        )
        try:
            raw = MAGIC + _ENCODER.encode(body)
        except UnicodeEncodeError:
            raise UsageError(
                f"cannot publish {name!r}: a name must be UTF-8", hint="rename what is not"
            ) from None
        rule = _broken_rule(raw, body)
        if rule:
            raise _unpublishable(name, rule)
        # Parsed anew rather than kept: the digests then lie inside `raw`, not beside it.
        return cls.parse(raw)

    @classmethod
    def parse(cls, raw: bytes) -> "Manifest":
        """Parse and check exact bytes; IntegrityError names the rule they break.

        That they are the right bytes is for the caller to check: compare `id`.
        """
        if len(raw) > MANIFEST_BYTES_MAX:
            raise IntegrityError(f"bad manifest: larger than {MANIFEST_BYTES_MAX} bytes")
        if raw[: len(MAGIC) - 1] != MAGIC[:-1]:
            raise IntegrityError("bad manifest: does not start as a manifest of strew does")
        if raw[: len(MAGIC)] != MAGIC:
            raise IntegrityError(
                f"bad manifest: format version is not {FORMAT_VERSION}", hint="update strew"
            )
        try:
            body = _DECODER.decode(memoryview(raw)[len(MAGIC) :])
        except (msgspec.DecodeError, UnicodeDecodeError, RecursionError) as error:
            raise IntegrityError(f"bad manifest: {error}") from None
        rule = _broken_rule(raw, body)
        if rule:
            raise IntegrityError(f"bad manifest: {rule}")
        return cls(raw, body, _lengths_of(body))

    def digest(self, index: int) -> Digest:
        """Digest of chunk `index`; IndexError outside of the chunk table."""
        if not 0 <= index < self.chunk_count:
            raise IndexError(index)
        start = index * DIGEST_BYTES
        return Digest(self._digests[start : start + DIGEST_BYTES].tobytes())

    def length(self, index: int) -> int:
        """Length of chunk `index` in bytes."""
        return self.lengths[index]

    def offset(self, index: int) -> int:
        """Where chunk `index` starts in the artifact's content, in bytes."""
        return self._offsets[index]

    def chunks_of(self, offset_bytes: int, length_bytes: int) -> range:
        """Indexes of the chunks that hold a range of the artifact's content."""
        if length_bytes <= 0:
            return range(0)
        first = bisect_right(self._offsets, offset_bytes) - 1
        last = bisect_right(self._offsets, offset_bytes + length_bytes - 1) - 1
        return range(max(first, 0), min(last + 1, self.chunk_count))

    def spans(self, index: int) -> list[Span]:
        """The pieces of files that chunk `index` consists of, in order."""
        return self.spans_of(self._offsets[index], self.lengths[index])

    def spans_of(self, offset_bytes: int, length_bytes: int) -> list[Span]:
        """The pieces of files that a range of the artifact's content consists of, in order."""
        starts = self._file_starts
        position = bisect_right(starts, offset_bytes) - 1
        spans = []
        while length_bytes > 0:
            inside_bytes = offset_bytes - starts[position]
            piece_bytes = min(length_bytes, starts[position + 1] - offset_bytes)
            spans.append(Span(self._file_indexes[position], inside_bytes, piece_bytes))
            offset_bytes += piece_bytes
            length_bytes -= piece_bytes
            position += 1
        return spans

    def file_offset(self, entry_index: int) -> int:
        """Where the regular file `entries[entry_index]` starts in the content, in bytes."""
        entry = self.entries[entry_index]
        assert entry.kind == "file", entry
        if not entry.size_bytes:
            return 0
        return self._file_starts[bisect_right(self._file_indexes, entry_index) - 1]

    def digests(self) -> Iterator[Digest]:
        """All chunks' digests in order."""
        for index in range(self.chunk_count):
            yield self.digest(index)

    def __repr__(self) -> str:
        return f"Manifest({self.name!r}, {self.size_bytes} B, {self.chunk_count} chunks)"


def check_publishable(name: str, is_tree: bool, mode: int, entries: Sequence[Entry]) -> None:
    """Check names, sizes and links before content is read; UsageError names the broken rule."""
    size_bytes = sum(entry.size_bytes for entry in entries)
    rule = _prefixed("name", name, paths.broken_name_rule(name))
    rule = rule or _broken_entries_rule(name, is_tree, mode, entries, size_bytes)
    if not rule and size_bytes > SIZE_BYTES_MAX:
        rule = f"larger than {SIZE_BYTES_MAX} bytes"
    if rule:
        raise _unpublishable(name, rule)


def _unpublishable(name: str, rule: str) -> UsageError:
    return UsageError(f"cannot publish {name!r}: {rule}", hint="rename, split or leave out")


def _lengths_of(body: _Body) -> "array[int]":
    lengths = array("I")
    assert lengths.itemsize == 4  # the wire form is uint32
    lengths.frombytes(body.lengths)
    return _to_little_endian(lengths)


def _to_little_endian(values: "array[int]") -> "array[int]":
    """Swap in place on big-endian machines (its own inverse)."""
    if sys.byteorder == "big":
        values.byteswap()
    return values


def _broken_rule(raw: bytes, body: _Body) -> str:
    """Name the first rule that a manifest breaks; empty if none."""
    if len(raw) > MANIFEST_BYTES_MAX:
        return f"its manifest would be larger than {MANIFEST_BYTES_MAX} bytes"
    return (
        _prefixed("name", body.name, paths.broken_name_rule(body.name))
        or body.params.broken_rule()
        or ("modes must be 0 to 0o777" if not 0 <= body.mode <= MODE_MASK else "")
        or _broken_table_rule(body)
        or _broken_entries_rule(body.name, body.tree, body.mode, body.entries, body.size_bytes)
    )


def _broken_table_rule(body: _Body) -> str:
    """Chunk table: as many digests as lengths, lengths in range and adding up."""
    if len(body.lengths) % 4 or len(body.digests) % DIGEST_BYTES:
        return "chunk lengths must be 4 bytes each and digests 32"
    count = len(body.lengths) // 4
    if count > CHUNKS_MAX:
        return f"more than {CHUNKS_MAX} chunks"
    if len(body.digests) // DIGEST_BYTES != count:
        return f"{len(body.digests) // DIGEST_BYTES} digests for {count} chunks"
    if not 0 <= body.size_bytes <= SIZE_BYTES_MAX:
        return f"size must be 0 to {SIZE_BYTES_MAX} bytes"
    lengths = _lengths_of(body)
    if count and not 1 <= min(lengths) <= max(lengths) <= body.params.max_bytes:
        return f"chunk lengths must be 1 to {body.params.max_bytes} bytes"
    if sum(lengths) != body.size_bytes:
        return "chunk lengths do not add up to the size"
    return ""


def _broken_entries_rule(
    name: str, is_tree: bool, mode: int, entries: Sequence[Entry], size_bytes: int
) -> str:
    """Entries: order, parents, unique names, sizes, links; a single file is alone."""
    if len(entries) > ENTRIES_MAX:
        return f"more than {ENTRIES_MAX} files"
    if not is_tree:
        if len(entries) != 1 or entries[0].kind != "file" or entries[0].path != name:
            return "a single file must have one entry: a file with the artifact's name"
        if entries[0].mode != mode:
            return "a single file's mode must be the artifact's"
    folders, folded_paths = {""}, set()
    previous, total_bytes = "", 0
    for entry in entries:
        path = entry.path
        rule = paths.broken_path_rule(path) or _broken_entry_rule(entry)
        if not rule and path <= previous:
            rule = "entries must be in ascending order of path and occur once"
        if not rule and path.rpartition("/")[0] not in folders:
            rule = "its folder must be an entry before it"
        if not rule and (folded_path := paths.folded(path)) in folded_paths:
            rule = "two paths differ only in upper and lower case"
        if rule:
            return _prefixed("path", path, rule)
        folded_paths.add(folded_path)
        if entry.kind == "dir":
            folders.add(path)
        previous = path
        total_bytes += entry.size_bytes
    if total_bytes != size_bytes:
        return "sizes of files do not add up to the size"
    return ""


def _broken_entry_rule(entry: Entry) -> str:
    if not 0 <= entry.mode <= MODE_MASK:
        return "modes must be 0 to 0o777"
    if entry.kind == "link":
        if entry.size_bytes:
            return "a link has no size"
        return paths.broken_link_rule(entry.path, entry.target)
    if entry.target:
        return "only a link has a target"
    if entry.size_bytes < 0 or (entry.kind == "dir" and entry.size_bytes):
        return "sizes must be 0 or more, and 0 for folders"
    return ""


def _prefixed(subject: str, text: str, rule: str) -> str:
    return f"{subject} {text[:200]!r}: {rule}" if rule else ""

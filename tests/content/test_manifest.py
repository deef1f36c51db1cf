"""Manifests: what they say, and every way in which a bad one is refused."""

import itertools
from typing import Any

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from strew.content.chunker import params_for
from strew.content.digest import artifact_id_of, digest_of
from strew.content.manifest import CHUNKS_MAX, ENTRIES_MAX, MAGIC, Entry, Manifest, Span
from strew.errors import IntegrityError, UsageError

PARAMS = params_for(0)


def single(content: bytes = b"hello", name: str = "f") -> Manifest:
    lengths = [len(content)] if content else []
    digests = digest_of(content) if content else b""
    entry = Entry(name, "file", 0o644, len(content))
    return Manifest.build(
        name=name,
        is_tree=False,
        mode=0o644,
        entries=[entry],
        params=PARAMS,
        lengths=lengths,
        digests=digests,
    )


def tree(entries: list[Entry], lengths: list[int]) -> Manifest:
    return Manifest.build(
        name="t",
        is_tree=True,
        mode=0o755,
        entries=entries,
        params=PARAMS,
        lengths=lengths,
        digests=bytes(32) * len(lengths),
    )


def body(**changes: Any) -> dict[str, Any]:
    """A good tree of one folder, one file of 5 bytes and one link; then changed."""
    good: dict[str, Any] = {
        "name": "t",
        "tree": True,
        "mode": 0o755,
        "size_bytes": 5,
        "params": msgspec.to_builtins(PARAMS),
        "entries": [
            ["a", "dir", 0o755, 0, ""],
            ["a/b", "file", 0o644, 5, ""],
            ["l", "link", 0o777, 0, "a/b"],
        ],
        "lengths": (5).to_bytes(4, "little"),
        "digests": bytes(32),
    }
    assert changes.keys() <= good.keys() | {"unknown"}
    return good | changes


def raw_of(content: object) -> bytes:
    return MAGIC + msgspec.msgpack.encode(content)


def refused(raw: bytes) -> str:
    with pytest.raises(IntegrityError, match="bad manifest") as caught:
        Manifest.parse(raw)
    assert "\n" not in str(caught.value)
    return str(caught.value)


def test_a_single_file() -> None:
    manifest = single(b"hello", "greeting")
    assert (manifest.name, manifest.is_tree, manifest.size_bytes) == ("greeting", False, 5)
    assert manifest.chunk_count == 1
    assert manifest.digest(0) == digest_of(b"hello")
    assert (manifest.offset(0), manifest.length(0)) == (0, 5)
    assert manifest.spans(0) == [Span(0, 0, 5)]
    assert manifest.id == artifact_id_of(manifest.raw)


def test_an_empty_file_has_no_chunks() -> None:
    manifest = single(b"")
    assert (manifest.chunk_count, manifest.size_bytes) == (0, 0)
    assert Manifest.parse(manifest.raw).entries[0].size_bytes == 0


def test_an_empty_folder_is_an_artifact() -> None:
    assert Manifest.parse(tree([], []).raw).entries == ()


def test_parse_keeps_the_exact_bytes() -> None:
    built = single()
    parsed = Manifest.parse(built.raw)
    assert parsed.raw == built.raw
    assert parsed.id == built.id
    assert list(parsed.lengths) == [5]


def test_chunks_span_files_and_skip_what_has_no_bytes() -> None:
    manifest = tree(
        [
            Entry("a", "file", 0o644, 3),
            Entry("b", "dir", 0o755),
            Entry("b/empty", "file", 0o644, 0),
            Entry("b/f", "file", 0o600, 4),
            Entry("c", "link", 0o777, 0, "a"),
            Entry("d", "file", 0o644, 2),
        ],
        [5, 4],
    )
    assert manifest.spans(0) == [Span(0, 0, 3), Span(3, 0, 2)]
    assert manifest.spans(1) == [Span(3, 2, 2), Span(5, 0, 2)]
    assert [manifest.file_offset(i) for i in (0, 3, 5)] == [0, 3, 7]
    assert manifest.chunks_of(0, 9) == range(2)
    assert manifest.chunks_of(4, 1) == range(1)
    assert manifest.chunks_of(5, 1) == range(1, 2)
    assert manifest.chunks_of(5, 0) == range(0)


@given(st.lists(st.integers(0, 9), max_size=12), st.data())
def test_spans_tile_the_files_in_order(sizes: list[int], data: st.DataObject) -> None:
    total = sum(sizes)
    edges = sorted(data.draw(st.sets(st.integers(1, total - 1)))) if total > 1 else []
    bounds = [0, *edges, total] if total else [0]
    lengths = [b - a for a, b in itertools.pairwise(bounds)]
    manifest = tree([Entry(f"{i:02}", "file", 0o644, s) for i, s in enumerate(sizes)], lengths)
    seen: list[tuple[int, int]] = []
    for index in range(manifest.chunk_count):
        spans = manifest.spans(index)
        assert sum(span.length_bytes for span in spans) == manifest.length(index)
        for span in spans:
            first = span.offset_bytes
            seen += [(span.entry_index, byte) for byte in range(first, first + span.length_bytes)]
    assert seen == [(i, byte) for i, size in enumerate(sizes) for byte in range(size)]


def test_indexes_outside_of_the_chunk_table() -> None:
    for index in (-1, 1):
        with pytest.raises(IndexError):
            single().digest(index)


def test_the_reference_body_of_these_tests_is_good() -> None:
    assert Manifest.parse(raw_of(body())).name == "t"


@pytest.mark.parametrize("cut", [0, 3, 8, 9, 40, -1])
def test_truncated(cut: int) -> None:
    refused(single().raw[:cut])


def test_followed_by_more() -> None:
    refused(single().raw + b"x")


def test_over_the_limit() -> None:
    assert "larger than" in refused(MAGIC + bytes(16 * 1024 * 1024))


def test_unknown_version_says_so() -> None:
    raw = bytearray(single().raw)
    raw[len(MAGIC) - 1] += 1
    assert "version" in refused(bytes(raw))


def test_another_files_magic() -> None:
    assert "start" in refused(b"\x7fELF" + single().raw)


def test_deep_nesting() -> None:
    refused(MAGIC + b"\x91" * 100_000)
    refused(raw_of(body())[:-1] + b"\x91" * 100_000)


@pytest.mark.parametrize(
    "changes",
    [
        {"name": 7},
        {"name": None},
        {"tree": 1},
        {"size_bytes": "5"},
        {"size_bytes": 5.0},
        {"entries": {}},
        {"entries": [["a", "fifo", 0o644, 0, ""]]},
        {"entries": [["a", "file", 0o644, 5, "", 1]]},
        {"lengths": [5]},
        {"digests": "x" * 32},
        {"params": None},
        {"unknown": 1},
    ],
)
def test_wrong_types(changes: dict[str, Any]) -> None:
    refused(raw_of(body(**changes)))


@pytest.mark.parametrize(
    ("changes", "rule"),
    [
        ({"digests": bytes(31)}, "digests 32"),
        ({"digests": b""}, "0 digests for 1 chunks"),
        ({"digests": bytes(64)}, "2 digests for 1 chunks"),
        ({"lengths": b"\x05\0\0"}, "4 bytes each"),
        ({"lengths": bytes(4) + b"\x05\0\0\0", "digests": bytes(64)}, "lengths must be 1"),
        ({"lengths": b"\xff\xff\xff\xff"}, "lengths must be 1"),
        ({"size_bytes": -5}, "size must be"),
        ({"size_bytes": 1 << 63}, "size must be"),
        ({"size_bytes": 6}, "add up"),
        ({"mode": 0o4755}, "modes"),
        ({"mode": -1}, "modes"),
        ({"name": ".."}, "name"),
        ({"name": "a/b"}, "name"),
        ({"name": "a\u202eb"}, "name"),
    ],
)
def test_numbers_that_lie(changes: dict[str, Any], rule: str) -> None:
    assert rule in refused(raw_of(body(**changes)))


@pytest.mark.parametrize(
    ("average", "minimum", "maximum", "normalization"),
    [(0, 0, 0, 0), (65537, 16384, 131072, 3), (65536, 16384, 1 << 40, 3), (65536, -1, 131072, 3)],
)
def test_chunker_parameters(average: int, minimum: int, maximum: int, normalization: int) -> None:
    params = {
        "average_bytes": average,
        "min_bytes": minimum,
        "max_bytes": maximum,
        "normalization": normalization,
    }
    refused(raw_of(body(params=params)))


FILE = ["a", "file", 0o644, 5, ""]


@pytest.mark.parametrize(
    ("entries", "rule"),
    [
        ([["/abs", "file", 0o644, 5, ""]], "relative"),
        ([["../x", "file", 0o644, 5, ""]], "'..'"),
        ([["a//b", "file", 0o644, 5, ""]], "empty"),
        ([["a\x00", "file", 0o644, 5, ""]], "control"),
        ([["a\nb", "file", 0o644, 5, ""]], "control"),
        ([["a\u202eb", "file", 0o644, 5, ""]], "direction"),
        ([["A", "file", 0o644, 0, ""], FILE], "upper and lower"),
        ([["a", "file", 0o644, 0, ""], FILE], "occur once"),
        ([["b", "file", 0o644, 0, ""], FILE], "ascending"),
        ([FILE, ["a/b", "file", 0o644, 0, ""]], "folder must be an entry"),
        ([FILE, ["l", "link", 0o777, 0, "a"], ["l/b", "file", 0o644, 0, ""]], "folder must be"),
        ([FILE, ["c/b", "file", 0o644, 0, ""]], "folder must be"),
        ([["a", "file", 0o4755, 5, ""]], "modes"),
        ([["a", "file", -1, 5, ""]], "modes"),
        ([["a", "file", 0o644, 9, ""], ["b", "file", 0o644, -4, ""]], "0 or more"),
        ([["a", "file", 0o644, 4, ""]], "add up"),
        ([["a", "dir", 0o755, 5, ""]], "folders"),
        ([["a", "file", 0o644, 5, "b"]], "target"),
        ([FILE, ["l", "link", 0o777, 0, "../out"]], "out of its folder"),
        ([FILE, ["l", "link", 0o777, 0, "/etc"]], "relative"),
        ([FILE, ["l", "link", 0o777, 0, ""]], "empty"),
        ([["l", "link", 0o777, 5, "a"]], "no size"),
    ],
)
def test_entries_that_break_a_rule(entries: list[list[Any]], rule: str) -> None:
    assert rule in refused(raw_of(body(entries=entries)))


@pytest.mark.parametrize(
    "entries",
    [
        [],
        [["t", "dir", 0o755, 0, ""]],
        [["other", "file", 0o755, 5, ""]],
        [["t", "file", 0o644, 5, ""]],
        [["t", "file", 0o755, 5, ""], ["u", "file", 0o755, 0, ""]],
    ],
)
def test_a_single_file_stands_alone_under_its_name(entries: list[list[Any]]) -> None:
    assert "single file" in refused(raw_of(body(tree=False, entries=entries)))


def test_too_many_of_anything() -> None:
    files = [[f"{i:06}", "file", 0o644, 0, ""] for i in range(ENTRIES_MAX + 1)]
    assert "files" in refused(raw_of(body(entries=files)))
    lengths = b"\x01\0\0\0" * (CHUNKS_MAX + 1)
    assert "chunks" in refused(raw_of(body(lengths=lengths, digests=b"")))


def test_the_publisher_hears_the_rule_as_his_own_mistake() -> None:
    with pytest.raises(UsageError, match="direction marks"):
        single(name="a\u202eb")
    with pytest.raises(UsageError, match="UTF-8"):
        single(name="\udcff")


@given(st.binary(max_size=200))
def test_garbage_never_does_more_than_be_refused(tail: bytes) -> None:
    refused(tail)
    refused(MAGIC + tail)

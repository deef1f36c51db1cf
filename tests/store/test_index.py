import sqlite3
from collections.abc import Iterator
from pathlib import Path

import msgspec
import pytest

from strew.content.chunker import params_for
from strew.content.digest import ArtifactId, digest_of
from strew.content.manifest import Entry, Manifest
from strew.errors import DiskError
from strew.store.index import Index, Row, held_path, prefix_of


@pytest.fixture
def index(tmp_path: Path) -> Iterator[Index]:
    opened = Index(tmp_path / "index.sqlite")
    yield opened
    opened.close()


def manifest_of(name: str, chunks: list[bytes]) -> Manifest:
    lengths = [len(chunk) for chunk in chunks]
    return Manifest.build(
        name=name,
        is_tree=False,
        mode=0o644,
        entries=[Entry(name, "file", 0o644, sum(lengths))],
        params=params_for(0),
        lengths=lengths,
        digests=b"".join(digest_of(chunk) for chunk in chunks),
    )


def row_of(manifest: Manifest, root: str = "/r", state: str = "complete", at_s: float = 1.0) -> Row:
    return Row(
        artifact=manifest.id,
        name=manifest.name,
        is_tree=False,
        size_bytes=manifest.size_bytes,
        chunk_count=manifest.chunk_count,
        state=state,  # type: ignore[arg-type]
        kind="installed",
        root=root,
        pinned=False,
        added_unix_s=at_s,
    )


ONE = manifest_of("one", [b"a", b"b", b"c"])
TWO = manifest_of("two", [b"b", b"d"])


def found(index: Index, *chunks: bytes) -> set[tuple[ArtifactId, int]]:
    prefixes = [prefix_of(digest_of(chunk)) for chunk in chunks]
    return {(artifact, chunk) for _, artifact, chunk in index.find(prefixes)}


def test_rows_come_back_oldest_first(index: Index) -> None:
    index.save(row_of(TWO, at_s=2.0))
    index.save(row_of(ONE, at_s=1.0, root="/odd \udcff"))
    assert index.all() == [row_of(ONE, at_s=1.0, root="/odd \udcff"), row_of(TWO, at_s=2.0)]
    assert index.get(ONE.id) == row_of(ONE, at_s=1.0, root="/odd \udcff")
    assert index.get(ArtifactId("blake3:none")) is None


def test_what_is_held_lies_below_the_folder_of_the_file_wherever_that_is(
    index: Index, tmp_path: Path
) -> None:
    held = msgspec.structs.replace(row_of(ONE, root="/before/held/ab/one"), kind="held")
    index.save(held)
    (found,) = index.all()
    assert found.root == str(held_path(tmp_path / "held", ONE.id, "one"))
    assert found.root == f"{tmp_path}/held/{ONE.id.removeprefix('blake3:')}/one"


def test_saving_again_changes_the_place_and_not_the_age(index: Index) -> None:
    index.save(row_of(ONE, state="partial"))
    index.save(row_of(ONE, root="/new", at_s=9.0), signatures=b"s", lost=b"l")
    assert index.all() == [row_of(ONE, root="/new", at_s=1.0)]
    assert index.marks(ONE.id) == (b"s", b"l")
    index.save_marks(ONE.id, b"t", b"")
    assert index.marks(ONE.id) == (b"t", b"")
    index.set_pinned(ONE.id, True)
    (row,) = index.all()
    assert row.pinned


def test_chunks_are_found_by_digest_in_complete_artifacts(index: Index) -> None:
    index.save(row_of(ONE))
    index.save(row_of(TWO, state="partial"))
    index.add_chunks(ONE)
    index.add_chunks(TWO)
    assert found(index, b"b", b"d") == {(ONE.id, 1)}
    index.save(row_of(TWO))
    index.add_chunks(TWO)
    assert found(index, b"b", b"d") == {(ONE.id, 1), (TWO.id, 0), (TWO.id, 1)}
    index.delete(ONE.id)
    assert found(index, b"a", b"b") == {(TWO.id, 0)}


def test_many_digests_are_asked_in_batches(index: Index) -> None:
    chunks = [bytes([i % 256, i // 256]) for i in range(1200)]
    manifest = manifest_of("many", chunks)
    index.save(row_of(manifest))
    index.add_chunks(manifest)
    assert len(found(index, *chunks)) == 1200


def test_artifacts_at_a_place(index: Index) -> None:
    index.save(row_of(ONE, root="/x"))
    index.save(row_of(TWO, root="/y"))
    assert [row.artifact for row in index.rooted_at("/x")] == [ONE.id]


def test_everything_is_still_there_after_closing(tmp_path: Path) -> None:
    first = Index(tmp_path / "i")
    first.save(row_of(ONE))
    first.add_chunks(ONE)
    first.close()
    second = Index(tmp_path / "i")
    assert second.all() == [row_of(ONE)]
    assert found(second, b"a") == {(ONE.id, 0)}
    second.close()


@pytest.mark.parametrize("content", [b"not a database at all" * 100, b"SQLite format 3\0" * 10])
def test_a_damaged_file_is_refused(tmp_path: Path, content: bytes) -> None:
    (tmp_path / "i").write_bytes(content)
    with pytest.raises(DiskError, match="damaged") as caught:
        Index(tmp_path / "i")
    assert caught.value.hint


def test_another_programs_file_is_refused(tmp_path: Path) -> None:
    with sqlite3.connect(tmp_path / "i") as db:
        db.execute("CREATE TABLE theirs (x)")
    db.close()
    with pytest.raises(DiskError, match="not a state file of strew"):
        Index(tmp_path / "i")


def test_a_folder_that_is_missing(tmp_path: Path) -> None:
    with pytest.raises(DiskError, match="cannot use"):
        Index(tmp_path / "no" / "i")

"""Recordings on disk: written whole, listed without being read, the oldest go."""

from __future__ import annotations

from pathlib import Path

import msgspec
import pytest

from strew.errors import DiskError, NotFoundError
from strew.telemetry.recording import Recording
from strew.tracker import recording_files
from strew.tracker.recording_files import FOLDER, INDEX_FILE, RecordingFiles
from tests.telemetry.fleets import PUBLISHED, recorded_fleet

RECORDING = recorded_fleet().taken().recording()


def at(number: int) -> Recording:
    """A recording of a publication so many seconds later."""
    return msgspec.structs.replace(RECORDING, published_unix_s=PUBLISHED + number)


def names(folder: Path) -> set[str]:
    return {path.name for path in (folder / FOLDER).iterdir()}


@pytest.mark.parametrize("on_disk", [True, False])
def test_what_is_kept_is_read_again(tmp_path: Path, on_disk: bool) -> None:
    files = RecordingFiles(tmp_path if on_disk else None)
    kept = files.keep(RECORDING)
    assert files.read(kept) == RECORDING
    assert files.summaries() == (kept,)
    assert (kept.total, kept.done, kept.failed) == (2, 2, 0)
    assert (kept.seconds_last, kept.line_seconds) == (13.0, 10.0)
    assert kept.origin_sent_ratio == 1.0


def test_the_next_process_finds_it_by_the_index(tmp_path: Path) -> None:
    kept = RecordingFiles(tmp_path).keep(RECORDING)
    again = RecordingFiles(tmp_path)
    assert again.summaries() == (kept,) and again.read(kept) == RECORDING
    (tmp_path / FOLDER / kept.file_name).unlink()
    assert RecordingFiles(tmp_path).summaries() == ()
    with pytest.raises(NotFoundError, match="gone"):
        again.read(kept)


def test_the_oldest_go_and_so_does_what_nobody_knows(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(recording_files, "FILES_MAX", 2)
    files = RecordingFiles(tmp_path)
    for number in (3, 1, 2):
        files.keep(at(number))
    (tmp_path / FOLDER / "stray.json").write_bytes(b"")
    kept = [files.keep(at(number)) for number in (4, 5)]
    assert files.summaries() == (kept[1], kept[0]), "newest first"
    assert names(tmp_path) == {INDEX_FILE, kept[0].file_name, kept[1].file_name}


def test_the_same_publication_is_kept_once(tmp_path: Path) -> None:
    files = RecordingFiles(tmp_path)
    files.keep(at(1))
    files.keep(at(1))
    assert len(files.summaries()) == 1


def test_all_of_them_together_take_no_more_than_their_limit(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    files = RecordingFiles(tmp_path)
    size_bytes = files.keep(at(1)).file_bytes
    monkeypatch.setattr(recording_files, "ALL_BYTES_MAX", 3 * size_bytes)
    for number in range(2, 9):
        files.keep(at(number))
    assert len(files.summaries()) == 3


def test_one_that_is_too_large_is_kept_without_its_machines(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(recording_files, "RECORDING_BYTES_MAX", 5000)
    files = RecordingFiles(tmp_path)
    read = files.read(files.keep(RECORDING))
    assert read.machines == () and "too large" in read.partial


@pytest.mark.parametrize("index", [b"", b"{}", b"[{}]", b"\xff", b" " * (2 << 20)])
def test_an_index_that_is_none_counts_as_empty(tmp_path: Path, index: bytes) -> None:
    (tmp_path / FOLDER).mkdir()
    (tmp_path / FOLDER / INDEX_FILE).write_bytes(index)
    files = RecordingFiles(tmp_path)
    assert files.summaries() == ()
    files.keep(RECORDING)
    assert len(RecordingFiles(tmp_path).summaries()) == 1


def test_a_folder_that_cannot_be_is_an_error_with_a_remedy(tmp_path: Path) -> None:
    (tmp_path / FOLDER).write_bytes(b"a file in its place")
    with pytest.raises(DiskError, match="cannot keep a recording") as refused:
        RecordingFiles(tmp_path).keep(RECORDING)
    assert refused.value.hint

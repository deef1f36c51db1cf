"""What is peculiar to the state on disk: what survives, and files that are not ours."""

import sqlite3
from pathlib import Path

import pytest

from strew.announce.records import PutNode, PutPublication
from strew.errors import ConfigurationError, DiskError
from strew.tracker import sqlite as sqlite_module
from strew.tracker.sqlite import APPLICATION_ID, SqliteState
from tests.announce.makers import artifact_id, facts, holding, publication, record

APP = artifact_id("app")


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "tracker.db"


def filled(path: Path) -> None:
    state = SqliteState(path)
    state.put_manifest(facts("app"), b"app")
    state.apply([PutPublication(publication("app", 5)), PutNode(record(1, holding("app", 4)))])
    state.apply([PutPublication(publication("app", 8))])
    state.close()


def test_the_catalogue_survives_and_the_leases_do_not(path: Path) -> None:
    filled(path)
    state = SqliteState(path)
    assert state.artifacts() == [facts("app")]
    assert state.manifest(APP) == b"app"
    assert state.publications() == [publication("app", 8)]
    assert state.last_version() == 8
    assert state.node_count() == 0
    state.close()


def test_names_are_on_disk_without_closing(path: Path) -> None:
    state = SqliteState(path)
    state.apply([PutPublication(publication("app", 5))])
    copy = path.with_name("copy.db")
    for suffix in ("", "-wal"):  # what a crash at this moment would leave
        copy.with_name(copy.name + suffix).write_bytes(
            path.with_name(path.name + suffix).read_bytes()
        )
    state.close()
    after = SqliteState(copy)
    assert after.last_version() == 5
    after.close()


def test_two_trackers_on_one_file_are_refused(path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sqlite_module, "LOCK_WAIT_S", 0.05)
    first = SqliteState(path)
    with pytest.raises(DiskError, match="another tracker"):
        SqliteState(path)
    first.close()
    SqliteState(path).close()


def test_a_newer_file_is_refused(path: Path) -> None:
    filled(path)
    with sqlite3.connect(path) as database:
        database.execute("PRAGMA user_version=99")
    database.close()
    with pytest.raises(ConfigurationError, match="version 99"):
        SqliteState(path)


def test_another_programs_database_is_refused_and_left_alone(path: Path) -> None:
    with sqlite3.connect(path) as database:
        database.execute("CREATE TABLE theirs (x)")
    database.close()
    with pytest.raises(ConfigurationError, match="not a tracker's"):
        SqliteState(path)


@pytest.mark.parametrize("keep_bytes", [10, 700, 9000])
def test_a_truncated_file_is_an_error_in_one_line(path: Path, keep_bytes: int) -> None:
    filled(path)
    whole = path.read_bytes()
    assert len(whole) > keep_bytes
    path.write_bytes(whole[:keep_bytes])
    with pytest.raises(DiskError) as caught:
        SqliteState(path)
    assert str(path) in str(caught.value) and "\n" not in str(caught.value)


def test_a_file_of_something_else_is_an_error(path: Path) -> None:
    path.write_bytes(b"not a database, " * 100)
    with pytest.raises(DiskError, match="damaged"):
        SqliteState(path)


def test_a_folder_that_is_not_there_is_an_error(tmp_path: Path) -> None:
    with pytest.raises(DiskError):
        SqliteState(tmp_path / "missing" / "tracker.db")


def test_a_manifest_that_rotted_is_not_given_out(path: Path) -> None:
    filled(path)
    with sqlite3.connect(path) as database:
        assert database.execute("PRAGMA application_id").fetchone()[0] == APPLICATION_ID
        database.execute("UPDATE manifests SET raw = x'00'")
    database.close()
    state = SqliteState(path)
    with pytest.raises(DiskError, match="damaged"):
        state.manifest(APP)
    state.close()

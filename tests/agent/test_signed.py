"""What is remembered of signed names: floors, and signatures over manifests."""

import sqlite3
from pathlib import Path

import pytest

from strew.agent import signed
from strew.agent.signed import SIGNED_FILE, SignedRecords
from strew.errors import ConfigurationError, DiskError
from strew.trust import dsse
from strew.trust.policy import Floor
from tests.gossip.makers import artifact_id
from tests.trust.makers import ALICE, BOB

ONE = artifact_id("one")


def floor(version: int, reference: str = "app:1", key: str = ALICE.public.id) -> Floor:
    return Floor(reference, key, version, ONE)  # type: ignore[arg-type]


def again(folder: Path) -> set[Floor]:
    records = SignedRecords(folder)
    try:
        return set(records.floors())
    finally:
        records.close()


def test_floors_outlive_the_process_and_only_rise(tmp_path: Path) -> None:
    records = SignedRecords(tmp_path)
    records.keep_floors([floor(5), floor(7, "web:1"), floor(3, key=BOB.public.id)])
    records.keep_floors([floor(4), floor(8, "web:1")])
    records.close()
    assert again(tmp_path) == {floor(5), floor(8, "web:1"), floor(3, key=BOB.public.id)}


def test_floors_are_on_disk_without_closing(tmp_path: Path) -> None:
    records = SignedRecords(tmp_path)
    records.keep_floors([floor(5)])
    (tmp_path / "copy").mkdir()
    for suffix in ("", "-wal"):  # what a crash at this moment would leave
        name = SIGNED_FILE + suffix
        (tmp_path / "copy" / name).write_bytes((tmp_path / name).read_bytes())
    records.close()
    assert again(tmp_path / "copy") == {floor(5)}


def test_every_commit_is_flushed(tmp_path: Path) -> None:
    records = SignedRecords(tmp_path)
    assert records._db.execute("PRAGMA synchronous").fetchone() == (2,)
    assert records._db.execute("PRAGMA journal_mode").fetchone() == ("wal",)
    records.close()


def test_of_too_many_floors_the_lowest_versions_go(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    records = SignedRecords(tmp_path)
    records.keep_floors([floor(number, f"app:{number}") for number in range(10)])
    records.close()
    monkeypatch.setattr(signed, "FLOORS_MAX", 3)
    assert {of.version for of in again(tmp_path)} == {7, 8, 9}


def test_signatures_are_kept_by_artifact(tmp_path: Path) -> None:
    records = SignedRecords(tmp_path)
    by = tuple(dsse.sign(key, dsse.MANIFEST_TYPE, b"raw") for key in (ALICE, BOB))
    assert records.signatures(ONE) == ()
    records.keep_signatures(ONE, by[:1])
    records.keep_signatures(ONE, by)
    records.close()
    records = SignedRecords(tmp_path)
    assert records.signatures(ONE) == by and records.signatures(artifact_id("two")) == ()
    records.close()


def test_a_command_may_look_while_a_node_runs(tmp_path: Path) -> None:
    node, command = SignedRecords(tmp_path), SignedRecords(tmp_path)
    node.keep_floors([floor(5)])
    command.keep_floors([floor(6)])
    assert node.floors() == command.floors() == [floor(6)]
    node.close()
    command.close()


@pytest.mark.parametrize("keep_bytes", [100, 5000])
def test_a_damaged_file_is_an_error_in_one_line(tmp_path: Path, keep_bytes: int) -> None:
    records = SignedRecords(tmp_path)
    records.keep_floors([floor(number, f"app:{number}") for number in range(100)])
    records.close()
    path = tmp_path / SIGNED_FILE
    path.write_bytes(path.read_bytes()[:keep_bytes])
    with pytest.raises(DiskError, match=SIGNED_FILE) as caught:
        again(tmp_path)
    assert "\n" not in str(caught.value)


def test_a_newer_file_and_another_programs_are_refused_and_left_alone(tmp_path: Path) -> None:
    with sqlite3.connect(tmp_path / SIGNED_FILE) as database:
        database.execute("CREATE TABLE theirs (x)")
    database.close()
    with pytest.raises(ConfigurationError, match="another program"):
        SignedRecords(tmp_path)
    (tmp_path / "new").mkdir()
    SignedRecords(tmp_path / "new").close()
    with sqlite3.connect(tmp_path / "new" / SIGNED_FILE) as database:
        database.execute("PRAGMA user_version=99")
    database.close()
    with pytest.raises(ConfigurationError, match="newer strew"):
        SignedRecords(tmp_path / "new")


def test_a_folder_that_cannot_be_is_an_error(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    with pytest.raises(DiskError):
        SignedRecords(tmp_path / "file")

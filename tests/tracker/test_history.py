"""Transfers of the past, recorded or on boards, and the one that a transfer is compared with."""

from pathlib import Path

import msgspec

from strew.telemetry.board import Board
from strew.telemetry.recording import Recording
from strew.tracker.history import History
from strew.tracker.recording_files import RecordingFiles
from strew.tracker.recordings import Recordings
from strew.tracker.state import MemoryState
from tests.telemetry.boards import PUBLISHED_S, board, machine
from tests.telemetry.fleets import recorded_fleet

RECORDING = recorded_fleet().taken().recording()


def recorded(
    reference: str, before_s: float, *, size_bytes: int = RECORDING.size_bytes
) -> Recording:
    """A transfer that began so long before those on boards."""
    return msgspec.structs.replace(
        RECORDING,
        reference=reference,
        size_bytes=size_bytes,
        published_unix_s=PUBLISHED_S - before_s,
    )


def history(folder: Path, *kept: Recording) -> History:
    files = RecordingFiles(folder)
    for recording in kept:
        files.keep(recording)
    return History(Recordings(MemoryState(), files))


def running(size_bytes: int = 1000) -> Board:
    told = board(size_bytes=size_bytes)
    told.hear(machine(1), PUBLISHED_S + 1.0)
    return told


def test_what_runs_and_what_was_recorded_stand_in_one_list(tmp_path: Path) -> None:
    past = history(tmp_path, recorded("app:0", 50.0), recorded("app:00", 99.0))
    told = past.transfers([running()], PUBLISHED_S + 2.0)
    assert [(of.reference, of.state, of.recorded) for of in told] == [
        ("app:1", "running", False),
        ("app:0", "done", True),
        ("app:00", "done", True),
    ]
    assert told[1].seconds_last == 13.0


def test_a_transfer_on_a_board_and_recorded_is_listed_once(tmp_path: Path) -> None:
    over = board()
    over.hear(machine(1, "seeding", done_unix_s=PUBLISHED_S + 5.0), PUBLISHED_S + 5.0)
    same = msgspec.structs.replace(recorded("app:1", 0.0), artifact=over.facts.artifact)
    (told,) = history(tmp_path, same).transfers([over], PUBLISHED_S + 9.0)
    assert told.recorded and told.seconds_last == 13.0, "the recording knows more exactly"


async def test_the_previous_one_of_the_same_name_is_the_last_that_was_recorded(
    tmp_path: Path,
) -> None:
    past = history(tmp_path, recorded("app:8", 90.0), recorded("app:9", 50.0), recorded("b:1", 9.0))
    previous = await past.previous(running(), [])
    assert previous is not None and previous.reference == "app:9"
    assert previous.times_s == [11.0, 13.0] and previous.total == 2


async def test_without_one_of_the_same_name_a_board_or_one_of_that_size_is_taken(
    tmp_path: Path,
) -> None:
    other = recorded("b:1", 9.0)
    past = history(tmp_path, other)
    alike = await past.previous(running(other.size_bytes), [])
    assert alike is not None and alike.reference == "b:1"
    assert await past.previous(running(other.size_bytes * 4), []) is None
    earlier = board()
    earlier.facts = msgspec.structs.replace(
        earlier.facts, references=("app:7",), published_unix_s=PUBLISHED_S - 30.0
    )
    earlier.hear(machine(1, "seeding", done_unix_s=PUBLISHED_S - 20.0), PUBLISHED_S)
    found = await past.previous(running(other.size_bytes), [earlier])
    assert found is not None and (found.reference, found.times_s) == ("app:7", [10.0])


async def test_where_nothing_is_recorded_nothing_is_compared() -> None:
    assert await History(None).previous(running(), []) is None

"""Which transfers a tracker records, and when a recording is over."""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path

import msgspec
import pytest

from strew.announce.protocol import Holding, Peer
from strew.announce.records import NodeRecord
from strew.content.digest import ArtifactId
from strew.errors import NotFoundError, ProtocolError
from strew.publication import Publication
from strew.telemetry.protocol import Downlink, SwarmTelemetry
from strew.tracker import recordings as recordings_module
from strew.tracker.recording_files import RecordingFiles
from strew.tracker.recordings import GRACE_S, LINGER_S, QUIET_S, UNTOLD_S, Recordings
from tests.announce.makers import record
from tests.telemetry.fleets import (
    ARTIFACT,
    CHUNKS,
    PUBLISHED,
    SPREAD,
    done,
    fetching,
    origin,
    peer,
    told,
)

R = Downlink.RECEIVING
DONE = done([R] * 10, (100,) * 10)
ID = ArtifactId(ARTIFACT)


class View:
    """What a tracker knows: one name of one artifact, and some nodes."""

    def __init__(self, *nodes: NodeRecord) -> None:
        self.records = list(nodes)
        self.named = [ID]
        self.published = PUBLISHED

    def names_of(self, artifact: ArtifactId) -> list[Publication]:
        if artifact not in self.named:
            return []
        return [msgspec.structs.replace(SPREAD, artifact=artifact, published_s=self.published)]

    def nodes(self) -> Iterable[NodeRecord]:
        return self.records


def node(number: int, *, state: str = "", follows: tuple[str, ...] = ("app:*",)) -> NodeRecord:
    """A follower, as announced; `state` is that of its holding, if it told of one."""
    holding: tuple[Holding, ...] = ()
    if state:
        holding = (
            Holding(
                artifact=ID,
                have_chunks=CHUNKS if state == "seeding" else 1,
                chunk_count=CHUNKS,
                state=state,  # type: ignore[arg-type]
                origin=number == 0,
            ),
        )
    at = Peer(peer(number), f"10.0.0.{number}", 7000 + number, "")
    return record(number, *holding, follows=follows, peer=at)


class Told:
    """Recordings that hear machines by number, at seconds after the publication."""

    def __init__(self, view: View, folder: Path | None = None) -> None:
        self.view = view
        self.recordings = Recordings(view, RecordingFiles(folder))

    def hear(self, number: int, swarm: SwarmTelemetry, at_s: float) -> None:
        of = next((r for r in self.view.records if r.peer.id == peer(number)), node(number))
        self.recordings.heard(of, told(number, swarm), PUBLISHED + at_s)

    async def tend(self, at_s: float) -> bool:
        """Whether it is over and kept."""
        await self.recordings.tend(PUBLISHED + at_s)
        return len(self.recordings.summaries()) == 1 and not self.recordings.is_running(ID)


async def test_it_is_over_soon_after_all_that_follow_are_done() -> None:
    on = Told(View(node(0, state="seeding"), node(1, state="fetching"), node(2, state="fetching")))
    on.hear(0, origin(500), 5.0)
    on.hear(1, DONE, 10.0)
    on.hear(2, fetching(), 10.0)
    assert not await on.tend(20.0)
    running = await on.recordings.recording(ID)
    assert running.partial and len(running.followers) == 2
    on.hear(2, DONE, 21.0)
    assert not await on.tend(21.0 + GRACE_S / 2)
    assert await on.tend(21.0 + GRACE_S)
    recording = await on.recordings.recording(ID)
    assert recording.partial == "" and recording.reference == "app:1"
    assert [machine.done_s for machine in recording.followers] == [10.0, 21.0]


async def test_a_follower_that_has_not_begun_is_waited_for() -> None:
    on = Told(View(node(1), node(2)))
    on.hear(1, DONE, 10.0)
    assert not await on.tend(30.0)


async def test_who_is_done_and_does_not_say_how_it_was_is_waited_for_a_little() -> None:
    on = Told(View(node(1, state="seeding"), node(2, state="seeding")))
    on.hear(1, DONE, 10.0)
    assert not await on.tend(10.0 + GRACE_S)
    assert await on.tend(10.0 + UNTOLD_S)
    assert "1 machines told no times" in (await on.recordings.recording(ID)).partial


async def test_one_that_failed_is_not_waited_for() -> None:
    on = Told(View(node(1), node(2, state="failed")))
    on.hear(1, DONE, 10.0)
    on.hear(2, done([R] * 2, (1, 1), failed=True), 10.0)
    assert await on.tend(10.0 + GRACE_S)


@pytest.mark.parametrize("limit_s", [QUIET_S, LINGER_S])
async def test_nobody_is_waited_for_without_end(limit_s: float) -> None:
    on = Told(View(node(1), node(2)))
    on.hear(1, DONE, 10.0)
    for second in range(11, 10 + round(limit_s)):
        if limit_s == LINGER_S or second < 12:
            on.hear(2, fetching(), float(second))
    assert not await on.tend(9.0 + limit_s)
    assert await on.tend(12.0 + limit_s)
    assert "1 machines were not done" in (await on.recordings.recording(ID)).partial


async def test_late_ones_change_nothing_and_a_new_publication_begins_anew() -> None:
    on = Told(View(node(1)))
    on.hear(1, DONE, 10.0)
    assert await on.tend(12.0)
    on.hear(2, DONE, 100.0)
    assert not on.recordings.is_running(ID)
    on.view.published = PUBLISHED + 200.0
    on.hear(2, fetching(), 201.0)
    assert on.recordings.is_running(ID)


async def test_what_the_process_before_recorded_is_not_recorded_again(tmp_path: Path) -> None:
    on = Told(View(node(1)), tmp_path)
    on.hear(1, DONE, 10.0)
    assert await on.tend(12.0)
    again = Told(View(node(1)), tmp_path)
    again.hear(2, DONE, 100.0)
    assert not again.recordings.is_running(ID)
    assert await again.recordings.recording(ID) == await on.recordings.recording(ID)


async def test_nothing_is_kept_of_what_nobody_fetched() -> None:
    on = Told(View())
    on.hear(0, origin(1), 1.0)
    assert not await on.tend(1.0 + QUIET_S)
    assert not on.recordings.is_running(ID) and on.recordings.summaries() == ()
    with pytest.raises(NotFoundError, match="no transfer of"):
        await on.recordings.recording(ID)
    on.hear(1, DONE, 100.0)
    assert on.recordings.is_running(ID), "somebody fetches it after all"


async def test_artifacts_without_a_name_are_not_recorded_and_misfits_are_refused() -> None:
    on = Told(View())
    other = SwarmTelemetry(artifact="blake3:" + "2" * 64, have=b"\0", chunk_count=9)
    on.hear(1, other, 1.0)
    with pytest.raises(ProtocolError, match="9 chunks"):
        on.hear(1, SwarmTelemetry(artifact=ID, have=b"\0", chunk_count=9), 1.0)
    assert not on.recordings.is_running(ID)


async def test_transfers_that_run_at_one_time_are_bounded(monkeypatch: pytest.MonkeyPatch) -> None:
    """Of more, the one that was silent longest is left."""
    monkeypatch.setattr(recordings_module, "RUNNING_MAX", 1)
    on = Told(View(node(1)))
    second = ArtifactId("blake3:" + "2" * 64)
    on.view.named.append(second)
    on.hear(1, fetching(), 1.0)
    on.hear(1, msgspec.structs.replace(fetching(), artifact=second), 2.0)
    assert on.recordings.is_running(second) and not on.recordings.is_running(ID)

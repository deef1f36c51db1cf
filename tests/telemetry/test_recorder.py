"""From messages to a recording."""

from __future__ import annotations

import pytest

from strew.errors import ProtocolError
from strew.telemetry import recorder as recorders
from strew.telemetry.causes import CAUSES, Cause
from strew.telemetry.protocol import Downlink, Uplink
from strew.telemetry.recorder import Recorder
from strew.telemetry.recording import decode_recording, encode_recording
from strew.telemetry.report import report_of
from tests.telemetry.fleets import (
    PUBLISHED,
    RATE,
    SIZE_BYTES,
    SPREAD,
    done,
    fetching,
    origin,
    peer,
    recorded_fleet,
    told,
    who,
)

R = Downlink.RECEIVING


def test_a_recording_has_each_machine_with_what_its_time_went_to() -> None:
    recording = recorded_fleet().taken().recording()
    first, second = recording.followers
    assert (first.zone, first.begun_s, first.done_s) == ("a", 1.0, 11.0)
    assert (second.zone, second.begun_s, second.done_s) == ("b", 1.0, 13.0), "2 s ago"
    assert recording.last_machine == second
    assert recording.last is not None and recording.last.elapsed_s == 12.0
    for machine in (first, second):
        assert machine.link_bytes_per_s == RATE and machine.done_s is not None
        assert sum(machine.lost_s) == pytest.approx(machine.done_s - SIZE_BYTES / RATE)
    lost = dict(zip(CAUSES, second.lost_s, strict=True))
    assert lost[Cause.START] == pytest.approx(1.0)
    assert lost[Cause.FIRST_COPIES] == pytest.approx(2.0)


def test_a_recording_is_read_as_it_was_written() -> None:
    recording = recorded_fleet().taken("not whole", kind="lab", bound_s=10.5).recording()
    assert decode_recording(encode_recording(recording)) == recording


@pytest.mark.parametrize("body", [b"", b"{}", b"[" * 100_000, b'{"artifact": "x"}', b"\xff"])
def test_what_is_no_recording_is_refused(body: bytes) -> None:
    with pytest.raises(ProtocolError, match="bad recording"):
        decode_recording(body)


def test_uplinks_are_known_of_fetches_of_who_is_done_and_of_the_origin() -> None:
    recording = recorded_fleet().taken().recording()
    fleet = recording.fleet
    up = fleet.up_s()
    assert sum(up) == pytest.approx(13.0 + 10.0 + 12.0 + 2.0, rel=0.01)
    assert up[Uplink.SENDING] == pytest.approx(10.0 + 5.0 + 6.0, rel=0.01)
    assert sum(fleet.sent_bytes) == pytest.approx(1000 + 5 * 50 + 6 * 50, rel=0.01)
    assert sum(fleet.origin_sent_bytes) == pytest.approx(1000, rel=0.01)


def test_the_report_of_it_adds_up() -> None:
    report = report_of(recorded_fleet().taken().recording())
    assert (report.nodes, report.measured, report.link_from) == (2, 2, "rate")
    assert (report.seconds_last, report.seconds_median, report.line_seconds) == (13.0, 12.0, 10.0)
    assert report.lost_seconds == pytest.approx(3.0)
    assert sum(of.seconds for of in report.causes) == pytest.approx(3.0, rel=1e-4)
    assert sum(of.share for of in report.causes) == pytest.approx(1.0)
    assert report.causes[0].cause == "first-copies"
    assert report.bound_seconds == pytest.approx(10.0 * (1 + 1 / 4))
    assert report.last is not None and report.last.zone == "b"
    assert report.origin.sent_ratio == 1.0
    assert report.origin.busy == pytest.approx(10 / 13, rel=0.02)
    assert report.partial == ""


def test_without_a_machine_that_is_done_there_are_no_times() -> None:
    recorder = Recorder(SPREAD)
    swarm = fetching()
    assert not recorder.heard(who(1), told(1, swarm), swarm, PUBLISHED + 1.0)
    assert recorder.is_empty and recorder.under_way == 1
    report = report_of(recorder.taken("it is still under way").recording())
    assert report.seconds_last is None and report.causes == ()
    assert (report.nodes, report.measured) == (1, 0)


def test_who_is_not_configured_is_measured_by_the_fastest_second_of_those_that_fetched() -> None:
    recorder = Recorder(SPREAD)
    loopback = origin(1000)
    swarms = {
        0: loopback,
        1: done([R] * 10, (100,) * 10, fastest_received_bytes_per_s=125.0),
        2: done([R] * 10, (100,) * 10, fastest_received_bytes_per_s=110.0),
    }
    for number, swarm in swarms.items():
        recorder.heard(who(number), told(number, swarm, rate=0.0), swarm, PUBLISHED + 10.0)
    recording = recorder.taken().recording()
    assert recording.link_from == "measured"
    assert {machine.link_bytes_per_s for machine in recording.followers} == {125.0}
    assert report_of(recording).lost_seconds == pytest.approx(2.0)


def test_no_machine_had_its_payload_faster_than_its_link() -> None:
    recorder = Recorder(SPREAD)
    swarm = done([R] * 5, (200,) * 5, fastest_received_bytes_per_s=3.0)
    recorder.heard(who(1), told(1, swarm, rate=0.0), swarm, PUBLISHED + 5.0)
    assert report_of(recorder.taken().recording()).lost_seconds == pytest.approx(0.0)


def test_who_had_it_before_the_publication_is_no_follower() -> None:
    recorder = Recorder(SPREAD)
    earlier = done([R] * 2, (500, 500), ago_s=100.0)
    assert not recorder.heard(who(1), told(1, earlier), earlier, PUBLISHED + 1.0)
    recording = recorder.taken().recording()
    assert recording.followers == [] and len(recording.machines) == 1


def test_a_second_try_takes_the_place_of_one_that_failed() -> None:
    recorder = Recorder(SPREAD)
    failed = done([R] * 2, (100, 100), failed=True)
    assert recorder.heard(who(1), told(1, failed), failed, PUBLISHED + 2.0)
    assert recorder.is_over(peer(1))
    [machine] = recorder.taken().recording().followers
    assert machine.failed and machine.done_s is None and machine.lost_s == ()
    again = done([R] * 10, (100,) * 10)
    assert recorder.heard(who(1), told(1, again), again, PUBLISHED + 12.0)
    [machine] = recorder.taken().recording().followers
    assert machine.done_s == 12.0 and not machine.failed


def test_what_does_not_fit_the_artifact_is_refused() -> None:
    recorder = Recorder(SPREAD)
    for swarm, why in (
        (origin(1).__class__(artifact=SPREAD.artifact, have=b"\x01", chunk_count=7), "7 chunks"),
        (origin(1).__class__(artifact=SPREAD.artifact, have=b"\x02", chunk_count=4), "bitfield"),
    ):
        with pytest.raises(ProtocolError, match=why):
            recorder.heard(who(1), told(1, swarm), swarm, PUBLISHED + 1.0)
    assert recorder.taken().recording().machines == ()


def test_machines_are_bounded(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(recorders, "MACHINES_MAX", 2)
    recorder = Recorder(SPREAD)
    for number in range(4):
        swarm = fetching()
        recorder.heard(who(number), told(number, swarm), swarm, PUBLISHED + 1.0)
    recording = recorder.taken().recording()
    assert len(recording.machines) == 2 and "at most" in recording.partial

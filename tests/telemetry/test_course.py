"""What a node keeps of one artifact's way."""

import pytest

from strew.content.bitfield import Bitfield
from strew.messages import PeerId
from strew.telemetry.course import Course
from strew.telemetry.pace import Pace
from strew.telemetry.protocol import (
    TICKS_PER_S,
    Downlink,
    Source,
    Telemetry,
    Uplink,
    decode_telemetry,
    encode_telemetry,
)
from strew.telemetry.timeline import Posture

ARTIFACT = "blake3:" + "1" * 64
RECEIVING = Posture(Downlink.RECEIVING, Uplink.UNWANTED)
AWAITING = Posture(Downlink.RECEIVING, Uplink.SENDING, awaiting=True)


def test_a_fetch_is_kept_from_its_begin_to_its_end() -> None:
    course = Course(ARTIFACT, 10.0, fetches=True)
    course.found(Bitfield(4, 0b0001), [10, 20, 30, 40])
    course.look(10.1, Posture(Downlink.STARTING, Uplink.UNWANTED))
    course.received(1, Source.ORIGIN, 20)
    course.look(10.2, RECEIVING)
    course.received(2, Source.NEAR, 30)
    course.look(10.3, AWAITING)
    course.received(3, Source.FAR, 40)
    course.store_s, course.write_s = 0.03, 0.01
    course.end(10.4, Posture(Downlink.FINISHING, Uplink.SENDING), failed=False)
    told = course.telemetry(12.0, Bitfield.full(4), timeline=True)
    assert told.sources == "4123"
    assert told.reused_bytes == 10 and course.received_bytes == 90
    assert told.down[Downlink.RECEIVING] == pytest.approx(0.5)
    assert told.up[Uplink.SENDING] == pytest.approx(0.5)
    assert told.elapsed_s == pytest.approx(2.0), "also when it is over"
    timeline = told.timeline
    assert timeline is not None and timeline.elapsed_s == pytest.approx(0.4)
    assert sum(timeline.received_bytes) == 90
    assert sum(timeline.awaiting_ticks) == pytest.approx(0.1 * TICKS_PER_S, abs=2)
    assert sum(timeline.hash_ticks) == pytest.approx(0.02 * TICKS_PER_S, abs=2)
    course.look(13.0, RECEIVING)
    assert course.timeline == timeline, "what is over does not change"


def test_shares_are_those_since_the_last_message() -> None:
    course = Course(ARTIFACT, 0.0, fetches=True)
    course.look(1.0, RECEIVING)
    assert course.telemetry(1.0, Bitfield(4), timeline=False, takes=False).down[1] == 1.0
    assert course.telemetry(1.0, Bitfield(4), timeline=False).down[1] == 1.0
    assert course.telemetry(1.0, Bitfield(4), timeline=False).down == ()
    course.look(2.0, Posture(Downlink.ASKED, Uplink.UNWANTED))
    assert course.telemetry(2.0, Bitfield(4), timeline=False).down[Downlink.ASKED] == 1.0


def test_time_in_which_nobody_looked_does_not_count() -> None:
    course = Course(ARTIFACT, 0.0, fetches=False)
    course.look(1.0, RECEIVING)
    course.rest(100.0)
    course.look(101.0, Posture(Downlink.FINISHING, Uplink.SENDING))
    assert course.telemetry(101.0, Bitfield(4), timeline=True).down[1] == pytest.approx(0.5)
    assert course.timeline is None, "it never fetched"


def test_the_fastest_second_counts_and_no_shorter_burst() -> None:
    course, pace = Course(ARTIFACT, 0.0, fetches=True), Pace()
    for look, total in enumerate((0, 900, 900, 900, 1000, 1100, 1200)):
        pace.note(look * 0.5, total, 0)
        course.held(pace)
        if look == 1:
            assert course.fastest_received_bytes_per_s == 1800, "all there is to go by"
    assert course.fastest_received_bytes_per_s == 900


def test_a_failure_is_told_with_its_timeline() -> None:
    course = Course(ARTIFACT, 0.0, fetches=True)
    course.end(3.0, RECEIVING, failed=True)
    told = course.telemetry(3.0, Bitfield(4), timeline=True)
    assert told.failed and told.timeline is not None
    whole = Telemetry(node=PeerId("a" * 32), at_s=1.0, swarms=(told,))
    assert decode_telemetry(encode_telemetry(whole)) == whole

"""What is kept of a neighbour: its rates and its trust."""

from __future__ import annotations

import pytest

from strew.content.bitfield import Bitfield
from strew.messages import PeerId
from strew.swarm.neighbour import RECENT_SENDS, Neighbour


def neighbour() -> Neighbour:
    return Neighbour(PeerId("a"), Bitfield(4), "", True, False, True, 0.0)


def test_no_rate_before_the_first_chunk() -> None:
    assert neighbour().sent_rate == neighbour().received_rate == 0.0


def test_the_first_chunk_sets_the_rate() -> None:
    one = neighbour()
    one.received(1000, 0.5)
    one.sent(1000, 2.0, pushed=True)
    assert one.received_rate == pytest.approx(2000)
    assert one.sent_rate == pytest.approx(500)
    assert (one.received_bytes, one.sent_bytes) == (1000, 1000)


def test_one_lucky_chunk_does_not_outweigh_ten_that_waited() -> None:
    one = neighbour()
    for _ in range(10):
        one.sent(1000, 1.0, pushed=True)
    one.sent(1000, 0.001, pushed=True)
    assert one.sent_rate < 1200


def test_the_rate_follows_a_change_within_some_ten_chunks() -> None:
    one = neighbour()
    for _ in range(30):
        one.sent(1000, 1.0, pushed=True)
    for _ in range(30):
        one.sent(1000, 4.0, pushed=True)
    assert one.sent_rate == pytest.approx(250, rel=0.1)


def test_no_time_at_all_is_no_infinite_rate() -> None:
    one = neighbour()
    one.received(1000, 0.0)
    assert one.received_rate < 1e10


def test_a_verified_chunk_forgives_stalls_and_not_lies() -> None:
    one = neighbour()
    one.stalls, one.bad_chunks = 2, 1
    one.received(1000, 1.0)
    assert (one.stalls, one.bad_chunks) == (0, 1)


def test_the_middle_of_the_last_sends_says_whether_it_is_slow() -> None:
    """One that was delayed by chance spoils their mean."""
    one = neighbour()
    for _ in range(RECENT_SENDS - 1):
        one.sent(1000, 1.0, pushed=True)
    assert one.usual_pace == 0.0, "too few to say"
    one.sent(1000, 90.0, pushed=True)
    assert one.usual_pace == pytest.approx(0.001)


def test_or_their_mean_if_that_is_less() -> None:
    """A deep queue takes every other chunk at once, and their middle is one of the long ones."""
    one = neighbour()
    for turn in range(RECENT_SENDS):
        one.sent(1000, 2.0 * (turn % 2), pushed=True)
    assert one.usual_pace == pytest.approx(0.001)


def test_of_pushes_only() -> None:
    """Three are served at once and two dozen pushed to: of a link they take different shares."""
    one = neighbour()
    for _ in range(RECENT_SENDS):
        one.sent(1000, 1.0, pushed=False)
    assert one.usual_pace == 0.0
    assert one.sent_rate > 0.0


def test_who_is_skipped_again_and_again_is_skipped_for_longer() -> None:
    one, now, waits = neighbour(), 10.0, []
    for _ in range(6):
        one.skip(now)
        waits.append(one.skipped_until_s - now)
        now = one.skipped_until_s
    assert waits == [0.5, 1.0, 2.0, 4.0, 8.0, 8.0]
    one.skip(now + 1000.0)
    assert one.skipped_until_s == now + 1000.5, "it had kept up for long"

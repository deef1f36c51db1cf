"""How long chunks usually take."""

from __future__ import annotations

import pytest

from strew.swarm.pace import TIMED_MIN, Pace


def test_it_is_the_mean_of_the_first_and_then_follows_the_last() -> None:
    pace = Pace()
    assert pace.seconds(1000) == 0.0
    for seconds in (1.0, 2.0, 6.0):
        pace.took(1000, seconds)
    assert pace.seconds(1000) == pytest.approx(3.0)
    assert pace.seconds(500) == pytest.approx(1.5)
    for _ in range(100):
        pace.took(2000, 2.0)
    assert pace.seconds(1000) == pytest.approx(1.0, abs=0.01)


def test_one_chunk_in_many_changes_little() -> None:
    pace = Pace()
    for _ in range(100):
        pace.took(1000, 1.0)
    pace.took(1000, 5.0)
    assert 1.0 < pace.seconds(1000) < 1.5


def test_a_few_chunks_do_not_say_how_long_one_takes() -> None:
    pace = Pace()
    assert not pace.begun
    for _ in range(TIMED_MIN):
        assert not pace.known
        pace.took(1000, 1.0)
        assert pace.begun
    assert pace.known


def test_a_chunk_takes_longer_where_more_go_at_once_than_usual() -> None:
    pace = Pace()
    assert pace.seconds(1000, at_once=9) == 0.0
    for _ in range(TIMED_MIN):
        pace.took(1000, 1.0, at_once=3)
    assert pace.seconds(1000, at_once=1) == pytest.approx(1.0)
    assert pace.seconds(1000, at_once=3) == pytest.approx(1.0)
    assert pace.seconds(1000, at_once=9) == pytest.approx(3.0)

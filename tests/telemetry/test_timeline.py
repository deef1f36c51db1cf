"""Bins of a time whose end is not known."""

import random

import pytest

from strew.telemetry.protocol import BINS_MAX, TICKS_PER_S, Downlink
from strew.telemetry.timeline import (
    DOWN,
    HASH,
    RECEIVED,
    WIDTH_FIRST_S,
    BinLog,
    fetch_log,
    timeline_of,
)


def test_an_amount_is_spread_evenly_over_its_time() -> None:
    log = BinLog(1, 1.0, 8)
    log.add(0.5, 2.5, [(0, 4.0)])
    assert log.rows[0] == [1.0, 2.0, 1.0]


def test_what_ends_on_an_edge_is_not_in_the_bin_behind_it() -> None:
    log = BinLog(1, 1.0, 8)
    log.add(1.0, 2.0, [(0, 3.0)])
    log.add(2.0, 2.0, [(0, 5.0)])
    assert log.rows[0] == [0.0, 3.0, 5.0]


def test_what_was_before_the_begin_counts_at_the_begin() -> None:
    log = BinLog(1, 1.0, 8)
    log.add(-3.0, -1.0, [(0, 2.0)])
    assert log.rows[0] == [2.0]


def test_bins_become_twice_as_wide_and_nothing_is_lost() -> None:
    log = BinLog(2, 1.0, 4)
    for second in range(30):
        log.add(second, second + 1.0, [(0, 1.0), (1, second)])
    assert log.width_s == 8.0
    assert log.rows[0] == pytest.approx([8.0, 8.0, 8.0, 6.0])
    assert sum(log.rows[1]) == pytest.approx(sum(range(30)))


def test_a_timeline_keeps_sums_whatever_is_rounded() -> None:
    dice = random.Random(3)
    log = fetch_log()
    at_s = 0.0
    for _ in range(2000):
        step_s = dice.uniform(0.01, 0.09)
        log.add(
            at_s, at_s + step_s, [(DOWN + dice.randrange(7), step_s), (RECEIVED, 7), (HASH, 1e-5)]
        )
        at_s += step_s
    timeline = timeline_of(log, at_s)
    assert timeline.width_s > WIDTH_FIRST_S
    assert sum(timeline.received_bytes) == 14_000
    assert sum(map(sum, timeline.down_ticks)) == pytest.approx(at_s * TICKS_PER_S, abs=7)
    assert sum(timeline.hash_ticks) == pytest.approx(2000 * 1e-5 * TICKS_PER_S, abs=1)
    assert len(timeline.down_ticks) == len(Downlink)
    assert all(len(row) <= BINS_MAX for row in timeline.down_ticks)

"""Curves with a bounded number of points."""

from itertools import pairwise

from strew.telemetry.series import POINTS_MAX, Series


def filled(seconds: int) -> Series:
    series = Series()
    for at_s in range(seconds):
        if series.due(at_s):
            series.add((float(at_s), 1.0, 2.0, [3.0]))
    return series


def test_points_are_a_second_apart_and_later_further() -> None:
    assert filled(100).rates(1, 1e9).at_s == [float(at) for at in range(100)]
    long = filled(10_000).rates(1, 1e9).at_s
    assert len(long) <= POINTS_MAX and long[0] == 0.0 and long[-1] > 9900
    gaps = {b - a for a, b in pairwise(long)}
    assert len(gaps) == 1


def test_a_zone_that_came_later_had_no_rate_before() -> None:
    series = Series()
    series.add((0.0, 1.0, 0.0, [1.0]))
    series.add((1.0, 3.0, 0.0, [1.0, 2.0]))
    assert series.rates(2, 1e9).zones == [[1.0, 1.0], [0.0, 2.0]]


def test_what_was_not_told_yet_is_not_among_the_rates() -> None:
    series = filled(5)
    assert series.rates(1, 2.0).at_s == [0.0, 1.0, 2.0]
    assert series.after(2.0) == (3.0, 1.0, 2.0, [3.0])
    assert series.after(4.0) is None

"""The numbers of a run."""

from __future__ import annotations

from strew.sim.result import class_result, percentile


def test_percentiles_are_values_that_were_there() -> None:
    rising = [float(n) for n in range(1, 1001)]
    assert percentile(rising, 99.0) == 990.0
    assert percentile(rising, 99.9) == 999.0
    assert percentile(rising, 100.0) == 1000.0
    assert percentile([3.0], 99.9) == 3.0


def test_a_class() -> None:
    found = class_result("slow", [3.0, 5.0, 4.0], 2.0, 2.5)
    assert (found.nodes, found.seconds_last, found.seconds_median) == (3, 5.0, 4.0)
    assert (found.ratio_to_line, found.ratio_to_bound) == (2.5, 2.0)

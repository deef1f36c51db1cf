"""Numbers of a run, beside the bounds of its links."""

from pathlib import Path

import pytest

from strew.lab.contender import Spread
from strew.lab.result import LabResult, Spent, lab_result
from strew.lab.terms import Late, Slow, Terms, goodput

MB = 10**6
B = goodput(10 * MB)


def spread(*seconds: float, **more: object) -> Spread:
    done_s = dict(enumerate(seconds, 1))
    outputs = {number: Path("/") for number in done_s}
    made = Spread(started_s=0.0, done_s=done_s, outputs=outputs, chunks=100)
    for name, value in more.items():
        setattr(made, name, value)
    return made


def result(terms: Terms, of: Spread) -> LabResult:
    spent = Spent(cpu_s=2.0, rss_peak_bytes=7, origin_link_bytes=110 * MB)
    return lab_result("strew", 3, terms, of, spent, len(of.outputs))


def test_equal_links_have_the_round_bound() -> None:
    terms = Terms(nodes=4, size_bytes=100 * MB, rate_bytes_per_s=10 * MB)
    found = result(terms, spread(12.0, 11.0, 11.5, 11.1, origin_sent_bytes=105 * MB))
    assert (found.strategy, found.round, found.verified, found.nodes) == ("strew", 3, 4, 4)
    assert found.rate_bytes_per_s == 10 * MB and found.goodput_bytes_per_s == B
    assert found.line_seconds == pytest.approx(100 * MB / B)
    assert found.bound_seconds == pytest.approx(100 * MB / B * 1.02)
    assert found.ratio_to_line == pytest.approx(12.0 * B / (100 * MB))
    assert found.ratio_to_bound == pytest.approx(12.0 * B / (102 * MB))
    assert (found.origin_sent_ratio, found.origin_link_ratio) == (1.05, 1.1)
    assert found.seconds_each == (12.0, 11.0, 11.5, 11.1)
    assert found.duplicate_ratio is None
    assert not found.classes


def test_what_the_origin_sent_is_estimated_from_its_card() -> None:
    terms = Terms(nodes=1, size_bytes=100 * MB, rate_bytes_per_s=10 * MB)
    assert result(terms, spread(12.0)).origin_sent_ratio == pytest.approx(1.1 * B / (10 * MB))


def test_fast_and_slow_have_bounds_of_their_own() -> None:
    slow = Slow(0.25, 10 * MB // 4)
    terms = Terms(nodes=4, size_bytes=100 * MB, rate_bytes_per_s=10 * MB, slow=slow)
    found = result(terms, spread(11.0, 12.0, 11.0, 44.0))
    fast, late = found.classes
    assert (fast.kind, fast.nodes, fast.seconds_last) == ("fast", 3, 12.0)
    assert (late.kind, late.nodes, late.seconds_last) == ("slow", 1, 44.0)
    line_s = 100 * MB / B
    assert fast.line_seconds == fast.bound_seconds == pytest.approx(line_s)
    assert late.line_seconds == late.bound_seconds == pytest.approx(4 * line_s)
    assert late.ratio_to_bound == found.ratio_to_bound == pytest.approx(11.0 / line_s)


def test_the_late_ones_have_a_time_of_their_own() -> None:
    terms = Terms(nodes=2, size_bytes=100 * MB, rate_bytes_per_s=10 * MB, late=Late(0.5, 4.0))
    found = result(terms, spread(11.0, 16.0, joined_s={2: 5.0}))
    early, late = found.classes
    line_s = 100 * MB / B
    assert (early.kind, early.seconds_last) == ("early", 11.0)
    assert (late.kind, late.seconds_last) == ("late", 11.0)
    assert late.ratio_to_bound == pytest.approx(11.0 / line_s)
    assert found.bound_seconds == pytest.approx(5.0 + line_s)


def test_without_a_rate_there_is_no_bound() -> None:
    terms = Terms(nodes=2, size_bytes=100 * MB, rate_bytes_per_s=None, late=Late(0.5, 1.0))
    found = result(terms, spread(1.0, 3.0, joined_s={2: 1.5}))
    assert found.line_seconds is found.bound_seconds is found.ratio_to_bound is None
    assert found.goodput_bytes_per_s is None
    assert [kind.bound_seconds for kind in found.classes] == [None, None]
    assert found.classes[1].seconds_last == 1.5

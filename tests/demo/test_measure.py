"""Numbers of a run, and the bounds they stand beside."""

import os

import pytest

from strew.demo.measure import GIB, Counts, cpu_s, result_of, rss_peak_bytes
from strew.errors import ConfigurationError

NO_PROCESS = 2**22 + 1
"""Above the largest process id of Linux."""


def counts(seconds: list[float]) -> Counts:
    return Counts(
        seconds=seconds,
        chunks=100,
        origin_sent_bytes=3 * GIB,
        duplicate_bytes=GIB // 4,
        verified=4,
        cpu_s=16.0,
        rss_peak_bytes=5000,
    )


def test_a_result_is_set_against_line_and_bound() -> None:
    result = result_of("single", 2 * GIB, GIB, counts([4.0, 2.5, 3.0, 2.04]))
    assert (result.seconds_first, result.seconds_median, result.seconds_last) == (2.04, 2.75, 4.0)
    assert (result.line_seconds, result.bound_seconds) == (2.0, pytest.approx(2.04))
    assert (result.ratio_to_line, result.ratio_to_bound) == (2.0, pytest.approx(4.0 / 2.04))
    assert (result.nodes, result.verified, result.chunks) == (4, 4, 100)
    assert result.origin_sent_ratio == 1.5
    assert result.duplicate_ratio == pytest.approx(1 / 32)
    assert result.cpu_s_per_gib == 2.0
    assert result.rss_peak_bytes == 5000


def test_without_a_rate_there_is_no_bound() -> None:
    result = result_of("swarm", GIB, None, counts([1.0]))
    assert result.rate_bytes_per_s is result.line_seconds is result.bound_seconds is None
    assert result.ratio_to_line is result.ratio_to_bound is None
    assert result.seconds_last == 1.0


def test_a_process_is_measured_from_outside() -> None:
    before_s = cpu_s([os.getpid()])
    own_s = sum(os.times()[:2])
    assert before_s == pytest.approx(own_s, abs=0.1)
    assert cpu_s([os.getpid(), os.getpid()]) >= 2 * before_s
    assert 1 << 20 < rss_peak_bytes(os.getpid()) < 16 * GIB


def test_a_process_that_is_gone_cannot_be_measured() -> None:
    with pytest.raises(ConfigurationError, match="cannot measure"):
        cpu_s([NO_PROCESS])
    with pytest.raises(ConfigurationError, match="cannot measure"):
        rss_peak_bytes(NO_PROCESS)

"""Sizes, rates and durations: the units people write, and the round trip."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from strew.agent.quantity import (
    DURATION_MAX_S,
    SIZE_MAX_BYTES,
    exact_rate,
    exact_size,
    format_duration,
    format_rate,
    format_rate_both,
    format_size,
    parse_duration,
    parse_rate,
    parse_size,
)
from strew.errors import UsageError


@pytest.mark.parametrize(
    ("text", "size_bytes"),
    [
        ("0", 0),
        ("1", 1),
        ("17B", 17),
        ("1K", 1024),
        ("1k", 1024),
        ("1KiB", 1024),
        ("1KB", 1000),
        ("256M", 256 << 20),
        ("256 M", 256 << 20),
        ("256MB", 256_000_000),
        ("1.5G", 3 << 29),
        ("2T", 2 << 40),
        ("0.0001K", 0),
    ],
)
def test_sizes(text: str, size_bytes: int) -> None:
    assert parse_size(text) == size_bytes


@pytest.mark.parametrize(
    ("text", "rate_bytes_per_s"),
    [
        ("100M", 100 << 20),
        ("100M/s", 100 << 20),
        ("100MB", 100_000_000),
        ("800Mbit", 100_000_000),
        ("5Gbit", 625_000_000),
        ("25mbit", 3_125_000),
        ("8Kbit", 1000),
        ("unlimited", None),
        ("Unlimited", None),
    ],
)
def test_rates(text: str, rate_bytes_per_s: int | None) -> None:
    assert parse_rate(text) == rate_bytes_per_s


@pytest.mark.parametrize(
    ("text", "seconds"),
    [("5", 5.0), ("0.25", 0.25), ("300ms", 0.3), ("5s", 5.0), ("10m", 600.0), ("1h30m", 5400.0)],
)
def test_durations(text: str, seconds: float) -> None:
    assert parse_duration(text) == pytest.approx(seconds)


@pytest.mark.parametrize(
    ("text", "rule"),
    [
        ("", "a rate is a number with a unit"),
        ("potatoes", "a rate is a number with a unit"),
        ("10 potatoes", "'potatoes' is no unit of a rate"),
        ("-5M", "a rate is a number with a unit"),
        ("1e9", "a rate is a number with a unit"),
        ("1_0", "a rate is a number with a unit"),
        ("١٠M", "a rate is a number with a unit"),
        ("nan", "a rate is a number with a unit"),
        ("10Mb", "may mean bits or bytes, write Mbit or MB"),
        ("10mb", "may mean bits or bytes, write Mbit or MB"),
        ("0", "nothing would ever move"),
        ("0.1B", "nothing would ever move"),
        ("9" * 20 + "T", "above the largest rate"),
        ("9" * 5000, "a rate is a number with a unit"),
    ],
)
def test_each_wrong_rate_names_its_rule(text: str, rule: str) -> None:
    with pytest.raises(UsageError) as caught:
        parse_rate(text)
    assert rule in caught.value.message
    assert "\n" not in str(caught.value)
    assert len(str(caught.value)) < 200


def test_a_size_has_no_bits() -> None:
    with pytest.raises(UsageError, match="bits measure rates"):
        parse_size("100Mbit")


@pytest.mark.parametrize(
    "text", ["", "5 potatoes", "h", "1h 30m", "-1s", "1x", "1s1", "999d", "1e3"]
)
def test_wrong_durations_are_refused(text: str) -> None:
    with pytest.raises(UsageError):
        parse_duration(text)


@given(st.integers(0, SIZE_MAX_BYTES))
def test_an_exact_size_is_read_back_exactly(size_bytes: int) -> None:
    assert parse_size(exact_size(size_bytes)) == size_bytes


@given(st.one_of(st.none(), st.integers(1, SIZE_MAX_BYTES)))
def test_an_exact_rate_is_read_back_exactly(rate_bytes_per_s: int | None) -> None:
    assert parse_rate(exact_rate(rate_bytes_per_s)) == rate_bytes_per_s


@given(st.integers(0, SIZE_MAX_BYTES))
def test_a_shown_size_is_within_half_a_percent(size_bytes: int) -> None:
    shown = format_size(size_bytes)
    assert abs(parse_size(shown.replace("PiB", "TiB").replace("EiB", "TiB")) - size_bytes) <= (
        0.006 * size_bytes + 1
    ) or shown.endswith(("PiB", "EiB"))
    assert len(shown) <= len("1000 KiB")


@given(st.floats(0, DURATION_MAX_S))
def test_every_duration_can_be_shown(duration_s: float) -> None:
    assert 0 < len(format_duration(duration_s)) <= len("12:34:56")


@given(st.text(max_size=20))
def test_any_text_is_read_or_refused(text: str) -> None:
    for parse in (parse_size, parse_rate, parse_duration):
        try:
            parse(text)
        except UsageError as error:
            assert str(error).isprintable()


def test_how_they_look() -> None:
    assert format_size(0) == "0 B"
    assert format_size(1023) == "1023 B"
    assert format_size(1536) == "1.50 KiB"
    assert format_size(256 << 20) == "256 MiB"
    assert format_size(1000 << 20) == "0.98 GiB"
    assert format_rate(None) == "unlimited"
    assert format_rate_both(100 << 20) == "100 MiB/s = 838.9 Mbit/s"
    assert format_duration(0.4) == "0.40 s"
    assert format_duration(245) == "4:05"
    assert format_duration(7389) == "2:03:09"
    assert format_duration(86_400 * 3 + 4 * 3600) == "3d 04h"

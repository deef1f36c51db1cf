"""How fast bytes go."""

import pytest

from strew.telemetry.pace import LOOKS_MAX, OVER_S, SHORT_S, Pace


def test_rates_are_over_the_last_second() -> None:
    pace = Pace()
    for look in range(41):
        at_s = look * 0.05
        pace.note(at_s, round(1000 * at_s), 0 if at_s <= 1.0 else round(500 * (at_s - 1.0)))
    assert pace.is_whole
    assert pace.received_bytes_per_s == pytest.approx(1000)
    assert pace.sent_bytes_per_s == pytest.approx(500)


def test_before_a_second_has_passed_they_are_over_what_has() -> None:
    pace = Pace()
    pace.note(10.0, 0, 0)
    pace.note(10.0 + SHORT_S / 2, 100, 0)
    assert pace.received_bytes_per_s == 0.0
    pace.note(10.0 + SHORT_S, 200, 0)
    assert pace.received_bytes_per_s == pytest.approx(200 / SHORT_S)
    assert not pace.is_whole


def test_after_a_rest_it_begins_anew() -> None:
    pace = Pace()
    pace.note(0.0, 0, 0)
    pace.note(OVER_S, 100, 100)
    pace.rest()
    assert pace.received_bytes_per_s == pace.sent_bytes_per_s == 0.0
    pace.note(50.0, 100, 100)
    pace.note(50.0 + OVER_S, 300, 100)
    assert pace.received_bytes_per_s == pytest.approx(200)


def test_looks_are_bounded() -> None:
    pace = Pace()
    for look in range(10_000):
        pace.note(look * 1e-5, look, 0)
    assert len(pace._looks) == LOOKS_MAX

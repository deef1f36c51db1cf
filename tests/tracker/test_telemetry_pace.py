"""How often nodes are to tell: by the size of the fleet, and by how much the tracker can do."""

import pytest

from strew.tracker.telemetry_pace import (
    LATE_S,
    NEXT_MAX_S,
    NEXT_MIN_S,
    SPREAD,
    STRAIN_MAX,
    TELEMETRY_COST_S,
    TELEMETRY_SHARE,
    TOGETHER_S,
    TelemetryPace,
)


def test_a_large_fleet_costs_no_more_than_its_share() -> None:
    pace = TelemetryPace()
    for machines in (0, 8, 100, 2000):
        pace.look(machines, 0.0)
        assert pace.wait_s == max(NEXT_MIN_S, machines * TELEMETRY_COST_S / TELEMETRY_SHARE)
    pace.look(10**9, 0.0)
    assert pace.wait_s == NEXT_MAX_S


def test_a_tracker_that_waits_for_a_processor_is_told_less() -> None:
    pace, calm = TelemetryPace(), TelemetryPace()
    for _ in range(20):
        pace.look(100, 2 * LATE_S)
        calm.look(100, LATE_S / 100)
    assert pace.wait_s == pytest.approx(3 * calm.wait_s, rel=0.02)
    for _ in range(20):
        pace.look(100, 100.0)
        calm.look(100, 0.0)
    assert pace.wait_s == pytest.approx(STRAIN_MAX * calm.wait_s, rel=0.01)
    for _ in range(60):
        pace.look(100, 0.0)
    assert pace.wait_s == pytest.approx(calm.wait_s, rel=0.01), "it recovers"


def test_one_late_moment_says_little() -> None:
    pace = TelemetryPace()
    pace.look(100, 3 * LATE_S)
    assert pace.wait_s < 2 * 100 * TELEMETRY_COST_S / TELEMETRY_SHARE


def test_a_small_fleet_tells_as_often_as_ever() -> None:
    pace = TelemetryPace()
    for _ in range(20):
        pace.look(4, 100.0)
    assert pace.wait_s == NEXT_MIN_S


def test_machines_that_begin_together_do_not_tell_together() -> None:
    pace = TelemetryPace()
    pace.look(1000, 0.0)
    waits = [pace.next_s(7.1) for _ in range(100)]
    assert max(waits) - min(waits) > SPREAD * pace.wait_s * 0.9
    assert sum(waits) / 100 == pytest.approx(pace.wait_s + TOGETHER_S / 2, rel=0.01)
    assert all((7.1 + wait) % TOGETHER_S == pytest.approx(0.0, abs=1e-6) for wait in waits)

"""Where the time of simulated transfers went: it adds up, and what was done to them is blamed."""

from __future__ import annotations

from dataclasses import replace
from functools import cache

import msgspec
import pytest

from strew.errors import UsageError
from strew.sim.fleet import Terms
from strew.sim.like import LIKE, like
from strew.sim.run import SWARM, Outcome, simulate
from strew.telemetry.causes import Cause
from strew.telemetry.recording import Recording, decode_recording, encode_recording
from strew.telemetry.report import Report, report_of

SMALL = Terms(nodes=12, chunks=60, size_bytes=30_000_000, rate_bytes_per_s=12.5e6)

SCENARIOS = ("flash", "staggered", "die10", "slow10", "racks2", "liars")

OFF_MAX = 0.03
"""How far the causes' sum may be from what was lost."""


@cache
def watched(scenario: str, terms: Terms = SMALL) -> Outcome:
    return simulate(SWARM, scenario, terms, watched=True)


def recorded(scenario: str, terms: Terms = SMALL) -> Recording:
    recording = watched(scenario, terms).recording
    assert recording is not None
    return recording


def share_of(report: Report, *causes: Cause) -> float:
    return sum(of.share for of in report.causes if of.cause in causes)


@pytest.mark.parametrize("scenario", SCENARIOS)
def test_of_every_machine_the_causes_add_up(scenario: str) -> None:
    recording = recorded(scenario)
    assert decode_recording(encode_recording(recording)) == recording
    report = report_of(recording)
    assert report.lost_seconds is not None and report.lost_seconds > 0
    total_s = sum(of.seconds for of in report.causes)
    assert total_s == pytest.approx(report.lost_seconds, rel=OFF_MAX)
    told = [machine for machine in recording.followers if machine.lost_s]
    assert len(told) >= 9
    for machine in told:
        assert machine.done_s is not None and min(machine.lost_s) >= 0
        lost_s = machine.done_s - machine.fetched_bytes / machine.link_bytes_per_s
        assert sum(machine.lost_s) == pytest.approx(lost_s, rel=OFF_MAX)


@pytest.mark.parametrize("scenario", ["flash", "liars"])
def test_a_run_that_is_watched_takes_the_same_course(scenario: str) -> None:
    alone = simulate(SWARM, scenario, SMALL).result
    assert watched(scenario).result.trace_digest == alone.trace_digest
    report = report_of(recorded(scenario))
    assert report.seconds_last == pytest.approx(alone.seconds_last)
    assert report.bound_seconds == pytest.approx(alone.bound_seconds)
    assert report.origin.sent_ratio == pytest.approx(alone.origin_sent_ratio, rel=0.1)


def test_an_origin_with_a_quarter_of_the_rate_is_waited_for() -> None:
    report = report_of(recorded("flash", replace(SMALL, origin_ratio=0.25)))
    assert report.causes[0].cause == Cause.FIRST_COPIES
    assert report.causes[0].share > 0.75
    assert report.origin.busy > 0.9


def test_machines_that_send_slowly_are_blamed_and_not_the_origin() -> None:
    report = report_of(recorded("slow-up10"))
    assert share_of(report, Cause.SLOW_SENDERS, Cause.UPLINKS_BUSY) > 0.5
    assert share_of(report, Cause.FIRST_COPIES) < 0.35


def test_who_came_late_lost_its_time_before_it_started() -> None:
    report = report_of(recorded("staggered"))
    assert report.causes[0].cause == Cause.START


def test_a_fleet_like_a_recorded_one_has_its_machines_and_takes_as_long() -> None:
    recording = recorded("slow10")
    terms, scenario = like(recording, 1)
    assert (terms.nodes, terms.size_bytes, terms.chunks) == (12, 30_000_000, 60)
    assert terms.rate_bytes_per_s == SMALL.rate_bytes_per_s
    assert terms.latency_s == SMALL.latency_s
    again = simulate(SWARM, LIKE, terms, watched=True, scenarios={LIKE: scenario})
    assert again.recording is not None
    was, now = report_of(recording), report_of(again.recording)
    assert was.line_seconds is not None and now.line_seconds == pytest.approx(was.line_seconds)
    assert now.seconds_last == pytest.approx(was.seconds_last, rel=0.15)


def test_what_a_recording_tells_of_zones_links_and_starts_is_taken() -> None:
    recording = recorded("racks2")
    terms, scenario = like(recording, 3)
    fleet = scenario.fleet(terms)
    assert terms.racks == 2 and terms.seed == 3
    assert {machine.rack for machine in fleet.machines} == {0, 1}
    terms, scenario = like(recorded("staggered"), 1)
    starts = sorted(machine.starts_s for machine in scenario.fleet(terms).machines)
    assert starts[0] == 0.0 and starts[-1] > 1.0
    terms, scenario = like(recorded("flash", replace(SMALL, origin_ratio=0.25)), 1)
    assert terms.origin_ratio == pytest.approx(0.25)


def test_links_that_were_measured_are_equal_unless_one_is_far_slower() -> None:
    recording = recorded("flash")
    slow = recording.followers[0]
    machines = [
        msgspec.structs.replace(
            machine, fastest_received_bytes_per_s=3e6 if machine is slow else 12e6
        )
        for machine in recording.machines
    ]
    measured = msgspec.structs.replace(recording, link_from="measured", machines=tuple(machines))
    terms, scenario = like(measured, 1)
    ratios = {machine.down_ratio for machine in scenario.fleet(terms).machines}
    assert sorted(ratios) == [pytest.approx(0.24), 1.0]


def test_a_recording_without_times_is_no_fleet_to_simulate() -> None:
    empty = msgspec.structs.replace(recorded("flash"), machines=())
    with pytest.raises(UsageError, match="no machine that told its times"):
        like(empty, 1)

"""From what is known of a machine to the one cause that is told; like a table of cases."""

from dataclasses import replace

import pytest

from strew.telemetry.protocol import SwarmTelemetry
from strew.telemetry.stragglers import FINE, Probe, Signs, Usual, diagnose
from tests.telemetry.boards import telemetry

FLEET = Usual(
    machines=10,
    part=0.6,
    received_bytes_per_s=100e6,
    sent_bytes_per_s=100e6,
    senders=10,
    neighbours=8.0,
)


def told(**fields: object) -> SwarmTelemetry:
    """Of a machine that is well."""
    values: dict[str, object] = {
        "received_far_bytes": 10**9,
        "sent_bytes": 10**9,
        "received_bytes_per_s": 90e6,
        "fastest_received_bytes_per_s": 100e6,
        "fastest_sent_bytes_per_s": 100e6,
        "neighbours": 8,
        "hash_s": 1.0,
        "write_s": 1.0,
        "elapsed_s": 10.0,
    }
    return telemetry({0, 1, 2, 3, 4}, **values | fields)


WELL = Signs(
    state="fetching",
    is_origin=False,
    is_over=False,
    reason="",
    silent_s=0.5,
    is_silent=False,
    probe="",
    since_s=10.0,
    part=0.5,
    down=(0.0, 0.9, 0.1, 0.0, 0.0, 0.0, 0.0),
    up=(0.9, 0.1, 0.0, 0.0),
    told=told(),
)

RECEIVING = (0.0, 0.95, 0.05, 0.0, 0.0, 0.0, 0.0)
UNOFFERED = (0.0, 0.1, 0.0, 0.9, 0.0, 0.0, 0.0)
STORING = (0.0, 0.4, 0.0, 0.0, 0.0, 0.6, 0.0)
SLOW = {"received_far_bytes": 10**8, "received_bytes_per_s": 9e6}


def test_a_machine_that_is_well_has_no_cause() -> None:
    assert diagnose(WELL, FLEET) is FINE


def test_a_pause_and_a_failure_are_told_with_their_reason() -> None:
    paused = diagnose(replace(WELL, state="paused", reason="no space left"), FLEET)
    assert (paused.cause, paused.why) == ("paused", "no space left") and paused.remedy
    assert diagnose(replace(WELL, state="failed", reason="bad manifest"), FLEET).cause == "failed"


@pytest.mark.parametrize(
    ("probe", "cause"),
    [("refused", "ended"), ("cut-off", "cut-off"), ("stalled", "stalled"), ("answers", "")],
)
def test_silence_is_what_a_probe_met(probe: Probe, cause: str) -> None:
    silent = replace(WELL, is_silent=True, silent_s=9.0, probe=probe)
    verdict = diagnose(silent, FLEET)
    assert verdict.cause == cause
    assert not cause or "silent for 9 s" in verdict.why


def test_a_silent_machine_that_was_not_probed_yet_is_not_judged() -> None:
    assert diagnose(replace(WELL, is_silent=True, silent_s=9.0), FLEET) is FINE


def test_who_left_early_has_ended_and_who_left_with_everything_has_not() -> None:
    assert diagnose(replace(WELL, state="gone"), FLEET).cause == "ended"
    assert diagnose(replace(WELL, state="gone", part=1.0), FLEET) is FINE


def test_who_has_everything_may_be_silent_but_not_an_origin_that_is_needed() -> None:
    silent = replace(WELL, state="seeding", is_silent=True, probe="refused", silent_s=99.0)
    assert diagnose(silent, FLEET) is FINE
    assert diagnose(replace(silent, is_origin=True), FLEET).cause == "ended"
    assert diagnose(replace(silent, is_origin=True, is_over=True), FLEET) is FINE


@pytest.mark.parametrize(
    ("cause", "fields"),
    [
        ("slow-down", {"down": RECEIVING, "told": told(fastest_received_bytes_per_s=10e6, **SLOW)}),
        ("slow-down", {"down": RECEIVING, "told": told(**SLOW)}),  # it was fast once
        ("slow-up", {"told": told(fastest_sent_bytes_per_s=9e6)}),
        ("slow-up", {"up": (0.1, 0.0, 0.0, 0.9), "told": told(fastest_sent_bytes_per_s=9e6)}),
        ("slow-disk", {"down": STORING}),
        ("slow-disk", {"told": told(hash_s=4.0, write_s=4.0)}),
        ("few-neighbours", {"down": UNOFFERED, "told": told(neighbours=1)}),
        ("bad-chunks", {"told": told(bad_chunks=2)}),
        ("banned", {"banned_by": 4, "ban_reason": "bad chunks"}),
        ("no-holder", {"down": UNOFFERED, "lost_chunks": 3}),
    ],
)
def test_each_cause_by_its_signs(cause: str, fields: dict[str, object]) -> None:
    behind = replace(WELL, part=0.2, **fields)  # type: ignore[arg-type]
    verdict = diagnose(behind, FLEET)
    assert verdict.cause == cause
    assert verdict.why and verdict.remedy


def test_who_is_as_slow_as_all_has_no_cause_of_its_own() -> None:
    slow = replace(FLEET, received_bytes_per_s=10e6, sent_bytes_per_s=10e6)
    its = told(fastest_received_bytes_per_s=10e6, fastest_sent_bytes_per_s=10e6, **SLOW)
    assert diagnose(replace(WELL, part=0.5, down=RECEIVING, told=its), slow) is FINE


def test_who_is_slow_and_ahead_is_not_behind() -> None:
    its = told(fastest_received_bytes_per_s=10e6, **SLOW)
    assert diagnose(replace(WELL, part=0.9, down=RECEIVING, told=its), FLEET) is FINE


def test_the_first_seconds_are_held_against_nobody() -> None:
    early = replace(WELL, since_s=1.0, part=0.0, down=STORING)
    assert diagnose(early, FLEET) is FINE


def test_who_does_not_begin_is_starting_after_a_while() -> None:
    waiting = replace(WELL, state="waiting", told=None, part=0.0, since_s=20.0)
    assert diagnose(waiting, FLEET).cause == "starting"
    assert diagnose(replace(waiting, since_s=2.0), FLEET) is FINE


def test_one_bad_chunk_and_one_ban_are_accidents() -> None:
    assert diagnose(replace(WELL, told=told(bad_chunks=1), banned_by=1), FLEET) is FINE


def test_in_a_fleet_of_two_nobody_is_unusual() -> None:
    alone = replace(FLEET, machines=1, senders=1)
    its = told(fastest_received_bytes_per_s=1e6, fastest_sent_bytes_per_s=1e6, **SLOW)
    assert diagnose(replace(WELL, part=0.1, down=RECEIVING, told=its), alone) is FINE

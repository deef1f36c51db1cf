"""The report of a transfer as text."""

from __future__ import annotations

import msgspec

from strew.cli import lost_time
from strew.telemetry.protocol import Downlink
from strew.telemetry.recorder import Recorder
from strew.telemetry.report import report_of
from tests.telemetry.fleets import PUBLISHED, SPREAD, done, recorded_fleet, told, who

REPORT = report_of(recorded_fleet().taken().recording())


def test_it_says_what_was_lost_to_what_within_eighty_columns() -> None:
    lines = lost_time.lines(REPORT)
    assert all(len(line) <= 80 for line in lines), [line for line in lines if len(line) > 80]
    text = "\n".join(lines)
    assert text.startswith("app:1: 1000 B in 4 chunks to 2 machines, published ")
    assert "last      13.0 s   10.0.0.2 in b; the median machine 12.0 s" in text
    assert "line      10.0 s   through its link of 100 B/s = 800 bit/s (configured)" in text
    assert "lost      3.00 s" in text
    first, start = (line for line in lines if "█" in line)
    assert first.startswith("  first-copies    2.00 s  66.7 %  ")
    assert first.count("█") == 2 * start.count("█")
    assert "origin: busy 77 % of the time, sent 1.00 times the size" in text


def test_it_says_what_is_missing() -> None:
    nothing = report_of(Recorder(SPREAD).taken("it is still under way").recording())
    lines = lost_time.lines(nothing)
    assert lines[-2:] == [
        "no machine has told how long it took",
        "incomplete: it is still under way",
    ]
    failed = Recorder(SPREAD)
    swarm = done([Downlink.RECEIVING] * 2, (1, 1), failed=True)
    failed.heard(who(1), told(1, swarm), swarm, PUBLISHED + 2.0)
    assert "1 machines failed" in lost_time.lines(report_of(failed.taken().recording()))


def test_a_simulated_one_has_no_date() -> None:
    assert "published" not in lost_time.lines(msgspec.structs.replace(REPORT, kind="sim"))[0]


def test_two_reports_stand_side_by_side() -> None:
    other = msgspec.structs.replace(REPORT, seconds_last=11.0, causes=REPORT.causes[:1])
    rows = lost_time.compared(REPORT, other)
    assert rows[0] == ("", "recorded", "simulated")
    assert ("seconds last", "13.000 s", "11.000 s") in rows
    assert ("  first-copies", "2.000 s", "2.000 s") in rows
    assert ("  start", "1.000 s", "0.000 s") in rows
    assert not [row for row in rows if "duplicates" in row[0]], "neither lost anything to it"

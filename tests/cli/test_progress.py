"""Progress lines with a clock in the hand: when they are drawn, and what they say."""

import io
import os
import re
from typing import Any

import pytest

from strew.cli.progress import LINE_INTERVAL_S, Progress, Transfer

MIB = 1 << 20


class Clock:
    """Seconds that pass when told to."""

    def __init__(self) -> None:
        self.now_s = 100.0

    def __call__(self) -> float:
        return self.now_s


class Terminal(io.StringIO):
    """A stream that says it is a terminal."""

    def isatty(self) -> bool:
        return True


@pytest.fixture
def clock() -> Clock:
    return Clock()


def test_a_log_file_gets_a_line_each_30_s(clock: Clock) -> None:
    stream = io.StringIO()
    progress = Progress(stream=stream, clock=clock)
    for _ in range(int(LINE_INTERVAL_S) * 2 + 1):
        progress.update("app:1", Transfer(MIB, 4 * MIB, 3, 0.25))
        clock.now_s += 1
    lines = stream.getvalue().splitlines()
    assert len(lines) == 2
    assert lines[0] == ("app:1  25.0 %  1.00 MiB of 4.00 MiB  0 B/s  3 neighbours  origin 25 %")
    assert "\x1b" not in stream.getvalue()


def test_rate_and_eta_follow_what_is_done(clock: Clock) -> None:
    stream = io.StringIO()
    progress = Progress(stream=stream, clock=clock)
    for second in range(21):
        progress.update("x", Transfer(second * MIB, 100 * MIB))
        clock.now_s += 1
    progress.close()
    assert "1.00 MiB/s" in stream.getvalue()
    assert "ETA 1:20" in stream.getvalue()


def test_resumed_bytes_are_not_a_rate(clock: Clock) -> None:
    stream = io.StringIO()
    progress = Progress(stream=stream, clock=clock)
    progress.update("x", Transfer(90 * MIB, 100 * MIB))
    clock.now_s += 1
    progress.update("x", Transfer(91 * MIB, 100 * MIB))
    progress.close()
    assert "1.00 MiB/s" in stream.getvalue()


def test_a_terminal_is_redrawn_in_place_at_most_five_times_a_second(clock: Clock) -> None:
    stream = Terminal()
    progress = Progress(stream=stream, clock=clock)
    for step in range(100):
        progress.update("a", Transfer(step, 100))
        progress.update("b", Transfer(step, 100, note="paused: no space"))
        clock.now_s += 0.01
    assert stream.getvalue().count("a  ") <= 6
    assert "\x1b[1A" in stream.getvalue()
    assert "paused: no space" in stream.getvalue()
    progress.close()
    assert stream.getvalue().endswith("\n")


def test_lines_never_wrap(clock: Clock, monkeypatch: pytest.MonkeyPatch) -> None:
    size = os.terminal_size((40, 24))
    monkeypatch.setattr("strew.cli.progress.terminal_size", lambda _: size)
    stream = Terminal()
    progress = Progress(stream=stream, clock=clock)
    progress.update("a-very-long-name-of-an-artifact:1.2.3", Transfer(1, 100, 12, 0.5))
    progress.close()
    drawn = re.sub(r"\x1b\[[0-9]*[A-Z]|\r", "", stream.getvalue())
    assert drawn and all(len(line) < 40 for line in drawn.split("\n"))


def test_more_rows_than_the_terminal_has_lines_are_counted(
    clock: Clock, monkeypatch: pytest.MonkeyPatch
) -> None:
    size = os.terminal_size((80, 5))
    monkeypatch.setattr("strew.cli.progress.terminal_size", lambda _: size)
    stream = Terminal()
    progress = Progress(stream=stream, clock=clock)
    for row in range(10):
        progress.update(f"row{row}", Transfer(0, 100))
    clock.now_s += 1
    progress.update("row0", Transfer(0, 100))
    assert "… and 7 more" in stream.getvalue()


def test_done_rows_stay_above(clock: Clock) -> None:
    stream = Terminal()
    progress = Progress(stream=stream, clock=clock)
    progress.update("a", Transfer(100, 100))
    progress.done("a")
    progress.say("noted")
    progress.close()
    assert stream.getvalue().splitlines()[-1] == "noted"


def test_an_empty_artifact_is_done(clock: Clock) -> None:
    stream = io.StringIO()
    progress = Progress(stream=stream, clock=clock)
    progress.update("empty", Transfer(0, 0))
    progress.close()
    assert "100.0 %" in stream.getvalue()


def test_events_come_once_a_second(clock: Clock) -> None:
    events: list[dict[str, Any]] = []
    progress = Progress(on_event=events.append, clock=clock)
    for step in range(25):
        progress.update("a", Transfer(step, 100, 2, 0.0))
        clock.now_s += 0.1
    progress.close()
    assert len(events) == 3
    assert events[-1]["done_bytes"] == 24
    assert set(events[0]) == {
        "name", "done_bytes", "total_bytes", "rate_bytes_per_s", "eta_s", "neighbours",
        "origin_ratio", "note",
    }  # fmt: skip


def test_nobody_watching_is_fine(clock: Clock) -> None:
    progress = Progress(clock=clock)
    progress.update("a", Transfer(1, 2))
    progress.done("a")
    closed = io.StringIO()
    closed.close()
    watched = Progress(clock=clock)
    watched.stream = closed
    watched.say("into the void")
    watched.close()

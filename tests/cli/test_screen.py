"""A block that is drawn in place, and lines where it cannot be."""

import io

import pytest

from strew.cli.painting import Line
from strew.cli.progress import LINE_INTERVAL_S, TERMINAL_INTERVAL_S
from strew.cli.screen import Screen

ONE: Line = (("one", ""),)
TWO: Line = (("two", "good"),)


class Terminal(io.StringIO):
    """A stream that says it is a terminal which can show anything."""

    encoding = "utf-8"

    def isatty(self) -> bool:
        return True


class Clock:
    now_s = 50.0

    def __call__(self) -> float:
        return self.now_s


@pytest.fixture
def clock(monkeypatch: pytest.MonkeyPatch) -> Clock:
    monkeypatch.setenv("TERM", "xterm")
    monkeypatch.delenv("NO_COLOR", raising=False)
    return Clock()


def test_a_terminal_is_drawn_on_again_from_where_the_block_began(clock: Clock) -> None:
    stream = Terminal()
    screen = Screen(stream, clock)
    screen.draw([ONE, TWO])
    assert stream.getvalue() == "\rone\x1b[K\n\x1b[32mtwo\x1b[0m\x1b[K\n\x1b[J"
    stream.truncate(0)
    stream.seek(0)
    screen.draw([ONE])
    assert stream.getvalue() == "\x1b[2Fone\x1b[K\n\x1b[J"
    screen.leave()
    screen.draw([ONE])
    assert stream.getvalue().endswith("\rone\x1b[K\n\x1b[J")


def test_a_log_gets_lines_each_30_s_and_no_codes(clock: Clock) -> None:
    stream = io.StringIO()
    screen = Screen(stream, clock)
    assert screen.is_due()
    screen.draw([TWO])
    clock.now_s += LINE_INTERVAL_S - 1
    assert not screen.is_due()
    clock.now_s += 1
    assert screen.is_due()
    assert stream.getvalue() == "two\n"


def test_a_terminal_is_due_five_times_a_second(clock: Clock) -> None:
    screen = Screen(Terminal(), clock)
    screen.draw([ONE])
    assert not screen.is_due()
    clock.now_s += TERMINAL_INTERVAL_S
    assert screen.is_due()


def test_no_color_takes_the_colours_and_not_the_place(
    clock: Clock, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("NO_COLOR", "1")
    stream = Terminal()
    screen = Screen(stream, clock)
    screen.draw([TWO])
    screen.draw([TWO])
    assert "\x1b[32m" not in stream.getvalue() and "\x1b[1F" in stream.getvalue()


def test_a_terminal_without_blocks_gets_what_it_can_show(clock: Clock) -> None:
    stream = Terminal()
    stream.encoding = "ascii"  # type: ignore[misc]
    Screen(stream, clock).draw([(("██▌·· 1.0 × …", ""),)])
    assert stream.getvalue().replace("\x1b", "").isascii()


def test_more_lines_than_the_terminal_has_are_left_out(
    clock: Clock, monkeypatch: pytest.MonkeyPatch
) -> None:
    stream = Terminal()
    Screen(stream, clock).draw([ONE] * 100)
    assert stream.getvalue().count("\n") == 23  # of 24: a full page would scroll


def test_nobody_watching_is_fine(clock: Clock) -> None:
    Screen(None, clock).draw([ONE])
    closed = Terminal()
    screen = Screen(closed, clock)
    closed.close()
    screen.draw([ONE])
    assert screen.stream is None

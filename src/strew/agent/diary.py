"""Diary: the last lines of what happened at this node, for people to read."""

from __future__ import annotations

import time
from collections import deque
from collections.abc import Callable
from typing import Final, NamedTuple

from strew.telemetry.protocol import EVENTS_MAX, NodeEvent

LINES_MAX: Final = 200
"""Some transfers' worth; more are no help in a list, and each has up to a quarter kB."""

LINE_CHARS_MAX: Final = 256


class Line(NamedTuple):
    """One of them: its number grows from each to the next; `at_s` is the node's clock."""

    number: int
    at_s: float
    at_unix_s: float
    text: str


class Diary:
    """Bounded: the oldest lines go."""

    def __init__(self, clock: Callable[[], float]) -> None:
        self._clock = clock
        self.lines: deque[Line] = deque(maxlen=LINES_MAX)
        self.count = 0
        """How many were ever written: the number of the last one."""

    def note(self, text: str) -> None:
        """Write one line, whatever the text holds."""
        self.count += 1
        line = " ".join("".join(c if c.isprintable() else " " for c in text).split())
        self.lines.append(Line(self.count, self._clock(), time.time(), line[:LINE_CHARS_MAX]))

    def after(self, number: int) -> tuple[NodeEvent, ...]:
        """The lines after that one, of which the last ones are told."""
        now = self._clock()
        fresh = [line for line in self.lines if line.number > number]
        return tuple(NodeEvent(now - line.at_s, line.text) for line in fresh[-EVENTS_MAX:])

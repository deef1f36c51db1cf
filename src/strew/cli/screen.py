"""A block of lines on a stream that is drawn again in place; plain lines where that cannot be.

A terminal gets the block five times a second at most, and nothing of it is left above when it
shrinks. Anything else (a log, a pipe) gets one line now and then. Light on purpose: a redraw is one
write.
"""

import os
import time
from collections.abc import Callable, Sequence
from typing import TextIO

from strew.cli.output import wants_colour
from strew.cli.painting import Line, ascii_only, rendered
from strew.cli.progress import LINE_INTERVAL_S, TERMINAL_INTERVAL_S, terminal_size

_UP_TO_START = "\x1b[{}F"
_CLEAR_TO_END_OF_LINE = "\x1b[K"
_CLEAR_BELOW = "\x1b[J"


class Screen:
    """Draws on `stream`, or nowhere if that is None. `clock` is any that does not jump."""

    def __init__(self, stream: TextIO | None, clock: Callable[[], float] = time.monotonic) -> None:
        self.stream = stream
        self._clock = clock
        dumb = os.environ.get("TERM") == "dumb"
        self.live = stream is not None and stream.isatty() and not dumb
        self._colour = stream is not None and wants_colour(stream)
        self._blocks = stream is None or _has_blocks(stream)
        self._drawn_s: float | None = None
        self._drawn_lines = 0

    @property
    def size(self) -> os.terminal_size:
        """Columns and lines that may be used: the last of each stays free, for a full line would
        wrap, and a full page scroll."""
        whole = terminal_size(self.stream)
        return os.terminal_size((max(20, whole.columns - 1), max(4, whole.lines - 1)))

    def is_due(self) -> bool:
        """Whether it is time to draw."""
        interval_s = TERMINAL_INTERVAL_S if self.live else LINE_INTERVAL_S
        return self._drawn_s is None or self._clock() - self._drawn_s >= interval_s

    def wait_from_now(self) -> None:
        """Have the first drawing wait its interval, as a log has no use for a first state."""
        self._drawn_s = self._clock()

    def draw(self, lines: Sequence[Line]) -> None:
        """Put these lines in the place of those before; lasting ones where there is no place."""
        self._drawn_s = self._clock()
        if not self.live:
            self._write("".join(self._text(line, None) + "\n" for line in lines))
            return
        columns, most = self.size
        above = _UP_TO_START.format(self._drawn_lines) if self._drawn_lines else "\r"
        shown = lines[:most]
        text = "".join(self._text(line, columns) + _CLEAR_TO_END_OF_LINE + "\n" for line in shown)
        self._write(above + text + _CLEAR_BELOW)
        self._drawn_lines = len(shown)

    def leave(self) -> None:
        """What was drawn stays; what comes next begins below it."""
        self._drawn_lines = 0

    def _text(self, line: Line, columns: int | None) -> str:
        text = rendered(line, columns, colour=self._colour)
        return text if self._blocks else ascii_only(text)

    def _write(self, text: str) -> None:
        if self.stream is None:
            return
        try:
            self.stream.write(text)
            self.stream.flush()
        except (BrokenPipeError, ValueError):
            self.stream = None  # nobody watches any more: what is watched goes on


def _has_blocks(stream: TextIO) -> bool:
    """Whether blocks and arrows can be written there."""
    try:
        "█▁→…×·".encode(stream.encoding or "ascii")
    except (UnicodeError, LookupError):
        return False
    return True

"""Live progress on stderr: one line per transfer on a terminal, a line each 30 s anywhere else.

    app:2.1  42.0 %  1.05 GiB of 2.50 GiB  118 MiB/s  ETA 12.6 s  14 neighbours  origin 3 %

Light on purpose: a redraw is one write of a few hundred bytes, so that watching a transfer does
not slow it. The caller reports as often as it likes; this decides when to draw.
"""

import os
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any, TextIO

from strew.agent.quantity import format_duration, format_rate, format_size

TERMINAL_INTERVAL_S = 0.2
"""Five pictures a second look live and cost nothing."""

LINE_INTERVAL_S = 30.0
"""In a log file a line each 30 s shows life without filling it."""

EVENT_INTERVAL_S = 1.0
"""With --json: enough for a bar drawn by another program."""

ROWS_MAX = 40
"""Transfers shown at once; a block taller than the terminal could not be redrawn."""

RATE_WINDOW_S = 5.0
"""Rates are means over about this time, so that the ETA does not jump."""

_CLEAR_LINE = "\r\x1b[K"
_UP = "\x1b[1A"


@dataclass(slots=True)
class Transfer:
    """What is known of one transfer at one moment; `origin_ratio` is a share from 0 to 1."""

    done_bytes: int
    total_bytes: int
    neighbours: int | None = None
    origin_ratio: float | None = None
    note: str = ""


@dataclass(slots=True)
class _Row:
    transfer: Transfer
    rate_bytes_per_s: float | None = None
    marked_bytes: int = 0
    marked_s: float = 0.0

    def measure(self, transfer: Transfer, now_s: float) -> None:
        """An exponential mean, weighted by the time between two reports."""
        passed_s = now_s - self.marked_s
        if passed_s >= TERMINAL_INTERVAL_S:
            latest = max(0, transfer.done_bytes - self.marked_bytes) / passed_s
            weight = min(1.0, passed_s / RATE_WINDOW_S)
            old = latest if self.rate_bytes_per_s is None else self.rate_bytes_per_s
            self.rate_bytes_per_s = old + weight * (latest - old)
            self.marked_bytes, self.marked_s = transfer.done_bytes, now_s
        self.transfer = transfer

    @property
    def eta_s(self) -> float | None:
        left_bytes = self.transfer.total_bytes - self.transfer.done_bytes
        if left_bytes <= 0:
            return 0.0
        return left_bytes / self.rate_bytes_per_s if self.rate_bytes_per_s else None


@dataclass(slots=True, kw_only=True)
class Progress:
    """Rows by key. Call `update` on every change and `close` at the end, also after a failure.

    With neither `stream` nor `on_event` nothing is shown, so callers need not ask.
    """

    stream: TextIO | None = None
    on_event: Callable[[dict[str, Any]], None] | None = None
    clock: Callable[[], float] = time.monotonic
    _rows: dict[str, _Row] = field(default_factory=dict)
    _drawn_s: float | None = None
    _drawn_rows: int = 0
    _live: bool = False

    def __post_init__(self) -> None:
        dumb = os.environ.get("TERM") == "dumb"
        self._live = self.stream is not None and self.stream.isatty() and not dumb

    def update(self, key: str, transfer: Transfer) -> None:
        """Tell how far the transfer called `key` is."""
        now_s = self.clock()
        row = self._rows.get(key)
        if row is None:
            self._rows[key] = _Row(transfer, None, transfer.done_bytes, now_s)
        else:
            row.measure(transfer, now_s)
        if self._drawn_s is None:
            self._drawn_s = now_s if not self._live else now_s - TERMINAL_INTERVAL_S
        if now_s - self._drawn_s >= self._interval_s:
            self._draw(now_s)

    def done(self, key: str) -> None:
        """Take a transfer's row away, leaving its last state as a line of its own."""
        row = self._rows.pop(key, None)
        if row is not None:
            self.say(_line(key, row, self._width()))

    def say(self, text: str) -> None:
        """A lasting line above the live ones."""
        if self.stream is None:
            return
        self._erase()
        self._write(text + "\n")
        if self._live:
            self._draw(self.clock())

    def close(self) -> None:
        """Draw the last state and leave the terminal as it should be; may be called twice."""
        if self._rows:
            self._draw(self.clock())
        self._rows.clear()
        self._drawn_rows = 0

    @property
    def _interval_s(self) -> float:
        if self.on_event:
            return EVENT_INTERVAL_S
        return TERMINAL_INTERVAL_S if self._live else LINE_INTERVAL_S

    def _draw(self, now_s: float) -> None:
        self._drawn_s = now_s
        if self.on_event:
            for key, row in self._rows.items():
                self.on_event(_event(key, row))
        if self.stream is None:
            return
        width = self._width()
        shown = list(self._rows.items())[: min(ROWS_MAX, self._height() - 1)]
        lines = [_line(key, row, width) for key, row in shown]
        hidden = len(self._rows) - len(shown)
        if hidden and lines:
            lines[-1] = f"… and {hidden + 1} more"
        self._erase()
        self._write("".join(line + "\n" for line in lines))
        self._drawn_rows = len(lines) if self._live else 0

    def _erase(self) -> None:
        if self._live and self._drawn_rows:
            self._write((_UP + _CLEAR_LINE) * self._drawn_rows)
        self._drawn_rows = 0

    def _write(self, text: str) -> None:
        if self.stream is None:
            return
        try:
            self.stream.write(text)
            self.stream.flush()
        except (BrokenPipeError, ValueError):
            self.stream = None  # nobody watches any more: the transfer goes on

    def _width(self) -> int | None:
        """Columns of the terminal, None where lines may be of any length."""
        return terminal_size(self.stream).columns if self._live else None

    def _height(self) -> int:
        return terminal_size(self.stream).lines if self._live else ROWS_MAX + 1


def terminal_size(stream: TextIO | None) -> os.terminal_size:
    try:
        size = os.get_terminal_size(stream.fileno()) if stream else os.terminal_size((0, 0))
    except (OSError, ValueError):
        size = os.terminal_size((0, 0))
    # a terminal that does not know its size says 0
    return os.terminal_size((size.columns or 80, size.lines or 24))


def _line(key: str, row: _Row, width: int | None) -> str:
    transfer = row.transfer
    total_bytes = transfer.total_bytes
    ratio = transfer.done_bytes / total_bytes if total_bytes else 1.0
    parts = [
        key,
        f"{100 * ratio:.1f} %",
        f"{format_size(transfer.done_bytes)} of {format_size(total_bytes)}",
    ]
    if row.rate_bytes_per_s is not None:
        parts.append(format_rate(row.rate_bytes_per_s))
    if row.eta_s:
        parts.append(f"ETA {format_duration(row.eta_s)}")
    if transfer.neighbours is not None:
        parts.append(f"{transfer.neighbours} neighbour{'' if transfer.neighbours == 1 else 's'}")
    if transfer.origin_ratio is not None:
        parts.append(f"origin {100 * transfer.origin_ratio:.0f} %")
    if transfer.note:
        parts.append(transfer.note)
    line = "  ".join(parts)
    # one column is left free: a full line would wrap, and the redraw would miss it
    return line if width is None or len(line) < width else line[: width - 2] + "…"


def _event(key: str, row: _Row) -> dict[str, Any]:
    transfer = row.transfer
    return {
        "name": key,
        "done_bytes": transfer.done_bytes,
        "total_bytes": transfer.total_bytes,
        "rate_bytes_per_s": row.rate_bytes_per_s,
        "eta_s": row.eta_s,
        "neighbours": transfer.neighbours,
        "origin_ratio": transfer.origin_ratio,
        "note": transfer.note,
    }

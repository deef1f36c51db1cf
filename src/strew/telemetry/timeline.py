"""Bins: amounts over a time whose end is not known, in a bounded number of equal steps.

When time goes beyond the last bin, each two neighbours become one and all are twice as wide: what
was short stays fine, what is long becomes coarse, and memory does not grow.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final, NamedTuple

from strew.telemetry.protocol import BINS_MAX, TICKS_PER_S, Downlink, Timeline, Uplink

WIDTH_FIRST_S: Final = 0.05
"""Width of a bin at first, that of one look. Lower: bins without a look in them; higher: transfers
of a second show little."""

RECEIVED, DUPLICATE, SENT, AWAITING, HASH, WRITE = range(6)
DOWN: Final = 6
UP: Final = DOWN + len(Downlink)
COLUMNS: Final = UP + len(Uplink)
"""Columns of a fetch's bins: six figures, then a column for each state of either link."""


class Posture(NamedTuple):
    """What keeps a node from moving more at one moment. `nowhere` counts missing chunks that no
    neighbour has; `awaiting` says that nothing could be asked of a peer beside what is coming."""

    down: Downlink
    up: Uplink
    nowhere: int = 0
    awaiting: bool = False


class BinLog:
    """`columns` rows of at most `limit` bins, which begin `width_s` wide. Times count from the
    begin."""

    def __init__(self, columns: int, width_s: float, limit: int) -> None:
        self.width_s = width_s
        self._limit = limit
        self.rows: list[list[float]] = [[] for _ in range(columns)]

    def add(self, begin_s: float, end_s: float, amounts: Sequence[tuple[int, float]]) -> None:
        """Spread (column, amount) pairs evenly from `begin_s` to `end_s`; to one moment, if these
        are equal. Times before 0 count as 0."""
        begin_s = max(0.0, begin_s)
        end_s = max(begin_s, end_s)
        while end_s > self._limit * self.width_s:
            self._widen()
        width_s = self.width_s
        first = min(int(begin_s / width_s), self._limit - 1)
        last = min(int(end_s / width_s), self._limit - 1)
        if last > first and end_s <= last * width_s:
            last -= 1
        if first == last:
            for column, amount in amounts:
                self._put(column, first, amount)
            return
        over_s = end_s - begin_s
        for place in range(first, last + 1):
            within_s = min(end_s, (place + 1) * width_s) - max(begin_s, place * width_s)
            for column, amount in amounts:
                self._put(column, place, amount * within_s / over_s)

    def _put(self, column: int, place: int, amount: float) -> None:
        row = self.rows[column]
        if place >= len(row):
            row.extend([0.0] * (place + 1 - len(row)))
        row[place] += amount

    def _widen(self) -> None:
        self.width_s *= 2.0
        for column, row in enumerate(self.rows):
            self.rows[column] = [sum(row[place : place + 2]) for place in range(0, len(row), 2)]


def fetch_log() -> BinLog:
    """The bins of one fetch."""
    return BinLog(COLUMNS, WIDTH_FIRST_S, BINS_MAX)


def timeline_of(log: BinLog, elapsed_s: float) -> Timeline:
    """What is told of a fetch that took so long."""
    rows = log.rows

    def ticks(column: int) -> tuple[int, ...]:
        return _whole(rows[column], TICKS_PER_S)

    return Timeline(
        width_s=log.width_s,
        elapsed_s=elapsed_s,
        received_bytes=_whole(rows[RECEIVED]),
        duplicate_bytes=_whole(rows[DUPLICATE]),
        sent_bytes=_whole(rows[SENT]),
        down_ticks=tuple(ticks(DOWN + state) for state in Downlink),
        up_ticks=tuple(ticks(UP + state) for state in Uplink),
        awaiting_ticks=ticks(AWAITING),
        hash_ticks=ticks(HASH),
        write_ticks=ticks(WRITE),
    )


def _whole(row: Sequence[float], scale: int = 1) -> tuple[int, ...]:
    """Rounded so that sums stay what they were: what one bin loses the next one gains."""
    found: list[int] = []
    told, so_far = 0, 0.0
    for amount in row:
        so_far += amount * scale
        found.append(round(so_far) - told)
        told += found[-1]
    while found and found[-1] == 0:
        found.pop()
    return tuple(found)

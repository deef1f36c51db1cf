"""What of a board is news to its onlookers, in frames of bounded size.

All onlookers of an artifact are sent the same frames. A frame has the numbers of the moment, and as
many rows as fit the budget; others wait for the next. States and causes go first, of all machines,
then everything else of each and its cells, in the order in which they changed. Every value is
absolute and is read when the frame is made, so a row that changed ten times while it waited is told
once.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

import msgspec

from strew.telemetry.cells import runs_changed
from strew.telemetry.rows import Row
from strew.telemetry.view import BoardChange, Flow, Progress

if TYPE_CHECKING:
    from strew.telemetry.board import Board

BYTES_PER_S: Final = 15_000.0
"""Of frames, in the long run: 0.9 MB a minute. Lower: the map of 1000 machines lags; higher:
looking on from afar costs what it should not."""

BURST_BYTES: Final = 48_000
"""Of frames at once, after a pause; and the largest frame, which readers take up to 64 KiB of."""

FRAME_ROOM_MIN: Final = 2_000
"""A frame waits until it has room for so much: below, it would be little but its own numbers."""

FLOWS_EVERY_S: Final = 2.0
FLOWS_SHARE: Final = 0.25
"""Of the budget: flows are told as a whole, so that many of them are told more rarely."""

IDLE_EVERY_S: Final = 1.0
"""A frame with numbers alone comes so often at most."""

_encoder = msgspec.json.Encoder()


class Changes:
    """What was told of one board, and what waits to be."""

    def __init__(self, board: Board) -> None:
        self._board = board
        self._urgent: dict[int, None] = {}
        self._dirty: dict[int, None] = {}
        self._joined_told = 0
        self._times_told = 0
        self._zones_told = 0
        self._point_told_s = float("-inf")
        self._progress_told: Progress | None = None
        self._flows_told: list[Flow] = []
        self._flows_due_s = 0.0
        self._frame_s = 0.0
        self._room = float(BURST_BYTES)
        self._room_s = 0.0

    @property
    def told(self) -> tuple[int, int, float]:
        """What was told by events: so many rows, so many times, the curves until then."""
        return self._joined_told, self._times_told, self._point_told_s

    def note(self, number: int, *, urgent: bool = False) -> None:
        """Something of this row changed."""
        if urgent:
            self._dirty.pop(number, None)
            self._urgent[number] = None
        elif number not in self._urgent:
            self._dirty[number] = None

    def flows_due(self, now: float) -> bool:
        """Whether it is time to tell flows again, as far as their bytes go."""
        return now >= self._flows_due_s

    def frame(self, progress: Progress, flows: list[Flow] | None, now: float) -> bytes | None:
        """The next frame, one line of JSON; None if there is nothing to tell, or no room yet.
        `flows` are given if they are due."""
        self._room = min(BURST_BYTES, self._room + (now - self._room_s) * BYTES_PER_S)
        self._room_s = now
        if self._room < FRAME_ROOM_MIN:
            return None
        board = self._board
        head = _encoder.encode(progress)
        room = self._room - len(head) - 200
        if flows is not None:
            size = len(_encoder.encode(flows))
            self._flows_due_s = now + max(FLOWS_EVERY_S, size / (FLOWS_SHARE * BYTES_PER_S))
            is_news, self._flows_told = flows != self._flows_told, flows
            room -= size if is_news else 0
            flows = flows if is_news else None
        joined, room = self._joined(room, now)
        machines, cells = self._rows(room, now)
        times_s = [round(of, 3) for of in board.times_s[self._times_told :]]
        point = board.series.after(self._point_told_s)
        has_news = joined or machines or cells or times_s or flows is not None
        if not has_news and (progress == self._progress_told or now - self._frame_s < IDLE_EVERY_S):
            return None
        change: dict[str, Any] = {
            "artifact": board.facts.artifact,
            "now_s": board.now_s(now),
            "progress": msgspec.Raw(head),
            "joined": joined,
            "machines": machines,
            "cells": cells,
            "times_s": times_s,
            "rates": point,
            "flows": flows,
            "zones": board.zones if len(board.zones) > self._zones_told else None,
        }
        made = _encoder.encode(BoardChange(**change))
        self._times_told = len(board.times_s)
        self._zones_told = len(board.zones)
        self._point_told_s = point[0] if point is not None else self._point_told_s
        self._progress_told, self._frame_s = progress, now
        self._room -= len(made)
        return made

    def settle(self, now: float) -> None:
        """Nobody listens: all of it counts as told. Whoever listened before must look anew."""
        board = self._board
        published_s = board.facts.published_unix_s
        for number in (*self._urgent, *self._dirty):
            board.rows[number].settle(now, published_s)
        self._urgent.clear()
        self._dirty.clear()
        self._joined_told = len(board.rows)
        self._times_told = len(board.times_s)
        self._zones_told = len(board.zones)
        self._point_told_s = board.series.last_s

    def _joined(self, room: float, now: float) -> tuple[list[msgspec.Raw], float]:
        """Whole rows that are new, in their order, as far as they fit."""
        board = self._board
        published_s = board.facts.published_unix_s
        found: list[msgspec.Raw] = []
        while self._joined_told < len(board.rows):
            row = board.rows[self._joined_told]
            told = _encoder.encode(row.shown_now(now, published_s))
            if len(told) > room:
                break
            room -= len(told) + 1
            row.settle(now, published_s)
            self._urgent.pop(row.number, None)
            self._dirty.pop(row.number, None)
            found.append(msgspec.Raw(told))
            self._joined_told += 1
        return found, room

    def _rows(self, room: float, now: float) -> tuple[list[msgspec.Raw], list[msgspec.Raw]]:
        """What changed in rows that were told of, and their cells, as far as they fit."""
        machines: list[msgspec.Raw] = []
        cells: list[msgspec.Raw] = []
        published_s = self._board.facts.published_unix_s
        for waiting in (self._urgent, self._dirty):
            while waiting and room > 0:
                number = next(iter(waiting))
                if number >= self._joined_told:
                    return machines, cells  # rows join in their order: it is told with that
                del waiting[number]
                row = self._board.rows[number]
                if waiting is self._urgent:
                    self._dirty[number] = None  # the rest of it in its turn
                    room -= _tell_fields(row, row.news(now, published_s), machines)
                else:
                    room -= _tell_fields(row, row.changes(now, published_s), machines)
                    room -= _tell_cells(row, cells)
        return machines, cells


def _tell_fields(row: Row, changed: dict[str, Any], into: list[msgspec.Raw]) -> int:
    if not changed:
        return 0
    told = _encoder.encode((row.number, changed))
    into.append(msgspec.Raw(told))
    return len(told) + 1


def _tell_cells(row: Row, into: list[msgspec.Raw]) -> int:
    size = 0
    cells = row.cells()
    for start, text in runs_changed(row.shown_cells, cells):
        told = _encoder.encode((row.number, start, text))
        into.append(msgspec.Raw(told))
        size += len(told) + 1
    row.shown_cells = cells
    return size

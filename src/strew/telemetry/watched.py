"""A board as whoever watches it has it: what it was when asked for, and what changed since.

The other end of strew.telemetry.view. What a change says is checked: a row that is not there or a
value of another kind is a ProtocolError, and the board is to be asked for anew.
"""

import math
from collections.abc import Sequence
from typing import Any

import msgspec

from strew.errors import ProtocolError
from strew.telemetry.series import Rates, Series
from strew.telemetry.view import BoardChange, BoardView, Flow, MachineRow, Previous, Progress

_KINDS: dict[str, Any] = {
    field.name: field.type for field in msgspec.structs.fields(MachineRow) if field.name != "id"
}
"""What may change of a machine, and what it may become."""

LATER = "both sides should run the same version of strew"


class Watched:
    """One transfer as last heard of. Read its fields at will; only `apply` changes them."""

    def __init__(self, view: BoardView) -> None:
        self.event_id = view.event_id
        """Of the last event that is in it."""
        self.artifact = view.artifact
        self.references: Sequence[str] = view.references
        self.size_bytes = view.size_bytes
        self.chunk_count = view.chunk_count
        self.columns = view.columns
        self.published_unix_s = view.published_unix_s
        self.previous: Previous | None = view.previous
        self.now_s = view.now_s
        self.progress: Progress = view.progress
        self.zones: Sequence[str] = view.zones
        self.machines: list[MachineRow] = view.machines
        self.times_s: list[float] = view.times_s
        self.flows: Sequence[Flow] = view.flows
        self.series = Series()
        rates = view.rates
        for place, at_s in enumerate(rates.at_s):
            zones = [of[place] for of in rates.zones]
            self.series.add((at_s, rates.fleet[place], rates.origin[place], zones))

    def apply(self, event_id: int, change: BoardChange) -> bool:
        """Take in one event; False if it is older than the board or of another one. ProtocolError
        if it does not fit."""
        if change.artifact != self.artifact or event_id <= self.event_id:
            return False
        self.event_id = event_id
        self.now_s, self.progress = change.now_s, change.progress
        if change.zones is not None:
            self.zones = change.zones
        self.machines += change.joined
        for number, fields in change.machines:
            row = self._row(number)
            for name, value in fields.items():
                if name in _KINDS:  # a newer tracker may tell more
                    setattr(row, name, _converted(name, value))
        for number, start, text in change.cells:
            self._paint(self._row(number), start, text)
        self.times_s += change.times_s
        if change.rates is not None and change.rates[0] > self.series.last_s:
            self.series.add(change.rates)
        if change.flows is not None:
            self.flows = change.flows
        return True

    @property
    def rates(self) -> Rates:
        """The curves so far."""
        return self.series.rates(len(self.zones), math.inf)

    def zone_of(self, row: MachineRow) -> str:
        """The name of a machine's zone; empty without one."""
        return self.zones[row.zone_index] if 0 <= row.zone_index < len(self.zones) else ""

    def _row(self, number: int) -> MachineRow:
        if not 0 <= number < len(self.machines):
            raise ProtocolError(
                f"a board of {len(self.machines)} machines: told of machine {number}", hint=LATER
            )
        return self.machines[number]

    def _paint(self, row: MachineRow, start: int, text: str) -> None:
        end = start + len(text)
        if not 0 <= start <= end <= len(row.cells):
            raise ProtocolError(
                f"a board of {self.columns} columns: told of {start} to {end}", hint=LATER
            )
        row.cells = row.cells[:start] + text + row.cells[end:]


def _converted(name: str, value: object) -> object:
    try:
        return msgspec.convert(value, _KINDS[name])
    except msgspec.ValidationError as error:
        raise ProtocolError(f"bad board: {name}: {error}", hint=LATER) from None

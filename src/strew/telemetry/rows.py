"""One machine of a board: what it announced and told, and what an onlooker was shown of it."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Final

from strew.messages import PeerId
from strew.telemetry.cells import NOTHING, cells_of, columns_of
from strew.telemetry.protocol import Downlink, Source, SwarmTelemetry, Uplink
from strew.telemetry.stragglers import FINE, Probe, Verdict
from strew.telemetry.view import Cause, MachineRow, MachineState

SHARES_MEMORY: Final = 0.5
"""Weight of the newest message in the shares of states: three of them make most of it. Higher: a
cause flickers; lower: it is told late."""

STALE_AFTER_S: Final = 5.0
"""A rate of a machine that has told nothing for so long, and for three times what it was asked to
wait, is no rate."""

SILENCE_TOLD_S: Final = 2.0
"""A silence is told again when it has grown by so much, once the machine has a cause."""


@dataclass(frozen=True, slots=True)
class MachineTold:
    """What an announce tells of a machine's part in one artifact. `done_unix_s` is None if it is
    not done, or was before anybody looked; `reason` is of a paused or failed fetch."""

    id: PeerId
    host: str
    port: int
    zone: str
    state: MachineState
    is_origin: bool
    follows: bool
    have_chunks: int
    received_bytes: int = 0
    received_origin_bytes: int = 0
    duplicate_bytes: int = 0
    sent_bytes: int = 0
    received_bytes_per_s: float = 0.0
    sent_bytes_per_s: float = 0.0
    done_unix_s: float | None = None
    reason: str = ""


class Row:
    """See the module. Times are unix seconds; the board changes it, and nobody else."""

    __slots__ = (
        "_cells",
        "_cells_of",
        "bits",
        "chunk_count",
        "counted",
        "done_unix_s",
        "down",
        "duplicate_bytes",
        "follows",
        "have_chunks",
        "heard_s",
        "host",
        "id",
        "is_origin",
        "number",
        "port",
        "probe",
        "rates",
        "reason",
        "received_bytes",
        "received_bytes_per_s",
        "received_origin_bytes",
        "reused_bytes",
        "sent_bytes",
        "sent_bytes_per_s",
        "shown",
        "shown_cells",
        "state",
        "suspected",
        "telemetry",
        "told_s",
        "up",
        "verdict",
        "zone",
        "zone_index",
    )

    def __init__(self, number: int, told: MachineTold, chunk_count: int, zone_index: int) -> None:
        self.number = number
        self.id = told.id
        self.chunk_count = chunk_count
        self.zone, self.zone_index = told.zone, zone_index
        self.bits = 0
        self.counted = 0
        """Those of `bits` that the board's count of copies has in it."""
        self.have_chunks = 0
        self.received_bytes = self.received_origin_bytes = self.reused_bytes = 0
        self.sent_bytes = self.duplicate_bytes = 0
        self.received_bytes_per_s = self.sent_bytes_per_s = 0.0
        self.done_unix_s: float | None = None
        self.state: MachineState = told.state
        self.reason = told.reason
        self.telemetry: SwarmTelemetry | None = None
        self.told_s = self.heard_s = 0.0
        self.down: tuple[float, ...] = ()
        """Shares of the last seconds by Downlink; empty while nothing was told."""
        self.up: tuple[float, ...] = ()
        self.probe: Probe = ""
        self.rates: tuple[float, float] = (0, 0)
        """Configured, down and up; 0 for no limit."""
        self.verdict: Verdict = FINE
        self.suspected: tuple[Cause, float] = ("", 0.0)
        """The last judgement's cause, and since when it is the same."""
        self.shown: dict[str, Any] = {}
        self.shown_cells = NOTHING * columns_of(chunk_count)
        self._cells = self.shown_cells
        self._cells_of: tuple[int, str] = (0, "")
        self.hear(told, 0.0)

    @property
    def is_live(self) -> bool:
        return self.state != "gone"

    @property
    def is_under_way(self) -> bool:
        """Whether it is to get the artifact, and has not got it."""
        return self.state in ("fetching", "paused", "waiting") and not self.is_origin

    @property
    def part(self) -> float:
        """Of the chunks: how many are there."""
        return self.have_chunks / self.chunk_count if self.chunk_count else 1.0

    def hear(self, told: MachineTold, now: float) -> None:
        """An announce. Counts of telemetry are newer than those of an announce just before it."""
        self.host, self.port = told.host, told.port
        tells = self.telemetry is not None and now - self.told_s <= STALE_AFTER_S
        keeps = tells or self.state == "seeding"  # it had all of it, whatever took its place since
        if not (told.state == "waiting" and keeps):
            self.state, self.reason = told.state, told.reason
        self.is_origin, self.follows = told.is_origin, told.follows
        self.heard_s = max(self.heard_s, now)
        self.done_unix_s = told.done_unix_s
        if not tells:
            self.received_bytes_per_s = told.received_bytes_per_s
            self.sent_bytes_per_s = told.sent_bytes_per_s
            self.have_chunks = told.have_chunks
        self.have_chunks = max(self.have_chunks, told.have_chunks)
        if told.state == "seeding":
            self.have_chunks = self.chunk_count
            self.received_bytes_per_s = 0.0
        self.received_bytes = max(self.received_bytes, told.received_bytes)
        self.received_origin_bytes = max(self.received_origin_bytes, told.received_origin_bytes)
        self.sent_bytes = max(self.sent_bytes, told.sent_bytes)
        self.duplicate_bytes = max(self.duplicate_bytes, told.duplicate_bytes)

    def tell(self, told: SwarmTelemetry, now: float) -> None:
        """Telemetry, whose bitfield the board has taken already. Who tells of it has begun, also
        where its next announce is yet to say so."""
        if self.state == "waiting" and not told.origin:
            self.state = "fetching"
        self.telemetry = told
        self.told_s = self.heard_s = now
        self.have_chunks = self.bits.bit_count()
        self.received_origin_bytes = told.received_origin_bytes
        self.received_bytes = (
            told.received_origin_bytes + told.received_near_bytes + told.received_far_bytes
        )
        self.reused_bytes = told.reused_bytes
        self.sent_bytes = told.sent_bytes
        self.duplicate_bytes = told.duplicate_bytes
        has_all = self.have_chunks == self.chunk_count
        self.received_bytes_per_s = 0.0 if has_all else told.received_bytes_per_s
        self.sent_bytes_per_s = told.sent_bytes_per_s
        self.down = _blend(self.down, told.down, len(Downlink))
        self.up = _blend(self.up, told.up, len(Uplink))
        self.probe = ""

    def leave(self) -> None:
        """Its lease ended, or it said goodbye."""
        self.state = "gone"
        self.received_bytes_per_s = self.sent_bytes_per_s = 0.0

    def rest(self, now: float, wait_s: float) -> None:
        """Forget rates that are of long ago; `wait_s` is how long it may be silent."""
        if now - max(self.heard_s, self.told_s) > max(STALE_AFTER_S, wait_s):
            self.received_bytes_per_s = self.sent_bytes_per_s = 0.0

    def cells(self) -> str:
        """Its row of the map."""
        told = self.telemetry
        sources = told.sources if told is not None and not self.is_origin else ""
        if (self.bits, sources) != self._cells_of:
            self._cells_of = (self.bits, sources)
            otherwise = Source.LOCAL if self.is_origin else Source.FAR
            self._cells = cells_of(self.bits, self.chunk_count, sources, otherwise=otherwise)
        return self._cells

    def silent_s(self, now: float) -> float:
        """Since the last word of it."""
        return max(0.0, now - self.heard_s)

    def shown_now(self, now: float, published_s: float) -> MachineRow:
        """What an onlooker is shown of it."""
        telemetry = self.telemetry
        return MachineRow(
            id=self.id,
            host=self.host,
            port=self.port,
            zone_index=self.zone_index,
            state=self.state,
            is_origin=self.is_origin,
            follows=self.follows,
            have_chunks=self.have_chunks,
            received_bytes_per_s=rounded(self.received_bytes_per_s),
            sent_bytes_per_s=rounded(self.sent_bytes_per_s),
            done_s=self.done_s(published_s),
            silent_s=round(self.silent_s(now), 1),
            cause=self.verdict.cause,
            why=self.verdict.why,
            remedy=self.verdict.remedy,
            received_bytes=self.received_bytes,
            received_origin_bytes=self.received_origin_bytes,
            reused_bytes=self.reused_bytes,
            sent_bytes=self.sent_bytes,
            duplicate_bytes=self.duplicate_bytes,
            neighbours=telemetry.neighbours if telemetry is not None else 0,
            cells=self.cells(),
        )

    def done_s(self, published_s: float) -> float | None:
        """When it was done, from the publication on."""
        if self.done_unix_s is None:
            return None
        return round(max(0.0, self.done_unix_s - published_s), 3)

    def news(self, now: float, published_s: float) -> dict[str, Any]:
        """As `changes`, of what an onlooker is to see first."""
        fresh = self.facts(now, published_s)
        changed = {name: fresh[name] for name in _URGENT if self.shown.get(name) != fresh[name]}
        self.shown = self.shown | changed
        return changed

    def changes(self, now: float, published_s: float) -> dict[str, Any]:
        """The fields that read otherwise than they were shown, which are shown with this."""
        fresh = self.facts(now, published_s)
        shown = self.shown
        changed = {name: value for name, value in fresh.items() if shown.get(name) != value}
        if set(changed) == {"silent_s"}:
            grown_s = fresh["silent_s"] - shown["silent_s"]
            if not fresh["cause"] or 0 <= grown_s < SILENCE_TOLD_S:
                return {}
        self.shown = fresh
        return changed

    def facts(self, now: float, published_s: float) -> dict[str, Any]:
        """All fields that change, by their names."""
        row = self.shown_now(now, published_s)
        return {name: getattr(row, name) for name in _CHANGING}

    def settle(self, now: float, published_s: float) -> None:
        """All of it was shown."""
        self.shown = self.facts(now, published_s)
        self.shown_cells = self.cells()


_CHANGING = tuple(name for name in MachineRow.__struct_fields__ if name not in ("id", "cells"))


_URGENT = ("state", "have_chunks", "done_s", "cause", "why", "remedy")
assert set(_URGENT) <= set(_CHANGING)


def rounded(rate: float) -> float:
    """A rate to three digits: more is no news."""
    return float(f"{rate:.3g}")


def _blend(before: tuple[float, ...], told: tuple[float, ...], size: int) -> tuple[float, ...]:
    """Shares with the newest ones in; a message without any changes nothing."""
    if not any(told):
        return before
    told = (*told, *([0.0] * (size - len(told))))
    if not before:
        return told
    weight = SHARES_MEMORY
    return tuple(weight * new + (1 - weight) * old for old, new in zip(before, told, strict=True))

"""Board: all that is known of one transfer at this moment, for people to look at.

Theory of operation. Announces (`hear`) say who takes part and what became of it, telemetry (`tell`)
says which chunks, how fast and what for; both replace what was known of a machine. Machines keep
their row for as long as the board lives, also when they leave. `sample` adds a point to the curves,
`judge` says who lags. `view` is the whole, `strew.telemetry.changes` what of it
is news to onlookers. Nothing is computed for a machine before somebody looks at it. Times are unix
seconds of one steady clock.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from heapq import nlargest
from operator import itemgetter
from statistics import median
from typing import Final

from strew.content.bitfield import Bitfield
from strew.errors import ProtocolError
from strew.messages import PeerId
from strew.telemetry.cells import columns_of
from strew.telemetry.changes import Changes
from strew.telemetry.copies import Copies
from strew.telemetry.progress import (
    Facts,
    is_over,
    least_of,
    link_rate,
    progress_of,
    usual_of,
)
from strew.telemetry.protocol import LinkTelemetry, SwarmTelemetry
from strew.telemetry.rows import MachineTold, Row, rounded
from strew.telemetry.series import ZONES_MAX, Series
from strew.telemetry.stragglers import FINE, Probe, Signs, Verdict, diagnose
from strew.telemetry.view import (
    FLOWS_MAX,
    BoardView,
    Cause,
    Flow,
    Previous,
    Progress,
    TransferSummary,
)

ROWS_MAX: Final = 20_000
"""Machines of a board, as many as a tracker keeps; about 1 kB each and their bitfields. Those that
left count, as rows keep their place."""

SILENT_INTERVALS: Final = 3
"""A machine that tells is silent when it let so many of its messages be missed."""

SILENT_MIN_S: Final = 4.0
"""And not before so long. Lower: a machine that is busy for a moment is probed."""

SILENT_UNTOLD_S: Final = 12.0
"""The same of a machine that only announces, or is asked to tell rarely: whoever fetches announces
every 10 s."""

LOST_AFTER_S: Final = 4.0
"""A chunk is on no machine when none has told of it for so long: what just arrived is told of in
the next message."""

WAITED_FOR_S: Final = 120.0
"""A transfer in which nobody fetches is over for a list, whoever follows its name and never began:
for so long after its publication somebody still may."""

FLOWS_EACH_MIN: Final = 8
FLOWS_SPARE: Final = 4
"""Links of one machine that are looked at for the largest of all: four times its even share. Lower:
a machine that serves many loses its smaller flows; higher: 40,000 links take 60 ms."""

DEAD: Final[frozenset[Cause]] = frozenset(("ended", "cut-off", "stalled"))
"""Nobody can fetch from a machine with one of these causes."""

COMPARED: Final[frozenset[Cause]] = frozenset(
    ("slow-down", "slow-up", "slow-disk", "few-neighbours")
)
LASTING_S: Final = 3.0
"""Causes that come of comparing are told when they have held so long. Lower: what a machine does
for a moment is told as its fault; higher: people wait for what they could know."""

Bans = Mapping[PeerId, tuple[int, str]]
"""How many machines do not deal with a peer, and why."""


class Board:
    """See the module."""

    def __init__(self, facts: Facts) -> None:
        self.facts = facts
        self.rows: list[Row] = []
        self.zones: list[str] = []
        self.times_s: list[float] = []
        """When machines were done, since the publication, in the order in which it was heard."""
        self.series = Series()
        self.changes = Changes(self)
        self._numbers: dict[PeerId, int] = {}
        self._copies = Copies(facts.chunk_count)
        self._full = (1 << facts.chunk_count) - 1
        self._lost = 0
        self._lost_since_s = 0.0
        self.heard_s = 0.0
        """The last word of anybody."""

    # --- what is heard ---------------------------------------------------------------------------

    def name(self, facts: Facts) -> None:
        """The artifact's names changed, its publication did not."""
        self.facts = facts

    def hear(self, told: MachineTold, now: float) -> None:
        """A machine announced. One too many is not shown."""
        number = self._numbers.get(told.id)
        if number is None:
            if len(self.rows) >= ROWS_MAX:
                return
            number = self._numbers[told.id] = len(self.rows)
            zone = self._zone_index(told.zone)
            row = Row(number, told, self.facts.chunk_count, zone)
            row.heard_s = now
            self.rows.append(row)
            was = ""
        else:
            row = self.rows[number]
            was = row.state
            row.hear(told, now)
        self.heard_s = now
        if row.state == "seeding" and row.bits != self._full:
            row.bits = self._full
        self._count(row, row.bits)
        if was != "seeding" and row.state == "seeding" and row.done_unix_s is not None:
            done_s = row.done_s(self.facts.published_unix_s)
            if done_s is not None and not row.is_origin:
                self.times_s.append(done_s)
        self.changes.note(number, urgent=was != row.state)

    def tell(
        self, peer: PeerId, told: SwarmTelemetry, now: float, *, rates: tuple[float, float] = (0, 0)
    ) -> bool:
        """A machine told its moment, and the rates it is configured to receive and send at most (0
        for no limit); False if it has no row, by its announces. ProtocolError if its chunks are
        none of this artifact's."""
        number = self._numbers.get(peer)
        if number is None:
            return False
        if told.chunk_count != self.facts.chunk_count:
            raise ProtocolError(
                f"bad telemetry: {told.chunk_count} chunks of an artifact of "
                f"{self.facts.chunk_count}",
                hint="both sides should run the same version of strew",
            )
        row = self.rows[number]
        bits = Bitfield.from_wire(told.have, told.chunk_count).bits
        row.bits = self._full if bits == self._full else bits
        if row.is_live:
            self._count(row, row.bits)
        row.tell(told, now)
        row.rates = rates
        self.heard_s = now
        self.changes.note(number)
        return True

    def left(self, peer: PeerId, now: float) -> None:
        """A machine said goodbye, or its lease ended."""
        row = self.row(peer)
        if row is not None and row.is_live:
            row.leave()
            self._count(row, 0)
            self.heard_s = now
            self.changes.note(row.number, urgent=True)

    def probed(self, peer: PeerId, probe: Probe) -> None:
        """What a probe of a silent machine met."""
        row = self.row(peer)
        if row is not None and row.probe != probe:
            row.probe = probe
            self.changes.note(row.number, urgent=True)

    def row(self, peer: PeerId) -> Row | None:
        """The row of a machine."""
        number = self._numbers.get(peer)
        return None if number is None else self.rows[number]

    def have_of(self, peer: PeerId) -> bytes | None:
        """Which chunks a machine has, a Bitfield in its wire form; None if nobody told."""
        row = self.row(peer)
        if row is None or (row.telemetry is None and row.state != "seeding"):
            return None
        return Bitfield(self.facts.chunk_count, row.bits).to_wire()

    # --- time passes -----------------------------------------------------------------------------

    @property
    def is_over(self) -> bool:
        """Every machine that follows is done or failed."""
        return is_over(row for row in self.rows if not row.is_origin and row.is_live)

    def waiting_rows(self) -> int:
        """How many machines are to get the artifact and have not got it."""
        return sum(1 for row in self.rows if row.is_under_way)

    def judge(self, now: float, wait_s: float, bans: Bans) -> None:
        """Now and then while it is not over: who lags, and why. `wait_s` is how long a machine is
        asked to be silent between two messages."""
        over = self.is_over
        usual = usual_of(self.rows)
        lost = self._lost_for_good(now)
        for row in self.rows:
            signs = self._signs(row, now, wait_s, bans, lost, is_over=over)
            verdict = _lasting(row, diagnose(signs, usual), now)
            if verdict != row.verdict:
                is_other = verdict.cause != row.verdict.cause
                row.verdict = verdict
                self.changes.note(row.number, urgent=is_other)
            elif verdict.cause and signs.is_silent:
                self.changes.note(row.number)
            if row.is_live:  # what a dead machine has is no copy, also while its lease runs
                self._count(row, 0 if verdict.cause in DEAD else row.bits)

    def silent(self, now: float, wait_s: float) -> Iterator[Row]:
        """Machines to be probed: silent for longer than they should be, and somebody may wait for
        what they have or lack."""
        if self.waiting_rows():
            for row in self.rows:
                if (row.is_under_way or row.is_origin) and self._is_silent(row, now, wait_s):
                    yield row

    def _is_silent(self, row: Row, now: float, wait_s: float) -> bool:
        if row.state == "paused":
            return False
        silent_s = min(row.silent_s(now), now - self.facts.published_unix_s)
        tells = row.telemetry is not None
        after_s = max(SILENT_MIN_S, SILENT_INTERVALS * wait_s) if tells else SILENT_UNTOLD_S
        return silent_s > min(after_s, SILENT_UNTOLD_S)

    def sample(self, now: float, wait_s: float) -> None:
        """About once a second while it is not over: a point of the curves."""
        at_s = round(now - self.facts.published_unix_s, 2)
        if not self.series.due(at_s):
            return
        fleet = origin = 0.0
        zones = [0.0] * min(len(self.zones), ZONES_MAX)
        for row in self.rows:
            row.rest(now, SILENT_INTERVALS * wait_s)
            if row.is_origin:
                origin += row.sent_bytes_per_s
                continue
            fleet += row.received_bytes_per_s
            if row.zone_index < len(zones):
                zones[row.zone_index] += row.received_bytes_per_s
        self.series.add((at_s, rounded(fleet), rounded(origin), [rounded(of) for of in zones]))

    def _signs(
        self, row: Row, now: float, wait_s: float, bans: Bans, lost: int, *, is_over: bool
    ) -> Signs:
        told = row.telemetry
        banned_by, ban_reason = bans.get(row.id, (0, ""))
        since_s = now - self.facts.published_unix_s
        return Signs(
            state=row.state,
            is_origin=row.is_origin,
            is_over=is_over,
            reason=row.reason,
            silent_s=row.silent_s(now),
            is_silent=self._is_silent(row, now, wait_s),
            probe=row.probe,
            since_s=told.elapsed_s if told is not None else since_s,
            part=row.part,
            down=row.down,
            up=row.up,
            told=told,
            lost_chunks=(lost & ~row.bits).bit_count() if lost else 0,
            banned_by=banned_by,
            ban_reason=ban_reason,
        )

    def _lost_for_good(self, now: float) -> int:
        """The chunks that no machine which lives has had for a while; none while some machine under
        way has not told what it has."""
        lost = self._copies.nowhere()
        untold = (
            row.is_under_way and row.telemetry is None and row.have_chunks for row in self.rows
        )
        if not lost or any(untold):
            self._lost = 0
            return 0
        still = lost & self._lost
        if not still:
            self._lost, self._lost_since_s = lost, now
            return 0
        self._lost = still
        return still if now - self._lost_since_s >= LOST_AFTER_S else 0

    # --- what is shown ---------------------------------------------------------------------------

    def view(
        self,
        now: float,
        event_id: int,
        links: Mapping[PeerId, Sequence[LinkTelemetry]],
        previous: Previous | None,
    ) -> BoardView:
        """All of it, with as many machines, times and points as were told by events: those that
        follow `event_id` tell of the rest."""
        facts = self.facts
        rows, times, point_s = self.changes.told
        return BoardView(
            event_id=event_id,
            now_s=self.now_s(now),
            published_unix_s=facts.published_unix_s,
            artifact=facts.artifact,
            references=list(facts.references),
            name=facts.name,
            size_bytes=facts.size_bytes,
            chunk_count=facts.chunk_count,
            columns=columns_of(facts.chunk_count),
            progress=self.progress(now),
            zones=list(self.zones),
            machines=[row.shown_now(now, facts.published_unix_s) for row in self.rows[:rows]],
            times_s=sorted(self.times_s[:times]),
            previous=previous,
            rates=self.series.rates(len(self.zones), point_s),
            flows=self.flows(links, FLOWS_MAX),
        )

    def progress(self, now: float) -> Progress:
        """Its numbers at this moment."""
        return progress_of(self.facts, self.rows, self._copies.rarest(), now)

    def now_s(self, now: float) -> float:
        """Since the publication."""
        return round(now - self.facts.published_unix_s, 2)

    def flows(self, links: Mapping[PeerId, Sequence[LinkTelemetry]], limit: int) -> list[Flow]:
        """Who sent how much to whom, the most first. Where both ends tell, the receiver is
        believed: what it counts arrived. In a large fleet the largest links of each machine
        stand for all: it tells them in that order, and no more would fit."""
        each = max(FLOWS_EACH_MIN, FLOWS_SPARE * limit // max(1, len(self.rows)))
        found: dict[tuple[int, int], int] = {}
        rows, _, _ = self.changes.told
        for row in self.rows[:rows]:
            for link in links.get(row.id, ())[:each]:
                other = self._numbers.get(link.peer)
                if other is None or other >= rows:
                    continue
                if link.received_bytes:
                    found[other, row.number] = link.received_bytes
                if link.sent_bytes and link.peer not in links:
                    found[row.number, other] = link.sent_bytes
        largest = nlargest(limit, found.items(), key=itemgetter(1))
        return [(sender, receiver, count) for (sender, receiver), count in largest]

    def summary(self, now: float) -> TransferSummary:
        """It in a list."""
        facts = self.facts
        told = progress_of(facts, self.rows, None, now)
        times_s = sorted(self.times_s)
        is_late = now - facts.published_unix_s > WAITED_FOR_S
        is_over = told.over or (not told.fetching and not told.paused and is_late)
        ended = "partial" if told.done < told.total else "done"
        return TransferSummary(
            artifact=facts.artifact,
            reference=facts.references[0] if facts.references else "",
            name=facts.name,
            size_bytes=facts.size_bytes,
            chunk_count=facts.chunk_count,
            published_unix_s=facts.published_unix_s,
            state=ended if is_over else "running",  # type: ignore[arg-type]
            total=told.total,
            done=told.done,
            failed=told.failed,
            seconds_last=times_s[-1] if times_s else None,
            seconds_median=median(times_s) if times_s else None,
            line_seconds=told.line_seconds,
            bound_seconds=told.bound_seconds,
            ratio_to_bound=told.ratio_end,
            origin_sent_ratio=told.origin_sent_ratio,
        )

    def as_previous(self) -> Previous:
        """It as what a later transfer is compared with."""
        facts = self.facts
        total = sum(1 for row in self.rows if not row.is_origin)
        link, _ = link_rate(self.rows)
        _, bound_s = least_of(facts, self.rows, link)
        return Previous(
            reference=facts.references[0] if facts.references else "",
            artifact=facts.artifact,
            size_bytes=facts.size_bytes,
            published_unix_s=facts.published_unix_s,
            total=total,
            times_s=sorted(self.times_s),
            bound_seconds=bound_s,
        )

    def _zone_index(self, zone: str) -> int:
        if zone not in self.zones:
            self.zones.append(zone)
        return self.zones.index(zone)

    def _count(self, row: Row, bits: int) -> None:
        if row.counted != bits:
            self._copies.move(row.counted, bits)
            row.counted = bits


def _lasting(row: Row, verdict: Verdict, now: float) -> Verdict:
    """The verdict to be told: one that comes of comparing has to hold for a while."""
    if verdict.cause == row.suspected[0]:
        since_s = row.suspected[1]
    else:
        row.suspected = (verdict.cause, since_s := now)
    is_new = verdict.cause in COMPARED and verdict.cause != row.verdict.cause
    return FINE if is_new and now - since_s < LASTING_S else verdict

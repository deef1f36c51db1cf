"""Recorder: makes the Recording of one transfer, message by message, in bounded room.

A machine that fetches is waited for: its timeline comes when it is done, and has all of it. What a
machine's uplink does after that, and an origin's all along, is in the shares of each message.
"""

from __future__ import annotations

from itertools import accumulate
from typing import Final, NamedTuple

import msgspec

from strew.content.bitfield import Bitfield
from strew.errors import ProtocolError
from strew.messages import PeerId
from strew.publication import COUNT_MAX, Publication
from strew.telemetry.causes import losses_of
from strew.telemetry.protocol import TICKS_PER_S, SwarmTelemetry, Telemetry, Timeline, Uplink
from strew.telemetry.recording import (
    FLEET_BINS_MAX,
    MACHINES_MAX,
    FleetTimeline,
    Kind,
    LinkFrom,
    RecordedMachine,
    Recording,
)
from strew.telemetry.timeline import BinLog

FLEET_WIDTH_FIRST_S: Final = 0.05
"""Width of a step at first, that of a timeline's bins."""

SENT: Final = len(Uplink)
ORIGIN, ORIGIN_BUSY, ORIGIN_SENT = SENT + 1, SENT + 2, SENT + 3
_COLUMNS: Final = SENT + 4

GIVEN_RATIO: Final = 0.99
"""An origin that sent so much of the size has given every chunk away, but for what is under way."""

GIVEN_OVER_S: Final = 0.5
"""Over how long it is looked how much an origin gave: it hands chunks over whole. Lower: a slow one
seems to give nothing and then much; higher: what is short is not seen."""

GIVEN_OVER_CHUNKS: Final = 24
"""And over so many chunks at least: as many are on their way from it at one time."""

BUSY: Final = (Uplink.SENDING, Uplink.LIMITED)


class Who(NamedTuple):
    """Where a machine is."""

    id: PeerId
    host: str = ""
    port: int = 0
    zone: str = ""


class _Machine:
    """What is known of one. Its timeline is kept packed: as objects it takes ten times as much."""

    __slots__ = (
        "complete",
        "done_s",
        "heard_s",
        "held",
        "rates",
        "sent_bytes",
        "swarm",
        "timeline",
        "who",
    )

    def __init__(self, who: Who) -> None:
        self.who = who
        self.complete = False
        self.held = False
        self.heard_s: float | None = None
        self.rates = (0.0, 0.0)
        self.sent_bytes = 0
        self.swarm: SwarmTelemetry | None = None
        self.timeline = b""
        self.done_s: float | None = None


_pack = msgspec.msgpack.Encoder().encode
_unpack = msgspec.msgpack.Decoder(Timeline).decode


class _Sums(NamedTuple):
    """A row of amounts summed up from its begin, so that any time of it costs one subtraction."""

    sums: list[float]
    width_s: float

    def within(self, begin_s: float, end_s: float) -> float:
        return self.until(end_s) - self.until(begin_s)

    def until(self, at_s: float) -> float:
        """All of it before a time; within a step it is spread evenly."""
        place = at_s / self.width_s
        first = int(place)
        if first >= len(self.sums) - 1:
            return self.sums[-1]
        return self.sums[first] + (place - first) * (self.sums[first + 1] - self.sums[first])


class UplinksSight(NamedTuple):
    """What the uplinks of a fleet did; see strew.telemetry.causes.Uplinks."""

    size_bytes: int
    chunk_bytes: float
    capacity_bytes_per_s: float
    all_s: _Sums
    busy_s: _Sums
    sent: _Sums
    origin_sent: _Sums

    def idle(self, begin_s: float, end_s: float) -> float:
        """Share of uplinks' time in which they sent nothing."""
        all_s = self.all_s.within(begin_s, end_s)
        return max(0.0, 1.0 - self.busy_s.within(begin_s, end_s) / all_s) if all_s > 0.0 else 1.0

    def used(self, begin_s: float, end_s: float) -> float:
        """Share of what uplinks carry that was sent."""
        carried = self.capacity_bytes_per_s * (end_s - begin_s)
        return min(1.0, self.sent.within(begin_s, end_s) / carried) if carried > 0.0 else 0.0

    def ungiven(self, begin_s: float, end_s: float, link_bytes_per_s: float) -> float:
        """How far the origin gave less than a link takes, while it had not given everything."""
        if self.origin_sent.until(begin_s) >= GIVEN_RATIO * self.size_bytes:
            return 0.0
        over_s = max(GIVEN_OVER_S, GIVEN_OVER_CHUNKS * self.chunk_bytes / link_bytes_per_s)
        spare_s = max(0.0, over_s - (end_s - begin_s)) / 2.0
        begin_s, end_s = max(0.0, begin_s - spare_s), end_s + spare_s
        given = self.origin_sent.within(begin_s, end_s)
        return max(0.0, 1.0 - given / (link_bytes_per_s * (end_s - begin_s)))


class FleetLog:
    """What the uplinks of a fleet did, as it is heard."""

    def __init__(self) -> None:
        self._log = BinLog(_COLUMNS, FLEET_WIDTH_FIRST_S, FLEET_BINS_MAX)

    def timeline(self, timeline: Timeline, begun_s: float) -> None:
        """A machine's whole fetch, which began so long after the publication."""
        for column, row in [*enumerate(timeline.up_ticks), (SENT, timeline.sent_bytes)]:
            scale = 1.0 if column == SENT else 1.0 / TICKS_PER_S
            for place, amount in enumerate(row):
                begin_s = begun_s + place * timeline.width_s
                if amount:
                    self._log.add(begin_s, begin_s + timeline.width_s, [(column, amount * scale)])

    def message(self, begin_s: float, end_s: float, swarm: SwarmTelemetry, sent_bytes: int) -> None:
        """What an uplink did between two messages."""
        seconds = end_s - begin_s
        if seconds <= 0.0 or not swarm.up:
            return
        amounts = [(state, share * seconds) for state, share in enumerate(swarm.up)]
        amounts.append((SENT, sent_bytes))
        if swarm.origin:
            busy = sum(swarm.up[state] for state in BUSY if state < len(swarm.up))
            amounts += [(ORIGIN, seconds), (ORIGIN_BUSY, busy * seconds), (ORIGIN_SENT, sent_bytes)]
        self._log.add(begin_s, end_s, amounts)

    def sight(self, spread: Publication, capacity_bytes_per_s: float) -> UplinksSight:
        """How it is looked at; `capacity_bytes_per_s` is what all uplinks together carry."""
        rows = self._log.rows
        steps = max(map(len, rows))

        def summed(*columns: int) -> _Sums:
            amounts = [
                sum(rows[of][place] for of in columns if place < len(rows[of]))
                for place in range(steps)
            ]
            return _Sums(list(accumulate(amounts, initial=0.0)), self._log.width_s)

        return UplinksSight(
            spread.size_bytes,
            spread.size_bytes / max(1, spread.chunk_count),
            capacity_bytes_per_s,
            summed(*Uplink),
            summed(*BUSY),
            summed(SENT),
            summed(ORIGIN_SENT),
        )

    def told(self) -> FleetTimeline:
        """What is kept of it."""
        ticks = [_counts(row, TICKS_PER_S) for row in self._log.rows]
        payload = [_counts(row) for row in self._log.rows]
        return FleetTimeline(
            width_s=self._log.width_s,
            up_ticks=tuple(ticks[state] for state in Uplink),
            sent_bytes=payload[SENT],
            origin_ticks=ticks[ORIGIN],
            origin_busy_ticks=ticks[ORIGIN_BUSY],
            origin_sent_bytes=payload[ORIGIN_SENT],
        )


def _counts(row: list[float], scale: int = 1) -> tuple[int, ...]:
    """Whole numbers, none above what may be told, whatever machines said."""
    return tuple(min(round(amount * scale), COUNT_MAX) for amount in row)


class Recorder:
    """One publication's; `heard` takes each message, `taken` says what it came to so far."""

    def __init__(self, spread: Publication) -> None:
        self.spread = spread
        self.heard_unix_s = spread.published_s
        self._machines: dict[PeerId, _Machine] = {}
        self._left_out = 0
        self._log = FleetLog()

    def heard(self, who: Who, telemetry: Telemetry, swarm: SwarmTelemetry, now: float) -> bool:
        """Take what a machine tells of this artifact; whether its fetch is over with that. `now` is
        unix time of the clock that the publication's is of. ProtocolError."""
        if swarm.chunk_count != self.spread.chunk_count:
            raise ProtocolError(
                f"{who.id} tells of {swarm.chunk_count} chunks of {self.spread.name!a}"
            )
        have = Bitfield.from_wire(swarm.have, swarm.chunk_count)
        machine = self._machines.get(who.id)
        if machine is None:
            if len(self._machines) >= MACHINES_MAX:
                self._left_out += 1
                return False
            machine = self._machines[who.id] = _Machine(who)
        at_s = max(0.0, now - self.spread.published_s)
        self.heard_unix_s = now
        since_s = machine.heard_s if machine.heard_s is not None else at_s - swarm.elapsed_s
        ended = False
        timeline = swarm.timeline
        over_s = at_s
        if timeline is not None:
            over_s -= max(0.0, swarm.elapsed_s - timeline.elapsed_s)
            machine.held |= over_s < 0.0  # it fetched it before, by another name
        if timeline is not None and machine.done_s is None and not (swarm.origin or machine.held):
            ended = True
            machine.timeline = _pack(timeline)
            machine.done_s = None if swarm.failed else over_s
            since_s = over_s
            machine.sent_bytes = sum(timeline.sent_bytes)
            self._log.timeline(timeline, max(0.0, over_s - timeline.elapsed_s))
        if have.complete:
            sent_bytes = max(0, swarm.sent_bytes - machine.sent_bytes)
            self._log.message(max(0.0, since_s), at_s, swarm, sent_bytes)
            machine.sent_bytes = max(machine.sent_bytes, swarm.sent_bytes)
        machine.heard_s = at_s
        machine.complete = have.complete
        machine.rates = (telemetry.rate_down_bytes_per_s, telemetry.rate_up_bytes_per_s)
        machine.swarm = msgspec.structs.replace(swarm, have=b"", sources="", timeline=None)
        return ended

    def is_over(self, peer: PeerId) -> bool:
        """Whether a machine's fetch is over, as far as it told."""
        machine = self._machines.get(peer)
        return machine is not None and bool(machine.timeline)

    @property
    def under_way(self) -> int:
        """How many machines that were heard are still fetching."""
        return sum(
            not machine.timeline and not machine.complete for machine in self._machines.values()
        )

    @property
    def is_empty(self) -> bool:
        """Whether nobody that fetched has told how it was."""
        return not any(machine.timeline for machine in self._machines.values())

    def taken(
        self,
        partial: str = "",
        *,
        kind: Kind = "fleet",
        bound_s: float | None = None,
        latency_s: float = 0.0,
    ) -> Taken:
        """All of it as it is now, of which a recording can be made elsewhere, at leisure."""
        if self._left_out and not partial:
            partial = f"a recording has at most {MACHINES_MAX} machines"
        machines = [machine for machine in self._machines.values() if machine.swarm is not None]
        rows = [_row(machine) for machine in machines]
        links, link_from = _links(rows)
        carried = sum(row.rate_up_bytes_per_s or links[row.id] for row in rows)
        spread = self.spread
        base = Recording(
            artifact=spread.artifact,
            reference=spread.reference,
            name=spread.name,
            size_bytes=spread.size_bytes,
            chunk_count=spread.chunk_count,
            published_unix_s=spread.published_s,
            kind=kind,
            bound_s=bound_s,
            latency_s=latency_s,
            link_from=link_from,
            fleet=self._log.told(),
            partial=partial,
        )
        timelines = [machine.timeline for machine in machines]
        sight = self._log.sight(spread, carried)
        return Taken(base, rows, timelines, links, sight)


class Taken(NamedTuple):
    """What a recording is made of; see Recorder.taken."""

    base: Recording
    rows: list[RecordedMachine]
    timelines: list[bytes]
    links: dict[str, float]
    sight: UplinksSight

    def recording(self) -> Recording:
        """The recording: of each machine's timeline, what its time went to. A thousand machines
        take a second or two."""
        machines = []
        last: tuple[float, Timeline] | None = None
        for row, packed in zip(self.rows, self.timelines, strict=True):
            done_s, link = row.done_s, self.links[row.id]
            if not packed or done_s is None:
                machines.append(row)
                continue
            timeline = _unpack(packed)
            lost_s = losses_of(timeline, done_s, link, self.sight)
            machines.append(
                msgspec.structs.replace(
                    row,
                    begun_s=max(0.0, done_s - timeline.elapsed_s),
                    link_bytes_per_s=link,
                    lost_s=tuple(round(s, 6) for s in lost_s),
                )
            )
            if last is None or done_s > last[0]:
                last = (done_s, timeline)
        return msgspec.structs.replace(
            self.base, machines=tuple(machines), last=last[1] if last is not None else None
        )


def _row(machine: _Machine) -> RecordedMachine:
    swarm = machine.swarm
    assert swarm is not None
    fetched = swarm.received_origin_bytes + swarm.received_near_bytes + swarm.received_far_bytes
    return RecordedMachine(
        **machine.who._asdict(),
        origin=swarm.origin,
        held=machine.held or (machine.complete and not (machine.timeline or fetched)),
        failed=swarm.failed,
        done_s=machine.done_s,
        rate_down_bytes_per_s=machine.rates[0],
        rate_up_bytes_per_s=machine.rates[1],
        fastest_received_bytes_per_s=swarm.fastest_received_bytes_per_s,
        fastest_sent_bytes_per_s=swarm.fastest_sent_bytes_per_s,
        received_origin_bytes=swarm.received_origin_bytes,
        received_near_bytes=swarm.received_near_bytes,
        received_far_bytes=swarm.received_far_bytes,
        reused_bytes=swarm.reused_bytes,
        duplicate_bytes=swarm.duplicate_bytes,
        sent_bytes=swarm.sent_bytes,
        bad_chunks=swarm.bad_chunks,
    )


def _links(rows: list[RecordedMachine]) -> tuple[dict[str, float], LinkFrom]:
    """The rate of each machine's link, and how it is known: as configured, if all of them are;
    else for all the fastest second of any. No machine can have had its payload faster."""
    if rows and all(row.rate_down_bytes_per_s for row in rows):
        return {row.id: row.rate_down_bytes_per_s for row in rows}, "rate"
    fastest = max(
        # an origin may have had it over no link at all, from a publisher on the same machine
        (
            max(row.fastest_received_bytes_per_s, row.fastest_sent_bytes_per_s)
            for row in rows
            if not (row.origin or row.held)
        ),
        default=0.0,
    )
    whole = max((row.fetched_bytes / row.done_s for row in rows if row.done_s), default=0.0)
    return dict.fromkeys((row.id for row in rows), max(fastest, whole, 1.0)), "measured"

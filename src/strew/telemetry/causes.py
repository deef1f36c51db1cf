"""What a machine's time went to beyond its link's: every second of it has one cause.

From the publication to the file in place a machine takes T seconds. Its payload through a link of
rate B takes F/B; the rest is lost, and is given to what the machine was doing meanwhile, bin by
bin. Of the time in which chunks arrived, F/B is taken off where they came (a chunk counts where it
was whole, so what does not fit there is taken off before), and what is left of it, with all other
time, goes to the causes below. So they add up by how they are made, not by luck.

While nothing that is missing can be asked of others, first copies are due: that is the origin's
doing as far as it gives less than a link takes; beyond that, others pass on too slowly what they
have. Whether others could have sent more is read from the fleet's uplinks of the same moment:
where they were idle, a machine that nobody offered anything had bad luck with the schedule; where
they were busy, there was nothing to be had.
"""

from __future__ import annotations

from collections.abc import Sequence
from enum import StrEnum
from typing import Final, NamedTuple, Protocol

from strew.telemetry.protocol import TICKS_PER_S, Downlink, Timeline

ASKED_LONG_S: Final = 0.5
"""Asked for chunks, and nothing came for so long: that is no message's way there and back, but a
sender that does not send. Lower: a slow control path is blamed on senders; higher: the reverse."""

ASKED_RATIO: Final = 0.9
"""A bin is spent waiting for what was asked if so much of it is: the rest is the edge of a look."""


class Cause(StrEnum):
    """In the order in which they are told."""

    START = "start"
    FIRST_COPIES = "first-copies"
    UPLINKS_IDLE = "uplinks-idle"
    UPLINKS_BUSY = "uplinks-busy"
    SLOW_SENDERS = "slow-senders"
    DUPLICATES = "duplicates"
    CONTROL = "control"
    DISK = "disk"
    HASH = "hash"
    FINISHING = "finishing"


TEXTS: Final[dict[Cause, str]] = {
    Cause.START: "until chunks could come: news, announce, manifest, connections",
    Cause.FIRST_COPIES: "only an origin had what was missing, and it gave less than a link takes",
    Cause.UPLINKS_IDLE: "others had what was missing and room to send it, and offered nothing",
    Cause.UPLINKS_BUSY: "who had what was missing was sending to others",
    Cause.SLOW_SENDERS: "chunks came more slowly than the link carries, or not at all when asked",
    Cause.DUPLICATES: "chunks that were here already came again",
    Cause.CONTROL: "asked for chunks, and the messages were on their way",
    Cause.DISK: "waited for the disk, or was paused for it",
    Cause.HASH: "waited for digests to be computed",
    Cause.FINISHING: "all was here, and was being put in its place",
}

CAUSES: Final = tuple(Cause)


class Uplinks(Protocol):
    """What all machines' uplinks did, by time since the publication."""

    def idle(self, begin_s: float, end_s: float) -> float:
        """Share of their time in which they sent nothing, from 0 to 1."""

    def used(self, begin_s: float, end_s: float) -> float:
        """Share of what they carry that was sent, from 0 to 1."""

    def ungiven(self, begin_s: float, end_s: float, link_bytes_per_s: float) -> float:
        """How far the origin gave less than a link takes, from 0 to 1; 0 once all is given."""


class _Bin(NamedTuple):
    """One bin of a timeline in seconds; `states` by Downlink."""

    begin_s: float
    end_s: float
    states: list[float]
    arrived_s: float
    """In which chunks arrived, before anything was taken off."""
    awaiting_s: float
    received_bytes: int
    duplicate_bytes: int
    hash_s: float
    write_s: float


def losses_of(
    timeline: Timeline, done_s: float, link_bytes_per_s: float, uplinks: Uplinks
) -> tuple[float, ...]:
    """Seconds by cause, in the order of Cause: their sum is `done_s` less payload over link.

    `done_s` counts from the publication. What the timeline does not cover was before it: START.
    """
    begun_s = max(0.0, done_s - timeline.elapsed_s)
    bins = _bins(timeline, begun_s)
    lost = dict.fromkeys(CAUSES, 0.0)
    covered_s = sum(sum(of.states) for of in bins)
    lost[Cause.START] += max(0.0, done_s - covered_s)
    short_s = max(0.0, covered_s - done_s)  # it was begun before the publication
    short_s += _take_payload(bins, link_bytes_per_s)
    waits = _long_waits(bins)
    began = False
    for of, waits_long in zip(bins, waits, strict=True):
        # until anything came, the way of the first chunk was not filled yet
        first = uplinks.ungiven(of.begin_s, of.end_s, link_bytes_per_s) if began else 1.0
        began |= of.received_bytes > 0
        _receiving(of, lost, link_bytes_per_s, uplinks, first)
        _waiting(of, lost, uplinks, first, waits_long=waits_long)
        lost[Cause.START] += of.states[Downlink.STARTING]
        lost[Cause.FINISHING] += of.states[Downlink.FINISHING]
        _stored(of, lost, of.states[Downlink.STORING])
    _take_back(lost, short_s)
    return tuple(lost.values())


def _bins(timeline: Timeline, begun_s: float) -> list[_Bin]:
    """Those of a timeline that begins so long after the publication."""
    rows = [*timeline.down_ticks, *([()] * (len(Downlink) - len(timeline.down_ticks)))]
    count = max(map(len, (*rows, timeline.received_bytes, timeline.duplicate_bytes)), default=0)

    def at(row: Sequence[int], place: int) -> int:
        return row[place] if place < len(row) else 0

    return [
        _Bin(
            begun_s + place * timeline.width_s,
            begun_s + (place + 1) * timeline.width_s,
            [at(row, place) / TICKS_PER_S for row in rows],
            at(rows[Downlink.RECEIVING], place) / TICKS_PER_S,
            at(timeline.awaiting_ticks, place) / TICKS_PER_S,
            at(timeline.received_bytes, place),
            at(timeline.duplicate_bytes, place),
            at(timeline.hash_ticks, place) / TICKS_PER_S,
            at(timeline.write_ticks, place) / TICKS_PER_S,
        )
        for place in range(count)
    ]


def _take_payload(bins: list[_Bin], link_bytes_per_s: float) -> float:
    """Take the payload's time at link rate off the time in which chunks arrived: where they were
    whole, or before, or at last after. Returns what could not be taken off anywhere."""
    owed_s = 0.0
    for of in reversed(bins):
        owed_s = _take(of, owed_s + of.received_bytes / link_bytes_per_s)
    for of in bins:
        owed_s = _take(of, owed_s)
    return owed_s


def _take(of: _Bin, wanted_s: float) -> float:
    """Take seconds off a bin's receiving time; what is still owed."""
    taken_s = min(wanted_s, of.states[Downlink.RECEIVING])
    of.states[Downlink.RECEIVING] -= taken_s
    return wanted_s - taken_s


def _receiving(
    of: _Bin, lost: dict[Cause, float], link_bytes_per_s: float, uplinks: Uplinks, first: float
) -> None:
    """Chunks were arriving, and more would have gone through the link."""
    left_s = of.states[Downlink.RECEIVING]
    again_s = of.duplicate_bytes / link_bytes_per_s
    twice_s = min(left_s, again_s)
    lost[Cause.DUPLICATES] += twice_s
    left_s -= twice_s
    for state in (Downlink.ASKED, Downlink.UNOFFERED, Downlink.NOWHERE):
        # what is thrown away is not counted as arriving
        more_s = min(of.states[state], again_s - twice_s)
        of.states[state] -= more_s
        lost[Cause.DUPLICATES] += more_s
        twice_s += more_s
    width_s = of.end_s - of.begin_s
    behind_s = left_s * min(1.0, (of.hash_s + of.write_s) / width_s)
    _stored(of, lost, behind_s)
    left_s -= behind_s
    first_s = min(left_s, first * of.awaiting_s)
    lost[Cause.FIRST_COPIES] += first_s
    left_s -= first_s
    busy_s = left_s * uplinks.used(of.begin_s, of.end_s)
    lost[Cause.UPLINKS_BUSY] += busy_s
    lost[Cause.SLOW_SENDERS] += left_s - busy_s


def _waiting(
    of: _Bin, lost: dict[Cause, float], uplinks: Uplinks, first: float, *, waits_long: bool
) -> None:
    """Nothing was arriving."""
    asked_s, unoffered_s = of.states[Downlink.ASKED], of.states[Downlink.UNOFFERED]
    nowhere_s = of.states[Downlink.NOWHERE]
    lost[Cause.FIRST_COPIES] += nowhere_s * first
    unoffered_s += nowhere_s * (1.0 - first)
    if waits_long:
        lost[Cause.SLOW_SENDERS] += asked_s
        asked_s = 0.0
    if asked_s + unoffered_s <= 0.0:
        return
    idle = uplinks.idle(of.begin_s, of.end_s)
    lost[Cause.UPLINKS_BUSY] += (asked_s + unoffered_s) * (1.0 - idle)
    lost[Cause.UPLINKS_IDLE] += unoffered_s * idle
    lost[Cause.CONTROL] += asked_s * idle


def _long_waits(bins: list[_Bin]) -> list[bool]:
    """Of each bin, whether it is one of a row in which what was asked for did not come for long."""
    found = [False] * len(bins)
    first = 0
    for place in range(len(bins) + 1):
        if place < len(bins) and _only_asked(bins[place]):
            continue
        if place > first and bins[place - 1].end_s - bins[first].begin_s >= ASKED_LONG_S:
            found[first:place] = [True] * (place - first)
        first = place + 1
    return found


def _only_asked(of: _Bin) -> bool:
    return of.states[Downlink.ASKED] >= ASKED_RATIO * (of.end_s - of.begin_s)


def _stored(of: _Bin, lost: dict[Cause, float], seconds: float) -> None:
    """Time lost to the store: to digests or to the disk, as it was at work for either."""
    work_s = of.hash_s + of.write_s
    hash_s = seconds * of.hash_s / work_s if work_s > 0.0 else 0.0
    lost[Cause.HASH] += hash_s
    lost[Cause.DISK] += seconds - hash_s


def _take_back(lost: dict[Cause, float], seconds: float) -> None:
    """More came than the time of arriving holds at link rate: looks missed some of it."""
    total_s = sum(lost.values())
    if seconds <= 0.0 or total_s <= 0.0:
        return
    ratio = max(0.0, 1.0 - seconds / total_s)
    for cause in lost:
        lost[cause] *= ratio

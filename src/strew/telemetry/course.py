"""Course: what a node keeps of one artifact's way here, and from here on to others, for people.

A shell tells it each chunk, and some times a second its posture; all is counted in bounded room.
The agent and the simulator both run it.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final

from strew.content.bitfield import Bitfield
from strew.publication import ArtifactText
from strew.telemetry.pace import Pace
from strew.telemetry.protocol import (
    Downlink,
    Source,
    SwarmTelemetry,
    Timeline,
    Uplink,
)
from strew.telemetry.source_map import SourceMap
from strew.telemetry.timeline import (
    AWAITING,
    DOWN,
    DUPLICATE,
    HASH,
    RECEIVED,
    SENT,
    UP,
    WRITE,
    Posture,
    fetch_log,
    timeline_of,
)

LOOK_S: Final = 0.05
"""How often a posture is taken at first while something is under way: twenty times a second. Lower:
costs more of the processor it looks at; higher: what lasts a few round trips is not seen."""

LOOK_MAX_S: Final = 0.2
"""How far apart looks are at most, however wide the bins of a long fetch have become. Lower: costs
more; higher: what is told meanwhile is of few looks."""


class Course:
    """Counts only grow; a shell adds to them. `fetches` is false of who had all from the start."""

    def __init__(self, artifact: ArtifactText, now: float, *, fetches: bool) -> None:
        self.artifact = artifact
        self.began_s = now
        self.by_source = [0] * len(Source)
        """Verified payload by where it came from; LOCAL is what was here already."""
        self.duplicate_bytes = 0
        self.sent_bytes = 0
        self.bad_chunks = 0
        self.store_s = 0.0
        """What the store's work took: hashing, comparing, writing."""
        self.write_s = 0.0
        self.failed = False
        self.origin = False
        self.neighbours = 0
        self.nowhere = 0
        self.pace = Pace()
        self.fastest_received_bytes_per_s = 0.0
        self.fastest_sent_bytes_per_s = 0.0
        self._held_whole = False
        self.told = not fetches
        """Whether somebody heard of its end."""
        self.ended_s: float | None = None if fetches else now
        self._sources = SourceMap(0)
        self._log = fetch_log() if fetches else None
        self._timeline: Timeline | None = None
        self._looked_s = now
        self._before = (0, 0, 0, 0.0, 0.0)
        self._down_s = [0.0] * len(Downlink)
        self._up_s = [0.0] * len(Uplink)
        self._shares_s = 0.0

    # --- what happens ----------------------------------------------------------------------------

    def found(self, have: Bitfield, lengths: Sequence[int]) -> None:
        """It is known what chunks there are, and which of them are here. Those that nobody sent
        were on this machine already."""
        if len(self._sources) != have.size:
            self._sources = SourceMap(have.size)
        for index in have:
            if self._sources[index] == Source.MISSING:
                self._sources[index] = Source.LOCAL
                self.by_source[Source.LOCAL] += lengths[index]

    def received(self, index: int, source: Source, length_bytes: int) -> None:
        """A chunk is verified and stored."""
        self.by_source[source] += length_bytes
        if index < len(self._sources):
            self._sources[index] = source

    @property
    def received_bytes(self) -> int:
        """Verified payload that came from others."""
        by = self.by_source
        return by[Source.ORIGIN] + by[Source.NEAR] + by[Source.FAR]

    @property
    def hash_s(self) -> float:
        """What of the store's work was not writing."""
        return max(0.0, self.store_s - self.write_s)

    @property
    def look_s(self) -> float:
        """How long its next look has time: one a bin is enough of a fetch."""
        return LOOK_S if self._log is None else min(LOOK_MAX_S, self._log.width_s)

    def held(self, pace: Pace) -> None:
        """The rates at which the whole node moves bytes now: what its link carries, or less. Once
        there is a whole second, what a shorter burst reached no longer counts."""
        if pace.is_whole and not self._held_whole:
            self._held_whole = True
            self.fastest_received_bytes_per_s = self.fastest_sent_bytes_per_s = 0.0
        if pace.is_whole or not self._held_whole:
            self.fastest_received_bytes_per_s = max(
                self.fastest_received_bytes_per_s, pace.received_bytes_per_s
            )
            self.fastest_sent_bytes_per_s = max(
                self.fastest_sent_bytes_per_s, pace.sent_bytes_per_s
            )

    def look(self, now: float, posture: Posture) -> None:
        """Its posture since the last look."""
        over_s = now - self._looked_s
        if over_s <= 0.0:
            return
        before_s, self._looked_s = self._looked_s, now
        counts = (
            self.received_bytes,
            self.duplicate_bytes,
            self.sent_bytes,
            self.hash_s,
            self.write_s,
        )
        before, self._before = self._before, counts
        self.nowhere = posture.nowhere
        self._down_s[posture.down] += over_s
        self._up_s[posture.up] += over_s
        self._shares_s += over_s
        self.pace.note(now, counts[0] + counts[1], counts[2])
        if self._log is None or self.ended_s is not None:
            return
        amounts = [(DOWN + posture.down, over_s), (UP + posture.up, over_s)]
        if posture.awaiting and posture.down is Downlink.RECEIVING:
            amounts.append((AWAITING, over_s))
        for column, is_now, was in zip(
            (RECEIVED, DUPLICATE, SENT, HASH, WRITE), counts, before, strict=True
        ):
            if is_now > was:
                amounts.append((column, is_now - was))
        self._log.add(before_s - self.began_s, now - self.began_s, amounts)

    def rest(self, now: float) -> None:
        """Nothing is under way: until the next look no time counts."""
        self._looked_s = now
        self.pace.rest()

    def end(self, now: float, posture: Posture, *, failed: bool) -> None:
        """The fetch is over, in this posture: all of it is in its place, or it failed."""
        if self.ended_s is not None or self._log is None:
            return
        self.look(now, posture)
        self.ended_s = now
        self.failed = failed
        self._timeline = timeline_of(self._log, now - self.began_s)
        self._log = None

    # --- what is told ----------------------------------------------------------------------------

    @property
    def timeline(self) -> Timeline | None:
        """From its begin to its end, or so far; None if nothing was fetched."""
        if self._log is not None:
            return timeline_of(self._log, self._looked_s - self.began_s)
        return self._timeline

    def telemetry(
        self, now: float, have: Bitfield, *, timeline: bool, takes: bool = True
    ) -> SwarmTelemetry:
        """What is told now, with the timeline if that is asked for and the fetch is over; shares of
        time begin anew after it if it `takes` them."""
        down: tuple[float, ...] = ()
        up: tuple[float, ...] = ()
        if self._shares_s > 0.0:
            down = tuple(min(1.0, round(s / self._shares_s, 4)) for s in self._down_s)
            up = tuple(min(1.0, round(s / self._shares_s, 4)) for s in self._up_s)
            if takes:
                self._down_s = [0.0] * len(Downlink)
                self._up_s = [0.0] * len(Uplink)
                self._shares_s = 0.0
        return SwarmTelemetry(
            artifact=self.artifact,
            have=have.to_wire(),
            chunk_count=have.size,
            sources=self._sources.digits(),
            origin=self.origin,
            received_origin_bytes=self.by_source[Source.ORIGIN],
            received_near_bytes=self.by_source[Source.NEAR],
            received_far_bytes=self.by_source[Source.FAR],
            reused_bytes=self.by_source[Source.LOCAL],
            duplicate_bytes=self.duplicate_bytes,
            sent_bytes=self.sent_bytes,
            bad_chunks=self.bad_chunks,
            received_bytes_per_s=round(self.pace.received_bytes_per_s),
            sent_bytes_per_s=round(self.pace.sent_bytes_per_s),
            fastest_received_bytes_per_s=round(self.fastest_received_bytes_per_s),
            fastest_sent_bytes_per_s=round(self.fastest_sent_bytes_per_s),
            down=down,
            up=up,
            neighbours=self.neighbours,
            nowhere=self.nowhere,
            hash_s=round(self.hash_s, 4),
            write_s=round(self.write_s, 4),
            elapsed_s=now - self.began_s,
            failed=self.failed,
            timeline=self._timeline if timeline else None,
        )

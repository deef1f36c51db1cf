"""What an agent keeps of its transfers for people to see: looked at while something is under way.

Twenty times a second, while an artifact comes or a neighbour lacks some of one, each swarm's
posture goes into its Course (strew.telemetry). Nothing runs while all is quiet: whatever may begin
a transfer wakes it.
"""

from __future__ import annotations

import asyncio
import time
from collections import deque
from collections.abc import Callable
from typing import TYPE_CHECKING, Final, NamedTuple

from strew.agent.diary import Diary
from strew.agent.link_bytes import LinkBytes
from strew.content.bitfield import Bitfield
from strew.content.digest import ArtifactId
from strew.errors import StrewError
from strew.messages import swarm_key_of
from strew.node import Node
from strew.node.participation import Participation
from strew.telemetry.course import LOOK_S, Course
from strew.telemetry.pace import Pace
from strew.telemetry.protocol import (
    BANS_MAX,
    SWARMS_MAX,
    BanTelemetry,
    Downlink,
    Source,
    Telemetry,
    Uplink,
)
from strew.telemetry.timeline import Posture

if TYPE_CHECKING:
    from strew.agent.agent import Agent
    from strew.agent.transfer import Transfer

COURSES_MAX: Final = 64
"""Artifacts of which is kept how they came. The oldest that is over goes; each has some 30 kB."""

SURVEY_EVERY_S: Final = 0.25
"""How often it is looked through all that is shared for what a neighbour lacks, and what was moving
of late. An origin may share a thousand artifacts with forty neighbours each, and looking at all of
these twenty times a second would cost it a tenth of a core."""

CALM_S: Final = 2.0
"""After nothing is under way any more it is looked for so long: rates come down to 0 by then."""

BUSY_OVER_S: Final = 10.0
"""The uplink's busy share is over the last so many seconds."""


class Told(NamedTuple):
    """A message, and what it settles once it was heard."""

    telemetry: Telemetry
    last_line: int
    ended: tuple[Course, ...]


class Sampler:
    """One for each agent. Everything is called on the event loop."""

    def __init__(self, agent: Agent) -> None:
        self._agent = agent
        self._loop = asyncio.get_running_loop()
        self.courses: dict[ArtifactId, Course] = {}
        self.diary = Diary(agent.now)
        self.links = LinkBytes(agent.port.links)
        self.under_way = False
        """Whether something comes or is lacked by a neighbour, as of the last look."""
        self.on_change: Callable[[], None] = lambda: None
        """Called when something is under way, and when a transfer is over, to be told at once."""
        self._pace = Pace()
        self._timer: asyncio.TimerHandle | None = None
        self._stirred_s = 0.0
        self._written_s: dict[ArtifactId, float] = {}
        self._busy: deque[tuple[float, float]] = deque()
        self._busy_s = 0.0
        self._waited_s = 0.0
        self._shared: list[int] = []
        """Keys of swarms, of the last survey."""
        self._survey_due_s = 0.0
        self._stopped = False

    # --- when ------------------------------------------------------------------------------------

    def wake(self) -> None:
        """Something may begin: look, until nothing is under way."""
        if self._timer is not None or self._stopped:
            return
        now = self._stirred_s = self._agent.now()
        self._survey_due_s = now
        self._waited_s = self._agent.buckets.up.waited_s
        for course in self.courses.values():
            course.rest(now)
        self._timer = self._loop.call_later(LOOK_S, self._look)

    def stop(self) -> None:
        """Look no more."""
        self._stopped = True
        if self._timer is not None:
            self._timer.cancel()

    def _look(self) -> None:
        now = self._agent.now()
        was, self.under_way = self.under_way, self._look_at_all(now)
        if self.under_way:
            self._stirred_s = now
            if not was:
                self.on_change()
        if now - self._stirred_s < CALM_S:
            self._timer = self._loop.call_later(self._look_s(), self._look)
            return
        self._timer = None
        self._pace.rest()
        self._busy.clear()
        for course in self.courses.values():
            course.rest(now)

    def _look_s(self) -> float:
        """Until the next look: what the youngest fetch needs."""
        fetches = self._agent.fetches.transfers.values()
        running = [self.course(of.artifact) for of in fetches if not of.finished.done()]
        return min((course.look_s for course in running), default=LOOK_S)

    # --- looking ---------------------------------------------------------------------------------

    def _look_at_all(self, now: float) -> bool:
        agent = self._agent
        if agent.node is None:
            return False
        self._pace.note(now, *self.links.totals(now))
        limited = agent.buckets.up.waited_s > self._waited_s
        self._waited_s = agent.buckets.up.waited_s
        sends = under_way = False
        for transfer in agent.fetches.transfers.values():
            if not transfer.finished.done():
                under_way = True
                sends |= self._look_at(self.course(transfer.artifact), transfer, now, limited)
        if now >= self._survey_due_s:
            self._survey(agent.node, now)
        for key in self._shared:
            part = agent.node.participations.get(key)
            course = self.courses.get(part.artifact) if part is not None else None
            if part is None or (course is not None and course.ended_s is None):
                continue  # it was left, or is fetched: looked at above
            lacking = _is_lacked(part)
            under_way |= lacking
            if lacking or course is not None:
                course = course or self.course(part.artifact, fetches=False)
                sends |= self._look_at(course, None, now, limited)
        self._count_busy(now, sends)
        return under_way

    def _survey(self, node: Node, now: float) -> None:
        self._survey_due_s = now + SURVEY_EVERY_S
        self._shared = [
            key
            for key, part in node.participations.items()
            if part.artifact in self.courses or _is_lacked(part)
        ]

    def _look_at(
        self, course: Course, transfer: Transfer | None, now: float, limited: bool
    ) -> bool:
        """Whether it sends."""
        part = self._part(ArtifactId(course.artifact))
        if part is not None:
            duplicate_bytes = part.swarm.traffic()["duplicate_bytes"]
            course.duplicate_bytes = max(course.duplicate_bytes, duplicate_bytes)
            course.neighbours = len(part.swarm.neighbours)
            course.origin = part.origin
        self._count_writes(course)
        posture = self._posture(part, transfer, now, limited)
        course.look(now, posture)
        course.held(self._pace)
        return posture.up in (Uplink.SENDING, Uplink.LIMITED)

    def _posture(
        self, part: Participation | None, transfer: Transfer | None, now: float, limited: bool
    ) -> Posture:
        """The swarm's, and what only the shell knows of."""
        posture = Posture(Downlink.STARTING, Uplink.UNWANTED)
        if part is not None:
            posture = part.swarm.posture(now)
        down, up = posture.down, posture.up
        stage = transfer.stage if transfer is not None else ""
        if stage == "finishing":
            down = Downlink.FINISHING
        elif stage in ("reusing", "paused") or self._agent.port.buffers_wanted:
            down = Downlink.STORING
        if limited and up is Uplink.SENDING:
            up = Uplink.LIMITED
        return posture._replace(down=down, up=up)

    def _count_writes(self, course: Course) -> None:
        """What writing took, of what the store's work took."""
        artifact = ArtifactId(course.artifact)
        if course.ended_s is not None:
            return
        try:
            written_s = self._agent.store.write_seconds(artifact)
        except StrewError:
            return  # it has not come so far
        before_s = self._written_s.get(artifact, 0.0)
        self._written_s[artifact] = written_s
        course.write_s += written_s - before_s if written_s >= before_s else written_s

    def _count_busy(self, now: float, sends: bool) -> None:
        busy = self._busy
        if busy and sends:
            self._busy_s += now - busy[-1][0]
        busy.append((now, self._busy_s))
        while busy[0][0] < now - BUSY_OVER_S:
            busy.popleft()

    @property
    def upload_busy_ratio(self) -> float:
        """Share of the last seconds in which the uplink sent, or was held by its rate."""
        if not self._busy:
            return 0.0
        (then_s, before_s), (now, total_s) = self._busy[0], self._busy[-1]
        return (total_s - before_s) / (now - then_s) if now > then_s else 0.0

    def _part(self, artifact: ArtifactId) -> Participation | None:
        node = self._agent.node
        return node.participations.get(swarm_key_of(artifact)) if node is not None else None

    # --- what happens ----------------------------------------------------------------------------

    def course(self, artifact: ArtifactId, *, fetches: bool = True) -> Course:
        """That of an artifact, begun if there is none."""
        course = self.courses.get(artifact)
        if course is None:
            course = Course(artifact, self._agent.now(), fetches=fetches)
            self.courses[artifact] = course
            over = [a for a, of in self.courses.items() if of.ended_s is not None]
            for old in over[: max(0, len(self.courses) - COURSES_MAX)]:
                self.forget(old)
        return course

    def forget(self, artifact: ArtifactId) -> None:
        """Nothing of it is to be told any more."""
        self.courses.pop(artifact, None)
        self._written_s.pop(artifact, None)

    def began(self, transfer: Transfer) -> None:
        """A fetch begins, whatever was fetched of it before."""
        self.forget(transfer.artifact)
        self.course(transfer.artifact)
        self._pace.rest()  # the fastest second is to be one of this fetch
        self.diary.note(f"{_name(transfer)}: fetch begins")
        self.wake()

    def entered(self, transfer: Transfer) -> None:
        """It has come to another stage of its life."""
        reason = f": {transfer.reason}" if transfer.stage == "paused" else ""
        self.diary.note(f"{_name(transfer)}: {transfer.stage}{reason}")

    def ended(self, transfer: Transfer) -> None:
        """All of it is in its place, or it failed."""
        course = self.courses.get(transfer.artifact)
        if course is None:
            return
        failed = transfer.stage == "failed"
        self._count_writes(course)
        now = self._agent.now()
        part = self._part(transfer.artifact)
        course.end(now, self._posture(part, transfer, now, limited=False), failed=failed)
        reason = f": {transfer.reason}" if failed else ""
        self.diary.note(f"{_name(transfer)}: {transfer.stage}{reason}")
        self.wake()
        self.on_change()

    def chunk_received(
        self, artifact: ArtifactId, index: int, source: str, length_bytes: int
    ) -> None:
        """A chunk that was not here is verified and stored."""
        course = self.courses.get(artifact)
        if course is not None:
            course.received(index, Source[source.upper()], length_bytes)

    def came_bytes(self, artifact: ArtifactId) -> dict[str, int]:
        """Payload from others so far, by where it came from."""
        course = self.courses.get(artifact)
        return {
            source.name.lower(): course.by_source[source] if course is not None else 0
            for source in (Source.ORIGIN, Source.NEAR, Source.FAR)
        }

    def worked(self, artifact: ArtifactId, seconds: float) -> None:
        """The store verified and wrote some of it."""
        course = self.courses.get(artifact)
        if course is not None:
            course.store_s += seconds

    def bad_chunk(self, artifact: ArtifactId) -> None:
        """One came whose digest did not match."""
        course = self.courses.get(artifact)
        if course is not None:
            course.bad_chunks += 1

    def chunk_sent(self, artifact: ArtifactId, length_bytes: int) -> None:
        """One has left."""
        if artifact not in self.courses:
            self._survey_due_s = 0.0
        self.course(artifact, fetches=False).sent_bytes += length_bytes
        if self._timer is None:
            self.wake()

    # --- what is told ----------------------------------------------------------------------------

    @property
    def has_news(self) -> bool:
        """Whether a transfer is over that nobody heard of."""
        return any(not of.told and of.ended_s is not None for of in self.courses.values())

    def telemetry(self, after_line: int) -> Told:
        """What is told now, with the diary's lines after a number."""
        agent, now = self._agent, self._agent.now()
        assert agent.node is not None
        swarms, ended = [], []
        for course in sorted(self.courses.values(), key=_pressing)[:SWARMS_MAX]:
            is_news = course.ended_s is not None and not course.told
            have = self.have(ArtifactId(course.artifact))
            if is_news:
                ended.append(course)
            if have is not None:
                swarms.append(course.telemetry(now, have, timeline=is_news))
        settings, bans = agent.settings, agent.node.book.bans(now)
        telemetry = Telemetry(
            node=agent.identity.node,
            at_s=time.time(),
            rate_down_bytes_per_s=settings.rate_down_bytes_per_s or 0.0,
            rate_up_bytes_per_s=settings.rate_up_bytes_per_s or 0.0,
            swarms=tuple(swarms),
            links=self.links.told(),
            bans=tuple(BanTelemetry(b["id"], b["reason"], b["left_s"]) for b in bans[-BANS_MAX:]),
            events=self.diary.after(after_line),
        )
        return Told(telemetry, self.diary.count, tuple(ended))

    def have(self, artifact: ArtifactId) -> Bitfield | None:
        """What is here of it; None where that cannot be said: not yet, or no longer."""
        part = self._part(artifact)
        if part is not None:
            return part.swarm.have
        try:
            return self._agent.store.bitfield(artifact)
        except StrewError:
            return None


def _pressing(course: Course) -> tuple[bool, bool, float]:
    """Sorts by what is to be told first: what is over and was not told, what is under way, what
    ended last."""
    over = course.ended_s is not None
    return (over and course.told, not over, -(course.ended_s or course.began_s))


def _is_lacked(part: Participation) -> bool:
    """Whether a neighbour lacks some of it."""
    return any(not neighbour.have.complete for neighbour in part.swarm.neighbours.values())


def _name(transfer: Transfer) -> str:
    return transfer.reference or transfer.artifact

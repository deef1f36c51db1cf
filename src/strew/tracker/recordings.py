"""Recordings: the transfers that a tracker hears of, from the first message to the file on disk.

`heard` takes each message of each node, `tend` is to be called about once a second; both on the
event loop. What takes long (a fleet's causes, the disk) is done in a thread.
"""

from __future__ import annotations

import asyncio
from collections.abc import Iterable
from typing import Final, Protocol

import structlog

from strew.announce.records import NodeRecord
from strew.announce.reference import follower_of
from strew.content.digest import ArtifactId
from strew.errors import NotFoundError, ProtocolError, StrewError
from strew.publication import Publication
from strew.telemetry.protocol import SwarmTelemetry, Telemetry
from strew.telemetry.recorder import Recorder, Taken, Who
from strew.telemetry.recording import Recording
from strew.tracker.recording_files import RecordingFiles, Summary

RUNNING_MAX: Final = 16
"""Transfers recorded at one time; of more the one that was silent longest is closed."""

GRACE_S: Final = 1.0
"""After all are done, so that uplinks tell of their last seconds."""

UNTOLD_S: Final = 10.0
"""How long one is waited for that announced itself done and did not tell how it was."""

QUIET_S: Final = 60.0
"""A transfer of which nothing was heard for so long is over, whoever is missing. Lower: one that
stands still for its disk is cut in two; higher: its report is called unfinished for longer."""

LINGER_S: Final = 600.0
"""Nor is anybody waited for so long after the one before."""

_log = structlog.get_logger(__name__)


class View(Protocol):
    """What of a tracker's state is looked at."""

    def names_of(self, artifact: ArtifactId) -> list[Publication]: ...
    def nodes(self) -> Iterable[NodeRecord]: ...


class _Running:
    """One that is being recorded."""

    def __init__(self, spread: Publication, now: float) -> None:
        self.recorder = Recorder(spread)
        self.heard_s = now
        self.ended_s = now


class Recordings:
    """Of one tracker; `now` is unix seconds of its clock, by which its publications are dated."""

    def __init__(self, view: View, files: RecordingFiles) -> None:
        self._view = view
        self._files = files
        self._running: dict[ArtifactId, _Running] = {}
        self._closed_unix_s = {
            ArtifactId(of.artifact): of.published_unix_s for of in reversed(files.summaries())
        }

    def heard(self, record: NodeRecord, telemetry: Telemetry, now: float) -> None:
        """A node tells what its transfers do. ProtocolError if what it tells fits no artifact."""
        peer = record.peer
        who = Who(peer.id, peer.host, peer.port, peer.zone)
        for swarm in telemetry.swarms:
            running = self._recorded(swarm, now)
            if running is None:
                continue
            running.heard_s = now
            if running.recorder.heard(who, telemetry, swarm, now):
                running.ended_s = now

    def _recorded(self, swarm: SwarmTelemetry, now: float) -> _Running | None:
        """The recording that a message belongs to, begun if it is the first of a publication."""
        artifact = ArtifactId(swarm.artifact)
        running = self._running.get(artifact)
        if running is not None:
            return running
        names = self._view.names_of(artifact)
        if not names:
            return None
        newest = max(names, key=lambda of: of.published_s)
        if self._closed_unix_s.get(artifact, 0.0) >= newest.published_s:
            return None
        if swarm.chunk_count != newest.chunk_count:
            raise ProtocolError(f"telemetry of {swarm.chunk_count} chunks of {artifact}")
        if len(self._running) >= RUNNING_MAX:
            silent = min(self._running, key=lambda of: self._running[of].heard_s)
            del self._running[silent]
        running = self._running[artifact] = _Running(newest, now)
        return running

    # --- the end ---------------------------------------------------------------------------------

    async def tend(self, now: float) -> None:
        """Close and keep what is over."""
        for artifact, running in list(self._running.items()):
            partial = self._over(artifact, running, now)
            if partial is None:
                continue
            if not running.recorder.is_empty:  # else nobody fetched: a later one may
                self._closed_unix_s[artifact] = running.recorder.spread.published_s
                taken = running.recorder.taken(partial)
                try:
                    await asyncio.to_thread(self._keep, taken)
                except StrewError as error:
                    _log.warning("recording not kept", artifact=artifact, reason=str(error))
            self._running.pop(artifact, None)  # until now it answers for itself

    def _keep(self, taken: Taken) -> None:
        self._files.keep(taken.recording())

    def _over(self, artifact: ArtifactId, running: _Running, now: float) -> str | None:
        """None while it goes on; else what is missing in it, empty if nothing is."""
        if now - running.heard_s >= QUIET_S or now - running.ended_s >= LINGER_S:
            left = running.recorder.under_way
            return f"{left} machines were not done when it was closed" if left else ""
        if running.recorder.is_empty or running.recorder.under_way:
            return None
        untold = 0
        is_follower = follower_of(name.reference for name in self._view.names_of(artifact))
        for record in self._view.nodes():
            if not is_follower(record.follows) or running.recorder.is_over(record.peer.id):
                continue
            tracked = record.holdings.get(artifact)
            if tracked is not None and tracked.holding.origin:
                continue
            if tracked is None or tracked.holding.state not in ("seeding", "failed"):
                return None
            untold += 1
        wait_s = UNTOLD_S if untold else GRACE_S
        if now - running.ended_s < wait_s:
            return None
        return f"{untold} machines told no times" if untold else ""

    # --- what is known ---------------------------------------------------------------------------

    def summaries(self) -> tuple[Summary, ...]:
        """Those that are kept, newest first."""
        return self._files.summaries()

    def is_running(self, artifact: ArtifactId) -> bool:
        """Whether it is being recorded now."""
        return artifact in self._running

    async def recording(self, artifact: ArtifactId) -> Recording:
        """The newest of an artifact: what was heard so far of one that goes on, or a kept one.
        NotFoundError."""
        running = self._running.get(artifact)
        if running is not None:
            taken = running.recorder.taken("it is still under way")
            return await asyncio.to_thread(taken.recording)
        for summary in self.summaries():
            if summary.artifact == artifact:
                return await self.read(summary)
        raise NotFoundError(
            f"no transfer of {artifact} is recorded here",
            hint="a recording begins when nodes fetch what was given a name",
        )

    async def read(self, summary: Summary) -> Recording:
        """One that is kept. NotFoundError."""
        return await asyncio.to_thread(self._files.read, summary)

"""Observer: keeps the boards of a process, takes telemetry, and tells onlookers what changed.

It only looks. Nothing here decides who sends what to whom, and a process whose onlookers are slow,
many, or gone spreads files just as well: what telemetry costs is bounded by asking nodes to send
less of it, what an onlooker costs by the bytes a board may send, and what is kept by constants.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from typing import Final

import msgspec
import structlog
from aiohttp import web

from strew.access.budgets import Budgets
from strew.announce.address import address_of
from strew.announce.records import NodeRecord
from strew.certificates.identity import require_certified
from strew.content.digest import ArtifactId, parse_artifact_id
from strew.errors import DeniedError, NotFoundError
from strew.messages import PeerId
from strew.telemetry.board import Board
from strew.telemetry.protocol import (
    TELEMETRY_BYTES_MAX,
    Telemetry,
    TelemetryWanted,
    decode_telemetry,
)
from strew.telemetry.rows import Row
from strew.telemetry.view import FLOWS_TOLD_MAX
from strew.tracker.feed import BOARD, Feed
from strew.tracker.gate import Handler, body_of
from strew.tracker.history import History
from strew.tracker.informants import Informants
from strew.tracker.machine import machine_view
from strew.tracker.probing import probe
from strew.tracker.recordings import Recordings
from strew.tracker.reports import SwarmReport
from strew.tracker.sight import Sight, told_of
from strew.tracker.telemetry_pace import TelemetryPace

BOARDS_MAX: Final = 16
"""Boards kept, those that were looked at or moved last. Lower: who looks at many transfers makes
them forget their curves; higher: memory, some 3 kB for each machine of each."""

BOARD_BYTES_MAX: Final = 128 << 20
"""Bitfields of all boards together, counted as if no two machines had the same: the oldest boards
go first. 2000 machines in 16 artifacts of 8000 chunks have 32 MB."""

TICK_S: Final = 1.0
"""Between two points of the curves; and between two judgements of who lags, in a small fleet."""

JUDGE_S_PER_ROW: Final = 0.003
"""One judgement costs some 8 us for each machine: 0.3 % of a core at this pace, 3 s between two of
1000 machines. Lower: causes come sooner in large fleets."""

FRAME_EVERY_S: Final = 0.25
FRAME_S_PER_ROW: Final = 0.00075
"""Between two events of one board: four a second, four in three seconds of 1000 machines. Its
numbers alone cost some 2 us for each machine."""

FLOWS_WAITS: Final = 0.5
"""Flows are told again after this part of the time within which machines tell them: going through
those of 1000 machines takes 24 ms."""

LINGER_S: Final = 12.0
"""A transfer that is over is looked after for so long after its last word."""

TELEMETRY_PER_S: Final = 4.0
TELEMETRY_BURST: Final = 8
"""Messages of one node. Those beyond are answered, and nothing else: they were not asked for."""

PROBES_AT_ONCE: Final = 4
PROBES_WAITING_MAX: Final = 64
PROBE_AGAIN_S: Final = 5.0
"""Probes of silent machines. A rack that lost its power is probed within half a minute; nobody is
asked more often than every 5 s."""

HAVE_NODES_MAX: Final = 5000
"""Nodes of a swarm's report that come with their chunks: 1.3 kB each with 8000 of them, so that the
listing stays under half of what its readers take."""

_log = structlog.get_logger(__name__)
_encoder = msgspec.json.Encoder()


class Observer:
    """See the module. `clock` gives unix seconds and must not jump. With `recordings` it is a
    tracker's: nodes tell it, and what they tell is recorded. Else it asks its `sight` once a
    second, while somebody looks."""

    def __init__(
        self,
        sight: Sight,
        feed: Feed,
        clock: Callable[[], float],
        recordings: Recordings | None = None,
    ) -> None:
        self._sight = sight
        self._feed = feed
        self._clock = clock
        self._recordings = recordings
        self._history = History(recordings)
        self._boards: dict[ArtifactId, Board] = {}
        self._looked_s: dict[ArtifactId, float] = {}
        self._judge_due_s: dict[ArtifactId, float] = {}
        self._frame_due_s: dict[ArtifactId, float] = {}
        self._informants = Informants()
        self._budgets = Budgets(TELEMETRY_PER_S, TELEMETRY_BURST)
        self._probed_s: dict[PeerId, float] = {}
        self._probing: set[asyncio.Task[None]] = set()
        self._probes = asyncio.Semaphore(PROBES_AT_ONCE)
        self._pace = TelemetryPace()

    @property
    def wait_s(self) -> float:
        """How long each node is asked to wait between two messages."""
        return self._pace.wait_s

    def handlers(self) -> dict[str, Handler]:
        """What is served here, by op of strew.access.routes."""
        handlers: dict[str, Handler] = {
            "board": self._board,
            "transfers": self._transfers,
            "machine": self._machine,
        }
        if self._recordings is not None:
            handlers["telemetry"] = self._telemetry
        return handlers

    @asynccontextmanager
    async def running(self) -> AsyncIterator[None]:
        """It looks after its boards while this context lasts."""
        tasks = [
            asyncio.create_task(self._keep_looking(), name="observer"),
            asyncio.create_task(self._keep_telling(), name="observer frames"),
        ]
        if self._recordings is not None:
            keeping = self._keep_recordings(self._recordings)
            tasks.append(asyncio.create_task(keeping, name="observer recordings"))
        try:
            yield
        finally:
            tasks += self._probing
            for task in tasks:
                task.cancel()
            await asyncio.gather(*tasks, return_exceptions=True)

    # --- what is heard ---------------------------------------------------------------------------

    def announced(self, record: NodeRecord) -> None:
        """A node announced: what its record is now."""
        now = self._clock()
        for artifact, board in self._boards.items():
            row = board.row(record.peer.id)
            if row is not None and row.state == "seeding" and artifact not in record.swarms:
                continue  # it has something newer in its place, as most have of most boards
            told = told_of(board.facts, record)
            if told is not None:
                board.hear(told, now)
            elif row is not None and row.is_under_way:
                board.left(row.id, now)

    def left(self, peer: PeerId) -> None:
        """A node said goodbye, or its lease ended."""
        now = self._clock()
        for board in self._boards.values():
            board.left(peer, now)

    def published(self, artifact: ArtifactId) -> None:
        """An artifact was given a name: its transfer begins, for whoever looks at it later too, on
        a board of its own. Others may have been overtaken by it."""
        self._drop(artifact)
        self.board(artifact)
        for other, board in self._boards.items():
            facts = self._sight.facts(other) if other != artifact else None
            if facts is not None:
                board.name(facts)

    def tell(self, told: Telemetry, now: float) -> None:
        """Telemetry of a node. ProtocolError if it does not fit its artifact."""
        self._informants.tell(told, now)
        rates = (told.rate_down_bytes_per_s, told.rate_up_bytes_per_s)
        for swarm in told.swarms:
            board = self.board(swarm.artifact)
            if board is not None:
                board.tell(told.node, swarm, now, rates=rates)

    def with_chunks(self, report: SwarmReport) -> SwarmReport:
        """A swarm's report with which chunks each node has, as far as that was told."""
        board = self._boards.get(report.summary.artifact)
        if board is None or len(report.nodes) > HAVE_NODES_MAX:
            return report
        nodes = tuple(
            msgspec.structs.replace(node, have=board.have_of(node.id)) for node in report.nodes
        )
        return msgspec.structs.replace(report, nodes=nodes)

    def board(self, artifact: ArtifactId) -> Board | None:
        """The board of an artifact, made if it is known and has none."""
        board = self._boards.pop(artifact, None)
        if board is None:
            facts = self._sight.facts(artifact)
            if facts is None:
                return None
            self._make_room(facts.chunk_count)
            board = Board(facts)
            now = self._clock()
            for told in self._sight.machines(facts):
                board.hear(told, now)
        self._boards[artifact] = board  # the one moved last is the last to go
        return board

    def _make_room(self, chunk_count: int) -> None:
        def weight() -> int:
            return sum(len(of.rows) * of.facts.chunk_count // 8 for of in self._boards.values())

        while self._boards and (len(self._boards) >= BOARDS_MAX or weight() > BOARD_BYTES_MAX):
            self._drop(next(iter(self._boards)))

    def _drop(self, artifact: ArtifactId) -> None:
        if self._boards.pop(artifact, None) is not None:
            for times_s in (self._looked_s, self._judge_due_s, self._frame_due_s):
                times_s.pop(artifact, None)
            self._feed.renew(artifact, self._clock())

    # --- time passes -----------------------------------------------------------------------------

    async def _keep_looking(self) -> None:
        now = asyncio.get_running_loop().time
        while True:
            due_s = now() + TICK_S
            await asyncio.sleep(TICK_S)
            try:
                self._look(now() - due_s)
            except Exception:  # a fault of ours must not end what is shown of everything else
                _log.exception("looking after transfers failed")

    def _look(self, late_s: float) -> None:
        now = self._clock()
        self._informants.fade(now)
        bans = self._informants.bans(now)
        waiting = 0
        for artifact, board in list(self._boards.items()):
            if self._recordings is None:
                if not self._is_looked_at(artifact, now):
                    continue
                self._ask(board, now)
            under_way = board.waiting_rows()
            if not under_way and now - board.heard_s > LINGER_S:
                continue
            waiting = max(waiting, under_way)
            board.sample(now, self.wait_s)
            if now < self._judge_due_s.get(artifact, 0.0):
                continue
            self._judge_due_s[artifact] = now + JUDGE_S_PER_ROW * len(board.rows)
            board.judge(now, self.wait_s, bans)
            for row in board.silent(now, self.wait_s):
                self._probe(board, row, now)
        telling = self._informants.telling(now, 2 * self.wait_s + TICK_S)
        self._pace.look(max(telling, waiting), late_s)

    def _is_looked_at(self, artifact: ArtifactId, now: float) -> bool:
        looked_s = self._looked_s.get(artifact, 0.0)
        return now - looked_s < LINGER_S or self._feed.wanted(BOARD, artifact)

    def _ask(self, board: Board, now: float) -> None:
        """Have a board told what the process itself knows of its artifact."""
        facts = self._sight.facts(board.facts.artifact)
        if facts is None:
            return
        board.name(facts)
        here = set()
        for told in self._sight.machines(facts):
            board.hear(told, now)
            here.add(told.id)
        for row in board.rows:
            if row.id not in here:
                board.left(row.id, now)
        for moment in self._sight.moment():
            self._informants.tell(moment, now)
            for swarm in moment.swarms:
                if swarm.artifact == facts.artifact:
                    board.tell(moment.node, swarm, now)

    def _probe(self, board: Board, row: Row, now: float) -> None:
        if len(self._probing) >= PROBES_WAITING_MAX:
            return
        if now - self._probed_s.get(row.id, 0.0) < PROBE_AGAIN_S:
            return
        if len(self._probed_s) > 2 * PROBES_WAITING_MAX:
            self._probed_s = {
                peer: at for peer, at in self._probed_s.items() if now - at < PROBE_AGAIN_S
            }
        self._probed_s[row.id] = now
        task = asyncio.create_task(self._probe_out(board, row))
        self._probing.add(task)
        task.add_done_callback(self._probing.discard)

    async def _probe_out(self, board: Board, row: Row) -> None:
        async with self._probes:
            board.probed(row.id, await probe(row.host, row.port))

    async def _keep_recordings(self, recordings: Recordings) -> None:
        while True:
            await asyncio.sleep(TICK_S)
            try:
                await recordings.tend(self._clock())
            except Exception:  # as above
                _log.exception("keeping recordings failed")

    async def _keep_telling(self) -> None:
        while True:
            await asyncio.sleep(FRAME_EVERY_S)
            try:
                self._tell_onlookers()
            except Exception:  # as above
                _log.exception("telling onlookers failed")

    def _tell_onlookers(self) -> None:
        now = self._clock()
        for artifact, board in self._boards.items():
            due_s = self._frame_due_s.get(artifact, 0.0)
            if now < due_s or not self._feed.wanted(BOARD, artifact):
                continue
            self._frame_due_s[artifact] = now + FRAME_S_PER_ROW * len(board.rows)
            flows = None
            if board.changes.flows_due(now - FLOWS_WAITS * self.wait_s):
                flows = board.flows(self._informants.links(now), FLOWS_TOLD_MAX)
            frame = board.changes.frame(board.progress(now), flows, now)
            if frame is not None:
                self._feed.publish(BOARD, frame, now, artifact)

    # --- handlers --------------------------------------------------------------------------------

    async def _telemetry(self, request: web.Request) -> web.Response:
        told = decode_telemetry(await body_of(request, TELEMETRY_BYTES_MAX))
        require_certified(request.transport, told.node)
        record = self._sight.record(told.node)
        if record is None:
            raise NotFoundError(f"node {told.node} has not announced itself here")
        source, host = str(request.remote), record.peer.host
        if source != host and address_of(source, host) != host:
            raise DeniedError(f"node {told.node} is known at another address")
        now = self._clock()
        if not self._budgets.take(told.node, now):
            self.tell(told, now)
            if self._recordings is not None:
                self._recordings.heard(record, told, now)
        return _json(TelemetryWanted(round(self._pace.next_s(now), 3)))

    async def _board(self, request: web.Request) -> web.Response:
        artifact = parse_artifact_id(request.match_info["id"])
        board = self.board(artifact)
        if board is None:
            raise NotFoundError(f"nothing is known of {artifact}", hint="see `strew ls`")
        previous = await self._history.previous(board, self._boards.values())
        now = self._clock()
        if self._recordings is None and not self._is_looked_at(artifact, now):
            self._ask(board, now)
            board.judge(now, self.wait_s, self._informants.bans(now))
        self._looked_s[artifact] = now
        if self._feed.wanted(BOARD, artifact):
            event_id = self._feed.mark(now)
        else:
            board.changes.settle(now)
            event_id = self._feed.renew(artifact, now)
        links = self._informants.links(now)
        return _json(board.view(now, event_id, links, previous))

    async def _transfers(self, _request: web.Request) -> web.Response:
        now = self._clock()
        for artifact in reversed(self._sight.newest(BOARDS_MAX)):
            if artifact not in self._boards and len(self._boards) < BOARDS_MAX:
                self.board(artifact)
        return _json(self._history.transfers(self._boards.values(), now))

    async def _machine(self, request: web.Request) -> web.Response:
        peer = PeerId(request.match_info["node"])
        now = self._clock()
        view = machine_view(
            peer, self._sight.node(peer), self._boards.values(), self._informants.of(peer), now
        )
        if view is None:
            raise NotFoundError(f"no node {peer[:40]!a} is known here")
        return _json(view)


def _json(value: object) -> web.Response:
    return web.Response(body=_encoder.encode(value), content_type="application/json")

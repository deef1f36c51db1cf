"""Following a transfer through what may happen to its stream, and where there is no board."""

import asyncio
from collections.abc import AsyncIterator, Callable, Sequence
from contextlib import aclosing, asynccontextmanager
from typing import Any

import aiohttp
import msgspec
import pytest
from aiohttp import web

from strew.agent.client import HOST_HEADER, NodeClient
from strew.cli.watching import board_of, boards, look
from strew.content.reference import Address
from strew.errors import NotFoundError
from strew.messages import PeerId
from strew.telemetry.view import BoardChange
from strew.telemetry.watched import Watched
from strew.tracker.reports import SwarmNode, SwarmReport, SwarmSummary
from tests.cli.boardviews import ARTIFACT, progress, row, view

WITHIN_S = 10.0


class Tracker:
    """Tells what a tracker may tell: `views` of the board one after the other, then the last again,
    and in each stream the next of `streams`, then silence. Without views it has no boards."""

    def __init__(self, views: Sequence[Any] = (), streams: Sequence[bytes] = ()) -> None:
        self.views = list(views)
        self.streams = list(streams)
        self.asked: list[str] = []
        self.report: SwarmReport | None = None
        self._over = asyncio.Event()

    async def board(self, request: web.Request) -> web.Response:
        self.asked.append("board")
        if not self.views:
            raise web.HTTPNotFound
        body = msgspec.json.encode(self.views.pop(0) if len(self.views) > 1 else self.views[0])
        return web.Response(body=body, content_type="application/json")

    async def swarm(self, request: web.Request) -> web.Response:
        self.asked.append("swarm")
        if self.report is None:
            raise web.HTTPNotFound
        return web.Response(body=msgspec.json.encode(self.report), content_type="application/json")

    async def events(self, request: web.Request) -> web.StreamResponse:
        last = request.headers.get("Last-Event-ID", "")
        self.asked.append(f"events {request.query_string} after {last}")
        response = web.StreamResponse()
        response.content_type = "text/event-stream"
        await response.prepare(request)
        if self.streams:
            await response.write(self.streams.pop(0))
            if self.streams:
                return response
        await self._over.wait()
        return response

    @asynccontextmanager
    async def client(self) -> AsyncIterator[NodeClient]:
        app = web.Application()
        app.router.add_get("/api/v1/swarms/{id}/board", self.board)
        app.router.add_get("/api/v1/swarms/{id}", self.swarm)
        app.router.add_get("/api/v1/events", self.events)
        runner = web.AppRunner(app, shutdown_timeout=0.0)
        await runner.setup()
        site = web.TCPSite(runner, "127.0.0.1", 0)
        await site.start()
        try:
            async with aiohttp.ClientSession(headers=HOST_HEADER) as session:
                yield NodeClient(session, Address("127.0.0.1", runner.addresses[0][1]), None)
        finally:
            self._over.set()
            await runner.cleanup()


def told(event_id: int, kind: str, data: object) -> bytes:
    text = data if isinstance(data, bytes) else msgspec.json.encode(data)
    return b"id: %d\nevent: %s\ndata: %s\n\n" % (event_id, kind.encode(), text)


def open_at(event_id: int, *, resumed: bool) -> bytes:
    return told(event_id, "open", {"resumed": resumed})


def change(done: int, **fields: Any) -> BoardChange:
    return BoardChange(artifact=ARTIFACT, now_s=30.0, progress=progress(done=done), **fields)


async def first(client: NodeClient, holds: Callable[[Watched], bool]) -> Watched:
    """The first state of which this holds."""
    async with asyncio.timeout(WITHIN_S), aclosing(boards(client, ARTIFACT)) as states:
        async for watched in states:
            if holds(watched):
                return watched
    raise AssertionError("the states ended")


async def test_a_board_and_then_its_changes_from_where_it_was() -> None:
    stream = open_at(100, resumed=True) + told(101, "board", change(7, joined=[row(2)]))
    tracker = Tracker([view([row(1)])], [stream])
    async with tracker.client() as client:
        watched = await first(client, lambda of: of.progress.done == 7)
    assert [machine.host for machine in watched.machines] == ["10.0.0.1", "10.0.0.2"]
    assert tracker.asked == ["board", f"events kinds=board&artifact={ARTIFACT} after 100"]


async def test_a_stream_with_a_gap_has_the_board_asked_for_anew() -> None:
    stream = open_at(200, resumed=False) + told(201, "board", change(7))
    views = [view([row(1)]), view([row(1), row(2)], event_id=200)]
    tracker = Tracker(views, [stream])
    async with tracker.client() as client:
        watched = await first(client, lambda of: of.progress.done == 7)
    assert len(watched.machines) == 2
    assert tracker.asked.count("board") == 2


@pytest.mark.parametrize(
    "bad",
    [
        told(101, "board", b"no json"),
        told(101, "board", change(7, machines=[(9, {"have_chunks": 1})])),
    ],
)
async def test_a_change_that_does_not_fit_has_it_asked_for_anew(bad: bytes) -> None:
    good = open_at(100, resumed=True) + told(102, "board", change(8))
    tracker = Tracker([view([row(1)])], [open_at(100, resumed=True) + bad, good])
    async with tracker.client() as client:
        watched = await first(client, lambda of: of.progress.done == 8)
    assert watched.event_id == 102
    assert tracker.asked.count("board") == 2


async def test_a_stream_that_ends_is_opened_again() -> None:
    ends = open_at(100, resumed=True)
    goes_on = ends + told(103, "board", change(9))
    tracker = Tracker([view([row(1)])], [ends, ends, goes_on])
    async with tracker.client() as client:
        await first(client, lambda of: of.progress.done == 9)
    assert tracker.asked.count("board") == 3


def node(number: int, **fields: Any) -> SwarmNode:
    values: dict[str, Any] = {
        "id": PeerId(f"{number:032x}"),
        "host": f"10.0.0.{number}",
        "port": 7301,
        "zone": "b",
        "state": "fetching",
        "follows": True,
        "origin": False,
        "have_chunks": 5,
        "received_bytes": 600,
        "received_origin_bytes": 150,
        "duplicate_bytes": 0,
        "sent_bytes": 400,
        "received_bytes_per_s": 50.0,
        "sent_bytes_per_s": 40.0,
        "heard_s": 2.0,
    }
    return SwarmNode(**values | fields)


def report() -> SwarmReport:
    nodes = (
        node(1, origin=True, state="seeding", have_chunks=10, sent_bytes=1200, zone="a"),
        node(2),
        node(3, state="seeding", have_chunks=10, done_s=7.5),
        node(4, state="paused", reason="no space", have_chunks=0, received_bytes_per_s=0.0),
    )
    summary = SwarmSummary(
        artifact=ARTIFACT,
        chunk_count=10,
        size_bytes=1000,
        total=3,
        done=1,
        failed=0,
        paused=1,
        fetching=1,
        waiting=0,
        following=3,
        following_done=1,
        following_failed=0,
        have_chunks=15,
        received_bytes=1800,
        duplicate_bytes=18,
        origin_sent_bytes=1200,
        done_s_median=7.5,
        done_s_last=7.5,
    )
    return SwarmReport(summary=summary, references=("app:1",), published_s=1.0, nodes=nodes)


def test_a_swarm_report_makes_a_board_of_what_it_knows() -> None:
    watched = board_of(ARTIFACT, report())
    of = watched.progress
    assert (of.total, of.done, of.paused, of.fetching, of.over) == (3, 1, 1, 1, False)
    assert (of.done_bytes, of.total_bytes, of.rate_bytes_per_s) == (1500, 3000, 50.0)
    assert of.eta_s == 30.0
    assert of.origin_sent_ratio == 1.2
    assert of.peer_share == pytest.approx(1 - 450 / 1800)
    assert (of.bound_seconds, of.rarest, watched.columns) == (None, None, 0)
    assert [watched.zone_of(machine) for machine in watched.machines] == ["a", "b", "b", "b"]
    assert [machine.cause for machine in watched.machines] == ["", "", "", "paused"]
    assert watched.machines[3].why == "no space"
    assert watched.times_s == [7.5]


async def test_a_tracker_without_boards_is_asked_again_and_again() -> None:
    tracker = Tracker()
    tracker.report = report()
    async with tracker.client() as client:
        assert (await look(client, ARTIFACT)).progress.done == 1
        seen = 0
        async with asyncio.timeout(WITHIN_S), aclosing(boards(client, ARTIFACT)) as states:
            async for watched in states:
                assert watched.progress.total == 3
                seen += 1
                if seen == 2:
                    break
    assert tracker.asked.count("swarm") == 3


async def test_what_nobody_knows_is_not_waited_for() -> None:
    async with Tracker().client() as client:
        with pytest.raises(NotFoundError):
            await first(client, lambda _: True)

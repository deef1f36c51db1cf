"""Who is asked for a manifest, and when the next: real HTTP on the loopback."""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager

import aiohttp
import pytest
from aiohttp import web

from strew.agent import trackers
from strew.agent.trackers import manifest_from
from strew.content.digest import artifact_id_of
from strew.content.reference import Address
from strew.errors import IntegrityError, NotFoundError, UnavailableError
from strew.tracker.client import TrackerClient

RAW = b"a manifest's exact bytes"
ARTIFACT = artifact_id_of(RAW)
LONG_S = 30.0


@asynccontextmanager
async def giving(session: aiohttp.ClientSession, body: bytes) -> AsyncIterator[TrackerClient]:
    """A holder that gives these bytes; 404 if they are empty."""

    async def answer(request: web.Request) -> web.Response:
        if not body:
            raise web.HTTPNotFound
        return web.Response(body=body, content_type="application/octet-stream")

    app = web.Application()
    app.router.add_get("/api/v1/artifacts/{id}/manifest", answer)
    runner = web.AppRunner(app)
    await runner.setup()
    site = web.TCPSite(runner, "127.0.0.1", 0)
    await site.start()
    try:
        host, port = runner.addresses[0][:2]
        yield TrackerClient(session, Address(host, port), None)
    finally:
        await runner.cleanup()


@asynccontextmanager
async def silent(session: aiohttp.ClientSession) -> AsyncIterator[TrackerClient]:
    """A machine that stands still: its kernel accepts, and nobody answers."""
    met: list[asyncio.StreamWriter] = []

    async def stand_still(_: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        met.append(writer)

    server = await asyncio.start_server(stand_still, "127.0.0.1", 0)
    try:
        host, port = server.sockets[0].getsockname()
        yield TrackerClient(session, Address(host, port), None)
    finally:
        for writer in met:
            writer.close()
        server.close()


async def test_a_machine_that_stands_still_keeps_nobody_from_the_next(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(trackers, "MANIFEST_SILENCE_S", 0.05)
    async with AsyncExitStack() as stack:
        session = await stack.enter_async_context(aiohttp.ClientSession())
        still = [await stack.enter_async_context(silent(session)) for _ in range(2)]
        holder = await stack.enter_async_context(giving(session, RAW))
        began_s = time.monotonic()
        raw, refusals = await manifest_from([*still, holder], ARTIFACT)
        assert (raw, refusals) == (RAW, [])
        assert time.monotonic() - began_s < LONG_S / 2, "not the time for a whole answer"


async def test_who_refuses_or_lies_is_passed_over_at_once(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(trackers, "MANIFEST_SILENCE_S", LONG_S)
    async with AsyncExitStack() as stack:
        session = await stack.enter_async_context(aiohttp.ClientSession())
        lacks = await stack.enter_async_context(giving(session, b""))
        lies = await stack.enter_async_context(giving(session, b"other bytes"))
        holder = await stack.enter_async_context(giving(session, RAW))
        async with asyncio.timeout(LONG_S / 2):
            raw, refusals = await manifest_from([lacks, lies, holder], ARTIFACT)
        assert raw == RAW
        assert [type(refusal) for refusal in refusals] == [NotFoundError, IntegrityError]


async def test_where_nobody_gives_it_all_refusals_are_told() -> None:
    async with AsyncExitStack() as stack:
        session = await stack.enter_async_context(aiohttp.ClientSession())
        lacks = await stack.enter_async_context(giving(session, b""))
        gone = TrackerClient(session, Address("127.0.0.1", 1), None)
        raw, refusals = await manifest_from([gone, lacks], ARTIFACT)
        assert raw == b""
        assert [type(refusal) for refusal in refusals] == [UnavailableError, NotFoundError]
    assert await manifest_from([], ARTIFACT) == (b"", [])

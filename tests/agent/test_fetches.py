"""Fetches, between two agents with real sockets and stores."""

import asyncio
import os
import random
import threading
from contextlib import AbstractAsyncContextManager
from pathlib import Path

import msgspec
import pytest
from aiohttp import web

from strew.agent import api, trackers
from strew.agent.config import load
from strew.agent.process import open_agent
from strew.agent.settings import Settings
from strew.agent.transfer import Transfer
from strew.content.bitfield import Bitfield
from strew.content.manifest import Manifest
from strew.content.reference import Address
from strew.fleet import FleetKey
from strew.messages import swarm_key_of
from strew.store.disk import DiskStore
from strew.tracker.location import HELD, PORT, REFERRED
from strew.tracker.problem import CONTENT_TYPE, Problem
from tests.tracker.served import listening

KEY = FleetKey(b"k" * 32)


def _write(path: Path, content: bytes) -> Path:
    path.parent.mkdir()
    path.write_bytes(content)
    return path


def settings_in(folder: Path) -> Settings:
    flags = {"listen": "127.0.0.1:0", "data": str(folder)}
    return load(flags, environ={}, role="node").settings


class SlowStore(DiskStore):
    """Its disk takes as long to begin a fetch as the test wants."""

    def __init__(self, folder: Path) -> None:
        super().__init__(folder)
        self.begun, self.go_on = threading.Event(), threading.Event()

    def begin(self, manifest: Manifest, target: Path | None, *, replace: bool = True) -> Bitfield:
        self.begun.set()
        assert self.go_on.wait(20.0)
        return super().begin(manifest, target, replace=replace)


async def test_a_fetch_that_is_abandoned_while_its_disk_is_at_work_leaves_nothing(
    tmp_path: Path,
) -> None:
    """And a newer version waits for that: the older one cannot come to its place after it."""
    into = tmp_path / "into"
    into.mkdir()
    theirs, ours = DiskStore(tmp_path / "theirs"), SlowStore(tmp_path / "ours")
    old, new = [
        theirs.ingest(_write(tmp_path / f"{seed}/file", random.Random(seed).randbytes(300_000)))
        for seed in (1, 2)
    ]
    async with (
        open_agent(settings_in(tmp_path / "theirs"), theirs, KEY, announces=False) as publisher,
        open_agent(settings_in(tmp_path / "ours"), ours, KEY, announces=False) as node,
    ):

        def fetch(manifest: Manifest) -> Transfer:
            at = (publisher.address,)
            return node.fetches.fetch(
                manifest.id, None, manifest=manifest.raw, sources=at, as_name_in=into
            )

        overtaken = fetch(old)
        assert await asyncio.to_thread(ours.begun.wait, 20.0)
        node.fetches.abandon(old.id)
        newer = fetch(new)
        ours.begun.clear()
        await asyncio.sleep(0)
        assert not ours.begun.is_set()
        ours.go_on.set()
        async with asyncio.timeout(20.0):
            assert await newer.finished == into / "file"
        assert overtaken.finished.exception() is not None
        assert os.listdir(into) == ["file"]
        assert [stored.artifact for stored in ours.artifacts()] == [new.id]
    theirs.close()
    ours.close()


async def test_who_takes_an_artifact_over_is_an_origin_that_deals_with_everybody(
    tmp_path: Path,
) -> None:
    """It fetched from the publisher alone; that must not bind it once it is the origin."""
    (tmp_path / "file").write_bytes(random.Random(1).randbytes(300_000))
    theirs, ours = DiskStore(tmp_path / "theirs"), DiskStore(tmp_path / "ours")
    manifest = theirs.ingest(tmp_path / "file")
    async with (
        open_agent(settings_in(tmp_path / "theirs"), theirs, KEY, announces=False) as publisher,
        open_agent(settings_in(tmp_path / "ours"), ours, KEY, announces=False) as origin,
    ):
        transfer = origin.fetches.publish_from(manifest, publisher.address)
        async with asyncio.timeout(20.0):
            await transfer.finished
        assert origin.node is not None
        part = origin.node.participations[swarm_key_of(manifest.id)]
        assert part.origin and part.swarm.have.complete
        assert part.wants_peers(origin.now()), "its followers are to be named to it"
    theirs.close()
    ours.close()


class Holder:
    """Has a manifest, and gives it to no one before it is told to; refers them if told to whom."""

    def __init__(self, manifest: Manifest, to: Address | None = None) -> None:
        self.asked: list[str] = []
        self.may_answer = asyncio.Event()
        self._manifest = manifest
        self._to = to

    async def answer(self, request: web.Request) -> web.Response:
        self.asked.append(request.query_string)
        if self._to is not None and PORT in request.query:
            location = {"Location": f"//{self._to}{request.path}?{HELD}=1"}
            return web.Response(status=REFERRED, headers=location)
        await self.may_answer.wait()
        return web.Response(body=self._manifest.raw, content_type="application/octet-stream")

    def listening(self) -> AbstractAsyncContextManager[Address]:
        app = web.Application()
        app.router.add_get("/api/v1/artifacts/{id}/manifest", self.answer)
        return listening(app)


async def test_a_manifest_comes_from_whoever_one_is_referred_to_once_that_one_has_it(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for module in (api, trackers):  # both ends wait as long as a busy machine may need
        monkeypatch.setattr(module, "REFERRED_WITHIN_S", 20.0)
    theirs, ours = DiskStore(tmp_path / "theirs"), DiskStore(tmp_path / "ours")
    manifest = DiskStore(tmp_path / "made").ingest(_write(tmp_path / "input/file", bytes(300_000)))
    async with (
        open_agent(settings_in(tmp_path / "theirs"), theirs, KEY, announces=False) as first,
        open_agent(settings_in(tmp_path / "ours"), ours, KEY, announces=False) as second,
    ):
        origin = Holder(manifest)
        busy = Holder(manifest, to=Address("127.0.0.1", first.port.port))
        async with origin.listening() as at_origin, busy.listening() as at_busy:
            began = first.fetches.fetch(manifest.id, None, holder=at_origin)
            referred = second.fetches.fetch(manifest.id, None, holder=at_busy)
            async with asyncio.timeout(20.0):
                while not (busy.asked and origin.asked):
                    await asyncio.sleep(0.01)
                assert referred.manifest is None and began.manifest is None
                origin.may_answer.set()
                await referred.located.wait()
        assert referred.manifest is not None and referred.manifest.raw == manifest.raw
        assert busy.asked == [f"{PORT}={second.port.port}"]


async def test_who_was_referred_in_vain_is_answered(tmp_path: Path) -> None:
    """By a machine that has never heard of it."""
    theirs, ours = DiskStore(tmp_path / "theirs"), DiskStore(tmp_path / "ours")
    manifest = DiskStore(tmp_path / "made").ingest(_write(tmp_path / "input/file", bytes(300_000)))
    async with (
        open_agent(settings_in(tmp_path / "theirs"), theirs, KEY, announces=False) as other,
        open_agent(settings_in(tmp_path / "ours"), ours, KEY, announces=False) as node,
    ):
        busy = Holder(manifest, to=Address("127.0.0.1", other.port.port))
        busy.may_answer.set()
        async with busy.listening() as at_busy:
            transfer = node.fetches.fetch(manifest.id, None, holder=at_busy)
            async with asyncio.timeout(20.0):
                await transfer.located.wait()
        assert transfer.manifest is not None
        assert busy.asked == [f"{PORT}={node.port.port}", ""]


class OddHolder(Holder):
    """Calls the question wrong."""

    async def answer(self, request: web.Request) -> web.Response:
        problem = Problem(type="about:blank", title="", status=400, detail="no", code="usage")
        body = msgspec.json.encode(problem)
        return web.Response(status=400, body=body, content_type=CONTENT_TYPE)


async def test_a_holder_that_calls_the_question_wrong_keeps_nobody_from_asking_others(
    tmp_path: Path,
) -> None:
    """The question is right: what may be wrong is that holder, or its version."""
    manifest = DiskStore(tmp_path / "made").ingest(_write(tmp_path / "input/file", bytes(300_000)))
    store = DiskStore(tmp_path / "ours")
    odd, good = OddHolder(manifest), Holder(manifest)
    good.may_answer.set()
    async with (
        open_agent(settings_in(tmp_path / "ours"), store, KEY, announces=False) as node,
        odd.listening() as at_odd,
        good.listening() as at_good,
    ):
        transfer = node.fetches.fetch(manifest.id, None, sources=(at_odd, at_good))
        async with asyncio.timeout(20.0):
            await transfer.located.wait()
        assert transfer.manifest is not None and transfer.manifest.raw == manifest.raw


async def test_only_what_the_user_named_is_asked_where_that_is_wanted(tmp_path: Path) -> None:
    manifest = DiskStore(tmp_path / "made").ingest(_write(tmp_path / "input/file", bytes(300_000)))
    store = DiskStore(tmp_path / "ours")
    async with open_agent(settings_in(tmp_path / "ours"), store, KEY, announces=False) as node:
        busy = Holder(manifest, to=Address("127.0.0.1", 9))
        busy.may_answer.set()
        async with busy.listening() as at_busy:
            transfer = node.fetches.fetch(manifest.id, None, sources=(at_busy,), only_sources=True)
            async with asyncio.timeout(20.0):
                await transfer.located.wait()
        assert transfer.manifest is not None and busy.asked == [""]

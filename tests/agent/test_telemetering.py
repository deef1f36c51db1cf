"""What nodes tell a tracker of their transfers, from real agents with real sockets and stores."""

from __future__ import annotations

import asyncio
import random
import secrets
import time
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass
from pathlib import Path

import msgspec
import pytest

from strew.agent.agent import Agent
from strew.agent.process import open_agent, open_tracker
from strew.agent.settings import Settings
from strew.agent.telemetering import Telemetering
from strew.agent.trusting import trusting_of
from strew.content.bitfield import Bitfield
from strew.content.manifest import Manifest
from strew.content.reference import Address, Name
from strew.errors import StrewError, UnavailableError
from strew.messages import PeerId
from strew.publication import Publication
from strew.store.disk import DiskStore
from strew.store.placement import Placement
from strew.telemetry.causes import CAUSES, Cause
from strew.telemetry.protocol import Downlink, Telemetry, TelemetryWanted, Uplink
from strew.telemetry.recorder import Recorder, Who
from strew.telemetry.report import Report, report_of
from strew.tracker.client import TrackerClient
from tests.agent.test_fetches import KEY, settings_in

SIZE_BYTES = 3_000_000
RATE = 2_000_000
WITHIN_S = 20.0


@dataclass
class Small:
    """`serve` and its nodes in one process, and all that was told."""

    origin: Agent
    store: DiskStore
    nodes: list[Agent]
    told: list[Telemetry]

    async def publish(self, path: Path, text: str = "app:1") -> Manifest:
        """Give the nodes a file to fetch; returns at once."""
        manifest = self.store.ingest(path)
        self.store.pin(manifest.id)
        self.origin.fetches.seed(manifest, origin=True)
        client = self.origin.trackers.client(self.origin.trackers.names[0])
        await client.put_manifest(manifest.id, manifest.raw)
        word, _, tag = text.partition(":")
        async with asyncio.timeout(WITHIN_S):
            while True:
                try:
                    await client.publish(Name(word, tag), manifest.id)
                    return manifest
                except UnavailableError:
                    await asyncio.sleep(0.02)

    def of(self, agent: Agent) -> list[Telemetry]:
        return [told for told in self.told if told.node == agent.identity.node]


def limited(folder: Path, rate: int | None) -> Settings:
    return msgspec.structs.replace(
        settings_in(folder),
        follow=("app:*",),
        rate_up_bytes_per_s=rate,
        rate_down_bytes_per_s=rate,
    )


@asynccontextmanager
async def small_fleet(
    folder: Path, monkeypatch: pytest.MonkeyPatch, *, nodes: int = 2, rate: int | None = RATE
) -> AsyncIterator[Small]:
    told: list[Telemetry] = []
    heard = TrackerClient.telemetry

    async def listening(client: TrackerClient, telemetry: Telemetry) -> TelemetryWanted:
        wanted = await heard(client, telemetry)
        told.append(telemetry)
        return wanted

    monkeypatch.setattr(TrackerClient, "telemetry", listening)
    async with AsyncExitStack() as stack:
        at = folder / "serve"
        store = DiskStore(at)
        stack.callback(store.close)
        settings = limited(at, rate)
        trusting = trusting_of(settings, KEY)
        tracker = await stack.enter_async_context(open_tracker(at, KEY, trusting=trusting))
        origin = await stack.enter_async_context(
            open_agent(settings, store, KEY, tracker=tracker, trusting=trusting)
        )
        followers = []
        for number in range(nodes):
            home = folder / f"node{number}"
            its_store = DiskStore(home)
            stack.callback(its_store.close)
            (home / "into").mkdir()
            followers.append(
                await stack.enter_async_context(
                    open_agent(
                        *(limited(home, rate), its_store, KEY),
                        trackers=(Address(*origin.address),),
                        into=home / "into",
                    )
                )
            )
        yield Small(origin, store, followers, told)


def file_in(folder: Path, size_bytes: int = SIZE_BYTES) -> Path:
    path = folder / secrets.token_hex(4)
    path.write_bytes(random.Random(size_bytes).randbytes(size_bytes))
    return path


async def until_told(fleet: Small, agent: Agent) -> Telemetry:
    """The message with the timeline of a node's fetch."""
    async with asyncio.timeout(WITHIN_S):
        while True:
            for told in fleet.of(agent):
                if any(swarm.timeline is not None for swarm in told.swarms):
                    return told
            await asyncio.sleep(0.02)


def client_of(fleet: Small) -> TrackerClient:
    trackers = fleet.nodes[0].trackers
    return trackers.client(trackers.names[0])


async def report_at(fleet: Small, manifest: Manifest) -> Report:
    """The tracker's report, once it is whole."""
    async with asyncio.timeout(WITHIN_S):
        while (report := await client_of(fleet).report(manifest.id)).partial:
            await asyncio.sleep(0.05)
    return report


async def test_a_fetch_is_told_of_while_it_runs_and_when_it_is_over(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    async with small_fleet(tmp_path, monkeypatch) as fleet:
        manifest = await fleet.publish(file_in(tmp_path))
        for node in fleet.nodes:
            last = await until_told(fleet, node)
            [swarm] = last.swarms
            assert swarm.artifact == manifest.id and not swarm.origin and not swarm.failed
            assert Bitfield.from_wire(swarm.have, swarm.chunk_count).complete
            received = swarm.received_origin_bytes + swarm.received_near_bytes
            assert received + swarm.received_far_bytes == SIZE_BYTES
            assert set(swarm.sources) <= set("12")
            timeline = swarm.timeline
            assert timeline is not None
            assert sum(timeline.received_bytes) == SIZE_BYTES
            seconds = sum(map(sum, timeline.down_ticks)) / 10_000
            assert seconds == pytest.approx(timeline.elapsed_s, rel=0.03)
            assert sum(timeline.down_ticks[Downlink.RECEIVING]) > seconds / 2 * 10_000
            assert last.rate_down_bytes_per_s == RATE
            assert RATE / 2 < swarm.fastest_received_bytes_per_s < RATE * 1.3
            assert any("fetch begins" in event.text for event in fleet.of(node)[0].events)
            running = [told.swarms[0] for told in fleet.of(node)[:-1]]
            assert any(0 < of.received_bytes_per_s < RATE * 1.5 for of in running)


async def test_an_origin_tells_what_its_uplink_does_and_falls_silent_after_it(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    async with small_fleet(tmp_path, monkeypatch) as fleet:
        await fleet.publish(file_in(tmp_path))
        for node in fleet.nodes:
            await until_told(fleet, node)
        async with asyncio.timeout(WITHIN_S):  # the last message is heard after it was due
            while (
                fleet.origin.sampler.under_way
                or fleet.origin._telemetering._due
                or not fleet.of(fleet.origin)
                or fleet.of(fleet.origin)[-1].swarms[0].sent_bytes < SIZE_BYTES
            ):
                await asyncio.sleep(0.05)
        mine = [told.swarms[0] for told in fleet.of(fleet.origin)]
        assert all(swarm.origin and swarm.timeline is None for swarm in mine)
        busy = max(
            swarm.up[Uplink.SENDING] + swarm.up[Uplink.LIMITED] for swarm in mine if swarm.up
        )
        assert busy > 0.5
        links = [link for told in fleet.of(fleet.origin) for link in told.links]
        assert {link.peer for link in links} == {node.identity.node for node in fleet.nodes}


async def test_the_report_of_a_small_fleet_adds_up(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    async with small_fleet(tmp_path, monkeypatch) as fleet:
        manifest = await fleet.publish(file_in(tmp_path))
        for node in fleet.nodes:
            await until_told(fleet, node)
        report = await report_at(fleet, manifest)
        recording = await client_of(fleet).recording(manifest.id)
        assert report == report_of(recording)
        assert (report.nodes, report.measured, report.link_from) == (2, 2, "rate")
        assert report.line_seconds == pytest.approx(SIZE_BYTES / RATE)
        assert report.lost_seconds is not None and report.lost_seconds > 0
        total = sum(of.seconds for of in report.causes)
        assert total == pytest.approx(report.lost_seconds, rel=0.03)
        assert report.origin.sent_ratio >= 1.0 and report.uplinks.busy > 0.2
        for machine in recording.followers:
            assert machine.done_s is not None
            lost_s = machine.done_s - machine.fetched_bytes / machine.link_bytes_per_s
            assert sum(machine.lost_s) == pytest.approx(lost_s, rel=0.03)


async def test_what_was_not_heard_is_told_again(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    async with small_fleet(tmp_path, monkeypatch, nodes=1, rate=None) as fleet:
        heard = TrackerClient.telemetry
        refused: list[Telemetry] = []

        async def deaf(client: TrackerClient, telemetry: Telemetry) -> TelemetryWanted:
            if len(refused) < 2:
                refused.append(telemetry)
                raise UnavailableError("the tracker is away")
            return await heard(client, telemetry)

        monkeypatch.setattr(TrackerClient, "telemetry", deaf)
        monkeypatch.setattr("strew.agent.telemetering.RETRY_FIRST_S", 0.05)
        await fleet.publish(file_in(tmp_path))
        last = await until_told(fleet, fleet.nodes[0])
        assert len(refused) == 2
        assert last.swarms[0].timeline is not None


async def test_a_tracker_hears_only_whom_it_knows(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    async with small_fleet(tmp_path, monkeypatch, nodes=0) as fleet:
        client = fleet.origin.trackers.client(fleet.origin.trackers.names[0])
        with pytest.raises(StrewError, match="has not announced"):
            await client.telemetry(Telemetry(node=PeerId("b" * 32), at_s=0.0))


async def test_a_slow_disk_is_blamed(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    write = Placement.write

    def slowly(of: Placement, manifest: Manifest, offset_bytes: int, data: memoryview) -> None:
        time.sleep(0.1)
        write(of, manifest, offset_bytes, data)

    monkeypatch.setattr(Placement, "write", slowly)
    async with small_fleet(tmp_path, monkeypatch, nodes=1, rate=None) as fleet:
        manifest = await fleet.publish(file_in(tmp_path))
        await until_told(fleet, fleet.nodes[0])
        report = await report_at(fleet, manifest)
        # how long fsync takes is up to the machine that this runs on, and what else takes its time
        lost = [of for of in report.causes if of.cause != Cause.FINISHING]
        assert lost[0].cause == Cause.DISK


async def test_a_sender_that_is_slow_is_blamed(tmp_path: Path) -> None:
    """One that is no origin, over a link that would carry five times as much."""
    theirs, ours = DiskStore(tmp_path / "theirs"), DiskStore(tmp_path / "ours")
    manifest = theirs.ingest(file_in(tmp_path))
    theirs.unpin(manifest.id)
    slow = msgspec.structs.replace(settings_in(tmp_path / "theirs"), rate_up_bytes_per_s=RATE)
    fast = msgspec.structs.replace(settings_in(tmp_path / "ours"), rate_down_bytes_per_s=5 * RATE)
    async with (
        open_agent(slow, theirs, KEY, announces=False) as sender,
        open_agent(fast, ours, KEY, announces=False) as node,
    ):
        transfer = node.fetches.fetch(
            manifest.id, None, manifest=manifest.raw, sources=(sender.address,)
        )
        async with asyncio.timeout(WITHIN_S):
            await transfer.finished
        recorder = Recorder(
            Publication(
                reference="file:1",
                artifact=manifest.id,
                version=1,
                size_bytes=SIZE_BYTES,
                chunk_count=manifest.chunk_count,
                published_s=time.time(),
                name="file",
            )
        )
        told = node.sampler.telemetry(0).telemetry
        recorder.heard(Who(node.identity.node), told, told.swarms[0], time.time() + WITHIN_S)
    theirs.close()
    ours.close()
    recording = recorder.taken().recording()
    [machine] = recording.followers
    lost = dict(zip(CAUSES, machine.lost_s, strict=True))
    lost[Cause.START] = 0.0  # what this test made of it
    assert max(lost, key=lambda cause: lost[cause]) == Cause.SLOW_SENDERS
    assert lost[Cause.SLOW_SENDERS] > sum(lost.values()) / 2


async def test_it_ends_also_where_something_changes_in_the_same_moment(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Else the process that ends it waits for ever: `strew get` has just fetched all."""
    async with small_fleet(tmp_path, monkeypatch, nodes=1, rate=SIZE_BYTES // 10) as fleet:
        [node] = fleet.nodes
        await fleet.publish(file_in(tmp_path))
        async with asyncio.timeout(WITHIN_S):
            while not fleet.of(node):
                await asyncio.sleep(0.02)
        task = asyncio.create_task(Telemetering(node).keep())
        for _ in range(3):
            await asyncio.sleep(0)  # it waits for its time, or for a change
        assert node.sampler.on_change is not None
        node.sampler.on_change()
        task.cancel()
        await asyncio.wait({task}, timeout=WITHIN_S)
        assert task.cancelled()

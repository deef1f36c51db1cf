"""strew itself: an origin, `strew node` on each machine, and one `strew push`.

In three ways: with the tracker in the origin's process (`strew serve`), with no tracker anywhere,
and with a tracker beside an origin that is a node like all others, killed when a part of the time
is over that a single machine would need.
"""

from __future__ import annotations

import asyncio
import contextlib
import secrets
import time
from collections.abc import Coroutine
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

import aiohttp

from strew.agent.client import HOST_HEADER, NodeClient, NodeReport
from strew.agent.settings import NODE_PORT, TRACKER_PORT
from strew.content.digest import ArtifactId
from strew.content.reference import Address
from strew.demo.child import Child, start_child
from strew.demo.gathering import acquainted, gathered
from strew.errors import PartialError, StrewError
from strew.fleet import SECRET_BYTES, FleetKey
from strew.lab.contender import Spread
from strew.lab.network import Bench, Host
from strew.telemetry.recording import Recording

REFERENCE = "lab:input"

FOLLOWED = "lab:*"


TRACKER_DIES_RATIO = 0.3
"""When the tracker is killed, in F/B."""


RECORDED_WITHIN_S = 20.0
"""Until a tracker has heard of all machines how it was: it waits 10 s for those that do not say."""

RECORDED_LOOK_S = 0.2


@dataclass(frozen=True, slots=True)
class Strew:
    """See strew.lab.contender.Contender. `tracker` is where one is, if anywhere."""

    name: str = "strew"
    tracker: Literal["origin", "beside", "nowhere"] = "origin"
    tracker_dies: bool = False
    restarts: bool = True

    def missing(self) -> str | None:
        """Nothing: it is this program."""
        return None

    async def run(self, bench: Bench, source: Path, size_bytes: int) -> Spread:
        """The clock starts when the tracker published the artifact."""
        connector = aiohttp.TCPConnector(socket_factory=bench.socket)
        session = aiohttp.ClientSession(connector=connector, headers=HOST_HEADER)
        await bench.until_closed.enter_async_context(session)
        fleet = _Fleet(bench, session, self.tracker, tracker_dies=self.tracker_dies)
        return await fleet.spread(source, size_bytes)


class _Fleet:
    """The processes of one run."""

    def __init__(
        self, bench: Bench, session: aiohttp.ClientSession, tracker: str, *, tracker_dies: bool
    ) -> None:
        self._bench = bench
        self._session = session
        self._key = FleetKey(secrets.token_bytes(SECRET_BYTES))
        self._children: dict[int, Child] = {}
        self._is_served = tracker == "origin"
        self._tracker = Address(bench.origin.address, TRACKER_PORT) if tracker == "beside" else None
        self._tracker_dies = tracker_dies
        self._origin = self._address(bench.origin)
        self._killed: int | None = None
        self._restarted = asyncio.Event()

    async def spread(self, source: Path, size_bytes: int) -> Spread:
        origin = self._client(self._bench.origin)
        tracker = await self._tracker_started()
        await self._started(self._bench.origin)
        early = [host for host in self._bench.machines if not host.late_s]
        await _all(self._started(host) for host in early)
        if self._is_served:
            await gathered(self._session, origin, self._key, len(early) + 1)
        else:
            clients = [self._client(host) for host in (self._bench.origin, *early)]
            members = len(clients) + (tracker is not None)
            await _all(acquainted(client, members) for client in clients)
        self._bench.count_traffic()  # what is pushed stays on the origin's machine until then
        push = await self._process(
            self._bench.origin, "push", ["push", str(source), REFERENCE, "--at", str(self._origin)]
        )
        fields = (await push.heard("published")).fields
        self._bench.mark()
        artifact = ArtifactId(fields["artifact"])
        # nodes heard of it before this process did: the tracker says when it was
        published_s = (await origin.swarm(artifact)).published_s
        assert published_s is not None
        started_s = asyncio.get_running_loop().time() - (time.time() - published_s)
        spread = Spread(started_s=started_s, chunks=fields["chunks"])
        killing = asyncio.gather(
            self._kill(started_s), self._kill_tracker(tracker, started_s, size_bytes)
        )
        try:
            await _all(
                self._arrival(host, artifact, source.name, spread) for host in self._bench.machines
            )
        finally:
            killing.cancel()
        await self._count(artifact, spread)
        if self._bench.terms.recorded and self._is_served:
            spread.recording = await self._recording(origin, artifact)
        return spread

    async def _recording(self, origin: NodeClient, artifact: ArtifactId) -> Recording | None:
        """What the tracker heard of the transfer, once it is whole; None if that never is."""
        with contextlib.suppress(TimeoutError, StrewError):
            async with asyncio.timeout(RECORDED_WITHIN_S):
                while (found := await origin.recording(artifact)).partial:
                    await asyncio.sleep(RECORDED_LOOK_S)
                return found
        return None

    async def _arrival(self, host: Host, artifact: ArtifactId, name: str, spread: Spread) -> None:
        """See one machine through, and start it if it is a late one."""
        if host.late_s:
            await asyncio.sleep(spread.started_s + host.late_s - _now())
            spread.joined_s[host.number] = await self._started(host) - spread.started_s
        try:
            heard = await self._children[host.number].heard("transfer", artifact)
        except PartialError:
            if self._killed != host.number:
                raise
            await self._restarted.wait()
            heard = await self._children[host.number].heard("transfer", artifact)
        spread.done_s[host.number] = heard.at_s - spread.started_s
        spread.outputs[host.number] = _into(host) / name

    async def _kill(self, started_s: float) -> None:
        """What `terms.kill` asks for, when its time has come."""
        kill = self._bench.terms.kill
        if kill is None:
            return
        await asyncio.sleep(started_s + kill.after_s - _now())
        self._killed = kill.number
        if kill.number in self._children:
            await self._children[kill.number].stop()
        await self._started(self._bench.hosts[kill.number])
        self._restarted.set()

    async def _tracker_started(self) -> Child | None:
        """Start the tracker that stands beside the origin, if one does."""
        if self._tracker is None:
            return None
        host = self._bench.origin
        words = ["serve", "--listen", str(self._tracker), "--log-level", "error"]
        words += ["--data", str(host.folder / "tracker")]
        child = await self._process(host, "tracker", words)
        await child.heard("listening")
        return child

    async def _kill_tracker(self, tracker: Child | None, started_s: float, size_bytes: int) -> None:
        rate = self._bench.terms.rate_bytes_per_s
        if tracker is None or not self._tracker_dies or rate is None:
            return
        await asyncio.sleep(started_s + TRACKER_DIES_RATIO * size_bytes / rate - _now())
        await tracker.stop()

    async def _started(self, host: Host) -> float:
        """Start a host's own process; when it could take part (time of the event loop)."""
        words = ["serve" if self._is_served and not host.number else "node"]
        joined = self._tracker or self._origin
        if host.number or self._tracker is not None:
            words += ["--join", str(joined)]
        words += ["--listen", str(self._address(host)), "--data", str(host.folder)]
        words += ["--log-level", "error"]
        if host.number:
            words += ["--follow", FOLLOWED, "--into", str(_into(host))]
        if self._bench.terms.neighbours is not None:
            words += ["--neighbours", str(self._bench.terms.neighbours)]
        name = f"node {host.number}" if host.number else "origin"
        child = self._children[host.number] = await self._process(host, name, words)
        return (await child.heard("listening")).at_s

    async def _process(self, host: Host, name: str, words: list[str]) -> Child:
        wrapping = self._bench.wrapping(host)
        child = await start_child(
            name, [*words, "--quiet"], self._key, self._bench.folder, wrapping=wrapping
        )
        self._bench.until_closed.push_async_callback(child.stop)
        return child

    async def _count(self, artifact: ArtifactId, spread: Spread) -> None:
        """Ask all nodes what they moved."""
        clients = [self._client(host) for host in self._bench.hosts]
        origin, *nodes = await asyncio.gather(*(client.node() for client in clients))
        spread.origin_sent_bytes = _count_of("sent_bytes", origin, artifact)
        spread.duplicate_bytes = sum(_count_of("duplicate_bytes", n, artifact) for n in nodes)

    def _address(self, host: Host) -> Address:
        is_tracker = self._is_served and not host.number
        return Address(host.address, TRACKER_PORT if is_tracker else NODE_PORT)

    def _client(self, host: Host) -> NodeClient:
        return NodeClient(self._session, self._address(host), self._key)


def _count_of(what: str, report: NodeReport, artifact: ArtifactId) -> int:
    return int(report.swarms.get(artifact, {}).get(what, 0))


def _into(host: Host) -> Path:
    return host.folder / "into"


def _now() -> float:
    return asyncio.get_running_loop().time()


async def _all(jobs: Any) -> None:
    """Side by side; the first failure is raised and ends the others."""
    tasks = [asyncio.create_task(_plain(job)) for job in jobs]
    try:
        await asyncio.gather(*tasks)
    finally:
        for task in tasks:
            task.cancel()


async def _plain(job: Coroutine[Any, Any, object]) -> None:
    await job

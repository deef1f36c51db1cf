"""A throw-away fleet: `strew serve` (or a first `strew node`) and some `strew node` as processes of
their own on loopback."""

from __future__ import annotations

import asyncio
import secrets
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path

import aiohttp

from strew.agent.client import HOST_HEADER, NodeClient
from strew.agent.quantity import exact_rate
from strew.agent.stoppable import Step, stoppable
from strew.content.manifest import Manifest
from strew.content.reference import Address
from strew.demo.child import Child, start_child
from strew.demo.gathering import acquainted, gathered
from strew.errors import UnavailableError
from strew.fleet import SECRET_BYTES, FleetKey
from strew.store.disk import DiskStore

ANY_PORT = "127.0.0.1:0"

FOLLOWED = "demo:*"

START_WITHIN_S = 30.0
START_EACH_S = 2.0
"""A process starts in half a second of one core; a machine with one slow core has many to do."""


@dataclass(frozen=True, slots=True)
class Member:
    """One node of the fleet, or its origin. `into` is where artifacts appear."""

    name: str
    child: Child
    client: NodeClient
    address: Address
    into: Path


class Fleet:
    """Made by `open_fleet`. `staged` is what the origin had from the start."""

    def __init__(self, folder: Path, session: aiohttp.ClientSession) -> None:
        self._folder = folder
        self._session = session
        self._key = FleetKey(secrets.token_bytes(SECRET_BYTES))
        self._children: list[Child] = []
        self.staged: list[Manifest] = []
        self.origin: Member
        self.nodes: list[Member] = []

    @property
    def pids(self) -> list[int]:
        """The processes of the origin and of all nodes."""
        return [member.child.pid for member in (self.origin, *self.nodes)]

    @property
    def dashboard(self) -> str:
        """Where a browser finds the dashboard of the origin's process, with the right to look."""
        return f"http://{self.origin.address}/#token={self._key.viewer_token()}"

    @property
    def joining(self) -> dict[str, str]:
        """The environment in which strew's commands speak to this fleet and nodes join it; with its
        secret, which ends with it."""
        at = str(self.origin.address)
        return {"STREW_FLEET_KEY": self._key.text, "STREW_AT": at, "STREW_JOIN": at}

    async def loss(self) -> None:
        """Wait until the origin or a node ends, and raise that as PartialError."""
        ends = [
            asyncio.ensure_future(member.child.ended()) for member in (self.origin, *self.nodes)
        ]
        try:
            await asyncio.wait(ends, return_when=asyncio.FIRST_COMPLETED)
            raise next(end.result() for end in ends if end.done())
        finally:
            for end in ends:
                end.cancel()

    async def push(self, path: Path, reference: str) -> Child:
        """Start `strew push`; it ends with the fleet."""
        return await self._start(
            "push", ["push", str(path), reference, "--at", str(self.origin.address)]
        )

    async def start(
        self,
        nodes: int,
        rate_bytes_per_s: int | None,
        staged: Sequence[Path],
        *,
        trackerless: bool,
    ) -> None:
        """See `open_fleet`."""
        self.staged = await stoppable(lambda step: stage(self._folder / "origin", staged, step))
        limit = exact_rate(rate_bytes_per_s)
        first = ["node" if trackerless else "serve", "--listen", ANY_PORT, "--rate-up", limit]
        self.origin = await self._ready(await self._start_member("origin", first))
        for manifest in self.staged:
            await self.origin.client.put_manifest(manifest.id, manifest.raw)
        node = ["node", "--join", str(self.origin.address), "--listen", ANY_PORT]
        node += ["--follow", FOLLOWED, "--rate", limit]
        children = [
            await self._start_member(f"node {number}", node) for number in range(1, nodes + 1)
        ]
        self.nodes = [await self._ready(child) for child in children]
        if trackerless:
            members = (self.origin, *self.nodes)
            await asyncio.gather(*(acquainted(m.client, len(members)) for m in members))
        else:
            await gathered(self._session, self.origin.client, self._key, nodes + 1)

    async def _start_member(self, name: str, arguments: Sequence[str]) -> Child:
        place = self._place(name)
        into = place / "into"
        into.mkdir(parents=True)
        places = ["--data", str(place)]
        if arguments[0] == "node":
            places += ["--into", str(into)]
        return await self._start(name, [*arguments, *places, "--log-level", "error"])

    async def _start(self, name: str, arguments: Sequence[str]) -> Child:
        child = await start_child(name, [*arguments, "--quiet"], self._key, self._folder)
        self._children.append(child)
        return child

    async def _ready(self, child: Child) -> Member:
        """The member, once its port is open."""
        fields = (await child.heard("listening")).fields
        address = Address(fields["host"], fields["port"])
        client = NodeClient(self._session, address, self._key)
        return Member(child.name, child, client, address, self._place(child.name) / "into")

    def _place(self, name: str) -> Path:
        return self._folder / name.replace(" ", "-")

    async def stop(self) -> None:
        """End all processes."""
        await asyncio.gather(*(child.stop() for child in self._children))


@asynccontextmanager
async def open_fleet(
    folder: Path,
    nodes: int,
    rate_bytes_per_s: int | None,
    staged: Sequence[Path] = (),
    *,
    trackerless: bool = False,
) -> AsyncIterator[Fleet]:
    """Start an origin that has the files `staged`, and nodes that have nothing.

    The origin is the tracker too, unless they are to be `trackerless`: then it is a node as all
    others are, by which they join.
    The nodes' links are limited both ways; the origin's upwards, as it receives nothing but what
    is pushed to it. When the context ends no process is left. PartialError, UnavailableError.
    """
    async with aiohttp.ClientSession(headers=HOST_HEADER) as session:
        fleet = Fleet(folder, session)
        try:
            async with asyncio.timeout(START_WITHIN_S + START_EACH_S * nodes) as scope:
                await fleet.start(nodes, rate_bytes_per_s, staged, trackerless=trackerless)
        except TimeoutError:
            await fleet.stop()
            if not scope.expired():
                raise
            raise UnavailableError(
                f"{nodes} nodes did not start in time", hint="give fewer --nodes"
            ) from None
        except BaseException:
            await fleet.stop()
            raise
        try:
            yield fleet
        finally:
            await fleet.stop()


def stage(folder: Path, paths: Sequence[Path], step: Step) -> list[Manifest]:
    """Put files into the store of an origin that is not started yet; they stay where they are."""
    if not paths:
        return []
    store = DiskStore(folder)
    try:
        return [store.ingest(path, on_progress=lambda *_: step()) for path in paths]
    finally:
        store.close()

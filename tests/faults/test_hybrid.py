"""Trackers and gossip beside each other: whichever dies, lies or is out of reach, the others do."""

import asyncio
import contextlib
import secrets
import socket
import threading
import time
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import pytest
from aiohttp import web

from strew.announce.protocol import Handout, Peer, decode_announce, encode
from strew.content.digest import ArtifactId
from strew.fleet import SECRET_BYTES, FleetKey
from strew.lab import namespaces
from strew.lab.network import open_bench
from strew.lab.terms import Terms
from strew.node.peers import FAILURES_MAX
from tests.cli.processes import until
from tests.faults.hosts import Machines
from tests.lab.root import needs_root
from tests.members import Members, Process, make_file
from tests.trees import same_bytes

pytestmark = [pytest.mark.faults, pytest.mark.timeout(180)]

SIZE_BYTES = 48_000_000
RATE = "12M"
"""A transfer takes 4 s: long enough to break something in the middle of it."""

WITHIN_S = 30.0

SMALL_BYTES = 3_000_000

DEATH_COSTS_RATIO, BUSY_S = 1.5, 5.0
"""The promise: a tracker that dies makes a transfer so much longer at most; and what a machine that
does other things may add."""

CONNECTIONS = 2
"""Of one dial: for control and for data."""

NAMES = ("one", "two", "three", "four")


@pytest.fixture
def fleet(tmp_path: Path) -> Iterator[Members]:
    with Members(tmp_path) as fleet:
        yield fleet


def start(fleet: Members, by: Sequence[str], *names: str) -> list[Process]:
    """Start nodes that join by these addresses, and follow `app:*`."""
    return [fleet.member(name, "--rate-up", RATE, by=by, follow="app:*") for name in names]


def all_have(
    path: Path, artifact: ArtifactId, processes: Sequence[Process], within_s: float = WITHIN_S
) -> float:
    """Wait until these nodes have fetched a file, every byte of it; how long that took."""
    since_s = time.monotonic()
    for process in processes:
        process.has(path, artifact, within_s=within_s)
    return time.monotonic() - since_s


def neighbours(node: Process, artifact: ArtifactId) -> set[str]:
    """Whom it is linked with for an artifact."""
    return {neighbour["id"] for neighbour in node.api.swarm(artifact)["neighbours"]}


# --- trackers that die ---------------------------------------------------------------------------


def test_a_push_at_a_node_needs_no_tracker(fleet: Members, tmp_path: Path) -> None:
    tracker = fleet.tracker("tracker")
    nodes = start(fleet, [tracker.at], *NAMES)
    fleet.all_know()
    tracker.kill()
    file = make_file(tmp_path / "published/file", SMALL_BYTES)
    one, others = nodes[0], nodes[1:]
    pushed = fleet.call("push", str(file), "app:1", "--at", one.at, "--wait")
    assert (pushed.code, pushed.final["nodes_done"], pushed.final["nodes_failed"]) == (0, 3, 0)
    all_have(file, pushed.final["artifact"], others)
    until(lambda: one.shows(file), "the publisher to have it in place, too")


@pytest.mark.long
def test_a_tracker_that_dies_in_the_middle_is_not_missed(fleet: Members, tmp_path: Path) -> None:
    tracker = fleet.tracker("tracker")
    nodes = start(fleet, [tracker.at], *NAMES)
    fleet.all_know()
    one, others = nodes[0], nodes[1:]
    undisturbed = make_file(tmp_path / "published/undisturbed", SIZE_BYTES, seed=1)
    undisturbed_s = all_have(undisturbed, fleet.publish(undisturbed, "app:1", one), others)

    file = make_file(tmp_path / "published/file", SIZE_BYTES, seed=2)
    artifact = fleet.publish(file, "app:2", one)
    since_s = time.monotonic()
    for node in others:
        node.reaches(artifact, 0.3)
    linked = {node.name: neighbours(node, artifact) for node in others}
    tracker.kill()
    have = [node.api.transfer(artifact)["have_chunks"] for node in others]
    assert min(have) < 0.9 * others[0].api.transfer(artifact)["chunk_count"]
    all_have(file, artifact, others)
    took_s = time.monotonic() - since_s
    print(f"with the tracker killed at 30 %: {took_s:.1f} s; undisturbed: {undisturbed_s:.1f} s")
    assert took_s < DEATH_COSTS_RATIO * undisturbed_s + BUSY_S
    for node in others:  # nothing in flight was cut: all links stand, and nothing came twice
        assert neighbours(node, artifact) >= linked[node.name] != set()
        assert node.done(artifact, within_s=0.1)["fetched_bytes"] == SIZE_BYTES

    # what was published is there for whoever comes later, too
    late = fleet.member("late", by=[tracker.at, others[0].at], follow="app:*")
    late.has(file, artifact, within_s=WITHIN_S)
    copy = tmp_path / "copy"
    got = fleet.call("get", "app:2", "--at", others[1].at, "-o", str(copy))
    assert got.code == 0, got.err
    assert same_bytes(file, copy)


def test_a_tracker_that_lost_everything_serves_again(fleet: Members, tmp_path: Path) -> None:
    tracker = fleet.tracker("tracker")
    nodes = start(fleet, [tracker.at], *NAMES[:3])
    fleet.all_know()
    first = make_file(tmp_path / "1/file", SMALL_BYTES, seed=1)
    second = make_file(tmp_path / "2/file", SMALL_BYTES, seed=2)
    kept = fleet.publish(first, "app:1", tracker)
    all_have(first, kept, nodes)
    tracker.kill()
    tracker.forget()
    tracker.start()
    fleet.all_know(within_s=WITHIN_S)
    artifact = fleet.publish(second, "app:2", tracker)
    all_have(second, artifact, nodes)
    for node in nodes:
        assert (node.names("app:1"), node.names("app:2")) == (kept, artifact)


@contextlib.contextmanager
def nobody() -> Iterator[str]:
    """An address of this machine at which nobody answers, for as long as the context lasts."""
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        yield "{}:{}".format(*taken.getsockname())


@pytest.mark.parametrize("dead", ["the first", "the second"])
def test_of_two_trackers_one_suffices(fleet: Members, tmp_path: Path, dead: str) -> None:
    tracker = fleet.tracker("tracker")
    with nobody() as absent:
        by = [absent, tracker.at] if dead == "the first" else [tracker.at, absent]
        nodes = start(fleet, by, *NAMES[:3])
        fleet.all_know(within_s=2 * WITHIN_S)
        file = make_file(tmp_path / "published/file", SMALL_BYTES)
        all_have(file, fleet.publish(file, "app:1", tracker), nodes)
        again = make_file(tmp_path / "published/again", SMALL_BYTES, seed=2)
        all_have(again, fleet.publish(again, "app:2", nodes[0]), nodes[1:])


def test_who_joins_by_a_node_hears_what_trackers_publish(fleet: Members, tmp_path: Path) -> None:
    tracker = fleet.tracker("tracker", "--rate-up", RATE)
    near = start(fleet, [tracker.at], *NAMES[:2])
    far = start(fleet, [near[0].at], *NAMES[2:])
    fleet.all_know()
    file = make_file(tmp_path / "published/file", SIZE_BYTES)
    took_s = all_have(file, fleet.publish(file, "app:1", tracker), [*near, *far])
    assert took_s < DEATH_COSTS_RATIO * SIZE_BYTES / 12e6 + 2 * BUSY_S
    assert tracker.api.metric("strew_tracker_nodes") == 1 + len(near), "the others never announced"
    assert {node["port"] for node in tracker.api.json("nodes")} >= {node.port for node in far}


# --- a tracker that lies -------------------------------------------------------------------------


class Refusing:
    """A listener that hangs up at once, and counts who called."""

    def __init__(self) -> None:
        self._socket = socket.create_server(("127.0.0.1", 0))
        self.port = self._socket.getsockname()[1]
        self.calls = 0
        self._thread = threading.Thread(target=self._run)
        self._thread.start()

    def _run(self) -> None:
        with contextlib.suppress(OSError):
            while True:
                called, _ = self._socket.accept()
                self.calls += 1
                called.close()

    def close(self) -> None:
        with contextlib.suppress(OSError):
            self._socket.shutdown(socket.SHUT_RDWR)
        self._socket.close()
        self._thread.join()


class Liar:
    """A tracker that names anybody but those who have something. A context."""

    LIES_EVERY_S = 1.0

    def __init__(self, strangers: Sequence[int]) -> None:
        self.announces: dict[str, int] = {}
        self.lies = 0
        self._strangers = [Peer(_anybody(), "127.0.0.1", port, complete=True) for port in strangers]
        self._loop = asyncio.new_event_loop()
        self._thread = threading.Thread(target=self._loop.run_forever)

    def __enter__(self) -> "Liar":
        self._thread.start()
        asyncio.run_coroutine_threadsafe(self._start(), self._loop).result(10)
        return self

    def __exit__(self, *_: object) -> None:
        asyncio.run_coroutine_threadsafe(self._runner.cleanup(), self._loop).result(10)
        self._loop.call_soon_threadsafe(self._loop.stop)
        self._thread.join()
        self._loop.close()

    async def _start(self) -> None:
        app = web.Application()
        app.add_routes([web.post("/api/v1/announce", self._announce)])
        self._runner = web.AppRunner(app, shutdown_timeout=0.1)
        await self._runner.setup()
        site = web.TCPSite(self._runner, "127.0.0.1", 0)
        await site.start()
        self.at = "{}:{}".format(*self._runner.addresses[0][:2])

    async def _announce(self, request: web.Request) -> web.Response:
        told = decode_announce(await request.read())
        self.announces[told.node] = self.announces.get(told.node, 0) + 1
        named = [
            *self._strangers,
            Peer(told.node, "127.0.0.1", told.port, complete=True),
            Peer(_anybody(), "127.0.0.1", told.port, complete=True),  # itself, by another id
        ]
        self.lies += len(told.wants) * len(named)
        handout = Handout(
            lease_s=10 * self.LIES_EVERY_S,
            interval_s=self.LIES_EVERY_S,
            seen=0,
            peers={wanted: tuple(named) for wanted in told.wants},
        )
        return web.Response(body=encode(handout), content_type="application/json")


def _anybody() -> Any:
    return secrets.token_hex(16)


@pytest.mark.long
def test_a_tracker_that_lies_costs_little_and_its_dead_are_forgotten(
    fleet: Members, tmp_path: Path
) -> None:
    """It names closed ports, some that hang up, a machine of another fleet, and whoever asks."""
    honest = fleet.member("honest", "--rate-up", RATE)
    foreign = fleet.member(
        "foreign", "--fleet-key", FleetKey(secrets.token_bytes(SECRET_BYTES)).text
    )
    refusing = [Refusing() for _ in range(8)]
    with contextlib.ExitStack() as ending:
        for listener in refusing:
            ending.callback(listener.close)
        closed = [int(ending.enter_context(nobody()).split(":")[1]) for _ in range(16)]
        ports = [*closed, *(listener.port for listener in refusing), foreign.port]
        liar = ending.enter_context(Liar(ports))
        nodes = start(fleet, [liar.at, honest.at], *NAMES[:3])
        fleet.all_know("honest", *NAMES[:3])
        file = make_file(tmp_path / "published/file", SIZE_BYTES)
        artifact = fleet.publish(file, "app:1", honest)
        took_s = all_have(file, artifact, nodes)
        print(f"beside a liar: {took_s:.1f} s; it named {liar.lies} addresses")
        assert took_s < DEATH_COSTS_RATIO * SIZE_BYTES / 12e6 + 2 * BUSY_S
        called = [listener.calls for listener in refusing]
        assert liar.lies and sum(called)  # or this would show nothing
        assert max(called) <= len(nodes) * FAILURES_MAX * CONNECTIONS

        # nobody calls the dead once there is nothing to fetch, however often nodes announce
        announced = dict(liar.announces)

        def announced_since(times: int) -> bool:
            return all(liar.announces[node] >= of + times for node, of in announced.items())

        until(lambda: announced_since(1), "all to announce that they are done", WITHIN_S)
        called = [listener.calls for listener in refusing]
        until(lambda: announced_since(3), "all to announce again", WITHIN_S)
        assert [listener.calls for listener in refusing] == called


# --- networks that are cut -----------------------------------------------------------------------


@pytest.fixture
def machines(tmp_path: Path) -> Iterator[Machines]:
    """Five machines: of a tracker, and of four nodes."""
    folder = tmp_path / "fleet"
    folder.mkdir()
    with asyncio.Runner() as runner:
        opening = open_bench(Terms(nodes=4, rate_bytes_per_s=None), tmp_path / "bench")
        bench = runner.run(opening.__aenter__())
        try:
            with Machines(folder, bench) as machines:
                yield machines
        finally:
            runner.run(opening.__aexit__(None, None, None))


def known(processes: Sequence[Process]) -> list[int]:
    """How many nodes each of them says live."""
    return [len(process.api.json("nodes")) for process in processes]


@needs_root
def test_who_cannot_reach_the_tracker_finishes_too(machines: Machines, tmp_path: Path) -> None:
    """Half of the fleet has no way to the tracker's machine, nor that to them."""
    origin = machines.bench.origin
    for host in machines.bench.hosts[3:]:
        namespaces.run(["ip", "-n", host.namespace, "route", "add", "blackhole", origin.address])
        namespaces.run(["ip", "-n", origin.namespace, "route", "add", "blackhole", host.address])
    tracker = machines.tracker("tracker", "--rate-up", RATE, **machines.on(0))
    flags = ("--rate-up", RATE)
    near = [
        machines.member(f"near-{n}", *flags, by=[tracker.at], follow="app:*", **machines.on(n))
        for n in (1, 2)
    ]
    far = [
        machines.member(f"far-{n}", *flags, by=[near[0].at], follow="app:*", **machines.on(n))
        for n in (3, 4)
    ]
    machines.all_know("near-1", "near-2", "far-3", "far-4")
    file = make_file(tmp_path / "published/file", SIZE_BYTES)
    artifact = machines.publish(file, "app:1", tracker)
    took_s = all_have(file, artifact, [*near, *far], within_s=2 * WITHIN_S)
    print(f"half of it out of the tracker's reach, all had it after {took_s:.1f} s")
    for node in far:
        assert node.done(artifact, within_s=BUSY_S)["from_origin_ratio"] == 0.0


@needs_root
@pytest.mark.long
def test_a_fleet_that_was_cut_in_two_knows_what_both_halves_published(
    machines: Machines, tmp_path: Path
) -> None:
    tracker = machines.tracker("tracker", **machines.on(0))
    nodes = [
        machines.member(name, by=[tracker.at], follow="app:*", **machines.on(number))
        for number, name in enumerate(NAMES, 1)
    ]
    near, far = nodes[:2], nodes[2:]
    machines.all_know(within_s=WITHIN_S)
    machines.cut_off(3, 4)
    until(lambda: known(near) == [3, 3] and known(far) == [2, 2], "the cut to be known", WITHIN_S)
    here = make_file(tmp_path / "published/here", SMALL_BYTES, seed=1)
    there = make_file(tmp_path / "published/there", SMALL_BYTES, seed=2)
    artifact, other = (
        machines.publish(here, "app:here", tracker),
        machines.publish(there, "app:there", far[0]),
    )
    all_have(here, artifact, near)
    all_have(there, other, far[1:])
    assert {node.names("app:there") for node in near} == {""}
    assert {node.names("app:here") for node in far} == {""}
    machines.heal(3, 4)
    healed_s = time.monotonic()
    machines.all_know(within_s=2 * WITHIN_S)
    together_s = time.monotonic() - healed_s
    all_have(here, artifact, far, within_s=2 * WITHIN_S)
    all_have(there, other, near, within_s=2 * WITHIN_S)
    print(
        f"healed, all knew all after {together_s:.1f} s, "
        f"and had both after {time.monotonic() - healed_s:.1f} s"
    )
    for node in nodes:
        assert (node.names("app:here"), node.names("app:there")) == (artifact, other)
    assert tracker.node()["gossip"]["names"] == 2

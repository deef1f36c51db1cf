"""Ten things that befall one machine of a fleet of real processes: what the tracker says of it.

Each case harms a machine while a file is under way, and polls the board as an onlooker would. The
cause must be the right one, and no machine that nothing happened to may be given any.
"""

from __future__ import annotations

import signal
import time
from asyncio import Runner
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from strew.content.digest import ArtifactId
from strew.content.reference import parse_address
from strew.lab import namespaces
from strew.lab.network import open_bench
from strew.lab.terms import Terms
from tests.cli.processes import until
from tests.faults.disks import SmallDisk, fill
from tests.faults.hosts import Machines
from tests.faults.injection import strace
from tests.faults.liars import Liars, Wrong
from tests.faults.races import until_known
from tests.lab.root import needs_root
from tests.machines import Api, Fleet, Machine
from tests.members import Members, make_file
from tests.promises import Measured

pytestmark = [pytest.mark.faults, pytest.mark.timeout(120)]

LONG = pytest.mark.long

NAMES = ("one", "two", "three", "four")
RATE = "3M"
SIZE_BYTES = 60_000_000
"""Some 20 s at this rate: long enough to be harmed, and to be seen."""

WITHIN_S = 25.0
"""From the harm to the cause."""

PART = 0.15
"""Of the file: the transfer is under way by then."""


class Case:
    """A fleet at RATE, one file under way in it, and its board at the tracker."""

    def __init__(self, fleet: Fleet, api: Api) -> None:
        self.fleet = fleet
        self.api = api
        self.artifact = ArtifactId("")

    def push(self) -> str:
        file = make_file(self.fleet.folder / "published/file", SIZE_BYTES)
        self.artifact = self.fleet.push(file, "app:1").id
        return self.artifact

    def rows(self) -> dict[int, dict[str, Any]]:
        """By port: what the board says of each machine."""
        board = self.api.json(f"swarms/{self.artifact}/board")
        fields = ("state", "is_origin", "cause", "why", "remedy")
        places = {"state": 4, "is_origin": 5, "cause": 12, "why": 13, "remedy": 14}
        return {row[2]: {name: row[places[name]] for name in fields} for row in board["machines"]}

    def told(self, machine: Machine, cause: str, measured: Measured) -> None:
        """Wait until the board gives this cause for a machine, and none for those that are well."""
        began_s = time.monotonic()
        seen: set[str] = set()

        def found() -> dict[str, Any] | None:
            row = self.rows().get(machine.port, {})
            seen.add(row.get("cause", ""))
            return row if row.get("cause") == cause else None

        try:
            row = until(found, f"the cause {cause!r}", WITHIN_S)
        except AssertionError as error:
            raise AssertionError(f"{error}; told {seen}") from None
        took_s = time.monotonic() - began_s
        assert row["why"] and row["remedy"]
        well = {port: row for port, row in self.rows().items() if port != machine.port}
        others = {row["cause"] for row in well.values()}
        measured(f"the cause of {cause}", "told, and of others none", f"after {took_s:.1f} s")
        assert others == {""}, well


@pytest.fixture
def case(tmp_path: Path) -> Iterator[Case]:
    with Fleet(tmp_path, "--rate-up", RATE) as fleet:
        for name in NAMES:
            fleet.node(name, "--rate", RATE)
        fleet.knows(*NAMES)
        yield Case(fleet, fleet.api)


def victim(case: Case, *flags: str, **of: Any) -> Machine:
    """One more machine, to which something happens."""
    machine = case.fleet.node("victim", *(flags or ("--rate", RATE)), **of)
    case.fleet.knows("victim")
    return machine


@LONG
def test_a_slow_downlink(case: Case, measured: Measured) -> None:
    slow = victim(case, "--rate-down", "300K", "--rate-up", RATE)
    case.push()
    case.told(slow, "slow-down", measured)


@LONG
def test_a_slow_uplink(case: Case, measured: Measured) -> None:
    slow = victim(case, "--rate-down", RATE, "--rate-up", "200K")
    case.push()
    case.told(slow, "slow-up", measured)


@LONG
def test_a_slow_disk(case: Case, tmp_path: Path, measured: Measured) -> None:
    calls = ("trace=pwrite64", "inject=pwrite64:delay_enter=150ms")
    wrapped = strace(tmp_path / "calls", *calls, quick=True)
    slow = victim(case, "--rate", RATE, wrapped=wrapped)
    case.push()
    case.told(slow, "slow-disk", measured)


@LONG
def test_a_process_that_was_stopped(case: Case, measured: Measured) -> None:
    stopped = victim(case)
    stopped_at = case.push()
    stopped.reaches(stopped_at, PART)
    stopped.signal(signal.SIGSTOP)
    case.told(stopped, "stalled", measured)


def test_a_process_that_was_killed(case: Case, measured: Measured) -> None:
    killed = victim(case)
    killed.reaches(case.push(), PART)
    killed.kill()
    case.told(killed, "ended", measured)


@LONG
def test_a_disk_that_is_full(case: Case, tmp_path: Path, measured: Measured) -> None:
    disk = SmallDisk(tmp_path / "small", SIZE_BYTES + (8 << 20))
    full = victim(case, "--rate", RATE, wrapped=disk.wrapped, into=str(tmp_path / "small/into"))
    fill(disk.inside(full) / "other")
    case.push()
    case.told(full, "paused", measured)


@LONG
def test_the_victim_of_liars(case: Case, measured: Measured) -> None:
    """Only the victim is lied to: the others know the origin alone, and each other."""
    fleet = case.fleet
    file = make_file(fleet.folder / "published/file", SIZE_BYTES)
    staged = fleet.push(file, "staged:1")
    liars = [Wrong(fleet.key, parse_address(fleet.at), staged, seed) for seed in range(3)]
    with Liars(liars):
        until_known(fleet, liars)
        case.artifact = staged.id
        fleet.result("push", staged.id, "app:1")

        def lied_to() -> list[str]:
            rows = case.rows()
            return [m.name for m in fleet.machines.values() if rows[m.port]["cause"]]

        began_s = time.monotonic()
        until(lied_to, "a cause", WITHIN_S)
        causes = {case.rows()[m.port]["cause"] for m in fleet.machines.values()} - {""}
        took_s = time.monotonic() - began_s
        measured("the cause of bad-chunks", "told of whom liars met", f"after {took_s:.1f} s")
        assert causes == {"bad-chunks"}


@LONG
def test_an_origin_that_died_half_out(tmp_path: Path, measured: Measured) -> None:
    with Members(tmp_path) as fleet:
        tracker = fleet.tracker("tracker")
        origin = fleet.member("origin", "--rate-up", "1M", by=[tracker.at])
        nodes = [
            fleet.member(name, "--rate", RATE, by=[tracker.at], follow="app:*") for name in NAMES
        ]
        fleet.all_know()
        case = Case(fleet, tracker.api)
        file = make_file(tmp_path / "published/file", SIZE_BYTES // 2)
        case.artifact = fleet.publish(file, "app:1", origin)
        nodes[0].reaches(case.artifact, PART)
        origin.kill()
        began_s = time.monotonic()

        def all_told() -> bool:
            rows = case.rows()
            return all(rows[node.port]["cause"] == "no-holder" for node in nodes)

        until(all_told, "all to lack a holder", WITHIN_S)
        measured("the cause of no-holder", "told of all", f"{time.monotonic() - began_s:.1f} s")
        assert case.rows()[origin.port]["cause"] == "ended"


@pytest.fixture
def machines(tmp_path: Path) -> Iterator[Machines]:
    folder = tmp_path / "fleet"
    folder.mkdir()
    with Runner() as runner:
        opening = open_bench(Terms(nodes=6, rate_bytes_per_s=None), tmp_path / "bench")
        bench = runner.run(opening.__aenter__())
        try:
            with Machines(folder, bench) as machines:
                yield machines
        finally:
            runner.run(opening.__aexit__(None, None, None))


def spread(machines: Machines, tmp_path: Path) -> tuple[Case, list[Any]]:
    """A tracker and five machines with an address each, and a file under way."""
    tracker = machines.tracker("tracker", "--rate-up", RATE, **machines.on(0))
    nodes = [
        machines.member(f"n{n}", "--rate", RATE, by=[tracker.at], follow="app:*", **machines.on(n))
        for n in range(1, 6)
    ]
    case = Case(machines, tracker.api)
    ports = {node.port for node in nodes}
    until(lambda: ports <= {of["port"] for of in tracker.api.json("nodes")}, "all to join")
    file = make_file(tmp_path / "published/file", SIZE_BYTES)
    case.artifact = machines.publish(file, "app:1", tracker)
    return case, nodes


@needs_root
@LONG
def test_a_link_that_is_down(machines: Machines, tmp_path: Path, measured: Measured) -> None:
    case, nodes = spread(machines, tmp_path)
    nodes[4].reaches(case.artifact, PART)
    machines.cut_off(5)
    case.told(nodes[4], "cut-off", measured)


@needs_root
@LONG
def test_a_machine_that_reaches_few_others(
    machines: Machines, tmp_path: Path, measured: Measured
) -> None:
    """It has a way to the tracker's machine and one other, as behind a firewall."""
    hosts = machines.bench.hosts
    for other in hosts[1:4]:
        blackhole = ["route", "add", "blackhole"]
        namespaces.run(["ip", "-n", hosts[5].namespace, *blackhole, other.address])
    case, nodes = spread(machines, tmp_path)
    case.told(nodes[4], "few-neighbours", measured)

"""What a fleet does when those it gets things from die, stop, or have no room: it goes on."""

import random
import secrets
import signal
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from strew.content.manifest import Manifest
from tests.cli.processes import until
from tests.faults.disks import SmallDisk, fill
from tests.machines import Fleet, Machine
from tests.trees import differences, same_bytes

pytestmark = pytest.mark.faults

SIZE_BYTES = 48_000_000
RATE = "12M"
"""A transfer takes 4 s: long enough to break something in the middle of it."""

WITHIN_S = 30.0

STOPPED_COSTS_S = 15.0
"""Longest that machines wait for what a stopped one was to send, on a machine that is busy."""

RESUMES_WITHIN_S = 10.0
"""The promise: a transfer that was paused goes on so soon after there is room again."""


def make_file(path: Path, size_bytes: int = SIZE_BYTES) -> Path:
    path.parent.mkdir(exist_ok=True)
    path.write_bytes(random.Random(7).randbytes(size_bytes))
    return path


@pytest.fixture
def fleet(tmp_path: Path) -> Iterator[Fleet]:
    with Fleet(tmp_path, "--rate-up", RATE) as fleet:
        yield fleet


@pytest.fixture
def file(tmp_path: Path) -> Path:
    return make_file(tmp_path / "published/file")


def all_have(fleet: Fleet, file: Path, manifest: Manifest, *names: str) -> None:
    """Wait until these machines have the file, every byte of it."""
    for name in names:
        machine = fleet.machines[name]
        machine.done(manifest.id, within_s=WITHIN_S)
        assert same_bytes(file, machine.into / file.name)


def test_a_tracker_that_dies_is_not_missed(fleet: Fleet, file: Path) -> None:
    """The process that is killed is the origin, too; but another machine has all of it."""
    fleet.node("seed", "--rate-up", RATE)
    manifest = fleet.push(file, "app:1")
    all_have(fleet, file, manifest, "seed")
    names = ("one", "two", "three")
    for name in names:
        fleet.node(name, "--rate-up", RATE)
    for name in names:  # who has not begun yet would never hear of the artifact
        fleet.machines[name].reaches(manifest.id, 0.3)
    fleet.serve.kill()
    have = [fleet.machines[name].claimed(manifest) for name in names]
    assert min(map(len, have)) < 0.9 * manifest.chunk_count
    all_have(fleet, file, manifest, *names)
    assert all(fleet.machines[name].is_up() for name in names)


def test_an_origin_that_dies_is_not_missed_once_it_gave_all(fleet: Fleet, file: Path) -> None:
    names = ("one", "two", "three")
    for name in names:
        fleet.node(name, "--rate-up", "4M")
    fleet.knows(*names)
    manifest = fleet.push(file, "app:1")
    until(lambda: not fleet.owed(manifest), "a copy to be out", WITHIN_S)
    fleet.serve.kill()
    done = [fleet.machines[name].claimed(manifest) for name in names]
    assert min(map(len, done)) < manifest.chunk_count  # or this would show nothing
    all_have(fleet, file, manifest, *names)


def test_a_machine_that_stops_holds_nobody_up(fleet: Fleet, file: Path) -> None:
    names = ("one", "two", "three")
    for name in (*names, "stopped"):
        fleet.node(name, "--rate-up", RATE)
    fleet.knows(*names, "stopped")
    manifest = fleet.push(file, "app:1")
    stopped = fleet.machines["stopped"]
    stopped.reaches(manifest.id, 0.3)
    stopped.signal(signal.SIGSTOP)
    stopped_s = time.monotonic()
    all_have(fleet, file, manifest, *names)
    took_s = time.monotonic() - stopped_s
    print(f"{took_s:.1f} s after one was stopped, the others had it")
    assert took_s < SIZE_BYTES / 12e6 + STOPPED_COSTS_S
    stopped.signal(signal.SIGCONT)
    all_have(fleet, file, manifest, "stopped")


def test_a_stranger_is_refused(fleet: Fleet) -> None:
    fleet.node("one")
    key = secrets.token_hex(32)
    stranger = fleet.start(
        *("node", "--join", fleet.at, "--fleet-key", key, "--data", "stranger"),
        *("--listen", "127.0.0.1:0"),
    )
    error = stranger.event("error")
    assert (error["code"], error["hint"] != "") == ("denied", True)
    assert stranger.events[-1] == error
    assert stranger.process.wait(WITHIN_S) == 6
    assert len(fleet.api.json("nodes")) <= 2  # the origin, and the one that has the key
    assert fleet.machines["one"].is_up()


# --- no room -------------------------------------------------------------------------------------


DISK_BYTES = 64 << 20

SLOW_RATE = "4M"
"""A transfer takes 10 s: however late a busy machine comes to fill the disk, it is not over."""


def paused(machine: Machine, manifest: Manifest) -> str:
    """Wait until its transfer waits for room; the reason it gives."""

    def stage() -> bool:
        return machine.api.transfer(manifest.id).get("stage") == "paused"

    until(stage, f"{machine.name} to pause")
    reason = machine.api.transfer(manifest.id)["reason"]
    assert machine.is_up() and "space" in reason
    return str(reason)


def told_states(fleet: Fleet, manifest: Manifest) -> list[tuple[str, str]]:
    """State and reason of all nodes, as the tracker tells them."""
    nodes = fleet.api.json(f"swarms/{manifest.id}")["nodes"]
    return [(node["state"], node["reason"]) for node in nodes]


@pytest.mark.parametrize("full", ["before", "in the middle"])
def test_a_transfer_without_room_waits_for_it(fleet: Fleet, tmp_path: Path, full: str) -> None:
    """Files of a tree that are small are not reserved: the disk can become full under it."""
    tree = tmp_path / "published/tree"
    tree.mkdir(parents=True)
    for number in range(100):
        (tree / f"{number}").write_bytes(random.Random(number).randbytes(400_000))
    disk = SmallDisk(tmp_path / "disk", DISK_BYTES)
    rate = RATE if full == "before" else SLOW_RATE
    machine = fleet.node("one", "--rate", rate, wrapped=disk.wrapped, into="disk/into")
    filler = disk.inside(machine) / "filler"
    if full == "before":
        fill(filler)
    fleet.node("two", "--rate", RATE)
    fleet.knows("one", "two")
    manifest = fleet.push(tree, "app:1")
    if full != "before":
        machine.reaches(manifest.id, 0.2)
        fill(filler)
    reason = paused(machine, manifest)
    until(lambda: ("paused", reason) in told_states(fleet, manifest), "the fleet to hear of it")
    fleet.machines["two"].done(manifest.id, within_s=WITHIN_S)
    assert not machine.running.events[1:]
    filler.unlink()
    made_s = time.monotonic()

    def goes_on() -> bool:
        return machine.api.transfer(manifest.id).get("stage") != "paused"

    until(goes_on, "it to go on", RESUMES_WITHIN_S)
    print(f"went on {time.monotonic() - made_s:.1f} s after there was room")
    machine.done(manifest.id, within_s=WITHIN_S)
    assert not differences(tree, disk.inside(machine) / "into/tree")

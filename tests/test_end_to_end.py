"""A tree of 300 MB through a fleet of real processes that are killed, late, and damaged.

Then a second version of it, of which next to nothing is fetched, under the eyes of a reader.
"""

import os
import random
import shutil
import signal
import subprocess
import threading
from pathlib import Path
from typing import NamedTuple

import pytest

from strew.content.manifest import Manifest
from tests.cli.processes import until
from tests.machines import Fleet, Machine
from tests.trees import change, copy_python, differences, regular_files, same_bytes

SIZE_BYTES = 300_000_000
RATE = "30M"
"""Slow enough for kills in mid-transfer, fast enough for all of it to end in a minute or so."""

WITHIN_S = 60.0
"""For one distribution to all, on a machine that does other things too."""

KILLS = 3
REFETCHED_CHUNKS_MAX = 8
"""The promise for one kill; kept here for all of them together."""

CHANGED_RATIO = 0.02
FETCHED_RATIO_MAX = 0.05

ROTTEN_CHUNKS = 40
"""Enough for a node that fetches from three others to meet one of them for certain."""

EDITED_EACH_BYTES = 200_000

BAD_CHUNKS_MAX = 4
"""A node is left alone after its second bad chunk, when two more may be on their way."""

NAMES = ("one", "two", "three", "four")


class Kill(NamedTuple):
    """What a life had received when it was ended: as it said last, and as it left it on disk."""

    received_bytes: int
    have_chunks: int
    claimed_chunks: int


@pytest.mark.timeout(240)
def test_a_tree_through_a_fleet_that_is_harmed(tmp_path: Path) -> None:
    dice = random.Random(20)
    first, second = tmp_path / "first/tree", tmp_path / "second/tree"
    first.parent.mkdir()
    second.parent.mkdir()
    copy_python(first, SIZE_BYTES)
    (first / "A-VERSION").write_text("1")
    (first / "z/deep").mkdir(parents=True)
    (first / "z/deep/VERSION").write_text("1")
    with Fleet(tmp_path, "--rate-up", RATE) as fleet:
        for name in NAMES[:3]:
            fleet.node(name, "--rate", RATE)
        fleet.knows(*NAMES[:3])
        manifest = fleet.push(first, "app:1")
        refetched = killed_and_late(fleet, manifest, dice)
        print(f"fetched again: {refetched:.2f} chunks")
        assert refetched <= REFETCHED_CHUNKS_MAX
        for name in NAMES:
            assert not differences(first, fleet.machines[name].into / "tree")

        damaged(fleet, manifest, first, dice)
        for name in NAMES:  # an agent that noticed, too, may be at mending it, with files writable
            tree = fleet.machines[name].into / "tree"
            until(lambda tree=tree: not differences(first, tree), f"{name} to be whole", WITHIN_S)

        change(first, second, int(CHANGED_RATIO * SIZE_BYTES), dice)
        (second / "A-VERSION").write_text("2")
        (second / "z/deep/VERSION").write_text("2")
        fetched = replaced_by_a_new_version(fleet, second)
        print(f"fetched of the new version: {fetched:.2%}")
        assert fetched <= FETCHED_RATIO_MAX
        for name in NAMES:
            into = fleet.machines[name].into
            assert not differences(second, into / "tree")
            assert os.listdir(into) == ["tree"]


# --- killed, and late ----------------------------------------------------------------------------


def killed_and_late(fleet: Fleet, manifest: Manifest, dice: random.Random) -> float:
    """Kill one node again and again while it fetches, start another late; chunks refetched."""
    victim = fleet.machines["two"]
    kills = []
    for number in range(KILLS):
        moment = 0.95 * dice.uniform(number, number + 1) / KILLS
        told = victim.reaches(manifest.id, moment, within_s=WITHIN_S)
        victim.kill()
        print(f"killed with {told['have_chunks']} of {manifest.chunk_count} chunks")
        claimed_chunks = len(victim.claimed(manifest))
        kills.append(Kill(told["received_bytes"], told["have_chunks"], claimed_chunks))
        assert not (victim.into / "tree").exists()
        victim.start()
        if "four" not in fleet.machines:
            fleet.machines["one"].reaches(manifest.id, 0.4, within_s=WITHIN_S)
            fleet.node("four", "--rate", RATE)
    last = victim.done(manifest.id, within_s=WITHIN_S)
    for name in NAMES:
        fleet.machines[name].done(manifest.id, within_s=WITHIN_S)
    mean_bytes = manifest.size_bytes / manifest.chunk_count
    received_bytes = last["fetched_bytes"] + sum(
        kill.received_bytes + (kill.claimed_chunks - kill.have_chunks) * mean_bytes
        for kill in kills
    )
    return (received_bytes - manifest.size_bytes) / mean_bytes


# --- damaged -------------------------------------------------------------------------------------


def damaged(fleet: Fleet, manifest: Manifest, whole: Path, dice: random.Random) -> None:
    """Bits rot unseen on one node and a new machine fetches; then once more, while a file is edited
    on another node.

    Nobody gets anything that is wrong; both nodes notice, and mend all that is damaged.
    """
    one, two = fleet.machines["one"], fleet.machines["two"]
    places = rot(manifest, one.into / "tree", dice)
    refused = fetched_by_a_new_machine(fleet, manifest, whole)
    assert 1 <= refused <= BAD_CHUNKS_MAX
    healed(one, manifest, whole, places)

    places = rot(manifest, one.into / "tree", dice)
    edited = edit(two.into / "tree", places[0][0])
    refused = fetched_by_a_new_machine(fleet, manifest, whole)
    assert refused <= BAD_CHUNKS_MAX  # none, if who mends its edited file met the rot first
    healed(one, manifest, whole, places)
    until(lambda: same_bytes(whole / edited, two.into / "tree" / edited), "the edit to be undone")
    mended(two, manifest)
    # what nobody asks for lies there rotten until somebody looks
    rot(manifest, one.into / "tree", dice)
    verify = ("verify", str(one.into / "tree"), "--data", str(one.data))
    assert fleet.run(*verify, "--json").code == 4
    repaired = fleet.result(*verify, "--repair")
    assert repaired["repaired"] and repaired["fetched_bytes"] < 0.05 * SIZE_BYTES


def fetched_by_a_new_machine(fleet: Fleet, manifest: Manifest, whole: Path) -> float:
    """How many bad chunks it refused; what it has is right."""
    new = fleet.machines["three"]
    new.replace("--rate-up", RATE)
    new.done(manifest.id, within_s=WITHIN_S)
    assert not differences(whole, new.into / "tree")
    refused = new.api.metric("strew_chunk_verify_failures_total")
    print(f"bad chunks that were refused: {refused:.0f}")
    return refused


def healed(
    machine: Machine, manifest: Manifest, whole: Path, places: list[tuple[str, int]]
) -> None:
    """Wait until every place that rotted is right again, and the machine is a seed."""
    tree = machine.into / "tree"

    def right() -> int:
        content = {path: (tree / path).read_bytes() for path, _ in places}
        good = {path: (whole / path).read_bytes() for path, _ in places}
        return sum(content[path][at] == good[path][at] for path, at in places)

    until(lambda: right() == len(places), "the node whose bits rotted to mend them all", WITHIN_S)
    mended(machine, manifest)


def rot(manifest: Manifest, tree: Path, dice: random.Random) -> list[tuple[str, int]]:
    """Flip a bit in each of many chunks, leaving times as they were: where."""
    large = [entry for entry in manifest.entries if entry.size_bytes > 1_000_000]
    places = []
    for _ in range(ROTTEN_CHUNKS):
        entry = dice.choice(large)
        at = dice.randrange(entry.size_bytes)
        path = tree / entry.path
        status = path.stat()
        with path.open("r+b") as file:
            file.seek(at)
            (byte,) = file.read(1)
            file.seek(at)
            file.write(bytes([byte ^ 1 << dice.randrange(8)]))
        os.utime(path, ns=(status.st_atime_ns, status.st_mtime_ns))
        places.append((entry.path, at))
    return places


def edit(tree: Path, but: str) -> str:
    """Overwrite parts of a large file as any program would; its path in the tree."""
    path = max(
        (path for path in regular_files(tree) if path != tree / but),
        key=lambda path: path.stat().st_size,
    )
    with path.open("r+b") as file:
        for at in range(0, path.stat().st_size, EDITED_EACH_BYTES):
            file.seek(at)
            file.write(b"edited\n")
    return str(path.relative_to(tree))


def mended(machine: Machine, manifest: Manifest) -> None:
    """Wait until it is a seed again."""

    def whole() -> bool:
        swarm = machine.api.swarm(manifest.id)
        return bool(swarm.get("complete")) and swarm["state"] == "seeding"

    until(whole, f"{machine.name} to have all again")


# --- a new version -------------------------------------------------------------------------------


class Reader:
    """Opens a tree again and again while it is replaced; the context checks what it saw."""

    def __init__(self, tree: Path) -> None:
        self._tree = tree
        self._over = threading.Event()
        self._thread = threading.Thread(target=self._run)
        self.seen: list[str] = []
        self.faults: list[str] = []

    def __enter__(self) -> "Reader":
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._over.set()
        self._thread.join()

    def _run(self) -> None:
        while not self._over.wait(0.0005):
            try:
                fd = os.open(self._tree, os.O_RDONLY | os.O_DIRECTORY)
            except OSError as error:
                self.faults.append(f"no folder: {error}")
                continue
            try:
                self._look(fd)
            finally:
                os.close(fd)

    def _look(self, fd: int) -> None:
        try:
            versions = {read_at(fd, "A-VERSION"), read_at(fd, "z/deep/VERSION")}
        except FileNotFoundError as error:
            # the old folder, which is being deleted: only if its name already shows another
            if os.stat(self._tree).st_ino == os.fstat(fd).st_ino:
                self.faults.append(f"a file is missing: {error}")
            return
        if len(versions) != 1:
            self.faults.append(f"a mixture of {versions}")
        self.seen += versions - set(self.seen[-1:])


def read_at(folder_fd: int, path: str) -> str:
    fd = os.open(path, os.O_RDONLY, dir_fd=folder_fd)
    try:
        return os.read(fd, 100).decode()
    finally:
        os.close(fd)


def replaced_by_a_new_version(fleet: Fleet, tree: Path) -> float:
    """Push it; each node shows it in one step. The largest part of it that a node fetched."""
    readers = [Reader(fleet.machines[name].into / "tree") for name in ("one", "two")]
    with readers[0], readers[1]:
        manifest = fleet.push(tree, "app:2")
        ends = [fleet.machines[name].done(manifest.id, within_s=WITHIN_S) for name in NAMES]
        until(lambda: all(reader.seen[-1:] == ["2"] for reader in readers), "readers to see it")
    for reader in readers:
        assert reader.faults == []
        assert reader.seen == ["1", "2"]
    assert all(end["reused_bytes"] + end["fetched_bytes"] == manifest.size_bytes for end in ends)
    return max(float(end["fetched_bytes"]) for end in ends) / manifest.size_bytes


# --- other programs ------------------------------------------------------------------------------


def program(name: str) -> str:
    found = shutil.which(name)
    if found is None:
        pytest.skip(f"{name} is not installed")
    return found


def address_of(fleet: Fleet, machine: Machine) -> str:
    """Where the only file of app:1 can be had from this machine."""
    (address,) = fleet.result("show", "app:1", "--url")["urls"]
    return str(address).replace(fleet.at, f"127.0.0.1:{machine.port}")


@pytest.fixture
def file(tmp_path: Path) -> Path:
    (tmp_path / "published").mkdir()
    path = tmp_path / "published/file"
    path.write_bytes(random.Random(3).randbytes(24_000_000))
    return path


def test_curl_resumes_a_download_that_broke_off(tmp_path: Path, file: Path) -> None:
    curl = program("curl")
    with Fleet(tmp_path) as fleet:
        machine = fleet.node("one")
        machine.done(fleet.push(file, "app:1").id, within_s=WITHIN_S)
        address = address_of(fleet, machine)
        copy = tmp_path / "copy"
        slow = subprocess.Popen([curl, "--silent", "--limit-rate", "8M", "-o", str(copy), address])
        try:
            until(lambda: copy.exists() and copy.stat().st_size > 4_000_000, "some of it")
        finally:
            slow.send_signal(signal.SIGKILL)
            slow.wait()
        had_bytes = copy.stat().st_size
        assert had_bytes < file.stat().st_size
        resumed = subprocess.run(
            [
                *(curl, "--silent", "--show-error", "--fail", "-C", "-", "-o", str(copy)),
                *("--write-out", "%{response_code} %{size_download}", address),
            ],
            capture_output=True,
            text=True,
            timeout=WITHIN_S,
            check=True,
        )
        assert resumed.stdout == f"206 {file.stat().st_size - had_bytes}"
        assert same_bytes(file, copy)


def test_aria2_fetches_over_two_connections(tmp_path: Path, file: Path) -> None:
    aria2 = program("aria2c")
    with Fleet(tmp_path) as fleet:
        machine = fleet.node("one", "--rate-up", "20M")  # so that the second is worth opening
        machine.done(fleet.push(file, "app:1").id, within_s=WITHIN_S)
        address = address_of(fleet, machine)
        subprocess.run(
            [
                *(aria2, "--quiet", "--no-conf", "-x", "2", "-s", "2", "-k", "1M"),
                *("--file-allocation=none", "-d", str(tmp_path), "-o", "copy", address),
            ],
            timeout=WITHIN_S,
            check=True,
        )
        assert same_bytes(file, tmp_path / "copy")
        samples = machine.api.bytes("/metrics").decode().splitlines()
        ranges = [line for line in samples if 'requests_total{code="206",op="files"}' in line]
        assert ranges and float(ranges[0].rpartition(" ")[2]) >= 1  # one had all, one had a range

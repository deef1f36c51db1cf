"""Disks that are full, fail, are read-only, and processes without descriptors: a transfer is paused
and says why, the node stays up, and it goes on by itself once it can."""

import os
import random
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from strew.content.manifest import Manifest
from strew.store.parts import part_path
from tests.cli.processes import until
from tests.faults.disks import SmallDisk, fill
from tests.faults.injection import strace
from tests.machines import Fleet, Machine
from tests.members import make_file
from tests.promises import Measured
from tests.store.makers import write_tree
from tests.trees import differences, same_bytes

pytestmark = [pytest.mark.faults, pytest.mark.timeout(300)]

LONG = pytest.mark.long

WITHIN_S = 30.0

PAUSES_WITHIN_S = 2.0
RESUMES_WITHIN_S = 10.0
"""The promises: so soon after the disk fails it is told of, so soon after it works it goes on."""

SIZE_BYTES = 24_000_000
RATE = "12M"

WRITES_THAT_FAIL = "20..21"
"""Of one thread, in strace's words: in the middle of the file."""


@pytest.fixture
def fleet(tmp_path: Path) -> Iterator[Fleet]:
    with Fleet(tmp_path, "--rate-up", RATE) as fleet:
        yield fleet


@pytest.fixture
def file(tmp_path: Path) -> Path:
    return make_file(tmp_path / "published/file", SIZE_BYTES)


def stage(machine: Machine, manifest: Manifest) -> str:
    return str(machine.api.transfer(manifest.id).get("stage"))


def paused(machine: Machine, manifest: Manifest, *words: str) -> float:
    """Wait until its transfer is paused for a reason with these words; seconds waited."""
    started_s = time.monotonic()
    until(lambda: stage(machine, manifest) == "paused", f"{machine.name} to pause")
    took_s = time.monotonic() - started_s
    reason = machine.api.transfer(manifest.id)["reason"]
    assert all(word in reason for word in words), reason
    assert "\n" not in reason and machine.is_up()
    return took_s


def goes_on(machine: Machine, manifest: Manifest) -> float:
    """Wait until its transfer is no longer paused; seconds waited."""
    started_s = time.monotonic()
    until(lambda: stage(machine, manifest) != "paused", "it to go on", RESUMES_WITHIN_S)
    return time.monotonic() - started_s


def ends_well(machine: Machine, manifest: Manifest, file: Path, into: Path | None = None) -> None:
    """The file is in place, nothing else is, and the node complained in whole sentences."""
    machine.done(manifest.id, within_s=WITHIN_S)
    into = into or machine.into
    assert (
        same_bytes(file, into / file.name)
        if file.is_file()
        else not differences(file, into / file.name)
    )
    until(lambda: [n for n in os.listdir(into) if n.startswith(".strew")] == [], "a tidy folder")
    assert machine.is_up()
    assert "Traceback" not in machine.running.errors, machine.running.errors


def test_a_full_disk_is_told_of_with_what_is_needed(
    fleet: Fleet, file: Path, tmp_path: Path, measured: Measured
) -> None:
    disk = SmallDisk(tmp_path / "disk", 40 << 20)
    machine = fleet.node("one", wrapped=disk.wrapped, into="disk/into")
    filler = disk.inside(machine) / "filler"
    fill(filler)
    fleet.knows("one")
    pushing = fleet.start("push", str(file), "app:1")
    manifest = fleet.manifest(pushing.event("published")["artifact"])
    pause_s = paused(machine, manifest, "no space", f"need {SIZE_BYTES} bytes")
    assert pause_s < PAUSES_WITHIN_S
    filler.unlink()
    resume_s = goes_on(machine, manifest)
    ends_well(machine, manifest, file, disk.inside(machine) / "into")
    measured(
        "disk full",
        f"paused within {PAUSES_WITHIN_S:.0f} s, on within {RESUMES_WITHIN_S:.0f} s of space",
        f"{pause_s:.1f} s, {resume_s:.1f} s",
    )


@LONG
def test_a_disk_that_becomes_read_only_is_waited_for(
    fleet: Fleet, file: Path, tmp_path: Path, measured: Measured
) -> None:
    disk = SmallDisk(tmp_path / "disk", 80 << 20)
    machine = fleet.node("one", wrapped=disk.wrapped, into="disk/into")
    fleet.knows("one")
    disk.remount(machine, "ro")
    manifest = fleet.push(file, "app:1")
    pause_s = paused(machine, manifest, "Read-only file system")
    assert pause_s < PAUSES_WITHIN_S
    disk.remount(machine, "rw")
    resume_s = goes_on(machine, manifest)
    ends_well(machine, manifest, file, disk.inside(machine) / "into")
    measured(
        "disk read-only",
        f"paused within {PAUSES_WITHIN_S:.0f} s, on within {RESUMES_WITHIN_S:.0f} s",
        f"{pause_s:.1f} s, {resume_s:.1f} s",
    )


@pytest.mark.parametrize(
    ("fails", "error", "says"),
    [
        pytest.param(
            "pwrite64", "EIO", "Input/output error", id="EIO while chunks are written", marks=LONG
        ),
        pytest.param(
            "pwrite64", "ENOSPC", "no space", id="ENOSPC while chunks are written", marks=LONG
        ),
        pytest.param(
            "pwrite64", "EROFS", "Read-only", id="EROFS while chunks are written", marks=LONG
        ),
        pytest.param("fsync", "EIO", "Input/output error", id="EIO when it is flushed", marks=LONG),
        pytest.param(
            "renameat", "EIO", "Input/output error", id="EIO when it is put in place", marks=LONG
        ),
    ],
)
def test_a_disk_that_fails_for_a_while_is_waited_for(
    fleet: Fleet, file: Path, tmp_path: Path, measured: Measured, fails: str, error: str, says: str
) -> None:
    fleet.node("other", "--rate-up", RATE)  # so that a swarm goes on meanwhile
    manifest = fleet.push(file, "app:1")
    into = tmp_path / "one"
    at = into if fails == "renameat" else Path(part_path(str(into / "file"), manifest.id))
    when = WRITES_THAT_FAIL if fails == "pwrite64" else "1"
    log = tmp_path / "strace.log"
    wrapped = strace(
        log, f"trace={fails}", f"inject={fails}:error={error}:when={when}", paths=[at], quick=True
    )
    machine = fleet.node("one", wrapped=wrapped)
    paused(machine, manifest, says)
    resume_s = goes_on(machine, manifest)
    ends_well(machine, manifest, file)
    assert "INJECTED" in log.read_text()
    assert fleet.machines["other"].is_up()
    measured(
        f"{error} of {fails}",
        f"on within {RESUMES_WITHIN_S:.0f} s, all right in the end",
        f"{resume_s:.1f} s",
    )


@LONG
@pytest.mark.parametrize(
    ("calls", "when", "file_name"),
    [("pwrite64", "20..22", "index.sqlite-wal"), ("rename", "1+", "names.json.new")],
    ids=["the index", "names"],
)
def test_a_disk_that_fails_for_the_state_alone_costs_no_fetch(
    fleet: Fleet, file: Path, tmp_path: Path, calls: str, when: str, file_name: str
) -> None:
    manifest = fleet.push(file, "app:1")
    log = tmp_path / "strace.log"
    expressions = (f"trace={calls}", f"inject={calls}:error=EIO:when={when}")
    at = tmp_path / "one.data" / file_name
    machine = fleet.node("one", wrapped=strace(log, *expressions, paths=[at], quick=True))
    ends_well(machine, manifest, file)

    def failed() -> bool:
        lines = log.read_text().splitlines()
        return any("INJECTED" in line and file_name in line for line in lines)

    until(failed, f"a write of {file_name} to fail")
    assert machine.running.stop() == 0
    again = fleet.start(
        *("node", "--join", fleet.at, "--follow", "app:*", "--into", str(machine.into)),
        *("--data", str(machine.data), "--listen", "127.0.0.1:0"),
    )
    done = again.event("transfer", artifact=manifest.id)
    assert done["fetched_bytes"] == 0
    assert again.stop() == 0


@LONG
def test_a_process_with_few_descriptors_gets_there(
    fleet: Fleet, tmp_path: Path, measured: Measured
) -> None:
    tree = write_tree(tmp_path / "published_tree")
    for number in range(100):
        (tree / f"{number}").write_bytes(random.Random(number).randbytes(40_000))
    manifest = fleet.push(tree, "app:1")
    others = [fleet.node(f"other{number}") for number in range(3)]
    few = fleet.node("few", wrapped=["sh", "-c", 'ulimit -n 64; exec "$@"', "sh"])
    for machine in (few, *others):
        ends_well(machine, manifest, tree)
    open_files = len(os.listdir(f"/proc/{few.running.process.pid}/fd"))
    measured("64 descriptors", "gets there, stays up", f"{open_files} open in the end")

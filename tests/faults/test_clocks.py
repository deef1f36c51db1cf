"""Clocks that jump by two days, forth and back, while a fleet works: nothing waits for the time it
was, and names do not go back.

libfaketime moves a process's calendar alone; what a process measures by the steady clock goes on.
"""

import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.machines import Fleet
from tests.members import make_file
from tests.promises import Measured
from tests.trees import same_bytes

pytestmark = [pytest.mark.faults, pytest.mark.timeout(300)]

LIBRARIES = [
    Path(f"/usr/lib/{machine}-linux-gnu/faketime/libfaketimeMT.so.1")
    for machine in ("x86_64", "aarch64")
]
SIZE_BYTES = 12_000_000
RATE = "6M"
WITHIN_S = 30.0
JUMP = "48h"


class Clock:
    """The calendar of some processes, in a file that they read each time they ask."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self.jump("+0")

    def jump(self, offset: str) -> None:
        """Be so far from the true time from now on."""
        after = self._path.with_suffix(".new")
        after.write_text(f"{offset}\n")
        after.replace(self._path)

    @property
    def environment(self) -> dict[str, str]:
        library = next((path for path in LIBRARIES if path.exists()), None)
        if library is None:
            pytest.skip("libfaketime is not installed (make test-tools)")
        return {
            "LD_PRELOAD": str(library),
            "FAKETIME_TIMESTAMP_FILE": str(self._path),
            "FAKETIME_NO_CACHE": "1",
            "FAKETIME_DONT_FAKE_MONOTONIC": "1",
        }

    @property
    def wrapped(self) -> list[str]:
        """What to put before a command."""
        return ["env", *(f"{name}={value}" for name, value in self.environment.items())]


@pytest.fixture
def serving(tmp_path: Path) -> Clock:
    return Clock(tmp_path / "serve.clock")


@pytest.fixture
def fleet(tmp_path: Path, serving: Clock) -> Iterator[Fleet]:
    fleet = Fleet(tmp_path, "--rate-up", RATE)
    fleet.env |= serving.environment
    with fleet:
        for name in serving.environment:
            del fleet.env[name]
        yield fleet


@pytest.mark.long
def test_clocks_that_jump_by_two_days_stop_nothing(
    fleet: Fleet, serving: Clock, tmp_path: Path, measured: Measured
) -> None:
    clocks = {"one": Clock(tmp_path / "one.clock"), "two": Clock(tmp_path / "two.clock")}
    for name, clock in clocks.items():
        fleet.node(name, "--rate-up", RATE, wrapped=clock.wrapped)
    fleet.knows(*clocks)
    jumps = {
        1: {"one": f"+{JUMP}"},
        2: {"serve": f"+{JUMP}", "one": "+0", "two": f"-{JUMP}"},
        3: {"serve": f"-{JUMP}", "two": f"+{JUMP}"},
        4: {"serve": "+0", "two": "+0", "one": f"-{JUMP}"},
    }
    versions = []
    for number, jumped in jumps.items():
        file = make_file(tmp_path / f"{number}/file", SIZE_BYTES, seed=number)
        manifest = fleet.push(file, "app:1")
        fleet.machines["one"].reaches(manifest.id, 0.2)
        for name, offset in jumped.items():
            (serving if name == "serve" else clocks[name]).jump(offset)
        for name in clocks:
            machine = fleet.machines[name]
            machine.done(manifest.id, within_s=WITHIN_S)
            assert same_bytes(file, machine.into / "file")
        (published,) = fleet.api.json("names")
        versions.append(published["version"])
    assert versions == sorted(set(versions)), "a name went back"
    for machine in fleet.machines.values():
        assert machine.running.stop() == 0
        assert "Traceback" not in machine.running.errors
        machine.start()
    fleet.knows(*clocks)
    file = make_file(tmp_path / "5/file", SIZE_BYTES, seed=5)
    manifest = fleet.push(file, "app:1")
    for machine in fleet.machines.values():
        machine.done(manifest.id, within_s=WITHIN_S)
    measured(
        "clocks of serve and nodes jump by ±48 h", "nothing stops, no name goes back", "5 of 5"
    )


def test_a_node_two_days_behind_or_ahead_joins_and_fetches(fleet: Fleet, tmp_path: Path) -> None:
    file = make_file(tmp_path / "published/file", 3_000_000)
    manifest = fleet.push(file, "app:1")
    for offset in (f"-{JUMP}", f"+{JUMP}"):
        clock = Clock(tmp_path / f"{offset}.clock")
        clock.jump(offset)
        machine = fleet.node(f"node{offset}", wrapped=clock.wrapped)
        machine.done(manifest.id, within_s=WITHIN_S)
        assert same_bytes(file, machine.into / "file")


def test_the_clock_of_these_tests_jumps(tmp_path: Path) -> None:
    """Or they would show nothing."""
    clock = Clock(tmp_path / "clock")
    program = [*clock.wrapped, sys.executable, "-c", "import time; print(int(time.time()))"]
    true_s = int(subprocess.check_output(program))
    clock.jump(f"-{JUMP}")
    assert abs(true_s - int(subprocess.check_output(program)) - 48 * 3600) < 60

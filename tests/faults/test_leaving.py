"""A node that is told to end hands over what only it has, and then ends; told twice, at once."""

from __future__ import annotations

import signal
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from strew.content.manifest import Manifest
from tests.cli.processes import until
from tests.faults.races import Races, race
from tests.machines import Fleet, Machine

pytestmark = [pytest.mark.faults, pytest.mark.timeout(120)]

SIZE_BYTES = 4_000_000
RATE = "1M"

LEAVES_WITHIN_S = 15.0
"""The bound of strew.agent.agent, HAND_OVER_MAX_S."""

AT_ONCE_S = 2.0


@pytest.fixture
def races(tmp_path: Path) -> Iterator[Races]:
    with Fleet(tmp_path, "--rate-up", RATE) as fleet:
        yield race(fleet, ("one", "two", "three"), SIZE_BYTES, RATE)


def only_here(races: Races, machine: Machine, manifest: Manifest) -> set[int]:
    """Chunks that no machine beside this one has."""
    others = [other.claimed(manifest) for other in races.machines if other is not machine]
    return machine.claimed(manifest) - set().union(*others)


def test_what_only_a_node_has_outlives_it(races: Races) -> None:
    """The origin dies; whoever has chunks that nobody else has is told to end right then. A chunk
    is nowhere else for a fifth of a second, so that all stand still while that one is looked for.
    """
    fleet = races.fleet
    manifest = races.stage()
    races.publish(manifest.id)
    until(lambda: len(fleet.owed(manifest)) < 0.6 * manifest.chunk_count, "chunks to be out")

    def stopped_with_its_own() -> Machine | None:
        for machine in races.machines:
            machine.signal(signal.SIGSTOP)
        leaver = max(races.machines, key=lambda machine: len(only_here(races, machine, manifest)))
        if only_here(races, leaver, manifest):
            return leaver
        for machine in races.machines:
            machine.signal(signal.SIGCONT)
        return None

    leaver = until(stopped_with_its_own, "a node to have something of its own")
    fleet.serve.kill()
    owed = only_here(races, leaver, manifest)
    for machine in races.machines:
        machine.signal(signal.SIGCONT)
    began_s = time.monotonic()
    assert leaver.running.stop() == 0
    took_s = time.monotonic() - began_s
    lost = only_here(races, leaver, manifest)
    print(f"{len(owed)} chunks only there, {len(lost)} after it left, which took {took_s:.1f} s")
    assert owed
    assert not lost
    assert took_s < LEAVES_WITHIN_S


@pytest.mark.long
def test_an_origin_that_is_told_to_end_gives_the_rest_away_first(races: Races) -> None:
    fleet = races.fleet
    manifest = races.stage()
    began_s = races.publish(manifest.id)
    some = 0.8 * manifest.chunk_count
    until(lambda: len(fleet.owed(manifest)) < some, "some of it to be out")
    assert fleet.owed(manifest)
    assert fleet.serve.stop() == 0
    left_s = time.monotonic() - began_s
    took_s = races.finish(manifest.id, began_s)
    print(f"the origin left after {left_s:.1f} s, all had the file after {took_s:.1f} s")


def test_a_second_signal_ends_it_at_once(races: Races) -> None:
    fleet = races.fleet
    manifest = races.stage()
    races.publish(manifest.id)
    until(lambda: len(fleet.owed(manifest)) < 0.9 * manifest.chunk_count, "chunks to be out")
    process = fleet.serve.process
    process.send_signal(signal.SIGTERM)
    fleet.serve.event("leaving")
    assert process.poll() is None
    process.send_signal(signal.SIGTERM)
    told_s = time.monotonic()
    process.wait(AT_ONCE_S)
    print(f"ended {time.monotonic() - told_s:.2f} s after the second signal")
    assert process.returncode == -signal.SIGTERM

"""Trackers and origins that die, and come back or do not: what it costs, in multiples of B."""

from __future__ import annotations

import time
from collections.abc import Iterator

import pytest

from strew.content.manifest import Manifest
from strew.node.participation import WAITS_AFTER_S, ranges_of
from tests.cli.processes import until
from tests.faults.races import Races
from tests.members import Members, Process

pytestmark = [pytest.mark.faults, pytest.mark.long, pytest.mark.timeout(300)]

NAMES = tuple(f"n{number}" for number in range(8))
SIZE_BYTES = 24_000_000
RATE = "1500K"

BACK_AFTER_S = 10.0
"""Of a tracker, with nothing left of what it knew."""

GONE_S, GONE_COSTS_S = 60.0, 75.0
"""Of an origin, and what that may cost."""


class Fellowship(Races):
    """A tracker, a node at which files are published, and machines that fetch them."""

    tracker: Process
    origin: Process

    def out(self, manifest: Manifest) -> set[int]:
        """Chunks that any machine has beside the origin."""
        return set[int]().union(*(machine.claimed(manifest) for machine in self.machines))

    def reach(self, part: float, artifact: str) -> None:
        for machine in self.machines:
            machine.reaches(artifact, part, within_s=self.within_s)


@pytest.fixture(scope="module")
def races(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Fellowship]:
    with Members(tmp_path_factory.mktemp("fleet")) as fleet:
        tracker = fleet.tracker("tracker")
        origin = fleet.member("origin", "--rate-up", RATE, by=[tracker.at])
        by = [tracker.at, origin.at]
        nodes = [fleet.member(name, "--rate", RATE, by=by, follow="app:*") for name in NAMES]
        fleet.all_know(within_s=60.0)
        races = Fellowship(fleet, nodes, SIZE_BYTES, origin.at, origin.api)
        races.tracker, races.origin = tracker, origin
        races.measure()
        yield races


@pytest.mark.parametrize("comes_back", [True, False])
def test_a_tracker_killed_at_thirty_percent(races: Fellowship, comes_back: bool) -> None:
    artifact = races.stage().id
    began_s = races.publish(artifact)
    races.reach(0.3, artifact)
    tracker = races.tracker
    tracker.kill()
    killed_s = time.monotonic()
    if comes_back:
        tracker.forget()
        until(lambda: time.monotonic() > killed_s + BACK_AFTER_S, "ten seconds to pass")
        tracker.start()
    took_s = races.finish(artifact, began_s)
    promise = 1.2 if comes_back else 1.5
    what = "tracker killed at 30 %, " + ("back, empty, after 10 s" if comes_back else "for good")
    assert races.told(what, took_s, promise) <= promise
    for machine in races.machines:  # nothing in flight was cut: nothing came twice
        assert machine.done(artifact, within_s=0.1)["fetched_bytes"] == SIZE_BYTES
    races.no_tracebacks()
    if not comes_back:
        tracker.start()


def test_an_origin_killed_after_one_copy_is_out(races: Fellowship) -> None:
    manifest = races.stage()
    began_s = races.publish(manifest.id)
    until(lambda: len(races.out(manifest)) == manifest.chunk_count, "a copy", races.within_s)
    races.origin.kill()
    short = min(len(machine.claimed(manifest)) for machine in races.machines)
    took_s = races.finish(manifest.id, began_s)
    assert races.told("origin killed after one copy", took_s, 1.2) <= 1.2
    assert short < manifest.chunk_count, "all had it already"
    races.no_tracebacks()
    races.origin.start()


def test_an_origin_killed_half_out_and_back_after_a_minute(races: Fellowship) -> None:
    manifest = races.stage()
    half = manifest.chunk_count // 2
    began_s = races.publish(manifest.id)
    until(lambda: len(races.out(manifest)) >= half, "half of it to be out", races.within_s)
    races.origin.kill()
    killed_s = time.monotonic()

    def all_wait() -> bool:
        """Everybody has what anybody has, and says what nobody has."""
        out = races.out(manifest)
        return all(machine.claimed(manifest) == out for machine in races.machines)

    until(all_wait, "all to have what is out", GONE_S)
    lacking = set(range(manifest.chunk_count)) - races.out(manifest)
    told = ranges_of(sum(1 << index for index in lacking))
    for machine in races.machines:

        def says(machine: Process = machine) -> bool:  # type: ignore[assignment]
            return str(machine.api.transfer(manifest.id)["reason"]).endswith(told)

        until(says, f"{machine.name} to say that it lacks {told}", 4 * WAITS_AFTER_S)
    print(f"{len(lacking)} of {manifest.chunk_count} chunks lack, and all say so: {told}")
    until(lambda: time.monotonic() > killed_s + GONE_S, "a minute to pass", GONE_S)
    races.origin.start()
    races.within_s = 3 * GONE_S
    took_s = races.finish(manifest.id, began_s)
    more_s = took_s - races.b_s
    print(f"half out, origin away for {GONE_S:.0f} s: B + {more_s:.1f} s (promise {GONE_COSTS_S})")
    assert more_s <= GONE_COSTS_S
    races.no_tracebacks()

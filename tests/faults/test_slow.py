"""A fifth of a fleet is slow, or stops in the middle of a chunk: the others do not wait for it."""

from __future__ import annotations

import signal
from collections.abc import Iterator

import pytest

from strew.content.reference import parse_address
from tests.faults.liars import Drip, Liars
from tests.faults.races import Races, race, until_known
from tests.machines import Fleet, Machine

pytestmark = [pytest.mark.faults, pytest.mark.long, pytest.mark.timeout(300)]

NAMES = tuple(f"n{number}" for number in range(8))
SLOW_NAMES = ("slow", "slower")
SIZE_BYTES = 18_000_000
RATE = "1500K"

THIN = "12500"
"""100 kbit/s, both ways."""

FIRST_PART, FIRST_PART_S = 0.01, 120.0
"""What a thin link has brought by then. Nine neighbours send it a chunk each at once; on loopback,
whose segments have 64 KiB, a receiver so slow opens its window less often than every 20 s, the
senders' kernels give up (TCP_USER_TIMEOUT), and what such a link brought of a chunk is lost."""

PROMISE_B = 1.3
ELSEWHERE_WITHIN_S = 10.0
"""A chunk that does not get on has come from another by then."""


@pytest.fixture(scope="module")
def races(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Races]:
    with Fleet(tmp_path_factory.mktemp("fleet"), "--rate-up", RATE) as fleet:
        races = race(fleet, NAMES, SIZE_BYTES, RATE)
        races.measure()
        yield races


@pytest.fixture
def two_more(races: Races, request: pytest.FixtureRequest) -> Iterator[list[Machine]]:
    """Machines of this rate beside the others, for one test."""
    name = request.node.name
    rate = request.param
    machines = [races.fleet.node(f"{each}-{name}", "--rate", rate) for each in SLOW_NAMES]
    races.fleet.knows(*(machine.name for machine in machines))
    yield machines
    for machine in machines:
        machine.kill()
        del races.fleet.machines[machine.name]


@pytest.mark.parametrize("two_more", [THIN], indirect=True)
def test_thin_links_hold_nobody_up(races: Races, two_more: list[Machine]) -> None:
    artifact = races.stage().id
    took_s = races.finish(artifact, races.publish(artifact))
    assert races.told("a fifth with 100 kbit/s", took_s, PROMISE_B) <= PROMISE_B
    assert not races.banned_among_themselves()
    for machine in two_more:  # each gets on by its link, and blames nobody for it
        machine.reaches(artifact, FIRST_PART, within_s=FIRST_PART_S)
        assert not races.bans(machine) & races.ids()
    races.no_tracebacks()


@pytest.mark.parametrize("two_more", [RATE], indirect=True)
def test_machines_that_stop_in_the_middle_hold_nobody_up(
    races: Races, two_more: list[Machine]
) -> None:
    artifact = races.stage().id
    began_s = races.publish(artifact)
    for machine in two_more:
        machine.reaches(artifact, 0.2)
        machine.signal(signal.SIGSTOP)
    took_s = races.finish(artifact, began_s)
    assert races.told("a fifth stopped at 20 %", took_s, PROMISE_B) <= PROMISE_B
    assert not races.banned_among_themselves()
    races.no_tracebacks()


def test_a_byte_a_second_holds_nobody_up(races: Races) -> None:
    manifest = races.stage()
    at = parse_address(races.fleet.at)
    drips = [Drip(races.fleet.key, at, manifest, seed) for seed in range(len(SLOW_NAMES))]
    with Liars(drips):
        until_known(races.fleet, drips)
        took_s = races.finish(manifest.id, races.publish(manifest.id))
    waits_s = [wait_s for drip in drips for wait_s in drip.elsewhere_after_s()]
    assert waits_s, "nobody waited for a chunk that dripped"
    print(
        f"{len(waits_s)} chunks dripped, the last of which came from another "
        f"{max(waits_s):.1f} s after it was asked for (promise {ELSEWHERE_WITHIN_S} s)"
    )
    assert races.told("a fifth sends a byte a second", took_s, PROMISE_B) <= PROMISE_B
    assert max(waits_s) <= ELSEWHERE_WITHIN_S
    assert not races.banned_among_themselves()
    races.no_tracebacks()

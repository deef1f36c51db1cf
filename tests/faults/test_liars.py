"""A fifth of a fleet lies, in each way that the wire allows: the others have what they came for."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from strew.content.reference import parse_address
from strew.swarm.neighbour import BAD_CHUNKS_MAX
from tests.faults.liars import KINDS, Liars
from tests.faults.races import Races, race, until_known
from tests.machines import Fleet

pytestmark = [pytest.mark.faults, pytest.mark.long, pytest.mark.timeout(180)]

NAMES = tuple(f"n{number}" for number in range(8))
LIARS = 2
SIZE_BYTES = 15_000_000
RATE = "1500K"

PROMISE_B = 1.5


@pytest.fixture(scope="module")
def races(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Races]:
    with Fleet(tmp_path_factory.mktemp("fleet"), "--rate-up", RATE) as fleet:
        races = race(fleet, NAMES, SIZE_BYTES, RATE)
        races.measure()
        yield races


@pytest.mark.parametrize("kind", KINDS)
def test_liars_cost_little(races: Races, kind: str) -> None:
    fleet = races.fleet
    manifest = races.stage()
    at = parse_address(fleet.at)
    liars = [KINDS[kind](fleet.key, at, manifest, seed) for seed in range(LIARS)]
    failures = {m.name: m.api.metric("strew_chunk_verify_failures_total") for m in races.machines}
    with Liars(liars):
        until_known(fleet, liars)
        took_s = races.finish(manifest.id, races.publish(manifest.id))
        banned = [races.bans(machine) for machine in races.machines]
    assert sum(liar.links for liar in liars) > 0, "nobody met a liar"
    bad = [
        machine.api.metric("strew_chunk_verify_failures_total") - failures[machine.name]
        for machine in races.machines
    ]
    ratio = races.told(kind, took_s, PROMISE_B)
    print(
        f"  links {[liar.links for liar in liars]}, asked {[liar.asked for liar in liars]}, "
        f"bad chunks by victim {[int(each) for each in bad]}, bans {[len(b) for b in banned]}"
    )
    assert not races.banned_among_themselves()
    assert max(bad) <= BAD_CHUNKS_MAX * LIARS
    races.no_tracebacks()
    assert ratio <= PROMISE_B

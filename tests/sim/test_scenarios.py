"""Scenarios: what they change, what they plan, and the bounds they name."""

from __future__ import annotations

import math

import pytest

from strew.sim import bounds
from strew.sim.fleet import Fleet, Machine, Terms
from strew.sim.scenarios import SCENARIOS, is_wanted, kind_of

SMALL = Terms(nodes=20, chunks=30, size_bytes=30_000_000)
LINE_S = 0.24


def fleet_of(name: str, terms: Terms = SMALL) -> Fleet:
    scenario = SCENARIOS[name]
    return scenario.fleet(scenario.terms(terms))


def bound_of(name: str, terms: Terms = SMALL) -> dict[str, float]:
    scenario = SCENARIOS[name]
    terms = scenario.terms(terms)
    return dict(scenario.bound(terms, scenario.fleet(terms).machines))


def equal_s(nodes: int) -> float:
    return bounds.equal_links_s(30_000_000, 30, nodes, 125e6)


@pytest.mark.parametrize("name", SCENARIOS)
def test_every_kind_of_machine_has_its_bound(name: str) -> None:
    fleet, found = fleet_of(name), bound_of(name)
    assert {kind_of(machine) for machine in fleet.machines} == set(found)
    assert all(found_s >= LINE_S - 1e-9 for found_s in found.values())


@pytest.mark.parametrize("name", SCENARIOS)
def test_the_fewest_machines_it_takes(name: str) -> None:
    fewest = SCENARIOS[name].nodes_min
    fleet = fleet_of(name, Terms(nodes=fewest, chunks=10, size_bytes=10_000_000))
    fleet.spread()
    assert fleet.times_s


def test_who_is_slow_hangs_on_the_seed_alone() -> None:
    def slow(seed: int) -> list[int]:
        machines = fleet_of("slow10", Terms(nodes=50, seed=seed)).machines
        return [number for number, machine in enumerate(machines) if machine.down_ratio < 1]

    assert slow(1) == slow(1)
    assert slow(1) != slow(2)
    assert len(slow(1)) == 5


def test_slow_links_and_slow_uplinks() -> None:
    both = [m for m in fleet_of("slow10").machines if kind_of(m) == "slow"]
    up = [m for m in fleet_of("slow-up10").machines if kind_of(m) == "slow uplink"]
    assert [(m.up_ratio, m.down_ratio) for m in both] == [(0.25, 0.25)] * 2
    assert [(m.up_ratio, m.down_ratio) for m in up] == [(0.25, 1.0)] * 2


def test_a_slow_class_has_a_bound_of_its_own() -> None:
    found = bound_of("slow10")
    assert found[""] == pytest.approx(LINE_S)
    assert found["slow"] == pytest.approx(4 * LINE_S)


def test_slow_uplinks_are_everybodys_loss() -> None:
    """20 copies leave over 1 + 18 + 2/4 uplinks."""
    expected = pytest.approx(LINE_S * 20 / 19.5)
    assert bound_of("slow-up10") == {"": expected, "slow uplink": expected}


def test_bounds_count_those_that_are_left() -> None:
    assert bound_of("flash") == {"": pytest.approx(equal_s(20))}
    assert bound_of("die10") == {"": pytest.approx(equal_s(18))}
    assert bound_of("liars") == {"": pytest.approx(equal_s(16))}


def test_the_origins_rate_is_in_the_bound() -> None:
    round_s = LINE_S / 30
    four = math.ceil(math.log2(20 / 4 + 1)) - 1
    assert bound_of("origin4") == {"": pytest.approx(LINE_S + four * round_s)}
    assert bound_of("origin-half") == {"": pytest.approx(2 * LINE_S + 4 * round_s)}


def test_a_racks_link_may_be_the_bound() -> None:
    """Two machines in each of two racks: their link carries half of one machine's rate."""
    terms = Terms(nodes=4, chunks=30, size_bytes=30_000_000)
    assert bound_of("racks2", terms) == {"": pytest.approx(2 * LINE_S)}
    assert bound_of("racks2") == {"": pytest.approx(equal_s(20))}


def test_a_staggered_start_is_spread_evenly() -> None:
    starts_s = sorted(machine.starts_s for machine in fleet_of("staggered").machines)
    assert starts_s == pytest.approx([LINE_S / 2 * (n + 1) / 20 for n in range(20)])


def test_broken_machines_are_not_waited_for() -> None:
    machines = fleet_of("liars").machines
    assert [sum(m.liar for m in machines), sum(m.stalled for m in machines)] == [2, 2]
    assert sum(map(is_wanted, machines)) == fleet_of("liars").wanted == 16
    assert not is_wanted(Machine(liar=True))


def test_a_tenth_dies_half_of_it_with_its_kernel() -> None:
    fleet = fleet_of("die10")
    fleet.spread()
    dead = [peer for peer in fleet.peers if not peer.alive]
    assert len(dead) == 2
    assert sum(not peer.host.alive for peer in dead) == 1
    assert fleet.done == fleet.wanted >= 18


def test_the_origin_dies_when_the_others_have_everything_between_them() -> None:
    fleet = fleet_of("origin-dies")
    fleet.spread()
    fleet.world.run(lambda: not fleet.origin.alive, fleet.world.now + LINE_S)
    assert not fleet.tracker.alive
    assert fleet.sent_by_origin_bytes >= SMALL.size_bytes
    assert fleet.done == 20


def test_the_tracker_dies_early_and_nobody_misses_it() -> None:
    fleet = fleet_of("tracker-gone")
    seen: list[bool] = []
    fleet.on_done = lambda peer: seen.append(fleet.tracker.alive)
    fleet.spread()
    assert fleet.done == 20
    assert not any(seen)


def test_latency() -> None:
    assert fleet_of("latency5").network.latency_s == 0.005

"""A fleet without a tracker: its members know each other, and need nobody else."""

from __future__ import annotations

from dataclasses import replace

import pytest

from strew.content.bitfield import Bitfield
from strew.errors import UsageError
from strew.messages import Opened, swarm_key_of
from strew.sim.fleet import ARTIFACT, GATHER_S, REFERENCE, Fleet, Machine, Terms
from strew.sim.run import SWARM, admitted, simulate, why_not
from strew.sim.scenarios import SCENARIOS

SMALL = Terms(nodes=20, chunks=30, size_bytes=30_000_000, trackerless=True)
LINE_S = 0.24


def test_it_completes_and_no_tracker_is_asked() -> None:
    fleet = Fleet(SMALL)
    fleet.spread()
    assert fleet.done == 20
    assert fleet.tracker.announces == 0
    assert fleet.sent_by_origin_bytes >= SMALL.size_bytes


def test_it_takes_hardly_longer_than_with_a_tracker() -> None:
    """Half of so short a time is joining, in which one straggler counts: three seeds together."""
    spent_s = {True: 0.0, False: 0.0}
    for seed in (1, 2, 3):
        for trackerless in spent_s:
            terms = replace(SMALL, seed=seed, trackerless=trackerless)
            result = simulate(SWARM, "flash", terms).result
            assert result.trackerless == trackerless
            spent_s[trackerless] += result.seconds_last
    assert spent_s[True] < 1.15 * spent_s[False]


def test_when_the_clock_starts_everybody_knows_all_and_is_at_rest() -> None:
    fleet = Fleet(SMALL)
    fleet.gather()
    assert fleet.world.now == -GATHER_S
    seen: list[tuple[int, int, bool]] = []

    def look() -> None:
        for peer in fleet.peers:
            gossip, facts = peer.node.gossip, peer.node.snapshot(0.0)
            assert gossip is not None
            seen.append((gossip.living, facts["gossip"].rumours, facts["dht"]["joined"]))

    fleet.world.at(0.0, look)
    fleet.world.run(lambda: bool(seen), 0.0)
    assert seen == [(20, 0, True)] * 20


def test_everybody_hears_the_name() -> None:
    fleet = Fleet(SMALL)
    fleet.spread()
    for peer in fleet.peers:
        gossip = peer.node.gossip
        assert gossip is not None
        assert [of.publication.reference for of in gossip.names()] == [REFERENCE]


def test_datagrams_are_lost_and_it_completes_all_the_same() -> None:
    fleet = Fleet(replace(SMALL, loss=0.2, seed=3))
    fleet.spread()
    assert fleet.done == 20
    traffic = fleet.datagrams.traffic.values()
    received = sum(of.received_bytes for of in traffic)
    assert 0.7 * fleet.datagrams.sent_bytes < received < 0.9 * fleet.datagrams.sent_bytes


def test_datagrams_count_as_control() -> None:
    quiet = simulate(SWARM, "flash", replace(SMALL, trackerless=False)).result
    told = simulate(SWARM, "flash", SMALL).result
    assert quiet.control_ratio is not None and told.control_ratio is not None
    assert told.control_ratio > quiet.control_ratio


def test_late_machines_knew_the_others_and_are_new_to_them() -> None:
    fleet = SCENARIOS["staggered"].fleet(SMALL)
    fleet.spread()
    assert fleet.done == 20


def test_a_cold_machine_with_one_address_finds_who_holds_the_artifact() -> None:
    fleet = Fleet(SMALL, [*(Machine() for _ in range(19)), Machine(cold=True, starts_s=30.0)])
    fleet.gather()
    world, cold = fleet.world, fleet.peers[-1]
    whole = Opened(ARTIFACT, fleet.lengths, Bitfield.full(30))
    for peer in fleet.peers[:2]:
        world.at(0.0, peer.tell, whole)
    world.at(30.0, cold.tell, Opened(ARTIFACT, fleet.lengths, Bitfield(30)))
    world.run(lambda: cold.done_s is not None, 32.0)
    known = cold.node.book.known[swarm_key_of(ARTIFACT)]
    assert {fleet.peers[0].address, fleet.peers[1].address} <= known.keys()


def test_a_holder_that_died_is_not_the_only_one_asked_for_the_manifest() -> None:
    """The publisher dies the moment two machines have everything: whoever heard of it and had no
    turn yet gets the manifest from one of them."""
    fleet = Fleet(SMALL)
    fleet.gather()
    full = Bitfield.full(30)
    for peer in fleet.peers[:2]:
        fleet.world.at(-1.0, peer.tell, Opened(ARTIFACT, fleet.lengths, full))
    fleet.world.at(0.0, fleet.publish)
    fleet.world.at(0.0, fleet.kill, fleet.origin)
    fleet.world.run(lambda: fleet.done == 18, 30.0)


def test_scenarios_about_a_tracker_need_one() -> None:
    assert not why_not(SWARM, "tracker-gone", replace(SMALL, trackerless=False))
    assert why_not(SWARM, "hybrid-tracker-dies", SMALL)
    with pytest.raises(UsageError, match="tracker-gone is about a tracker, and there is none"):
        admitted(SWARM, "tracker-gone", SMALL)


def test_terms_of_gossip_that_cannot_be() -> None:
    with pytest.raises(UsageError, match="20000 nodes that gossip: from 1 to 19999"):
        admitted(SWARM, "flash", replace(SMALL, nodes=20_000))
    with pytest.raises(UsageError, match="a loss of 1: from 0 to below 1"):
        admitted(SWARM, "flash", replace(SMALL, loss=1.0))
    admitted(SWARM, "flash", replace(SMALL, nodes=20_000, trackerless=False))


def test_beside_a_tracker_they_gossip_if_asked_to() -> None:
    fleet = Fleet(replace(SMALL, trackerless=False, gossip=True))
    fleet.spread()
    assert fleet.done == 20
    assert fleet.tracker.announces >= 20 and fleet.datagrams.sent_bytes > 0
    for trackerless, gossip, gossips in ((False, False, False), (False, True, True)):
        terms = replace(SMALL, trackerless=trackerless, gossip=gossip)
        assert simulate(SWARM, "flash", terms).result.gossip == gossips
    assert simulate(SWARM, "flash", SMALL).result.gossip, "without a tracker they always do"


def test_beside_a_dying_tracker_gossip_goes_on() -> None:
    scenario = SCENARIOS["hybrid-tracker-dies"]
    fleet = scenario.fleet(scenario.terms(replace(SMALL, trackerless=False)))
    fleet.spread()
    assert fleet.done == 20
    assert fleet.tracker.announces >= 20 and not fleet.tracker.alive

"""Running one way in one scenario: terms that cannot be, and what a result says."""

from __future__ import annotations

import gc
from dataclasses import replace

import pytest

from strew.errors import DeadlineExceededError, UnavailableError, UsageError
from strew.sim.baselines import BASELINES
from strew.sim.fleet import Terms
from strew.sim.network import Network
from strew.sim.run import SWARM, admitted, chunks_of, simulate, why_not
from strew.sim.world import World

SMALL = Terms(nodes=12, chunks=30, size_bytes=30_000_000)


def test_a_file_is_cut_as_push_cuts_it() -> None:
    """Average lengths are powers of two from 64 KiB to 4 MiB; the mean is a little longer."""
    assert chunks_of(5 * 10**9) == round(5 * 10**9 / 1.08 / 2**20)
    assert chunks_of(1000) == 1
    assert chunks_of(2**20) == 15
    assert 3700 < chunks_of(2**32) < chunks_of(2**33 - 1) < 7700


@pytest.mark.parametrize(
    ("terms", "complaint"),
    [
        (replace(SMALL, nodes=0), "0 nodes: from 1 to"),
        (replace(SMALL, size_bytes=0), "a file of 0 bytes"),
        (replace(SMALL, chunks=0), "0 chunks: from 1 to"),
        (replace(SMALL, chunks=1000, size_bytes=1000), "1000 chunks of a file of 1000 bytes"),
        (replace(SMALL, latency_s=11.0), "a latency of 11 s"),
        (replace(SMALL, origin_ratio=0.0), "an origin of 0 times"),
        (replace(SMALL, origin_ratio=float("nan")), "an origin of nan times"),
        (replace(SMALL, racks=13), "13 racks: from 1 to 12"),
        (replace(SMALL, slots=0), "0 slots"),
        (replace(SMALL, neighbours=1), "1 neighbours"),
        (replace(SMALL, seed=-1), "seed -1"),
        (replace(SMALL, limit_s=-1.0), "a limit of -1 s"),
    ],
)
def test_terms_that_cannot_be(terms: Terms, complaint: str) -> None:
    with pytest.raises(UsageError, match=complaint):
        simulate(SWARM, "flash", terms)


def test_a_scenario_with_too_few_machines() -> None:
    with pytest.raises(UsageError, match="scenario die10 needs 2"):
        simulate(SWARM, "die10", replace(SMALL, nodes=1))


def test_one_chunk_may_be_of_any_length() -> None:
    assert simulate(SWARM, "flash", replace(SMALL, chunks=1, size_bytes=10)).result.verified == 12


@pytest.mark.parametrize("scenario", ["flash", "origin4", "origin-half"])
@pytest.mark.parametrize("strategy", BASELINES)
def test_the_other_ways(strategy: str, scenario: str) -> None:
    result = simulate(strategy, scenario, SMALL).result
    assert result.verified == result.wanted == 12
    assert result.ratio_to_bound >= 1.0 - 1e-9
    assert result.origin_sent_ratio >= 1.0 - 1e-9
    assert result.classes == () and result.control_ratio is None


def test_where_the_other_ways_are_not_simulated() -> None:
    assert not why_not(SWARM, "die10", SMALL)
    assert not why_not("chain", "origin4", SMALL)
    assert why_not("chain", "die10", SMALL) == "chain is not simulated in scenario die10"
    with pytest.raises(UsageError, match="chain is not simulated with several racks"):
        admitted("chain", "flash", replace(SMALL, racks=2))


@pytest.mark.parametrize("strategy", [SWARM, "kraken"])
def test_a_limit_of_virtual_time(strategy: str) -> None:
    with pytest.raises(DeadlineExceededError, match=r"0\.100 s of virtual time \(seed 1\); "):
        simulate(strategy, "flash", replace(SMALL, limit_s=0.1))


def test_a_world_in_which_nothing_happens_any_more() -> None:
    with pytest.raises(UnavailableError, match="nothing happens any more"):
        World(1).run(lambda: False, 10.0)


def test_what_a_result_says() -> None:
    result = simulate(SWARM, "slow10", SMALL).result
    assert (result.strategy, result.scenario, result.seed) == ("swarm", "slow10", 1)
    assert result.line_seconds == pytest.approx(0.24)
    assert result.bound_seconds == pytest.approx(0.96)
    assert result.ratio_to_line == pytest.approx(result.seconds_last / 0.24)
    assert result.seconds_first <= result.seconds_median <= result.seconds_p99
    assert result.seconds_p99 <= result.seconds_p999 <= result.seconds_last
    assert [(each.kind, each.nodes) for each in result.classes] == [("fast", 11), ("slow", 1)]
    assert result.crossed_ratio is None
    assert result.control_ratio is not None and 0 < result.control_ratio < 0.01
    assert len(result.trace_digest) == 32


def test_who_comes_late_is_judged_by_its_own_time() -> None:
    result = simulate(SWARM, "staggered", SMALL).result
    (late,) = result.classes
    assert late.kind == "late"
    assert late.bound_seconds == late.line_seconds == pytest.approx(0.24)
    assert late.seconds_last < result.seconds_last
    assert result.bound_seconds == pytest.approx(0.24 * 1.5)


def test_the_collector_rests_while_time_passes_and_works_again() -> None:
    seen: list[tuple[bool, int]] = []

    def began(world: World, network: Network) -> None:
        seen.append((gc.isenabled(), len(network.hosts)))

    simulate(SWARM, "flash", SMALL, began=began)
    simulate("chain", "flash", SMALL, began=began)
    assert seen == [(False, 13), (False, 13)]
    assert gc.isenabled()

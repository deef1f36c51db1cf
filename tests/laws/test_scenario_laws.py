"""Laws of the simulated fleet: every scenario of `strew sim`, small, with printed seeds.

What holds at every moment is watched by strew.sim.checkers while these run. The limits are far
above what is reached: files of half a second, in which joining counts, judge no schedule; they
catch a fleet that stands still.
"""

from __future__ import annotations

import os
import subprocess
import sys
from dataclasses import replace
from functools import cache

import pytest

from strew.sim.fleet import Terms
from strew.sim.result import SimResult
from strew.sim.run import SWARM, simulate
from strew.sim.scenarios import SCENARIOS

SEEDS = (1, 2)

SMALL = Terms(nodes=12, chunks=60, size_bytes=60_000_000)

NODES = {"racks2": 16, "racks4": 32}
"""Enough in each rack for a group of its own."""

RATIO_MAX = {
    "flash": 1.7,
    "staggered": 1.9,
    "die10": 1.8,
    "origin-dies": 1.8,
    "origin4": 1.6,
    "origin-half": 1.5,
    "slow10": 1.5,
    "slow-up10": 6.0,
    "racks2": 2.1,
    "racks4": 5.0,
    "partition": 1.9,
    "tracker-gone": 1.7,
    "hybrid-tracker-dies": 1.7,
    "liars": 9.0,
    "latency5": 1.9,
}
"""The last machine's time over the scenario's bound."""

ORIGIN_MAX = 1.5
ORIGIN_MAX_AMONG_LIARS = 4.0

CROSSED_MAX = 1.3
"""Copies of the file into each rack but the origin's."""


def terms_of(scenario: str, seed: int) -> Terms:
    return replace(SMALL, nodes=NODES.get(scenario, SMALL.nodes), seed=seed)


def run(scenario: str, seed: int) -> SimResult:
    return simulate(SWARM, scenario, terms_of(scenario, seed)).result


@cache
def first_run(scenario: str, seed: int) -> SimResult:
    return run(scenario, seed)


def test_every_scenario_has_its_limit() -> None:
    assert RATIO_MAX.keys() == SCENARIOS.keys()


@pytest.mark.parametrize("seed", SEEDS)
@pytest.mark.parametrize("scenario", SCENARIOS)
def test_everybody_who_can_finishes_in_time(scenario: str, seed: int) -> None:
    print(f"seed {seed}")
    result = first_run(scenario, seed)
    assert result.verified == result.wanted >= 0.8 * result.nodes
    assert 1.0 < result.ratio_to_bound < RATIO_MAX[scenario]
    is_honest = scenario != "liars"
    assert result.origin_sent_ratio < (ORIGIN_MAX if is_honest else ORIGIN_MAX_AMONG_LIARS)
    assert result.origin_sent_ratio >= 1.0
    assert result.duplicate_ratio < 0.05
    for each in result.classes:
        assert each.ratio_to_bound > 1.0


@pytest.mark.parametrize("seed", SEEDS)
def test_each_boundary_between_two_racks_is_crossed_about_once_a_chunk(seed: int) -> None:
    print(f"seed {seed}")
    crossed = first_run("racks2", seed).crossed_ratio
    assert crossed is not None
    assert 1.0 <= crossed <= CROSSED_MAX


@pytest.mark.parametrize("nodes", [12, 40])
def test_how_a_transfer_goes_does_not_hang_on_the_rate_of_the_links(nodes: int) -> None:
    """A chunk of 1 MB that a dozen links share takes 0.1 s at 1 Gbit/s and 4 s at 25 Mbit/s: what
    is waited for in seconds is not called late for that."""
    print("seed 1")
    terms = replace(SMALL, nodes=nodes, chunks=100, size_bytes=112_000_000)
    quick, thin = (
        simulate(SWARM, "flash", replace(terms, rate_bytes_per_s=rate)).result
        for rate in (125e6, 3.125e6)
    )
    assert thin.ratio_to_bound < 1.03 * quick.ratio_to_bound
    assert thin.origin_sent_ratio < 1.01
    assert thin.duplicate_ratio < 0.03


def test_machines_with_thin_links_get_what_their_links_carry() -> None:
    """A few send to each of them at once, and then thirty do: no chunk is late for that, and asked
    for elsewhere too. They were done after 1.49 and 1.34 of their bound where it was."""
    for seed in SEEDS:
        print(f"seed {seed}")
        terms = Terms(
            nodes=30, chunks=100, size_bytes=112_000_000, rate_bytes_per_s=3.125e6, seed=seed
        )
        classes = {each.kind: each for each in simulate(SWARM, "slow10", terms).result.classes}
        assert classes["slow"].ratio_to_bound < 1.25


@pytest.mark.parametrize("scenario", SCENARIOS)
def test_the_same_seed_takes_the_same_course(scenario: str) -> None:
    digests = [first_run(scenario, seed).trace_digest for seed in SEEDS]
    assert run(scenario, SEEDS[0]).trace_digest == digests[0]
    assert len(set(digests)) == len(SEEDS)


def test_the_course_does_not_hang_on_how_strings_are_hashed() -> None:
    """In another process, with other hashes: sets and dicts of strings in another order."""
    ways = ("flash", "die10", "slow10", "racks2", "liars")
    script = (
        "from tests.laws.test_scenario_laws import run\n"
        f"for scenario in {ways}: print(run(scenario, 1).trace_digest)"
    )
    for seed in ("1", "77"):
        told = subprocess.run(
            [sys.executable, "-c", script],
            capture_output=True,
            text=True,
            timeout=50,
            env=os.environ | {"PYTHONHASHSEED": seed, "PYTHONPATH": os.pathsep.join(sys.path)},
            check=True,
        )
        assert told.stdout.split() == [first_run(way, 1).trace_digest for way in ways]

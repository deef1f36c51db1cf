"""Laws of a fleet without a tracker: whatever befalls it, everybody who can finishes.

Small, with printed seeds. The limits are far above what is reached, as those of the scenarios with
a tracker are; what holds at every moment is watched by strew.sim.checkers.
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

SEEDS = (1, 2, 3)

SMALL = Terms(nodes=16, chunks=60, size_bytes=60_000_000, trackerless=True)

RATIO_MAX = {
    "flash": 1.7,
    "origin-dies": 1.9,
    "die10": 3.0,
    "partition": 2.2,
}
"""The last machine's time over the scenario's bound, which is half a second here: what a dead owner
had takes as long to come another way, with a tracker too."""


def run(scenario: str, seed: int, loss: float = 0.0) -> SimResult:
    return simulate(SWARM, scenario, replace(SMALL, seed=seed, loss=loss)).result


@cache
def first_run(scenario: str, seed: int) -> SimResult:
    return run(scenario, seed)


@pytest.mark.parametrize("seed", SEEDS)
@pytest.mark.parametrize("scenario", RATIO_MAX)
def test_everybody_who_can_finishes_in_time(scenario: str, seed: int) -> None:
    print(f"seed {seed}")
    result = first_run(scenario, seed)
    assert result.verified == result.wanted >= 0.8 * result.nodes
    assert 1.0 < result.ratio_to_bound < RATIO_MAX[scenario]
    assert 1.0 <= result.origin_sent_ratio < 1.5
    assert result.duplicate_ratio < 0.05


@pytest.mark.parametrize("seed", SEEDS)
def test_lost_datagrams_cost_hardly_any_time(seed: int) -> None:
    print(f"seed {seed}")
    result = run("flash", seed, loss=0.05)
    assert result.verified == result.wanted == result.nodes
    assert result.ratio_to_bound < RATIO_MAX["flash"]


def test_the_same_seed_takes_the_same_course_however_strings_are_hashed() -> None:
    script = (
        "from tests.laws.test_trackerless_laws import run\n"
        "for scenario in ('flash', 'die10'): print(run(scenario, 1, 0.05).trace_digest)"
    )
    told = [
        subprocess.run(
            [sys.executable, "-c", script],
            capture_output=True,
            text=True,
            timeout=50,
            env=os.environ | {"PYTHONHASHSEED": seed, "PYTHONPATH": os.pathsep.join(sys.path)},
            check=True,
        ).stdout.split()
        for seed in ("1", "77")
    ]
    assert told[0] == told[1]
    assert len(set(told[0])) == 2

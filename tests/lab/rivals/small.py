"""A rival's run as small as it can be, and what must hold after any of them."""

import os
from pathlib import Path

import pytest

from strew.agent.quantity import MIB
from strew.lab.contender import Contender
from strew.lab.result import LabResult
from strew.lab.run import lab_source, measured
from strew.lab.terms import Late, Terms
from tests.lab.root import left_of, processes_below

SMALL = Terms(nodes=3, size_bytes=4 * MIB, rate_bytes_per_s=None)

LATE = Terms(nodes=3, size_bytes=4 * MIB, rate_bytes_per_s=None, late=Late(0.3, 0.5))


async def run(contender: Contender, terms: Terms, below: Path) -> LabResult:
    """Every machine has the file, and nothing is left."""
    lacks = contender.missing()
    if lacks is not None:
        pytest.skip(lacks)
    async with lab_source(terms) as source:
        result = await measured(contender, 1, terms, source)
    assert result.strategy == contender.name
    assert result.verified == terms.nodes
    assert 0 < result.seconds_first <= result.seconds_last
    assert result.origin_link_ratio > 1.0
    assert not left_of(os.getpid())
    assert not processes_below(below)
    assert not os.listdir(below)
    return result


async def run_late(contender: Contender, below: Path) -> None:
    """The last of three machines starts half a second late, and is served too."""
    early, late = (await run(contender, LATE, below)).classes
    assert (early.nodes, late.nodes) == (2, 1)

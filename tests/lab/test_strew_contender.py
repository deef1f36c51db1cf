"""strew over links, as small as it can be."""

import os
import tempfile
from pathlib import Path

import pytest

from strew.agent.quantity import MIB
from strew.lab.result import LabResult
from strew.lab.run import lab_source, measured
from strew.lab.strew_contender import Strew
from strew.lab.terms import Kill, Late, Terms
from tests.lab.root import left_of, needs_root, processes_below

pytestmark = needs_root


@pytest.fixture(autouse=True)
def temporary(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Where the lab puts its folder, and must leave nothing."""
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path))
    return tmp_path


async def run(terms: Terms, below: Path) -> LabResult:
    async with lab_source(terms) as source:
        result = await measured(Strew(), 1, terms, source)
    assert result.verified == terms.nodes
    assert not left_of(os.getpid())
    assert not processes_below(below)
    assert not os.listdir(below)
    return result


async def test_unshaped(temporary: Path) -> None:
    terms = Terms(nodes=3, size_bytes=4 * MIB, rate_bytes_per_s=None)
    result = await run(terms, temporary)
    assert result.line_seconds is result.ratio_to_bound is None
    assert 1.0 <= result.origin_sent_ratio < 2.0
    assert result.origin_link_ratio > result.origin_sent_ratio
    assert result.cpu_s_per_gib > 0
    assert result.rss_peak_bytes > 10 * MIB
    assert 0 < result.seconds_first <= result.seconds_median <= result.seconds_last


async def test_shaped(temporary: Path) -> None:
    terms = Terms(nodes=3, size_bytes=4 * MIB, rate_bytes_per_s=2 * MIB)
    result = await run(terms, temporary)
    assert result.ratio_to_line is not None
    # with three nodes one server needs three times the line; a link that does not hold less than 1
    assert 0.97 < result.ratio_to_line < 2.5
    assert result.goodput_bytes_per_s is not None
    assert len(result.seconds_each) == 3


async def test_late_and_killed(temporary: Path) -> None:
    terms = Terms(
        nodes=3,
        size_bytes=4 * MIB,
        rate_bytes_per_s=MIB,
        late=Late(0.3, 0.5),
        kill=Kill(1, 1.0),
        neighbours=2,
    )
    result = await run(terms, temporary)
    early, late = result.classes
    assert (early.nodes, late.nodes) == (2, 1)
    assert late.seconds_last < result.seconds_each[2] - 0.5
    # killed after a second of four, and started again
    assert result.seconds_each[0] > 4.0

"""Lengths of simulated chunks."""

from __future__ import annotations

import io
import random
import statistics
from collections.abc import Sequence

import pytest

from strew.content.chunker import cut, params_for
from strew.sim.lengths import chunk_lengths

CUT_BYTES = 48 << 20


def shape(lengths: Sequence[int]) -> list[float]:
    """Deviation, tenth, middle, nine tenths and longest, in means."""
    mean = statistics.mean(lengths)
    tenths = statistics.quantiles(lengths, n=10)
    shape = [statistics.pstdev(lengths), tenths[0], tenths[4], tenths[8], max(lengths)]
    return [each / mean for each in shape]


def test_they_are_spread_as_those_that_are_cut() -> None:
    print("seed 1")
    dice = random.Random(1)
    data = b"".join(dice.randbytes(1 << 20) for _ in range(CUT_BYTES >> 20))
    cuts = [len(view) for _, view in cut(io.BytesIO(data), params_for(CUT_BYTES))]
    model = chunk_lengths(CUT_BYTES, len(cuts), random.Random(2))
    assert shape(model) == pytest.approx(shape(cuts), abs=0.06)


@pytest.mark.parametrize("size_bytes", [5, 1_000_000, 5_000_000_000])
def test_they_add_up_to_the_size(size_bytes: int) -> None:
    lengths = chunk_lengths(size_bytes, 5, random.Random(3))
    assert len(lengths) == 5
    assert sum(lengths) == size_bytes
    assert min(lengths) > 0

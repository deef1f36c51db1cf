"""Where chunks came from, column by column."""

import random

import pytest

from strew.telemetry.protocol import COLUMNS_MAX, Source
from strew.telemetry.source_map import SourceMap


def test_a_column_has_the_source_of_most_of_its_chunks() -> None:
    sources = SourceMap(4 * COLUMNS_MAX)
    for index in (0, 1, 5):
        sources[index] = Source.FAR
    sources[2] = Source.ORIGIN
    assert sources.digits() == "33" + "0" * (COLUMNS_MAX - 2)


@pytest.mark.parametrize("chunks", [1, 7, COLUMNS_MAX - 1, COLUMNS_MAX, COLUMNS_MAX + 1, 1000])
def test_what_is_counted_again_is_what_changed(chunks: int) -> None:
    """Asked for in between or only once, in any order: the digits are the same."""
    dice = random.Random(chunks)
    order = dice.sample(range(chunks), chunks)
    came = [(index, dice.choice([Source.ORIGIN, Source.NEAR, Source.LOCAL])) for index in order]
    often, once = SourceMap(chunks), SourceMap(chunks)
    for index, source in came:
        often[index] = source
        digits = often.digits()
        assert len(digits) == min(chunks, COLUMNS_MAX)
    for index, source in sorted(came):
        once[index] = source
    assert often.digits() == once.digits()
    if chunks <= COLUMNS_MAX:
        assert once.digits() == "".join(str(int(source)) for _, source in sorted(came))
    assert "0" not in once.digits()


def test_there_may_be_no_chunk() -> None:
    assert SourceMap(0).digits() == ""

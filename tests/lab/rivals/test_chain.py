"""The chain, as small as it can be."""

from pathlib import Path

import pytest

from strew.errors import UsageError
from strew.lab.rivals.chain import Chain
from strew.lab.terms import Terms
from tests.lab.rivals.small import LATE, SMALL, run
from tests.lab.root import needs_root

pytestmark = needs_root


@pytest.mark.parametrize("nodes", [1, 3])
async def test_all_get_the_file(nodes: int, temporary: Path) -> None:
    terms = Terms(nodes=nodes, size_bytes=SMALL.size_bytes, rate_bytes_per_s=None)
    result = await run(Chain(), terms, temporary)
    assert 1.0 < result.origin_link_ratio < 1.1


async def test_it_has_no_gaps(temporary: Path) -> None:
    with pytest.raises(UsageError, match="chain needs all machines from the start"):
        await run(Chain(), LATE, temporary)

"""Aria2 over links, as small as it can be."""

from pathlib import Path

from strew.lab.rivals.aria2_swarm import Aria2
from tests.lab.rivals.small import SMALL, run, run_late
from tests.lab.root import needs_root

pytestmark = needs_root


async def test_all_get_the_file(temporary: Path) -> None:
    result = await run(Aria2(), SMALL, temporary)
    assert result.chunks == SMALL.size_bytes // Aria2().piece_bytes


async def test_a_late_machine(temporary: Path) -> None:
    await run_late(Aria2(), temporary)

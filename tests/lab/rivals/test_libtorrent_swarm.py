"""Libtorrent over links, as small as it can be."""

from pathlib import Path

import pytest

from strew.lab.rivals.libtorrent_swarm import (
    PIECE_BYTES,
    UNSHAPED_PIECE_BYTES,
    Libtorrent,
    Tuning,
    tuned,
)
from strew.lab.terms import Terms
from tests.lab.rivals.small import SMALL, run, run_late
from tests.lab.root import needs_root


@needs_root
async def test_all_get_the_file(temporary: Path) -> None:
    result = await run(Libtorrent(), SMALL, temporary)
    assert result.chunks == SMALL.size_bytes // UNSHAPED_PIECE_BYTES


@needs_root
async def test_a_late_machine(temporary: Path) -> None:
    await run_late(Libtorrent(), temporary)


@pytest.mark.parametrize(("nodes", "blocks"), [(1, 64), (8, 8), (16, 4), (64, 4)])
def test_queues_are_shorter_the_more_machines_there_are(nodes: int, blocks: int) -> None:
    tuning = tuned(Terms(nodes=nodes))
    assert tuning.piece_bytes == PIECE_BYTES
    settings = tuning.all_settings()
    assert settings["max_out_request_queue"] == blocks
    assert settings["max_allowed_in_request_queue"] == blocks


def test_settings_can_be_tried() -> None:
    settings = Tuning(1 << 14, 7, {"max_out_request_queue": 8}).all_settings()
    assert settings == {"max_out_request_queue": 8, "max_allowed_in_request_queue": 7}

"""Whole runs with real processes, as small as they can be."""

import os
import signal
import tempfile
from pathlib import Path

import pytest

from strew.agent.quantity import GIB, MIB
from strew.demo import source as demo_files
from strew.demo.fleet import open_fleet
from strew.demo.trial import Sight, Terms, default_rate, demo_source, measured
from strew.errors import DiskError, PartialError, UsageError

SMALL = Terms(nodes=3, size_bytes=4 * MIB, rate_bytes_per_s=8 * MIB)


@pytest.fixture(autouse=True)
def temporary(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Where the demo puts its folder, and must leave nothing."""
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path))
    return tmp_path


async def test_a_swarm_beats_one_server(temporary: Path) -> None:
    sights: list[Sight] = []
    async with demo_source(SMALL) as source:
        result = await measured("swarm", SMALL, source, sights.append)
    assert result.verified == result.nodes == 3
    assert result.line_seconds is not None
    # with three nodes one server needs three times the line
    assert result.line_seconds * 0.9 < result.seconds_last < 2.5 * result.line_seconds
    assert result.seconds_first <= result.seconds_median <= result.seconds_last
    assert 0.9 <= result.origin_sent_ratio < 2.0
    assert result.chunks > 16
    assert result.cpu_s_per_gib > 0
    assert result.rss_peak_bytes > 10 * MIB
    assert {sight.name for sight in sights} == {"node 1", "node 2", "node 3"}
    assert all(s.done_bytes == s.total_bytes == 4 * MIB for s in sights[-3:])
    assert not os.listdir(temporary)


async def test_a_node_that_dies_ends_the_run(temporary: Path) -> None:
    slow = Terms(nodes=2, size_bytes=4 * MIB, rate_bytes_per_s=MIB)
    killed = False

    def kill(sight: Sight) -> None:
        nonlocal killed
        if not killed:
            killed = True
            os.kill(_process_of("node-2", temporary), signal.SIGKILL)

    with pytest.raises(PartialError, match="node 2 ended: signal 9"):
        async with demo_source(slow) as source:
            await measured("single", slow, source, kill)
    assert killed
    assert not os.listdir(temporary)


async def test_a_fleet_ends_with_its_context(tmp_path: Path) -> None:
    async with open_fleet(tmp_path, 1, None) as fleet:
        pids = fleet.pids
        assert len(pids) == 2
        assert len(await fleet.origin.client.nodes()) == 2
    for pid in pids:
        with pytest.raises(ProcessLookupError):
            os.kill(pid, 0)


def _process_of(name: str, below: Path) -> int:
    """The process of one member of the fleet whose folder lies below."""
    for entry in Path("/proc").iterdir():
        if entry.name.isdigit():
            words = (entry / "cmdline").read_bytes().decode().split("\0")
            if any(word.startswith(str(below)) and word.endswith(f"/{name}") for word in words):
                return int(entry.name)
    raise AssertionError(f"no process of {name}")


@pytest.mark.parametrize(
    ("terms", "words"),
    [
        (Terms(nodes=0), "0 nodes"),
        (Terms(nodes=65), "65 nodes"),
        (Terms(size_bytes=MIB - 1), "1048575 bytes"),
        (Terms(size_bytes=65 * GIB), "from 1M to 64G"),
        (Terms(servers=0), "0 servers"),
    ],
)
def test_what_cannot_be_had_is_refused(terms: Terms, words: str) -> None:
    with pytest.raises(UsageError, match=words):
        terms.check()


async def test_a_disk_that_is_too_small_is_told_before(
    temporary: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(demo_files, "SPARE_BYTES", 1 << 60)
    with pytest.raises(DiskError, match="the demo needs"):
        async with demo_source(SMALL):
            raise AssertionError("it was begun")
    assert not os.listdir(temporary)


def test_the_default_rate_is_one_that_the_machine_can_carry() -> None:
    assert default_rate(8, 2) == 25 << 20
    assert default_rate(8, 64) == 100 << 20
    assert default_rate(1, 1) == 100 << 20

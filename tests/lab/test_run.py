"""A run from start to end, with a contender of the test's own."""

import asyncio
import os
import shutil
import tempfile
from dataclasses import dataclass
from pathlib import Path

import pytest

from strew.agent.quantity import MIB
from strew.errors import ConfigurationError, DeniedError, UnavailableError, UsageError
from strew.lab import run
from strew.lab.contender import Spread
from strew.lab.network import Bench
from strew.lab.run import lab_source, measured, takes_part
from strew.lab.terms import Kill, Terms
from tests.lab.root import left_of, needs_root

TERMS = Terms(nodes=2, size_bytes=MIB, rate_bytes_per_s=None)


@dataclass
class Copier:
    """Copies the file, wrongly to machine 2 if asked to; or never ends."""

    name: str = "copier"
    restarts: bool = False
    lacks: str | None = None
    is_wrong: bool = False
    is_stuck: bool = False

    def missing(self) -> str | None:
        return self.lacks

    async def run(self, bench: Bench, source: Path, size_bytes: int) -> Spread:
        bench.mark()
        spread = Spread(started_s=asyncio.get_running_loop().time(), chunks=1)
        if self.is_stuck:
            await bench.spawn(bench.origin, ["sleep", "60"])
            await asyncio.Event().wait()
        for host in bench.machines:
            spread.outputs[host.number] = shutil.copy(source, host.folder / "copy")
            spread.done_s[host.number] = 0.5 * host.number
        if self.is_wrong:
            with spread.outputs[2].open("r+b") as file:
                file.write(b"?")
        return spread


@pytest.fixture(autouse=True)
def temporary(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path))
    return tmp_path


@needs_root
@pytest.mark.parametrize("is_wrong", [False, True])
async def test_copies_are_compared(temporary: Path, is_wrong: bool) -> None:
    async with lab_source(TERMS) as source:
        result = await measured(Copier(is_wrong=is_wrong), 2, TERMS, source)
    assert (result.strategy, result.round) == ("copier", 2)
    assert result.verified == 2 - is_wrong
    assert result.seconds_each == (0.5, 1.0)
    assert not os.listdir(temporary)


@needs_root
async def test_what_takes_for_ever_is_ended(
    temporary: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(run, "START_WITHIN_S", -599.0)
    monkeypatch.setattr(run, "START_EACH_S", 0.0)
    with pytest.raises(UnavailableError, match="copier: not every machine was done in 1 s"):
        async with lab_source(TERMS) as source:
            await measured(Copier(is_stuck=True), 1, TERMS, source)
    assert not left_of(os.getpid())
    assert not os.listdir(temporary)


def test_who_cannot_take_part_is_told() -> None:
    takes_part(Copier(), TERMS)
    with pytest.raises(ConfigurationError, match="copier: no pencil"):
        takes_part(Copier(lacks="no pencil"), TERMS)
    killing = Terms(nodes=2, kill=Kill(1, 1.0))
    takes_part(Copier(restarts=True), killing)
    with pytest.raises(UsageError, match="copier starts nobody again"):
        takes_part(Copier(), killing)


async def test_without_root_it_is_refused(temporary: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(os, "geteuid", lambda: 65534)
    with pytest.raises(DeniedError, match="only root may"):
        async with lab_source(TERMS):
            raise AssertionError("it was begun")
    assert not os.listdir(temporary)


@needs_root
def test_a_missing_tool_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    with pytest.raises(ConfigurationError, match="not installed: strew-no-such-tool"):
        run.require(["sh", "strew-no-such-tool"])

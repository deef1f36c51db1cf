"""The clock, with machines of the test's own."""

import asyncio
from asyncio.subprocess import PIPE, STDOUT
from dataclasses import dataclass, field
from pathlib import Path

import pytest

from strew.errors import PartialError
from strew.lab.network import Bench, Host
from strew.lab.rivals.race import line_with, race
from strew.lab.terms import Late, Terms


@dataclass
class Machine:
    """Done as soon as it goes, or failed."""

    output: Path
    story: list[str]
    is_failing: bool = False
    _went: asyncio.Event = field(default_factory=asyncio.Event)

    def go(self) -> None:
        self.story.append(f"go {self.output.name}")
        self._went.set()

    async def done(self) -> float:
        await self._went.wait()
        if self.is_failing:
            raise PartialError(f"{self.output.name} fell")
        return asyncio.get_running_loop().time()


def bench_of(terms: Terms, story: list[str], below: Path) -> Bench:
    """A bench that is not set up: only its clock is used."""
    bench = Bench(terms, below)
    bench.mark = lambda: story.append("mark")  # type: ignore[method-assign]
    return bench


async def test_all_are_ready_before_the_first_goes(tmp_path: Path) -> None:
    story: list[str] = []

    async def ready(host: Host) -> Machine:
        story.append(f"ready {host.number}")
        return Machine(tmp_path / str(host.number), story)

    bench = bench_of(Terms(nodes=2), story, tmp_path)
    spread = await race(bench, 7, ready, lambda: story.append("start"))
    assert story == ["ready 1", "ready 2", "mark", "start", "go 1", "go 2"]
    assert spread.chunks == 7
    assert spread.outputs == {1: tmp_path / "1", 2: tmp_path / "2"}
    assert sorted(spread.done_s) == [1, 2]
    assert all(0 <= seconds < 5 for seconds in spread.done_s.values())
    assert not spread.joined_s


async def test_a_late_machine_is_made_ready_when_its_time_has_come(tmp_path: Path) -> None:
    story: list[str] = []

    async def ready(host: Host) -> Machine:
        story.append(f"ready {host.number}")
        return Machine(tmp_path / str(host.number), story)

    bench = bench_of(Terms(nodes=2, late=Late(0.5, 0.05)), story, tmp_path)
    spread = await race(bench, 1, ready)
    assert story == ["ready 1", "mark", "go 1", "ready 2", "go 2"]
    assert 0.04 < spread.joined_s[2] <= spread.done_s[2]


async def test_the_first_failure_ends_the_race(tmp_path: Path) -> None:
    story: list[str] = []

    async def ready(host: Host) -> Machine:
        return Machine(tmp_path / str(host.number), story, is_failing=host.number == 1)

    bench = bench_of(Terms(nodes=2, late=Late(0.5, 60.0)), story, tmp_path)
    with pytest.raises(PartialError, match="1 fell"):
        await race(bench, 1, ready)
    assert len(asyncio.all_tasks()) <= 2


async def test_the_line_with_the_word_is_found() -> None:
    process = await asyncio.create_subprocess_exec(
        "sh", "-c", "echo one; echo two done", stdout=PIPE
    )
    assert await line_with(process, "done", "it") == "two done"
    await process.wait()


async def test_who_ends_without_the_word_says_why() -> None:
    process = await asyncio.create_subprocess_exec(
        "sh", "-c", "echo one; echo no disk >&2; exit 3", stdout=PIPE, stderr=STDOUT
    )
    with pytest.raises(PartialError, match="it ended: no disk"):
        await line_with(process, "done", "it")
    process = await asyncio.create_subprocess_exec("false", stdout=PIPE)
    with pytest.raises(PartialError, match="it ended: exit code 1"):
        await line_with(process, "done", "it")

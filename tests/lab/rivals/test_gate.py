"""A gate and a process that waits at it."""

import asyncio
from asyncio.subprocess import PIPE
from pathlib import Path

import pytest

from strew.errors import PartialError
from strew.lab.rivals.gate import Gate


async def test_who_waits_goes_when_it_opens(tmp_path: Path) -> None:
    gate = Gate(tmp_path / "gate")
    process = await asyncio.create_subprocess_exec("cat", str(gate.path), stdout=PIPE)
    await gate.awaited(process, "cat")
    assert process.returncode is None
    gate.open("a line")
    said, _ = await process.communicate()
    assert said == b"a line\n"


async def test_who_never_comes_to_the_gate_is_named(tmp_path: Path) -> None:
    gate = Gate(tmp_path / "gate")
    process = await asyncio.create_subprocess_exec("false")
    with pytest.raises(PartialError, match="nobody ended at its start: exit code 1"):
        await gate.awaited(process, "nobody")


async def test_it_opens_for_one_that_has_gone(tmp_path: Path) -> None:
    gate = Gate(tmp_path / "gate")
    process = await asyncio.create_subprocess_exec("cat", str(gate.path))
    await gate.awaited(process, "cat")
    process.kill()
    await process.wait()
    gate.open()

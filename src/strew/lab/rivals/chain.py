"""A chain of `nc | tee` as a rival: each machine writes what it receives, and passes it on.

Nothing is verified, and whoever leaves ends it for all behind; but no protocol costs less.
"""

from __future__ import annotations

import asyncio
from dataclasses import dataclass
from math import ceil
from pathlib import Path
from typing import ClassVar

from strew.errors import UsageError
from strew.lab.contender import Spread
from strew.lab.network import Bench, Host
from strew.lab.rivals.gate import Gate
from strew.lab.rivals.programs import listening, missing_program
from strew.lab.rivals.race import line_with, race

PORT = 7000

PART_BYTES = 16 << 10
"""What netcat reads and passes on at a time."""

PROGRAM = "nc.openbsd"
"""Netcats differ in their options; Debian has this one under this name too."""

_DONE = "complete"

_FIRST = f'cat "$1" && exec {PROGRAM} -N "$3" {PORT} <"$2"'
_MIDDLE = f'{PROGRAM} -d -l {PORT} | {{ tee "$2" && echo {_DONE} >&2; }} | {PROGRAM} -N "$3" {PORT}'
_LAST = f'{PROGRAM} -d -l {PORT} >"$2" && echo {_DONE} >&2'


@dataclass(frozen=True, slots=True)
class Chain:
    """See strew.lab.contender.Contender."""

    name: ClassVar[str] = "chain"
    restarts: ClassVar[bool] = False

    def missing(self) -> str | None:
        """Debian's package."""
        return missing_program(PROGRAM, "netcat-openbsd")

    async def run(self, bench: Bench, source: Path, size_bytes: int) -> Spread:
        """The clock starts when all machines are linked, and the origin's netcat starts with it.

        UsageError if machines shall be late: a chain with a gap carries nothing.
        """
        if bench.terms.late is not None:
            raise UsageError(
                "the chain needs all machines from the start: --late is not for it",
                hint="--contender strew --late ...",
            )
        links: dict[int, _Link] = {}
        hosts = bench.machines
        for host, onward in zip(reversed(hosts), [None, *reversed(hosts[1:])], strict=True):
            links[host.number] = await _linked(bench, host, onward, source.name)
        gate = Gate(bench.folder / "gate")
        script = ["sh", "-c", _FIRST, "sh", str(gate.path), str(source), hosts[0].address]
        origin = await bench.spawn(bench.origin, script)
        await gate.awaited(origin, "nc on the origin")

        async def ready(host: Host) -> _Link:
            return links[host.number]

        return await race(bench, ceil(size_bytes / PART_BYTES), ready, gate.open)


class _Link:
    """One machine's part of the chain."""

    def __init__(self, name: str, process: asyncio.subprocess.Process, output: Path) -> None:
        self._name = name
        self._process = process
        self.output = output

    def go(self) -> None:
        """It goes by what it receives."""

    async def done(self) -> float:
        await line_with(self._process, _DONE, self._name)
        return asyncio.get_running_loop().time()


async def _linked(bench: Bench, host: Host, onward: Host | None, name: str) -> _Link:
    """A machine that listens, and is connected with the one behind it."""
    output = host.folder / name
    script = _LAST if onward is None else _MIDDLE
    process = await bench.spawn(
        host,
        ["sh", "-c", script, "sh", "", str(output), onward.address if onward else ""],
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.STDOUT,
    )
    title = f"nc on host {host.number}"
    await listening(process, PORT, title)
    return _Link(title, process, output)

"""The clock of a rival's run: machines made ready, let go at the same moment, and seen through."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Iterable
from pathlib import Path
from typing import Any, Protocol

from strew.errors import PartialError
from strew.lab.contender import Spread
from strew.lab.network import Bench, Host

WORDS_MAX_CHARS = 300
"""Of what a process that failed said last."""


class Runner(Protocol):
    """One machine's client, started, and waiting to be let go. `output` will be its copy."""

    @property
    def output(self) -> Path: ...

    def go(self) -> None:
        """Begin to fetch."""
        ...

    async def done(self) -> float:
        """When the copy was complete (time of the event loop). PartialError if it never will be."""
        ...


async def race(
    bench: Bench,
    chunks: int,
    ready: Callable[[Host], Awaitable[Runner]],
    on_start: Callable[[], None] = lambda: None,
) -> Spread:
    """Make the machines ready, start the clock and `on_start`, and let all go; late ones are made
    ready when their time has come. `chunks` is in how many parts the file travels. PartialError."""
    loop = asyncio.get_running_loop()
    early = [host for host in bench.machines if not host.late_s]
    runners = {host.number: runner for host, runner in await _each(ready, early)}
    bench.mark()
    spread = Spread(started_s=loop.time(), chunks=chunks)
    on_start()
    for runner in runners.values():
        runner.go()

    async def see_through(host: Host) -> None:
        if host.late_s:
            await asyncio.sleep(spread.started_s + host.late_s - loop.time())
            runners[host.number] = await ready(host)
            spread.joined_s[host.number] = loop.time() - spread.started_s
            runners[host.number].go()
        runner = runners[host.number]
        spread.done_s[host.number] = await runner.done() - spread.started_s
        spread.outputs[host.number] = runner.output

    await _each(see_through, bench.machines)
    return spread


async def line_with(process: asyncio.subprocess.Process, word: str, name: str) -> str:
    """The next line of a process's standard output that has the word in it.

    PartialError, with what it said last, if its output ends without one.
    """
    assert process.stdout is not None
    said = ""
    async for raw in process.stdout:
        line = raw.decode("utf-8", "replace").strip()
        if word in line:
            return line
        said = line or said
    code = await process.wait()
    raise PartialError(f"{name} ended: {said[-WORDS_MAX_CHARS:] or f'exit code {code}'}")


async def _each(
    job: Callable[[Host], Awaitable[Any]], hosts: Iterable[Host]
) -> list[tuple[Host, Any]]:
    """Do it for all hosts side by side; the first failure is raised and ends the others."""
    tasks = [(host, asyncio.ensure_future(_plain(job(host)))) for host in hosts]
    try:
        await asyncio.gather(*(task for _, task in tasks))
    finally:
        for _, task in tasks:
            task.cancel()
    return [(host, task.result()) for host, task in tasks]


async def _plain(job: Awaitable[Any]) -> Any:
    return await job

"""Runs of a lab: each on a fresh bench, contenders in turns, every copy compared at the end."""

from __future__ import annotations

import asyncio
import os
import shutil
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager, nullcontext, suppress

from strew.demo.source import SourceFile, digest_of_files, held_source
from strew.errors import ConfigurationError, DeniedError, UnavailableError, UsageError
from strew.lab.contender import Contender, Spread
from strew.lab.leftovers import WHAT, sweep
from strew.lab.network import Bench, open_bench
from strew.lab.result import LabResult, Spent, lab_result
from strew.lab.strips import Record, looking
from strew.lab.terms import Terms, goodput

TOOLS = ("ip", "bridge", "tc", "sh")

START_WITHIN_S = 60.0
START_EACH_S = 3.0
"""Until a machine's process has started, on one slow core that has many to do."""

UNSHAPED_WITHIN_S = 600.0
SLACK = 1.5
"""Of the time that one server alone would need for all machines, the slowest way there is."""


@asynccontextmanager
async def lab_source(terms: Terms) -> AsyncIterator[SourceFile]:
    """The file to spread, in a folder of this lab; what dead labs left is removed first.

    DeniedError if this is not root, ConfigurationError if a tool is missing; UsageError, DiskError.
    """
    terms.check()
    require(TOOLS)
    await sweep()
    mark = f"{os.getpid()}-"
    async with held_source(WHAT, terms.size_bytes, terms.nodes, mark=mark) as source:
        yield source


def require(tools: Sequence[str]) -> None:
    """Whether this process may make networks, and has what it takes."""
    if os.geteuid() != 0:
        raise DeniedError(
            "the lab makes network namespaces, which only root may",
            hint="sudo strew lab; 'strew demo' needs no rights",
        )
    missing = [tool for tool in tools if shutil.which(tool) is None]
    if missing:
        raise ConfigurationError(
            f"not installed: {', '.join(missing)}", hint="'make lab' installs what the lab needs"
        )


def takes_part(contender: Contender, terms: Terms) -> None:
    """ConfigurationError if it cannot run here, UsageError if it cannot do what is asked for."""
    lacks = contender.missing()
    if lacks is not None:
        raise ConfigurationError(f"{contender.name}: {lacks}")
    if terms.kill is not None and not contender.restarts:
        raise UsageError(
            f"{contender.name} starts nobody again: --kill is not for it",
            hint="--contender strew --kill ...",
        )


async def measured(
    contender: Contender,
    number: int,
    terms: Terms,
    source: SourceFile,
    record: Record | None = None,
) -> LabResult:
    """One contender's run, the `number`th of its; its links are looked at if there is a `record`.

    Leaves no process, no network and no copy.

    PartialError if a process ended or a transfer failed, UnavailableError if it takes for ever.
    """
    takes_part(contender, terms)
    folder = source.path.parent / f"{contender.name}-{number}"
    folder.mkdir()
    try:
        async with open_bench(terms, folder) as bench:
            async with looking(bench, record) if record is not None else nullcontext():
                spread = await _spread(contender, bench, source)
            # before the copies are compared, which would be on nobody's account but take time
            spent = Spent(
                cpu_s=bench.cpu_s(),
                origin_link_bytes=bench.sent_bytes(bench.origin),
                rss_peak_bytes=bench.rss_peak_bytes(),
            )
            verified = await asyncio.to_thread(_verified, spread, source)
        return lab_result(contender.name, number, terms, spread, spent, verified)
    finally:
        shutil.rmtree(folder, ignore_errors=True)


async def _spread(contender: Contender, bench: Bench, source: SourceFile) -> Spread:
    limit_s = _limit_s(bench.terms)
    try:
        async with asyncio.timeout(limit_s) as scope:
            return await contender.run(bench, source.path, source.size_bytes)
    except TimeoutError:
        if not scope.expired():
            raise
        raise UnavailableError(
            f"{contender.name}: not every machine was done in {limit_s:.0f} s",
            hint="a bug, unless this machine is overloaded: give fewer --nodes or a lower --rate",
        ) from None


def _limit_s(terms: Terms) -> float:
    """How long a run may take, start and all."""
    start_s = START_WITHIN_S + START_EACH_S * terms.nodes
    if terms.late is not None:
        start_s += terms.late.after_s
    if terms.kill is not None:
        start_s += terms.kill.after_s
    rates = [terms.rate_of(number) for number in range(terms.nodes + 1)]
    slowest = min((goodput(rate) for rate in rates if rate is not None), default=None)
    if slowest is None:
        return start_s + UNSHAPED_WITHIN_S
    return start_s + SLACK * terms.nodes * terms.size_bytes / slowest


def _verified(spread: Spread, source: SourceFile) -> int:
    """How many machines have, byte for byte, what was spread."""
    good = 0
    for path in spread.outputs.values():
        with suppress(OSError):
            good += digest_of_files([path]) == source.digest
    return good

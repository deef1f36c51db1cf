"""`strew demo`: spread a file over real processes on this machine, and compare the ways."""

import os
from typing import Annotated, Literal

import msgspec

from strew.agent.quantity import format_rate_both, format_size, parse_size
from strew.agent.settings import RATE_BOTH
from strew.cli.call import command_app
from strew.cli.ending import interruptible, signalled
from strew.cli.flags import Text, flag
from strew.cli.output import Output, table
from strew.cli.progress import Transfer
from strew.demo import report
from strew.demo.fleet import Fleet
from strew.demo.measure import Result
from strew.demo.source import SourceFile
from strew.demo.strategies import SERVERS_DEFAULT, STRATEGIES, Strategy
from strew.demo.trial import Sight, Terms, default_rate, demo_source, measured
from strew.errors import IntegrityError, UsageError

app = command_app(
    "demo",
    "Spread a file over real processes on this machine, and measure it.\n\n"
    "Starts 'strew serve' and some 'strew node' on loopback, each with the same limit of its rate, "
    "in a temporary folder. 'all' tries the older ways in turn on the same file. --trackerless "
    "starts nodes only. Each fleet has a dashboard, whose address is printed; --stay keeps it.",
)


@app.default
async def demo(
    *,
    nodes: Annotated[int, flag("--nodes", "Nodes beside the origin. [default: 8]")] = 8,
    size: Annotated[Text, flag("--size", "Size of the file. [default: 256M]")] = None,
    strategy: Annotated[
        Literal[Strategy, "all"],
        flag("--strategy", "How it is spread, or all ways in turn. [default: swarm]"),
    ] = "swarm",
    rate: Annotated[
        Text,
        flag(
            "--rate",
            "Each link's limit, both ways, or unlimited. [default: 100M, or what the cores carry]",
        ),
    ] = None,
    trackerless: Annotated[
        bool, flag("--trackerless", "No 'strew serve': nodes find each other by gossip alone.")
    ] = False,
    servers: Annotated[
        int,
        flag("--servers", "Nodes that are filled first by replicated and sharded. [default: 3]"),
    ] = SERVERS_DEFAULT,
    stay: Annotated[
        bool,
        flag(
            "--stay",
            "Keep the fleet until Ctrl-C, to look at it and to push more; says how to reach it.",
        ),
    ] = False,
    out: Output = Output(),
) -> int:
    """Measure one way, or all."""
    if stay and strategy == "all":
        raise UsageError("--stay keeps one fleet, and 'all' makes five", hint="name a --strategy")
    terms = msgspec.structs.replace(_terms(nodes, size, rate, servers), trackerless=trackerless)
    strategies = STRATEGIES if strategy == "all" else (strategy,)
    results: list[Result] = []
    async with interruptible(), demo_source(terms) as source:
        out.note(
            f"{terms.nodes} nodes and an origin, {format_size(terms.size_bytes)}, "
            f"{format_rate_both(terms.rate_bytes_per_s)} each way"
            + (", no tracker" if trackerless else "")
        )
        for chosen in strategies:
            results.append(await _measured(chosen, terms, source, out, stay=stay))
    if not stay:
        _table(results, out, is_list=strategy == "all")
    return _tell(results, out, is_list=strategy == "all")


def _terms(nodes: int, size: str | None, rate: str | None, servers: int) -> Terms:
    """What was asked for; UsageError names the flag."""
    cores = len(os.sched_getaffinity(0))
    terms = Terms(nodes=nodes, servers=servers, rate_bytes_per_s=default_rate(nodes, cores))
    for name, text, read in (("size", size, parse_size), ("rate", rate, RATE_BOTH.read)):
        if text is not None:
            try:
                value = read(text)
            except UsageError as error:
                raise UsageError(f"--{name}: {error.message}", hint=error.hint) from None
            field = "size_bytes" if name == "size" else "rate_bytes_per_s"
            terms = msgspec.structs.replace(terms, **{field: value})
    terms.check()
    return terms


async def _measured(
    strategy: Strategy, terms: Terms, source: SourceFile, out: Output, *, stay: bool
) -> Result:
    """One way, watched; `stay` keeps its fleet until somebody ends it."""
    out.note(report.meaning(strategy, terms))
    out.event("strategy", strategy=strategy)
    progress = out.progress()

    def opened(fleet: Fleet) -> None:
        out.event("fleet", dashboard=fleet.dashboard, **fleet.joining)
        out.note(f"dashboard: {fleet.dashboard}")

    def saw(sight: Sight) -> None:
        progress.update(
            f"{strategy} {sight.name}",
            Transfer(sight.done_bytes, sight.total_bytes, sight.neighbours, sight.origin_ratio),
        )

    async def keep(fleet: Fleet, result: Result) -> None:
        progress.close()
        _table([result], out, is_list=False)
        await _stay(fleet, result, out)

    try:
        return await measured(strategy, terms, source, saw, opened, keep if stay else None)
    finally:
        progress.close()


async def _stay(fleet: Fleet, result: Result, out: Output) -> None:
    """Say how to reach the fleet, and wait for SIGINT or SIGTERM, which is its regular end."""
    with signalled() as told:
        out.event("staying", **msgspec.structs.asdict(result))
        out.line()
        out.line("the fleet stays until Ctrl-C; in another terminal:")
        out.line("  export " + " ".join(f"{name}={text}" for name, text in fleet.joining.items()))
        out.line("  strew push PATH demo:more --wait      what is named demo:... goes to all nodes")
        out.line("  strew node --follow '*' --into DIR    one more machine")
        out.line("  strew status REF --watch, strew top   looks at it, as does the dashboard:")
        out.line(f"  {fleet.dashboard}")
        await told


def _table(results: list[Result], out: Output, *, is_list: bool) -> None:
    out.line()
    for line in table(report.rows(results), right=report.NUMBERS):
        out.line(line)
    out.line()
    for line in report.against(results[-1]):
        out.line(line)
    if is_list:
        out.line()
        out.line(report.FILLING)


def _tell(results: list[Result], out: Output, *, is_list: bool) -> int:
    """The final object; exit code 4 if a copy is not as it was published."""
    facts = [msgspec.structs.asdict(result) for result in results]
    if is_list:
        out.result(runs=facts)
    else:
        out.result(**facts[0])
    wrong = sum(result.nodes - result.verified for result in results)
    if wrong:
        out.error(IntegrityError.code, f"{wrong} copies are not as they were published")
        return IntegrityError.exit_code
    return 0

"""`strew lab`: real processes over shaped links on this machine, strew and its rivals in turns."""

import difflib
import os
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, TypeVar

import msgspec
from cyclopts import Parameter

from strew.agent.quantity import format_duration, format_rate_both, parse_duration, parse_size
from strew.agent.settings import RATE_BOTH
from strew.cli import lost_time
from strew.cli.call import command_app
from strew.cli.ending import interruptible
from strew.cli.flags import Text, flag
from strew.cli.output import Output, table
from strew.demo.source import SourceFile
from strew.errors import IntegrityError, UnavailableError, UsageError
from strew.lab import report
from strew.lab.contender import Contender
from strew.lab.contenders import CONTENDERS, DEFAULT
from strew.lab.links import TOLERANCE, LinksCheck, check_links
from strew.lab.result import LabResult
from strew.lab.run import TOOLS, lab_source, measured, require, takes_part
from strew.lab.strips import Record, strips_svg
from strew.lab.terms import CORE_CARRIES_BYTES_PER_S, SIZE_MIN_BYTES, Kill, Late, Slow, Terms

app = command_app(
    "lab",
    "Spread a file over shaped links on this machine, and measure it. Needs root.\n\n"
    "Each machine is a network namespace behind a link of its own, shaped both ways; in it run "
    "real processes. Rivals run in the same way, in turns. 'make lab' installs what they need.",
)

ALL = "all"

REPEAT_MAX = 100

Value = TypeVar("Value")


@Parameter(name="*", group="What befalls the machines")
@dataclass(frozen=True, slots=True, kw_only=True)
class LabFlags:
    """Not every machine is alike, nor lives for ever; text, read by `_terms`."""

    slow: Annotated[
        Text, flag("--slow", "A share of the nodes has another rate, such as 0.25:25Mbit.")
    ] = None
    late: Annotated[
        Text, flag("--late", "A share of the nodes starts so many seconds late, such as 0.5:4.")
    ] = None
    kill: Annotated[
        Text, flag("--kill", "Kill node N after so many seconds and restart it, such as 3@2.5.")
    ] = None
    neighbours: Annotated[
        int | None, flag("--neighbours", "Most neighbours of each node. [default: each one's own]")
    ] = None
    unshaped: Annotated[
        bool, flag("--unshaped", "No limits: measures CPU, and not the schedule.")
    ] = False


@app.default
async def lab(
    *,
    nodes: Annotated[int, flag("--nodes", "Nodes beside the origin. [default: 8]")] = 8,
    size: Annotated[Text, flag("--size", "Size of the file. [default: 128M]")] = None,
    rate: Annotated[Text, flag("--rate", "Each link's rate, both ways. [default: 100Mbit]")] = None,
    contender: Annotated[
        str,
        flag("--contender", f"Who runs: {', '.join(CONTENDERS)}; several with commas, or all."),
    ] = "strew",
    repeat: Annotated[int, flag("--repeat", "Rounds, contenders in turns. [default: 1]")] = 1,
    befalls: LabFlags = LabFlags(),
    check: Annotated[
        bool, flag("--check-links", "Only measure with iperf3 whether the links carry their rate.")
    ] = False,
    plot: Annotated[Text, flag("--plot", "File for the completion curves, as SVG.")] = None,
    strips: Annotated[
        Text, flag("--strips", "File for what each link did over time in the last round, as SVG.")
    ] = None,
    reports: Annotated[
        bool, flag("--report", "Show where the time of each run of strew went.")
    ] = False,
    out: Output = Output(),
) -> int:
    """Measure one contender, or several in turns."""
    terms = msgspec.structs.replace(_terms(nodes, size, rate, befalls), recorded=reports)
    if not 1 <= repeat <= REPEAT_MAX:
        raise UsageError(f"--repeat {repeat}: from 1 to {REPEAT_MAX}")
    require([*TOOLS, "iperf3"] if check else TOOLS)
    if check:  # no file is spread
        terms = msgspec.structs.replace(terms, size_bytes=SIZE_MIN_BYTES)
    chosen = _chosen(contender, terms, out)
    _warn_of_overload(terms, out)
    results: list[LabResult] = []
    records: dict[str, Record] = {}
    async with interruptible(), lab_source(terms) as source:
        if check:
            return _tell_links(await check_links(terms, source.path.parent / "links"), out)
        out.note(report.words_of(terms))
        for number in range(1, repeat + 1):
            for entry in chosen:
                if strips is not None:
                    records[entry.name] = Record(entry.name)
                record = records.get(entry.name)
                results.append(await _measured(entry, number, terms, source, record, out))
    if plot is not None:
        _draw("--plot", plot, report.picture(results, terms), out)
    if strips is not None:
        picture = strips_svg(report.words_of(terms), list(records.values()))
        _draw("--strips", strips, picture, out)
    return _tell(results, out)


def _terms(nodes: int, size: str | None, rate: str | None, befalls: LabFlags) -> Terms:
    """What was asked for; UsageError names the flag."""
    terms = Terms(
        nodes=nodes,
        slow=_read("slow", befalls.slow, _slow),
        late=_read("late", befalls.late, _late),
        kill=_read("kill", befalls.kill, _kill),
        neighbours=befalls.neighbours,
    )
    if size is not None:
        terms = msgspec.structs.replace(terms, size_bytes=_read("size", size, parse_size))
    if rate is not None:
        terms = msgspec.structs.replace(terms, rate_bytes_per_s=_read("rate", rate, RATE_BOTH.read))
    if befalls.unshaped:
        if rate is not None:
            raise UsageError("--unshaped and --rate: one of them", hint="leave one out")
        terms = msgspec.structs.replace(terms, rate_bytes_per_s=None)
    terms.check()
    return terms


def _read(name: str, text: str | None, read: Callable[[str], Value]) -> Value | None:
    if text is None:
        return None
    try:
        return read(text)
    except UsageError as error:
        raise UsageError(f"--{name}: {error.message}", hint=error.hint) from None


def _slow(text: str) -> Slow:
    share, rate = _halves(text, ":", "0.25:25Mbit")
    rate_bytes_per_s = RATE_BOTH.read(rate)
    if rate_bytes_per_s is None:
        raise UsageError(f"{text!r}: a slow link has a rate", hint="such as 0.25:25Mbit")
    return Slow(_number(share), rate_bytes_per_s)


def _late(text: str) -> Late:
    share, after = _halves(text, ":", "0.5:4")
    return Late(_number(share), parse_duration(after))


def _kill(text: str) -> Kill:
    number, after = _halves(text, "@", "3@2.5")
    if not number.isdecimal():
        raise UsageError(f"{number!r}: a node goes by its number", hint="such as 3@2.5")
    return Kill(int(number), parse_duration(after))


def _halves(text: str, sign: str, example: str) -> tuple[str, str]:
    first, found, second = text.partition(sign)
    if not found:
        raise UsageError(f"{text[:40]!r}: two values with {sign!r} between", hint=f"as {example}")
    return first, second


def _number(text: str) -> float:
    try:
        return float(text)
    except ValueError:
        raise UsageError(f"{text[:40]!r}: not a number") from None


def _chosen(words: str, terms: Terms, out: Output) -> list[Contender]:
    """Who is to run; of `all` those who can, the others are told."""
    if words == ALL:
        able = []
        for entry in (CONTENDERS[name] for name in DEFAULT):
            lacks = entry.missing()
            if lacks is not None:
                out.warn(f"{entry.name} takes no part: {lacks}")
            elif terms.kill is None or entry.restarts:
                able.append(entry)
        return able
    chosen = [_known(word.strip()) for word in words.split(",")]
    for entry in chosen:
        takes_part(entry, terms)
    return chosen


def _known(name: str) -> Contender:
    if name not in CONTENDERS:
        near = difflib.get_close_matches(name, CONTENDERS, n=1)
        hint = f"did you mean {near[0]!r}?" if near else f"there are {', '.join(CONTENDERS)}"
        raise UsageError(f"--contender: nobody is called {name[:40]!r}", hint=hint)
    return CONTENDERS[name]


def _warn_of_overload(terms: Terms, out: Output) -> None:
    cores = len(os.sched_getaffinity(0))
    overload = terms.overload(cores)
    if overload is not None and overload > 1:
        carried = format_rate_both(CORE_CARRIES_BYTES_PER_S * cores)
        out.warn(
            f"all links together are {overload:.2f} times what {cores} cores carry ({carried}): "
            "this will measure the processors; give fewer --nodes or a lower --rate"
        )


async def _measured(
    entry: Contender,
    number: int,
    terms: Terms,
    source: SourceFile,
    record: Record | None,
    out: Output,
) -> LabResult:
    """One run, told when it is over."""
    out.event("run", contender=entry.name, round=number)
    result = await measured(entry, number, terms, source, record)
    ratio = result.ratio_to_line
    times = "" if ratio is None else f", {ratio:.3f} F/B"
    last = format_duration(result.seconds_last)
    out.note(f"{entry.name}, round {number}: last after {last}{times}")
    return result


def _draw(flag_name: str, path: str, picture: str, out: Output) -> None:
    try:
        Path(path).write_text(picture, "utf-8")
    except OSError as error:
        # the figures are worth more than their picture: they are still told
        out.warn(f"{flag_name} {path!r}: {error.strerror}")


def _tell_links(found: LinksCheck, out: Output) -> int:
    """Goodput of each link; exit code 5 if one is off by too much."""
    for link in found.links:
        goodput = format_rate_both(round(link.goodput_bytes_per_s))
        ratio = "" if link.ratio is None else f"  {link.ratio:.4f} of what it promises"
        out.line(f"host {link.source} to host {link.target}  {goodput}{ratio}")
    out.line(f"{found.dropped_packets} packets found a queue full")
    out.result(**msgspec.to_builtins(found), worst_ratio=found.worst)
    if found.worst is not None and abs(found.worst - 1) > TOLERANCE:
        out.error(
            UnavailableError.code,
            f"a link carries {found.worst:.3f} of what it promises",
            "this machine is busy, or --nodes x --rate is more than its cores carry",
        )
        return UnavailableError.exit_code
    return 0


def _tell(results: list[LabResult], out: Output) -> int:
    """The tables or the final object; exit code 4 if a copy is not as it was published."""
    out.line()
    for line in table(report.rows(results), right=report.NUMBERS):
        out.line(line)
    kinds = report.kind_rows(results)
    if kinds:
        out.line()
        for line in table(kinds, right=report.KINDS_NUMBERS):
            out.line(line)
    out.line()
    for line in report.against(results[0]):
        out.line(line)
    for result in results:
        if result.report is not None:
            out.line()
            for line in lost_time.lines(result.report):
                out.line(line)
    facts = [msgspec.to_builtins(result) for result in results]
    if len(facts) == 1:
        out.result(**facts[0])
    else:
        out.result(runs=facts)
    wrong = sum(result.nodes - result.verified for result in results)
    if wrong:
        out.error(IntegrityError.code, f"{wrong} copies are not as they were published")
        return IntegrityError.exit_code
    return 0

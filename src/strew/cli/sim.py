"""`strew sim`: the same node code in a virtual network, the older ways and the bound beside it."""

import difflib
import threading
from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Annotated, TypeVar

import msgspec
from cyclopts import Parameter

from strew.agent.quantity import (
    exact_rate,
    exact_size,
    format_rate_both,
    format_size,
    parse_duration,
    parse_rate,
    parse_size,
)
from strew.cli import lost_time
from strew.cli.call import command_app
from strew.cli.flags import ClientFlags, Text, flag
from strew.cli.output import Output, table
from strew.cli.progress import TERMINAL_INTERVAL_S, Transfer
from strew.cli.recorded import recorded
from strew.errors import StrewError, UsageError
from strew.sim import report
from strew.sim.fleet import Terms
from strew.sim.like import LIKE
from strew.sim.like import like as like_recorded
from strew.sim.network import Network
from strew.sim.plot import duration
from strew.sim.run import STRATEGIES, SWARM, Outcome, admitted, chunks_of, simulate, why_not
from strew.sim.scenarios import SCENARIOS, Scenario, line_s
from strew.sim.world import World
from strew.telemetry.report import report_of

ALL = "all"
DEFAULTS = Terms()

_NUMBERS = frozenset((1, 2))
"""Columns of what was recorded beside its simulation, to be aligned right."""

Value = TypeVar("Value")

_WORDS = "\n".join(f"* {name}: {scenario.meaning}" for name, scenario in SCENARIOS.items())

app = command_app(
    "sim",
    "Spread a file in a virtual network, and measure it.\n\n"
    "Runs the node that 'strew node' runs, on a virtual clock: a thousand machines need one core "
    "and some minutes. The same seed and options take the same course, event for event. With "
    "PYTHONPATH=build/compiled (made by 'make compiled') it takes about half the time.\n\n"
    f"Scenarios; a scenario's own values go before options:\n\n{_WORDS}",
)


@Parameter(name="*", group="The network")
@dataclass(frozen=True, slots=True, kw_only=True)
class SimFlags:
    """Links and limits; text is read by `_terms`."""

    rate: Annotated[Text, flag("--rate", "Each link's rate, both ways. [default: 1Gbit]")] = None
    latency: Annotated[
        Text, flag("--latency", "From machine to machine, one way. [default: 0.1ms]")
    ] = None
    origin_ratio: Annotated[
        float, flag("--origin-ratio", "The origin's rate, in those of a machine. [default: 1]")
    ] = DEFAULTS.origin_ratio
    racks: Annotated[
        int, flag("--racks", "Racks, whose links carry a quarter of their machines'. [default: 1]")
    ] = DEFAULTS.racks
    trackerless: Annotated[
        bool, flag("--trackerless", "No tracker: machines find each other by gossip.")
    ] = DEFAULTS.trackerless
    gossip: Annotated[
        bool, flag("--gossip", "They gossip beside their tracker, as 'strew node' does.")
    ] = DEFAULTS.gossip
    loss: Annotated[
        float, flag("--loss", "Share of datagrams that is lost; links repeat theirs. [default: 0]")
    ] = DEFAULTS.loss
    slots: Annotated[
        int, flag("--slots", f"Sends of a node at a time. [default: {DEFAULTS.slots}]")
    ] = DEFAULTS.slots
    neighbours: Annotated[
        int, flag("--neighbours", f"Most neighbours of a node. [default: {DEFAULTS.neighbours}]")
    ] = DEFAULTS.neighbours


@app.default
def sim(
    *,
    nodes: Annotated[
        int, flag("--nodes", f"Machines beside the origin. [default: {DEFAULTS.nodes}]")
    ] = DEFAULTS.nodes,
    size: Annotated[Text, flag("--size", "Size of the file. [default: 1GB]")] = None,
    chunks: Annotated[
        int | None, flag("--chunks", "Chunks it is cut into. [default: as 'strew push' cuts it]")
    ] = None,
    strategy: Annotated[
        str,
        flag("--strategy", f"One or several of {', '.join(STRATEGIES)}, or all. [default: swarm]"),
    ] = SWARM,
    scenario: Annotated[
        str, flag("--scenario", "What befalls the machines: see above, or all. [default: flash]")
    ] = "flash",
    network: SimFlags = SimFlags(),
    seed: Annotated[int, flag("--seed", "Seed of all dice. [default: 1]")] = DEFAULTS.seed,
    limit: Annotated[
        Text, flag("--limit", "Virtual time after which a run is given up. [default: ample]")
    ] = None,
    plot: Annotated[Text, flag("--plot", "File for the completion curves, as SVG.")] = None,
    reports: Annotated[
        bool, flag("--report", "Show where the time of each run of swarm went.")
    ] = False,
    like: Annotated[
        Text,
        flag(
            "--like",
            "Machines, links, zones, size and chunks as this transfer was recorded: a reference "
            "that the tracker knows, or a file of 'strew show REF --recording FILE'.",
        ),
    ] = None,
    client: ClientFlags = ClientFlags(),
    out: Output = Output(),
) -> int:
    """Simulate one run, or several in turn."""
    if like is not None:
        return _simulate_like(like, client, seed, out)
    terms = _terms(nodes, size, chunks, network, seed, limit)
    pairs = _pairs(strategy, scenario, terms, out)
    if plot is not None:
        _check_plot(Path(plot), pairs)
    _tell_options(terms, strategy, scenario, out)
    outcomes, failed = _simulated(pairs, terms, out, watched=reports)
    if plot is not None:
        _draw(Path(plot), report.picture(outcomes, _heading(terms)), out)
    _tell(outcomes, out, is_list=len(pairs) > 1)
    if failed is not None:
        out.failure(failed)
        return failed.exit_code
    return 0


# --- what was asked for --------------------------------------------------------------------------


def _terms(
    nodes: int,
    size: str | None,
    chunks: int | None,
    network: SimFlags,
    seed: int,
    limit: str | None,
) -> Terms:
    """The terms before any scenario; UsageError names the flag."""
    size_bytes = _read("size", size, parse_size, DEFAULTS.size_bytes)
    limit_s = _read("limit", limit, parse_duration, 0.0)
    if limit is not None and limit_s <= 0.0:
        raise UsageError(f"--limit {limit}: no time at all", hint="give a time such as 60s")
    return Terms(
        nodes=nodes,
        size_bytes=size_bytes,
        chunks=chunks_of(size_bytes) if chunks is None else chunks,
        rate_bytes_per_s=_read("rate", network.rate, _rate, DEFAULTS.rate_bytes_per_s),
        origin_ratio=network.origin_ratio,
        latency_s=_read("latency", network.latency, parse_duration, DEFAULTS.latency_s),
        seed=seed,
        racks=network.racks,
        slots=network.slots,
        neighbours=network.neighbours,
        limit_s=limit_s,
        trackerless=network.trackerless,
        gossip=network.gossip,
        loss=network.loss,
    )


def _read(name: str, text: str | None, read: Callable[[str], Value], default: Value) -> Value:
    if text is None:
        return default
    try:
        return read(text)
    except UsageError as error:
        raise UsageError(f"--{name}: {error.message}", hint=error.hint) from None


def _rate(text: str) -> float:
    rate = parse_rate(text)
    if rate is None:
        raise UsageError(f"{text}: a simulated link has a rate", hint="such as 1Gbit")
    return float(rate)


def _pairs(strategy: str, scenario: str, terms: Terms, out: Output) -> list[tuple[str, str]]:
    """(strategy, scenario) of each run; of `all` those that can be, the others are told."""
    strategies = _chosen("strategy", strategy, STRATEGIES)
    scenarios = _chosen("scenario", scenario, SCENARIOS)
    pairs = [(way, place) for place in scenarios for way in strategies]
    if ALL in (strategy, scenario):
        left_out = [pair for pair in pairs if why_not(*pair, terms)]
        pairs = [pair for pair in pairs if pair not in left_out]
        for places, ways in _left_out(left_out).items():
            out.note(f"not simulated in {', '.join(places)}: {', '.join(ways)}")
    for way, place in pairs:
        admitted(way, place, terms)
    if not pairs:
        raise UsageError("nothing is left to simulate", hint="name a --scenario")
    return pairs


def _left_out(pairs: list[tuple[str, str]]) -> dict[tuple[str, ...], list[str]]:
    """Scenarios -> the strategies that are left out of just these."""
    places: dict[str, tuple[str, ...]] = {}
    for way, place in pairs:
        places[way] = (*places.get(way, ()), place)
    ways: dict[tuple[str, ...], list[str]] = {}
    for way, its_places in places.items():
        ways.setdefault(its_places, []).append(way)
    return ways


def _chosen(name: str, words: str, known: Iterable[str]) -> list[str]:
    if words == ALL:
        return list(known)
    chosen = list(dict.fromkeys(word.strip() for word in words.split(",")))
    for word in chosen:
        if word not in known:
            near = difflib.get_close_matches(word, known, n=1)
            hint = f"did you mean {near[0]!r}?" if near else f"there are {', '.join(known)}"
            raise UsageError(f"--{name}: none is called {word[:40]!r}", hint=hint)
    return chosen


def _check_plot(path: Path, pairs: list[tuple[str, str]]) -> None:
    """Before the work is done: a picture that cannot be."""
    if len({way for way, _ in pairs}) > 1 and len({place for _, place in pairs}) > 1:
        raise UsageError(
            "--plot: several strategies in several scenarios are no picture",
            hint="name one --scenario or one --strategy",
        )
    if path.is_dir() or not path.parent.is_dir():
        raise UsageError(f"--plot {str(path)!r}: no file can be there", hint="name a file")


# --- the runs ------------------------------------------------------------------------------------


def _simulated(
    pairs: list[tuple[str, str]],
    terms: Terms,
    out: Output,
    *,
    watched: bool = False,
    scenarios: Mapping[str, Scenario] = SCENARIOS,
) -> tuple[list[Outcome], StrewError | None]:
    """All runs in turn, and the last failure; if nothing worked, it is raised."""
    outcomes: list[Outcome] = []
    failed: StrewError | None = None
    for way, place in pairs:
        name = way if len(pairs) == 1 else f"{way} in {place}"
        out.event("run", strategy=way, scenario=place)
        try:
            with _watched(name, terms, out) as began:
                outcome = simulate(
                    way, place, terms, began=began, watched=watched, scenarios=scenarios
                )
        except StrewError as error:
            failed = type(error)(f"{name}: {error.message}", hint=error.hint)
            if len(pairs) > 1:
                out.warn(failed.message)
            continue
        outcomes.append(outcome)
        result = outcome.result
        last = f"last after {duration(result.seconds_last)}, {result.ratio_to_line:.3f} F/B"
        out.note(f"{name}: {last}, simulated in {duration(result.wall_seconds)}")
    if failed is not None and not outcomes:
        raise failed
    return outcomes, failed


@contextmanager
def _watched(name: str, terms: Terms, out: Output) -> Iterator[Callable[[World, Network], None]]:
    """Progress of a run, by a thread that only looks: the virtual world knows nothing of it."""
    progress = out.progress()
    ended = threading.Event()
    threads: list[threading.Thread] = []
    total_bytes = terms.size_bytes * terms.nodes

    def look(world: World, network: Network) -> None:
        machines = network.hosts[1:]
        while not ended.wait(TERMINAL_INTERVAL_S):
            here_bytes = int(sum(host.received_bytes for host in machines))
            note = f"{world.now:.2f} s of virtual time"
            shown = Transfer(min(here_bytes, total_bytes), total_bytes, note=note)
            progress.update(name, shown)

    def began(world: World, network: Network) -> None:
        threads.append(threading.Thread(target=look, args=(world, network), daemon=True))
        threads[0].start()

    try:
        yield began
    finally:
        ended.set()
        for thread in threads:
            thread.join()
        progress.close()


def _simulate_like(text: str, client: ClientFlags, seed: int, out: Output) -> int:
    """What was recorded, beside its simulation."""
    recording = recorded(text, client)
    terms, scenario = like_recorded(recording, seed)
    out.event("options", command=f"strew sim --like {text} --seed {seed}", **asdict(terms))
    out.line(f"seed {seed}")
    out.line(f"{_title(terms)}: F/B = {duration(line_s(terms))}")
    scenarios = {LIKE: scenario}
    [outcome], _ = _simulated([(SWARM, LIKE)], terms, out, watched=True, scenarios=scenarios)
    assert outcome.recording is not None
    was, made = report_of(recording), report_of(outcome.recording)
    for lines in (lost_time.lines(made), table(lost_time.compared(was, made), right=_NUMBERS)):
        out.line()
        for line in lines:
            out.line(line)
    facts = msgspec.to_builtins(outcome.result)
    out.result(**facts, report=msgspec.to_builtins(made), recorded=msgspec.to_builtins(was))
    return 0


# --- what is told --------------------------------------------------------------------------------


def _tell_options(terms: Terms, strategy: str, scenario: str, out: Output) -> None:
    """Seed and every option, as a command line that takes the same course."""
    options = {
        "seed": str(terms.seed),
        "nodes": str(terms.nodes),
        "size": exact_size(terms.size_bytes),
        "chunks": str(terms.chunks),
        "rate": exact_rate(round(terms.rate_bytes_per_s)),
        "latency": f"{1000 * terms.latency_s:g}ms",
        "origin-ratio": f"{terms.origin_ratio:g}",
        "racks": str(terms.racks),
        "slots": str(terms.slots),
        "neighbours": str(terms.neighbours),
        "strategy": strategy,
        "scenario": scenario,
    }
    if terms.loss:
        options["loss"] = f"{terms.loss:g}"
    if terms.limit_s:
        options["limit"] = f"{terms.limit_s:g}"
    words = " ".join(f"--{name} {value}" for name, value in options.items())
    if terms.trackerless:
        words += " --trackerless"
    if terms.gossip:
        words += " --gossip"
    facts = {"strategy": strategy, "scenario": scenario, **asdict(terms)}
    out.event("options", command=f"strew sim {words}", **facts)
    out.line(f"seed {terms.seed}")
    out.line(f"strew sim {words}")
    out.line(f"{_title(terms)}: F/B = {duration(line_s(terms))}")


def _title(terms: Terms) -> str:
    return f"{_fleet(terms)}, {format_rate_both(round(terms.rate_bytes_per_s))} each way"


def _fleet(terms: Terms) -> str:
    size = format_size(terms.size_bytes)
    for unit, scale in (("MB", 10**6), ("GB", 10**9)):
        if terms.size_bytes >= scale and terms.size_bytes % (scale // 10) == 0:
            size = f"{terms.size_bytes / scale:g} {unit}"
    return f"{terms.nodes} machines and an origin, {size} in {terms.chunks} chunks"


def _heading(terms: Terms) -> str:
    """Of the picture: rates in bits, as links are named."""
    bits = format_rate_both(round(terms.rate_bytes_per_s)).rpartition(" = ")[2]
    return f"{_fleet(terms)}, links of {bits}"


def _draw(path: Path, drawn: str, out: Output) -> None:
    try:
        path.write_text(drawn, "utf-8")
    except OSError as error:
        # the figures are worth more than their picture: they are still told
        out.warn(f"--plot {str(path)!r}: {error.strerror}")


def _tell(outcomes: list[Outcome], out: Output, *, is_list: bool) -> None:
    """The tables or the final object; the digests last."""
    results = [outcome.result for outcome in outcomes]
    classes = report.class_rows(results)
    tables = [(report.rows(results), report.NUMBERS)]
    if classes:
        tables.append((classes, report.CLASS_NUMBERS))
    tables.append((report.bound_rows(outcomes), frozenset()))
    tables.append((report.digest_rows(results), frozenset()))
    for lines, right in tables:
        out.line()
        for line in table(lines, right=right):
            out.line(line)
    facts = [msgspec.to_builtins(result) for result in results]
    for outcome, told in zip(outcomes, facts, strict=True):
        if outcome.recording is not None:
            made = report_of(outcome.recording)
            told["report"] = msgspec.to_builtins(made)
            out.line()
            for line in lost_time.lines(made):
                out.line(line)
    if is_list:
        out.result(runs=facts)
    else:
        out.result(**facts[0])

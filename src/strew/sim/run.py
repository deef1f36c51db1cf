"""Run: one way of spreading in one scenario, from checked terms to its numbers.

`swarm` is the product: the real node in a virtual fleet. The other ways are sim.baselines, in the
same network; they know neither deaths nor unlike machines, and are not simulated where these
matter.
"""

from __future__ import annotations

import gc
import math
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from statistics import median

from strew.content.chunker import params_for
from strew.content.manifest import CHUNKS_MAX
from strew.errors import StrewError, UnavailableError, UsageError
from strew.gossip.membership import MEMBERS_MAX
from strew.sim.baselines import BASELINES
from strew.sim.fleet import Fleet, Machine, Terms
from strew.sim.network import Network
from strew.sim.result import ClassResult, SimResult, class_result, percentile
from strew.sim.scenarios import SCENARIOS, Bounds, Scenario, is_wanted, kind_of, line_s
from strew.sim.watching import Watch
from strew.sim.world import World
from strew.telemetry.recording import Recording

SWARM = "swarm"
STRATEGIES = (SWARM, *BASELINES)

NODES_MAX = 100_000
CHUNK_BYTES_MIN = 1024
"""Far below what the product cuts; chunks of some bytes would only measure headers."""

MEAN_OVER_AVERAGE = 1.08
"""Mean length of chunks over the average they are cut with (measured, strew.content.chunker)."""

LATENCY_MAX_S = 10.0
ORIGIN_RATIO_MAX = 1000.0
RACKS_MAX = 1000
SLOTS_MAX = 64
NEIGHBOURS_MIN, NEIGHBOURS_MAX = 2, 256
"""Limits of the settings of the same name."""

Began = Callable[[World, Network], None]


@dataclass(frozen=True, slots=True)
class Outcome:
    """A run's result, its bound in words, and when each machine was done, in rising order."""

    result: SimResult
    formula: str
    times_s: Sequence[float]
    recording: Recording | None = None
    """Of a run of `swarm` that was watched."""


@dataclass(frozen=True, slots=True, kw_only=True)
class _Spread:
    """What a run found out; fields as those of `SimResult`."""

    times_s: Sequence[float]
    bound_s: float
    formula: str
    origin_sent_bytes: float
    duplicate_ratio: float
    wanted: int
    trace_digest: str
    crossed_ratio: float | None = None
    control_ratio: float | None = None
    classes: tuple[ClassResult, ...] = ()
    recording: Recording | None = None


def chunks_of(size_bytes: int) -> int:
    """Into about how many chunks the product cuts a file of this size."""
    average_bytes = params_for(size_bytes).average_bytes
    return max(1, round(size_bytes / (MEAN_OVER_AVERAGE * average_bytes)))


def check(terms: Terms) -> None:
    """UsageError if these terms make no sense."""
    _within("nodes", terms.nodes, 1, NODES_MAX)
    if terms.size_bytes < 1:
        raise UsageError("a file of 0 bytes: nothing to spread", hint="give a --size above 0")
    _within("chunks", terms.chunks, 1, CHUNKS_MAX)
    if terms.chunks > 1 and terms.chunks * CHUNK_BYTES_MIN > terms.size_bytes:
        raise UsageError(
            f"{terms.chunks} chunks of a file of {terms.size_bytes} bytes: a chunk has at least "
            f"{CHUNK_BYTES_MIN}",
            hint=f"give at most {max(1, terms.size_bytes // CHUNK_BYTES_MIN)} chunks",
        )
    if not 0.0 <= terms.latency_s <= LATENCY_MAX_S:
        raise UsageError(f"a latency of {terms.latency_s:g} s: at most {LATENCY_MAX_S:g} s can be")
    if not 0.0 < terms.origin_ratio <= ORIGIN_RATIO_MAX:
        raise UsageError(
            f"an origin of {terms.origin_ratio:g} times the rate: above 0 and at most "
            f"{ORIGIN_RATIO_MAX:g} can be"
        )
    _within("racks", terms.racks, 1, min(RACKS_MAX, terms.nodes))
    _within("slots", terms.slots, 1, SLOTS_MAX)
    _within("neighbours", terms.neighbours, NEIGHBOURS_MIN, NEIGHBOURS_MAX)
    if terms.gossips:
        _within("nodes that gossip", terms.nodes, 1, MEMBERS_MAX - 1)
    if not 0.0 <= terms.loss < 1.0:
        raise UsageError(
            f"a loss of {terms.loss:g}: from 0 to below 1 of all datagrams can be lost"
        )
    if terms.seed < 0:
        raise UsageError(f"seed {terms.seed}: a seed is 0 or more")
    if not 0.0 <= terms.limit_s < math.inf:
        raise UsageError(f"a limit of {terms.limit_s:g} s: give a time above 0")


def _within(what: str, value: int, lowest: int, highest: int) -> None:
    if not lowest <= value <= highest:
        raise UsageError(f"{value} {what}: from {lowest} to {highest} can be simulated")


def why_not(
    strategy: str, scenario: str, terms: Terms, scenarios: Mapping[str, Scenario] = SCENARIOS
) -> str:
    """Why this way is not simulated in this scenario; empty if it is."""
    chosen = scenarios[scenario]
    if strategy == SWARM:
        if terms.trackerless and chosen.tracker:
            return f"scenario {scenario} is about a tracker, and there is none"
        return ""
    if not chosen.plain:
        return f"{strategy} is not simulated in scenario {scenario}"
    if chosen.terms(terms).racks > 1:
        return f"{strategy} is not simulated with several racks"
    return ""


def admitted(
    strategy: str, scenario: str, terms: Terms, scenarios: Mapping[str, Scenario] = SCENARIOS
) -> Terms:
    """The terms of this run, as its scenario has them; UsageError if it cannot be."""
    chosen = scenarios[scenario]
    check(terms)
    terms = chosen.terms(terms)
    if terms.nodes < chosen.nodes_min:
        raise UsageError(
            f"{terms.nodes} nodes: scenario {scenario} needs {chosen.nodes_min} or more",
            hint="give more --nodes",
        )
    reason = why_not(strategy, scenario, terms, scenarios)
    if reason:
        hint = f"{SWARM} is, and all are in scenario flash with one rack"
        raise UsageError(reason, hint="" if strategy == SWARM else hint)
    return terms


def simulate(
    strategy: str,
    scenario: str,
    terms: Terms,
    *,
    began: Began | None = None,
    watched: bool = False,
    scenarios: Mapping[str, Scenario] = SCENARIOS,
) -> Outcome:
    """Spread once, in virtual time. `began` is called when the world is there and time not yet. Who
    is `watched` takes the same course, and is recorded.

    UsageError for terms or a pair that cannot be, UnavailableError if machines that could finish
    do not, DeadlineExceededError if not within the limit, LawBroken if a node breaks a law.
    """
    terms = admitted(strategy, scenario, terms, scenarios)
    chosen = scenarios[scenario]
    with _without_collector():
        began_s = time.perf_counter()
        if strategy == SWARM:
            spread = _swarm(chosen, terms, began, watched)
        else:
            spread = _baseline(strategy, chosen, terms, began)
        wall_s = time.perf_counter() - began_s
    result = _result(strategy, scenario, terms, spread, wall_s)
    return Outcome(result, spread.formula, spread.times_s, spread.recording)


def _result(
    strategy: str, scenario: str, terms: Terms, spread: _Spread, wall_s: float
) -> SimResult:
    times_s, full_s = spread.times_s, line_s(terms)
    return SimResult(
        strategy=strategy,
        scenario=scenario,
        seed=terms.seed,
        nodes=terms.nodes,
        size_bytes=terms.size_bytes,
        chunks=terms.chunks,
        rate_bytes_per_s=round(terms.rate_bytes_per_s),
        latency_seconds=terms.latency_s,
        origin_ratio=terms.origin_ratio,
        racks=terms.racks,
        trackerless=terms.trackerless,
        gossip=terms.gossips,
        seconds_last=times_s[-1],
        seconds_median=median(times_s),
        seconds_first=times_s[0],
        seconds_p99=percentile(times_s, 99.0),
        seconds_p999=percentile(times_s, 99.9),
        line_seconds=full_s,
        bound_seconds=spread.bound_s,
        ratio_to_line=times_s[-1] / full_s,
        ratio_to_bound=times_s[-1] / spread.bound_s,
        origin_sent_ratio=spread.origin_sent_bytes / terms.size_bytes,
        duplicate_ratio=spread.duplicate_ratio,
        crossed_ratio=spread.crossed_ratio,
        control_ratio=spread.control_ratio,
        wanted=spread.wanted,
        verified=len(times_s),
        classes=spread.classes,
        wall_seconds=wall_s,
        trace_digest=spread.trace_digest,
    )


@contextmanager
def _without_collector() -> Iterator[None]:
    """A fleet is a large heap that lives until its run ends: to look through it for garbage again
    and again takes a good part of the time."""
    enabled = gc.isenabled()
    gc.disable()
    try:
        yield
    finally:
        if enabled:
            gc.enable()
            gc.collect()


# --- the product ---------------------------------------------------------------------------------


def _swarm(chosen: Scenario, terms: Terms, began: Began | None, watched: bool) -> _Spread:
    fleet = chosen.fleet(terms)
    watch = Watch(fleet) if watched else None
    if began is not None:
        began(fleet.world, fleet.network)
    _play(fleet.spread, lambda: f"{fleet.done} of {fleet.wanted} machines are done")
    kinds = chosen.bound(terms, fleet.machines)
    pairs = [pair for pair in zip(fleet.peers, fleet.machines, strict=True) if is_wanted(pair[1])]
    times_s = sorted(peer.done_s for peer, _ in pairs if peer.done_s is not None)
    if not times_s:
        raise UnavailableError(f"no machine is left that could finish (seed {terms.seed})")
    delivered_bytes = terms.size_bytes * len(times_s)
    peers = [fleet.origin, *fleet.peers]
    control_bytes = sum(peer.control_bytes for peer in peers) + fleet.datagrams.sent_bytes
    bound_s = max(machine.starts_s + kinds[kind_of(machine)] for _, machine in pairs)
    return _Spread(
        recording=watch.recording(bound_s) if watch is not None else None,
        times_s=times_s,
        bound_s=bound_s,
        formula=chosen.formula,
        origin_sent_bytes=fleet.sent_by_origin_bytes,
        duplicate_ratio=sum(peer.duplicate_bytes for peer in peers) / delivered_bytes,
        wanted=fleet.wanted,
        trace_digest=fleet.world.trace_digest,
        crossed_ratio=fleet.network.crossed_bytes / terms.size_bytes if terms.racks > 1 else None,
        control_ratio=control_bytes / delivered_bytes,
        classes=_classes(fleet, kinds),
    )


def _classes(fleet: Fleet, kinds: Bounds) -> tuple[ClassResult, ...]:
    """Each kind of machine apart, unless all are alike."""
    if set(kinds) == {""}:
        return ()
    own_s: dict[str, list[float]] = {}
    lines_s: dict[str, float] = {}
    for peer, machine in zip(fleet.peers, fleet.machines, strict=True):
        if peer.done_s is not None and is_wanted(machine):
            kind = kind_of(machine)
            own_s.setdefault(kind, []).append(peer.done_s - machine.starts_s)
            lines_s[kind] = line_s(fleet.terms) / machine.down_ratio
    return tuple(
        class_result(kind or "fast", own_s[kind], lines_s[kind], kinds[kind])
        for kind in sorted(own_s)
    )


def _play(spread: Callable[[], object], how_far: Callable[[], str]) -> None:
    """Let time pass; what ends it too soon says how far it came."""
    try:
        spread()
    except StrewError as error:
        raise type(error)(f"{error.message}; {how_far()}", hint=error.hint) from None


# --- the other ways ------------------------------------------------------------------------------


def _baseline(strategy: str, chosen: Scenario, terms: Terms, began: Began | None) -> _Spread:
    baseline = BASELINES[strategy]
    world = World(terms.seed, terms.limit_s or math.inf)
    network = Network(world, terms.latency_s)
    rate, size_bytes = terms.rate_bytes_per_s, terms.size_bytes
    up = rate * terms.origin_ratio
    origin = network.host(up, up)
    hosts = [network.host(rate, rate) for _ in range(terms.nodes)]
    if began is not None:
        began(world, network)
    times_s: list[float] = []

    def received_ratio() -> float:
        return sum(host.received_bytes for host in hosts) / (size_bytes * terms.nodes)

    _play(
        lambda: times_s.extend(
            baseline.spread(world, network, origin, hosts, size_bytes, terms.chunks)
        ),
        lambda: f"{received_ratio():.0%} had come",
    )
    bound_s, formula = (
        baseline.bound_s(size_bytes, terms.chunks, terms.nodes, rate),
        baseline.formula,
    )
    if terms.origin_ratio != 1.0:  # its own bound is that of equal links
        bound_s, formula = chosen.bound(terms, [Machine()] * terms.nodes)[""], chosen.formula
    return _Spread(
        times_s=sorted(times_s),
        bound_s=bound_s,
        formula=formula,
        origin_sent_bytes=origin.sent_bytes,
        duplicate_ratio=max(0.0, received_ratio() - 1.0),
        wanted=terms.nodes,
        trace_digest=world.trace_digest,
    )

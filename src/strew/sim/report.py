"""The tables of simulated runs, and their picture."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from strew.sim.plot import completion_svg, duration
from strew.sim.result import SimResult
from strew.sim.run import SWARM, Outcome

Row = tuple[str, ...]

_TIMES: Row = ("line", "bound", "first", "median", "p99", "p999", "last", "last/line", "last/bound")
_COUNTS: Row = ("origin sent", "duplicates", "control", "crossed", "done", "wall")

HEAD: Row = ("scenario", "strategy", *_TIMES, *_COUNTS)
NUMBERS = frozenset(range(2, len(HEAD)))
"""Columns of numbers, to be aligned right."""

CLASS_HEAD: Row = (
    "scenario",
    "machines",
    "number",
    "line",
    "bound",
    "median",
    "last",
    "last/line",
    "last/bound",
)
CLASS_NUMBERS = frozenset(range(2, len(CLASS_HEAD)))

UNKNOWN = "-"


def rows(results: Sequence[SimResult]) -> list[Row]:
    """The table, its head first. Times are virtual, except `wall`."""
    return [HEAD, *(_row(result) for result in results)]


def _row(result: SimResult) -> Row:
    crossed, control = result.crossed_ratio, result.control_ratio
    return (
        result.scenario,
        result.strategy,
        duration(result.line_seconds),
        duration(result.bound_seconds),
        duration(result.seconds_first),
        duration(result.seconds_median),
        duration(result.seconds_p99),
        duration(result.seconds_p999),
        duration(result.seconds_last),
        f"{result.ratio_to_line:.3f}",
        f"{result.ratio_to_bound:.3f}",
        f"{result.origin_sent_ratio:.3f} F",
        f"{100 * result.duplicate_ratio:.2f} %",
        UNKNOWN if control is None else f"{100 * control:.2f} %",
        UNKNOWN if crossed is None else f"{crossed:.2f} F",
        f"{result.verified} of {result.wanted}",
        duration(result.wall_seconds),
    )


def class_rows(results: Sequence[SimResult]) -> list[Row]:
    """Each kind of machine apart, head first; times since its own start. Empty if all are alike."""
    found = [
        (
            result.scenario,
            each.kind,
            str(each.nodes),
            duration(each.line_seconds),
            duration(each.bound_seconds),
            duration(each.seconds_median),
            duration(each.seconds_last),
            f"{each.ratio_to_line:.3f}",
            f"{each.ratio_to_bound:.3f}",
        )
        for result in results
        for each in result.classes
    ]
    return [CLASS_HEAD, *found] if found else []


def bound_rows(outcomes: Sequence[Outcome]) -> list[Row]:
    """Which bound each run is set against; head first."""
    ways: dict[tuple[str, str], list[str]] = {}
    for outcome in outcomes:
        key = (outcome.result.scenario, outcome.formula)
        ways.setdefault(key, []).append(outcome.result.strategy)
    head: Row = ("scenario", "cannot be faster than", "strategy")
    return [head, *((place, formula, ", ".join(ways[place, formula])) for place, formula in ways)]


def digest_rows(results: Sequence[SimResult]) -> list[Row]:
    """The traces' digests: equal if and only if two runs took the same course."""
    return [("trace digest", r.scenario, r.strategy, r.trace_digest) for r in results]


def picture(outcomes: Sequence[Outcome], title: str) -> str:
    """Completion curves as SVG, of one scenario or of one strategy, with F/B beside them."""
    first = outcomes[0].result
    one_scenario = all(outcome.result.scenario == first.scenario for outcome in outcomes)
    curves: Mapping[str, Sequence[float]] = {
        outcome.result.strategy if one_scenario else outcome.result.scenario: outcome.times_s
        for outcome in outcomes
    }
    best = SWARM if one_scenario else first.scenario
    return completion_svg(
        curves, {"F/B": first.line_seconds}, title=title, best=best, machines=first.nodes
    )

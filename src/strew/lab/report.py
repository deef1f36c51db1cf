"""The table of a lab, and its picture."""

from __future__ import annotations

from collections.abc import Sequence
from statistics import median

from strew.agent.quantity import format_duration, format_rate_both, format_size
from strew.lab.result import ClassResult, LabResult
from strew.lab.terms import Terms
from strew.sim.plot import completion_svg

Row = tuple[str, ...]

HEAD: Row = (
    "contender",
    "first",
    "median",
    "last",
    "last/line",
    "last/bound",
    "origin sent",
    "card",
    "duplicates",
    "CPU s/GiB",
    "memory",
    "verified",
)

NUMBERS = frozenset(range(1, len(HEAD)))
"""Columns of numbers, to be aligned right."""

KINDS_HEAD: Row = (
    "contender",
    "kind",
    "nodes",
    "median",
    "last",
    "line",
    "last/line",
    "last/bound",
)

KINDS_NUMBERS = frozenset(range(2, len(KINDS_HEAD)))

UNKNOWN = "-"


def by_contender(results: Sequence[LabResult]) -> dict[str, list[LabResult]]:
    """The runs of each, contenders in the order of their first."""
    found: dict[str, list[LabResult]] = {}
    for result in results:
        found.setdefault(result.strategy, []).append(result)
    return found


def rows(results: Sequence[LabResult]) -> list[Row]:
    """The table, its head first: medians of all runs; ratios with their spread."""
    return [HEAD, *(_row(name, runs) for name, runs in by_contender(results).items())]


def _row(name: str, runs: Sequence[LabResult]) -> Row:
    return (
        name,
        format_duration(median(run.seconds_first for run in runs)),
        format_duration(median(run.seconds_median for run in runs)),
        format_duration(median(run.seconds_last for run in runs)),
        _spread([run.ratio_to_line for run in runs]),
        _spread([run.ratio_to_bound for run in runs]),
        f"{median(run.origin_sent_ratio for run in runs):.3f} F",
        f"{median(run.origin_link_ratio for run in runs):.3f} F",
        _percent([run.duplicate_ratio for run in runs]),
        f"{median(run.cpu_s_per_gib for run in runs):.2f}",
        format_size(max(run.rss_peak_bytes for run in runs)),
        f"{min(run.verified for run in runs)} of {runs[0].nodes}",
    )


def kind_rows(results: Sequence[LabResult]) -> list[Row]:
    """Fast and slow, early and late machines apart, the head first; empty if all are alike."""
    found: list[Row] = []
    for name, runs in by_contender(results).items():
        for place, kind in enumerate(runs[0].classes):
            found.append(_kind_row(name, kind, [run.classes[place] for run in runs]))
    return [KINDS_HEAD, *found] if found else []


def _kind_row(name: str, kind: ClassResult, runs: Sequence[ClassResult]) -> Row:
    line_s = kind.line_seconds
    return (
        name,
        kind.kind,
        str(kind.nodes),
        format_duration(median(run.seconds_median for run in runs)),
        format_duration(median(run.seconds_last for run in runs)),
        UNKNOWN if line_s is None else format_duration(line_s),
        _spread([run.ratio_to_line for run in runs]),
        _spread([run.ratio_to_bound for run in runs]),
    )


def _spread(ratios: Sequence[float | None]) -> str:
    known = [ratio for ratio in ratios if ratio is not None]
    if not known:
        return UNKNOWN
    middle = f"{median(known):.3f}"
    return middle if len(known) < 2 else f"{middle} ({min(known):.3f} to {max(known):.3f})"


def _percent(ratios: Sequence[float | None]) -> str:
    known = [ratio for ratio in ratios if ratio is not None]
    return f"{100 * median(known):.2f} %" if known else UNKNOWN


def words_of(terms: Terms) -> str:
    """What is run, in one line."""
    rate = terms.rate_bytes_per_s
    each = "unshaped links" if rate is None else f"{format_rate_both(rate)} each way"
    words = [f"{terms.nodes} nodes and an origin, {format_size(terms.size_bytes)}, {each}"]
    if terms.slow is not None:
        slow = format_rate_both(terms.slow.rate_bytes_per_s)
        words.append(f"{len(terms.slow_numbers)} of them {slow}")
    if terms.late is not None:
        words.append(f"{len(terms.late_numbers)} of them {terms.late.after_s:g} s late")
    if terms.kill is not None:
        words.append(f"node {terms.kill.number} killed after {terms.kill.after_s:g} s")
    if terms.neighbours is not None:
        words.append(f"at most {terms.neighbours} neighbours each")
    return ", ".join(words)


def against(result: LabResult) -> list[str]:
    """What the times are to be measured by; nothing where links have no limit."""
    line_s, bound_s = result.line_seconds, result.bound_seconds
    if line_s is None or bound_s is None or result.goodput_bytes_per_s is None:
        return ["no rate, no bound"]
    return [
        f"line   F/B, one machine alone: {format_duration(line_s)}, with B = "
        f"{format_rate_both(round(result.goodput_bytes_per_s))} of goodput",
        f"bound  what no schedule can beat, with M = {result.chunks} chunks: "
        f"{format_duration(bound_s)}",
        "last   counts from the publication until the last machine's file is in its place",
        "card   what the origin's card sent, framing and control included",
    ]


def picture(results: Sequence[LabResult], terms: Terms) -> str:
    """Completion curves as SVG: of each contender's runs the one whose last machine is median."""
    curves = {
        name: sorted(_middle(runs).seconds_each) for name, runs in by_contender(results).items()
    }
    line_s = results[0].line_seconds
    bounds = {} if line_s is None else {"F/B": line_s}
    return completion_svg(curves, bounds, title=words_of(terms), best="strew", machines=terms.nodes)


def _middle(runs: Sequence[LabResult]) -> LabResult:
    return sorted(runs, key=lambda run: run.seconds_last)[(len(runs) - 1) // 2]

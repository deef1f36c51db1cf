"""The numbers of one run, beside what no schedule can beat over the same links."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from statistics import median

import msgspec

from strew.demo.measure import Counts, Result, result_of
from strew.lab.contender import Spread
from strew.lab.terms import Terms, goodput
from strew.sim import bounds
from strew.telemetry.recording import Recording
from strew.telemetry.report import Report, report_of


class ClassResult(msgspec.Struct, frozen=True, kw_only=True):
    """Machines of one kind: `fast` or `slow` of link, `early` or `late` of start.

    Times of the late ones count from when each could take part; the bound is that of the kind.
    """

    kind: str
    nodes: int
    seconds_last: float
    seconds_median: float
    line_seconds: float | None
    bound_seconds: float | None
    ratio_to_line: float | None
    ratio_to_bound: float | None


class LabResult(Result, frozen=True, kw_only=True):
    """One contender's run. `rate_bytes_per_s` is the link's, framing included; F/B and the bounds
    are those of `goodput_bytes_per_s`. `origin_link_ratio` is what the origin's card sent, framing
    and control included, over the size; `seconds_each` are all machines', by number."""

    round: int
    goodput_bytes_per_s: float | None
    origin_link_ratio: float
    seconds_each: tuple[float, ...]
    classes: tuple[ClassResult, ...]
    report: Report | None = None
    """Where the time went, of a contender that was recorded."""


class Spent(msgspec.Struct, frozen=True, kw_only=True):
    """What a bench counted. `origin_link_bytes` has framing in it."""

    cpu_s: float
    rss_peak_bytes: int
    origin_link_bytes: int


def lab_result(
    name: str, number: int, terms: Terms, spread: Spread, spent: Spent, verified: int
) -> LabResult:
    """The numbers of one run; every machine must be done."""
    seconds = [spread.done_s[machine] for machine in range(1, terms.nodes + 1)]
    rate = terms.rate_bytes_per_s
    payload_share = goodput(rate) / rate if rate else 1.0
    sent_bytes = spread.origin_sent_bytes
    if sent_bytes is None:
        sent_bytes = round(spent.origin_link_bytes * payload_share)
    counts = Counts(
        seconds=seconds,
        chunks=spread.chunks,
        origin_sent_bytes=sent_bytes,
        duplicate_bytes=spread.duplicate_bytes,
        verified=verified,
        cpu_s=spent.cpu_s,
        rss_peak_bytes=spent.rss_peak_bytes,
    )
    plain = msgspec.structs.asdict(
        result_of(name, terms.size_bytes, goodput(rate) if rate else None, counts)
    )
    bound_s = bound_seconds(terms, spread)
    return LabResult(
        **plain
        | {
            "rate_bytes_per_s": rate,
            "bound_seconds": bound_s,
            "ratio_to_bound": max(seconds) / bound_s if bound_s else None,
        },
        round=number,
        goodput_bytes_per_s=goodput(rate) if rate else None,
        origin_link_ratio=spent.origin_link_bytes / terms.size_bytes,
        seconds_each=tuple(seconds),
        classes=tuple(_classes(terms, spread, seconds)),
        report=_report(spread.recording, bound_s),
    )


def _report(recording: Recording | None, bound_s: float | None) -> Report | None:
    """What a recording comes to beside the bound of the lab's links."""
    if recording is None:
        return None
    return report_of(msgspec.structs.replace(recording, kind="lab", bound_s=bound_s))


def bound_seconds(terms: Terms, spread: Spread) -> float | None:
    """What the last machine cannot beat: T* of equal links, or the fluid bound of unequal ones,
    and never sooner than those that joined late can have it. None without rates."""
    links = _fluid_bounds(terms)
    if not links:
        return None
    bound_s = max(links.values())
    if terms.slow is None:
        bound_s = bounds.equal_links_s(
            terms.size_bytes, spread.chunks, terms.nodes, next(iter(links))
        )
    late = [
        bounds.joining_s(joined_s, terms.size_bytes, _down(terms, number))
        for number, joined_s in spread.joined_s.items()
    ]
    return max(bound_s, *late) if late else bound_s


def _fluid_bounds(terms: Terms) -> Mapping[float, float]:
    """Goodput of a link -> what the last machine behind such a one cannot beat."""
    if terms.rate_bytes_per_s is None:
        return {}
    downs = [_down(terms, number) for number in range(1, terms.nodes + 1)]
    return bounds.class_fluid_s(terms.size_bytes, _down(terms, 0), downs, downs)


def _down(terms: Terms, number: int) -> float:
    rate = terms.rate_of(number)
    assert rate is not None
    return goodput(rate)


def _classes(terms: Terms, spread: Spread, seconds: Sequence[float]) -> list[ClassResult]:
    """Each kind of machine apart, if there is more than one."""
    kinds: dict[str, list[int]] = {}
    for number in range(1, terms.nodes + 1):
        words = []
        if terms.slow is not None:
            words.append("slow" if number in terms.slow_numbers else "fast")
        if terms.late is not None:
            words.append("late" if number in terms.late_numbers else "early")
        kinds.setdefault(" ".join(words), []).append(number)
    if len(kinds) < 2:
        return []
    own_s = {
        n: seconds[n - 1] - spread.joined_s.get(n, 0.0)
        for numbers in kinds.values()
        for n in numbers
    }
    return [_class(kind, terms, spread, own_s, numbers) for kind, numbers in kinds.items()]


def _class(
    kind: str, terms: Terms, spread: Spread, own_s: Mapping[int, float], numbers: Sequence[int]
) -> ClassResult:
    times = [own_s[number] for number in numbers]
    line_s = bound_s = None
    if terms.rate_bytes_per_s is not None:
        down = _down(terms, numbers[0])
        line_s = bound_s = bounds.line_s(terms.size_bytes, down)
        if numbers[0] not in terms.late_numbers:
            bound_s = _fluid_bounds(terms)[down]
            if terms.slow is None:
                bound_s = bounds.equal_links_s(terms.size_bytes, spread.chunks, len(numbers), down)
    return ClassResult(
        kind=kind,
        nodes=len(numbers),
        seconds_last=max(times),
        seconds_median=median(times),
        line_seconds=line_s,
        bound_seconds=bound_s,
        ratio_to_line=max(times) / line_s if line_s else None,
        ratio_to_bound=max(times) / bound_s if bound_s else None,
    )

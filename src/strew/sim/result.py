"""What one simulated spread comes to, beside what no schedule can beat."""

from __future__ import annotations

import math
from collections.abc import Sequence
from statistics import median

import msgspec


class ClassResult(msgspec.Struct, frozen=True, kw_only=True):
    """Machines of one kind: `fast` or `slow` of link, `slow uplink`, or `late` of start.

    Times count from each machine's own start; line (F over its own downlink) and bound are those
    of the kind.
    """

    kind: str
    nodes: int
    seconds_last: float
    seconds_median: float
    line_seconds: float
    bound_seconds: float
    ratio_to_line: float
    ratio_to_bound: float


class SimResult(msgspec.Struct, frozen=True, kw_only=True):
    """One run's numbers, as `--json` shows them. Seconds are virtual and count from the
    publication, except `wall_seconds`, which it took.

    `wanted` are the machines that could finish (not those that died before, nor broken ones),
    `verified` those that did. `line_seconds` is F/B of a machine with the full rate.
    `crossed_ratio` is what went from rack to rack over the size, `control_ratio` control bytes
    over payload delivered, datagrams among them, those before the publication too; None where there
    are no racks, and where nobody counts control.
    `classes` is empty if all machines are alike.
    """

    strategy: str
    scenario: str
    seed: int
    nodes: int
    size_bytes: int
    chunks: int
    rate_bytes_per_s: int
    latency_seconds: float
    origin_ratio: float
    racks: int
    trackerless: bool
    gossip: bool
    seconds_last: float
    seconds_median: float
    seconds_first: float
    seconds_p99: float
    seconds_p999: float
    line_seconds: float
    bound_seconds: float
    ratio_to_line: float
    ratio_to_bound: float
    origin_sent_ratio: float
    duplicate_ratio: float
    crossed_ratio: float | None
    control_ratio: float | None
    wanted: int
    verified: int
    classes: tuple[ClassResult, ...]
    wall_seconds: float
    trace_digest: str


def percentile(rising: Sequence[float], percent: float) -> float:
    """The least of the values that so many percent of them do not exceed; there must be one."""
    assert rising and 0 < percent <= 100
    return rising[max(0, math.ceil(len(rising) * percent / 100 - 1e-9) - 1)]


def class_result(kind: str, seconds: Sequence[float], line_s: float, bound_s: float) -> ClassResult:
    """The numbers of one kind of machine, of which there must be one."""
    last_s = max(seconds)
    return ClassResult(
        kind=kind,
        nodes=len(seconds),
        seconds_last=last_s,
        seconds_median=median(seconds),
        line_seconds=line_s,
        bound_seconds=bound_s,
        ratio_to_line=last_s / line_s,
        ratio_to_bound=last_s / bound_s,
    )

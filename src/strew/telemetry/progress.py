"""A transfer in numbers, from what its machines told."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from statistics import median
from typing import Final, Literal

import msgspec

from strew.content.digest import ArtifactId
from strew.publication import ReferenceText
from strew.telemetry.bound import equal_links_s
from strew.telemetry.copies import Rarest
from strew.telemetry.rows import Row, rounded
from strew.telemetry.stragglers import Usual
from strew.telemetry.view import Cause, Progress, RarestChunk

STUCK: Final[frozenset[Cause]] = frozenset(
    ("ended", "cut-off", "stalled", "paused", "no-holder", "few-neighbours", "failed")
)
"""Causes that end when somebody does something: no estimate can wait for that."""


class Facts(msgspec.Struct, frozen=True, kw_only=True):
    """What a board's artifact is, and since when it has a name."""

    artifact: ArtifactId
    references: tuple[ReferenceText, ...]
    name: str
    size_bytes: int
    chunk_count: int
    published_unix_s: float
    newer: tuple[ReferenceText, ...] = ()
    """Names given since to others of the same file name: who follows one of these takes that in its
    place."""


def progress_of(facts: Facts, rows: Sequence[Row], rarest: Rarest | None, now: float) -> Progress:
    """The numbers of this moment."""
    counted: list[Row] = []
    states = dict.fromkeys(("seeding", "failed", "paused", "fetching", "waiting"), 0)
    chunks = received = from_origin = duplicate = origin_sent = 0
    rate = origin_rate = 0.0
    for row in rows:
        if row.is_origin:
            origin_sent += row.sent_bytes
            origin_rate += row.sent_bytes_per_s
        elif row.state != "gone":
            counted.append(row)
            states[row.state] += 1
            chunks += row.have_chunks
            received += row.received_bytes
            from_origin += row.received_origin_bytes
            duplicate += row.duplicate_bytes
            rate += row.received_bytes_per_s
    chunk_bytes = facts.size_bytes / facts.chunk_count if facts.chunk_count else 0.0
    link, link_from = link_rate(rows)
    line_s, bound = least_of(facts, rows, link)
    over = is_over(counted)
    elapsed_s = now - facts.published_unix_s
    eta_s = None if over else _eta_s(counted, chunk_bytes, rate)
    ends_s = [row.done_unix_s for row in counted if row.done_unix_s is not None]
    last_s = max(ends_s) - facts.published_unix_s if ends_s else None
    return Progress(
        total=len(counted),
        done=states["seeding"],
        failed=states["failed"],
        paused=states["paused"],
        fetching=states["fetching"],
        waiting=states["waiting"],
        done_bytes=round(chunk_bytes * chunks),
        total_bytes=facts.size_bytes * len(counted),
        eta_s=None if eta_s is None else round(eta_s, 1),
        rate_bytes_per_s=rounded(rate),
        origin_rate_bytes_per_s=rounded(origin_rate),
        origin_sent_ratio=_ratio(origin_sent, facts.size_bytes),
        peer_share=_ratio(received - from_origin, received),
        duplicate_ratio=_ratio(duplicate, received),
        line_seconds=_short(line_s),
        bound_seconds=_short(bound),
        link_bytes_per_s=rounded(link) if link else None,
        link_from=link_from,
        ratio_now=_over(None if eta_s is None else elapsed_s + eta_s, bound),
        ratio_end=_over(last_s if over else None, bound),
        rarest=RarestChunk(*rarest) if rarest is not None else None,
        over=over,
    )


def least_of(facts: Facts, rows: Sequence[Row], link: float) -> tuple[float | None, float | None]:
    """F/B and T* at a link's rate, in seconds, for what has to be fetched; None without one."""
    counted = [row for row in rows if not row.is_origin and row.is_live]
    if not link:
        return None, None
    line_s = (facts.size_bytes - _here_before(counted)) / link
    return line_s, equal_links_s(line_s, len(counted), facts.chunk_count)


def _here_before(counted: Iterable[Row]) -> int:
    """Bytes that no machine has to fetch: the least that was on any before, as far as they told."""
    return min((row.reused_bytes for row in counted if row.telemetry is not None), default=0)


def is_over(counted: Iterable[Row]) -> bool:
    """Whether every machine that follows is done or failed, and there is one."""
    following = [row.state for row in counted if row.follows]
    return bool(following) and all(state in ("seeding", "failed") for state in following)


def link_rate(rows: Sequence[Row]) -> tuple[float, Literal["rate", "measured", ""]]:
    """What a link carries, and how that is known: the middle of the configured rates if every
    machine that tells has one, else the best second of any, origins too. 0 while none was told."""
    best = 0.0
    rates: list[float] = []
    all_limited = True
    for row in rows:
        told = row.telemetry
        if told is None:
            continue
        best = max(best, told.fastest_received_bytes_per_s, told.fastest_sent_bytes_per_s)
        if not row.is_origin:
            limits = [rate for rate in row.rates if rate]
            all_limited &= bool(limits)
            rates += [min(limits)] if limits else []
    if rates and all_limited:
        return median(rates), "rate"
    return best, "measured" if best else ""


def usual_of(rows: Sequence[Row]) -> Usual:
    """The middle of a fleet: what one machine of it is compared with."""
    live = [row for row in rows if row.is_live and row.telemetry is not None]
    told = [(row, row.telemetry) for row in live if row.telemetry and not row.is_origin]
    if not told:
        return Usual()
    sent = [of.telemetry.fastest_sent_bytes_per_s for of in live if of.telemetry]
    sent = [rate for rate in sent if rate]
    return Usual(
        machines=len(told),
        part=median(row.part for row, _ in told),
        received_bytes_per_s=median(of.fastest_received_bytes_per_s for _, of in told),
        sent_bytes_per_s=median(sent) if sent else 0.0,
        senders=len(sent),
        neighbours=median(of.neighbours for _, of in told),
    )


def _eta_s(counted: list[Row], chunk_bytes: float, rate: float) -> float | None:
    """When the last machine is done that is not stuck; None while nothing is known, or all are.

    The fleet cannot be done before what is missing has come at today's rate, nor before the slowest
    machine is at its own, which is the mean of now and of its whole fetch.
    """
    missing = 0.0
    latest = 0.0
    going = [row for row in counted if _goes_on(row)]
    if not going:
        return None
    for row in going:
        lacks = chunk_bytes * (row.chunk_count - row.have_chunks)
        missing += lacks
        told = row.telemetry
        if told is not None and told.elapsed_s > 1.0:
            mean = row.received_bytes / told.elapsed_s
            own = (mean + row.received_bytes_per_s) / 2
            if own > 0:
                latest = max(latest, lacks / own)
    if rate > 0:
        return max(missing / rate, latest)
    return latest or None


def _goes_on(row: Row) -> bool:
    return row.is_under_way and row.state != "paused" and row.verdict.cause not in STUCK


def _ratio(part: float, whole: float) -> float:
    return round(max(0.0, part) / whole, 4) if whole else 0.0


def _over(seconds: float | None, bound: float | None) -> float | None:
    return round(seconds / bound, 3) if seconds is not None and bound else None


def _short(seconds: float | None) -> float | None:
    return None if seconds is None else float(f"{seconds:.4g}")

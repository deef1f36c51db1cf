"""The report of a transfer as text: where its time went, in 80 columns."""

from __future__ import annotations

import time
from collections.abc import Sequence
from typing import Final

from strew.agent.quantity import format_duration, format_rate_both, format_size
from strew.telemetry.causes import CAUSES
from strew.telemetry.report import UPLINK_TEXTS, LostTime, Report

BAR_COLUMNS: Final = 30
LEAST_SHARE: Final = 0.005
"""Causes with less of the lost time have no line of their own."""

FROM: Final = {"rate": " (configured)", "measured": " (measured)"}

_EIGHTHS = " ▏▎▍▌▋▊▉"


def lines(report: Report) -> list[str]:
    """All that is told of one transfer."""
    told = [_head(report)]
    if report.seconds_last is None or report.line_seconds is None or report.last is None:
        told.append("no machine has told how long it took")
        return _ended(told, report)
    where = report.last.host + (f" in {report.last.zone}" if report.last.zone else "")
    median = format_duration(report.seconds_median or 0.0)
    told.append(f"last    {_s(report.seconds_last)}   {where}; the median machine {median}")
    rate = format_rate_both(round(report.link_bytes_per_s or 0.0))
    known = FROM.get(report.link_from, "")
    told.append(f"line    {_s(report.line_seconds)}   through its link of {rate}{known}")
    if report.bound_seconds and report.ratio_to_bound:
        ratio = f"the last machine took {report.ratio_to_bound:.3f} of it"
        told.append(f"bound   {_s(report.bound_seconds)}   {ratio}")
    told.append(f"lost    {_s(report.lost_seconds or 0.0)}   last less line, to these causes:")
    told.append("")
    told += _bars(report.causes)
    told.append("")
    told += _links(report)
    if report.measured > 1:
        mean = ", ".join(
            f"{of.cause} {max(0.0, of.seconds):.2f} s" for of in _shown(report.mean)[:4]
        )
        told.append(f"the average machine lost: {mean}")
    return _ended(told, report)


def _head(report: Report) -> str:
    machines = f"{report.nodes} machine{'s' if report.nodes != 1 else ''}"
    when = ""
    if report.kind != "sim":
        then = time.localtime(report.published_unix_s)
        when = time.strftime(", published %Y-%m-%d %H:%M:%S", then)
    what = f"{format_size(report.size_bytes)} in {report.chunk_count} chunks"
    named = f"{report.reference}: " if report.reference else ""
    return f"{named}{what} to {machines}{when}"


def _bars(causes: Sequence[LostTime]) -> list[str]:
    shown = _shown(causes)
    widest = max((of.share for of in shown), default=1.0)
    rows = []
    for of in shown:
        bar = _bar(of.share / widest)
        rows.append(f"  {of.cause:<13} {_s(of.seconds)} {100 * of.share:5.1f} %  {bar}".rstrip())
        rows.append(f"    {of.text}")
    return rows


def _shown(causes: Sequence[LostTime]) -> list[LostTime]:
    return [of for of in causes if of.share >= LEAST_SHARE]


def _bar(share: float) -> str:
    eighths = round(share * BAR_COLUMNS * 8)
    return "█" * (eighths // 8) + _EIGHTHS[eighths % 8].strip()


def _links(report: Report) -> list[str]:
    uplinks = report.uplinks
    rows = [f"uplinks of all machines: busy {_percent(uplinks.busy)} of the time;"]
    for state, text in UPLINK_TEXTS.items():
        share = uplinks.idle.get(state.name.lower(), 0.0)
        rows.append(f"  idle {_percent(share)}: {text}")
    sent = f"sent {report.origin.sent_ratio:.2f} times the size"
    rows.append(f"origin: busy {_percent(report.origin.busy)} of the time, {sent}")
    return rows


def _ended(told: list[str], report: Report) -> list[str]:
    if report.failed:
        told.append(f"{report.failed} machines failed")
    if report.partial:
        told.append(f"incomplete: {report.partial}")
    return told


def compared(recorded: Report, simulated: Report) -> list[tuple[str, ...]]:
    """Rows of a table: what was recorded beside its simulation, head first."""
    rows: list[tuple[str, ...]] = [("", "recorded", "simulated")]
    for name in ("seconds_last", "seconds_median", "line_seconds", "bound_seconds", "lost_seconds"):
        found = (getattr(recorded, name), getattr(simulated, name))
        rows.append((name.replace("_", " "), *(_or_none(seconds) for seconds in found)))
    for cause in CAUSES:
        pair = [
            sum(of.seconds for of in report.causes if of.cause == cause)
            for report in (recorded, simulated)
        ]
        if any(pair):
            rows.append((f"  {cause}", *(f"{seconds:.3f} s" for seconds in pair)))
    return rows


def _or_none(seconds: float | None) -> str:
    return "-" if seconds is None else f"{seconds:.3f} s"


def _s(seconds: float) -> str:
    return f"{format_duration(max(0.0, seconds)):>8}"


def _percent(share: float) -> str:
    return f"{100 * share:.0f} %"

"""Report: where the time of one transfer went, made of its recording alone."""

from __future__ import annotations

from collections.abc import Sequence
from statistics import median
from typing import Final

import msgspec

from strew.telemetry.bound import equal_links_s
from strew.telemetry.causes import CAUSES, TEXTS, Cause
from strew.telemetry.protocol import Uplink
from strew.telemetry.recorder import BUSY
from strew.telemetry.recording import Kind, RecordedMachine, Recording

UPLINK_TEXTS: Final[dict[Uplink, str]] = {
    Uplink.UNWANTED: "had nothing that anybody connected lacked",
    Uplink.UNANSWERED: "had what others lacked, and nobody took it",
}


class LostTime(msgspec.Struct, frozen=True):
    """One cause, its seconds, its share of what was lost, and what it means."""

    cause: str
    seconds: float
    share: float
    text: str


class LastMachine(msgspec.Struct, frozen=True):
    """The machine that was done last."""

    id: str
    host: str
    zone: str
    done_s: float


class UplinkShares(msgspec.Struct, frozen=True):
    """Shares of all uplinks' time while the transfer ran; `idle` by state of Uplink."""

    busy: float = 0.0
    idle: dict[str, float] = {}


class OriginShares(msgspec.Struct, frozen=True):
    """Shares of the origin's uplink's time, and what it sent, over the size."""

    busy: float = 0.0
    idle: float = 0.0
    sent_ratio: float = 0.0


class Report(msgspec.Struct, frozen=True, kw_only=True):
    """`line_seconds` is what the last machine fetched through its link; `causes` add up to
    `lost_seconds`, which is `seconds_last` less that. `mean` are those of the average machine.
    `measured` of `nodes` machines told how it was; `partial` says why it is incomplete."""

    artifact: str
    reference: str
    kind: Kind
    nodes: int
    measured: int
    size_bytes: int
    chunk_count: int
    published_unix_s: float
    seconds_last: float | None
    seconds_median: float | None
    line_seconds: float | None
    bound_seconds: float | None
    link_bytes_per_s: float | None
    link_from: str
    ratio_to_line: float | None
    ratio_to_bound: float | None
    lost_seconds: float | None
    causes: tuple[LostTime, ...]
    last: LastMachine | None
    uplinks: UplinkShares
    origin: OriginShares
    mean: tuple[LostTime, ...]
    failed: int = 0
    partial: str = ""


def report_of(recording: Recording) -> Report:
    """The report of a transfer; without a machine that is done it has no times."""
    followers = recording.followers
    measured = [machine for machine in followers if machine.is_measured]
    done_s = [machine.done_s for machine in followers if machine.done_s is not None]
    last = max(measured, key=lambda machine: machine.done_s or 0.0, default=None)
    line_s = last_s = bound_s = lost_s = None
    if last is not None and last.done_s is not None:
        last_s = last.done_s
        line_s = last.fetched_bytes / last.link_bytes_per_s
        lost_s = last_s - line_s
        bound_s = recording.bound_s
        if bound_s is None:
            bound_s = _bound_s(line_s, len(followers), recording)
    return Report(
        artifact=recording.artifact,
        reference=recording.reference,
        kind=recording.kind,
        nodes=len(followers),
        measured=len(measured),
        size_bytes=recording.size_bytes,
        chunk_count=recording.chunk_count,
        published_unix_s=recording.published_unix_s,
        seconds_last=last_s,
        seconds_median=median(done_s) if done_s else None,
        line_seconds=line_s,
        bound_seconds=bound_s,
        link_bytes_per_s=last.link_bytes_per_s if last is not None else None,
        link_from=recording.link_from if last is not None else "",
        ratio_to_line=last_s / line_s if last_s is not None and line_s else None,
        ratio_to_bound=last_s / bound_s if last_s is not None and bound_s else None,
        lost_seconds=lost_s,
        causes=_told(last.lost_s) if last is not None else (),
        last=_last(last),
        uplinks=_uplinks(recording),
        origin=_origin(recording),
        mean=_told(_mean(measured)) if measured else (),
        failed=sum(machine.failed for machine in followers),
        partial=recording.partial or _unmeasured(len(measured), len(done_s)),
    )


def _bound_s(line_s: float, nodes: int, recording: Recording) -> float:
    """That of equal links, or the origin's link alone, if that takes longer."""
    ups = [machine.rate_up_bytes_per_s for machine in recording.machines if machine.origin]
    once_s = recording.size_bytes / sum(ups) if ups and all(ups) else 0.0
    return max(equal_links_s(line_s, nodes, recording.chunk_count), once_s)


def _told(lost_s: Sequence[float]) -> tuple[LostTime, ...]:
    """The causes that cost anything, the costliest first."""
    total_s = sum(lost_s)
    found = [
        LostTime(cause, seconds, seconds / total_s if total_s else 0.0, TEXTS[cause])
        for cause, seconds in zip(CAUSES, lost_s, strict=False)
        if seconds
    ]
    return tuple(sorted(found, key=lambda of: -of.seconds))


def _mean(machines: Sequence[RecordedMachine]) -> list[float]:
    columns = zip(*(machine.lost_s for machine in machines), strict=True)
    return [sum(column) / len(machines) for column in columns]


def _last(machine: RecordedMachine | None) -> LastMachine | None:
    if machine is None or machine.done_s is None:
        return None
    return LastMachine(machine.id, machine.host, machine.zone, machine.done_s)


def _uplinks(recording: Recording) -> UplinkShares:
    seconds = recording.fleet.up_s()
    total_s = sum(seconds)
    if total_s <= 0.0:
        return UplinkShares()
    idle = {state.name.lower(): seconds[state] / total_s for state in UPLINK_TEXTS}
    return UplinkShares(sum(seconds[state] for state in BUSY) / total_s, idle)


def _origin(recording: Recording) -> OriginShares:
    fleet = recording.fleet
    all_ticks = sum(fleet.origin_ticks)
    busy = sum(fleet.origin_busy_ticks) / all_ticks if all_ticks else 0.0
    sent_bytes = sum(machine.sent_bytes for machine in recording.machines if machine.origin)
    sent_ratio = sent_bytes / recording.size_bytes if recording.size_bytes else 0.0
    return OriginShares(min(1.0, busy), max(0.0, 1.0 - busy) if all_ticks else 0.0, sent_ratio)


def _unmeasured(measured: int, done: int) -> str:
    return f"{done - measured} machines told no times" if measured < done else ""


def largest(report: Report) -> Cause | None:
    """What cost the last machine most; None if nothing is known."""
    return Cause(report.causes[0].cause) if report.causes else None

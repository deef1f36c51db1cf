"""What is measured of a spread, and what it is measured against.

Bounds are those of equal links: no machine beats F/B, and no schedule of M chunks beats
T* = F/B (1 + floor(log2 N)/M) (Mundinger, Weber, Weiss, J. Scheduling 2008, arXiv cs/0606110).
"""

import os
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path
from statistics import median

import msgspec

from strew.errors import ConfigurationError
from strew.telemetry.bound import equal_links_s

GIB = 1 << 30

_USER_FIELD = 11
_SYSTEM_FIELD = 12
"""Of what follows the command in /proc/PID/stat (proc_pid_stat(5): fields 14 and 15)."""


class Result(msgspec.Struct, frozen=True, kw_only=True):
    """One strategy's numbers, as `--json` shows them. Seconds count from the publication; what a
    rate is needed for is None where there is none, duplicates where nobody counts them."""

    strategy: str
    nodes: int
    size_bytes: int
    chunks: int
    rate_bytes_per_s: int | None
    seconds_last: float
    seconds_median: float
    seconds_first: float
    line_seconds: float | None
    bound_seconds: float | None
    ratio_to_line: float | None
    ratio_to_bound: float | None
    origin_sent_ratio: float
    duplicate_ratio: float | None
    verified: int
    cpu_s_per_gib: float
    rss_peak_bytes: int


@dataclass(frozen=True, slots=True)
class Counts:
    """What was counted while a file was spread; `seconds` are the times of all nodes."""

    seconds: Sequence[float]
    chunks: int
    origin_sent_bytes: int
    duplicate_bytes: int | None
    verified: int
    cpu_s: float
    rss_peak_bytes: int


def result_of(
    strategy: str, size_bytes: int, rate_bytes_per_s: float | None, counts: Counts
) -> Result:
    """The numbers of one strategy, set against the bounds."""
    nodes = len(counts.seconds)
    last_s = max(counts.seconds)
    line_s = size_bytes / rate_bytes_per_s if rate_bytes_per_s else None
    bound_s = equal_links_s(line_s, nodes, counts.chunks) if line_s else None
    delivered_bytes = nodes * size_bytes
    duplicates = counts.duplicate_bytes
    return Result(
        strategy=strategy,
        nodes=nodes,
        size_bytes=size_bytes,
        chunks=counts.chunks,
        rate_bytes_per_s=None if rate_bytes_per_s is None else round(rate_bytes_per_s),
        seconds_last=last_s,
        seconds_median=median(counts.seconds),
        seconds_first=min(counts.seconds),
        line_seconds=line_s,
        bound_seconds=bound_s,
        ratio_to_line=last_s / line_s if line_s else None,
        ratio_to_bound=last_s / bound_s if bound_s else None,
        origin_sent_ratio=counts.origin_sent_bytes / size_bytes,
        duplicate_ratio=None if duplicates is None else duplicates / delivered_bytes,
        verified=counts.verified,
        cpu_s_per_gib=counts.cpu_s * GIB / delivered_bytes,
        rss_peak_bytes=counts.rss_peak_bytes,
    )


def cpu_s(pids: Iterable[int]) -> float:
    """User and system time these processes have taken so far. They must be alive."""
    ticks = 0
    for pid in pids:
        # the command, in parentheses, may itself contain anything
        fields = _proc(pid, "stat").rpartition(")")[2].split()
        ticks += int(fields[_USER_FIELD]) + int(fields[_SYSTEM_FIELD])
    return ticks / os.sysconf("SC_CLK_TCK")


def rss_peak_bytes(pid: int) -> int:
    """The most memory a process has had resident (VmHWM). It must be alive."""
    for line in _proc(pid, "status").splitlines():
        if line.startswith("VmHWM:"):
            return int(line.split()[1]) * 1024
    raise ConfigurationError("the kernel does not tell how much memory a process took")


def _proc(pid: int, name: str) -> str:
    try:
        return Path("/proc", str(pid), name).read_text()
    except OSError as error:
        raise ConfigurationError(
            f"cannot measure process {pid}: {error.strerror}", hint="this needs Linux's /proc"
        ) from None

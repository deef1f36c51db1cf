"""What a case hands back, and the table and JSON made of it."""

import platform
import statistics
import time
from collections.abc import Iterable, Sequence
from dataclasses import asdict, dataclass
from importlib import metadata
from pathlib import Path
from typing import Any

GIB = 1 << 30
MIB = 1 << 20
GB = 1e9
"""Rates are in GB/s (10^9), CPU per GiB and memory in MiB: each as its mark is written."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Figure:
    """One measured thing: a sample for each round, of which the median counts.

    `mark` is what is to be reached (`at_least`, else at most). `floor` is the median of the same
    thing in bare Python, measured in the same run, between the samples.
    """

    case: str
    what: str
    unit: str
    samples: tuple[float, ...]
    mark: float | None = None
    at_least: bool = False
    floor: float | None = None
    note: str = ""

    @property
    def median(self) -> float:
        return statistics.median(self.samples)

    @property
    def verdict(self) -> str:
        """By how much the mark is passed or missed."""
        if not self.mark:
            return ""
        better = self.median / self.mark if self.at_least else self.mark / self.median
        word = "passed" if better >= 1 else "missed"
        return f"{word} by {100 * abs(self.median - self.mark) / self.mark:.0f} %"

    def facts(self) -> dict[str, Any]:
        """For JSON."""
        return {"type": "figure", **asdict(self), "median": self.median, "verdict": self.verdict}

    def cells(self) -> tuple[str, ...]:
        """For the table."""
        spread = ""
        if len(self.samples) > 1:
            spread = f"{number(min(self.samples))} to {number(max(self.samples))}"
        bound = "" if self.mark is None else f"{'≥' if self.at_least else '≤'} {number(self.mark)}"
        ratio = f"{self.median / self.floor:.2f} x {number(self.floor)}" if self.floor else ""
        median = number(self.median)
        return (self.case, self.what, median, self.unit, spread, bound, self.verdict, ratio)


HEADINGS = ("CASE", "WHAT", "MEDIAN", "UNIT", "LOW TO HIGH", "MARK", "", "OF THE FLOOR")


def number(value: float) -> str:
    """Three digits that mean something."""
    if value == 0 or abs(value) >= 100:
        return f"{value:.0f}"
    return f"{value:.1f}" if abs(value) >= 10 else f"{value:.3g}"


def table(figures: Sequence[Figure]) -> Iterable[str]:
    """Lines; below them the notes."""
    rows = [HEADINGS, *(figure.cells() for figure in figures)]
    widths = [max(len(row[column]) for row in rows) for column in range(len(HEADINGS))]
    for row in rows:
        cells = (
            cell.rjust(width) if column == 2 else cell.ljust(width)
            for column, (cell, width) in enumerate(zip(row, widths, strict=True))
        )
        yield "  ".join(cells).rstrip()
    for note in dict.fromkeys(f"{f.case}: {f.note}" for f in figures if f.note):
        yield f"- {note}"


def surroundings() -> dict[str, str]:
    """What the figures depend on, beside the code: date, machine, versions."""
    versions = [f"Python {platform.python_version()}"]
    for package in ("strew", "blake3", "pyfastcdc", "aiohttp", "msgspec"):
        try:
            versions.append(f"{package} {metadata.version(package)}")
        except metadata.PackageNotFoundError:
            continue  # run from a checkout without being installed
    return {
        "date": time.strftime("%Y-%m-%d %H:%M:%S %z"),
        "machine": f"{_processor()}, {_memory_bytes() / GIB:.0f} GiB, {platform.machine()}",
        "system": f"{platform.system()} {platform.release()}",
        "versions": ", ".join(versions),
    }


def _processor() -> str:
    lines = Path("/proc/cpuinfo").read_text().splitlines()
    models = [line.partition(":")[2].strip() for line in lines if line.startswith("model name")]
    return f"{len(models)} x {models[0]}" if models else platform.processor()


def _memory_bytes() -> int:
    return _meminfo("MemTotal")


def available_bytes() -> int:
    """Memory that can be had without pushing anything out."""
    return _meminfo("MemAvailable")


def _meminfo(key: str) -> int:
    for line in Path("/proc/meminfo").read_text().splitlines():
        if line.startswith(f"{key}:"):
            return int(line.split()[1]) << 10
    return 0

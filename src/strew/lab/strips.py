"""What each link did over time: a strip for each host and direction, dark where it was busy.

Counters of the switch's ports are read now and then while a contender runs. Idle time shows as
light cells: at the origin's uplink it is lost for everybody.
"""

from __future__ import annotations

import asyncio
from bisect import bisect_left
from collections.abc import AsyncIterator, Mapping, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from itertools import pairwise
from xml.sax.saxutils import escape

from strew.lab.network import Bench

LOOK_EVERY_S = 0.02
"""A look reads one file of the kernel, a line for each host. More often sees shorter gaps and costs
more of a core; a chunk takes some milliseconds of a link."""

CELLS = 240
"""Columns of the picture: each is at least some looks wide."""

CELL_WIDTH = 4
ROW_HEIGHT = 12
GROUP_GAP = 8
LEFT = 120
TOP = 48

Counters = Mapping[str, tuple[int, int]]


@dataclass(slots=True)
class Record:
    """One run, looked at: times are those of the event loop, counters by port (from, to host).

    `full_bytes` is what each port can carry in a second, None where links are not shaped.
    """

    label: str
    ports: Sequence[str] = ()
    full_bytes: Mapping[str, float | None] = field(default_factory=dict)
    looks: list[tuple[float, Counters]] = field(default_factory=list)

    def busy(self, port: str, direction: int, cells: int) -> list[float]:
        """How busy a link was in each of so many stretches of equal length: 0 to about 1.

        Of its rate, or of the most it did in any stretch if it has none.
        """
        times = [at_s for at_s, _ in self.looks]
        if len(times) < 2:
            return [0.0] * cells
        step_s = (times[-1] - times[0]) / cells
        edges = [self._counted(times, times[0] + step_s * n, port, direction) for n in range(cells)]
        edges.append(float(self.looks[-1][1][port][direction]))
        moved = [after - before for before, after in pairwise(edges)]
        rate = self.full_bytes[port]
        full = rate * step_s if rate is not None else max(moved)
        return [each / full if full > 0 else 0.0 for each in moved]

    def _counted(self, times: Sequence[float], at_s: float, port: str, direction: int) -> float:
        """The counter at a moment, on a straight line between two looks."""
        after = max(1, bisect_left(times, at_s))
        (before_s, before), (after_s, later) = self.looks[after - 1], self.looks[after]
        share = (at_s - before_s) / (after_s - before_s)
        return before[port][direction] + share * (later[port][direction] - before[port][direction])


@asynccontextmanager
async def looking(bench: Bench, record: Record) -> AsyncIterator[None]:
    """Inside, the bench's links are looked at."""
    record.ports = [host.port for host in bench.hosts]
    record.full_bytes = {host.port: host.rate_bytes_per_s for host in bench.hosts}
    task = asyncio.create_task(_look(bench, record))
    try:
        yield
    finally:
        task.cancel()


async def _look(bench: Bench, record: Record) -> None:
    loop = asyncio.get_running_loop()
    while True:
        counted = bench.counters()
        # the first mark is the clock's start: what comes before is start-up
        if bench.is_marked:
            record.looks.append((loop.time(), counted))
        await asyncio.sleep(LOOK_EVERY_S)


def strips_svg(title: str, records: Sequence[Record]) -> str:
    """The picture, a whole document: each run's hosts, the origin first, both ways."""
    parts: list[str] = []
    y = float(TOP)
    for record in records:
        seconds = record.looks[-1][0] - record.looks[0][0] if record.looks else 0.0
        parts.append(_text(8, y, f"{record.label}: {seconds:.2f} s", bold=True))
        y += ROW_HEIGHT
        for number, port in enumerate(record.ports):
            for direction, word in ((0, "up"), (1, "down")):
                if number or not direction:
                    name = f"node {number} {word}" if number else "origin up"
                    parts += _strip(name, record.busy(port, direction, CELLS), y)
                    y += ROW_HEIGHT
        y += 3 * GROUP_GAP
    width, height = LEFT + CELLS * CELL_WIDTH + 16, y
    return (
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {width} {height:g}" '
        f'width="{width}" height="{height:g}" font-family="sans-serif" font-size="10">\n'
        f'<rect width="{width}" height="{height:g}" fill="#ffffff"/>\n'
        f'<text x="8" y="22" font-size="15">{escape(title)}</text>\n'
        + "\n".join(parts)
        + "\n</svg>\n"
    )


def _strip(name: str, busy: Sequence[float], y: float) -> list[str]:
    """One row; cells that look alike are drawn as one."""
    parts = [_text(8, y + ROW_HEIGHT - 3, name)]
    levels = [min(10, round(10 * each)) for each in busy]
    start = 0
    for place in range(1, len(levels) + 1):
        if place == len(levels) or levels[place] != levels[start]:
            parts.append(
                f'<rect x="{LEFT + start * CELL_WIDTH}" y="{y:g}" '
                f'width="{(place - start) * CELL_WIDTH}" height="{ROW_HEIGHT - 2}" '
                f'fill="#0b62d6" fill-opacity="{0.06 + 0.094 * levels[start]:.2f}"/>'
            )
            start = place
    return parts


def _text(x: float, y: float, words: str, *, bold: bool = False) -> str:
    weight = ' font-weight="bold"' if bold else ""
    return f'<text x="{x:g}" y="{y:g}"{weight}>{escape(words)}</text>'

"""Plot: completion curves as an SVG, the fraction of machines done against time.

Written by hand, so that it needs no library: one background, one grid, a step curve for each way,
and its name with its last machine's time at the end of a leader above it. The leaders stand in
stairs that fall to the right, so that no name crosses another's leader. Light and dark follow the
viewer's preference; the picture brings its own background and fonts are the viewer's.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from xml.sax.saxutils import escape

from strew.errors import UsageError

WIDTH = 960
PLOT_HEIGHT = 320
MARGIN_LEFT = 56
MARGIN_RIGHT = 112
MARGIN_BOTTOM = 44
TITLE_HEIGHT = 62
STAIR_HEIGHT = 19
ELBOW_HEIGHT = 12
LEADER_GAP = 7.0
"""Pixels; leaders closer than this are bent apart."""

CHARACTER_WIDTH = 7.0
"""Pixels a character of a name takes at most, on average. Too small lets names overlap."""

LOG_FROM = 12.0
"""Last machine of the slowest way over that of the fastest, from which time is drawn on a
logarithmic axis if nothing else is asked for."""

LIGHT = {
    "surface": "#ffffff",
    "ink": "#1f2328",
    "quiet": "#59636e",
    "grid": "#e4e7eb",
    "axis": "#b6bec8",
    "best": "#0b62d6",
    "others": "#c2410c #0f8a6d #9333a8 #a16a07 #0e7fa6 #be2a5b #4f7a1c #6d5bd0 #7d5a3c",
}
DARK = {
    "surface": "#0d1117",
    "ink": "#e6edf3",
    "quiet": "#9198a1",
    "grid": "#222932",
    "axis": "#4b5563",
    "best": "#5cabff",
    "others": "#ff8a50 #3ecfa8 #d58cf0 #e0b04a #52c4ea #ff7da6 #a4d05f #ab9dff #cda67e",
}
"""Colours of the two looks. Those of the other ways are taken in turn."""

HUES = len(LIGHT["others"].split())


def _paint(colours: Mapping[str, str]) -> str:
    """The rules that give everything its colour; plain, as not every viewer has CSS variables."""
    rules = [
        f"text{{fill:{colours['ink']}}}",
        f"text.quiet,tspan.quiet{{fill:{colours['quiet']}}}",
        f".surface{{fill:{colours['surface']}}}",
        f".grid{{stroke:{colours['grid']}}}",
        f".axis{{stroke:{colours['axis']}}}",
        f".bound{{stroke:{colours['quiet']}}}",
        f".best{{stroke:{colours['best']}}}",
    ]
    rules += [f".h{i}{{stroke:{hue}}}" for i, hue in enumerate(colours["others"].split())]
    return "".join(rules)


STYLE = f"""
text{{font:13px system-ui,-apple-system,"Segoe UI",Helvetica,Arial,sans-serif}}
.title{{font-size:17px;font-weight:600}}.name{{font-weight:600}}
path{{fill:none}}.curve{{stroke-width:2;stroke-linejoin:round}}.curve.best{{stroke-width:3.5}}
.bound{{stroke-dasharray:4 4}}
{_paint(LIGHT)}
@media (prefers-color-scheme:dark){{{_paint(DARK)}}}
"""


@dataclass(frozen=True, slots=True)
class _Label:
    """What stands above the plot: `x` where the curve ends, `text` its name, `note` its time,
    `colour` the class that paints its leader."""

    x: float
    text: str
    note: str
    colour: str

    @property
    def width(self) -> float:
        return 14 + CHARACTER_WIDTH * (len(self.text) + len(self.note) + 1)


class _Axis:
    """Seconds to pixels, and where the ticks stand."""

    def __init__(self, first_s: float, last_s: float, *, log: bool) -> None:
        self._scale: Callable[[float], float] = math.log if log else float
        if log:
            self._low_s, self._high_s = first_s * 0.93, last_s * 1.12
            self.ticks_s = _log_ticks(self._low_s, self._high_s)
        else:
            step_s = _step(last_s / 8)
            self._low_s, self._high_s = 0.0, last_s * 1.06
            self.ticks_s = [i * step_s for i in range(int(self._high_s / step_s) + 1)]

    def x(self, seconds: float) -> float:
        low, high = self._scale(self._low_s), self._scale(self._high_s)
        share = (self._scale(max(seconds, self._low_s)) - low) / (high - low)
        return MARGIN_LEFT + share * (WIDTH - MARGIN_LEFT - MARGIN_RIGHT)


def completion_svg(
    curves: Mapping[str, Sequence[float]],
    bounds: Mapping[str, float] | None = None,
    *,
    title: str,
    best: str = "swarm",
    machines: int | None = None,
    log_time: bool | None = None,
) -> str:
    """Draw when the machines were done: name of a way -> seconds, in rising order.

    `bounds` are vertical lines, name -> seconds. The curve named `best` is drawn stronger. A curve
    reaches len(seconds)/`machines`, where `machines` is the longest curve's length if not given.
    `log_time` None chooses by the times. UsageError if there is nothing to draw.
    """
    bounds = bounds or {}
    drawn = {name: list(seconds) for name, seconds in curves.items() if seconds}
    if not drawn or min(s[0] for s in drawn.values()) <= 0:
        raise UsageError("no curve to draw", hint="give at least one machine's time, above 0 s")
    machines = machines or max(map(len, drawn.values()))
    ends = [seconds[-1] for seconds in drawn.values()]
    if log_time is None:
        log_time = max(ends) > LOG_FROM * min(ends)
    first_s = min([seconds[0] for seconds in drawn.values()] + list(bounds.values()))
    axis = _Axis(first_s, max([*ends, *bounds.values()]), log=log_time)
    colours = _colours(list(drawn), best)
    labels = [
        _Label(axis.x(seconds[-1]), name, duration(seconds[-1]), colours[name])
        for name, seconds in drawn.items()
    ]
    labels += [_Label(axis.x(at_s), name, duration(at_s), "bound") for name, at_s in bounds.items()]
    # a bound stands left of what ends at the same pixel
    labels.sort(key=lambda label: (round(label.x, 1), label.colour != "bound"))
    stairs = _stairs(labels)
    top = TITLE_HEIGHT + STAIR_HEIGHT * (max(stair for _, stair in stairs) + 1) + ELBOW_HEIGHT
    parts = [
        *_frame(title, top, axis, log_time),
        *(_bound(axis.x(at_s), top) for at_s in bounds.values()),
        *(
            _curve(axis, seconds, machines, top, colours[name])
            for name, seconds in sorted(drawn.items(), key=lambda item: item[0] == best)
        ),
        *(_label(*stair, label, top) for label, stair in zip(labels, stairs, strict=True)),
    ]
    height = top + PLOT_HEIGHT + MARGIN_BOTTOM
    summary = ", ".join(f"{name} {duration(seconds[-1])}" for name, seconds in drawn.items())
    return (
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {WIDTH} {height}" '
        f'width="{WIDTH}" height="{height}" role="img" aria-labelledby="title desc">\n'
        f'<title id="title">{escape(title)}</title>\n'
        f'<desc id="desc">The last machine is done after: {escape(summary)}</desc>\n'
        f"<style>{STYLE}</style>\n" + "\n".join(parts) + "\n</svg>\n"
    )


def duration(seconds: float) -> str:
    """A time with three digits: 8.07 s, 16.1 s, 33.8 min, 2.22 h."""
    for unit, name in ((3600.0, "h"), (60.0, "min"), (1.0, "s")):
        if seconds >= 2 * unit or unit == 1.0:
            value = seconds / unit
            digits = 2 if value < 9.995 else 1 if value < 99.95 else 0
            return f"{value:.{digits}f} {name}"
    raise AssertionError


# --- the parts -----------------------------------------------------------------------------------


def _frame(title: str, top: float, axis: _Axis, log: bool) -> list[str]:
    """Background, title, grid and axes."""
    right, bottom = WIDTH - MARGIN_RIGHT, top + PLOT_HEIGHT
    parts = [
        f'<rect class="surface" width="{WIDTH}" height="{bottom + MARGIN_BOTTOM}" rx="8"/>',
        f'<text class="title" x="{MARGIN_LEFT - 36}" y="32">{escape(title)}</text>',
        f'<text class="quiet" x="{MARGIN_LEFT - 36}" y="52">'
        f"machines that have everything, by time{' (logarithmic)' if log else ''}</text>",
    ]
    for percent in (0, 25, 50, 75, 100):
        y = _y(percent / 100, top)
        kind = "axis" if percent == 0 else "grid"
        parts.append(f'<path class="{kind}" d="M{MARGIN_LEFT} {y}H{right}"/>')
        parts.append(
            f'<text class="quiet" x="{MARGIN_LEFT - 8}" y="{y + 4.5}" text-anchor="end">'
            f"{percent} %</text>"
        )
    for tick_s in axis.ticks_s:
        x = _px(axis.x(tick_s))
        parts.append(f'<path class="axis" d="M{x} {bottom}v5"/>')
        parts.append(
            f'<text class="quiet tick" x="{x}" y="{bottom + 21}" text-anchor="middle">'
            f"{_tick_name(tick_s)}</text>"
        )
    return parts


def _bound(x: float, top: float) -> str:
    return f'<path class="bound" d="M{_px(x)} {_px(top)}v{PLOT_HEIGHT}"/>'


def _curve(axis: _Axis, seconds: Sequence[float], machines: int, top: float, colour: str) -> str:
    """Steps, no finer than half a pixel."""
    path = [f"M{_px(axis.x(seconds[0]))} {_px(_y(0, top))}"]
    for number, at_s in enumerate(seconds, 1):
        x = round(axis.x(at_s) * 2)
        if number == len(seconds) or round(axis.x(seconds[number]) * 2) != x:
            path.append(f"H{_px(x / 2)}V{_px(_y(number / machines, top))}")
    return f'<path class="curve {colour}" d="{"".join(path)}"/>'


def _label(x: float, stair: int, label: _Label, top: float) -> str:
    """A leader from the curve's end, bent to its place, and the name at its upper end."""
    y = top - ELBOW_HEIGHT - STAIR_HEIGHT * stair - 8
    weight = ' class="name"' if label.colour == "best" else ""
    quiet = ' class="quiet"' if label.colour == "bound" else ""
    return (
        f'<path class="leader {label.colour}" d="M{_px(label.x)} {_px(top)}'
        f'L{_px(x)} {_px(top - ELBOW_HEIGHT)}V{_px(y)}h5"/>'
        f'<text{quiet} x="{_px(x + 9)}" y="{_px(y + 4.5)}">'
        f"<tspan{weight}>{escape(label.text)}</tspan> "
        f'<tspan class="quiet">{escape(label.note)}</tspan></text>'
    )


# --- the places ----------------------------------------------------------------------------------


def _stairs(labels: Sequence[_Label]) -> list[tuple[float, int]]:
    """Where each leader stands and how high, for labels from left to right.

    Each name runs to the right over the leaders that stand lower. Near the right edge leaders give
    way to the left.
    """
    places = [label.x for label in labels]
    for i in range(1, len(places)):
        places[i] = max(places[i], places[i - 1] + LEADER_GAP)
    limit = float(WIDTH)
    for i in reversed(range(len(places))):
        places[i] = min(places[i], limit, WIDTH - labels[i].width)
        limit = places[i] - LEADER_GAP
    stairs = [0] * len(labels)
    for i in reversed(range(len(labels))):
        reach = places[i] + labels[i].width
        under = [stairs[j] for j in range(i + 1, len(labels)) if places[j] < reach]
        stairs[i] = max(under, default=-1) + 1
    return list(zip(places, stairs, strict=True))


def _colours(names: Sequence[str], best: str) -> dict[str, str]:
    others = [name for name in names if name != best]
    colours = {name: f"h{place % HUES}" for place, name in enumerate(others)}
    return colours | {best: "best"}


def _y(fraction: float, top: float) -> float:
    return top + PLOT_HEIGHT * (1 - fraction)


def _px(pixels: float) -> str:
    return f"{pixels:.1f}".removesuffix(".0")


NICE_S = (
    *(0.001, 0.002, 0.005, 0.01, 0.02, 0.05, 0.1, 0.2, 0.5, 1, 2, 5, 10, 20, 30),
    *(60, 120, 300, 600, 1200, 1800),
    *(3600, 7200, 18000, 36000, 86400, 172800, 432000, 864000),
)
"""Round times: seconds, minutes, hours and days."""

TICKS_MAX = 12


def _log_ticks(low_s: float, high_s: float) -> list[float]:
    """The round times within, a factor of 2 apart or more; if they are too many, those that begin
    a unit or a decade."""
    ticks = [t for t in NICE_S if low_s <= t <= high_s and t not in (30, 1800)]
    if len(ticks) > TICKS_MAX:
        ticks = [t for t in ticks if t in (60, 600, 3600, 36000) or _is_decade(t)]
    return ticks or [low_s, high_s]


def _is_decade(seconds: float) -> bool:
    return (seconds <= 10 or seconds > 36000) and math.log10(seconds) % 1 < 1e-9


def _step(least_s: float) -> float:
    """The smallest round time of at least this."""
    return next((nice_s for nice_s in NICE_S if nice_s >= least_s), NICE_S[-1])


def _tick_name(seconds: float) -> str:
    for unit, name in ((86400.0, "d"), (3600.0, "h"), (60.0, "min")):
        if seconds >= unit and seconds % unit == 0:
            return f"{seconds / unit:g} {name}"
    return f"{seconds:.4g} s"

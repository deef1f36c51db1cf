"""Rates over time, in so many points however long it takes: when they are full, every other one is
dropped and the rest are twice as far apart from then on."""

from typing import Final

import msgspec

POINTS_MAX: Final = 240
"""Points of a curve: a screen shows no more, and each costs a number for each zone."""

ZONES_MAX: Final = 32
"""Zones with a curve of their own, those that came first; the fleet's has all."""

FIRST_APART_S: Final = 1.0


class Rates(msgspec.Struct, frozen=True):
    """Bytes a second that arrived: `at_s` are seconds since the publication, rising; `zones` has a
    list for each zone, in the order of the board's, the first ZONES_MAX of them."""

    at_s: list[float]
    fleet: list[float]
    origin: list[float]
    """What origins sent."""
    zones: list[list[float]]


Point = tuple[float, float, float, list[float]]
"""One moment: at_s, fleet, origin, zones."""


class Series:
    """The points of one transfer."""

    __slots__ = ("_apart_s", "_points")

    def __init__(self) -> None:
        self._points: list[Point] = []
        self._apart_s = FIRST_APART_S

    def due(self, at_s: float) -> bool:
        """Whether it is time for another point."""
        return not self._points or at_s - self._points[-1][0] >= self._apart_s

    def add(self, point: Point) -> None:
        """Append one, later than the last."""
        self._points.append(point)
        if len(self._points) > POINTS_MAX:
            self._points = self._points[::2]
            self._apart_s *= 2

    def after(self, at_s: float) -> Point | None:
        """The first one later than `at_s`."""
        return next((point for point in self._points if point[0] > at_s), None)

    @property
    def last_s(self) -> float:
        """When the last one was; before everything if there is none."""
        return self._points[-1][0] if self._points else float("-inf")

    def rates(self, zones: int, until_s: float) -> Rates:
        """All of them until then, with a list for each of so many zones."""
        points = [point for point in self._points if point[0] <= until_s]
        return Rates(
            [point[0] for point in points],
            [point[1] for point in points],
            [point[2] for point in points],
            [
                [point[3][zone] if zone < len(point[3]) else 0.0 for point in points]
                for zone in range(min(zones, ZONES_MAX))
            ],
        )

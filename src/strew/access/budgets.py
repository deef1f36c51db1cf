"""How fast one source may ask: a token bucket for each address, bounded in number; no clock.

A budget is forgotten when its source was quiet for longest of all: by then it is full again, unless
a flood from forged addresses pushed it out, and over TCP addresses cannot be forged.
"""

SOURCES_MAX = 16_384
"""Addresses remembered, 0.2 kB each. Lower: a flood from many addresses makes the oldest forgotten
sooner; higher: memory."""


class Budgets:
    """`per_s` may come from one source, and `burst` at once after a pause."""

    def __init__(self, per_s: float, burst: float, sources_max: int = SOURCES_MAX) -> None:
        self._per_s = per_s
        self._burst = burst
        self._sources_max = sources_max
        self._left: dict[str, tuple[float, float]] = {}
        """Of each source: what it may still take, and when that was counted (seconds)."""

    def __len__(self) -> int:
        return len(self._left)

    def take(self, source: str, now: float) -> float:
        """Count one. 0 if it may come; else the seconds until one may, and nothing is counted."""
        left = self._at(source, now)
        allowed = left >= 1.0
        self._put(source, left - 1.0 if allowed else left, now)
        return 0.0 if allowed else (1.0 - left) / self._per_s

    def give_back(self, source: str, now: float) -> None:
        """One that was counted turned out well, and does not count."""
        self._put(source, min(self._burst, self._at(source, now) + 1.0), now)

    def _at(self, source: str, now: float) -> float:
        left, at_s = self._left.get(source, (self._burst, now))
        return min(self._burst, left + (now - at_s) * self._per_s)

    def _put(self, source: str, left: float, now: float) -> None:
        self._left.pop(source, None)
        self._left[source] = (left, now)
        if len(self._left) > self._sources_max:
            del self._left[next(iter(self._left))]

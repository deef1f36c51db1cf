"""Pace: how long chunks usually take, as measured: the measure in which others are waited for.

A chunk of 1 MB takes 15 ms where eight share a link of 5 Gbit/s, and 5 s where fifteen share one of
25 Mbit/s: a wait in seconds alone is too long for the one or calls everything late for the other.
"""

from __future__ import annotations

PACE_MEMORY = 0.1
"""Weight of the newest sample: ten chunks make most of the estimate. Seconds per byte are averaged
and not bytes per second: one chunk that met an empty queue would outweigh ten that waited."""

TIMED_MIN = 16
"""Chunks that were timed before it is known how long one takes: the first has the link for itself,
the next share it."""


class Pace:
    """Seconds per byte, of what goes one way, and how many chunks go side by side: the means of the
    first ten chunks, then of about the last ten."""

    __slots__ = ("_at_once", "_s_per_byte", "_timed")

    def __init__(self) -> None:
        self._s_per_byte = 0.0
        self._at_once = 1.0
        self._timed = 0

    def took(self, length_bytes: int, seconds: float, at_once: int = 1) -> None:
        """A chunk took so long from its first byte to its last, one of so many at once."""
        self._timed += 1
        weight = max(PACE_MEMORY, 1.0 / self._timed)
        self._s_per_byte += weight * (seconds / length_bytes - self._s_per_byte)
        self._at_once += weight * (at_once - self._at_once)

    def seconds(self, length_bytes: float, at_once: int = 1) -> float:
        """How long so much usually takes, and longer where more go at once than usual, as if they
        shared one link; 0 before any was timed."""
        return self._s_per_byte * length_bytes * max(1.0, at_once / self._at_once)

    @property
    def begun(self) -> bool:
        """Whether any was timed."""
        return self._timed > 0

    @property
    def known(self) -> bool:
        """Whether enough were timed to call one late by it."""
        return self._timed >= TIMED_MIN

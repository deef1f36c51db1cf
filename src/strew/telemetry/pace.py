"""Pace: how fast bytes go, over the last second."""

from __future__ import annotations

from collections import deque
from typing import Final

OVER_S: Final = 1.0
"""Rates are over so long. Lower: chunks of a slow link make them jump; higher: they lag."""

SHORT_S: Final = 0.25
"""Before a second has passed rates are over what has, of this at least."""

LOOKS_MAX: Final = 256
"""Looks kept: twelve times as many as a second has."""


class Pace:
    """Told both totals now and then, with a clock that does not jump."""

    def __init__(self) -> None:
        self._looks: deque[tuple[float, int, int]] = deque(maxlen=LOOKS_MAX)
        self.received_bytes_per_s = 0.0
        self.sent_bytes_per_s = 0.0
        self.is_whole = False
        """Whether the rates are over a whole second."""

    def note(self, now: float, received_bytes: int, sent_bytes: int) -> None:
        """The totals of this moment; both only grow."""
        looks = self._looks
        looks.append((now, received_bytes, sent_bytes))
        while len(looks) > 2 and looks[1][0] <= now - OVER_S:
            looks.popleft()
        then_s, received, sent = looks[0]
        seconds = now - then_s
        if seconds >= SHORT_S:
            self.received_bytes_per_s = (received_bytes - received) / seconds
            self.sent_bytes_per_s = (sent_bytes - sent) / seconds
        self.is_whole = seconds >= OVER_S

    def rest(self) -> None:
        """Nothing is looked at for a while: rates are 0, and the next look begins anew."""
        self._looks.clear()
        self.received_bytes_per_s = self.sent_bytes_per_s = 0.0
        self.is_whole = False

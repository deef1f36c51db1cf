"""How often nodes are asked to tell what their transfers do: as often as the tracker can afford."""

from __future__ import annotations

import math
from typing import Final

NEXT_MIN_S: Final = 0.5
"""A node is never asked to tell more often."""

NEXT_MAX_S: Final = 300.0
"""A node is asked to tell within so long: the largest fleet is, at this cost, just heard."""

TELEMETRY_COST_S: Final = 0.0005
"""What one message costs this process, HTTP and all (`python -m bench.board`)."""

TELEMETRY_SHARE: Final = 0.022
"""Of one core: what the telemetry of a whole fleet may cost. Frames to onlookers, curves and
judgements take the rest of 0.05. Lower: less is seen of large fleets; higher: less is left for
announces."""

LATE_S: Final = 0.01
"""A tracker that wakes up so much too late, as it waits for a processor, asks half as often. Lower:
an idle machine's jitter counts; higher: telemetry takes time that payload needs."""

STRAIN_MAX: Final = 5.0
"""A strained tracker asks so many times less often, at most: something is to be seen even then."""

LATE_MEMORY: Final = 0.3
"""Weight of the newest wake-up."""

SPREAD: Final = 0.5
GOLDEN: Final = 0.6180339887
"""Machines that begin at one moment must not tell at one moment for ever: waits differ by so much,
one from the next as the multiples of the golden section do, which fill any range evenly (Knuth,
TAOCP 3, 6.4, theorem S)."""

TOGETHER_S: Final = 0.25
"""Messages are asked for at multiples of this, for a process that wakes for each one alone spends
about as much on waking as on the message. Lower: that; higher: what onlookers see moves in jerks.
"""


class TelemetryPace:
    """`wait_s` is how long each node is asked to wait between two messages."""

    def __init__(self) -> None:
        self.wait_s = NEXT_MIN_S
        self._late_s = 0.0
        self._answered = 0

    def look(self, machines: int, late_s: float) -> None:
        """So many tell, or are waited for; and so much too late this process woke up to look.

        Where an origin is also the tracker, and its machine has more to do than it can, what it
        spends on being told is missing at its uplink.
        """
        self._late_s += LATE_MEMORY * (late_s - self._late_s)
        strain = min(STRAIN_MAX, 1.0 + self._late_s / LATE_S)
        fleet_s = machines * strain * TELEMETRY_COST_S / TELEMETRY_SHARE
        self.wait_s = min(NEXT_MAX_S, max(NEXT_MIN_S, fleet_s))

    def next_s(self, now: float) -> float:
        """In how many seconds the node that told just now is to tell again."""
        self._answered += 1
        turn = self._answered * GOLDEN % 1.0
        due_s = now + self.wait_s * (1.0 + SPREAD * (turn - 0.5))
        return math.ceil(due_s / TOGETHER_S) * TOGETHER_S - now

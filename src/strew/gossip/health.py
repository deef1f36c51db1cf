"""How much a node has to doubt itself (Lifeguard, section IV-A: local health multiplier)."""

HEALTH_MAX = 8
"""Worst score: probes take nine times as long (memberlist: AwarenessMaxMultiplier)."""


class Health:
    """A score that is 0 when all is well. Periods and timeouts are multiplied by `slowness`."""

    __slots__ = ("score",)

    def __init__(self) -> None:
        self.score = 0

    def worsen(self) -> None:
        """There is reason to doubt oneself."""
        self.score = min(HEALTH_MAX, self.score + 1)

    def better(self) -> None:
        """Something worked as it should."""
        if self.score:
            self.score -= 1

    @property
    def slowness(self) -> int:
        """By how much to take longer."""
        return 1 + self.score

"""How often a node may announce: one token bucket, kept by the node and by the tracker."""

from dataclasses import dataclass

ANNOUNCE_EVERY_S = 5.0
"""One announce is earned in this time. Lower: a storm of changes loads the tracker; higher: the
tracker's picture of a fetch grows old."""

ANNOUNCE_BURST = 5
"""Announces a node may save up: joining, a publication heard, fetching, done, one to spare. A
publication that the node follows fills the bucket, so that hearing of one thing and being done
with it never has to wait, however quickly one push follows another."""

TRACKER_SLACK = 2
"""The tracker's bucket is this much deeper: two clocks and a network lie between the buckets, and
a node that keeps its own limit must never be refused."""


@dataclass(frozen=True, slots=True)
class Allowance:
    """`tokens` announces were left at time `at_s`; a new one comes every ANNOUNCE_EVERY_S."""

    tokens: float
    at_s: float
    burst: int = ANNOUNCE_BURST

    def at(self, now: float) -> "Allowance":
        """The same allowance with what was earned until `now`."""
        earned = max(0.0, now - self.at_s) / ANNOUNCE_EVERY_S
        return Allowance(min(float(self.burst), self.tokens + earned), now, self.burst)

    def spent(self, now: float) -> "Allowance | None":
        """What is left after an announce at `now`; None if there is none to spend."""
        here = self.at(now)
        # The slack of a billionth keeps a wake-up computed by `ready_s` from coming too early.
        if here.tokens < 1.0 - 1e-9:
            return None
        return Allowance(max(0.0, here.tokens - 1.0), now, self.burst)

    def ready_s(self, now: float) -> float:
        """Seconds from `now` until there is an announce to spend, 0 if there is one."""
        return max(0.0, 1.0 - self.at(now).tokens) * ANNOUNCE_EVERY_S


def full_allowance(now: float, *, slack: int = 0) -> Allowance:
    """The allowance of a node that has not announced yet."""
    burst = ANNOUNCE_BURST + slack
    return Allowance(float(burst), now, burst)

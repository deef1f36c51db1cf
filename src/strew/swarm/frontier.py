"""Frontier: which chunks are still on their way by push, and so are neither asked for nor offered.

The origin gives chunks in about the order of the file, so what comes by push says how far pushing
is, stripe by stripe. A chunk that most stripes have left far behind will not come: its stripe is
broken above this node, or it was passed over. How far is far is counted in chunks, by what the plan
makes a chunk wait for on its way; clocks have no part in it, so it holds for any rate.
"""

from __future__ import annotations

from collections.abc import Sequence

from strew.swarm.layout import STAR_MAX

LAG_RATIO = 4
"""How far behind the others a stripe may be before its chunks are missed, in what a chunk usually
takes from the origin to the last machine of its stripe."""

LAG_SPARE = 32
"""... and so many chunks more: busy processors delay single chunks (8 nodes on 2 cores, 32 MiB in
1.3 s: with 8 spare ones 2.5 % of the bytes came twice, with 32 0.9 %)."""

INNER_RATIO = 0.5
"""Of that, for a chunk that this node is to pass on: a hole at an inner node is one at all those
behind it, and is healed for them with it. With 0.35 and with 1 the last of 1000 machines was later
(1.131 and 1.178 of F/B instead of 1.118)."""

LAG_MAX_RATIO = 2
"""How many times that a stripe may be behind at most once chunks came that had been missed. Higher:
after a bad moment real holes are healed late; lower: the moment's backlog is asked for again until
the end, and those requests keep it up (200 machines, a tenth at quarter speed: 3 % came twice)."""

AHEAD_RATIO = 0.75
"""Pushing is where so many of the stripes have come to, at least: the others may be broken."""


class Frontier:
    """How far pushing has come; `pushed` tells it, `young` is what may still come by it."""

    __slots__ = (
        "_all",
        "_at",
        "_chunks",
        "_here",
        "_inner_of",
        "_lag",
        "_lag_max",
        "_others",
        "_rank",
        "_stripe_of",
        "young",
    )

    def __init__(self, chunks: int) -> None:
        self._chunks = chunks
        self._all = (1 << chunks) - 1
        self.young = 0
        self._others = 0
        self._here = 0
        self.planned((), 1, STAR_MAX, 0)

    def planned(self, stripe_of: Sequence[int], stripes: int, lag: int, inner_of: int) -> None:
        """By a new plan chunks go down so many stripes, each chunk down `stripe_of[chunk]` (empty:
        all down one), and take `lag` chunk times to the last machine. `inner_of` are the chunks
        this node is to pass on, as a bit set."""
        self._stripe_of = stripe_of
        self._at = [self._here] * stripes  # chunks of the plan before are still on their way
        self._rank = int(AHEAD_RATIO * (stripes - 1))
        self._lag = LAG_RATIO * lag + LAG_SPARE
        self._lag_max = LAG_MAX_RATIO * self._lag
        self._inner_of = inner_of
        self._look()

    def pushed(self, index: int) -> None:
        """This chunk comes by push."""
        stripe = self._stripe_of[index] if self._stripe_of else 0
        if index > self._at[stripe]:
            self._at[stripe] = index
            self._look()

    def came_after_all(self, index: int) -> None:
        """This chunk was missed, and fetched, and now comes by push: so late is not lost. Until the
        next plan what is as late is waited for, as TCP learns how far segments are reordered
        (RFC 4653)."""
        needed = self._here - index
        if self._inner_of >> index & 1:
            needed = int(needed / INNER_RATIO)
        needed = min(needed + LAG_SPARE, self._lag_max)
        if needed > self._lag:
            self._lag = needed
            self._look()

    @property
    def ends(self) -> bool:
        """Whether most stripes have come to their last chunk."""
        return self._here + len(self._at) >= self._chunks

    def others_have(self, count: int) -> None:
        """The neighbour in the middle has so many chunks: that far pushing has come at least. Once
        it has all, nothing is left that could be on its way to everybody."""
        here = count if count < self._chunks else count + self._lag
        if here > self._others:
            self._others = here
            self._look()

    def _look(self) -> None:
        self._here = here = max(sorted(self._at)[self._rank], self._others)
        since = max(0, here - self._lag)
        inner_since = max(0, here - int(INNER_RATIO * self._lag))
        soon = self._all >> inner_since << inner_since
        self.young = soon | (self._all >> since << since) & (self._all ^ self._inner_of)

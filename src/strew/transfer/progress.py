"""Chunks must get on: a connection that drips does not hold a buffer for as long as it likes.

Each chunk under way holds one of a bounded number of buffers (strew.transfer.receiving). Forty
peers that send a byte now and then would hold all of them, and nobody else's chunk could come. So
every few seconds it is compared what came in over each connection. One that drips is ended when
buffers have run out, or when another proves that this machine's own link is not what it waits for.
Who is merely slow is the swarm's business (strew.swarm.offers): it asks elsewhere.
"""

from __future__ import annotations

import asyncio
from typing import Protocol

PROGRESS_S = 5.0
"""How often it is compared. A connection that drips ends after one to two times as long. Shorter:
one lost packet makes a machine drip; longer: its buffer is held."""

PROGRESS_BYTES_MIN = 64 << 10
"""A chunk under way must bring so much in that time where others wait for its buffer: 13 kB/s.
Lower: fewer dripping peers hold all buffers; higher: machines behind thin lines are cut off."""

DRIPS_RATIO = 8
"""... and where none waits, an eighth of that, if another connection brings more. A machine whose
own link is full brings as little over all of them."""

LATE_S = 1.0
"""A look that comes so late says nothing: this process did not run."""


class Arriving(Protocol):
    """The receiving end of one connection."""

    @property
    def is_under_way(self) -> bool:
        """Whether a chunk has begun that is not whole, and nothing here makes it wait."""

    @property
    def received_bytes(self) -> int:
        """All that came in so far."""

    def drips(self) -> None:
        """It is too slow: end it."""


class Progress:
    """Looks after all receiving ends of a node. `fair_bytes_per_s` is what each may expect of a
    download limit while all buffers are in use, None without a limit."""

    def __init__(self, fair_bytes_per_s: float | None = None) -> None:
        self._least_bytes = float(PROGRESS_BYTES_MIN)
        if fair_bytes_per_s is not None:
            self._least_bytes = min(PROGRESS_BYTES_MIN, fair_bytes_per_s * PROGRESS_S / 2)
        self._seen: dict[Arriving, int] = {}
        """What each had received at the last look; -1: no chunk was under way then."""
        self._due_s: float | None = None
        self.buffers_wanted = False
        """A connection found no buffer since the last look."""

    def watch(self, arriving: Arriving) -> None:
        self._seen[arriving] = -1
        if self._due_s is None:
            self._arm()

    def forget(self, arriving: Arriving) -> None:
        self._seen.pop(arriving, None)

    def _arm(self) -> None:
        loop = asyncio.get_running_loop()
        self._due_s = loop.time() + PROGRESS_S
        loop.call_at(self._due_s, self._ring)

    def _ring(self) -> None:
        assert self._due_s is not None
        late_s = asyncio.get_running_loop().time() - self._due_s
        self._due_s = None
        if self._seen:
            self._arm()
        for arriving in self.look(late_s):
            arriving.drips()

    def look(self, late_s: float) -> list[Arriving]:
        """Those that drip since the last look."""
        moved = {
            arriving: arriving.received_bytes - before
            for arriving, before in self._seen.items()
            if before >= 0
        }
        for arriving in self._seen:
            self._seen[arriving] = arriving.received_bytes if arriving.is_under_way else -1
        wanted, self.buffers_wanted = self.buffers_wanted, False
        if late_s > LATE_S:
            return []
        least = self._least_bytes
        if not wanted:
            least /= DRIPS_RATIO
        if not wanted and max(moved.values(), default=0) < self._least_bytes:
            return []
        return [each for each, count in moved.items() if count < least and each.is_under_way]

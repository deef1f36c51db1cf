"""World: a virtual clock, a heap of what is to happen, seeded dice, and the trace of what did.

Nothing here or in what runs on it reads a real clock, throws other dice or walks over an unordered
set: the same seed and options give the same trace, event for event.
"""

from __future__ import annotations

import math
import random
from collections.abc import Callable
from heapq import heappop, heappush
from struct import Struct

from blake3 import blake3

from strew.errors import DeadlineExceededError, UnavailableError

_RECORD = Struct("<dBIIQ")

TRACE_BLOCK = 4096
"""Records hashed at once."""


class World:
    """Made from a seed; `at` plans, `run` lets time pass, never beyond `limit_s`."""

    def __init__(self, seed: int, limit_s: float = math.inf) -> None:
        self.seed = seed
        self.limit_s = limit_s
        self.now = 0.0
        self.dice = random.Random(seed)
        self.events = 0
        self._order = 0
        self._heap: list[tuple[float, int, Callable[..., None], tuple[object, ...]]] = []
        self._hasher = blake3()
        self._records: list[bytes] = []

    def at(self, when_s: float, call: Callable[..., None], *args: object) -> None:
        """Call at a time (never before now); calls of the same time keep their order."""
        order = self._order
        self._order = order + 1
        heappush(self._heap, (when_s, order, call, args))

    def run(self, until: Callable[[], bool], limit_s: float) -> None:
        """Let time pass until `until()` holds. DeadlineExceededError if it does not by `limit_s`,
        UnavailableError if nothing is left that could happen."""
        limit_s = min(limit_s, self.limit_s)
        heap = self._heap
        events = 0
        while not until():
            if not heap:
                raise UnavailableError(
                    f"after {self.now:.3f} s nothing happens any more (seed {self.seed})"
                )
            when_s, _, call, args = heappop(heap)
            if when_s > limit_s:
                raise DeadlineExceededError(
                    f"not done within {limit_s:.3f} s of virtual time (seed {self.seed})",
                    hint="give a longer --limit",
                )
            if when_s > self.now:
                self.now = when_s
            events += 1
            call(*args)
        self.events += events

    def trace(self, kind: int, a: int, b: int, c: int) -> None:
        """Something happened now that two equal runs must share."""
        records = self._records
        records.append(_RECORD.pack(self.now, kind, a, b, c))
        if len(records) >= TRACE_BLOCK:
            self._hasher.update(b"".join(records))
            records.clear()

    @property
    def trace_digest(self) -> str:
        """BLAKE3 of all that was traced so far, as 32 hex digits."""
        self._hasher.update(b"".join(self._records))
        self._records.clear()
        return self._hasher.hexdigest(length=16)

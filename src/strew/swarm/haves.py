"""Telling neighbours what arrived, in batches: control traffic must cost less than the chunks."""

from __future__ import annotations

from strew.messages import Have
from strew.swarm.state import FEW_CHUNKS, SwarmState

BATCH_S = 0.1
"""Haves are gathered for so long: at 24 neighbours more often would cost more than the chunks."""

PUSHED_BATCH_S = 0.4
"""... and for so long while chunks come by push: nobody waits to hear of them then. At 24
neighbours and 25 Mbit/s haves at 0.1 s took a third of the processor's time."""

BATCH_MAX = 64
PUSHED_BATCH_MAX = 256
"""... or until so many are gathered."""

TO_SEED_S = 1.0
"""A complete neighbour needs no haves; it hears now and then, so that it stops offering and an
origin sees that its chunks spread."""

INDEXES_MAX = 8192
"""Chunks named in one message: 40 kB at most."""


class Haves:
    """Chunks stored here that neighbours have not heard of yet."""

    def __init__(self, state: SwarmState) -> None:
        self._state = state
        self._batch_s = 0.0 if len(state.lengths) <= FEW_CHUNKS else BATCH_S
        self._fresh: list[int] = []
        self._fresh_since_s = 0.0
        self._late: list[int] = []
        self._late_since_s = 0.0

    @property
    def waiting(self) -> bool:
        return bool(self._fresh or self._late)

    def note(self, index: int, now: float) -> None:
        """Neighbours are to hear of this chunk."""
        if not self._fresh:
            self._fresh_since_s = now
        if not self._late:
            self._late_since_s = now
        self._fresh.append(index)
        self._late.append(index)

    def flush(self, now: float) -> None:
        """Tell what has waited long enough; everything, once this node is complete."""
        fresh, late = self._fresh, self._late
        if not (fresh or late):
            return
        done = self._state.have.complete
        wait_s, most = self._batch_s, BATCH_MAX
        if wait_s and now < self._state.pushing_until_s:
            wait_s, most = PUSHED_BATCH_S, PUSHED_BATCH_MAX
        if fresh and (done or len(fresh) >= most or now - self._fresh_since_s >= wait_s):
            self._fresh = []
            self._tell(fresh, seeds=False)
        if late and (done or now - self._late_since_s >= TO_SEED_S):
            self._late = []
            self._tell(late, seeds=True)

    def _tell(self, indexes: list[int], seeds: bool) -> None:
        for start in range(0, len(indexes), INDEXES_MAX):
            message = Have(self._state.key, indexes[start : start + INDEXES_MAX])
            for neighbour in self._state.neighbours.values():
                if neighbour.have.complete == seeds:
                    self._state.tell(neighbour, message)

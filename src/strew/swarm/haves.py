"""Telling neighbours what arrived: before it matters to one of them, and to the others in batches.

A neighbour that is offered to or served from here chooses among what it knows this node to have:
what it has not heard of goes ahead of the offer and of the chunk. To all others haves are only good
for counting who has what, and control traffic must cost less than the chunks.
"""

from __future__ import annotations

from strew.messages import Have
from strew.swarm.neighbour import Neighbour
from strew.swarm.state import FEW_CHUNKS, SwarmState

BATCH_S, BATCH_S_PER_NEIGHBOUR = 0.1, 0.01
"""Haves are gathered for so long, or for so long for each neighbour: at 24 neighbours more often
costs more than the chunks. Lower: that; higher: who lacks a chunk hears late who has it."""

PUSHED_BATCH_S, PUSHED_BATCH_S_PER_NEIGHBOUR = 0.4, 0.025
"""... and for so long while chunks come by push: nobody waits to hear of them then. At 24
neighbours and 25 Mbit/s haves at 0.1 s took a third of the processor's time."""

BATCH_S_MAX = 1.0
"""... and never for longer."""

BATCH_MAX = 256
"""... or until so many are gathered."""

TO_SEED_S = 1.0
"""A complete neighbour needs no haves; it hears now and then, so that it stops offering and an
origin sees that its chunks spread."""

INDEXES_MAX = 8192
"""Chunks named in one message: 40 kB at most."""


class Haves:
    """What was stored here, in its order, and how far each neighbour has heard of it."""

    def __init__(self, state: SwarmState) -> None:
        self._state = state
        self._stored: list[int] = []
        self._told = 0
        self._since_s = 0.0
        self._told_seeds = 0
        self._seeds_since_s = 0.0

    @property
    def waiting(self) -> bool:
        return min(self._told, self._told_seeds) < len(self._stored)

    def joined(self, neighbour: Neighbour) -> None:
        """A neighbour came: its Join was answered with all there is."""
        neighbour.heard = len(self._stored)

    def note(self, index: int, now: float) -> None:
        """Neighbours are to hear of this chunk."""
        if self._told == len(self._stored):
            self._since_s = now
        if self._told_seeds == len(self._stored):
            self._seeds_since_s = now
        self._stored.append(index)

    def catch_up(self, neighbour: Neighbour) -> None:
        """This neighbour is to choose among what is here: tell it now."""
        stored, heard = self._stored, neighbour.heard
        while heard < len(stored):
            told = stored[heard : heard + INDEXES_MAX]
            self._state.tell(neighbour, Have(self._state.key, told))
            heard += len(told)
        neighbour.heard = heard

    def flush(self, now: float) -> None:
        """Tell what has waited long enough; everything, once this node is complete."""
        stored = len(self._stored)
        if min(self._told, self._told_seeds) == stored:
            return
        done = self._state.have.complete
        fresh = stored - self._told
        if fresh and (done or fresh >= BATCH_MAX or now - self._since_s >= self._batch_s(now)):
            self._told = stored
            self._tell(seeds=False)
        if self._told_seeds < stored and (done or now - self._seeds_since_s >= TO_SEED_S):
            self._told_seeds = stored
            self._tell(seeds=True)

    def _batch_s(self, now: float) -> float:
        """How long what is fresh waits for more."""
        state = self._state
        if len(state.lengths) <= FEW_CHUNKS:
            return 0.0
        least_s, each_s = BATCH_S, BATCH_S_PER_NEIGHBOUR
        if state.pushing(now):
            least_s, each_s = PUSHED_BATCH_S, PUSHED_BATCH_S_PER_NEIGHBOUR
        return min(max(least_s, each_s * len(state.neighbours)), BATCH_S_MAX)

    def _tell(self, seeds: bool) -> None:
        for neighbour in self._state.neighbours.values():
            if neighbour.have.complete == seeds:
                self.catch_up(neighbour)

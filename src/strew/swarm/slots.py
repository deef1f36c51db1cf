"""Upload slots: how many neighbours a node sends to at once, over all its swarms."""

from __future__ import annotations

from enum import Enum

SLOTS_DEFAULT = 3
"""One slot after another leaves gaps at each hand-over: over real TCP 1, 2 and 3 slots ended at
1.077, 1.026 and 1.015 of the bound."""

DETACHED_MAX_RATIO = 2
"""Sends to slow receivers go on without a slot; at most so many times the slots of them."""


PUSH_SLOTS_MIN = 24
"""Neighbours layer 1 sends to at once. Many at a time share the uplink evenly, and so the
downlinks at the other ends: with 3 slots receivers that several owners had chosen held these up
while others had nothing (simulated, 16 machines: 3, 5, 8 slots gave 1.13, 1.08, 1.05)."""


class Slot(Enum):
    """What a connection that is being sent to occupies."""

    NONE = 0
    PUSHING = 1
    SERVING = 2
    DETACHED = 3


class UploadSlots:
    """A count shared by the swarms of one node. A slot is a connection that is being sent to.

    The layers are counted apart: `limit` neighbours are served what they asked for, `push_limit`
    are pushed to. A send that takes far longer than the others is *detached*: its slot is free
    again while it goes on, so that slow receivers never leave the uplink idle.
    """

    __slots__ = ("detached", "limit", "push_limit", "pushing", "serving")

    def __init__(self, limit: int = SLOTS_DEFAULT) -> None:
        self.limit = limit
        self.push_limit = max(limit, PUSH_SLOTS_MIN)
        self.pushing = 0
        self.serving = 0
        self.detached = 0

    @property
    def free(self) -> int:
        """Slots left for serving."""
        return self.limit - self.serving

    @property
    def free_to_push(self) -> int:
        """Slots left for layer 1."""
        return self.push_limit - self.pushing

    def take(self, slot: Slot) -> None:
        if slot is Slot.PUSHING:
            self.pushing += 1
        else:
            self.serving += 1

    def give_back(self, slot: Slot) -> None:
        if slot is Slot.PUSHING:
            self.pushing -= 1
        elif slot is Slot.SERVING:
            self.serving -= 1
        elif slot is Slot.DETACHED:
            self.detached -= 1
        assert self.pushing >= 0 and self.serving >= 0 and self.detached >= 0

    def detach(self, slot: Slot) -> bool:
        """Turn a used slot into a detached send; False if there are too many of these."""
        if self.detached >= self.limit * DETACHED_MAX_RATIO:
            return False
        self.give_back(slot)
        self.detached += 1
        return True

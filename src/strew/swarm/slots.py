"""Upload slots: how many neighbours a node sends to at once, over all its swarms."""

from __future__ import annotations

from enum import Enum

SLOTS_DEFAULT = 3
"""One slot after another leaves gaps at each hand-over: over real TCP 1, 2 and 3 slots ended at
1.077, 1.026 and 1.015 of the bound."""

DETACHED_MAX_RATIO = 2
"""Sends to slow receivers go on without a slot; at most so many times the slots of them."""


class Slot(Enum):
    """What a connection that is being sent to occupies."""

    NONE = 0
    HELD = 1
    DETACHED = 2


class UploadSlots:
    """A count shared by the swarms of one node. A slot is a connection that is being sent to.

    A send that takes far longer than the others is *detached*: its slot is free again while it
    goes on, so that slow receivers never leave the uplink idle.
    """

    __slots__ = ("detached", "limit", "used")

    def __init__(self, limit: int = SLOTS_DEFAULT) -> None:
        self.limit = limit
        self.used = 0
        self.detached = 0

    @property
    def free(self) -> int:
        return self.limit - self.used

    def take(self) -> None:
        self.used += 1

    def give_back(self) -> None:
        self.used -= 1
        assert self.used >= 0

    def detach(self) -> bool:
        """Turn a used slot into a detached send; False if there are too many of these."""
        if self.detached >= self.limit * DETACHED_MAX_RATIO:
            return False
        self.used -= 1
        self.detached += 1
        return True

    def end_detached(self) -> None:
        self.detached -= 1
        assert self.detached >= 0

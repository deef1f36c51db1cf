"""Members in random order: whose turn it is, and draws.

SWIM (section 4.3) probes in rounds: each member has one turn in each, in an order that is new every
time, so a dead one is asked within two rounds by everybody, not only on average. The order is drawn
as the round goes on; a newcomer may be the next as well.
"""

import random
from collections.abc import Callable

from strew.gossip.protocol import Member
from strew.messages import PeerId

DRAWS_MAX = 16
"""Draws until one fits. Where half of the ring is dead, one time in 65,000 nobody is found."""

Find = Callable[[PeerId], Member | None]
"""The member of that id if it still belongs to the ring and lives."""


class Ring:
    """Ids, of which some may no longer belong here: `find` decides, and rounds clear them out."""

    __slots__ = ("_at", "_dice", "_find", "_ids")

    def __init__(self, ids: list[PeerId], dice: random.Random, find: Find) -> None:
        self._ids = ids
        self._dice = dice
        self._find = find
        self._at = 0
        """Those before it had their turn."""

    def add(self, peer: PeerId) -> None:
        self._ids.append(peer)

    def next(self) -> Member | None:
        """The next member of the round; after the last a new round begins. None if none is left."""
        for _ in range(len(self._ids) + 1):
            ids, at = self._ids, self._at
            if at >= len(ids):
                self._begin_round()
                continue
            drawn = at + int(self._dice.random() * (len(ids) - at))
            ids[at], ids[drawn] = ids[drawn], ids[at]
            self._at = at + 1
            member = self._find(ids[at])
            if member is not None:
                return member
        return None

    def draw(self) -> Member | None:
        """A member at random; None if chance finds none."""
        ids, find, throw = self._ids, self._find, self._dice.random
        for _ in range(DRAWS_MAX if ids else 0):
            member = find(ids[int(throw() * len(ids))])
            if member is not None:
                return member
        return None

    def _begin_round(self) -> None:
        self._ids = [peer for peer in dict.fromkeys(self._ids) if self._find(peer) is not None]
        self._at = 0

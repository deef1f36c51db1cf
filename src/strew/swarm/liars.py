"""Neighbours that send what is no use: chunks with wrong digests, and ever again what is here.

A liar is dropped before it has cost much, and coming back is no way to start anew.
"""

from __future__ import annotations

from strew.messages import Drop, PeerId
from strew.swarm.neighbour import BAD_CHUNKS_MAX, Neighbour
from strew.swarm.state import SwarmState

BAN_BAD_S = 600.0
"""A neighbour that sent two bad chunks is not dealt with for this long."""

DUPLICATES_MAX = 256
"""Unasked chunks we had already, from one neighbour in a row, before it is dropped."""

REMEMBERED_MAX = 4096
"""Peers that left with a bad chunk behind them, remembered; the oldest is forgotten first."""


class Liars:
    """What of one swarm's peers is held against them."""

    def __init__(self, state: SwarmState) -> None:
        self._state = state
        self._bad: dict[PeerId, int] = {}
        """Bad chunks of peers that are no neighbours now, or not yet."""

    def joined(self, neighbour: Neighbour) -> None:
        neighbour.bad_chunks = self._bad.pop(neighbour.id, 0)

    def left(self, neighbour: Neighbour) -> None:
        if 0 < neighbour.bad_chunks < BAD_CHUNKS_MAX:  # else it was banned
            self._remember(neighbour.id, neighbour.bad_chunks)

    def sent_bad(self, peer: PeerId, neighbour: Neighbour | None) -> None:
        """A chunk had a wrong digest. It may have come before its sender's Join: `neighbour` is
        None then, and it counts all the same."""
        bad_chunks = self._bad.pop(peer, 0) if neighbour is None else neighbour.bad_chunks
        bad_chunks += 1
        if neighbour is not None:
            neighbour.bad_chunks = bad_chunks
        if bad_chunks >= BAD_CHUNKS_MAX:
            reason = "sent two chunks with wrong digests"
            self._state.actions.append(Drop(peer, reason, BAN_BAD_S))
        elif neighbour is None:
            self._remember(peer, bad_chunks)

    def sent_twice(self, neighbour: Neighbour, index: int) -> None:
        """A chunk that is here already came again, unasked."""
        self._state.duplicated(self._state.lengths[index])
        neighbour.duplicates += 1
        if neighbour.duplicates > DUPLICATES_MAX:
            drop = Drop(neighbour.id, "sends what is here already", BAN_BAD_S)
            self._state.actions.append(drop)

    def _remember(self, peer: PeerId, bad_chunks: int) -> None:
        if len(self._bad) >= REMEMBERED_MAX:
            del self._bad[next(iter(self._bad))]
        self._bad[peer] = bad_chunks

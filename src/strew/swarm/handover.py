"""Leaving in order: what only this node has is given away before it ends.

A chunk is *owed* while it is stored here and no neighbour says that it has it: an owner that the
origin gave it to a moment ago, a publisher whose file is half out, the last one of a crowd. From
the beginning of a hand-over nothing else is asked for, offered or passed on; each owed chunk goes
to one neighbour, unasked, and layer 2 spreads it from there.
"""

from __future__ import annotations

from strew.content.bitfield import indexes_of
from strew.messages import PeerId, Role
from strew.swarm.neighbour import Neighbour
from strew.swarm.state import SwarmState

RECEIVERS_MAX = 3
"""Neighbours sent to at once. More share the uplink, and if time runs out have only parts of
chunks; fewer leave gaps between two chunks."""

CONFIRMED_WITHIN_S = 2.0
"""A chunk that has left must be seen at its receiver within this time (which tells a complete
neighbour each second what it has), else another gets it, too."""


class HandOver:
    """See the module. One for each swarm; nothing happens before `begin`."""

    def __init__(self, state: SwarmState) -> None:
        self._state = state
        self._given: dict[int, tuple[PeerId, float]] = {}
        """To whom each chunk was sent, and until when it is to be seen there."""
        self.begun = False

    def begin(self) -> None:
        """This node is about to leave."""
        self.begun = True

    @property
    def owed(self) -> int:
        """What only this node has, as a bit set; nothing if there is nobody to give it to."""
        state = self._state
        if all(neighbour.have.complete for neighbour in state.neighbours.values()):
            return 0
        return state.availability.held_by(0, state.have.bits)

    def step(self, now: float) -> None:
        """Send owed chunks to whoever has room for one."""
        state = self._state
        owed = self.owed
        self._given = {
            index: (peer, until_s)
            for index, (peer, until_s) in self._given.items()
            if owed >> index & 1 and peer in state.neighbours and now < until_s
        }
        waiting = [index for index in indexes_of(owed) if index not in self._given]
        waiting.reverse()
        sending = sum(bool(neighbour.sending) for neighbour in state.neighbours.values())
        for neighbour in sorted(state.neighbours.values(), key=_readiness):
            if not waiting or sending >= RECEIVERS_MAX:
                return
            if neighbour.sending or neighbour.have.complete or neighbour.skipped_until_s > now:
                continue
            index = waiting.pop()
            sending += 1
            self._given[index] = (neighbour.id, now + state.patience_s(index) + CONFIRMED_WITHIN_S)
            state.send_chunk(neighbour, index, now, Role.SERVED)

    def sent(self, index: int, now: float) -> None:
        """A chunk has left."""
        given = self._given.get(index)
        if given is not None:
            self._given[index] = (given[0], now + CONFIRMED_WITHIN_S)

    def not_sent(self, index: int) -> None:
        """A chunk did not leave: it is given again."""
        self._given.pop(index, None)


def _readiness(neighbour: Neighbour) -> tuple[float, int]:
    """Sorts who took its last chunks most quickly first, who was never sent one last."""
    return (neighbour.sent_pace or 1e9, neighbour.number)

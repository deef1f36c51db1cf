"""The chunks that an inner node still has to pass on, and which of them goes to whom next."""

from __future__ import annotations

from collections import Counter, deque
from collections.abc import Callable, Iterable
from itertools import islice

from strew.messages import PeerId, Role
from strew.swarm.giving import PIPELINE_MAX
from strew.swarm.neighbour import Neighbour
from strew.swarm.state import SwarmState

LOOKAHEAD_MAX = 16
"""Chunks waiting to be passed that are searched for a free receiver; more are served in turn."""

SLOWEST_RATIO = 0.34
"""When no more than this part of the receivers is still to be offered a chunk, its owner's credit
returns: a few thin links must not hold up the giving."""

RESTS_MAX = 16
"""Chunks kept for the last few of their receivers; of older ones these ask by layer 2."""

BEHIND_MAX = 6
"""A receiver for which so many chunks wait is left to layer 2 for a while."""


class Passing:
    """One chunk on its way from this node to its branch: who still has to be offered it.

    `giver` is whose credit returns then, empty if nobody's; `plan` is the tag of the plan by which
    it goes."""

    __slots__ = ("few", "giver", "index", "is_rest", "plan", "targets")

    def __init__(self, index: int, targets: dict[PeerId, Role], giver: PeerId, plan: int) -> None:
        self.index = index
        self.targets = targets
        self.giver = giver
        self.plan = plan
        self.few = int(len(targets) * SLOWEST_RATIO)
        self.is_rest = False


class Backlog:
    """Chunks in the order in which they came, those that only a few still want behind all others.

    `offered` is told whose chunk was offered to all but a few. Most of what happens frees no
    receiver, and then nothing is searched.
    """

    def __init__(self, state: SwarmState, offered: Callable[[PeerId, int], None]) -> None:
        self._state = state
        self._offered = offered
        self._waiting: deque[Passing] = deque()
        self._rests: deque[Passing] = deque()
        self._reach = 0
        self._takers: dict[PeerId, None] | None = None
        """Who may take a chunk more since nobody could; None: perhaps anybody."""

    def __len__(self) -> int:
        """Chunks that more than a few wait for."""
        return len(self._waiting)

    @property
    def is_empty(self) -> bool:
        """Nobody waits for anything."""
        return not (self._waiting or self._rests)

    def add(self, index: int, targets: dict[PeerId, Role], giver: PeerId, plan: int) -> None:
        """A chunk is to be sent to these neighbours."""
        self._reach = len(targets)
        passing = Passing(index, targets, giver, plan)
        self._waiting.append(passing)
        self._comes_into_view(passing)

    def _comes_into_view(self, passing: Passing) -> None:
        """From now on it is searched for free receivers: some may be free already."""
        if self._takers is not None:
            for peer in passing.targets:
                neighbour = self._state.neighbours.get(peer)
                if neighbour is not None and len(neighbour.sending) < PIPELINE_MAX:
                    self._takers[peer] = None

    def send_one(self, now: float) -> bool:
        """Start one send, to an idle neighbour if there is one; False if none can be started."""
        takers = self._takers
        if takers == {} or self.is_empty:
            return False
        for depth_max in range(PIPELINE_MAX):
            for passing in self._front():
                if takers is None or not takers.keys().isdisjoint(passing.targets.keys()):
                    started = self._send(passing, now, depth_max)
                    self._file(passing)
                    if started:
                        return True
        while len(self._rests) > RESTS_MAX:
            self._rests.popleft()
        self._takers = {}
        return False

    def _front(self) -> list[Passing]:
        """What is searched, in this order."""
        return [*islice(self._waiting, LOOKAHEAD_MAX), *self._rests]

    def _send(self, passing: Passing, now: float, depth_max: int) -> bool:
        """Send the chunk to the first target that can take it."""
        takers = self._takers
        for peer in [peer for peer in passing.targets if takers is None or peer in takers]:
            neighbour = self._target(peer, passing.index, now)
            if neighbour is None:
                del passing.targets[peer]
            elif len(neighbour.sending) <= depth_max:
                role = passing.targets.pop(peer)
                self._state.send_chunk(neighbour, passing.index, now, role, passing.plan)
                if takers is not None and len(neighbour.sending) >= PIPELINE_MAX:
                    del takers[peer]
                return True
        return False

    def _target(self, peer: PeerId, index: int, now: float) -> Neighbour | None:
        """The neighbour, if it is still to be sent the chunk."""
        neighbour = self._state.neighbours.get(peer)
        if (
            neighbour is None
            or index in neighbour.have
            or index in neighbour.sending
            or neighbour.skipped_until_s > now  # its socket stays full: layer 2 is its way
            or index not in self._state.have  # it rotted on the disk since
        ):
            return None
        return neighbour

    def _file(self, passing: Passing) -> None:
        """Targets of a chunk were sent it, or need it no more."""
        if not passing.is_rest and len(passing.targets) <= passing.few:
            passing.is_rest = True
            self._waiting.remove(passing)
            self._rests.append(passing)
            self._offered(passing.giver, passing.index)
            if len(self._waiting) >= LOOKAHEAD_MAX:
                self._comes_into_view(self._waiting[LOOKAHEAD_MAX - 1])
        if passing.is_rest and not passing.targets:
            self._rests.remove(passing)

    # --- who may take what -----------------------------------------------------------------------

    def look_again(self) -> None:
        """Anybody may be able to take a chunk now."""
        self._takers = None

    def sent(self, peer: PeerId) -> None:
        """A chunk left for `peer`, who may take another."""
        if self._takers is not None:
            self._takers[peer] = None

    def drop_needless(self, now: float) -> None:
        """Once in a while: who needs a chunk no more holds up nobody's credit."""
        for passing in self._front():
            for peer in list(passing.targets):
                if self._target(peer, passing.index, now) is None:
                    del passing.targets[peer]
            self._file(passing)

    # --- who holds it up -------------------------------------------------------------------------

    def skip_those_behind(self, now: float) -> None:
        """Receivers for whom chunks pile up are slower than the others: layer 2 is their way."""
        if len(self._waiting) + len(self._rests) <= BEHIND_MAX:
            return
        waited_for = _waited_for((*self._waiting, *self._rests))
        for peer, count in waited_for.items():
            neighbour = self._state.neighbours.get(peer)
            if (
                count > BEHIND_MAX
                and neighbour is not None
                and neighbour.skipped_until_s <= now
                and 2 * len(waited_for) <= self._reach
            ):
                neighbour.skip(now)

    def held_up_by(self, receivers: int) -> list[PeerId]:
        """Whom most of the chunks in front wait for, if that is no more than half of all
        `receivers`. This node's uplink has room then, and it is they who take too little; how long
        they take for a chunk need not show it to a node that never had more to send."""
        front = list(islice(self._waiting, LOOKAHEAD_MAX))
        waited_for = _waited_for(front)
        if 2 * len(waited_for) > receivers:
            return []
        return [peer for peer, count in waited_for.items() if 2 * count > len(front)]


def _waited_for(passings: Iterable[Passing]) -> Counter[PeerId]:
    """By receiver, how many of these chunks are still to be sent to it."""
    return Counter(peer for passing in passings for peer in passing.targets)

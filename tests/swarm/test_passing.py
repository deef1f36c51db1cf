"""What waits to be passed on: nobody who could take a chunk is left without one."""

from __future__ import annotations

import random

import pytest

from strew.content.bitfield import Bitfield
from strew.messages import PeerId, Role
from strew.swarm.giving import PIPELINE_MAX
from strew.swarm.neighbour import Neighbour
from strew.swarm.passing import LOOKAHEAD_MAX, Backlog
from strew.swarm.slots import UploadSlots
from strew.swarm.state import SwarmState

CHUNKS = 60

EVENTS = ["add"] * 9 + ["sent"] * 12 + ["not sent", "has", "has", "skip", "tick", "anew"]

PEERS = [PeerId(name) for name in "abcdef"]


class Node:
    """An inner node's backlog with `PEERS` as neighbours, and the chunks it said were offered."""

    def __init__(self) -> None:
        full = Bitfield.full(CHUNKS)
        slots = UploadSlots(100)
        dice = random.Random(1)
        self.state = SwarmState(1, PeerId("me"), "", [10] * CHUNKS, full, slots, dice, False)
        for peer in PEERS:
            self.state.joined(Neighbour(peer, Bitfield(CHUNKS), "", True, False, True, 0.0))
        self.offered: list[int] = []
        self.backlog = Backlog(self.state, lambda giver, index: self.offered.append(index))

    def fill(self, now: float) -> None:
        while self.backlog.send_one(now):
            pass

    def could_take(self, now: float) -> list[tuple[PeerId, int]]:
        """Who has room and was promised a chunk of those in view that it lacks."""
        return [
            (peer, passing.index)
            for passing in self.backlog._front()
            for peer in passing.targets
            if self.lacks(self.state.neighbours[peer], passing.index, now)
            and len(self.state.neighbours[peer].sending) < PIPELINE_MAX
        ]

    @staticmethod
    def lacks(neighbour: Neighbour, index: int, now: float) -> bool:
        return (
            index not in neighbour.have
            and index not in neighbour.sending
            and neighbour.skipped_until_s <= now
        )


@pytest.mark.parametrize("seed", range(20))
def test_nobody_with_room_waits_for_a_chunk_whatever_happened(seed: int) -> None:
    """Searched is only for those who may have become free: that must miss nobody."""
    dice = random.Random(seed)
    node = Node()
    state, backlog, unsent = node.state, node.backlog, list(range(CHUNKS))
    deepest = 0
    for step in range(1500):
        now = step * 0.01
        neighbour = state.neighbours[dice.choice(PEERS)]
        what = dice.choice(EVENTS)
        if what == "add" and unsent:
            index = unsent.pop()
            targets = dict.fromkeys(dice.sample(PEERS, 4), Role.COPIED)
            backlog.add(index, targets, PeerId("o"), 1)
        elif what in ("sent", "not sent") and neighbour.sending:
            index = next(iter(neighbour.sending))
            state.send_ended(neighbour, index, now, done=what == "sent")
            if what == "sent":
                backlog.sent(neighbour.id)
            else:
                backlog.look_again()
        elif what == "has":
            state.neighbour_has(neighbour, 1 << dice.randrange(CHUNKS))
        elif what == "skip" and step % 5 == 0:
            neighbour.skipped_until_s = now + 0.02
            backlog.drop_needless(now)
        elif what == "tick":
            backlog.drop_needless(now)
        elif what == "anew":
            backlog.look_again()
        node.fill(now)
        assert node.could_take(now) == [], (seed, step, what)
        deepest = max(deepest, len(backlog))
    assert not unsent and deepest > LOOKAHEAD_MAX
    waiting = [passing.index for passing in backlog._waiting]
    assert sorted(node.offered + waiting) == list(range(CHUNKS)), "each is told of once"


def test_nothing_is_searched_while_nobody_became_free(monkeypatch: pytest.MonkeyPatch) -> None:
    node = Node()
    for index in range(PIPELINE_MAX + 2):
        node.backlog.add(index, dict.fromkeys(PEERS, Role.COPIED), PeerId("o"), 1)
    node.fill(0.0)
    assert all(len(n.sending) == PIPELINE_MAX for n in node.state.neighbours.values())
    searched: list[int] = []
    front = node.backlog._front

    def counted() -> list[object]:
        searched.append(1)
        return list(front())

    monkeypatch.setattr(node.backlog, "_front", counted)
    node.backlog.add(9, dict.fromkeys(PEERS, Role.COPIED), PeerId("o"), 1)
    assert not node.backlog.send_one(0.0) and not searched, "nobody has room"
    free = node.state.neighbours[PEERS[2]]
    node.state.send_ended(free, next(iter(free.sending)), 0.1, done=True)
    node.backlog.sent(free.id)
    assert node.backlog.send_one(0.1) and searched
    assert len(free.sending) == PIPELINE_MAX
    del searched[:]
    assert not node.backlog.send_one(0.1) and not searched

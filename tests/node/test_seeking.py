"""Whom to dial: what a handout is good for."""

from __future__ import annotations

from strew.announce.protocol import PEERS_MAX, Peer
from strew.messages import PeerId
from strew.node.seeking import NAMED_MAX, Seeker
from strew.swarm.plan import MEMBERS_MAX

KEY = 7


def test_of_a_large_handout_no_more_than_so_many_are_remembered_for_dialling() -> None:
    seeker = Seeker(PeerId("f" * 32), 40)
    seeker.expect(KEY)
    peers = [Peer(PeerId(f"{n:032x}"), "10.0.0.1", 1 + n) for n in range(NAMED_MAX + 500)]
    assert seeker.named(KEY, None, peers, "tracker", 0.0)
    assert len(seeker.book.known[KEY]) == NAMED_MAX


def test_an_origins_handout_can_name_all_that_its_plan_can() -> None:
    assert PEERS_MAX == MEMBERS_MAX

"""Whom a node is told of."""

import random
from collections import Counter

from strew.announce.handout import NEIGHBOURS, PEERS_PER_REPLY_MAX, choose_peers, share_of_reply
from strew.announce.protocol import PEERS_MAX, Peer
from strew.announce.records import Candidate
from strew.messages import PeerId
from tests.announce.makers import peer_id


def candidate(number: int, zone: str = "", *, handed: int = 0, complete: bool = False) -> Candidate:
    return Candidate(Peer(peer_id(number), "10.0.0.1", 7000, zone), complete, handed)


def chosen(candidates: list[Candidate], zone: str = "", limit: int = 6) -> list[PeerId]:
    dice = random.Random(1)
    peers = choose_peers(candidates, asker=peer_id(0), zone=zone, limit=limit, dice=dice)
    return [peer.id for peer in peers]


def test_nobody_is_told_of_himself() -> None:
    assert chosen([candidate(0), candidate(1)]) == [peer_id(1)]


def test_a_small_fleet_is_told_of_whole() -> None:
    assert sorted(chosen([candidate(n) for n in range(1, 7)])) == [peer_id(n) for n in range(1, 7)]


def test_the_least_handed_out_come_first() -> None:
    fleet = [candidate(n, handed=n) for n in range(1, 20)]
    assert sorted(chosen(fleet)) == [peer_id(n) for n in range(1, 7)]


def test_two_thirds_are_near() -> None:
    fleet = [candidate(n, "a" if n <= 10 else "b") for n in range(1, 21)]
    near = [p for p in chosen(fleet, zone="a") if p <= peer_id(10)]
    assert len(near) == 4


def test_far_ones_fill_what_near_ones_leave_and_the_other_way() -> None:
    one_near = [candidate(1, "a")] + [candidate(n, "b") for n in range(2, 20)]
    assert len(chosen(one_near, zone="a")) == 6
    assert peer_id(1) in chosen(one_near, zone="a")
    one_far = [candidate(1, "b")] + [candidate(n, "a") for n in range(2, 20)]
    assert len(chosen(one_far, zone="a")) == 6
    assert peer_id(1) in chosen(one_far, zone="a")


def test_a_late_joiner_is_told_of_holders_however_often_they_were_handed_out() -> None:
    fleet = [candidate(n) for n in range(1, 50)]
    fleet += [candidate(n, handed=99, complete=True) for n in range(50, 60)]
    assert sum(1 for p in chosen(fleet) if p >= peer_id(50)) == 2


def test_degrees_come_out_about_even() -> None:
    dice = random.Random(5)
    handed: Counter[PeerId] = Counter()
    fleet = [peer_id(n) for n in range(300)]
    for asker in fleet:
        sample = dice.sample(fleet, 3 * NEIGHBOURS)
        peers = choose_peers(
            [Candidate(Peer(p, "10.0.0.1", 7000), False, handed[p]) for p in sample],
            asker=asker,
            zone="",
            limit=NEIGHBOURS,
            dice=dice,
        )
        handed.update(peer.id for peer in peers)
    assert sum(handed.values()) == 300 * NEIGHBOURS
    assert max(handed.values()) - min(handed[p] for p in fleet) <= 6


def test_a_reply_is_shared_by_what_is_wanted() -> None:
    def shares(wanted: int) -> list[int]:
        given = 0
        out = []
        for position in range(wanted):
            share = share_of_reply(position, wanted, given, origin=False)
            given += share
            out.append(share)
        return out

    assert shares(1) == [NEIGHBOURS]
    assert shares(2) == [NEIGHBOURS, NEIGHBOURS]
    assert shares(5) == [10] * 5
    assert sum(shares(64)) == PEERS_PER_REPLY_MAX
    assert share_of_reply(0, 1, 0, origin=True) == PEERS_MAX

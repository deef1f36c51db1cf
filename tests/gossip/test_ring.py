"""Whose turn it is."""

import random

from strew.gossip.protocol import Member
from strew.gossip.ring import Ring
from strew.messages import PeerId
from tests.gossip.makers import member, peer_id


def ring(living: dict[PeerId, Member]) -> Ring:
    return Ring(list(living), random.Random(5), living.get)


def crowd(count: int) -> dict[PeerId, Member]:
    return {peer_id(number): member(number) for number in range(count)}


def test_each_has_one_turn_in_a_round_and_each_round_has_another_order() -> None:
    turns = ring(crowd(20))
    rounds = [[turns.next() for _ in range(20)] for _ in range(3)]
    assert all({one.id for one in order if one} == set(crowd(20)) for order in rounds)
    assert rounds[0] != rounds[1] != rounds[2]


def test_a_newcomer_has_its_turn_in_the_round_that_is_under_way() -> None:
    living = crowd(20)
    turns = ring(living)
    first = [turns.next() for _ in range(10)]
    living[peer_id(30)] = member(30)
    turns.add(peer_id(30))
    rest = [turns.next() for _ in range(11)]
    assert member(30) in rest
    assert not {one.id for one in first if one} & {one.id for one in rest if one}


def test_who_no_longer_belongs_here_is_passed_over_and_cleared_out() -> None:
    living = crowd(20)
    turns = ring(living)
    for number in range(0, 20, 2):
        del living[peer_id(number)]
    for _ in range(2):
        assert {one.id for one in (turns.next() for _ in range(10)) if one} == set(living)


def test_who_was_added_twice_has_one_turn_from_the_next_round_on() -> None:
    living = crowd(5)
    turns = ring(living)
    turns.add(peer_id(3))
    for _ in range(6):
        turns.next()
    assert {one.id for one in (turns.next() for _ in range(5)) if one} == set(living)


def test_draws_find_only_who_belongs_here() -> None:
    living = crowd(20)
    turns = ring(living)
    for number in range(10):
        del living[peer_id(number)]
    drawn = {one.id for one in (turns.draw() for _ in range(300)) if one}
    assert drawn == set(living)


def test_an_empty_ring_has_nobody() -> None:
    turns = ring({})
    assert turns.next() is None
    assert turns.draw() is None
    turns.add(peer_id(1))
    assert turns.next() is None

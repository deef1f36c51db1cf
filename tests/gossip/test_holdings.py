"""Who holds what, and when a node tells of itself."""

import math

from strew.gossip.holdings import (
    HELD_PER_NODE_MAX,
    PROGRESS_PER_MEMBER_S,
    PROGRESS_S,
    Holding,
    Holdings,
    OwnHoldings,
)
from strew.gossip.protocol import Held
from strew.publication import HoldingState
from tests.gossip.makers import held, peer_id

A, B = 11, 22


def holding(swarm: int, have: int, of: int = 4) -> Holding:
    return Holding(swarm, have, of, bytes([have] * 8), state_of(have, of))


def own(swarm: int, have: int, sequence: int, of: int = 4) -> Held:
    return Held(peer_id(1), swarm, have, of, bytes([have] * 8), sequence, state_of(have, of))


def state_of(have: int, of: int) -> HoldingState:
    return "seeding" if have == of else "fetching"


def test_the_highest_sequence_counts() -> None:
    holdings = Holdings()
    assert holdings.hear(held(1, have=1, sequence=5))
    assert not holdings.hear(held(1, have=3, sequence=5))
    assert not holdings.hear(held(1, have=3, sequence=4))
    assert holdings.hear(held(1, have=2, sequence=6))
    assert holdings.of(7) == [held(1, have=2, sequence=6)]
    assert holdings.count == 1


def test_what_is_no_longer_held_is_not_listed_and_not_brought_back() -> None:
    holdings = Holdings()
    holdings.hear(held(1, sequence=5))
    assert holdings.hear(held(1, have=0, of=0, sequence=6))
    assert holdings.of(7) == []
    assert not holdings.hear(held(1, sequence=5))


def test_holdings_of_who_is_gone_are_forgotten_and_leave_no_sum() -> None:
    holdings = Holdings()
    empty = holdings.sums.read()
    holdings.hear(held(1, swarm=A))
    holdings.hear(held(1, swarm=B))
    holdings.forget(peer_id(1))
    holdings.forget(peer_id(2))
    assert holdings.of(A) == [] and holdings.count == 0
    assert holdings.sums.read() == empty


def test_of_one_node_the_holdings_told_last_are_kept() -> None:
    holdings = Holdings()
    for number in range(HELD_PER_NODE_MAX):
        holdings.hear(held(1, swarm=number, sequence=10 + number))
    assert not holdings.hear(held(1, swarm=9999, sequence=9))
    assert holdings.hear(held(1, swarm=9999, sequence=500))
    assert holdings.of(0) == [] and len(holdings.of(9999)) == 1
    assert holdings.count == HELD_PER_NODE_MAX


def test_beginning_and_completion_are_told_at_once_and_progress_later() -> None:
    mine = OwnHoldings(peer_id(1), 100)
    assert mine.tell([holding(A, 1)], 10, 0.0) == [own(A, 1, 101)]
    assert mine.next_s(10) == math.inf
    assert mine.tell([holding(A, 2)], 10, 1.0) == []
    assert mine.tell([holding(A, 3)], 10, 2.0) == []
    assert mine.next_s(10) == PROGRESS_S
    assert mine.due(10, PROGRESS_S) == [own(A, 3, 102)]
    assert mine.next_s(10) == math.inf
    assert mine.tell([holding(A, 4)], 10, PROGRESS_S + 1.0) == [own(A, 4, 103)]
    assert mine.tell([holding(A, 4)], 10, PROGRESS_S + 2.0) == []


def test_the_larger_the_fleet_the_rarer_are_reports_of_progress() -> None:
    mine = OwnHoldings(peer_id(1), 0)
    mine.tell([holding(A, 1)], 1000, 0.0)
    mine.tell([holding(A, 2)], 1000, 1.0)
    assert mine.next_s(1000) == 1000 * PROGRESS_PER_MEMBER_S


def test_completion_makes_waiting_progress_old_news() -> None:
    mine = OwnHoldings(peer_id(1), 0)
    mine.tell([holding(A, 1)], 10, 0.0)
    mine.tell([holding(A, 2)], 10, 1.0)
    assert mine.tell([holding(A, 4)], 10, 2.0) == [own(A, 4, 2)]
    assert mine.next_s(10) == math.inf


def test_what_is_not_named_any_more_is_given_up_once() -> None:
    mine = OwnHoldings(peer_id(1), 0)
    mine.tell([holding(A, 4), holding(B, 1)], 10, 0.0)
    assert mine.tell([holding(B, 1)], 10, 1.0) == [Held(peer_id(1), A, 0, 0, b"", 3)]
    assert mine.tell([holding(B, 1)], 10, 2.0) == []
    assert mine.tell([holding(A, 4), holding(B, 1)], 10, 3.0) == [own(A, 4, 4)]


def test_that_it_pauses_is_told_at_once_and_that_the_last_chunk_came_is_not_yet_the_end() -> None:
    mine = OwnHoldings(peer_id(1), 0)
    mine.tell([holding(A, 1)], 10, 0.0)
    paused = Holding(A, 1, 4, b"", "paused")
    [told] = mine.tell([paused], 10, 0.1)
    assert (told.state, told.whole) == ("paused", False)
    [going_on] = mine.tell([Holding(A, 4, 4, b"", "fetching")], 10, 0.2)
    assert not going_on.whole


def test_progress_of_what_was_given_up_is_not_told() -> None:
    mine = OwnHoldings(peer_id(1), 0)
    mine.tell([holding(A, 1)], 10, 0.0)
    mine.tell([holding(A, 2)], 10, 1.0)
    mine.tell([], 10, 2.0)
    assert mine.due(10, 100.0) == []


def test_all_is_told_again_with_new_sequences_when_others_forgot_it() -> None:
    mine = OwnHoldings(peer_id(1), 0)
    mine.tell([holding(A, 4), holding(B, 1)], 10, 0.0)
    mine.tell([holding(B, 1)], 10, 1.0)
    assert mine.again(2.0) == [own(B, 1, 4)]

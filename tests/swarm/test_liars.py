"""What is held against peers as chess: bad chunks, also of those that are no neighbours yet."""

from __future__ import annotations

from strew.messages import Role
from strew.swarm.giving import HELD_RATIO
from strew.swarm.liars import BAN_BAD_S
from strew.swarm.neighbour import REFUSALS_MAX
from strew.swarm.offers import STARVED_AFTER_S, STARVED_S
from tests.swarm.board import ALL, Board
from tests.swarm.test_giving import given

REASON = "sent two chunks with wrong digests"


def test_chunks_that_overtake_their_senders_join_count_too() -> None:
    board = Board()
    for chunk in (1, 2):
        board.begins("a", chunk)
        board.corrupts("a", chunk)
    assert board.drops == [("a", REASON, BAN_BAD_S)]


def test_one_before_and_one_after_the_join_are_two() -> None:
    board = Board()
    board.begins("a", 1)
    board.corrupts("a", 1)
    board.joins("a", ALL)
    board.begins("a", 2)
    board.corrupts("a", 2)
    assert board.drops == [("a", REASON, BAN_BAD_S)]


def test_to_leave_and_come_back_is_no_way_to_start_anew() -> None:
    board = Board()
    for chunk in (1, 2):
        board.joins("a", ALL)
        board.begins("a", chunk)
        board.corrupts("a", chunk)
        board.leaves("a")
    assert board.drops == [("a", REASON, BAN_BAD_S)]


# --- claims ---------------------------------------------------------------------------------------


def test_a_chunk_that_few_say_they_have_is_given() -> None:
    """Also if they came first."""
    board = Board(4, origin=True)
    lines = board.joins("l", ALL)
    for name in "wxyz":
        lines += board.joins(name)
    assert HELD_RATIO * 5 >= 1
    lines += board.names(*"lwxyz")
    chunks: set[int] = set()
    while batch := given(lines):
        chunks.update(chunk for _, chunk in batch)
        lines = []
        for owner, chunk in batch:
            lines += board.sent(owner, chunk) + board.passed(owner, chunk)
    assert chunks == {0, 1, 2, 3}


def test_a_chunk_that_many_say_they_have_is_not() -> None:
    board = Board(4, origin=True)
    for name in "ab":
        board.joins(name, {0, 1})
    lines = board.joins("c") + board.names(*"abc") + board.wait(1.0)
    assert {chunk for _, chunk in given(lines)} <= {2, 3}


def test_what_is_claimed_and_never_comes_keeps_nobody_from_the_origin() -> None:
    board = Board(credit=1)
    board.joins("l", ALL)
    board.joins("origin", origin=True)
    assert "Request" not in " ".join(board.offers("origin")), "somebody near says it has them"
    lines = board.wait(STARVED_AFTER_S + STARVED_S + 1.0)
    assert "origin: Request" in " ".join(lines)
    assert board.neighbour("l").hollow
    board.brings("l", 5)
    assert not board.neighbour("l").hollow, "one chunk, and it counts again"


def test_who_refuses_again_and_again_is_waited_for_no_more() -> None:
    board = Board(credit=1)
    board.joins("l", ALL)
    for _ in range(REFUSALS_MAX):
        [request] = [line for line in board.offers("l") if "Request" in line]
        assert not board.neighbour("l").hollow
        board.refuses("l", int(request.split()[2]))
        board.now += 0.1
    assert board.neighbour("l").hollow
    assert board.drops == []


# --- pushes of those that do not give -------------------------------------------------------------


def test_an_origin_passes_nothing_on_that_it_is_sent() -> None:
    board = Board(10, origin=True, push_slots=8)
    for name in "ab":
        board.joins(name)
    assert board.begins("a", 9, Role.OWNED) == ["discard a 9"]


def test_in_a_star_only_an_origin_is_heeded() -> None:
    board = Board(10)
    board.joins("a")
    board.joins("b")
    board.joins("origin", origin=True)
    assert "<<" not in " ".join(board.brings("a", 1, Role.OWNED))
    assert "b << 2 copied" in board.brings("origin", 2, Role.OWNED)

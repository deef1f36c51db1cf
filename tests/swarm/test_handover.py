"""Leaving as chess: what only this node has goes to somebody, and nothing else is begun."""

from __future__ import annotations

from strew.messages import Retiring
from strew.swarm.handover import CONFIRMED_WITHIN_S, RECEIVERS_MAX
from tests.swarm.board import ALL, Board


def sends(lines: list[str]) -> list[tuple[str, int]]:
    """(receiver, chunk) of every chunk that is sent unasked."""
    return [(line[0], int(line.split()[2])) for line in lines if line.endswith("served")]


def test_what_only_this_node_has_is_given_away_and_nothing_else() -> None:
    board = Board(have=range(10))
    board.joins("a", {0, 1, 2, 3, 4, 5, 6})
    board.joins("b", {1})
    assert board.swarm.owed == 3
    lines = board.play(Retiring())
    assert {chunk for _, chunk in sends(lines)} == {7, 8}, "one for each of the two"
    assert {who for who, _ in sends(lines)} == {"a", "b"}
    [(who, chunk)] = [each for each in sends(lines) if each[0] == "a"]
    assert sends(board.sent(who, chunk)) == [("a", 9)]
    for who, chunk in [*sends(lines), ("a", 9)]:
        board.has(who, chunk)
    assert board.swarm.owed == 0


def test_no_more_are_sent_to_at_once_than_finish_soon() -> None:
    board = Board(have=range(10))
    for name in "abcde":
        board.joins(name)
    assert len(sends(board.play(Retiring()))) == RECEIVERS_MAX


def test_a_node_that_leaves_neither_offers_nor_asks_nor_serves() -> None:
    board = Board(have={1})
    board.joins("a", {1, 2, 3})
    board.joins("b", {1})
    board.play(Retiring())
    lines = board.offers("a") + board.requests("b", 1) + board.wait(2.0)
    assert [line for line in lines if "Offer" in line or "Request" in line or "<<" in line] == []
    assert "b: Nack 1" in lines


def test_a_chunk_that_did_not_leave_or_is_not_seen_goes_out_again() -> None:
    board = Board(have={4})
    board.joins("a")
    [(who, _)] = sends(board.play(Retiring()))
    assert sends(board.not_sent(who, 4)) == [("a", 4)]
    board.sent("a", 4)
    assert sends(board.wait(CONFIRMED_WITHIN_S + 0.2)) == [("a", 4)]


def test_a_chunk_whose_receiver_leaves_goes_to_another() -> None:
    board = Board(have={4})
    board.joins("a")
    board.play(Retiring())
    assert sends(board.joins("b")) == []
    assert sends(board.leaves("a")) == [("b", 4)]


def test_nothing_is_owed_to_those_that_have_all_or_to_nobody() -> None:
    board = Board(have=ALL)
    assert board.swarm.owed == 0
    board.joins("a", ALL)
    assert board.swarm.owed == 0
    board.joins("b")
    assert board.swarm.owed == 0, "a has it all"
    assert board.play(Retiring()) == [] or not sends(board.wait(1.0))

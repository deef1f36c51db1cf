"""Telling neighbours what arrived: in batches, and rarely to who has everything."""

from __future__ import annotations

import pytest

from strew.messages import ChunksFound, Request, Role
from strew.swarm.haves import (
    BATCH_MAX,
    BATCH_S,
    BATCH_S_MAX,
    BATCH_S_PER_NEIGHBOUR,
    INDEXES_MAX,
    PUSHED_BATCH_S,
    PUSHED_BATCH_S_PER_NEIGHBOUR,
    TO_SEED_S,
)
from strew.swarm.swarm import TICK_S
from tests.swarm.board import ALL, KEY, Board


def said(lines: list[str], word: str) -> list[str]:
    return [line for line in lines if word in line]


def test_an_offer_comes_with_all_that_was_not_told_yet() -> None:
    board = Board()
    board.joins("a")
    assert board.brings("b", 1)[-2:] == ["a: Have 1", "a: Offer"]


def test_a_served_chunk_comes_with_all_that_was_not_told_yet() -> None:
    """Who is served chooses its next chunk while this one runs."""
    board = Board()
    board.joins("a")
    board.brings("b", 1)
    board.brings("b", 2)
    lines = board.hears("a", Request(KEY, 1))
    assert lines[:2] == ["a: Have 2", "a << 1 served"]


def test_what_goes_ahead_to_one_reaches_the_others_in_a_batch_and_nobody_twice() -> None:
    board = Board(slots=1)
    board.joins("a")
    board.joins("b")
    board.brings("c", 1)
    board.requests("a", 1)
    assert board.brings("c", 2) == []
    assert board.renews("a", 2) == ["a: Have 2", "a << 2 served"]
    assert board.wait(BATCH_S + TICK_S) == ["b: Have 2"]


def test_a_refused_request_brings_no_haves() -> None:
    """Only who is sent to from here chooses again at once."""
    board = Board(slots=1)
    board.joins("a")
    board.joins("b")
    board.brings("c", 1)
    board.requests("a", 1)
    board.brings("c", 2)
    assert board.requests("b", 1) == ["b: Nack 1"]


def test_who_comes_is_not_told_again_what_its_join_was_answered_with() -> None:
    board = Board()
    board.joins("a")
    board.brings("b", 1)
    assert board.joins("c") == ["c: Offer"]
    assert said(board.brings("b", 2) + board.wait(1.0), "c: Have") == ["c: Have 2"]


def test_while_chunks_come_by_push_nobody_waits_to_hear_of_them() -> None:
    board = Board()
    board.joins("a")
    board.joins("o", origin=True)
    board.brings("o", 1, Role.COPIED)
    assert board.wait(PUSHED_BATCH_S - TICK_S) == []
    assert board.wait(2 * TICK_S) == ["a: Have 1"]


@pytest.mark.parametrize("neighbours", [24, 60])
def test_many_neighbours_wait_longer_for_what_is_pushed(neighbours: int) -> None:
    """But a second at most."""
    board = Board(100, slots=0)
    board.joins("o", origin=True)
    for number in range(neighbours - 1):
        board.joins(f"n{number}")
    began_s, chunk, heard = board.now, 0, board.brings("o", 0, Role.COPIED)
    while not heard:
        chunk += 1
        heard = said(board.wait(2 * TICK_S), "n0: Have")
        heard = heard or said(board.brings("o", chunk, Role.COPIED), "n0: Have")
    wait_s = min(PUSHED_BATCH_S_PER_NEIGHBOUR * neighbours, BATCH_S_MAX)
    assert wait_s - TICK_S <= board.now - began_s <= wait_s + 3 * TICK_S
    assert heard == ["n0: Have " + " ".join(map(str, range(chunk)))]


def test_many_neighbours_hear_less_often() -> None:
    """All together they hear about as often as few."""
    board = Board(100)
    names = [f"n{number}" for number in range(20)]
    for name in names:
        board.joins(name)
    board.brings("b", 1)
    board.brings("b", 2)
    wait_s = BATCH_S_PER_NEIGHBOUR * len(names)
    assert said(board.wait(wait_s - 2 * TICK_S), "Have") == []
    assert said(board.wait(3 * TICK_S), "Have") == [f"{name}: Have 2" for name in names]


def test_a_full_batch_of_pushed_chunks_leaves_at_once() -> None:
    board = Board(1000, slots=0)  # without a slot there is no offer for them to go ahead of
    board.joins("a")
    board.joins("o", origin=True)
    lines: list[str] = []
    for chunk in range(BATCH_MAX):
        assert lines == []
        lines = board.brings("o", chunk, Role.COPIED)
    [line] = lines
    assert len(line.split()) - 2 == BATCH_MAX


def test_what_no_offer_goes_with_is_batched() -> None:
    board = Board()
    board.joins("a")
    board.brings("b", 1)
    lines = board.brings("b", 2) + board.brings("b", 3)
    assert said(lines, "Have") == []
    assert board.wait(BATCH_S + TICK_S) == ["a: Have 2 3"]


def test_a_full_batch_leaves_at_once() -> None:
    board = Board(1000)
    board.joins("a")
    board.brings("b", 999)  # told with an offer, which then stands
    lines = [line for chunk in range(BATCH_MAX) for line in board.brings("b", chunk)]
    assert len(said(lines, "Have")) == 1


def test_a_complete_neighbour_hears_rarely() -> None:
    board = Board()
    board.joins("seed", ALL)
    board.joins("a")
    lines = []
    for chunk in range(8):
        lines += board.brings("b", chunk) + board.wait(0.2)
    seed = said(lines, "seed: Have")
    assert 1 <= len(seed) <= 8 * 0.2 / TO_SEED_S + 1
    assert len(said(lines, "a: Have")) >= 7


def test_a_small_artifacts_haves_are_told_at_once() -> None:
    board = Board(2)
    board.joins("a")
    assert said(board.brings("b", 1), "Have") == ["a: Have 1"]


def test_no_have_is_longer_than_its_limit() -> None:
    board = Board(10_000)
    board.joins("a")
    lines = board.play(ChunksFound(KEY, tuple(range(10_000))))
    haves = [line for line in lines if "Have" in line]
    assert [len(line.split()) - 2 for line in haves] == [
        INDEXES_MAX,
        10_000 - INDEXES_MAX,
    ]


def test_the_last_chunk_leaves_no_have_waiting() -> None:
    board = Board(20, have=range(18))
    board.joins("a")
    board.brings("b", 18)
    assert "a: Have 18 19" in board.brings("b", 19)

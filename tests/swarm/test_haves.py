"""Telling neighbours what arrived: in batches, and rarely to who has everything."""

from __future__ import annotations

from strew.messages import ChunksFound, Request
from strew.swarm.haves import BATCH_MAX, BATCH_S, INDEXES_MAX, TO_SEED_S
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


def test_what_no_offer_goes_with_is_batched() -> None:
    board = Board()
    board.joins("a")
    board.brings("b", 1)
    lines = board.brings("b", 2) + board.brings("b", 3)
    assert said(lines, "Have") == []
    assert board.wait(BATCH_S + TICK_S) == ["a: Have 2 3"]


def test_a_full_batch_leaves_at_once() -> None:
    board = Board(200)
    board.joins("a")
    board.brings("b", 100)  # told with an offer, which then stands
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

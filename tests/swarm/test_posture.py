"""What a swarm says keeps it from receiving and sending more; asking changes nothing."""

from __future__ import annotations

from strew.messages import Role
from strew.telemetry.protocol import Downlink, Uplink
from strew.telemetry.timeline import Posture
from tests.swarm.board import ALL, Board


def posture(board: Board) -> Posture:
    return board.swarm.posture(board.now)


def test_without_neighbours_it_has_yet_to_start() -> None:
    board = Board()
    assert posture(board) == Posture(Downlink.STARTING, Uplink.UNWANTED, 100, awaiting=True)


def test_what_only_the_origin_has_is_nowhere_to_be_asked() -> None:
    board = Board()
    board.joins("o", origin=True)
    assert posture(board) == Posture(Downlink.NOWHERE, Uplink.UNWANTED, 0, awaiting=True)
    board.joins("a", {1, 2})
    assert posture(board)[0] is Downlink.UNOFFERED


def test_what_nobody_has_is_counted() -> None:
    board = Board(have={0})
    board.joins("a", {1, 2})
    assert posture(board).nowhere == 97


def test_from_the_offer_to_the_chunk() -> None:
    board = Board()
    board.joins("a", {1})
    board.joins("b", {2})
    assert posture(board).down is Downlink.UNOFFERED
    [asked] = board.offers("a")
    index = int(asked.split()[2])
    assert posture(board).down is Downlink.ASKED and not posture(board).awaiting
    board.begins("a", index)
    assert posture(board).down is Downlink.RECEIVING
    board.stores("a", index)
    assert posture(board).down is Downlink.UNOFFERED


def test_while_the_last_chunk_that_can_be_had_is_coming_there_is_nothing_to_ask_for() -> None:
    board = Board()
    board.joins("o", origin=True)
    board.joins("a", {1})
    board.offers("a")
    board.begins("a", 1)
    assert posture(board) == Posture(Downlink.RECEIVING, Uplink.UNWANTED, 0, awaiting=True)


def test_what_may_still_come_by_push_is_not_to_be_had_of_others() -> None:
    board = Board()
    board.joins("o", origin=True)
    board.joins("a", {3})
    board.brings("o", 2, Role.COPIED)
    assert posture(board).down is Downlink.NOWHERE
    board.wait(1.05)
    assert posture(board).down is Downlink.UNOFFERED, "pushing is over"


def test_who_has_all_of_it_only_has_to_finish() -> None:
    board = Board(have=ALL)
    board.joins("a", ALL)
    assert posture(board) == Posture(Downlink.FINISHING, Uplink.UNWANTED)


def test_an_uplink_sends_or_is_not_answered_or_not_wanted() -> None:
    board = Board(have={1, 2})
    assert posture(board).up is Uplink.UNWANTED, "nobody is there"
    board.joins("a", {1, 2, 3})
    assert posture(board).up is Uplink.UNWANTED
    board.joins("b", {1})
    assert posture(board).up is Uplink.UNANSWERED
    board.requests("b", 2)
    assert posture(board).up is Uplink.SENDING
    board.sent("b", 2)
    board.has("b", 2)
    assert posture(board).up is Uplink.UNWANTED


def test_asking_changes_nothing() -> None:
    boards = [Board(have={1}) for _ in range(2)]
    for board in boards:
        board.joins("o", origin=True)
        board.joins("a", {2, 3})
    for _ in range(5):
        posture(boards[0])
    played = [board.offers("a") + board.wait(3.0) for board in boards]
    assert played[0] == played[1]

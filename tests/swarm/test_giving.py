"""The origin's half of layer 1 as chess: who is given which chunk, and what is given again."""

from __future__ import annotations

from strew.messages import Request
from strew.swarm.giving import (
    CREDIT_IN_ALL,
    OWNER_CREDIT,
    PIPELINE_MAX,
    SEEN_WITHIN_S,
    UNFIT_S,
    UNSEEN_MAX,
)
from tests.swarm.board import ALL, KEY, Board


def given(lines: list[str]) -> list[tuple[str, int]]:
    """(owner, chunk) of every chunk that is given to an owner."""
    return [(line[0], int(line.split()[2])) for line in lines if line.endswith("owned")]


def pushed(lines: list[str]) -> list[str]:
    return [line for line in lines if "<<" in line]


def origin_with(names: str, chunks: int = 100, slots: int = 8) -> tuple[Board, list[str]]:
    board = Board(chunks, origin=True, push_slots=slots)
    return board, [line for name in names for line in board.joins(name)]


# --- in turn --------------------------------------------------------------------------------------


def test_the_origin_gives_chunks_in_turn() -> None:
    board = Board(10, origin=True, push_slots=3)
    assert board.joins("a") == ["a << 0 owned", "a << 1 owned"]
    assert board.joins("b") == ["b << 2 owned", "b << 3 owned"]
    assert board.joins("c") == ["c << 4 owned"], "three slots are full"
    assert board.sent("a", 0) == [], "the slot is the connection's: a still gets chunk 1"
    assert board.sent("a", 1) == ["a << 5 owned"]


def test_the_origin_sends_each_chunk_once() -> None:
    board, lines = origin_with("abcd", chunks=40)
    everything = list(lines)
    for _ in range(100):
        if not lines:
            break
        batch, lines = given(lines), []
        for owner, chunk in batch:
            lines += board.sent(owner, chunk)
            for mate in "abcd":
                lines += board.has(mate, chunk)
            lines += board.passed(owner, chunk)
        everything += lines
    chunks = [chunk for _, chunk in given(everything)]
    assert sorted(chunks) == list(range(40))
    assert pushed(board.wait(10.0)) == []


def test_an_owner_holds_at_most_its_credit_of_unfinished_chunks() -> None:
    board, lines = origin_with("abcdef")
    credit = max(OWNER_CREDIT, CREDIT_IN_ALL // 6)
    for _ in range(10):
        for owner, chunk in given(lines):
            lines = [line for line in lines if line != f"{owner} << {chunk} owned"]
            lines += board.sent(owner, chunk)
    assert all(len(board.neighbour(n).sending) == 0 for n in "abcdef")
    assert board.swarm.snapshot()["ungiven"] == 100 - 6 * credit
    assert given(board.passed("a", 0)) == [("a", 6 * credit)], "credit buys the next chunk"


def test_a_lone_owner_holds_more_so_that_a_round_trip_idles_nobody() -> None:
    board, lines = origin_with("a")
    while lines:
        lines = [new for owner, chunk in given(lines) for new in board.sent(owner, chunk)]
    assert board.swarm.snapshot()["ungiven"] == 100 - CREDIT_IN_ALL


def test_what_somebody_has_already_is_not_given() -> None:
    board = Board(10, origin=True)
    assert board.joins("a", {0, 1, 2}) == ["a << 3 owned", "a << 4 owned"]


def test_an_origin_that_is_still_being_filled_never_skips_a_chunk() -> None:
    board = Board(10, origin=True)
    board.rots(1)
    assert board.joins("a") == ["a << 0 owned"]


def test_who_may_not_own_is_offered_to_instead() -> None:
    board = Board(10, origin=True)
    assert board.joins("a", fit=False) == ["a: Offer"]


# --- an owner dies --------------------------------------------------------------------------------


def test_chunks_of_an_owner_that_dies_are_given_again() -> None:
    board, lines = origin_with("abc", chunks=6)
    mine = [chunk for owner, chunk in given(lines) if owner == "b"]
    for owner, chunk in given(lines):
        board.sent(owner, chunk)
    assert mine
    lines = board.leaves("b")
    again = given(lines)
    for _ in range(10):
        for owner, chunk in list(again):
            lines = board.sent(owner, chunk) + board.passed(owner, chunk)
            again += [g for g in given(lines) if g not in again]
    assert set(mine) <= {chunk for _, chunk in again}
    assert "b" not in {owner for owner, _ in again}


def test_what_a_dead_owner_was_passing_on_is_given_again_unless_it_came_through() -> None:
    """It offers to all at once and says so; what is under way then dies with it."""
    board, lines = origin_with("abc", chunks=6)
    mine = [chunk for owner, chunk in given(lines) if owner == "b"]
    for owner, chunk in given(lines):
        board.sent(owner, chunk)
    board.passed("b", *mine)
    board.has("b", *mine)
    board.has("c", mine[0])
    again = given(board.leaves("b"))
    for owner, chunk in list(again):
        again += given(board.sent(owner, chunk) + board.passed(owner, chunk))
    assert {chunk for _, chunk in again} >= set(mine[1:])
    assert mine[0] not in {chunk for _, chunk in again}


def test_a_dead_owners_chunk_that_a_mate_has_is_left_to_layer_2() -> None:
    board, lines = origin_with("ab", chunks=2)
    (owner, chunk) = given(lines)[0]
    other = "b" if owner == "a" else "a"
    board.sent(owner, chunk)
    board.has(other, chunk)
    assert (other, chunk) not in given(board.leaves(owner))


def play_on(
    board: Board, lines: list[str], seconds: float, *, dumb: str = "", hoarding: str = ""
) -> list[str]:
    """Owners take what they are given at once; the `dumb` never pass it on nor say so, the
    `hoarding` only say so. Returns every line, those passed in as well."""
    lines, everything = list(lines), list(lines)
    until_s = board.now + seconds
    while board.now < until_s:
        todo, lines = given(lines), []
        for owner, chunk in todo:
            lines += board.sent(owner, chunk) + board.has(owner, chunk)
            if owner not in dumb + hoarding:
                for other in list(board.swarm.neighbours):
                    lines += board.has(other, chunk)
            if owner not in dumb:
                lines += board.passed(owner, chunk)
        lines += board.wait(0.05)
        everything += lines
    return everything


def test_an_owner_that_is_far_too_late_loses_the_chunk_and_the_right_to_own() -> None:
    board, lines = origin_with("abc", chunks=1000)
    lines = play_on(board, lines, 2.0, dumb="c")
    lost = [chunk for owner, chunk in given(lines) if owner == "c"]
    assert len(lost) == CREDIT_IN_ALL // 3
    assert set(lost) <= {chunk for owner, chunk in given(lines) if owner != "c"}, "given again"
    assert "c" not in {owner for owner, _ in given(play_on(board, lines[-4:], 3.0, dumb="c")[4:])}


def test_a_slow_owner_gets_nothing_more_to_own() -> None:
    """Its chunks come through, but each takes four times the others' time."""
    board, lines = origin_with("abc", chunks=1000)
    waiting: list[tuple[float, int]] = []
    mine = []
    for _ in range(60):
        todo, lines = given(lines), []
        for owner, chunk in todo:
            lines += board.sent(owner, chunk)
            if owner == "c":
                mine.append(board.now)
                waiting.append((board.now + 0.4, chunk))
                continue
            lines += board.has("a", chunk) + board.has("b", chunk) + board.passed(owner, chunk)
        for due_s, chunk in [w for w in waiting if w[0] <= board.now]:
            waiting.remove((due_s, chunk))
            lines += board.has("a", chunk) + board.passed("c", chunk)
        lines += board.wait(0.1)
    assert mine[-1] < 102.0, "nothing after the first two seconds"


def test_a_late_owner_may_own_again_after_a_while() -> None:
    board, lines = origin_with("ab", chunks=5000)
    lines = play_on(board, lines, 2.0, dumb="b")
    assert "b" not in {owner for owner, _ in given(lines[-20:])}
    lines = play_on(board, lines[-4:], UNFIT_S, dumb="b")
    assert "b" in {owner for owner, _ in given(lines)}


def test_a_lone_neighbour_is_never_late() -> None:
    """There is nobody to compare it with, or to give to."""
    board, lines = origin_with("a")
    lines = play_on(board, lines, 60.0, dumb="a")
    assert len(given(lines)) == CREDIT_IN_ALL
    assert given(board.passed("a", 0)) == [("a", CREDIT_IN_ALL)]


def test_nothing_is_remembered_of_what_a_lone_neighbour_passed() -> None:
    board, lines = origin_with("a", chunks=100)
    play_on(board, lines, 10.0)
    assert not board.swarm._push.busy


def test_a_chunk_that_never_left_is_given_again() -> None:
    board, lines = origin_with("ab", chunks=4, slots=3)
    assert given(lines) == [("a", 0), ("a", 1), ("b", 2), ("b", 3)]
    assert given(board.not_sent("a", 1)) == [("a", 1)]


def test_a_chunk_that_rotted_at_the_origin_is_not_given_again() -> None:
    board, lines = origin_with("ab", chunks=3)
    assert ("a", 0) in given(lines)
    board.rots(0)
    assert 0 not in {chunk for _, chunk in given(board.not_sent("a", 0))}
    assert 0 not in {chunk for _, chunk in given(board.wait(5.0))}


# --- a chunk that is not seen elsewhere -----------------------------------------------------------


def test_chunks_nobody_sees_are_given_again_and_their_owner_owns_no_more() -> None:
    """It may lie, or be one that only the origin can reach."""
    board, lines = origin_with("abc", chunks=1000)
    lines += board.wait(0.1)
    lines = play_on(board, lines, SEEN_WITHIN_S + 2.0, hoarding="a")
    hoard = [chunk for owner, chunk in given(lines) if owner == "a"]
    assert len(hoard) > UNSEEN_MAX
    assert set(hoard[: UNSEEN_MAX + 1]) <= {c for o, c in given(lines) if o != "a"}
    assert "a" not in {
        owner for owner, _ in given(play_on(board, lines[-4:], 2.0, hoarding="a")[4:])
    }


def test_without_a_witness_nobody_is_accused() -> None:
    """A single machine: nobody else need have its chunks."""
    board, lines = origin_with("a", chunks=1000)
    lines = play_on(board, lines, SEEN_WITHIN_S + 2.0)
    chunks = [chunk for _, chunk in given(lines)]
    assert len(chunks) == len(set(chunks)) > 100
    assert given(lines)[-1][1] == max(chunks), "and it goes on"


def test_who_cannot_own_is_no_witness() -> None:
    """One machine among some that fetch only from their own sources."""
    board = Board(1000, origin=True)
    lines = board.joins("a") + board.joins("u", fit=False)
    lines = play_on(board, lines, SEEN_WITHIN_S + 2.0, hoarding="a")
    chunks = [chunk for _, chunk in given(lines)]
    assert len(chunks) == len(set(chunks)) > 100


def test_when_most_owners_are_unfit_all_of_them_own() -> None:
    """It is rather the origin that was slow, or its link."""
    board, lines = origin_with("abcd", chunks=1000)
    play_on(board, lines, 3.0, dumb="abcd")
    lines = board.passed("a", *range(1000))
    assert "a" in {owner for owner, _ in given(lines + board.wait(0.1))}


# --- by a plan ------------------------------------------------------------------------------------


def planned(names: str, chunks: int = 60) -> tuple[Board, list[str]]:
    board = Board(chunks, origin=True)
    board.names(*names)
    return board, [line for name in names for line in board.joins(name)]


def play_by(board: Board, lines: list[str], *, deaf: str = "") -> list[tuple[str, int]]:
    """Everybody but the deaf takes what it is given, passes it on and says so."""
    found: list[tuple[str, int]] = []
    while gifts := given(lines):
        found += gifts
        lines = []
        for owner, chunk in gifts:
            if owner not in deaf:
                lines += board.sent(owner, chunk)
                for name in board.swarm.neighbours:
                    lines += board.has(name, chunk)
                lines += board.passed(owner, chunk)
    return found


def test_each_chunk_is_given_to_the_entry_of_its_stripe() -> None:
    board, lines = planned("abcde")
    stripe_of = board.swarm._push.view.stripe_of
    gifts = play_by(board, lines)
    assert len(gifts) == 60
    assert all(owner == "abcde"[stripe_of(chunk)] for owner, chunk in gifts[10:50])


def test_a_stripe_that_stands_still_holds_nobody_up_for_long() -> None:
    board, lines = planned("abcde")
    gifts = play_by(board, lines, deaf="c")
    taken = {chunk for owner, chunk in gifts if owner != "c"}
    held = {chunk for owner, chunk in gifts if owner == "c"}
    assert len(held) <= OWNER_CREDIT + PIPELINE_MAX
    assert taken | held == set(range(60))


def test_while_it_gives_by_a_plan_it_neither_offers_nor_serves() -> None:
    board, lines = planned("abc")
    assert not [line for line in lines + board.offers("a") if "Offer" in line]
    assert pushed(board.hears("b", Request(KEY, 50))) == []


def test_what_only_a_neighbour_that_left_claimed_to_have_is_given() -> None:
    board = Board(4, origin=True)
    board.joins("liar", ALL)
    assert given(board.joins("a")) == []
    assert {chunk for _, chunk in given(board.leaves("liar"))} <= set(range(4))
    assert board.swarm._push.giving.busy

"""The origin's half of layer 1 as chess: who is given which chunk, and what is given again."""

from __future__ import annotations

from strew.swarm.giving import (
    BEHIND_ROUNDS,
    CREDIT_IN_ALL,
    FIRST_GIVES_MAX,
    FORGIVEN_CHUNKS,
    LATE_RATIO,
    OWNER_CREDIT,
    PASS_TIME_FIRST_MAX_S,
    PIPELINE_MAX,
    SEEN_WITHIN_S,
    TAIL_S,
    UNFIT_S,
    UNSEEN_MAX,
    WITHHELD_S,
)
from strew.swarm.planning import PLAN_PERIOD_S, SETTLE_S
from strew.swarm.swarm import TICK_S
from tests.swarm.board import ALL, Board


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


def test_when_all_who_ever_passed_a_chunk_on_are_gone_the_others_are_judged_anew() -> None:
    board, lines = origin_with("abcd", chunks=1000)
    play_on(board, lines, 1.0, dumb="cd")
    board.leaves("a")
    lines = board.leaves("b") + board.wait(0.2)
    assert {owner for owner, _ in given(play_on(board, lines, 40.0))} == {"c", "d"}


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


def planned(names: str, chunks: int = 60, slots: int = 24) -> tuple[Board, list[str]]:
    """An origin and the star it planned."""
    board = Board(chunks, origin=True, push_slots=slots)
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


def one_by_one(board: Board, lines: list[str], count: int) -> list[tuple[str, int]]:
    """With one slot: each takes its chunk and passes it on before the next is given."""
    found = given(lines)
    while len(found) < count:
        owner, chunk = found[-1]
        lines = board.passed(owner, chunk) + board.sent(owner, chunk)
        found += given(lines)
        assert given(lines), "the origin is idle"
    return found


def test_until_as_many_were_given_as_there_are_entries_few_are_sent_to_at_once() -> None:
    board, lines = planned("abcde")
    assert given(lines) == [("a", 0), ("a", 5), ("b", 1)], "a was there alone"
    assert board.slots.pushing == FIRST_GIVES_MAX
    assert given(board.sent("b", 1)) == [("c", 2)]
    lines = board.sent("c", 2)
    assert given(lines)[:2] == [("d", 3), ("e", 4)]
    assert board.slots.pushing == 5, "from then on all of them"


def test_entries_take_turns() -> None:
    board, lines = planned("abc", slots=1)
    assert one_by_one(board, lines, 9) == [("abc"[chunk % 3], chunk) for chunk in range(9)]


def test_a_stripe_that_was_passed_over_catches_up_on_a_few_chunks_and_no_more() -> None:
    board, lines = planned("abc", slots=1)
    board.neighbour("c").skip(board.now)
    rounds = FORGIVEN_CHUNKS + 1
    found = one_by_one(board, lines, 2 * rounds)
    assert "c" not in {owner for owner, _ in found}
    board.neighbour("c").skipped_until_s = board.now
    after = one_by_one(board, lines=[f"{found[-1][0]} << {found[-1][1]} owned"], count=8)[1:]
    expected = [("c", 3 * n + 2) for n in range(FORGIVEN_CHUNKS)]
    assert after[:FORGIVEN_CHUNKS] == expected
    assert after[FORGIVEN_CHUNKS] == ("a", 3 * rounds), "the rest of the stripe waits its turn"


def test_an_entry_takes_the_next_chunk_of_a_stripe_that_is_rounds_behind() -> None:
    board, lines = planned("abc", slots=1)
    board.neighbour("c").skip(board.now)
    found = one_by_one(board, lines, 30)
    taken = [(at, chunk) for at, (_, chunk) in enumerate(found) if chunk % 3 == 2]
    for at, chunk in taken:
        assert found[at - 1][1] >= chunk + 3 * (BEHIND_ROUNDS - 1), "not before"
    for at, (_, chunk) in enumerate(found):
        late = set(range(2, chunk - 3 * BEHIND_ROUNDS, 3))
        assert late <= {n for _, n in found[:at]}, "and not much later"
    assert taken


def test_whoever_has_no_place_gets_a_chunk_only_when_none_that_has_one_can_take_it() -> None:
    board, lines = planned("ab", slots=1)
    lines += board.joins("x")
    assert "x" not in {owner for owner, _ in one_by_one(board, lines, 20)}
    board, lines = planned("ab", slots=3)
    assert given(board.joins("x")) == [("x", 4)], "both have something on their way"


def test_in_a_striped_group_only_entries_are_given_chunks() -> None:
    names = [f"n{number}" for number in range(40)]
    board = Board(1000, origin=True)
    board.names(*names)
    lines = [line for name in names for line in board.joins(name)]
    entries = board.swarm._push.view.entries
    for _ in range(5):
        for line in pushed(lines):
            lines = board.sent(line.split()[0], int(line.split()[2])) + lines
    owners = {line.split()[0] for line in pushed(lines)}
    assert owners == set(names[:entries])


def test_what_is_left_is_dealt_out_anew_by_a_new_plan() -> None:
    board, lines = planned("abc")
    before = given(lines)
    while lines:
        lines = [new for owner, chunk in given(lines) for new in board.sent(owner, chunk)]
        before += given(lines)
    board.names("d")
    board.wait(2 * PLAN_PERIOD_S + SETTLE_S)
    lines = board.joins("d")
    for owner, chunk in before:
        lines += board.passed(owner, chunk)
    after: list[tuple[str, int]] = []
    while gifts := given(lines):
        after += gifts
        lines = []
        for owner, chunk in gifts:
            lines += board.sent(owner, chunk) + board.passed(owner, chunk)
    assert sorted(chunk for _, chunk in before + after) == list(range(60)), "each once"
    assert after and all(owner == "abcd"[chunk % 4] for owner, chunk in after[:20])


def test_nobody_returns_the_credit_of_another() -> None:
    board, lines = origin_with("ab")
    for _ in range(CREDIT_IN_ALL):
        lines = [new for owner, chunk in given(lines) for new in board.sent(owner, chunk)]
    assert not lines, "no credit is left"
    assert given(board.passed("b", 0)) == []
    assert len(given(board.passed("a", 0))) == 1
    assert given(board.passed("a", 0)) == [], "nor twice"


# --- withheld -------------------------------------------------------------------------------------


def stalled(names: str = "abc") -> Board:
    """An origin that can give nothing more by its plan: all took what they were given, and nobody
    passes it on."""
    board, lines = planned(names, chunks=1000)
    while lines:
        lines = [new for owner, chunk in given(lines) for new in board.sent(owner, chunk)]
    return board


def offers(lines: list[str]) -> list[str]:
    return [line for line in lines if line.endswith(("Offer", "Close"))]


def test_while_a_plan_is_carried_out_the_origin_serves_only_who_is_no_part_of_it() -> None:
    board = stalled()
    assert board.requests("a", 500) == ["a: Nack 500"]
    assert offers(board.joins("u", fit=False)) == []
    assert board.requests("u", 500) == ["u << 500 served"], "it gets nothing by push"


def test_an_origin_that_can_give_nothing_serves_everybody_until_it_gives_again() -> None:
    board = stalled()
    assert offers(board.wait(WITHHELD_S - TICK_S)) == []
    assert sorted(offers(board.wait(2 * TICK_S))) == ["a: Offer", "b: Offer", "c: Offer"]
    lines = board.passed("a", 0)
    assert len(given(lines)) == 1
    assert sorted(offers(lines)) == ["a: Close", "b: Close", "c: Close"]
    assert board.requests("b", 500) == ["b: Nack 500"]


def test_without_a_plan_nothing_is_withheld() -> None:
    board, lines = origin_with("ab", chunks=1000)
    while lines:
        lines = [new for owner, chunk in given(lines) for new in board.sent(owner, chunk)]
    assert board.requests("a", 500) == ["a << 500 served"]


def test_the_last_chunk_is_left_time_to_come_down_before_the_origin_serves() -> None:
    board, lines = planned("ab", chunks=4)
    while gifts := given(lines):
        lines = []
        for owner, chunk in gifts:
            lines += board.sent(owner, chunk) + board.passed(owner, chunk)
    assert board.swarm.snapshot()["ungiven"] == 0
    assert board.requests("a", 1) == ["a: Nack 1"]
    assert offers(board.wait(TAIL_S - TICK_S)) == []
    assert sorted(offers(board.wait(2 * TICK_S))) == ["a: Offer", "b: Offer"]


# --- lost with those that left --------------------------------------------------------------------


def test_what_only_a_neighbour_that_left_had_or_claimed_to_have_is_given() -> None:
    board = Board(10, origin=True)
    board.joins("s", ALL)
    assert given(board.joins("a")) == [], "somebody has everything"
    assert given(board.leaves("s")) == [("a", 0), ("a", 1)]


def test_what_others_have_is_not_given_again_when_one_leaves() -> None:
    board = Board(10, origin=True)
    board.joins("s", ALL)
    board.joins("t", range(1, 9))
    board.joins("a")
    lines = board.leaves("s")
    lines += [new for owner, chunk in given(lines) for new in board.sent(owner, chunk)]
    assert sorted(chunk for _, chunk in given(lines)) == [0, 9]


def test_when_all_are_gone_the_next_crowd_is_given_everything() -> None:
    board, lines = origin_with("ab", chunks=30)
    lines = play_on(board, lines, 3.0)
    assert len(given(lines)) == 30
    board.leaves("a")
    board.leaves("b")
    lines = play_on(board, board.joins("c"), 3.0)
    assert sorted(chunk for _, chunk in given(lines)) == list(range(30))


# --- clocks and witnesses -------------------------------------------------------------------------


def test_when_this_process_stood_still_no_owner_was_late() -> None:
    board, lines = origin_with("ab", chunks=4)
    for owner, chunk in given(lines):
        board.sent(owner, chunk)
    late_s = PASS_TIME_FIRST_MAX_S * LATE_RATIO
    board.now += late_s + 1.0
    assert given(board.wait(1.0)) == []
    assert given(board.wait(late_s)), "but these are late"


def test_who_keeps_up_with_nobody_is_no_witness() -> None:
    """It waits for layer 2, and says nothing about what comes by push."""
    board = Board(2000, origin=True)
    lines = board.joins("a") + board.joins("w")
    board.joins("u", range(1000, 2000), fit=False)  # that far the others are
    lines = play_on(board, lines, SEEN_WITHIN_S + 2.0, hoarding="a")
    chunks = [chunk for _, chunk in given(lines)]
    assert len(board.neighbour("w").have) < 500, "else this proves nothing"
    assert len(chunks) == len(set(chunks)) > 100


def test_who_came_after_the_chunk_is_no_witness() -> None:
    board, lines = origin_with("a", chunks=400)
    lines += board.joins("u", fit=False)  # so that a is not alone
    play_on(board, lines, 0.5, hoarding="a")
    hoard = {chunk for chunk in range(200) if chunk in board.neighbour("a").have}
    assert hoard
    lines = board.joins("w", range(200, 400))  # it keeps up with a
    again = given(play_on(board, lines, SEEN_WITHIN_S, hoarding="a"))
    assert not hoard & {chunk for _, chunk in again}

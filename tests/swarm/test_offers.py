"""Layer 2 as chess: offers, requests, renewals, and neighbours that are slow, stalled or lie."""

from __future__ import annotations

import pytest

from strew.messages import Role
from strew.swarm.frontier import LAG_RATIO, LAG_SPARE
from strew.swarm.layout import STAR_MAX
from strew.swarm.liars import BAN_BAD_S
from strew.swarm.neighbour import STALLS_MAX
from strew.swarm.offers import (
    BAN_STALLED_S,
    STALL_DEFAULT_S,
    STALL_RATIO,
    STARVED_AFTER_S,
    UNANSWERED_MIN_S,
)
from strew.swarm.pace import TIMED_MIN
from strew.swarm.serving import QUIET_S, RUN_MAX
from strew.swarm.swarm import TICK_S
from tests.swarm.board import ALL, Board


def asked(lines: list[str]) -> list[tuple[str, int]]:
    """(sender, chunk) of every request and renewal."""
    return [
        (line.split(":")[0], int(line.split()[2]))
        for line in lines
        if "Request" in line or "Renew" in line
    ]


# --- the uploader ---------------------------------------------------------------------------------


def test_who_lacks_something_is_offered_to_and_served_what_it_names() -> None:
    board = Board(have={1, 2})
    assert board.joins("a") == ["a: Offer"]
    assert board.requests("a", 2) == ["a << 2 served"]


def test_who_lacks_nothing_of_mine_is_left_alone() -> None:
    board = Board(have={1, 2})
    assert board.joins("a", {1, 2, 3}) == []
    assert board.joins("b", ALL) == []


def test_one_open_offer_per_neighbour() -> None:
    board = Board(have={1, 2})
    board.joins("a")
    assert board.wait(1.0) == []
    assert board.brings("z", 3) == []


def test_offers_close_when_the_slots_fill_and_open_when_one_is_free() -> None:
    board = Board(have=ALL, slots=2)
    for name in "abc":
        assert board.joins(name) == [f"{name}: Offer"]
    assert board.requests("a", 1) == ["a << 1 served"]
    assert board.requests("b", 1) == ["b << 1 served", "c: Close"]
    assert board.requests("c", 1) == ["c: Nack 1"], "it crossed with the Close"
    board.wait(2 * QUIET_S)
    assert board.sent("a", 1) == ["a: Offer", "c: Offer"]


def test_a_renewal_keeps_the_same_receiver_without_a_gap() -> None:
    board = Board(have=ALL, slots=1)
    board.joins("a")
    board.joins("b")
    board.requests("a", 1)
    assert board.renews("a", 2) == ["a << 2 served"], "right after the running one"
    assert board.renews("a", 3) == ["a: Nack 3"], "one in advance is enough"
    assert board.sent("a", 1) == [], "the slot goes on to chunk 2; b waits"


def test_a_run_ends_after_64_chunks_if_others_wait() -> None:
    board = Board(1000, have=ALL, slots=1)
    board.joins("a")
    board.joins("b")
    board.requests("a", 0)
    for chunk in range(1, RUN_MAX):
        assert board.renews("a", chunk) == [f"a << {chunk} served"]
        board.sent("a", chunk - 1)
    assert board.renews("a", RUN_MAX) == [f"a: Nack {RUN_MAX}"]
    assert board.sent("a", RUN_MAX - 1) == ["b: Offer"], "a is quiet for a moment: b's turn"


def test_a_run_goes_on_while_nobody_else_waits() -> None:
    board = Board(1000, have=ALL, slots=1)
    board.joins("a")
    board.requests("a", 0)
    for chunk in range(1, 2 * RUN_MAX):
        assert board.renews("a", chunk) == [f"a << {chunk} served"]
        board.sent("a", chunk - 1)


def test_a_nack_does_not_spin() -> None:
    """Asked for what it does not have, and asked again at once for ever."""
    board = Board(have={1}, slots=1)
    lines = board.joins("a")
    refusals = 0
    for _ in range(100):
        if "a: Offer" in lines:
            assert board.requests("a", 9) == ["a: Nack 9"]
            refusals += 1
        lines = board.wait(0.01)
    assert 2 <= refusals <= 1.0 / QUIET_S, "in one second"


def test_a_refused_request_is_made_again_only_after_a_new_offer() -> None:
    board = Board()
    board.joins("a", {4})
    assert board.offers("a") == ["a: Request 4"]
    assert board.refuses("a", 4) == []
    assert asked(board.wait(0.9)) == []
    assert board.offers("a") == ["a: Request 4"]


@pytest.mark.parametrize("index", [-1, 100, 1 << 40])
def test_a_request_for_a_chunk_that_is_not_is_refused(index: int) -> None:
    board = Board(have=ALL)
    board.joins("a")
    assert board.requests("a", index) == [f"a: Nack {index}"]


def test_a_chunk_asked_twice_is_sent_once() -> None:
    board = Board(have=ALL)
    board.joins("a")
    board.requests("a", 1)
    assert board.requests("a", 1) == []


def test_a_cancelled_chunk_leaves_the_queue() -> None:
    board = Board(have=ALL)
    board.joins("a")
    board.requests("a", 1)
    board.renews("a", 2)
    assert board.cancels("a", 2) == ["unsend a 2"]
    assert board.not_sent("a", 2) == []
    assert board.sent("a", 1) == ["a: Offer"]
    assert board.slots.serving == 0


# --- the receiver ---------------------------------------------------------------------------------


def test_credit_bounds_what_is_asked_for_and_not_coming_yet() -> None:
    board = Board(credit=2)
    for name in "abc":
        board.joins(name, ALL)
    assert len(asked(board.offers("a"))) == 1
    assert len(asked(board.offers("b"))) == 1
    assert board.offers("c") == [], "parked"
    [chunk] = board.neighbour("a").requested
    lines = asked(board.begins("a", chunk))
    assert lines[0][0] == "a", "its running chunk is renewed: no pace is known yet"
    assert board.neighbour("c").parked_s is not None


def test_a_closed_offer_is_not_answered() -> None:
    board = Board(credit=1)
    board.joins("a", {1, 2})
    board.joins("b", {3})
    assert board.offers("b") == ["b: Request 3"]
    assert board.offers("a") == []
    assert board.closes("a") == []
    assert board.stores("b", 3)[:1] == ["b: Cancel 3"] or board.neighbour("a").parked_s is None
    assert not board.neighbour("a").requested


def test_no_chunk_is_asked_of_two() -> None:
    board = Board()
    board.joins("a", {4})
    board.joins("b", {4})
    assert board.offers("a") == ["a: Request 4"]
    assert board.offers("b") == []


def test_the_rarest_of_a_few_is_asked_for() -> None:
    board = Board(4)
    board.joins("x", {0, 1, 2})
    board.joins("y", {0, 1, 2})
    board.joins("a", ALL)
    assert asked(board.offers("a")) == [("a", 3)]


def test_before_a_chunk_ends_the_next_is_asked_of_the_same_sender() -> None:
    board = Board()
    board.joins("a", {1, 2})
    board.joins("b", {1, 2, 3})
    [(_, first)] = asked(board.offers("a"))
    [(sender, second)] = asked(board.begins("a", first))
    assert sender == "a" and {first, second} == {1, 2}
    assert asked(board.stores("a", first)) == []
    assert board.begins("a", second) == [], "a has nothing more"


def test_who_answers_late_is_not_renewed_while_another_offers() -> None:
    """A slow machine's requests wait behind its own payload: three runs with such ones would take
    all the credit there is, and leave the downlink idle."""
    board = Board(credit=1)
    for name in "ab":
        board.joins(name, ALL)
    [(_, first)] = asked(board.offers("a"))
    assert board.offers("b") == []
    board.wait(0.2)
    [(sender, _)] = asked(board.begins("a", first))
    assert sender == "b"


def test_who_answers_late_is_renewed_if_nobody_else_offers() -> None:
    board = Board(credit=1)
    board.joins("a", ALL)
    [(_, first)] = asked(board.offers("a"))
    board.wait(0.2)
    [(sender, _)] = asked(board.begins("a", first))
    assert sender == "a"


def test_a_run_without_gaps_is_one_of_prompt_answers_however_early_it_is_asked_for() -> None:
    board = Board()
    board.joins("a", ALL)
    [(_, first)] = asked(board.offers("a"))
    [(_, second)] = asked(board.begins("a", first))
    board.wait(0.5)
    board.stores("a", first)
    board.begins("a", second)
    assert board.neighbour("a").answer_s == 0.0


def test_who_takes_least_from_request_to_end_is_asked_first() -> None:
    """Not who sends most quickly once it does."""
    board = Board(credit=1)
    board.joins("quick", {1, 2})
    board.joins("prompt", {3, 4})
    board.joins("busy", {5})
    for name, answers_s, takes_s in (("quick", 0.4, 0.01), ("prompt", 0.0, 0.05)):
        [(_, index)] = asked(board.offers(name))
        board.wait(answers_s)
        [(_, renewed)] = asked(board.begins(name, index))
        board.wait(takes_s)
        board.stores(name, index)
        board.refuses(name, renewed)
    [(_, index)] = asked(board.offers("busy"))
    assert board.offers("quick") == board.offers("prompt") == []
    assert [name for name, _ in asked(board.refuses("busy", index))] == ["prompt"]
    assert board.neighbour("quick").received_rate > board.neighbour("prompt").received_rate


def test_a_long_chunk_is_renewed_shortly_before_it_ends() -> None:
    board = Board()
    board.joins("a", ALL)
    [(_, first)] = asked(board.offers("a"))
    [(_, second)] = asked(board.begins("a", first))
    board.wait(0.9)  # so it takes 0.9 s
    board.stores("a", first)
    assert asked(board.begins("a", second)) == []
    assert asked(board.wait(0.7)) == []
    assert [sender for sender, _ in asked(board.wait(0.2))] == ["a"]


def test_pushed_chunks_start_no_run() -> None:
    board = Board()
    board.joins("a", ALL)
    assert asked(board.begins("a", 1, Role.COPIED)) == []


def test_a_chunk_released_a_moment_ago_is_not_asked_for() -> None:
    board = Board()
    board.joins("a")
    board.joins("b")
    board.joins("o", origin=True)
    board.brings("o", 1, Role.COPIED)  # pushing has begun
    board.has("a", 2)
    assert asked(board.offers("a")) == [], "it is on its way by push"
    assert ("a", 2) in asked(board.wait(2.0)), "or is it not?"


def test_a_chunk_that_pushing_has_left_far_behind_is_asked_for_at_once() -> None:
    board = Board(400)
    board.joins("a")
    board.joins("o", origin=True)
    board.brings("o", 1, Role.COPIED)
    board.has("a", 2)
    assert asked(board.offers("a")) == []
    assert asked(board.brings("o", 399, Role.COPIED)) == [("a", 2)]


def young_board() -> Board:
    """Chunks come by push; a offers 2, which may come that way as well."""
    board = Board()
    board.joins("a")
    board.joins("o", origin=True)
    board.brings("o", 1, Role.COPIED)
    board.has("a", 2)
    assert asked(board.offers("a")) == []
    return board


def test_while_an_origin_offers_what_it_pushed_before_is_asked_for() -> None:
    """It gives nothing by its plan then."""
    board = young_board()
    assert asked(board.offers("o")) == [("a", 2)]


def test_when_an_origin_takes_its_offer_back_it_pushes_again() -> None:
    board = young_board()
    board.offers("o")
    board.closes("o")
    board.has("a", 3)
    assert asked(board.offers("a")) == []


def test_while_an_origin_serves_what_it_pushed_before_is_asked_for() -> None:
    board = young_board()
    assert asked(board.begins("o", 5)) == [("a", 2)]


@pytest.mark.parametrize("came", [False, True])
def test_what_is_as_late_as_one_that_came_by_push_after_all_is_not_asked_for(came: bool) -> None:
    late = 500 - LAG_SPARE - LAG_RATIO * STAR_MAX - 10
    board = Board(600, have={late})
    board.joins("a")
    board.joins("o", origin=True)
    board.brings("o", 500, Role.COPIED)
    if came:
        assert board.begins("o", late, Role.COPIED) == [f"discard o {late}"]
    board.has("a", late + 1)
    assert asked(board.offers("a")) == ([] if came else [("a", late + 1)])


def test_what_most_neighbours_have_left_behind_is_asked_for() -> None:
    """Nothing may come here by push though it goes on elsewhere."""
    board = Board(400)
    board.joins("o", origin=True)
    for name in "abc":
        board.joins(name, range(300))
    board.brings("o", 1, Role.COPIED)
    assert asked(board.offers("a")) == []
    [(name, index)] = asked(board.wait(TICK_S))
    assert name == "a" and index < 300 - LAG_SPARE - LAG_RATIO * STAR_MAX


def test_what_comes_by_push_is_asked_of_nobody_else() -> None:
    board = Board()
    board.joins("a", {1})
    board.joins("b")
    board.offers("a")
    assert board.begins("b", 1, Role.COPIED) == ["a: Cancel 1"]


# --- locality -------------------------------------------------------------------------------------


def test_a_far_neighbour_is_asked_only_for_what_nobody_near_has() -> None:
    board = Board(4, zone="here")
    board.joins("n", {0, 1, 2}, zone="here")
    board.joins("f", ALL, zone="there")
    assert asked(board.offers("f")) == [("f", 3)]
    assert board.offers("f") == []


def test_near_comes_first_and_the_origin_last() -> None:
    board = Board(100, zone="here", credit=1)
    board.joins("f", ALL, zone="there")
    board.joins("o", origin=True, zone="here")
    board.joins("n", set(range(90)), zone="here")
    board.joins("p", {95}, zone="here", fit=False)
    [(_, chunk)] = asked(board.offers("p"))
    assert chunk == 95
    assert board.offers("o") == board.offers("f") == board.offers("n") == []
    assert [sender for sender, _ in asked(board.begins("p", 95))] == ["n"]


def test_the_origin_is_asked_only_for_what_nobody_else_has() -> None:
    board = Board(4)
    board.joins("o", origin=True)
    board.joins("n", {0, 1, 2})
    assert asked(board.offers("o")) == [("o", 3)]


def test_while_the_origin_pushes_it_is_asked_for_nothing() -> None:
    board = Board()
    board.joins("o", origin=True)
    board.brings("o", 1, Role.OWNED)
    assert asked(board.offers("o")) == []
    assert asked(board.wait(1.5)), "the pushing has ended: what is missing is asked for"


def test_dead_wood_nearby_does_not_hide_a_far_holder() -> None:
    """Near a says it has everything and never offers; after a hungry second f is asked."""
    board = Board(zone="here")
    board.joins("a", ALL, zone="here")
    board.joins("f", ALL, zone="there")
    assert asked(board.offers("f")) == []
    assert asked(board.wait(STARVED_AFTER_S - 0.1)) == []
    assert [sender for sender, _ in asked(board.wait(0.3))] == ["f"]


# --- slow, stalled, vanished ----------------------------------------------------------------------


def stalled_board() -> tuple[Board, int]:
    """a has begun to send a chunk that b has as well; some came from b before."""
    board = Board(credit=1)
    board.joins("a", set(range(50)))
    board.joins("b", ALL)
    for chunk in range(60, 64):
        board.begins("b", chunk)
        board.now += 0.1
        board.stores("b", chunk)
    board.refuses("b", next(iter(board.neighbour("b").requested), 0))
    [(_, chunk)] = asked(board.offers("a"))
    board.begins("a", chunk)
    return board, chunk


def test_a_stalled_chunk_is_asked_elsewhere_within_ten_seconds() -> None:
    board, chunk = stalled_board()
    lines = []
    for _ in range(100):
        lines += board.offers("b") + board.wait(0.1)
        for sender, other in asked(lines):
            if sender == "b" and other != chunk and other in board.neighbour("b").requested:
                lines += board.brings("b", other)
    assert ("b", chunk) in asked(lines)


def test_a_neighbour_that_stalls_three_times_is_replaced() -> None:
    board, _ = stalled_board()
    board.wait(30.0)
    assert board.drops[0] == ("a", "stalled", BAN_STALLED_S)
    assert board.neighbour("a").stalls >= STALLS_MAX


def test_what_a_stalled_neighbour_was_to_send_next_is_asked_elsewhere() -> None:
    """Not for ever renewed with the one that does not move."""
    board, _ = stalled_board()
    waiting = set(board.neighbour("a").requested)
    board.wait(3.0)
    assert not board.neighbour("a").requested
    assert waiting, "it had been renewed"
    assert not any(board.swarm._state.in_flight >> chunk & 1 for chunk in waiting)


def test_a_stalled_neighbour_is_kept_while_nobody_else_has_the_chunk() -> None:
    board = Board()
    board.joins("a", {1})
    board.offers("a")
    board.begins("a", 1)
    board.wait(60.0)
    assert board.drops == []
    assert board.stores("a", 1)[-1:] == ["a: Have 1"] or 1 in board.swarm.have


def test_where_all_stall_it_may_be_the_own_link_and_nobody_is_dropped() -> None:
    board = Board(credit=2)
    for name in "abc":
        board.joins(name, ALL)
    for sender, chunk in asked(board.offers("a") + board.offers("b")):
        board.begins(sender, chunk)
    board.wait(60.0)
    assert board.drops == []


def test_where_another_delivers_the_one_that_stalls_is_dropped() -> None:
    board = Board(credit=4)
    for name in "abc":
        board.joins(name, ALL)
    for _ in range(TIMED_MIN):  # so that it is known how long a chunk takes
        board.brings("c", dict(asked(board.offers("c")))["c"])
    chunks = dict(asked(board.offers("a") + board.offers("b")))
    for sender, chunk in chunks.items():
        board.begins(sender, chunk)
    for _ in range(STALLS_MAX + 1):
        board.wait(3.0)
        [(_, chunk)] = asked(board.offers("c"))[:1] or [("c", 0)]
        board.brings("c", chunk)
    assert {who for who, _, _ in board.drops} >= {"a", "b"}


def test_nobody_is_blamed_before_it_is_known_how_long_a_chunk_takes_beside_others() -> None:
    """A thin link that all of them share: some come, and the others take long."""
    board = Board(credit=3)
    for name in "abc":
        board.joins(name, ALL)
    chunks = dict(asked(board.offers("a") + board.offers("b") + board.offers("c")))
    for sender, chunk in chunks.items():
        board.begins(sender, chunk)
    for _ in range(STALLS_MAX + 1):
        board.wait(STALL_DEFAULT_S * STALL_RATIO + 0.5)
        [(_, chunk)] = asked(board.offers("c"))[:1] or [("c", chunks["c"])]
        board.brings("c", chunk)
    assert board.drops == []
    assert board.neighbour("a").stalls == board.neighbour("b").stalls == 0


def test_more_chunks_than_usual_at_once_may_take_longer() -> None:
    """A thin link that one had for itself, and then four share."""
    usual_s = 0.8 * STALL_DEFAULT_S
    board = Board(credit=9)
    for name in "abcde":
        board.joins(name, ALL)
    for _ in range(TIMED_MIN):
        [(_, chunk)] = asked(board.offers("e"))
        board.begins("e", chunk)
        board.wait(usual_s)
        board.stores("e", chunk)
        board.refuses("e", next(iter(board.neighbour("e").requested), 0))
    under_way = set()
    for name in "abcd":
        [(_, chunk)] = asked(board.offers(name))
        board.begins(name, chunk)
        under_way.add(chunk)
    board.joins("f", under_way)
    board.offers("f")
    early = dict(asked(board.wait(STALL_RATIO * usual_s + 1.0)))
    assert "f" not in early, "each has a quarter of the link"
    late = dict(asked(board.wait(3 * STALL_RATIO * usual_s)))
    assert late["f"] in under_way


def test_one_chunk_that_comes_forgives_the_stalls_before_it() -> None:
    board, chunk = stalled_board()
    board.wait(STALL_DEFAULT_S + 0.5)
    assert board.neighbour("a").stalls > 0
    board.stores("a", chunk)
    assert board.neighbour("a").stalls == 0


def test_the_first_chunk_over_a_slow_link_is_not_called_stalled() -> None:
    """4 MiB over 1 MB/s: nothing was timed yet, and the renewal waits behind it."""
    board = Board()
    board.joins("a", ALL)
    board.joins("b", ALL)
    [(_, chunk)] = asked(board.offers("a"))
    board.begins("a", chunk)
    board.wait(4.2)
    assert board.drops == []
    assert board.neighbour("a").stalls == 0


def test_an_unanswered_request_is_made_elsewhere() -> None:
    board = Board()
    board.joins("a", {1})
    board.offers("a")
    board.joins("b", {1})
    assert board.offers("b") == []
    lines = board.wait(UNANSWERED_MIN_S + 0.2)
    assert lines[0] == "a: Cancel 1"
    assert asked(lines) == [("b", 1)]


def test_who_offers_and_never_sends_is_replaced() -> None:
    board = Board()
    board.joins("a", ALL)
    board.joins("b", ALL)
    for _ in range(STALLS_MAX):
        assert len(asked(board.offers("a"))) == 1
        board.wait(UNANSWERED_MIN_S + 0.2)
    assert board.drops == [("a", "stalled", BAN_STALLED_S)]


def test_what_a_vanished_neighbour_was_sending_is_asked_elsewhere() -> None:
    board = Board()
    board.joins("a", {1, 2})
    board.joins("b", {1, 2})
    [(_, first)] = asked(board.offers("a"))
    board.begins("a", first)
    board.offers("b")
    lines = board.leaves("a")
    assert [sender for sender, _ in asked(lines)] == ["b"]
    assert {c for _, c in asked(lines + board.offers("b"))} == {1, 2}


def test_a_vanished_receiver_gives_its_slot_back() -> None:
    board = Board(have=ALL, slots=1)
    board.joins("a")
    board.joins("b")
    board.requests("a", 1)
    assert board.leaves("a") == ["unsend a 1", "b: Offer"]
    assert board.slots.serving == 0


def test_what_is_broken_off_is_asked_again() -> None:
    board = Board()
    board.joins("a", {1})
    board.offers("a")
    board.begins("a", 1)
    board.aborts("a", 1)
    assert board.offers("a") == ["a: Request 1"]


# --- liars ----------------------------------------------------------------------------------------


def test_a_liar_is_dropped_on_the_second_bad_chunk() -> None:
    board = Board()
    board.joins("a", {1, 2, 3})
    board.joins("b", {1, 2, 3})
    [(_, first)] = asked(board.offers("a"))
    board.begins("a", first)
    lines = board.corrupts("a", first)
    assert f"a: BadChunk {first}" in lines and board.drops == []
    [second] = board.neighbour("a").requested or [None]
    if second is None:
        [(_, second)] = asked(board.offers("a"))
    board.begins("a", second)
    lines = board.corrupts("a", second)
    assert f"a: BadChunk {second}" in lines and "drop a" in lines
    assert board.drops == [("a", "sent two chunks with wrong digests", BAN_BAD_S)]


def test_a_liar_that_leaves_and_comes_back_does_not_start_anew() -> None:
    board = Board()
    for bad in (1, 2):
        board.joins("a", {bad})
        board.offers("a")
        board.begins("a", bad)
        board.corrupts("a", bad)
        board.leaves("a")
    assert [name for name, _, _ in board.drops] == ["a"]


def test_a_bad_chunk_is_not_asked_of_its_sender_again() -> None:
    board = Board()
    board.joins("a", {1})
    board.offers("a")
    board.begins("a", 1)
    board.corrupts("a", 1)
    assert board.offers("a") == []
    board.joins("b", {1})
    assert board.offers("b") == ["b: Request 1"]


def test_a_bad_chunk_that_was_pushed_counts_as_well() -> None:
    board = Board()
    board.joins("o", origin=True)
    for chunk in (1, 2):
        board.begins("o", chunk, Role.OWNED)
        board.corrupts("o", chunk)
    assert [name for name, _, _ in board.drops] == ["o"]


# --- the end --------------------------------------------------------------------------------------


def last_chunk_board() -> Board:
    """Only chunk 9 is missing; a was asked for it and does not hurry, b offers."""
    board = Board(10, have=range(9))
    board.joins("a", ALL)
    board.joins("b", ALL)
    assert board.offers("a") == ["a: Request 9"]
    assert board.offers("b") == []
    return board


def test_the_last_chunk_is_asked_of_a_second_neighbour() -> None:
    board = last_chunk_board()
    assert asked(board.wait(0.2)) == []
    assert board.wait(0.3) == ["b: Request 9"], "insurance"
    assert board.wait(0.4) == [], "of one more, not of all"


def test_the_loser_of_the_endgame_is_cancelled() -> None:
    board = last_chunk_board()
    board.wait(0.5)
    board.begins("b", 9)
    lines = board.stores("b", 9)
    assert "a: Cancel 9" in lines
    assert lines[-1] == "completed"


def test_the_endgame_takes_the_chunk_of_whom_it_comes_first() -> None:
    board = last_chunk_board()
    board.wait(0.5)
    assert board.begins("a", 9) == []
    assert board.begins("b", 9) == [], "both come: the first wins"
    board.stores("b", 9)
    board.stores("a", 9)
    assert board.swarm.traffic()["duplicate_bytes"] == 1000


def test_nobody_is_asked_twice_before_the_end() -> None:
    board = Board(100)
    board.joins("a", ALL)
    board.joins("b", ALL)
    board.offers("a")
    board.offers("b")
    [chunk] = board.neighbour("a").requested
    board.wait(0.9)
    board.offers("b")
    assert chunk not in board.neighbour("b").requested

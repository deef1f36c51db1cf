"""The swarm's door as chess: joins and leaves, haves, completion, plans told, bad messages."""

from __future__ import annotations

import pytest

from strew.messages import (
    ChunksFound,
    Have,
    MessageReceived,
    PeerId,
    Plan,
    Role,
    Send,
    Tick,
)
from strew.swarm.liars import BAN_BAD_S, DUPLICATES_MAX
from strew.swarm.planning import PLAN_PERIOD_S
from strew.swarm.swarm import TICK_S
from tests.swarm.board import ALL, KEY, Board, member, plan


def said(lines: list[str], word: str) -> list[str]:
    return [line for line in lines if word in line]


# --- neighbours and their haves -------------------------------------------------------------------


@pytest.mark.parametrize("index", [-1, 100, 1 << 40])
def test_a_have_of_a_chunk_that_is_not_drops_its_sender(index: int) -> None:
    board = Board()
    board.joins("a")
    assert board.has("a", 3, index) == ["drop a"]
    assert board.drops == [("a", "have of a chunk that is not", BAN_BAD_S)]


# --- the end --------------------------------------------------------------------------------------


def test_completion_is_told_once_and_everybody_hears_the_last_have() -> None:
    board = Board(20, have=range(19))
    board.joins("seed", ALL)
    board.joins("a")
    board.begins("b", 19)
    lines = board.stores("b", 19)
    assert lines.count("completed") == 1
    assert {"a: Have 19", "seed: Have 19"} <= set(lines)
    assert "completed" not in board.wait(5.0)


def test_who_opens_complete_is_not_told_so() -> None:
    board = Board(20, have=ALL)
    assert board.joins("a") == ["a: Offer"]


def test_an_artifact_without_chunks_is_complete_and_breaks_nothing() -> None:
    board = Board(0)
    assert board.swarm.have.complete
    assert board.joins("a") == []
    assert board.offers("a") == []
    assert board.requests("a", 0) == ["a: Nack 0"]
    assert board.wait(1.0) == []


def test_chunks_found_on_this_machine_count_and_are_told() -> None:
    board = Board(3)
    board.joins("a", {2})
    board.offers("a")
    lines = board.play(ChunksFound(KEY, (0, 1, 2)))
    assert {"a: Cancel 2", "a: Have 0 1 2", "completed"} <= set(lines)


def test_a_rotten_chunk_is_fetched_again() -> None:
    board = Board(3, have=ALL)
    board.joins("a", ALL)
    assert board.rots(1) == []
    assert not board.swarm.have.complete
    assert board.offers("a") == ["a: Request 1"]
    lines = board.brings("a", 1)
    assert "completed" in lines


def test_who_was_sent_a_bad_chunk_makes_the_sender_look_at_its_disk() -> None:
    board = Board(have={1})
    board.joins("a")
    assert said(board.complains("a", 1), "recheck") == ["recheck 1"]
    assert said(board.complains("a", 2), "recheck") == []
    assert said(board.complains("a", 1 << 40), "recheck") == []


# --- joining and leaving --------------------------------------------------------------------------


def test_a_peer_that_says_leave_is_no_neighbour_any_more() -> None:
    board = Board(have={1})
    board.joins("a")
    board.says_leave("a")
    assert not board.swarm.neighbours
    assert board.requests("a", 1) == [], "messages after it are nobody's"


def test_a_peer_that_joins_again_starts_anew() -> None:
    board = Board(have=ALL, slots=1)
    board.joins("a")
    board.requests("a", 1)
    assert board.joins("a") == ["unsend a 1", "a: Offer"]
    assert board.slots.serving == 0
    assert board.swarm.copies() == 0


def test_a_strangers_messages_do_nothing() -> None:
    board = Board(have=ALL)
    assert board.requests("x", 1) == []
    assert board.has("x", 1) == []
    assert board.leaves("x") == []


def test_copies_counts_the_rarest_chunk() -> None:
    board = Board(3)
    board.joins("a", {0, 1})
    assert board.swarm.copies() == 0
    board.joins("b", ALL)
    assert board.swarm.copies() == 1
    board.leaves("b")
    assert board.swarm.copies() == 0


# --- chunks that are not wanted -------------------------------------------------------------------


@pytest.mark.parametrize("index", [-1, 100])
def test_a_chunk_that_is_not_is_discarded(index: int) -> None:
    board = Board()
    board.joins("a")
    assert board.begins("a", index) == [f"discard a {index}"]


def test_a_chunk_that_is_here_is_discarded_and_counted() -> None:
    board = Board(have={1})
    board.joins("a", {1})
    assert board.begins("a", 1) == ["discard a 1"]
    assert board.swarm.traffic()["duplicate_bytes"] == 1000


def test_a_chunk_nobody_asked_for_that_comes_already_is_discarded() -> None:
    board = Board()
    board.joins("a", {1})
    board.joins("b", {1})
    assert board.begins("a", 1, Role.COPIED) == []
    assert board.begins("b", 1, Role.COPIED) == ["discard b 1"]


def test_who_sends_only_what_is_here_is_dropped_in_the_end() -> None:
    board = Board(have={1})
    board.joins("a", {1})
    for _ in range(DUPLICATES_MAX):
        board.begins("a", 1)
    assert board.drops == []
    board.begins("a", 1)
    assert [name for name, _, _ in board.drops] == ["a"]


def test_a_useful_chunk_forgives_the_useless_ones() -> None:
    board = Board(have={1})
    board.joins("a", ALL)
    for chunk in range(2, 10):
        for _ in range(DUPLICATES_MAX // 2):
            board.begins("a", 1)
        board.brings("a", chunk, Role.COPIED)
    assert board.drops == []


# --- who would push what came in another way ------------------------------------------------------


def striped_board() -> Board:
    """Of 32 machines in 8 stripes; p sends m stripe 1 (chunks 1, 9, 17 ...), q stripe 2."""
    others = [f"x{place}" for place in range(29)]
    board = Board(slots=0)
    for name in "pqs":
        board.joins(name)
    board.joins("o", origin=True)
    board.hears("o", plan([*others[:1], "p", "q", *others[1:], "m"]))
    board.brings("p", 1, Role.COPIED)
    board.brings("q", 2, Role.COPIED)
    return board


def test_whoever_pushes_the_stripe_of_a_chunk_that_came_otherwise_hears_so_at_once() -> None:
    board = striped_board()
    assert said(board.brings("s", 9), "Have") == ["p: Have 1 2 9"]
    assert said(board.brings("s", 10), "Have") == ["q: Have 1 2 9 10"]


def test_of_a_chunk_that_it_sent_itself_a_pusher_need_not_hear() -> None:
    board = striped_board()
    assert said(board.brings("p", 9, Role.COPIED), "Have") == []
    assert said(board.brings("p", 17), "Have") == []


def test_of_a_stripe_that_nobody_pushed_yet_nobody_hears_at_once() -> None:
    assert said(striped_board().brings("s", 3), "Have") == []


def test_the_last_one_to_push_a_stripe_is_the_one_to_spare() -> None:
    """Who sends it changes when a machine above leaves."""
    board = striped_board()
    board.brings("q", 9, Role.COPIED)
    assert said(board.brings("s", 17), "Have") == ["q: Have 1 2 9 17"]


def test_a_pusher_that_left_is_spared_nothing() -> None:
    board = striped_board()
    board.leaves("p")
    assert said(board.brings("s", 9), "Have") == []


# --- the plan -------------------------------------------------------------------------------------


def test_the_origin_makes_its_first_plan_at_once_and_tells_everybody() -> None:
    board = Board(origin=True, slots=1)
    board.joins("a")
    board.joins("b")
    lines = board.names("a", "b")
    assert said(lines, "Plan") == ["a: Plan v1", "b: Plan v1"]


def test_a_crowd_that_joins_together_makes_one_new_plan() -> None:
    board = Board(origin=True, slots=1)
    board.joins("a")
    board.names("a")
    lines = []
    for name in "bcd":
        lines += board.names(name)
        lines += board.wait(PLAN_PERIOD_S / 10)
    assert said(lines, "v2") == []
    assert said(board.wait(PLAN_PERIOD_S), "v2") == ["a: Plan v2"]


def test_who_joins_the_origin_hears_the_plan() -> None:
    board = Board(origin=True, slots=1)
    board.names("a", "b")
    assert said(board.joins("a"), "Plan") == ["a: Plan v1"]


def test_who_leaves_the_origin_leaves_the_plan() -> None:
    board = Board(origin=True, slots=1)
    board.joins("a")
    board.joins("b")
    board.names("a", "b")
    board.leaves("b")
    assert "a: Plan v2" in board.wait(PLAN_PERIOD_S + TICK_S)


def test_a_plan_says_whom_to_meet() -> None:
    board = Board()
    board.joins("o", origin=True)
    assert board.hears("o", plan("mab")) == ["meet a b"]
    assert board.hears("o", plan("mabc")) == [], "an old version says nothing"
    assert board.hears("o", plan("mabc", version=2)) == ["meet a b c"]


def test_the_first_two_of_a_star_tell_the_others() -> None:
    """The origin may know only some; and everybody hears twice, lest one death hide the plan."""
    for members, told in (("mabc", "abc"), ("ambc", "abc"), ("abmc", "")):
        board = Board()
        board.joins("o", origin=True)
        for name in "abc":
            board.joins(name)
        lines = said(board.hears("o", plan(members)), "Plan")
        assert sorted(lines) == [f"{name}: Plan v1" for name in told]


def test_who_comes_later_hears_the_plan_from_who_is_to_tell_it() -> None:
    board = Board()
    board.joins("o", origin=True)
    board.hears("o", plan("ma", "xy"))
    assert said(board.joins("a"), "Plan") == ["a: Plan v1"]
    assert said(board.joins("x"), "Plan") == ["x: Plan v1"], "an entry of the group below"
    assert said(board.joins("b"), "Plan") == [], "not in the plan"
    assert said(board.hears("a", plan("ma", "xy")), "Plan") == [], "it does not go in circles"


def test_everybody_is_told_its_own_place() -> None:
    board = Board()
    board.joins("o", origin=True)
    for name in "ax":
        board.joins(name)
    actions = board.swarm.handle(MessageReceived(PeerId("o"), plan("mba", "yx")), board.now)
    told = {a.peer: a.message for a in actions if isinstance(a, Send)}
    places = {peer: (m.group, m.place) for peer, m in told.items() if isinstance(m, Plan)}
    assert places == {"a": (0, 2), "x": (1, 1)}


def test_who_fetches_only_from_its_own_sources_has_no_mates() -> None:
    board = Board(fit=False)
    board.joins("o", origin=True)
    assert board.hears("o", plan("mab")) == []


def test_the_origin_listens_to_nobodys_plan() -> None:
    board = Board(origin=True, slots=1)
    board.joins("a")
    assert board.hears("a", plan("ax", version=9, origin="x")) == []
    assert board.swarm.snapshot()["plan_version"] == 0


@pytest.mark.parametrize(
    "bad",
    [
        plan("m", "", version=3),
        plan("mmm", version=3),
        plan("ma", "b", version=3, fanout=1 << 40),
        plan("ma", ["b"] * 30, version=3, fanout=1000),
        plan("mab", version=3, origin="m"),
        plan("ab", version=3),
        Plan(KEY, -1, "", 0, [], -1, -1),
        Plan(KEY, 1 << 62, "x", -8, [[member("m")]], 0, 0),
        Plan(KEY, 1, "o", 8, [[member("m")]], -1, -1),
    ],
)
def test_a_made_up_plan_breaks_nothing(bad: Plan) -> None:
    board = Board()
    board.joins("a")
    board.hears("a", bad)
    board.joins("o", origin=True)
    for chunk in range(5):
        assert board.brings("o", chunk, Role.OWNED) is not None
    assert board.wait(1.0) is not None


# --- clocks ---------------------------------------------------------------------------------------


def test_a_swarm_without_neighbours_sleeps() -> None:
    assert Board().swarm.deadline() is None


def test_a_fetching_swarm_ticks_and_a_seed_among_seeds_sleeps() -> None:
    board = Board()
    board.joins("a", ALL)
    assert board.swarm.deadline() == board.now + TICK_S
    seed = Board(have=ALL)
    seed.joins("a", ALL)
    seed.wait(2.0)
    assert seed.swarm.deadline() is None


def test_an_early_tick_changes_nothing() -> None:
    board = Board()
    board.joins("a", {1})
    board.offers("a")
    for _ in range(10):
        assert board.play(Tick()) == []


def test_the_snapshot_is_plain_data() -> None:
    board = Board(have={1})
    board.joins("a", zone="z")
    board.requests("a", 1)
    seen = board.swarm.snapshot()
    assert seen["have_chunks"] == 1 and seen["chunk_count"] == 100
    assert seen["neighbours"][0]["sending"] == 1
    assert seen["neighbours"][0]["zone"] == "z"


def test_a_long_have_of_a_neighbour_is_taken_whole() -> None:
    board = Board(100)
    board.joins("a")
    board.hears("a", Have(KEY, list(range(100)) * 3))
    assert board.neighbour("a").have.complete
    assert board.swarm.copies() == 1


def test_received_bytes_are_counted_by_where_they_came_from() -> None:
    board = Board()
    board.joins("o", origin=True)
    board.joins("a", {2})
    board.brings("o", 1, Role.OWNED)
    board.brings("a", 2, Role.COPIED)
    assert board.swarm.traffic() == {
        "received_bytes": 2000,
        "received_origin_bytes": 1000,
        "duplicate_bytes": 0,
        "sent_bytes": 0,
    }

"""The life of a plan as chess: made anew, mended where machines lack, the slow reported."""

from __future__ import annotations

from collections.abc import Callable

import pytest

from strew.messages import Gone, PeerId, Role, Unfit
from strew.swarm.layout import ENTRIES_MAX, STAR_MAX
from strew.swarm.plan import LEFT_OUT_S
from strew.swarm.planning import (
    ABSENT_S,
    GATHER_S,
    GONE_MAX,
    LAGGING,
    LAGGING_S,
    LEFT_OUT_RATIO,
    LOOK_EVERY_S,
    MEMBERS_PER_PERIOD,
    PLAN_PERIOD_S,
    SETTLE_S,
    UNFIT_MAX,
    UNFIT_WITNESSES,
    WITNESS_S,
)
from strew.swarm.state import MEASURE_ROUNDS
from strew.swarm.suspects import ANSWER_S
from tests.swarm.board import KEY, Board, plan

CROWD = [f"a{n}" for n in range(40)]
"""A group of 8 stripes."""


def origin_of(*names: str, chunks: int = 100) -> Board:
    board = Board(chunks, origin=True)
    board.names(*names)
    for name in names:
        board.joins(name)
    return board


def inner_node(place: int, *missing: str, giver: str = "origin") -> Board:
    """The machine at this place of the crowd, linked with everybody but the missing."""
    names = list(CROWD)
    names[place] = "m"
    board = Board(1000)
    board.joins("origin", origin=True)
    for name in names:
        if name not in missing and name != "m":
            board.joins(name)
    board.hears("origin", plan(names))
    return board


def version(board: Board) -> int:
    found = board.swarm.snapshot()["plan_version"]
    assert isinstance(found, int)
    return found


def said(lines: list[str], what: str) -> list[str]:
    return [line for line in lines if what in line]


def until(board: Board, done: Callable[[], bool], limit_s: float = 10.0) -> list[str]:
    lines: list[str] = []
    for _ in range(round(limit_s / 0.1)):
        lines += board.wait(0.1)
        if done():
            return lines
    raise AssertionError("it does not come")


# --- the origin -----------------------------------------------------------------------------------


def test_an_entry_that_does_not_come_is_planned_without() -> None:
    board = Board(origin=True)
    board.names(*CROWD)
    for name in CROWD:
        if name != "a3":
            board.joins(name)
    assert version(board) == 1
    until(board, lambda: version(board) > 1, ABSENT_S + LOOK_EVERY_S + 2 * PLAN_PERIOD_S)
    found = board.swarm._push.view.plan
    assert found is not None and "a3" not in {m.id for m in found.groups[0]}


def test_who_is_missing_further_down_changes_no_plan() -> None:
    """The origin need not be linked with everybody."""
    board = origin_of(*CROWD[:ENTRIES_MAX])
    board.names(*CROWD)
    board.wait(PLAN_PERIOD_S * 2)
    before = version(board)
    board.wait(5.0)
    assert version(board) == before


def test_in_a_star_nobody_is_removed_for_being_late() -> None:
    board = Board(origin=True)
    board.names("a", "b", "c")
    board.joins("a")
    board.wait(10.0)
    assert version(board) == 1


def test_the_slow_are_left_out_of_the_next_plan_and_do_not_come_back_soon() -> None:
    board = origin_of(*CROWD)
    for witness in CROWD[:UNFIT_WITNESSES]:
        assert version(board) == 1
        board.hears(witness, Unfit(KEY, ["a9", "stranger"]))
    board.wait(2 * PLAN_PERIOD_S)
    board.names("a9")
    board.wait(2 * PLAN_PERIOD_S)
    found = board.swarm._push.view.plan
    assert found is not None
    assert "a9" not in {m.id for m in found.groups[0]}
    assert len([m for m in found.groups[0] if m.id]) == len(CROWD) - 1


def test_the_slow_are_tried_again_while_there_is_something_to_give() -> None:
    """Three may have been mistaken, or it had a bad moment."""
    board = origin_of(*CROWD, chunks=1000)
    board.hears("a29", Unfit(KEY, ["a29"]))
    board.wait(LEFT_OUT_S - 2 * PLAN_PERIOD_S)
    assert "a29" not in in_plan(board)
    board.wait(4 * PLAN_PERIOD_S)
    assert "a29" in in_plan(board)


def test_a_new_plan_is_told_at_once_and_given_by_once_it_settled() -> None:
    board = origin_of(*CROWD, chunks=1000)
    board.hears("a0", Unfit(KEY, ["a0"]))
    until(board, lambda: version(board) == 2, 2 * PLAN_PERIOD_S)
    view = board.swarm._push.view
    assert not view.settled and view.entry(0) == "a0"
    board.wait(SETTLE_S * 0.8)
    assert not view.settled
    board.wait(SETTLE_S)
    assert view.settled and view.entry(0) != "a0"


def test_a_fleet_that_grows_meanwhile_skips_no_plan() -> None:
    """Then the next plan is due before the last one had its time."""
    board = origin_of(*CROWD, chunks=1000)
    board.hears("a0", Unfit(KEY, ["a0"]))
    until(board, lambda: version(board) == 2, 2 * PLAN_PERIOD_S)
    board.names("b")
    board.names(*(f"c{n}" for n in range(5 * MEMBERS_PER_PERIOD // 2)))
    view = board.swarm._push.view
    before = view.tag
    until(board, lambda: version(board) == 3, 2 * PLAN_PERIOD_S)
    assert not view.settled and view.tag != before, "given by the second one"


def test_few_witnesses_may_be_mistaken() -> None:
    board = origin_of(*CROWD)
    for witness in CROWD[: UNFIT_WITNESSES - 1]:
        board.hears(witness, Unfit(KEY, ["a9"]))
    board.wait(3 * PLAN_PERIOD_S)
    assert version(board) == 1


def test_what_was_said_long_ago_is_forgotten() -> None:
    board = origin_of(*CROWD)
    for witness in CROWD[:UNFIT_WITNESSES]:
        board.hears(witness, Unfit(KEY, ["a9"]))
        board.wait(WITNESS_S)
    board.wait(2 * PLAN_PERIOD_S)
    assert version(board) == 1


def test_who_says_so_itself_needs_no_witness() -> None:
    board = origin_of(*CROWD)
    board.hears("a9", Unfit(KEY, ["a9"]))
    board.wait(2 * PLAN_PERIOD_S)
    found = board.swarm._push.view.plan
    assert found is not None and "a9" not in {m.id for m in found.groups[0]}


def test_no_report_empties_the_plan() -> None:
    board = origin_of(*CROWD)
    for witness in CROWD[:UNFIT_WITNESSES]:
        for start in range(0, 40, UNFIT_MAX):
            board.hears(witness, Unfit(KEY, CROWD[start : start + UNFIT_MAX]))
    board.wait(2 * PLAN_PERIOD_S)
    found = board.swarm._push.view.plan
    assert found is not None
    there = sum(bool(m.id) for group in found.groups for m in group)
    assert there >= (1 - LEFT_OUT_RATIO) * len(CROWD)


def test_in_a_star_nobody_is_left_out() -> None:
    """There an owner that is too slow is unfit for a while, and harms nobody behind it."""
    board = origin_of(*CROWD[:STAR_MAX])
    board.hears("a0", Unfit(KEY, ["a3"]))
    board.wait(2 * PLAN_PERIOD_S)
    assert version(board) == 1


def in_plan(board: Board) -> set[str]:
    found = board.swarm._push.view.plan
    assert found is not None
    return {member.id for group in found.groups for member in group if member.id}


def test_an_origin_whose_entry_takes_nothing_is_one_witness() -> None:
    board = origin_of(*CROWD)
    slow = board.neighbour("a3")
    for _ in range(5):
        slow.skip(board.now)
    board.wait(1.0)
    for witness in CROWD[20 : 20 + UNFIT_WITNESSES - 2]:
        board.hears(witness, Unfit(KEY, ["a3"]))
    board.wait(3 * PLAN_PERIOD_S)
    assert version(board) == 1, "however long it lasts"
    for witness in CROWD[20 : 20 + UNFIT_WITNESSES - 1]:
        board.hears(witness, Unfit(KEY, ["a3"]))
    board.wait(3 * PLAN_PERIOD_S)
    assert in_plan(board) == set(CROWD) - {"a3"}


def test_who_is_skipped_further_down_is_none_of_the_origins_business() -> None:
    """It sends to entries only; layer 2 may be slow to any other."""
    board = origin_of(*CROWD)
    slow = board.neighbour("a30")
    for _ in range(5):
        slow.skip(board.now)
    for witness in CROWD[20 : 20 + UNFIT_WITNESSES - 1]:
        board.hears(witness, Unfit(KEY, ["a30"]))
    board.wait(3.0)
    assert version(board) == 1, "so it is no witness"


def test_the_origin_leaves_out_an_entry_that_never_passes_anything_on() -> None:
    board = Board(1000, origin=True)
    board.names(*CROWD)
    lines = [line for name in CROWD for line in board.joins(name)]
    for _ in range(200):
        gifts = [(line.split()[0], int(line.split()[2])) for line in said(lines, "<<")]
        lines = []
        for owner, chunk in gifts:
            lines += board.sent(owner, chunk)
            lines += board.passed(owner, chunk) if owner != "a3" else []
        lines += board.wait(0.05)
        if version(board) > 1:
            break
    assert in_plan(board) == set(CROWD) - {"a3"}


def test_an_entry_that_comes_a_little_late_is_not_planned_without() -> None:
    board = Board(origin=True)
    board.names(*CROWD)
    for name in CROWD[1:]:
        board.joins(name)
    board.wait(ABSENT_S - LOOK_EVERY_S)
    board.joins("a0")
    board.wait(3.0)
    assert version(board) == 1


# --- the gone -------------------------------------------------------------------------------------


def test_the_origin_looks_for_who_is_said_to_be_gone_and_plans_without_who_does_not_come() -> None:
    board = origin_of(*CROWD[:ENTRIES_MAX])
    board.names(*CROWD)
    board.wait(2 * PLAN_PERIOD_S)
    before = version(board)
    assert board.hears("a1", Gone(KEY, ["a30", "stranger", "a2"])) == ["meet a30"]
    board.wait(ANSWER_S - 0.1)
    assert version(board) == before, "nobody is taken out on another's word"
    until(board, lambda: version(board) > before, 0.2 + GATHER_S + PLAN_PERIOD_S)
    assert in_plan(board) == set(CROWD) - {"a30"}


def test_who_is_said_to_be_gone_and_is_there_stays() -> None:
    board = origin_of(*CROWD[:ENTRIES_MAX])
    board.names(*CROWD)
    board.wait(2 * PLAN_PERIOD_S)
    before = version(board)
    assert board.hears("a1", Gone(KEY, ["a30"])) == ["meet a30"]
    assert board.hears("a2", Gone(KEY, ["a30"])) == [], "it is looked for already"
    board.joins("a30")
    board.wait(ANSWER_S + 3 * PLAN_PERIOD_S)
    assert version(board) == before
    assert board.hears("a2", Gone(KEY, ["a30"])) == [], "the origin sees that it is there"


def test_who_went_has_a_place_again_when_the_origin_has_seen_it() -> None:
    board = origin_of(*CROWD)
    board.leaves("a30")
    board.wait(2 * PLAN_PERIOD_S)
    assert in_plan(board) == set(CROWD) - {"a30"}
    assert said(board.names("a30"), "meet") == ["meet a30"], "it may be back"
    board.wait(ANSWER_S + 2 * PLAN_PERIOD_S)
    assert in_plan(board) == set(CROWD) - {"a30"}
    board.joins("a30")
    board.names("a30", seen=True)
    board.wait(2 * PLAN_PERIOD_S)
    assert in_plan(board) == set(CROWD)


def test_whom_a_node_passes_chunks_to_is_reported_when_it_goes() -> None:
    board = inner_node(8)
    board.brings("a0", 5, Role.OWNED)
    behind = next(iter(board.swarm._push.view.acquaintances())).id
    assert said(board.leaves(behind), "Gone") == [f"a0: Gone {behind}"]
    assert said(board.leaves("a0"), "Gone") == [], "who passes chunks to a0 sees that"
    assert said(board.wait(3.0), "Gone") == [], "once"


def test_who_joins_anew_over_the_same_link_is_not_gone() -> None:
    """It was dialled before it had heard of the artifact: it says so, and joins when it has."""
    board = inner_node(8)
    board.brings("a0", 5, Role.OWNED)
    behind = next(iter(board.swarm._push.view.acquaintances())).id
    assert said(board.joins(behind, [7]), "Gone") == []
    assert said(board.wait(3.0), "Gone") == []
    assert 7 in board.swarm.neighbours[PeerId(behind)].have


def test_who_joins_the_origin_anew_keeps_its_place() -> None:
    board = origin_of(*CROWD)
    board.joins("a30")
    board.wait(2 * PLAN_PERIOD_S)
    assert in_plan(board) == set(CROWD)


def test_who_never_came_is_reported_after_a_while() -> None:
    board = inner_node(0, "a8")
    board.brings("origin", 5, Role.OWNED)
    assert said(board.wait(ABSENT_S - 0.2), "Gone") == []
    assert said(board.wait(0.2 + 2 * LOOK_EVERY_S), "Gone") == ["origin: Gone a8"]


def test_without_a_way_to_the_origin_it_is_told_later() -> None:
    board = inner_node(8)
    behind = next(iter(board.swarm._push.view.acquaintances())).id
    assert said(board.leaves(behind), "Gone") == []
    board.brings("a0", 5, Role.OWNED)
    assert said(board.wait(2 * LOOK_EVERY_S), "Gone") == [f"a0: Gone {behind}"]


def test_what_others_say_of_the_gone_is_handed_up_once_and_within_limits() -> None:
    board = inner_node(8)
    board.brings("a0", 5, Role.OWNED)
    assert board.hears("a20", Gone(KEY, ["a33"])) == ["a0: Gone a33"]
    assert board.hears("a21", Gone(KEY, ["a33"])) == []
    handed = 1
    for start in range(0, 2 * GONE_MAX, UNFIT_MAX):
        names = [f"x{number}" for number in range(start, start + UNFIT_MAX)]
        for line in board.hears("a20", Gone(KEY, names)):
            handed += len(line.split()) - 2
    assert handed == GONE_MAX


def test_in_a_star_nobody_is_looked_for() -> None:
    """Nobody stands behind another there."""
    board = origin_of(*CROWD[:STAR_MAX])
    assert board.hears("a0", Gone(KEY, ["a3"])) == []


# --- inner nodes ----------------------------------------------------------------------------------


def test_those_behind_a_missing_inner_node_are_met_after_a_while() -> None:
    board = inner_node(0, "a8", *CROWD[9:16])
    assert said(board.wait(ABSENT_S - 0.2), "meet") == []
    met = said(board.wait(0.2 + 2 * LOOK_EVERY_S), "meet")
    assert len(met) == 1, "once"
    assert set(met[0].split()[1:]) <= set(CROWD) - {"a8"}
    assert said(board.wait(5.0), "meet") == []


def test_chunks_go_around_a_missing_inner_node() -> None:
    whole = inner_node(0)
    sent = {line.split()[0] for line in whole.brings("origin", 5, Role.OWNED) if "<<" in line}
    assert "a8" in sent
    around = inner_node(0, "a8")
    reached = {line.split()[0] for line in around.brings("origin", 5, Role.OWNED) if "<<" in line}
    assert sent - {"a8"} < reached and len(reached) > len(sent)


def test_a_target_whose_socket_stays_full_is_reported_each_second_to_the_last_giver() -> None:
    """Of those that pass chunks to it three must say so within a second, whenever they noticed."""
    board = inner_node(8)
    board.brings("a0", 5, Role.OWNED)
    [first, *others] = [n for n, of in board.swarm.neighbours.items() if of.sending]
    for name in others:
        board.sent(name, 5)
        board.has(name, 5)
    assert said(board.wait(6.0), "Unfit"), "it was noticed"
    lines = said(board.wait(10 * WITNESS_S), "Unfit")
    assert set(lines) == {f"a0: Unfit {first}"} and 9 <= len(lines) <= 11


def test_who_finds_most_of_its_branch_slow_is_no_witness() -> None:
    """Nothing that a stalled machine sends ever leaves: that is not its receivers' doing."""
    board = inner_node(8)
    board.brings("a0", 5, Role.OWNED)
    sending = [name for name, of in board.swarm.neighbours.items() if of.sending]
    assert len(sending) > 4
    for name in sending[: len(sending) // 2 - 1]:
        board.sent(name, 5)
    assert said(board.wait(12.0), "Unfit") == []


def test_a_report_is_handed_up() -> None:
    board = inner_node(8)
    board.brings("a0", 5, Role.OWNED)
    for witness in ("a20", "a21", "a22"):
        assert board.hears(witness, Unfit(KEY, ["a33"])) == ["a0: Unfit a33"]
    assert board.hears("a23", Unfit(KEY, ["a33"])) == [], "so many are enough"
    [line] = board.hears("a20", Unfit(KEY, [f"x{n}" for n in range(1000)]))
    assert len(line.split()) == 2 + UNFIT_MAX


def test_without_a_giver_nobody_is_told() -> None:
    assert inner_node(8).hears("a20", Unfit(KEY, ["a33"])) == []


def test_who_calls_itself_too_slow_is_left_to_layer_2_at_once() -> None:
    board = inner_node(0)
    assert "a8" in {line.split()[0] for line in said(board.brings("origin", 8, Role.OWNED), "<<")}
    board.hears("a8", Unfit(KEY, ["a8"]))
    board.sent("a8", 8)
    lines = board.brings("origin", 16, Role.OWNED)
    assert "a8" not in {line.split()[0] for line in said(lines, "<<")}


def laden(sends: int, seconds: float = LAGGING_S + 2 * LOOK_EVERY_S) -> list[str]:
    """An inner node that was given many chunks and sent so many copies of its 8 to each; what it
    says in the time after that."""
    board = inner_node(8)
    for turn in range(100):
        board.brings("a0", 8 * turn, Role.OWNED)
    for _ in range(sends):
        for neighbour in list(board.swarm.neighbours.values()):
            for chunk in list(neighbour.sending)[:1]:
                board.now += 0.001  # lest they be called full
                board.sent(neighbour.id, chunk)
    assert board.swarm._push.backlog >= LAGGING
    return board.wait(seconds)


def reports_itself(lines: list[str]) -> bool:
    return any("m" in line.split()[2:] for line in said(lines, "Unfit"))


def test_who_lags_because_it_can_send_far_less_than_it_receives_reports_itself() -> None:
    assert reports_itself(laden(MEASURE_ROUNDS))


def test_who_lags_for_a_moment_only_does_not() -> None:
    assert not reports_itself(laden(MEASURE_ROUNDS, LAGGING_S))


def test_who_lags_and_sends_as_much_as_it_receives_does_not() -> None:
    """It was late, or all at once came to it: it catches up."""
    reports = said(laden(60), "Unfit")
    assert not any("m" in line.split()[2:] for line in reports)


def held_up(by: int, seconds: float, copied: int = 0) -> tuple[set[str], list[str]]:
    """An inner node of which so many receivers of eight take one chunk, while the others have taken
    all it had to pass on; so many chunks came to it that it passes to nobody. These few receivers,
    and whom it names within that time."""
    board = inner_node(8)
    for number in range(copied):
        board.brings("a1", 8 * number + 1, Role.COPIED)
    for turn in range(4 * LAGGING):
        board.brings("a0", 8 * turn, Role.OWNED)
    branch = [str(name) for name, of in board.swarm.neighbours.items() if of.sending]
    few, quick = set(branch[:by]), branch[by:]
    assert len(branch) == 8
    while any(board.neighbour(name).sending for name in quick):
        for name in quick:
            for chunk in list(board.neighbour(name).sending)[:1]:
                board.now += 0.02  # so that patience is longer than a lag
                board.sent(name, chunk)
    for name in few:
        board.sent(name, next(iter(board.neighbour(name).sending)))
    assert board.swarm._push.backlog >= LAGGING
    lines = said(board.wait(seconds), "Unfit")
    return few, [name for line in lines for name in line.split()[2:]]


def test_the_few_that_most_chunks_wait_for_are_too_slow() -> None:
    """Before any of their sockets can be called full."""
    few, named = held_up(4, 2 * LOOK_EVERY_S)
    assert set(named) == few and len(named) == 4


def test_where_chunks_wait_for_most_receivers_none_of_them_is_to_blame() -> None:
    _, named = held_up(5, 2 * LOOK_EVERY_S)
    assert named == []


@pytest.mark.parametrize("by", [4, 5])
def test_who_sends_little_because_few_take_it_does_not_name_itself(by: int) -> None:
    """Where most take little, it does."""
    _, named = held_up(by, LAGGING_S + 2 * LOOK_EVERY_S, copied=120)
    assert ("m" in named) == (by > 4)


def test_a_new_plan_is_a_new_judgement() -> None:
    board = inner_node(8)
    board.brings("a0", 5, Role.OWNED)
    board.hears("a20", Unfit(KEY, ["a33"]))
    names = list(CROWD)
    names[8] = "m"
    board.hears("origin", plan(names, version=2))
    assert board.hears("a20", Unfit(KEY, ["a33"])) == ["a0: Unfit a33"]


@pytest.mark.parametrize("peers", [[], [""], ["m"], ["origin"], ["x"] * 1000])
def test_a_report_of_anything_breaks_nothing(peers: list[str]) -> None:
    inner_node(8).hears("a20", Unfit(KEY, peers))
    inner_node(8).hears("a20", Gone(KEY, peers))
    board = origin_of(*CROWD)
    board.hears("a0", Gone(KEY, peers))
    board.hears("a0", Unfit(KEY, peers))
    board.wait(1.0)
    assert board.swarm.neighbours[PeerId("a0")]

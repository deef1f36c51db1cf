"""Layer 1 as chess: chunks that just left the origin, their owners, and what may go wrong."""

from __future__ import annotations

import pytest

from strew.messages import PeerId, Role
from strew.swarm.giving import PIPELINE_MAX
from strew.swarm.passing import BEHIND_MAX, LOOKAHEAD_MAX, RESTS_MAX, SLOWEST_RATIO
from strew.swarm.push import AHEAD_MAX, EARLY_MAX
from strew.swarm.state import PUSHING_MAX_S
from strew.swarm.swarm import TICK_S
from strew.swarm.view import PLANS_KEPT, PushView
from tests.swarm.board import ALL, Board, plan


def pushed(lines: list[str]) -> list[str]:
    return [line for line in lines if "<<" in line]


# --- owners ---------------------------------------------------------------------------------------


def owner_of(names: str, chunks: int = 100, slots: int = 3) -> Board:
    board = Board(chunks, push_slots=slots)
    for name in names:
        board.joins(name)
    board.joins("o", origin=True)
    return board


def test_an_owner_passes_its_chunk_to_everybody_and_returns_the_credit_towards_the_end() -> None:
    board = owner_of("abcdefgh", slots=1)
    assert board.begins("o", 5, Role.OWNED) == []
    lines = board.stores("o", 5)
    for _ in range(8):
        copies = len(pushed(lines))
        assert ("o: Passed 5" in lines) == (8 - copies <= int(8 * SLOWEST_RATIO))
        lines += board.sent(pushed(lines)[-1][0], 5)
    assert sorted(line[0] for line in pushed(lines)) == list("abcdefgh")
    assert lines.count("o: Passed 5") == 1, "not: when each has it"


def test_each_chunk_starts_at_another_mate() -> None:
    board = owner_of("abc")
    first = []
    for chunk in range(3):
        lines = pushed(board.brings("o", chunk, Role.OWNED))
        first.append(lines[0][0])
        for mate in "abc":
            board.sent(mate, chunk)
    assert sorted(first) == ["a", "b", "c"]


def test_a_copy_is_kept_and_passed_to_nobody() -> None:
    board = owner_of("abc")
    assert pushed(board.brings("a", 5, Role.COPIED)) == []


def test_a_mate_that_has_the_chunk_by_now_is_left_out() -> None:
    board = owner_of("abc")
    board.begins("o", 5, Role.OWNED)
    board.has("b", 5)
    assert sorted(pushed(board.stores("o", 5))) == ["a << 5 copied", "c << 5 copied"]


def test_a_lone_owner_returns_credit_in_batches_and_never_keeps_it() -> None:
    board = owner_of("")
    lines = [line for chunk in range(3) for line in board.brings("o", chunk, Role.OWNED)]
    assert not [line for line in lines if "Passed" in line]
    assert "o: Passed 0 1 2 3" in board.brings("o", 3, Role.OWNED)
    board.brings("o", 4, Role.OWNED)
    assert "o: Passed 4" in board.wait(TICK_S)


def test_an_owned_chunk_that_is_here_already_is_discarded_and_passed_on_to_who_lacks_it() -> None:
    board = owner_of("abc")
    board.brings("a", 5, Role.COPIED)
    board.has("a", 5)
    lines = board.begins("o", 5, Role.OWNED)
    assert lines[0] == "discard o 5"
    assert sorted(pushed(lines)) == ["b << 5 copied", "c << 5 copied"]


def test_an_owned_chunk_that_everybody_has_returns_its_credit_at_once() -> None:
    board = owner_of("a")
    board.brings("a", 5, Role.COPIED)
    board.has("a", 5)
    assert board.begins("o", 5, Role.OWNED) == ["discard o 5", "o: Passed 5"]


def test_a_chunk_that_rotted_at_its_owner_is_passed_to_nobody() -> None:
    board = owner_of("abcd", slots=1)
    assert len(pushed(board.brings("o", 5, Role.OWNED))) == 1
    board.rots(5)
    lines = [line for mate in "abcd" for line in board.sent(mate, 5)]
    assert "o: Passed 5" in lines
    assert pushed(lines) == []


# --- mates that come and go, sockets that stay full -----------------------------------------------


def test_a_mate_that_joined_between_two_messages_gets_the_chunk_by_push() -> None:
    """It came after the chunk's header and before its end: nothing depends on a timely hello."""
    board = owner_of("ab")
    board.begins("o", 5, Role.OWNED)
    board.joins("c")
    assert "c << 5 copied" in board.stores("o", 5)


def test_a_mate_that_joined_after_the_passing_gets_the_chunk_by_layer_2() -> None:
    board = owner_of("ab")
    board.brings("o", 5, Role.OWNED)
    for mate in "ab":
        board.sent(mate, 5)
        board.has(mate, 5)
    lines = board.joins("c") + board.wait(3.0)
    assert "c: Offer" in lines, "its join tells what it lacks"
    assert board.requests("c", 5) == ["c << 5 served"]


def test_a_receiver_whose_socket_stays_full_is_skipped_and_served_later_by_layer_2() -> None:
    board = owner_of("abcd")
    for chunk in range(10, 17):  # so that it is known how long a send takes
        board.brings("o", chunk, Role.OWNED)
        for mate in "abcd":
            board.now += 0.01
            board.sent(mate, chunk)
            board.has(mate, chunk)
    lines = board.brings("o", 5, Role.OWNED)
    stuck = lines[0][0]
    assert lines[0].endswith("<< 5 copied")
    for mate in "abcd":
        if mate != stuck:
            lines += board.sent(mate, 5)
    assert "o: Passed 5" in lines, "the credit does not wait for the full socket"
    assert board.slots.pushing == 1
    board.wait(0.6)
    assert (board.slots.pushing, board.slots.detached) == (0, 1), "its slot is free again"
    lines = board.brings("o", 6, Role.OWNED)
    for mate in "abcd":
        lines += board.sent(mate, 6) if mate != stuck else []
    assert f"{stuck} << 6 copied" not in lines, "skipped"
    assert "o: Passed 6" in lines
    lines = board.sent(stuck, 5) + board.wait(3.0)
    assert (board.slots.pushing, board.slots.detached) == (0, 0)
    assert f"{stuck}: Offer" in lines
    assert board.requests(stuck, 6) == [f"{stuck} << 6 served"]


def test_full_sockets_of_many_receivers_do_not_take_all_slots_from_the_others() -> None:
    board = owner_of("abcdefgh")
    for chunk in range(2):
        board.brings("o", chunk, Role.OWNED)
        for _ in range(3):
            for mate in "abcdefgh":
                board.sent(mate, chunk)
        for mate in "abcdefgh":
            board.has(mate, chunk)
    lines = board.brings("o", 5, Role.OWNED)
    for _ in range(8):  # whoever is sent to never takes it, but h
        lines += board.wait(0.4)
        lines += board.sent("h", 5)
    reached = {line[0] for line in lines if line.endswith("5 copied")}
    assert "h" in reached
    assert "o: Passed 5" in lines


def test_a_receiver_for_whom_chunks_pile_up_is_skipped() -> None:
    """Its link is thin: it takes chunks, later than all others."""
    board = owner_of("abcdef", slots=24)
    for chunk in range(PIPELINE_MAX + BEHIND_MAX + 1):
        board.brings("o", chunk, Role.OWNED)
        for name in "bcdef":
            board.sent(name, chunk)
            board.has(name, chunk)
    assert not board.neighbour("a").skipped_until_s > board.now
    board.wait(TICK_S)
    assert board.neighbour("a").skipped_until_s > board.now
    assert not any(board.neighbour(name).skipped_until_s > board.now for name in "bcdef")


# --- plans: none, old, without me -----------------------------------------------------------------


def test_without_a_plan_every_neighbour_is_a_mate() -> None:
    board = owner_of("ab")
    assert sorted(pushed(board.brings("o", 5, Role.OWNED))) == ["a << 5 copied", "b << 5 copied"]


def test_a_plan_without_me_is_as_good_as_none() -> None:
    board = owner_of("ab")
    board.hears("o", plan("ax", "by"))
    assert sorted(pushed(board.brings("o", 5, Role.OWNED))) == ["a << 5 copied", "b << 5 copied"]


def test_a_star_counts_newcomers_as_mates() -> None:
    board = owner_of("abc", slots=4)
    board.hears("o", plan("mab"))
    lines = board.brings("o", 5, Role.OWNED)
    assert sorted(pushed(lines)) == ["a << 5 copied", "b << 5 copied", "c << 5 copied"]


def test_an_owner_in_a_star_goes_around_it_by_twos_from_its_own_place() -> None:
    board = owner_of("abcdx", slots=1)
    board.hears("o", plan("abmcd"))
    lines = board.brings("o", 5, Role.OWNED)
    for _ in range(5):
        lines += board.sent(pushed(lines)[-1][0], 5)
    assert [line[0] for line in pushed(lines)] == ["d", "b", "c", "a", "x"]


def test_an_entry_serves_the_groups_below_first() -> None:
    board = owner_of("abxy", slots=1)
    board.hears("o", plan("mab", "xqr", "yst"))
    lines = board.brings("o", 3, Role.OWNED)  # of stripe 0 everywhere
    for _ in range(3):
        lines += board.sent(pushed(lines)[-1][0], 3)
    assert pushed(lines)[0] == "x << 3 owned", "the next of the chain; x hands it to y"
    assert sorted(pushed(lines)[1:]) == ["a << 3 copied", "b << 3 copied"]


def test_an_entry_of_a_group_below_tells_nobody_that_it_passed_the_chunk_on() -> None:
    board = owner_of("bx")
    board.hears("o", plan("xyz", "mbc"))
    lines = board.brings("x", 5, Role.OWNED)
    assert pushed(lines) == ["b << 5 copied"]
    assert not [line for line in lines + board.wait(0.2) if "Passed" in line]


LARGE = [*(f"{n}" for n in range(8)), "m", *(f"{n}" for n in range(9, 40))]
"""A group of 8 stripes, in which m is the second inner node of stripe 0."""


def inner() -> Board:
    board = Board(100)
    board.joins("o", origin=True)
    for name in LARGE:
        if name != "m":
            board.joins(name)
    board.hears("o", plan(LARGE))
    return board


def test_an_inner_node_passes_what_it_is_to_pass_down_its_branch() -> None:
    board = inner()
    branch = {name for name, _ in sent_to(board.brings("0", 8, Role.OWNED))}
    assert len(branch) == 8
    again = {name for name, _ in sent_to(board.brings("0", 16, Role.OWNED))}
    assert branch == again, "whom it sends to stays the same"
    for name in branch:
        board.sent(name, 8)
        board.sent(name, 16)
    other = {name for name, _ in sent_to(board.brings("0", 9, Role.OWNED))}
    assert branch == other, "also a chunk that another entry than its stripe's was given"


def tag_of(version: int) -> int:
    view = PushView(PeerId("m"), [1000] * 100)
    assert view.adopt(plan(LARGE, version=version))
    return view.tag


def test_a_chunk_that_overtook_its_plan_waits_for_it() -> None:
    board = inner()
    assert pushed(board.brings("0", 8, Role.OWNED, tag_of(2))) == []
    turned = LARGE[::-1]
    lines = board.hears("o", plan(turned, version=2))
    alone = PushView(PeerId("m"), [1000] * 100)
    alone.adopt(plan(turned, version=2))
    branch = {str(peer) for peer, _ in alone.targets(8, lambda peer: True)} - {"0"}
    assert {name for name, _ in sent_to(lines)} == branch


def test_what_is_on_its_way_ends_it_by_the_plan_it_began_with() -> None:
    board = inner()
    branch = {name for name, _ in sent_to(board.brings("0", 8, Role.OWNED, tag_of(1)))}
    for name in branch:
        board.sent(name, 8)
    board.hears("o", plan(LARGE[::-1], version=2))
    assert {name for name, _ in sent_to(board.brings("0", 16, Role.OWNED, tag_of(1)))} == branch


@pytest.mark.parametrize("newer", range(2, PLANS_KEPT + 3))
def test_no_chunk_waits_for_a_plan_that_is_over(newer: int) -> None:
    """Each death in a row makes a plan, and what was given by the first is still on its way."""
    board = inner()
    for version in range(2, newer + 1):
        board.hears("o", plan(LARGE[version:] + LARGE[:version], version=version))
    kept = max(1, newer - PLANS_KEPT + 1)
    alone = PushView(PeerId("m"), [1000] * 100)
    alone.adopt(plan(LARGE[kept:] + LARGE[:kept] if kept > 1 else LARGE, version=kept))
    branch = {str(peer) for peer, _ in alone.targets(8, lambda peer: True)} - {"0"}
    assert {n for n, _ in sent_to(board.brings("0", 8, Role.OWNED, tag_of(1)))} == branch


def test_no_more_than_so_many_wait_for_a_plan_that_does_not_come() -> None:
    board = inner()
    for index in range(EARLY_MAX):
        assert pushed(board.brings("0", index, Role.OWNED, tag_of(9))) == []
    assert {chunk for _, chunk in sent_to(board.brings("0", 90, Role.OWNED, tag_of(9)))} == {0}


def test_who_is_behind_with_pushing_serves_nobody_beside() -> None:
    board = inner()
    board.joins("late")
    for index in range(AHEAD_MAX + 3):
        board.brings("0", 8 * index, Role.OWNED)
    assert "late: Nack 0" in board.requests("late", 0)


def test_in_a_star_it_serves_all_the_same() -> None:
    board = owner_of("abcdefgh", slots=8)
    board.joins("late")
    for index in range(AHEAD_MAX + 3):
        board.brings("o", index, Role.OWNED)
    assert board.swarm._push.behind
    assert "late: Nack 0" not in board.requests("late", 0)


def test_in_a_tree_nobody_is_skipped_for_what_waits_for_it() -> None:
    """Its uplink is full, and it is the unlucky one."""
    board = inner()
    unlucky, *others = [name for name, _ in sent_to(board.brings("0", 0, Role.OWNED))]
    for index in range(1, PIPELINE_MAX + BEHIND_MAX + 3):
        for name in others:
            board.sent(name, 8 * (index - 1))
            board.has(name, 8 * (index - 1))
        board.brings("0", 8 * index, Role.OWNED)
    board.wait(TICK_S)
    assert not board.neighbour(unlucky).skipped_until_s > board.now


def test_a_copy_goes_no_further() -> None:
    """The tree that brought it brings it to the others, too."""
    board = inner()
    assert pushed(board.brings("0", 8, Role.COPIED)) == []


def test_what_an_inner_node_fetched_itself_goes_down_as_if_it_had_come_by_push() -> None:
    board = inner()
    branch = {name for name, _ in sent_to(board.brings("0", 16, Role.OWNED))}
    assert {name for name, _ in sent_to(board.brings("9", 8))} == branch
    assert pushed(board.brings("9", 9)) == [], "of another stripe it is a leaf"


def test_in_a_star_nobody_passes_on_what_was_fetched() -> None:
    """Nobody waits for it behind this node."""
    board = owner_of("ab")
    board.hears("o", plan("mab"))
    assert pushed(board.brings("a", 3)) == []


def test_those_who_take_nothing_block_no_fresh_chunk_and_make_no_backlog() -> None:
    board = owner_of("abcdefgh", slots=24)
    for chunk in range(LOOKAHEAD_MAX + 4):
        lines = board.brings("o", chunk, Role.OWNED)
        assert f"a << {chunk} copied" in lines, "who takes what it is sent gets every chunk"
        assert f"o: Passed {chunk}" in lines + [
            line for name in "abcdefg" for line in board.sent(name, chunk)
        ]
    push = board.swarm._push
    assert push.backlog == 0 and len(push._backlog._rests) <= RESTS_MAX


def sent_to(lines: list[str]) -> list[tuple[str, int]]:
    return [(line.split()[0], int(line.split()[2])) for line in pushed(lines)]


# --- an inner node --------------------------------------------------------------------------------


def entry() -> Board:
    """The first inner node of stripe 0 of a group of 8 stripes; 8, 16, 24 and 32 are the others."""
    board = Board(100)
    names = ["m", *(f"{n}" for n in range(1, 40))]
    board.joins("o", origin=True)
    for name in names[1:]:
        board.joins(name)
    board.hears("o", plan(names))
    return board


def test_inner_nodes_of_the_stripe_are_told_to_pass_the_chunk_on_and_leaves_are_not() -> None:
    roles = {
        line.split()[0]: line.split()[3] for line in pushed(entry().brings("o", 8, Role.OWNED))
    }
    assert len(roles) == 7
    assert {name for name, role in roles.items() if role == "owned"} == {"8", "16", "24", "32"}


def test_what_was_fetched_is_nobodys_credit() -> None:
    board = entry()
    lines = board.brings("9", 8)
    for name, chunk in sent_to(lines):
        lines += board.sent(name, chunk)
    assert len(pushed(lines)) == 7
    assert not [line for line in lines + board.wait(0.2) if "Passed" in line]


def test_an_owned_chunk_of_its_stripe_that_is_here_already_went_down_already() -> None:
    board = entry()
    down = sent_to(board.brings("9", 8))
    assert len(down) == 7
    for name, chunk in down:
        board.sent(name, chunk)
    assert board.begins("o", 8, Role.OWNED) == ["discard o 8", "o: Passed 8"]


def test_an_owned_chunk_of_another_stripe_that_is_here_already_goes_down_now() -> None:
    board = entry()
    assert pushed(board.brings("9", 9)) == []
    lines = board.begins("o", 9, Role.OWNED)
    assert lines[0] == "discard o 9"
    assert len(pushed(lines)) == 7


def test_an_owned_chunk_that_comes_in_another_way_too_is_passed_on_when_it_is_here() -> None:
    board = owner_of("abc", slots=24)
    board.has("a", 5)
    board.begins("a", 5, Role.COPIED)
    assert board.begins("o", 5, Role.OWNED) == ["discard o 5"]
    lines = board.stores("a", 5)
    assert sorted(pushed(lines)) == ["b << 5 copied", "c << 5 copied"]
    assert "o: Passed 5" in lines


# --- much to pass on ------------------------------------------------------------------------------


def held_up(fresh: int) -> Board:
    """An inner node of which nobody takes anything, and so many chunks wait."""
    board = inner()
    for turn in range(PIPELINE_MAX + fresh):
        board.brings("0", 8 * (turn + 1), Role.OWNED)
    assert board.swarm._push.backlog == fresh
    return board


def offers(lines: list[str]) -> list[str]:
    return [line for line in lines if line.endswith("Offer")]


def test_who_has_little_to_pass_on_serves_others_beside() -> None:
    assert offers(held_up(AHEAD_MAX).wait(PUSHING_MAX_S + 0.1))


def test_who_has_much_to_pass_on_offers_nothing() -> None:
    board = held_up(AHEAD_MAX + 1)
    assert not offers(board.wait(PUSHING_MAX_S + 0.1))


def test_what_was_offered_is_taken_back_when_much_is_to_be_passed_on() -> None:
    board = held_up(AHEAD_MAX)
    offered = {line.split(":")[0] for line in offers(board.wait(PUSHING_MAX_S + 0.1))}
    lines = board.brings("0", 80, Role.OWNED)
    assert offered == {line.split(":")[0] for line in lines if line.endswith("Close")}


def late_one(chunks: int) -> Board:
    """An owner of whose mates one took nothing of so many chunks, beyond what is in its pipe."""
    board = owner_of("abcdef", slots=24)
    for chunk in range(chunks):
        board.brings("o", chunk, Role.OWNED)
        for name in "abcde":
            board.sent(name, chunk)
            board.has(name, chunk)
    return board


def what_it_gets(board: Board) -> list[int]:
    """The chunks that the late one is sent from now on, if it takes them."""
    got: list[int] = []
    for _ in range(100):
        for chunk in list(board.neighbour("f").sending):
            got += [c for name, c in sent_to(board.sent("f", chunk)) if name == "f"]
    return got


def test_what_waits_for_the_last_few_is_sent_to_them_when_they_take_it() -> None:
    assert what_it_gets(late_one(PIPELINE_MAX + 5)) == [2, 3, 4, 5, 6]


def test_of_what_waits_for_the_last_few_the_oldest_is_given_up() -> None:
    chunks = PIPELINE_MAX + RESTS_MAX + 5
    assert what_it_gets(late_one(chunks)) == list(range(chunks - RESTS_MAX, chunks))


def test_fresh_chunks_go_ahead_of_those_that_wait_for_the_last_few() -> None:
    board = owner_of("abcdef", slots=24)
    for chunk in range(PIPELINE_MAX + 2):
        board.brings("o", chunk, Role.OWNED)
        for name in "abcde" if chunk < PIPELINE_MAX + 1 else "":
            board.sent(name, chunk)
            board.has(name, chunk)
    for chunk in range(10, 10 + PIPELINE_MAX):  # now nobody takes anything: these wait for all
        board.brings("o", chunk, Role.OWNED)
    assert board.swarm._push.backlog > 0
    fresh = board.swarm._push._backlog._waiting[0].index
    first = next(iter(board.neighbour("f").sending))
    assert ("f", fresh) in sent_to(board.sent("f", first))


# --- a chunk overtakes its sender's Join ----------------------------------------------------------


def test_a_chunk_that_overtakes_its_senders_join_is_kept_and_passed_on() -> None:
    board = Board(100)
    board.joins("a")
    assert board.begins("o", 5, Role.OWNED) == []
    assert pushed(board.stores("o", 5)) == ["a << 5 copied"]


def test_the_credit_of_a_chunk_that_overtook_its_senders_join_is_not_lost() -> None:
    board = Board(100)
    board.begins("o", 5, Role.OWNED)
    board.stores("o", 5)
    board.joins("o", origin=True)
    assert "o: Passed 5" in board.wait(0.2)


def test_an_early_chunk_that_is_here_already_is_discarded() -> None:
    board = Board(100, have={5})
    assert board.begins("o", 5, Role.OWNED) == ["discard o 5"]


def test_a_complete_mate_is_sent_nothing() -> None:
    board = owner_of("ab")
    board.joins("s", ALL)
    assert not [line for line in board.brings("o", 5, Role.OWNED) if line.startswith("s <<")]

"""Layer 1 as chess: chunks that just left the origin, their owners, and what may go wrong."""

from __future__ import annotations

from strew.messages import (
    ChunkSent,
    ChunkStored,
    Event,
    Have,
    MessageReceived,
    NeighbourJoined,
    Passed,
    PeerId,
    Role,
    SendChunk,
)
from strew.swarm.push import (
    BEHIND_MAX,
    CREDIT_IN_ALL,
    OWNER_CREDIT,
    PIPELINE_MAX,
    SEEN_WITHIN_S,
    SLOWEST_RATIO,
    TAGS,
    UNFIT_S,
    UNSEEN_MAX,
)
from strew.swarm.swarm import TICK_S
from tests.swarm.board import ALL, KEY, Board, plan


def given(lines: list[str]) -> list[tuple[str, int]]:
    """(owner, chunk) of every chunk that is given to an owner."""
    return [(line[0], int(line.split()[2])) for line in lines if line.endswith("owned")]


def pushed(lines: list[str]) -> list[str]:
    return [line for line in lines if "<<" in line]


def origin_with(names: str, chunks: int = 100, slots: int = 8) -> tuple[Board, list[str]]:
    board = Board(chunks, origin=True, push_slots=slots)
    return board, [line for name in names for line in board.joins(name)]


# --- the origin -----------------------------------------------------------------------------------


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


def test_an_owned_chunk_that_is_here_already_is_discarded_and_its_credit_returned() -> None:
    board = owner_of("ab")
    board.brings("a", 5, Role.COPIED)
    assert board.begins("o", 5, Role.OWNED) == ["discard o 5", "o: Passed 5"]


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


def test_a_chunk_that_rotted_at_its_owner_is_passed_to_nobody() -> None:
    board = owner_of("abcd", slots=1)
    assert len(pushed(board.brings("o", 5, Role.OWNED))) == 1
    board.rots(5)
    lines = [line for mate in "abcd" for line in board.sent(mate, 5)]
    assert "o: Passed 5" in lines
    assert pushed(lines) == []


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
    for chunk in range(3):  # so that sends have a usual time
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
    board.wait(0.4)
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


def test_when_most_owners_are_unfit_all_of_them_own() -> None:
    """It is rather the origin that was slow, or its link."""
    board, lines = origin_with("abcd", chunks=1000)
    play_on(board, lines, 3.0, dumb="abcd")
    lines = board.passed("a", *range(1000))
    assert "a" in {owner for owner, _ in given(lines + board.wait(0.1))}


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
    lines = board.brings("o", 5, Role.OWNED, tag=2)
    for _ in range(5):
        lines += board.sent(pushed(lines)[-1][0], 5)
    assert [line[0] for line in pushed(lines)] == ["d", "b", "c", "a", "x"]


def test_an_entry_serves_the_groups_below_first() -> None:
    board = owner_of("abxy", slots=1)
    board.hears("o", plan("mab", "xqr", "yst"))
    lines = board.brings("o", 5, Role.OWNED)
    for _ in range(3):
        lines += board.sent(pushed(lines)[-1][0], 5)
    assert pushed(lines)[0] == "x << 5 owned", "the next of the chain; x hands it to y"
    assert sorted(pushed(lines)[1:]) == ["a << 5 copied", "b << 5 copied"]


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


def test_an_inner_node_passes_its_stripes_chunks_down_its_branch() -> None:
    board = inner()
    branch = {name for name, _ in sent_to(board.brings("0", 5, Role.OWNED, tag=8))}
    assert len(branch) == 8
    again = {name for name, _ in sent_to(board.brings("0", 6, Role.OWNED, tag=16))}
    assert branch == again, "whom it sends to stays the same"


def test_it_is_a_leaf_of_the_other_stripes() -> None:
    board = inner()
    assert pushed(board.brings("0", 5, Role.OWNED, tag=9)) == []
    assert pushed(board.brings("0", 6, Role.COPIED, tag=8)) == []


def test_tag_and_version_travel_with_the_chunk() -> None:
    board = inner()
    board.begins("0", 5, Role.OWNED, tag=8, version=77)
    actions = board.swarm.handle(ChunkStored(PeerId("0"), KEY, 5), board.now)
    sends = [action for action in actions if isinstance(action, SendChunk)]
    assert sends and {(a.root, a.plan_version) for a in sends} == {(8, 77)}


def sent_to(lines: list[str]) -> list[tuple[str, int]]:
    return [(line.split()[0], int(line.split()[2])) for line in pushed(lines)]


# --- tags -----------------------------------------------------------------------------------------


def tags_given(names: str, first: int, chunks: int) -> list[tuple[str, int]]:
    """(owner, tag) of chunks that the origin of a star gives, from this tag on."""
    board = Board(1000, origin=True)
    board.names(*names)
    board.swarm._push._tag = first
    gifts: list[SendChunk] = []

    def tell(event: Event) -> None:
        actions = board.swarm.handle(event, board.now)
        gifts.extend(action for action in actions if isinstance(action, SendChunk))

    for name in names:
        tell(NeighbourJoined(PeerId(name), board.bits(())))
    for gift in gifts:  # which grows meanwhile
        if len(gifts) >= chunks:
            break
        tell(ChunkSent(gift.peer, KEY, gift.index))
        for name in names:
            tell(MessageReceived(PeerId(name), Have(KEY, [gift.index])))
        tell(MessageReceived(gift.peer, Passed(KEY, [gift.index])))
    return [(gift.peer, gift.root) for gift in gifts]


def test_the_origin_gives_chunk_after_chunk_to_entry_after_entry() -> None:
    gifts = tags_given("abcde", 0, 60)
    assert all(owner == "abcde"[tag % 5] for owner, tag in gifts)
    tags = [tag for _, tag in gifts]
    assert tags == sorted(set(tags))


def test_tags_begin_anew_when_the_headers_field_is_full() -> None:
    """65,536 is not a multiple of most numbers of stripes: who gets a chunk must be who can read
    from its tag what to do with it."""
    gifts = tags_given("abcde", TAGS - 20, 60)
    assert {tag for _, tag in gifts} & {0, 1, 2, 3, 4}
    assert all(0 <= tag < TAGS and owner == "abcde"[tag % 5] for owner, tag in gifts)


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

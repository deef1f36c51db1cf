"""Who sends to whom in a group, by arithmetic: trees, rings, empty places, dealt chunks."""

from __future__ import annotations

from collections import Counter
from itertools import pairwise, product

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from strew.swarm.layout import (
    ENTRIES_MAX,
    FANOUT,
    FANOUT_SPREAD,
    FANOUTS,
    HUGE_FANOUT,
    HUGE_MIN,
    STAR_MAX,
    STRIPES_MIN,
    TURNS,
    Layout,
    branch,
    deal,
    depth,
    is_inner,
    layout,
    remainder,
    ring,
    stripes_of,
    trees_of,
)

LARGE = (25, 26, 29, 31, 47, 59, 100, 149, 250, 719, 1000, 1439, 2521)
"""Sizes of striped groups, some of which few numbers divide."""


# --- stripes --------------------------------------------------------------------------------------


@pytest.mark.parametrize("size", range(1, STAR_MAX + 1))
def test_in_a_star_every_machine_is_a_stripe(size: int) -> None:
    assert stripes_of(size, FANOUT) == size


def test_large_groups_have_about_as_many_stripes_as_the_fan_out() -> None:
    for size in range(STAR_MAX + 1, 3000):
        assert abs(stripes_of(size, FANOUT) - FANOUT) <= FANOUT_SPREAD
        assert stripes_of(size, FANOUT) <= ENTRIES_MAX
    assert [stripes_of(size, FANOUT) for size in (25, 40, 60, 100, 1000)] == [8, 8, 6, 9, 8]


def test_huge_groups_have_fewer() -> None:
    assert [stripes_of(size, HUGE_FANOUT) for size in (5000, 5202, 9000, 10_000)] == [5, 6, 5, 5]


def test_no_fan_out_a_plan_may_name_has_more_stripes_than_machines_or_too_few_for_a_tree() -> None:
    for fanout in FANOUTS:
        for size in range(STAR_MAX + 1, 300):
            assert STRIPES_MIN <= stripes_of(size, fanout) < size


@given(st.integers(STAR_MAX + 1, 3000), st.sampled_from(FANOUTS), st.integers(0, 2))
def test_no_number_of_stripes_near_the_fan_out_has_a_less_busy_uplink(
    size: int, fanout: int, extra: int
) -> None:
    """What the entries send to other groups counts."""

    def copies(stripes: int) -> float:
        in_all_turns = -(-TURNS * (size - 1 + extra) // (size // stripes))
        return max(1.0, in_all_turns / TURNS / stripes)

    chosen = stripes_of(size, fanout, extra)
    near = range(max(STRIPES_MIN, fanout - FANOUT_SPREAD), fanout + FANOUT_SPREAD + 1)
    assert chosen in near
    assert copies(chosen) == min(copies(stripes) for stripes in near)


def test_a_group_with_groups_below_may_have_another_number_of_stripes() -> None:
    """48 machines in 8 stripes can send 48 copies; one more is less trouble in 6."""
    assert [stripes_of(48, FANOUT, extra) for extra in (0, 1, 2)] == [8, 8, 6]


def walk(size: int, stripe: int, extra: int, fanout: int = FANOUT) -> Counter[int]:
    """How often each place gets a chunk of a stripe, its entry's own included."""
    stripes = stripes_of(size, fanout)
    found = layout(b"\1" * size, stripes, extra)
    inner = size // stripes * stripes
    got = Counter({stripe: 1})
    passing = [stripe]
    while passing:
        places = found.sent_to(passing.pop(), size)  # whatever the turn
        got.update(places)
        passing += [p for p in places if p < inner and p % stripes == stripe]
        assert len(passing) <= size
    return got


@pytest.mark.parametrize("extra", [0, 1, 2])
@pytest.mark.parametrize("size", LARGE)
def test_each_stripe_is_a_tree_over_the_whole_group(size: int, extra: int) -> None:
    for stripe in range(stripes_of(size, FANOUT)):
        assert walk(size, stripe, extra) == Counter(range(size))


@given(st.integers(STAR_MAX + 1, 400), st.sampled_from(FANOUTS), st.integers(0, 2), st.data())
def test_each_stripe_is_a_tree_whatever_the_fan_out(
    size: int, fanout: int, extra: int, data: st.DataObject
) -> None:
    stripe = data.draw(st.integers(0, stripes_of(size, fanout) - 1))
    assert walk(size, stripe, extra, fanout) == Counter(range(size))


@pytest.mark.parametrize("extra", [0, 1, 2])
@pytest.mark.parametrize("size", LARGE)
def test_no_branch_has_more_than_one_copy(size: int, extra: int) -> None:
    """Of a stripe's chunks; a machine is an inner node of one stripe only. What cannot be divided
    is in no branch."""
    stripes = stripes_of(size, FANOUT)
    for place in range(size):
        copies = len(branch(place, size, stripes, extra)) + (extra if place < stripes else 0)
        assert copies <= stripes
    for stripe in range(stripes):
        spare = remainder(stripe, size, stripes, extra)
        assert len(spare) == max(0, size - 1 + extra - size // stripes * stripes)


def test_no_size_of_one_group_makes_a_bottleneck() -> None:
    """The quickest spread is that of the busiest uplink: 359 machines in 12 stripes would have some
    of them send thirteen copies of every twelfth chunk."""
    for size in range(STAR_MAX + 1, 10_000):
        stripes = stripes_of(size, FANOUT if size < HUGE_MIN else HUGE_FANOUT)
        in_all_turns = -(-TURNS * (size - 1) // (size // stripes))
        most = 1.06 if size < 60 else 1.035
        assert in_all_turns <= most * TURNS * stripes, size


@pytest.mark.parametrize("extra", [0, 1, 2])
@pytest.mark.parametrize("size", [*range(STAR_MAX + 1, 300), *LARGE])
def test_nobody_sends_more_than_a_turn_of_what_is_left_over_above_the_others(
    size: int, extra: int
) -> None:
    stripes = stripes_of(size, FANOUT)
    inner, found = size // stripes, layout(b"\1" * size, stripes, extra)
    left_over = max(0, size - 1 + extra - inner * stripes)
    most = TURNS * stripes - (-TURNS * left_over // inner)
    assert min(found.weights) >= TURNS / most


def test_what_a_division_leaves_over_passes_nothing_on() -> None:
    """65 places in 8 stripes: 64 is on its own, and a leaf of all."""
    assert branch(64, 65, 8, 0) == []
    assert not is_inner(64, 65, 8, 0) and is_inner(56, 65, 8, 0)
    reached = [place for number in range(0, 64, 8) for place in branch(number, 65, 8, 0)]
    assert sorted(reached) == list(range(1, 65))


# --- the star -------------------------------------------------------------------------------------


@pytest.mark.parametrize("size", range(1, 40))
def test_a_ring_is_everybody_else_once(size: int) -> None:
    for place in range(size):
        assert sorted(ring(place, size)) == sorted(set(range(size)) - {place})


@pytest.mark.parametrize("size", [3, 5, 9, 15, 23])
def test_at_any_moment_all_owners_of_an_odd_star_send_to_different_mates(size: int) -> None:
    """The origin gives to place t at time t; at its k-th mate an owner is at time place + k."""
    orders = [ring(place, size) for place in range(size)]
    for moment in range(size):
        sending = [place for place in range(size) if place != moment]
        mates = [orders[place][(moment - place) % size - 1] for place in sending]
        assert sorted(mates) == sorted(set(range(size)) - {moment})


@pytest.mark.parametrize("size", [2, 4, 8, 16, 24])
def test_in_an_even_star_no_more_than_two_send_to_the_same_mate(size: int) -> None:
    orders = [ring(place, size) for place in range(size)]
    for moment in range(size):
        sending = [place for place in range(size) if place != moment]
        mates = Counter(orders[place][(moment - place) % size - 1] for place in sending)
        assert max(mates.values()) <= 2


def test_in_the_layout_of_a_star_everybody_owns_as_much_and_sends_around_its_ring() -> None:
    found = layout(b"\1" * 12, 12, 2)
    assert found == Layout(12, [ring(place, 12) for place in range(12)], (1.0,) * 12)
    assert not any(is_inner(place, 12, 12, place) for place in range(12)), "nobody passes on"


# --- empty places --------------------------------------------------------------------------------


def present_but(size: int, holes: set[int]) -> bytes:
    return bytes(place not in holes for place in range(size))


@st.composite
def groups_with_holes(draw: st.DrawFn) -> tuple[bytes, int, int]:
    """The arguments of `layout` for a striped group; no entry's place is empty."""
    size = draw(st.integers(STAR_MAX + 1, 300))
    extra = draw(st.integers(0, 2))
    stripes = stripes_of(size, draw(st.sampled_from(FANOUTS)), extra)
    holes = draw(st.sets(st.integers(stripes, size - 1), max_size=size // 4))
    return present_but(size, holes), stripes, extra


def loads(found: Layout, present: bytes, stripe: int, extra: int) -> list[float]:
    """How many copies of a stripe's chunk each of its inner nodes sends, on average of all turns,
    from the entry on."""
    size = len(present)
    return [
        sum(len(found.sent_to(place, turn)) for turn in range(TURNS)) / TURNS
        + (extra if place < found.stripes else 0)
        for place in range(size)
        if present[place] and is_inner(place, size, found.stripes, stripe)
    ]


@given(groups_with_holes())
@example((present_but(60, {10, 50}), 6, 0))  # the idlest machine stands behind place 10
@example((present_but(71, {12, 63}), 7, 0))
def test_with_empty_places_each_stripe_reaches_every_machine_once_in_each_turn(
    group: tuple[bytes, int, int],
) -> None:
    """From the entry on, so no machine is its own ancestor: it would be reached twice, or never.
    Nothing is sent beside that."""
    present, stripes, extra = group
    found = layout(present, stripes, extra)
    machines = Counter(place for place, there in enumerate(present) if there)
    for turn in range(TURNS):
        sends = 0
        for stripe in range(stripes):
            got, passing = Counter({stripe: 1}), [stripe]
            while passing:
                sent = found.sent_to(passing.pop(), turn)
                sends += len(sent)
                got.update(sent)
                passing += [to for to in sent if is_inner(to, len(present), stripes, stripe)]
                assert len(passing) <= len(present), "in a circle"
            assert got == machines
        all_sends = sum(len(found.sent_to(place, turn)) for place in range(len(present)))
        assert sends == all_sends, "who is not reached sends nothing"


@given(groups_with_holes())
def test_nobody_sends_to_an_empty_place_and_nobody_sends_from_one(
    group: tuple[bytes, int, int],
) -> None:
    present, found = group[0], layout(*group)
    for place in range(len(present)):
        for turn in range(TURNS):
            sent = found.sent_to(place, turn)
            assert all(present[to] for to in sent)
            assert present[place] or not sent


@given(groups_with_holes())
def test_a_stripe_gets_as_much_as_its_busiest_machine_can_send(
    group: tuple[bytes, int, int],
) -> None:
    present, stripes, extra = group
    found = layout(*group)
    busiest = [max(loads(found, present, stripe, extra)) for stripe in range(stripes)]
    assert found.weights == tuple(1 / copies for copies in busiest), "to the last bit"


def test_without_empty_places_a_layout_is_the_branches() -> None:
    found = layout(b"\1" * 100, 9, 0)
    assert list(found.branches) == [branch(place, 100, 9, 0) for place in range(100)]
    assert not found.inherited


def test_what_the_branches_leave_over_is_sent_to_in_turns() -> None:
    """359 machines: 51 inner nodes of each of 7 stripes send 7 copies of 358, and one is left."""
    found = layout(b"\1" * 359, stripes_of(359, FANOUT), 0)
    assert found.stripes == 7
    for stripe in range(7):
        sent = loads(found, b"\1" * 359, stripe, 0)
        assert sum(sent) == pytest.approx(358) and max(sent) == 7 + 1 / TURNS


@given(st.integers(100, 600), st.data())
def test_what_one_empty_place_would_send_makes_nobody_a_bottleneck(
    size: int, data: st.DataObject
) -> None:
    """A lone heir would send two machines' copies, one of each of its targets nine where all others
    send eight; nobody sends more than an eighth above what cannot be less, where nobody stands
    behind the place. The other stripes do not change but for the copies of the machine itself."""
    stripes = stripes_of(size, FANOUT)
    hole = data.draw(st.integers(stripes, size - 1))
    full, present = b"\1" * size, present_but(size, {hole})
    before, after = layout(full, stripes, 0), layout(present, stripes, 0)
    for stripe in range(stripes):
        sent = loads(after, present, stripe, 0)
        assert max(sent) <= -(-(size - 2) // len(sent)) + 1
        if hole // stripes > stripes:  # all behind it are leaves, anybody's to send to
            whole = -(-(size - 1) // (size // stripes))
            assert max(sent) <= max(whole, (size - 2) / len(sent)) + 1 / TURNS
    for place in range(size):
        if not is_inner(place, size, stripes, hole % stripes):
            kept = [to for to in before.branches[place] if to != hole]
            assert list(after.branches[place]) == kept
            turns = [[to for to in before.sent_to(place, t) if to != hole] for t in range(TURNS)]
            assert [list(after.sent_to(place, t)) for t in range(TURNS)] == turns


@pytest.mark.parametrize("size", [200, 250, 1000])
def test_many_empty_places_leave_the_loads_of_a_stripe_about_equal(size: int) -> None:
    """One in 17, as many as a plan leaves before it is laid out anew."""
    present = present_but(size, set(range(ENTRIES_MAX, size, 17)))
    stripes = stripes_of(size, FANOUT)
    found = layout(present, stripes, 0)
    for stripe in range(stripes):
        sent = loads(found, present, stripe, 0)
        assert max(sent) - min(sent) <= 2
    assert sum(found.weights) > 0.98, "what the plan carries, of what the links do"


def test_what_an_empty_place_would_send_to_is_sent_to_by_others_once() -> None:
    present = bytearray(b"\1" * 100)
    for hole in (9, 17, 40, 41, 60):
        present[hole] = 0
    found = layout(bytes(present), 9, 0)
    for stripe, turn in product(range(9), range(TURNS)):
        reached = [to for place in range(stripe, 99, 9) for to in found.sent_to(place, turn)]
        there = [place for place in range(100) if present[place] and place != stripe]
        assert sorted(reached) == there
    assert all(not found.sent_to(hole, 0) for hole in (9, 17, 40, 41, 60))
    assert found.turns(9 * 3) == TURNS, "of its stripe there are empty places"
    assert found.turns(1) == 1, "of its stripe all are there"


# --- hops -----------------------------------------------------------------------------------------


def hops_of(size: int, stripes: int) -> int:
    """From the entry of the first stripe to whoever is last."""
    found = layout(b"\1" * size, stripes, 0)
    hops, passing = {0: 0}, [0]
    for place in passing:
        for to in found.sent_to(place, 0):
            hops[to] = hops[place] + 1
            if is_inner(to, size, stripes, 0):
                passing.append(to)
    return max(hops.values())


@given(st.integers(STAR_MAX + 1, 3000))
def test_no_chunk_comes_to_everybody_in_fewer_hops_than_the_depth(size: int) -> None:
    stripes = stripes_of(size, FANOUT)
    assert depth(size, stripes) <= hops_of(size, stripes)


def test_a_group_is_deeper_the_larger_it_is() -> None:
    assert [depth(size, 8) for size in (1, 2, 9, 10)] == [1, 1, 1, 2]
    sizes = range(1, 3000)
    assert all(depth(one, 8) <= depth(two, 8) for one, two in pairwise(sizes))


# --- dealing -------------------------------------------------------------------------------------


lengths_of_chunks = st.lists(st.integers(1, 1 << 24), max_size=200).map(tuple)
weights_of_stripes = st.lists(st.integers(1, 40), min_size=1, max_size=24).map(
    lambda copies: tuple(1 / each for each in copies)
)


@given(lengths_of_chunks, weights_of_stripes)
def test_no_stripe_is_ever_more_than_one_chunk_ahead_of_another(
    lengths: tuple[int, ...], weights: tuple[float, ...]
) -> None:
    """Divided by its weight; the inner nodes of one further behind would never catch up."""
    carried = [0.0] * len(weights)
    dealt = deal(lengths, weights)
    assert len(dealt) == len(lengths)
    for length_bytes, stripe in zip(lengths, dealt, strict=True):
        carried[stripe] += length_bytes / weights[stripe]
        ahead = max(carried) - min(carried)
        assert ahead <= max(lengths) / min(weights) * 1.000001, "but for rounding"


def test_equal_chunks_of_equal_stripes_are_dealt_in_turn() -> None:
    """All implementations must agree, so also where stripes have carried the same."""
    assert list(deal((1000,) * 7, (1.0,) * 3)) == [0, 1, 2, 0, 1, 2, 0]


def test_a_long_chunk_makes_its_stripe_wait_and_a_small_weight_does() -> None:
    assert list(deal((3000, 1000, 1000, 1000, 1000), (1.0, 1.0))) == [0, 1, 1, 1, 0]
    assert Counter(deal((1000,) * 300, (1 / 8, 1 / 8, 1 / 16))) == {0: 120, 1: 120, 2: 60}


@pytest.mark.parametrize("weights", [(1.0,) * 8, (1 / 8, 1 / 9, 1 / 8, 1 / 7)])
def test_stripes_carry_bytes_by_their_weights_at_any_point_of_the_file(
    weights: tuple[float, ...],
) -> None:
    lengths = tuple(1000 + 37 * n % 501 for n in range(400))
    carried = [0.0] * len(weights)
    for index, stripe in enumerate(deal(lengths, weights)):
        carried[stripe] += lengths[index] / weights[stripe]
        assert max(carried) - min(carried) <= max(lengths) / min(weights)


@given(
    st.lists(st.integers(1, 8 << 20), min_size=1, max_size=300),
    st.integers(1, 24),
)
def test_trees_and_the_stripes_of_each_carry_as_much_at_any_point_of_the_file(
    lengths: list[int], stripes: int
) -> None:
    """What an entry sends differs from tree to tree: it must own as much in one as in the other."""
    tree_of = trees_of(tuple(lengths), 2)
    stripe_of = deal(tuple(lengths), (1.0,) * stripes, 2)
    by_tree = [0, 0]
    by_stripe = [[0] * stripes for _ in range(2)]
    for length_bytes, tree, stripe in zip(lengths, tree_of, stripe_of, strict=True):
        by_tree[tree] += length_bytes
        by_stripe[tree][stripe] += length_bytes
        assert max(by_tree) - min(by_tree) <= max(lengths)
        assert max(by_stripe[tree]) - min(by_stripe[tree]) <= max(lengths)


def test_of_a_single_tree_the_stripes_are_dealt_all_chunks() -> None:
    lengths = tuple(range(1000, 1200))
    assert deal(lengths, (1.0, 2.0, 1.0), 1) == deal(lengths, (1.0, 2.0, 1.0))
    assert set(trees_of(lengths, 1)) == {0}

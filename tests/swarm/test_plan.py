"""Plans of stripes: made by the origin; the shapes everybody reads out of them."""

from __future__ import annotations

from collections import Counter

import pytest
from hypothesis import given
from hypothesis import strategies as st

from strew.messages import PeerId, Plan
from strew.swarm.layout import (
    CHAIN_MAX,
    ENTRIES_MAX,
    FANOUT,
    FANOUT_SPREAD,
    FANOUTS,
    STAR_MAX,
    branch,
    groups_below,
    ring,
    stripes_of,
)
from strew.swarm.plan import GROUP_MIN, MEMBERS_MAX, PlanMaker
from tests.swarm.board import member

LARGE = (25, 26, 29, 31, 47, 59, 100, 149, 250, 719, 1000, 1439, 2521)
"""Sizes of striped groups, some of which few numbers divide."""


def maker_of(zone: str = "", **counts: int) -> PlanMaker:
    """The origin's list: `counts` machines of each zone, named by it and a number."""
    maker = PlanMaker(PeerId("origin"), zone)
    for name, count in counts.items():
        for number in range(count):
            maker.add(member(f"{name}{number}"), name)
    return maker


def names_of(plan: Plan) -> list[list[str]]:
    return [[m.id for m in group] for group in plan.groups]


# --- stripes --------------------------------------------------------------------------------------


@pytest.mark.parametrize("size", range(1, STAR_MAX + 1))
def test_in_a_star_every_machine_is_a_stripe(size: int) -> None:
    assert stripes_of(size, FANOUT) == size


def test_large_groups_have_about_as_many_stripes_as_the_fan_out() -> None:
    for size in range(STAR_MAX + 1, 3000):
        assert abs(stripes_of(size, FANOUT) - FANOUT) <= FANOUT_SPREAD
        assert stripes_of(size, FANOUT) <= ENTRIES_MAX
    assert [stripes_of(size, FANOUT) for size in (25, 40, 60, 100, 1000)] == [8, 8, 6, 9, 8]


def test_no_fan_out_a_plan_may_name_has_more_stripes_than_machines_or_too_few_for_a_tree() -> None:
    for fanout in FANOUTS:
        for size in range(STAR_MAX + 1, 300):
            assert 3 <= stripes_of(size, fanout) < size


def walk(size: int, stripe: int, extra: int, fanout: int = FANOUT) -> Counter[int]:
    """How often each place gets a chunk of a stripe, its entry's own included."""
    stripes = stripes_of(size, fanout)
    inner = size // stripes * stripes
    got = Counter({stripe: 1})
    passing = [stripe]
    while passing:
        places = branch(passing.pop(), size, stripes, extra)
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
def test_no_uplink_carries_much_more_than_one_copy(size: int, extra: int) -> None:
    """Of a stripe's chunks; a machine is an inner node of one stripe only. One copy more of every
    `stripes`-th chunk is what cannot be divided; two would be a bottleneck."""
    stripes = stripes_of(size, FANOUT)
    for place in range(size):
        copies = len(branch(place, size, stripes, extra)) + (extra if place < stripes else 0)
        assert copies <= stripes + (extra > 0 or size % stripes > 1)


def test_no_size_of_one_group_makes_a_bottleneck() -> None:
    """The quickest spread is that of the busiest uplink: 1439 machines in 4 stripes would leave
    some of them five copies of every fourth chunk."""
    for size in range(STAR_MAX + 1, 3000):
        stripes = stripes_of(size, FANOUT)
        busiest = -(-(size - 1) // (size // stripes))
        assert busiest <= 1.1 * stripes, size


def test_what_a_division_leaves_over_passes_nothing_on() -> None:
    """65 places in 8 stripes: 64 is on its own, and a leaf of all."""
    assert branch(64, 65, 8, 0) == []
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


# --- groups ---------------------------------------------------------------------------------------


@pytest.mark.parametrize("count", range(1, 40))
def test_every_group_but_the_first_is_below_exactly_one(count: int) -> None:
    below = [number for group in range(count) for number in groups_below(group, count)]
    assert sorted(below) == list(range(1, count))
    assert all(number > group for group in range(count) for number in groups_below(group, count))


def test_a_few_groups_are_a_chain_and_more_a_binary_tree_below_the_first() -> None:
    assert [groups_below(group, CHAIN_MAX) for group in range(4)] == [[1], [2], [3], []]
    assert [groups_below(group, 7) for group in range(7)] == [
        [1],
        [2, 3],
        [4, 5],
        [6],
        [],
        [],
        [],
    ]


def test_a_zone_is_a_group_and_small_zones_share_one() -> None:
    of = maker_of("h", h=GROUP_MIN, a=3, b=40, c=GROUP_MIN - 1).make(1)
    assert [Counter(name[0] for name in group) for group in names_of(of)] == [
        {"h": 8},
        {"b": 40},
        {"a": 3, "c": 7},
    ]


def test_the_origins_own_zone_comes_first_whoever_was_named_first() -> None:
    maker = maker_of("h", a=30, h=30)
    assert {name[0] for name in names_of(maker.make(1))[0]} == {"h"}


@given(st.lists(st.sampled_from("abcdef"), max_size=90))
def test_every_machine_is_in_one_group_with_its_zone_or_with_small_ones(zones: list[str]) -> None:
    maker = PlanMaker(PeerId("origin"), "a")
    for number, zone in enumerate(zones):
        maker.add(member(f"{zone}{number}"), zone)
    groups = names_of(maker.make(1))
    sizes = Counter(zones)
    assert sorted(name for group in groups for name in group) == sorted(
        f"{zone}{number}" for number, zone in enumerate(zones)
    )
    for group in groups:
        there = {name[0] for name in group}
        assert len(there) == 1 or all(sizes[zone] < GROUP_MIN for zone in there)


# --- the maker ------------------------------------------------------------------------------------


def test_versions_grow_and_changes_are_told() -> None:
    maker = maker_of(a=2)
    assert maker.changed
    assert maker.make(1).version == 1
    assert not maker.changed
    maker.add(member("a0"), "a")
    assert not maker.remove(PeerId("stranger"))
    assert not maker.changed, "nothing new"
    assert maker.remove(PeerId("a0"))
    assert maker.changed
    assert maker.make(1).version == 2


def test_a_plan_says_that_its_maker_is_in_no_group() -> None:
    of = maker_of(a=2).make(5)
    assert (of.swarm, of.origin, of.fanout, of.group, of.place) == (5, "origin", FANOUT, -1, -1)


@pytest.mark.parametrize("name", ["origin", ""])
def test_neither_the_origin_nor_nobody_is_a_member(name: str) -> None:
    maker = PlanMaker(PeerId("origin"))
    maker.add(member(name), "")
    assert len(maker) == 0 and not maker.changed
    assert maker.make(1).groups == []


def test_a_plan_has_a_largest_size() -> None:
    maker = maker_of(a=MEMBERS_MAX + 5)
    assert len(maker) == MEMBERS_MAX
    assert sum(len(group) for group in maker.make(1).groups) == MEMBERS_MAX


def test_who_is_left_out_does_not_come_back() -> None:
    maker = maker_of(a=3)
    assert maker.leave_out(PeerId("a1"))
    assert not maker.leave_out(PeerId("a1")), "it is known"
    assert not maker.leave_out(PeerId("stranger"))
    maker.add(member("a1"), "a")
    assert sorted(names_of(maker.make(1))[0]) == ["a0", "a2"]


def test_who_leaves_and_comes_again_has_a_place_again() -> None:
    maker = maker_of(a=3)
    maker.remove(PeerId("a1"))
    maker.add(member("a1"), "a")
    assert sorted(names_of(maker.make(1))[0]) == ["a0", "a1", "a2"]


def test_a_star_closes_its_ranks() -> None:
    maker = maker_of(a=10)
    maker.remove(PeerId("a3"))
    assert names_of(maker.make(1)) == [[f"a{n}" for n in range(10) if n != 3]]


@given(st.integers(STAR_MAX + 1, 150), st.data())
def test_one_machine_that_dies_changes_the_place_of_at_most_one_other(
    count: int, data: st.DataObject
) -> None:
    """Nobody else's trees change, so connections are kept."""
    maker = maker_of(a=count)
    before = names_of(maker.make(1))[0]
    maker.remove(PeerId(before[data.draw(st.integers(0, count - 1))]))
    after = names_of(maker.make(1))[0]
    moved = [name for place, name in enumerate(after) if name and before[place] != name]
    assert len(after) == len(before) or len(after) <= STAR_MAX
    assert len(moved) <= 1 or len(after) <= STAR_MAX


@given(st.integers(STAR_MAX + 1, 120), st.lists(st.integers(0, 119), max_size=60))
def test_an_entry_is_never_nobody(count: int, victims: list[int]) -> None:
    maker = maker_of(a=count)
    maker.make(1)
    for victim in victims:
        maker.remove(PeerId(f"a{victim}"))
        for group in names_of(maker.make(1)):
            assert all(group[: stripes_of(len(group), FANOUT)])


moves = st.lists(st.tuples(st.booleans(), st.integers(0, 80), st.sampled_from("abc")), max_size=250)


@given(moves)
def test_the_plan_names_each_machine_once_while_they_come_and_go(
    course: list[tuple[bool, int, str]],
) -> None:
    maker = PlanMaker(PeerId("origin"))
    there: set[str] = set()
    for turn, (comes, number, zone) in enumerate(course):
        name = f"m{number}"
        if comes:
            maker.add(member(name), zone)
            there.add(name)
        else:
            maker.remove(PeerId(name))
            there.discard(name)
        if turn % 16 == 0:
            maker.make(1)
    groups = names_of(maker.make(1))
    assert sorted(name for group in groups for name in group if name) == sorted(there)
    assert len(maker) == len(there)
    assert all(any(group) for group in groups)

"""The plan as the origin makes it: who is in which group, and who keeps its place."""

from __future__ import annotations

from collections import Counter

import pytest
from hypothesis import given
from hypothesis import strategies as st

from strew.messages import PeerId, Plan, PlanMember
from strew.swarm.layout import (
    ENTRIES_MAX,
    FANOUT,
    HUGE_FANOUT,
    HUGE_MIN,
    STAR_MAX,
    stripes_of,
)
from strew.swarm.plan import (
    DOUBLINGS_MAX,
    GROUP_MIN,
    GROWTH_RATIO,
    HOLES_RATIO,
    LEFT_OUT_S,
    MEMBERS_MAX,
    PlanMaker,
)
from tests.swarm.board import member


def maker_of(zone: str = "", **counts: int) -> PlanMaker:
    """The origin's list: `counts` machines of each zone, named by it and a number."""
    maker = PlanMaker(PeerId("origin"), zone)
    for name, count in counts.items():
        for number in range(count):
            maker.add(member(f"{name}{number}"), name)
    return maker


def names_of(plan: Plan) -> list[list[str]]:
    return [[m.id for m in group] for group in plan.groups]


# --- groups --------------------------------------------------------------------------------------


def test_a_zone_is_a_group_and_machines_alone_in_theirs_share_one() -> None:
    of = maker_of("h", h=GROUP_MIN, a=1, b=40, c=GROUP_MIN - 1).make(1)
    assert [Counter(name[0] for name in group) for group in names_of(of)] == [
        {"h": 2},
        {"b": 40},
        {"a": 1, "c": 1},
    ]


def test_the_origins_own_zone_comes_first_whoever_was_named_first() -> None:
    maker = maker_of("h", a=30, h=30)
    assert {name[0] for name in names_of(maker.make(1))[0]} == {"h"}


@given(st.lists(st.sampled_from("abcdef"), max_size=90))
def test_every_machine_is_in_one_group_with_its_zone_or_with_lone_ones(zones: list[str]) -> None:
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
    changes = [maker.changed]
    maker.add(member("a0"), "a")
    assert not maker.remove(PeerId("stranger"))
    changes.append(maker.changed)
    assert changes == [False, False], "nothing new"
    assert maker.remove(PeerId("a0"))
    assert maker.changed
    assert maker.make(1).version == 2


def test_a_plan_says_that_its_maker_is_in_no_group() -> None:
    of = maker_of(a=2).make(5)
    assert (of.swarm, of.origin, of.fanout, of.group, of.place) == (5, "origin", FANOUT, -1, -1)


def test_a_huge_fleet_has_fewer_stripes_until_it_is_half_as_large() -> None:
    maker = maker_of(a=HUGE_MIN - 1, b=HUGE_MIN // 2)
    fanouts = [maker.make(1).fanout]
    maker.add(member("one more"), "a")
    fanouts.append(maker.make(1).fanout)
    for left in (HUGE_MIN // 2, HUGE_MIN // 3):
        for zone in "ab":
            for number in range(left, HUGE_MIN):
                maker.remove(PeerId(f"{zone}{number}"))
        maker.remove(PeerId("one more"))
        fanouts.append(maker.make(1).fanout)
    assert fanouts == [FANOUT, HUGE_FANOUT, HUGE_FANOUT, FANOUT]


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


def test_who_is_left_out_is_not_named_into_the_plan_again() -> None:
    maker = maker_of(a=3)
    assert maker.leave_out(PeerId("a1"), 100.0)
    assert not maker.leave_out(PeerId("a1"), 100.0), "it is known"
    assert not maker.leave_out(PeerId("stranger"), 100.0)
    maker.add(member("a1"), "a", seen=True)
    assert names_of(maker.make(1)) == [["a0", "a2"]]
    assert maker.left_out == 1


def test_who_was_left_out_is_tried_again_and_each_time_later() -> None:
    maker = maker_of(a=3)
    now, waits = 100.0, []
    for _ in range(DOUBLINGS_MAX + 3):
        maker.leave_out(PeerId("a1"), now)
        since_s = now
        while maker.left_out:
            now += LEFT_OUT_S
            maker.take_back(now)
        assert sorted(names_of(maker.make(1))[0]) == ["a0", "a1", "a2"]
        waits.append((now - since_s) / LEFT_OUT_S)
    assert waits == [1, 2, 4, 8, 16, 16, 16]


def test_who_was_left_out_and_went_is_not_taken_back() -> None:
    maker = maker_of(a=3)
    maker.leave_out(PeerId("a1"), 100.0)
    maker.remove(PeerId("a1"))
    maker.take_back(100.0 + LEFT_OUT_S)
    assert names_of(maker.make(1)) == [["a0", "a2"]]
    maker.add(member("a1"), "a", seen=True)
    assert names_of(maker.make(1)) == [["a0", "a2", "a1"]], "it came"


def test_who_was_left_out_and_moved_is_taken_back_where_it_is() -> None:
    maker = maker_of(a=3)
    maker.leave_out(PeerId("a1"), 100.0)
    moved = PlanMember("a1", "10.0.0.9", 7999)
    maker.add(moved, "a", seen=True)
    maker.take_back(100.0 + LEFT_OUT_S)
    assert maker.member(PeerId("a1")) == moved


def test_who_leaves_and_comes_again_has_a_place_again() -> None:
    maker = maker_of(a=3)
    maker.remove(PeerId("a1"))
    assert maker.add(member("a1"), "a", seen=True)
    assert sorted(names_of(maker.make(1))[0]) == ["a0", "a1", "a2"]


def test_who_left_does_not_come_back_by_hearsay() -> None:
    """A tracker names it for a while."""
    maker = maker_of(a=3)
    maker.remove(PeerId("a1"))
    assert not maker.add(member("a1"), "a")
    assert names_of(maker.make(1)) == [["a0", "a2"]]
    maker.add(member("a1"), "a", seen=True)
    assert maker.add(member("a1"), "a"), "it is there"


def test_who_was_left_out_is_not_gone() -> None:
    """So nobody need look for it."""
    maker = maker_of(a=3)
    maker.leave_out(PeerId("a1"), 100.0)
    assert maker.add(member("a1"), "a")


def test_a_member_is_found_by_its_name() -> None:
    maker = maker_of(a=3, b=2)
    assert maker.member(PeerId("b1")) == member("b1")
    maker.remove(PeerId("b1"))
    assert maker.member(PeerId("b1")) is None is maker.member(PeerId("stranger"))


def test_a_star_closes_its_ranks() -> None:
    maker = maker_of(a=10)
    maker.remove(PeerId("a3"))
    assert names_of(maker.make(1)) == [[f"a{n}" for n in range(10) if n != 3]]


# --- places ---------------------------------------------------------------------------------------


striped = st.integers(STAR_MAX + 1, 150)


@given(striped, st.data())
def test_a_machine_that_dies_leaves_its_place_empty_and_nobody_else_moves(
    count: int, data: st.DataObject
) -> None:
    """Nobody else's trees change, so connections are kept."""
    maker = maker_of(a=count)
    names = names_of(maker.make(1))[0]
    victim = data.draw(st.integers(ENTRIES_MAX, count - 1))
    maker.remove(PeerId(names[victim]))
    names[victim] = ""
    assert names_of(maker.make(1)) == [names]


@given(striped, st.integers(0, ENTRIES_MAX - 1))
def test_the_last_machine_takes_the_place_of_an_entry_that_dies(count: int, entry: int) -> None:
    maker = maker_of(a=count)
    names = names_of(maker.make(1))[0]
    maker.remove(PeerId(names[entry]))
    names[entry], names[-1] = names[-1], ""
    assert names_of(maker.make(1)) == [names]


@given(striped, st.data())
def test_who_comes_takes_the_place_of_who_went(count: int, data: st.DataObject) -> None:
    maker = maker_of(a=count)
    names = names_of(maker.make(1))[0]
    victim = data.draw(st.integers(0, count - 1))
    maker.remove(PeerId(names[victim]))
    maker.add(member("new"), "a")
    names[victim] = "new"
    assert names_of(maker.make(1)) == [names]


@given(st.integers(60, 150))
def test_a_group_is_laid_out_anew_when_too_many_of_it_are_gone(count: int) -> None:
    """Not before: everybody's trees change."""
    maker = maker_of(a=count)
    maker.make(1)
    few = int(HOLES_RATIO * count)
    victims = range(ENTRIES_MAX, 4 * few + ENTRIES_MAX + 1, 4)
    for victim in victims[:few]:
        maker.remove(PeerId(f"a{victim}"))
    assert names_of(maker.make(1))[0] == [
        "" if n in victims[:few] else f"a{n}" for n in range(count)
    ]
    maker.remove(PeerId(f"a{victims[few]}"))
    assert names_of(maker.make(1))[0] == [f"a{n}" for n in range(count) if n not in victims]


@given(striped)
def test_a_group_that_grows_has_places_for_those_who_come_next(count: int) -> None:
    maker = maker_of(a=count)
    names = names_of(maker.make(1))[0]
    assert "" not in names, "it has not grown yet"
    maker.add(member("next"), "a")
    more = int(GROWTH_RATIO * (count + 1))
    grown = names_of(maker.make(1))[0]
    assert grown == [*names, "next", *[""] * more]
    for number in range(more):
        maker.add(member(f"b{number}"), "a")
        later = names_of(maker.make(1))[0]
        assert len(later) == len(grown), "nobody's trees change"
        assert later[: count + 1] == grown[: count + 1]
        assert later.count("") == more - number - 1


def test_a_star_that_grows_into_stripes_has_places_for_the_next_and_a_star_none() -> None:
    maker = maker_of(a=STAR_MAX - 2)
    maker.make(1)
    for number in range(2):
        maker.add(member(f"b{number}"), "a")
    assert len(names_of(maker.make(1))[0]) == STAR_MAX
    maker.add(member("c0"), "a")
    assert names_of(maker.make(1))[0][STAR_MAX:] == ["c0", "", ""]


def test_a_group_that_shrinks_to_a_star_has_no_empty_place() -> None:
    """A ring leaves nobody out."""
    maker = maker_of(a=STAR_MAX + 6)
    for victim in range(10):
        maker.make(1)
        maker.remove(PeerId(f"a{victim * 2}"))
    names = names_of(maker.make(1))[0]
    assert len(names) == STAR_MAX - 4 and "" not in names


def test_what_a_small_zone_lost_leaves_no_empty_place_in_the_shared_group() -> None:
    maker = maker_of(h=30, a=GROUP_MIN, b=1)
    maker.make(1)
    maker.remove(PeerId("a0"))
    assert names_of(maker.make(1))[1] == ["a1", "b0"]


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
            maker.add(member(name), zone, seen=True)
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

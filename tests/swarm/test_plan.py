"""Plans of groups: made by the origin, walked by owners."""

from __future__ import annotations

import random
from collections import Counter

import pytest
from hypothesis import given
from hypothesis import strategies as st

from strew.messages import PeerId, Plan
from strew.swarm.plan import GROUP_MAX, MEMBERS_MAX, ROOTS_MAX, PlanMaker, PushView
from tests.swarm.board import member, plan

ZONES = ("", "a", "b")


def made(count: int, zones: tuple[str, ...] = ("",)) -> PlanMaker:
    maker = PlanMaker(PeerId("origin"))
    for number in range(count):
        maker.add(member(f"m{number:03}"), zones[number % len(zones)])
    return maker


def views(of: Plan) -> dict[str, PushView]:
    seen = {}
    for group in of.groups:
        for one in group:
            seen[one.id] = PushView(PeerId(one.id))
            assert seen[one.id].adopt(of)
    return seen


def reached(of: Plan, owner: str) -> Counter[str]:
    """How often each machine receives a chunk that its root's `owner` got from the origin."""
    all_views = views(of)
    root = all_views[owner].group_of(PeerId(owner))
    count: Counter[str] = Counter({owner: 1})
    passing = [owner]
    while passing:
        view = all_views[one := passing.pop()]
        for designate in view.designates(root):
            count[designate] += 1
            passing.append(designate)
        mates = of.groups[view.group_of(PeerId(one))]
        count.update(m.id for m in mates if m.id != one)
    return count


# --- the tree -------------------------------------------------------------------------------------


@pytest.mark.parametrize("count", [1, 2, 24, 25, 60, 200])
def test_every_member_is_reached_exactly_once_from_each_root(count: int) -> None:
    of = made(count).make(1)
    for root in of.roots:
        for owner in of.groups[root]:
            assert reached(of, owner.id) == Counter({m.id: 1 for g in of.groups for m in g})


@given(st.lists(st.sampled_from(ZONES), min_size=1, max_size=160))
def test_every_member_is_reached_exactly_once_whatever_the_zones(zones: list[str]) -> None:
    maker = PlanMaker(PeerId("origin"))
    for number, zone in enumerate(zones):
        maker.add(member(f"m{number}"), zone)
    of = maker.make(1)
    for root in of.roots:
        owner = random.Random(len(zones)).choice(of.groups[root])
        assert reached(of, owner.id) == Counter({m.id: 1 for g in of.groups for m in g})


def test_nobody_is_asked_for_more_than_its_group_and_two_designates() -> None:
    of = made(200).make(1)
    for view in views(of).values():
        for root in range(len(of.groups)):
            assert len(view.designates(root)) <= 2


def test_a_designate_is_the_twin_so_that_a_machine_knows_few_of_other_groups() -> None:
    of = made(60).make(1)
    for name, view in views(of).items():
        place = [m.id for m in of.groups[view.group_of(PeerId(name))]].index(name)
        for root in of.roots:
            for designate in view.designates(root):
                group = of.groups[view.group_of(designate)]
                assert designate == group[place % len(group)].id


def test_acquaintances_are_mates_and_twins_and_not_oneself() -> None:
    of = made(60).make(1)
    for name, view in views(of).items():
        known = {m.id for m in view.acquaintances()}
        mates = {m.id for m in of.groups[view.group_of(PeerId(name))]}
        assert name not in known
        assert mates - {name} <= known
        assert len(known - mates) <= 2 * len(of.roots)


def test_who_gets_from_somebody_is_an_acquaintance_of_it() -> None:
    of = made(60).make(1)
    all_views = views(of)
    for name, view in all_views.items():
        for root in of.roots:
            for designate in view.designates(root):
                assert designate in {m.id for m in view.acquaintances()}, name


# --- the maker ------------------------------------------------------------------------------------


def test_up_to_24_machines_are_one_group() -> None:
    of = made(GROUP_MAX).make(1)
    assert [len(g) for g in of.groups] == [24]
    assert of.roots == [0]


@pytest.mark.parametrize("count", [25, 60, 300])
def test_more_machines_are_groups_of_at_most_24(count: int) -> None:
    of = made(count).make(1)
    assert all(1 <= len(g) <= GROUP_MAX for g in of.groups)
    assert sum(len(g) for g in of.groups) == count
    assert len(of.roots) == len(set(of.roots)) == min(ROOTS_MAX, len(of.groups))
    assert set(of.roots) <= set(range(len(of.groups)))


def test_groups_do_not_mix_zones() -> None:
    maker = made(90, ZONES)
    zone_of = {f"m{number:03}": ZONES[number % 3] for number in range(90)}
    for group in maker.make(1).groups:
        assert len({zone_of[m.id] for m in group}) == 1


def test_versions_grow_and_changes_are_told() -> None:
    maker = made(2)
    assert maker.changed
    assert maker.make(1).version == 1
    assert not maker.changed
    maker.add(member("m000"), "")
    maker.remove(PeerId("stranger"))
    assert not maker.changed, "nothing new"
    maker.remove(PeerId("m000"))
    assert maker.changed
    assert maker.make(1).version == 2


def test_the_origin_is_no_member() -> None:
    maker = PlanMaker(PeerId("origin"))
    maker.add(member("origin"), "")
    assert len(maker) == 0
    assert maker.make(1).groups == []


def test_a_plan_has_a_largest_size() -> None:
    maker = PlanMaker(PeerId("origin"))
    for number in range(MEMBERS_MAX + 5):
        maker.add(member(f"{number}"), "")
    assert len(maker) == MEMBERS_MAX


moves = st.lists(st.tuples(st.booleans(), st.integers(0, 80), st.sampled_from(ZONES)), max_size=200)


@given(moves)
def test_groups_stay_sound_while_machines_come_and_go(course: list[tuple[bool, int, str]]) -> None:
    maker = PlanMaker(PeerId("origin"))
    there: dict[str, str] = {}
    for comes, number, zone in course:
        name = f"m{number}"
        if comes:
            maker.add(member(name), zone)
            there.setdefault(name, zone)
        else:
            maker.remove(PeerId(name))
            there.pop(name, None)
    of = maker.make(1)
    names = [m.id for g in of.groups for m in g]
    assert sorted(names) == sorted(there), "each machine once"
    assert all(1 <= len(g) <= GROUP_MAX for g in of.groups)
    assert all(len({there[m.id] for m in g}) == 1 for g in of.groups)
    if of.groups:
        assert set(of.roots) <= set(range(len(of.groups)))


@given(st.integers(1, 120), st.integers(0, 119))
def test_one_machine_less_or_more_moves_at_most_half_a_group(count: int, victim: int) -> None:
    """Stable: mates stay mates, so connections are kept."""
    maker = made(count)
    before = mates_of(maker.make(1))
    name = f"m{victim % count:03}"
    maker.remove(PeerId(name))
    after = mates_of(maker.make(1))
    assert all(after[m] == before[m] - {name} for m in after)
    maker.add(member("new"), "")
    grown = mates_of(maker.make(1))
    assert sum(grown[m] - {"new"} != after[m] for m in after) <= GROUP_MAX


def mates_of(of: Plan) -> dict[str, set[str]]:
    return {m.id: {o.id for o in g} for g in of.groups for m in g}


# --- the view -------------------------------------------------------------------------------------


def test_without_a_plan_everybody_is_a_mate_and_nobody_a_designate() -> None:
    view = PushView(PeerId("m"))
    assert view.is_mate(PeerId("a")) and view.receives_from_origin(PeerId("a"))
    assert view.designates(0) == []
    assert view.acquaintances() == ()


def test_an_old_plan_is_not_taken_for_a_new_one() -> None:
    view = PushView(PeerId("m"))
    assert view.adopt(plan("ma", version=2))
    assert not view.adopt(plan("mb", version=1))
    assert not view.adopt(plan("mb", version=2))
    assert view.adopt(plan("mb", version=1, origin="other")), "another origin counts anew"


def test_a_plan_that_does_not_have_me_makes_no_mates() -> None:
    view = PushView(PeerId("m"))
    assert view.adopt(plan("ab", "cd"))
    assert not view.is_mate(PeerId("a"))
    assert view.designates(0) == [] and view.acquaintances() == ()


def test_only_members_of_root_groups_receive_from_the_origin() -> None:
    view = PushView(PeerId("origin"))
    view.adopt(plan("ab", "cd", "ef", roots=(0, 2)))
    fed = [n for n in "abcdefz" if view.receives_from_origin(PeerId(n))]
    assert fed == ["a", "b", "e", "f"]


def test_a_plan_with_an_empty_group_is_refused() -> None:
    """A peer may have made it up."""
    assert not PushView(PeerId("m")).adopt(plan("ma", ""))


@pytest.mark.parametrize("of", [plan("ma", "b", roots=()), plan()])
def test_a_plan_of_nothing_breaks_nothing(of: Plan) -> None:
    view = PushView(PeerId("m"))
    assert view.adopt(of)
    assert len(view.designates(0)) <= 1 and len(view.acquaintances()) <= 1


@pytest.mark.parametrize("root", [-1, 3, 1 << 60])
def test_a_root_that_is_not_breaks_nothing(root: int) -> None:
    view = PushView(PeerId("m"))
    view.adopt(plan("ma", "b", roots=(root,)))
    assert len(view.designates(root)) <= 2
    assert len(view.acquaintances()) <= 2

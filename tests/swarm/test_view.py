"""One node's reading of a plan: whom it passes which chunk to, whom it tells, whom it meets."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Collection, Sequence

import pytest
from hypothesis import given
from hypothesis import strategies as st

from strew.messages import PeerId, Plan, PlanMember
from strew.swarm.grouping import Grouping
from strew.swarm.layout import (
    FANOUT,
    FANOUTS,
    STAR_MAX,
    TURNS,
    deal,
    depth,
    layout,
    stripes_of,
)
from strew.swarm.plan import GROUP_MIN
from strew.swarm.standing import ACQUAINTANCES_MAX, TELLING_STRIPES, TOLD_MAX, WAIT_RATIO
from strew.swarm.view import PLANS_KEPT, TAGS, PushView
from tests.swarm.board import plan

LENGTHS = [1000 + 37 * n % 501 for n in range(200)]

ZONES = (
    [30],
    [8, 8],
    [24, 24, 24],
    [40, 12, 9],
    [24] * 5,
    [25] * 9,
    [100, 8, 30, 1],
    [26, 3],
    [3] * 9,
    [2] * 20,
    [3, 1],
)
"""Sizes of groups: chains, or two trees of them; the last may be small."""


def crowd(*sizes: int, version: int = 1, fanout: int = FANOUT) -> Plan:
    """The origin's plan of groups of these sizes; machine 3 of group 1 is b3."""
    groups = [[f"{chr(97 + g)}{n}" for n in range(size)] for g, size in enumerate(sizes)]
    return plan(*groups, version=version, fanout=fanout)


def placed(of: Plan, group: int, place: int) -> Plan:
    return Plan(of.swarm, of.version, of.origin, of.fanout, of.groups, group, place)


def view_of(of: Plan, name: str) -> PushView:
    """The view of this machine once it was told the plan."""
    view = PushView(PeerId(name), LENGTHS)
    group, place = next(
        ((g, [m.id for m in ms].index(name)) for g, ms in enumerate(of.groups) if named(ms, name)),
        (-1, -1),
    )
    assert view.adopt(placed(of, group, place))
    return view


def named(members: Sequence[PlanMember], name: str) -> bool:
    return any(m.id == name for m in members)


def everybody(of: Plan) -> list[str]:
    return [m.id for group in of.groups for m in group if m.id]


def views_of(of: Plan) -> dict[str, PushView]:
    return {name: view_of(of, name) for name in ["origin", *everybody(of)]}


def there_but(gone: Collection[str]) -> Callable[[PeerId], bool]:
    return lambda peer: peer not in gone


def course(
    views: dict[str, PushView], index: int, gone: Collection[str] = ()
) -> list[tuple[str, str]]:
    """Every send of one chunk as (from, to), with the origin's own; a leaf sends nothing."""
    origin = views["origin"]
    entry = origin.entry(origin.stripe_of(index))
    assert entry is not None
    sends = [("origin", str(entry))]
    passing = [str(entry)] if entry not in gone else []
    while passing:
        one = passing.pop()
        for peer, owns in views[one].targets(index, there_but(gone)):
            sends.append((one, str(peer)))
            if not owns:
                assert not views[peer].is_inner(index), "a leaf"
            elif peer not in gone:
                passing.append(str(peer))
        assert len(sends) <= 2 * len(views)
    return sends


def reached(sends: Sequence[tuple[str, str]]) -> Counter[str]:
    return Counter(to for _, to in sends)


# --- every machine gets every chunk once ----------------------------------------------------------


def test_in_one_group_of_any_size_every_machine_gets_every_chunk_exactly_once() -> None:
    for size in range(1, 151):
        of = crowd(size)
        views, all_once = views_of(of), Counter(everybody(of))
        for index in range(stripes_of(size, FANOUT)):
            assert reached(course(views, index)) == all_once, (size, index)


@pytest.mark.parametrize("sizes", [(719,), (1000,), (2503,), (400, 24, 130, 31, 8, 60)])
def test_so_in_large_fleets(sizes: tuple[int, ...]) -> None:
    of = crowd(*sizes)
    views, all_once = views_of(of), Counter(everybody(of))
    for index in (0, 1, 3, 98, 199):
        assert reached(course(views, index)) == all_once


groups = st.tuples(st.lists(st.integers(GROUP_MIN, 45), max_size=6), st.integers(1, 45))


@given(groups, st.integers(0, len(LENGTHS) - 1), st.sampled_from(FANOUTS))
def test_so_in_groups_of_any_sizes(sizes: tuple[list[int], int], index: int, fanout: int) -> None:
    """Only the last group may be a small one."""
    of = crowd(*sizes[0], sizes[1], fanout=fanout)
    assert reached(course(views_of(of), index)) == Counter(everybody(of))


@pytest.mark.parametrize("sizes", ZONES)
def test_each_boundary_is_crossed_once_a_chunk(sizes: list[int]) -> None:
    views = views_of(crowd(*sizes))
    for index in range(30):
        entered = Counter(
            to[0] for one, to in course(views, index) if one == "origin" or one[0] != to[0]
        )
        assert entered == Counter({chr(97 + group): 1 for group in range(len(sizes))})


@pytest.mark.parametrize("sizes", [[24], [30], [100], [8, 30, 25], [24] * 5])
def test_a_machine_is_an_inner_node_of_one_stripe_and_carries_about_one_copy(
    sizes: list[int],
) -> None:
    of = crowd(*sizes)
    views = views_of(of)
    for group, size in enumerate(sizes):
        stripes = stripes_of(size, FANOUT)
        for place in range(size):
            view = views[f"{chr(97 + group)}{place}"]
            inner = [index for index in range(len(LENGTHS)) if view.is_inner(index)]
            assert len({view.stripe_of(index) for index in inner}) <= 1
            copies = [len(view.targets(index, there_but(()))) for index in inner[:1]]
            assert sum(copies) / stripes <= 1.0 + 2.0 / min(FANOUT, stripes)


def test_the_first_machine_of_each_stripe_is_its_entry() -> None:
    view = view_of(crowd(30), "origin")
    stripes = stripes_of(30, FANOUT)
    assert view.entries == stripes
    assert [view.entry(stripe) for stripe in range(stripes)] == [f"a{n}" for n in range(stripes)]


def test_an_origin_and_its_group_agree_on_the_stripe_of_every_chunk() -> None:
    views = views_of(crowd(30, 12))
    for index in range(len(LENGTHS)):
        stripe = views["origin"].stripe_of(index)
        assert views["a7"].stripe_of(index) == stripe
        assert views[f"a{stripe}"].is_inner(index)


def test_those_behind_a_machine_that_is_gone_are_sent_to_by_the_one_before_it() -> None:
    of = crowd(100)
    views = views_of(of)
    stripes = stripes_of(100, FANOUT)
    for gone in ([f"a{stripes}"], [f"a{stripes}", f"a{2 * stripes + 1}"], ["a99"]):
        for index in range(stripes):
            got = reached(course(views, index, gone))
            assert {to for to in got if to not in gone} == set(everybody(of)) - set(gone)
            assert max(got.values()) == 1


def test_an_empty_place_is_passed_over_like_a_machine_that_is_gone() -> None:
    names = [f"a{n}" if n not in (9, 20) else "" for n in range(60)]
    of = plan(names)
    views = views_of(of)
    for index in range(stripes_of(60, FANOUT)):
        assert reached(course(views, index)) == Counter(everybody(of))


def holed(sizes: Sequence[int], holes: Collection[int]) -> Plan:
    """The origin's plan of groups whose places with these numbers are empty, but no entry's."""
    groups: list[list[str]] = []
    for group, size in enumerate(sizes):
        entries = stripes_of(size, FANOUT, Grouping(sizes).copies(group))
        groups.append(
            [f"{chr(97 + group)}{n}" if n < entries or n not in holes else "" for n in range(size)]
        )
    return plan(*groups)


@given(
    st.lists(st.sampled_from([8, 24, 25, 40, 61, 100]), min_size=1, max_size=6),
    st.sets(st.integers(0, 99), max_size=25),
    st.integers(0, len(LENGTHS) - 1),
)
def test_wherever_places_are_empty_every_machine_gets_every_chunk_exactly_once(
    sizes: list[int], holes: set[int], index: int
) -> None:
    of = holed(sizes, holes)
    assert reached(course(views_of(of), index)) == Counter(everybody(of))


def test_heirs_know_whom_they_send_to_in_turn_and_tell_those_of_one_turn() -> None:
    of = holed([100], {9, 18, 27, 36, 45})
    stripes, there = stripes_of(100, FANOUT), there_but(())
    heirs = 0
    for view in (view_of(of, name) for name in everybody(of)):
        branches = [
            {peer for peer, _ in view.targets(turn * stripes, there)} for turn in range(TURNS)
        ]
        heirs += branches[0] != branches[1]
        assert set().union(*branches) == {m.id for m in view.acquaintances()}
        assert {peer for peer, _ in view.telling()} in (branches[0], set())
    assert heirs


@given(st.sets(st.integers(0, 99), max_size=12), st.data())
def test_a_machine_that_goes_beside_empty_places_hides_a_chunk_from_nobody(
    holes: set[int], data: st.DataObject
) -> None:
    """An inner node; without the entry of its stripe nobody gets a chunk by the plan."""
    of = holed([100], holes)
    entries = stripes_of(100, FANOUT)
    gone = data.draw(st.sampled_from(everybody(of)[entries:]))
    views = views_of(of)
    for index in range(entries):
        assert reached(course(views, index, [gone])) | Counter([gone]) == Counter(everybody(of))


# --- which chunks ---------------------------------------------------------------------------------


def test_a_machine_passes_all_chunks_on_to_the_same_ones() -> None:
    """Whichever stripe they are of: whether it is to pass a chunk on is not asked here."""
    view = view_of(crowd(100), "a12")
    first = view.targets(0, there_but(()))
    assert first
    assert all(view.targets(index, there_but(())) == first for index in range(len(LENGTHS)))


def test_a_chunk_goes_to_the_entry_of_its_stripe_in_each_group_below() -> None:
    """Groups have different numbers of stripes, so each deals the chunks in its own way."""
    of = crowd(100, 12)
    entry, views = view_of(of, "a0"), views_of(of)
    below = [entry.targets(index, there_but(()))[0] for index in range(len(LENGTHS))]
    assert below == [(f"b{views['b5'].stripe_of(index)}", True) for index in range(len(LENGTHS))]
    assert len(set(below)) == 12


@pytest.mark.parametrize("sizes", [[30, 12], [8, 3, 5], [4] * 12])
def test_in_a_star_below_another_machine_stands_in_for_one_that_is_gone(sizes: list[int]) -> None:
    of = crowd(*sizes)
    views = views_of(of)
    for gone in ("b0", "b2"):
        for index in range(40):
            got = reached(course(views, index, [gone]))
            assert {to for to in got if to != gone} == set(everybody(of)) - {gone}
            assert max(got.values()) == 1


def test_chunks_are_dealt_by_their_lengths() -> None:
    """Every other chunk is long: dealt in turn, half of eight stripes would carry all of them."""
    lengths = [1000, 9000] * 100
    view = PushView(PeerId("origin"), lengths)
    assert view.adopt(crowd(40)) and view.entries == 8
    carried = Counter(dict.fromkeys(range(8), 0))
    for index, length_bytes in enumerate(lengths):
        carried[view.stripe_of(index)] += length_bytes
    assert max(carried.values()) - min(carried.values()) <= 9000


def test_a_stripe_whose_machines_send_more_copies_gets_fewer_chunks() -> None:
    """The origin deals by the weights it says, and its group the same way."""
    of = holed([100], {9, 18, 27, 36, 45})
    views = views_of(of)
    origin = views["origin"]
    found = layout(bytes(bool(m.id) for m in of.groups[0]), 9, 0)
    assert origin.weights == found.weights and len(set(origin.weights)) > 1
    stripes = list(deal(tuple(LENGTHS), found.weights))
    for view in (origin, views["a0"], views["a99"]):
        assert [view.stripe_of(index) for index in range(len(LENGTHS))] == stripes
    assert stripes.count(0) < stripes.count(1), "stripe 0 lost five of its machines"


@pytest.mark.parametrize("sizes", [[10], [24], [30], [100]])
def test_each_chunk_has_exactly_one_entry_that_is_its_inner_node(sizes: list[int]) -> None:
    """In a star, too: who owns a chunk passes it to all others."""
    of = crowd(*sizes)
    entries = [view_of(of, f"a{n}") for n in range(stripes_of(sizes[0], FANOUT))]
    for index in range(len(LENGTHS)):
        assert sum(view.is_inner(index) for view in entries) == 1


def test_who_is_left_over_by_the_division_is_no_inner_node() -> None:
    """65 places in 8 stripes: the last is a leaf of all."""
    view = view_of(crowd(65), "a64")
    assert not any(view.is_inner(index) for index in range(len(LENGTHS)))
    assert view.targets(0, there_but(())) == []


@pytest.mark.parametrize(
    ("name", "stripes", "lag"),
    [
        pytest.param("a3", 24, 24, id="in a star one machine after the other gets its first"),
        pytest.param(
            "b3", 10, WAIT_RATIO * 10 * (depth(100, 10) + 1), id="below a group, and down a tree"
        ),
        pytest.param("c3", 10, 10 + 2 * 10, id="below two groups"),
    ],
)
def test_a_course_says_how_chunks_come_by_the_plan(name: str, stripes: int, lag: int) -> None:
    view = view_of(crowd(24, 100, 10), name)
    stripe_of, count, chunks, inner_of = view.course()
    assert [stripe_of[index] for index in range(len(LENGTHS))] == [
        view.stripe_of(index) for index in range(len(LENGTHS))
    ]
    assert (count, chunks) == (stripes, lag)
    inner = [index for index in range(len(LENGTHS)) if view.is_inner(index)]
    assert inner and inner_of == sum(1 << index for index in inner)


def test_a_course_of_an_origin_is_that_of_its_group_and_names_no_chunk_to_pass_on() -> None:
    _, stripes, lag, inner_of = view_of(crowd(100), "origin").course()
    assert (stripes, lag, inner_of) == (9, WAIT_RATIO * 9 * depth(100, 9), 0)


# --- whom to know ---------------------------------------------------------------------------------


@pytest.mark.parametrize("sizes", ZONES)
def test_everybody_a_machine_sends_to_is_an_acquaintance(sizes: list[int]) -> None:
    views = views_of(crowd(*sizes))
    known = {name: {m.id for m in view.acquaintances()} for name, view in views.items()}
    for index in range(len(LENGTHS)):
        for one, to in course(views, index):
            assert to in known[one], (one, to)


@pytest.mark.parametrize("sizes", [*ZONES, [24] * 40, [2500]])
def test_acquaintances_are_few_and_not_oneself(sizes: list[int]) -> None:
    for name, view in views_of(crowd(*sizes)).items():
        known = [m.id for m in view.acquaintances()]
        assert name not in known and "" not in known
        assert len(known) == len(set(known)) <= ACQUAINTANCES_MAX


def test_who_stands_behind_somebody_gone_is_an_orphan_to_be_met_once() -> None:
    of = crowd(100)
    stripes = stripes_of(100, FANOUT)
    view, gone = view_of(of, "a0"), f"a{stripes}"
    assert view.orphans(there_but(())) == ()
    linked = {peer for peer, _ in view.targets(0, there_but(()))} - {gone}
    behind = {peer for peer, _ in view_of(of, gone).targets(0, there_but(()))}
    assert {m.id for m in view.orphans(linked.__contains__)} == behind
    assert view.orphans((linked | behind).__contains__) == ()


def test_who_stands_behind_two_that_are_gone_is_an_orphan_when_the_second_was_looked_for() -> None:
    of = crowd(1000)
    stripes = stripes_of(1000, FANOUT)
    view, first = view_of(of, "a0"), f"a{stripes}"
    linked = {peer for peer, _ in view.targets(0, there_but(()))} - {first}
    behind = {peer for peer, _ in view_of(of, first).targets(0, there_but(()))}
    inner = [peer for peer, owns in view_of(of, first).targets(0, there_but(())) if owns]
    view.orphans(linked.__contains__)
    next_behind = {peer for peer, _ in view_of(of, inner[0]).targets(0, there_but(()))}
    present = linked | behind - {inner[0]}
    assert {m.id for m in view.orphans(present.__contains__)} == next_behind


def test_in_a_star_nobody_stands_behind_anybody() -> None:
    assert view_of(crowd(24, 24), "a0").orphans(lambda peer: False) == ()


# --- telling --------------------------------------------------------------------------------------


def told(of: Plan, gone: str = "") -> Counter[str]:
    """How often each machine hears of the plan when all tell who are to tell."""
    heard: Counter[str] = Counter()
    telling = ["origin"]
    views: dict[str, PushView] = {}
    while telling:
        one = telling.pop()
        views[one] = view_of(of, one)
        for peer, message in views[one].telling():
            assert of.groups[message.group][message.place].id == peer, "its own place"
            assert (message.version, message.origin) == (of.version, of.origin)
            if peer not in heard and peer != gone:
                telling.append(str(peer))
            heard[str(peer)] += 1
    return heard


@pytest.mark.parametrize("sizes", ZONES)
def test_everybody_hears_of_the_plan_and_nobody_often(sizes: list[int]) -> None:
    of = crowd(*sizes)
    heard = told(of)
    assert set(heard) == set(everybody(of))
    assert max(heard.values()) <= TELLING_STRIPES * 3, "by two trees, and each other"


@pytest.mark.parametrize("sizes", [[30], [100], [24, 24, 24], [40, 12, 9], [25] * 9])
def test_one_death_hides_the_plan_from_nobody(sizes: list[int]) -> None:
    of = crowd(*sizes)
    for gone in everybody(of):
        assert set(told(of, gone)) >= set(everybody(of)) - {gone}


@given(
    st.lists(st.sampled_from([8, 24, 30, 100]), min_size=1, max_size=5),
    st.sets(st.integers(0, 99), max_size=25),
)
def test_wherever_places_are_empty_everybody_hears_of_the_plan(
    sizes: list[int], holes: set[int]
) -> None:
    of = holed(sizes, holes)
    assert set(told(of)) == set(everybody(of))


@pytest.mark.parametrize("sizes", ZONES)
def test_who_tells_somebody_knows_it(sizes: list[int]) -> None:
    of = crowd(*sizes)
    for name, view in views_of(of).items():
        hearers = {peer for peer, _ in view.telling()}
        if name != "origin" or len(everybody(of)) > TOLD_MAX:
            assert hearers <= {m.id for m in view.acquaintances()}


def test_the_origin_of_a_small_fleet_tells_everybody_itself() -> None:
    of = crowd(30, 20)
    assert {peer for peer, _ in view_of(of, "origin").telling()} == set(everybody(of))
    large = crowd(30, 40)
    assert [peer for peer, _ in view_of(large, "origin").telling()] == [
        f"a{n}" for n in range(stripes_of(30, FANOUT))
    ]


# --- which plans are taken ------------------------------------------------------------------------


def test_an_old_plan_is_not_taken_for_a_new_one() -> None:
    view = PushView(PeerId("m"), LENGTHS)
    assert view.version == 0
    assert view.adopt(plan("ma", version=2)) and view.version == 2
    assert not view.adopt(plan("mb", version=1))
    assert not view.adopt(plan("mb", version=2))
    assert view.adopt(plan("mb", version=1, origin="other")), "another origin counts anew"


def test_a_plan_that_was_forgotten_may_come_again() -> None:
    view = PushView(PeerId("m"), LENGTHS)
    view.adopt(plan("ma", version=2))
    view.forget()
    assert view.alone and view.targets(0, there_but(())) == [] and view.telling() == []
    assert not view.is_inner(0) and view.plan is None and view.version == 0
    assert view.adopt(plan("ma", version=1))


@pytest.mark.parametrize(
    "of",
    [
        pytest.param(plan("ab", "cd"), id="without me"),
        pytest.param(placed(plan("am", "cd"), 0, 0), id="another one's place"),
        pytest.param(placed(plan("am", "cd"), 2, 0), id="no such group"),
        pytest.param(placed(plan("am", "cd"), 0, 2), id="no such place"),
        pytest.param(placed(plan("cd", "am"), -1, 1), id="a group from the end"),
        pytest.param(placed(plan("cd", "am"), 1, -1), id="a place from the end"),
        pytest.param(plan("ma", ""), id="an empty group"),
        pytest.param(plan(), id="no group"),
        *(pytest.param(plan("ma", fanout=f), id=f"fan-out {f}") for f in (-8, 0, 1, 2, 1 << 40)),
    ],
)
def test_a_foreign_or_lying_plan_is_refused(of: Plan) -> None:
    view = PushView(PeerId("m"), LENGTHS)
    view.adopt(plan("mx"))
    newer = Plan(of.swarm, 9, of.origin, of.fanout, of.groups, of.group, of.place)
    assert not view.adopt(newer)
    assert view.version == 1 and view.passes_to(PeerId("x")), "the old one stays"


@given(
    st.lists(st.lists(st.sampled_from("mabc"), min_size=1, max_size=60), min_size=1, max_size=8),
    st.integers(-1, 40),
    st.integers(0, len(LENGTHS) - 1),
)
def test_whatever_plan_is_taken_breaks_nothing(
    groups: list[list[str]], fanout: int, index: int
) -> None:
    """It may name a machine twice, or somebody everywhere."""
    view = PushView(PeerId("m"), LENGTHS)
    if view.adopt(plan(*groups, fanout=fanout)):
        for gone in ((), "a", "mabc"):
            view.targets(index, there_but(gone))
            view.orphans(there_but(gone))
        view.telling()
        assert len(view.acquaintances()) <= ACQUAINTANCES_MAX


# --- from one plan to the next --------------------------------------------------------------------

EARLIER = [f"a{n}" for n in range(40)]
LATER = EARLIER[::-1]


def twice_told(name: str) -> tuple[PushView, int, int]:
    """A view that was told two plans, and their tags."""
    view = PushView(PeerId(name), LENGTHS)
    assert view.adopt(plan(EARLIER, me=name))
    before = view.tag
    assert view.adopt(plan(LATER, version=2, me=name))
    return view, before, view.tag


def test_a_chunk_goes_down_by_the_plan_of_its_tag() -> None:
    for name in EARLIER:
        view, before, now = twice_told(name)
        assert before != now and view.knows(before) and view.knows(now)
        for tag, names, version in ((before, EARLIER, 1), (now, LATER, 2)):
            alone = view_of(plan(names, version=version, me=name), name)
            for index in range(16):
                there = there_but(())
                assert view.targets(index, there, tag) == alone.targets(index, there)
                assert view.is_inner(index, tag) == alone.is_inner(index)


def test_of_no_tag_or_an_unknown_one_it_goes_by_the_newest() -> None:
    view, _, now = twice_told("a5")
    assert view.knows(0) and not view.knows(now + 1)
    for tag in (0, now + 1):
        assert view.targets(5, there_but(()), tag) == view.targets(5, there_but(()), now)


@pytest.mark.parametrize("first", [1, TAGS - 3], ids=["from the first", "as tags go around"])
def test_several_plans_are_kept_and_a_chunk_of_an_older_one_waits_for_nothing(first: int) -> None:
    """It goes down by the oldest that is kept, which is most like its own."""
    view = PushView(PeerId("a5"), LENGTHS)
    tags, told, there = [], [], there_but(())
    for number in range(PLANS_KEPT + 2):
        names = EARLIER[number:] + EARLIER[:number]
        told.append(plan(names, version=first + number, me="a5"))
        assert view.adopt(told[-1])
        tags.append(view.tag)
    assert len(set(tags)) == len(tags) and all(map(view.knows, tags))
    kept = range(2, PLANS_KEPT + 2)
    for number, tag in enumerate(tags):
        alone = view_of(told[max(number, kept[0])], "a5")
        assert view.targets(3, there, tag) == alone.targets(3, there)
        assert view.is_inner(3, tag) == alone.is_inner(3)


def test_in_a_star_or_without_a_plan_no_chunk_waits_for_one() -> None:
    view = PushView(PeerId("m"), LENGTHS)
    assert view.knows(3)
    view.adopt(plan("ma"))
    assert view.knows(77)


def test_plans_of_another_origin_are_not_of_one_course() -> None:
    view = PushView(PeerId("a5"), LENGTHS)
    view.adopt(plan(EARLIER, me="a5"))
    before = view.tag
    view.adopt(plan(LATER, version=2, origin="other", me="a5"))
    there = there_but(())
    assert view.targets(3, there, before) == view.targets(3, there), "the first is forgotten"


def test_an_origin_gives_by_the_old_plan_until_the_new_one_settled() -> None:
    view = PushView(PeerId("origin"), LENGTHS)
    view.adopt(plan(EARLIER, me="origin"))
    before = view.tag
    assert view.settled and view.entry(0) == "a0"
    view.adopt(plan(LATER, version=2, me="origin"))
    assert not view.settled and view.entry(0) == "a0" and view.tag == before
    assert view.version == 2 and {m.id for m in view.acquaintances()} == set(LATER[:8])
    view.settle()
    assert view.settled and view.entry(0) == "a39" and view.tag != before


def test_one_star_needs_no_time_to_settle() -> None:
    view = PushView(PeerId("origin"), LENGTHS)
    view.adopt(plan("ab", me="origin"))
    view.adopt(plan("abc", version=2, me="origin"))
    assert view.settled and view.entries == 3


def test_a_new_plan_also_travels_over_the_links_of_the_old_one() -> None:
    for name in EARLIER:
        first, second = plan(EARLIER, me=name), plan(LATER, version=2, me=name)
        before, alone = view_of(first, name), view_of(second, name)
        view, _, _ = twice_told(name)
        told = dict(view.telling())
        assert told.keys() == dict(before.telling()).keys() | dict(alone.telling()).keys()
        assert all(LATER[of.place] == peer and of.version == 2 for peer, of in told.items())


def test_in_a_tree_inner_nodes_come_first_and_each_chunk_begins_with_another_leaf() -> None:
    tree = view_of(plan(EARLIER, me="a3"), "a3")
    rotations = [tree.targets(3, there_but(()), rotation=each) for each in range(40)]
    inner = [hop for hop in rotations[0] if hop[1]]
    leaves = [hop for hop in rotations[0] if not hop[1]]
    assert inner and len(leaves) > 1
    assert all(hops[: len(inner)] == inner for hops in rotations)
    assert {hops[len(inner)] for hops in rotations} == set(leaves)


def test_a_star_keeps_its_ring() -> None:
    star, there = view_of(crowd(7), "a3"), there_but(())
    assert all(star.targets(3, there, rotation=each) == star.targets(3, there) for each in range(9))


# --- alone ----------------------------------------------------------------------------------------


def test_without_a_plan_everybody_is_a_fellow_and_nobody_a_target() -> None:
    view = PushView(PeerId("m"), LENGTHS)
    assert view.alone and view.fellows(PeerId("a"), PeerId("b"))
    assert view.entry(0) is None and view.entries == 0
    assert view.targets(0, there_but(())) == [] and not view.is_inner(0)
    assert view.weights == ()
    assert view.acquaintances() == () and view.telling() == []


def test_one_star_is_alone_and_more_is_not() -> None:
    assert view_of(crowd(STAR_MAX), "a3").alone
    assert not view_of(crowd(STAR_MAX + 1), "a3").alone
    assert not view_of(crowd(8, 8), "a3").alone


def test_only_machines_of_the_first_group_are_fellows() -> None:
    view = view_of(crowd(8, 8), "origin")
    assert view.fellows(PeerId("a0"), PeerId("a7"))
    assert not view.fellows(PeerId("a0"), PeerId("b0"))
    assert not view.fellows(PeerId("stranger"), PeerId("a0"))


@pytest.mark.parametrize(
    "groups",
    [
        ["mabb"],
        ["ma", "bm"],
        [["m", "", "a"]],
        [["", *(f"n{n}" for n in range(28)), "m"]],
        [["m", "x"], ["", *(f"n{n}" for n in range(29))]],
    ],
    ids=["twice in a group", "in two groups", "hole in a star", "no entry", "none below"],
)
def test_a_plan_in_which_chunks_could_go_in_circles_is_refused(groups: list[list[str]]) -> None:
    assert not PushView(PeerId("m"), LENGTHS).adopt(plan(*groups))

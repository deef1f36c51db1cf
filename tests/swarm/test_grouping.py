"""In which order groups hand chunks to each other: chains, and two trees that share the work."""

from __future__ import annotations

from collections import Counter

from hypothesis import given
from hypothesis import strategies as st

from strew.swarm.grouping import CHAIN_GROUPS_MAX, CHAIN_MACHINES_MAX, Grouping

sizes = st.lists(st.integers(1, 60), min_size=1, max_size=40)


@given(sizes)
def test_in_each_tree_every_group_but_the_first_is_below_exactly_one(of: list[int]) -> None:
    grouping, count = Grouping(of), len(of)
    for tree in range(grouping.trees):
        below = [number for group in range(count) for number in grouping.below(group, tree)]
        assert sorted(below) == list(range(1, count))


@given(sizes)
def test_from_the_first_group_a_chunk_comes_to_all_in_as_many_hops_as_is_said(
    of: list[int],
) -> None:
    grouping = Grouping(of)
    most: Counter[int] = Counter()
    for tree in range(grouping.trees):
        hops, here = 0, [0]
        while here:
            for group in here:
                most[group] = max(most[group], hops)
            here = [number for group in here for number in grouping.below(group, tree)]
            hops += 1
            assert hops <= len(of), "in a circle"
    assert most == {group: grouping.above(group) for group in range(len(of))}


@given(sizes)
def test_nobody_hands_on_more_than_one_copy_of_the_file(of: list[int]) -> None:
    grouping = Grouping(of)
    for group in range(len(of)):
        below = [len(grouping.below(group, tree)) for tree in range(grouping.trees)]
        assert sum(below) / grouping.trees <= grouping.copies(group) <= 1
        assert max(below) <= 2


def test_a_few_groups_or_machines_are_a_chain() -> None:
    few = Grouping([100] * CHAIN_GROUPS_MAX)
    small = Grouping([2] * (CHAIN_MACHINES_MAX // 2))
    for grouping, last in ((few, CHAIN_GROUPS_MAX - 1), (small, CHAIN_MACHINES_MAX // 2 - 1)):
        assert grouping.trees == 1
        below = [grouping.below(group, 0) for group in range(last + 1)]
        assert below == [*([group + 1] for group in range(last)), []]
        assert grouping.above(last) == last


def test_more_are_two_trees_and_who_hands_on_in_one_ends_the_other() -> None:
    grouping = Grouping([24] * 7)
    assert grouping.trees == 2
    assert [grouping.below(group, 0) for group in range(7)] == [
        [1],
        [2, 3],
        [4, 5],
        [6],
        [],
        [],
        [],
    ]
    assert [grouping.below(group, 1) for group in range(7)] == [
        [6],
        [],
        [],
        [],
        [1],
        [3, 2],
        [5, 4],
    ]
    assert max(grouping.above(group) for group in range(7)) == 3

"""Holders counted in bit slices are the holders counted one by one."""

from __future__ import annotations

from collections import Counter

from hypothesis import given
from hypothesis import strategies as st

from strew.swarm.availability import Availability

CHUNKS = 24
sets = st.integers(0, (1 << CHUNKS) - 1)


def counted(holders: list[int]) -> Counter[int]:
    return Counter(i for bits in holders for i in range(CHUNKS) if bits >> i & 1)


@given(st.lists(sets, max_size=40), st.data())
def test_counts_are_those_of_the_holders_that_are_there(
    holders: list[int], data: st.DataObject
) -> None:
    of = Availability()
    for bits in holders:
        of.add(bits)
    leaving = data.draw(st.integers(0, len(holders)))
    for bits in holders[:leaving]:
        of.remove(bits)
    counts = counted(holders[leaving:])
    assert [of[i] for i in range(CHUNKS)] == [counts[i] for i in range(CHUNKS)]


@given(st.lists(sets, max_size=10), sets, st.integers(0, 17))
def test_those_held_by_so_many(holders: list[int], among: int, number: int) -> None:
    of = Availability()
    for bits in holders:
        of.add(bits)
    counts = counted(holders)
    wanted = sum(1 << i for i in range(CHUNKS) if among >> i & 1 and counts[i] == number)
    assert of.held_by(number, among) == wanted


@given(st.lists(sets, max_size=10), sets.filter(bool))
def test_the_rarest_are_all_that_fewest_hold(holders: list[int], among: int) -> None:
    of = Availability()
    for bits in holders:
        of.add(bits)
    counts = counted(holders)
    members = [i for i in range(CHUNKS) if among >> i & 1]
    fewest = min(counts[i] for i in members)
    assert of.rarest(among) == sum(1 << i for i in members if counts[i] == fewest)

"""Numbers that stand for entries."""

from hypothesis import given
from hypothesis import strategies as st

from strew.gossip.marks import (
    Sums,
    held_mark,
    member_mark,
    named_mark,
    packed,
    sums_of_living,
    unpacked,
)
from strew.gossip.protocol import BUCKETS
from tests.gossip.makers import dead, held, member, suspect, told


def test_a_suspicion_has_the_mark_of_the_living_and_a_death_another() -> None:
    assert member_mark(suspect(1, 2)) == member_mark(member(1))
    marks = {member_mark(member(1)), member_mark(dead(1)), member_mark(member(1, 1001))}
    assert len(marks) == 3
    assert len({bucket for bucket, _ in marks}) == 1


def test_one_ahead_and_another_behind_do_not_cancel_out() -> None:
    mine = member_mark(member(1, 1001))[1] + member_mark(member(2, 1000))[1]
    theirs = member_mark(member(1, 1000))[1] + member_mark(member(2, 1001))[1]
    assert (mine - theirs) % (1 << 64) != 0


def test_the_sums_of_many_are_those_of_each() -> None:
    members = [member(number, 1000 + number) for number in range(100)] + [suspect(200, 1)]
    sums = Sums()
    for one in members:
        sums.add(*member_mark(one))
    assert sums_of_living(members).read() == sums.read()


def test_versions_holders_and_sequences() -> None:
    assert named_mark(told(version=1)) != named_mark(told(version=2))
    assert named_mark(told(by=1)) == named_mark(told(by=2))
    assert held_mark(held(1, sequence=1)) != held_mark(held(1, sequence=2))
    assert held_mark(held(1, swarm=(1 << 64) - 1))[1] < 1 << 64
    assert held_mark(held(1, swarm=-5))[0] in range(BUCKETS)


def test_members_spread_over_all_buckets() -> None:
    assert {member_mark(member(number))[0] for number in range(300)} == set(range(BUCKETS))


def test_what_is_added_and_removed_leaves_nothing() -> None:
    sums = Sums()
    sums.add(3, 7)
    assert sums.read()[3] == 7
    sums.remove(3, 7)
    assert sums.read() == Sums().read() == (0,) * BUCKETS


@given(st.lists(st.integers(0, (1 << 64) - 1), max_size=20))
def test_marks_are_read_back_from_bytes(marks: list[int]) -> None:
    assert unpacked(packed(marks)) == tuple(marks)

"""Which claim beats which, who has a place in the table, and whom it picks."""

import itertools
import random

import pytest

from strew.gossip.membership import (
    LEAP_MAX,
    MEMBERS_MAX,
    TOMBSTONE_S,
    TOMBSTONES_MAX,
    MemberCame,
    MemberGone,
    Membership,
)
from strew.gossip.protocol import INCARNATION_MAX, Member, MemberState
from strew.messages import Action
from tests.gossip.makers import dead, member, peer_id, suspect

ME = member(0)
LEFT = MemberState.LEFT


def table(*known: Member) -> Membership:
    return Membership(ME, random.Random(5), known)


def changes(membership: Membership) -> list[Action]:
    taken = list(membership.changes)
    membership.changes.clear()
    return taken


def test_a_stranger_said_to_live_is_admitted_and_one_said_to_be_dead_is_not() -> None:
    membership = table()
    assert membership.hear(member(1), 0.0)
    assert not membership.hear(dead(2), 0.0)
    assert list(membership.table) == [peer_id(1)]
    assert changes(membership) == [MemberCame(member(1))]


def test_the_table_keeps_the_very_claim_it_heard() -> None:
    claim = member(1)
    membership = table()
    membership.hear(claim, 0.0)
    assert membership.table[peer_id(1)] is claim
    assert not membership.hear(claim, 0.0)


CLAIMS = [member(1, 5), suspect(1, 2, 5), dead(1, 5), member(1, 6), suspect(1, 3, 6)]


@pytest.mark.parametrize("order", list(itertools.permutations(CLAIMS)))
def test_in_whatever_order_claims_come_the_highest_is_believed(order: tuple[Member, ...]) -> None:
    membership = table(member(1, 4))
    for claim in order:
        membership.hear(claim, 0.0)
    assert membership.table[peer_id(1)] == suspect(1, 3, 6)
    assert membership.living == 1


def test_a_death_is_told_once_and_a_return_again() -> None:
    membership = table(member(1, 5))
    assert membership.hear(suspect(1, 2, 5), 1.0)
    assert changes(membership) == []
    assert membership.hear(dead(1, 5), 2.0)
    assert changes(membership) == [MemberGone(peer_id(1), MemberState.DEAD)]
    assert membership.living == 0 and membership.tombstones == 1
    assert not membership.hear(member(1, 5), 3.0)
    assert membership.hear(member(1, 5, LEFT), 3.0)
    assert changes(membership) == []
    assert membership.hear(member(1, 6), 4.0)
    assert changes(membership) == [MemberCame(member(1, 6))]
    assert membership.living == 1 and membership.tombstones == 0


def test_a_new_address_needs_a_new_incarnation() -> None:
    membership = table(member(1, 5))
    elsewhere = Member(peer_id(1), "10.9.9.9", 7301, incarnation=5, state=MemberState.SUSPECT)
    assert not membership.hear(elsewhere, 0.0)
    moved = Member(peer_id(1), "10.9.9.9", 7301, incarnation=6)
    assert membership.hear(moved, 0.0)
    assert changes(membership) == [MemberCame(moved)]
    assert membership.refused == 1


def test_hearsay_may_not_raise_an_incarnation_out_of_reach_but_the_member_itself_may() -> None:
    membership = table(member(1, 5))
    far = member(1, 6 + LEAP_MAX)
    assert not membership.hear(far, 0.0)
    assert membership.hear(far, 0.0, itself=True)
    assert membership.table[peer_id(1)] == far


@pytest.mark.parametrize(
    ("claim", "incarnation"),
    [
        (suspect(0, 2, 1000), 1001),
        (dead(0, 1000), 1001),
        (member(0, 1500, LEFT), 1501),
        (member(0, 1001), 1002),
        (suspect(0, 2, 999), None),
        (member(0, 1000), None),
        (member(0, 900, LEFT), None),
        (dead(0, INCARNATION_MAX), None),
        (dead(0, 1001 + LEAP_MAX), None),
    ],
)
def test_claims_about_oneself_are_exceeded_if_they_can_be(
    claim: Member, incarnation: int | None
) -> None:
    membership = table()
    assert membership.hear(claim, 0.0) == (incarnation is not None)
    assert membership.me == member(0, incarnation or 1000)
    assert membership.table == {}


def test_who_has_left_refutes_nothing() -> None:
    membership = table()
    membership.leave()
    assert membership.me.state == LEFT
    assert not membership.hear(dead(0), 0.0)


def test_tombstones_are_forgotten_after_a_while() -> None:
    membership = table(member(1), member(2))
    membership.hear(dead(1), 0.0)
    membership.hear(dead(2), 10.0)
    membership.forget_old(TOMBSTONE_S)
    assert list(membership.table) == [peer_id(2)]
    assert membership.tombstones == 1


def test_the_oldest_of_too_many_tombstones_is_forgotten_first() -> None:
    membership = table(*(member(number) for number in range(1, TOMBSTONES_MAX + 2)))
    for number in range(1, TOMBSTONES_MAX + 2):
        membership.hear(dead(number), float(number))
    assert membership.tombstones == len(membership.table) == TOMBSTONES_MAX
    assert peer_id(1) not in membership.table


def test_a_full_table_takes_who_speaks_for_itself_in_the_place_of_a_tombstone() -> None:
    membership = table(*(member(number) for number in range(1, MEMBERS_MAX + 1)))
    membership.hear(dead(9), 0.0)
    changes(membership)
    stranger = member(MEMBERS_MAX + 1)
    assert not membership.hear(stranger, 0.0)
    assert membership.hear(stranger, 0.0, itself=True)
    assert peer_id(9) not in membership.table
    assert changes(membership) == [MemberCame(stranger)]


def test_a_full_table_without_tombstones_gives_a_strangers_place_and_says_whose() -> None:
    membership = table(*(member(number) for number in range(1, MEMBERS_MAX)))
    membership.hear(member(MEMBERS_MAX), 0.0)
    changes(membership)
    newcomer = member(MEMBERS_MAX + 1)
    assert membership.hear(newcomer, 0.0, itself=True)
    gone = MemberGone(peer_id(MEMBERS_MAX), MemberState.DEAD)
    assert changes(membership) == [gone, MemberCame(newcomer)]
    assert membership.living == len(membership.table) == MEMBERS_MAX
    assert not membership.hear(member(MEMBERS_MAX + 2), 0.0, itself=True)


def test_a_member_is_a_stranger_until_it_speaks_for_itself() -> None:
    membership = table(member(1))
    membership.hear(member(2), 0.0)
    membership.hear(member(3), 0.0, itself=True)
    assert list(membership.strangers) == [peer_id(2)]
    membership.meet(peer_id(2))
    assert membership.strangers == {}
    membership.hear(dead(2), 0.0)
    membership.hear(member(2, 1001), 0.0)
    assert list(membership.strangers) == [peer_id(2)]
    membership.hear(dead(2, 1001), 0.0)
    assert membership.strangers == {}


def test_strangers_get_their_share_of_turns_but_never_more_than_half() -> None:
    few = table(*(member(number) for number in range(1, 100)))
    few.hear(member(100), 0.0)
    turns = [few.next_to_probe() for _ in range(1000)]
    assert turns.count(member(100)) < 40
    many = table(*(member(number) for number in range(1, 11)))
    for number in range(100, 1100):
        many.hear(member(number), 0.0)
    met = [one for one in (many.next_to_probe() for _ in range(1000)) if one in many_met(many)]
    assert 400 < len(met) < 600
    drawn = [one for _ in range(300) for one in many.pick(3)]
    assert 0.4 < sum(one in many_met(many) for one in drawn) / len(drawn) < 0.6


def many_met(membership: Membership) -> list[Member]:
    return [one for one in membership.alive() if one.id not in membership.strangers]


def test_no_stranger_is_picked_where_the_met_are_wanted_unless_there_is_nobody_else() -> None:
    membership = table(member(1), member(2), member(3))
    for number in range(100, 200):
        membership.hear(member(number), 0.0)
    for _ in range(50):
        assert set(membership.pick(2, peer_id(1), met=True)) <= {member(2), member(3)}
    alone = table()
    alone.hear(member(5), 0.0)
    assert alone.pick(2, met=True) == [member(5)]


def test_a_round_of_probes_meets_every_living_member_once() -> None:
    membership = table(*(member(number) for number in range(1, 21)))
    membership.hear(dead(5), 0.0)
    for _ in range(3):
        met = [membership.next_to_probe() for _ in range(19)]
        assert {one.id for one in met if one} == {
            peer_id(number) for number in range(1, 21) if number != 5
        }


def test_nobody_is_probed_when_nobody_lives() -> None:
    membership = table()
    assert membership.next_to_probe() is None
    membership.hear(member(1), 0.0)
    membership.hear(dead(1), 0.0)
    assert membership.next_to_probe() is None
    assert membership.pick(3) == []


def test_picks_are_different_living_and_not_the_one_left_out() -> None:
    membership = table(*(member(number) for number in range(1, 11)))
    membership.hear(dead(2), 0.0)
    seen: set[str] = set()
    for _ in range(100):
        picked = [one.id for one in membership.pick(3, peer_id(3))]
        assert len(picked) == len(set(picked))
        seen.update(picked)
    assert seen == {peer_id(number) for number in range(1, 11)} - {peer_id(2), peer_id(3)}


def test_the_dead_are_picked_but_not_who_left() -> None:
    membership = table(member(1), member(2))
    assert membership.pick_dead() is None
    membership.hear(member(1, 1000, LEFT), 0.0)
    assert membership.pick_dead() is None
    membership.hear(dead(2), 0.0)
    assert {membership.pick_dead() for _ in range(30)} == {None, dead(2)}


def test_two_thirds_of_a_sample_are_of_the_own_zone_where_there_are_so_many() -> None:
    near = [member(number, zone="here") for number in range(1, 31)]
    far = [member(number, zone="there") for number in range(31, 61)]
    membership = table(*near, *far)

    def zones(count: int, zone: str) -> tuple[int, int]:
        sample = membership.sample(count, zone, lambda one: one.id != peer_id(1))
        assert len({one.id for one in sample}) == len(sample)
        assert peer_id(1) not in {one.id for one in sample}
        return sum(one.zone == zone for one in sample), len(sample)

    assert zones(12, "here") == (8, 12)
    assert zones(50, "here") == (29, 50)
    assert zones(12, "nowhere") == (0, 12)
    assert zones(100, "there") == (30, 59)


def test_sums_follow_every_change() -> None:
    membership = table(member(1), member(2))
    before = membership.sums()
    for claim in (member(3), suspect(1, 2), dead(2), member(1, 1001), member(0, 1001)):
        membership.hear(claim, 0.0)
    fresh = Membership(membership.me, random.Random(1), membership.alive())
    assert membership.sums() == fresh.sums() != before


def test_a_suspicion_leaves_the_sums_as_they_are() -> None:
    membership = table(member(1))
    before = membership.sums()
    membership.hear(suspect(1, 2), 0.0)
    assert membership.sums() == before

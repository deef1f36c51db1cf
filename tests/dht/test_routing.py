"""Whom the table keeps: small ids, so that buckets can be read off the bits."""

import random

from strew.dht.contact import ID_BITS, Contact, NodeId
from strew.dht.routing import (
    BUCKET_CONTACTS_MAX,
    BUCKET_SPARES_MAX,
    QUESTIONABLE_S,
    REFRESH_S,
    RoutingTable,
)

ME = NodeId(0)
TOP = 1 << (ID_BITS - 1)
K = BUCKET_CONTACTS_MAX


def contact(number: int, host: str = "10.0.0.1") -> Contact:
    return Contact(NodeId(number), host, 7301)


def far(number: int) -> Contact:
    """One of the half of the space that is not ours."""
    return contact(TOP + number)


def table_of(*contacts: Contact) -> RoutingTable:
    table = RoutingTable(ME, 0.0)
    for known in contacts:
        table.seen(known, 0.0)
    return table


def test_the_nearest_are_named_first() -> None:
    table = table_of(*(contact(number) for number in (1, 2, 4, 8, TOP)))
    assert [known.id for known in table.closest(5, 3)] == [4, 1, 2]
    assert [known.id for known in table.closest(TOP + 1, 1)] == [TOP]


def test_the_last_bucket_is_split_and_the_others_are_full_at_k() -> None:
    table = table_of(*(far(number) for number in range(20)), *(contact(n) for n in range(1, 21)))
    assert table.sizes()[0] == K
    assert len(table) == K + 20
    assert {known.id for known in table.closest(0, 7)} == set(range(1, 8))


def test_every_near_contact_has_a_place() -> None:
    table = table_of(*(contact(1 << bit) for bit in range(ID_BITS)))
    assert len(table) == ID_BITS


def test_who_was_there_first_stays() -> None:
    table = table_of(*(far(number) for number in range(K + 1)))
    assert {known.id for known in table.closest(TOP, K + 1)} == {TOP + n for n in range(K)}


def test_a_contact_that_failed_is_not_named_until_it_answers() -> None:
    table = table_of(contact(1), contact(2))
    table.failed(contact(1))
    assert table.closest(1) == [contact(2)]
    table.seen(contact(1), 1.0)
    assert table.closest(1) == [contact(1), contact(2)]


def test_the_second_failure_gives_the_place_to_the_newest_spare() -> None:
    table = table_of(*(far(number) for number in range(K + 2)))
    table.failed(far(0))
    assert len(table) == K - 1
    table.failed(far(0))
    assert {known.id for known in table.closest(TOP, K + 1)} == {
        *(TOP + n for n in range(1, K)),
        TOP + K + 1,
    }


def test_a_bad_contact_without_spare_gives_way_to_the_next_newcomer() -> None:
    table = table_of(*(far(number) for number in range(K)), contact(1))
    assert not table.welcomes(far(K).id)
    for _ in range(2):
        table.failed(far(3))
    assert table.welcomes(far(K).id)
    table.seen(far(K), 1.0)
    assert far(K) in table.closest(TOP, K) and len(table) == K + 1
    table.seen(far(3), 2.0)
    assert far(3) not in table.closest(TOP, K), "it waits among the spares"


def test_a_node_cut_off_for_a_while_still_knows_whom_to_ask() -> None:
    table = table_of(contact(1), contact(2))
    for _ in range(5):
        table.failed(contact(1))
        table.failed(contact(2))
    assert len(table) == 0
    assert table.bad(8) == [contact(1).address, contact(2).address]


def test_spares_that_fail_are_dropped_and_there_are_few() -> None:
    table = table_of(*(far(number) for number in range(K + 100)))
    for number in range(K + 100 - BUCKET_SPARES_MAX + 1, K + 100):
        table.failed(far(number))
    for number in range(K):
        table.failed(far(number))
        table.failed(far(number))
    assert len(table) == 1, "one spare was left"


def test_an_id_is_not_taken_over_from_another_address_while_its_owner_answers() -> None:
    owner, thief = contact(1), contact(1, "10.6.6.6")
    table = table_of(owner, thief)
    assert table.closest(1) == [owner]
    table.failed(owner)
    table.seen(thief, 1.0)
    assert table.closest(1) == [thief], "it moved"


def test_oneself_is_never_a_contact() -> None:
    table = table_of(contact(ME))
    assert len(table) == 0
    assert not table.welcomes(ME)


def test_welcome_is_who_would_get_a_place() -> None:
    table = table_of(*(far(number) for number in range(K)), contact(1))
    assert table.welcomes(NodeId(2))
    assert not table.welcomes(far(K).id)
    assert not table.welcomes(NodeId(1)), "it is there"
    table.failed(contact(1))
    assert table.welcomes(NodeId(1)), "a failed one that is heard of may be back"


def test_silent_contacts_are_pinged_after_those_that_failed_once() -> None:
    table = table_of(contact(1), contact(2))
    table.seen(contact(3), 100.0)
    table.failed(contact(3))
    assert table.questionable(QUESTIONABLE_S - 1, 8) == [contact(3)]
    table.seen(contact(1), 10.0)
    assert table.questionable(QUESTIONABLE_S + 10, 2) == [contact(3), contact(2)]
    table.failed(contact(3))
    assert table.questionable(QUESTIONABLE_S + 10, 8) == [contact(2), contact(1)]


def test_who_answers_under_another_id_is_forgotten() -> None:
    table = table_of(contact(1))
    table.forget(contact(1))
    assert len(table) == 0 and table.bad(8) == []


def test_a_region_not_looked_up_is_refreshed_by_a_target_in_it() -> None:
    table = table_of(*(contact(1 << bit) for bit in range(ID_BITS)))
    dice = random.Random(1)
    depth = len(table.sizes())
    table.spread(dice, 0.0, 0.0)
    for now in (0.0, REFRESH_S):
        regions = set()
        while (target := table.stale(now, dice)) is not None:
            assert target < 1 << ID_BITS
            regions.add(min(ID_BITS - target.bit_length(), depth - 1))
            table.touch(target, now)
        assert regions == set(range(depth))
        assert table.stale(now + REFRESH_S - 1, dice) is None


def test_what_is_left_of_a_bucket_that_was_split_is_to_be_refreshed() -> None:
    dice = random.Random(1)
    table = table_of(*(contact(n) for n in (1, 2, 4, 8, 16, 32, 64)), far(0))
    assert table.stale(1.0, dice) is None
    table.seen(far(1), 1.0)
    target = table.stale(1.0, dice)
    assert target is not None and target >= TOP


def test_targets_lie_in_their_region_whatever_our_id() -> None:
    me = NodeId(random.Random(3).getrandbits(ID_BITS))
    table = RoutingTable(me, 0.0)
    for bit in range(100, ID_BITS):
        table.seen(contact(me ^ (1 << bit)), 0.0)
    for index in range(len(table.sizes()) - 1):
        target = table.stale(REFRESH_S, random.Random(1))
        assert target is not None
        table.touch(target, REFRESH_S)
        assert ID_BITS - (target ^ me).bit_length() == index


def test_after_joining_every_region_is_due_within_the_given_time() -> None:
    table = table_of(*(contact(1 << bit) for bit in range(ID_BITS)))
    dice = random.Random(1)
    table.spread(dice, 1000.0, 60.0)
    due = 0
    while (target := table.stale(1060.0, dice)) is not None:
        table.touch(target, 1060.0)
        due += 1
    assert due == len(table.sizes())

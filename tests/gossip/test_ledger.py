"""Two nodes compare what they know: each learns what it lacks, and no more is sent."""

import random

from strew.gossip.holdings import Holdings
from strew.gossip.ledger import ENTRIES_BYTES_MAX, Ledger
from strew.gossip.membership import Membership
from strew.gossip.names import Names
from strew.gossip.protocol import (
    EXCHANGE_BYTES_MAX,
    Entries,
    Member,
    Named,
    Rumour,
    encode,
)
from tests.gossip.makers import dead, held, member, publication, suspect, told

CROWD = [member(number) for number in range(10, 110)]


class Side:
    """One node's tables."""

    def __init__(self, number: int, *rumours: Rumour) -> None:
        self.membership = Membership(member(number), random.Random(number))
        self.names = Names()
        self.holdings = Holdings()
        self.ledger = Ledger(self.membership, self.names, self.holdings)
        self.learn(rumours)

    def learn(self, rumours: tuple[Rumour, ...]) -> None:
        for rumour in rumours:
            if isinstance(rumour, Member):
                self.membership.hear(rumour, 0.0)
            elif isinstance(rumour, Named):
                self.names.hear(rumour)
            else:
                self.holdings.hear(rumour)


def compare(asker: Side, asked: Side) -> tuple[Entries, Entries] | None:
    """An exchange: what the asker gave and what it got; None if both knew the same."""
    differences = asked.ledger.differences(asker.ledger.summary())
    if differences.none:
        return None
    given = asker.ledger.entries(differences)
    got = asked.ledger.wanted(given.wanted)
    asked.learn(given.rumours)
    asker.learn(got.rumours)
    return given, got


def acquainted(*rumours: Rumour) -> tuple[Side, Side]:
    """Two nodes that know each other, a crowd and some more."""
    return Side(1, member(2), *CROWD, *rumours), Side(2, member(1), *CROWD, *rumours)


def test_two_that_know_the_same_say_so_in_one_small_answer() -> None:
    one, other = acquainted(told(), held(10))
    assert compare(one, other) is None
    assert len(encode(one.ledger.summary())) < 1024


def test_each_learns_what_only_the_other_knows_and_nothing_else_is_sent() -> None:
    one, other = acquainted(told(), held(10))
    mine: tuple[Rumour, ...] = (member(200), told("mine:v1"), held(11))
    yours: tuple[Rumour, ...] = (member(300), told("yours:v1"), held(12))
    one.learn(mine)
    other.learn(yours)
    exchanged = compare(one, other)
    assert exchanged is not None
    given, got = exchanged
    assert set(given.rumours) == set(mine)
    assert set(got.rumours) == set(yours)
    assert compare(one, other) is None


def test_a_newcomer_gets_everything_at_once() -> None:
    newcomer, old = Side(1), Side(2, *CROWD, told(), held(10))
    assert compare(newcomer, old) is not None
    assert newcomer.membership.living == len(CROWD) + 1
    assert list(newcomer.names.by_reference) == ["app:v1"]
    assert newcomer.holdings.count == 1
    assert compare(newcomer, old) is None


def test_newer_versions_win_on_both_sides() -> None:
    one, other = acquainted(told(), held(10))
    one.learn((member(10, 2000), held(10, have=3, sequence=5)))
    other.learn((member(11, 2000), told(version=2_000_000, artifact="two")))
    compare(one, other)
    for side in (one, other):
        assert side.membership.table[CROWD[0].id].incarnation == 2000
        assert side.membership.table[CROWD[1].id].incarnation == 2000
        assert side.names.by_reference["app:v1"].publication.version == 2_000_000
        assert side.holdings.of(7) == [held(10, have=3, sequence=5)]


def test_a_suspicion_alone_is_no_difference() -> None:
    one, other = acquainted()
    one.learn((suspect(10, 2),))
    assert compare(one, other) is None


def test_a_death_goes_over_though_the_dead_are_in_no_sum() -> None:
    one, other = acquainted()
    one.learn((dead(10),))
    exchanged = compare(one, other)
    assert exchanged is not None
    assert exchanged[0].rumours == (dead(10),)
    assert compare(one, other) is None


def test_a_forgotten_tombstone_makes_no_difference() -> None:
    one, other = acquainted(dead(10))
    one.membership.forget_old(1e9)
    assert CROWD[0].id not in one.membership.table
    assert compare(one, other) is None


def test_what_does_not_fit_into_a_body_goes_with_the_next() -> None:
    one, other = Side(1), Side(2)
    long = "f" * 200
    for number in range(9000):
        named = Named(publication(f"app:{number}", name=long))
        other.names.hear(named)
    rounds = 0
    while (exchanged := compare(one, other)) is not None:
        assert len(encode(exchanged[1])) <= ENTRIES_BYTES_MAX + 1024 < EXCHANGE_BYTES_MAX
        rounds += 1
    assert rounds > 1
    assert len(one.names.by_reference) == 9000


def test_marks_nobody_has_get_nothing() -> None:
    assert Side(1).ledger.wanted(b"12345678").rumours == ()
    assert Side(1).ledger.wanted(b"").rumours == ()

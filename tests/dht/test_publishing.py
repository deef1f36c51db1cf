"""When provided keys are announced again."""

import random

import pytest

from strew.dht.contact import Key
from strew.dht.providers import EXPIRY_S
from strew.dht.publishing import PROVIDED_MAX, REPUBLISH_FIRST_S, REPUBLISH_S, Publishing

KEY = Key(1)


def made() -> Publishing:
    publishing = Publishing(random.Random(5))
    publishing.provide(KEY, 7301, 10.0)
    return publishing


def test_a_provided_key_is_due_once_until_it_was_announced() -> None:
    publishing = made()
    assert publishing.take_due(10.0) == [KEY]
    assert publishing.take_due(1e6) == []
    publishing.announced(KEY, 8, 1e6, 10.0)
    assert publishing.kept_by == {KEY: 8}
    assert publishing.take_due(10.0 + REPUBLISH_S * 0.89) == []
    assert publishing.take_due(10.0 + REPUBLISH_S) == [KEY]


def test_one_lost_announce_lets_no_record_run_out() -> None:
    assert 2 * REPUBLISH_S <= EXPIRY_S


@pytest.mark.parametrize(
    ("kept_by", "age_s", "wait_s"),
    [
        (8, 0.0, REPUBLISH_FIRST_S),
        (8, 120.0, 120.0),
        (8, 1e6, REPUBLISH_S),
        (0, 1e6, REPUBLISH_FIRST_S),
    ],
)
def test_a_young_node_announces_again_sooner_and_so_does_who_found_no_taker(
    kept_by: int, age_s: float, wait_s: float
) -> None:
    publishing = made()
    publishing.take_due(10.0)
    publishing.announced(KEY, kept_by, age_s, 10.0)
    assert publishing.take_due(10.0 + 0.89 * wait_s) == []
    assert publishing.take_due(10.0 + wait_s) == [KEY]


def test_saying_so_again_changes_nothing_and_another_port_is_announced() -> None:
    publishing = made()
    publishing.take_due(10.0)
    publishing.announced(KEY, 8, 1e6, 10.0)
    publishing.provide(KEY, 7301, 11.0)
    assert publishing.take_due(11.0) == []
    publishing.provide(KEY, 7302, 12.0)
    assert publishing.take_due(12.0) == [KEY]
    assert publishing.ports == {KEY: 7302}


def test_a_withdrawn_key_is_not_due_again() -> None:
    publishing = made()
    publishing.withdraw(KEY)
    assert publishing.take_due(1e6) == []
    assert publishing.ports == {}


def test_keys_beyond_the_limit_are_not_published() -> None:
    publishing = made()
    for number in range(PROVIDED_MAX + 10):
        publishing.provide(Key(number), 7301, 20.0)
    assert len(publishing.ports) == PROVIDED_MAX

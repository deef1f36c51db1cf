"""Referrals: who of a crowd is answered, who is sent to whom, and what is remembered of it."""

import random
from collections import Counter

from strew.announce.referral import (
    ANSWERED_MAX,
    CROWD_MAX,
    CROWD_S,
    CROWDS_MAX,
    TURN_WITHIN_S,
    Caller,
    Referrals,
)
from tests.announce.makers import artifact_id

APP = artifact_id("app")
BUSY = ANSWERED_MAX


def caller(number: int) -> Caller:
    return f"10.0.{number >> 8}.{number & 255}", 7301


def referred(referrals: Referrals, number: int, now: float = 0.0) -> Caller:
    """Whom a caller is sent to that finds the machine busy, and whose turn does not come."""
    assert referrals.ask(APP, caller(number), BUSY, now) == "later"
    other = referrals.ask(APP, caller(number), BUSY, now + TURN_WITHIN_S)
    assert isinstance(other, tuple)
    return other


def test_whoever_finds_a_machine_idle_is_answered() -> None:
    referrals = Referrals()
    for number in range(50):
        assert referrals.ask(APP, caller(number), ANSWERED_MAX - 1, 0.0) == "answer"


def test_a_turn_may_still_come() -> None:
    referrals = Referrals()
    for number in range(ANSWERED_MAX):
        assert referrals.ask(APP, caller(number), number, 0.0) == "answer"
    assert referrals.ask(APP, caller(9), BUSY, 0.0) == "later"
    assert referrals.ask(APP, caller(9), BUSY, 0.9 * TURN_WITHIN_S) == "later"
    assert referrals.ask(APP, caller(9), BUSY - 1, 0.9 * TURN_WITHIN_S) == "answer"


def test_a_crowd_is_a_tree_in_the_order_of_coming() -> None:
    referrals = Referrals()
    numbers = list(range(200))
    random.Random(1).shuffle(numbers)
    for number in numbers[:ANSWERED_MAX]:
        assert referrals.ask(APP, caller(number), BUSY, 0.0) == "answer"
    sent_to = [referred(referrals, number) for number in numbers[ANSWERED_MAX:]]
    came = [caller(number) for number in numbers]
    for place, other in enumerate(sent_to, ANSWERED_MAX):
        assert came.index(other) < place
    assert max(Counter(sent_to).values()) == ANSWERED_MAX
    assert len(Counter(sent_to)) == (len(numbers) - ANSWERED_MAX) // ANSWERED_MAX


def test_who_was_referred_in_vain_is_answered() -> None:
    referrals = Referrals()
    for number in range(ANSWERED_MAX):
        referrals.ask(APP, caller(number), BUSY, 0.0)
    referred(referrals, 7)
    assert referrals.ask(APP, caller(7), BUSY, 0.5) == "answer"


def test_who_comes_later_is_of_another_crowd() -> None:
    referrals = Referrals()
    for number in range(ANSWERED_MAX):
        referrals.ask(APP, caller(number), BUSY, 0.0)
    assert referrals.ask(artifact_id("other"), caller(8), BUSY, 0.0) == "answer"
    referred(referrals, 8, 0.9 * CROWD_S)
    assert referrals.ask(APP, caller(9), BUSY, CROWD_S) == "answer"


def test_little_is_remembered() -> None:
    referrals = Referrals()
    for number in range(CROWD_MAX):
        referrals.ask(APP, caller(number), BUSY, 0.0)
    for number in range(ANSWERED_MAX):  # the first of the next
        assert referrals.ask(APP, caller(CROWD_MAX + number), BUSY, 0.0) == "answer"
    assert referrals.ask(APP, caller(CROWD_MAX + 8), BUSY, 0.0) == "later"
    for number in range(CROWDS_MAX):
        referrals.ask(artifact_id(f"app{number}"), caller(0), BUSY, 0.0)
    assert referrals.ask(APP, caller(CROWD_MAX + 9), BUSY, 0.0) == "answer"  # all is forgotten

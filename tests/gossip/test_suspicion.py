"""How long a suspect has, and the last word."""

import math

import pytest

from strew.gossip.suspicion import (
    CONFIRMATIONS,
    LAST_WORD_S,
    TIMEOUT_MAX_RATIO,
    Suspicions,
    timeout_s,
)
from tests.gossip.makers import peer_id

PEER = peer_id(1)


def test_each_accuser_shortens_the_time_limit_down_to_the_least() -> None:
    limits = [timeout_s(999, count, 1.0) for count in range(CONFIRMATIONS + 3)]
    assert limits[0] == pytest.approx(TIMEOUT_MAX_RATIO * 6.0)
    assert limits[: CONFIRMATIONS + 1] == sorted(set(limits), reverse=True)
    assert limits[CONFIRMATIONS:] == [pytest.approx(6.0)] * 3


def test_the_time_limit_grows_with_the_logarithm_of_the_fleet() -> None:
    assert timeout_s(9999, 3, 1.0) == pytest.approx(8.0)
    assert timeout_s(4, 3, 1.0) == timeout_s(99, 3, 1.0) == pytest.approx(4.0)


def test_where_nobody_else_can_confirm_the_least_time_limit_holds_at_once() -> None:
    assert timeout_s(1, 0, 1.0) == timeout_s(2, 1, 1.0) == pytest.approx(4.0)
    assert timeout_s(2, 0, 1.0) == timeout_s(3, 0, 1.0) == pytest.approx(24.0)
    assert timeout_s(3, 1, 1.0) > timeout_s(3, 2, 1.0) == pytest.approx(4.0)


def test_a_suspect_nobody_else_accuses_has_the_longest_time_and_then_the_last_word() -> None:
    suspicions = Suspicions(1.0)
    assert suspicions.accuse(PEER, 5, "a", 999, 10.0)
    ends_s = 10.0 + timeout_s(999, 0, 1.0)
    assert suspicions.next_s() == pytest.approx(ends_s)
    assert suspicions.due(ends_s - 0.1) == []
    assert suspicions.due(ends_s) == [(PEER, False)]
    assert suspicions.due(ends_s) == []
    assert suspicions.next_s() == pytest.approx(ends_s + LAST_WORD_S)
    assert suspicions.due(ends_s + LAST_WORD_S) == [(PEER, True)]
    assert suspicions.next_s() == math.inf and len(suspicions) == 0


def test_only_new_accusers_of_the_same_incarnation_confirm_and_only_a_few_are_told() -> None:
    suspicions = Suspicions(1.0)
    assert suspicions.accuse(PEER, 5, "a", 999, 0.0)
    assert not suspicions.accuse(PEER, 5, "a", 999, 1.0)
    for by in ("b", "c"):
        assert suspicions.accuse(PEER, 5, by, 999, 2.0)
    assert not suspicions.accuse(PEER, 5, "d", 999, 2.0)
    assert suspicions.next_s() == pytest.approx(6.0)
    assert suspicions.due(6.0) == [(PEER, False)]


def test_a_late_confirmation_ends_the_time_now_and_not_in_the_past() -> None:
    suspicions = Suspicions(1.0)
    suspicions.accuse(PEER, 5, "a", 9, 0.0)
    for by in ("b", "c", "d"):
        suspicions.accuse(PEER, 5, by, 9, 9.0)
    assert suspicions.next_s() == 9.0


def test_a_confirmation_does_not_take_the_last_word_away() -> None:
    suspicions = Suspicions(1.0)
    suspicions.accuse(PEER, 5, "a", 9, 0.0)
    assert suspicions.due(24.0) == [(PEER, False)]
    suspicions.accuse(PEER, 5, "b", 9, 24.1)
    assert suspicions.next_s() == 24.0 + LAST_WORD_S


def test_a_new_incarnation_is_suspected_anew() -> None:
    suspicions = Suspicions(1.0)
    suspicions.accuse(PEER, 5, "a", 9, 0.0)
    assert suspicions.accuse(PEER, 6, "a", 9, 5.0)
    assert suspicions.next_s() == pytest.approx(5.0 + timeout_s(9, 0, 1.0))
    assert len(suspicions) == 1


def test_who_is_cleared_is_not_due() -> None:
    suspicions = Suspicions(1.0)
    suspicions.accuse(PEER, 5, "a", 9, 0.0)
    suspicions.clear(PEER)
    assert suspicions.next_s() == math.inf
    assert suspicions.due(1e9) == []


def test_a_pause_of_this_process_is_given_to_every_suspect() -> None:
    suspicions = Suspicions(1.0)
    suspicions.accuse(PEER, 5, "a", 9, 0.0)
    suspicions.accuse(peer_id(2), 5, "a", 9, 1.0)
    suspicions.pause(100.0)
    assert suspicions.due(100.0 + 23.9) == []
    assert suspicions.due(100.0 + 24.0) == [(PEER, False)]

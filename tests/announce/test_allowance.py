"""How often a node may announce."""

import pytest

from strew.announce.allowance import ANNOUNCE_BURST, ANNOUNCE_EVERY_S, Allowance, full_allowance


def spend(allowance: Allowance, now: float) -> Allowance:
    left = allowance.spent(now)
    assert left is not None
    return left


def test_a_burst_then_one_in_a_while() -> None:
    allowance = full_allowance(0.0)
    for _ in range(ANNOUNCE_BURST):
        allowance = spend(allowance, 0.0)
    assert allowance.spent(0.0) is None
    assert allowance.ready_s(0.0) == ANNOUNCE_EVERY_S
    assert allowance.spent(ANNOUNCE_EVERY_S - 0.1) is None
    allowance = spend(allowance, ANNOUNCE_EVERY_S)
    assert allowance.spent(ANNOUNCE_EVERY_S) is None


def test_the_moment_it_names_is_not_too_early() -> None:
    allowance = full_allowance(0.1)
    for _ in range(ANNOUNCE_BURST):
        allowance = spend(allowance, 0.1 + 1 / 3)
    ready = allowance.at_s + allowance.ready_s(allowance.at_s)
    assert allowance.spent(ready) is not None


def test_no_more_is_saved_up_than_a_burst() -> None:
    assert full_allowance(0.0).at(1e6).tokens == ANNOUNCE_BURST


def test_time_that_runs_backwards_earns_nothing() -> None:
    allowance = spend(full_allowance(100.0), 100.0)
    assert allowance.at(50.0).tokens == pytest.approx(ANNOUNCE_BURST - 1)

"""Every second has one cause, and the sum is what was lost."""

from __future__ import annotations

import random
from dataclasses import dataclass

import pytest

from strew.telemetry.causes import ASKED_LONG_S, CAUSES, TEXTS, Cause, losses_of
from strew.telemetry.protocol import TICKS_PER_S, Downlink, Timeline

LINK = 1000.0
WIDTH_S = 0.1
BIN = round(WIDTH_S * TICKS_PER_S)


@dataclass
class Steady:
    """Uplinks that do the same all the time."""

    idle_ratio: float = 1.0
    used_ratio: float = 0.0
    ungiven_ratio: float = 0.0

    def idle(self, begin_s: float, end_s: float) -> float:
        return self.idle_ratio

    def used(self, begin_s: float, end_s: float) -> float:
        return self.used_ratio

    def ungiven(self, begin_s: float, end_s: float, link_bytes_per_s: float) -> float:
        return self.ungiven_ratio


def timeline(states: list[Downlink], **rows: tuple[int, ...]) -> Timeline:
    """One state a bin."""
    down = tuple(tuple(BIN if of is state else 0 for of in states) for state in Downlink)
    return Timeline(width_s=WIDTH_S, elapsed_s=WIDTH_S * len(states), down_ticks=down, **rows)


def lost(told: Timeline, uplinks: Steady | None = None, done_s: float = 0.0) -> dict[Cause, float]:
    """Causes that cost anything."""
    seconds = losses_of(told, done_s or told.elapsed_s, LINK, uplinks or Steady())
    return {c: round(s, 6) for c, s in zip(CAUSES, seconds, strict=True) if abs(s) > 1e-9}


R, A, U, N = Downlink.RECEIVING, Downlink.ASKED, Downlink.UNOFFERED, Downlink.NOWHERE


def test_each_cause_has_its_words_and_none_is_left_out() -> None:
    assert set(TEXTS) == set(Cause)
    assert all(len(text) <= 75 for text in TEXTS.values())


def test_a_machine_that_receives_at_link_rate_loses_nothing() -> None:
    assert lost(timeline([R] * 3, received_bytes=(100, 100, 100))) == {}


def test_a_chunk_that_is_counted_where_it_was_whole_came_before() -> None:
    assert lost(timeline([R] * 3, received_bytes=(0, 0, 300))) == {}
    assert lost(timeline([R] * 3, received_bytes=(300, 0, 0))) == {}


def test_time_before_the_fetch_and_without_neighbours_is_the_start() -> None:
    told = timeline([Downlink.STARTING, R], received_bytes=(0, 100))
    assert lost(told, done_s=1.2) == {Cause.START: 1.1}


def test_below_link_rate_is_slow_senders_or_senders_that_were_busy() -> None:
    told = timeline([R] * 2, received_bytes=(50, 50))
    assert lost(told) == {Cause.SLOW_SENDERS: 0.1}
    assert lost(told, Steady(used_ratio=0.75)) == {
        Cause.UPLINKS_BUSY: 0.075,
        Cause.SLOW_SENDERS: 0.025,
    }


def test_what_only_an_origin_has_is_waited_for_as_far_as_it_gives_too_little() -> None:
    told = timeline([R] * 2, received_bytes=(50, 50), awaiting_ticks=(BIN, BIN))
    both = lost(told, Steady(ungiven_ratio=0.5))
    assert both == {Cause.FIRST_COPIES: pytest.approx(0.1)}
    assert Cause.SLOW_SENDERS in lost(timeline([R] * 3, received_bytes=(50, 50, 50)))


def test_until_the_first_chunk_came_its_way_was_not_filled() -> None:
    told = timeline([N, N, R], received_bytes=(0, 0, 100))
    assert lost(told) == {Cause.FIRST_COPIES: 0.2}


def test_who_was_offered_nothing_had_idle_or_busy_uplinks_around() -> None:
    told = timeline([R, U, N], received_bytes=(100, 0, 0))
    assert lost(told, Steady(idle_ratio=0.25)) == {
        Cause.UPLINKS_IDLE: 0.05,
        Cause.UPLINKS_BUSY: 0.15,
    }


def test_a_short_wait_for_what_was_asked_is_control_and_a_long_one_a_sender() -> None:
    assert lost(timeline([R, A, R], received_bytes=(100, 0, 100))) == {Cause.CONTROL: 0.1}
    long = round(ASKED_LONG_S / WIDTH_S)
    told = timeline([R, *[A] * long, R], received_bytes=(100, *[0] * long, 100))
    assert lost(told) == {Cause.SLOW_SENDERS: pytest.approx(long * WIDTH_S)}


def test_what_came_twice_costs_what_it_takes() -> None:
    told = timeline([R, R, A], received_bytes=(50, 100), duplicate_bytes=(50, 0, 100))
    assert lost(told) == {Cause.DUPLICATES: pytest.approx(0.15)}


def test_a_store_that_is_behind_is_disk_or_hash_as_it_worked() -> None:
    told = timeline(
        [R, Downlink.STORING],
        received_bytes=(100, 0),
        hash_ticks=(0, BIN // 4),
        write_ticks=(0, BIN // 4 * 3),
    )
    assert lost(told) == {Cause.DISK: 0.075, Cause.HASH: 0.025}
    inline = timeline([R], received_bytes=(40,), write_ticks=(BIN,))
    assert lost(inline) == {Cause.DISK: 0.06}


def test_putting_it_in_place_is_finishing() -> None:
    told = timeline([R, Downlink.FINISHING], received_bytes=(100, 0))
    assert lost(told) == {Cause.FINISHING: 0.1}


def test_a_fetch_that_began_before_the_publication_still_adds_up() -> None:
    told = timeline([R, N, U, R], received_bytes=(100, 0, 0, 100))
    seconds = losses_of(told, 0.3, LINK, Steady())
    assert sum(seconds) == pytest.approx(0.3 - 200 / LINK)
    assert min(seconds) >= 0.0


@pytest.mark.parametrize("seed", range(20))
def test_whatever_a_machine_did_its_causes_add_up(seed: int) -> None:
    dice = random.Random(seed)
    count = dice.randrange(1, 60)
    states = [dice.choice(list(Downlink)) for _ in range(count)]

    def row(most: int) -> tuple[int, ...]:
        return tuple(dice.randrange(most) for _ in range(dice.randrange(count + 1)))

    told = timeline(
        states,
        received_bytes=row(60),
        duplicate_bytes=row(80),
        awaiting_ticks=tuple(BIN if of is R and dice.random() < 0.5 else 0 for of in states),
        hash_ticks=row(BIN),
        write_ticks=row(BIN),
    )
    done_s = told.elapsed_s + dice.uniform(0.0, 3.0)
    uplinks = Steady(dice.random(), dice.random(), dice.random())
    seconds = losses_of(told, done_s, LINK, uplinks)
    whole = done_s - sum(told.received_bytes) / LINK
    if whole > 0:
        assert sum(seconds) == pytest.approx(whole, rel=1e-6)
        assert min(seconds) >= -1e-9

"""When an exchange is due, and with whom."""

import math
import random

import pytest

from strew.gossip.exchange import (
    ANSWER_WITHIN_S,
    BACKOFF_FIRST_S,
    BACKOFF_MAX_S,
    JITTER_RATIO,
    MEET_S,
    PERIOD_S,
    SECOND_S,
    SILENCE_S,
    Schedule,
)
from strew.gossip.membership import Membership
from strew.gossip.protocol import Address, Member
from tests.gossip.makers import PORT, dead, host, member

ME = member(0)
SEED: Address = ("10.200.0.1", PORT)
OTHER_SEED: Address = ("10.200.0.2", PORT)
OWN: Address = (ME.host, ME.port)


class Play:
    """A schedule, and a clock that moves when told."""

    def __init__(self, seeds: list[Address], *known: Member) -> None:
        self.membership = Membership(ME, random.Random(3), known)
        self.now = 100.0
        self.schedule = Schedule(self.membership, seeds, random.Random(3), self.now)

    def step(self) -> Address | None:
        """Go to the next deadline; returns with whom an exchange begins there."""
        assert self.schedule.next_s() >= self.now
        self.now = self.schedule.next_s()
        return self.schedule.advance(self.now)

    def quiet_step(self) -> Address | None:
        """The same, with datagrams coming in until then."""
        self.schedule.heard(max(self.now, self.schedule.next_s()))
        self.schedule.heard(math.inf)
        return self.step()


def test_a_node_asks_a_seed_at_once_and_again_until_one_answers() -> None:
    play = Play([SEED, OTHER_SEED])
    assert play.schedule.next_s() == play.now
    waits = []
    for _ in range(10):
        asked = set()
        for _ in range(2):
            partner = play.step()
            asked.add(partner)
            failed_s = play.now
            play.schedule.failed(partner, play.now)
            waits.append(play.schedule.next_s() - failed_s)
        assert asked == {SEED, OTHER_SEED}, "each in turn"
    assert not any(waits[::2]), "the other one is asked at once"
    assert BACKOFF_FIRST_S / 2 <= waits[1] <= BACKOFF_FIRST_S
    assert BACKOFF_MAX_S / 2 <= waits[-1] <= BACKOFF_MAX_S
    assert not play.schedule.joined


def test_the_second_exchange_comes_soon_and_the_others_with_the_period() -> None:
    play = Play([SEED], member(1))
    pauses = []
    for _ in range(3):
        assert play.quiet_step() is not None
        play.schedule.done(play.now)
        play.schedule.heard(math.inf)
        pauses.append(play.schedule.next_s() - play.now)
    assert play.schedule.joined
    for pause, period in zip(pauses, (SECOND_S, PERIOD_S, PERIOD_S), strict=True):
        assert (1 - JITTER_RATIO) * period <= pause <= (1 + JITTER_RATIO) * period


def test_seeds_that_are_strangers_to_the_first_that_answered_are_asked_soon() -> None:
    """Each of them may know another part of a fleet that is starting."""
    play = Play([SEED, OTHER_SEED, (host(1), PORT)], member(1))
    asked = []
    for _ in range(4):
        partner = play.quiet_step()
        asked.append(partner)
        play.schedule.done(play.now)
        play.schedule.heard(math.inf)
        if len({SEED, OTHER_SEED} - set(asked)) > 0:
            assert play.schedule.next_s() - play.now <= (1 + JITTER_RATIO) * MEET_S
    assert {SEED, OTHER_SEED} <= set(asked[:3])
    assert asked[3] == (host(1), PORT), "then with members"


def test_a_strange_seed_that_does_not_answer_is_not_asked_again_at_once() -> None:
    play = Play([SEED, OTHER_SEED], member(1))
    first = play.quiet_step()
    play.schedule.done(play.now)
    second = play.quiet_step()
    assert {first, second} == {SEED, OTHER_SEED}
    play.schedule.failed(second, play.now)
    assert play.quiet_step() == (host(1), PORT)


def test_one_exchange_is_under_way_at_a_time_and_fails_without_an_answer() -> None:
    play = Play([SEED])
    assert play.step() == SEED
    assert play.schedule.awaits(SEED) and not play.schedule.awaits(OTHER_SEED)
    assert play.schedule.next_s() == play.now + ANSWER_WITHIN_S
    play.schedule.at_once(play.now)
    assert play.schedule.advance(play.now) is None
    assert play.step() is None
    assert not play.schedule.awaits(SEED)
    assert play.schedule.next_s() > play.now


def test_the_second_body_has_its_own_time() -> None:
    play = Play([SEED])
    play.step()
    play.schedule.goes_on(play.now + 9.0)
    assert play.schedule.next_s() == play.now + 9.0 + ANSWER_WITHIN_S


def test_a_failure_of_somebody_else_does_not_count() -> None:
    play = Play([SEED])
    play.step()
    play.schedule.failed(OTHER_SEED, play.now)
    assert play.schedule.awaits(SEED)


def test_oneself_is_no_seed_and_alone_there_is_nothing_to_do() -> None:
    play = Play([OWN])
    assert play.schedule.next_s() == math.inf
    assert play.schedule.advance(1e9) is None


def test_partners_are_members_and_now_and_then_a_seed_that_is_none() -> None:
    play = Play([SEED, (host(1), PORT)], member(1), member(2))
    partners = []
    for _ in range(40):
        partner = play.quiet_step()
        assert partner is not None
        partners.append(partner)
        play.schedule.done(play.now)
    later = partners[1:]
    assert set(later) == {SEED, (host(1), PORT), (host(2), PORT)}
    assert 8 <= later.count(SEED) <= 12


def test_before_anybody_answered_members_of_an_earlier_life_are_asked_in_turn_with_seeds() -> None:
    play = Play([SEED], member(1))
    partners = []
    for _ in range(4):
        partner = play.quiet_step()
        assert partner is not None
        partners.append(partner)
        play.schedule.failed(partner, play.now)
    assert partners == [SEED, (host(1), PORT)] * 2


def test_silence_leads_to_one_exchange_and_then_backoff_decides() -> None:
    play = Play([], member(1))
    play.schedule.heard(play.now)
    silent_since_s = play.now
    first_s = play.schedule.next_s()
    assert first_s <= silent_since_s + SILENCE_S
    while play.step() is None or play.now < silent_since_s + SILENCE_S:
        play.schedule.done(play.now)
        play.schedule.heard(silent_since_s)
    assert play.now == pytest.approx(silent_since_s + SILENCE_S)
    play.schedule.done(play.now)
    assert play.schedule.next_s() > play.now + SILENCE_S * (1 - JITTER_RATIO) / 2


def test_a_member_that_is_back_is_the_next_partner() -> None:
    play = Play([], member(1), member(2))
    play.membership.hear(dead(2), 0.0)
    play.schedule.soon(member(2, 1001), play.now)
    assert play.step() == (host(2), PORT)


def test_a_member_that_comes_back_during_an_exchange_is_next_after_it() -> None:
    play = Play([SEED], member(2))
    assert play.step() == SEED
    play.schedule.soon(member(2, 1001), play.now)
    play.schedule.done(play.now)
    assert play.step() == (host(2), PORT)


def test_when_everybody_is_dead_and_no_seed_is_known_there_is_nobody_to_ask() -> None:
    play = Play([], member(1))
    play.membership.hear(dead(1), 0.0)
    assert play.schedule.next_s() == math.inf

"""Whom a node asks, when, and what silence means."""

import itertools
import random

import pytest

from strew.gossip.health import Health
from strew.gossip.membership import Membership
from strew.gossip.outbox import Outbox
from strew.gossip.probing import (
    NACK_AFTER_RATIO,
    PERIOD_S,
    RELAYED_MAX,
    RELAYS,
    REPETITIONS,
    TIMEOUT_MAX_S,
    TIMEOUT_MIN_S,
    Prober,
)
from strew.gossip.protocol import Ack, Member, Nack, Ping, PingRequest
from strew.gossip.rumours import RumourQueue
from strew.messages import Datagram, SendDatagram
from tests.gossip.makers import PORT, host, member, peer_id

ME = member(0)


class Play:
    """A prober, and a clock that moves when told."""

    def __init__(self, count: int = 9) -> None:
        known = [member(number) for number in range(1, count + 1)]
        self.membership = Membership(ME, random.Random(2), known)
        self.outbox = Outbox(self.membership, RumourQueue())
        self.health = Health()
        self.now = 100.0
        self.prober = Prober(self.membership, self.outbox, self.health, random.Random(2), self.now)
        self.failed: list[Member] = []

    def sent(self) -> list[tuple[str, Datagram]]:
        sent = []
        for action in self.outbox.take():
            assert isinstance(action, SendDatagram) and action.port == PORT
            sent.append((action.host, action.message))
        return sent

    def step(self) -> list[tuple[str, Datagram]]:
        """Go to the next deadline and do what is due."""
        assert self.prober.next_s() >= self.now
        self.now = self.prober.next_s()
        failed = self.prober.advance(self.now)
        if failed is not None:
            self.failed.append(failed)
        return self.sent()

    def start(self) -> tuple[Member, Ping]:
        """Begin a probe: its target and its ping."""
        [(to, ping)] = self.step()
        assert isinstance(ping, Ping)
        [target] = [one for one in self.membership.alive() if one.host == to]
        return target, ping


def test_one_member_is_pinged_in_each_period_and_all_in_turn() -> None:
    play = Play()
    times, met = [], set()
    for _ in range(9):
        target, ping = play.start()
        times.append(play.now)
        met.add(target.id)
        play.now += 0.01
        play.prober.acked(Ack(target, ping.number), play.now)
    assert met == {peer_id(number) for number in range(1, 10)}
    assert [later - earlier for earlier, later in itertools.pairwise(times)] == [
        pytest.approx(PERIOD_S)
    ] * 8
    assert play.failed == [] and play.health.score == 0


def test_a_silent_member_is_asked_again_and_by_others_and_fails_with_the_period() -> None:
    play = Play()
    target, ping = play.start()
    began_s = play.now
    relays: set[str] = set()
    for repetition in range(1, REPETITIONS + 1):
        (to, again), *asked = play.step()
        assert play.now == pytest.approx(began_s + repetition * TIMEOUT_MIN_S)
        assert (to, again) == (target.host, ping)
        assert [message for _, message in asked] == [
            PingRequest(ME, ping.number, target.id)
        ] * RELAYS
        relays.update(to for to, _ in asked)
    assert target.host not in relays and len(relays) > RELAYS
    play.step()
    assert play.now == pytest.approx(began_s + PERIOD_S)
    assert play.failed == [target]


def test_an_answer_by_way_of_another_counts() -> None:
    play = Play()
    target, ping = play.start()
    play.step()
    relay = member(50)
    play.prober.acked(Ack(relay, ping.number, target.id), play.now)
    play.start()
    assert play.failed == []


def test_neither_an_answer_of_somebody_else_nor_one_to_another_ping_counts() -> None:
    play = Play()
    target, ping = play.start()
    play.prober.acked(Ack(member(50), ping.number), play.now)
    play.prober.acked(Ack(target, ping.number + 1), play.now)
    play.prober.acked(Ack(member(50), ping.number, peer_id(51)), play.now)
    for _ in range(REPETITIONS + 1):
        play.step()
    assert play.failed == [target]


def test_a_late_answer_to_the_first_ping_still_counts() -> None:
    play = Play()
    target, ping = play.start()
    for _ in range(REPETITIONS):
        play.step()
    play.prober.acked(Ack(target, ping.number), play.now)
    play.start()
    assert play.failed == []


def fail_with_nacks(play: Play, count: int) -> None:
    _, ping = play.start()
    for _ in range(REPETITIONS):
        play.step()
    for _ in range(count):
        play.prober.nacked(Nack(member(50), ping.number))
    play.step()


def test_a_node_that_nobody_answers_doubts_itself_and_takes_longer() -> None:
    play = Play()
    fail_with_nacks(play, 0)
    assert play.health.score == 1
    began_s = play.now
    play.step()
    assert play.now == pytest.approx(began_s + 2 * TIMEOUT_MIN_S)


def test_a_node_whose_relays_answer_does_not_doubt_itself() -> None:
    play = Play()
    fail_with_nacks(play, RELAYS * REPETITIONS)
    assert len(play.failed) == 1 and play.health.score == 0


def test_each_answer_makes_a_doubting_node_surer() -> None:
    play = Play()
    play.health.worsen()
    target, ping = play.start()
    play.prober.acked(Ack(target, ping.number), play.now)
    assert play.health.score == 0


def test_the_timeout_follows_the_round_trip_within_bounds() -> None:
    play = Play()
    assert play.prober.timeout_s == TIMEOUT_MIN_S
    for _ in range(20):
        target, ping = play.start()
        play.now += 0.24
        play.prober.acked(Ack(target, ping.number), play.now)
    assert play.prober.rtt_s == pytest.approx(0.24)
    assert play.prober.timeout_s == TIMEOUT_MIN_S
    target, ping = play.start()
    play.prober.acked(Ack(target, ping.number), play.now + 5.0)
    assert play.prober.timeout_s == TIMEOUT_MAX_S


def test_the_round_trip_of_a_repeated_ping_is_not_measured() -> None:
    play = Play()
    target, ping = play.start()
    play.step()
    play.prober.acked(Ack(target, ping.number), play.now)
    assert play.prober.rtt_s == 0.0


def test_a_slow_network_makes_probes_longer_than_a_period() -> None:
    play = Play()
    target, ping = play.start()
    play.prober.acked(Ack(target, ping.number), play.now + 5.0)
    play.start()
    began_s = play.now
    for _ in range(REPETITIONS + 1):
        play.step()
    assert play.now == pytest.approx(began_s + (REPETITIONS + 1) * TIMEOUT_MAX_S)


def test_a_relay_pings_the_target_and_passes_the_answer_on() -> None:
    play = Play()
    play.prober.asked(host(2), PORT, PingRequest(member(2), 77, peer_id(1)), play.now)
    [(to, ping)] = play.sent()
    assert to == host(1) and isinstance(ping, Ping) and ping.number != 77
    play.prober.acked(Ack(member(1, 1001), ping.number), play.now)
    assert play.sent() == [(host(2), Ack(ME, 77, peer_id(1), (member(1, 1001),)))]


def test_a_relay_that_hears_nothing_says_so_in_time() -> None:
    play = Play(count=1)
    play.start()
    play.prober.asked(host(2), PORT, PingRequest(member(2), 77, peer_id(1)), play.now)
    asked_s = play.now
    play.sent()
    assert play.step() == [(host(2), Nack(ME, 77))]
    assert play.now == pytest.approx(asked_s + NACK_AFTER_RATIO * TIMEOUT_MIN_S)


def test_a_relay_does_not_ping_whom_it_does_not_know() -> None:
    play = Play()
    play.prober.asked(host(2), PORT, PingRequest(member(2), 77, peer_id(999)), play.now)
    assert play.sent() == [(host(2), Nack(ME, 77))]


def test_somebody_elses_answer_is_not_passed_on() -> None:
    play = Play()
    play.prober.asked(host(2), PORT, PingRequest(member(2), 77, peer_id(1)), play.now)
    [(_, ping)] = play.sent()
    assert isinstance(ping, Ping)
    play.prober.acked(Ack(member(3), ping.number), play.now)
    assert play.sent() == []


def test_only_so_many_pings_are_made_for_others_at_a_time() -> None:
    play = Play()
    for number in range(RELAYED_MAX + 5):
        play.prober.asked(host(2), PORT, PingRequest(member(2), number, peer_id(1)), play.now)
    assert len(play.sent()) == RELAYED_MAX


def test_after_a_pause_the_probe_under_way_fails_nobody() -> None:
    play = Play()
    play.start()
    play.now += 50.0
    play.prober.pause(play.now)
    assert play.prober.advance(play.now) is None
    assert play.prober.next_s() == play.now + PERIOD_S


def test_alone_there_is_nobody_to_ping() -> None:
    play = Play(count=0)
    for _ in range(3):
        assert play.step() == []

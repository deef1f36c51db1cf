"""What a node knows of addresses: who named them, how dials went, who is banned."""

from __future__ import annotations

from strew.messages import PeerId
from strew.node.peers import (
    ADDRESSES_MAX,
    BANS_MAX,
    FAILURES_MAX,
    HEARSAY_FAILURES_MAX,
    RETRY_FIRST_S,
    UNHEARD_S,
    PeerBook,
)

A = ("10.0.0.1", 7301)
B = ("10.0.0.2", 7301)


def book() -> PeerBook:
    known = PeerBook()
    known.learn(1, A, PeerId("a"), "", "tracker", 10.0, 10.0)
    return known


def due(known: PeerBook, now: float, swarm: int = 1) -> list[str]:
    return [p.host for p in known.due(swarm, now)]


def test_an_address_is_due_when_its_source_said() -> None:
    known = PeerBook()
    known.learn(1, A, PeerId("a"), "", "plan", 10.3, 10.0)
    assert due(known, 10.2) == []
    assert due(known, 10.3) == ["10.0.0.1"]
    assert known.next_due_s(1) == 10.3
    assert known.next_due_s(2) is None


def test_an_address_that_fails_is_tried_later_and_later_and_then_forgotten() -> None:
    known = book()
    now, waits = 10.0, []
    for _ in range(FAILURES_MAX - 1):
        known.failed(A, now)
        due_s = known.next_due_s(1)
        assert due_s is not None
        waits.append(due_s - now)
        now = due_s
    assert waits == [RETRY_FIRST_S * 2.0**n for n in range(1, FAILURES_MAX)]
    known.failed(A, now)
    assert due(known, 1e9) == []


def test_hearsay_is_forgotten_after_its_second_failure_and_not_heard_for_a_while() -> None:
    known = PeerBook()
    known.learn(1, A, PeerId("a"), "", "dht", 10.0, 10.0)
    for turn in range(HEARSAY_FAILURES_MAX):
        assert known.known[1]
        known.failed(A, 10.0 + turn)
    assert not known.known[1]
    known.learn(1, A, PeerId("a"), "", "gossip", 11.0, 11.0 + UNHEARD_S - 1.1)
    assert not known.known[1]
    known.learn(1, A, PeerId("a"), "", "gossip", 11.0, 11.0 + UNHEARD_S)
    assert due(known, 11.0 + UNHEARD_S) == ["10.0.0.1"]


def test_what_a_tracker_names_as_well_is_no_hearsay() -> None:
    known = PeerBook()
    for source in ("gossip", "tracker", "dht"):
        known.learn(1, A, PeerId("a"), "", source, 10.0, 10.0)
    for turn in range(HEARSAY_FAILURES_MAX):
        known.failed(A, 10.0 + turn)
    assert known.known[1]


def test_who_says_that_it_takes_no_part_is_not_asked_again_soon() -> None:
    known = book()
    known.without(1, PeerId("a"), 10.0)
    assert due(known, 10.0 + UNHEARD_S - 0.1) == []
    assert due(known, 10.0 + UNHEARD_S) == ["10.0.0.1"]


def test_naming_an_address_again_does_not_shorten_its_wait() -> None:
    known = book()
    known.failed(A, 10.0)
    known.learn(1, A, PeerId("a"), "", "gossip", 10.1, 10.1)
    assert due(known, 10.2) == []


def test_another_id_at_an_address_does_not_shorten_its_wait_either() -> None:
    known = book()
    known.failed(A, 10.0)
    known.learn(1, A, PeerId("b"), "", "tracker", 10.1, 10.1)
    assert due(known, 10.1) == []
    assert [peer.id for peer in known.due(1, 10.0 + 2 * RETRY_FIRST_S)] == ["b"]


def test_an_address_that_was_reached_has_no_failures_any_more() -> None:
    known = book()
    known.failed(A, 10.0)
    known.reached(A, PeerId("z"))
    [entry] = known.due(1, 1e9)
    assert (entry.id, entry.failures) == ("z", 0)


def test_the_most_promising_address_comes_first() -> None:
    known = book()
    known.failed(A, 10.0)
    known.learn(1, B, PeerId("b"), "", "tracker", 11.0, 11.0)
    known.learn(1, ("10.0.0.3", 1), PeerId("c"), "", "tracker", 12.0, 12.0)
    assert due(known, 1e9) == ["10.0.0.3", "10.0.0.2", "10.0.0.1"]


def test_after_a_lost_link_the_address_is_not_dialled_at_once() -> None:
    known = book()
    known.lost(PeerId("a"), 20.0)
    assert due(known, 20.0) == []
    assert due(known, 20.0 + RETRY_FIRST_S) == ["10.0.0.1"]


def test_a_banned_peer_is_not_due_and_asks_for_no_wake_up_before_its_ban_ends() -> None:
    known = book()
    known.ban(PeerId("a"), 70.0, 10.0, "lied")
    assert known.banned(PeerId("a"), 69.9) and not known.banned(PeerId("a"), 70.0)
    assert known.bans(20.0) == [{"id": "a", "reason": "lied", "left_s": 50.0}]
    assert due(known, 69.9) == []
    assert known.next_due_s(1) == 70.0, "not a deadline in the past, again and again"
    assert due(known, 70.0) == ["10.0.0.1"]


def test_who_is_named_by_a_plan_too_is_the_plans() -> None:
    known = book()
    known.learn(1, A, PeerId("a"), "", "plan", 10.1, 10.1)
    known.learn(1, A, PeerId("a"), "", "tracker", 10.2, 10.2)
    assert [p.source for p in known.due(1, 1e9)] == ["plan"]


def test_swarms_know_their_own_addresses() -> None:
    known = book()
    known.learn(2, B, PeerId("b"), "", "tracker", 10.0, 10.0)
    known.forget(1)
    assert due(known, 1e9, 1) == [] and due(known, 1e9, 2) == ["10.0.0.2"]
    known.forget(99)


def test_addresses_and_bans_are_bounded() -> None:
    known = PeerBook()
    for number in range(ADDRESSES_MAX + 10):
        known.learn(1, (f"{number}", 1), PeerId(f"{number}"), "", "tracker", 0.0, 0.0)
    assert len(known.known[1]) == ADDRESSES_MAX
    for number in range(3 * BANS_MAX):
        known.ban(PeerId(f"{number}"), number + 1.0, float(number))
    assert len(known.banned_until_s) <= BANS_MAX + 1

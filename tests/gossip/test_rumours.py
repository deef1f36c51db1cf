"""What rides on the next datagram, and how often."""

from strew.gossip.protocol import wire_bytes
from strew.gossip.rumours import (
    RUMOURS_MAX,
    SENT_MAX,
    Lane,
    RumourQueue,
    retransmits,
)
from tests.gossip.makers import held, member, publication, told

ROOM = 10_000


def test_a_rumour_is_sent_a_multiple_of_the_logarithm_of_the_members() -> None:
    queue = RumourQueue()
    queue.push("a", member(1), Lane.FIRST)
    limit = retransmits(100, Lane.FIRST)
    assert limit == 9
    for _ in range(limit):
        assert queue.fill(ROOM, 100) == (member(1),)
    assert queue.fill(ROOM, 100) == ()
    assert len(queue) == 0 and not queue.pressing


def test_the_number_of_retransmissions_is_bounded_at_both_ends() -> None:
    assert retransmits(0, Lane.FIRST) == 1
    assert retransmits(10**12, Lane.FIRST) == SENT_MAX


def test_publications_are_told_most_often_and_holdings_least() -> None:
    often = [retransmits(1000, lane) for lane in Lane]
    assert often == [25, 13, 13, 4]


def test_lanes_go_in_order_and_within_a_lane_what_was_told_least() -> None:
    queue = RumourQueue()
    queue.push("held", held(1), Lane.LAZY)
    queue.push("new", member(2), Lane.SOON)
    queue.push("old", member(3), Lane.FIRST)
    assert queue.fill(wire_bytes(member(3)), 1000) == (member(3),)
    queue.push("dear", member(4), Lane.FIRST)
    assert queue.fill(ROOM, 1000) == (member(4), member(3), member(2), held(1))


def test_only_the_last_lane_causes_no_datagram() -> None:
    queue = RumourQueue()
    queue.push("held", held(1), Lane.LAZY)
    assert not queue.pressing
    queue.push("new", member(2), Lane.SOON)
    assert queue.pressing


def test_news_about_a_subject_take_the_place_of_what_was_told_before() -> None:
    queue = RumourQueue()
    queue.push("a", member(1, 1), Lane.SOON)
    queue.fill(ROOM, 1000)
    queue.push("a", member(1, 2), Lane.FIRST)
    assert queue.fill(ROOM, 1000) == (member(1, 2),)
    assert len(queue) == 1


def test_what_does_not_fit_waits() -> None:
    queue = RumourQueue()
    queue.push("a", member(1), Lane.FIRST)
    queue.push("b", member(2), Lane.FIRST)
    room = wire_bytes(member(1)) + wire_bytes(member(2)) - 1
    assert queue.fill(room, 1000) == (member(1),)
    assert queue.fill(room, 1000) == (member(2),)


def test_copies_and_what_was_sent_before_count() -> None:
    queue = RumourQueue()
    queue.push("a", member(1), Lane.FIRST, sent=3)
    limit = retransmits(1000, Lane.FIRST)
    assert queue.fill(ROOM, 1000, copies=limit - 4) == (member(1),)
    assert queue.fill(ROOM, 1000) == (member(1),)
    assert queue.fill(ROOM, 1000) == ()


def test_a_rumour_too_long_for_a_datagram_is_left_to_exchanges() -> None:
    queue = RumourQueue()
    long = told("n" * 128 + ":" + "t" * 128)
    assert wire_bytes(long) < 768
    queue.push("a", long, Lane.FIRST)
    longer = type(long)(publication(name="ü" * 255), long.holders)
    queue.push("b", longer, Lane.FIRST)
    assert queue.fill(ROOM, 10) == (long,)


def test_a_full_queue_drops_what_is_cheap_and_was_told_often() -> None:
    queue = RumourQueue()
    queue.push("told", held(1), Lane.LAZY)
    queue.fill(ROOM, 10**9)
    queue.push("untold", held(2), Lane.LAZY)
    for number in range(RUMOURS_MAX - 2):
        queue.push(str(number), member(number), Lane.SOON)
    assert len(queue) == RUMOURS_MAX
    queue.push("next", member(5), Lane.FIRST)
    queue.push("last", member(6), Lane.FIRST)
    everything = queue.fill(10**9, 10**9)
    assert len(everything) == RUMOURS_MAX
    assert everything[:2] == (member(5), member(6))
    assert held(1) not in everything and held(2) not in everything

"""What a datagram takes along."""

import random

from strew.gossip.membership import Membership
from strew.gossip.outbox import Outbox
from strew.gossip.protocol import (
    DATAGRAM_BYTES_MAX,
    Ack,
    Member,
    Message,
    Nack,
    Ping,
    PingRequest,
    Tidings,
    encode,
)
from strew.gossip.rumours import Lane, RumourQueue, retransmits
from strew.messages import SendDatagram
from tests.gossip.makers import PORT, dead, host, member, peer_id, suspect

ME = member(0)


class Desk:
    """An outbox with its table and its queue."""

    def __init__(self, *known: Member) -> None:
        self.membership = Membership(ME, random.Random(1), known)
        self.queue = RumourQueue()
        self.outbox = Outbox(self.membership, self.queue)

    def tell(self, count: int) -> None:
        for number in range(100, 100 + count):
            self.queue.push(str(number), member(number, 1_790_000_000_000), Lane.SOON)

    def sent(self) -> list[tuple[str, object]]:
        actions = self.outbox.take()
        assert self.outbox.take() == []
        sent: list[tuple[str, object]] = []
        for action in actions:
            assert isinstance(action, SendDatagram) and action.port == PORT
            sent.append((action.host, action.message))
        return sent


def test_a_ping_carries_what_waits_up_to_the_limit() -> None:
    desk = Desk(member(1))
    desk.tell(50)
    desk.outbox.ping(member(1), 5)
    [(to, message)] = desk.sent()
    assert to == host(1)
    assert isinstance(message, Ping) and message.sender is ME and message.number == 5
    size = len(encode(message))
    assert DATAGRAM_BYTES_MAX - 200 < size <= DATAGRAM_BYTES_MAX


def test_whoever_is_not_thought_alive_is_told_so_first() -> None:
    desk = Desk(member(1), member(2))
    for claim in (suspect(1, 9), dead(2)):
        desk.membership.hear(claim, 0.0)
    desk.tell(50)
    desk.outbox.ping(member(1), 1)
    desk.outbox.ask(member(2), 2, peer_id(1))
    (_, ping), (_, request) = desk.sent()
    assert isinstance(ping, Ping) and ping.rumours[0] == suspect(1, 9)
    assert isinstance(request, PingRequest) and request.rumours[0] == dead(2)
    for message in (ping, request):
        assert len(message.rumours) > 5
        assert len(encode(message)) <= DATAGRAM_BYTES_MAX


def test_an_ack_to_an_address_that_is_not_the_askers_stays_small() -> None:
    desk = Desk(member(1))
    desk.tell(50)
    asked: Message = Ping(member(1), 7)
    desk.outbox.ack("10.9.9.9", PORT, 7, member(1))
    desk.outbox.ack(host(1), PORT, 7, member(1))
    (_, stranger), (_, known) = desk.sent()
    assert stranger == Ack(ME, 7)
    assert isinstance(known, Ack) and len(known.rumours) > 5
    assert len(encode(Ack(ME, 7, "", (suspect(1, 2),)))) < 3 * len(encode(asked))


def test_even_there_the_dead_are_told_that_they_are() -> None:
    desk = Desk(member(1))
    desk.membership.hear(dead(1), 0.0)
    desk.outbox.ack("10.9.9.9", PORT, 7, member(1))
    assert desk.sent() == [("10.9.9.9", Ack(ME, 7, "", (dead(1),)))]


def test_a_relay_passes_the_answer_on_with_the_members_own_claim() -> None:
    desk = Desk()
    desk.outbox.relay(host(2), PORT, 8, member(1, 1001))
    desk.outbox.nack(host(3), PORT, 9)
    desk.outbox.call(host(4), PORT, 10)
    assert desk.sent() == [
        (host(2), Ack(ME, 8, peer_id(1), (member(1, 1001),))),
        (host(3), Nack(ME, 9)),
        (host(4), Ping(ME, 10)),
    ]


def test_a_round_of_telling_sends_all_the_same() -> None:
    desk = Desk(member(1), member(2))
    desk.tell(2)
    desk.outbox.tell_queued([member(1), member(2)])
    same = Tidings(ME, tuple(member(number, 1_790_000_000_000) for number in (100, 101)))
    assert desk.sent() == [(host(1), same), (host(2), same)]
    desk.outbox.tell_queued([])
    assert desk.sent() == []


def test_only_what_goes_to_members_that_may_hear_it_counts_as_told() -> None:
    desk = Desk(member(1), member(2), member(3))
    desk.membership.hear(suspect(1, 9), 0.0)
    desk.tell(1)
    limit = retransmits(3, Lane.SOON)
    for _ in range(3 * limit):
        desk.outbox.ping(suspect(1, 9), 1)
        desk.outbox.ping(member(2), 1, again=True)
        desk.outbox.tell_queued([suspect(1, 9)])
    assert len(desk.queue) == 1
    for _ in range(limit - 1):
        desk.outbox.tell_queued([suspect(1, 9), member(3)])
    assert len(desk.queue) == 1
    desk.outbox.ping(member(2), 1)
    assert len(desk.queue) == 0
    assert all(message.rumours[-1].id == peer_id(100) for _, message in desk.sent())


def test_a_longer_claim_about_oneself_leaves_less_room() -> None:
    desk = Desk(member(1))
    desk.membership.me = Member(ME.id, ME.host, PORT, "z" * 64, ("p" * 16,) * 8, 2000)
    desk.tell(50)
    desk.outbox.ping(member(1), 5)
    [(_, message)] = desk.sent()
    assert isinstance(message, Ping)
    assert len(encode(message)) <= DATAGRAM_BYTES_MAX

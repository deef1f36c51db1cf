"""Datagrams and exchanges between stations: the time they take, their weight, what loses them."""

from __future__ import annotations

import math
import random

import pytest

from strew.dht import krpc
from strew.dht.contact import NodeId
from strew.gossip import protocol
from strew.gossip.exchange import (
    AnswerExchange,
    Exchange,
    ExchangeAnswered,
    ExchangeAsked,
    ExchangeFailed,
)
from strew.gossip.protocol import Ack, Entries, Member, Ping, Summary
from strew.messages import Datagram, DatagramReceived, Event, PeerId, SendDatagram
from strew.sim.datagrams import DATAGRAM_HEAD_BYTES, EXCHANGE_HEAD_BYTES, SEGMENT_BYTES, Datagrams
from strew.sim.network import Network
from strew.sim.peers import DIAL_GIVEN_UP_S, PROCESS_S
from strew.sim.world import World

RATE = 1e6
LATENCY_S = 0.001
PORT = 7301


class Net:
    """Stations a, b and c in one network."""

    def __init__(self, loss: float = 0.0) -> None:
        self.world = World(1)
        self.network = Network(self.world, LATENCY_S)
        self.datagrams = Datagrams(self.world, self.network, loss)
        self.a, self.b, self.c = (Listener(self, f"10.0.0.{number}") for number in range(1, 4))

    def run(self, seconds: float) -> None:
        ended: list[bool] = []
        self.world.at(self.world.now + seconds, ended.append, True)
        self.world.run(lambda: bool(ended), math.inf)


class Listener:
    """Keeps what it is told, and answers exchanges if it is to."""

    def __init__(self, net: Net, address: str, answer: Entries | None = None) -> None:
        self.host = net.network.host(RATE, RATE)
        self.address = (address, PORT)
        self.alive = True
        self.answer = answer
        self.heard: list[tuple[float, Event]] = []
        self._net = net
        net.datagrams.listen(self)

    def tell(self, event: Event) -> None:
        if not self.alive:
            return
        self.heard.append((self._net.world.now, event))
        if isinstance(event, ExchangeAsked) and self.answer is not None:
            self._net.datagrams.answer(AnswerExchange(event.token, self.answer))

    @property
    def events(self) -> list[Event]:
        return [event for _, event in self.heard]


def member(number: int) -> Member:
    return Member(PeerId(f"{number:032x}"), f"10.0.0.{number}", PORT)


PING = Ping(member(1), 5)
SUMS = tuple(range(32))
SUMMARY = Summary(member(1), SUMS, SUMS, SUMS)


def to(station: Listener, message: Datagram = PING) -> SendDatagram:
    return SendDatagram(*station.address, message)


def exchange_with(station: Listener) -> Exchange:
    return Exchange(*station.address, SUMMARY)


def sent_and_received(net: Net, station: Listener) -> tuple[int, int]:
    traffic = net.datagrams.traffic[station.host.number]
    return traffic.sent_bytes, traffic.received_bytes


# --- datagrams -----------------------------------------------------------------------------------


def test_a_datagram_comes_as_the_object_it_was_and_takes_its_time() -> None:
    net = Net()
    net.datagrams.send(net.a, to(net.b))
    net.run(1.0)
    ((came_s, event),) = net.b.heard
    weight = len(protocol.encode(PING)) + DATAGRAM_HEAD_BYTES
    assert event == DatagramReceived(*net.a.address, PING)
    assert isinstance(event, DatagramReceived) and event.message is PING
    assert came_s == pytest.approx(LATENCY_S + weight / RATE + PROCESS_S)
    assert sent_and_received(net, net.a) == (weight, 0)
    assert sent_and_received(net, net.b) == (0, weight)
    assert net.datagrams.sent_bytes == weight


def test_a_message_of_the_hash_table_weighs_what_it_does_in_bencode() -> None:
    net = Net()
    query = krpc.Ping(b"abcd", sender=NodeId(7))
    net.datagrams.send(net.a, to(net.b, query))
    assert net.datagrams.sent_bytes == len(krpc.encode(query)) + DATAGRAM_HEAD_BYTES


def test_each_message_has_a_weight_of_its_own() -> None:
    net = Net()
    long = Ack(member(1), 5, "", (member(2), member(3)))
    for message in (PING, long, long, PING):
        net.datagrams.send(net.a, to(net.b, message))
    weights = 2 * len(protocol.encode(PING)) + 2 * len(protocol.encode(long))
    assert net.datagrams.sent_bytes == weights + 4 * DATAGRAM_HEAD_BYTES


def test_a_share_of_them_is_lost_and_weighs_on_its_sender_alone() -> None:
    net = Net(loss=0.25)
    for _ in range(1000):
        net.datagrams.send(net.a, to(net.b))
    net.run(10.0)
    assert 700 < len(net.b.heard) < 800
    sent, received = sent_and_received(net, net.a)[0], sent_and_received(net, net.b)[1]
    assert received * 1000 == sent * len(net.b.heard)


def test_nothing_comes_to_the_dead_to_nobody_and_across_a_partition() -> None:
    net = Net()
    net.b.alive = False
    net.datagrams.send(net.a, to(net.b))
    net.datagrams.send(net.a, SendDatagram("10.0.0.9", PORT, PING))
    net.network.cut([net.c.host], 1.0)
    net.datagrams.send(net.a, to(net.c))
    net.run(5.0)
    assert net.b.heard == net.c.heard == []
    net.datagrams.send(net.a, to(net.c))
    net.run(1.0)
    assert len(net.c.heard) == 1


def test_who_starts_anew_at_an_address_hears_what_is_sent_there() -> None:
    net = Net()
    net.b.alive = False
    again = Listener(net, net.b.address[0])
    net.datagrams.send(net.a, to(net.b))
    net.run(1.0)
    assert len(again.heard) == 1
    assert net.b.heard == []


def test_a_datagram_waits_behind_the_payload_of_its_host() -> None:
    net = Net()
    net.network.start(net.a.host, net.b.host, 1e6, lambda flow: None)
    net.datagrams.send(net.a, to(net.c))
    net.run(0.5)
    ((came_s, _),) = net.c.heard
    assert came_s > net.a.host.queue_bytes / RATE


# --- exchanges -----------------------------------------------------------------------------------


def test_an_exchange_opens_a_connection_and_carries_two_bodies() -> None:
    net = Net()
    net.b.answer = Entries(member(2))
    net.datagrams.exchange(net.a, exchange_with(net.b))
    net.run(1.0)
    ((asked_s, asked),) = net.b.heard
    ((answered_s, answered),) = net.a.heard
    there = len(protocol.encode(SUMMARY)) + EXCHANGE_HEAD_BYTES
    back = len(protocol.encode(net.b.answer)) + EXCHANGE_HEAD_BYTES
    assert isinstance(asked, ExchangeAsked) and asked.message is SUMMARY
    assert answered == ExchangeAnswered(*net.b.address, net.b.answer)
    opened_s = 2 * (LATENCY_S + SEGMENT_BYTES / RATE)
    assert asked_s == pytest.approx(opened_s + LATENCY_S + there / RATE + PROCESS_S)
    assert answered_s == pytest.approx(asked_s + LATENCY_S + back / RATE + PROCESS_S)
    assert sent_and_received(net, net.a) == (there, back)
    assert sent_and_received(net, net.b) == (back, there)


def test_a_long_body_shares_the_link_with_payload() -> None:
    net = Net()
    net.b.answer = Entries(member(2), tuple(member(number) for number in range(1, 200)) * 5)
    alone_s = (len(protocol.encode(net.b.answer)) + EXCHANGE_HEAD_BYTES) / RATE
    net.network.start(net.b.host, net.c.host, 1e6, lambda flow: None)
    net.datagrams.exchange(net.a, exchange_with(net.b))
    net.run(2.0)
    (asked_s, _), (answered_s, _) = net.b.heard[0], net.a.heard[0]
    assert answered_s - asked_s == pytest.approx(2 * alone_s, rel=0.1)


def failure_of(net: Net, exchange: Exchange) -> tuple[float, str]:
    """When and why an exchange of `a` failed."""
    net.datagrams.exchange(net.a, exchange)
    net.run(20.0)
    ((failed_s, event),) = net.a.heard
    assert isinstance(event, ExchangeFailed)
    assert (event.host, event.port) == (exchange.host, exchange.port)
    return failed_s, event.reason


def test_a_dead_process_refuses_and_a_dead_machine_says_nothing() -> None:
    net = Net()
    net.b.alive = False
    assert failure_of(net, exchange_with(net.b)) == (2 * LATENCY_S, "connection refused")
    net = Net()
    net.b.alive = net.b.host.alive = False
    assert failure_of(net, exchange_with(net.b)) == (DIAL_GIVEN_UP_S, "nobody answers")
    net = Net()
    assert failure_of(net, Exchange("10.0.0.9", PORT, SUMMARY))[0] == DIAL_GIVEN_UP_S
    net = Net()
    net.network.cut([net.b.host], 1.0)
    assert failure_of(net, exchange_with(net.b)) == (DIAL_GIVEN_UP_S, "nobody answers")


def test_who_takes_no_part_or_dies_before_it_answers_fails_an_exchange() -> None:
    assert failure_of(net := Net(), exchange_with(net.b))[1] == "takes no part in gossip"
    net = Net()
    net.datagrams.exchange(net.a, exchange_with(net.b))
    net.b.alive = False
    net.run(1.0)
    assert [type(event) for event in net.a.events] == [ExchangeFailed]


def test_a_body_does_not_come_whole_from_who_dies_meanwhile() -> None:
    net = Net()
    net.b.answer = Entries(member(2))
    net.datagrams.exchange(net.a, exchange_with(net.b))
    while not net.b.heard:
        net.run(0.0005)
    net.b.alive = False
    net.run(10.0)
    assert net.a.heard == []


def test_losses_hang_on_the_seed_alone() -> None:
    def came(seed: int) -> list[float]:
        net = Net(loss=0.5)
        net.world.dice = random.Random(seed)
        for _ in range(20):
            net.datagrams.send(net.a, to(net.b))
            net.run(0.01)
        return [came_s for came_s, _ in net.b.heard]

    assert came(1) == came(1) != came(2)

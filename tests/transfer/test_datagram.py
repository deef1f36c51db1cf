"""One UDP endpoint: what it hands over, what it drops and counts, and what a flood costs others."""

from __future__ import annotations

import asyncio
import gc
import os
import socket
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from strew.errors import ConfigurationError, ProtocolError
from strew.fleet import FleetKey
from strew.messages import Datagram, DatagramReceived
from strew.transfer import datagram as datagram_module
from strew.transfer.datagram import (
    SILENCE_S,
    STRANGER_PER_S,
    DatagramPort,
    Kind,
    Label,
    Sources,
)
from strew.transfer.sealing import DATAGRAM_BYTES_MAX, MESSAGE_BYTES_MAX, SEAL_BYTES, Fault, Seal
from tests.transfer.ends import KEY, OTHER_KEY, until

HERE = "127.0.0.1"
FLOOD = "203.0.113.9"
HONEST = "198.51.100.7"


class Said(Datagram, frozen=True, gc=False):
    """A message of the first kind."""

    text: str


class Shouted(Datagram, frozen=True, gc=False):
    """Another one of the same kind."""

    text: str


class Asked(Datagram, frozen=True, gc=False):
    """A message of the second kind; its bytes begin like a bencoded dictionary."""

    question: bytes


def encode_said(message: Said | Shouted) -> bytes:
    mark = b"!" if isinstance(message, Shouted) else b"."
    return mark + message.text.encode()


def decode_said(data: bytes) -> Said | Shouted:
    text = data[1:].decode("ascii", "replace")
    if data[:1] == b"!":
        return Shouted(text)
    if data[:1] == b".":
        return Said(text)
    raise ProtocolError("neither said nor shouted")


def encode_asked(message: Asked) -> bytes:
    return b"d" + message.question + b"e"


def decode_asked(data: bytes) -> Asked:
    if data[:1] != b"d" or data[-1:] != b"e":
        raise ProtocolError("no question")
    return Asked(data[1:-1])


SAYING: Kind[Said | Shouted] = Kind(Label.GOSSIP, (Said, Shouted), encode_said, decode_said)
ASKING = Kind(Label.DHT, (Asked,), encode_asked, decode_asked)
ASKING_OPENLY = Kind(Label.PLAIN, (Asked,), encode_asked, decode_asked)


class Ear:
    """A port whose clock stands until it is moved, and what came to it."""

    def __init__(
        self, *, key: FleetKey = KEY, kinds: tuple[Kind[Any], ...] = (SAYING, ASKING)
    ) -> None:
        self.now = 1000.0
        self.came: list[DatagramReceived] = []
        self.port = DatagramPort(key, kinds, self.came.append, lambda: self.now)

    async def listen(self) -> Ear:
        await self.port.listen(HERE, 0)
        return self

    def send(self, to: Ear, message: Datagram) -> None:
        self.port.send(HERE, to.port.port, message)

    def hear(self, data: bytes, host: str = HONEST, times: int = 1) -> None:
        """A datagram comes, as the event loop tells it."""
        for _ in range(times):
            self.port.datagram_received(data, (host, 7301))

    @property
    def messages(self) -> list[Datagram]:
        return [event.message for event in self.came]

    @property
    def dropped(self) -> dict[str, int]:
        """Reasons that were counted."""
        return {str(fault): count for fault, count in self.port.dropped.items() if count}


async def two(**settings: Any) -> tuple[Ear, Ear]:
    return await Ear(**settings).listen(), await Ear(**settings).listen()


async def close(*ears: Ear) -> None:
    for ear in ears:
        ear.port.close()
    await asyncio.sleep(0)


def raw(data: bytes, to: Ear) -> None:
    """Send a datagram with a socket of one's own."""
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as sock:
        sock.sendto(data, (HERE, to.port.port))


# --- two ports ------------------------------------------------------------------------------------


async def test_messages_of_each_kind_go_between_two_ports_sealed() -> None:
    low, high = await two()
    sent = [Said("hello"), Shouted("hello"), Asked(b"who?")]
    for message in sent:
        low.send(high, message)
    await until(lambda: len(high.came) == 3)
    assert high.messages == sent
    assert {(e.host, e.port) for e in high.came} == {(HERE, low.port.port)}
    high.port.send(high.came[0].host, high.came[0].port, Said("and hello to you"))
    await until(lambda: low.came)
    assert low.messages == [Said("and hello to you")]
    assert not low.dropped and not high.dropped
    await close(low, high)


async def test_the_longest_message_arrives() -> None:
    low, high = await two()
    longest = Said("x" * (MESSAGE_BYTES_MAX - 1))
    low.send(high, longest)
    await until(lambda: high.came)
    assert high.messages == [longest]
    with pytest.raises(AssertionError, match="1360 bytes"):
        low.send(high, Said("x" * MESSAGE_BYTES_MAX))
    await close(low, high)


async def test_on_the_wire_nothing_can_be_read() -> None:
    low = await Ear().listen()
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as sock:
        sock.bind((HERE, 0))
        sock.setblocking(False)
        low.port.send(HERE, sock.getsockname()[1], Said("the name of the artifact"))
        data = await asyncio.get_running_loop().sock_recv(sock, 65_536)
    assert data[0] == Label.GOSSIP and len(data) == SEAL_BYTES + 25
    assert b"artifact" not in data
    await close(low)


@pytest.mark.parametrize("length", [0, 1, 65_507])
async def test_the_shortest_and_the_longest_datagrams_there_are(length: int) -> None:
    low = await Ear().listen()
    raw(bytes([Label.GOSSIP]) * length, low)
    await until(lambda: low.dropped)
    assert low.dropped == {"length": 1} and not low.came
    await close(low)


async def test_another_fleet_is_not_heard() -> None:
    low, high = await Ear().listen(), await Ear(key=OTHER_KEY).listen()
    low.send(high, Said("hello"))
    high.send(low, Said("hello"))
    await until(lambda: low.dropped and high.dropped)
    assert low.dropped == high.dropped == {"tag": 1}
    assert not low.came and not high.came
    await close(low, high)


async def test_nobody_there_is_nobodys_fault() -> None:
    low, high = await two()
    await close(high)
    for _ in range(3):
        low.send(high, Said("hello"))
        await asyncio.sleep(0.001)
    low.port.error_received(ConnectionRefusedError())
    other = await Ear().listen()
    low.send(other, Said("still here"))
    await until(lambda: other.came)
    assert not low.dropped
    await close(low, other)


async def test_an_honest_sender_is_heard_while_another_floods() -> None:
    low, high = await two()
    for number in range(100):
        for _ in range(20):
            raw(os.urandom(100), high)
        low.send(high, Said(f"{number}"))
        await until(lambda: len(high.came) > number)  # noqa: B023
    assert high.messages == [Said(f"{number}") for number in range(100)]
    await until(lambda: sum(high.port.dropped.values()) == 2000)
    assert high.port.dropped[Fault.FLOOD] >= 2000 - STRANGER_PER_S - 1
    await close(low, high)


# --- the address ----------------------------------------------------------------------------------


async def test_the_number_of_the_tcp_port_is_free_for_udp() -> None:
    with socket.create_server((HERE, 0)) as server:
        low = Ear()
        await low.port.listen(HERE, server.getsockname()[1])
        assert low.port.port == server.getsockname()[1]
        await close(low)


async def test_a_taken_port_is_the_operators_to_solve() -> None:
    low, high = await Ear().listen(), Ear()
    with pytest.raises(ConfigurationError, match=f"cannot take UDP {HERE}:{low.port.port}"):
        await high.port.listen(HERE, low.port.port)
    await close(low)


async def test_ipv6_takes_no_ipv4() -> None:
    low, high = Ear(), Ear()
    try:
        await low.port.listen("::1", 0)
    except ConfigurationError:
        return  # this machine has no IPv6
    await high.port.listen("::", 0)
    low.port.send("::1", high.port.port, Said("hello"))
    await until(lambda: high.came)
    assert high.came[0].host == "::1"
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as sock:
        sock.bind(("0.0.0.0", high.port.port))
    await close(low, high)


NO_MACHINE = ["localhost", "", "\x00", "\udcff", "0.0.0.0", "255.255.255.255", "224.0.0.1"]
NO_PORT = [0, -1, 65_536]


@pytest.mark.parametrize(
    ("host", "port"), [(host, 7301) for host in NO_MACHINE] + [(HERE, port) for port in NO_PORT]
)
async def test_an_address_that_is_no_machines_is_sent_nothing(host: str, port: int) -> None:
    """A peer may have named it; and no name is looked up."""
    low = await Ear().listen()
    low.port.send(host, port, Said("hello"))
    assert low.dropped == {"address": 1}
    await close(low)


async def test_an_address_of_the_other_family_is_as_good_as_lost() -> None:
    low, high = await two()
    low.port.send("2001:db8::1", 7301, Said("hello"))
    low.send(high, Said("hello"))
    await until(lambda: high.came)
    await close(low, high)


# --- floods ---------------------------------------------------------------------------------------


def test_a_source_that_floods_is_silent_for_the_named_time() -> None:
    low = Ear()
    low.hear(b"\x00junk", FLOOD, times=STRANGER_PER_S + 1)
    assert low.dropped == {"label": STRANGER_PER_S + 1}
    stranger = Seal(KEY)
    for now in (0.0, 1.0, SILENCE_S - 0.001):
        low.now = 1000.0 + now
        low.hear(stranger.seal(Label.GOSSIP, b".let me in"), FLOOD)
    assert not low.came and low.port.dropped[Fault.FLOOD] == 3
    low.now = 1000.0 + SILENCE_S
    low.hear(stranger.seal(Label.GOSSIP, b".let me in"), FLOOD)
    assert low.messages == [Said("let me in")]


def test_a_flood_that_goes_on_is_silenced_again() -> None:
    low = Ear()
    for _ in range(3):
        low.hear(b"\x00junk", FLOOD, times=1000)
        low.now += SILENCE_S
    assert low.port.dropped[Fault.LABEL] == 3 * (STRANGER_PER_S + 1)


def test_as_many_as_are_allowed_are_no_flood() -> None:
    low = Ear()
    for _ in range(20 * STRANGER_PER_S):
        low.hear(b"\x00junk", FLOOD)
        low.now += 1.0 / STRANGER_PER_S
    assert low.dropped == {"label": 20 * STRANGER_PER_S}


def test_other_sources_do_not_feel_a_flood() -> None:
    low, stranger = Ear(), Seal(KEY)
    low.hear(b"\x00junk", FLOOD, times=1000)
    low.hear(stranger.seal(Label.GOSSIP, b".hello"), HONEST)
    assert low.messages == [Said("hello")]


def test_a_flood_in_a_members_name_does_not_shut_it_out() -> None:
    low, member, newcomer = Ear(), Seal(KEY), Seal(KEY)
    low.hear(member.seal(Label.GOSSIP, b".before"), HONEST)
    low.hear(os.urandom(200), HONEST, times=1000)
    low.hear(member.seal(Label.GOSSIP, b".after"), HONEST)
    low.hear(newcomer.seal(Label.GOSSIP, b".first"), HONEST)
    assert low.messages == [Said("before"), Said("after")]
    low.now += SILENCE_S
    low.hear(newcomer.seal(Label.GOSSIP, b".second"), HONEST)
    assert low.messages[-1] == Said("second")


def test_members_of_one_host_are_not_counted_as_its_strangers() -> None:
    low = Ear()
    for _ in range(10 * STRANGER_PER_S):
        low.hear(Seal(KEY).seal(Label.GOSSIP, b".hello"))
    assert len(low.came) == 10 * STRANGER_PER_S and not low.dropped


def test_a_member_that_floods_loses_what_is_too_much_and_is_heard_again_at_once() -> None:
    low, member = Ear(), Seal(KEY)
    for _ in range(3000):
        low.hear(member.seal(Label.GOSSIP, b".hello"))
    assert len(low.came) == 1000 and low.dropped == {"flood": 2000}
    low.now += 1.0
    low.hear(member.seal(Label.GOSSIP, b".sorry"))
    assert low.messages[-1] == Said("sorry")


def test_sources_are_bounded_and_a_flood_is_not_forgotten(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(datagram_module, "SOURCES_MAX", 100)
    sources = Sources()
    for _ in range(STRANGER_PER_S + 1):
        sources.charge(FLOOD, 0.0)
    for number in range(10_000):
        sources.charge(f"10.0.{number >> 8}.{number & 255}", 0.0)
        assert sources.is_silent(FLOOD, 0.0)
    assert len(sources) == 100


# --- plain ----------------------------------------------------------------------------------------


async def test_a_kind_in_the_open_travels_as_it_is() -> None:
    low, high = await two(kinds=(SAYING, ASKING_OPENLY))
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as sock:
        sock.bind((HERE, 0))
        sock.setblocking(False)
        low.port.send(HERE, sock.getsockname()[1], Asked(b"1:q4:ping"))
        data = await asyncio.get_running_loop().sock_recv(sock, 65_536)
    assert data == b"d1:q4:pinge"
    low.send(high, Asked(b"who?"))
    low.send(high, Said("sealed"))
    raw(b"d1:q4:pinge", high)
    await until(lambda: len(high.came) == 3)
    assert high.messages == [Asked(b"who?"), Said("sealed"), Asked(b"1:q4:ping")]
    await close(low, high)


def test_without_it_plain_datagrams_are_a_foreign_label() -> None:
    low = Ear()
    low.hear(b"d1:q4:pinge")
    assert low.dropped == {"label": 1} and not low.came


def test_with_it_the_sealed_form_is_a_foreign_label() -> None:
    low = Ear(kinds=(SAYING, ASKING_OPENLY))
    low.hear(Seal(KEY).seal(Label.DHT, b"dwho?e"))
    assert low.dropped == {"label": 1} and not low.came


def test_plain_datagrams_may_be_long_in_and_not_out() -> None:
    low = Ear(kinds=(ASKING_OPENLY,))
    low.hear(b"d" + bytes(65_505) + b"e")
    assert low.messages == [Asked(bytes(65_505))]


async def test_a_plain_message_over_the_limit_is_its_makers_fault() -> None:
    low = await Ear(kinds=(ASKING_OPENLY,)).listen()
    with pytest.raises(AssertionError, match="1401 bytes of Asked"):
        low.port.send(HERE, 7301, Asked(bytes(DATAGRAM_BYTES_MAX - 1)))
    await close(low)


def test_plain_datagrams_count_as_a_strangers_also_when_they_are_good() -> None:
    low = Ear(kinds=(SAYING, ASKING_OPENLY))
    low.hear(b"dwho?e", FLOOD, times=STRANGER_PER_S + 5)
    assert len(low.came) == STRANGER_PER_S and low.dropped == {"flood": 5}
    low.hear(b"dwho?e", HONEST)
    assert len(low.came) == STRANGER_PER_S + 1


# --- counting -------------------------------------------------------------------------------------


def test_every_reason_has_its_counter() -> None:
    low, member = Ear(kinds=(SAYING, ASKING_OPENLY)), Seal(KEY)
    good, other = (member.seal(Label.GOSSIP, b".hello") for _ in range(2))
    low.hear(good)
    low.hear(good)
    low.hear(b"")
    low.hear(other[:40])
    low.hear(b"\x13" + other[1:])
    low.hear(other[:-1] + bytes([other[-1] ^ 1]))
    low.hear(member.seal(Label.GOSSIP, b"?"))
    low.hear(b"dwho?")
    assert low.messages == [Said("hello")]
    assert low.dropped == {"replay": 1, "length": 2, "label": 1, "tag": 1, "malformed": 2}
    assert set(low.port.dropped) == set(Fault), "those at 0 are there as well"


async def test_what_the_kernel_does_not_take_is_dropped_and_counted() -> None:
    low, high = await two()
    low.port.pause_writing()
    low.send(high, Said("lost"))
    low.port.resume_writing()
    low.send(high, Said("sent"))
    await until(lambda: high.came)
    assert high.messages == [Said("sent")] and low.dropped == {"queue": 1}
    await close(low, high)


# --- anything -------------------------------------------------------------------------------------


@given(st.lists(st.binary(max_size=1500), max_size=20), st.booleans())
def test_random_bytes_never_raise(datagrams: list[bytes], openly: bool) -> None:
    low = Ear(kinds=(SAYING, ASKING_OPENLY if openly else ASKING))
    for data in datagrams:
        low.hear(data)
    assert len(low.came) + sum(low.dropped.values()) == len(datagrams)
    assert all(openly and isinstance(message, Asked) for message in low.messages)


@given(st.sampled_from([Label.GOSSIP, Label.DHT]), st.binary(max_size=MESSAGE_BYTES_MAX))
def test_random_bytes_of_a_member_never_raise(label: Label, message: bytes) -> None:
    low = Ear()
    low.hear(Seal(KEY).seal(label, message))
    assert len(low.came) + low.port.dropped[Fault.MALFORMED] == 1


@given(st.data())
def test_a_true_datagram_with_anything_changed_is_dropped(data: st.DataObject) -> None:
    low = Ear(kinds=(SAYING,))
    datagram = bytearray(Seal(KEY).seal(Label.GOSSIP, b".hello"))
    start = data.draw(st.integers(0, len(datagram) - 1))
    piece = data.draw(st.binary(min_size=1, max_size=40))
    changed = bytes(datagram[:start] + piece + datagram[start + len(piece) :])
    low.hear(changed)
    assert bool(low.came) == (changed == datagram)


# --- the end --------------------------------------------------------------------------------------


async def test_what_was_sent_before_closing_leaves_and_nothing_after_it() -> None:
    low, high = await two()
    low.send(high, Said("I am leaving"))
    low.port.close()
    low.send(high, Said("too late"))
    low.port.close()
    await until(lambda: high.came)
    await asyncio.sleep(0.01)
    assert high.messages == [Said("I am leaving")] and not low.dropped
    await close(high)


async def test_ports_leave_no_descriptors_behind() -> None:
    async def course() -> None:
        low, high = await two()
        low.send(high, Said("hello"))
        await until(lambda: high.came)
        with pytest.raises(ConfigurationError):
            await Ear().port.listen(HERE, low.port.port)
        await close(low, high)
        await asyncio.sleep(0.001)

    await course()
    gc.collect()
    before = len(os.listdir("/proc/self/fd"))
    for _ in range(5):
        await course()
    gc.collect()
    assert len(os.listdir("/proc/self/fd")) <= before

"""What proves the sender of each message: the table is whole, and real ends keep to it."""

from __future__ import annotations

import asyncio
from typing import get_args

import pytest

from strew.access import wire
from strew.access.wire import CONTROL, DATAGRAMS, FRAMES, Proof
from strew.agent.gossiping import kinds
from strew.codec import PREFACE, frame
from strew.dht import krpc
from strew.errors import ProtocolError
from strew.gossip import protocol
from strew.messages import Datagram, Leave, Offer, Wire
from tests.transfer.ends import LOW, SWARM, Owner, Station, two_linked, until


def subclasses(kind: type) -> set[type]:
    below = set(kind.__subclasses__())
    return below.union(*map(subclasses, below))


def test_every_message_of_the_peer_wire_has_a_row() -> None:
    assert set(CONTROL) == set(get_args(Wire)) or set(CONTROL) == subclasses(Wire)
    assert set(CONTROL.values()) == {Proof.LINK}, "none may come before the proof"


def test_every_datagram_has_a_row() -> None:
    sent = set(get_args(protocol.Message)) | set(krpc.MESSAGES) | {krpc.UnknownQuery}
    assert set(DATAGRAMS) == sent
    for kind in get_args(protocol.Message):
        assert DATAGRAMS[kind] is Proof.SEALED, "gossip never comes in the open"


def test_what_has_no_row_is_not_taken() -> None:
    class Invented(Datagram, frozen=True):
        pass

    assert not wire.in_datagram(Invented(), sealed=True)
    assert not wire.in_datagram(Invented(), sealed=False)
    assert not wire.begins_link(0x7F)


def test_gossip_in_the_open_is_not_taken() -> None:
    plain = krpc.Failure(b"aa", 203, "no")
    assert wire.in_datagram(plain, sealed=False) and wire.in_datagram(plain, sealed=True)
    sender = protocol.Member(id="1" * 32, host="10.0.0.1", port=7301)
    assert wire.in_datagram(protocol.Ping(sender, 1), sealed=True)
    assert not wire.in_datagram(protocol.Ping(sender, 1), sealed=False)


def test_a_nodes_port_keeps_to_the_table(monkeypatch: pytest.MonkeyPatch) -> None:
    sender = protocol.Member(id="1" * 32, host="10.0.0.1", port=7301)
    ping = protocol.encode(protocol.Ping(sender, 1))
    (gossip, table), (_, open_table) = kinds(dht_open=False), kinds(dht_open=True)
    assert isinstance(gossip.decode(ping), protocol.Ping)
    query = krpc.encode(krpc.Failure(b"aa", 203, "no"))
    assert table.decode(query) == open_table.decode(query)
    monkeypatch.setattr(wire, "DATAGRAMS", {krpc.Failure: Proof.SEALED})
    assert table.decode(query)
    for kind, data in ((gossip, ping), (open_table, query)):
        with pytest.raises(ProtocolError, match="proved so little"):
            kind.decode(data)


async def test_a_message_without_a_row_does_not_pass_a_link(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(wire, "CONTROL", {Leave: Proof.LINK})
    low, high = await two_linked()
    low.link.send(Offer(SWARM))
    low.link.send(Leave(SWARM))
    await until(lambda: high.owner.messages)
    assert [message for _, message in high.owner.messages] == [Leave(SWARM)]
    await low.port.close()
    await high.port.close()


async def test_no_frame_gets_anything_done_before_the_proof() -> None:
    """Whatever type a stranger sends: nothing reaches the owner, and the connection ends."""
    low = await Station(LOW).listen()
    for kind in range(256):
        reader, writer = await asyncio.open_connection("127.0.0.1", low.port.port)
        writer.write(PREFACE + frame(kind, b"\x91\x00"))
        async with asyncio.timeout(3.0):
            try:
                assert await reader.read() == b""
            except ConnectionResetError:
                pass
        writer.close()
    owner: Owner = low.owner
    assert not owner.up and not owner.messages and not owner.begun and not low.port.links
    await low.port.close()


def test_only_hello_and_proof_may_begin_a_link() -> None:
    begins = [kind for kind in range(256) if wire.begins_link(kind)]
    assert begins == [kind for kind, proof in FRAMES.items() if proof is Proof.NOTHING_YET]
    assert begins == [0x01, 0x02]

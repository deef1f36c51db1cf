"""Proof of membership, without sockets: who is refused, and why."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from strew.codec import (
    HANDSHAKE_FRAME_BYTES_MAX,
    PREFACE,
    TYPE_HELLO,
    TYPE_PROOF,
    FrameReader,
    Hello,
    encode_hello,
    frame,
)
from strew.errors import DeniedError, ProtocolError
from strew.fleet import FleetKey
from strew.messages import PROTOCOL_VERSION, PeerId
from strew.transfer.handshake import Handshake
from tests.transfer.ends import HIGH, KEY, LOW, OTHER_KEY


def hello(node: PeerId, nonce: int, **fields: object) -> Hello:
    plain = Hello(PROTOCOL_VERSION, node, "e1", "51", "data", 7301, "", bytes([nonce]) * 32)
    return Hello(**{**{f: getattr(plain, f) for f in plain.__struct_fields__}, **fields})  # type: ignore[arg-type]


def dialler(node: PeerId = LOW, key: FleetKey = KEY, **fields: object) -> Handshake:
    return Handshake(key, hello(node, 1, **fields))


def listener(node: PeerId = HIGH, key: FleetKey = KEY, **fields: object) -> Handshake:
    def answer(theirs: Hello) -> Hello:
        kept = {"session": theirs.session, "channel": theirs.channel, **fields}
        return hello(node, 2, **kept)

    return Handshake(key, hello(node, 0), answer)


def meet(one: Handshake, two: Handshake) -> None:
    to_two = one.start()
    while to_two:
        to_one = two.feed(to_two)
        to_two = one.feed(to_one) if to_one else b""


def test_both_ends_prove_themselves_and_know_each_other() -> None:
    one, two = dialler(), listener()
    meet(one, two)
    assert one.done and two.done
    assert one.peer is not None and two.peer is not None
    assert (one.peer.node, two.peer.node) == (HIGH, LOW)


@given(st.integers(1, 40))
def test_it_does_not_matter_how_the_stream_is_cut(step: int) -> None:
    one, two = dialler(), listener()
    waiting, to_one = one.start(), b""
    while waiting or to_one:
        piece, waiting = waiting[:step], waiting[step:]
        to_one += two.feed(piece) if piece else b""
        piece, to_one = to_one[:step], to_one[step:]
        waiting += one.feed(piece) if piece else b""
    assert one.done and two.done


def test_what_comes_after_the_proof_is_kept() -> None:
    one, two = dialler(), listener()
    last = one.feed(two.feed(one.start()))
    two.feed(last + b"first frames")
    assert two.done and two.rest == b"first frames"


def test_a_listener_of_another_fleet_is_refused() -> None:
    one, two = dialler(), listener(key=OTHER_KEY)
    with pytest.raises(DeniedError, match="key"):
        one.feed(two.feed(one.start()))
    assert not one.done


def test_a_dialler_of_another_fleet_is_refused() -> None:
    one, two = dialler(key=OTHER_KEY), listener()
    frames = list(FrameReader(1024).feed(two.feed(one.start())))
    proof = OTHER_KEY.proof(b"peer-dialler", encode_hello(hello(LOW, 1)), frames[0][1])
    with pytest.raises(DeniedError, match="key"):
        two.feed(frame(TYPE_PROOF, proof))
    assert not two.done


def test_another_version_is_refused_and_says_which_are_known() -> None:
    one = dialler(version=PROTOCOL_VERSION + 1)
    with pytest.raises(ProtocolError, match=r"version 2 .* this node 1"):
        listener().feed(one.start())


def test_ones_own_address_is_refused() -> None:
    one, two = dialler(node=LOW), listener(node=LOW)
    with pytest.raises(ProtocolError, match="own"):
        two.feed(one.start())


def test_an_answer_on_another_channel_is_refused() -> None:
    one, two = dialler(), listener(channel="control")
    with pytest.raises(ProtocolError, match="channel"):
        one.feed(two.feed(one.start()))


def test_a_listeners_own_proof_played_back_to_it_opens_nothing() -> None:
    """Reflection: the dialler has no key, and returns what it was sent."""
    two = listener()
    answer = two.feed(PREFACE + frame(TYPE_HELLO, encode_hello(hello(LOW, 1))))
    [_, (kind, proof)] = list(FrameReader(1024).feed(answer))
    with pytest.raises(DeniedError):
        two.feed(frame(kind, proof))


def test_a_proof_made_for_one_conversation_opens_no_other() -> None:
    """A second connection to the same listener is asked to compute the first one's answer."""
    first, second = listener(), listener()
    victim = dialler()
    recorded = victim.feed(first.feed(victim.start()))
    other = Handshake(KEY, hello(LOW, 7))
    second.feed(other.start())
    with pytest.raises(DeniedError):
        second.feed(recorded)


def test_a_proof_to_the_dialler_cannot_be_got_from_the_dialler_itself() -> None:
    """Who is dialled without the key dials back, and lets the victim prove to itself."""
    victim_dials = dialler(node=LOW)
    victim_listens = listener(node=LOW)
    with pytest.raises(ProtocolError):
        victim_listens.feed(victim_dials.start())
    renamed = PREFACE + frame(TYPE_HELLO, encode_hello(hello(HIGH, 1)))
    victim_listens = listener(node=LOW)
    with pytest.raises((DeniedError, ProtocolError)):
        victim_dials.feed(victim_listens.feed(renamed))


def test_a_changed_hello_breaks_the_proof() -> None:
    one, two = dialler(), listener()
    answer = two.feed(one.start())
    frames = list(FrameReader(1024).feed(answer))
    changed = frame(TYPE_HELLO, encode_hello(hello(HIGH, 2, zone="elsewhere")))
    with pytest.raises(DeniedError):
        one.feed(changed + frame(*frames[1]))


@pytest.mark.parametrize(
    "data",
    [
        b"GET / HTTP/1.1\r\n",
        b"\x00",
        PREFACE[:-1] + b"x",
        PREFACE + frame(TYPE_PROOF, bytes(32)),
        PREFACE + frame(0x13, b""),
        PREFACE + b"\xff\xff\xff\xff\x01",
        PREFACE + frame(TYPE_HELLO, bytes(HANDSHAKE_FRAME_BYTES_MAX)),
        PREFACE + frame(TYPE_HELLO, b"rubbish"),
        PREFACE + frame(TYPE_HELLO, encode_hello(hello(LOW, 1))) * 2,
    ],
    ids=range(9),
)
def test_what_is_no_handshake_is_refused(data: bytes) -> None:
    two = listener()
    if data == b"\x00":
        assert two.feed(data) == b"" and not two.done
        return
    with pytest.raises(ProtocolError):
        two.feed(data)
    assert not two.done


@given(st.binary(max_size=200))
def test_no_bytes_raise_anything_else(data: bytes) -> None:
    for one in (listener(), dialler()):
        try:
            one.feed(data)
        except (ProtocolError, DeniedError):
            pass
        assert not one.done

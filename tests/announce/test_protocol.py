"""The announce's messages: their JSON, and what is refused when it is read."""

import msgspec
import pytest

from strew.announce.protocol import (
    CONTROL_BODY_BYTES_MAX,
    HANDOUT_BYTES_MAX,
    HOLDINGS_MAX,
    PEERS_MAX,
    PUBLICATIONS_MAX,
    Handout,
    Holding,
    Peer,
    decode_announce,
    decode_handout,
    encode,
)
from strew.errors import ProtocolError
from tests.announce.makers import announce, artifact_id, holding, peer_id, publication


def test_an_announce_comes_back() -> None:
    told = announce(
        1, holding("app", 2), zone="r1", follows=("app:*",), wants=(artifact_id("app"),), seen=7
    )
    assert decode_announce(encode(told)) == told


def test_a_handout_comes_back() -> None:
    handout = Handout(
        lease_s=30.0,
        interval_s=10.0,
        seen=5,
        peers={artifact_id("app"): (Peer(peer_id(2), "10.0.0.2", 7301, "r1"),)},
        publications=(publication("app", 5),),
        manifests={artifact_id("app"): b"\x00raw\xff"},
    )
    assert decode_handout(encode(handout)) == handout


GOOD = {"node": "0" * 32, "port": 7301}


@pytest.mark.parametrize(
    "wrong",
    [
        {"node": "0" * 31},
        {"node": "0" * 32 + "\n"},
        {"node": "G" * 32},
        {"port": 0},
        {"port": 65536},
        {"port": "7301"},
        {"seen": -1},
        {"seen": 1 << 63},
        {"zone": "z" * 65},
        {"follows": [""]},
        {"follows": ["a:*"] * 65},
        {"wants": ["blake3:" + "0" * 63]},
        {"wants": ["sha256:" + "0" * 64]},
        {"wants": ["blake3:" + "0" * 64] * 65},
        {"holdings": [{"artifact": "blake3:" + "0" * 64, "have_chunks": 1, "chunk_count": 1}]},
        {"leaving": 1},
    ],
)
def test_an_announce_that_breaks_a_rule_is_refused(wrong: dict[str, object]) -> None:
    decode_announce(msgspec.json.encode(GOOD))
    with pytest.raises(ProtocolError, match="bad announce"):
        decode_announce(msgspec.json.encode({**GOOD, **wrong}))


def test_what_a_later_version_adds_is_passed_over() -> None:
    assert decode_announce(msgspec.json.encode({**GOOD, "gossip": 1})).port == 7301


@pytest.mark.parametrize(
    "body", [b"", b"null", b"[]", b"<html>", b"\xff", b'{"x":' + b"[" * 100_000]
)
def test_what_is_no_message_is_refused(body: bytes) -> None:
    with pytest.raises(ProtocolError):
        decode_announce(body)


def test_the_largest_messages_fit_a_control_body() -> None:
    count = (1 << 63) - 1
    largest = Holding(
        artifact=artifact_id("app"),
        have_chunks=1 << 20,
        chunk_count=1 << 20,
        state="fetching",
        origin=True,
        received_bytes=count,
        received_origin_bytes=count,
        duplicate_bytes=count,
        sent_bytes=count,
        reason="r" * 256,
    )
    assert len(encode(announce(1, *[largest] * HOLDINGS_MAX))) < CONTROL_BODY_BYTES_MAX
    peers = tuple(Peer(peer_id(n), "255.255.255.255", 65535, "z" * 64) for n in range(PEERS_MAX))
    handout = Handout(
        lease_s=30.0,
        interval_s=10.0,
        seen=count,
        peers={artifact_id("a"): peers, artifact_id("b"): peers},
        publications=tuple(publication("a" * 120, n) for n in range(PUBLICATIONS_MAX)),
        manifests={artifact_id(str(n)): bytes(16 << 10) for n in range(16)},
    )
    assert len(encode(handout)) < HANDOUT_BYTES_MAX


def test_complete_means_every_chunk_and_seeding() -> None:
    assert holding("app", 4).complete
    assert not holding("app", 3).complete
    assert holding("empty", 0, of=0).complete
    failed = msgspec.structs.replace(holding("app", 4), state="failed")
    assert not failed.complete

"""What a node tells for people to see, and what is refused of it."""

import json

import pytest

from strew.content.bitfield import Bitfield
from strew.errors import ProtocolError
from strew.telemetry.protocol import (
    SWARMS_MAX,
    BanTelemetry,
    LinkTelemetry,
    NodeEvent,
    SwarmTelemetry,
    Telemetry,
    decode_telemetry,
    encode_telemetry,
)

NODE, PEER = "a" * 32, "b" * 32
ARTIFACT = "blake3:" + "1" * 64

SWARM = SwarmTelemetry(
    artifact=ARTIFACT,
    have=Bitfield(100, 0b1011).to_wire(),
    chunk_count=100,
    sources="1230",
    received_near_bytes=7,
    down=(0.5, 0.5, 0.0, 0.0, 0.0, 0.0, 0.0),
    up=(1.0, 0.0, 0.0, 0.0),
)
WHOLE = Telemetry(
    node=NODE,
    at_s=1.5,
    swarms=(SWARM,),
    links=(LinkTelemetry(PEER, 1, 2),),
    bans=(BanTelemetry(PEER, "two bad chunks", 600.0),),
    events=(NodeEvent(0.5, "dropped a peer"),),
)


def test_what_is_told_is_read_as_it_was_told() -> None:
    assert decode_telemetry(encode_telemetry(WHOLE)) == WHOLE


@pytest.mark.parametrize(
    ("body", "why"),
    [
        (b"", "truncated"),
        (b"[]", "object"),
        (b'{"node":"A","at_s":0}', "node"),
        (b'{"node":"%s","at_s":-1}' % NODE.encode(), "at_s"),
        (b'{"node":"%s","at_s":0,"links":[["%s",-1,0]]}' % (NODE.encode(), PEER.encode()), "links"),
        (b'{"x":' + b"[" * 100_000, "nested"),
        (b'{"node":"\xff"}', "utf-8"),
    ],
)
def test_what_breaks_a_rule_is_refused_by_its_name(body: bytes, why: str) -> None:
    with pytest.raises(ProtocolError, match="bad telemetry") as refused:
        decode_telemetry(body)
    assert why in refused.value.message.lower()


def test_sources_and_shares_have_bounds() -> None:
    for wrong in (
        {"sources": "5"},
        {"sources": "1" * 257},
        {"down": [0.1] * 8},
        {"up": [1.5]},
        {"have": "not base64!"},
        {"chunk_count": 10**12},
    ):
        swarm = {"artifact": ARTIFACT, "have": "", "chunk_count": 1} | wrong
        with pytest.raises(ProtocolError, match="bad telemetry"):
            decode_telemetry(_json({"node": NODE, "at_s": 0.0, "swarms": [swarm]}))


def test_a_node_in_too_many_swarms_is_refused() -> None:
    many = Telemetry(node=NODE, at_s=0.0, swarms=(SWARM,) * (SWARMS_MAX + 1))
    with pytest.raises(ProtocolError, match="swarms"):
        decode_telemetry(encode_telemetry(many))


def _json(value: object) -> bytes:
    return json.dumps(value).encode()

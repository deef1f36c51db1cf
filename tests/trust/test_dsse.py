"""Envelopes: what is signed, and the JSON that tools of others read."""

import base64
import json

import pytest

from strew.errors import IntegrityError
from strew.publication import SIGNATURES_MAX, Signature
from strew.trust import dsse
from tests.trust.makers import ALICE, BOB

KIND = "http://example.com/HelloWorld"


def test_what_is_signed_is_that_of_the_specification() -> None:
    assert dsse.pae(KIND, b"hello world") == (
        b"DSSEv1 29 http://example.com/HelloWorld 11 hello world"
    )


def test_lengths_keep_a_type_and_a_payload_apart() -> None:
    assert dsse.pae("a", b"b c") != dsse.pae("a b", b"c")
    signature = dsse.sign(ALICE, dsse.NAME_TYPE, b"bytes")
    assert dsse.holds(signature, ALICE.public, dsse.NAME_TYPE, b"bytes")
    assert not dsse.holds(signature, ALICE.public, dsse.MANIFEST_TYPE, b"bytes")
    assert not dsse.holds(signature, ALICE.public, dsse.NAME_TYPE, b"byte")
    assert not dsse.holds(signature, BOB.public, dsse.NAME_TYPE, b"bytes")


def test_an_envelope_reads_as_others_write_it() -> None:
    signatures = tuple(dsse.sign(key, KIND, b"\x00payload") for key in (ALICE, BOB))
    body = dsse.envelope(KIND, b"\x00payload", signatures)
    read = json.loads(body)
    assert read.keys() == {"payload", "payloadType", "signatures"}
    assert base64.b64decode(read["payload"]) == b"\x00payload"
    assert [of.keys() for of in read["signatures"]] == [{"sig", "keyid"}] * 2
    assert dsse.open_envelope(body) == dsse.Opened(KIND, b"\x00payload", signatures)


@pytest.mark.parametrize(
    "change",
    [
        {"signatures": []},
        {"signatures": [{"sig": "AAAA", "keyid": ""}]},
        {"signatures": [{"keyid": ALICE.public.id}]},
        {"signatures": [{"sig": base64.b64encode(bytes(64)).decode()}] * (SIGNATURES_MAX + 1)},
        {"payload": "%%"},
        {"payload": None},
        {"payloadType": 7},
    ],
    ids=["none", "short", "without sig", "too many", "no base64", "no payload", "no type"],
)
def test_a_malformed_envelope_is_an_error(change: dict[str, object]) -> None:
    body = json.loads(dsse.envelope(KIND, b"", (Signature(ALICE.public.id, bytes(64)),)))
    with pytest.raises(IntegrityError, match="bad envelope"):
        dsse.open_envelope(json.dumps(body | change).encode())


@pytest.mark.parametrize("body", [b"", b"[]", b"\xff", b"[" * 10_000])
def test_what_is_no_envelope_is_an_error(body: bytes) -> None:
    with pytest.raises(IntegrityError, match="bad envelope"):
        dsse.open_envelope(body)

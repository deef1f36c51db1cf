"""What is signed of a name: all of it, in one form."""

import json

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from strew.trust.record import payload_of, signed, whole_ms
from tests.gossip.makers import artifact_id, publication
from tests.trust.makers import ALICE, YEAR_S, record


def test_the_payload_is_as_the_protocol_shows_it() -> None:
    payload = payload_of(record("app:v1", 1_000_000))
    assert payload is not None
    assert payload.decode() == (
        f'{{"artifact":"{artifact_id("one")}","chunk_count":4,"expires_ms":31537000000,'
        '"name":"app.tar","published_ms":1000000,"reference":"app:v1","size_bytes":400,'
        '"version":1000000}'
    )


@given(st.text(st.characters(exclude_categories=["Cs"]), max_size=20))
def test_any_language_makes_the_same_payload(name: str) -> None:
    payload = payload_of(msgspec.structs.replace(record(), name=name))
    assert payload is not None
    read = json.loads(payload)
    again = json.dumps(read, sort_keys=True, separators=(",", ":"), ensure_ascii=False)
    assert again.encode() == payload and read["name"] == name


def test_every_field_counts() -> None:
    """Two publications with one payload would be one signature for both."""
    told = record()
    changes = {
        "reference": "app:v2",
        "artifact": artifact_id("other"),
        "version": 1_000_001,
        "size_bytes": 401,
        "chunk_count": 5,
        "published_s": told.published_s + 0.001,
        "name": "app.tar2",
        "expires_s": told.expires_s + 0.001,
    }
    assert {*changes, "signatures"} == set(told.__struct_fields__)
    payloads = [payload_of(msgspec.structs.replace(told, **{f: v})) for f, v in changes.items()]
    assert len({payload_of(told), *payloads}) == 1 + len(changes)


@pytest.mark.parametrize("field", ["published_s", "expires_s"])
def test_a_time_between_two_milliseconds_cannot_be_signed(field: str) -> None:
    told = record()
    between = {field: getattr(told, field) + 0.0001}
    assert payload_of(msgspec.structs.replace(told, **between)) is None


@given(st.floats(0.0, 1e11))
def test_any_time_can_be_brought_to_whole_milliseconds(at_s: float) -> None:
    told = signed(msgspec.structs.replace(publication(), published_s=at_s), (ALICE,), at_s + YEAR_S)
    assert payload_of(told) is not None
    assert 0 <= at_s - whole_ms(at_s) < 0.002

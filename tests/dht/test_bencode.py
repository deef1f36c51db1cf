"""Bencoding: canonical when written, strict where it counts when read."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from strew.dht.bencode import DEPTH_MAX, Source, Value, decode, encode
from strew.errors import ProtocolError

values = st.recursive(
    st.integers(-(1 << 63), (1 << 63) - 1) | st.binary(max_size=40),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.binary(max_size=8), inner),
    max_leaves=12,
)


@pytest.mark.parametrize(
    ("value", "data"),
    [
        (0, b"i0e"),
        (-42, b"i-42e"),
        (b"", b"0:"),
        (b"spam", b"4:spam"),
        ([b"spam", 7], b"l4:spami7ee"),
        ({b"b": [], b"a": {}}, b"d1:ade1:blee"),
    ],
)
def test_each_form_is_written_as_the_specification_says(value: Source, data: bytes) -> None:
    assert encode(value) == data
    assert decode(data) == value


@pytest.mark.parametrize(
    ("data", "value"),
    [
        (b"d1:bi1e1:ai2ee", {b"a": 2, b"b": 1}),
        (b"d1:ai1e1:ai2ee", {b"a": 2}),
        (b"i007e", 7),
        (b"003:abc", b"abc"),
    ],
)
def test_what_others_do_not_write_canonically_is_read(data: bytes, value: Value) -> None:
    assert decode(data) == value


@pytest.mark.parametrize(
    "data",
    [
        b"",
        b"e",
        b"x",
        b"i",
        b"ie",
        b"i-e",
        b"i--1e",
        b"i+1e",
        b"i1_0e",
        b"i 1e",
        b"i1",
        b"i" + b"9" * 4000 + b"e",
        b"4:abc",
        b"4",
        b"-1:a",
        b"99999999999:a",
        b"l",
        b"li1e",
        b"d",
        b"d1:a",
        b"d1:ae",
        b"di1ei2ee",
        b"i1ei2e",
        b"d1:ai1ee\n",
        "٣:abc".encode(),
    ],
)
def test_anything_else_is_refused(data: bytes) -> None:
    with pytest.raises(ProtocolError, match="bad bencoding at byte"):
        decode(data)


@pytest.mark.parametrize(("opening", "closing"), [(b"l", b"e"), (b"d1:a", b"e")])
def test_nesting_ends_at_its_limit(opening: bytes, closing: bytes) -> None:
    decode(opening * DEPTH_MAX + b"i1e" * (opening != b"l") + closing * DEPTH_MAX)
    with pytest.raises(ProtocolError, match="nested"):
        decode(opening * 30_000)


@given(values)
def test_what_was_written_is_read(value: Source) -> None:
    if _depth(value) <= DEPTH_MAX:
        assert decode(encode(value)) == value


@given(st.binary(max_size=200))
def test_any_bytes_are_read_or_refused(data: bytes) -> None:
    try:
        value = decode(data)
    except ProtocolError:
        return
    assert decode(encode(value)) == value


@given(values, st.data())
def test_a_value_cut_short_is_refused(value: Source, draw: st.DataObject) -> None:
    data = encode(value)
    cut = draw.draw(st.integers(0, len(data) - 1))
    with pytest.raises(ProtocolError):
        decode(data[:cut])


def _depth(value: object) -> int:
    if isinstance(value, list):
        return 1 + max(map(_depth, value), default=0)
    if isinstance(value, dict):
        return 1 + max(map(_depth, value.values()), default=0)
    return 0

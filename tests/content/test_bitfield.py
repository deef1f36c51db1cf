"""Bitfield against Python's own set."""

import zlib

import pytest
from hypothesis import given
from hypothesis import strategies as st

from strew.content.bitfield import Bitfield, bits_of, indexes_of
from strew.errors import ProtocolError

SIZE_MAX = 300


@st.composite
def fields(draw: st.DrawFn, size: int | None = None) -> tuple[Bitfield, set[int]]:
    size = draw(st.integers(0, SIZE_MAX)) if size is None else size
    members = draw(st.sets(st.integers(0, size - 1))) if size else set()
    field = Bitfield(size)
    field.update(members)
    return field, members


@st.composite
def pairs(draw: st.DrawFn) -> tuple[tuple[Bitfield, set[int]], tuple[Bitfield, set[int]]]:
    size = draw(st.integers(0, SIZE_MAX))
    return draw(fields(size)), draw(fields(size))


@given(fields())
def test_it_is_a_set_of_indexes(case: tuple[Bitfield, set[int]]) -> None:
    field, members = case
    assert list(field) == sorted(members)
    assert list(field.missing()) == sorted(set(range(field.size)) - members)
    assert field.count == len(field) == len(members)
    assert field.complete == (len(members) == field.size)
    assert all((i in field) == (i in members) for i in range(-2, field.size + 2))


@given(pairs())
def test_algebra(case: tuple[tuple[Bitfield, set[int]], tuple[Bitfield, set[int]]]) -> None:
    (left, left_members), (right, right_members) = case
    assert list(left.minus(right)) == sorted(left_members - right_members)
    assert left.lacks_something_of(right) == bool(right_members - left_members)
    joined = left.copy()
    joined.update(right)
    assert set(joined) == left_members | right_members
    assert joined.count == len(left_members | right_members)
    assert set(left) == left_members


@given(st.lists(st.tuples(st.booleans(), st.integers(0, 19))))
def test_add_and_discard_tell_whether_they_changed_anything(steps: list[tuple[bool, int]]) -> None:
    field, members = Bitfield(20), set[int]()
    for adding, index in steps:
        if adding:
            assert field.add(index) == (index not in members)
            members.add(index)
        else:
            assert field.discard(index) == (index in members)
            members.discard(index)
        assert (field.count, set(field)) == (len(members), members)


@given(fields())
def test_wire_form_round_trips(case: tuple[Bitfield, set[int]]) -> None:
    field, _ = case
    assert Bitfield.from_wire(field.to_wire(), field.size) == field
    assert len(field.to_wire()) <= 1 + (field.size + 7) // 8


def test_wire_form_is_compact() -> None:
    assert len(Bitfield(100_000).to_wire()) == len(Bitfield.full(100_000).to_wire()) == 1
    half = Bitfield(100_000)
    half.update(range(50_000))
    assert len(half.to_wire()) < 200


@given(st.binary(max_size=60), st.integers(0, SIZE_MAX))
def test_garbage_from_the_wire_is_refused_or_fits(data: bytes, size: int) -> None:
    try:
        field = Bitfield.from_wire(data, size)
    except ProtocolError:
        return
    assert field.size == size
    assert field.bits >> size == 0


@pytest.mark.parametrize(
    ("data", "rule"),
    [
        (b"", "empty"),
        (b"\x09", "unknown tag"),
        (b"\x00x", "no body"),
        (b"\x01x", "no body"),
        (b"\x02\xff", "2 bytes|chunks need"),
        (b"\x02\xff\xff\xff", "chunks need"),
        (b"\x02\xff\xff", "beyond chunk 9"),
        (b"\x03garbage", "zlib"),
        (b"\x03" + zlib.compress(b"\xff" * 1_000_000), "overlong"),
        (b"\x03" + zlib.compress(b"\x01"), "chunks need"),
        (b"\x03" + zlib.compress(b"\x01\x01") + b"x", "followed"),
        (b"\x03" + zlib.compress(b"\x01\x01")[:-3], "cut off"),
    ],
)
def test_bad_wire_forms_name_their_fault(data: bytes, rule: str) -> None:
    with pytest.raises(ProtocolError, match=rule):
        Bitfield.from_wire(data, 10)


@pytest.mark.parametrize("index", [-1, 10, 1 << 40])
def test_indexes_outside_are_refused(index: int) -> None:
    field = Bitfield(10)
    for change in (field.add, field.discard, lambda i: field.update([i])):
        with pytest.raises(IndexError):
            change(index)
    assert index not in field


def test_an_empty_artifact_is_complete() -> None:
    assert Bitfield(0).complete
    assert Bitfield.from_wire(Bitfield(0).to_wire(), 0).complete


@given(pairs())
def test_what_is_included_and_was_not_there_is_told(
    case: tuple[tuple[Bitfield, set[int]], tuple[Bitfield, set[int]]],
) -> None:
    (field, members), (other, others) = case
    assert list(indexes_of(field.include(other.bits))) == sorted(others - members)
    assert list(field) == sorted(members | others)
    assert field.count == len(members | others)


@given(st.lists(st.integers(0, SIZE_MAX - 1)))
def test_a_set_of_bits_has_the_indexes_it_was_made_of(indexes: list[int]) -> None:
    assert list(indexes_of(bits_of(indexes, SIZE_MAX))) == sorted(set(indexes))


@pytest.mark.parametrize("outside", [-1, 8, 1 << 60])
def test_no_set_of_bits_is_made_of_what_lies_outside(outside: int) -> None:
    with pytest.raises(IndexError):
        bits_of([1, outside, 2], 8)

"""Bytes and messages: every message survives the round trip, every lie is refused."""

from __future__ import annotations

import struct

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from strew.codec import (
    CHUNK_BYTES_MAX,
    CHUNK_HEADER_BYTES,
    CONTROL_FRAME_BYTES_MAX,
    SLICE_BYTES_MAX,
    TYPE_BREAK,
    TYPE_CHUNK,
    ChunkHeader,
    FrameReader,
    Hello,
    decode,
    decode_hello,
    encode,
    encode_hello,
    frame,
    pack_chunk_header,
    unpack_chunk_header,
)
from strew.errors import ProtocolError
from strew.messages import (
    BadChunk,
    Cancel,
    Close,
    Gone,
    Have,
    Join,
    Leave,
    Nack,
    Offer,
    Passed,
    Plan,
    PlanMember,
    Renew,
    Request,
    Unfit,
    Wire,
)
from strew.swarm.haves import INDEXES_MAX
from strew.swarm.plan import GROUP_MIN, MEMBERS_MAX
from strew.swarm.planning import UNFIT_MAX

key = st.integers(0, (1 << 64) - 1)
index = st.integers(0, (1 << 32) - 1)
indexes = st.lists(index, max_size=50)
members = st.builds(PlanMember, st.text(max_size=40), st.text(max_size=40), st.integers(0, 65535))

messages = st.one_of(
    st.builds(Join, key, st.text(), st.binary(), index, st.text(), st.booleans(), st.booleans()),
    *(st.builds(kind, key) for kind in (Leave, Offer, Close)),
    *(st.builds(kind, key, index) for kind in (Request, Renew, Nack, Cancel, BadChunk)),
    *(st.builds(kind, key, indexes) for kind in (Have, Passed)),
    st.builds(
        Plan,
        key,
        index,
        st.text(),
        st.integers(0, 64),
        st.lists(st.lists(members, max_size=4), max_size=4),
        st.integers(-1, 4),
        st.integers(-1, 4),
    ),
    st.builds(Unfit, key, st.lists(st.text(max_size=40), max_size=16)),
    st.builds(Gone, key, st.lists(st.text(max_size=40), max_size=16)),
)


def frames(data: bytes, limit_bytes: int = CONTROL_FRAME_BYTES_MAX) -> list[tuple[int, bytes]]:
    return list(FrameReader(limit_bytes).feed(data))


# --- control ------------------------------------------------------------------------------------


@given(messages)
def test_a_message_survives_the_round_trip(message: Wire) -> None:
    [(kind, body)] = frames(encode(message))
    assert decode(kind, body) == message


@given(st.lists(messages, max_size=5), st.data())
def test_messages_are_found_however_the_stream_is_cut(
    said: list[Wire], data: st.DataObject
) -> None:
    stream = b"".join(encode(message) for message in said)
    cuts = sorted(data.draw(st.lists(st.integers(0, len(stream)), max_size=8)))
    reader = FrameReader(CONTROL_FRAME_BYTES_MAX)
    heard = []
    for start, end in zip([0, *cuts], [*cuts, len(stream)], strict=True):
        heard += [decode(kind, body) for kind, body in reader.feed(stream[start:end])]
    assert heard == said
    assert reader.rest() == b""


def test_an_unknown_type_is_skipped_and_the_next_message_read() -> None:
    stream = frame(0x77, b"from the future") + encode(Offer(1))
    assert [decode(*found) for found in frames(stream)] == [None, Offer(1)]


def test_fields_that_a_later_version_appends_are_ignored() -> None:
    assert decode(0x15, msgspec.msgpack.encode([1, 2, "new", {"more": 1}])) == Request(1, 2)


def test_fields_that_a_later_version_may_leave_out_have_defaults() -> None:
    assert decode(0x10, msgspec.msgpack.encode([1, "a", b"", 3])) == Join(1, "a", b"", 3)


@pytest.mark.parametrize(
    "body",
    [
        b"",
        b"\xff",
        b"\xc1",
        msgspec.msgpack.encode([]),
        msgspec.msgpack.encode([1]),
        msgspec.msgpack.encode(["1", 2]),
        msgspec.msgpack.encode([1, 2.5]),
        msgspec.msgpack.encode({"swarm": 1, "index": 2}),
        msgspec.msgpack.encode([1, 2])[:-1],
        msgspec.msgpack.encode([1, 2]) + b"more",
        b"\x91" * 2000,
    ],
    ids=repr,
)
def test_a_body_that_does_not_fit_its_type_is_a_protocol_error(body: bytes) -> None:
    with pytest.raises(ProtocolError, match="Request"):
        decode(0x15, body)


def test_text_that_is_not_utf8_is_a_protocol_error() -> None:
    with pytest.raises(ProtocolError, match="Join"):
        decode(0x10, b"\x94\x01\xa2\xff\xfe\xc4\x00\x03")


@given(st.integers(0, 255), st.binary(max_size=300))
def test_no_bytes_raise_anything_but_protocol_errors(kind: int, body: bytes) -> None:
    try:
        decode(kind, body)
    except ProtocolError as error:
        assert "\n" not in error.message


def test_the_largest_messages_fit_into_a_frame() -> None:
    member = PlanMember("f" * 32, "255.255.255.255", 65535)
    groups = [[member] * GROUP_MIN] * (MEMBERS_MAX // GROUP_MIN)
    encode_fits(Plan((1 << 64) - 1, 1 << 40, "f" * 32, 20, groups, len(groups) - 1, MEMBERS_MAX))
    encode_fits(Unfit((1 << 64) - 1, ["f" * 32] * UNFIT_MAX))
    encode_fits(Gone((1 << 64) - 1, ["f" * 32] * UNFIT_MAX))
    encode_fits(Have((1 << 64) - 1, [1 << 20] * INDEXES_MAX))
    encode_fits(Join((1 << 64) - 1, "blake3:" + "f" * 64, bytes((1 << 20) // 8 + 1), 1 << 20, "z"))


def encode_fits(message: Wire) -> None:
    assert len(encode(message)) <= CONTROL_FRAME_BYTES_MAX


# --- frames -------------------------------------------------------------------------------------


@pytest.mark.parametrize("length", [0, CONTROL_FRAME_BYTES_MAX + 1, 0xFFFFFFFF])
def test_a_length_that_lies_is_refused_before_anything_is_kept(length: int) -> None:
    """Four GiB frames among them."""
    reader = FrameReader(CONTROL_FRAME_BYTES_MAX)
    with pytest.raises(ProtocolError, match="frame of"):
        list(reader.feed(struct.pack("!IB", length, 0x13)))


def test_half_a_frame_is_kept_and_nothing_said() -> None:
    data = encode(Have(1, [1, 2, 3]))
    reader = FrameReader(CONTROL_FRAME_BYTES_MAX)
    for byte in data[:-1]:
        assert list(reader.feed(bytes([byte]))) == []
    assert len(list(reader.feed(data[-1:]))) == 1


def test_a_frame_of_exactly_the_limit_passes() -> None:
    assert len(frames(frame(1, bytes(99)), limit_bytes=100)) == 1
    with pytest.raises(ProtocolError):
        frames(frame(1, bytes(100)), limit_bytes=100)


def test_frames_before_a_lie_are_still_read() -> None:
    reader = FrameReader(100)
    found = []
    with pytest.raises(ProtocolError):
        for one in reader.feed(encode(Offer(1)) + b"\xff\xff\xff\xff\x00"):
            found.append(one)
    assert len(found) == 1


def test_what_is_left_over_can_be_taken_out() -> None:
    reader = FrameReader(100)
    stream = reader.feed(encode(Offer(1)) + b"\x00\x00\x00")
    next(stream)
    assert reader.rest() == b"\x00\x00\x00"
    assert reader.rest() == b""


# --- HELLO --------------------------------------------------------------------------------------


def hello(**fields: object) -> Hello:
    plain: dict[str, object] = {
        "version": 1,
        "node": "a" * 32,
        "epoch": "0123456789abcdef",
        "session": "fedcba",
        "channel": "data",
        "port": 7301,
        "zone": "rack-7",
        "nonce": bytes(32),
    }
    return Hello(**{**plain, **fields})  # type: ignore[arg-type]


def test_a_hello_survives_the_round_trip() -> None:
    assert decode_hello(encode_hello(hello())) == hello()


@pytest.mark.parametrize(
    "fields",
    [
        {"node": "a" * 31},
        {"node": "A" * 32},
        {"node": "g" * 32},
        {"epoch": "f" * 33},
        {"epoch": "../etc"},
        {"session": "f" * 33},
        {"session": "\n"},
        {"channel": "both"},
        {"port": -1},
        {"port": 65536},
        {"nonce": bytes(31)},
        {"nonce": b""},
        {"zone": "z" * 65},
    ],
    ids=str,
)
def test_a_hello_that_breaks_a_limit_is_refused(fields: dict[str, object]) -> None:
    with pytest.raises(ProtocolError, match="HELLO"):
        decode_hello(encode_hello(hello(**fields)))


@given(st.binary(max_size=200))
def test_no_bytes_make_a_hello_raise_anything_else(body: bytes) -> None:
    with pytest.raises(ProtocolError, match="HELLO"):
        decode_hello(body)


def test_a_later_hello_may_have_more_fields() -> None:
    body = msgspec.msgpack.encode([*msgspec.structs.astuple(hello()), "more"])
    assert decode_hello(body) == hello()


# --- chunk headers --------------------------------------------------------------------------------

slices = st.integers(1, SLICE_BYTES_MAX)
headers = st.builds(
    lambda swarm, chunk, offset, size, after, role, plan: ChunkHeader(
        TYPE_CHUNK,
        swarm,
        chunk,
        offset,
        min(offset + size + after, CHUNK_BYTES_MAX),
        role,
        plan,
        size,
    ),
    key,
    index,
    st.integers(0, CHUNK_BYTES_MAX - SLICE_BYTES_MAX),
    slices,
    st.integers(0, 1 << 20),
    st.integers(0, 255),
    st.integers(0, 255),
)


@given(headers)
def test_a_chunk_header_survives_the_round_trip(header: ChunkHeader) -> None:
    data = pack_chunk_header(header)
    assert len(data) == CHUNK_HEADER_BYTES
    assert unpack_chunk_header(data) == header


def test_the_reserved_bytes_of_a_header_are_zero_and_no_reader_minds_them() -> None:
    data = header()
    assert data[-5:] == bytes(5)
    assert unpack_chunk_header(data[:-5] + b"later") == unpack_chunk_header(data)


def header(**fields: int) -> bytes:
    plain = ChunkHeader(TYPE_CHUNK, 1, 2, 0, 1000, 0, 0, 1000)
    return pack_chunk_header(plain._replace(**fields))


@pytest.mark.parametrize(
    "data",
    [
        header(kind=0x13),
        header(kind=0),
        header(slice_bytes=0),
        header(slice_bytes=1001),
        header(offset=1),
        header(offset=0xFFFFFFFF),
        header(total=999),
        header(total=CHUNK_BYTES_MAX + 1),
        header(total=CHUNK_BYTES_MAX, slice_bytes=SLICE_BYTES_MAX + 1),
        header(kind=TYPE_BREAK, slice_bytes=10),
        b"\x00\x00\x00\x00" + header()[4:],
        b"\x00\x00\x00\x1b" + header()[4:],
        b"\xff\xff\xff\xff" + header()[4:],
    ],
    ids=range(13),
)
def test_a_chunk_header_that_lies_is_refused(data: bytes) -> None:
    with pytest.raises(ProtocolError):
        unpack_chunk_header(data)


def test_a_break_has_no_payload() -> None:
    seen = unpack_chunk_header(header(kind=TYPE_BREAK, slice_bytes=0))
    assert (seen.kind, seen.slice_bytes) == (TYPE_BREAK, 0)


@given(st.binary(min_size=CHUNK_HEADER_BYTES, max_size=CHUNK_HEADER_BYTES))
def test_no_header_makes_a_reader_take_more_than_a_slice(data: bytes) -> None:
    try:
        seen = unpack_chunk_header(data)
    except ProtocolError:
        return
    assert 0 <= seen.slice_bytes <= SLICE_BYTES_MAX
    assert seen.offset + seen.slice_bytes <= seen.total <= CHUNK_BYTES_MAX

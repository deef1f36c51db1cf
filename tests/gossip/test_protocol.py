"""Messages as bytes: what is read back, what is refused, and sizes known beforehand."""

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from strew.errors import ProtocolError
from strew.gossip.protocol import (
    BUCKETS,
    DATAGRAM_BYTES_MAX,
    EXCHANGE_BYTES_MAX,
    FOLLOWS_ALL,
    HOLDERS_MAX,
    INCARNATION_MAX,
    RUMOUR_BYTES_MAX,
    Ack,
    Differences,
    Entries,
    ExchangeMessage,
    Held,
    Holder,
    Member,
    MemberState,
    Message,
    Nack,
    Named,
    Ping,
    PingRequest,
    Rumour,
    Summary,
    Tidings,
    claim_of,
    decode,
    decode_exchange,
    encode,
    is_one_machine,
    named,
    told_follows,
    version_of,
    wire_bytes,
)
from strew.publication import Publication
from tests.gossip.makers import dead, held, holder, member, peer_id, publication, suspect, told

ME = member(1, zone="rack-1")
RUMOURS = (suspect(2, 3), told(), held(4))
NO_SUMS = (0,) * BUCKETS
ALL_SUMS = ((1 << 64) - 1,) * BUCKETS

DATAGRAMS: list[Message] = [
    Ping(ME, 7, RUMOURS),
    PingRequest(ME, 7, peer_id(2), RUMOURS),
    Ack(ME, 7, "", RUMOURS),
    Ack(ME, 7, peer_id(2)),
    Nack(ME, 7),
    Tidings(ME, RUMOURS),
]

BODIES: list[ExchangeMessage] = [
    Summary(ME, NO_SUMS, ALL_SUMS, NO_SUMS),
    Differences(ME, {3: b"12345678"}, {}, {31: b""}),
    Entries(ME, RUMOURS, b"1234567812345678"),
]


@pytest.mark.parametrize("message", DATAGRAMS)
def test_a_datagram_is_read_back_as_it_was(message: Message) -> None:
    assert decode(encode(message)) == message


@pytest.mark.parametrize("message", BODIES)
def test_a_body_is_read_back_as_it_was(message: ExchangeMessage) -> None:
    assert decode_exchange(encode(message)) == message


def test_an_idle_exchange_takes_less_than_a_kilobyte_whatever_the_sums() -> None:
    assert len(encode(Summary(ME, ALL_SUMS, ALL_SUMS, ALL_SUMS))) < 1024
    assert len(encode(Differences(ME, {}, {}, {}))) < 128


@given(st.binary(max_size=200))
def test_whatever_bytes_come_only_a_protocol_error_is_raised(data: bytes) -> None:
    for read in (decode, decode_exchange):
        try:
            read(data)
        except ProtocolError:
            pass


@given(st.sampled_from(DATAGRAMS), st.integers(0, 400), st.integers(0, 255))
def test_a_datagram_with_one_byte_changed_is_read_or_refused(
    message: Message, place: int, byte: int
) -> None:
    data = bytearray(encode(message))
    data[place % len(data)] = byte
    try:
        decode(data)
    except ProtocolError:
        pass


@given(st.sampled_from(BODIES), st.integers(0, 1000))
def test_a_body_that_was_cut_short_is_refused(message: ExchangeMessage, length: int) -> None:
    data = encode(message)
    with pytest.raises(ProtocolError):
        decode_exchange(data[: length % len(data)])


def test_nesting_without_end_is_refused() -> None:
    with pytest.raises(ProtocolError):
        decode(b"\x91" * DATAGRAM_BYTES_MAX)


def test_a_datagram_over_the_limit_is_refused_before_it_is_read() -> None:
    data = encode(Tidings(ME, tuple(member(number) for number in range(20))))
    assert len(data) > DATAGRAM_BYTES_MAX
    with pytest.raises(ProtocolError, match="at most 1200"):
        decode(data)


def test_a_body_over_the_limit_is_refused_before_it_is_read() -> None:
    with pytest.raises(ProtocolError, match="at most"):
        decode_exchange(b"\x00" * (EXCHANGE_BYTES_MAX + 1))


def change(**fields: object) -> bytes:
    """A ping whose sender breaks a rule."""
    return encode(Ping(msgspec.structs.replace(ME, **fields), 1))


@pytest.mark.parametrize(
    "fields",
    [
        {"id": "1234"},
        {"id": "X" * 32},
        {"port": 0},
        {"port": 70_000},
        {"host": "x" * 65},
        {"host": "example.org"},
        {"host": "224.0.0.1"},
        {"host": "0.0.0.0"},
        {"host": "255.255.255.255"},
        {"host": "ff02::1"},
        {"host": ""},
        {"zone": "z" * 65},
        {"follows": ("a",) * 9},
        {"follows": ("a" * 65, "b" * 64)},
        {"incarnation": -1},
        {"incarnation": INCARNATION_MAX + 1},
        {"state": 4},
        {"by": "1" * 33},
    ],
)
def test_a_member_that_breaks_a_rule_is_refused(fields: dict[str, object]) -> None:
    with pytest.raises(ProtocolError):
        decode(change(**fields))


def test_addresses_inside_rumours_are_looked_at_too() -> None:
    astray = Holder(peer_id(5), "239.1.1.1", 7301)
    wrong: list[Rumour] = [
        msgspec.structs.replace(member(2), host="::"),
        Named(publication(), (astray,)),
    ]
    for rumour in wrong:
        with pytest.raises(ProtocolError):
            decode(encode(Tidings(ME, (rumour,))))
        with pytest.raises(ProtocolError):
            decode_exchange(encode(Entries(ME, (rumour,))))


@pytest.mark.parametrize(
    "message",
    [
        Entries(ME, (), b"1234567"),
        Differences(ME, {0: b"1"}, {}, {}),
        Differences(ME, dict.fromkeys(range(BUCKETS + 1), b""), {}, {}),
        Summary(ME, NO_SUMS[1:], NO_SUMS, NO_SUMS),
    ],
)
def test_a_body_of_the_wrong_shape_is_refused(message: ExchangeMessage) -> None:
    with pytest.raises(ProtocolError):
        decode_exchange(encode(message))


@pytest.mark.parametrize("host", ["10.0.0.1", "127.0.0.1", "fe80::1", "2001:db8::7"])
def test_the_address_of_one_machine_is_accepted(host: str) -> None:
    assert is_one_machine(host)


texts = st.text(max_size=64)
members = st.builds(
    Member,
    st.just(peer_id(1)),
    texts,
    st.integers(1, 65535),
    texts,
    st.lists(texts, max_size=8).map(tuple),
    st.integers(0, INCARNATION_MAX),
    st.sampled_from(MemberState),
    st.sampled_from(["", peer_id(2)]),
)
helds = st.builds(
    Held,
    st.just(peer_id(1)),
    st.integers(0, (1 << 64) - 1),
    st.integers(0, (1 << 63) - 1),
    st.integers(0, (1 << 63) - 1),
    st.just(b"12345678"),
    st.integers(0, (1 << 63) - 1),
)
publications = st.builds(
    Publication,
    reference=st.text(max_size=257),
    artifact=st.just(publication().artifact),
    version=st.integers(0, (1 << 63) - 1),
    size_bytes=st.integers(0, (1 << 63) - 1),
    chunk_count=st.integers(0, (1 << 63) - 1),
    published_s=st.floats(0.0, 1e12),
    name=st.text(max_size=255),
)
holders = st.builds(Holder, st.just(peer_id(1)), texts, st.integers(1, 65535))
nameds = st.builds(Named, publications, st.lists(holders, max_size=HOLDERS_MAX).map(tuple))


@given(st.one_of(members, helds, nameds))
def test_no_rumour_is_longer_than_its_size_says(rumour: Rumour) -> None:
    assert len(msgspec.msgpack.encode(rumour)) <= wire_bytes(rumour)


def test_the_size_of_a_usual_rumour_is_close_to_the_truth() -> None:
    for rumour in (member(3, zone="rack-1"), dead(3), told()):
        assert wire_bytes(rumour) <= len(msgspec.msgpack.encode(rumour)) + 24


def test_whoever_follows_more_than_is_told_is_told_of_everything() -> None:
    assert told_follows(["app:*", "lib:v1"]) == ("app:*", "lib:v1")
    assert told_follows(["a"] * 9) == FOLLOWS_ALL
    assert told_follows(["a" * 65, "b" * 64]) == FOLLOWS_ALL


def test_a_publication_is_told_with_as_many_holders_as_fit() -> None:
    crowd = [holder(number) for number in range(5)]
    assert named(publication(), crowd).holders == tuple(crowd[:HOLDERS_MAX])
    longest = publication("n" * 128 + ":" + "t" * 128, name="f" * 255)
    told_of = named(longest, crowd)
    assert told_of.holders == tuple(crowd[:1])
    assert wire_bytes(told_of) <= RUMOUR_BYTES_MAX


def test_a_claim_keeps_what_it_does_not_change() -> None:
    claim = claim_of(ME, MemberState.SUSPECT, peer_id(2))
    assert claim == msgspec.structs.replace(ME, state=MemberState.SUSPECT, by=peer_id(2))


def test_claims_are_ordered_by_incarnation_and_then_by_state() -> None:
    ordered = [
        member(1, 5),
        suspect(1, 2, 5),
        dead(1, 5),
        member(1, 5, MemberState.LEFT),
        member(1, 6),
    ]
    assert sorted(ordered, key=version_of) == ordered
    assert len({version_of(claim) for claim in ordered}) == len(ordered)

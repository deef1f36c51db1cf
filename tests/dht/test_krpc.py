"""The messages of BEP 5: its own examples, and what is refused."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from strew.dht import bencode
from strew.dht.bencode import Source
from strew.dht.contact import Contact, Key, NodeId
from strew.dht.krpc import (
    BYTES_IN_MAX,
    BYTES_OUT_MAX,
    NODES_READ_MAX,
    PEERS_READ_MAX,
    AnnouncePeer,
    Answer,
    Failure,
    FindNode,
    GetPeers,
    Krpc,
    Ping,
    UnknownQuery,
    decode,
    encode,
)
from strew.errors import ProtocolError

ASKER = NodeId(int.from_bytes(b"abcdefghij0123456789", "big"))
ASKED = NodeId(int.from_bytes(b"mnopqrstuvwxyz123456", "big"))
KEY = Key(ASKED)
ID = b"abcdefghij0123456789"
NODE = Contact(ASKED, "10.1.2.3", 0x1A2B)

EXAMPLES = [
    (
        Ping(b"aa", sender=ASKER),
        b"d1:ad2:id20:abcdefghij0123456789e1:q4:ping1:t2:aa1:y1:qe",
    ),
    (
        FindNode(b"aa", ASKED, sender=ASKER),
        b"d1:ad2:id20:abcdefghij01234567896:target20:mnopqrstuvwxyz123456e"
        b"1:q9:find_node1:t2:aa1:y1:qe",
    ),
    (
        GetPeers(b"aa", KEY, sender=ASKER),
        b"d1:ad2:id20:abcdefghij01234567899:info_hash20:mnopqrstuvwxyz123456e"
        b"1:q9:get_peers1:t2:aa1:y1:qe",
    ),
    (
        AnnouncePeer(b"aa", KEY, 6881, b"aoeusnth", True, sender=ASKER),
        b"d1:ad2:id20:abcdefghij012345678912:implied_porti1e9:info_hash20:mnopqrstuvwxyz123456"
        b"4:porti6881e5:token8:aoeusnthe1:q13:announce_peer1:t2:aa1:y1:qe",
    ),
    (
        Answer(b"aa", ASKED),
        b"d1:rd2:id20:mnopqrstuvwxyz123456e1:t2:aa1:y1:re",
    ),
    (
        Answer(b"aa", ASKER, (), (("97.120.106.101", 11893), ("105.100.104.116", 28269)), b"aoeus"),
        b"d1:rd2:id20:abcdefghij01234567895:nodes0:5:token5:aoeus"
        b"6:valuesl6:axje.u6:idhtnmee1:t2:aa1:y1:re",
    ),
    (
        Failure(b"aa", 201, "A Generic Error Ocurred"),
        b"d1:eli201e23:A Generic Error Ocurrede1:t2:aa1:y1:ee",
    ),
]


@pytest.mark.parametrize(("message", "data"), EXAMPLES, ids=lambda part: type(part).__name__)
def test_the_examples_of_the_specification(message: Krpc, data: bytes) -> None:
    assert encode(message) == data
    read = decode(data)
    if isinstance(message, AnnouncePeer):
        assert read == AnnouncePeer(b"aa", KEY, 0, b"aoeusnth", True, sender=ASKER)
    else:
        assert read == message


@pytest.mark.parametrize(
    "message",
    [
        Ping(b"\x00\xff", sender=ASKER, read_only=True),
        FindNode(b"1", 0, sender=NodeId(0)),
        AnnouncePeer(b"aa", KEY, 7301, b"t", sender=ASKER),
        Answer(b"aa", ASKED, (NODE, NODE), token=b"t", provides=7301),
        Failure(b"aa", 204, "Method Unknown"),
    ],
    ids=lambda message: type(message).__name__,
)
def test_a_message_comes_back(message: Krpc) -> None:
    assert decode(encode(message)) == message


def test_the_largest_answer_fits_a_datagram() -> None:
    answer = Answer(
        b"t" * 32,
        ASKED,
        tuple(Contact(NodeId(n), "10.1.2.3", 65535) for n in range(8)),
        tuple(("10.1.2.3", port) for port in range(1, 51)),
        b"12345678",
        65535,
    )
    assert len(encode(answer)) <= BYTES_OUT_MAX
    assert decode(encode(answer)) == answer


def query(**changed: Source) -> bytes:
    body: dict[bytes, Source] = {b"t": b"aa", b"y": b"q", b"q": b"ping", b"a": {b"id": ID}}
    return bencode.encode(body | {name.encode(): value for name, value in changed.items()})


def answer(**fields: Source) -> bytes:
    body = {b"id": ID} | {name.encode(): value for name, value in fields.items()}
    return bencode.encode({b"t": b"aa", b"y": b"r", b"r": body})


def test_unknown_keys_are_ignored() -> None:
    data = query(v=b"LT01", a={b"id": ID, b"want": [b"n4"]}, ip=b"\x7f\x00\x00\x01\x1a\x2b")
    assert decode(data) == Ping(b"aa", sender=ASKER)


def test_an_unknown_method_is_a_query_to_refuse() -> None:
    assert decode(query(q=b"put")) == UnknownQuery(b"aa")


def test_of_ten_thousand_nodes_the_first_are_read() -> None:
    compact = b"".join(n.to_bytes(20, "big") + b"\x0a\x00\x00\x01\x1c\x85" for n in range(2000))
    read = decode(answer(nodes=compact))
    assert isinstance(read, Answer) and read.nodes is not None
    assert [node.id for node in read.nodes] == list(range(NODES_READ_MAX))


def test_of_too_many_peers_the_first_are_read() -> None:
    peers = [b"\x0a\x00" + n.to_bytes(2, "big") + b"\x1c\x85" for n in range(1000)]
    read = decode(answer(values=peers))
    assert isinstance(read, Answer)
    assert len(read.peers) == PEERS_READ_MAX


def test_addresses_that_can_be_nobody_s_are_left_out() -> None:
    nobody = [b"\x0a\x00\x00\x01\x00\x00", b"\xe0\x00\x00\x01\x1c\x85", b"\x00" * 4 + b"\x1c\x85"]
    read = decode(answer(values=nobody, nodes=b"".join(ID + address for address in nobody)))
    assert read == Answer(b"aa", ASKER, ())


def test_peers_of_the_other_internet_are_left_out() -> None:
    read = decode(answer(values=[b"\x20" * 18, b"\x0a\x00\x00\x01\x1c\x85", 7]))
    assert isinstance(read, Answer)
    assert read.peers == (("10.0.0.1", 7301),)


ANNOUNCE: dict[bytes, Source] = {b"id": ID, b"info_hash": ID, b"port": 7301, b"token": b"t"}


@pytest.mark.parametrize(
    "data",
    [
        b"",
        b"d",
        b"le",
        b"de",
        query(t=b""),
        query(t=b"t" * 33),
        query(t=7),
        query(y=b"x"),
        query(y=b"qq"),
        query(q=7),
        query(a=[]),
        query(a={}),
        query(a={b"id": b"short"}),
        query(a={b"id": ID + b"x"}),
        query(q=b"find_node"),
        query(q=b"find_node", a={b"id": ID, b"target": b"short"}),
        query(q=b"get_peers", a={b"id": ID, b"info_hash": 7}),
        query(q=b"announce_peer", a=ANNOUNCE | {b"port": 0}),
        query(q=b"announce_peer", a=ANNOUNCE | {b"port": 65536}),
        query(q=b"announce_peer", a=ANNOUNCE | {b"port": b"7301"}),
        query(q=b"announce_peer", a=ANNOUNCE | {b"token": b"t" * 129}),
        query(q=b"announce_peer", a={b"id": ID, b"info_hash": ID, b"port": 7301}),
        query(y=b"r"),
        answer(id=b"short"),
        answer(nodes=b"x" * 25),
        answer(nodes=7),
        answer(values=b"x" * 6),
        answer(token=b"t" * 129),
        answer(token=7),
        answer(provides=65536),
        answer(provides=-1),
        query(y=b"e"),
        query(y=b"e", e=[201]),
        query(y=b"e", e=[b"201", b"text"]),
        query(y=b"e", e=[201, 201]),
        b"x" * (BYTES_IN_MAX + 1),
    ],
)
def test_what_breaks_a_rule_is_refused(data: bytes) -> None:
    with pytest.raises(ProtocolError):
        decode(data)


def test_a_failure_s_text_is_cut_and_need_not_be_text() -> None:
    data = bencode.encode({b"t": b"aa", b"y": b"e", b"e": [203, b"\xff" * 5000]})
    assert decode(data) == Failure(b"aa", 203, "�" * 200)


ids = st.integers(0, (1 << 160) - 1)
hosts = st.integers(1, 223).map(lambda first: f"{first}.0.200.255")
ports = st.integers(1, 65535)
transactions = st.binary(min_size=1, max_size=32)
answers = st.builds(
    Answer,
    transactions,
    ids,
    st.none() | st.lists(st.builds(Contact, ids, hosts, ports), max_size=8).map(tuple),
    st.lists(st.tuples(hosts, ports), max_size=50).map(tuple),
    st.binary(max_size=20),
    st.integers(0, 65535),
)
messages = (
    st.builds(Ping, transactions, sender=ids, read_only=st.booleans())
    | st.builds(FindNode, transactions, ids, sender=ids, read_only=st.booleans())
    | st.builds(GetPeers, transactions, ids, sender=ids, read_only=st.booleans())
    | st.builds(AnnouncePeer, transactions, ids, ports, st.binary(max_size=128), sender=ids)
    | answers
)


@given(messages)
def test_any_message_comes_back(message: Krpc) -> None:
    assert decode(encode(message)) == message


@given(st.binary(max_size=300))
def test_any_bytes_are_a_message_or_refused(data: bytes) -> None:
    try:
        assert isinstance(decode(data), Krpc)
    except ProtocolError:
        pass


@given(messages, st.data())
def test_a_message_with_bytes_changed_is_a_message_or_refused(
    message: Krpc, draw: st.DataObject
) -> None:
    data = bytearray(encode(message))
    for _ in range(draw.draw(st.integers(1, 4))):
        at = draw.draw(st.integers(0, len(data) - 1))
        data[at] = draw.draw(st.sampled_from([*b"deil:0123456789-", 0, 255]))
    try:
        assert isinstance(decode(bytes(data)), Krpc)
    except ProtocolError:
        pass

"""The messages of the table, as values and as bencoded bytes (BEP 5, "KRPC").

A query carries a transaction chosen by its sender, and the answer or failure repeats it. Answers do
not say what they answer: their fields are read as far as they are there, and the asker knows what
it asked. Unknown keys are ignored; an unknown method becomes `UnknownQuery`, to be refused by code
204. Queries may say that their sender answers nobody (BEP 43, ``ro``).

One key is our own: ``provides`` in an answer to get_peers is the port at which the *answering* node
itself provides the key. It cannot name its own address among ``values``, for it does not know it.
Others ignore it.

All limits are checked when a message is read; a message built in this process is trusted.
"""

from __future__ import annotations

from typing import TypeVar

from strew.dht import bencode
from strew.dht.bencode import Source, Value
from strew.dht.contact import ID_BYTES, Address, Contact, Key, NodeId, reachable
from strew.errors import ProtocolError
from strew.messages import Datagram

BYTES_OUT_MAX = 1400
"""Largest message sent: fits one unfragmented datagram on every common link."""

BYTES_IN_MAX = 65_507
"""Largest payload of a UDP datagram over IPv4."""

TRANSACTION_BYTES_MAX = 32
"""Longest transaction read. Ours have 4 bytes, others' 2 to 8; it is sent back, so longer ones
would be a way to have us send what others wrote."""

TOKEN_BYTES_MAX = 128
"""Longest write token read: BEP 5 sets none, the known ones have 4 to 20 bytes."""

NODES_READ_MAX = 16
"""Contacts read of one answer, of however many it has. Twice what a right answer holds."""

PEERS_READ_MAX = 150
"""Peers read of one answer: more than 1400 bytes hold, and libtorrent's 100."""

ERROR_TEXT_BYTES_MAX = 200
"""Kept of a failure's text."""

GENERIC_ERROR = 201
SERVER_ERROR = 202
PROTOCOL_ERROR = 203
METHOD_UNKNOWN = 204

_CONTACT_BYTES = ID_BYTES + 6
_ADDRESS_BYTES = 6


class Krpc(Datagram, frozen=True, gc=False):
    """Any message of the table."""

    transaction: bytes


class Query(Krpc, frozen=True, gc=False, kw_only=True):
    """A question. `read_only`: its sender answers none itself and belongs in no table."""

    sender: NodeId
    read_only: bool = False


class Ping(Query, frozen=True, gc=False):
    """Are you there, and who are you?"""


class FindNode(Query, frozen=True, gc=False):
    """Which nodes do you know nearest to `target`?"""

    target: int


class GetPeers(Query, frozen=True, gc=False):
    """Who provides `key`, and which nodes do you know nearest to it?"""

    key: Key


class AnnouncePeer(Query, frozen=True, gc=False):
    """I provide `key` at `port`, or with `implied_port` at the port this datagram came from.

    `token` is what the asked node gave with its last answer to `GetPeers`.
    """

    key: Key
    port: int
    token: bytes
    implied_port: bool = False


class UnknownQuery(Krpc, frozen=True, gc=False):
    """A query of a method that is not of BEP 5."""


class Answer(Krpc, frozen=True, gc=False):
    """To any query. `nodes` is None where the question was not after nodes; `provides` is 0 unless
    the sender itself provides the key at that port."""

    sender: NodeId
    nodes: tuple[Contact, ...] | None = None
    peers: tuple[Address, ...] = ()
    token: bytes = b""
    provides: int = 0


class Failure(Krpc, frozen=True, gc=False):
    """The query was understood as one and refused."""

    code: int
    text: str


MESSAGES = (Ping, FindNode, GetPeers, AnnouncePeer, Answer, Failure)
"""What `encode` takes."""


def encode(message: Krpc) -> bytes:
    """The bytes of a message, at most `BYTES_OUT_MAX`."""
    body: dict[bytes, Source] = {b"t": message.transaction}
    match message:
        case Answer():
            body |= {b"y": b"r", b"r": _answer_body(message)}
        case Failure():
            body |= {b"y": b"e", b"e": [message.code, message.text.encode()]}
        case Query():
            method, arguments = _query_body(message)
            body |= {b"y": b"q", b"q": method, b"a": arguments}
            if message.read_only:
                body[b"ro"] = 1
        case _:
            raise AssertionError(f"{type(message).__name__} is only ever received")
    data = bencode.encode(body)
    assert len(data) <= BYTES_OUT_MAX, f"message of {len(data)} bytes"
    return data


def decode(data: bytes) -> Krpc:
    """Read a message strictly; ProtocolError names the field and the rule it breaks."""
    if len(data) > BYTES_IN_MAX:
        raise ProtocolError(f"datagram of {len(data)} bytes; at most {BYTES_IN_MAX}")
    body = _need(bencode.decode(data), dict, "message")
    transaction = _field(body, b"t", bytes)
    if not 0 < len(transaction) <= TRANSACTION_BYTES_MAX:
        raise ProtocolError(f"transaction of {len(transaction)} bytes")
    match _field(body, b"y", bytes):
        case b"q":
            return _read_query(transaction, body)
        case b"r":
            return _read_answer(transaction, _field(body, b"r", dict))
        case b"e":
            return _read_failure(transaction, _field(body, b"e", list))
    raise ProtocolError("y is none of q, r, e")


# --- writing ------------------------------------------------------------------------------------


def _id_bytes(number: int) -> bytes:
    return number.to_bytes(ID_BYTES, "big")


def _address_bytes(host: str, port: int) -> bytes:
    return bytes(map(int, host.split("."))) + port.to_bytes(2, "big")


def _query_body(query: Query) -> tuple[bytes, dict[bytes, Source]]:
    arguments: dict[bytes, Source] = {b"id": _id_bytes(query.sender)}
    match query:
        case FindNode():
            return b"find_node", arguments | {b"target": _id_bytes(query.target)}
        case GetPeers():
            return b"get_peers", arguments | {b"info_hash": _id_bytes(query.key)}
        case AnnouncePeer():
            return b"announce_peer", arguments | {
                b"info_hash": _id_bytes(query.key),
                b"port": query.port,
                b"token": query.token,
                b"implied_port": int(query.implied_port),
            }
    return b"ping", arguments


def _answer_body(answer: Answer) -> dict[bytes, Source]:
    body: dict[bytes, Source] = {b"id": _id_bytes(answer.sender)}
    if answer.nodes is not None:
        body[b"nodes"] = b"".join(
            _id_bytes(node.id) + _address_bytes(node.host, node.port) for node in answer.nodes
        )
    if answer.peers:
        body[b"values"] = [_address_bytes(host, port) for host, port in answer.peers]
    if answer.token:
        body[b"token"] = answer.token
    if answer.provides:
        body[b"provides"] = answer.provides
    return body


# --- reading ------------------------------------------------------------------------------------

_Kind = TypeVar("_Kind", int, bytes, list[Value], dict[bytes, Value])


def _need(value: Value | None, kind: type[_Kind], what: str) -> _Kind:
    if not isinstance(value, kind):
        raise ProtocolError(f"{what} is missing or no {kind.__name__}")
    return value


def _field(body: dict[bytes, Value], name: bytes, kind: type[_Kind]) -> _Kind:
    return _need(body.get(name), kind, name.decode())


def _id_field(body: dict[bytes, Value], name: bytes) -> int:
    data = _field(body, name, bytes)
    if len(data) != ID_BYTES:
        raise ProtocolError(f"{name.decode()} of {len(data)} bytes; it must have {ID_BYTES}")
    return int.from_bytes(data, "big")


def _read_query(transaction: bytes, body: dict[bytes, Value]) -> Krpc:
    method = _field(body, b"q", bytes)
    arguments = _field(body, b"a", dict)
    read_only = body.get(b"ro") == 1
    match method:
        case b"ping":
            sender = NodeId(_id_field(arguments, b"id"))
            return Ping(transaction, sender=sender, read_only=read_only)
        case b"find_node":
            sender = NodeId(_id_field(arguments, b"id"))
            target = _id_field(arguments, b"target")
            return FindNode(transaction, target, sender=sender, read_only=read_only)
        case b"get_peers":
            sender = NodeId(_id_field(arguments, b"id"))
            key = Key(_id_field(arguments, b"info_hash"))
            return GetPeers(transaction, key, sender=sender, read_only=read_only)
        case b"announce_peer":
            return _read_announce(transaction, arguments, read_only)
    return UnknownQuery(transaction)


def _read_announce(
    transaction: bytes, arguments: dict[bytes, Value], read_only: bool
) -> AnnouncePeer:
    implied = arguments.get(b"implied_port", 0) not in (0, b"")
    port = _field(arguments, b"port", int) if not implied else 0
    if not implied and not 0 < port < 65536:
        raise ProtocolError(f"port {port} is out of range")
    token = _field(arguments, b"token", bytes)
    if len(token) > TOKEN_BYTES_MAX:
        raise ProtocolError(f"token of {len(token)} bytes; at most {TOKEN_BYTES_MAX}")
    return AnnouncePeer(
        transaction,
        Key(_id_field(arguments, b"info_hash")),
        port,
        token,
        implied,
        sender=NodeId(_id_field(arguments, b"id")),
        read_only=read_only,
    )


def _read_answer(transaction: bytes, body: dict[bytes, Value]) -> Answer:
    nodes = None
    if b"nodes" in body:
        nodes = _read_nodes(_field(body, b"nodes", bytes))
    peers: tuple[Address, ...] = ()
    if b"values" in body:
        peers = _read_peers(_field(body, b"values", list))
    token = _field(body, b"token", bytes) if b"token" in body else b""
    if len(token) > TOKEN_BYTES_MAX:
        raise ProtocolError(f"token of {len(token)} bytes; at most {TOKEN_BYTES_MAX}")
    provides = _field(body, b"provides", int) if b"provides" in body else 0
    if not 0 <= provides < 65536:
        raise ProtocolError(f"provides {provides} is no port")
    return Answer(transaction, NodeId(_id_field(body, b"id")), nodes, peers, token, provides)


def _read_nodes(data: bytes) -> tuple[Contact, ...]:
    """The first contacts of a compact list, without addresses that can be nobody's."""
    if len(data) % _CONTACT_BYTES:
        raise ProtocolError(f"nodes of {len(data)} bytes; each has {_CONTACT_BYTES}")
    contacts = []
    for at in range(0, min(len(data), NODES_READ_MAX * _CONTACT_BYTES), _CONTACT_BYTES):
        middle, end = at + ID_BYTES, at + _CONTACT_BYTES
        host, port = _read_address(data[middle:end])
        if reachable(host, port):
            contacts.append(Contact(NodeId(int.from_bytes(data[at:middle], "big")), host, port))
    return tuple(contacts)


def _read_peers(values: list[Value]) -> tuple[Address, ...]:
    """The first IPv4 peers of a list; longer strings among them are IPv6's (BEP 32)."""
    peers = []
    for value in values[:PEERS_READ_MAX]:
        if isinstance(value, bytes) and len(value) == _ADDRESS_BYTES:
            host, port = _read_address(value)
            if reachable(host, port):
                peers.append((host, port))
    return tuple(peers)


def _read_address(data: bytes) -> Address:
    return ".".join(map(str, data[:4])), int.from_bytes(data[4:], "big")


def _read_failure(transaction: bytes, items: list[Value]) -> Failure:
    if len(items) < 2:
        raise ProtocolError("e has no code and text")
    code = _need(items[0], int, "code")
    text = _need(items[1], bytes, "text")[:ERROR_TEXT_BYTES_MAX]
    return Failure(transaction, code, text.decode("utf-8", "replace"))

"""Datagrams that no honest member sends, and no honest node of the hash table.

They come from addresses of their own on loopback, so that silencing one host says nothing of the
others.
"""

import json
import random
import socket
from collections.abc import Iterator
from typing import Any

import msgspec
import pytest

from strew.dht import bencode
from strew.fleet import FleetKey
from strew.gossip.protocol import Entries, Member, MemberState, Ping, Tidings, encode
from strew.messages import PeerId
from strew.transfer.datagram import Label
from strew.transfer.sealing import Seal
from tests.badinput.daemons import Daemons, running_daemons
from tests.cli.processes import until

BOTH = ("serve", "node")
ANSWER_WITHIN_S = 5.0
SILENT_S = 0.3
"""How long is waited for an answer that must not come."""

INVENTED = 100_000
INVENTED_IN_ONE = 20_000
"""Claims in one body of an exchange: about 1 MB."""

at_both = pytest.mark.parametrize("at", BOTH)


@pytest.fixture(scope="module")
def open_daemons(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Daemons]:
    """Daemons of their own: what is invented here stays in their tables for an hour."""
    with running_daemons(tmp_path_factory.mktemp("datagrams"), "--dht-open") as daemons:
        yield daemons


@pytest.fixture
def daemons(open_daemons: Daemons) -> Iterator[Daemons]:
    yield open_daemons
    open_daemons.unharmed()


class Outsider:
    """A UDP socket on a loopback address that nobody else sends from."""

    def __init__(self, host: str) -> None:
        self.socket = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
        self.socket.bind((host, 0))
        self.host, self.port = self.socket.getsockname()

    def send(self, daemons: Daemons, at: str, data: bytes) -> None:
        self.socket.sendto(data, ("127.0.0.1", daemons.ports[at]))

    def hears(self, within_s: float) -> bytes | None:
        self.socket.settimeout(within_s)
        try:
            return self.socket.recv(65536)
        except TimeoutError:
            return None


@pytest.fixture
def outsider(request: pytest.FixtureRequest) -> Iterator[Outsider]:
    """One for each test, at an address drawn from its name."""
    number = random.Random(request.node.nodeid).randrange(1 << 20)
    made = Outsider(f"127.{1 + (number >> 14)}.{number >> 7 & 127}.{1 + (number & 127)}")
    yield made
    made.socket.close()


def dropped(daemons: Daemons, at: str, reason: str) -> float:
    """How many datagrams a daemon did not take for this reason."""
    body = daemons.ask(at, "GET", "/metrics").body.decode()
    name = f'strew_datagrams_dropped_total{{reason="{reason}"}}'
    (line,) = [line for line in body.splitlines() if line.startswith(name)]
    return float(line.rpartition(" ")[2])


def gossip(daemons: Daemons, at: str) -> dict[str, Any]:
    return dict(json.loads(daemons.ask(at, "GET", "/api/v1/node").body)["gossip"])


def me_of(daemons: Daemons, at: str) -> Member:
    return msgspec.convert(gossip(daemons, at)["me"], Member)


def member(outsider: Outsider, **changed: Any) -> Member:
    """The outsider as a member of the fleet."""
    fields = {"id": PeerId("b" * 32), "host": outsider.host, "port": outsider.port}
    return Member(**(fields | changed))


# --- datagrams that are none ---------------------------------------------------------------------

DATA: dict[str, tuple[bytes, str]] = {
    "no bytes": (b"", "length"),
    "one byte": (b"\x11", "length"),
    "65,507 bytes": (b"\x11" * 65_507, "length"),
    "40 bytes": (b"\x11" * 40, "length"),
    "1401 bytes": (b"\x11" * 1401, "length"),
    "another version": (b"\x21" + bytes(100), "label"),
    "a foreign label": (b"\x7f" + bytes(100), "label"),
    "what is sealed for a closed table": (b"\x12" + bytes(100), "label"),
    "zeros": (bytes(200), "label"),
    "a bad tag": (b"\x11" + bytes(100), "tag"),
    "HTTP": (b"GET / HTTP/1.1\r\n\r\n", "label"),
}


@at_both
@pytest.mark.parametrize("name", DATA)
def test_a_datagram_that_is_none_is_counted_and_not_answered(
    daemons: Daemons, outsider: Outsider, at: str, name: str
) -> None:
    data, reason = DATA[name]
    before = dropped(daemons, at, reason)
    outsider.send(daemons, at, data)
    until(lambda: dropped(daemons, at, reason) > before, "the datagram to be counted")
    assert outsider.hears(0.05) is None


@at_both
def test_another_fleets_datagram_is_not_answered(
    daemons: Daemons, outsider: Outsider, at: str
) -> None:
    seal = Seal(FleetKey(b"another fleet's key of 32 bytes!"))
    before = dropped(daemons, at, "tag")
    outsider.send(daemons, at, seal.seal(Label.GOSSIP, encode(Ping(member(outsider), 7))))
    until(lambda: dropped(daemons, at, "tag") > before, "the datagram to be counted")
    assert outsider.hears(SILENT_S) is None


@at_both
def test_a_datagram_is_taken_once_and_only_as_it_was_sealed(
    daemons: Daemons, outsider: Outsider, at: str
) -> None:
    seal = Seal(daemons.key)
    sealed = seal.seal(Label.GOSSIP, encode(Ping(member(outsider), 7)))
    damaged = sealed[:-1] + bytes([sealed[-1] ^ 1])
    tags = dropped(daemons, at, "tag")
    outsider.send(daemons, at, damaged)
    until(lambda: dropped(daemons, at, "tag") > tags, "the damage to be seen")
    assert outsider.hears(0.05) is None
    outsider.send(daemons, at, sealed)
    assert outsider.hears(ANSWER_WITHIN_S), "an honest ping is answered"
    replays = dropped(daemons, at, "replay")
    for _ in range(3):
        outsider.send(daemons, at, sealed)
    until(lambda: dropped(daemons, at, "replay") >= replays + 3, "the replays to be seen")


def bad_messages(sender: Member) -> dict[str, bytes]:
    """What may be sealed by a member that is broken, or in bad hands."""
    pack = msgspec.msgpack.encode
    true = msgspec.to_builtins(sender)
    ping = pack([1, true, 7])
    return {
        "nothing": b"",
        "no MessagePack": b"\xc1\xff\x00",
        "deep lists": b"\x91" * 1300,
        "a map": pack({"sender": 1}),
        "an unknown kind": pack([99, true, 7]),
        "a negative number": pack([1, true, -1]),
        "half a ping": ping[: len(ping) // 2],
        "an id of 31 digits": pack([1, [1, "b" * 31, *true[2:]], 7]),
        "a name for a host": pack([1, [1, "b" * 32, "evil.example", *true[3:]], 7]),
        "a multicast host": pack([1, [1, "b" * 32, "224.0.0.1", *true[3:]], 7]),
        "port 0": pack([1, [1, "b" * 32, "127.0.0.1", 0, *true[4:]], 7]),
        "an incarnation of 2^63": pack([1, [1, "b" * 32, "127.0.0.1", 9, "", [], 1 << 63], 7]),
        "a state that is none": pack([1, [1, "b" * 32, "127.0.0.1", 9, "", [], 1, 9], 7]),
        "a rumour of no kind": pack([1, true, 7, [[9, 1, 2]]]),
    }


@at_both
@pytest.mark.parametrize("name", bad_messages(Member(PeerId("b" * 32), "127.0.0.1", 9)))
def test_what_is_sealed_and_breaks_a_rule_is_counted(
    daemons: Daemons, outsider: Outsider, at: str, name: str
) -> None:
    message = bad_messages(member(outsider))[name]
    before = dropped(daemons, at, "malformed")
    outsider.send(daemons, at, Seal(daemons.key).seal(Label.GOSSIP, message))
    until(lambda: dropped(daemons, at, "malformed") > before, "the message to be counted")


# --- rumours -------------------------------------------------------------------------------------


def test_a_rumour_that_one_is_dead_is_refuted(daemons: Daemons, outsider: Outsider) -> None:
    me = me_of(daemons, "node")
    for state in (MemberState.SUSPECT, MemberState.DEAD, MemberState.LEFT):
        now = me_of(daemons, "node").incarnation
        claim = Member(me.id, me.host, me.port, incarnation=now, state=state, by="c" * 32)
        told = encode(Tidings(member(outsider), (claim,)))
        outsider.send(daemons, "node", Seal(daemons.key).seal(Label.GOSSIP, told))
        until(lambda old=now: me_of(daemons, "node").incarnation > old, "the rumour to be refuted")
    assert me_of(daemons, "node").state == MemberState.ALIVE
    nodes = json.loads(daemons.ask("serve", "GET", "/api/v1/gossip/nodes").body)
    assert me.id in {node["id"] for node in nodes}


def test_a_hundred_thousand_invented_members_fill_no_table(
    daemons: Daemons, outsider: Outsider
) -> None:
    """Told in bodies of exchanges, which hold most: the table keeps its limit, the true stay."""
    true_port = daemons.ports["serve"]
    for first in range(0, INVENTED, INVENTED_IN_ONE):
        claims = tuple(
            Member(PeerId(f"{number:032x}"), f"10.{number >> 16}.{number >> 8 & 255}.9", 9)
            for number in range(first + 1, first + INVENTED_IN_ONE + 1)
        )
        body = encode(Entries(member(outsider), claims))
        answer = daemons.ask("node", "POST", "/api/v1/gossip", body)
        assert answer.status == 200, answer.body
    known = gossip(daemons, "node")
    assert known["living"] <= 20_000
    nodes = json.loads(daemons.ask("node", "GET", "/api/v1/nodes").body)
    assert true_port in {node["port"] for node in nodes}


# --- the hash table, in the open -----------------------------------------------------------------

ME = b"m" * 20


def query(method: bytes, **arguments: Any) -> bytes:
    body = {name.encode(): value for name, value in ({"id": ME} | arguments).items()}
    return bencode.encode({b"t": b"tt", b"y": b"q", b"q": method, b"a": body})


def answered(daemons: Daemons, outsider: Outsider, at: str, data: bytes) -> dict[bytes, Any]:
    """The answer to a query. What the node asks itself meanwhile is passed over."""
    outsider.send(daemons, at, data)
    for _ in range(50):
        heard = outsider.hears(ANSWER_WITHIN_S)
        assert heard is not None, "no answer"
        message = bencode.decode(heard)
        assert isinstance(message, dict)
        if message[b"y"] != b"q":
            return message
    raise AssertionError("questions and no answer")


BAD_KRPC: dict[str, bytes] = {
    "half a dictionary": b"d1:t2:tt",
    "a dictionary without end": b"d" + b"1:a" * 400,
    "deep lists": b"d1:t" + b"l" * 1000,
    "a number without end": b"d1:ti" + b"9" * 1300 + b"e",
    "a length that lies": b"d1:t99999999999:x",
    "no transaction": bencode.encode({b"y": b"q", b"q": b"ping", b"a": {b"id": ME}}),
    "a transaction of 1000 bytes": bencode.encode(
        {b"t": b"t" * 1000, b"y": b"q", b"q": b"ping", b"a": {b"id": ME}}
    ),
    "a short id": query(b"ping", id=b"m" * 19),
    "a long id": query(b"ping", id=b"m" * 21),
    "no id": bencode.encode({b"t": b"tt", b"y": b"q", b"q": b"ping", b"a": {}}),
    "arguments as a list": bencode.encode({b"t": b"tt", b"y": b"q", b"q": b"ping", b"a": []}),
    "a short target": query(b"find_node", target=b"short"),
    "a key of 21 bytes": query(b"get_peers", info_hash=b"k" * 21),
    "a kind that is none": bencode.encode({b"t": b"tt", b"y": b"z"}),
    "65,507 bytes": b"d1:t2:tt1:y1:q" + b"x" * 65_493,
}


@pytest.mark.parametrize("name", BAD_KRPC)
def test_what_is_no_message_of_the_table_is_counted(
    daemons: Daemons, outsider: Outsider, name: str
) -> None:
    before = dropped(daemons, "node", "malformed")
    outsider.send(daemons, "node", BAD_KRPC[name])
    until(lambda: dropped(daemons, "node", "malformed") > before, "the message to be counted")


def test_an_unknown_method_is_refused_by_its_code(daemons: Daemons, outsider: Outsider) -> None:
    refusal = answered(daemons, outsider, "node", query(b"format_disk"))
    assert (refusal[b"y"], refusal[b"t"], refusal[b"e"][0]) == (b"e", b"tt", 204)


@pytest.mark.parametrize("token", [b"", b"stale", bytes(range(20)), b"x" * 129])
def test_nobody_provides_anything_without_the_token(
    daemons: Daemons, outsider: Outsider, token: bytes
) -> None:
    key = b"k" * 20
    malformed = dropped(daemons, "node", "malformed")
    given = {"token": token} if token else {}
    asked = query(b"announce_peer", info_hash=key, port=9, **given)
    if len(token) > 128 or not token:
        outsider.send(daemons, "node", asked)
        until(lambda: dropped(daemons, "node", "malformed") > malformed, "it to be counted")
    else:
        refusal = answered(daemons, outsider, "node", asked)
        assert (refusal[b"y"], refusal[b"e"][0]) == (b"e", 203)
    told = answered(daemons, outsider, "node", query(b"get_peers", info_hash=key))
    assert b"values" not in told[b"r"]


def test_a_token_is_no_good_at_another_address(daemons: Daemons, outsider: Outsider) -> None:
    key = b"j" * 20
    token = answered(daemons, outsider, "node", query(b"get_peers", info_hash=key))[b"r"][b"token"]
    thief = Outsider("127.99.99.99")
    try:
        stolen = query(b"announce_peer", info_hash=key, port=9, token=token)
        assert answered(daemons, thief, "node", stolen)[b"e"][0] == 203
    finally:
        thief.socket.close()
    assert answered(daemons, outsider, "node", stolen)[b"y"] == b"r"


@pytest.mark.parametrize("transaction", [b"", b"zz", b"\x00\x00\x00\x01", b"t" * 32])
def test_an_answer_to_nothing_is_passed_over(
    daemons: Daemons, outsider: Outsider, transaction: bytes
) -> None:
    nodes = b"".join(
        number.to_bytes(20, "big") + bytes([127, 0, 0, 1]) + b"\x00\x09" for number in range(10_000)
    )
    for told in (nodes[: 26 * 50], nodes[: 26 * 2500], b"n" * 27):
        forged = {b"t": transaction, b"y": b"r", b"r": {b"id": ME, b"nodes": told}}
        outsider.send(daemons, "node", bencode.encode(forged))
    assert answered(daemons, outsider, "node", query(b"ping"))[b"y"] == b"r"


def test_an_answer_with_thousands_of_nodes_is_read_to_a_limit(
    daemons: Daemons, outsider: Outsider
) -> None:
    """The node pings whoever asks; the answer names 2500 others, none of whom it then asks."""
    trap = Outsider("127.88.88.88")
    address = bytes(map(int, trap.host.split("."))) + trap.port.to_bytes(2, "big")
    nodes = b"".join(number.to_bytes(20, "big") + address for number in range(1, 2501))
    outsider.send(daemons, "node", query(b"ping"))
    try:
        for _ in range(3):
            heard = outsider.hears(1.0)
            message = bencode.decode(heard) if heard else {}
            assert isinstance(message, dict)
            if message.get(b"y") == b"q":
                told = {b"id": ME, b"nodes": nodes}
                answer = {b"t": message[b"t"], b"y": b"r", b"r": told}
                outsider.send(daemons, "node", bencode.encode(answer))
        asked = 0
        while trap.hears(0.2) is not None:
            asked += 1
        assert asked <= 16
    finally:
        trap.socket.close()
    assert answered(daemons, outsider, "node", query(b"ping"))[b"y"] == b"r"


def test_a_flood_silences_its_own_host_only(daemons: Daemons, outsider: Outsider) -> None:
    before = dropped(daemons, "node", "flood")
    for _ in range(300):
        outsider.send(daemons, "node", b"\x11" + bytes(60))
    until(lambda: dropped(daemons, "node", "flood") > before, "the flood to be seen")
    outsider.send(daemons, "node", query(b"ping"))
    assert outsider.hears(SILENT_S) is None
    other = Outsider("127.77.77.77")
    try:
        assert answered(daemons, other, "node", query(b"ping"))[b"y"] == b"r"
    finally:
        other.socket.close()

"""A fleet without a tracker: nodes that join by nodes, and publications made at any of them."""

import secrets
import socket
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from strew.content.digest import ArtifactId
from strew.dht import krpc
from strew.dht.contact import NodeId, key_of
from strew.fleet import SECRET_BYTES, FleetKey
from strew.gossip import protocol
from strew.gossip.protocol import Member, Ping
from strew.messages import PeerId
from strew.transfer.datagram import Label
from strew.transfer.sealing import SEAL_BYTES, Seal
from tests.cli.processes import until
from tests.members import KNOWN_WITHIN_S, Members, Process, make_file
from tests.trees import same_bytes

SIZE_BYTES = 3_000_000
RATE = "6M"

WITHIN_S = 20.0
"""For all to have a small file, on a machine that does other things too."""

HEARD_WITHIN_S = 10.0
"""For a rumour to reach three nodes."""

FOLLOWERS = ("one", "two", "four")
ALL = (*FOLLOWERS, "three")


@pytest.fixture(scope="module")
def fleet(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Members]:
    """Three nodes that follow everything and one, `three`, that follows nothing; `one` was first,
    and `four` never heard of it from its user."""
    with Members(tmp_path_factory.mktemp("trackerless")) as fleet:
        one = fleet.member("one", "--rate-up", RATE, follow="*")
        two = fleet.member("two", "--rate-up", RATE, by=[one.at], follow="*")
        fleet.member("three", "--rate-up", RATE, by=[one.at])
        fleet.member("four", "--rate-up", RATE, by=[two.at], follow="*")
        fleet.all_know(*ALL)
        yield fleet


def publish(fleet: Members, path: Path, reference: str, at: str) -> ArtifactId:
    """Push at a node, and wait until every follower has the file, every byte of it."""
    publisher = fleet.machines[at]
    artifact = fleet.publish(path, reference, publisher)
    for name in FOLLOWERS:
        if name != at:
            fleet.machines[name].has(path, artifact, within_s=WITHIN_S)
    if at in FOLLOWERS:  # it follows what is published at it like any other
        until(lambda: publisher.shows(path), f"{at} to put it in place", WITHIN_S)
    return artifact


def all_name(fleet: Members, reference: str, artifact: str) -> None:
    """Wait until all nodes say that the reference names the artifact."""
    nodes = [fleet.machines[name] for name in ALL]

    def agreed() -> bool:
        return all(node.names(reference) == artifact for node in nodes)

    until(agreed, f"all to know {reference}", HEARD_WITHIN_S)


# --- publishing ----------------------------------------------------------------------------------


def test_a_push_at_any_node_reaches_all_that_follow(fleet: Members, tmp_path: Path) -> None:
    file = make_file(tmp_path / "pushed", SIZE_BYTES)
    three = fleet.machines["three"]
    pushed = fleet.call("push", str(file), "pushed:1", "--at", three.at, "--wait")
    assert pushed.code == 0, pushed.err
    assert (pushed.final["nodes_done"], pushed.final["nodes_failed"]) == (3, 0)
    assert 0 < pushed.final["seconds_last"] < WITHIN_S
    artifact = ArtifactId(pushed.final["artifact"])
    for name in FOLLOWERS:
        fleet.machines[name].has(file, artifact, within_s=WITHIN_S)
    assert not three.into.exists()
    swarm = three.api.json(f"swarms/{artifact}")
    origins = [node["port"] for node in swarm["nodes"] if node["origin"]]
    assert origins == [three.port]


def untimed(value: Any) -> Any:
    """An answer without what depends on when and whom one asked."""
    if isinstance(value, dict):
        return {key: untimed(of) for key, of in value.items() if key not in TIMED}
    if isinstance(value, list):
        return sorted((untimed(of) for of in value), key=str)
    return value


TIMED = {"up_s", "heard_s", "lease_s", "done_s", "done_s_last", "done_s_median", "added_unix_s"}
TIMED |= {"transfers"}  # these are of what each node saw


def test_every_node_gives_the_same_answers(fleet: Members, tmp_path: Path) -> None:
    file = make_file(tmp_path / "asked", SIZE_BYTES, seed=2)
    artifact = publish(fleet, file, "asked:1", "two")
    commands = ("status", "status asked:1", f"status {artifact}", "ls", "show asked:1")

    def answers(name: str) -> list[Any]:
        at = fleet.machines[name].at
        done = [fleet.call(*command.split(), "--at", at) for command in commands]
        assert not any(of.code for of in done), [of.err for of in done]
        return [untimed(of.final) for of in done]

    def alike() -> bool:
        return all(answers(name) == answers("three") for name in FOLLOWERS)

    until(alike, "all nodes to say the same", HEARD_WITHIN_S)
    fleet_of, swarm, same_swarm, listed, shown = answers("three")
    assert {node["port"] for node in fleet_of["nodes"]} >= {fleet.machines[n].port for n in ALL}
    assert (swarm["following_done"], swarm["following"]) == (2, 2)  # the third is the origin
    assert swarm["nodes"] == same_swarm["nodes"]
    assert {"asked:1"} <= {name["reference"] for name in listed["names"]}
    assert (shown["artifact"], shown["size_bytes"]) == (artifact, SIZE_BYTES)


def test_whoever_asks_any_node_gets_what_others_hold(fleet: Members, tmp_path: Path) -> None:
    """The process that fetches is no member: the hash table tells it who provides."""
    file = make_file(tmp_path / "wanted", SIZE_BYTES, seed=3)
    artifact = publish(fleet, file, "wanted:1", "one")
    all_name(fleet, "wanted:1", artifact)
    for name in ("three", "four"):  # the first of them holds nothing
        for number, wanted in enumerate(("wanted:1", artifact)):
            copy = tmp_path / f"{name}-{number}"
            at = fleet.machines[name].at
            got = fleet.call("get", wanted, "--at", at, "-o", str(copy), "--deadline", "20s")
            assert got.code == 0, got.err
            assert same_bytes(file, copy)
    nobody = fleet.call("get", "nobody:1", "--at", fleet.machines["three"].at)
    assert (nobody.code, nobody.final["code"]) == (3, "not-found")
    unheard = f"blake3:{secrets.token_hex(32)}"
    nothing = fleet.call("get", unheard, "--at", fleet.machines["three"].at)
    assert (nothing.code, nothing.final["code"]) == (3, "not-found")


def test_a_second_version_replaces_the_first_and_is_all_a_late_node_gets(
    fleet: Members, tmp_path: Path
) -> None:
    first = make_file(tmp_path / "1/version", SIZE_BYTES, seed=4)
    second = make_file(tmp_path / "2/version", SIZE_BYTES, seed=5)
    publish(fleet, first, "web:live", "three")
    artifact = publish(fleet, second, "web:live", "four")
    all_name(fleet, "web:live", artifact)
    # it knows the address of one node, and follows this name alone
    late = fleet.member("late", by=[fleet.machines["one"].at], follow="web:*")
    late.has(second, artifact, within_s=WITHIN_S)
    done = [of["artifact"] for of in late.running.events if of["type"] == "transfer"]
    assert done == [artifact]
    assert late.running.stop() == 0
    others = [fleet.machines[name] for name in ALL]
    until(lambda: all(late.port not in o.nodes() for o in others), "it to be gone", HEARD_WITHIN_S)


def test_names_given_at_two_nodes_at_once_conflict_for_all_to_see(
    fleet: Members, tmp_path: Path
) -> None:
    files = [make_file(tmp_path / f"{n}/contested", 100_000, seed=n) for n in (11, 12)]
    lost, won = (
        fleet.publish(file, "contested:1", fleet.machines[name])
        for file, name in zip(files, ("one", "two"), strict=True)
    )
    all_name(fleet, "contested:1", won)

    def told(node: Process) -> bool:
        conflicts = node.node()["gossip"]["conflicts"]
        return ("contested:1", lost) in [(of["reference"], of["artifact"]) for of in conflicts]

    nodes = [fleet.machines[name] for name in ALL]
    until(lambda: all(map(told, nodes)), "all to show the conflict", HEARD_WITHIN_S)


# --- deaths --------------------------------------------------------------------------------------


def test_a_publisher_that_dies_is_not_missed_once_it_gave_all(
    fleet: Members, tmp_path: Path
) -> None:
    file = make_file(tmp_path / "last-words", 24_000_000, seed=6)
    publisher = fleet.member("publisher", "--rate-up", "18M", by=[fleet.machines["one"].at])
    fleet.all_know(*ALL, "publisher")
    artifact = fleet.publish(file, "last:words", publisher)
    manifest = fleet.manifest_at(publisher, artifact)
    followers = [fleet.machines[name] for name in FOLLOWERS]

    def owed() -> int:
        here = set[int]().union(*(node.claimed(manifest) for node in followers))
        return manifest.chunk_count - len(here)

    until(lambda: not owed(), "a copy to be out", WITHIN_S)
    publisher.kill()
    assert min(len(node.claimed(manifest)) for node in followers) < manifest.chunk_count
    for node in followers:
        node.has(file, artifact, within_s=WITHIN_S)


def test_a_node_that_is_killed_is_missed_and_found_again(fleet: Members) -> None:
    killed, others = fleet.machines["three"], [fleet.machines[name] for name in FOLLOWERS]

    def known(wanted: bool) -> float:
        """Seconds until all others know that it lives, or does not."""
        since_s = time.monotonic()

        def agreed() -> bool:
            return all((killed.port in other.nodes()) is wanted for other in others)

        until(agreed, f"it to be {'back' if wanted else 'missed'}", KNOWN_WITHIN_S)
        return time.monotonic() - since_s

    killed.kill()
    print(f"its death was known to all after {known(False):.1f} s")
    killed.start()
    print(f"its return was known to all after {known(True):.1f} s")
    fleet.all_know(*ALL)


# --- datagrams -----------------------------------------------------------------------------------


class Stranger:
    """Anybody who can send to a node's UDP port. `key` makes it a process of that fleet."""

    def __init__(self, node: Process, key: FleetKey) -> None:
        self._socket = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
        self._socket.bind(("127.0.0.1", 0))
        self._socket.settimeout(HEARD_WITHIN_S)
        self._to = (node.host, node.port)
        self.seal = Seal(key)
        self._opener = Seal(key)

    def __enter__(self) -> "Stranger":
        return self

    def __exit__(self, *_: object) -> None:
        self._socket.close()

    def send(self, datagram: bytes) -> None:
        self._socket.sendto(datagram, self._to)

    def ping(self, transaction: bytes) -> krpc.Ping:
        """A question that any node answers; nobody remembers who asked."""
        return krpc.Ping(transaction, sender=NodeId(secrets.randbits(160)), read_only=True)

    def asks(self, transaction: bytes) -> bytes:
        """The datagram of such a question."""
        return self.seal.seal(Label.DHT, krpc.encode(self.ping(transaction)))

    def hears(self) -> bytes:
        """The transaction of the next answer that comes."""
        data, _ = self._socket.recvfrom(1 << 16)
        message = self._opener.open(data, time.monotonic())
        assert isinstance(message, bytes), message
        return krpc.decode(message).transaction


def dropped(node: Process) -> dict[str, int]:
    """Datagrams that the node did not take, by reason."""
    found = {}
    for line in node.api.bytes("/metrics").decode().splitlines():
        if line.startswith("strew_datagrams_dropped_total{"):
            labels, _, count = line.rpartition(" ")
            found[labels.split('"')[1]] = int(float(count))
    return found


def test_a_node_drops_and_counts_bad_datagrams_and_answers_none(
    fleet: Members, tmp_path: Path
) -> None:
    node = fleet.machines["one"]
    foreign = FleetKey(secrets.token_bytes(SECRET_BYTES))
    someone = Member(PeerId("f" * 32), "127.0.0.1", 9, incarnation=1)
    gossip = protocol.encode(Ping(someone, 1))
    before = dropped(node)
    with Stranger(node, fleet.key) as stranger:
        question = stranger.asks(b"true")
        stranger.send(question)
        assert stranger.hears() == b"true"  # what is right is answered, so answers would be heard
        forged = bytearray(stranger.seal.seal(Label.GOSSIP, gossip))
        forged[-1] ^= 1
        relabelled = bytearray(stranger.asks(b"else"))
        relabelled[0] = Label.GOSSIP
        bad = {
            "length": [b"", b"\x11", b"\x11" + bytes(65_506), b"\x12" * (SEAL_BYTES - 1)],
            "label": [b"\x00", b"\xff" * 100, krpc.encode(stranger.ping(b"bare"))],
            "tag": [bytes(forged), bytes(relabelled), Seal(foreign).seal(Label.GOSSIP, gossip)],
            "replay": [question, question],
            "malformed": [stranger.seal.seal(label, b"\xc1") for label in (0x11, 0x12)],
        }
        for datagrams in bad.values():
            for datagram in datagrams:
                stranger.send(datagram)
        stranger.send(stranger.asks(b"last"))
        assert stranger.hears() == b"last"  # on one machine datagrams keep their order
    after = dropped(node)
    assert {reason: after[reason] - before[reason] for reason in bad} == {
        reason: len(datagrams) for reason, datagrams in bad.items()
    }
    assert someone.port not in node.nodes()
    file = make_file(tmp_path / "after", 100_000, seed=8)
    publish(fleet, file, "after:1", "three")


# --- the hash table in the open ------------------------------------------------------------------


def test_in_the_open_anybody_may_ask_who_has_an_artifact_and_get_asks_so_too(
    tmp_path: Path,
) -> None:
    (tmp_path / "open").mkdir()
    with Members(tmp_path / "open") as fleet:
        one = fleet.member("one", "--dht-open")
        two = fleet.member("two", "--dht-open", by=[one.at], follow="*")
        fleet.all_know("one", "two")
        file = make_file(tmp_path / "file", 200_000)
        artifact = fleet.publish(file, "app:1", one)
        two.has(file, artifact, within_s=WITHIN_S)
        with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as anybody:
            anybody.settimeout(HEARD_WITHIN_S)

            def providers() -> set[int]:
                asker = NodeId(secrets.randbits(160))
                question = krpc.GetPeers(b"anybody", key_of(artifact), sender=asker, read_only=True)
                anybody.sendto(krpc.encode(question), (one.host, one.port))
                answer = krpc.decode(anybody.recv(1 << 16))
                assert isinstance(answer, krpc.Answer)
                return {port for _, port in answer.peers} | {answer.provides}

            until(lambda: {one.port, two.port} <= providers(), "both to be named", WITHIN_S)
        got = fleet.call("get", artifact, "--at", two.at, "-o", str(tmp_path / "got"))
        assert got.code == 0, got.err
        assert same_bytes(file, tmp_path / "got")

"""Sources without a centre as chess: what members and the hash table say, and what a node does."""

from __future__ import annotations

import random
from typing import Any

import pytest

from strew.announce.announcer import AnnounceAnswered, SendAnnounce
from strew.announce.protocol import Handout, Peer
from strew.announce.registry import spread_of
from strew.content.bitfield import Bitfield
from strew.content.digest import ArtifactId
from strew.dht.contact import key_of
from strew.dht.krpc import Answer, GetPeers, Krpc
from strew.gossip.exchange import Exchange
from strew.gossip.protocol import Held, Holder, Member, Named, Tidings
from strew.messages import (
    Action,
    DatagramReceived,
    Dial,
    DialFailed,
    Event,
    Join,
    Leaving,
    LinkUp,
    MessageReceived,
    Opened,
    PeerId,
    PlanMember,
    SendDatagram,
    Tick,
    swarm_key_of,
)
from strew.node import Node, Obtain, Published, PublishedHere, Remembered, TrustChanged
from strew.node.discovery import FEW_NEIGHBOURS
from strew.node.news import HANDOUT_WITHIN_S
from strew.node.peers import HEARSAY_FAILURES_MAX
from strew.node.seeking import DIALS_MAX
from strew.node.sources import FIND_EVERY_S, SAMPLE
from strew.publication import Publication

FILE = ArtifactId("blake3:" + "1" * 64)
KEY = swarm_key_of(FILE)
ME = PeerId("5" * 32)
CHUNKS = 40
SEED = ("10.0.9.9", 7301)

PUBLISHED = Publication(
    reference="app:v1",
    artifact=FILE,
    version=1,
    size_bytes=1000 * CHUNKS,
    chunk_count=CHUNKS,
    published_s=0.0,
    name="app",
)


def member(number: int, follows: tuple[str, ...] = ("app:*",), **fields: Any) -> Member:
    host = f"10.0.{number >> 8}.{number & 255}"
    return Member(PeerId(f"{number:032x}"), host, 7301, "", follows, 1, **fields)


class Table:
    """A node among members, and a clock; moves return its actions."""

    def __init__(self, follows: tuple[str, ...] = ("app:*",), **settings: Any) -> None:
        self.now = 100.0
        settings = {"seeds": (SEED,), "reached_at": "10.0.5.5", "incarnation": 1} | settings
        self.node = Node(ME, random.Random(1), self.now, port=7301, follows=follows, **settings)
        self.first = self.node.join_fleet(self.now)

    def play(self, event: Event) -> list[Action]:
        return self.node.handle(event, self.now)

    def tells(self, by: Member, *rumours: Any) -> list[Action]:
        return self.play(DatagramReceived(by.host, by.port, Tidings(by, rumours)))

    def names(self, by: Member, *holders: Member, of: Publication = PUBLISHED) -> list[Action]:
        told = tuple(Holder(holder.id, holder.host, holder.port) for holder in holders)
        return self.tells(by, Named(of, told))

    def opens(self, have: int = 0, **fields: Any) -> list[Action]:
        field = Bitfield(CHUNKS, (1 << have) - 1)
        return self.play(Opened(FILE, [1000] * CHUNKS, field, **fields))

    def wait(self, seconds: float) -> list[Action]:
        until_s, actions = self.now + seconds, []
        while (due_s := self.node.deadline()) is not None and due_s <= until_s:
            self.now = max(self.now, due_s)
            actions += self.play(Tick())
        self.now = until_s
        return actions


def of(kind: type, actions: list[Action]) -> list[Any]:
    return [action for action in actions if isinstance(action, kind)]


def asked(actions: list[Action]) -> list[SendDatagram]:
    """Questions to the hash table after the providers of the file."""
    sent = of(SendDatagram, actions)
    return [s for s in sent if isinstance(s.message, GetPeers) and s.message.key == key_of(FILE)]


def named(actions: list[Action]) -> list[Named]:
    sent = [s.message for s in of(SendDatagram, actions) if isinstance(s.message, Tidings)]
    return [rumour for message in sent for rumour in message.rumours if type(rumour) is Named]


# --- publications ---------------------------------------------------------------------------------


def test_a_publication_that_members_tell_of_is_fetched_from_its_holder() -> None:
    table = Table()
    actions = table.names(member(1), member(7))
    assert of(Obtain, actions) == [Obtain(PUBLISHED, b"", ("10.0.0.7", 7301))]


def test_what_is_not_followed_is_passed_on_and_not_fetched() -> None:
    table = Table(follows=("other:*",))
    table.tells(member(2))
    actions = table.names(member(1), member(7))
    assert of(Obtain, actions + table.wait(5.0)) == []
    assert {rumour.publication for rumour in named(actions)} == {PUBLISHED}


def test_of_a_crowd_each_asks_at_a_moment_of_its_own() -> None:
    table = Table()
    crowd = [member(number) for number in range(1, 400)]
    for one in crowd:
        table.tells(one)
    assert of(Obtain, table.names(crowd[0], crowd[6])) == []
    assert of(Obtain, table.wait(spread_of(400)))


def test_a_tracker_s_publication_goes_on_to_members() -> None:
    table = Table(trackers=("tracker",))
    table.tells(member(2))
    assert named(table.play(Published(PUBLISHED)))
    handed = Table(trackers=("tracker",))
    handed.tells(member(2))
    out = Handout(lease_s=30.0, interval_s=10.0, seen=1, peers={}, publications=(PUBLISHED,))
    assert named(handed.play(AnnounceAnswered("tracker", out)))


def test_a_publication_that_no_handout_follows_is_asked_for_without() -> None:
    """The node announces to another tracker than the one that published."""
    table = Table(trackers=("tracker",))
    assert not of(Obtain, table.play(Published(PUBLISHED, 1.0)))
    assert not of(Obtain, table.wait(HANDOUT_WITHIN_S))
    assert of(Obtain, table.wait(1.0)) == [Obtain(PUBLISHED, b"", None)]


def test_whoever_publishes_tells_members_and_meets_those_that_follow() -> None:
    table = Table(follows=())
    followers = [member(number) for number in range(1, 4)]
    for one in (*followers, member(9, ("other:*",))):
        table.tells(one)
    table.opens(CHUNKS, origin=True)
    actions = table.play(PublishedHere(PUBLISHED))
    [told] = set(named(actions))
    assert told.holders == (Holder(ME, "10.0.5.5", 7301),)
    assert {dial.host for dial in of(Dial, actions)} == {one.host for one in followers}


def test_a_follower_that_comes_later_is_met_by_the_origin() -> None:
    table = Table(follows=())
    table.opens(CHUNKS, origin=True)
    table.play(PublishedHere(PUBLISHED))
    assert of(Dial, table.tells(member(3, ("other:*",)))) == []
    assert [dial.host for dial in of(Dial, table.tells(member(4)))] == ["10.0.0.4"]


# --- peers ----------------------------------------------------------------------------------------


def test_members_that_follow_or_hold_are_dialled_and_others_are_not() -> None:
    table = Table()
    for one in (member(1), member(2, ("other:*",)), member(3, ("other:*",))):
        table.tells(one)
    table.tells(member(3, ("other:*",)), Held(member(3).id, KEY, 5, CHUNKS, b"", 1))
    table.names(member(1), member(1))
    actions = table.opens() + table.wait(1.5)
    assert {"10.0.0.1", "10.0.0.3"} <= {dial.host for dial in of(Dial, actions)}
    assert "10.0.0.2" not in {dial.host for dial in of(Dial, actions)}


def test_an_ordinary_node_is_named_a_sample_and_an_origin_everybody() -> None:
    table = Table()
    crowd = [member(number) for number in range(1, 4 * SAMPLE)]
    for one in crowd:
        table.tells(one)
    table.names(crowd[0])
    sources = table.node._discovery.sources
    assert len(sources.peers(FILE)) == SAMPLE
    assert len(sources.peers(FILE, everybody=True)) == len(crowd)


def test_holders_of_all_of_it_are_always_among_the_sample() -> None:
    table = Table()
    crowd = [member(number) for number in range(1, 4 * SAMPLE)]
    for one in crowd:
        table.tells(one)
    table.names(crowd[0])
    table.tells(crowd[5], Held(crowd[5].id, KEY, CHUNKS, CHUNKS, b"", 1, "seeding"))
    for _ in range(20):
        peers = table.node._discovery.sources.peers(FILE)
        assert [peer.id for peer in peers if peer.complete] == [crowd[5].id]


def test_a_member_s_address_that_fails_twice_is_forgotten() -> None:
    table = Table()
    table.tells(member(1))
    table.names(member(1), member(1))
    table.opens()
    for _ in range(HEARSAY_FAILURES_MAX):
        actions = table.wait(4.0)
        table.play(DialFailed("10.0.0.1", 7301, "nobody there"))
    assert of(Dial, actions)
    assert ("10.0.0.1", 7301) not in table.node.book.known[KEY]
    assert of(Dial, table.wait(10.0)) == []


def test_whoever_stands_in_a_plan_is_dialled_beside_all_that_were_named() -> None:
    table = Table(trackers=("tracker",))
    table.opens()
    crowd = [member(number) for number in range(1, 2 * DIALS_MAX)]
    peers = tuple(Peer(one.id, one.host, one.port) for one in crowd)
    out = Handout(lease_s=30.0, interval_s=10.0, seen=1, peers={FILE: peers})
    dials = of(Dial, table.play(AnnounceAnswered("tracker", out)) + table.wait(0.9))
    assert len(dials) == DIALS_MAX
    planned = [PlanMember(f"{number:032x}", f"10.7.0.{number}", 7301) for number in range(1, 6)]
    table.node._discovery.meet(KEY, planned, table.now, mutual=False)
    dialled = {dial.host for dial in of(Dial, table.node._discovery.actions)}
    assert {one.host for one in planned} <= dialled


# --- the hash table -------------------------------------------------------------------------------


def krpc(actions: list[Action]) -> list[SendDatagram]:
    return [sent for sent in of(SendDatagram, actions) if isinstance(sent.message, Krpc)]


def test_while_no_peer_is_known_the_hash_table_is_asked_and_its_providers_are_dialled() -> None:
    table = Table()
    [join, *_] = krpc(table.first + table.wait(0.1))
    assert (join.host, join.port) == SEED
    table.play(DatagramReceived(*SEED, Answer(join.message.transaction, 77, ())))
    [question, *_] = asked(table.opens())
    answer = Answer(question.message.transaction, 77, (), peers=(("10.0.7.7", 7301),))
    actions = table.play(DatagramReceived(*SEED, answer))
    assert [dial.host for dial in of(Dial, actions)] == ["10.0.7.7"]


def test_while_peers_are_known_the_hash_table_is_left_alone() -> None:
    table = Table()
    for number in range(1, FEW_NEIGHBOURS + 3):
        table.tells(member(number))
    table.names(member(1), member(1))
    assert asked(table.opens()) == []


def test_it_is_asked_again_now_and_then_and_not_each_second() -> None:
    table = Table()
    [join, *_] = krpc(table.first + table.wait(0.1))
    table.play(DatagramReceived(*SEED, Answer(join.message.transaction, 77, ())))
    table.opens()
    counted = len(asked(table.wait(4 * FIND_EVERY_S)))
    assert 2 <= counted <= 10, "the seed answers no more, so each search asks it once or twice"


def test_what_is_whole_here_is_provided_and_what_was_closed_is_not() -> None:
    table = Table()
    [join, *_] = krpc(table.first + table.wait(0.1))
    table.play(DatagramReceived(*SEED, Answer(join.message.transaction, 77, ())))
    assert asked(table.opens(CHUNKS) + table.wait(2.0)), "to announce it to the nearest"


def test_what_it_shows_of_the_table_is_text_and_small_numbers() -> None:
    table = Table()
    [join, *_] = krpc(table.first + table.wait(0.1))
    table.play(DatagramReceived(*SEED, Answer(join.message.transaction, 77, ())))
    table.opens(CHUNKS)
    table.wait(5.0)
    shown = table.node.snapshot(table.now)["dht"]
    assert [key for key, _ in shown["provided"]] == ["1" * 40]
    assert {len(record["target"]) for record in shown["records"]} == {40}


def test_the_node_s_own_address_is_no_provider() -> None:
    table = Table()
    [join, *_] = krpc(table.first + table.wait(0.1))
    table.play(DatagramReceived(*SEED, Answer(join.message.transaction, 77, ())))
    [question, *_] = asked(table.opens())
    answer = Answer(question.message.transaction, 77, (), peers=(("10.0.5.5", 7301),))
    assert of(Dial, table.play(DatagramReceived(*SEED, answer))) == []


# --- taking part ----------------------------------------------------------------------------------


def test_a_member_compares_all_it_knows_with_its_seed_at_once() -> None:
    table = Table()
    exchanges = of(Exchange, table.first + table.wait(0.5))
    assert (exchanges[0].host, exchanges[0].port) == SEED


def test_a_process_for_one_transfer_is_no_member_and_asks_the_hash_table_alone() -> None:
    table = Table(is_member=False)
    actions = table.first + table.wait(2.0)
    assert table.node.gossip is None
    assert of(Exchange, actions) == []
    assert krpc(actions) and len(krpc(actions)) == len(of(SendDatagram, actions))
    assert all(sent.message.read_only for sent in krpc(actions))


def test_without_seeds_no_datagram_is_ever_sent() -> None:
    table = Table(seeds=None)
    assert of(SendDatagram, table.first + table.opens() + table.wait(60.0)) == []


def test_who_leaves_says_so() -> None:
    table = Table()
    table.tells(member(1))
    [told] = {s.message for s in of(SendDatagram, table.play(Leaving()))}
    assert told.sender.state == 3


def test_nobody_looks_through_the_fleet_for_what_is_none_of_its_business(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    def looked(*_: object, **__: object) -> tuple[Peer, ...]:
        raise AssertionError("it looked for peers")

    stranger, seed = Table(follows=("other:*",)), Table()
    seed.opens(CHUNKS)
    for table in (stranger, seed):
        table.tells(member(1))
        monkeypatch.setattr(table.node._discovery.sources, "peers", looked)
        assert of(Obtain, table.names(member(1), member(1))) == []
    reader = Table()
    monkeypatch.setattr(reader.node._discovery.sources, "peers", looked)
    with pytest.raises(AssertionError, match="it looked"):
        reader.names(member(1), member(1))


# --- whom to believe ------------------------------------------------------------------------------


@pytest.mark.parametrize("way", ["handout", "stream", "gossip", "memory", "here"])
def test_of_a_publication_that_is_not_believed_nothing_is_done_whoever_tells_of_it(
    way: str,
) -> None:
    believed: list[Publication] = []
    table = Table(trackers=("tracker",), admits=lambda publication: publication in believed)
    holder = member(1)
    held = Holder(holder.id, holder.host, holder.port)

    def tell() -> list[Action]:
        match way:
            case "handout":
                peers = {FILE: (Peer(holder.id, holder.host, holder.port),)}
                handout = Handout(
                    lease_s=30.0, interval_s=10.0, seen=1, publications=(PUBLISHED,), peers=peers
                )
                return table.play(AnnounceAnswered("tracker", handout))
            case "stream":
                return table.play(Published(PUBLISHED))
            case "gossip":
                return table.names(holder, holder)
            case "memory":
                return table.play(Remembered(PUBLISHED, (held,)))
            case _:
                return table.play(PublishedHere(PUBLISHED))

    actions = tell() + table.wait(1.0)
    assert not of(Obtain, actions) and not of(Dial, actions) and not named(actions)
    assert table.node.gossip is not None and table.node.gossip.names() == []
    believed.append(PUBLISHED)
    tell()
    assert [told.publication for told in table.node.gossip.names()] == [PUBLISHED]


def test_what_waits_to_be_fetched_is_forgotten_when_its_key_is_trusted_no_more() -> None:
    believed = [PUBLISHED]
    table = Table(trackers=("tracker",), admits=lambda publication: publication in believed)
    answer = Handout(lease_s=90.0, interval_s=30.0, seen=5)
    table.play(AnnounceAnswered("tracker", answer))
    table.play(Published(PUBLISHED, 60.0))  # waits for a peer that has it, or for the next announce
    believed.clear()
    actions = table.play(TrustChanged())
    assert of(SendAnnounce, actions)[0].announce.seen == 0
    one = member(1)
    table.play(LinkUp(one.id, one.host, one.port, "", dialled=False))
    join = Join(KEY, FILE, Bitfield.full(CHUNKS).to_wire(), CHUNKS)
    actions = table.play(MessageReceived(one.id, join)) + table.wait(30.0)
    assert not of(Obtain, actions)

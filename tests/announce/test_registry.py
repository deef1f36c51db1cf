"""The tracker's decisions, against the state in memory."""

import random

import pytest

from strew.announce.decision import Decision, Refused
from strew.announce.naming import PublishAsked
from strew.announce.protocol import Announce, Handout, Holding
from strew.announce.registry import (
    FETCHING_INTERVAL_S,
    IDLE_INTERVAL_S,
    AnnounceReceived,
    LeasesDue,
    Registry,
    RegistryEvent,
)
from strew.messages import PeerId
from strew.publication import Publication
from strew.tracker.state import MemoryState
from tests.announce.makers import announce, artifact_id, facts, holding, peer_id

APP = artifact_id("app")


class Board:
    """A registry, its state, and a clock that moves when told."""

    def __init__(self) -> None:
        self.registry = Registry(random.Random(7))
        self.state = MemoryState()
        self.now = 1000.0
        self.last: Decision | None = None

    def do(self, event: RegistryEvent) -> Handout | Publication | Refused | None:
        self.last = self.registry.handle(event, self.state, self.now)
        self.state.apply(self.last.writes)
        return self.last.reply

    def announce(self, told: Announce, source: str = "", reached: str = "") -> Handout:
        reply = self.do(AnnounceReceived(told, source or source_of(told), reached))
        assert isinstance(reply, Handout), reply
        return reply

    def refused(self, told: Announce, source: str = "") -> Refused:
        reply = self.do(AnnounceReceived(told, source or source_of(told)))
        assert isinstance(reply, Refused), reply
        return reply

    def publish(self, text: str = "app", tag: str = "v1") -> Publication:
        reply = self.do(PublishAsked(f"{text}:{tag}", artifact_id(text)))
        assert isinstance(reply, Publication), reply
        return reply

    def with_origin(self, text: str = "app", number: int = 1) -> None:
        """The manifest is here, and node `number` holds all of it."""
        self.state.put_manifest(facts(text), text.encode())
        self.announce(announce(number, holding(text, 4, origin=True)))


def source_of(told: Announce) -> str:
    return f"10.0.0.{told.port - 7000}"


@pytest.fixture
def board() -> Board:
    return Board()


def ids(handout: Handout, text: str = "app") -> set[PeerId]:
    return {peer.id for peer in handout.peers[artifact_id(text)]}


def test_an_idle_node_gets_a_lease_and_nothing_else(board: Board) -> None:
    handout = board.announce(announce(1))
    assert handout == Handout(lease_s=3 * IDLE_INTERVAL_S, interval_s=IDLE_INTERVAL_S, seen=0)


def test_who_wants_is_told_who_holds_and_who_else_wants(board: Board) -> None:
    board.with_origin()
    board.announce(announce(2, holding("app", 1), wants=(APP,)))
    handout = board.announce(announce(3, wants=(APP,)))
    assert ids(handout) == {peer_id(1), peer_id(2)}
    assert handout.interval_s == FETCHING_INTERVAL_S
    assert {p.host for p in handout.peers[APP]} == {"10.0.0.1", "10.0.0.2"}


def test_followers_hear_of_a_publication_once_with_manifest_and_peers(board: Board) -> None:
    board.announce(announce(2, follows=("app:*",)))
    board.announce(announce(3, follows=("other:*",)))
    board.with_origin()
    published = board.publish()
    heard = board.announce(announce(2, follows=("app:*",)))
    assert heard.publications == (published,)
    assert heard.manifests == {APP: b"app"}
    assert ids(heard) == {peer_id(1)}
    assert heard.seen == published.version
    again = board.announce(announce(2, follows=("app:*",), seen=heard.seen))
    assert again.publications == () and again.manifests == {}
    other = board.announce(announce(3, follows=("other:*",)))
    assert other.publications == () and other.seen == published.version


def test_followers_are_members_before_they_have_heard(board: Board) -> None:
    for number in (2, 3, 4):
        board.announce(announce(number, follows=("app",)))
    board.with_origin()
    board.publish()
    origin = board.announce(announce(1, holding("app", 4, origin=True), wants=(APP,)))
    assert ids(origin) == {peer_id(2), peer_id(3), peer_id(4)}
    heard = board.announce(announce(2, follows=("app",)))
    assert ids(heard) == {peer_id(1), peer_id(3), peer_id(4)}


def test_who_heard_and_does_not_take_part_is_no_member_any_more(board: Board) -> None:
    board.announce(announce(2, follows=("app",)))
    board.with_origin()
    version = board.publish().version
    board.announce(announce(2, follows=("app",), seen=version))
    assert ids(board.announce(announce(3, wants=(APP,)))) == {peer_id(1)}


def test_an_origin_is_told_of_the_whole_fleet_and_others_of_24(board: Board) -> None:
    for number in range(2, 102):
        board.announce(announce(number, follows=("app",)))
    board.with_origin()
    board.publish()
    origin = board.announce(announce(1, holding("app", 4, origin=True), wants=(APP,)))
    assert len(origin.peers[APP]) == 100
    assert len(board.announce(announce(2, follows=("app",))).peers[APP]) == 24


def test_a_large_manifest_is_not_sent_along(board: Board) -> None:
    raw = "x" * (16 * 1024 + 1)
    board.with_origin(raw)
    board.do(PublishAsked("app:v1", artifact_id(raw)))
    assert board.announce(announce(2, follows=("app",))).manifests == {}


def test_leases_end(board: Board) -> None:
    board.with_origin()
    board.announce(announce(2, holding("app", 1)))
    board.now += 3 * FETCHING_INTERVAL_S + 1
    board.do(LeasesDue())
    assert board.last is not None and board.last.moved == {APP}
    assert ids(board.announce(announce(3, wants=(APP,)))) == {peer_id(1)}
    board.now += 3 * IDLE_INTERVAL_S + 1
    board.do(LeasesDue())
    assert board.state.node_count() == 0


def test_who_leaves_is_forgotten_at_once(board: Board) -> None:
    board.with_origin()
    handout = board.announce(announce(1, leaving=True))
    assert handout.lease_s == 0.0
    assert board.state.node_count() == 0
    assert not board.state.has_complete(APP)


def test_an_id_belongs_to_its_address_while_the_lease_runs(board: Board) -> None:
    board.announce(announce(1))
    assert board.refused(announce(1), "10.6.6.6").kind == "denied"
    assert board.refused(announce(1, leaving=True), "10.6.6.6").kind == "denied"
    board.now += 3 * IDLE_INTERVAL_S
    board.announce(announce(1), "10.6.6.6")


def test_a_restarted_node_may_have_another_port(board: Board) -> None:
    board.with_origin()
    board.announce(announce(2, wants=(APP,)))
    board.announce(announce(2, wants=(APP,), port=9999), "10.0.0.2")
    (_, peer) = board.announce(announce(3, wants=(APP,))).peers[APP]
    assert 9999 in {p.port for p in board.announce(announce(3, wants=(APP,))).peers[APP]}
    assert peer.id in {peer_id(1), peer_id(2)}


def test_a_storm_is_refused_and_told_when_to_return(board: Board) -> None:
    for _ in range(7):
        board.announce(announce(1))
    refused = board.refused(announce(1))
    assert refused.kind == "limited" and 0 < refused.retry_after_s <= 5.0
    board.now += refused.retry_after_s
    board.announce(announce(1))


@pytest.mark.parametrize("have", [5, 1 << 40])
def test_more_chunks_than_there_are_is_refused(board: Board, have: int) -> None:
    wrong = Holding(artifact=APP, have_chunks=have, chunk_count=4, state="fetching")
    assert board.refused(announce(1, wrong)).kind == "invalid"
    assert board.state.node_count() == 0


def test_no_source_address_is_refused(board: Board) -> None:
    reply = board.do(AnnounceReceived(announce(1), "unix"))
    assert isinstance(reply, Refused) and reply.kind == "invalid"


def test_a_node_beside_the_tracker_is_found_from_afar(board: Board) -> None:
    board.announce(announce(1, holding("app", 4)), "127.0.0.1")
    far = board.announce(announce(2, wants=(APP,)), "10.0.0.2", reached="10.0.0.99")
    assert far.peers[APP][0].host == "10.0.0.99"
    near = board.announce(announce(3, wants=(APP,)), "127.0.0.1", reached="127.0.0.1")
    assert "127.0.0.1" in {p.host for p in near.peers[APP]}


def test_a_name_needs_a_manifest_and_a_holder(board: Board) -> None:
    reply = board.do(PublishAsked("app:v1", APP))
    assert isinstance(reply, Refused) and reply.kind == "conflict" and "manifest" in reply.message
    board.state.put_manifest(facts("app"), b"app")
    board.announce(announce(1, holding("app", 3)))
    reply = board.do(PublishAsked("app:v1", APP))
    assert isinstance(reply, Refused) and reply.kind == "conflict" and "holds" in reply.message
    board.announce(announce(1, holding("app", 4)))
    assert board.publish().artifact == APP


def test_versions_grow_and_the_same_name_again_is_no_news(board: Board) -> None:
    board.with_origin("app")
    board.with_origin("new", number=2)
    first = board.publish("app")
    assert board.publish("app") == first
    second = board.do(PublishAsked("app:v1", artifact_id("new")))
    assert isinstance(second, Publication)
    assert second.version > first.version >= 1000 * 1000
    heard = board.announce(announce(3, follows=("app",)))
    assert heard.publications == (second,)


def test_a_seen_from_another_trackers_life_counts_as_none(board: Board) -> None:
    board.with_origin()
    published = board.publish()
    heard = board.announce(announce(2, follows=("app",), seen=published.version + 10**9))
    assert heard.publications == (published,) and heard.seen == published.version


def test_more_news_than_fit_come_in_parts(board: Board) -> None:
    board.with_origin()
    published = [board.publish("app", tag=f"v{n}") for n in range(300)]
    first = board.announce(announce(2, follows=("app",)))
    assert list(first.publications) == published[:256]
    assert first.interval_s == 5.0
    rest = board.announce(announce(2, follows=("app",), seen=first.seen))
    assert list(rest.publications) == published[256:]


def test_progress_shows_rates_and_when_it_was_done(board: Board) -> None:
    board.with_origin()
    board.announce(announce(2, holding("app", 0)))
    board.now += 10.0
    board.announce(announce(2, holding("app", 3)))
    record = board.state.node(peer_id(2))
    assert record is not None
    assert record.holdings[APP].received_bytes_per_s == 30.0
    assert record.holdings[APP].done_at_s is None
    board.now += 0.5
    board.announce(announce(2, holding("app", 4)))
    done_at = board.now
    board.now += 30.0
    board.announce(announce(2, holding("app", 4)))
    record = board.state.node(peer_id(2))
    assert record is not None
    assert record.holdings[APP].done_at_s == done_at
    assert record.holdings[APP].received_bytes_per_s == 0.0


def test_nothing_moves_when_nothing_changed(board: Board) -> None:
    board.with_origin()
    board.announce(announce(1, holding("app", 4, origin=True)))
    assert board.last is not None and board.last.moved == frozenset()
    board.announce(announce(1, holding("app", 4, origin=True, sent=100)))
    assert board.last.moved == {APP}

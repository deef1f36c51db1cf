"""The node as chess: handouts, joins that come early, who dials, bans, announces, deadlines."""

from __future__ import annotations

import random
from collections.abc import Sequence
from typing import Any

import pytest

from strew.announce.announcer import AnnounceAnswered, AnnounceFailed, SendAnnounce
from strew.announce.protocol import Handout, Peer
from strew.content.bitfield import Bitfield
from strew.content.digest import ArtifactId
from strew.messages import (
    Action,
    ChunkArriving,
    ChunkCorrupt,
    ChunkStored,
    Closed,
    Dial,
    DialDone,
    DialFailed,
    Discard,
    Disconnect,
    Event,
    Have,
    Join,
    Leave,
    Leaving,
    LinkLost,
    LinkUp,
    MessageReceived,
    Opened,
    PeerId,
    Plan,
    PlanMember,
    Send,
    SendChunk,
    StateChanged,
    Tick,
    swarm_key_of,
)
from strew.node import Obtain, Published
from strew.node.node import DIALLED_MAX, EARLY_JOINS_MAX, LINKS_MAX, Node
from strew.node.peers import FAILURES_MAX, UNHEARD_S
from strew.node.seeking import AGAIN_S, COURTESY_S, DIALS_MAX, EXPECTED_DIALS_MAX
from strew.publication import Publication
from strew.swarm.plan import FANOUT, STAR_MAX

FILE = ArtifactId("blake3:" + "1" * 64)
KEY = swarm_key_of(FILE)
ME = PeerId("5" * 32)
LOWER = PeerId("1" * 32)
HIGHER = PeerId("9" * 32)
CHUNKS = 40


def peer(number: int, *, complete: bool = False) -> Peer:
    return Peer(PeerId(f"{number:x}" * 32), f"10.0.0.{number}", 7301, complete=complete)


class Table:
    """One node and a clock; moves return its actions."""

    def __init__(self, trackers: Sequence[str] = ("tracker",), **settings: Any) -> None:
        self.now = 100.0
        self.node = Node(ME, random.Random(1), self.now, port=7301, trackers=trackers, **settings)
        self.node.join_fleet(self.now)

    def play(self, event: Event) -> list[Action]:
        return self.node.handle(event, self.now)

    def opens(self, have: int = 0, **fields: Any) -> list[Action]:
        field = Bitfield(CHUNKS, (1 << have) - 1)
        return self.play(Opened(FILE, [1000] * CHUNKS, field, **fields))

    def links(self, name: PeerId, *, dialled: bool = False, port: int = 7301) -> list[Action]:
        return self.play(LinkUp(name, f"10.0.0.{int(name[0], 16)}", port, "", dialled))

    def joins(self, name: PeerId, have: int = 0, **fields: Any) -> list[Action]:
        field = Bitfield(CHUNKS, (1 << have) - 1)
        message = Join(KEY, FILE, field.to_wire(), CHUNKS, **fields)
        return self.play(MessageReceived(name, message))

    def handed(self, *peers: Peer, publications: tuple[Publication, ...] = ()) -> list[Action]:
        out = Handout(
            lease_s=30.0,
            interval_s=10.0,
            seen=1,
            peers={FILE: peers} if peers else {},
            publications=publications,
        )
        return self.play(AnnounceAnswered("tracker", out))

    def wait(self, seconds: float) -> list[Action]:
        until_s, rounds = self.now + seconds, 0
        actions: list[Action] = []
        while (due_s := self.node.deadline()) is not None and due_s <= until_s:
            self.now = max(self.now, due_s)
            actions += self.play(Tick())
            rounds += 1
            assert rounds < 10 + 60 * seconds, "the node spins"
        self.now = until_s
        return actions

    @property
    def neighbours(self) -> set[PeerId]:
        return set(self.node.participations[KEY].swarm.neighbours)


def of(kind: type, actions: list[Action]) -> list[Any]:
    return [action for action in actions if isinstance(action, kind)]


def dialled(actions: list[Action]) -> list[str]:
    return [action.host for action in of(Dial, actions)]


def told(actions: list[Action], kind: type) -> list[PeerId]:
    return [action.peer for action in of(Send, actions) if isinstance(action.message, kind)]


PUBLISHED = Publication(
    reference="app:v1",
    artifact=FILE,
    version=1,
    size_bytes=1000 * CHUNKS,
    chunk_count=CHUNKS,
    published_s=0.0,
    name="app",
)


# --- handouts and dialling ------------------------------------------------------------------------


def test_of_two_equals_the_lower_id_dials_and_the_higher_waits_a_moment() -> None:
    table = Table()
    table.opens()
    assert dialled(table.handed(peer(1), peer(9))) == ["10.0.0.9"]
    assert dialled(table.wait(COURTESY_S - 0.05)) == []
    assert dialled(table.wait(0.1)) == ["10.0.0.1"], "it did not come: courtesy is over"


def test_courtesy_spares_the_second_dial() -> None:
    table = Table()
    table.opens()
    table.handed(peer(1))
    table.links(LOWER)
    assert dialled(table.wait(5.0)) == []


def test_a_complete_peer_is_dialled_at_once_whoever_has_the_lower_id() -> None:
    table = Table()
    table.opens()
    assert dialled(table.handed(peer(1, complete=True))) == ["10.0.0.1"]


def test_a_seed_dials_nobody() -> None:
    table = Table()
    table.opens(CHUNKS)
    assert dialled(table.handed(peer(9), peer(1)) + table.wait(3.0)) == []


def test_an_origin_dials_whom_it_is_named_and_plans_with_them() -> None:
    table = Table()
    table.opens(CHUNKS, origin=True)
    assert dialled(table.handed(peer(9)) + table.wait(1.0)) == ["10.0.0.9"]
    lines = table.links(HIGHER, dialled=True)
    assert told(lines, Join) == [HIGHER], "a named follower hears of the swarm from its origin"
    assert table.node.participations[KEY].swarm.snapshot()["plan_version"] == 1


def test_a_node_does_not_dial_itself() -> None:
    table = Table()
    table.opens()
    assert dialled(table.handed(peer(5)) + table.wait(2.0)) == []


def test_an_address_is_dialled_once_while_it_is_being_dialled() -> None:
    table = Table()
    table.opens()
    assert dialled(table.handed(peer(9)) + table.handed(peer(9))) == ["10.0.0.9"]
    assert dialled(table.wait(3 * AGAIN_S)) == []


def test_a_dial_that_fails_is_made_again_later() -> None:
    table = Table()
    table.opens()
    table.handed(peer(9))
    assert dialled(table.play(DialFailed("10.0.0.9", 7301, "refused"))) == []
    assert dialled(table.wait(0.5)) == []
    assert dialled(table.wait(1.0)) == ["10.0.0.9"]


def test_dials_at_once_are_bounded_and_the_others_follow() -> None:
    table = Table(neighbours=1000)
    table.opens()
    crowd = [Peer(PeerId(f"{n:032x}"), f"10.1.{n // 200}.{n % 200 + 1}", 1) for n in range(100)]
    first = dialled(table.handed(*crowd) + table.wait(0.5))
    assert len(first) == DIALS_MAX
    for host in first:
        table.play(DialFailed(host, 1, "refused"))
    assert len(dialled(table.wait(2.0))) == DIALS_MAX


def test_enough_neighbours_are_enough() -> None:
    table = Table(neighbours=2)
    table.opens()
    for name in (LOWER, HIGHER):
        table.links(name)
        table.joins(name)
    assert dialled(table.handed(peer(7), peer(8)) + table.wait(3.0)) == []


def named_to_meet(table: Table, members: list[Peer]) -> list[str]:
    """Whom the node dials when the origin tells it of a plan in which it comes first."""
    named = [PlanMember(p.id, p.host, p.port) for p in (peer(5), *members)]
    plan = Plan(KEY, 1, HIGHER, FANOUT, [named], 0, 0)
    return dialled(table.play(MessageReceived(HIGHER, plan)))


def with_origin(neighbours: int = 40) -> Table:
    table = Table(neighbours=neighbours)
    table.opens()
    table.links(HIGHER)
    table.joins(HIGHER, CHUNKS, origin=True)
    return table


def test_of_two_mates_of_a_star_the_lower_dials_and_the_other_waits() -> None:
    table = with_origin()
    assert named_to_meet(table, [peer(1), peer(7)]) == ["10.0.0.7"]
    assert dialled(table.wait(COURTESY_S)) == ["10.0.0.1"]


def test_who_passes_chunks_on_in_a_large_group_dials_at_once() -> None:
    """Those it passes them to do not know of it."""
    table = with_origin()
    crowd = [Peer(PeerId(f"{number:032x}"), f"10.1.0.{number}", 7301) for number in range(STAR_MAX)]
    assert len(named_to_meet(table, crowd)) == FANOUT


def test_whom_a_plan_names_is_met_though_there_are_neighbours_enough() -> None:
    table = with_origin(neighbours=1)
    assert dialled(table.handed(peer(8))) == []
    assert named_to_meet(table, [peer(7)]) == ["10.0.0.7"]
    table.links(peer(7).id)
    table.play(DialDone("10.0.0.7", 7301, peer(7).id))
    assert dialled(table.wait(5.0)) == [], "and nobody else"


def test_who_was_named_before_is_met_when_a_plan_names_it_too() -> None:
    table = with_origin(neighbours=1)
    assert dialled(table.handed(peer(7))) == []
    assert named_to_meet(table, [peer(7)]) == ["10.0.0.7"]


def test_a_plans_machine_that_is_not_there_is_given_up_in_the_end() -> None:
    table = with_origin(neighbours=1)
    hosts = named_to_meet(table, [peer(7)])
    for _ in range(FAILURES_MAX):
        assert hosts == ["10.0.0.7"]
        table.play(DialFailed("10.0.0.7", 7301, "refused"))
        hosts = dialled(table.wait(20.0))
    assert hosts == []


def test_only_sources_are_asked_if_the_user_said_so() -> None:
    table = Table()
    actions = table.opens(sources=(("10.9.9.9", 1),), only_sources=True)
    assert dialled(actions) == ["10.9.9.9"]
    assert dialled(table.handed(peer(9)) + table.wait(2.0)) == []
    table.links(HIGHER)
    table.joins(HIGHER, CHUNKS, origin=True)
    swarm = table.node.participations[KEY].swarm
    assert not swarm.fit
    told_of = of(SendAnnounce, table.wait(30.0))
    assert told_of and all(a.announce.wants == () for a in told_of)


# --- publications ---------------------------------------------------------------------------------


def test_a_publication_is_obtained_and_its_peers_dialled_before_the_manifest_is_here() -> None:
    table = Table(follows=("app:*",))
    actions = table.handed(peer(1, complete=True), publications=(PUBLISHED,))
    assert [a.publication for a in of(Obtain, actions)] == [PUBLISHED]
    assert dialled(actions + table.wait(1.0)) == ["10.0.0.1"]


def test_while_a_manifest_is_on_its_way_only_a_few_are_dialled() -> None:
    table = Table(follows=("app:*",))
    crowd = [peer(n, complete=True) for n in (1, 2, 3, 4, 6, 7, 8, 9)]
    actions = table.handed(*crowd, publications=(PUBLISHED,))
    hosts = dialled(actions)
    for host in hosts:
        name = PeerId(host.rsplit(".", 1)[1] * 32)
        actions += table.links(name, dialled=True)
        actions += table.play(DialDone(host, 7301, name))
    actions += table.wait(5.0)
    assert len(dialled(actions)) == EXPECTED_DIALS_MAX


def test_peers_of_an_artifact_that_is_not_expected_are_not_dialled() -> None:
    table = Table()
    assert dialled(table.handed(peer(9)) + table.wait(2.0)) == []


# --- joins ----------------------------------------------------------------------------------------


def test_an_early_join_is_kept_and_answered_when_the_artifact_opens() -> None:
    table = Table()
    table.links(LOWER)
    assert table.joins(LOWER, 3) == [Send(LOWER, Leave(KEY))], "not yet; and it is known at once"
    actions = table.opens()
    assert told(actions, Join) == [LOWER]
    assert table.neighbours == {LOWER}


def test_who_expects_an_artifact_does_not_say_that_it_takes_no_part() -> None:
    table = Table()
    table.links(LOWER)
    table.play(Published(PUBLISHED))
    assert told(table.joins(LOWER, 3), Leave) == []


def test_a_peer_that_takes_no_part_is_not_dialled_again_soon() -> None:
    table = Table()
    table.handed(peer(9), publications=(PUBLISHED,))
    table.opens()
    table.links(HIGHER, dialled=True)
    table.play(DialDone("10.0.0.9", 7301, HIGHER))
    table.play(MessageReceived(HIGHER, Leave(KEY)))
    table.play(LinkLost(HIGHER, "gone"))
    assert dialled(table.wait(UNHEARD_S - 1.0)) == []
    assert dialled(table.wait(2.0)) == ["10.0.0.9"]


def test_early_joins_are_bounded() -> None:
    table = Table()
    table.links(LOWER)
    for number in range(EARLY_JOINS_MAX + 10):
        table.play(MessageReceived(LOWER, Join(number, "blake3:x", b"\0", 1)))
    assert len(table.node._early[LOWER]) == EARLY_JOINS_MAX


def test_an_early_join_that_is_not_kept_is_asked_for_again() -> None:
    """An origin of many artifacts joins each of them with who restarts; the newest comes last."""
    table = Table()
    table.links(LOWER)
    table.play(Published(PUBLISHED))
    for number in range(EARLY_JOINS_MAX):
        table.play(MessageReceived(LOWER, Join(number, "blake3:x", b"\0", 1)))
    assert table.joins(LOWER, 3) == [Send(LOWER, Leave(KEY))]
    assert told(table.opens(), Join) == [LOWER]
    table.joins(LOWER, 3)
    assert table.neighbours == {LOWER}


def test_an_early_join_that_was_taken_back_counts_no_more() -> None:
    table = Table()
    table.links(LOWER)
    table.joins(LOWER, 3)
    table.play(MessageReceived(LOWER, Leave(KEY)))
    table.opens()
    assert table.neighbours == set()


def test_a_join_is_answered_once_for_each_link() -> None:
    table = Table()
    table.opens()
    assert told(table.links(LOWER), Join) == [LOWER]
    assert told(table.joins(LOWER), Join) == []
    table.play(LinkLost(LOWER, "gone"))
    assert told(table.links(LOWER), Join) == [LOWER]


def test_who_leaves_and_comes_back_over_the_same_link_is_answered_again() -> None:
    """It has opened the artifact anew and knows nothing of us."""
    table = Table()
    table.opens()
    table.links(LOWER)
    table.joins(LOWER)
    table.play(MessageReceived(LOWER, Leave(KEY)))
    assert table.neighbours == set()
    assert told(table.joins(LOWER), Join) == [LOWER]
    assert table.neighbours == {LOWER}


def test_a_seed_is_quiet_until_somebody_joins() -> None:
    table = Table()
    table.opens(CHUNKS)
    assert told(table.links(LOWER), Join) == []
    assert told(table.joins(LOWER), Join) == [LOWER]


def test_sources_of_peers_are_looked_at_when_one_is_due_and_not_with_each_tick(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """A swarm that is busy wants twenty ticks a second; announces and dials go on all the same."""
    table = Table()
    table.opens()
    table.links(LOWER)
    table.joins(LOWER, have=3)
    passed_s: list[float] = []
    tick = table.node._discovery.tick

    def counted(now: float) -> None:
        passed_s.append(now)
        tick(now)

    monkeypatch.setattr(table.node._discovery, "tick", counted)
    ticks, until_s, announces = 0, table.now + 20.0, 0
    while table.now < until_s:
        due_s = table.node.deadline()
        assert due_s is not None
        table.now = max(table.now, due_s)
        announces += len(of(SendAnnounce, table.play(Tick())))
        ticks += 1
    assert ticks >= 300
    assert 20 <= len(passed_s) <= 100, "each second of a fetch, and when somebody is to be told"
    assert announces >= 1


@pytest.mark.parametrize(
    "join",
    [
        Join(KEY, "blake3:" + "1" * 16 + "2" * 48, b"\x00", CHUNKS),
        Join(KEY, FILE, b"\x00", CHUNKS + 1),
    ],
)
def test_another_artifact_under_the_same_key_is_not_taken_for_this_one(join: Join) -> None:
    table = Table()
    table.opens()
    table.links(LOWER)
    table.play(MessageReceived(LOWER, join))
    assert table.neighbours == set()


@pytest.mark.parametrize("have", [b"", b"\x07", b"\x02\xff", b"\x03garbage"])
def test_a_bitfield_that_does_not_fit_bans_its_sender(have: bytes) -> None:
    table = Table()
    table.opens()
    table.links(LOWER)
    actions = table.play(MessageReceived(LOWER, Join(KEY, FILE, have, CHUNKS)))
    assert [a.peer for a in of(Disconnect, actions)] == [LOWER]
    table.play(LinkLost(LOWER, "banned"))
    assert [a.peer for a in of(Disconnect, table.links(LOWER))] == [LOWER]


def test_a_join_without_a_link_admits_nobody() -> None:
    table = Table()
    table.opens()
    assert table.joins(LOWER) == []
    assert table.neighbours == set()


def test_closing_an_artifact_tells_the_neighbours() -> None:
    table = Table()
    table.opens()
    table.links(LOWER)
    table.joins(LOWER)
    assert told(table.play(Closed(FILE)), Leave) == [LOWER]
    assert KEY not in table.node.participations
    assert table.play(Closed(FILE)) == []


def test_opening_again_starts_the_swarm_anew() -> None:
    table = Table()
    table.opens()
    table.links(LOWER)
    table.joins(LOWER)
    actions = table.opens(5)
    assert told(actions, Leave) == [LOWER] and told(actions, Join) == [LOWER]
    assert table.node.participations[KEY].swarm.have.count == 5


def test_an_origins_plan_leaves_out_who_cannot_be_dialled_or_may_not_own() -> None:
    table = Table()
    table.opens(CHUNKS, origin=True)
    table.links(LOWER, port=0)
    table.joins(LOWER)
    table.links(HIGHER)
    table.joins(HIGHER, fit=False)
    assert table.node.participations[KEY].swarm.snapshot()["plan_version"] == 0


# --- chunks, links, bans --------------------------------------------------------------------------


def test_a_chunk_of_a_swarm_this_node_is_not_in_is_discarded() -> None:
    table = Table()
    assert table.play(ChunkArriving(LOWER, 99, 3, 0)) == [Discard(LOWER, 99, 3)]
    assert table.play(ChunkStored(LOWER, 99, 3)) == []
    assert table.play(MessageReceived(LOWER, Have(99, [1]))) == []


def test_a_liar_is_disconnected_banned_and_not_dialled_again_while_it_is() -> None:
    table = Table()
    table.opens()
    table.handed(peer(9))
    table.links(HIGHER, dialled=True)
    table.play(DialDone("10.0.0.9", 7301, HIGHER))
    table.joins(HIGHER, CHUNKS)
    actions: list[Action] = []
    for chunk in (1, 2):
        table.play(ChunkArriving(HIGHER, KEY, chunk, 2))
        actions += table.play(ChunkCorrupt(HIGHER, KEY, chunk))
    assert [a.peer for a in of(Disconnect, actions)] == [HIGHER]
    table.play(LinkLost(HIGHER, "banned"))
    assert dialled(table.wait(590.0)) == [], "and the node does not spin meanwhile"
    assert dialled(table.wait(20.0)) == ["10.0.0.9"]


def test_links_are_bounded() -> None:
    table = Table()
    for number in range(LINKS_MAX):
        assert table.links(PeerId(f"{number:032x}")) == []
    assert [a.peer for a in of(Disconnect, table.links(HIGHER))] == [HIGHER]


def test_who_has_no_place_left_for_others_still_reaches_whom_it_dials() -> None:
    table = Table()
    for number in range(LINKS_MAX):
        table.links(PeerId(f"{number:032x}"))
    for number in range(DIALLED_MAX):
        assert table.links(PeerId(f"{LINKS_MAX + number:032x}"), dialled=True) == []
    assert [a.peer for a in of(Disconnect, table.links(HIGHER, dialled=True))] == [HIGHER]


def test_a_lost_link_ends_the_neighbour_and_its_sends() -> None:
    table = Table()
    table.opens(CHUNKS, origin=True)
    table.links(LOWER)
    assert of(SendChunk, table.joins(LOWER))
    table.play(LinkLost(LOWER, "gone"))
    assert table.neighbours == set()
    assert table.node.slots.pushing == 0


# --- announces ------------------------------------------------------------------------------------


def announces(actions: list[Action]) -> list[SendAnnounce]:
    return of(SendAnnounce, actions)


def test_joining_the_fleet_announces_at_once() -> None:
    node = Node(ME, random.Random(1), 100.0, port=7301, trackers=("tracker",))
    [sent] = node.join_fleet(100.0)
    assert isinstance(sent, SendAnnounce) and sent.tracker == "tracker"
    assert sent.announce.node == ME and sent.announce.port == 7301


def test_who_knows_nobody_to_ask_announces_its_want_at_once() -> None:
    table = Table()
    table.handed()
    [sent] = announces(table.opens())
    assert sent.announce.wants == (FILE,)


def test_what_happens_between_waits_for_the_interval() -> None:
    table = Table()
    table.handed()
    table.opens()
    table.handed(peer(9))
    table.links(HIGHER)
    actions = table.joins(HIGHER, CHUNKS)
    for chunk in range(10):
        table.play(ChunkArriving(HIGHER, KEY, chunk, 2))
        actions += table.play(ChunkStored(HIGHER, KEY, chunk))
    assert announces(actions) == []
    [sent] = announces(table.wait(11.0))
    assert sent.announce.holdings[0].have_chunks == 10, "the state of that moment"


def test_a_state_that_changed_is_told_at_once_and_only_once() -> None:
    table = Table()
    table.handed()
    table.opens()
    table.handed(peer(9))
    [sent] = announces(table.play(StateChanged(FILE, "paused", "no space")))
    assert sent.announce.holdings[0].state == "paused"
    table.handed()
    assert announces(table.play(StateChanged(FILE, "paused", "no space"))) == []


def test_what_is_paused_or_failed_outside_of_a_swarm_is_told_until_it_opens_or_closes() -> None:
    table = Table()
    table.handed()
    paused = StateChanged(FILE, "paused", "no space", 3, CHUNKS)
    [sent] = announces(table.play(paused))
    [holding] = sent.announce.holdings
    assert (holding.state, holding.reason) == ("paused", "no space")
    assert (holding.have_chunks, holding.chunk_count) == (3, CHUNKS)
    table.handed()
    assert announces(table.play(paused)) == []
    [sent] = announces(table.opens())
    assert [h.state for h in sent.announce.holdings] == ["fetching"]
    table.handed()
    table.play(Closed(FILE))
    [sent] = announces(table.play(StateChanged(FILE, "failed", "refused", 0, CHUNKS)))
    assert [h.state for h in sent.announce.holdings] == ["failed"]
    table.handed()
    table.play(Closed(FILE))
    assert all(not s.announce.holdings for s in announces(table.wait(20.0)))
    assert announces(table.play(StateChanged(FILE, "failed", "of nothing known"))) == []


def test_leaving_is_told() -> None:
    table = Table()
    table.handed()
    [sent] = announces(table.play(Leaving()))
    assert sent.announce.leaving


def test_a_tracker_that_fails_is_asked_again_and_its_peers_stay_known() -> None:
    table = Table()
    table.opens()
    table.handed(peer(9))
    table.play(StateChanged(FILE, "paused", "x"))
    table.play(AnnounceFailed("tracker", "refused"))
    assert announces(table.wait(5.0))
    assert table.node.book.known[KEY]


def test_without_trackers_nothing_is_announced() -> None:
    table = Table(trackers=())
    assert announces(table.opens() + table.wait(20.0)) == []


# --- deadlines ------------------------------------------------------------------------------------


def test_an_idle_node_sleeps_until_its_next_announce() -> None:
    table = Table()
    table.handed()
    due_s = table.node.deadline()
    assert due_s is not None and 8.0 < due_s - table.now <= 10.0


def test_the_deadline_is_never_later_than_what_any_part_wants() -> None:
    """It is remembered between events; a random course must not make it forget."""
    dice = random.Random(4)
    table = Table()
    peers = [peer(n) for n in (1, 2, 3, 7, 8, 9)]
    moves = [
        lambda one: table.links(one.id),
        lambda one: table.joins(one.id, dice.randrange(CHUNKS + 1)),
        lambda one: table.play(LinkLost(one.id, "gone")),
        lambda one: table.play(DialFailed(one.host, one.port, "refused")),
        lambda one: table.play(DialDone(one.host, one.port, one.id)),
        lambda one: table.handed(one),
        lambda one: table.opens(dice.randrange(CHUNKS + 1), origin=dice.random() < 0.2),
        lambda one: table.play(Closed(FILE)),
        lambda one: table.play(MessageReceived(one.id, Leave(KEY))),
        lambda one: table.wait(dice.random()),
    ]
    for _ in range(1500):
        dice.choice(moves)(dice.choice(peers))
        node = table.node
        wanted = [part.swarm.deadline() for part in node.participations.values()]
        wanted += [node._discovery.next_due_s(), node._refresh_s]
        wanted_s = min((due_s for due_s in wanted if due_s is not None), default=None)
        assert node.deadline() is None if wanted_s is None else node.deadline() <= wanted_s


def test_the_snapshot_shows_swarms_and_links() -> None:
    table = Table()
    table.opens(3)
    table.links(LOWER)
    seen = table.node.snapshot(table.now)
    assert seen["links"] == 1
    assert seen["swarms"][FILE]["have_chunks"] == 3
    assert seen["swarms"][FILE]["state"] == "fetching"


def test_a_node_is_told_only_of_what_it_knows() -> None:
    with pytest.raises(AssertionError, match="Event"):
        Table().play(Event())

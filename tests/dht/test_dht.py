"""A node's part in the table: events, then the exact actions."""

import random

import pytest
from hypothesis import given
from hypothesis import strategies as st

from strew.dht.contact import Address, Contact, Key, NodeId
from strew.dht.dht import (
    CHORE_EVERY_S,
    ENOUGH_CONTACTS,
    FINDS_PARALLEL_MAX,
    FINDS_WAITING_MAX,
    NAMED_MAX,
    NEIGHBOURS_S,
    NEWCOMERS_PENDING_MAX,
    REJOIN_MAX_S,
    SETTLE_S,
    UPKEEP_S,
    Dht,
)
from strew.dht.events import (
    ContactNamed,
    DhtEvent,
    Find,
    Provide,
    ProvidersFound,
    Withdraw,
)
from strew.dht.krpc import (
    AnnouncePeer,
    Answer,
    Failure,
    FindNode,
    GetPeers,
    Krpc,
    Ping,
    Query,
    UnknownQuery,
    encode,
)
from strew.dht.publishing import REPUBLISH_S
from strew.dht.queries import TIMEOUT_S
from strew.dht.routing import QUESTIONABLE_S
from strew.messages import Action, DatagramReceived, SendDatagram, Tick

ME = NodeId(1 << 159)
PORT = 7301
KEY = Key(0)
SEED: Address = ("10.0.0.1", 7301)
A = Contact(NodeId(1), *SEED)
B = Contact(NodeId(2), "10.0.0.2", 7301)
C = Contact(NodeId(4), "10.0.0.3", 7301)
PEER: Address = ("10.0.9.9", 7301)


class Play:
    """A node, its clock, and what it sent and nobody answered yet."""

    def __init__(self, *seeds: Address, read_only: bool = False) -> None:
        self.now = 100.0
        dice = random.Random(3)
        self.dht = Dht(ME, dice, self.now, PORT, seeds, read_only=read_only)
        self.open: dict[Address, list[Query]] = {}
        self.found: list[ProvidersFound] = []

    def do(self, event: DhtEvent) -> list[Action]:
        actions = self.dht.handle(event, self.now)
        for action in actions:
            match action:
                case SendDatagram(host=host, port=port, message=Query() as query):
                    self.open.setdefault((host, port), []).append(query)
                case ProvidersFound():
                    self.found.append(action)
        return actions

    def hear(self, address: Address, message: Krpc) -> list[Krpc]:
        """A message comes; returns what goes back to the same address."""
        actions = self.do(DatagramReceived(*address, message))
        return [
            action.message
            for action in actions
            if isinstance(action, SendDatagram)
            and (action.host, action.port) == address
            and isinstance(action.message, Krpc)
        ]

    def answer(self, contact: Contact, *nodes: Contact, **fields: object) -> None:
        """The oldest open query to a contact is answered."""
        query = self.open[contact.address].pop(0)
        answer = Answer(query.transaction, contact.id, nodes, **fields)  # type: ignore[arg-type]
        self.do(DatagramReceived(*contact.address, answer))

    def wait(self, seconds: float) -> None:
        """Time passes, with a Tick whenever one was asked for."""
        end_s = self.now + seconds
        while (deadline_s := self.dht.deadline()) <= end_s:
            assert deadline_s >= self.now - 1e-9
            self.now = max(self.now, deadline_s)
            self.do(Tick())
        self.now = end_s

    def live(self, seconds: float, *contacts: Contact) -> list[type[Query]]:
        """Time passes and these contacts answer all they are asked; returns what that was."""
        kinds = []
        end_s = self.now + seconds
        while self.now < end_s:
            self.wait(0.5)
            for contact in contacts:
                while self.open.get(contact.address):
                    kinds.append(type(self.open[contact.address][0]))
                    self.answer(contact, token=b"token")
        return kinds

    def asked(self, contact: Contact) -> list[type[Query]]:
        return [type(query) for query in self.open.get(contact.address, [])]


def joined(*contacts: Contact) -> Play:
    """A node that knows these contacts and has nothing to do."""
    play = Play(contacts[0].address)
    play.do(Tick())
    play.answer(contacts[0], *contacts[1:])
    play.live(90.0, *contacts)
    snapshot = play.dht.snapshot()
    assert snapshot.joined and snapshot.size == len(contacts)
    assert snapshot.queries == snapshot.searches == 0
    return play


def test_alone_a_node_says_nothing() -> None:
    play = Play()
    play.wait(100.0)
    assert play.open == {}
    assert not play.dht.snapshot().joined


def test_joining_is_looking_oneself_up_beginning_at_the_seeds() -> None:
    play = Play(SEED)
    assert play.dht.deadline() == play.now
    (action,) = play.do(Tick())
    assert isinstance(action, SendDatagram) and (action.host, action.port) == SEED
    assert isinstance(action.message, FindNode)
    assert (action.message.target, action.message.sender) == (ME, ME)
    play.answer(A, B, C)
    assert play.asked(B) == play.asked(C) == [FindNode]
    play.answer(B)
    assert not play.dht.snapshot().joined
    play.answer(C)
    assert play.dht.snapshot().joined and play.dht.snapshot().size == 3


def test_nobody_answers_and_the_waits_grow_up_to_a_limit() -> None:
    play = Play(SEED)
    play.wait(600.0)
    tries = len(play.open[SEED])
    assert 600.0 / (REJOIN_MAX_S + TIMEOUT_S) < tries < 50
    play.open[SEED] = play.open[SEED][-1:]
    play.wait(REJOIN_MAX_S + TIMEOUT_S)
    assert len(play.open[SEED]) >= 2


def test_a_seed_that_is_ourselves_is_left_alone_from_then_on() -> None:
    play = Play(SEED)
    play.do(Tick())
    (query,) = play.open.pop(SEED)
    play.hear(SEED, Answer(query.transaction, ME, ()))
    play.wait(100.0)
    assert play.open == {}
    assert play.dht.snapshot().size == 0


def test_a_named_address_is_a_way_in() -> None:
    play = Play()
    play.do(Tick())
    play.do(ContactNamed(*SEED))
    assert play.asked(A) == [Ping]
    play.answer(A)
    assert play.asked(A) == [FindNode], "it looks itself up, now that it knows somebody"
    play.answer(A)
    assert play.dht.snapshot().joined


def test_an_address_that_can_be_nobody_s_is_not_asked() -> None:
    play = Play(("224.0.0.1", 7301), ("node", 7301))
    play.do(ContactNamed("0.0.0.0", 7301))
    play.do(ContactNamed("::1", 7301))
    play.do(DatagramReceived("10.0.0.1", 0, Ping(b"aa", sender=NodeId(9))))
    play.wait(100.0)
    assert play.open == {}


def test_who_asks_is_answered_and_pinged_and_taken_only_when_it_answers() -> None:
    play = Play()
    answer, ping = play.hear(B.address, Ping(b"aa", sender=B.id))
    assert answer == Answer(b"aa", ME)
    assert isinstance(ping, Ping)
    assert play.dht.snapshot().size == 0
    assert play.hear(B.address, Ping(b"ab", sender=B.id)) == [Answer(b"ab", ME)]
    play.answer(B)
    assert play.dht.snapshot().size == 1
    assert play.hear(B.address, Ping(b"ac", sender=B.id)) == [Answer(b"ac", ME)]


def test_who_only_asks_is_in_no_table() -> None:
    play = Play()
    query = Ping(b"aa", sender=B.id, read_only=True)
    assert play.hear(B.address, query) == [Answer(b"aa", ME)]


def test_a_process_that_is_soon_gone_says_so_in_each_query() -> None:
    play = Play(SEED, read_only=True)
    play.do(Tick())
    play.answer(A)
    play.do(Find(KEY))
    play.do(Provide(KEY, PORT))
    play.wait(1.0)
    queries = [query for queries in play.open.values() for query in queries]
    assert queries and all(query.read_only for query in queries)


def test_a_flood_of_invented_askers_is_not_pinged_without_end() -> None:
    play = Play()
    for number in range(10_000):
        address = (f"10.7.{number >> 8}.{number & 255}", 7301)
        play.hear(address, Ping(b"aa", sender=NodeId(number)))
    assert len(play.open) == NEWCOMERS_PENDING_MAX
    assert play.dht.snapshot().size == 0


def test_an_unknown_method_is_refused_with_204() -> None:
    play = Play()
    (refusal,) = play.hear(B.address, UnknownQuery(b"aa"))
    assert refusal == Failure(b"aa", 204, "Method Unknown")


def test_answers_that_nobody_asked_for_change_nothing() -> None:
    play = Play()
    assert play.hear(B.address, Answer(b"aa", B.id, (A,), (PEER,), b"t", 7301)) == []
    assert play.hear(B.address, Failure(b"aa", 201, "")) == []
    assert play.dht.snapshot().size == 0


def test_an_answer_from_another_address_than_was_asked_is_not_taken() -> None:
    play = Play(SEED)
    play.do(Tick())
    (query,) = play.open[SEED]
    play.hear(B.address, Answer(query.transaction, B.id, ()))
    assert play.dht.snapshot().size == 0


def test_a_search_names_providers_as_they_come_and_ends_once() -> None:
    play = joined(A, B)
    play.do(Find(KEY))
    assert GetPeers in play.asked(A) and GetPeers in play.asked(B)
    play.answer(A, peers=(PEER, B.address))
    assert play.found == [ProvidersFound(KEY, (PEER, B.address), False)]
    play.answer(B, peers=(PEER,))
    assert play.found[1:] == [ProvidersFound(KEY, (), True)]
    record = play.dht.snapshot().records[-1]
    assert (record.purpose, record.found, record.queries, record.hops) == ("find", 2, 2, 1)


def test_a_node_that_provides_the_key_itself_is_named_by_the_address_it_answered_from() -> None:
    play = joined(A)
    play.do(Find(KEY))
    play.answer(A, provides=7400)
    assert play.found[0] == ProvidersFound(KEY, (("10.0.0.1", 7400),), False)


def test_what_is_kept_here_is_found_at_once() -> None:
    play = joined(A)
    (answer, *_) = play.hear(B.address, GetPeers(b"aa", KEY, sender=B.id))
    assert isinstance(answer, Answer)
    announce = AnnouncePeer(b"ab", KEY, 7301, answer.token, sender=B.id)
    assert play.hear(B.address, announce)[0] == Answer(b"ab", ME)
    play.do(Find(KEY))
    assert play.found == [ProvidersFound(KEY, (B.address,), False)]


def test_a_dead_address_costs_a_search_one_second() -> None:
    play = joined(A, B)
    play.do(Find(KEY))
    play.answer(A)
    play.wait(TIMEOUT_S - 0.01)
    assert play.found == []
    play.wait(0.01)
    assert play.found == [ProvidersFound(KEY, (), True)]


def test_a_refusal_ends_the_waiting_for_it() -> None:
    play = joined(A)
    play.do(Find(KEY))
    query = play.open[SEED].pop()
    play.hear(SEED, Failure(query.transaction, 202, "Server Error"))
    assert play.found == [ProvidersFound(KEY, (), True)]
    assert play.dht.snapshot().size == 1, "who refuses is there"


def test_asking_again_while_a_search_runs_changes_nothing() -> None:
    play = joined(A)
    play.do(Find(KEY))
    play.do(Find(KEY))
    assert play.asked(A) == [GetPeers]
    play.answer(A)
    assert len(play.found) == 1
    play.do(Find(KEY))
    assert play.asked(A) == [GetPeers]


def test_a_cold_node_searches_from_its_seeds_without_having_joined() -> None:
    play = Play(SEED)
    play.do(Find(KEY))
    assert sorted(kind.__name__ for kind in play.asked(A)) == ["FindNode", "GetPeers"]


def test_who_knows_nobody_finds_nothing_at_once() -> None:
    play = Play()
    play.do(Find(KEY))
    assert play.found == [ProvidersFound(KEY, (), True)]


def test_too_many_searches_wait_and_far_too_many_end_at_once() -> None:
    play = joined(A)
    for number in range(FINDS_PARALLEL_MAX + FINDS_WAITING_MAX + 1):
        play.do(Find(Key(number)))
    assert len(play.asked(A)) == FINDS_PARALLEL_MAX
    assert play.found == [ProvidersFound(Key(FINDS_PARALLEL_MAX + FINDS_WAITING_MAX), (), True)]
    play.answer(A)
    assert len(play.asked(A)) == FINDS_PARALLEL_MAX, "the next one began"


def test_providing_is_announcing_to_the_nearest_with_their_tokens() -> None:
    play = joined(A, B)
    play.do(Provide(KEY, PORT))
    play.wait(CHORE_EVERY_S)
    play.answer(A, token=b"of A")
    play.answer(B, token=b"of B")
    (announce,) = play.open[A.address]
    assert isinstance(announce, AnnouncePeer)
    assert (announce.key, announce.port, announce.token) == (KEY, PORT, b"of A")
    assert announce.implied_port, "it is the port of this very socket"
    assert play.asked(B) == [AnnouncePeer]
    assert play.dht.snapshot().provided == ((KEY, 2),)


def test_another_port_than_the_node_s_is_said_plainly() -> None:
    play = joined(A)
    play.do(Provide(KEY, 8000))
    play.wait(CHORE_EVERY_S)
    play.answer(A, token=b"of A")
    (announce,) = play.open[A.address]
    assert isinstance(announce, AnnouncePeer)
    assert (announce.port, announce.implied_port) == (8000, False)


def test_a_provided_key_is_announced_again_until_it_is_withdrawn() -> None:
    nodes = [Contact(NodeId(n), f"10.0.3.{n}", 7301) for n in range(1, 9)]
    play = joined(*nodes)
    play.do(Provide(KEY, PORT))
    play.live(3 * REPUBLISH_S, *nodes)
    assert play.live(2 * REPUBLISH_S, *nodes).count(AnnouncePeer) == 2 * len(nodes)
    play.do(Withdraw(KEY))
    assert AnnouncePeer not in play.live(2 * REPUBLISH_S, *nodes)


def test_what_was_provided_right_after_joining_is_announced_again_soon() -> None:
    play = Play(SEED)
    play.do(Provide(KEY, PORT))
    assert play.live(45.0, A).count(AnnouncePeer) == 2


def test_soon_after_joining_it_looks_itself_up_once_more() -> None:
    play = Play(SEED)
    play.do(Tick())
    play.answer(A)
    play.wait(SETTLE_S)
    assert FindNode in play.asked(A)


def test_what_was_provided_before_joining_is_announced_after_it() -> None:
    play = Play(SEED)
    play.do(Provide(KEY, PORT))
    assert GetPeers not in play.asked(A)
    play.answer(A)
    play.wait(CHORE_EVERY_S)
    assert GetPeers in play.asked(A)


def test_a_withdrawn_key_is_not_announced_by_a_lookup_still_under_way() -> None:
    play = joined(A)
    play.do(Provide(KEY, PORT))
    play.wait(CHORE_EVERY_S)
    play.do(Withdraw(KEY))
    play.answer(A, token=b"of A")
    assert play.asked(A) == []


def test_a_thousand_keys_at_once_do_not_flood_the_network() -> None:
    play = joined(A)
    for number in range(1000):
        play.do(Provide(Key(number), PORT))
    assert 8 <= play.live(1.0, A).count(GetPeers) <= 11


def test_silent_contacts_are_pinged_and_dropped_after_the_second_failure() -> None:
    play = joined(A, B)
    end_s = play.now + QUESTIONABLE_S + 2 * UPKEEP_S + 10.0
    pings = 0
    while play.now < end_s:
        play.wait(1.0)
        while play.open.get(A.address):
            play.answer(A)
        pings += play.asked(B).count(Ping)
        play.open.pop(B.address, None)
    assert 1 <= pings <= 2
    assert play.dht.snapshot().size == 1
    play.hear(C.address, FindNode(b"aa", 0, sender=C.id))
    (answer, *_) = play.hear(A.address, FindNode(b"aa", 0, sender=A.id))
    assert answer == Answer(b"aa", ME, ()), "who failed is named to nobody"


def test_it_looks_itself_up_again_and_again_beginning_also_at_a_named_address() -> None:
    play = joined(A, B)
    for contact in (A, B):
        play.open.pop(contact.address, None)
    play.do(ContactNamed(*PEER))
    play.open.pop(PEER)
    play.live(10 * NEIGHBOURS_S, A, B)
    targets = [query.target for query in play.open[PEER] if isinstance(query, FindNode)]
    assert len(targets) >= 3 and set(targets) == {ME}


def test_left_by_everybody_it_joins_again_by_those_it_knew() -> None:
    play = joined(A, B)
    play.wait(QUESTIONABLE_S + 10 * UPKEEP_S)
    assert not play.dht.snapshot().joined
    play.open.clear()
    play.wait(REJOIN_MAX_S + TIMEOUT_S)
    assert FindNode in play.asked(B), "which is no seed"
    play.live(2 * REJOIN_MAX_S, A, B)
    assert play.dht.snapshot().joined and play.dht.snapshot().size == 2


def test_named_addresses_are_pinged_only_while_the_table_is_small() -> None:
    near = [ME | 1 << bit for bit in range(ENOUGH_CONTACTS)]
    contacts = [Contact(NodeId(near[n]), f"10.0.3.{n}", 7301) for n in range(ENOUGH_CONTACTS)]
    play = joined(*contacts[:-1])
    play.do(ContactNamed(*contacts[-1].address))
    play.answer(contacts[-1])
    assert play.dht.snapshot().size == ENOUGH_CONTACTS
    for number in range(10 * NAMED_MAX):
        play.do(ContactNamed(f"10.8.{number >> 8}.{number & 255}", 7301))
    assert not any(play.open.values())


def test_who_says_our_own_id_is_no_contact() -> None:
    play = joined(A, B)
    play.do(Find(KEY))
    query = play.open[B.address].pop()
    play.hear(B.address, Answer(query.transaction, ME, ()))
    assert play.dht.snapshot().size == 1


small_ids = st.sampled_from([0, 1, 2, 4, ME, ME | 1, (1 << 160) - 1])
addresses = st.sampled_from([A.address, B.address, C.address, PEER, ("224.0.0.1", 1), ("::1", 1)])
nodes = st.lists(st.builds(Contact, small_ids, st.just("10.0.0.7"), st.integers(1, 3)), max_size=8)
ports = st.integers(1, 65535)
transactions = st.binary(min_size=1, max_size=32)
queries = (
    st.builds(Ping, transactions, sender=small_ids, read_only=st.booleans())
    | st.builds(FindNode, transactions, small_ids, sender=small_ids, read_only=st.booleans())
    | st.builds(GetPeers, transactions, small_ids, sender=small_ids)
    | st.builds(AnnouncePeer, transactions, small_ids, ports, st.binary(), sender=small_ids)
)
events = (
    st.builds(ContactNamed, st.just("10.0.0.8"), ports)
    | st.builds(Find, small_ids)
    | st.builds(Provide, small_ids, ports)
    | st.builds(Withdraw, small_ids)
    | st.just(Tick())
)


@given(st.lists(queries | events | st.tuples(small_ids, nodes) | st.floats(0.0, 400.0)), st.data())
def test_whatever_comes_is_taken_and_nobody_unproved_gets_more_than_three_times_it(
    steps: list[Query | DhtEvent | tuple[NodeId, list[Contact]] | float], draw: st.DataObject
) -> None:
    play = Play(SEED)
    for step in steps:
        match step:
            case Query():
                address = draw.draw(addresses)
                answers = play.hear(address, step)
                if address == PEER:  # it asks and never answers
                    play.open.pop(PEER, None)
                    sent_bytes = sum(len(encode(answer)) for answer in answers)
                    assert sent_bytes <= 3 * len(encode(step))
            case float():
                play.wait(step)
            case tuple():
                sender, named = step
                for address, open_queries in list(play.open.items()):
                    while address != PEER and open_queries:
                        query = open_queries.pop()
                        play.hear(address, Answer(query.transaction, sender, tuple(named)))
                        break
            case _:
                play.do(step)
    assert play.dht.deadline() >= play.now


def test_the_same_dice_give_the_same_game() -> None:
    games = []
    for _ in range(2):
        play = Play(SEED)
        games.append([play.do(Tick()), play.do(Find(KEY)), play.do(ContactNamed(*PEER))])
    assert games[0] == games[1]


@pytest.mark.parametrize("pause_s", [60.0, 3600.0])
def test_after_a_pause_of_the_process_the_table_is_as_before(pause_s: float) -> None:
    play = joined(A, B)
    play.do(Find(KEY))
    play.now += pause_s
    play.do(Tick())
    assert play.dht.snapshot().size == 2

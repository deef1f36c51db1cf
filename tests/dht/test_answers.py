"""What a node answers to whom."""

import random

import pytest

from strew.dht import krpc
from strew.dht.answers import PEERS_MAX, PROVED_MAX, PROVED_S, UNPROVED_PEERS_MAX, Answers
from strew.dht.contact import Contact, Key, NodeId
from strew.dht.krpc import AnnouncePeer, Answer, Failure, FindNode, GetPeers, Ping, Query
from strew.dht.providers import HOST_PROVIDERS_MAX, Providers
from strew.dht.routing import RoutingTable

ME, ASKER, KEY = NodeId(1), NodeId(2), Key(3)
ADDRESS = ("10.0.0.2", 7301)
CONTACTS = [Contact(NodeId(1 << 150 | n), f"10.0.1.{n}", 7301) for n in range(1, 21)]
FIND_NODE = FindNode(b"aa", 1 << 150, sender=ASKER)
GET_PEERS = GetPeers(b"aa", KEY, sender=ASKER)


class Play:
    """A node that knows 20 others and keeps as many providers of the key as is said."""

    def __init__(self, providers: int = 0) -> None:
        table = RoutingTable(ME, 0.0)
        for contact in CONTACTS:
            table.seen(contact, 0.0)
        self.providers = Providers(random.Random(5))
        for number in range(providers):
            self.providers.add(KEY, (f"10.0.2.{number}", 7301), 0.0)
        self.ports: dict[Key, int] = {}
        self.answers = Answers(ME, table, self.providers, self.ports)

    def prove(self) -> None:
        self.answers.prove(ADDRESS, 0.0)

    def ask(self, query: Query, beside_bytes: int = 0, now: float = 1.0) -> Answer:
        answer = self.answers.reply(query, ADDRESS, now, beside_bytes)
        assert isinstance(answer, Answer)
        return answer


def count(answer: Answer) -> tuple[int, int]:
    assert answer.nodes is not None
    return len(answer.nodes), len(answer.peers)


def test_a_ping_is_answered_by_who_we_are() -> None:
    assert Play().ask(Ping(b"aa", sender=ASKER)) == Answer(b"aa", ME)


def test_find_node_names_the_nearest_without_the_asker() -> None:
    play = Play()
    play.prove()
    answer = play.ask(FindNode(b"aa", 1 << 150 | 5, sender=NodeId(1 << 150 | 4)))
    assert answer.nodes is not None
    assert [int(node.id & 31) for node in answer.nodes[:4]] == [5, 7, 6, 1]
    assert len(answer.nodes) == 7


def test_get_peers_names_a_sample_of_providers_and_always_nodes() -> None:
    play = Play(providers=60)
    play.prove()
    answer = play.ask(GET_PEERS)
    assert count(answer) == (8, PEERS_MAX)
    assert play.providers.proves(answer.token, ADDRESS[0], 1.0)


def test_a_provider_says_so_itself() -> None:
    play = Play()
    play.ports[KEY] = 7400
    assert play.ask(GET_PEERS).provides == 7400
    assert play.ask(GetPeers(b"aa", Key(9), sender=ASKER)).provides == 0


@pytest.mark.parametrize("query", [FIND_NODE, GET_PEERS], ids=["find_node", "get_peers"])
@pytest.mark.parametrize("providers", [0, 1, 60])
@pytest.mark.parametrize("beside_bytes", [0, 58])
@pytest.mark.parametrize("transaction", [b"a", b"t" * 32])
def test_without_proof_nobody_gets_more_than_three_times_what_it_sent(
    query: Query, providers: int, beside_bytes: int, transaction: bytes
) -> None:
    play = Play(providers)
    play.ports[KEY] = 65535
    kind = type(query)
    fields = {name: getattr(query, name) for name in query.__struct_fields__}
    asked = kind(**fields | {"transaction": transaction})
    answer = play.ask(asked, beside_bytes)
    sent_bytes = len(krpc.encode(answer)) + beside_bytes
    assert sent_bytes <= 3 * len(krpc.encode(asked))
    assert len(answer.peers) <= UNPROVED_PEERS_MAX
    assert answer.nodes, "and still somebody to go on with"


def test_proof_opens_the_whole_answer_and_wears_off() -> None:
    play = Play(providers=60)
    few = count(play.ask(GET_PEERS))
    play.prove()
    assert count(play.ask(GET_PEERS)) == (8, PEERS_MAX) > few
    assert count(play.ask(GET_PEERS, now=PROVED_S)) == few


def test_the_oldest_proofs_are_forgotten_first() -> None:
    answers = Play().answers
    for number in range(PROVED_MAX + 1):
        answers.prove(("10.0.0.3", number), 0.0)
        if number == 1:
            answers.prove(("10.0.0.3", 0), 0.0)
    assert answers.proved(("10.0.0.3", 0), 0.0)
    assert not answers.proved(("10.0.0.3", 1), 0.0)
    assert answers.proved(("10.0.0.3", PROVED_MAX), 0.0)


def announce(token: bytes, port: int = 6881, implied: bool = False) -> AnnouncePeer:
    return AnnouncePeer(b"aa", KEY, port, token, implied, sender=ASKER)


@pytest.mark.parametrize(("implied", "port"), [(False, 6881), (True, ADDRESS[1])])
def test_an_announce_with_its_token_is_recorded(implied: bool, port: int) -> None:
    play = Play()
    token = play.ask(GET_PEERS).token
    assert play.ask(announce(token, implied=implied)) == Answer(b"aa", ME)
    assert play.ask(GET_PEERS).peers == ((ADDRESS[0], port),)
    assert play.answers.proved(ADDRESS, 1.0), "only its holder can have received the token"


def test_an_announce_without_token_or_with_another_host_s_is_refused() -> None:
    play = Play()
    for token in (b"", b"12345678", play.providers.token("10.0.0.9", 0.0)):
        refusal = play.answers.reply(announce(token), ADDRESS, 1.0)
        assert refusal == Failure(b"aa", 203, "Bad token")
    assert len(play.providers) == 0
    assert not play.answers.proved(ADDRESS, 1.0)


def test_an_announce_for_which_there_is_no_place_is_refused() -> None:
    play = Play()
    token = play.ask(GET_PEERS).token
    for port in range(1, HOST_PROVIDERS_MAX + 1):
        play.ask(announce(token, port))
    refusal = play.answers.reply(announce(token, 9999), ADDRESS, 1.0)
    assert refusal == Failure(b"aa", 202, "No room")

"""The way of a rumour through a node: what it believes, tells its owner, and passes on."""

import math
import random

from strew.gossip.health import Health
from strew.gossip.hearing import FANOUT, HELD_AT_ONCE_MAX, STRANGERS_TOLD_MAX, Hearing
from strew.gossip.holdings import Holding, Holdings, OwnHoldings
from strew.gossip.membership import MemberCame, MemberGone, Membership
from strew.gossip.names import NameHeard, Names
from strew.gossip.outbox import Outbox
from strew.gossip.protocol import Entries, Member, MemberState, Rumour, Tidings
from strew.gossip.rumours import RumourQueue
from strew.gossip.suspicion import Suspicions, timeout_s
from strew.messages import Action, SendDatagram
from strew.publication import admit_all
from tests.gossip.makers import dead, held, member, peer_id, suspect, told

ME = member(0)


class Play:
    """A node's tables, to which rumours are told."""

    def __init__(self, count: int = 9) -> None:
        known = [member(number) for number in range(1, count + 1)]
        self.membership = Membership(ME, random.Random(2), known)
        self.names = Names()
        self.holdings = Holdings()
        self.own = OwnHoldings(ME.id, 0)
        self.suspicions = Suspicions(1.0)
        self.health = Health()
        self.queue = RumourQueue()
        self.outbox = Outbox(self.membership, self.queue)
        self.hearing = Hearing(
            self.membership,
            self.names,
            self.holdings,
            self.own,
            self.suspicions,
            self.health,
            self.queue,
            self.outbox,
            admit_all,
        )

    def hear(self, *rumours: Rumour, now: float = 0.0) -> list[Action]:
        for rumour in rumours:
            self.hearing.rumour(rumour, now)
        return self.outbox.take()

    def waiting(self) -> tuple[Rumour, ...]:
        """What is told with the next datagram."""
        return self.queue.fill(100_000, 10**9)


def test_news_of_members_are_passed_on_and_what_is_known_is_not() -> None:
    play = Play()
    assert play.hear(member(20), member(20), member(1)) == [MemberCame(member(20))]
    assert play.waiting() == (member(20),)
    assert play.hear(member(20)) == []
    assert len(play.queue) == 1


def test_deaths_and_returns_go_before_newcomers() -> None:
    play = Play()
    play.hear(member(20), dead(1), member(2, 1001))
    assert play.waiting() == (dead(1), member(2, 1001), member(20))


def test_a_suspicion_starts_a_time_limit_and_confirmations_shorten_it_and_are_told() -> None:
    play = Play()
    assert play.hear(suspect(1, 5)) == []
    assert play.suspicions.next_s() == timeout_s(9, 0, 1.0)
    play.hear(suspect(1, 6))
    assert play.suspicions.next_s() == timeout_s(9, 1, 1.0)
    assert play.waiting() == (suspect(1, 6),)
    assert play.membership.table[peer_id(1)] == suspect(1, 5)


def test_a_refutation_ends_a_suspicion() -> None:
    play = Play()
    play.hear(suspect(1, 5), member(1, 1001))
    assert play.suspicions.next_s() == math.inf
    assert play.waiting() == (member(1, 1001),)


def test_a_death_ends_it_too_and_what_the_dead_held_is_forgotten() -> None:
    play = Play()
    play.hear(held(1), suspect(1, 5))
    assert play.holdings.count == 1
    assert play.hear(dead(1)) == [MemberGone(peer_id(1), MemberState.DEAD)]
    assert play.suspicions.next_s() == math.inf
    assert play.holdings.count == 0


def test_this_node_accuses_in_its_own_name_and_only_the_living() -> None:
    play = Play()
    play.hearing.accuse(peer_id(1), MemberState.SUSPECT, 0.0)
    assert play.waiting() == (suspect(1, 0),)
    play.hearing.accuse(peer_id(1), MemberState.DEAD, 9.0)
    assert play.waiting() == (dead(1, by=0),)
    play.hearing.accuse(peer_id(1), MemberState.SUSPECT, 10.0)
    play.hearing.accuse(peer_id(77), MemberState.SUSPECT, 10.0)
    assert play.waiting() == (dead(1, by=0),)


def test_a_claim_about_oneself_is_refuted_and_makes_the_node_doubt_itself() -> None:
    play = Play()
    assert play.hear(suspect(0, 5)) == []
    assert play.waiting() == (member(0, 1001),)
    assert play.health.score == 1
    play.hear(suspect(0, 6))
    assert play.health.score == 1


def test_who_was_called_dead_tells_its_holdings_again() -> None:
    play = Play()
    for one in play.own.tell([Holding(7, 1, 4, b"12345678")], 9, 0.0):
        play.hearing.own_held(one)
    play.hear(dead(0))
    assert play.waiting() == (member(0, 1001), held(0, sequence=2))


def test_a_new_publication_is_told_to_the_owner_and_to_some_members_in_the_same_call() -> None:
    play = Play()
    heard, *sent = play.hear(told())
    assert heard == NameHeard(told().publication, told().holders)
    assert len(sent) == FANOUT
    for action in sent:
        assert isinstance(action, SendDatagram) and action.message == Tidings(ME, (told(),))
    assert play.hear(told()) == []
    assert play.waiting() == (told(),)


def test_what_the_owner_itself_publishes_is_only_passed_on() -> None:
    play = Play()
    play.hearing.named(told(), own=True)
    assert all(isinstance(action, SendDatagram) for action in play.outbox.take())


def test_a_conflict_is_passed_on_once_beside_the_publication_that_won() -> None:
    play = Play()
    lost, won = told(artifact="two", by=2), told(version=1_000_001, by=3)
    play.hear(won)
    assert play.hear(lost) == []
    assert set(play.waiting()) == {won, lost}
    assert play.names.conflicts == {"app:v1": lost}
    assert play.hear(lost) == []
    assert len(play.queue) == 2


def test_holdings_of_strangers_of_the_dead_and_of_oneself_are_not_believed() -> None:
    play = Play()
    play.hear(dead(1), held(1), held(77), held(0))
    assert play.holdings.count == 0
    play.hear(held(2), held(2))
    assert play.holdings.count == 1
    assert play.waiting() == (dead(1), held(2))


def test_that_one_has_all_is_worth_a_datagram_in_a_small_fleet_and_progress_rides() -> None:
    for count, pressing in ((HELD_AT_ONCE_MAX, True), (HELD_AT_ONCE_MAX + 1, False)):
        for one, ends in ((held(2), False), (held(2, of=1, have=1), True), (held(2, of=0), True)):
            play = Play(count)
            play.hear(one)
            assert play.queue.pressing is (ends and pressing) and len(play.queue) == 1


def entries(*rumours: Rumour) -> Entries:
    return Entries(member(1), rumours)


def test_whom_the_other_side_buried_is_suspected_and_can_refute() -> None:
    play = Play()
    play.hearing.entries(entries(dead(2), dead(77)), 0.0)
    assert play.outbox.take() == []
    assert play.waiting() == (suspect(2, 1),)
    assert play.suspicions.next_s() < math.inf
    assert peer_id(77) not in play.membership.table


def test_who_left_is_believed_to_have_left() -> None:
    play = Play()
    left = member(2, state=MemberState.LEFT)
    play.hearing.entries(entries(left), 0.0)
    assert play.outbox.take() == [MemberGone(peer_id(2), MemberState.LEFT)]


def strangers(count: int) -> list[Member]:
    return [member(100 + number) for number in range(count)]


def test_a_few_strangers_are_news_to_others_and_a_whole_table_is_not() -> None:
    few, many = Play(), Play()
    few.hearing.entries(entries(*strangers(STRANGERS_TOLD_MAX)), 0.0)
    assert len(few.waiting()) == STRANGERS_TOLD_MAX
    many.hearing.entries(entries(*strangers(STRANGERS_TOLD_MAX + 1), member(3, 1001)), 0.0)
    assert many.waiting() == (member(3, 1001),)
    assert many.membership.living == 9 + STRANGERS_TOLD_MAX + 1


def test_names_and_holdings_of_an_exchange_are_learnt() -> None:
    play = Play()
    many = [told(f"app:{number}") for number in range(STRANGERS_TOLD_MAX + 1)]
    play.hearing.entries(entries(*many, held(2), member(77), held(77)), 0.0)
    actions = play.outbox.take()
    assert [type(action) for action in actions] == [MemberCame] + [NameHeard] * len(many)
    assert play.holdings.count == 2
    assert play.waiting() == (member(77),)

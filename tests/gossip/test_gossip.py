"""The one door: events, then the exact actions."""

import random
from typing import Any

import msgspec
import pytest

from strew.gossip.exchange import (
    AnswerExchange,
    Exchange,
    ExchangeAnswered,
    ExchangeAsked,
    ExchangeFailed,
)
from strew.gossip.gossip import (
    LEAVE_TOLD,
    PAUSE_S,
    TELL_S,
    Gossip,
    GossipEvent,
    Spread,
    TrustChanged,
)
from strew.gossip.hearing import FANOUT
from strew.gossip.holdings import Holding, HoldingsTold
from strew.gossip.membership import MemberCame, MemberGone
from strew.gossip.names import NameHeard
from strew.gossip.protocol import (
    BUCKETS,
    Ack,
    Address,
    Differences,
    Entries,
    Member,
    MemberState,
    Message,
    Nack,
    Named,
    Ping,
    PingRequest,
    Summary,
    Tidings,
)
from strew.gossip.suspicion import LAST_WORD_S
from strew.messages import (
    Action,
    DatagramReceived,
    Leaving,
    SendDatagram,
    SwarmKey,
    Tick,
)
from strew.publication import Admits, Signature, admit_all
from tests.gossip.makers import (
    PORT,
    dead,
    held,
    holder,
    host,
    member,
    peer_id,
    publication,
    suspect,
    told,
)

ME = member(0)
SEED: Address = ("10.200.0.1", PORT)


class Play:
    """A node's gossip, and a clock that moves when told."""

    def __init__(
        self, count: int = 9, seeds: list[Address] | None = None, admits: Admits = admit_all
    ) -> None:
        self.now = 100.0
        known = [member(number) for number in range(1, count + 1)]
        self.gossip = Gossip(ME, random.Random(4), self.now, seeds or [], known, admits)

    def do(self, event: GossipEvent) -> list[Action]:
        return self.gossip.handle(event, self.now)

    def hear(self, message: Message, source: int | None = None) -> list[Action]:
        """A datagram from its sender's address, or from that of `source`."""
        sender = message.sender
        origin = (sender.host, sender.port) if source is None else (host(source), PORT)
        return self.do(DatagramReceived(*origin, message))

    def step(self) -> list[Action]:
        """Go to the deadline and tick."""
        deadline = self.gossip.deadline()
        assert deadline is not None and deadline >= self.now
        self.now = deadline
        return self.do(Tick())

    def run_until(self, until_s: float) -> list[Action]:
        """Tick at each deadline up to a time; everybody who is pinged answers but `silent`."""
        actions: list[Action] = []
        while (deadline := self.gossip.deadline()) is not None and deadline <= until_s:
            actions += self.step()
        self.now = until_s
        return actions


def sent_to(actions: list[Action], number: int) -> list[object]:
    return [a.message for a in actions if isinstance(a, SendDatagram) and a.host == host(number)]


def test_a_node_alone_has_nothing_to_say() -> None:
    play = Play(count=0)
    assert play.run_until(play.now + 60.0) == []
    assert play.gossip.members() == []


def test_a_node_with_a_seed_compares_with_it_and_calls_it_at_once() -> None:
    play = Play(count=0, seeds=[(ME.host, ME.port), SEED])
    assert play.gossip.deadline() == play.now
    exchange, call = play.do(Tick())
    assert isinstance(exchange, Exchange) and (exchange.host, exchange.port) == SEED
    assert isinstance(exchange.message, Summary)
    assert isinstance(call, SendDatagram) and (call.host, call.port) == SEED
    assert isinstance(call.message, Ping) and call.message.rumours == ()


def test_a_ping_is_answered_and_its_sender_is_a_member_from_then_on() -> None:
    play = Play(count=0)
    came, ack = play.hear(Ping(member(1), 7))
    assert came == MemberCame(member(1))
    assert isinstance(ack, SendDatagram) and (ack.host, ack.port) == (host(1), PORT)
    assert isinstance(ack.message, Ack) and ack.message.number == 7
    assert play.gossip.members() == [member(1)] and play.gossip.living == 1


def test_an_answer_goes_where_the_question_came_from() -> None:
    play = Play()
    [ack] = play.hear(Ping(member(1), 7), source=50)
    assert ack == SendDatagram(host(50), PORT, Ack(ME, 7))


def test_whoever_was_only_heard_of_is_met_when_it_speaks_from_its_own_address() -> None:
    play = Play(count=1)
    play.hear(Tidings(member(1), (member(2), member(3))))
    assert play.gossip.snapshot().strangers == 2
    play.hear(Ping(member(2), 7))
    play.hear(Ping(member(3), 7), source=50)
    assert play.gossip.snapshot().strangers == 1


def test_an_echo_of_oneself_is_ignored() -> None:
    play = Play()
    assert play.hear(Ping(ME, 7)) == []


def test_who_is_thought_dead_hears_so_when_it_asks_and_is_compared_with_when_it_refutes() -> None:
    play = Play()
    play.hear(Tidings(member(2), (dead(1),)))
    [ack] = play.hear(Ping(member(1), 7))
    assert isinstance(ack, SendDatagram) and isinstance(ack.message, Ack)
    assert ack.message.rumours[0] == dead(1)
    back = member(1, 1001)
    assert MemberCame(back) in play.hear(Tidings(back))
    exchanges = [action for action in play.step() if isinstance(action, Exchange)]
    assert [action.host for action in exchanges] == [host(1)]


def test_a_new_member_is_told_to_others_within_a_round() -> None:
    play = Play()
    play.run_until(play.now + 4.0)
    play.hear(Tidings(member(1), (member(20),)))
    began_s = play.now
    actions = play.run_until(began_s + TELL_S)
    tidings = [a for a in actions if isinstance(a, SendDatagram) and isinstance(a.message, Tidings)]
    assert len(tidings) == FANOUT
    assert {a.message for a in tidings} == {Tidings(ME, (member(20),))}


def test_a_silent_member_is_suspected_asked_for_its_last_word_and_declared_dead() -> None:
    play = Play(count=1)
    actions = play.run_until(play.now + 3.0)
    assert suspect(1, 0) in [
        rumour
        for message in sent_to(actions, 1)
        if isinstance(message, Ping)
        for rumour in message.rumours
    ]
    assert play.gossip.snapshot().suspects == 1
    pinged_s: list[float] = []
    while MemberGone(peer_id(1), MemberState.DEAD) not in (actions := play.step()):
        pinged_s += [play.now for message in sent_to(actions, 1) if isinstance(message, Ping)]
    assert play.now < 120.0
    assert pytest.approx(play.now - LAST_WORD_S) in pinged_s
    assert play.gossip.members() == []
    assert play.gossip.member(peer_id(1)) == dead(1, by=0)


def test_a_refutation_that_comes_after_the_last_word_was_asked_saves_the_suspect() -> None:
    play = Play()
    play.hear(Tidings(member(2), (suspect(1, 2),)))
    for by in (3, 4, 5):
        play.hear(Tidings(member(by), (suspect(1, by),)))
    limit_s = play.now + 4.0
    actions = play.run_until(limit_s)
    assert any(
        isinstance(message, Ping) and message.rumours[0] == suspect(1, 2)
        for message in sent_to(actions, 1)
    )
    play.now = limit_s + 0.1
    play.hear(Ack(member(1, 1001), 5))
    actions = play.run_until(limit_s + LAST_WORD_S + 0.1)
    assert MemberGone(peer_id(1), MemberState.DEAD) not in actions
    known = play.gossip.member(peer_id(1))
    assert known is not None and known.incarnation == 1001


def test_a_dead_member_is_called_now_and_then_and_told_that_it_is_dead() -> None:
    play = Play()
    play.hear(Tidings(member(2), (dead(1),)))
    actions = play.run_until(play.now + 30.0)
    calls = [message for message in sent_to(actions, 1) if isinstance(message, Ping)]
    assert calls and all(message.rumours[0] == dead(1) for message in calls)


def test_a_clock_that_jumps_makes_nobody_dead_and_asks_what_happened() -> None:
    play = Play(count=3)
    play.hear(Tidings(member(2), (suspect(1, 2),)))
    play.now += 1000.0
    actions = play.do(Tick())
    assert not [action for action in actions if isinstance(action, MemberGone)]
    assert len([action for action in actions if isinstance(action, Exchange)]) == 1
    assert play.gossip.snapshot().suspects == 1
    assert play.gossip.snapshot().health == 1


def test_a_tick_that_is_only_a_little_late_is_no_pause() -> None:
    play = Play()
    deadline = play.gossip.deadline()
    assert deadline is not None
    play.now = deadline + PAUSE_S
    play.do(Tick())
    assert play.gossip.snapshot().health == 0


def test_a_member_is_pinged_for_another_and_the_answer_passed_on() -> None:
    play = Play()
    [ping] = play.hear(PingRequest(member(2), 77, peer_id(1)))
    assert isinstance(ping, SendDatagram) and ping.host == host(1)
    assert isinstance(ping.message, Ping)
    [ack] = play.hear(Ack(member(1), ping.message.number))
    assert ack == SendDatagram(host(2), PORT, Ack(ME, 77, peer_id(1), (member(1),)))
    assert play.hear(Nack(member(2), 1)) == []


def test_a_publication_goes_out_at_once_and_the_same_again_does_not() -> None:
    play = Play()
    spread = Spread(publication(), (holder(0),))
    actions = play.do(spread)
    assert len(actions) == FANOUT
    for action in actions:
        assert isinstance(action, SendDatagram) and isinstance(action.message, Tidings)
        assert action.message.rumours == (told(by=0),)
    assert play.do(spread) == []
    assert play.gossip.names() == [told(by=0)]


def test_a_publication_heard_is_told_to_the_owner_once() -> None:
    play = Play()
    heard = [NameHeard(told().publication, told().holders)]
    for expected in (heard, []):
        actions = play.hear(Tidings(member(1), (told(),)))
        assert [action for action in actions if isinstance(action, NameHeard)] == expected


def test_a_conflict_is_visible_in_the_snapshot() -> None:
    play = Play()
    lost = told(artifact="two", by=2)
    play.hear(Tidings(member(1), (told(version=1_000_001, by=3), lost)))
    assert play.gossip.snapshot().conflicts == (lost.publication,)


def test_holdings_are_told_asked_for_and_forgotten_with_the_dead() -> None:
    play = Play()
    assert play.do(HoldingsTold((Holding(7, 4, 4, b"12345678", "seeding"),))) == []
    play.hear(Tidings(member(1), (held(1), held(2, have=0))))
    mine = held(0, have=4, sequence=ME.incarnation + 1)
    assert play.gossip.holdings(SwarmKey(7)) == [mine, held(1), held(2, have=0)]
    assert play.gossip.holders(SwarmKey(7)) == [(member(1), held(1))]
    play.hear(Tidings(member(2), (dead(1),)))
    assert play.gossip.holders(SwarmKey(7)) == []


def test_progress_is_told_when_its_time_has_come() -> None:
    play = Play()
    play.do(HoldingsTold((Holding(7, 1, 4, b"12345678"),)))
    play.do(HoldingsTold((Holding(7, 2, 4, b"12345678"),)))
    play.run_until(play.now + 11.0)
    [mine] = play.gossip.holdings(SwarmKey(7))
    assert mine.have_chunks == 2


EQUAL = Differences(member(1), {}, {}, {})


def test_an_exchange_between_two_that_know_the_same_ends_with_one_answer() -> None:
    play = Play(count=0, seeds=[SEED])
    play.do(Tick())
    actions = play.do(ExchangeAnswered(*SEED, EQUAL))
    assert actions == [MemberCame(member(1))]
    assert play.gossip.snapshot().joined


def test_where_they_differ_the_asker_sends_what_it_has_and_wants_and_learns_the_answer() -> None:
    play = Play(count=0, seeds=[SEED])
    play.do(Tick())
    marks = {3: b"12345678"}
    actions = play.do(ExchangeAnswered(*SEED, Differences(member(1), marks, {}, {})))
    [exchange] = [action for action in actions if isinstance(action, Exchange)]
    assert isinstance(exchange.message, Entries)
    assert exchange.message.wanted == marks[3]
    actions = play.do(ExchangeAnswered(*SEED, Entries(member(1), (member(2), told()))))
    assert MemberCame(member(2)) in actions
    assert NameHeard(told().publication, told().holders) in actions
    assert play.gossip.snapshot().joined


def test_an_answer_nobody_awaits_is_ignored() -> None:
    play = Play()
    assert play.do(ExchangeAnswered(*SEED, Entries(member(1), (member(50),)))) == []
    assert play.gossip.member(peer_id(50)) is None


@pytest.mark.parametrize(
    "ending",
    [
        ExchangeFailed(*SEED, "refused"),
        ExchangeAnswered(*SEED, Summary(member(1), *((0,) * BUCKETS,) * 3)),
    ],
)
def test_a_failed_exchange_is_tried_again_soon(ending: GossipEvent) -> None:
    play = Play(count=0, seeds=[SEED])
    play.do(Tick())
    play.do(ending)
    assert not play.gossip.snapshot().joined
    actions = play.run_until(play.now + 2.0)
    assert len([action for action in actions if isinstance(action, Exchange)]) == 1


def test_the_other_end_of_an_exchange_answers_in_the_same_call() -> None:
    asker, asked = Play(count=3), Play(count=2)
    summary = Summary(member(5), *((0,) * BUCKETS,) * 3)
    came, answer = asked.do(ExchangeAsked(9, summary))
    assert came == MemberCame(member(5))
    assert isinstance(answer, AnswerExchange) and answer.token == 9
    differences = answer.message
    assert isinstance(differences, Differences)
    assert sum(map(len, differences.members.values())) == 8 * 4
    wanted = b"".join(differences.members.values())
    actions = asked.do(ExchangeAsked(10, Entries(member(5), (member(6),), wanted)))
    assert MemberCame(member(6)) in actions
    answer = actions[-1]
    assert isinstance(answer, AnswerExchange) and isinstance(answer.message, Entries)
    assert set(answer.message.rumours) == {ME, member(1), member(2), member(5)}
    assert asker.do(ExchangeAsked(11, EQUAL)) == [AnswerExchange(11, Entries(ME))]


def test_who_leaves_tells_some_members_and_falls_silent() -> None:
    play = Play(count=20)
    actions = play.do(Leaving())
    left = member(0, state=MemberState.LEFT, by=peer_id(0))
    assert len(actions) == LEAVE_TOLD
    for action in actions:
        assert isinstance(action, SendDatagram)
        assert action.message == Tidings(left, (left,))
    assert play.gossip.deadline() is None
    assert play.hear(Ping(member(1), 7)) == []


def test_a_sample_is_of_the_living() -> None:
    play = Play()
    play.hear(Tidings(member(2), (dead(1),)))
    sample = play.gossip.sample(20, "")
    assert {one.id for one in sample} == {peer_id(number) for number in range(2, 10)}
    assert isinstance(sample[0], Member)


# --- names that are not believed ------------------------------------------------------------------


def names_of(play: Play) -> set[str]:
    return {named.publication.name for named in play.gossip.names()}


def test_a_name_that_is_not_believed_is_neither_kept_nor_told_whatever_its_version() -> None:
    """A forged high version would hide the true one from all that hear of it."""
    play = Play(admits=lambda publication: publication.name != "forged")
    true = Named(publication(version=5, name="true"), (holder(1),))
    forged = Named(publication(version=1 << 60, name="forged"), (holder(2),))
    for actions in (
        play.hear(Tidings(member(2), (forged,))),
        play.do(Spread(forged.publication, (holder(2),))),
        play.do(ExchangeAsked(1, Entries(member(2), (forged,)))),
    ):
        assert not [a for a in actions if isinstance(a, NameHeard)]
        assert forged not in rumours_in(actions)
    assert play.gossip.names() == []
    actions = play.hear(Tidings(member(1), (true,)))
    assert [a.publication for a in actions if isinstance(a, NameHeard)] == [true.publication]
    assert true in rumours_in(actions)
    play.hear(Tidings(member(2), (forged,)))
    assert names_of(play) == {"true"} and play.gossip.snapshot().conflicts == ()
    assert forged not in rumours_in(play.run_until(play.now + 5.0))


def test_when_trust_changes_names_are_judged_anew_and_asked_for_again() -> None:
    believed = {"one", "two"}
    play = Play(admits=lambda publication: publication.name in believed)
    one = Named(publication("a:1", name="one"), (holder(1),))
    two = Named(publication("b:1", name="two"), (holder(1),))
    three = Named(publication("c:1", name="three"), (holder(1),))
    play.hear(Tidings(member(1), (one, two, three)))
    assert names_of(play) == {"one", "two"}
    before = play.gossip._names.sums.read()
    believed.symmetric_difference_update({"two", "three"})
    actions = play.do(TrustChanged()) + play.step()
    assert names_of(play) == {"one"}
    assert [a for a in actions if isinstance(a, Exchange)], "somebody may have what was passed over"
    play.hear(Tidings(member(1), (three,)))
    assert names_of(play) == {"one", "three"}
    play.hear(Tidings(member(1), (two,)))
    assert names_of(play) == {"one", "three"}
    believed.symmetric_difference_update({"two", "three"})
    play.do(TrustChanged())
    play.hear(Tidings(member(1), (two,)))
    assert play.gossip._names.sums.read() == before, "sums are those of what is kept"


def test_a_name_too_long_for_a_datagram_is_told_by_exchange_alone() -> None:
    play = Play()
    signatures = tuple(Signature(f"{number:016x}", bytes(64)) for number in range(4))
    long = msgspec.structs.replace(
        publication("n" * 128 + ":" + "t" * 128, name="f" * 255), signatures=signatures
    )
    actions = play.hear(Tidings(member(1), ()))
    actions += play.do(Spread(long, (holder(1),)))
    assert long not in [named.publication for named in rumours_in(actions)]
    (kept,) = play.gossip.names()
    assert kept.publication == long


def rumours_in(actions: list[Action]) -> list[Any]:
    sent = [a.message for a in actions if isinstance(a, SendDatagram)]
    return [rumour for message in sent for rumour in message.rumours]  # type: ignore[attr-defined]

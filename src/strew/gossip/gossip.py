"""Gossip: one node's view of the fleet, and what it says to keep everybody's view alike.

Theory of operation. Three things go on beside each other. *Probing* asks members in turn whether
they live (`probing`, `suspicion`). *Rumours* about members, publications and holdings ride on the
probes; while something pressing waits, some random members are told every fifth of a second; a new
publication is passed on in the very call in which it was heard, so it crosses a fleet in a few
round trips. *Exchanges* with random members repair what rumours missed (`exchange`, `ledger`).

Nothing heard here decides content, and nobody is dialled for it: the node that owns this core
hears of members and names by actions, asks for samples, and decides.

A process that was stopped and goes on sees its clock jump. What it waited for cannot be judged
then: timers are put off by as long as it stood still, nobody is declared dead for it, and an
exchange tells what happened meanwhile.
"""

import math
import random
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass

from strew.gossip.exchange import (
    AnswerExchange,
    Exchange,
    ExchangeAnswered,
    ExchangeAsked,
    ExchangeFailed,
    Schedule,
)
from strew.gossip.health import Health
from strew.gossip.hearing import FANOUT, Hearing
from strew.gossip.holdings import Holdings, HoldingsTold, OwnHoldings
from strew.gossip.ledger import Ledger
from strew.gossip.membership import GONE, Membership
from strew.gossip.names import Names
from strew.gossip.outbox import Outbox
from strew.gossip.probing import PERIOD_S, Prober
from strew.gossip.protocol import (
    Ack,
    Address,
    Differences,
    Entries,
    ExchangeMessage,
    Held,
    Holder,
    Member,
    MemberState,
    Message,
    Nack,
    Named,
    Ping,
    PingRequest,
    Summary,
    named,
)
from strew.gossip.rumours import Lane, RumourQueue
from strew.gossip.suspicion import Suspicions
from strew.messages import (
    Action,
    Datagram,
    DatagramReceived,
    Event,
    Leaving,
    PeerId,
    SwarmKey,
    Tick,
)
from strew.publication import Admits, Publication, admit_all

TELL_S = 0.2
"""Between two rounds of telling while something pressing waits (memberlist: GossipInterval)."""

LEAVE_TOLD = 8
"""Members told directly by who leaves; one that hears it suffices."""

CALL_DEAD_S = 10.0
"""How often a dead member is called, to see whether it is back."""

CALL_DEAD_PER_MEMBER_S = 0.1
"""That time grows with the fleet, so that a machine taken away is called ten times a second by all
together, however many they are."""

PAUSE_S = 2.0
"""A deadline missed by more than this means that the process stood still, not that others did."""


class Spread(Event, frozen=True):
    """This was published here, or heard of from elsewhere: tell everybody. Idempotent."""

    publication: Publication
    holders: tuple[Holder, ...]


class TrustChanged(Event, frozen=True):
    """Other keys are trusted than before: judge all names anew, and ask for those passed over."""


GossipEvent = (
    DatagramReceived
    | ExchangeAsked
    | ExchangeAnswered
    | ExchangeFailed
    | Spread
    | HoldingsTold
    | TrustChanged
    | Leaving
    | Tick
)


@dataclass(frozen=True, slots=True)
class GossipSnapshot:
    """For dashboards, metrics and laws. `strangers` are living members that did not
    speak for themselves yet; `health` is 0 when all is well; `conflicts` are the publications that
    lost against another publisher's of the same reference."""

    me: Member
    joined: bool
    living: int
    strangers: int
    suspects: int
    tombstones: int
    health: int
    rtt_s: float
    refutations: int
    refused: int
    rumours: int
    names: int
    holdings: int
    conflicts: tuple[Publication, ...]


class Gossip:
    """The core; see the module's theory of operation."""

    def __init__(
        self,
        me: Member,
        dice: random.Random,
        now: float,
        seeds: Sequence[Address],
        known: Iterable[Member] = (),
        admits: Admits = admit_all,
    ) -> None:
        """`me.incarnation` must exceed that of this node's earlier lives: unix milliseconds do.
        `known` are members of an earlier life, believed until a probe says otherwise; `admits` says
        which publications are."""
        self._dice = dice
        self._membership = Membership(me, dice, known)
        self._names = Names()
        self._holdings = Holdings()
        self._own = OwnHoldings(me.id, me.incarnation)
        self._queue = RumourQueue()
        self._outbox = Outbox(self._membership, self._queue)
        self._suspicions = Suspicions(PERIOD_S)
        self._health = Health()
        self._prober = Prober(self._membership, self._outbox, self._health, dice, now)
        self._hearing = Hearing(
            self._membership,
            self._names,
            self._holdings,
            self._own,
            self._suspicions,
            self._health,
            self._queue,
            self._outbox,
            admits,
        )
        self._schedule = Schedule(self._membership, seeds, dice, now)
        self._ledger = Ledger(self._membership, self._names, self._holdings)
        self._tell_s = math.inf
        """When the next round of telling is, if something pressing waits."""
        self._call_dead_s = now + CALL_DEAD_S
        self._left = False
        self._queue.push(me.id, me, Lane.FIRST)
        self._due_s = self._next_s(now)

    # --- the door -------------------------------------------------------------------------------

    def handle(self, event: GossipEvent, now: float) -> list[Action]:
        """Take an event; returns what is to be sent, and what the node should know."""
        if self._left:
            return []
        if now - self._due_s > PAUSE_S:
            self._paused(now - self._due_s, now)
        match event:
            case DatagramReceived(host=host, port=port, message=message):
                self._datagram(host, port, message, now)
            case Tick():
                pass
            case ExchangeAsked(token=token, message=message):
                self._exchange_asked(token, message, now)
            case ExchangeAnswered(host=host, port=port, message=message):
                self._exchange_answered((host, port), message, now)
            case ExchangeFailed(host=host, port=port):
                self._schedule.failed((host, port), now)
            case Spread(publication=publication, holders=holders):
                self._hearing.named(named(publication, holders), own=True)
            case HoldingsTold(holdings=holdings):
                for held in self._own.tell(holdings, self._membership.living, now):
                    self._hearing.own_held(held)
            case TrustChanged():
                self._hearing.judge_again()
                self._schedule.at_once(now)
            case Leaving():
                return self._leave()
        if now >= self._due_s:
            self._advance(now)
        self._due_s = self._next_s(now)
        return self._outbox.take()

    def deadline(self) -> float | None:
        """When a Tick is needed; None if only an event can lead to anything."""
        return None if self._left or self._due_s == math.inf else self._due_s

    def snapshot(self) -> GossipSnapshot:
        """Plain data about the fleet as seen from here."""
        return GossipSnapshot(
            me=self.me,
            joined=self._schedule.joined,
            living=self._membership.living,
            strangers=len(self._membership.strangers),
            suspects=len(self._suspicions),
            tombstones=self._membership.tombstones,
            health=self._health.score,
            rtt_s=self._prober.rtt_s,
            refutations=self._membership.refutations,
            refused=self._membership.refused,
            rumours=len(self._queue),
            names=len(self._names.by_reference),
            holdings=self._holdings.count,
            conflicts=tuple(lost.publication for lost in self._names.conflicts.values()),
        )

    # --- questions ------------------------------------------------------------------------------

    @property
    def me(self) -> Member:
        """This node as it tells of itself; its incarnation grows."""
        return self._membership.me

    @property
    def living(self) -> int:
        """How many others are alive or suspect."""
        return self._membership.living

    def members(self) -> list[Member]:
        """Everybody else who is alive or suspect."""
        return list(self._membership.alive())

    def everybody(self) -> list[Member]:
        """All others in the table, those that died or left a while ago included."""
        return list(self._membership.table.values())

    @property
    def strangers(self) -> frozenset[PeerId]:
        """Living members that this node only heard of: none has spoken for itself yet."""
        return frozenset(self._membership.strangers)

    def member(self, peer: PeerId) -> Member | None:
        """What is known of one member, dead ones included."""
        return self._membership.table.get(peer)

    def holdings(self, swarm: SwarmKey) -> list[Held]:
        """What each node holds of an artifact, this one included."""
        return self._holdings.of(swarm)

    def holders(self, swarm: SwarmKey) -> list[tuple[Member, Held]]:
        """Living members that hold some of an artifact, and how much."""
        table = self._membership.table
        return [
            (member, held)
            for held in self._holdings.of(swarm)
            if held.have_chunks
            and (member := table.get(held.id)) is not None
            and member.state < GONE
        ]

    def names(self) -> list[Named]:
        """Of each reference the highest publication heard of."""
        return list(self._names.by_reference.values())

    def sample(
        self, count: int, zone: str, wanted: Callable[[Member], bool] = lambda _: True
    ) -> list[Member]:
        """Up to `count` living members at random, two thirds of them of `zone` if there are."""
        return self._membership.sample(count, zone, wanted)

    # --- time -----------------------------------------------------------------------------------

    def _next_s(self, now: float) -> float:
        if self._tell_s == math.inf and self._queue.pressing and self._membership.living:
            self._tell_s = now + TELL_S * self._dice.random()
        return min(
            self._tell_s,
            self._call_dead_s,
            self._prober.next_s(),
            self._suspicions.next_s(),
            self._schedule.next_s(),
            self._own.next_s(self._membership.living),
        )

    def _advance(self, now: float) -> None:
        """Do everything whose time has come."""
        failed = self._prober.advance(now)
        if failed is not None:
            self._hearing.accuse(failed.id, MemberState.SUSPECT, now)
        for peer, is_dead in self._suspicions.due(now):
            suspect = self._membership.table[peer]
            if is_dead:
                self._hearing.accuse(peer, MemberState.DEAD, now)
            else:
                self._outbox.ping(suspect, self._prober.number())
        if now >= self._tell_s:
            self._outbox.tell_queued(self._membership.pick(FANOUT))
            self._tell_s = now + TELL_S if self._queue.pressing else math.inf
        for held in self._own.due(self._membership.living, now):
            self._hearing.own_held(held)
        if now >= self._call_dead_s:
            self._call_dead(now)
        self._begin_exchange(now)

    def _call_dead(self, now: float) -> None:
        self._membership.forget_old(now)
        pause_s = max(CALL_DEAD_S, CALL_DEAD_PER_MEMBER_S * self._membership.living)
        self._call_dead_s = now + pause_s * self._dice.uniform(0.5, 1.5)
        dead = self._membership.pick_dead()
        if dead is not None:
            self._outbox.ping(dead, self._prober.number())

    def _paused(self, paused_s: float, now: float) -> None:
        self._health.worsen()
        self._suspicions.pause(paused_s)
        self._prober.pause(now)
        self._schedule.at_once(now)

    # --- datagrams ------------------------------------------------------------------------------

    def _datagram(self, host: str, port: int, message: Datagram, now: float) -> None:
        assert isinstance(message, Message)
        sender = message.sender
        if sender.id == self._membership.me.id:
            return  # an echo, or another process with this node's identity
        self._schedule.heard(now)
        membership = self._membership
        if membership.table.get(sender.id) is not sender:
            self._hear_sender(sender, (host, port), now)
        if sender.id in membership.strangers and (host, port) == (sender.host, sender.port):
            membership.meet(sender.id)
        for rumour in message.rumours:
            self._hearing.rumour(rumour, now)
        match message:
            case Ping():
                self._outbox.ack(host, port, message.number, sender)
            case Ack():
                self._prober.acked(message, now)
            case PingRequest():
                self._prober.asked(host, port, message, now)
            case Nack():
                self._prober.nacked(message)

    def _hear_sender(self, sender: Member, source: Address, now: float) -> None:
        """A member speaks. From its own address it is believed what nobody else would be."""
        known = self._membership.table.get(sender.id)
        itself = source == (sender.host, sender.port)
        self._hearing.member(sender, now, itself=itself)
        was_dead = known is not None and known.state == MemberState.DEAD
        if was_dead and itself and self._membership.table.get(sender.id) is sender:
            self._schedule.soon(sender, now)

    # --- exchanges ------------------------------------------------------------------------------

    def _begin_exchange(self, now: float) -> None:
        partner = self._schedule.advance(now)
        if partner is None:
            return
        self._outbox.actions.append(Exchange(*partner, self._ledger.summary()))
        if not self._schedule.joined:
            self._outbox.call(*partner, self._prober.number())

    def _exchange_asked(self, token: int, message: ExchangeMessage, now: float) -> None:
        self._hearing.member(message.sender, now)
        answer: ExchangeMessage
        if isinstance(message, Summary):
            answer = self._ledger.differences(message)
        elif isinstance(message, Entries):
            self._hearing.entries(message, now)
            answer = self._ledger.wanted(message.wanted)
        else:
            answer = Entries(self.me)  # an answer is no question
        self._outbox.actions.append(AnswerExchange(token, answer))

    def _exchange_answered(self, source: Address, message: ExchangeMessage, now: float) -> None:
        if not self._schedule.awaits(source):
            return
        self._hear_sender(message.sender, source, now)
        if isinstance(message, Summary):
            self._schedule.failed(source, now)
        elif isinstance(message, Differences) and not message.none:
            self._schedule.goes_on(now)
            self._outbox.actions.append(Exchange(*source, self._ledger.entries(message)))
        else:
            if isinstance(message, Entries):
                self._hearing.entries(message, now)
            self._schedule.done(now)

    # --- leaving --------------------------------------------------------------------------------

    def _leave(self) -> list[Action]:
        self._membership.leave()
        self._outbox.tell(self._membership.pick(LEAVE_TOLD), (self.me,))
        self._left = True
        return self._outbox.take()

"""A small world for gossip: a heap of events, one delay for all links, seeded loss.

Messages travel as objects. An exchange needs no loss: TCP repeats what is lost.
"""

import heapq
import random
from collections.abc import Iterable

import msgspec

from strew.gossip.exchange import (
    AnswerExchange,
    Exchange,
    ExchangeAnswered,
    ExchangeAsked,
    ExchangeFailed,
)
from strew.gossip.gossip import Gossip, GossipEvent
from strew.gossip.membership import MemberCame, MemberGone
from strew.gossip.names import NameHeard
from strew.gossip.protocol import DATAGRAM_BYTES_MAX, Address, Member, MemberState, encode
from strew.messages import Action, DatagramReceived, SendDatagram, Tick
from tests.gossip.makers import member

DELAY_S = 0.001
OVERHEAD_BYTES = 88
"""Of UDP, IP and sealing, for each datagram."""
MEASURED_EVERY = 20
"""Only so many datagrams are encoded to learn their size."""


class Machine:
    """One node of the world and what it told its owner."""

    def __init__(self, number: int, gossip: Gossip) -> None:
        self.number = number
        self.gossip = gossip
        self.up = True
        self.wake_s: float | None = None
        self.gone: list[tuple[float, str, MemberState]] = []
        self.came: list[tuple[float, str]] = []
        self.named: list[tuple[float, str]] = []


class Network:
    """`count` machines; all know each other at the start unless they are `cold`."""

    def __init__(self, count: int, seed: int, loss: float = 0.0, *, cold: bool = False) -> None:
        self.now = 0.0
        self.loss = loss
        self.dice = random.Random(seed)
        self.seed = seed
        self.sides: dict[int, int] = {}
        """Which part of a cut network a machine is in; all in one at first."""
        self.datagram_count = 0
        self.measured_bytes = 0
        self.exchange_bytes = 0
        self._heap: list[tuple[float, int, Machine, GossipEvent]] = []
        self._order = 0
        self.members = [member(number, zone=f"rack-{number % 4}") for number in range(count)]
        self._numbers = {(one.host, one.port): n for n, one in enumerate(self.members)}
        known: Iterable[Member] = () if cold else self.members
        self.machines = [self._machine(number, known) for number in range(count)]

    def _machine(self, number: int, known: Iterable[Member]) -> Machine:
        me = self.members[number]
        seeds: list[Address] = [(self.members[0].host, self.members[0].port)]
        dice = random.Random(self.seed * 10_007 + number + int(self.now))
        machine = Machine(number, Gossip(me, dice, self.now, seeds, known))
        self._arm(machine)
        return machine

    def restart(self, number: int) -> Machine:
        """A new process on the same machine, which knows nothing but its seed."""
        self.machines[number].up = False
        self.members[number] = msgspec.structs.replace(
            self.members[number], incarnation=1000 + int(self.now * 1000)
        )
        self.machines[number] = self._machine(number, ())
        return self.machines[number]

    def run(self, seconds: float) -> None:
        """Let so much time go by."""
        end_s = self.now + seconds
        while self._heap and self._heap[0][0] <= end_s:
            self.now, _, machine, event = heapq.heappop(self._heap)
            if not machine.up or self.machines[machine.number] is not machine:
                if isinstance(event, ExchangeAsked):
                    self._fail(event.token, machine.number)
                continue
            if isinstance(event, Tick):
                if machine.wake_s != self.now:
                    continue
                machine.wake_s = None
            self.do(machine, event)
        self.now = end_s

    def do(self, machine: Machine, event: GossipEvent) -> None:
        for action in machine.gossip.handle(event, self.now):
            self._carry_out(machine, action)
        self._arm(machine)

    def up(self) -> list[Machine]:
        return [machine for machine in self.machines if machine.up]

    def _carry_out(self, machine: Machine, action: Action) -> None:
        source = self.members[machine.number]
        match action:
            case SendDatagram(host=host, port=port, message=message):
                self.datagram_count += 1
                if self.datagram_count % MEASURED_EVERY == 0:
                    size = len(encode(message))  # type: ignore[arg-type]
                    assert size <= DATAGRAM_BYTES_MAX
                    self.measured_bytes += MEASURED_EVERY * (size + OVERHEAD_BYTES)
                to = self._numbers.get((host, port))
                lost = self.dice.random() < self.loss
                if to is not None and self._joined(machine.number, to) and not lost:
                    event = DatagramReceived(source.host, source.port, message)
                    self._at(DELAY_S, self.machines[to], event)
            case Exchange(host=host, port=port, message=message):
                self.exchange_bytes += len(encode(message))
                to = self._numbers.get((host, port))
                if to is not None and self._joined(machine.number, to):
                    self._at(DELAY_S, self.machines[to], ExchangeAsked(machine.number, message))
                else:
                    self._at(1.0, machine, ExchangeFailed(host, port, "unreachable"))
            case AnswerExchange(token=token, message=message):
                self.exchange_bytes += len(encode(message))
                answer = ExchangeAnswered(source.host, source.port, message)
                self._at(DELAY_S, self.machines[token], answer)
            case MemberGone(id=peer, state=state):
                machine.gone.append((self.now, peer, state))
            case MemberCame(member=came):
                machine.came.append((self.now, came.id))
            case NameHeard(publication=heard):
                machine.named.append((self.now, heard.reference))

    def _joined(self, one: int, other: int) -> bool:
        return self.sides.get(one) == self.sides.get(other)

    def _fail(self, token: int, number: int) -> None:
        down = self.members[number]
        self._at(DELAY_S, self.machines[token], ExchangeFailed(down.host, down.port, "refused"))

    def _arm(self, machine: Machine) -> None:
        deadline = machine.gossip.deadline()
        if deadline is not None and (machine.wake_s is None or deadline < machine.wake_s):
            machine.wake_s = max(deadline, self.now)
            self._at(machine.wake_s - self.now, machine, Tick(), at_s=machine.wake_s)

    def _at(
        self, delay_s: float, machine: Machine, event: GossipEvent, at_s: float | None = None
    ) -> None:
        self._order += 1
        when_s = self.now + delay_s if at_s is None else at_s
        heapq.heappush(self._heap, (when_s, self._order, machine, event))

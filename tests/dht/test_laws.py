"""What a hundred tables promise together, over a small network of virtual time."""

import random
from collections import defaultdict
from collections.abc import Iterable
from dataclasses import dataclass, field
from heapq import heappop, heappush
from statistics import median

import pytest

from strew.dht import krpc
from strew.dht.contact import Address, Contact, Key, NodeId, node_id_of
from strew.dht.dht import Dht
from strew.dht.events import DhtEvent, Find, Provide, ProvidersFound
from strew.dht.providers import EXPIRY_S
from strew.dht.publishing import REPUBLISH_S
from strew.dht.queries import TIMEOUT_S
from strew.dht.routing import BUCKET_CONTACTS_MAX
from strew.messages import Action, Datagram, DatagramReceived, PeerId, SendDatagram, Tick

PORT = 7301
SEED = 20261
MACHINES = 100

UNDISTURBED_S = 0.15
"""Longest search while everybody answers: few round trips of 10 ms, and one or two waits."""


@dataclass(slots=True, eq=False)
class Machine:
    """One node, what it was told, and what it sent."""

    host: str
    dht: Dht
    liar: bool = False
    """It is one of a league that hides providers."""
    target: int = 0
    """What it was asked for last."""
    wake_s: float = 0.0
    sent: int = 0
    sent_bytes: int = 0
    found: dict[int, set[Address]] = field(default_factory=lambda: defaultdict(set))
    first_s: dict[int, float] = field(default_factory=dict)
    done_s: dict[int, float] = field(default_factory=dict)


@dataclass(slots=True)
class World:
    """Machines joined by links. Messages travel as values, for the cores take no bytes; with
    `weigh` their encoded size is counted too."""

    seed: int
    latency_s: float = 0.005
    loss: float = 0.0
    weigh: bool = False
    now: float = 0.0
    machines: dict[str, Machine] = field(default_factory=dict)
    parted: frozenset[str] = frozenset()
    """Hosts between which and all others nothing passes."""
    _heap: list[tuple[float, int, str, DhtEvent]] = field(default_factory=list)
    _order: int = 0
    _made: int = 0
    dice: random.Random = field(init=False)

    def __post_init__(self) -> None:
        self.dice = random.Random(self.seed)

    def start(self, seeds: Iterable[str] = ()) -> Machine:
        """A new machine that knows the hosts `seeds`."""
        self._made += 1
        host = f"10.{self._made >> 16}.{self._made >> 8 & 255}.{self._made & 255}"
        me = self.node_id(host)
        dice = random.Random(self.dice.getrandbits(64))
        dht = Dht(me, dice, self.now, PORT, [(seed, PORT) for seed in seeds])
        machine = self.machines[host] = Machine(host, dht)
        self.tell(machine, Tick())
        return machine

    def grow(self, count: int, every_s: float = 0.02) -> None:
        """Machines that come up one after the other, each knowing one that is there."""
        for _ in range(count):
            hosts = list(self.machines)
            self.start([self.dice.choice(hosts)] if hosts else [])
            self.run(every_s)

    def kill(self, machine: Machine) -> None:
        """Gone without a word."""
        del self.machines[machine.host]

    def anyone(self) -> Machine:
        return self.machines[self.dice.choice(list(self.machines))]

    def node_id(self, host: str) -> NodeId:
        return node_id_of(PeerId(host))

    def nearest(self, key: Key, count: int) -> list[Machine]:
        """Those whose ids are in truth nearest to a key."""
        return sorted(self.machines.values(), key=lambda m: self.node_id(m.host) ^ key)[:count]

    def find(self, machine: Machine, key: Key, within_s: float = 10.0) -> set[Address]:
        """Whom a machine finds for a key, when its search is over."""
        machine.found.pop(key, None)
        machine.first_s.pop(key, None)
        machine.done_s.pop(key, None)
        asked_s = self.now
        self.tell(machine, Find(key))
        while key not in machine.done_s:
            assert self.now - asked_s < within_s, "the search does not end"
            self.run(0.01)
        machine.done_s[key] -= asked_s
        if key in machine.first_s:
            machine.first_s[key] -= asked_s
        return machine.found[key]

    def tell(self, machine: Machine, event: DhtEvent) -> None:
        """One event, and what it leads to."""
        match event:
            case DatagramReceived(message=krpc.FindNode(target=target)):
                machine.target = target
            case DatagramReceived(message=krpc.GetPeers(key=key)):
                machine.target = key
        for action in machine.dht.handle(event, self.now):
            self._carry_out(machine, action)
        deadline_s = machine.dht.deadline()
        if machine.wake_s <= self.now or deadline_s < machine.wake_s:
            machine.wake_s = max(deadline_s, self.now + 1e-6)
            self._push(machine.wake_s, machine.host, Tick())

    def run(self, seconds: float) -> None:
        """Let time pass."""
        end_s = self.now + seconds
        while self._heap and self._heap[0][0] <= end_s:
            self.now, _, host, event = heappop(self._heap)
            machine = self.machines.get(host)
            if machine is None:
                continue
            if isinstance(event, Tick) and self.now < machine.wake_s:
                continue  # it was to be woken earlier meanwhile, and has set a later time since
            self.tell(machine, event)
        self.now = end_s

    def _carry_out(self, machine: Machine, action: Action) -> None:
        match action:
            case SendDatagram():
                self._send(machine, action.host, action.port, action.message)
            case ProvidersFound(key=key, addresses=addresses, done=done):
                machine.found[key].update(addresses)
                if addresses:
                    machine.first_s.setdefault(key, self.now)
                if done:
                    machine.done_s[key] = self.now

    def _send(self, machine: Machine, host: str, port: int, message: Datagram) -> None:
        machine.sent += 1
        if self.weigh:
            assert isinstance(message, krpc.Krpc)
            machine.sent_bytes += len(krpc.encode(message))
        if machine.liar and isinstance(message, krpc.Answer) and message.nodes is not None:
            message = self._lie(machine, message)
        if (host in self.parted) is not (machine.host in self.parted):
            return
        if port == PORT and self.dice.random() >= self.loss:
            at_s = self.now + self.latency_s * self.dice.uniform(0.8, 1.2)
            self._push(at_s, host, DatagramReceived(machine.host, PORT, message))

    def _lie(self, machine: Machine, answer: krpc.Answer) -> krpc.Answer:
        """The answer of one of many that are in league: each takes an id right beside what it is
        asked for, and names only others of them, in the same way."""
        liars = [host for host, other in self.machines.items() if other.liar]
        named = self.dice.sample(liars, min(len(liars), BUCKET_CONTACTS_MAX))
        nodes = tuple(Contact(_beside(machine.target, host), host, PORT) for host in named)
        me = _beside(machine.target, machine.host)
        return krpc.Answer(answer.transaction, me, nodes, (), b"token")

    def _push(self, at_s: float, host: str, event: DhtEvent) -> None:
        self._order += 1
        heappush(self._heap, (at_s, self._order, host, event))


def _beside(target: int, host: str) -> NodeId:
    """An id very near to `target`, always the same for a host."""
    return NodeId(target ^ int(host.replace(".", "")))


def grown(loss: float = 0.0, machines: int = MACHINES) -> World:
    world = World(SEED, loss=loss)
    world.grow(machines)
    world.run(60.0)
    return world


def provide(world: World, machine: Machine) -> Key:
    """The machine provides a new key, and had time to say so."""
    key = Key(world.dice.getrandbits(160))
    world.tell(machine, Provide(key, PORT))
    world.run(5.0)
    return key


def address(machine: Machine) -> Address:
    return machine.host, PORT


def finders(world: World, key: Key, machines: list[Machine]) -> int:
    """How many of these machines find any provider of a key."""
    return sum(1 for machine in machines if world.find(machine, key))


@pytest.fixture(scope="module")
def world() -> World:
    """A network at rest; tests that kill take one of their own."""
    return grown()


def test_what_is_provided_is_found_from_everywhere(world: World) -> None:
    first, second = world.anyone(), world.anyone()
    key = provide(world, first)
    world.tell(second, Provide(key, PORT))
    world.run(5.0)
    for machine in list(world.machines.values()):
        assert world.find(machine, key) >= {address(first), address(second)}


def test_a_cold_node_with_one_known_address_finds_a_key_at_once(world: World) -> None:
    provider = world.anyone()
    key = provide(world, provider)
    cold = world.start([world.anyone().host])
    assert world.find(cold, key) == {address(provider)}
    assert cold.done_s[key] <= UNDISTURBED_S
    world.kill(cold)


def test_what_nobody_provides_is_searched_to_the_end_and_not_found(world: World) -> None:
    key = Key(world.dice.getrandbits(160))
    machine = world.anyone()
    assert world.find(machine, key) == set()
    record = machine.dht.snapshot().records[-1]
    assert record.answered == BUCKET_CONTACTS_MAX


def test_records_lie_with_the_nodes_nearest_to_the_key(world: World) -> None:
    kept_before = {host: m.dht.snapshot().stored_keys for host, m in world.machines.items()}
    key = provide(world, world.anyone())
    keepers = [
        machine
        for host, machine in world.machines.items()
        if machine.dht.snapshot().stored_keys > kept_before[host]
    ]
    nearest = world.nearest(key, BUCKET_CONTACTS_MAX + 1)
    assert len({*keepers} & {*nearest}) >= BUCKET_CONTACTS_MAX - 1, "one of them may provide it"
    assert len(keepers) <= BUCKET_CONTACTS_MAX


def test_a_search_takes_few_hops_and_queries(world: World) -> None:
    key = provide(world, world.anyone())
    records = []
    for machine in list(world.machines.values()):
        world.find(machine, key)
        records.append(machine.dht.snapshot().records[-1])
    assert max(record.hops for record in records) <= 4
    assert median(record.queries for record in records) <= 14
    assert max(record.seconds for record in records) <= UNDISTURBED_S


def test_at_rest_a_node_sends_little(world: World) -> None:
    before = sum(machine.sent for machine in world.machines.values())
    world.run(300.0)
    sent = sum(machine.sent for machine in world.machines.values()) - before
    assert sent / 300.0 / MACHINES < 1.0


def test_all_machines_that_start_at_once_find_each_other() -> None:
    world = World(SEED)
    seed = world.start()
    machines = [world.start([seed.host]) for _ in range(MACHINES - 1)]
    keys = []
    for machine in machines[:10]:
        keys.append(Key(world.dice.getrandbits(160)))
        world.tell(machine, Provide(keys[-1], PORT))
    world.run(60.0)
    assert all(finders(world, key, machines[-20:]) == 20 for key in keys)


def test_lost_datagrams_hide_nothing() -> None:
    world = grown(loss=0.05)
    keys = [provide(world, world.anyone()) for _ in range(3)]
    machines = list(world.machines.values())[:70]
    assert sum(finders(world, key, machines) for key in keys) >= 0.99 * 3 * len(machines)


def test_a_third_of_the_machines_dies_and_it_costs_each_search_a_second_at_most() -> None:
    world = grown()
    keys = [provide(world, world.anyone()) for _ in range(5)]
    for _ in range(MACHINES // 3):
        world.kill(world.anyone())
    machines = [world.anyone() for _ in range(10)]
    first_s = []
    for key in keys:
        for machine in machines:
            assert world.find(machine, key), "some of its keepers live"
            first_s.append(machine.first_s[key])
            assert machine.done_s[key] <= UNDISTURBED_S + TIMEOUT_S
    assert median(first_s) <= 0.25


def test_a_key_survives_the_death_of_all_that_kept_it() -> None:
    world = grown(machines=40)
    provider = world.anyone()
    world.run(REPUBLISH_S)
    key = provide(world, provider)
    for machine in list(world.machines.values()):
        if machine is not provider and machine.dht.snapshot().stored_keys:
            world.kill(machine)
    others = [machine for machine in world.machines.values() if machine is not provider]
    assert finders(world, key, others) < len(others) / 2, "those who come across the provider"
    world.run(REPUBLISH_S)
    assert finders(world, key, others) == len(others)

    world.kill(provider)
    world.run(EXPIRY_S)
    assert finders(world, key, others) == 0, "who is gone is not named for ever"


def test_a_league_of_liars_among_the_machines_hides_few_keys() -> None:
    world = grown()
    keys = [provide(world, world.anyone()) for _ in range(5)]
    machines = list(world.machines.values())
    for machine in world.dice.sample(machines, MACHINES // 10):
        machine.liar = True
    honest = [machine for machine in machines if not machine.liar][:30]
    assert sum(finders(world, key, honest) for key in keys) >= 0.95 * 5 * len(honest)


def test_two_halves_of_a_broken_network_grow_together_again() -> None:
    world = grown(machines=40)
    hosts = list(world.machines)
    world.parted = frozenset(hosts[::2])
    world.run(900.0)
    world.parted = frozenset()
    machines = list(world.machines.values())
    world.run(600.0)
    one, other = machines[0], machines[1]
    key = provide(world, one)
    assert all(address(one) in world.find(machine, key) for machine in machines[1::2])
    assert address(one) in world.find(other, key)


def test_a_seed_replays() -> None:
    traces = []
    for _ in range(2):
        world = grown(loss=0.05, machines=20)
        world.tell(world.anyone(), Tick())
        traces.append([(m.host, m.sent, m.dht.snapshot()) for m in world.machines.values()])
    assert traces[0] == traces[1]

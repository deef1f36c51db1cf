"""Sources of peers alone, without payload, in the virtual world: `python -m bench.discovery`.

    python -m bench.discovery [--nodes 1000] [--case idle ...] [--minutes 10] [--profile]

The real gossip and hash table of N machines (strew.node.sources) run over the simulated network;
datagrams and exchanges are weighed with all their heads. Cases:

* `idle`: bytes a second of a machine, each way, when nothing happens; apart that of the one whose
  address all others were given;
* `publication`: until 99 % of the machines heard that one of them published;
* `death`: until 95 % of them know that a machine was switched off;
* `loss`: living machines called dead while 5 % and 20 % of all datagrams are lost;
* `lookup`: the hash table at links of 5 ms, while in ten minutes a tenth of the machines is
  replaced by new ones that know one address;
* `cold`: a new machine that knows one address and lacks an artifact which 3 others hold.

Times are virtual, except what a case took.
"""

import argparse
import cProfile
import math
import pstats
import random
import statistics
import sys
import time
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from typing import Any

from bench.figures import Figure, number, surroundings
from strew.content.bitfield import Bitfield
from strew.content.digest import ArtifactId, artifact_id_of
from strew.dht.contact import key_of
from strew.dht.events import ProvidersFound
from strew.gossip.exchange import AnswerExchange, Exchange
from strew.gossip.membership import MemberGone
from strew.gossip.names import NameHeard
from strew.gossip.protocol import Member, MemberState
from strew.messages import Action, Event, Opened, PeerId, SendDatagram, Tick, swarm_key_of
from strew.node.participation import Participation
from strew.node.sources import Sources
from strew.publication import Publication
from strew.sim.datagrams import Datagrams, Traffic
from strew.sim.fleet import ARTIFACT, EPOCH_S, Fleet, Terms
from strew.sim.fleet import Machine as FleetMachine
from strew.sim.network import Host, Network
from strew.sim.world import World
from strew.swarm.slots import UploadSlots
from strew.swarm.swarm import Swarm

PORT = 7301
RATE_BYTES_PER_S = 125e6
EPOCH_MS = round(1000 * EPOCH_S)

GATHER_S = 25.0
"""Until machines that were all started at one moment have told that, and rest."""

REFRESHED_S = 70.0
"""... and until a new hash table has refreshed each of its regions once."""

IDLE_S, IDLE_LARGE_S = 60.0, 30.0
"""Two exchanges of every machine; one in a fleet above `LARGE`."""

LARGE = 1000

PUBLICATIONS, PUBLICATION_EVERY_S = 5, 4.0
DEATHS, DEATH_EVERY_S, DEATH_KNOWN_S = 3, 5.0, 30.0

KEYS, HOLDERS = 40, 3
LOOKUPS_PER_S = 2
CHURN_RATIO, CHURN_S = 0.1, 600.0

KB = 1e3


class Machine:
    """One process: its sources, and the hands that carry out what they want."""

    def __init__(
        self,
        town: "Town",
        host: Host,
        me: Member,
        seeds: Sequence[tuple[str, int]],
        known: Iterable[Member],
    ) -> None:
        dice = random.Random(town.world.dice.getrandbits(64))
        self.sources = Sources(
            me,
            dice,
            town.world.now,
            host=me.host,
            trackers=(),
            limited=True,
            seeds=seeds,
            known=known,
        )
        self.me = me
        self.host = host
        self.address = (me.host, me.port)
        self.alive = True
        self.parts: list[Participation] = []
        self._town = town
        self._tick_s: float | None = None
        town.datagrams.listen(self)

    def tell(self, event: Event) -> None:
        if self.alive:
            self.carry_out(self.sources.handle(event, self._town.world.now))

    def carry_out(self, actions: Iterable[Action]) -> None:
        town = self._town
        for action in actions:
            match action:
                case SendDatagram():
                    town.datagrams.send(self, action)
                case Exchange():
                    town.datagrams.exchange(self, action)
                case AnswerExchange():
                    town.datagrams.answer(action)
                case NameHeard():
                    town.heard_s.setdefault(action.publication.artifact, []).append(town.world.now)
                case MemberGone(state=MemberState.DEAD):
                    town.gone_s.setdefault(action.id, []).append(town.world.now)
                case ProvidersFound():
                    town.found.setdefault((self.me.id, action.key), set()).update(action.addresses)
        due_s = self.sources.deadline()
        if due_s is not None and due_s != self._tick_s:
            self._tick_s = due_s
            town.world.at(due_s, self._ring, due_s)

    def _ring(self, due_s: float) -> None:
        if self._tick_s == due_s:
            self._tick_s = None
            self.tell(Tick())

    def hold(self, artifact: ArtifactId) -> None:
        """It has all of an artifact from now on."""
        now = self._town.world.now
        opened = Opened(artifact, [1000], Bitfield.full(1))
        swarm = Swarm(
            swarm_key_of(artifact),
            self.me.id,
            opened.lengths,
            opened.have,
            UploadSlots(2),
            random.Random(1),
        )
        self.parts.append(Participation(swarm, opened, now))
        self.carry_out(self.sources.tell(self.parts, (), now))


@dataclass
class Town:
    """N machines that know each other, and what they heard."""

    nodes: int
    seed: int
    latency_s: float = 0.001
    loss: float = 0.0
    heard_s: dict[ArtifactId, list[float]] = field(default_factory=dict)
    gone_s: dict[PeerId, list[float]] = field(default_factory=dict)
    found: dict[tuple[PeerId, int], set[tuple[str, int]]] = field(default_factory=dict)

    def __post_init__(self) -> None:
        self.world = World(self.seed)
        self.network = Network(self.world, self.latency_s)
        self.datagrams = Datagrams(self.world, self.network, self.loss)
        who = [self._member() for _ in range(self.nodes)]
        known = [member for _, member in who]
        seeds = [(known[0].host, PORT)]
        self.machines = [Machine(self, host, member, seeds, known) for host, member in who]
        for machine in self.machines:
            machine.carry_out(())
        self.run(GATHER_S)

    def _member(self) -> tuple[Host, Member]:
        host = self.network.host(RATE_BYTES_PER_S, RATE_BYTES_PER_S)
        number = host.number
        address = f"10.{number >> 16}.{number >> 8 & 255}.{number & 255}"
        peer = PeerId(f"{self.world.dice.getrandbits(128):032x}")
        return host, Member(peer, address, PORT, "", ("*",), EPOCH_MS + number)

    def run(self, seconds: float) -> None:
        """Let so much time pass."""
        ended: list[bool] = []
        self.world.at(self.world.now + seconds, ended.append, True)
        self.world.run(lambda: bool(ended), math.inf)

    def anyone(self) -> Machine:
        """One that lives."""
        while not (machine := self.world.dice.choice(self.machines)).alive:
            pass
        return machine

    def kill(self, machine: Machine) -> None:
        """It is switched off."""
        machine.alive = machine.host.alive = False

    def start(self) -> Machine:
        """One more machine, which knows one address."""
        machine = Machine(self, *self._member(), [self.anyone().address], ())
        machine.carry_out(())
        self.machines.append(machine)
        return machine

    @property
    def wrongly_dead(self) -> int:
        """How often a machine was told that one is dead which lives."""
        living = {machine.me.id for machine in self.machines if machine.alive}
        return sum(len(times) for peer, times in self.gone_s.items() if peer in living)


# --- cases ---------------------------------------------------------------------------------------


def idle(options: argparse.Namespace) -> Iterator[Figure]:
    yield from _idle(Town(options.nodes, options.seed))


def _idle(town: Town) -> Iterator[Figure]:
    seconds = IDLE_S if town.nodes <= LARGE else IDLE_LARGE_S
    town.run(REFRESHED_S)
    traffic = town.datagrams.traffic
    before = {n: Traffic(of.sent_bytes, of.received_bytes) for n, of in traffic.items()}
    town.run(seconds)
    sent = [(of.sent_bytes - before[n].sent_bytes) / seconds / KB for n, of in traffic.items()]
    received = [
        (of.received_bytes - before[n].received_bytes) / seconds / KB for n, of in traffic.items()
    ]
    mark = 2.0 if town.nodes <= LARGE else 3.0
    for way, rates in (("sent", sent), ("received", received)):
        yield _figure("idle", f"{way} by a machine, median", "kB/s", statistics.median(rates), mark)
        yield _figure(
            "idle", f"{way} by a machine, most but the seed", "kB/s", max(rates[1:]), mark
        )
        yield _figure("idle", f"{way} by the seed of all", "kB/s", rates[0], mark)


def publication(options: argparse.Namespace) -> Iterator[Figure]:
    yield from _publication(Town(options.nodes, options.seed))


def _publication(town: Town) -> Iterator[Figure]:
    last_s, most_s = [], []
    for count in range(PUBLICATIONS):
        artifact = artifact_id_of(b"published %d" % count)
        named = Publication(
            reference=f"app:{count}",
            artifact=artifact,
            version=EPOCH_MS + count,
            size_bytes=10**9,
            chunk_count=1000,
            published_s=EPOCH_S,
            name="app",
        )
        began_s, publisher = town.world.now, town.anyone()
        publisher.carry_out(publisher.sources.spread(named, began_s, at_home=True))
        town.run(PUBLICATION_EVERY_S)
        times_s = sorted(heard_s - began_s for heard_s in town.heard_s.get(artifact, ()))
        most_s.append(_reached(times_s, 0.99 * (town.nodes - 1)))
        last_s.append(_reached(times_s, town.nodes - 1))
    yield _figure("publication", "99 % of the machines heard", "s", most_s, 3.0)
    yield _figure("publication", "all heard", "s", last_s)


def death(options: argparse.Namespace) -> Iterator[Figure]:
    yield from _death(Town(options.nodes, options.seed))


def _death(town: Town) -> Iterator[Figure]:
    deaths: list[tuple[Machine, float]] = []
    for _ in range(DEATHS):
        deaths.append((town.anyone(), town.world.now))
        town.kill(deaths[-1][0])
        town.run(DEATH_EVERY_S)
    town.run(DEATH_KNOWN_S)
    most_s = []
    for machine, died_s in deaths:
        times_s = sorted(known_s - died_s for known_s in town.gone_s.get(machine.me.id, ()))
        most_s.append(_reached(times_s, 0.95 * (town.nodes - DEATHS)))
    yield _figure("death", "95 % of the machines know", "s", most_s, 15.0)
    yield _figure("death", "living ones called dead", "times", town.wrongly_dead)


def together(options: argparse.Namespace) -> Iterator[Figure]:
    """`idle`, `publication` and `death` in one town: what takes longest is to build a large one."""
    town = Town(options.nodes, options.seed)
    yield from _idle(town)
    yield from _publication(town)
    yield from _death(town)


def loss(options: argparse.Namespace) -> Iterator[Figure]:
    for ratio in options.loss:
        town = Town(options.nodes, options.seed, loss=ratio)
        town.run(60.0 * options.minutes)
        what = f"living ones called dead in {options.minutes:g} min at {ratio:.0%} loss"
        mark = 0.0 if ratio <= 0.05 else None
        yield _figure("loss", what, "times", town.wrongly_dead, mark)
        told = {machine.me.id for machine in town.machines} & town.gone_s.keys()
        yield _figure("loss", f"machines so called at {ratio:.0%} loss", "machines", len(told))


def lookup(options: argparse.Namespace) -> Iterator[Figure]:
    town = Town(options.nodes, options.seed, latency_s=0.005)
    held: dict[ArtifactId, list[Machine]] = {}
    for count in range(KEYS):
        artifact = artifact_id_of(b"held %d" % count)
        held[artifact] = [town.anyone() for _ in range(HOLDERS)]
        for machine in held[artifact]:
            machine.hold(artifact)
    town.run(10.0 + town.nodes / 30.0)
    every_s = CHURN_S / (CHURN_RATIO * town.nodes)
    town.world.at(town.world.now + every_s, _replace, town, every_s)
    records: list[dict[str, Any]] = []
    asked = found = 0
    for _ in range(round(60.0 * options.minutes * LOOKUPS_PER_S)):
        artifact = town.world.dice.choice(list(held))
        holders = [machine.address for machine in held[artifact] if machine.alive]
        asker = town.anyone()
        if not holders or asker.address in holders:
            continue
        asker.carry_out(asker.sources.find(artifact, town.world.now))
        town.run(1.0 / LOOKUPS_PER_S)
        if not asker.alive:
            continue
        asked += 1
        key = key_of(artifact)
        found += not town.found.get((asker.me.id, key), set()).isdisjoint(holders)
        dht = asker.sources.snapshot(town.world.now)["dht"]
        mine = ("find", f"{key:040x}")
        ended = [r for r in dht["records"] if (r["purpose"], r["target"]) == mine]
        records += ended[-1:]
    first_s = [record["first_s"] for record in records if record["first_s"] is not None]
    yield _figure("lookup", "lookups that found a holder", "%", 100 * found / asked, 99.0, up=True)
    hops = [record["hops"] for record in records]
    yield _figure("lookup", "hops, median", "hops", statistics.median(hops), 6.0)
    yield _figure("lookup", "hops, most", "hops", max(hops), 6.0)
    yield _figure(
        "lookup", "first holder named, median", "ms", 1e3 * statistics.median(first_s), 250
    )
    yield _figure("lookup", "first holder named, most", "ms", 1e3 * max(first_s))
    whole_s = [record["seconds"] for record in records]
    yield _figure("lookup", "lookup over, median", "ms", 1e3 * statistics.median(whole_s))
    queries = [record["queries"] for record in records]
    yield _figure("lookup", "queries of a lookup, median", "queries", statistics.median(queries))


def _replace(town: Town, every_s: float) -> None:
    """One machine is switched off, and another one comes."""
    town.kill(town.anyone())
    town.start()
    town.world.at(town.world.now + every_s, _replace, town, every_s)


def cold(options: argparse.Namespace) -> Iterator[Figure]:
    arrives_s = 40.0 + options.nodes / 30.0
    machines = [FleetMachine() for _ in range(options.nodes)]
    machines.append(FleetMachine(cold=True, starts_s=arrives_s))
    terms = Terms(nodes=len(machines), seed=options.seed, latency_s=0.001, trackerless=True)
    fleet = Fleet(terms, machines)
    world, newcomer = fleet.world, fleet.peers[-1]
    fleet.gather()
    count = len(fleet.lengths)
    for peer in fleet.peers[:HOLDERS]:
        world.at(0.0, peer.tell, Opened(ARTIFACT, fleet.lengths, Bitfield.full(count)))
    lacks = Opened(ARTIFACT, fleet.lengths, Bitfield(count))
    world.at(arrives_s, newcomer.tell, lacks)
    known = newcomer.node.book.known
    world.run(lambda: bool(known.get(swarm_key_of(ARTIFACT))), arrives_s + 60.0)
    yield _figure("cold", "first holder named", "s", world.now - arrives_s, 2.0)
    world.run(lambda: newcomer.had > 0, arrives_s + 60.0)
    yield _figure("cold", "first chunk stored", "s", world.now - arrives_s, 2.0)


def _reached(times_s: list[float], count: float) -> float:
    """When so many had heard; infinite if they have not."""
    place = math.ceil(count) - 1
    return times_s[place] if place < len(times_s) else math.inf


def _figure(
    case: str,
    what: str,
    unit: str,
    measured: float | Sequence[float],
    mark: float | None = None,
    *,
    up: bool = False,
) -> Figure:
    samples = tuple(measured) if isinstance(measured, Sequence) else (float(measured),)
    return Figure(case=case, what=what, unit=unit, samples=samples, mark=mark, at_least=up)


CASES: dict[str, Callable[[argparse.Namespace], Iterator[Figure]]] = {
    "idle": idle,
    "publication": publication,
    "death": death,
    "together": together,
    "loss": loss,
    "lookup": lookup,
    "cold": cold,
}


def main() -> int:
    options = parse()
    for name, value in surroundings().items():
        print(f"{name:9} {value}")
    print(f"{'nodes':9} {options.nodes}, seed {options.seed}\n")
    print("| case | what | worst | mark | |")
    print("|---|---|---|---|---|", flush=True)
    profile = cProfile.Profile() if options.profile else None
    for name in options.case or ("together", "loss", "lookup", "cold"):
        began_s = time.perf_counter()
        if profile is not None:
            profile.enable()
        for figure in CASES[name](options):
            print(row(figure), flush=True)
        if profile is not None:
            profile.disable()
        print(f"| {name} | took | {time.perf_counter() - began_s:.0f} s | | |", flush=True)
    if profile is not None:
        pstats.Stats(profile).sort_stats("tottime").print_stats(30)
    return 0


def row(figure: Figure) -> str:
    """A line of the table; of several samples the worst counts."""
    worst = min(figure.samples) if figure.at_least else max(figure.samples)
    mark = verdict = ""
    if figure.mark is not None:
        mark = f"{'≥' if figure.at_least else '≤'} {number(figure.mark)}"
        passed = worst >= figure.mark if figure.at_least else worst <= figure.mark
        verdict = "passed" if passed else "missed"
    return f"| {figure.case} | {figure.what} | {number(worst)} {figure.unit} | {mark} | {verdict} |"


def parse() -> argparse.Namespace:
    """The command line."""
    parser = argparse.ArgumentParser(
        prog="python -m bench.discovery",
        description="Measure gossip and hash table in the virtual world.",
    )
    parser.add_argument("--nodes", type=int, default=1000)
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--case", action="append", choices=CASES, help="which (default: all)")
    parser.add_argument("--minutes", type=float, default=10.0, help="virtual, of loss and lookup")
    parser.add_argument("--loss", type=float, nargs="+", default=[0.05, 0.2])
    parser.add_argument("--profile", action="store_true", help="say where the time went")
    return parser.parse_args()


if __name__ == "__main__":
    sys.exit(main())

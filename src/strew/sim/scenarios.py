"""Scenarios: what befalls a fleet while it fetches, and what no schedule can beat then.

Each is a declaration: what it changes of the terms and of single machines, what it plans on the
world's clock, and the bound (sim.bounds) of each kind of machine. Who is slow, dies or lies is
drawn from dice of the scenario's own, seeded with the run's seed and its name.
"""

from __future__ import annotations

import random
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace

from strew.content.bitfield import Bitfield
from strew.sim import bounds
from strew.sim.fleet import Fleet, Machine, Terms
from strew.sim.peers import LOST_AFTER_S

TENTH = 0.1
FIFTH = 0.2

QUARTER = 0.25
"""Rate of a slow link, as a share of the others'."""

STAGGER_LINES = 0.5
"""Over how much of F/B the machines of a staggered start come."""

CUT_LINES, CUT_FOR_LINES = 0.25, 0.25
"""When a partition comes and how long it lasts, in F/B."""

TRACKER_DIES_LINES = 0.3
"""When a tracker dies beside which there is gossip, in F/B."""

LOOKS_PER_LINE = 500
"""How often in F/B it is looked whether something may befall the fleet that waits for a state.
More looks let it befall closer to that state, and cost time: each asks all machines."""

MACHINE_DIED, TRACKER_DIED, CUT = 101, 102, 103
"""Kinds in the trace: (machine, 0, 0)."""

Bounds = Mapping[str, float]
"""Kind of machine -> seconds since its own start that the last one of that kind cannot beat."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Scenario:
    """`formula` is the bound in words. `nodes_min` is what it takes to have every kind of machine
    in it; the other ways of sim.baselines are simulated in a `plain` one only, a fleet without a
    tracker in one that is not about a `tracker`."""

    meaning: str
    formula: str
    bound: Callable[[Terms, Sequence[Machine]], Bounds]
    changes: Mapping[str, float] = field(default_factory=dict)
    befalls: Callable[[Fleet, random.Random], None] | None = None
    machines: Callable[[Terms, list[Machine], random.Random], None] | None = None
    nodes_min: int = 1
    plain: bool = False
    tracker: bool = False

    def terms(self, terms: Terms) -> Terms:
        """The terms as this scenario changes them."""
        return replace(terms, **self.changes)  # type: ignore[arg-type]

    def fleet(self, terms: Terms) -> Fleet:
        """A fleet to which all of this will happen; it must have `nodes_min` machines."""
        assert terms.nodes >= self.nodes_min
        dice = random.Random(f"{terms.seed} {self.meaning}")
        machines = [Machine(rack=number % terms.racks) for number in range(terms.nodes)]
        if self.machines is not None:
            self.machines(terms, machines, dice)
        fleet = Fleet(terms, machines)
        if self.befalls is not None:
            self.befalls(fleet, dice)
        return fleet


def line_s(terms: Terms) -> float:
    """F/B of a machine with the full rate."""
    return bounds.line_s(terms.size_bytes, terms.rate_bytes_per_s)


def kind_of(machine: Machine) -> str:
    """By what a machine's time is to be judged; empty for one like most."""
    if machine.down_ratio < 1.0:
        return "slow"
    if machine.up_ratio < 1.0:
        return "slow uplink"
    if machine.cut_off:
        return "cut off"
    return "late" if machine.starts_s > 0.0 else ""


def is_wanted(machine: Machine) -> bool:
    """Whether the fleet waits for it: broken ones are not its business."""
    return not (machine.liar or machine.stalled)


# --- bounds --------------------------------------------------------------------------------------


def equal_bound(terms: Terms, machines: Sequence[Machine]) -> Bounds:
    """T* for those that are waited for, from an origin of whatever rate; across racks, each of
    the others must let one copy in."""
    bound_s = bounds.origin_s(
        terms.size_bytes,
        terms.chunks,
        sum(map(is_wanted, machines)),
        terms.rate_bytes_per_s,
        terms.origin_ratio,
    )
    if terms.racks > 1:
        bound_s = max(bound_s, bounds.line_s(terms.size_bytes, rack_bytes_per_s(terms)))
    return {"": bound_s}


def survivors_bound(terms: Terms, machines: Sequence[Machine]) -> Bounds:
    """T* for those that a tenth's death leaves."""
    return equal_bound(terms, machines[_count(terms, TENTH) :])


def fluid_bound(terms: Terms, machines: Sequence[Machine]) -> Bounds:
    """Kumar's and Ross's, the classes of download rates apart; of a kind, that of its slowest."""
    rate = terms.rate_bytes_per_s
    ups = [rate * machine.up_ratio for machine in machines]
    downs = [rate * machine.down_ratio for machine in machines]
    found = bounds.class_fluid_s(terms.size_bytes, rate * terms.origin_ratio, ups, downs)
    kinds: dict[str, float] = {}
    for machine, down in zip(machines, downs, strict=True):
        kinds[kind_of(machine)] = max(found[down], kinds.get(kind_of(machine), 0.0))
    return kinds


def joining_bound(terms: Terms, machines: Sequence[Machine]) -> Bounds:
    """F/B since a machine's own start."""
    return {kind_of(machine): line_s(terms) for machine in machines}


def partition_bound(terms: Terms, machines: Sequence[Machine]) -> Bounds:
    """T* for those on the origin's side. The others have at most what the origin had sent when they
    were cut off, and need F/B for the whole beside the time without it."""
    cut_s = CUT_FOR_LINES * line_s(terms)
    return {"": equal_bound(terms, machines)[""], "cut off": line_s(terms) + cut_s}


def rack_bytes_per_s(terms: Terms) -> float:
    """What a rack's link to the core carries each way."""
    return terms.rate_bytes_per_s * terms.nodes / terms.racks / terms.rack_ratio


# --- unlike machines -----------------------------------------------------------------------------


def _count(terms: Terms, share: float) -> int:
    return max(1, round(share * terms.nodes))


def _drawn(
    terms: Terms, machines: list[Machine], share: float, dice: random.Random
) -> list[Machine]:
    return dice.sample(machines, _count(terms, share))


def _slow(terms: Terms, machines: list[Machine], dice: random.Random) -> None:
    for machine in _drawn(terms, machines, TENTH, dice):
        machine.up_ratio = machine.down_ratio = QUARTER


def _slow_up(terms: Terms, machines: list[Machine], dice: random.Random) -> None:
    for machine in _drawn(terms, machines, TENTH, dice):
        machine.up_ratio = QUARTER


def _staggered(terms: Terms, machines: list[Machine], dice: random.Random) -> None:
    """One after the other, in even steps."""
    step_s = STAGGER_LINES * line_s(terms) / len(machines)
    for place, machine in enumerate(dice.sample(machines, len(machines)), 1):
        machine.starts_s = place * step_s


def _broken(terms: Terms, machines: list[Machine], dice: random.Random) -> None:
    """Half of the broken ones send what is not the chunk, half begin to send and never do."""
    broken = dice.sample(machines, max(2, round(FIFTH * terms.nodes)))
    for place, machine in enumerate(broken):
        machine.liar, machine.stalled = place % 2 == 0, place % 2 == 1


def _cut_off(terms: Terms, machines: list[Machine], dice: random.Random) -> None:
    for machine in _drawn(terms, machines, QUARTER, dice):
        machine.cut_off = True


# --- what befalls a fleet ------------------------------------------------------------------------


def _deaths(fleet: Fleet, dice: random.Random) -> None:
    """Every other one as a process, whose end is told by its kernel; the others with machine and
    kernel, which is noticed only after a while."""
    terms = fleet.terms
    for place, peer in enumerate(dice.sample(fleet.peers, _count(terms, TENTH))):
        dies_s = dice.uniform(0.0, line_s(terms))
        fleet.world.at(dies_s, _kill, fleet, peer.host.number, place % 2 == 1)


def _kill(fleet: Fleet, number: int, machine: bool) -> None:
    fleet.world.trace(MACHINE_DIED, number, 0, 0)
    fleet.kill(fleet.peers[number - 1] if number else fleet.origin, machine=machine)


def _origin_dies(fleet: Fleet, dice: random.Random) -> None:
    _when(fleet, _one_copy_is_out, _end_origin)


def _one_copy_is_out(fleet: Fleet) -> bool:
    """Whether the machines together have every chunk."""
    if fleet.sent_by_origin_bytes < fleet.terms.size_bytes:
        return False
    together = Bitfield(len(fleet.lengths))
    for peer in fleet.peers:
        for part in peer.node.participations.values():
            together.include(part.swarm.have.bits)
    return together.complete


def _end_origin(fleet: Fleet) -> None:
    """The tracker, if there is one, lives on the origin's machine."""
    fleet.tracker.alive = False
    _kill(fleet, 0, True)


def _tracker_dies(fleet: Fleet, dice: random.Random) -> None:
    _when(fleet, _all_have_joined, _end_tracker)


def _all_have_joined(fleet: Fleet) -> bool:
    return all(peer.node.participations and peer.links for peer in fleet.peers)


def _end_tracker(fleet: Fleet) -> None:
    fleet.world.trace(TRACKER_DIED, 0, 0, 0)
    fleet.tracker.alive = False


def _tracker_dies_midway(fleet: Fleet, dice: random.Random) -> None:
    fleet.world.at(TRACKER_DIES_LINES * line_s(fleet.terms), _end_tracker, fleet)


def _partition(fleet: Fleet, dice: random.Random) -> None:
    fleet.world.at(CUT_LINES * line_s(fleet.terms), _cut, fleet)


def _cut(fleet: Fleet) -> None:
    """Links outlive it if it is short."""
    away = [peer for peer, each in zip(fleet.peers, fleet.machines, strict=True) if each.cut_off]
    for peer in away:
        fleet.world.trace(CUT, peer.host.number, 0, 0)
        fleet.world.at(fleet.world.now + LOST_AFTER_S, peer.time_out)
    fleet.network.cut([peer.host for peer in away], CUT_FOR_LINES * line_s(fleet.terms))


def _when(fleet: Fleet, holds: Callable[[Fleet], bool], then: Callable[[Fleet], None]) -> None:
    """Let something befall the fleet as soon as it is seen to be in a state."""
    if holds(fleet):
        then(fleet)
        return
    look_s = fleet.world.now + line_s(fleet.terms) / LOOKS_PER_LINE
    fleet.world.at(look_s, _when, fleet, holds, then)


# --- all of them ---------------------------------------------------------------------------------

EQUAL = "F/B (1 + floor(log2 N)/M)"

SCENARIOS: dict[str, Scenario] = {
    "flash": Scenario(
        meaning="flash crowd: all machines hear of the artifact at once",
        formula=EQUAL,
        bound=equal_bound,
        plain=True,
    ),
    "staggered": Scenario(
        meaning="staggered start: the machines come one by one, over half of F/B",
        formula="F/B since its own start",
        bound=joining_bound,
        machines=_staggered,
    ),
    "die10": Scenario(
        meaning="10 % of the machines die, at random times",
        formula=f"{EQUAL}, N the survivors",
        bound=survivors_bound,
        befalls=_deaths,
        nodes_min=2,
    ),
    "origin-dies": Scenario(
        meaning="the origin dies, tracker and all, as soon as one copy is out",
        formula=EQUAL,
        bound=equal_bound,
        befalls=_origin_dies,
    ),
    "origin4": Scenario(
        meaning="the origin's links have 4 times the machines' rate",
        formula="F/B (1 + (ceil(log2(N/4 + 1)) - 1)/M)",
        bound=equal_bound,
        changes={"origin_ratio": 4.0},
        plain=True,
    ),
    "origin-half": Scenario(
        meaning="the origin's links have half the machines' rate",
        formula="F/B (2 + floor(log2 N)/M)",
        bound=equal_bound,
        changes={"origin_ratio": 0.5},
        plain=True,
    ),
    "slow10": Scenario(
        meaning="10 % of the machines have a quarter of the rate, both ways",
        formula="max(F/u_s, F/d, n F/(u_s + all uplinks)) of each class",
        bound=fluid_bound,
        machines=_slow,
        nodes_min=2,
    ),
    "slow-up10": Scenario(
        meaning="10 % of the machines have a quarter of the rate upwards",
        formula="max(F/u_s, F/d, N F/(u_s + all uplinks))",
        bound=fluid_bound,
        machines=_slow_up,
        nodes_min=2,
    ),
    "racks2": Scenario(
        meaning="two racks, whose links to the core carry a quarter of what their machines could",
        formula=f"max({EQUAL}, F/rack's link)",
        bound=equal_bound,
        changes={"racks": 2, "rack_ratio": 4.0},
        nodes_min=2,
    ),
    "racks4": Scenario(
        meaning="four racks, whose links to the core carry a quarter of what their machines could",
        formula=f"max({EQUAL}, F/rack's link)",
        bound=equal_bound,
        changes={"racks": 4, "rack_ratio": 4.0},
        nodes_min=4,
    ),
    "partition": Scenario(
        meaning="a quarter of the machines is cut off from all others for a quarter of F/B",
        formula=f"{EQUAL}; F/B + the partition for those cut off",
        bound=partition_bound,
        machines=_cut_off,
        befalls=_partition,
        nodes_min=2,
    ),
    "tracker-gone": Scenario(
        meaning="the tracker dies as soon as every machine has joined the swarm",
        formula=EQUAL,
        bound=equal_bound,
        befalls=_tracker_dies,
        tracker=True,
    ),
    "hybrid-tracker-dies": Scenario(
        meaning="machines gossip beside their tracker, which dies at three tenths of F/B",
        formula=EQUAL,
        bound=equal_bound,
        changes={"gossip": True},
        befalls=_tracker_dies_midway,
        tracker=True,
    ),
    "liars": Scenario(
        meaning="20 % of the machines are broken: half send wrong bytes, half stall",
        formula=f"{EQUAL}, N the others",
        bound=equal_bound,
        machines=_broken,
        nodes_min=3,
    ),
    "latency5": Scenario(
        meaning="5 ms from machine to machine, one way",
        formula=EQUAL,
        bound=equal_bound,
        changes={"latency_s": 0.005},
    ),
}

"""A spread of the simulator, kept: which machine got which chunk from whom, and when.

A thousand machines take the simulator longer than they take in its world, and whoever measures a
tracker or a dashboard needs the cores. So the run is made first, and written to a file; played it
costs next to nothing (bench.crowd).
"""

import sys
from array import array
from collections.abc import Sequence
from pathlib import Path

import msgspec

from strew.sim.fleet import Fleet, Machine, Terms
from strew.sim.peers import DONE, STORED, SimPeer
from strew.sim.scenarios import line_s

FORMAT = 1

SLOW_RATIO = 0.5
"""Rate of a slow machine, as a share of the others'. Lower: the fleet waits longer for it, and so
does whoever simulates it, for a thousand idle machines cost as much as busy ones."""

LINE_S = 4.0
"""Line time at which spreads are simulated: what that costs grows with the virtual time as much as
with the chunks. They are played at any other pace."""
SAMPLE_LINKS = 64
"""Neighbours of a machine that are kept, at most: as many as it may tell of."""


class Broken(msgspec.Struct, frozen=True, kw_only=True):
    """How many machines are not like the others, the first ones of the fleet in this order."""

    slow: int = 0
    """Half of the rate, both ways."""
    silent: int = 0
    """Ends at a third of the line time, without a word."""
    paused: int = 0
    """Its disk is full by then: it tells so, and fetches nothing more."""
    bad: int = 0
    """Is sent wrong bytes from then on."""

    @property
    def count(self) -> int:
        return self.slow + self.silent + self.paused + self.bad

    def kind(self, number: int) -> str:
        """What is wrong with machine `number` (1 is the first); empty for one like most."""
        for kind in ("slow", "silent", "paused", "bad"):
            number -= getattr(self, kind)
            if number <= 0:
                return kind
        return ""


class Recorded(msgspec.Struct, frozen=True, kw_only=True):
    """What was simulated. Machine 0 is the origin. Arrays are of this machine's byte order."""

    format: int
    order: str
    nodes: int
    racks: int
    size_bytes: int
    rate_bytes_per_s: float
    seed: int
    broken: Broken
    lengths: tuple[int, ...]
    duplicates: tuple[int, ...]
    """Bytes of each machine that it had already."""
    neighbours: tuple[int, ...]
    done_s: tuple[float, ...]
    """Of each machine; below 0: never."""
    times: bytes
    targets: bytes
    sources: bytes
    chunks: bytes


class Spread:
    """The events of a recording in the order of their time, as parallel arrays."""

    def __init__(self, recorded: Recorded) -> None:
        self.recorded = recorded
        self.times_s = array("d", recorded.times)
        self.targets = array("I", recorded.targets)
        self.sources = array("I", recorded.sources)
        self.chunks = array("I", recorded.chunks)

    @property
    def end_s(self) -> float:
        """When the last machine was done."""
        return max(self.recorded.done_s)


def fleet_of(terms: Terms, broken: Broken) -> Fleet:
    """Machines on `terms`, the first ones `broken`, and what befalls them."""
    machines = [Machine(rack=number % terms.racks) for number in range(terms.nodes)]
    for machine in machines[: broken.slow]:
        machine.up_ratio = machine.down_ratio = SLOW_RATIO
    fleet = Fleet(terms, machines)
    for number in range(broken.slow + 1, broken.slow + broken.silent + broken.paused + 1):
        fleet.world.at(line_s(terms) / 3.0, _end, fleet, fleet.peers[number - 1])
    return fleet


def _end(fleet: Fleet, peer: SimPeer) -> None:
    fleet.kill(peer)


def record(terms: Terms, broken: Broken) -> Spread:
    """Simulate, and keep what the world's trace tells."""
    fleet = fleet_of(terms, broken)
    times, targets, sources, chunks = array("d"), array("I"), array("I"), array("I")
    done_s = [-1.0] * (terms.nodes + 1)
    done_s[0] = 0.0
    traced = fleet.world.trace

    def trace(kind: int, a: int, b: int, c: int) -> None:
        if kind == STORED:
            times.append(fleet.world.now)
            targets.append(a)
            sources.append(b)
            chunks.append(c)
        elif kind == DONE:
            done_s[a] = fleet.world.now
        traced(kind, a, b, c)

    fleet.world.trace = trace  # type: ignore[method-assign]
    fleet.spread()
    everybody: Sequence[SimPeer] = (fleet.origin, *fleet.peers)
    recorded = Recorded(
        format=FORMAT,
        order=sys.byteorder,
        nodes=terms.nodes,
        racks=terms.racks,
        size_bytes=terms.size_bytes,
        rate_bytes_per_s=terms.rate_bytes_per_s,
        seed=terms.seed,
        broken=broken,
        lengths=tuple(fleet.lengths),
        duplicates=tuple(peer.duplicate_bytes for peer in everybody),
        neighbours=tuple(min(len(peer.links), SAMPLE_LINKS) for peer in everybody),
        done_s=tuple(done_s),
        times=times.tobytes(),
        targets=targets.tobytes(),
        sources=sources.tobytes(),
        chunks=chunks.tobytes(),
    )
    return Spread(recorded)


def kept(path: Path, terms: Terms, broken: Broken) -> Spread:
    """The spread in the file if it is of these terms; else simulated now, and written there."""
    try:
        recorded = msgspec.msgpack.decode(path.read_bytes(), type=Recorded)
    except (FileNotFoundError, msgspec.DecodeError):
        recorded = None
    if recorded is not None and _is_of(recorded, terms, broken):
        return Spread(recorded)
    spread = record(terms, broken)
    path.parent.mkdir(parents=True, exist_ok=True)
    new = path.with_suffix(".new")
    new.write_bytes(msgspec.msgpack.encode(spread.recorded))
    new.replace(path)
    return spread


def _is_of(recorded: Recorded, terms: Terms, broken: Broken) -> bool:
    return (FORMAT, sys.byteorder, broken, len(recorded.lengths)) == (
        recorded.format,
        recorded.order,
        recorded.broken,
        terms.chunks,
    ) and all(
        getattr(recorded, name) == getattr(terms, name)
        for name in ("nodes", "racks", "size_bytes", "rate_bytes_per_s", "seed")
    )

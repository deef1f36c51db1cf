"""Scatter, then gather: every machine gets an N-th of the file, then all exchange what they have.

The exchange is the one that needs fewest flows and keeps every link busy to its end: in step k
machine i sends the 2^k parts it has gathered first to machine i - 2^k (Bruck, Ho, Kipnis, Upfal,
Weathersby: Efficient algorithms for all-to-all communications, IEEE TPDS 8(11), 1997). It begins
when all have their part, and ends, as any exchange of N parts over equal links, (1 - 1/N)·F/B
later.
"""

from __future__ import annotations

from strew.sim import bounds
from strew.sim.baselines.completion import Completion
from strew.sim.baselines.fetching import Fetching
from strew.sim.network import Host, Network
from strew.sim.world import World


def bound_s(size_bytes: float, chunks: int, nodes: int, bytes_per_s: float) -> float:
    """F/B · (2 - 1/N)."""
    return bounds.sharded_s(size_bytes, nodes, bytes_per_s, nodes)


def spread(
    world: World, network: Network, origin: Host, machines: list[Host], size_bytes: int, chunks: int
) -> list[float]:
    """Seconds until each machine has the file. Chunks play no part: a part is an N-th."""
    count = len(machines)
    part_bytes = size_bytes / count
    completion = Completion(world, count)
    fetching = Fetching(world, network, [origin, *machines], completion)
    gathered = [0] * (count + 1)
    asked: list[list[int]] = [[] for _ in range(count + 1)]
    unscattered = count

    def scattered(machine: int) -> None:
        nonlocal unscattered
        unscattered -= 1
        if not unscattered:
            for each in range(1, count + 1):
                gathered[each] = 1
            for each in range(1, count + 1):
                step(each)

    def step(machine: int) -> None:
        """Take the next parts from the machine as far ahead as one has parts already."""
        held = gathered[machine]
        if held == count:
            completion.done(machine)
        else:
            ahead = (machine - 1 + held) % count + 1
            if gathered[ahead] >= held:
                take(machine, ahead, held)
            else:
                asked[ahead].append(machine)

    def take(machine: int, ahead: int, held: int) -> None:
        size = min(held, count - held) * part_bytes
        fetching.fetch(machine, ahead, held, size, taken)

    def taken(machine: int) -> None:
        held = gathered[machine]
        gathered[machine] = min(2 * held, count)
        waiting, asked[machine] = asked[machine], []
        for other in waiting:
            step(other)
        step(machine)

    for machine in range(1, count + 1):
        fetching.fetch(machine, 0, 0, part_bytes, scattered)
    return completion.run(bound_s(size_bytes, chunks, count, origin.up_bytes_per_s))

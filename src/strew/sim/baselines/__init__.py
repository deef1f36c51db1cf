"""Baselines: the other ways to spread a file, in the same virtual network, each with its bound.

`BASELINES` names them all. Each is a `spread`, which plays one transfer on a fresh world and
returns when each machine was done, and a `bound_s`, which says what its way of spreading, or any
way at all, can reach at best over equal links. They all take that every machine is there from the
start and stays.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Protocol

from strew.sim.baselines import (
    binomial,
    bittorrent,
    chain,
    kraken,
    replicated,
    scatter,
    sharded,
    single,
    tree,
)
from strew.sim.network import Host, Network
from strew.sim.world import World


class Spread(Protocol):
    """Plays a transfer of `size_bytes` in `chunks` from the origin to all machines.

    `network` must have been made on `world`, with these hosts. Returns the seconds until each
    machine is done, in the order of `machines`; DeadlineExceededError if the transfer makes no
    progress. Options of a way have defaults.
    """

    def __call__(
        self,
        world: World,
        network: Network,
        origin: Host,
        machines: list[Host],
        size_bytes: int,
        chunks: int,
    ) -> list[float]: ...


class Bound(Protocol):
    """Seconds before which the last of N machines cannot be done this way, over equal links."""

    def __call__(self, size_bytes: float, chunks: int, nodes: int, bytes_per_s: float) -> float: ...


@dataclass(frozen=True, slots=True)
class Baseline:
    """One way to spread a file; `formula` is its bound in words, `meaning` what it does."""

    spread: Spread
    bound_s: Bound
    formula: str
    meaning: str


BASELINES: dict[str, Baseline] = {
    "single": Baseline(
        single.spread,
        single.bound_s,
        "N·F/B",
        "one server: every machine fetches from the origin at once",
    ),
    "replicated": Baseline(
        replicated.spread,
        replicated.bound_s,
        "F/B (k + (N-k)/(k+1))",
        f"{replicated.SERVERS_DEFAULT} replicas are filled first, then serve with the origin",
    ),
    "sharded": Baseline(
        sharded.spread,
        sharded.bound_s,
        "F/B (1 + (N-1)/k)",
        f"{replicated.SERVERS_DEFAULT} servers get a part each, then serve it to everybody",
    ),
    "scatter": Baseline(
        scatter.spread,
        scatter.bound_s,
        "F/B (2 - 1/N)",
        "every machine gets an N-th of the file, then all exchange",
    ),
    "chain": Baseline(
        chain.spread,
        chain.bound_s,
        "F/B (1 + (N-1)/M)",
        "each machine passes every chunk on to the next one",
    ),
    "tree": Baseline(
        tree.spread,
        tree.bound_s,
        "F/B (k + depth/M)",
        f"each machine passes every chunk on to {tree.ARITY_DEFAULT} others",
    ),
    "bittorrent": Baseline(
        bittorrent.spread,
        bittorrent.bound_s,
        "F/B (1 + floor(log2 N)/M)",
        "rarest first from 40 neighbours, who serve 5 each (tit for tat)",
    ),
    "kraken": Baseline(
        kraken.spread,
        kraken.bound_s,
        "F/B (1 + floor(log2 N)/M)",
        "rarest first over a random regular graph of degree 10",
    ),
    "binomial": Baseline(
        binomial.spread,
        binomial.bound_s,
        "F/B (1 + floor(log2 N)/M)",
        "the ceiling: a central schedule in lock-step, worked out in rounds",
    ),
}

"""Kraken-like: a swarm over a random regular graph, without choking.

As Uber's Kraken is published: a tracker arranges agents and origins in a random regular graph of
degree 10; each agent asks every neighbour for up to 3 chunks at a time, rarest first, as soon as
it hears of one it lacks; with 3 chunks or fewer missing it asks several for the same. Not modelled:
its time-outs (4 s and more), its announcements every few seconds and its origins, of which it
has several.
"""

from __future__ import annotations

from strew.sim import bounds
from strew.sim.baselines.exchange import Exchange
from strew.sim.baselines.graph import random_regular
from strew.sim.network import Host, Network
from strew.sim.world import World

DEGREE_DEFAULT = 10
"""Neighbours of an agent. More of them find a new chunk sooner and cost more announcements."""

PIPELINE_DEFAULT = 3
"""Chunks asked of a neighbour at a time. More of them wait in the uploader's queue for longer, so
that a chunk takes longer from hand to hand; fewer may leave a connection idle for a round trip."""

PARALLEL_DEFAULT = 5
"""Connections an agent sends on at the same time. Kraken's own limit is a token bucket from which
whole chunks are taken; of 1, 2, 3, 5 and all 10 connections 5 was the best for it here."""

ENDGAME_CHUNKS = 3
"""Missing chunks from which on several neighbours may be asked for the same one."""


def bound_s(size_bytes: float, chunks: int, nodes: int, bytes_per_s: float) -> float:
    """T* = F/B · (1 + floor(log2 N)/M), which binds every way over equal links."""
    return bounds.equal_links_s(size_bytes, chunks, nodes, bytes_per_s)


def spread(
    world: World,
    network: Network,
    origin: Host,
    machines: list[Host],
    size_bytes: int,
    chunks: int,
    *,
    degree: int = DEGREE_DEFAULT,
    pipeline: int = PIPELINE_DEFAULT,
    parallel: int = PARALLEL_DEFAULT,
) -> list[float]:
    """Seconds until each machine has the file."""
    hosts = [origin, *machines]
    exchange = Exchange(
        world,
        network,
        hosts,
        size_bytes,
        chunks,
        random_regular(world.dice, len(hosts), degree),
        pipeline=pipeline,
        parallel=parallel,
        endgame_chunks=ENDGAME_CHUNKS,
    )
    for peer in exchange.neighbours[0]:
        exchange.ask(peer, 0)
    return exchange.completion.run(
        bound_s(size_bytes, chunks, len(machines), origin.up_bytes_per_s)
    )

"""What no schedule can beat, and what each plain way of spreading comes to at its best.

N machines beside the origin fetch F bytes in M chunks; every link moves B bytes/s each way, the
origin s·B. A *round* is the time of one chunk, F/(M·B). Latency is nowhere counted: a bound holds
for every network. All results are seconds; sizes are bytes, rates bytes/s of goodput.

Round bounds take a chunk to be indivisible: it is passed on when it is whole. Fluid bounds hold
for chunks of any size. `UsageError` if a count or a rate makes no sense.
"""

from __future__ import annotations

import math
from collections.abc import Sequence

from strew.errors import UsageError


def line_s(size_bytes: float, bytes_per_s: float) -> float:
    """F/B: one machine alone on its link."""
    if size_bytes < 0 or bytes_per_s <= 0:
        raise UsageError(
            f"{size_bytes:g} bytes at {bytes_per_s:g} bytes/s have no bound",
            hint="give a size of 0 or more and a rate above 0",
        )
    return size_bytes / bytes_per_s


def round_s(size_bytes: float, chunks: int, bytes_per_s: float) -> float:
    """The time of one chunk on one link."""
    if chunks < 1:
        raise UsageError(f"{chunks} chunks have no bound", hint="give 1 chunk or more")
    return line_s(size_bytes, bytes_per_s) / chunks


def equal_links_s(size_bytes: float, chunks: int, nodes: int, bytes_per_s: float) -> float:
    """T* = F/B · (1 + floor(log2 N)/M), reached by `baselines.binomial`.

    Mundinger, Weber, Weiss: Optimal scheduling of peer-to-peer file dissemination, Journal of
    Scheduling 11, 2008 (arXiv cs/0606110).
    """
    return round_s(size_bytes, chunks, bytes_per_s) * (chunks + _doublings(nodes))


def fast_origin_s(
    size_bytes: float, chunks: int, nodes: int, bytes_per_s: float, origin_ratio: float
) -> float:
    """M + ceil(log2(N/s + 1)) - 1 rounds: the origin has s >= 1 times the machines' rate.

    After t rounds at most s(2^t - 1) machines have anything at all; the last one to begin needs
    M rounds, that of its first chunk among them. Equal to T* at s = 1.
    """
    _doublings(nodes)
    if origin_ratio < 1:
        raise UsageError(f"an origin of {origin_ratio:g} B is not fast", hint="use slow_origin_s")
    begins = max(1, math.ceil(math.log2(nodes / origin_ratio + 1) - _ROUNDING))
    return round_s(size_bytes, chunks, bytes_per_s) * (chunks + begins - 1)


def slow_origin_s(
    size_bytes: float, chunks: int, nodes: int, bytes_per_s: float, origin_ratio: float
) -> float:
    """M/s + floor(log2 N) rounds: the origin has s < 1 times the machines' rate.

    It takes M/s rounds until every chunk has left it once; the last one to leave is then on one
    machine, and those that have it cannot do more than double from round to round.
    """
    if not 0 < origin_ratio <= 1:
        raise UsageError(f"an origin of {origin_ratio:g} B is not slow", hint="use fast_origin_s")
    rounds = chunks / origin_ratio + _doublings(nodes)
    return round_s(size_bytes, chunks, bytes_per_s) * rounds


def origin_s(
    size_bytes: float, chunks: int, nodes: int, bytes_per_s: float, origin_ratio: float
) -> float:
    """The round bound for whatever the origin's rate is."""
    bound = slow_origin_s if origin_ratio < 1 else fast_origin_s
    return bound(size_bytes, chunks, nodes, bytes_per_s, origin_ratio)


def fluid_s(
    size_bytes: float, origin_up: float, ups: Sequence[float], downs: Sequence[float]
) -> float:
    """max(F/u_s, F/d_min, N·F/(u_s + Σu_i)): the last machine of a fleet with unequal links.

    Kumar, Ross: Peer-assisted file distribution: the minimum distribution time, HotWeb 2006,
    which also gives the schedule that reaches it when chunks are fine.
    """
    return max(class_fluid_s(size_bytes, origin_up, ups, downs).values())


def class_fluid_s(
    size_bytes: float, origin_up: float, ups: Sequence[float], downs: Sequence[float]
) -> dict[float, float]:
    """`fluid_s` with the last machine of each class apart: download rate -> seconds, fast first.

    Of the n machines with rate d or more none may wait for a slower one, so the bound of their
    class is max(F/u_s, F/d, n·F/(u_s + Σu_i)), with the uplinks of all machines. That of the
    slowest class is `fluid_s`.
    """
    if not downs or len(ups) != len(downs):
        raise UsageError(
            f"{len(ups)} uplinks and {len(downs)} downlinks make no fleet",
            hint="give each machine one of each",
        )
    total_up = origin_up + sum(ups)
    bounds = {}
    for down in sorted(set(downs), reverse=True):
        count = sum(d >= down for d in downs)
        bounds[down] = max(
            line_s(size_bytes, origin_up),
            line_s(size_bytes, down),
            line_s(count * size_bytes, total_up),
        )
    return bounds


def joining_s(joined_s: float, size_bytes: float, down_bytes_per_s: float) -> float:
    """t + F/d: when a machine that joins at t can have everything."""
    return joined_s + line_s(size_bytes, down_bytes_per_s)


def single_s(size_bytes: float, nodes: int, bytes_per_s: float, origin_ratio: float = 1.0) -> float:
    """max(F/B, N·F/(s·B)): one server, whose uplink carries every copy."""
    _doublings(nodes)
    return line_s(size_bytes, bytes_per_s) * max(1.0, nodes / origin_ratio)


def replicated_s(size_bytes: float, nodes: int, bytes_per_s: float, servers: int) -> float:
    """F/B · (k + ceil((N - k)/(k + 1))): k replicas are filled first, then share the other
    machines with the origin, each of which fetches from one of them."""
    others = nodes - _servers(nodes, servers)
    return line_s(size_bytes, bytes_per_s) * (servers + math.ceil(others / (servers + 1)))


def sharded_s(size_bytes: float, nodes: int, bytes_per_s: float, servers: int) -> float:
    """F/B · (1 + (N - 1)/k): k machines are filled with a k-th each, then every machine fetches
    from all of them what it lacks. With k = N this is scatter, then gather: F/B · (2 - 1/N)."""
    _servers(nodes, servers)
    return line_s(size_bytes, bytes_per_s) * (1 + (nodes - 1) / servers)


def chain_s(size_bytes: float, chunks: int, nodes: int, bytes_per_s: float) -> float:
    """M + N - 1 rounds: each machine passes every chunk on to the next one."""
    return tree_s(size_bytes, chunks, nodes, bytes_per_s, 1)


def tree_s(size_bytes: float, chunks: int, nodes: int, bytes_per_s: float, arity: int) -> float:
    """k(M - 1) + the slowest way down, in rounds: each machine sends every chunk to its k
    children, one after the other, so that the j-th child has it j rounds after its parent.

    The tree is filled level by level: machine i (the origin is 0) has the children ki + 1 to
    ki + k. Machines with fewer children wait for those above them, so the origin's k sets the pace.
    """
    _doublings(nodes)
    if arity < 1:
        raise UsageError(f"a tree with {arity} children", hint="give 1 child or more")
    way = [0] * (nodes + 1)
    for child in range(1, nodes + 1):
        parent, place = divmod(child - 1, arity)
        way[child] = way[parent] + place + 1
    rounds = min(arity, nodes) * (chunks - 1) + max(way)
    return round_s(size_bytes, chunks, bytes_per_s) * rounds


_ROUNDING = 1e-9
"""log2 of a power of two may come out a little above the whole number."""


def _doublings(nodes: int) -> int:
    """floor(log2 N)."""
    if nodes < 1:
        raise UsageError(f"a fleet of {nodes} machines has no bound", hint="give 1 machine or more")
    return nodes.bit_length() - 1


def _servers(nodes: int, servers: int) -> int:
    if not 1 <= servers <= nodes:
        raise UsageError(
            f"{servers} of {nodes} machines cannot be filled first",
            hint="give from 1 to as many servers as there are machines",
        )
    return servers

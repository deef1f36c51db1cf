"""Graph: who is whose neighbour in a swarm, as a tracker that hands out random peers makes it."""

from __future__ import annotations

import random

TRIES_MAX = 100
"""Swaps tried for one bad edge before it is left out; small dense graphs may need many."""


def random_regular(dice: random.Random, nodes: int, degree: int) -> list[list[int]]:
    """Each node's neighbours, in rising order: a random graph in which all have `degree` of them.

    With `degree` neighbours or fewer in all it is complete. If nodes x degree is odd, or an edge
    cannot be placed, some node has one less. Edge ends are paired at random (Bollobás 1980); loops
    and double edges swap an end with another edge.
    """
    if degree >= nodes - 1:
        return [[j for j in range(nodes) if j != i] for i in range(nodes)]
    ends = [i for i in range(nodes) for _ in range(degree)]
    dice.shuffle(ends)
    edges: list[tuple[int, int]] = []
    known: set[tuple[int, int]] = set()
    bad: list[tuple[int, int]] = []
    for a, b in zip(ends[::2], ends[1::2], strict=False):
        (edges if _add(known, a, b) else bad).append((a, b))
    for a, b in bad:
        for _ in range(TRIES_MAX):
            place = dice.randrange(len(edges))
            c, d = edges[place]
            known.discard((c, d) if c < d else (d, c))
            if _add(known, a, c):
                if _add(known, b, d):
                    edges[place] = (a, c)
                    edges.append((b, d))
                    break
                known.discard((a, c) if a < c else (c, a))
            _add(known, c, d)
    neighbours: list[list[int]] = [[] for _ in range(nodes)]
    for a, b in edges:
        neighbours[a].append(b)
        neighbours[b].append(a)
    return [sorted(each) for each in neighbours]


def _add(known: set[tuple[int, int]], a: int, b: int) -> bool:
    """Note an edge; False if it is a loop or known."""
    edge = (a, b) if a < b else (b, a)
    if a == b or edge in known:
        return False
    known.add(edge)
    return True

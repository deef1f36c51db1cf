"""Availability: how many neighbours hold each chunk, counted for whole sets at once.

The counts stand in *bit slices*: bit i of plane k is bit k of chunk i's count. To add a set of
chunks is then a ripple of carries over a few large integers, whether it names one chunk or all:
haves reach a node some thirty times as often as chunks do, and one count after the other would
cost more than everything else the swarm does.
"""

from __future__ import annotations


class Availability:
    """Counts of holders; sets are integers used as bit sets, chunk i being bit i."""

    __slots__ = ("_planes",)

    def __init__(self) -> None:
        self._planes: list[int] = []

    def add(self, bits: int) -> None:
        """One holder more for each of these chunks."""
        planes = self._planes
        for level, plane in enumerate(planes):
            planes[level] = plane ^ bits
            bits &= plane
            if not bits:
                return
        if bits:
            planes.append(bits)

    def remove(self, bits: int) -> None:
        """One holder fewer for each of these chunks; each of them has one."""
        planes = self._planes
        for level, plane in enumerate(planes):
            planes[level] = plane ^ bits
            bits ^= bits & plane
            if not bits:
                return
        assert not bits

    def __getitem__(self, index: int) -> int:
        """How many hold chunk `index`."""
        count = 0
        for level, plane in enumerate(self._planes):
            count |= (plane >> index & 1) << level
        return count

    def held_by(self, number: int, among: int) -> int:
        """Those of `among` that exactly so many hold."""
        if number >> len(self._planes):
            return 0
        for level, plane in enumerate(self._planes):
            within = among & plane
            among = within if number >> level & 1 else among ^ within
        return among

    def rarest(self, among: int) -> int:
        """Those of `among` that fewer neighbours hold than the others, or all if all are equal."""
        for level in range(len(self._planes) - 1, -1, -1):
            within = among & self._planes[level]
            if within != among:
                among ^= within
        return among

"""One number for an entry in one version, and sums of them by which two tables are compared.

A *mark* is 64 bits made of an entry's id and version. Two tables that hold the same entries have
the same sums of marks; a sum over each of 32 *buckets* tells roughly where they differ. Marks are
arithmetic, not cryptography: whoever forges a collision hides an entry from his own exchanges,
and rumours carry it all the same. A version is multiplied by the id, so that one entry that is
ahead and another that is behind do not cancel out.
"""

import struct
from collections.abc import Iterable
from functools import lru_cache

from strew.content.digest import digest_of
from strew.gossip.protocol import BUCKETS, MARK_BYTES, Held, Member, MemberState, Named

_MASK = (1 << 64) - 1


@lru_cache(maxsize=1 << 15)
def _place(identity: str) -> tuple[int, int]:
    """Bucket and odd factor of an id; both from its last 64 bits, which are random."""
    low = int(identity[16:], 16)
    return low % BUCKETS, low | 1


def member_mark(member: Member) -> tuple[int, int]:
    """Bucket and mark of a claim. A suspicion passes: it counts as alive."""
    bucket, factor = _place(member.id)
    state = member.state
    version = member.incarnation << 2 | (0 if state == MemberState.SUSPECT else state)
    return bucket, (version + 1) * factor & _MASK


def named_mark(named: Named) -> tuple[int, int]:
    """Bucket and mark of a publication; who holds it does not count."""
    told = named.publication
    text = f"{told.reference}\n{told.version}\n{told.artifact}"
    mark = int.from_bytes(digest_of(text.encode())[:MARK_BYTES], "big")
    return mark % BUCKETS, mark


def held_mark(held: Held) -> tuple[int, int]:
    """Bucket and mark of what a node holds."""
    bucket, factor = _place(held.id)
    swarm = held.swarm & _MASK
    return (bucket ^ swarm) % BUCKETS, (held.sequence + 1) * (factor ^ swarm << 1) & _MASK


class Sums:
    """A sum of marks for each bucket, kept while entries come and go."""

    __slots__ = ("_sums",)

    def __init__(self, sums: list[int] | None = None) -> None:
        self._sums = sums or [0] * BUCKETS

    def add(self, bucket: int, mark: int) -> None:
        self._sums[bucket] += mark

    def remove(self, bucket: int, mark: int) -> None:
        self._sums[bucket] -= mark

    def read(self) -> tuple[int, ...]:
        """All sums, modulo 2^64."""
        return tuple([value & _MASK for value in self._sums])


def sums_of_living(members: Iterable[Member]) -> Sums:
    """The sums of claims of living members: `member_mark` of each, in one loop, since simulations
    do this for a hundred million of them."""
    sums = [0] * BUCKETS
    for member in members:
        bucket, factor = _place(member.id)
        sums[bucket] += (member.incarnation * 4 + 1) * factor
    return Sums(sums)


def packed(marks: Iterable[int]) -> bytes:
    """Marks as bytes, one after another."""
    listed = list(marks)
    return struct.pack(f">{len(listed)}Q", *listed)


def unpacked(data: bytes) -> tuple[int, ...]:
    """The marks in `data`, whose length is a multiple of theirs."""
    return struct.unpack(f">{len(data) // MARK_BYTES}Q", data)

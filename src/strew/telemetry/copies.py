"""How many machines have each chunk, and which chunk the fewest have.

Bit-sliced: plane k holds bit k of every chunk's count, as one integer over all chunks, so that a
machine's whole bitfield is added with a ripple of carries, some twenty operations on integers,
however many chunks there are (O'Neil and Quass, Improved Query Performance with Variant Indexes,
SIGMOD 1997, sections 2.2 and 4, which sum and compare that way).
"""

from typing import NamedTuple


class Rarest(NamedTuple):
    """The fewest copies of any chunk: how many chunks have so few, and the first of them."""

    copies: int
    chunks: int
    first: int


class Copies:
    """Counts for `size` chunks. A set is an integer with bit i for chunk i, within `size`."""

    __slots__ = ("_all", "_planes")

    def __init__(self, size: int) -> None:
        self._all = (1 << size) - 1
        self._planes: list[int] = []

    def move(self, before: int, after: int) -> None:
        """A machine that had `before` has `after`."""
        if gained := after & ~before:
            self._add(gained)
        if lost := before & ~after:
            self._take(lost)

    def rarest(self) -> Rarest | None:
        """None without chunks."""
        if not self._all:
            return None
        fewest, copies = self._all, 0
        for plane in reversed(self._planes):
            copies <<= 1
            if lower := fewest & ~plane:
                fewest = lower
            else:
                copies |= 1
        return Rarest(copies, fewest.bit_count(), (fewest & -fewest).bit_length() - 1)

    def nowhere(self) -> int:
        """The chunks that nobody has."""
        some = 0
        for plane in self._planes:
            some |= plane
        return self._all & ~some

    def _add(self, carry: int) -> None:
        for k, plane in enumerate(self._planes):
            self._planes[k] = plane ^ carry
            carry &= plane
            if not carry:
                return
        self._planes.append(carry)

    def _take(self, borrow: int) -> None:
        for k, plane in enumerate(self._planes):
            self._planes[k] = plane ^ borrow
            borrow &= ~plane
            if not borrow:
                return
        raise AssertionError("a chunk was taken from nobody")

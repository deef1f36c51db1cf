"""Grouping: in which order a plan's groups hand chunks to each other, by arithmetic on their sizes.

Every uplink of a plan carries one copy of the file, so a group's entries can send one copy to
other groups, not two. A few groups are a *chain*: each hands every chunk to the next. A chunk takes
about as long to the end of a chain as it takes to send one to all machines in turn, so more groups
are two binary *trees*, between which chunks take turns, and whoever hands on to two groups in one
of them ends the other (two-tree broadcast: Sanders, Speck and Traeff, Parallel Computing 2009).
"""

from __future__ import annotations

from collections.abc import Sequence

CHAIN_GROUPS_MAX = 4
CHAIN_MACHINES_MAX = 32
"""So many groups, or groups of so many machines in all, are a chain. Simulated, 1 GB in 1000
chunks, last and median over the bound: 200 machines in 4 zones 1.10 and 1.06 in a chain, 1.13 and
1.09 in trees; 60 in 20 zones 1.32 and 1.17 in a chain, 1.13 and 1.12 in trees."""


class Grouping:
    """The order of groups of these sizes, in places. The first group stands above all."""

    __slots__ = ("_last", "trees")

    def __init__(self, sizes: Sequence[int]) -> None:
        self._last = len(sizes) - 1
        is_chain = len(sizes) <= CHAIN_GROUPS_MAX or sum(sizes) <= CHAIN_MACHINES_MAX
        self.trees = 1 if is_chain else 2
        """How many there are; a chain is one."""

    def below(self, group: int, tree: int) -> list[int]:
        """The groups to which the entries of a group hand the chunks of a tree.

        Below the first group one tree is filled with the others in their order, the other one from
        the last.
        """
        if self.trees == 1:
            return [group + 1] if group < self._last else []
        place = self._in_tree(group, tree)
        below = (1,) if group == 0 else (2 * place, 2 * place + 1)
        return [self._in_tree(each, tree) for each in below if each <= self._last]

    def copies(self, group: int) -> int:
        """How many copies of the file the entries of a group send to others, rounded up."""
        handed = sum(len(self.below(group, tree)) for tree in range(self.trees))
        return -(-handed // self.trees)

    def above(self, group: int) -> int:
        """How many groups a chunk comes through before this one, at most."""
        if self.trees == 1:
            return group
        return max(self._in_tree(group, tree).bit_length() for tree in range(self.trees))

    def _in_tree(self, group: int, tree: int) -> int:
        """The place of a group in a tree, and the group at a place of it."""
        return group if tree == 0 or group == 0 else self._last + 1 - group

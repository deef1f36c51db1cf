"""All that a node knows, compared with all that another one knows.

Theory of operation. Both sides know nearly the same. The asker sends sums of marks, 32 for each
table (`Summary`). Where a sum differs the other answers with the marks of that bucket's entries
(`Differences`): 8 bytes instead of an entry's 80. From them the asker sees what it lacks and what
the other lacks; it sends the latter and asks for the former (`Entries`), and the answer brings
that. When both know the same the exchange ends with the first answer, under 1 kB each way.

The dead are no part of the sums, since nodes forget them at different times, but of the marks: else
the living claim of one side would bring back whom the other buried.
"""

from collections.abc import Callable, Iterable, Iterator
from typing import TypeVar

from strew.gossip.holdings import Holdings
from strew.gossip.marks import held_mark, member_mark, named_mark, packed, unpacked
from strew.gossip.membership import Membership
from strew.gossip.names import Names
from strew.gossip.protocol import (
    EXCHANGE_BYTES_MAX,
    MARK_BYTES,
    Differences,
    Entries,
    Held,
    Member,
    Named,
    Rumour,
    Summary,
    wire_bytes,
)

ENTRIES_BYTES_MAX = EXCHANGE_BYTES_MAX // 2
"""Of the entries in one body; marks have the other half. What does not fit goes next time."""

WANTED_MAX = ENTRIES_BYTES_MAX // (2 * MARK_BYTES)
"""Marks in one request."""

_Entry = TypeVar("_Entry", Member, Named, Held)
_Mark = Callable[[_Entry], tuple[int, int]]


class Ledger:
    """The three tables seen as sets of marks."""

    def __init__(self, membership: Membership, names: Names, holdings: Holdings) -> None:
        self._membership = membership
        self._names = names
        self._holdings = holdings

    def summary(self) -> Summary:
        """What an exchange begins with."""
        return Summary(
            self._membership.me,
            self._membership.sums(),
            self._names.sums.read(),
            self._holdings.sums.read(),
        )

    def differences(self, theirs: Summary) -> Differences:
        """The marks of what is known here, in each bucket where the sums differ."""
        ours = self.summary()
        return Differences(
            ours.sender,
            _marks(self._members(), member_mark, _unequal(ours.members, theirs.members)),
            _marks(self._publications(), named_mark, _unequal(ours.names, theirs.names)),
            _marks(self._held(), held_mark, _unequal(ours.holdings, theirs.holdings)),
        )

    def entries(self, theirs: Differences) -> Entries:
        """What the other side lacks, and the marks of what is lacking here."""
        gives: list[Rumour] = []
        wants: list[int] = []
        _compare(self._publications(), named_mark, theirs.names, gives, wants)
        _compare(self._members(), member_mark, theirs.members, gives, wants)
        _compare(self._held(), held_mark, theirs.holdings, gives, wants)
        wanted = packed(wants[:WANTED_MAX])
        return Entries(self._membership.me, _up_to_limit(gives), wanted)

    def wanted(self, marks: bytes) -> Entries:
        """The entries that the other side asks for."""
        wanted = set(unpacked(marks))
        found: list[Rumour] = []
        if wanted:
            found += [n for n in self._publications() if named_mark(n)[1] in wanted]
            found += [m for m in self._members() if member_mark(m)[1] in wanted]
            found += [h for h in self._held() if held_mark(h)[1] in wanted]
        return Entries(self._membership.me, _up_to_limit(found))

    def _members(self) -> Iterator[Member]:
        yield self._membership.me
        yield from self._membership.table.values()

    def _publications(self) -> Iterable[Named]:
        return self._names.by_reference.values()

    def _held(self) -> Iterator[Held]:
        for of_node in self._holdings.by_node.values():
            yield from of_node.values()


def _unequal(ours: tuple[int, ...], theirs: tuple[int, ...]) -> set[int]:
    """Buckets whose sums differ."""
    return {bucket for bucket, value in enumerate(ours) if value != theirs[bucket]}


def _marks(
    entries: Iterable[_Entry], mark_of: _Mark[_Entry], buckets: set[int]
) -> dict[int, bytes]:
    if not buckets:
        return {}
    marks: dict[int, list[int]] = {bucket: [] for bucket in buckets}
    for entry in entries:
        bucket, mark = mark_of(entry)
        if bucket in buckets:
            marks[bucket].append(mark)
    return {bucket: packed(listed) for bucket, listed in marks.items()}


def _compare(
    entries: Iterable[_Entry],
    mark_of: _Mark[_Entry],
    theirs: dict[int, bytes],
    gives: list[Rumour],
    wants: list[int],
) -> None:
    """Of the differing buckets, add what only we have to `gives`, what only they to `wants`."""
    if not theirs:
        return
    lacking = {mark for marks in theirs.values() for mark in unpacked(marks)}
    for entry in entries:
        bucket, mark = mark_of(entry)
        if bucket in theirs:
            if mark in lacking:
                lacking.discard(mark)
            else:
                gives.append(entry)
    wants.extend(sorted(lacking))


def _up_to_limit(rumours: list[Rumour]) -> tuple[Rumour, ...]:
    room_bytes = ENTRIES_BYTES_MAX
    for index, rumour in enumerate(rumours):
        room_bytes -= wire_bytes(rumour)
        if room_bytes < 0:
            return tuple(rumours[:index])
    return tuple(rumours)

"""What was published: of each reference the publication with the highest version.

Theory of operation. Versions are milliseconds of the publisher's clock and grow with each
publication it knows of. The highest wins, ties go to the greater artifact id, so all nodes agree
whatever order they heard things in. Two publishers that name different artifacts within seconds
did not know of each other: the higher version wins here too, and the other is kept as a *conflict*,
for people to see.
"""

from strew.gossip.marks import Sums, named_mark
from strew.gossip.protocol import Holder, Named
from strew.messages import Action
from strew.publication import Admits, Publication

NAMES_MAX = 16_384
"""References known, about 8 MB. Beyond that the one with the lowest version is forgotten."""

CONFLICT_MS = 10_000
"""Versions of two publishers nearer than this conflict: a rumour needs seconds at most, so whoever
publishes later than that over another's name does it knowingly."""

CONFLICTS_MAX = 256
"""Conflicts remembered; the oldest is forgotten first."""


class NameHeard(Action, frozen=True):
    """A reference has a higher version than was known; `holders` are where it can be fetched."""

    publication: Publication
    holders: tuple[Holder, ...]


def _rank(publication: Publication) -> tuple[int, str]:
    return (publication.version, publication.artifact)


class Names:
    """Publications by reference. `hear` says whether one is the highest so far."""

    def __init__(self) -> None:
        self.by_reference: dict[str, Named] = {}
        self.conflicts: dict[str, Named] = {}
        """By reference, the publication that lost against another one's."""
        self.sums = Sums()

    def hear(self, told: Named) -> bool:
        """Take a publication; True if it is its reference's highest, or says for the first time
        where that is."""
        reference = told.publication.reference
        known = self.by_reference.get(reference)
        if known is None:
            if len(self.by_reference) >= NAMES_MAX and not self._make_room(told):
                return False
        elif _rank(told.publication) <= _rank(known.publication):
            if known.publication != told.publication or known.holders or not told.holders:
                return False
            self.by_reference[reference] = told  # now it is also known where it is
            return True
        else:
            self.sums.remove(*named_mark(known))
            self.conflicts.pop(reference, None)
            self.notice(told, known)
        self.by_reference[reference] = told
        self.sums.add(*named_mark(told))
        return True

    def notice(self, one: Named, other: Named) -> bool:
        """Keep the lower of two publications of one reference if they conflict; True if that is
        new here."""
        if not _conflict(one, other):
            return False
        loser = min(one, other, key=lambda told: _rank(told.publication))
        reference = loser.publication.reference
        earlier = self.conflicts.get(reference)
        if earlier is not None and _rank(earlier.publication) >= _rank(loser.publication):
            return False
        if len(self.conflicts) >= CONFLICTS_MAX and earlier is None:
            del self.conflicts[next(iter(self.conflicts))]
        self.conflicts[reference] = loser
        return True

    def keep_only(self, admits: Admits) -> None:
        """Forget publications that are not believed any more."""
        for reference, told in list(self.by_reference.items()):
            if not admits(told.publication):
                self.sums.remove(*named_mark(told))
                del self.by_reference[reference]
        for reference, lost in list(self.conflicts.items()):
            if reference not in self.by_reference or not admits(lost.publication):
                del self.conflicts[reference]

    def _make_room(self, told: Named) -> bool:
        lowest = min(self.by_reference.values(), key=lambda named: _rank(named.publication))
        if _rank(told.publication) <= _rank(lowest.publication):
            return False
        self.sums.remove(*named_mark(lowest))
        del self.by_reference[lowest.publication.reference]
        self.conflicts.pop(lowest.publication.reference, None)
        return True


def _conflict(one: Named, other: Named) -> bool:
    a, b = one.publication, other.publication
    if a.artifact == b.artifact or abs(a.version - b.version) > CONFLICT_MS:
        return False
    return a.version == b.version or _publisher(one) != _publisher(other)


def _publisher(told: Named) -> str:
    return told.holders[0].id if told.holders else ""

"""A lookup and what it is for."""

from dataclasses import dataclass, field
from enum import Enum

from strew.dht.contact import Address, Key
from strew.dht.lookup import Lookup


class Purpose(Enum):
    """Why a lookup runs."""

    JOIN = "join"
    """To be known by the nodes nearest to ourselves, and to know them."""
    REFRESH = "refresh"
    """To know somebody in a region of the space."""
    FIND = "find"
    """To learn who provides a key."""
    PROVIDE = "provide"
    """To announce ourselves to the nodes that keep a key."""


@dataclass(frozen=True, slots=True)
class SearchRecord:
    """A search that ended, for people and measurements. `hops` is the longest chain of answers to
    one of the nearest nodes, `answered` how many of the k nearest answered."""

    purpose: str
    target: int
    seconds: float
    first_s: float | None
    hops: int
    queries: int
    answered: int
    found: int


@dataclass(slots=True, eq=False)
class Search:
    """A lookup that waits or runs. `found` are the providers of its key that it was told of."""

    purpose: Purpose
    lookup: Lookup
    asked_s: float
    found: set[Address] = field(default_factory=set)
    first_s: float | None = None
    """Seconds until the first provider was found."""

    @property
    def target(self) -> int:
        """The id or key it looks for."""
        return self.lookup.target

    @property
    def key(self) -> Key:
        """The target of a search for providers."""
        return Key(self.lookup.target)

    @property
    def for_peers(self) -> bool:
        """Whether it asks who provides the target, and not only for nodes."""
        return self.purpose in (Purpose.FIND, Purpose.PROVIDE)

    def record(self, now: float) -> SearchRecord:
        """What it came to."""
        return SearchRecord(
            purpose=self.purpose.value,
            target=self.target,
            seconds=now - self.asked_s,
            first_s=self.first_s,
            hops=self.lookup.hops,
            queries=self.lookup.queries,
            answered=len(self.lookup.closest()),
            found=len(self.found),
        )

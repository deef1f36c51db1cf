"""One search for the nodes nearest to a target: whom to ask next, and when it is over.

Theory of operation. A node that is asked names those nearest to the target that it knows; these are
asked in turn, nearest first, until the k nearest have answered (Kademlia, section 2.3). The search
runs on several disjoint paths at once (Baumgart and Mies, "S/Kademlia", ICPADS 2007, section 4.4):
each has its own list of candidates, fed only by the answers of those asked on it, and no candidate
is asked twice. So a liar leads one path astray, not the search. What the paths do not help against
is a league whose members take ids right beside a key as they are asked: most searches still come
across the key's records on the way, but what is newly published goes to the league.

An answer that does not come in time makes its candidate *late*: the search goes on with others at
once, and still takes the answer should it come. It is over when the k nearest candidates of each
path have answered, not counting those that are late or failed; a path with fewer waits for its
late ones.

Candidates are told apart by address: somebody who names one machine under many ids has it asked
once. The start may contain addresses whose ids are not known yet; they are asked first.
"""

from collections.abc import Iterable
from dataclasses import dataclass
from enum import Enum

from strew.dht.contact import Address, Contact, NodeId
from strew.dht.routing import BUCKET_CONTACTS_MAX

PATHS = 2
"""Disjoint paths (d of S/Kademlia). Simulated with a fifth of 150 nodes in such a league, two found
a key in 94 of 100 searches and one in 89, with four queries in flight either way; with a tenth, 98
and 95. A third path gains one more and leaves each a single query in flight, which waits for every
dead node."""

PARALLEL_PER_PATH = 2
"""Queries in flight on a path: alpha = 4 in all. Kademlia has 3; fewer wait longer for a dead node,
more ask nodes that the next answer makes superfluous."""

QUERIES_MAX = 64
"""Queries of one search. One needs about 15 in a network of 1000 nodes and 25 in one of 10^6;
whoever invents ever nearer nodes ends it here."""

CANDIDATES_MAX = 32
"""Candidates kept on a path, the nearest. Four times the k that must answer: as many as could fail
one after the other."""


class State(Enum):
    """What is known of a candidate."""

    FRESH = 1
    ASKED = 2
    LATE = 3
    ANSWERED = 4
    FAILED = 5


@dataclass(slots=True, eq=False)
class Candidate:
    """A node that may be asked. `distance` is 0 while its id is not known. `hop` counts answers
    behind it: 1 for those of the start."""

    contact: Contact | None
    address: Address
    distance: int
    hop: int
    state: State = State.FRESH
    path: int = 0
    """The path on which it was asked."""
    token: bytes = b""
    """Its permission to announce to it."""


class Lookup:
    """See the module's theory of operation. Whoever runs it calls `start` once, sends a query to
    each candidate of `next()` and tells what becomes of it by exactly one of `answered` and
    `failed`, with `late` before it if that takes long."""

    def __init__(self, me: NodeId, target: int) -> None:
        self.target = target
        self.queries = 0
        self._me = me
        self._paths: list[list[Candidate]] = [[] for _ in range(PATHS)]
        self._known: dict[Address, Candidate] = {}

    def start(self, contacts: Iterable[Contact], addresses: Iterable[Address] = ()) -> None:
        """Begin with `contacts`, and with `addresses` whose ids are not known."""
        start = [Candidate(None, address, 0, 1) for address in addresses]
        start += [self._candidate(contact, 1) for contact in contacts]
        self._deal(start)

    @property
    def done(self) -> bool:
        """Whether nobody is left to ask or to wait for."""
        return all(self._path_done(path) for path in self._paths)

    @property
    def hops(self) -> int:
        """Longest chain of answers that led to one of the nearest nodes."""
        return max((candidate.hop for candidate in self.closest()), default=0)

    def next(self) -> list[Candidate]:
        """Whom to ask now."""
        asked: list[Candidate] = []
        if self.done:
            return asked
        for index, path in enumerate(self._paths):
            running = sum(1 for c in path if c.state is State.ASKED and c.path == index)
            for candidate in self._nearest(path):
                if running >= PARALLEL_PER_PATH or self.queries >= QUERIES_MAX:
                    break
                if candidate.state is State.FRESH:
                    candidate.state, candidate.path = State.ASKED, index
                    self.queries += 1
                    running += 1
                    asked.append(candidate)
        return asked

    def answered(
        self, candidate: Candidate, sender: NodeId, nodes: Iterable[Contact], token: bytes
    ) -> None:
        """A candidate answered, under the id `sender`, and named `nodes`."""
        candidate.state = State.ANSWERED
        candidate.token = token
        candidate.distance = sender ^ self.target
        if candidate.contact is None or candidate.contact.id != sender:
            candidate.contact = Contact(sender, *candidate.address)
        named = []
        for contact in nodes:
            known = self._known.get(contact.address)
            if known is not None:
                self._name_again(known, contact, candidate.path)
            elif contact.id != self._me:
                named.append(self._candidate(contact, candidate.hop + 1))
        if all(self._paths):
            self._add(candidate.path, named)
        else:
            self._deal(named)
        for path in self._paths:
            path.sort(key=_distance)

    def late(self, candidate: Candidate) -> None:
        """A candidate's answer takes long: do not wait for it."""
        if candidate.state is State.ASKED:
            candidate.state = State.LATE

    def failed(self, candidate: Candidate) -> None:
        """A candidate will not answer, or refused."""
        candidate.state = State.FAILED

    def closest(self) -> list[Candidate]:
        """The k nearest of those that answered, nearest first."""
        answered = [c for c in self._known.values() if c.state is State.ANSWERED]
        return sorted(answered, key=_distance)[:BUCKET_CONTACTS_MAX]

    def _candidate(self, contact: Contact, hop: int) -> Candidate:
        return Candidate(contact, contact.address, contact.id ^ self.target, hop)

    def _deal(self, candidates: list[Candidate]) -> None:
        """Divide candidates over the paths, nearest first."""
        candidates.sort(key=_distance)
        first = min(range(PATHS), key=lambda index: len(self._paths[index]))
        for index in range(PATHS):
            self._add((first + index) % PATHS, candidates[index::PATHS])

    def _add(self, index: int, candidates: list[Candidate]) -> None:
        path = self._paths[index]
        for candidate in candidates:
            if candidate.address not in self._known:
                self._known[candidate.address] = candidate
                path.append(candidate)
        path.sort(key=_distance)
        for dropped in [c for c in path[CANDIDATES_MAX:] if c.state is State.FRESH]:
            path.remove(dropped)

    def _name_again(self, candidate: Candidate, contact: Contact, index: int) -> None:
        """A known address is named: it belongs to this path too, whichever comes to it first asks
        it, and both count its answer. Under which id it lies nearer is tried first: else a liar
        could hide a node by naming it under a distant one."""
        if candidate.contact is None:
            return
        if candidate.state is State.FRESH and contact.id ^ self.target < candidate.distance:
            candidate.contact, candidate.distance = contact, contact.id ^ self.target
        path = self._paths[index]
        if candidate not in path:
            path.append(candidate)

    def _nearest(self, path: list[Candidate]) -> list[Candidate]:
        """The k nearest of a path that have answered or may do so in time."""
        hopeful = []
        for candidate in path:
            if candidate.state is not State.LATE and candidate.state is not State.FAILED:
                hopeful.append(candidate)
                if len(hopeful) == BUCKET_CONTACTS_MAX:
                    break
        return hopeful

    def _path_done(self, path: list[Candidate]) -> bool:
        spent = self.queries >= QUERIES_MAX
        nearest = self._nearest(path)
        for candidate in nearest:
            if candidate.state is State.ASKED or (candidate.state is State.FRESH and not spent):
                return False
        if len(nearest) >= BUCKET_CONTACTS_MAX:
            return True
        return not any(candidate.state is State.LATE for candidate in path)


def _distance(candidate: Candidate) -> int:
    return candidate.distance

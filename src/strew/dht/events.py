"""What the table is told and what it tells, beside datagrams and ticks; and its snapshot."""

from dataclasses import dataclass

from strew.dht.contact import Address, Key
from strew.dht.search import SearchRecord
from strew.messages import Action, DatagramReceived, Event, Tick


class ContactNamed(Event, frozen=True, gc=False):
    """Gossip, a tracker or a user names an address where a node of the table may be."""

    host: str
    port: int


class Provide(Event, frozen=True, gc=False):
    """This node has (some of) `key` and serves it at `port`: keep it published."""

    key: Key
    port: int


class Withdraw(Event, frozen=True, gc=False):
    """This node no longer has `key`. What others recorded runs out within half an hour."""

    key: Key


class Find(Event, frozen=True, gc=False):
    """Look for providers of `key`. While such a search runs, asking again changes nothing."""

    key: Key


class ProvidersFound(Action, frozen=True, gc=False):
    """A search names providers that it did not name before. It ends with exactly one of these that
    is `done` (and names none). Hints: they may be gone, or be this node itself."""

    key: Key
    addresses: tuple[Address, ...]
    done: bool


DhtEvent = Tick | DatagramReceived | ContactNamed | Provide | Withdraw | Find


@dataclass(frozen=True, slots=True)
class DhtSnapshot:
    """For dashboards, `strew doctor` and measurements. `buckets` are the usable contacts of each,
    furthest first; `stored` counts what is kept for others; `provided` is each key of ours with the
    number of nodes it was announced to; `records` are the searches that ended last, `ended` is how
    many did since the start, and `ended_s` how long all these took."""

    size: int
    buckets: tuple[int, ...]
    joined: bool
    stored_keys: int
    stored_providers: int
    provided: tuple[tuple[Key, int], ...]
    queries: int
    searches: int
    round_trip_s: float | None
    records: tuple[SearchRecord, ...]
    ended: int
    ended_s: float

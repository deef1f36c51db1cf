"""A node's part in the distributed hash table: it asks, answers, and keeps its table fresh.

Theory of operation. A node *joins* by looking up its own id, beginning at any address it was given:
so the nodes nearest to it hear of it, and it of them. Until somebody answers it tries again, with
growing waits. Then every region of its table is refreshed once. `Find` looks a key up and reports
providers as they are named; `Provide` looks it up and announces this node to the k nearest, again
and again until `Withdraw` (records run out by themselves: BEP 5 has no message to take one back).

Whoever sends a query is not believed to be there. If the table has a place for it, it is pinged,
and taken when it answers. So is an address that others name (`ContactNamed`), while the table is
still small; later a few such addresses serve to find the way back: the node looks itself up again
every few minutes, each time beginning also at one address named from outside. Two tables that
were parted by a broken network grow together by that.

Nothing the table says is trusted: it names addresses, and who is there must prove itself when it is
dialled.

Messages are BEP 5's; in a fleet they travel sealed, but nothing here depends on it.
"""

import random
from collections import deque
from collections.abc import Iterable

from strew.dht import krpc
from strew.dht.answers import Answers
from strew.dht.contact import Address, Contact, Key, NodeId, reachable
from strew.dht.events import (
    ContactNamed,
    DhtEvent,
    DhtSnapshot,
    Find,
    Provide,
    ProvidersFound,
    Withdraw,
)
from strew.dht.krpc import (
    AnnouncePeer,
    Answer,
    Failure,
    FindNode,
    GetPeers,
    Krpc,
    Ping,
    Query,
    UnknownQuery,
)
from strew.dht.lookup import Candidate, Lookup
from strew.dht.providers import Providers
from strew.dht.publishing import Publishing
from strew.dht.queries import Pending, Queries
from strew.dht.routing import RoutingTable
from strew.dht.search import Purpose, Search, SearchRecord
from strew.messages import Action, DatagramReceived, SendDatagram, Tick

SEEDS_MAX = 16
"""Addresses to join by. One that answers is enough."""

NAMED_MAX = 64
"""Addresses named from outside that are remembered; the newest."""

ENOUGH_CONTACTS = 16
"""Contacts from which on the table grows by its own lookups, and addresses named from outside are
no longer pinged at once: gossip names every machine of the fleet."""

REJOIN_FIRST_S = 1.0
"""Wait after the first attempt to join that nobody answered; doubled each time."""

REJOIN_MAX_S = 30.0
"""Longest such wait: a network that is back is noticed within so long."""

SPREAD_S = 60.0
"""Time over which a new table's regions are refreshed for the first time."""

SETTLE_S = 5.0
"""Time after which a node that just joined looks itself up once more: of those that started at the
same moment nobody could name it the others yet."""

UPKEEP_S = 10.0
"""How often the table is looked after. Lower: a contact that failed once is tried again sooner, and
ticks cost more."""

UPKEEP_PINGS_MAX = 4
"""Contacts pinged each time. At most one datagram in 2.5 s, and a table of 80 is gone through in
200 s."""

NEIGHBOURS_S = 300.0
"""How often a node looks itself up again, about 10 kB of traffic: those nearest to it come and go,
and are to know it. One that joined a short while ago waits only as long as it has been there."""

FINDS_PARALLEL_MAX = 16
"""Searches for providers that run at once, others wait: bounds the datagrams of one moment."""

FINDS_WAITING_MAX = 1024
"""Searches that wait; beyond it one ends at once, with nothing found."""

CHORE_EVERY_S = 0.1
"""Least time between two of the node's own lookups (refreshing, providing): a node that comes up
with a thousand artifacts must not flood the few machines it knows."""

NEWCOMERS_PENDING_MAX = 64
"""Queries in flight beyond which unknown askers are not pinged: a flood of invented ones must not
occupy the node."""

FOUND_MAX = 1000
"""Providers reported of one search, as many as one node keeps of a key."""

RECORDS_MAX = 32
"""Searches that ended, kept for `snapshot`."""


class Dht:
    """The core; see the module's theory of operation."""

    def __init__(
        self,
        me: NodeId,
        dice: random.Random,
        now: float,
        port: int,
        seeds: Iterable[Address] = (),
        *,
        read_only: bool = False,
    ) -> None:
        """`port` is the node's own; `seeds` are addresses to join by, our own among them does no
        harm. `read_only` is for a process that is soon gone: it asks, and nobody's table takes it.
        Secrets come from `dice`: a real node must pass unpredictable ones.
        """
        self._me = me
        self._dice = dice
        self._port = port
        self._read_only = read_only
        self._seeds = [seed for seed in seeds if reachable(*seed)][:SEEDS_MAX]
        self._named: dict[Address, None] = {}
        self._table = RoutingTable(me, now)
        self._providers = Providers(dice)
        self._publishing = Publishing(dice)
        self._answers = Answers(me, self._table, self._providers, self._publishing.ports)
        self._queries = Queries(dice)
        self._running: list[Search] = []
        self._finds: deque[Search] = deque()
        self._chores: deque[Search] = deque()
        self._chore_s = now
        self._joined = False
        self._joined_s = now
        self._join_s = now
        self._join_failures = 0
        self._upkeep_s = now + dice.uniform(0.0, UPKEEP_S)
        self._neighbours_s = now
        self._records: deque[SearchRecord] = deque(maxlen=RECORDS_MAX)
        self._ended = 0
        self._ended_s = 0.0
        self._actions: list[Action] = []

    def handle(self, event: DhtEvent, now: float) -> list[Action]:
        """Take an event. The first one, a Tick at `deadline()` if there is no other, joins."""
        match event:
            case DatagramReceived():
                if isinstance(event.message, Krpc) and reachable(event.host, event.port):
                    self._receive(event.message, (event.host, event.port), now)
            case ContactNamed():
                self._name((event.host, event.port), now)
            case Provide():
                self._publishing.provide(event.key, event.port, now)
                self._publish_due(now)
            case Withdraw():
                self._publishing.withdraw(event.key)
            case Find():
                self._find(event.key, now)
            case Tick():
                pass
        self._advance(now)
        actions, self._actions = self._actions, []
        return actions

    def deadline(self) -> float:
        """When a Tick is needed."""
        deadline_s = self._upkeep_s
        if self._joined:
            deadline_s = min(deadline_s, self._neighbours_s)
        elif not self._joining():
            deadline_s = min(deadline_s, self._join_s)
        if self._chores:
            deadline_s = min(deadline_s, self._chore_s)
        query_s = self._queries.deadline()
        return deadline_s if query_s is None else min(deadline_s, query_s)

    def snapshot(self) -> DhtSnapshot:
        """Plain data about this node's part."""
        return DhtSnapshot(
            size=len(self._table),
            buckets=self._table.sizes(),
            joined=self._joined,
            stored_keys=self._providers.keys,
            stored_providers=len(self._providers),
            provided=tuple((k, self._publishing.kept_by.get(k, 0)) for k in self._publishing.ports),
            queries=len(self._queries),
            searches=len(self._running) + len(self._finds) + len(self._chores),
            round_trip_s=self._queries.round_trip_s,
            records=tuple(self._records),
            ended=self._ended,
            ended_s=self._ended_s,
        )

    # --- what comes in --------------------------------------------------------------------------

    def _receive(self, message: Krpc, address: Address, now: float) -> None:
        match message:
            case Query():
                self._answer(message, address, now)
            case UnknownQuery():
                refusal = Failure(message.transaction, krpc.METHOD_UNKNOWN, "Method Unknown")
                self._send(address, refusal)
            case Answer():
                self._answered(message, address, now)
            case Failure():
                self._refused(message, address, now)

    def _answer(self, query: Query, address: Address, now: float) -> None:
        ping = None
        if (
            not query.read_only
            and len(self._queries) < NEWCOMERS_PENDING_MAX
            and self._table.welcomes(query.sender)
            and not self._queries.awaits(address)
        ):
            transaction = self._queries.open(address, None, now)
            ping = Ping(transaction, sender=self._me, read_only=self._read_only)
        beside_bytes = len(krpc.encode(ping)) if ping else 0
        self._send(address, self._answers.reply(query, address, now, beside_bytes))
        if ping:
            self._send(address, ping)

    def _answered(self, answer: Answer, address: Address, now: float) -> None:
        pending = self._queries.close(answer.transaction, address, now)
        if pending is None:
            return
        if answer.sender == self._me:
            self._met_myself(pending, now)
            return
        self._answers.prove(address, now)
        contact = pending.contact
        if contact is None or contact.id != answer.sender:
            if contact is not None:
                self._table.forget(contact)
            contact = Contact(answer.sender, *address)
        self._table.seen(contact, now)
        if not self._joined and not self._joining():
            self._join_s = now
        if pending.errand is None or pending.errand[0] not in self._running:
            return
        search, candidate = pending.errand
        if search.purpose is Purpose.FIND:
            itself = [(address[0], answer.provides)] if answer.provides else []
            self._found(search, [*itself, *answer.peers], now)
        search.lookup.answered(candidate, answer.sender, answer.nodes or (), answer.token)
        self._drive(search, now)

    def _met_myself(self, pending: Pending, now: float) -> None:
        """An address we were given is our own, or somebody there says our id."""
        if pending.contact is not None:
            self._table.forget(pending.contact)
        if pending.address in self._seeds:
            self._seeds.remove(pending.address)
        self._named.pop(pending.address, None)
        self._give_up(pending, now)

    def _refused(self, failure: Failure, address: Address, now: float) -> None:
        pending = self._queries.close(failure.transaction, address, now)
        if pending is not None:
            self._answers.prove(address, now)
            self._give_up(pending, now)

    def _give_up(self, pending: Pending, now: float) -> None:
        """If the query was a lookup's, it brings nothing."""
        if pending.errand is not None and pending.errand[0] in self._running:
            search, candidate = pending.errand
            search.lookup.failed(candidate)
            self._drive(search, now)

    def _found(self, search: Search, addresses: Iterable[Address], now: float) -> None:
        fresh = [address for address in dict.fromkeys(addresses) if address not in search.found]
        fresh = fresh[: FOUND_MAX - len(search.found)]
        if not fresh:
            return
        if not search.found:
            search.first_s = now - search.asked_s
        search.found.update(fresh)
        self._actions.append(ProvidersFound(search.key, tuple(fresh), done=False))

    def _name(self, address: Address, now: float) -> None:
        if not reachable(*address):
            return
        self._named.pop(address, None)
        self._named[address] = None
        if len(self._named) > NAMED_MAX:
            del self._named[next(iter(self._named))]
        if len(self._table) < ENOUGH_CONTACTS and not self._queries.awaits(address):
            self._ping(address, None, now)

    def _find(self, key: Key, now: float) -> None:
        for search in (*self._running, *self._finds):
            if search.purpose is Purpose.FIND and search.target == key:
                return
        if len(self._finds) >= FINDS_WAITING_MAX:
            self._actions.append(ProvidersFound(key, (), done=True))
            return
        search = self._search(Purpose.FIND, key, now)
        self._finds.append(search)
        self._found(search, self._providers.sample(key, FOUND_MAX, now), now)

    # --- what time brings -----------------------------------------------------------------------

    def _advance(self, now: float) -> None:
        for pending in self._queries.overdue(now):
            self._missed(pending, now)
        if not self._joined and now >= self._join_s and not self._joining():
            self._begin(self._search(Purpose.JOIN, self._me, now), now)
        if now >= self._upkeep_s:
            self._upkeep(now)
        if self._joined and now >= self._neighbours_s:
            self._await_neighbours(now)
            self._chores.append(self._search(Purpose.JOIN, self._me, now))
            self._providers.expire_all(now)
        while self._finds and self._count(Purpose.FIND) < FINDS_PARALLEL_MAX:
            self._begin(self._finds.popleft(), now)
        if self._chores and now >= self._chore_s:
            self._chore_s = now + CHORE_EVERY_S
            self._begin(self._chores.popleft(), now)

    def _missed(self, pending: Pending, now: float) -> None:
        """A query became late, or failed."""
        if not self._queries.waits_for(pending):
            if pending.contact is not None and pending.blamed:
                self._table.failed(pending.contact)
            self._give_up(pending, now)
        elif pending.errand is not None and pending.errand[0] in self._running:
            search, candidate = pending.errand
            search.lookup.late(candidate)
            self._drive(search, now)

    def _upkeep(self, now: float) -> None:
        self._upkeep_s = now + UPKEEP_S
        for contact in self._table.questionable(now, UPKEEP_PINGS_MAX):
            self._ping(contact.address, contact, now)
        if not self._joined:
            return
        if not len(self._table):
            self._joined = False
            self._join_s = now
            return
        target = self._table.stale(now, self._dice)
        if target is not None:
            self._table.touch(target, now)
            self._chores.append(self._search(Purpose.REFRESH, target, now))
        self._publish_due(now)

    def _await_neighbours(self, now: float) -> None:
        """Set when to look ourselves up again."""
        wait_s = min(NEIGHBOURS_S, max(SETTLE_S, now - self._joined_s))
        self._neighbours_s = now + wait_s * self._dice.uniform(0.5, 1.0)

    def _publish_due(self, now: float) -> None:
        if not self._joined:
            return
        for key in self._publishing.take_due(now):
            self._chores.append(self._search(Purpose.PROVIDE, key, now))

    # --- lookups --------------------------------------------------------------------------------

    def _search(self, purpose: Purpose, target: int, now: float) -> Search:
        return Search(purpose, Lookup(self._me, target), now)

    def _count(self, purpose: Purpose) -> int:
        return sum(1 for search in self._running if search.purpose is purpose)

    def _joining(self) -> bool:
        return self._count(Purpose.JOIN) > 0

    def _begin(self, search: Search, now: float) -> None:
        self._table.touch(search.target, now)
        contacts = self._table.closest(search.target)
        addresses: list[Address] = []
        if not self._joined:
            addresses = self._ways_in()
        elif search.purpose is Purpose.JOIN:
            known = list(self._named) or self._seeds  # a seed of all has enough to do
            addresses = [self._dice.choice(known)] if known else []
        taken = {contact.address for contact in contacts}
        addresses = [address for address in addresses if address not in taken]
        search.lookup.start(contacts, addresses)
        self._running.append(search)
        self._drive(search, now)

    def _ways_in(self) -> list[Address]:
        """Addresses to join by: seeds, those named last, and contacts of better days."""
        named = list(self._named)[-SEEDS_MAX:]
        return list(dict.fromkeys([*self._seeds, *named, *self._table.bad(SEEDS_MAX)]))

    def _drive(self, search: Search, now: float) -> None:
        """Send what the lookup asks for next, or end it."""
        for candidate in search.lookup.next():
            self._ask(search, candidate, now)
        if search.lookup.done:
            self._running.remove(search)
            self._finish(search, now)

    def _ask(self, search: Search, candidate: Candidate, now: float) -> None:
        address = candidate.address
        transaction = self._queries.open(address, candidate.contact, now, (search, candidate))
        query: Query
        if search.for_peers:
            query = GetPeers(transaction, search.key, sender=self._me, read_only=self._read_only)
        else:
            query = FindNode(transaction, search.target, sender=self._me, read_only=self._read_only)
        self._send(address, query)

    def _finish(self, search: Search, now: float) -> None:
        closest = search.lookup.closest()
        match search.purpose:
            case Purpose.FIND:
                self._actions.append(ProvidersFound(search.key, (), done=True))
            case Purpose.JOIN:
                self._joined_by(len(closest), now)
            case Purpose.PROVIDE:
                self._announce(search.key, closest, now)
            case Purpose.REFRESH:
                pass
        record = search.record(now)
        self._records.append(record)
        self._ended += 1
        self._ended_s += record.seconds

    def _joined_by(self, answered: int, now: float) -> None:
        if self._joined:
            return
        if answered:
            self._joined = True
            self._join_failures = 0
            self._table.spread(self._dice, now, SPREAD_S)
            self._joined_s = now
            self._await_neighbours(now)
            self._publish_due(now)
            return
        wait_s = min(REJOIN_MAX_S, REJOIN_FIRST_S * 2.0 ** min(self._join_failures, 16))
        self._join_failures += 1
        self._join_s = now + wait_s * self._dice.uniform(0.5, 1.0)

    def _announce(self, key: Key, closest: list[Candidate], now: float) -> None:
        port = self._publishing.ports.get(key)
        if port is None:
            return  # withdrawn meanwhile
        keepers = [candidate for candidate in closest if candidate.token]
        for keeper in keepers:
            transaction = self._queries.open(keeper.address, keeper.contact, now)
            announce = AnnouncePeer(
                transaction,
                key,
                port,
                keeper.token,
                port == self._port,
                sender=self._me,
                read_only=self._read_only,
            )
            self._send(keeper.address, announce)
        self._publishing.announced(key, len(keepers), now - self._joined_s, now)

    # --- what goes out --------------------------------------------------------------------------

    def _ping(self, address: Address, contact: Contact | None, now: float) -> None:
        transaction = self._queries.open(address, contact, now)
        self._send(address, Ping(transaction, sender=self._me, read_only=self._read_only))

    def _send(self, address: Address, message: Krpc) -> None:
        self._actions.append(SendDatagram(*address, message))

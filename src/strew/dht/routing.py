"""The nodes a node knows: many near itself, few of each region further away.

Theory of operation (Kademlia, sections 2.2 and 2.4). The table is a row of buckets. Bucket i holds
up to k contacts whose ids share exactly i leading bits with ours; the last one holds all that share
more, and is split in two when it is full. So a network of N nodes needs about log2(N / k) buckets,
and whoever is asked knows somebody at least twice as near to any target.

Only contacts that answered us from their address are taken. One that has long been there is kept
over a new one: nodes that were up for long stay up for long (section 2.1), and nobody can flush a
table by making contacts up. The new one waits among the bucket's spares. A contact that failed is
neither used nor named to others until it answers again; after the second failure in a row it gives
its place to a spare or to the next newcomer. Without one it keeps the place, so that a machine that
was cut off for a while still knows whom to ask when it is back.
"""

import random
from collections.abc import Iterator
from dataclasses import dataclass, field

from strew.dht.contact import ID_BITS, Address, Contact, NodeId

BUCKET_CONTACTS_MAX = 8
"""k of Kademlia and BEP 5: contacts a bucket holds, and nodes that keep a key. Higher: more copies
survive, and every answer and every publication costs more; 8 is what BEP 5 nodes expect."""

BUCKET_SPARES_MAX = 8
"""Contacts that wait for a place in a bucket: as many as could all fail at once."""

FAILURES_MAX = 2
"""Failures in a row that make a contact bad. One can be a lost datagram."""

QUESTIONABLE_S = 300.0
"""Silence after which a contact is pinged. BEP 5 has 15 minutes; where a tenth of the machines
goes within 10, that would leave one contact in eight dead. Lower costs pings: at 5 minutes a
table of 80 sends one in 4 s."""

REFRESH_S = 900.0
"""A bucket in whose range nothing was looked up for so long is refreshed by a lookup (BEP 5,
"Routing Table"; Kademlia has an hour)."""


NEVER_S = float("-inf")


@dataclass(slots=True)
class Entry:
    """A contact, when it last answered, and how often in a row it did not since."""

    contact: Contact
    seen_s: float
    failures: int = 0


@dataclass(slots=True)
class Bucket:
    """One region of the space. `entries` are in the order of joining; `spares` newest last."""

    touched_s: float
    entries: list[Entry] = field(default_factory=list)
    spares: list[Entry] = field(default_factory=list)

    def open_place(self) -> int | None:
        """Index at which a newcomer may be put: behind the others, or in place of a bad one."""
        if len(self.entries) < BUCKET_CONTACTS_MAX:
            return len(self.entries)
        for index, entry in enumerate(self.entries):
            if entry.failures >= FAILURES_MAX:
                return index
        return None

    def put(self, index: int, entry: Entry) -> None:
        """Take a newcomer at an index that `open_place` gave."""
        self.entries[index : index + 1] = [entry]

    def spare(self, entry: Entry) -> None:
        """Let a contact wait for a place; the one that waited longest makes room."""
        self.spares = [kept for kept in self.spares if kept.contact.id != entry.contact.id]
        self.spares.append(entry)
        del self.spares[:-BUCKET_SPARES_MAX]


class RoutingTable:
    """See the module's theory of operation."""

    def __init__(self, me: NodeId, now: float) -> None:
        self._me = me
        self._buckets = [Bucket(now)]
        self._usable_now: list[Contact] | None = None
        """Those that may be asked, None after a change."""

    def __len__(self) -> int:
        """Contacts that may be asked."""
        return len(self._usable())

    def seen(self, contact: Contact, now: float) -> None:
        """The contact answered from its address.

        An id that is already known at another address keeps that one unless it failed there: else
        whoever claims an id would take its place.
        """
        if contact.id == self._me:
            return
        bucket = self._bucket_of(contact.id)
        for entry in bucket.entries:
            if entry.contact.id == contact.id:
                if entry.failures:
                    self._usable_now = None
                    entry.contact, entry.seen_s, entry.failures = contact, now, 0
                elif entry.contact == contact:
                    entry.seen_s = now
                return
        newcomer = Entry(contact, now)
        place = bucket.open_place()
        while place is None and bucket is self._buckets[-1] and self._split():
            bucket = self._bucket_of(contact.id)
            place = bucket.open_place()
        if place is None:
            bucket.spare(newcomer)
            return
        self._usable_now = None
        bucket.put(place, newcomer)
        bucket.spares = [spare for spare in bucket.spares if spare.contact.id != contact.id]

    def failed(self, contact: Contact) -> None:
        """The contact did not answer in time."""
        bucket = self._bucket_of(contact.id)
        for index, entry in enumerate(bucket.entries):
            if entry.contact == contact:
                self._usable_now = None
                entry.failures += 1
                if entry.failures >= FAILURES_MAX and bucket.spares:
                    bucket.entries[index] = bucket.spares.pop()
                return
        bucket.spares = [spare for spare in bucket.spares if spare.contact != contact]

    def forget(self, contact: Contact) -> None:
        """Somebody else answered at the contact's address."""
        self._usable_now = None
        bucket = self._bucket_of(contact.id)
        bucket.entries = [entry for entry in bucket.entries if entry.contact != contact]
        bucket.spares = [spare for spare in bucket.spares if spare.contact != contact]

    def welcomes(self, node: NodeId) -> bool:
        """Whether an unknown node would get a place were it to answer now."""
        if node == self._me:
            return False
        bucket = self._bucket_of(node)
        if any(entry.contact.id == node and not entry.failures for entry in bucket.entries):
            return False
        return bucket.open_place() is not None or bucket is self._buckets[-1]

    def closest(self, target: int, count: int = BUCKET_CONTACTS_MAX) -> list[Contact]:
        """The contacts nearest to `target`, nearest first, without those that failed."""
        return sorted(self._usable(), key=lambda contact: contact.id ^ target)[:count]

    def questionable(self, now: float, count: int) -> list[Contact]:
        """Whom to ping: those that failed once, and those that were silent longest."""
        doubtful = []
        for bucket in self._buckets:
            for entry in bucket.entries:
                if entry.failures:
                    doubts = entry.failures < FAILURES_MAX
                else:
                    doubts = now - entry.seen_s >= QUESTIONABLE_S
                if doubts:
                    doubtful.append((-entry.failures, entry.seen_s, entry.contact))
        doubtful.sort(key=lambda item: item[:2])
        return [contact for _, _, contact in doubtful[:count]]

    def bad(self, count: int) -> list[Address]:
        """Addresses that failed: whom to try when nobody else is left."""
        failed = [entry.contact.address for entry in self._entries() if entry.failures]
        return failed[:count]

    def touch(self, target: int, now: float) -> None:
        """A lookup of `target` begins: its region needs no refreshing for a while."""
        self._bucket_of(target).touched_s = now

    def stale(self, now: float, dice: random.Random) -> int | None:
        """A random target in the region that was not looked up for longest, if one is due."""
        index = min(range(len(self._buckets)), key=lambda at: self._buckets[at].touched_s)
        if now - self._buckets[index].touched_s < REFRESH_S:
            return None
        return self._target_in(index, dice)

    def spread(self, dice: random.Random, now: float, within_s: float) -> None:
        """After joining: have every region refreshed once, at random moments `within_s`."""
        for bucket in self._buckets:
            bucket.touched_s = now - REFRESH_S + dice.uniform(0.0, within_s)

    def sizes(self) -> tuple[int, ...]:
        """Usable contacts of each bucket, furthest first."""
        return tuple(
            sum(1 for entry in bucket.entries if entry.failures == 0) for bucket in self._buckets
        )

    def _usable(self) -> list[Contact]:
        if self._usable_now is None:
            self._usable_now = [e.contact for e in self._entries() if e.failures == 0]
        return self._usable_now

    def _entries(self) -> Iterator[Entry]:
        for bucket in self._buckets:
            yield from bucket.entries

    def _bucket_of(self, target: int) -> Bucket:
        return self._buckets[min(self._shared_bits(target), len(self._buckets) - 1)]

    def _shared_bits(self, target: int) -> int:
        return ID_BITS - (self._me ^ target).bit_length()

    def _split(self) -> bool:
        """Divide the last bucket; False when there is no bit left to divide by. What is left of the
        far half is few, so that its region is due to be refreshed."""
        depth = len(self._buckets)
        if depth == ID_BITS:
            return False
        far = self._buckets[-1]  # without spares: as long as a bucket can be split, none waits
        near = Bucket(far.touched_s)
        for entry in far.entries:
            if self._shared_bits(entry.contact.id) >= depth:
                near.entries.append(entry)
        far.entries = [e for e in far.entries if self._shared_bits(e.contact.id) < depth]
        far.touched_s = NEVER_S
        self._buckets.append(near)
        return True

    def _target_in(self, index: int, dice: random.Random) -> int:
        """A random id that shares exactly `index` bits with ours, or at least as many if it is of
        the last bucket."""
        free = ID_BITS - index
        rest = dice.getrandbits(free)
        if index < len(self._buckets) - 1:
            flipped = 1 << (free - 1)
            rest = (rest & (flipped - 1)) | (~self._me & flipped)
        return (self._me >> free << free) | rest

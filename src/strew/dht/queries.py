"""Queries in flight: which answer belongs to which, and when to stop waiting.

An answer counts only with the transaction of its query and from the address the query went to.
Waiting has two ends. After a few of the round trips that are usual here a query is *late*: a lookup
goes on with somebody else. After one second it has failed. Usual is what RFC 6298 (section 2) makes
of the measured round trips: mean and four times the deviation.
"""

import random
from dataclasses import dataclass
from heapq import heappop, heappush

from strew.dht.contact import Address, Contact
from strew.dht.lookup import Candidate
from strew.dht.search import Search

TIMEOUT_S = 1.0
"""An answer that takes longer is not waited for: what a dead address costs. Round trips across the
world take 0.4 s."""

LATE_MIN_S = 0.05
"""Least wait before others are asked instead: a busy process may take so long to read a datagram.
Lower: nodes are asked that would not have been needed."""

LATE_MAX_S = 0.5
"""Longest such wait, and the one before any round trip was measured."""

PAUSE_S = 3.0
"""Time by which a deadline is missed only when this process itself stood still. What did not answer
meanwhile is not blamed for it."""

_MEAN_GAIN = 1 / 8
_DEVIATION_GAIN = 1 / 4
_TRANSACTION_BITS = 32


Errand = tuple[Search, Candidate]


@dataclass(slots=True, eq=False)
class Pending:
    """A query that was sent. `contact` is who it was meant for, None if only the address is known;
    `errand` is the search it belongs to and the candidate it asks, None if it is of no lookup."""

    transaction: bytes
    address: Address
    contact: Contact | None
    sent_s: float
    errand: Errand | None = None
    blamed: bool = True
    """Whether its failure says something about the other node."""


class Queries:
    """See the module's theory of operation."""

    def __init__(self, dice: random.Random) -> None:
        self._dice = dice
        self._pending: dict[bytes, Pending] = {}
        self._timers: list[tuple[float, int, Pending]] = []
        self._timer_number = 0
        self._mean_s: float | None = None
        self._deviation_s = 0.0

    def __len__(self) -> int:
        """Queries in flight."""
        return len(self._pending)

    @property
    def round_trip_s(self) -> float | None:
        """Mean round trip, None before the first answer."""
        return self._mean_s

    def open(
        self,
        address: Address,
        contact: Contact | None,
        now: float,
        errand: Errand | None = None,
    ) -> bytes:
        """Begin to wait for an answer; returns the transaction to send."""
        transaction = self._drawn()
        while transaction in self._pending:
            transaction = self._drawn()
        pending = Pending(transaction, address, contact, now, errand)
        self._pending[transaction] = pending
        self._wake(now + self._late_after_s(), pending)
        return transaction

    def close(self, transaction: bytes, address: Address, now: float) -> Pending | None:
        """The query to which an answer belongs, None if it belongs to none."""
        pending = self._pending.get(transaction)
        if pending is None or pending.address != address:
            return None
        del self._pending[transaction]
        self._measure(max(0.0, now - pending.sent_s))
        return pending

    def awaits(self, address: Address) -> bool:
        """Whether an answer from this address is waited for."""
        return any(pending.address == address for pending in self._pending.values())

    def overdue(self, now: float) -> list[Pending]:
        """Queries that became late or failed; those that failed are no longer waited for."""
        due = []
        while self._timers and self._timers[0][0] <= now:
            due_s, _, pending = heappop(self._timers)
            if not self.waits_for(pending):
                continue
            if due_s < pending.sent_s + TIMEOUT_S:
                self._wake(pending.sent_s + TIMEOUT_S, pending)
            else:
                del self._pending[pending.transaction]
                pending.blamed = now - due_s < PAUSE_S
            due.append(pending)
        return due

    def waits_for(self, pending: Pending) -> bool:
        """Whether a query is still in flight."""
        return self._pending.get(pending.transaction) is pending

    def deadline(self) -> float | None:
        """When the next query becomes late or fails."""
        while self._timers and not self.waits_for(self._timers[0][2]):
            heappop(self._timers)
        return self._timers[0][0] if self._timers else None

    def _drawn(self) -> bytes:
        return self._dice.getrandbits(_TRANSACTION_BITS).to_bytes(_TRANSACTION_BITS // 8, "big")

    def _wake(self, at_s: float, pending: Pending) -> None:
        self._timer_number += 1
        heappush(self._timers, (at_s, self._timer_number, pending))

    def _late_after_s(self) -> float:
        if self._mean_s is None:
            return LATE_MAX_S
        return min(LATE_MAX_S, max(LATE_MIN_S, self._mean_s + 4 * self._deviation_s))

    def _measure(self, round_trip_s: float) -> None:
        if self._mean_s is None:
            self._mean_s, self._deviation_s = round_trip_s, round_trip_s / 2
            return
        error_s = round_trip_s - self._mean_s
        self._deviation_s += _DEVIATION_GAIN * (abs(error_s) - self._deviation_s)
        self._mean_s += _MEAN_GAIN * error_s

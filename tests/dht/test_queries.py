"""Which answer belongs to which query, and when one stops waiting."""

import random

from strew.dht.contact import Contact, NodeId
from strew.dht.queries import LATE_MAX_S, LATE_MIN_S, PAUSE_S, TIMEOUT_S, Queries

A, B = ("10.0.0.1", 7301), ("10.0.0.2", 7301)
CONTACT = Contact(NodeId(1), *A)


def made() -> Queries:
    return Queries(random.Random(5))


def test_an_answer_needs_transaction_and_address() -> None:
    queries = made()
    transaction = queries.open(A, CONTACT, 0.0)
    assert queries.close(b"xxxx", A, 0.1) is None
    assert queries.close(transaction, B, 0.1) is None
    pending = queries.close(transaction, A, 0.1)
    assert pending is not None and pending.contact is CONTACT
    assert queries.close(transaction, A, 0.1) is None
    assert len(queries) == 0


def test_a_query_is_late_and_then_failed() -> None:
    queries = made()
    queries.open(A, CONTACT, 10.0)
    assert queries.deadline() == 10.0 + LATE_MAX_S
    assert queries.overdue(10.0 + LATE_MAX_S - 0.01) == []
    (pending,) = queries.overdue(10.0 + LATE_MAX_S)
    assert queries.waits_for(pending)
    assert queries.deadline() == 10.0 + TIMEOUT_S
    assert queries.overdue(10.0 + TIMEOUT_S) == [pending]
    assert not queries.waits_for(pending) and pending.blamed
    assert queries.deadline() is None


def test_a_late_answer_counts() -> None:
    queries = made()
    transaction = queries.open(A, CONTACT, 0.0)
    queries.overdue(LATE_MAX_S)
    assert queries.close(transaction, A, 0.9) is not None
    assert queries.deadline() is None
    assert queries.overdue(TIMEOUT_S) == []


def test_how_soon_is_late_follows_the_round_trips() -> None:
    queries = made()
    for second in range(30):
        transaction = queries.open(A, CONTACT, second)
        queries.close(transaction, A, second + 0.1)
    assert queries.round_trip_s is not None and abs(queries.round_trip_s - 0.1) < 0.001
    queries.open(A, CONTACT, 100.0)
    deadline_s = queries.deadline()
    assert deadline_s is not None and 100.1 < deadline_s < 100.12


def test_on_a_fast_network_a_busy_process_is_not_late() -> None:
    queries = made()
    for second in range(30):
        queries.close(queries.open(A, CONTACT, second), A, second + 0.001)
    queries.open(A, CONTACT, 100.0)
    assert queries.deadline() == 100.0 + LATE_MIN_S


def test_after_a_pause_of_this_process_nobody_is_blamed() -> None:
    queries = made()
    queries.open(A, CONTACT, 0.0)
    late, failed = queries.overdue(TIMEOUT_S + PAUSE_S + 60.0)
    assert late is failed and not failed.blamed


def test_it_is_known_whom_an_answer_is_awaited_from() -> None:
    queries = made()
    transaction = queries.open(A, None, 0.0)
    assert queries.awaits(A) and not queries.awaits(B)
    queries.close(transaction, A, 0.1)
    assert not queries.awaits(A)

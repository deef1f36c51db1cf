"""Who is said to be gone: dialled once, and gone only if it does not come."""

from __future__ import annotations

from collections.abc import Callable

from strew.messages import PeerId
from strew.swarm.suspects import ANSWER_S, SUSPECTS_MAX, Suspects

A, B = PeerId("a"), PeerId("b")


def there(*peers: PeerId) -> Callable[[PeerId], bool]:
    return set(peers).__contains__


def test_who_does_not_come_in_time_is_gone_once() -> None:
    suspects = Suspects()
    assert suspects.suspect(A, 10.0)
    assert suspects.confirmed(there(), 10.0 + 0.9 * ANSWER_S) == []
    assert suspects.confirmed(there(), 10.0 + ANSWER_S) == [A]
    assert suspects.confirmed(there(), 10.0 + 9 * ANSWER_S) == []


def test_who_comes_is_suspected_no_more() -> None:
    suspects = Suspects()
    suspects.suspect(A, 10.0)
    suspects.suspect(B, 10.0)
    assert suspects.confirmed(there(A), 10.5) == []
    assert suspects.confirmed(there(), 10.0 + ANSWER_S) == [B], "a came, whatever it did since"


def test_nobody_is_looked_for_twice_at_once() -> None:
    suspects = Suspects()
    assert suspects.suspect(A, 10.0)
    assert not suspects.suspect(A, 10.5)
    assert suspects.confirmed(there(), 10.0 + ANSWER_S) == [A], "it has no more time for that"
    assert suspects.suspect(A, 20.0), "but is looked for again when it is said again"


def test_no_more_are_looked_for_at_once_than_the_limit() -> None:
    suspects = Suspects()
    asked = [suspects.suspect(PeerId(f"p{n}"), 10.0) for n in range(SUSPECTS_MAX + 3)]
    assert asked == [True] * SUSPECTS_MAX + [False] * 3
    suspects.confirmed(there(), 10.0 + ANSWER_S)
    assert suspects.suspect(A, 20.0)

"""Who is let in: in all, by address, and never at the expense of links."""

from __future__ import annotations

import asyncio
from typing import Any

from strew.transfer.reception import LOOK_MIN, Reception


class Connection(asyncio.Transport):
    """As much of a transport as a reception looks at."""

    def __init__(self, host: str) -> None:
        super().__init__()
        self.host = host
        self.closed = False

    def get_extra_info(self, name: str, default: Any = None) -> Any:
        return (self.host, 40_000) if name == "peername" else default

    def is_closing(self) -> bool:
        return self.closed

    def abort(self) -> None:
        self.closed = True


def test_so_many_of_one_address_and_no_more() -> None:
    reception = Reception(100, per_host_max=2)
    first = Connection("192.0.2.1")
    assert reception.admit(first) and reception.admit(Connection("192.0.2.1"))
    assert not reception.admit(Connection("192.0.2.1"))
    assert reception.admit(Connection("192.0.2.2")), "another address has places of its own"
    first.closed = True
    assert reception.admit(Connection("192.0.2.1")), "a place that was left is free"
    assert reception.refused == 1


def test_loopback_has_no_limit_of_its_own() -> None:
    reception = Reception(100, per_host_max=1)
    for host in ("127.0.0.1", "127.0.0.1", "::1", "::1", "::ffff:127.0.0.1", "::ffff:127.0.0.1"):
        assert reception.admit(Connection(host))


def test_a_member_gives_its_place_back() -> None:
    reception = Reception(1, per_host_max=1)
    member = Connection("192.0.2.1")
    assert reception.admit(member)
    assert not reception.admit(Connection("192.0.2.1"))
    reception.proved(member)
    assert reception.admit(Connection("192.0.2.1"))
    reception.proved(Connection("192.0.2.9"))
    reception.clear()
    assert not member.closed, "links are not the reception's to end"


def test_what_ended_is_forgotten() -> None:
    reception = Reception(10_000, per_host_max=16)
    for number in range(20 * LOOK_MIN):
        connection = Connection(f"192.0.2.{number % 250}")
        assert reception.admit(connection)
        connection.closed = True
    assert len(reception._inside) <= 2 * LOOK_MIN
    assert sum(reception._of_host.values()) == len(reception._inside)

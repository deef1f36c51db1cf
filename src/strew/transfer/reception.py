"""How many connections are let in: in all, and from one address.

What is counted are strangers: connections that are not, or not yet, half of a link to a member. So
nobody who floods the port takes the places of neighbours, which the node itself limits, and a
fleet does not take those of people who look.
"""

from __future__ import annotations

import asyncio

from strew.announce.address import is_loopback

STRANGERS_MAX = 512
"""Connections of strangers at once, HTTP included. Lower: a flash of visitors is refused; higher: a
flood takes more descriptors and memory before it is."""

STRANGERS_TRACKER_MAX = 65_536
"""The same where a tracker listens: each of 20,000 nodes holds an event stream and announces."""

STRANGERS_PER_HOST_MAX = 16
"""Of these from one address. Lower: aria2 with 16 connections is refused; higher: fewer addresses
fill the port. Two kinds are not counted: loopback, where hundreds of nodes of one machine meet
and which nobody else reaches, and what comes to a tracker, as a whole site may stand behind one
address with a stream from each of its nodes."""

LOOK_MIN = 64
"""Ended connections are forgotten each time their number may have doubled, not before so many."""


class Reception:
    """Counts the strangers at one port. `per_host_max` None: an address may have any number."""

    def __init__(self, most: int = STRANGERS_MAX, per_host_max: int | None = None) -> None:
        self._max = most
        self._per_host_max = per_host_max
        self._inside: dict[asyncio.Transport, str] = {}
        self._look_at = 0
        self._of_host: dict[str, int] = {}
        self.refused = 0
        """Connections that were turned away."""

    def __len__(self) -> int:
        return sum(not transport.is_closing() for transport in self._inside)

    def admit(self, transport: asyncio.Transport) -> bool:
        """Count an accepted connection; False if there are too many, or too many of its address."""
        host = str((transport.get_extra_info("peername") or ("",))[0])
        counted = self._per_host_max is not None and not is_loopback(host)
        crowded = counted and self._of_host.get(host, 0) >= (self._per_host_max or 0)
        if crowded or len(self._inside) >= self._look_at:
            self._look()
            crowded = counted and self._of_host.get(host, 0) >= (self._per_host_max or 0)
        if crowded or len(self._inside) >= self._max:
            self.refused += 1
            return False
        self._inside[transport] = host
        self._of_host[host] = self._of_host.get(host, 0) + 1
        return True

    def proved(self, transport: asyncio.Transport) -> None:
        """A connection has become half of a link: it is no stranger's any more."""
        host = self._inside.pop(transport, None)
        if host is not None:
            self._leave(host)

    def clear(self) -> None:
        """End all of them."""
        for transport in self._inside:
            transport.abort()
        self._inside.clear()
        self._of_host.clear()

    def _look(self) -> None:
        """Forget those that have ended."""
        for transport in [t for t in self._inside if t.is_closing()]:
            self._leave(self._inside.pop(transport))
        self._look_at = min(max(2 * len(self._inside), LOOK_MIN), self._max)

    def _leave(self, host: str) -> None:
        left = self._of_host[host] - 1
        if left:
            self._of_host[host] = left
        else:
            del self._of_host[host]

"""Fetching: machines that pull whole stretches of a file from servers told to them.

No machine serves what it is still fetching; a stretch is one flow, and a server's uplink is shared
by all that fetch from it at the same time.
"""

from __future__ import annotations

from collections.abc import Callable

from strew.sim.baselines.completion import Completion
from strew.sim.network import Flow, Host, Network
from strew.sim.world import World

REQUEST_BYTES = 256
"""An HTTP request for a range."""


class Fetching:
    """Hosts by number (0 is the origin) and the stretches on their way between them."""

    def __init__(
        self, world: World, network: Network, hosts: list[Host], completion: Completion
    ) -> None:
        self._world = world
        self._network = network
        self._hosts = hosts
        self._completion = completion

    def fetch(
        self,
        machine: int,
        server: int,
        stretch: int,
        size_bytes: float,
        then: Callable[[int], None],
    ) -> None:
        """Ask a server for a stretch; `then(machine)` when it is whole here."""
        hosts = self._hosts
        delay_s = self._network.control_delay_s(hosts[machine], hosts[server], REQUEST_BYTES)
        call = (machine, server, stretch, size_bytes, then)
        self._world.at(self._world.now + delay_s, self._serve, *call)

    def _serve(
        self,
        machine: int,
        server: int,
        stretch: int,
        size_bytes: float,
        then: Callable[[int], None],
    ) -> None:
        def left(flow: Flow) -> None:
            arrives_s = self._world.now + self._network.latency_s
            self._world.at(arrives_s, self._arrive, machine, server, stretch, then)

        self._network.start(self._hosts[server], self._hosts[machine], size_bytes, left)

    def _arrive(self, machine: int, server: int, stretch: int, then: Callable[[int], None]) -> None:
        self._completion.arrived(machine, stretch, server)
        then(machine)

"""Relay: chunks flow down a tree in their order, each passed on as soon as it is whole.

A machine sends one chunk at a time, each to all its children in turn before the next one. Machine
i (the origin is 0) has the children ki + 1 to ki + k; with k = 1 the tree is a chain.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import partial

from strew.sim.baselines.completion import Completion
from strew.sim.network import Flow, Host, Network
from strew.sim.world import World


class Relay:
    """A tree over hosts by number, and how far each has come."""

    def __init__(
        self,
        world: World,
        network: Network,
        hosts: list[Host],
        size_bytes: int,
        chunks: int,
        arity: int,
    ) -> None:
        self._world = world
        self._network = network
        self._hosts = hosts
        self._chunks = chunks
        self._chunk_bytes = size_bytes / chunks
        self._completion = Completion(world, len(hosts) - 1)
        self._children = [
            range(arity * i + 1, min(arity * (i + 1) + 1, len(hosts))) for i in range(len(hosts))
        ]
        self._parents = [0, *((i - 1) // arity for i in range(1, len(hosts)))]
        self._arrived = [0] * len(hosts)
        self._sent = [0] * len(hosts)
        self._sending = [False] * len(hosts)
        self._left: list[Callable[[Flow], None]] = [
            partial(self._leave, i) for i in range(len(hosts))
        ]

    def run(self, bound_s: float) -> list[float]:
        """Send the file down; seconds until each machine has it."""
        self._arrived[0] = self._chunks
        self._send(0)
        return self._completion.run(bound_s)

    def _send(self, machine: int) -> None:
        children = self._children[machine]
        if self._sending[machine] or not children:
            return
        chunk, place = divmod(self._sent[machine], len(children))
        if chunk < self._arrived[machine]:
            self._sending[machine] = True
            target = self._hosts[children[place]]
            self._network.start(
                self._hosts[machine], target, self._chunk_bytes, self._left[machine]
            )

    def _leave(self, machine: int, flow: Flow) -> None:
        children = self._children[machine]
        child = children[self._sent[machine] % len(children)]
        self._world.at(self._world.now + self._network.latency_s, self._arrive, child)
        self._sent[machine] += 1
        self._sending[machine] = False
        self._send(machine)

    def _arrive(self, machine: int) -> None:
        self._completion.arrived(machine, self._arrived[machine], self._parents[machine])
        self._arrived[machine] += 1
        if self._arrived[machine] == self._chunks:
            self._completion.done(machine)
        self._send(machine)

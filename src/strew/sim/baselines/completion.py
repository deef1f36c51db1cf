"""Completion: when each machine of a baseline has everything, and the run that waits for it."""

from __future__ import annotations

from strew.sim.world import World

CHUNK_ARRIVED = 201
MACHINE_DONE = 202
"""Kinds in the trace: (machine, chunk or stretch, sender) and (machine, 0, 0)."""

LIMIT_BOUNDS = 100.0
"""A run that takes so many times its bound has stopped making progress. Raising it lets a hopeless
way go on for longer; lowering it breaks off slow ways in networks of long latency."""

LIMIT_LEAST_S = 60.0
"""Tiny transfers may last many bounds: latency and a choke every ten seconds stand in no bound."""


class Completion:
    """Counts the machines that are done; machines are numbered from 1, the origin is 0."""

    def __init__(self, world: World, machines: int) -> None:
        self._world = world
        self._seconds = [0.0] * machines
        self._left = machines
        self._begun_s = world.now

    def arrived(self, machine: int, chunk: int, sender: int) -> None:
        """A chunk, or another stretch of the file, is whole at a machine."""
        self._world.trace(CHUNK_ARRIVED, machine, chunk, sender)

    def done(self, machine: int) -> None:
        """A machine has everything now. Must be called once for each."""
        self._world.trace(MACHINE_DONE, machine, 0, 0)
        self._seconds[machine - 1] = self._world.now - self._begun_s
        self._left -= 1

    def run(self, bound_s: float) -> list[float]:
        """Let time pass until all are done; seconds of each machine since this was made."""
        limit_s = self._begun_s + bound_s * LIMIT_BOUNDS + LIMIT_LEAST_S
        self._world.run(self._all_done, limit_s)
        return self._seconds

    def _all_done(self) -> bool:
        return not self._left

"""A fleet of real processes that fetches one file after another, and how long each takes.

Rates are limited so that two cores are not what it waits for. A promise is a multiple of B: the
middle one of three runs of the same fleet to which nothing happens.
"""

from __future__ import annotations

import statistics
import time
from collections.abc import Sequence

from strew.content.digest import ArtifactId
from strew.content.manifest import Manifest
from tests.cli.processes import until
from tests.faults.liars import Liar
from tests.machines import Api, Fleet, Machine
from tests.members import make_file
from tests.trees import same_bytes

UNDISTURBED_RUNS = 3

WITHIN_B = 6.0
"""A run that takes longer fails before its time is compared."""


class Races:
    """Files of `size_bytes` that a fleet fetches, each in the place of the one before."""

    def __init__(
        self, fleet: Fleet, machines: Sequence[Machine], size_bytes: int, at: str, api: Api
    ) -> None:
        """`machines` follow `app:*`; files are published at the process `at`, whose `api` it is."""
        self.fleet = fleet
        self.size_bytes = size_bytes
        self.machines = machines
        self.at = at
        self.api = api
        self.runs = 0
        self.b_s = 0.0
        self.within_s = 60.0

    def measure(self) -> float:
        """B in seconds."""
        times_s = []
        for _ in range(UNDISTURBED_RUNS):
            artifact = self.stage().id
            times_s.append(self.finish(artifact, self.publish(artifact)))
        self.b_s = statistics.median(times_s)
        self.within_s = WITHIN_B * self.b_s
        print(f"B = {self.b_s:.2f} s of {', '.join(f'{each:.2f}' for each in times_s)}")
        return self.b_s

    def stage(self) -> Manifest:
        """Bring the next file to the origin, under a name that nobody follows."""
        self.runs += 1
        self.file = make_file(self.fleet.folder / "published/file", self.size_bytes, self.runs)
        words = ("push", str(self.file), f"staged:{self.runs}", "--at", self.at)
        artifact = self.fleet.result(*words)["artifact"]
        return Manifest.parse(self.api.bytes(f"/api/v1/artifacts/{artifact}/manifest"))

    def publish(self, artifact: ArtifactId) -> float:
        """Let all fetch it; since when they may."""
        naming = self.fleet.start("push", artifact, f"app:{self.runs}", "--at", self.at)
        naming.event("published")
        began_s = time.monotonic()
        naming.event("result")
        return began_s

    def finish(
        self, artifact: ArtifactId, began_s: float, machines: Sequence[Machine] = ()
    ) -> float:
        """Wait until these (all, if none are named) have it; how long the last one took."""
        waited_for = list(machines) or self.machines
        for machine in waited_for:
            left_s = began_s + self.within_s - time.monotonic()
            machine.done(artifact, within_s=max(left_s, 0.1))
        took_s = time.monotonic() - began_s
        for machine in waited_for:
            assert same_bytes(self.file, machine.into / self.file.name)
        return took_s

    def told(self, what: str, took_s: float, promise: float) -> float:
        """Print a figure beside its promise; the ratio to B."""
        ratio = took_s / self.b_s
        print(f"{what}: {took_s:.2f} s = {ratio:.2f} B (promise {promise} B)")
        return ratio

    def bans(self, machine: Machine) -> set[str]:
        """Whom a machine does not deal with now."""
        return {ban["id"] for ban in machine.api.json("node")["bans"]}

    def banned_among_themselves(self) -> set[str]:
        """Machines of the fleet that others of it do not deal with."""
        return self.ids() & set[str]().union(*map(self.bans, self.machines))

    def ids(self) -> set[str]:
        """All machines, and whoever they get it from."""
        honest = {str(machine.api.json("node")["id"]) for machine in self.machines}
        return honest | {str(self.api.json("node")["id"])}

    def no_tracebacks(self) -> None:
        for machine in self.machines:
            assert "Traceback" not in machine.running.errors, machine.running.errors


def race(fleet: Fleet, names: Sequence[str], size_bytes: int, rate: str) -> Races:
    """One in which `serve` gives and these nodes fetch; their links carry `rate` both ways."""
    machines = [fleet.node(name, "--rate", rate) for name in names]
    fleet.knows(*names)
    return Races(fleet, machines, size_bytes, fleet.at, fleet.api)


def until_known(fleet: Fleet, liars: Sequence[Liar]) -> None:
    """Until the tracker names them to whoever asks."""
    ids = {liar.peer.id for liar in liars}
    until(lambda: ids <= {node["id"] for node in fleet.api.json("nodes")}, "liars to announce")

"""A fleet whose processes have a machine each: namespaces on one switch."""

from collections.abc import Sequence
from pathlib import Path
from typing import Any

from strew.content.digest import ArtifactId
from strew.fleet import FleetKey
from strew.lab import namespaces
from strew.lab.network import BRIDGE, SWITCH, Bench, Host
from tests.cli.processes import Running
from tests.machines import Api, Flags
from tests.members import Members, Process

PUSHED_WITHIN_S = 30.0


class Inside(Api):
    """The API of a process, asked from its own machine: also while that is cut off."""

    def __init__(self, host: Host, port: int, key: FleetKey) -> None:
        super().__init__(port, key)
        self._root = f"http://{host.address}:{port}"
        self._namespace = host.namespace

    def bytes(self, path: str, data: bytes | None = None) -> bytes:
        with namespaces.entered(self._namespace):
            return super().bytes(path, data)


class Machines(Members):
    """A fleet whose processes have a machine each: namespaces on one switch."""

    def __init__(self, folder: Path, bench: Bench) -> None:
        super().__init__(folder)
        self.bench = bench
        self._of = {host.address: host for host in bench.hosts}

    def api_of(self, process: Process) -> Api:
        return Inside(self._of[process.host], process.port, self.key)

    def on(self, number: int) -> dict[str, Any]:
        """Where to start a process."""
        host = self.bench.hosts[number]
        return {"host": host.address, "wrapped": self.bench.wrapping(host)}

    def start(self, *words: str, wrapped: Flags = ()) -> Running:
        """Start a command: on the first machine, if no other is named."""
        return super().start(*words, wrapped=wrapped or self.bench.wrapping(self.bench.origin))

    def publish(self, path: Path, reference: str, at: Process) -> ArtifactId:
        wrapped = self.bench.wrapping(self._of[at.host])
        push = self.start("push", str(path), reference, "--at", at.at, wrapped=wrapped)
        return ArtifactId(push.event("result", within_s=PUSHED_WITHIN_S)["artifact"])

    def cut_off(self, *numbers: int) -> None:
        """Give these machines a switch of their own."""
        lines = ["link add other type bridge stp_state 0", "link set other up"]
        namespaces.tell("ip", [*lines, *self._moved("other", numbers)], self._switch)

    def heal(self, *numbers: int) -> None:
        """Put them back on the common one."""
        namespaces.tell("ip", self._moved(BRIDGE, numbers), self._switch)

    def _moved(self, bridge: str, numbers: Sequence[int]) -> list[str]:
        ports = [self.bench.hosts[number].port for number in numbers]
        return [f"link set {port} master {bridge}" for port in ports]

    @property
    def _switch(self) -> str:
        return f"{self.bench.name}-{SWITCH}"

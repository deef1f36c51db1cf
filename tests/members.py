"""A fleet of real processes that find each other by gossip: nodes that join by nodes, and trackers
where a test starts them.

Each process keeps its port over all its lives, so that others find it again. Leaving the fleet's
context ends all of them, and fails if any told of a traceback.
"""

import random
import secrets
from collections.abc import Sequence
from functools import partial
from pathlib import Path
from types import TracebackType
from typing import Any, Self

from strew.content.digest import ArtifactId
from strew.content.manifest import Manifest
from strew.fleet import SECRET_BYTES, FleetKey
from tests.cli.processes import Done, call, until
from tests.machines import Api, Flags, Fleet, Machine, remove
from tests.trees import same_bytes

KNOWN_WITHIN_S = 15.0
"""The promise: a death is known to others so soon; so is a return."""


class Process(Machine):
    """A node or a tracker. `words` are what it is started with, beside where it listens."""

    def __init__(
        self,
        fleet: "Members",
        name: str,
        words: Sequence[str],
        *,
        host: str = "127.0.0.1",
        wrapped: Flags = (),
    ) -> None:
        self._members = fleet
        self.host = host
        self.port = 0
        super().__init__(fleet, name, words, wrapped, name)

    @property
    def at(self) -> str:
        return f"{self.host}:{self.port}"

    def start(self) -> None:
        """Begin a life; returns once it listens."""
        self.running = self._members.start(
            *self._flags,
            *("--data", str(self.data), "--listen", self.at),
            wrapped=self._wrapped,
        )
        self.port = int(self.running.event("listening")["port"])
        self.api = self._members.api_of(self)

    def forget(self) -> None:
        """Lose the data folder, between two lives."""
        remove(self.data)

    def nodes(self) -> set[int]:
        """Ports of the nodes that live, as this one says."""
        return {node["port"] for node in self.api.json("nodes")}

    def knows(self, ports: set[int]) -> bool:
        """Whether it knows by gossip that these nodes live. A tracker lists who announced to it,
        whatever its own node heard: of that only the number is told."""
        if self._flags[0] == "serve":
            return int(self.node()["gossip"]["living"]) >= len(ports) - 1
        return ports <= self.nodes()

    def node(self) -> dict[str, Any]:
        """What the node says of itself."""
        return dict(self.api.json("node"))

    def has(self, path: Path, artifact: str, *, within_s: float) -> None:
        """Wait until it has fetched a published file; then it is in place."""
        self.done(artifact, within_s=within_s)
        assert self.shows(path)

    def shows(self, path: Path) -> bool:
        """Whether a published file is in place, every byte of it."""
        there = self.into / path.name
        return there.exists() and same_bytes(path, there)

    def names(self, reference: str) -> str:
        """What it says a reference names; nothing while it does not know."""
        for publication in self.api.json("names"):
            if publication["reference"] == reference:
                return str(publication["artifact"])
        return ""


class Members(Fleet):
    """See the module. A context; `machines` are its processes by name."""

    machines: dict[str, Process]  # type: ignore[assignment]

    def __enter__(self) -> Self:
        self.key = FleetKey(secrets.token_bytes(SECRET_BYTES))
        self.env["STREW_FLEET_KEY"] = self.key.text
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        at: TracebackType | None,
    ) -> None:
        super().__exit__(kind, error, at)
        if error is None:
            assert not [
                running.errors for running in self._started if "Traceback" in running.errors
            ]

    def api_of(self, process: Process) -> Api:
        """The way to a process."""
        return Api(process.port, self.key)

    def member(
        self, name: str, *flags: str, by: Sequence[str] = (), follow: str = "", **of: Any
    ) -> Process:
        """Start a node that joins by these addresses, or is the first of its fleet."""
        words = ["node", "--into", name, *(word for at in by for word in ("--join", at))]
        words += ["--follow", follow] if follow else []
        self.machines[name] = process = Process(self, name, [*words, *flags], **of)
        return process

    def tracker(self, name: str, *flags: str, **of: Any) -> Process:
        """Start a tracker and origin."""
        self.machines[name] = process = Process(self, name, ["serve", *flags], **of)
        return process

    def all_know(self, *names: str, within_s: float = KNOWN_WITHIN_S) -> None:
        """Wait until each of these processes (all, if none is named) knows all others."""
        processes = [self.machines[name] for name in names or self.machines]
        ports = {process.port for process in processes}
        for process in processes:
            until(partial(process.knows, ports), f"{process.name} to know all", within_s)

    def call(self, *words: str) -> Done:
        """Run a short command to its end, in this process."""
        return call(*words, "--json", env=self.env, cwd=self.folder)

    def publish(self, path: Path, reference: str, at: Process) -> ArtifactId:
        """Push at a process; others fetch from now on."""
        done = self.call("push", str(path), reference, "--at", at.at)
        assert done.code == 0, done.err
        return ArtifactId(done.final["artifact"])

    def manifest_at(self, process: Process, artifact: str) -> Manifest:
        """The manifest of an artifact, from a process that holds it."""
        return Manifest.parse(process.api.bytes(f"/api/v1/artifacts/{artifact}/manifest"))


def make_file(path: Path, size_bytes: int, seed: int = 7) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(random.Random(seed).randbytes(size_bytes))
    return path

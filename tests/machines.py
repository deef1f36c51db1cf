"""A fleet of real processes on loopback, some of which are going to be harmed.

Whatever a test does to them, leaving the fleet's context ends every process by its own id.
"""

import contextlib
import json
import os
import shutil
import signal
import ssl
import urllib.error
import urllib.request
from collections.abc import Sequence
from pathlib import Path
from types import TracebackType
from typing import Any, Self

from strew.content.digest import ArtifactId
from strew.content.manifest import Manifest
from strew.fleet import FleetKey
from strew.store.parts import claims_path
from tests.cli.processes import Done, Running, environment, run, until

ANSWER_WITHIN_S = 5.0
"""Of a process on this machine; one that was stopped or killed never answers."""

CLAIMS_HEADER_BYTES = 8
"""Before the byte for each chunk, see strew.store.claims."""

Flags = Sequence[str]


class Api:
    """The HTTP API of one process, with the fleet's key."""

    def __init__(self, port: int, key: FleetKey, tls: ssl.SSLContext | None = None) -> None:
        self._root = f"{'https' if tls else 'http'}://127.0.0.1:{port}"
        self._tls = tls
        self._token = key.node_token()

    def bytes(self, path: str, data: bytes | None = None) -> bytes:
        """The body of an answer to a GET, or to a POST of `data`; OSError if there is none."""
        headers = {"Authorization": f"Bearer {self._token}", "Content-Type": "application/json"}
        request = urllib.request.Request(self._root + path, headers=headers, data=data)
        with urllib.request.urlopen(request, timeout=ANSWER_WITHIN_S, context=self._tls) as answer:
            body = answer.read()
        assert isinstance(body, bytes)
        return body

    def json(self, path: str) -> Any:
        return json.loads(self.bytes(f"/api/v1/{path}"))

    def post(self, path: str, value: Any) -> Any:
        return json.loads(self.bytes(f"/api/v1/{path}", json.dumps(value).encode()))

    def swarm(self, artifact: str) -> dict[str, Any]:
        """What the process says of its part in a swarm; empty if it has none, or is silent."""
        try:
            return dict(self.json("node")["swarms"].get(artifact, {}))
        except (OSError, ValueError):
            return {}

    def transfer(self, artifact: str) -> dict[str, Any]:
        """How far a fetch is; empty if there is none, or no answer."""
        try:
            return dict(self.json(f"transfers/{artifact}"))
        except (OSError, ValueError):
            return {}

    def metric(self, name: str) -> float:
        """The sum of all samples of a metric."""
        lines = self.bytes("/metrics").decode().splitlines()
        values = [
            line.rpartition(" ")[2] for line in lines if line.split("{")[0].split()[0] == name
        ]
        assert values, f"no metric {name}"
        return sum(map(float, values))


class Machine:
    """A node with its folders, over all its lives."""

    def __init__(self, fleet: "Fleet", name: str, flags: Flags, wrapped: Flags, into: str) -> None:
        self.name = name
        self._fleet = fleet
        self._flags = flags
        self._wrapped = wrapped
        self._into = into
        self.start()

    @property
    def into(self) -> Path:
        """Where what it follows appears."""
        return self._fleet.folder / self._into

    @property
    def data(self) -> Path:
        return self._fleet.folder / f"{self.name}.data"

    def start(self) -> None:
        """Begin a life; returns once it listens."""
        self.running = self._fleet.start(
            *("node", "--join", self._fleet.at, "--follow", "app:*", "--into", self._into),
            *("--data", str(self.data), "--listen", "127.0.0.1:0", *self._flags),
            wrapped=self._wrapped,
        )
        self.port = int(self.running.event("listening")["port"])
        self.api = Api(self.port, self._fleet.key, self._fleet.tls)

    def kill(self) -> None:
        """kill -9."""
        self.running.kill()

    def replace(self, *flags: str) -> None:
        """Another machine of this name takes its place, with nothing on its disk."""
        self._flags = flags
        assert self.running.stop() == 0
        remove(self.into)
        remove(self.data)
        self.start()

    def signal(self, number: signal.Signals) -> None:
        self.running.process.send_signal(number)

    def is_up(self) -> bool:
        return self.running.process.poll() is None

    def done(self, artifact: str, *, within_s: float) -> dict[str, Any]:
        """The event that tells of the end of its fetch, in this life."""
        return self.running.event("transfer", artifact=artifact, within_s=within_s)

    def reaches(self, artifact: str, part: float, *, within_s: float = 30.0) -> dict[str, Any]:
        """Its transfer, at the first look that shows at least this part of the chunks."""

        def look() -> dict[str, Any] | None:
            found = self.api.transfer(artifact)
            enough = part * found.get("chunk_count", 1)
            return found if found.get("have_chunks", -1) >= enough else None

        transfer = until(look, f"{self.name} to have {part:.0%} of {artifact}", within_s)
        assert isinstance(transfer, dict)
        return transfer

    def claimed(self, manifest: Manifest) -> set[int]:
        """Chunks that lie verified beside its target, by the file that outlives a kill."""
        with contextlib.suppress(FileNotFoundError):
            path = Path(claims_path(str(self.into / manifest.name), manifest.id))
            claims = path.read_bytes()[CLAIMS_HEADER_BYTES:]
            return {index for index, claim in enumerate(claims) if claim}
        return set()


class Fleet:
    """`strew serve`, and machines that follow `app:*`. A context."""

    tls: ssl.SSLContext | None = None
    """How its processes are asked, where they are of profile strict."""

    def __init__(self, folder: Path, *flags: str) -> None:
        self.folder = folder
        self.machines: dict[str, Machine] = {}
        self._flags = flags
        self._started: list[Running] = []
        home = folder / "home"
        home.mkdir()
        self.env = environment(home)

    def __enter__(self) -> Self:
        try:
            self.serve = self.start("serve", "--listen", "127.0.0.1:0", *self._flags)
            port = int(self.serve.event("listening")["port"])
            key_file = self.folder / "home/.local/share/strew/serve/fleet.key"
            self.key = FleetKey.parse(key_file.read_text().strip())
            self.at = self.env["STREW_AT"] = f"127.0.0.1:{port}"
            self.api = Api(port, self.key, self.tls)
        except BaseException:
            self._end()
            raise
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        at: TracebackType | None,
    ) -> None:
        self._end()

    def _end(self) -> None:
        for running in reversed(self._started):
            running.kill()
        for entry in self.folder.iterdir():  # gigabytes, which pytest would keep for three runs
            remove(entry)

    def start(self, *words: str, wrapped: Flags = ()) -> Running:
        """Start a command that is ended with the fleet."""
        running = Running(*words, env=self.env, cwd=self.folder, wrapped=wrapped)
        self._started.append(running)
        return running

    def node(self, name: str, *flags: str, wrapped: Flags = (), into: str | None = None) -> Machine:
        """Start a node."""
        self.machines[name] = Machine(self, name, flags, wrapped, into or name)
        return self.machines[name]

    def run(self, *words: str) -> Done:
        """Run a short command to its end."""
        return run(*words, env=self.env, cwd=self.folder)

    def result(self, *words: str, within_s: float = 60.0) -> dict[str, Any]:
        """The result of a command that works, and may take its time."""
        return self.start(*words).event("result", within_s=within_s)

    def push(self, path: Path, reference: str) -> Manifest:
        """Publish; nodes fetch from now on."""
        pushed = self.result("push", str(path), reference)
        return self.manifest(ArtifactId(pushed["artifact"]))

    def manifest(self, artifact: ArtifactId) -> Manifest:
        return Manifest.parse(self.api.bytes(f"/api/v1/artifacts/{artifact}/manifest"))

    def knows(self, *names: str) -> None:
        """Wait until the tracker has heard of these machines."""
        ports = {self.machines[name].port for name in names}

        def joined() -> bool:
            return ports <= {node["port"] for node in self.api.json("nodes")}

        until(joined, f"{names} to join")

    def owed(self, manifest: Manifest) -> set[int]:
        """Chunks that no machine has yet; once empty, the origin is not needed any more."""
        here = set[int]().union(*(m.claimed(manifest) for m in self.machines.values()))
        return set(range(manifest.chunk_count)) - here


def remove(path: Path) -> None:
    """Delete a file or a tree, whatever its modes."""
    if path.is_symlink() or not path.is_dir():
        path.unlink()
        return
    for at, _, _ in os.walk(path):
        os.chmod(at, 0o700)
    shutil.rmtree(path)

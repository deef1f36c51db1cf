"""The two daemons that all bad input of this folder is given to, and whether it harmed them."""

import contextlib
import http.client
import random
import select
import socket
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path

from strew.content.manifest import Manifest
from strew.fleet import FleetKey
from tests.cli.processes import Running, until
from tests.machines import Fleet, Machine

PATIENCE_S = 20.0
"""For one answer, or a short command. Longer than either takes on a busy machine."""

LAST_BYTES = 1000
"""Of the published file, looked at after each test."""

UNANSWERED_S = 0.5
"""What is not answered so soon waits for more."""

FILE_BYTES = 700_000
"""Some chunks: what is asked for in parts has parts."""


@dataclass(frozen=True, slots=True)
class Answer:
    """What came back on a connection; status 0 if it was closed without a word."""

    status: int
    headers: dict[str, str] = field(default_factory=dict)
    body: bytes = b""

    @property
    def kind(self) -> str:
        return self.headers.get("content-type", "").partition(";")[0]


class Daemons:
    """`strew serve`, and a node that follows what is published there; made by `running_daemons`."""

    def __init__(self, fleet: Fleet, node: Machine, manifest: Manifest, file: Path) -> None:
        self.fleet = fleet
        self.node = node
        self.manifest = manifest
        self.file = file
        self.content = file.read_bytes()
        self.names = self.fleet.api.json("names")
        self.ports = {"serve": int(fleet.at.rpartition(":")[2]), "node": node.port}
        self._running = {"serve": fleet.serve, "node": node.running}
        self._read = dict.fromkeys(self._running, 0)
        """How much of what they told was looked at already."""

    @property
    def key(self) -> FleetKey:
        return self.fleet.key

    @property
    def files(self) -> str:
        """Path of the published file over HTTP."""
        return f"/files/{self.manifest.id}/{self.file.name}"

    def bearer(self, role: str = "node") -> str:
        token = {
            "read": self.key.viewer_token,
            "node": self.key.node_token,
            "publish": self.key.publish_token,
        }[role]()
        return f"Bearer {token}"

    def ask(
        self,
        at: str,
        method: str,
        path: str,
        body: bytes | None = None,
        *,
        role: str = "node",
        **headers: str,
    ) -> Answer:
        """One well-formed request to `serve` or `node`, whatever is in it."""
        given = {"Authorization": self.bearer(role)} if role else {}
        given |= {name.replace("_", "-"): value for name, value in headers.items()}
        connection = http.client.HTTPConnection("127.0.0.1", self.ports[at], timeout=PATIENCE_S)
        with contextlib.closing(connection):
            connection.request(method, path, body, given)
            answer = connection.getresponse()
            found = {name.lower(): value for name, value in answer.getheaders()}
            return Answer(answer.status, found, answer.read())

    def say(self, at: str, data: bytes) -> Answer:
        """Send bytes as they are, and nothing after them; the first answer to them.

        The end of the bytes is shown only after a while: who has closed its side gets no answer.
        """
        address = ("127.0.0.1", self.ports[at])
        with socket.create_connection(address, timeout=PATIENCE_S) as connection:
            try:
                connection.sendall(data)
                if not select.select([connection], [], [], UNANSWERED_S)[0]:
                    connection.shutdown(socket.SHUT_WR)
            except OSError:
                pass  # refused before all of it was sent: the answer may be there all the same
            return _answer_on(connection)

    def unharmed(self) -> None:
        """Fail unless both run, answer, have lost nothing, and told of no fault of their own."""
        for at, running in self._running.items():
            assert running.process.poll() is None, f"{at} ended: {running.errors}"
            told = running.errors[self._read[at] :]
            self._read[at] += len(told)
            assert "Traceback" not in told, told
            served = self.ask(at, "GET", self.files, Range=f"bytes=-{LAST_BYTES}")
            assert (served.status, served.body) == (206, self.content[-LAST_BYTES:])
        assert self.fleet.api.json("names") == self.names

    def intact(self) -> None:
        """Fail unless every byte is where it was, and a publication still reaches the node."""
        for at in self.ports:
            served = self.ask(at, "GET", self.files)
            assert (served.status, served.body) == (200, self.content)
        assert (self.node.into / self.file.name).read_bytes() == self.content
        folder = self.fleet.folder / "after"
        folder.mkdir()
        made = make_file(folder / "after.bin", seed=2)
        self.fleet.push(made, "app:after")
        copy = self.node.into / made.name
        until(copy.exists, "a publication to reach the node after all that")
        assert copy.read_bytes() == made.read_bytes()


@contextlib.contextmanager
def running_daemons(folder: Path, *flags: str) -> Iterator[Daemons]:
    """Start them with something published; ends with a publication that must still go through."""
    with Fleet(folder, *flags) as fleet:
        node = fleet.node("node", *flags)
        fleet.knows("node")
        file = make_file(folder / "app.bin", seed=1)
        manifest = fleet.push(file, "app:1")
        node.done(manifest.id, within_s=PATIENCE_S)
        daemons = Daemons(fleet, node, manifest, file)
        yield daemons
        daemons.unharmed()
        daemons.intact()


def make_file(path: Path, *, seed: int) -> Path:
    path.write_bytes(random.Random(seed).randbytes(FILE_BYTES))
    return path


def ends_with(running: Running, code: int) -> None:
    """Fail unless a command has ended by itself with that code."""
    assert running.process.wait(PATIENCE_S) == code, running.errors


def _answer_on(connection: socket.socket) -> Answer:
    answer = http.client.HTTPResponse(connection)
    try:
        with contextlib.closing(answer):
            answer.begin()
            headers = {name.lower(): value for name, value in answer.getheaders()}
            return Answer(answer.status, headers, answer.read())
    except (http.client.HTTPException, ConnectionError):
        return Answer(0)

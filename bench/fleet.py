"""A fleet as a user runs it, of either profile, all on loopback."""

import asyncio
import time
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path

import aiohttp

from bench.figures import GB, GIB
from bench.processes import Process, Processes
from strew.agent.client import HOST_HEADER, NodeClient
from strew.agent.securing import Security, Tls
from strew.certificates.authority import CERTIFICATE_FILE, Authority
from strew.certificates.credentials import Files
from strew.certificates.files import write_private, write_public
from strew.content.digest import ArtifactId
from strew.content.reference import Address, parse_name
from strew.fleet import FleetKey
from strew.publication import Publication

KEY = FleetKey(bytes(range(32)))
SETTLE_S = 0.5
"""After the last node has joined, so that its start is on no account."""

PUSH_WITHIN_S = 600.0


@dataclass(frozen=True, slots=True)
class Delivery:
    """One artifact on one node. Times are Unix times; file times tick every few ms.

    `written_s` is when the last chunk was written, which is the mtime of the file; `placed_s` when
    the file was made durable and renamed, its ctime.
    """

    asked_s: float
    started_s: float
    written_s: float
    placed_s: float
    size_bytes: int

    @property
    def gb_per_s(self) -> float:
        """From the start of the transfer to its last verified byte."""
        return self.size_bytes / (self.written_s - self.started_s) / GB


@dataclass(frozen=True, slots=True)
class Round:
    """One publication, fetched by all nodes."""

    deliveries: tuple[Delivery, ...]
    serve_cpu_s: float
    nodes_cpu_s: float
    nodes_peak_bytes: int
    serve_peak_bytes: int

    @property
    def delivered_gib(self) -> float:
        return sum(delivery.size_bytes for delivery in self.deliveries) / GIB

    @property
    def cpu_s_per_gib(self) -> float:
        """Of all processes, per GiB delivered, with fsync and rename."""
        return (self.serve_cpu_s + self.nodes_cpu_s) / self.delivered_gib

    @property
    def written_s(self) -> float:
        """From publication to the last byte of the last node."""
        return max(each.written_s - each.asked_s for each in self.deliveries)

    @property
    def placed_s(self) -> float:
        """From publication to the file being in its place on the last node."""
        return max(each.placed_s - each.asked_s for each in self.deliveries)


class Node:
    """A `strew node` that follows one name into a folder of its own."""

    def __init__(self, process: Process, into: Path) -> None:
        self.process = process
        self.into = into

    def delivered(self, asked_s: float) -> Delivery:
        """Wait for its next transfer to be in place."""
        said = self.process.wait_for("transfer")
        status = Path(said["path"]).stat()
        return Delivery(
            asked_s=asked_s,
            started_s=said["at_s"] - said["seconds"],
            written_s=status.st_mtime,
            placed_s=status.st_ctime,
            size_bytes=said["size_bytes"],
        )


class Certificates:
    """A small CA in a folder, for a fleet of profile strict."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._authority = Authority.make(folder, "bench", datetime.now(UTC))

    def files(self, name: str) -> Files:
        """Those of a process, issued now."""
        issued = self._authority.issue(name, (), datetime.now(UTC))
        certificate, key = self._folder / f"{name}.pem", self._folder / f"{name}.key"
        write_public(certificate, issued.certificate)
        write_private(key, issued.key)
        return Files(self._folder / CERTIFICATE_FILE, certificate, key)

    def environment(self, name: str) -> dict[str, str]:
        """What makes a process called `name` one of the fleet."""
        files = self.files(name)
        return {
            "STREW_PROFILE": "strict",
            "STREW_TLS_CA": str(files.ca),
            "STREW_TLS_CERT": str(files.certificate),
            "STREW_TLS_KEY": str(files.key),
        }

    def client(self) -> Tls:
        """For a client in this process."""
        return Security(self.files("client"), None).for_named


class Fleet:
    """The tracker and origin, and the nodes that joined it."""

    def __init__(self, processes: Processes, folder: Path, *, strict: bool = False) -> None:
        self._processes = processes
        self._folder = folder
        self._certificates = Certificates(folder / "tls") if strict else None
        self._publishing: dict[str, str] = {}
        self.serve = self._strew(
            "serve", "--listen", "127.0.0.1:0", "--data", str(folder / "serve"), name="serve"
        )
        said = self.serve.wait_for("listening")
        self.address = Address(said["host"], said["port"])
        if strict:
            made = self._strew(
                *("token", "new", "--role", "publish", "--at", str(self.address)),
                *("--data", str(folder / "serve")),
                name="token",
            )
            token = made.wait_for("result")["token"]
            self._publishing = {"STREW_TOKEN": token, "STREW_TRUST": said["publisher"]}
        self.push_peak_bytes = 0
        self._nodes_made = 0

    def _strew(self, *arguments: str, name: str) -> Process:
        environment = {"STREW_FLEET_KEY": KEY.text} | self._publishing
        if self._certificates is not None:
            environment |= self._certificates.environment(name)
        return self._processes.python("-m", "strew", *arguments, "--json", **environment)

    def push(self, path: Path, name: str) -> ArtifactId:
        """`strew push`, under a name that nobody follows; the origin has all of it then."""
        push = self._strew("push", str(path), f"{name}:1", "--at", str(self.address), name="push")
        push.ended(PUSH_WITHIN_S)
        self.push_peak_bytes = push.peak_bytes
        artifact = ArtifactId(push.wait_for("result")["artifact"])
        self._processes.stop(push)
        return artifact

    def node(self, name: str) -> Node:
        """A new node with an empty store, joined and idle. It follows `name`, which must be new:
        of what is published already it would fetch the newest at once."""
        self._nodes_made += 1
        folder = self._folder / f"node-{self._nodes_made}"
        process = self._strew(
            *("node", "--listen", "127.0.0.1:0", "--join", str(self.address)),
            *("--follow", f"{name}:*", "--into", str(folder / "into")),
            *("--data", str(folder / "data")),
            name=name,
        )
        process.wait_for("listening")
        return Node(process, folder / "into")

    def stop(self, nodes: list[Node]) -> None:
        """End nodes; what they fetched is deleted."""
        for node in nodes:
            self._processes.stop(node.process)
            for path in sorted(node.into.parent.rglob("*"), reverse=True):
                path.rmdir() if path.is_dir() else path.unlink()

    def publish(self, artifact: ArtifactId, reference: str) -> float:
        """Give an artifact a name that nodes follow, as `strew push ID NAME` does.

        Returns when the tracker was about to be asked.
        """

        async def ask() -> tuple[float, Publication]:
            async with aiohttp.ClientSession(headers=HOST_HEADER) as session:
                tls = self._certificates and self._certificates.client()
                client = NodeClient(
                    session, self.address, KEY, self._publishing.get("STREW_TOKEN", ""), tls=tls
                )
                await client.artifact(artifact)  # the connection is open then
                asked_s = time.time()
                return asked_s, await client.publish(parse_name(reference), artifact)

        return asyncio.run(ask())[0]

    def spread(self, artifact: ArtifactId, reference: str, nodes: list[Node]) -> Round:
        """Publish to idle nodes and wait until all have it."""
        time.sleep(SETTLE_S)
        serve_cpu_s = self.serve.cpu_s()
        nodes_cpu_s = sum(node.process.cpu_s() for node in nodes)
        asked_s = self.publish(artifact, reference)
        deliveries = tuple(node.delivered(asked_s) for node in nodes)
        return Round(
            deliveries=deliveries,
            serve_cpu_s=self.serve.cpu_s() - serve_cpu_s,
            nodes_cpu_s=sum(node.process.cpu_s() for node in nodes) - nodes_cpu_s,
            nodes_peak_bytes=max(node.process.rss_peak_bytes() for node in nodes),
            serve_peak_bytes=self.serve.rss_peak_bytes(),
        )

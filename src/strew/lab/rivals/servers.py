"""One server on the origin, and curl on each machine: the plainest way there is."""

from __future__ import annotations

import asyncio
import secrets
from abc import ABC, abstractmethod
from pathlib import Path
from urllib.parse import quote

from strew.agent.settings import TRACKER_PORT
from strew.agent.stoppable import stoppable
from strew.content.reference import Address
from strew.demo.child import start_child
from strew.demo.fleet import stage
from strew.errors import PartialError
from strew.fleet import SECRET_BYTES, FleetKey
from strew.lab.contender import Spread
from strew.lab.network import Bench, Host
from strew.lab.rivals.gate import Gate
from strew.lab.rivals.programs import listening, missing_program
from strew.lab.rivals.race import WORDS_MAX_CHARS, race

CHUNKS = 1
"""The file travels in one part."""

CURL = ("curl", "--disable", "--silent", "--show-error", "--fail", "--noproxy", "*")


class Server(ABC):
    """See strew.lab.contender.Contender; what serves is said by subclasses."""

    name: str
    restarts = False

    @abstractmethod
    def missing(self) -> str | None: ...

    @abstractmethod
    async def _serve(self, bench: Bench, source: Path) -> str:
        """Serve the file from the origin until the bench ends; its URL, once it can be had."""

    async def run(self, bench: Bench, source: Path, size_bytes: int) -> Spread:
        """The clock starts when the file can be had, and all curls wait for its URL."""
        url = await self._serve(bench, source)

        async def ready(host: Host) -> _Curl:
            gate = Gate(host.folder / "gate")
            output = host.folder / source.name
            words = [*CURL, "--output", str(output), "--config", str(gate.path)]
            process = await bench.spawn(host, words, stderr=asyncio.subprocess.PIPE)
            curl = _Curl(host, process, gate, url, output)
            await gate.awaited(process, curl.name)
            return curl

        return await race(bench, CHUNKS, ready)


class _Curl:
    """One machine's curl, which reads the URL from its gate."""

    def __init__(
        self,
        host: Host,
        process: asyncio.subprocess.Process,
        gate: Gate,
        url: str,
        output: Path,
    ) -> None:
        self.name = f"curl on host {host.number}"
        self.output = output
        self._process = process
        self._gate = gate
        self._url = url

    def go(self) -> None:
        self._gate.open(f'url = "{self._url}"')

    async def done(self) -> float:
        _, said = await self._process.communicate()
        if self._process.returncode:
            words = said.decode("utf-8", "replace").strip()[-WORDS_MAX_CHARS:]
            raise PartialError(f"{self.name} failed: {words}")
        return asyncio.get_running_loop().time()


class Nginx(Server):
    """nginx, one worker process, with sendfile."""

    name = "nginx"

    PORT = 80

    CONFIGURATION = """\
daemon off;
user root;
worker_processes 1;
pid {folder}/nginx.pid;
error_log stderr;
events {{ worker_connections 1024; }}
http {{
    access_log off;
    sendfile on;
    tcp_nopush on;
    client_body_temp_path {folder};
    proxy_temp_path {folder};
    fastcgi_temp_path {folder};
    uwsgi_temp_path {folder};
    scgi_temp_path {folder};
    server {{ listen {address}:{port}; root "{root}"; }}
}}
"""

    def missing(self) -> str | None:
        """Debian's packages."""
        return missing_program("nginx", "nginx-light") or missing_program("curl", "curl")

    async def _serve(self, bench: Bench, source: Path) -> str:
        origin = bench.origin
        configuration = origin.folder / "nginx.conf"
        configuration.write_text(
            self.CONFIGURATION.format(
                folder=origin.folder, address=origin.address, port=self.PORT, root=source.parent
            )
        )
        process = await bench.spawn(
            origin, ["nginx", "-p", str(origin.folder), "-c", str(configuration), "-e", "stderr"]
        )
        await listening(process, self.PORT, "nginx")
        return f"http://{origin.address}:{self.PORT}/{quote(source.name)}"


class StrewServer(Server):
    """`strew serve`, whose /files any HTTP client can fetch from."""

    name = "serve"

    def missing(self) -> str | None:
        """Debian's package."""
        return missing_program("curl", "curl")

    async def _serve(self, bench: Bench, source: Path) -> str:
        origin, key = bench.origin, FleetKey(secrets.token_bytes(SECRET_BYTES))
        (manifest,) = await stoppable(lambda step: stage(origin.folder, [source], step))
        address = Address(origin.address, TRACKER_PORT)
        words = ["serve", "--listen", str(address), "--data", str(origin.folder)]
        words += ["--quiet", "--log-level", "error"]
        child = await start_child(
            "origin", words, key, bench.folder, wrapping=bench.wrapping(origin)
        )
        bench.until_closed.push_async_callback(child.stop)
        await child.heard("listening")
        token = key.read_token(manifest.id)
        return f"http://{address}/files/{manifest.id}/{quote(source.name)}?token={token}"

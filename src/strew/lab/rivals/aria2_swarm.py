"""aria2 as a rival: a swarm of aria2c that go on seeding, and a tracker on the origin."""

from __future__ import annotations

import asyncio
import sys
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import ClassVar

from strew.lab.contender import Spread
from strew.lab.network import Bench, Host
from strew.lab.rivals.gate import Gate
from strew.lab.rivals.metainfo import ANNOUNCE_PATH, describe
from strew.lab.rivals.programs import missing_program
from strew.lab.rivals.race import line_with, race

PORT = 6881

TRACKER = "strew.lab.rivals.torrent_tracker"
TRACKER_PORT = 6969

PIECE_BYTES = 128 << 10
"""Larger, and a peer waits longer until it may pass a piece on; smaller, and there are more
messages than cores for them."""

PEERS_MAX = 128
"""Above the lab's most machines: everybody may be linked with everybody."""

ECHO = "/bin/echo"
"""aria2c starts it when a copy is complete, with the copy's path among its arguments."""

FIXED = (
    "--no-conf",
    "--no-netrc",
    "--enable-color=false",
    "--summary-interval=0",
    "--console-log-level=notice",
    "--download-result=hide",
    "--show-console-readout=false",
    "--file-allocation=none",
    "--seed-ratio=0.0",
    f"--on-bt-download-complete={ECHO}",
    # nobody but the tracker's peers is looked for, and nothing is encrypted
    "--enable-dht=false",
    "--enable-dht6=false",
    "--bt-enable-lpd=false",
    "--enable-peer-exchange=false",
    "--bt-require-crypto=false",
    "--bt-min-crypto-level=plain",
    f"--listen-port={PORT}",
)

TUNED = (f"--bt-max-peers={PEERS_MAX}",)
"""Of all options tried, the ones that end soonest."""


@dataclass(frozen=True, slots=True)
class Aria2:
    """See strew.lab.contender.Contender."""

    name: ClassVar[str] = "aria2"
    restarts: ClassVar[bool] = False
    piece_bytes: int = PIECE_BYTES
    options: Sequence[str] = TUNED

    def missing(self) -> str | None:
        """Debian's package."""
        return missing_program("aria2c", "aria2")

    async def run(self, bench: Bench, source: Path, size_bytes: int) -> Spread:
        """The clock starts when the tracker knows the origin, and all others have been started
        and wait for the name of the torrent."""
        announce = f"http://{bench.origin.address}:{TRACKER_PORT}{ANNOUNCE_PATH}"
        torrent = await asyncio.to_thread(describe, source, self.piece_bytes, announce)
        metainfo = bench.folder / "input.torrent"
        metainfo.write_bytes(torrent.raw)
        await self._seed(bench, source, metainfo)

        async def ready(host: Host) -> _Client:
            into = host.folder / "into"
            into.mkdir()
            gate = Gate(host.folder / "gate")
            process = await self._start(bench, host, into, f"--input-file={gate.path}")
            client = _Client(host, process, gate, metainfo, into / source.name)
            await gate.awaited(process, client.name)
            return client

        return await race(bench, torrent.pieces, ready)

    async def _seed(self, bench: Bench, source: Path, metainfo: Path) -> None:
        """Start the tracker, and then the origin's client."""
        words = [sys.executable, "-m", TRACKER, bench.origin.address, str(TRACKER_PORT)]
        tracker = await bench.spawn(
            bench.origin, words, stdout=asyncio.subprocess.PIPE, stderr=asyncio.subprocess.STDOUT
        )
        await line_with(tracker, '"listening"', "tracker")
        await self._start(
            bench, bench.origin, source.parent, "--bt-seed-unverified=true", str(metainfo)
        )
        await line_with(tracker, '"announced"', "tracker")

    async def _start(
        self, bench: Bench, host: Host, folder: Path, *words: str
    ) -> asyncio.subprocess.Process:
        return await bench.spawn(
            host,
            ["aria2c", *FIXED, *self.options, f"--dir={folder}", *words],
            stdout=asyncio.subprocess.PIPE,
            stderr=asyncio.subprocess.STDOUT,
        )


class _Client:
    """One machine's aria2c, which reads what to fetch from its gate."""

    def __init__(
        self,
        host: Host,
        process: asyncio.subprocess.Process,
        gate: Gate,
        metainfo: Path,
        output: Path,
    ) -> None:
        self.name = f"aria2c on host {host.number}"
        self.output = output
        self._process = process
        self._gate = gate
        self._metainfo = metainfo

    def go(self) -> None:
        self._gate.open(str(self._metainfo))

    async def done(self) -> float:
        await line_with(self._process, str(self.output), self.name)
        return asyncio.get_running_loop().time()

"""libtorrent 2 as a rival: one seeding peer on the origin, one on each machine, over TCP."""

from __future__ import annotations

import asyncio
import sys
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import ClassVar

import msgspec

from strew.lab.contender import Spread
from strew.lab.network import Bench, Host
from strew.lab.rivals import torrent_peer
from strew.lab.rivals.gate import Gate
from strew.lab.rivals.metainfo import describe
from strew.lab.rivals.programs import missing_module
from strew.lab.rivals.race import line_with, race
from strew.lab.rivals.torrent_peer import Done, Task
from strew.lab.terms import Terms

PORT = 6881

PIECE_BYTES = 64 << 10
"""Larger, and a peer waits longer until it may pass a piece on; smaller, and there are more
messages and more hashing than cores for them."""

ASKED_BLOCKS = 64
"""Requests of 16 KiB that a machine may have at all others together. More, and pieces wait at one
for a peer that asked seconds ago while others ask another for the same, and queues at the switch
overflow; fewer, and links idle."""

QUEUE_BLOCKS_MIN = 4
"""At each other peer. Fewer, and a peer that is scheduled late lets links idle."""

UNSHAPED_PIECE_BYTES = 1 << 20
UNSHAPED_QUEUE_BLOCKS = 200
"""Where cores are scarce and links are not, larger pieces and longer queues cost less of them."""

SETTINGS: Mapping[str, bool | int] = {
    # rarest first from the first piece on, and pieces shared among peers
    "initial_picker_threshold": 0,
    "whole_pieces_threshold": 0,
    # nobody is choked, everybody is called at once
    "unchoke_slots_limit": -1,
    "connections_limit": 500,
    "connection_speed": 500,
    "listen_queue_size": 200,
    "smooth_connects": False,
    "min_reconnect_time": 1,
}


@dataclass(frozen=True, slots=True)
class Tuning:
    """How all peers are set."""

    piece_bytes: int
    queue_blocks: int
    settings: Mapping[str, bool | int] = field(default_factory=lambda: SETTINGS)

    def all_settings(self) -> dict[str, bool | int]:
        """A peer goes by what the other says it allows as soon as it heard that, and no more by
        its own limit: both are needed."""
        return {
            "max_out_request_queue": self.queue_blocks,
            "max_allowed_in_request_queue": self.queue_blocks,
            **self.settings,
        }


def tuned(terms: Terms) -> Tuning:
    """Of all that was tried, what ends soonest."""
    if terms.rate_bytes_per_s is None:
        return Tuning(UNSHAPED_PIECE_BYTES, UNSHAPED_QUEUE_BLOCKS)
    return Tuning(PIECE_BYTES, max(QUEUE_BLOCKS_MIN, ASKED_BLOCKS // terms.nodes))


@dataclass(frozen=True, slots=True)
class Libtorrent:
    """See strew.lab.contender.Contender. Machines know each other's addresses from the start.
    Without a tuning it is the best known for the terms."""

    name: ClassVar[str] = "libtorrent"
    restarts: ClassVar[bool] = False
    tuning: Tuning | None = None

    def missing(self) -> str | None:
        """The package from PyPI."""
        return missing_module("libtorrent")

    async def run(self, bench: Bench, source: Path, size_bytes: int) -> Spread:
        """The clock starts when all peers listen, and they call each other."""
        tuning = self.tuning or tuned(bench.terms)
        torrent = await asyncio.to_thread(describe, source, tuning.piece_bytes)
        metainfo = bench.folder / "input.torrent"
        metainfo.write_bytes(torrent.raw)
        peers: list[_Peer] = []

        async def ready(host: Host) -> _Peer:
            copy = source if host is bench.origin else host.folder / "into" / source.name
            peer = await _started(bench, host, metainfo, copy, tuning)
            peers.append(peer)
            return peer

        origin = await ready(bench.origin)
        await origin.done()
        spread = await race(bench, torrent.pieces, ready)
        spread.duplicate_bytes = sum(peer.redundant_bytes for peer in peers)
        return spread


class _Peer:
    """One peer's process; the origin's has no gate."""

    def __init__(
        self, name: str, process: asyncio.subprocess.Process, gate: Gate | None, output: Path
    ) -> None:
        self._name = name
        self._process = process
        self._gate = gate
        self.output = output
        self.redundant_bytes = 0

    def go(self) -> None:
        assert self._gate is not None
        self._gate.open()

    async def done(self) -> float:
        line = await line_with(self._process, '"done"', self._name)
        done = msgspec.json.decode(line, type=Done)
        self.redundant_bytes = done.redundant_bytes
        return done.done_s


async def _started(bench: Bench, host: Host, metainfo: Path, copy: Path, tuning: Tuning) -> _Peer:
    """A peer that stands at its gate. It calls those of lower numbers: each pair is called once,
    and all of them listen."""
    copy.parent.mkdir(exist_ok=True)
    gate = Gate(host.folder / "gate") if host.number else None
    task = Task(
        torrent=str(metainfo),
        folder=str(copy.parent),
        host=host.address,
        port=PORT,
        gate=str(gate.path) if gate else "",
        seeds=not host.number,
        peers=[(other.address, PORT) for other in bench.hosts[: host.number]],
        settings=tuning.all_settings(),
    )
    process = await bench.spawn(
        host,
        [sys.executable, torrent_peer.__file__, msgspec.json.encode(task).decode()],
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.STDOUT,
    )
    name = f"libtorrent on host {host.number}"
    if gate is not None:
        await gate.awaited(process, name)
    return _Peer(name, process, gate, copy)

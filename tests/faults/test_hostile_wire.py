"""A member that breaks every rule of the peer wire, against a real node: it is hung up on, and the
node goes on serving everybody else."""

from __future__ import annotations

import asyncio
import random
import secrets
import struct
import zlib
from collections.abc import Awaitable, Callable, Iterator
from pathlib import Path

import msgspec
import pytest

from strew.codec import (
    CHUNK_HEADER_BYTES,
    CONTROL_FRAME_BYTES_MAX,
    PREFACE,
    TYPE_BREAK,
    TYPE_CHUNK,
    TYPE_HELLO,
    TYPE_PROOF,
    ChunkHeader,
    encode,
    encode_hello,
    frame,
    pack_chunk_header,
)
from strew.content.bitfield import Bitfield
from strew.content.manifest import Manifest
from strew.fleet import SECRET_BYTES, FleetKey
from strew.messages import PROTOCOL_VERSION, Have, Join, Nack, Request, Wire, swarm_key_of
from strew.transfer.port import PEER_CONNECTIONS_MAX
from tests.cli.processes import until
from tests.faults.wire import Link, WirePeer
from tests.machines import Fleet, Machine
from tests.members import make_file

pytestmark = [pytest.mark.faults, pytest.mark.timeout(60)]

SIZE_BYTES = 1_000_000

AT_ONCE_S = 3.0
"""For a node to hang up, on a busy machine; silence is another matter."""


class Table:
    """A node that has an artifact, and a way to call it."""

    def __init__(self, fleet: Fleet, machine: Machine, manifest: Manifest) -> None:
        self.fleet = fleet
        self.machine = machine
        self.manifest = manifest
        self.swarm = swarm_key_of(manifest.id)

    def with_link(self, course: Callable[[Link], Awaitable[None]]) -> str:
        """Link with the node as a new member, and do something there; the member's id."""

        async def run() -> str:
            peer = WirePeer(self.fleet.key, _nothing)
            link = await peer.dial("127.0.0.1", self.machine.port)
            try:
                await course(link)
            finally:
                link.close()
            return peer.id

        return asyncio.run(run())

    def join(self, have: Bitfield | None = None) -> Join:
        count = self.manifest.chunk_count
        bits = Bitfield(count) if have is None else have
        return Join(self.swarm, self.manifest.id, bits.to_wire(), count)

    def bans(self) -> set[str]:
        return {ban["id"] for ban in self.machine.api.json("node")["bans"]}

    def head(self, kind: int, index: int, offset: int, total: int, payload_bytes: int) -> bytes:
        """A chunk's header that says anything."""
        head = ChunkHeader(kind, self.swarm, index, offset, total, 0, 0, payload_bytes)
        return pack_chunk_header(head)

    def still_serves(self) -> None:
        """It answers, and gives its chunks to whoever asks as nodes do."""
        assert self.machine.api.bytes("/healthz") == b"ok\n"

        async def course(link: Link) -> None:
            link.tell(self.join())
            link.tell(Request(self.swarm, 0))
            async with asyncio.timeout(AT_ONCE_S):
                head = await link.data.reader.readexactly(CHUNK_HEADER_BYTES)
            assert head[4] == TYPE_CHUNK

        self.with_link(course)
        assert "Traceback" not in self.machine.running.errors


async def _nothing(link: Link) -> None:
    link.close()


@pytest.fixture(scope="module")
def table(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Table]:
    folder = tmp_path_factory.mktemp("fleet")
    with Fleet(folder) as fleet:
        machine = fleet.node("one")
        manifest = fleet.push(make_file(folder / "published/file", SIZE_BYTES), "app:1")
        machine.done(manifest.id, within_s=20.0)
        yield Table(fleet, machine, manifest)


# --- before the handshake has ended --------------------------------------------------------------


def _hello(version: int = PROTOCOL_VERSION, **fields: object) -> bytes:
    peer = WirePeer(FleetKey(bytes(SECRET_BYTES)), _nothing)
    hello = peer.hello("ab", "control", version)
    return encode_hello(msgspec.structs.replace(hello, **fields))


STRANGE = {
    "another version": frame(TYPE_HELLO, _hello(PROTOCOL_VERSION + 1)),
    "version 2^63": frame(TYPE_HELLO, _hello((1 << 63) - 1)),
    "an id that is no id": frame(TYPE_HELLO, _hello(node="../../etc/passwd")),
    "an unknown channel": frame(TYPE_HELLO, _hello(channel="shell")),
    "a port out of range": frame(TYPE_HELLO, _hello(port=70_000)),
    "a nonce of one byte": frame(TYPE_HELLO, _hello(nonce=b"x")),
    "a long zone": frame(TYPE_HELLO, _hello(zone="z" * 65)),
    "two hellos": frame(TYPE_HELLO, _hello()) * 2,
    "a proof of nothing": frame(TYPE_PROOF, bytes(32)),
    "a wrong proof": frame(TYPE_HELLO, _hello()) + frame(TYPE_PROOF, bytes(32)),
    "a proof of another length": frame(TYPE_HELLO, _hello()) + frame(TYPE_PROOF, b"x"),
    "a frame of 4 GiB": b"\xff\xff\xff\xff\x01" + bytes(4096),
    "a frame of no bytes": bytes(5),
    "a hello over the limit": frame(TYPE_HELLO, bytes(2000)),
    "rubbish": frame(TYPE_HELLO, random.Random(1).randbytes(500)),
    "a message": encode(Have(1, [1])),
}


@pytest.mark.parametrize("said", STRANGE)
def test_who_does_not_prove_itself_is_hung_up_on(table: Table, said: str) -> None:
    async def course() -> None:
        reader, writer = await asyncio.open_connection("127.0.0.1", table.machine.port)
        writer.write(PREFACE + STRANGE[said])
        try:
            async with asyncio.timeout(AT_ONCE_S):
                while await reader.read(4096):
                    pass
        except ConnectionResetError:
            pass
        finally:
            writer.close()

    asyncio.run(course())
    table.still_serves()


# --- a member's control connection ---------------------------------------------------------------


CONTROL = {
    "a frame of 4 GiB": b"\xff\xff\xff\xff\x12" + bytes(4096),
    "a frame over the limit": struct.pack("!IB", CONTROL_FRAME_BYTES_MAX + 1, 0x12),
    "a frame of no bytes": bytes(5),
    "a body that is no message": frame(0x10, b"\xc1" * 50),
    "a number where a list belongs": frame(0x12, msgspec.msgpack.encode([1, 2])),
    "a list nested without end": frame(0x12, b"\x91" * 100_000),
    "a swarm that is no number": frame(0x15, msgspec.msgpack.encode(["x", 1])),
    "an index that is no number": frame(0x15, msgspec.msgpack.encode([1, "x"])),
}


@pytest.mark.parametrize("said", CONTROL)
def test_a_member_that_breaks_the_framing_is_banned(table: Table, said: str) -> None:
    async def course(link: Link) -> None:
        link.control.write(CONTROL[said])
        await link.control.ends(AT_ONCE_S)

    assert table.with_link(course) in table.bans()
    table.still_serves()


def test_a_have_of_chunks_that_are_not_is_a_lie(table: Table) -> None:
    async def course(link: Link) -> None:
        link.tell(table.join())
        link.tell(Have(table.swarm, [table.manifest.chunk_count]))
        await link.control.ends(AT_ONCE_S)

    assert table.with_link(course) in table.bans()
    table.still_serves()


def test_a_bitfield_that_inflates_without_end_is_a_lie(table: Table) -> None:
    async def course(link: Link) -> None:
        bomb = b"\x03" + zlib.compress(bytes(64 << 20), 9)
        count = table.manifest.chunk_count
        link.tell(Join(table.swarm, table.manifest.id, bomb, count))
        await link.control.ends(AT_ONCE_S)

    assert table.with_link(course) in table.bans()
    table.still_serves()


def test_what_is_unknown_is_skipped_and_what_is_not_here_refused(table: Table) -> None:
    heard: list[Wire] = []

    async def course(link: Link) -> None:
        link.control.write(frame(0x7F, random.Random(2).randbytes(1000)))  # of a later version
        link.tell(Join(77, table.manifest.id, b"\x00", 5))  # a swarm that is not here
        link.tell(table.join())
        for index in (-1, table.manifest.chunk_count, 1 << 40):
            link.tell(Request(table.swarm, index))
        listening = asyncio.ensure_future(link.messages(heard.append))
        async with asyncio.timeout(AT_ONCE_S):
            while sum(isinstance(message, Nack) for message in heard) < 3:
                await asyncio.sleep(0.01)
        listening.cancel()

    assert table.with_link(course) not in table.bans()
    table.still_serves()


# --- a member's data connection ------------------------------------------------------------------


def _slices(table: Table) -> dict[str, bytes]:
    length = table.manifest.lengths[0]
    head = table.head
    return {
        "a slice of 4 GiB": b"\xff" * CHUNK_HEADER_BYTES,
        "a message": encode(Have(table.swarm, list(range(50)))),
        "a chunk shorter than it is": head(TYPE_CHUNK, 0, 0, length - 1, 100) + bytes(100),
        "a chunk longer than it is": head(TYPE_CHUNK, 0, 0, length + 1, 100) + bytes(100),
        "a chunk that is not": head(TYPE_CHUNK, 1 << 20, 0, length, 100) + bytes(100),
        "the middle of a chunk": head(TYPE_CHUNK, 0, 100, length, 100) + bytes(100),
        "a chunk begun twice": (head(TYPE_CHUNK, 0, 0, length, 100) + bytes(100)) * 2,
        "the end of no chunk": head(TYPE_BREAK, 0, 0, length, 0),
        "two chunks at once": head(TYPE_CHUNK, 0, 0, length, 9)
        + bytes(9)
        + head(TYPE_CHUNK, 1, 0, table.manifest.lengths[1], 9)
        + bytes(9),
    }


@pytest.mark.parametrize("number", range(9))
def test_a_member_that_breaks_the_order_of_chunks_is_banned(table: Table, number: int) -> None:
    what, said = list(_slices(table).items())[number]

    async def course(link: Link) -> None:
        link.tell(table.join(Bitfield.full(table.manifest.chunk_count)))
        link.data.write(said)
        await link.data.ends(AT_ONCE_S)

    assert table.with_link(course) in table.bans(), what
    table.still_serves()


def test_chunks_nobody_asked_for_are_read_off_and_end_the_link_in_the_end(table: Table) -> None:
    """Of one that is here already; 257 are too many."""
    length = min(table.manifest.lengths)
    index = table.manifest.lengths.index(length)

    async def course(link: Link) -> None:
        link.tell(table.join(Bitfield.full(table.manifest.chunk_count)))
        await asyncio.sleep(0.2)  # else the first chunks come before the Join, and do not count
        for _ in range(300):
            link.data.write(table.head(TYPE_CHUNK, index, 0, length, length) + bytes(length))
        await link.data.ends(10 * AT_ONCE_S)

    before = table.machine.api.metric("strew_chunk_verify_failures_total")
    assert table.with_link(course) in table.bans()
    assert table.machine.api.metric("strew_chunk_verify_failures_total") == before
    table.still_serves()


def test_half_a_frame_and_half_a_chunk_then_silence_hold_nobody_up(
    table: Table, tmp_path: Path
) -> None:
    """A member claims a new artifact, begins a chunk of it and a message, and says no more."""

    async def course(link: Link) -> None:
        link.control.write(struct.pack("!IB", 1000, 0x12) + b"half")
        link.data.write(table.head(TYPE_CHUNK, 0, 0, table.manifest.lengths[0], 1000) + b"half")
        file = make_file(tmp_path / "file", SIZE_BYTES, seed=secrets.randbelow(1 << 30))
        push = asyncio.to_thread(table.fleet.push, file, "app:2")
        manifest = await push
        await asyncio.to_thread(table.machine.done, manifest.id, within_s=15.0)
        table.manifest, table.swarm = manifest, swarm_key_of(manifest.id)

    table.with_link(course)
    table.still_serves()


def test_one_member_has_no_more_than_its_connections(table: Table) -> None:
    async def course() -> int:
        peer = WirePeer(table.fleet.key, _nothing)
        kept = [
            await peer.dial_one("127.0.0.1", table.machine.port, f"{session:x}", "control")
            for session in range(2 * PEER_CONNECTIONS_MAX)
        ]
        await asyncio.sleep(0.2)
        ended = [asyncio.ensure_future(each.ends(AT_ONCE_S)) for each in kept]
        done, waiting = await asyncio.wait(ended, timeout=1.0)
        for task in waiting:
            task.cancel()
        for each in kept:
            each.close()
        assert done
        return len(waiting)

    assert asyncio.run(course()) < PEER_CONNECTIONS_MAX
    table.still_serves()
    until(lambda: table.machine.is_up(), "it to be up")

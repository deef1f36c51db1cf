"""Peers that lie: they announce like nodes, claim to have everything, and then do each harm that a
machine with the fleet's key can do over the wire.

They live in a thread of the test, on real sockets. A liar that is cut off comes back at once, again
and again: it is for the nodes to stop dealing with it.
"""

from __future__ import annotations

import asyncio
import contextlib
import random
import threading
from collections import Counter
from collections.abc import Awaitable, Callable, Sequence
from functools import partial

import aiohttp

from strew.announce.protocol import Announce, Holding
from strew.codec import SLICE_BYTES_MAX, TYPE_CHUNK, ChunkHeader, pack_chunk_header
from strew.content.bitfield import Bitfield
from strew.content.manifest import Manifest
from strew.content.reference import Address
from strew.errors import StrewError
from strew.fleet import FleetKey
from strew.messages import (
    BadChunk,
    Have,
    Join,
    Nack,
    Offer,
    Passed,
    Renew,
    Request,
    Role,
    Wire,
    swarm_key_of,
)
from strew.tracker.client import TrackerClient
from tests.faults.wire import Link, WirePeer

OFFER_EVERY_S = 0.1
"""Honest nodes offer less often; a liar that waited longer would do less harm."""

BACK_AFTER_S = 0.5
"""It dials whoever cut it off again so soon."""

AHEAD_BYTES_MAX = 4 << 20
"""It keeps so much on its way to one victim: without end, and not all at once."""


class Liar:
    """One that claims all chunks. Each kind of lie is a class of its own below."""

    fetches = False
    """It says that it lacks everything, so that chunks are pushed to it."""

    def __init__(self, key: FleetKey, tracker: Address, manifest: Manifest, seed: int) -> None:
        self.dice = random.Random(seed)
        self.manifest = manifest
        self.swarm = swarm_key_of(manifest.id)
        self.peer = WirePeer(key, self._linked)
        self.bad: Counter[str] = Counter()
        """By victim: its complaints of a wrong digest."""
        self.links = 0
        self.asked = 0
        self._key = key
        self._tracker = tracker
        self._linked_to: set[str] = set()

    async def live(self) -> None:
        """Announce, and dial whoever is named, for ever."""
        await self.peer.listen()
        async with aiohttp.ClientSession() as session:
            client = TrackerClient(session, self._tracker, self._key)
            while True:
                with contextlib.suppress(StrewError):
                    handout = await client.announce(self._told())
                    for peer in handout.peers.get(self.manifest.id, ()):
                        self.peer.spawn(self._haunt(peer.id, peer.host, peer.port))
                await asyncio.sleep(5.0)

    def _told(self) -> Announce:
        count = self.manifest.chunk_count
        holding = Holding(
            artifact=self.manifest.id,
            have_chunks=0 if self.fetches else count,
            chunk_count=count,
            state="fetching" if self.fetches else "seeding",
        )
        return Announce(
            node=self.peer.id,
            port=self.peer.port,
            holdings=(holding,),
            wants=(self.manifest.id,),
        )

    async def _haunt(self, node: str, host: str, port: int) -> None:
        """Be linked with this node whenever it lets one in."""
        while True:
            if node not in self._linked_to:
                with contextlib.suppress(OSError, StrewError, TimeoutError):
                    await self._linked(await self.peer.dial(host, port))
            await asyncio.sleep(BACK_AFTER_S)

    async def _linked(self, link: Link) -> None:
        self.links += 1
        self._linked_to.add(link.peer)
        tasks = [
            asyncio.ensure_future(course)
            for course in (
                link.messages(partial(self._heard, link)),
                link.data.ends(3600.0),
                self.harass(link),
            )
        ]
        try:
            link.tell(self.join())
            await asyncio.wait(tasks[:2], return_when=asyncio.FIRST_COMPLETED)
        finally:
            self._linked_to.discard(link.peer)
            for task in tasks:
                task.cancel()
            await asyncio.gather(*tasks, return_exceptions=True)
            link.close()

    def _heard(self, link: Link, message: Wire) -> None:
        match message:
            case Request() | Renew():
                self.asked += 1
                self.asked_for(link, message.index)
            case BadChunk():
                self.bad[link.peer] += 1

    def garbage(self, index: int) -> bytes:
        """As long as the chunk, and not the chunk."""
        return self.dice.randbytes(self.manifest.lengths[index])

    def send_wrong(self, link: Link, index: int, role: Role) -> None:
        """A chunk that is as long as it should be."""
        data = self.garbage(index)
        for at in range(0, len(data), SLICE_BYTES_MAX):
            piece = data[at : at + SLICE_BYTES_MAX]
            link.send_slice(self.swarm, index, piece, total=len(data), offset=at, role=role)

    # --- what kinds differ in --------------------------------------------------------------------

    def join(self) -> Join:
        count = self.manifest.chunk_count
        have = Bitfield(count) if self.fetches else Bitfield.full(count)
        return Join(self.swarm, self.manifest.id, have.to_wire(), count)

    async def harass(self, link: Link) -> None:
        """What it does unasked: offer."""
        while True:
            link.tell(Offer(self.swarm))
            await asyncio.sleep(OFFER_EVERY_S)

    def asked_for(self, link: Link, index: int) -> None:
        """What it does when a chunk is asked of it: nothing."""


class Wrong(Liar):
    """Sends bytes that are not the chunk."""

    def asked_for(self, link: Link, index: int) -> None:
        self.send_wrong(link, index, Role.SERVED)


class Short(Liar):
    """Says that the chunk is shorter than it is."""

    def asked_for(self, link: Link, index: int) -> None:
        data = self.garbage(index)[1:]
        piece = data[:SLICE_BYTES_MAX]
        link.send_slice(self.swarm, index, piece, total=len(data))


class Long(Liar):
    """Says that the chunk is longer than it is."""

    def asked_for(self, link: Link, index: int) -> None:
        data = self.garbage(index) + b"x"
        piece = data[:SLICE_BYTES_MAX]
        link.send_slice(self.swarm, index, piece, total=len(data))


class Endless(Liar):
    """Begins a chunk again and again, and never comes to its end."""

    async def harass(self, link: Link) -> None:
        link.tell(Offer(self.swarm))
        await asyncio.sleep(OFFER_EVERY_S)
        while True:
            if link.data.writer.transport.get_write_buffer_size() > AHEAD_BYTES_MAX:
                await asyncio.sleep(OFFER_EVERY_S)
                continue
            index = self.dice.randrange(self.manifest.chunk_count)
            total = self.manifest.lengths[index]
            piece = self.garbage(index)[: min(total - 1, SLICE_BYTES_MAX)]
            link.send_slice(self.swarm, index, piece, total=total)
            await asyncio.sleep(0)


class Mute(Liar):
    """Offers, and sends nothing that it is asked for."""


class Silent(Liar):
    """Claims everything and offers nothing."""

    async def harass(self, link: Link) -> None:
        return


class Refusing(Liar):
    """Offers, and refuses what it is asked for."""

    def asked_for(self, link: Link, index: int) -> None:
        link.tell(Nack(self.swarm, index))


class Garbled(Liar):
    """Says with a bitfield that cannot be read what it has."""

    def join(self) -> Join:
        count = self.manifest.chunk_count
        have = bytes([self.dice.choice((2, 3, 9))]) + self.dice.randbytes(count // 4 + 3)
        return Join(self.swarm, self.manifest.id, have, count)


class Pusher(Liar):
    """Pushes, unasked, bytes that are not the chunk, as if it were the origin."""

    async def harass(self, link: Link) -> None:
        while True:
            if link.data.writer.transport.get_write_buffer_size() < AHEAD_BYTES_MAX:
                role = self.dice.choice((Role.OWNED, Role.COPIED, Role.SERVED))
                self.send_wrong(link, self.dice.randrange(self.manifest.chunk_count), role)
            await asyncio.sleep(OFFER_EVERY_S)


class Traitor(Liar):
    """Stands in the origin's plan, takes what is pushed to it, says that it passed everything on,
    and sends the others something else."""

    fetches = True

    async def harass(self, link: Link) -> None:
        count = self.manifest.chunk_count
        indexes = list(range(count))
        self.dice.shuffle(indexes)
        for index in indexes:
            link.tell(Have(self.swarm, [index]))
            link.tell(Passed(self.swarm, list(range(count))))
            if link.data.writer.transport.get_write_buffer_size() < AHEAD_BYTES_MAX:
                self.send_wrong(link, index, Role.COPIED)
            await asyncio.sleep(OFFER_EVERY_S)


class Drip(Liar):
    """Sends what it is asked for, a byte a second."""

    def __init__(self, key: FleetKey, tracker: Address, manifest: Manifest, seed: int) -> None:
        super().__init__(key, tracker, manifest, seed)
        self._asked_s: dict[tuple[str, int], float] = {}
        self._came_s: dict[tuple[str, int], float] = {}

    def elsewhere_after_s(self) -> list[float]:
        """For each chunk that was asked for, after how long the asker had it from another."""
        asked = self._asked_s.items()
        return [self._came_s[of] - asked_s for of, asked_s in asked if of in self._came_s]

    def asked_for(self, link: Link, index: int) -> None:
        self._asked_s.setdefault((link.peer, index), asyncio.get_running_loop().time())
        self.peer.spawn(self._drip(link, index))

    async def _drip(self, link: Link, index: int) -> None:
        data = self.garbage(index)[:SLICE_BYTES_MAX]
        head = ChunkHeader(TYPE_CHUNK, self.swarm, index, 0, self.manifest.lengths[index], 0, 0, 1)
        head = head._replace(slice_bytes=len(data))
        link.data.write(pack_chunk_header(head))
        while not link.data.writer.is_closing():
            link.data.write(data[:1])
            await asyncio.sleep(1.0)

    def _heard(self, link: Link, message: Wire) -> None:
        super()._heard(link, message)
        if isinstance(message, Have):
            for index in message.indexes:
                self._came_s.setdefault((link.peer, index), asyncio.get_running_loop().time())


KINDS: dict[str, type[Liar]] = {
    "wrong bytes": Wrong,
    "short chunks": Short,
    "long chunks": Long,
    "endless chunks": Endless,
    "offers and serves none": Mute,
    "claims all and offers none": Silent,
    "offers and refuses": Refusing,
    "garbage bitfields": Garbled,
    "pushes wrong bytes": Pusher,
    "passes on wrong bytes": Traitor,
}


class Liars:
    """Some liars that live beside the test. A context."""

    def __init__(self, liars: Sequence[Liar]) -> None:
        self.liars = liars
        self._loop = asyncio.new_event_loop()
        self._thread = threading.Thread(target=self._loop.run_forever)
        self._tasks: list[asyncio.Task[None]] = []

    def __enter__(self) -> Liars:
        self._thread.start()
        self._call(self._start)
        return self

    def __exit__(self, *_: object) -> None:
        self._call(self._end)
        self._loop.call_soon_threadsafe(self._loop.stop)
        self._thread.join()
        self._loop.close()

    def _call(self, what: Callable[[], Awaitable[None]]) -> None:
        async def run() -> None:
            await what()

        asyncio.run_coroutine_threadsafe(run(), self._loop).result(20.0)

    async def _start(self) -> None:
        self._tasks = [asyncio.ensure_future(liar.live()) for liar in self.liars]

    async def _end(self) -> None:
        for task in self._tasks:
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)
        for liar in self.liars:
            await liar.peer.close()

"""Agent: executes a Node's actions with asyncio and returns their events; re-arms one timer.

No decision about peers or chunks is taken here. The agent owns the port, the store thread and the
conversations with trackers; a transfer's life (manifest, store, finish) is its own little script.
"""

from __future__ import annotations

import asyncio
import random
import secrets
import time
from collections import deque
from collections.abc import Callable
from functools import partial
from typing import Any

import aiohttp
import structlog

from strew.agent import lag
from strew.agent.arrivals import Arrivals
from strew.agent.client import HOST_HEADER
from strew.agent.fetches import Fetches
from strew.agent.gossiping import Gossiping, own_host
from strew.agent.metrics import AgentMetrics, ban_of
from strew.agent.remembering import Memory
from strew.agent.sampling import Sampler
from strew.agent.securing import Security, Tls
from strew.agent.settings import Settings
from strew.agent.storing import StoreThread
from strew.agent.telemetering import Telemetering
from strew.agent.tracing import tracing_of
from strew.agent.trackers import Trackers
from strew.agent.transfer import Transfer
from strew.agent.trusting import Trusting
from strew.announce.announcer import SendAnnounce
from strew.codec import TYPE_CHUNK, ChunkHeader
from strew.content.digest import ArtifactId
from strew.content.manifest import Manifest
from strew.content.reference import Address
from strew.errors import ConfigurationError, NotFoundError, StrewError
from strew.fleet import FleetKey
from strew.gossip.exchange import AnswerExchange, Exchange
from strew.messages import (
    Action,
    CancelSend,
    ChunkNotSent,
    ChunkRotten,
    ChunkSent,
    Completed,
    Dial,
    DialDone,
    DialFailed,
    Discard,
    Disconnect,
    Event,
    Guilt,
    Leaving,
    LinkLost,
    LinkUp,
    MessageReceived,
    PeerId,
    Recheck,
    Retiring,
    Send,
    SendChunk,
    SendDatagram,
    Tick,
    Wire,
    swarm_key_of,
)
from strew.node import Node, Obtain, TrustChanged
from strew.store.store import ChunkStore
from strew.tracker.service import Tracker
from strew.transfer.limits import Buckets
from strew.transfer.peer import PeerLink
from strew.transfer.port import HttpFactory, Identity, Port
from strew.transfer.receiving import SliceBuffer
from strew.transfer.reception import (
    STRANGERS_MAX,
    STRANGERS_PER_HOST_MAX,
    STRANGERS_TRACKER_MAX,
    Reception,
)

HAND_OVER_MAX_S = 15.0
"""How long a node that was told to end goes on for the sake of chunks that only it has. Lower: more
of them are lost until it is back; higher: a service manager that stops it waits for longer (systemd
kills after 90 s)."""

HAND_OVER_LOOK_S = 0.05

PORT_TRIES = 16
"""Ports tried where any will do: that of a number free for TCP may be taken for UDP."""

_log = structlog.get_logger(__name__)


class Agent:
    """One node as a program. Create it inside a running event loop, then `start`, later `stop`."""

    def __init__(
        self,
        settings: Settings,
        store: ChunkStore,
        key: FleetKey,
        *,
        peer: PeerId | None = None,
        trackers: tuple[tuple[str, int], ...] = (),
        announces: bool = True,
        seeds: tuple[Address, ...] | None = None,
        is_member: bool = True,
        trusting: Trusting,
        on_obtain: Callable[[Obtain], None] | None = None,
        on_trust: Callable[[], None] | None = None,
        on_transfer: Callable[[Transfer], None] | None = None,
    ) -> None:
        loop = self._loop = asyncio.get_running_loop()
        self.settings = settings
        self.security = Security.of(settings)
        if self.security is not None:
            peer = self.security.certified.peer_id()
        self.store = store
        self.key = key
        self.identity = Identity(peer or PeerId(secrets.token_hex(16)), settings.zone)
        self.manifests: dict[int, Manifest] = {}
        self.storing = StoreThread(loop)
        self.fetches = Fetches(self, store, on_transfer or (lambda transfer: None))
        self._arrivals = Arrivals(self, store)
        self.metrics = AgentMetrics(self)
        self.tracing = tracing_of(settings, self.identity.node)
        self.trusting = trusting
        trusting.on_refusal = self.metrics.name_refused
        up, down = settings.rate_up_bytes_per_s, settings.rate_down_bytes_per_s
        self.buckets = Buckets.limited(up, down, loop.time)
        self.port = Port(self.identity, key, self, self.buckets, self.security)
        self.session: aiohttp.ClientSession | None = None
        self.gossiping: Gossiping | None = None
        if seeds is not None:
            self.gossiping = Gossiping(self, seeds, dht_open=settings.dht_open)
        self._is_member = is_member
        self.memory: Memory | None = None
        if seeds is not None and is_member:
            self.memory = Memory(self, settings.data_folder)
        self.trackers = Trackers(self, trackers, announces)
        self.sampler = Sampler(self)
        self._telemetering = Telemetering(self)
        self._on_obtain = on_obtain
        self._on_trust = on_trust
        self._events: deque[Event] = deque()
        self._running = False
        self._timer: asyncio.TimerHandle | None = None
        self._timer_s: float | None = None
        self._tasks: set[asyncio.Task[Any]] = set()
        self._stopping = False
        self.node: Node | None = None
        self._execute: dict[type, Callable[[Any], None]] = {
            Send: self._send,
            SendChunk: self._send_chunk,
            CancelSend: self._cancel_send,
            Discard: lambda action: None,
            Dial: self._dial,
            Disconnect: self._disconnect,
            Completed: self._completed,
            Recheck: self._recheck,
            SendAnnounce: self.trackers.announce,
            Obtain: self._obtain,
        }
        if self.gossiping is not None:
            self._execute |= {
                SendDatagram: self.gossiping.send,
                Exchange: self.gossiping.exchange,
                AnswerExchange: self.gossiping.answer,
            }

    # --- life ------------------------------------------------------------------------------------

    async def start(self, http: HttpFactory, *, tracker: Tracker | None = None) -> None:
        """Open the port, take up what the store holds, join the fleet.

        With `tracker` this process is that tracker as well, on the same port, and its node
        announces there. Raises ConfigurationError if the address cannot be had.
        """
        self.session = aiohttp.ClientSession(headers=HOST_HEADER)
        host, port = self.settings.listen
        if tracker is None:
            reception = Reception(STRANGERS_MAX, STRANGERS_PER_HOST_MAX)
        else:
            reception = Reception(STRANGERS_TRACKER_MAX)
        await self._listen(host, port, http, reception)
        seeds = await self.gossiping.addresses() if self.gossiping is not None else None
        if tracker is not None:
            self.trackers.add((host, self.port.port))
            tracker.adopt(self.identity.node)
        self.node = Node(
            self.identity.node,
            random.Random(secrets.randbits(64)),
            self._loop.time(),
            zone=self.settings.zone,
            port=self.port.port,
            host="" if host in ("0.0.0.0", "::") else host,
            follows=self.settings.follow,
            trackers=self.trackers.names,
            slots=self.settings.upload_slots,
            credit=self.settings.download_credit,
            stall_s=self.settings.chunk_stall_s,
            neighbours=self.settings.neighbours,
            limited=tracker is None,
            seeds=seeds,
            is_member=self._is_member,
            reached_at=own_host(self.settings.listen, seeds or ()),
            incarnation=int(time.time() * 1000),
            admits=self.trusting.admits,
        )
        for stored in self.store.artifacts():
            if stored.state == "complete":
                self.fetches.take_up(stored)
        self.carry_out(self.node.join_fleet(self._loop.time()))
        if self.memory is not None:
            self.memory.recall()
            self.spawn(self.memory.keep())
        self.spawn(self.trusting.watch(self._trust_changed))
        self.spawn(lag.watch(self.metrics.lagged))
        self.trackers.start()
        if self.trackers.names:
            self.spawn(self._telemetering.keep())
        if self.security is not None:
            self.spawn(self.security.keep(self.trackers.certificate))

    async def _listen(self, host: str, port: int, http: HttpFactory, reception: Reception) -> None:
        """Take the port, and the UDP port of the same number: where any will do, one that has
        both free."""
        for attempt in range(PORT_TRIES):
            await self.port.listen(host, port, http, reception=reception)
            if self.gossiping is None:
                return
            try:
                await self.gossiping.port.listen(host, self.port.port)
                return
            except ConfigurationError:
                await self.port.close()
                if port or attempt == PORT_TRIES - 1:
                    raise

    async def hand_over(self) -> int:
        """To be called before `stop` by a process that leaves of its own accord: others get what
        only this node has, as far as that goes in a bounded time. How many chunks are left."""
        assert self.node is not None
        self.tell(Retiring())
        end_s = self.now() + HAND_OVER_MAX_S
        while self.node.owed and self.now() < end_s:
            await asyncio.sleep(HAND_OVER_LOOK_S)
        return self.node.owed

    async def stop(self) -> None:
        """Say goodbye, end transfers where they are (they can be resumed), close everything."""
        if self._stopping:
            return
        self._stopping = True
        await self._telemetering.farewell()
        self.sampler.stop()
        if self.node is not None:
            self.tell(Leaving())
        if self.memory is not None:
            await asyncio.to_thread(self.memory.save)
        await self.trackers.stop()
        for task in list(self._tasks):
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)
        if self._timer is not None:
            self._timer.cancel()
        await self.port.close()
        if self.gossiping is not None:
            self.gossiping.port.close()
        await asyncio.to_thread(self.storing.stop)
        if self.tracing is not None:
            await asyncio.to_thread(self.tracing.close)
        if self.session is not None:
            await self.session.close()

    @property
    def address(self) -> tuple[str, int]:
        return self.settings.listen[0], self.port.port

    @property
    def tls_named(self) -> Tls | None:
        """How to reach an address a person wrote; None in the clear."""
        return self.security.for_named if self.security is not None else None

    @property
    def tls_met(self) -> Tls | None:
        """How to reach an address that other machines told."""
        return self.security.for_met if self.security is not None else None

    def snapshot(self) -> dict[str, Any]:
        assert self.node is not None
        facts = self.node.snapshot(self._loop.time())
        return facts | {"dht_open": self.settings.dht_open}

    def traffic(self, artifact: ArtifactId) -> dict[str, int]:
        """Chunks and payload of one artifact here, as its swarm counts them."""
        assert self.node is not None
        part = self.node.participations.get(swarm_key_of(artifact))
        if part is None:
            return {}
        have = part.swarm.have
        return {
            "have_chunks": have.count,
            "chunk_count": have.size,
            "neighbours": len(part.swarm.neighbours),
            **part.swarm.traffic(),
        }

    def reason(self, artifact: ArtifactId) -> str:
        """Why an artifact that is being fetched does not get on; empty while it does."""
        assert self.node is not None
        part = self.node.participations.get(swarm_key_of(artifact))
        return part.reason if part is not None else ""

    def now(self) -> float:
        """The clock of all times in transfers."""
        return self._loop.time()

    def spawn(self, coroutine: Any) -> asyncio.Task[None]:
        """A task that ends with the agent."""
        task: asyncio.Task[None] = self._loop.create_task(coroutine)
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)
        return task

    # --- the node's door -------------------------------------------------------------------------

    def tell(self, event: Event) -> None:
        """Hand an event to the node and carry out what it wants, one event at a time."""
        self._events.append(event)
        self._drain()

    def _drain(self) -> None:
        if self._running or self.node is None:
            return
        self._running = True
        try:
            while self._events:
                now = self._loop.time()
                for action in self.node.handle(self._events.popleft(), now):
                    self._execute[type(action)](action)
        finally:
            self._running = False
        self._arm()

    def carry_out(self, actions: list[Action]) -> None:
        """Do what the node wants; what that leads to at once is told to it."""
        for action in actions:
            self._execute[type(action)](action)
        self._drain()

    def _arm(self) -> None:
        assert self.node is not None
        due_s = self.node.deadline()
        if due_s == self._timer_s:
            return
        if self._timer is not None:
            self._timer.cancel()
        self._timer_s = due_s
        self._timer = None
        if due_s is not None and not self._stopping:
            self._timer = self._loop.call_at(due_s, self._ring)

    def _ring(self) -> None:
        self._timer = None
        self._timer_s = None
        self.tell(Tick())

    # --- actions ---------------------------------------------------------------------------------

    def _send(self, action: Send) -> None:
        link = self.port.links.get(action.peer)
        if link is not None:
            link.send(action.message)

    def _send_chunk(self, action: SendChunk) -> None:
        link = self.port.links.get(action.peer)
        manifest = self.manifests.get(action.swarm)
        if link is None or manifest is None:
            self._events.append(ChunkNotSent(action.peer, action.swarm, action.index))
            return
        header = ChunkHeader(
            TYPE_CHUNK,
            action.swarm,
            action.index,
            0,
            manifest.lengths[action.index],
            action.role,
            action.plan,
            0,
        )
        link.send_chunk(header, partial(self.store.reader, manifest.id, action.index))

    def _cancel_send(self, action: CancelSend) -> None:
        link = self.port.links.get(action.peer)
        if link is not None:
            link.cancel_chunk(action.swarm, action.index)

    def _dial(self, action: Dial) -> None:
        self.spawn(self._dial_out(action.host, action.port))

    async def _dial_out(self, host: str, port: int) -> None:
        try:
            link = await self.port.dial(host, port)
        except StrewError as error:
            self.tell(DialFailed(host, port, error.message))
        else:
            self.tell(DialDone(host, port, link.peer))

    def _disconnect(self, action: Disconnect) -> None:
        link = self.port.links.get(action.peer)
        if link is not None:
            ban = ban_of(action.reason)
            if ban is not None:
                self.metrics.banned(ban)
            if action.reason != "idle":
                self.sampler.diary.note(f"{link.host} dropped: {action.reason}")
            link.lose(action.reason)

    def _completed(self, action: Completed) -> None:
        manifest = self.manifests[action.swarm]
        transfer = self.fetches.transfers.get(manifest.id)
        if transfer is not None:
            transfer.completed.set()

    def _recheck(self, action: Recheck) -> None:
        manifest = self.manifests.get(action.swarm)
        if manifest is None:
            return

        def done(good: Any, error: BaseException | None) -> None:
            if isinstance(error, NotFoundError):
                return  # dropped, or replaced by a newer version
            if error is not None or not good:
                _log.warning("stored chunk is damaged", artifact=manifest.id, index=action.index)
                self.metrics.verify_failures.inc()
                self.tell(ChunkRotten(action.swarm, action.index))
                self.fetches.doubt(manifest)

        self.storing.submit(partial(self.store.recheck, manifest.id, action.index), done)

    def _trust_changed(self) -> None:
        """Other keys are trusted from now on: what is fetched by names of the others is left."""
        if self._on_trust is not None:
            self._on_trust()
        self.tell(TrustChanged())

    def _obtain(self, action: Obtain) -> None:
        if self._on_obtain is not None:
            self._on_obtain(action)

    # --- links (LinkOwner) -----------------------------------------------------------------------

    def link_up(self, link: PeerLink) -> None:
        self.sampler.wake()
        self.tell(LinkUp(link.peer, link.host, link.port, link.zone, link.dialled))

    def link_lost(self, link: PeerLink, reason: str, guilt: Guilt) -> None:
        self.sampler.links.gone(link)
        if self._arrivals.give_up(link.peer):
            self.sampler.diary.note(f"{link.host} lost in mid-chunk: {reason}")
        if guilt is Guilt.BREACH:
            self.metrics.banned("breach")
            _log.warning("peer breaks the protocol", peer=link.peer, host=link.host, reason=reason)
        self.tell(LinkLost(link.peer, reason, guilt))

    def message_came(self, link: PeerLink, message: Wire) -> None:
        self.tell(MessageReceived(link.peer, message))

    def chunk_begins(self, link: PeerLink, header: ChunkHeader) -> bool:
        return self._arrivals.begins(link, header)

    def slice_came(self, link: PeerLink, header: ChunkHeader, buffer: SliceBuffer) -> None:
        self._arrivals.slice_came(link, header, buffer)

    def chunk_broken(self, link: PeerLink, header: ChunkHeader) -> None:
        self._arrivals.broken(link, header)

    def chunk_sent(self, link: PeerLink, header: ChunkHeader, done: bool) -> None:
        if done:
            self.metrics.sent_bytes.inc(header.total)
            if header.swarm in self.manifests:
                self.sampler.chunk_sent(self.manifests[header.swarm].id, header.total)
            self.tell(ChunkSent(link.peer, header.swarm, header.chunk))
            return
        self.tell(ChunkNotSent(link.peer, header.swarm, header.chunk))
        manifest = self.manifests.get(header.swarm)
        try:
            if manifest is None or header.chunk in self.store.bitfield(manifest.id):
                return  # it was cancelled
        except NotFoundError:
            return
        self._recheck(Recheck(header.swarm, header.chunk))

"""SimPeer: executes a node's actions in the virtual network, as an agent does in the real one.

The node is the real one. What is modelled here is what stands between its decisions and their
effect: connections, what waits in a sender's kernel, the time to verify and store.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable
from typing import TYPE_CHECKING, Any

from strew.announce.announcer import SendAnnounce
from strew.gossip.exchange import AnswerExchange, Exchange
from strew.messages import (
    Action,
    CancelSend,
    ChunkArriving,
    ChunkCorrupt,
    ChunkNotSent,
    ChunkSent,
    ChunkStored,
    Completed,
    Dial,
    DialDone,
    DialFailed,
    Discard,
    Disconnect,
    Event,
    Have,
    Join,
    LinkLost,
    LinkUp,
    MessageReceived,
    PeerId,
    Plan,
    Recheck,
    Send,
    SendChunk,
    SendDatagram,
    Tick,
)
from strew.node import Node, Obtain
from strew.sim.network import Flow, Host

if TYPE_CHECKING:
    from strew.sim.fleet import Fleet

DIAL_ROUND_TRIPS = 2.5
"""Connection, greeting and proof, both connections of a pair side by side."""

HANDSHAKE_S = 0.002
"""Two processes' work for a link: HMAC proofs, sockets, their tasks (measured on loopback)."""

PROCESS_S = 0.0002
"""A turn of a node's event loop: decoding a message and deciding on it."""

VERIFY_BYTES_PER_S = 1.5e9
SLICE_BYTES = 512 << 10
"""BLAKE3 and the write into the page cache; slices are verified while the next ones arrive."""

DIAL_GIVEN_UP_S = 5.0
LOST_AFTER_S = 20.0
"""A machine that is gone, not merely its process, is noticed by TCP_USER_TIMEOUT."""

MESSAGE_BYTES = 24
FRAME_BYTES_MAX = 16 << 10
"""Longer messages compete with payload for the link as flows of their own."""

# kinds of trace records
STORED, SENT, LINKED, LOST, DONE = 1, 2, 3, 4, 5


class Link:
    """One end of a link between two peers: what this end sends."""

    __slots__ = ("control_s", "far", "flow", "handing", "kernel", "peer", "queue", "twin", "up")

    def __init__(self, peer: SimPeer, far: SimPeer) -> None:
        self.peer = peer
        self.far = far
        self.twin: Link
        self.queue: deque[SendChunk] = deque()
        self.handing = False
        self.kernel: deque[SendChunk] = deque()
        self.flow: Flow | None = None
        self.control_s = 0.0
        self.up = True


class SimPeer:
    """One machine: the real node and its hands. `faults` say in which way it is broken."""

    def __init__(self, fleet: Fleet, node: Node, host: Host, address: tuple[str, int]) -> None:
        self.fleet = fleet
        self.world = fleet.world
        self.network = fleet.network
        self.laws = fleet.laws
        self.node = node
        self.id: PeerId = node.me
        self.host = host
        self.address = address
        self.links: dict[PeerId, Link] = {}
        self.alive = True
        self.liar = False
        self.stalled = False
        self.done_s: float | None = None
        self.started_s = 0.0
        self.had = 0
        self.received_bytes = 0
        self.duplicate_bytes = 0
        self.control_bytes = 0
        self._discards: set[tuple[PeerId, int]] = set()
        self._tick_s: float | None = None
        self._execute: dict[type[Action], Callable[[Any], None]] = {
            Send: self._send,
            SendChunk: self._send_chunk,
            CancelSend: self._cancel_send,
            Discard: self._discard,
            Dial: self._dial,
            Disconnect: self._disconnect,
            Completed: self._completed,
            Recheck: self._recheck,
            SendAnnounce: self._announce,
            Obtain: self._obtain,
            SendDatagram: self._send_datagram,
            Exchange: self._exchange,
            AnswerExchange: self._answer_exchange,
        }

    # --- the node's door -------------------------------------------------------------------------

    def tell(self, event: Event) -> None:
        """Hand an event to the node and carry out what it wants."""
        if self.alive:
            self.carry_out(self.node.handle(event, self.world.now))

    def carry_out(self, actions: list[Action]) -> None:
        execute = self._execute
        for action in actions:
            execute[type(action)](action)
        due_s = self.node.deadline()
        if due_s is not None and due_s != self._tick_s:
            self._tick_s = due_s
            self.world.at(due_s, self._ring, due_s)

    def _ring(self, due_s: float) -> None:
        if self._tick_s == due_s:
            self._tick_s = None
            if self.node.deadline() == due_s:
                self.tell(Tick())
            else:
                self.carry_out([])

    # --- control ---------------------------------------------------------------------------------

    def _send(self, action: Send) -> None:
        link = self.links.get(action.peer)
        if link is None:
            return
        message = action.message
        kind = type(message)
        size_bytes = MESSAGE_BYTES
        if kind is Have:
            size_bytes += 3 * len(message.indexes)  # type: ignore[attr-defined]
        elif kind is Join:
            size_bytes += 90 + len(message.have)  # type: ignore[attr-defined]
        elif kind is Plan:
            size_bytes += self.fleet.plan_bytes(message)  # type: ignore[arg-type]
        self.control_bytes += size_bytes
        far = link.far
        if size_bytes > FRAME_BYTES_MAX:
            self.network.start(
                self.host, far.host, size_bytes, lambda flow: self._sent_long(link, message)
            )
            return
        delay_s = self.network.control_delay_s(self.host, far.host, size_bytes)
        arrives_s = self.world.now + delay_s + PROCESS_S
        if arrives_s < link.control_s:
            arrives_s = link.control_s
        link.control_s = arrives_s
        self.world.at(arrives_s, far.message_came, link.twin, MessageReceived(self.id, message))

    def _sent_long(self, link: Link, message: Any) -> None:
        arrives_s = max(self.world.now + self.network.latency_s + PROCESS_S, link.control_s)
        event = MessageReceived(self.id, message)
        self.world.at(arrives_s, link.far.message_came, link.twin, event)

    def message_came(self, link: Link, event: MessageReceived | ChunkArriving) -> None:
        if link.up:
            self.tell(event)

    # --- chunks out ------------------------------------------------------------------------------

    def _send_chunk(self, action: SendChunk) -> None:
        link = self.links.get(action.peer)
        if link is None:
            return  # the far end is silent: it waits in the kernel until the node hears of that
        link.queue.append(action)
        self.laws.queued(link, action)
        if not link.handing:
            self._start(link)

    def _not_sent(self, action: SendChunk) -> None:
        event = ChunkNotSent(action.peer, action.swarm, action.index)
        self.world.at(self.world.now, self.tell, event)

    def _start(self, link: Link) -> None:
        """Begin to hand the next chunk of the queue to the kernel, behind what it still has."""
        action = link.queue[0]
        link.handing = True
        if self.stalled:
            self._begins(link, action)
            return
        link.kernel.append(action)
        if link.flow is None:
            self._flow(link)
        self._await_room(link)

    def _flow(self, link: Link) -> None:
        """The first chunk in the kernel flows: its header is at the far end a moment later."""
        action = link.kernel[0]
        self._begins(link, action)
        length_bytes = self.fleet.lengths[action.index]
        link.flow = self.network.start(
            self.host, link.far.host, length_bytes, lambda flow: self._left(link)
        )

    def _begins(self, link: Link, action: SendChunk) -> None:
        event = ChunkArriving(self.id, action.swarm, action.index, action.role, action.plan)
        begins_s = self.world.now + self.network.latency_s + PROCESS_S / 2
        begins_s += self.network.severed_s(self.host, link.far.host)
        self.world.at(begins_s, link.far.message_came, link.twin, event)

    def _await_room(self, link: Link) -> None:
        """The running chunk is handed over when the kernel has room for all of it."""
        flow = link.flow
        assert flow is not None
        behind_bytes = 0
        lengths = self.fleet.lengths
        for position in range(1, len(link.kernel)):
            behind_bytes += lengths[link.kernel[position].index]
        room_bytes = self.host.queue_bytes - behind_bytes
        if room_bytes >= 0.0:
            self.network.mark(flow, room_bytes, lambda: self._handed_over(link))

    def _handed_over(self, link: Link) -> None:
        """The socket is writable again: for the node, the chunk is sent."""
        action = link.queue.popleft()
        link.handing = False
        self.tell(ChunkSent(action.peer, action.swarm, action.index))
        self._go_on(link)

    def _go_on(self, link: Link) -> None:
        if link.queue and not link.handing and link.up:
            self._start(link)

    def _left(self, link: Link) -> None:
        """The first chunk in the kernel has left."""
        action = link.kernel.popleft()
        link.flow = None
        self.fleet.chunk_left(self, link.far, action.index)
        slice_bytes = min(self.fleet.lengths[action.index], SLICE_BYTES)
        stored_s = (
            self.world.now + self.network.latency_s + slice_bytes / VERIFY_BYTES_PER_S + PROCESS_S
        )
        self.world.at(stored_s, link.far.chunk_came, link.twin, action)
        if link.kernel:
            self._flow(link)
            if link.handing:
                self._await_room(link)

    def _cancel_send(self, action: CancelSend) -> None:
        link = self.links.get(action.peer)
        if link is None:
            return
        for position, waiting in enumerate(link.queue):
            if waiting.index == action.index and not (position == 0 and link.handing):
                del link.queue[position]
                self._not_sent(waiting)
                return

    # --- chunks in -------------------------------------------------------------------------------

    def _discard(self, action: Discard) -> None:
        self._discards.add((action.peer, action.index))

    def chunk_came(self, link: Link, action: SendChunk) -> None:
        """The chunk's last byte was verified and written."""
        if not self.alive or not link.up:
            return
        sender = link.far
        length_bytes = self.fleet.lengths[action.index]
        self.received_bytes += length_bytes
        key = (sender.id, action.index)
        if key in self._discards:
            self._discards.discard(key)
            self.duplicate_bytes += length_bytes
            return
        if sender.liar:
            self.tell(ChunkCorrupt(sender.id, action.swarm, action.index))
            return
        self.world.trace(STORED, self.host.number, sender.host.number, action.index)
        self.tell(ChunkStored(sender.id, action.swarm, action.index))
        part = self.node.participations.get(action.swarm)
        if part is not None:
            has = part.swarm.have.count
            self.laws.stored(self, self.had, has)
            self.had = has

    def _completed(self, action: Completed) -> None:
        self.fleet.completed(self)

    def _recheck(self, action: Recheck) -> None:
        """Nothing rots here; what a liar is told of, it does not mend."""

    # --- links -----------------------------------------------------------------------------------

    def _dial(self, action: Dial) -> None:
        far = self.fleet.at_address(action.host, action.port)
        now, latency_s = self.world.now, self.network.latency_s
        cut_off = far is not None and self.network.severed_s(self.host, far.host) > 0.0
        if far is None or not far.alive or not far.host.alive or cut_off:
            gone = far is None or not far.host.alive or cut_off
            wait_s = DIAL_GIVEN_UP_S if gone else 2.0 * latency_s
            self.world.at(now + wait_s, self._dial_failed, action)
            return
        queue_s = self.network.control_delay_s(self.host, far.host, MESSAGE_BYTES) - latency_s
        queue_s += self.network.control_delay_s(far.host, self.host, MESSAGE_BYTES) - latency_s
        takes_s = DIAL_ROUND_TRIPS * (2.0 * latency_s + queue_s) + HANDSHAKE_S
        self.world.at(now + takes_s, self._dialled, action, far)

    def _dial_failed(self, action: Dial) -> None:
        self.tell(DialFailed(action.host, action.port, "nobody there"))

    def _dialled(self, action: Dial, far: SimPeer) -> None:
        if not self.alive:
            return
        if not far.alive or far is self:
            self._dial_failed(action)
            return
        if far.id not in self.links:
            mine, theirs = Link(self, far), Link(far, self)
            mine.twin, theirs.twin = theirs, mine
            self.links[far.id], far.links[self.id] = mine, theirs
            self.world.trace(LINKED, self.host.number, far.host.number, 0)
            zone = self.node.zone
            far.tell(LinkUp(self.id, *self.address, zone, dialled=False))
            if self.id in far.links:
                self.tell(LinkUp(far.id, *far.address, far.node.zone, dialled=True))
        self.tell(DialDone(action.host, action.port, far.id))

    def _disconnect(self, action: Disconnect) -> None:
        self._part(action.peer, action.reason, self.network.latency_s)

    def _part(self, peer: PeerId, reason: str, noticed_s: float) -> None:
        """End a link; the other end notices after a while."""
        link = self.links.pop(peer, None)
        if link is None:
            return
        for end in (link, link.twin):
            end.up = False
            end.queue.clear()
            end.kernel.clear()
            if end.flow is not None:
                self.network.stop(end.flow)
                end.flow = None
        far = link.far
        far.links.pop(self.id, None)
        now = self.world.now
        self.world.trace(LOST, self.host.number, far.host.number, 0)
        self.world.at(now, self.tell, LinkLost(peer, reason))
        self.world.at(now + noticed_s, far.tell, LinkLost(self.id, reason))

    def time_out(self) -> None:
        """What a partition has held back for too long ends its links."""
        for peer, link in list(self.links.items()):
            if self.network.severed_s(self.host, link.far.host) > 0.0:
                self._part(peer, "timed out", 0.0)

    def kill(self, *, machine: bool = False) -> None:
        """The process dies at once; with `machine` its kernel too, and nobody is told."""
        if machine:
            self.host.alive = False
        for peer in list(self.links):
            self._part(peer, "died", LOST_AFTER_S if machine else self.network.latency_s)
        self.alive = False

    # --- sources of peers ------------------------------------------------------------------------

    def _send_datagram(self, action: SendDatagram) -> None:
        self.fleet.datagrams.send(self, action)

    def _exchange(self, action: Exchange) -> None:
        self.fleet.datagrams.exchange(self, action)

    def _answer_exchange(self, action: AnswerExchange) -> None:
        self.fleet.datagrams.answer(action)

    def _announce(self, action: SendAnnounce) -> None:
        self.fleet.tracker.announce(self, action)

    def _obtain(self, action: Obtain) -> None:
        self.fleet.manifests.obtain(self, action)

"""A small virtual network for laws over swarms: chunks take time, messages take latency.

Each node has one uplink and one downlink; the connections a node sends on share its uplink, each
chunk at the share it found when it began. No policy lives here. Laws that hold at every moment
are asserted while it runs: nobody sends what it lacks, slots and queues are bounded, what a node
has only grows.
"""

from __future__ import annotations

import heapq
import itertools
import random
from collections import Counter, deque
from dataclasses import dataclass, field
from typing import Any

from strew.content.bitfield import Bitfield
from strew.messages import (
    Action,
    CancelSend,
    ChunkArriving,
    ChunkCorrupt,
    ChunkNotSent,
    ChunkSent,
    ChunkStored,
    Completed,
    Discard,
    Drop,
    Event,
    Meet,
    MembersNamed,
    MessageReceived,
    NeighbourJoined,
    NeighbourLeft,
    PeerId,
    PlanMember,
    Recheck,
    Retiring,
    Send,
    SendChunk,
    Tick,
)
from strew.swarm.giving import PIPELINE_MAX
from strew.swarm.slots import DETACHED_MAX_RATIO, UploadSlots
from strew.swarm.swarm import Swarm

LATENCY_S = 0.0005
CHUNK_BYTES = 65536
DIAL_S = 4 * LATENCY_S
"""From `Meet` to both ends knowing each other: a connection and its handshake."""

RETIRING_LOOK_S = 0.01


@dataclass(eq=False)
class Node:
    id: PeerId
    swarm: Swarm
    slots: UploadSlots
    rate: float
    zone: str = ""
    origin: bool = False
    queues: dict[PeerId, deque[SendChunk]] = field(default_factory=dict)
    sending: set[PeerId] = field(default_factory=set)
    arrivals_until_s: float = 0.0
    alive: bool = True
    away: bool = False
    """It is named, and not there yet."""
    liar: bool = False
    """What it sends has a wrong digest."""
    stalled: bool = False
    """It talks, and begins chunks that never end."""
    mute: bool = False
    """It talks, and sends no chunk at all."""
    frozen: bool = False
    """Its kernel keeps the connections, the process does nothing: SIGSTOP."""
    done_s: float | None = None
    received: int = 0
    payload_sent: int = 0
    messages_sent: int = 0
    had: int = 0
    tick_s: float | None = None

    @property
    def good(self) -> bool:
        """One of those for whom the promises are made."""
        return self.alive and not (self.frozen or self.liar or self.mute or self.stalled)


class World:
    """N nodes and their links; `run` ends when all good ones are complete, or at the limit."""

    def __init__(self, seed: int, chunks: int) -> None:
        self.seed = seed
        self.dice = random.Random(seed)
        self.lengths = [CHUNK_BYTES] * chunks
        self.now = 0.0
        self.order = itertools.count()
        self.heap: list[tuple[float, int, Any, tuple[Any, ...]]] = []
        self.nodes: dict[PeerId, Node] = {}
        self.dropped: list[tuple[PeerId, PeerId, str]] = []
        self.crossed: Counter[tuple[str, str]] = Counter()
        self._links: dict[tuple[PeerId, PeerId], int] = {}
        self._banned: set[tuple[PeerId, PeerId]] = set()

    # --- the cast --------------------------------------------------------------------------------

    def add(
        self, name: int, rate: float, origin: bool = False, zone: str = "", complete: bool = False
    ) -> Node:
        peer = PeerId(f"{name:032x}")
        full = origin or complete
        have = Bitfield.full(len(self.lengths)) if full else Bitfield(len(self.lengths))
        dice = random.Random(self.dice.random())
        slots = UploadSlots(3)
        swarm = Swarm(1, peer, self.lengths, have, slots, dice, zone=zone, origin=origin)
        node = self.nodes[peer] = Node(peer, swarm, slots, rate, zone, origin)
        if full:
            node.done_s = 0.0
        return node

    def connect(self, a: Node, b: Node) -> None:
        link = pair(a.id, b.id)
        if a is b or link in self._links or link in self._banned or a.away or b.away:
            return
        if not (a.alive and b.alive):
            return
        self._links[link] = next(self.order)
        for one, two in ((a, b), (b, a)):
            self.tell(
                one, NeighbourJoined(two.id, two.swarm.have.copy(), two.zone, origin=two.origin)
            )

    def name_members(self, origin: Node) -> None:
        members = tuple(
            (PlanMember(n.id, "host", 1), n.zone) for n in self.nodes.values() if n is not origin
        )
        self.tell(origin, MembersNamed(members))

    def kill(self, node: Node) -> None:
        node.alive = False
        for one, two in list(self._links):
            if node.id in (one, two):
                self.part(one, two, "died")

    def retire(self, node: Node) -> None:
        """It is told to end: it hands over, then dies of its own accord."""
        self.tell(node, Retiring())
        self.at(self.now + RETIRING_LOOK_S, self._retired, node)

    def _retired(self, node: Node) -> None:
        if node.swarm.owed:
            self.at(self.now + RETIRING_LOOK_S, self._retired, node)
        else:
            self.kill(node)

    def part(self, one: PeerId, two: PeerId, reason: str) -> None:
        """The link of two nodes ends; what was on its way over it is lost."""
        if self._links.pop(pair(one, two), None) is None:
            return
        for a, b in ((one, two), (two, one)):
            node = self.nodes[a]
            node.queues.pop(b, None)
            node.sending.discard(b)
            self.tell(node, NeighbourLeft(b, reason))

    # --- events and actions ----------------------------------------------------------------------

    def at(self, when: float, what: Any, *args: Any) -> None:
        heapq.heappush(self.heap, (when, next(self.order), what, args))

    def tell(self, node: Node, event: Event) -> list[Action]:
        if not node.alive or node.frozen:
            return []
        actions = node.swarm.handle(event, self.now)
        for action in actions:
            self.execute(node, action)
        self.check(node)
        deadline = node.swarm.deadline()
        if deadline is not None and deadline != node.tick_s:
            node.tick_s = deadline
            self.at(deadline, self.tick, node, deadline)
        return actions

    def check(self, node: Node) -> None:
        """Laws of every moment."""
        have = node.swarm.have.bits
        assert have & node.had == node.had, f"{node.id} lost a chunk; seed {self.seed}"
        node.had = have
        slots = node.slots
        assert slots.free >= 0 and slots.free_to_push >= 0, f"slots; seed {self.seed}"
        assert 0 <= slots.detached <= slots.limit * DETACHED_MAX_RATIO

    def over(self, link: tuple[PeerId, PeerId], number: int | None, what: Any, *args: Any) -> None:
        """Something arrives over a link, if it is still the same one."""
        if self._links.get(link) == number:
            what(*args)

    def tick(self, node: Node, due_s: float) -> None:
        if node.swarm.deadline() == due_s:
            self.tell(node, Tick())

    def execute(self, node: Node, action: Action) -> None:
        match action:
            case Send():
                node.messages_sent += 1
                to = self.nodes[action.peer]
                link = pair(node.id, action.peer)
                event = MessageReceived(node.id, action.message)
                arrives_s = self.now + LATENCY_S
                self.at(arrives_s, self.over, link, self._links.get(link), self.tell, to, event)
            case SendChunk():
                self.send(node, action)
            case CancelSend():
                self.cancel(node, action)
            case Completed():
                node.done_s = self.now
            case Drop():
                self.dropped.append((node.id, action.peer, action.reason))
                self._banned.add(pair(node.id, action.peer))
                self.at(self.now, self.part, node.id, action.peer, action.reason)
            case Meet():
                for member in action.members:
                    other = self.nodes[PeerId(member.id)]
                    self.at(self.now + DIAL_S, self.connect, node, other)
            case Recheck() | Discard():
                pass
            case _:
                raise AssertionError(action)

    # --- chunks ----------------------------------------------------------------------------------

    def send(self, node: Node, action: SendChunk) -> None:
        assert action.index in node.swarm.have, f"sends what it lacks; seed {self.seed}"
        queue = node.queues.setdefault(action.peer, deque())
        queue.append(action)
        assert len(queue) <= PIPELINE_MAX, f"{len(queue)} chunks in a queue; seed {self.seed}"
        if action.peer not in node.sending:
            self.start(node, action.peer)

    def cancel(self, node: Node, action: CancelSend) -> None:
        queue = node.queues.get(action.peer, deque())
        for waiting in list(queue)[1 if action.peer in node.sending else 0 :]:
            if waiting.index == action.index:
                queue.remove(waiting)
                event = ChunkNotSent(action.peer, 1, action.index)
                self.at(self.now, self.tell, node, event)

    def start(self, node: Node, peer: PeerId) -> None:
        queue = node.queues.get(peer)
        if not queue or not node.alive:
            node.sending.discard(peer)
            return
        node.sending.add(peer)
        to = self.nodes[peer]
        action = queue[0]
        link = pair(node.id, peer)
        number = self._links.get(link)
        if node.mute or node.frozen or to.frozen:
            return
        begin = ChunkArriving(node.id, 1, action.index, action.role)
        discarded: list[bool] = []
        self.at(self.now + LATENCY_S, self.over, link, number, self.arrive, to, begin, discarded)
        if node.stalled:
            return
        moving = sum(not self.nodes[p].frozen for p in node.sending)
        seconds = CHUNK_BYTES / node.rate * moving
        to.arrivals_until_s = max(to.arrivals_until_s, self.now) + CHUNK_BYTES / to.rate
        arrived_s = max(to.arrivals_until_s, self.now + seconds)
        self.at(arrived_s, self.over, link, number, self.sent, node, to, action)
        stored_s = arrived_s + LATENCY_S
        self.at(stored_s, self.over, link, number, self.stored, node, to, action.index, discarded)

    def arrive(self, to: Node, event: ChunkArriving, discarded: list[bool]) -> None:
        actions = self.tell(to, event)
        discarded.append(any(isinstance(a, Discard) for a in actions))

    def sent(self, node: Node, to: Node, action: SendChunk) -> None:
        queue = node.queues.get(to.id)
        if not node.alive or node.frozen or not queue or queue[0] is not action:
            return
        queue.popleft()
        node.payload_sent += CHUNK_BYTES
        self.crossed[node.zone, to.zone] += 1
        self.start(node, to.id)
        self.tell(node, ChunkSent(to.id, 1, action.index))

    def stored(self, sender: Node, to: Node, index: int, discarded: list[bool]) -> None:
        if discarded != [False]:
            return
        to.received += 1
        event = ChunkCorrupt if sender.liar else ChunkStored
        self.tell(to, event(sender.id, 1, index))

    # --- the course ------------------------------------------------------------------------------

    def run(self, limit_s: float) -> float:
        """Seconds until the last good node was complete; fails at the limit."""
        while any(n.good and n.done_s is None for n in self.nodes.values()):
            assert self.heap, f"nothing happens any more; {self.report()}"
            self.now, _, what, args = heapq.heappop(self.heap)
            assert self.now < limit_s, f"not done at {limit_s:.1f} s; {self.report()}"
            what(*args)
        return max(n.done_s or 0.0 for n in self.nodes.values() if n.good)

    def report(self) -> str:
        """The seed first, so that a failure can be run again."""
        lines = [f"seed {self.seed}", f"now {self.now:.2f}", f"dropped {self.dropped[:8]}"]
        lines += [f"{n.id[-3:]} {n.swarm.have!r}" for n in self.nodes.values()]
        return "; ".join(lines)


def pair(one: PeerId, two: PeerId) -> tuple[PeerId, PeerId]:
    return (one, two) if one < two else (two, one)

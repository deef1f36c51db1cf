"""Exchange: what the BitTorrent-like baselines share. Peers pull chunks, rarest first.

A peer tells all neighbours of each chunk it has (HAVE). It asks a neighbour, up to `pipeline`
requests at a time, for chunks it lacks and has asked of nobody: of those the neighbour has, the
one that fewest of its own neighbours have. An uploader keeps the requests of each connection in
their order and sends on up to `parallel` connections at the same time, one chunk on each, those
that wait the longest first. At the end a peer asks several for the same chunk, and cancels the
rest when it has come.

Peers are numbered, the origin is 0; what a peer has is a bit set in an `int`. All neighbours
hear of a chunk at the same time, so that one bit set for each peer says what is known of it.
"""

from __future__ import annotations

from collections import deque
from functools import partial

from strew.sim.baselines.completion import Completion
from strew.sim.network import Flow, Host, Network
from strew.sim.world import World

MESSAGE_BYTES = 17
"""HAVE, REQUEST, CANCEL, UNCHOKE: up to 13 bytes behind a length (BEP 3)."""

SAMPLE = 16
"""Candidates looked at for the rarest. More find a rarer one and cost time."""


class Exchange:
    """The state of all peers and the messages between them. Subclasses say who may ask whom."""

    def __init__(
        self,
        world: World,
        network: Network,
        hosts: list[Host],
        size_bytes: int,
        chunks: int,
        neighbours: list[list[int]],
        *,
        pipeline: int,
        parallel: int,
        endgame_chunks: int,
    ) -> None:
        count = len(hosts)
        everything = (1 << chunks) - 1
        self.world = world
        self.network = network
        self.hosts = hosts
        self.neighbours = neighbours
        self.chunks = chunks
        self.completion = Completion(world, count - 1)
        self._random = world.dice.random
        self._chunk_bytes = size_bytes / chunks
        self._pipeline = pipeline
        self._parallel = parallel
        self._endgame_chunks = endgame_chunks
        self.lacks = [0, *([everything] * (count - 1))]
        self.announced = [everything, *([0] * (count - 1))]
        self._asked = [0] * count  # of anybody
        self._doubled = [False] * count  # whether it asked several for the same chunk
        self._asked_of: list[dict[int, int]] = [dict.fromkeys(n, 0) for n in neighbours]
        self._outstanding: list[dict[int, int]] = [dict.fromkeys(n, 0) for n in neighbours]
        self._copies = [[0] * chunks for _ in range(count)]
        self._queues: list[dict[int, deque[int]]] = [{j: deque() for j in n} for n in neighbours]
        self._ready: list[deque[int]] = [deque() for _ in range(count)]
        self._sending: list[dict[int, tuple[int, Flow]]] = [{} for _ in range(count)]
        self._flying: list[dict[int, int]] = [dict.fromkeys(n, 0) for n in neighbours]
        for peer in neighbours[0]:
            self._copies[peer] = [1] * chunks

    # --- who may ask whom ------------------------------------------------------------------------

    def askers(self, peer: int) -> list[int]:
        """Those that may ask this peer, as far as they know."""
        return self.neighbours[peer]

    def serves(self, peer: int, asker: int) -> bool:
        """Whether a request that came in is taken."""
        return True

    def heard(self, peer: int) -> None:
        """A peer's neighbours heard of a new chunk of its."""

    def got(self, peer: int, sender: int) -> None:
        """A peer received a chunk."""

    # --- messages --------------------------------------------------------------------------------

    def delay_s(self, sender: int, receiver: int) -> float:
        """How long a small message takes now."""
        hosts = self.hosts
        return self.network.control_delay_s(hosts[sender], hosts[receiver], MESSAGE_BYTES)

    def ask(self, peer: int, holder: int) -> None:
        """Send requests for as many chunks as there is room for."""
        outstanding = self._outstanding[peer]
        room = self._pipeline - outstanding[holder]
        if room <= 0:
            return
        lacks = self.lacks[peer]
        offered = self.announced[holder] & lacks
        wanted = offered & ~self._asked[peer]
        chosen: list[int] = []
        while wanted and len(chosen) < room:
            chunk = self._rarest(peer, wanted)
            wanted ^= 1 << chunk
            chosen.append(chunk)
        if not chosen and offered and not outstanding[holder]:
            chosen = self._endgame(peer, offered)
            self._doubled[peer] = self._doubled[peer] or bool(chosen)
        if not chosen:
            return
        bits = 0
        for chunk in chosen:
            bits |= 1 << chunk
        self._asked[peer] |= bits
        self._asked_of[peer][holder] |= bits
        outstanding[holder] += len(chosen)
        at_s = self.world.now + self.delay_s(peer, holder)
        self.world.at(at_s, self._requested, holder, peer, chosen)

    def _endgame(self, peer: int, offered: int) -> list[int]:
        """One chunk that was asked of another, if none is left to ask for."""
        lacks = self.lacks[peer]
        if lacks & ~self._asked[peer] or lacks.bit_count() > self._endgame_chunks:
            return []
        return [self._rarest(peer, offered)]

    def _rarest(self, peer: int, wanted: int) -> int:
        """One of the chunks in a non-empty bit set that fewest neighbours have, at random."""
        copies, dice, chunks = self._copies[peer], self._random, self.chunks
        best = -1
        fewest = 1 << 30
        for _ in range(SAMPLE):
            start = int(dice() * chunks)
            rest = wanted >> start
            if not rest:
                rest, start = wanted, 0
            chunk = start + (rest & -rest).bit_length() - 1
            if copies[chunk] < fewest:
                best, fewest = chunk, copies[chunk]
        return best

    def _requested(self, peer: int, asker: int, chosen: list[int]) -> None:
        if not self.serves(peer, asker):
            return
        queue = self._queues[peer][asker]
        if not queue and asker not in self._sending[peer]:
            self._ready[peer].append(asker)
        queue.extend(chosen)
        self._serve(peer)

    def _serve(self, peer: int) -> None:
        ready, sending, hosts = self._ready[peer], self._sending[peer], self.hosts
        while ready and len(sending) < self._parallel:
            asker = ready.popleft()
            queue = self._queues[peer][asker]
            if queue and asker not in sending:
                chunk = queue.popleft()
                left = partial(self._left, peer, asker, chunk)
                flow = self.network.start(hosts[peer], hosts[asker], self._chunk_bytes, left)
                sending[asker] = (chunk, flow)
                self._flying[peer][asker] |= 1 << chunk

    def _left(self, peer: int, asker: int, chunk: int, flow: Flow) -> None:
        at_s = self.world.now + self.network.latency_s
        self.world.at(at_s, self._received, asker, peer, chunk)
        del self._sending[peer][asker]
        if self._queues[peer][asker]:
            self._ready[peer].append(asker)
        self._serve(peer)

    def _received(self, peer: int, sender: int, chunk: int) -> None:
        bit = 1 << chunk
        self._flying[sender][peer] &= ~bit
        self._forget(peer, sender, bit)
        if self.lacks[peer] & bit:
            self.completion.arrived(peer, chunk, sender)
            self.lacks[peer] ^= bit
            self._asked[peer] |= bit
            self.got(peer, sender)
            if not self.lacks[peer]:
                self.completion.done(peer)
            if self._doubled[peer]:
                self._cancel(peer, bit)
            nearest = self.neighbours[peer][0]
            at_s = self.world.now + self.delay_s(peer, nearest)
            self.world.at(at_s, self._announce, peer, chunk)
        if self.lacks[peer] and peer in self.askers(sender):
            self.ask(peer, sender)

    def _announce(self, peer: int, chunk: int) -> None:
        """All neighbours hear that a peer has a chunk."""
        bit = 1 << chunk
        self.announced[peer] |= bit
        copies, outstanding = self._copies, self._outstanding
        for neighbour in self.neighbours[peer]:
            copies[neighbour][chunk] += 1
        for asker in self.askers(peer):
            if outstanding[asker][peer] < self._pipeline and self.lacks[asker] & bit:
                self.ask(asker, peer)
        self.heard(peer)

    # --- giving up -------------------------------------------------------------------------------

    def _forget(self, peer: int, holder: int, bits: int) -> None:
        """Requests to a holder are answered or void."""
        asked_of = self._asked_of[peer]
        void = asked_of[holder] & bits
        asked_of[holder] ^= void
        self._outstanding[peer][holder] -= void.bit_count()

    def withdraw(self, peer: int, holder: int) -> None:
        """Take back what was asked of a holder that will not send it, but for what it has begun
        to send or has sent. What is asked of nobody else may be asked again."""
        self._queues[holder][peer].clear()
        void = self._asked_of[peer][holder] & ~self._flying[holder][peer]
        self._forget(peer, holder, void)
        for other, bits in self._asked_of[peer].items():
            if other != holder:
                void &= ~bits
        self._asked[peer] &= ~(void & self.lacks[peer])

    def _cancel(self, peer: int, bit: int) -> None:
        """A chunk came: tell the others that it was asked of."""
        for holder, bits in self._asked_of[peer].items():
            if bits & bit:
                at_s = self.world.now + self.delay_s(peer, holder)
                self.world.at(at_s, self._cancelled, holder, peer, bit)

    def _cancelled(self, peer: int, asker: int, bit: int) -> None:
        """Take a request out of the queue, or break its sending off."""
        chunk = bit.bit_length() - 1
        queue = self._queues[peer][asker]
        sending = self._sending[peer].get(asker)
        if chunk in queue:
            queue.remove(chunk)
        elif sending and sending[0] == chunk:
            self.network.stop(sending[1])
            del self._sending[peer][asker]
            self._flying[peer][asker] &= ~bit
            if queue:
                self._ready[peer].append(asker)
            self._serve(peer)
        else:
            return  # it is on its way
        self._forget(asker, peer, bit)
        if peer in self._outstanding[asker] and asker in self.askers(peer):
            self.ask(asker, peer)

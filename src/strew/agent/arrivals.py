"""Chunks on their way in: from a data connection's slices to the store's word on the whole."""

from __future__ import annotations

import time
from functools import partial
from typing import TYPE_CHECKING, Any

import structlog

from strew.agent.storing import Work
from strew.codec import SLICE_BYTES_MAX, ChunkHeader
from strew.content.digest import ArtifactId
from strew.errors import DiskError, IntegrityError, NotFoundError
from strew.messages import (
    ChunkAborted,
    ChunkArriving,
    ChunkCorrupt,
    ChunkStored,
    Discard,
    Guilt,
    PeerId,
)
from strew.store.store import ChunkStore, ChunkWriter
from strew.transfer.peer import PeerLink
from strew.transfer.receiving import SliceBuffer

if TYPE_CHECKING:
    from strew.agent.agent import Agent

_log = structlog.get_logger(__name__)


class Arrival:
    """The chunk that is arriving on one link. `writer` is set for a chunk of several slices."""

    __slots__ = ("artifact", "done_bytes", "index", "store_s", "swarm", "writer")

    def __init__(self, artifact: ArtifactId, swarm: int, index: int) -> None:
        self.artifact = artifact
        self.swarm = swarm
        self.index = index
        self.done_bytes = 0
        self.store_s = 0.0
        """What the store's work for it took since that was counted."""
        self.writer: ChunkWriter | None = None


class Arrivals:
    """At most one chunk arrives on a link at a time; each ends as an event of the node."""

    def __init__(self, agent: Agent, store: ChunkStore) -> None:
        self._agent = agent
        self._store = store
        self._by_peer: dict[PeerId, Arrival] = {}

    def give_up(self, peer: PeerId) -> bool:
        """What was arriving from the peer will not end; told to the node by whoever ended it.
        Whether anything was."""
        arrival = self._by_peer.pop(peer, None)
        if arrival is not None and arrival.writer is not None:
            self._agent.storing.submit(arrival.writer.abort, lambda result, error: None)
        return arrival is not None

    def begins(self, link: PeerLink, header: ChunkHeader) -> bool:
        manifest = self._agent.manifests.get(header.swarm)
        index = header.chunk
        if manifest is None or self._agent.node is None:
            return False  # of a swarm this node has left: it was on its way
        if index >= manifest.chunk_count:
            link.lose(f"chunk {index} of {manifest.chunk_count}", Guilt.BREACH)
            return False
        if header.total != manifest.lengths[index]:
            wrong = f"chunk of {header.total} bytes where {manifest.lengths[index]} belong"
            link.lose(wrong, Guilt.BREACH)
            return False
        event = ChunkArriving(link.peer, header.swarm, index, header.role, header.plan)
        actions = self._agent.node.handle(event, self._agent.now())
        wanted = not any(type(action) is Discard for action in actions)
        if wanted:
            self.give_up(link.peer)  # a chunk it left unfinished, if any
            self._by_peer[link.peer] = Arrival(manifest.id, header.swarm, index)
        self._agent.carry_out(actions)
        return wanted

    def slice_came(self, link: PeerLink, header: ChunkHeader, buffer: SliceBuffer) -> None:
        arrival = self._by_peer.get(link.peer)
        if (
            arrival is None
            or arrival.index != header.chunk
            or arrival.swarm != header.swarm
            or arrival.done_bytes != header.offset
        ):
            buffer.release()
            return
        arrival.done_bytes += header.slice_bytes
        data = buffer.view[: header.slice_bytes]
        last = arrival.done_bytes == header.total
        if last:
            del self._by_peer[link.peer]
        work: Work = partial(self._store_slice, arrival, data, last, header.total)
        done = partial(self._written, link.peer, arrival, buffer, last, header.total)
        self._agent.storing.submit(work, done)

    def _store_slice(
        self, arrival: Arrival, data: memoryview, last: bool, total_bytes: int
    ) -> None:
        """In the store's thread: a chunk, or a slice of one, timed."""
        began_s = time.perf_counter()
        try:
            if total_bytes <= SLICE_BYTES_MAX:
                self._store.put(arrival.artifact, arrival.index, data)
            else:
                self._write_slice(arrival, data, last)
        finally:
            arrival.store_s += time.perf_counter() - began_s

    def _write_slice(self, arrival: Arrival, data: memoryview, last: bool) -> None:
        """One slice of a chunk that has several."""
        if arrival.writer is None:
            arrival.writer = self._store.open_writer(arrival.artifact, arrival.index)
        arrival.writer.write(data)
        if last:
            arrival.writer.commit()

    def _written(
        self,
        peer: PeerId,
        arrival: Arrival,
        buffer: SliceBuffer,
        last: bool,
        total_bytes: int,
        result: Any,
        error: BaseException | None,
    ) -> None:
        """On the loop: the store's word on a chunk or a slice."""
        buffer.release()
        sampler = self._agent.sampler
        sampler.worked(arrival.artifact, arrival.store_s)
        arrival.store_s = 0.0
        if error is None:
            if last:
                source = self._agent.metrics.chunk_received(arrival.swarm, peer, total_bytes)
                if not self._is_here(arrival):
                    sampler.chunk_received(arrival.artifact, arrival.index, source, total_bytes)
                self._agent.tell(ChunkStored(peer, arrival.swarm, arrival.index))
            return
        if self._by_peer.get(peer) is arrival:
            del self._by_peer[peer]  # the slices that still come are thrown away
        if isinstance(error, IntegrityError):
            self._agent.metrics.verify_failures.inc()
            sampler.bad_chunk(arrival.artifact)
            _log.warning("chunk refused", peer=peer, index=arrival.index, reason=str(error))
            self._agent.tell(ChunkCorrupt(peer, arrival.swarm, arrival.index))
            return
        self._agent.tell(ChunkAborted(peer, arrival.swarm, arrival.index))
        transfer = self._agent.fetches.transfers.get(arrival.artifact)
        if isinstance(error, DiskError):
            if transfer is not None and transfer.disk_failed is None:
                transfer.disk_failed = error
                transfer.completed.set()
        elif not isinstance(error, NotFoundError):  # not just dropped meanwhile
            _log.error("chunk not stored", artifact=arrival.artifact, reason=str(error))

    def _is_here(self, arrival: Arrival) -> bool:
        """Whether the node knows of this chunk already: it came twice."""
        node = self._agent.node
        part = node.participations.get(arrival.swarm) if node is not None else None
        return part is not None and arrival.index in part.swarm.have

    def broken(self, link: PeerLink, header: ChunkHeader) -> None:
        arrival = self._by_peer.pop(link.peer, None)
        if arrival is None:
            return
        if arrival.writer is not None:
            self._agent.storing.submit(arrival.writer.abort, lambda result, error: None)
        self._agent.tell(ChunkAborted(link.peer, arrival.swarm, arrival.index))

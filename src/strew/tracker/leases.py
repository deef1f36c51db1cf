"""The volatile half of a tracker's state: nodes, their leases, and the swarms they are in.

It is kept in memory by every backend: each node repeats all of it within one announce interval,
so storing it would buy nothing that waiting does not give.
"""

import heapq
import random
from collections.abc import Iterable
from dataclasses import replace

from strew.announce.records import Candidate, Dealt, DropNode, Enrol, NodeRecord, PutNode
from strew.content.digest import ArtifactId
from strew.messages import PeerId
from strew.tracker.roster import Roster


class Leases:
    """Records by node, rosters by artifact, and who expires next."""

    def __init__(self) -> None:
        self._records: dict[PeerId, NodeRecord] = {}
        self._rosters: dict[ArtifactId, Roster] = {}
        self._ends: list[tuple[float, PeerId]] = []
        """A heap with one entry for each record, at or before the true end of its lease."""

    def apply(self, write: PutNode | DropNode | Dealt | Enrol) -> None:
        """Carry out one write. Nodes and swarms that are gone meanwhile are passed over."""
        match write:
            case PutNode():
                self._put(write.record)
            case DropNode():
                self._drop(write.peer)
            case Dealt():
                roster = self._rosters.get(write.artifact)
                if roster is not None:
                    roster.dealt(write.peers)
            case Enrol():
                self._enrol(write)

    def node(self, peer: PeerId) -> NodeRecord | None:
        """As RegistryView.node."""
        return self._records.get(peer)

    def nodes(self) -> Iterable[NodeRecord]:
        """As RegistryView.nodes."""
        return self._records.values()

    def node_count(self) -> int:
        """As RegistryView.node_count."""
        return len(self._records)

    def members(self, artifact: ArtifactId) -> int:
        """How many nodes are in the swarm of `artifact`."""
        roster = self._rosters.get(artifact)
        return 0 if roster is None else len(roster)

    def has_complete(self, artifact: ArtifactId) -> bool:
        """As RegistryView.has_complete."""
        roster = self._rosters.get(artifact)
        return roster is not None and roster.has_holder

    def candidates(
        self, artifact: ArtifactId, zone: str, limit: int, dice: random.Random
    ) -> list[Candidate]:
        """As RegistryView.candidates."""
        roster = self._rosters.get(artifact)
        return [] if roster is None else roster.candidates(self._records, zone, limit, dice)

    def expired(self, now: float) -> list[PeerId]:
        """As RegistryView.expired. Entries of renewed leases move to their true end."""
        gone: list[PeerId] = []
        back: list[tuple[float, PeerId]] = []
        while self._ends and self._ends[0][0] < now:
            _, peer = heapq.heappop(self._ends)
            record = self._records.get(peer)
            if record is None:
                continue
            back.append((record.lease_until_s, peer))
            if record.lease_until_s < now:
                gone.append(peer)
        for entry in back:
            heapq.heappush(self._ends, entry)
        return gone

    def _put(self, record: NodeRecord) -> None:
        peer = record.peer.id
        earlier = self._records.get(peer)
        self._records[peer] = record
        if earlier is None:
            heapq.heappush(self._ends, (record.lease_until_s, peer))
        else:
            for artifact in earlier.swarms - record.swarms:
                self._leave(artifact, peer)
        for artifact in record.swarms:
            self._roster(artifact).put(
                peer, record.peer.zone, complete=record.holds_all_of(artifact)
            )

    def _drop(self, peer: PeerId) -> None:
        record = self._records.pop(peer, None)
        if record is not None:
            for artifact in record.swarms:
                self._leave(artifact, peer)

    def _enrol(self, write: Enrol) -> None:
        for peer in write.peers:
            record = self._records.get(peer)
            if record is not None and write.artifact not in record.swarms:
                self._put(replace(record, swarms=record.swarms | {write.artifact}))

    def _roster(self, artifact: ArtifactId) -> Roster:
        roster = self._rosters.get(artifact)
        if roster is None:
            roster = self._rosters[artifact] = Roster()
        return roster

    def _leave(self, artifact: ArtifactId, peer: PeerId) -> None:
        roster = self._rosters.get(artifact)
        if roster is not None:
            roster.discard(peer)
            if not len(roster):
                del self._rosters[artifact]

"""The node's metrics (Prometheus), named as docs/OPERATING.md lists them.

What happens is counted here, where it happens; what is but read off the agent is in
strew.agent.readings. A label that is known beforehand has its sample from the start: a rate of what
begins with its first case would miss that case.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Literal, get_args

from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram, ProcessCollector

from strew import __version__
from strew.agent.readings import Readings
from strew.agent.transfer import Outcome, Transfer
from strew.gossip.protocol import Message
from strew.messages import PeerId
from strew.trust.policy import RefusalKind

if TYPE_CHECKING:
    from strew.agent.agent import Agent

Whence = Literal["origin", "near", "far", "local"]
"""Where payload came from: peers of the own zone are near, and local is this machine's own disk."""

Ban = Literal["bad-chunks", "stalled", "breach"]


_BANS: dict[str, Ban] = {"digest": "bad-chunks", "stalled": "stalled", "does not fit": "breach"}


def ban_of(reason: str) -> Ban | None:
    """Which ban the node's reason to end a link speaks of; None if it is no ban."""
    return next((ban for words, ban in _BANS.items() if words in reason), None)


class AgentMetrics:
    """One registry for each agent. Labels never hold ids or addresses."""

    def __init__(self, agent: Agent) -> None:
        self._agent = agent
        registry = self.registry = CollectorRegistry()
        info = Gauge("strew_build_info", "Version of strew", ["version"], registry=registry)
        info.labels(__version__).set(1)
        received_bytes = Counter(
            "strew_chunk_bytes_received",
            "Payload bytes verified and stored, by where they came from",
            ["source"],
            registry=registry,
        )
        self._received = {whence: received_bytes.labels(whence) for whence in get_args(Whence)}
        self.sent_bytes = Counter(
            "strew_chunk_bytes_sent", "Payload bytes sent to other nodes", registry=registry
        )
        self.verify_failures = Counter(
            "strew_chunk_verify_failures",
            "Chunks whose digest did not match, received or at rest",
            registry=registry,
        )
        self._transfers(registry)
        self._bans = Counter(
            "strew_peer_bans", "Peers dropped for a while, by reason", ["reason"], registry=registry
        )
        for reason in get_args(Ban):
            self._bans.labels(reason)
        self._refused_names = Counter(
            "strew_names_refused",
            "Publications that were not believed, each once, by reason",
            ["reason"],
            registry=registry,
        )
        for kind in get_args(RefusalKind):
            self._refused_names.labels(kind)
        self.gossip_messages = Counter(
            "strew_gossip_messages",
            "Datagrams of gossip that came in, by what they say",
            ["type"],
            registry=registry,
        )
        for message in get_args(Message):
            self.gossip_messages.labels(message.__name__.lower())
        lag = Histogram(
            "strew_event_loop_lag_seconds",
            "How late the event loop was, looked at twice a second",
            registry=registry,
            buckets=(0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5),
        )
        self.lagged = lag.observe
        registry.register(Readings(agent))
        ProcessCollector(registry=registry)

    def _transfers(self, registry: CollectorRegistry) -> None:
        self._seconds = Histogram(
            "strew_transfer_duration_seconds",
            "Time from the start of a fetch to its file in place",
            registry=registry,
            buckets=(0.1, 0.3, 1, 3, 10, 30, 100, 300, 1000, 3000),
        )
        ended = Counter(
            "strew_transfers_ended", "Fetches that ended, by how", ["result"], registry=registry
        )
        self._ended = {result: ended.labels(result) for result in get_args(Outcome)}

    def chunk_received(self, swarm: int, peer: PeerId, length_bytes: int) -> Whence:
        """Count one stored chunk by the kind of its sender, which is returned."""
        node = self._agent.node
        part = node.participations.get(swarm) if node else None
        neighbour = part.swarm.neighbours.get(peer) if part else None
        whence: Whence = "far"
        if neighbour is not None:
            whence = "origin" if neighbour.origin else "near" if neighbour.near else "far"
        self._received[whence].inc(length_bytes)
        return whence

    @property
    def refused_chunks(self) -> int:
        """How many chunks did not match their digest so far."""
        return int(next(iter(self.verify_failures.collect())).samples[0].value)

    def banned(self, reason: Ban) -> None:
        """Count a peer that was dropped for a while: for `bad-chunks`, as `stalled`, or for a
        `breach` of the protocol."""
        self._bans.labels(reason).inc()

    def name_refused(self, kind: str) -> None:
        """Count a publication that was not believed; a kind of strew.trust.policy.Refusal."""
        self._refused_names.labels(kind).inc()

    def transfer_ended(self, transfer: Transfer) -> None:
        """Count a fetch that ended."""
        assert transfer.outcome is not None
        self._ended[transfer.outcome].inc()
        if transfer.outcome == "done" and transfer.ended_s is not None:
            self._seconds.observe(transfer.ended_s - transfer.started_s)
            self._received["local"].inc(transfer.reused_bytes)

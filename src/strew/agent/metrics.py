"""The node's metrics (Prometheus), named as docs/OPERATING.md lists them."""

from __future__ import annotations

from collections.abc import Iterator
from functools import partial
from typing import TYPE_CHECKING

from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram
from prometheus_client.core import Metric, SummaryMetricFamily
from prometheus_client.registry import Collector

from strew import __version__
from strew.messages import PeerId
from strew.transfer.sealing import Fault

if TYPE_CHECKING:
    from strew.agent.agent import Agent
    from strew.agent.transfer import Transfer


class Lookups(Collector):
    """How long searches of the hash table took: the table itself counts them."""

    def __init__(self, agent: Agent) -> None:
        self._agent = agent

    def collect(self) -> Iterator[Metric]:
        """One summary, without quantiles."""
        count, total_s = self._agent.node.lookups if self._agent.node is not None else (0, 0.0)
        about = "Time that searches of the hash table took"
        yield SummaryMetricFamily("strew_dht_lookup_seconds", about, count, total_s)


class AgentMetrics:
    """One registry for each agent. Labels never hold ids or addresses."""

    def __init__(self, agent: Agent) -> None:
        self._agent = agent
        registry = self.registry = CollectorRegistry()
        info = Gauge("strew_build_info", "Version of strew", ["version"], registry=registry)
        info.labels(__version__).set(1)
        self.received_bytes = Counter(
            "strew_chunk_bytes_received",
            "Payload bytes verified and stored, by where they came from",
            ["source"],
            registry=registry,
        )
        self._received = {
            source: self.received_bytes.labels(source)
            for source in ("origin", "near", "far", "local")
        }
        self.sent_bytes = Counter(
            "strew_chunk_bytes_sent", "Payload bytes sent to other nodes", registry=registry
        )
        self.verify_failures = Counter(
            "strew_chunk_verify_failures",
            "Chunks whose digest did not match, received or at rest",
            registry=registry,
        )
        self.transfer_seconds = Histogram(
            "strew_transfer_duration_seconds",
            "Time from the start of a fetch to its file in place",
            registry=registry,
            buckets=(0.1, 0.3, 1, 3, 10, 30, 100, 300, 1000, 3000),
        )
        self._bans = Counter(
            "strew_peer_bans", "Peers dropped for a while, by reason", ["reason"], registry=registry
        )
        self._refused_names = Counter(
            "strew_names_refused",
            "Publications that were not believed, each once, by reason",
            ["reason"],
            registry=registry,
        )
        self.gossip_messages = Counter(
            "strew_gossip_messages",
            "Datagrams of gossip that came in, by what they say",
            ["type"],
            registry=registry,
        )
        self._gauges(registry)
        registry.register(Lookups(agent))

    def _gauges(self, registry: CollectorRegistry) -> None:
        agent = self._agent
        active = Gauge("strew_transfers_active", "Fetches under way", registry=registry)
        active.set_function(lambda: agent.fetches.active)
        neighbours = Gauge("strew_neighbours", "Connected peers", registry=registry)
        neighbours.set_function(lambda: len(agent.port.links))
        busy = Gauge(
            "strew_upload_busy_ratio",
            "Share of the last 10 s in which payload was leaving, or waited for a configured rate",
            registry=registry,
        )
        busy.set_function(lambda: agent.sampler.upload_busy_ratio)
        members = Gauge(
            "strew_members", "Other members, as gossip knows them", ["state"], registry=registry
        )
        for state in ("alive", "suspect", "gone"):
            members.labels(state).set_function(partial(self._members, state))
        waited = Gauge(
            "strew_rate_limit_wait_seconds_total",
            "Time that transfers waited for a configured rate",
            registry=registry,
        )
        waited.set_function(lambda: agent.up.waited_s + agent.down.waited_s)
        dropped = Gauge(
            "strew_datagrams_dropped_total",
            "Datagrams that were not taken, or not sent, by reason",
            ["reason"],
            registry=registry,
        )
        for fault in Fault:
            dropped.labels(fault.value).set_function(partial(self._dropped, fault))
        store = Gauge("strew_store_bytes", "Bytes of artifacts", ["state"], registry=registry)
        for state in ("complete", "partial"):
            store.labels(state).set_function(partial(self._stored_bytes, state))

    def _dropped(self, fault: Fault) -> float:
        gossiping = self._agent.gossiping
        return gossiping.port.dropped[fault] if gossiping is not None else 0.0

    def _members(self, state: str) -> float:
        gossip = self._agent.node.gossip if self._agent.node is not None else None
        if gossip is None:
            return 0.0
        known = gossip.snapshot()
        alive = known.living - known.suspects
        return {"alive": alive, "suspect": known.suspects, "gone": known.tombstones}[state]

    def _stored_bytes(self, state: str) -> float:
        stored = self._agent.store.artifacts()
        return sum(artifact.size_bytes for artifact in stored if artifact.state == state)

    def chunk_received(self, swarm: int, peer: PeerId, length_bytes: int) -> str:
        """Count one stored chunk by the kind of its sender, which is returned."""
        node = self._agent.node
        part = node.participations.get(swarm) if node else None
        neighbour = part.swarm.neighbours.get(peer) if part else None
        source = "far"
        if neighbour is not None:
            source = "origin" if neighbour.origin else "near" if neighbour.near else "far"
        self._received[source].inc(length_bytes)
        return source

    @property
    def refused_chunks(self) -> int:
        """How many chunks did not match their digest so far."""
        return int(next(iter(self.verify_failures.collect())).samples[0].value)

    def banned(self, reason: str) -> None:
        """Count a peer that was dropped for a while: for `bad-chunks`, as `stalled`, or for a
        `breach` of the protocol."""
        self._bans.labels(reason).inc()

    def name_refused(self, kind: str) -> None:
        """Count a publication that was not believed; a kind of strew.trust.policy.Refusal."""
        self._refused_names.labels(kind).inc()

    def transfer_done(self, transfer: Transfer) -> None:
        """Count a finished fetch."""
        if transfer.ended_s is not None:
            self.transfer_seconds.observe(transfer.ended_s - transfer.started_s)
            for_local = self._received["local"]
            for_local.inc(transfer.reused_bytes)

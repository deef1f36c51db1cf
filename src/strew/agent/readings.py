"""Metrics that are read off the agent when somebody asks for them: its state, and sums it keeps.

What happens is counted where it happens (strew.agent.metrics); what is here costs nothing between
two scrapes.
"""

from __future__ import annotations

import os
from collections.abc import Iterator
from typing import TYPE_CHECKING

from prometheus_client.core import (
    CounterMetricFamily,
    GaugeMetricFamily,
    Metric,
    SummaryMetricFamily,
)
from prometheus_client.registry import Collector

from strew.transfer.sealing import Fault

if TYPE_CHECKING:
    from strew.agent.agent import Agent

STORED = ("complete", "partial")
MEMBERS = ("alive", "suspect", "gone")


class Readings(Collector):
    """One for each agent."""

    def __init__(self, agent: Agent) -> None:
        self._agent = agent

    def collect(self) -> Iterator[Metric]:
        """Everything as it is now."""
        yield from self._transfers()
        yield from self._fleet()
        yield from self._store()

    def _transfers(self) -> Iterator[Metric]:
        agent = self._agent
        under_way = [of for of in agent.fetches.transfers.values() if not of.finished.done()]
        about = "Fetches under way, paused ones included"
        yield GaugeMetricFamily("strew_transfers_active", about, len(under_way))
        about = "Fetches that wait for their disk"
        paused = sum(of.stage == "paused" for of in under_way)
        yield GaugeMetricFamily("strew_transfers_paused", about, paused)
        about = "Share of the last 10 s in which payload left, or waited for a configured rate"
        busy_ratio = agent.sampler.upload_busy_ratio
        yield GaugeMetricFamily("strew_upload_busy_ratio", about, busy_ratio)
        about = "Time that sends and receipts waited for a configured rate, added up"
        waited_s = agent.buckets.up.waited_s + agent.buckets.down.waited_s
        yield CounterMetricFamily("strew_rate_limit_wait_seconds", about, waited_s)

    def _fleet(self) -> Iterator[Metric]:
        agent = self._agent
        yield GaugeMetricFamily("strew_neighbours", "Linked nodes", len(agent.port.links))
        gossip = agent.node.gossip if agent.node is not None else None
        known = gossip.snapshot() if gossip is not None else None
        members = GaugeMetricFamily(
            "strew_members", "Other members by gossip; gone ones of the last hour", labels=["state"]
        )
        counts = (0, 0, 0)
        if known is not None:
            counts = (known.living - known.suspects, known.suspects, known.tombstones)
        for state, count in zip(MEMBERS, counts, strict=True):
            members.add_metric([state], count)
        yield members
        count, total_s = agent.node.lookups if agent.node is not None else (0, 0.0)
        about = "Time that searches of the hash table took"
        yield SummaryMetricFamily("strew_dht_lookup_seconds", about, count, total_s)
        dropped = CounterMetricFamily(
            "strew_datagrams_dropped",
            "Datagrams not taken, or not sent, by reason",
            labels=["reason"],
        )
        for fault in Fault:
            port = agent.gossiping.port if agent.gossiping is not None else None
            dropped.add_metric([fault.value], port.dropped[fault] if port is not None else 0)
        yield dropped

    def _store(self) -> Iterator[Metric]:
        sizes = dict.fromkeys(STORED, 0)
        for stored in self._agent.store.artifacts():
            sizes[stored.state] += stored.size_bytes
        store = GaugeMetricFamily(
            "strew_store_bytes",
            "Sizes of artifacts that are here in whole or in part",
            labels=["state"],
        )
        for state, size_bytes in sizes.items():
            store.add_metric([state], size_bytes)
        yield store
        yield from self._disks()

    def _disks(self) -> Iterator[Metric]:
        settings = self._agent.settings
        free = GaugeMetricFamily(
            "strew_disk_free_bytes",
            "Space left to this process on the disk of a folder of its own",
            labels=["folder"],
        )
        size = GaugeMetricFamily(
            "strew_disk_size_bytes", "Size of the disk of a folder of its own", labels=["folder"]
        )
        folders = {"data": settings.data, "into": settings.into if settings.follow else None}
        for name, folder in folders.items():
            try:
                disk = os.statvfs(folder) if folder is not None else None
            except OSError:
                continue  # the disk went away: no figure is better than an old one
            if disk is not None:
                free.add_metric([name], disk.f_bavail * disk.f_frsize)
                size.add_metric([name], disk.f_blocks * disk.f_frsize)
        yield free
        yield size

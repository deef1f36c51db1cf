"""What a fleet's nodes are called in Prometheus' HTTP service discovery, so that it scrapes each of
them and nobody keeps a list (https://prometheus.io/docs/prometheus/latest/http_sd/)."""

from __future__ import annotations

from collections.abc import Iterable

import msgspec

from strew.content.reference import Address
from strew.tracker.reports import NodeReport


class TargetGroup(msgspec.Struct, frozen=True):
    """Addresses that have their labels in common."""

    targets: tuple[str, ...]
    labels: dict[str, str]


def targets_of(nodes: Iterable[NodeReport]) -> list[TargetGroup]:
    """One group for each zone."""
    zones: dict[str, list[str]] = {}
    for node in nodes:
        zones.setdefault(node.zone, []).append(str(Address(node.host, node.port)))
    return [
        TargetGroup(tuple(sorted(addresses)), {"zone": zone})
        for zone, addresses in sorted(zones.items())
    ]

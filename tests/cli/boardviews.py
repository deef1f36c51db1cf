"""Boards for tests of what draws them: a fleet of a few machines, half way."""

from typing import Any

from strew.content.digest import ArtifactId
from strew.messages import PeerId
from strew.telemetry.series import Rates
from strew.telemetry.view import BoardView, MachineRow, Progress, RarestChunk
from strew.telemetry.watched import Watched

ARTIFACT = ArtifactId("blake3:" + "7" * 64)
GIB = 1 << 30
MIB = 1 << 20


def row(number: int, **fields: Any) -> MachineRow:
    """Machine `number`, half done and in good health unless `fields` say otherwise."""
    values: dict[str, Any] = {
        "id": PeerId(f"{number:032x}"),
        "host": f"10.0.0.{number}",
        "port": 7301,
        "zone_index": 0,
        "state": "fetching",
        "is_origin": False,
        "follows": True,
        "have_chunks": 500,
        "received_bytes_per_s": 100.0 * MIB,
        "sent_bytes_per_s": 90.0 * MIB,
        "done_s": None,
        "silent_s": 0.3,
        "cause": "",
        "why": "",
        "remedy": "",
        "received_bytes": 2 * GIB,
        "received_origin_bytes": MIB,
        "reused_bytes": 0,
        "sent_bytes": 2 * GIB,
        "duplicate_bytes": 0,
        "neighbours": 14,
        "cells": "9" * 2 + ";" * 2 + "(" * 4,
    }
    return MachineRow(**values | fields)


def progress(**fields: Any) -> Progress:
    values: dict[str, Any] = {
        "total": 4,
        "done": 1,
        "failed": 0,
        "paused": 0,
        "fetching": 3,
        "waiting": 0,
        "done_bytes": 10 * GIB,
        "total_bytes": 16 * GIB,
        "eta_s": 22.0,
        "rate_bytes_per_s": 300.0 * MIB,
        "origin_rate_bytes_per_s": 119.0 * MIB,
        "origin_sent_ratio": 1.02,
        "peer_share": 0.745,
        "duplicate_ratio": 0.003,
        "line_seconds": 34.4,
        "bound_seconds": 35.0,
        "link_bytes_per_s": 119.0 * MIB,
        "link_from": "measured",
        "ratio_now": 1.03,
        "ratio_end": None,
        "rarest": RarestChunk(2, 73, 927),
        "over": False,
    }
    return Progress(**values | fields)


def view(machines: list[MachineRow], **fields: Any) -> BoardView:
    values: dict[str, Any] = {
        "event_id": 100,
        "now_s": 23.0,
        "published_unix_s": 1_795_000_000.0,
        "artifact": ARTIFACT,
        "references": ["app:2.1"],
        "name": "app.bin",
        "size_bytes": 4 * GIB,
        "chunk_count": 1000,
        "columns": 8,
        "progress": progress(),
        "zones": [""],
        "machines": machines,
        "times_s": [21.0],
        "previous": None,
        "rates": Rates([1.0, 2.0], [1e6, 2e6], [1e6, 1e6], [[1e6, 2e6]]),
        "flows": [],
    }
    return BoardView(**values | fields)


def watched(machines: list[MachineRow], **fields: Any) -> Watched:
    return Watched(view(machines, **fields))

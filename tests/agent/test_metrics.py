"""The metrics of a real node and a real tracker against one table, and the table that people read
against the same."""

from __future__ import annotations

import re
import shutil
import subprocess
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import NamedTuple

import pytest
from prometheus_client.metrics_core import Metric
from prometheus_client.parser import text_string_to_metric_families

from strew import __version__
from strew.access.routes import ROUTES
from strew.transfer.sealing import Fault
from tests.machines import Fleet
from tests.members import make_file

ROOT = Path(__file__).parents[2]

SIZE_BYTES = 3_000_000


@dataclass(frozen=True)
class Family:
    """What a metric is: its kind, and of each label the values it may have."""

    kind: str
    labels: dict[str, set[str]] = field(default_factory=dict)
    tracker_only: bool = False


OPS = {row.op for row in ROUTES} | {"unknown"}
STATUSES = {str(status) for status in range(200, 600)}

TABLE = {
    "strew_build_info": Family("gauge", {"version": {__version__}}),
    "strew_chunk_bytes_received": Family("counter", {"source": {"origin", "near", "far", "local"}}),
    "strew_chunk_bytes_sent": Family("counter"),
    "strew_chunk_verify_failures": Family("counter"),
    "strew_transfer_duration_seconds": Family("histogram"),
    "strew_transfers_active": Family("gauge"),
    "strew_transfers_paused": Family("gauge"),
    "strew_transfers_ended": Family("counter", {"result": {"done", "failed", "stopped"}}),
    "strew_upload_busy_ratio": Family("gauge"),
    "strew_neighbours": Family("gauge"),
    "strew_peer_bans": Family("counter", {"reason": {"bad-chunks", "stalled", "breach"}}),
    "strew_members": Family("gauge", {"state": {"alive", "suspect", "gone"}}),
    "strew_names_refused": Family(
        "counter", {"reason": {"unsigned", "untrusted", "older", "expired"}}
    ),
    "strew_gossip_messages": Family(
        "counter", {"type": {"ping", "pingrequest", "ack", "nack", "tidings"}}
    ),
    "strew_dht_lookup_seconds": Family("summary"),
    "strew_datagrams_dropped": Family("counter", {"reason": {fault.value for fault in Fault}}),
    "strew_rate_limit_wait_seconds": Family("counter"),
    "strew_store_bytes": Family("gauge", {"state": {"complete", "partial"}}),
    "strew_disk_free_bytes": Family("gauge", {"folder": {"data", "into"}}),
    "strew_disk_size_bytes": Family("gauge", {"folder": {"data", "into"}}),
    "strew_event_loop_lag_seconds": Family("histogram"),
    "strew_tracker_requests": Family("counter", {"op": OPS, "code": STATUSES}),
    "strew_tracker_request_seconds": Family("histogram", {"op": OPS}),
    "strew_tracker_nodes": Family("gauge", tracker_only=True),
    "strew_tracker_event_streams": Family("gauge", tracker_only=True),
}
"""By family, as Prometheus calls it: a counter's samples end in _total."""

FOREIGN = re.compile(r"process_\w+")
"""Those that every Prometheus client has for its process."""

BORN = re.compile(r"strew_\w+_created")
"""When a counter began: told beside each by the client library."""

LATER = {"op", "code", "version", "folder"}
"""Labels of which not every value has a sample from the start, or everywhere."""


class Scrapes(NamedTuple):
    """What both kinds of process tell after a transfer."""

    serve: str
    node: str


@pytest.fixture(scope="module")
def scrapes(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Scrapes]:
    folder = tmp_path_factory.mktemp("fleet")
    with Fleet(folder) as fleet:
        node = fleet.node("node", "--rate", "30M")
        fleet.knows("node")
        manifest = fleet.push(make_file(folder / "source/file", SIZE_BYTES), "app:1")
        node.done(manifest.id, within_s=20.0)
        yield Scrapes(*(of.bytes("/metrics").decode() for of in (fleet.api, node.api)))


def own(text: str) -> dict[str, Metric]:
    """The families of a scrape that are ours, each once."""
    families = [
        family
        for family in text_string_to_metric_families(text)
        if not FOREIGN.fullmatch(family.name) and not BORN.fullmatch(family.name)
    ]
    names = [family.name for family in families]
    assert len(set(names)) == len(names)
    return dict(zip(names, families, strict=True))


@pytest.mark.parametrize("whose", Scrapes._fields)
def test_a_process_tells_what_the_table_names_and_nothing_else(
    scrapes: Scrapes, whose: str
) -> None:
    told = own(getattr(scrapes, whose))
    wanted = {name for name, family in TABLE.items() if whose == "serve" or not family.tracker_only}
    assert set(told) == wanted
    for name, family in told.items():
        assert family.type == TABLE[name].kind, name
        assert family.documentation and family.documentation[0].isupper(), name


@pytest.mark.parametrize("whose", Scrapes._fields)
def test_labels_have_values_of_known_sets_all_from_the_start(scrapes: Scrapes, whose: str) -> None:
    for name, family in own(getattr(scrapes, whose)).items():
        allowed = TABLE[name].labels
        for sample in family.samples:
            assert set(sample.labels) - {"le"} == set(allowed), name
            assert all(sample.labels[label] in allowed[label] for label in allowed), sample
        for label in set(allowed) - LATER:
            assert {sample.labels[label] for sample in family.samples} == allowed[label], name


def test_a_transfer_is_counted_at_both_ends(scrapes: Scrapes) -> None:
    node, serve = own(scrapes.node), own(scrapes.serve)

    def value(of: dict[str, Metric], sample: str, **labels: str) -> float:
        [found] = [
            each.value
            for family in of.values()
            for each in family.samples
            if each.name == sample and each.labels == labels
        ]
        return float(found)

    received = {
        source: value(node, "strew_chunk_bytes_received_total", source=source)
        for source in ("origin", "near", "far", "local")
    }
    assert sum(received.values()) == SIZE_BYTES
    assert received["origin"] > 0.8 * SIZE_BYTES, "one that overtakes the Join counts as far"
    assert value(serve, "strew_chunk_bytes_sent_total") == SIZE_BYTES
    assert value(node, "strew_transfers_ended_total", result="done") == 1
    assert value(node, "strew_transfer_duration_seconds_count") == 1
    assert value(node, "strew_store_bytes", state="complete") == SIZE_BYTES
    for folder in ("data", "into"):
        free_bytes = value(node, "strew_disk_free_bytes", folder=folder)
        assert value(node, "strew_disk_size_bytes", folder=folder) > free_bytes > 0
    assert value(node, "strew_rate_limit_wait_seconds_total") > 0
    assert value(serve, "strew_tracker_nodes") == 2


@pytest.mark.skipif(shutil.which("promtool") is None, reason="prometheus is not installed")
@pytest.mark.parametrize("whose", Scrapes._fields)
def test_prometheus_has_no_fault_to_find(scrapes: Scrapes, whose: str) -> None:
    text = getattr(scrapes, whose)
    done = subprocess.run(
        ["promtool", "check", "metrics"], input=text, capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stderr + done.stdout


def test_operators_read_of_every_metric_with_its_labels() -> None:
    page = (ROOT / "docs/OPERATING.md").read_text()
    rows = re.findall(r"^\| `(strew_\w+?)(?:\{([\w,]+)\})?` \|", page, re.MULTILINE)
    read = {name: set(filter(None, labels.split(","))) for name, labels in rows}
    assert len(read) == len(rows)
    suffix = {"counter": "_total"}
    assert read == {
        name + suffix.get(family.kind, ""): set(family.labels) for name, family in TABLE.items()
    }

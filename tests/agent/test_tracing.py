"""Spans of real transfers on real machines, at a collector that speaks OTLP over HTTP."""

from __future__ import annotations

import sys
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from itertools import pairwise
from pathlib import Path
from typing import Any, NamedTuple

import pytest

from strew.agent.tracing import trace_id_of
from tests.announce.makers import artifact_id
from tests.cli.processes import call, environment, until
from tests.machines import Fleet
from tests.members import make_file

trace_service = pytest.importorskip("opentelemetry.proto.collector.trace.v1.trace_service_pb2")

SIZE_BYTES = 2_000_000

STATUS_ERROR = 2
"""STATUS_CODE_ERROR of the protocol."""


class Span(NamedTuple):
    """One as it came, with the machine it is of."""

    machine: str
    said: Any

    @property
    def attributes(self) -> dict[str, Any]:
        return {
            pair.key: getattr(pair.value, pair.value.WhichOneof("value"))
            for pair in self.said.attributes
        }


class Collector:
    """An HTTP server that decodes what it is sent."""

    def __init__(self) -> None:
        self.spans: list[Span] = []
        collector = self

        class Handler(BaseHTTPRequestHandler):
            def do_POST(self) -> None:
                body = self.rfile.read(int(self.headers["Content-Length"]))
                assert self.path == "/v1/traces"
                assert self.headers["Content-Type"] == "application/x-protobuf"
                collector.take(body)
                self.send_response(200)
                self.send_header("Content-Length", "0")
                self.end_headers()

            def log_message(self, *_: Any) -> None:
                """Not on the test's output."""

        self.server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self.at = f"http://127.0.0.1:{self.server.server_port}"

    def take(self, body: bytes) -> None:
        message = trace_service.ExportTraceServiceRequest.FromString(body)
        for resource in message.resource_spans:
            facts = {of.key: of.value.string_value for of in resource.resource.attributes}
            assert facts["service.name"] == "strew"
            for scope in resource.scope_spans:
                self.spans += [Span(facts["service.instance.id"], each) for each in scope.spans]

    def transfers(self, trace_id: int) -> list[Span]:
        """The machines' own spans in one trace."""
        wanted = trace_id.to_bytes(16, "big")
        return [
            of for of in self.spans if of.said.name == "transfer" and of.said.trace_id == wanted
        ]

    def below(self, span: Span) -> list[Any]:
        """The spans of its stages, in order."""
        found = [of.said for of in self.spans if of.said.parent_span_id == span.said.span_id]
        return sorted(found, key=lambda of: of.start_time_unix_nano)


@pytest.fixture
def collector() -> Iterator[Collector]:
    collector = Collector()
    thread = threading.Thread(target=collector.server.serve_forever, args=(0.01,))
    thread.start()
    yield collector
    collector.server.shutdown()
    thread.join()
    collector.server.server_close()


def test_what_machines_do_is_told_to_the_collector_and_one_that_is_down_costs_a_line(
    tmp_path: Path, collector: Collector
) -> None:
    """One test, as its fleet costs more than all of it."""
    nowhere = artifact_id("nobody has this")
    with Fleet(tmp_path) as fleet:
        names = ("one", "two")
        for name in names:
            fleet.node(name, "--otlp-endpoint", collector.at)
        deaf = fleet.node("deaf", "--otlp-endpoint", "http://127.0.0.1:9")
        fleet.knows(*names, "deaf")
        fleet.machines["one"].api.post("transfers", {"artifact": nowhere})
        manifest = fleet.push(make_file(tmp_path / "source/file", SIZE_BYTES), "app:1")
        [publication] = fleet.api.json("names")
        trace_id = trace_id_of(manifest.id, publication["version"])
        until(lambda: len(collector.transfers(trace_id)) == len(names), "a span of each")
        until(lambda: collector.transfers(trace_id_of(nowhere, 0)), "what failed")
        deaf.done(manifest.id, within_s=20.0)
        assert deaf.running.stop() == 0
        assert deaf.running.errors.count("spans not sent") >= 1
        assert "Traceback" not in deaf.running.errors
    spans = collector.transfers(trace_id)
    assert len({span.machine for span in spans}) == len(names)
    for span in spans:
        of_one_machine(span, collector.below(span))
    [failed] = collector.transfers(trace_id_of(nowhere, 0))
    assert failed.said.status.code == STATUS_ERROR and nowhere in failed.said.status.message


def of_one_machine(span: Span, stages: list[Any]) -> None:
    """A transfer that ended well: where its bytes came from, and its stages without a gap."""
    assert span.said.parent_span_id == b"" and span.said.status.code == 0
    told = span.attributes
    assert (told["strew.reference"], told["strew.result"]) == ("app:1", "done")
    came = sum(told[f"strew.{whence}_bytes"] for whence in ("origin", "near", "far"))
    assert came == told["strew.size_bytes"] == SIZE_BYTES
    assert [of.name for of in stages] == ["locating", "reusing", "fetching", "finishing"]
    assert stages[0].start_time_unix_nano == span.said.start_time_unix_nano
    assert stages[-1].end_time_unix_nano == span.said.end_time_unix_nano
    for earlier, later in pairwise(stages):
        assert earlier.end_time_unix_nano == later.start_time_unix_nano
        assert {earlier.trace_id, later.trace_id} == {span.said.trace_id}


def test_without_the_extra_the_setting_is_refused_with_the_remedy(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(sys.modules, "opentelemetry.sdk.trace", None)
    home = tmp_path / "home"
    home.mkdir()
    done = call(
        *("node", "--listen", "127.0.0.1:0", "--otlp-endpoint", "http://127.0.0.1:4318", "--json"),
        env=environment(home),
        cwd=tmp_path,
    )
    assert done.code == 9
    assert "not installed" in done.final["message"] and "strew[otel]" in done.final["hint"]


@pytest.mark.parametrize(
    "text", ["collector:4318", "ftp://collector", "http://", "http://a b", "//["]
)
def test_what_is_no_collectors_address_is_refused(tmp_path: Path, text: str) -> None:
    home = tmp_path / "home"
    home.mkdir()
    done = call("node", "--otlp-endpoint", text, "--json", env=environment(home), cwd=tmp_path)
    assert done.code in (2, 9) and "collector" in done.final["message"]


def test_another_version_is_another_trace() -> None:
    artifact = artifact_id("something")
    assert len({trace_id_of(artifact, 1), trace_id_of(artifact, 2), trace_id_of(artifact, 0)}) == 3

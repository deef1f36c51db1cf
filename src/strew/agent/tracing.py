"""Spans of transfers for OpenTelemetry (https://opentelemetry.io/docs/specs/otlp/), if asked for.

Each machine sends a span for its transfer, with one below it for each stage, once the transfer has
ended: nothing is sent, and nothing asked of the network, while chunks move. The id of the trace
follows from artifact and version, so the spans of all machines that took a publication stand in one
trace without a word between them. The packages are an extra and are imported by whoever sets an
endpoint alone.
"""

from __future__ import annotations

import hashlib
import logging
import time
from typing import TYPE_CHECKING, Any, Final

import structlog

from strew import __version__
from strew.content.digest import ArtifactId
from strew.errors import ConfigurationError

if TYPE_CHECKING:
    from opentelemetry.sdk.trace import TracerProvider

    from strew.agent.settings import Settings
    from strew.agent.transfer import Transfer
    from strew.messages import PeerId

TRACES_PATH: Final = "/v1/traces"
"""Where a collector takes spans, below its address (OTLP/HTTP, "Request")."""

EXPORT_WITHIN_S: Final = 3.0
"""For one message to the collector, tries again included. A process that ends waits as long for one
that is silent; lower, and a busy collector misses spans."""

EXPORT_EVERY_S: Final = 1.0
"""Spans wait so long for others, to be sent together."""

TRACE_ID_BYTES: Final = 16
"""W3C Trace Context, section 3.2.2.3."""

NS_PER_S: Final = 1_000_000_000

_log = structlog.get_logger(__name__)


def trace_id_of(artifact: ArtifactId, version: int) -> int:
    """The trace of one publication, on whatever machine; version 0 is that of fetches by none."""
    text = f"strew trace\0{artifact}\0{version}".encode()
    return int.from_bytes(hashlib.sha256(text).digest()[:TRACE_ID_BYTES], "big")


def tracing_of(settings: Settings, node: PeerId) -> Tracing | None:
    """What the settings ask for. ConfigurationError."""
    if settings.otlp_endpoint is None:
        return None
    return Tracing(settings.otlp_endpoint, node, settings.zone)


class Tracing:
    """One for each agent whose settings name a collector. ConfigurationError where the extra is not
    installed."""

    def __init__(self, endpoint: str, node: str, zone: str) -> None:
        try:
            from opentelemetry.exporter.otlp.proto.http.trace_exporter import OTLPSpanExporter
            from opentelemetry.sdk.resources import Resource
            from opentelemetry.sdk.trace import TracerProvider
            from opentelemetry.sdk.trace.export import BatchSpanProcessor
            from opentelemetry.sdk.trace.id_generator import RandomIdGenerator
        except ImportError as error:
            raise ConfigurationError(
                f"otlp-endpoint needs packages that are not installed: {error}",
                hint="pip install 'strew[otel]', or leave --otlp-endpoint out",
            ) from None

        class Ids(RandomIdGenerator):
            """Spans have random ids; the trace is that of the publication at hand."""

            trace_id = 0

            def generate_trace_id(self) -> int:
                return self.trace_id

        about = {
            "service.name": "strew",
            "service.version": __version__,
            "service.instance.id": node,
            "strew.zone": zone,
        }
        _quieten()
        self._ids = Ids()
        self._provider: TracerProvider = TracerProvider(
            resource=Resource.create(about), id_generator=self._ids
        )
        exporter = OTLPSpanExporter(endpoint.rstrip("/") + TRACES_PATH, timeout=EXPORT_WITHIN_S)
        self._provider.add_span_processor(
            BatchSpanProcessor(exporter, schedule_delay_millis=EXPORT_EVERY_S * 1000)
        )
        self._tracer = self._provider.get_tracer("strew", __version__)

    def transfer_ended(self, transfer: Transfer, now: float) -> None:
        """Make the spans of a transfer that ended; they are sent in a thread. `now` is of the clock
        of its times."""
        from opentelemetry.trace import Status, StatusCode, set_span_in_context

        offset_ns = time.time_ns() - int(now * NS_PER_S)

        def at(clock_s: float) -> int:
            return offset_ns + int(clock_s * NS_PER_S)

        ended_s = transfer.ended_s or now
        self._ids.trace_id = trace_id_of(transfer.artifact, transfer.version)
        span = self._tracer.start_span(
            "transfer", start_time=at(transfer.started_s), attributes=_attributes(transfer)
        )
        if transfer.outcome == "failed":
            span.set_status(Status(StatusCode.ERROR, transfer.reason))
        within = set_span_in_context(span)
        ends_s = [begun_s for _, begun_s in transfer.stages[1:]] + [ended_s]
        for (stage, begun_s), end_s in zip(transfer.stages, ends_s, strict=True):
            child = self._tracer.start_span(stage, context=within, start_time=at(begun_s))
            child.end(at(end_s))
        span.end(at(ended_s))

    def close(self) -> None:
        """Send what waits, for EXPORT_WITHIN_S or so. Blocks."""
        self._provider.shutdown()


def _attributes(transfer: Transfer) -> dict[str, Any]:
    size_bytes = transfer.manifest.size_bytes if transfer.manifest is not None else 0
    return {
        "strew.artifact": transfer.artifact,
        "strew.reference": transfer.reference,
        "strew.version": transfer.version,
        "strew.result": transfer.outcome or "",
        "strew.size_bytes": size_bytes,
        **{f"strew.{whence}_bytes": count for whence, count in transfer.came_bytes.items()},
        "strew.local_bytes": transfer.reused_bytes,
    }


class _OneLine(logging.Handler):
    """What the exporter has to say, as lines of our log: that a collector is down is no more."""

    def emit(self, record: logging.LogRecord) -> None:
        _log.warning("spans not sent", reason=record.getMessage().splitlines()[0])


def _quieten() -> None:
    """The packages write to Python's own log, with tracebacks."""
    theirs = logging.getLogger("opentelemetry")
    if not any(isinstance(handler, _OneLine) for handler in theirs.handlers):
        theirs.addHandler(_OneLine())
        theirs.setLevel(logging.WARNING)
        theirs.propagate = False

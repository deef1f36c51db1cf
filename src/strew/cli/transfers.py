"""What a process that runs for long tells of its transfers: a line, or an event, for each end."""

import asyncio
from pathlib import Path

import structlog

from strew.agent.quantity import format_duration, format_size
from strew.agent.transfer import Transfer
from strew.cli.output import Output
from strew.errors import StrewError

_log = structlog.get_logger(__name__)


class Transfers:
    """Give `begun` to the agent. `done` counts those that ended well."""

    def __init__(self, out: Output) -> None:
        self._out = out
        self.done = 0

    def begun(self, transfer: Transfer) -> None:
        """The agent started a transfer."""
        transfer.finished.add_done_callback(lambda future: self._ended(transfer, future))

    def _ended(self, transfer: Transfer, future: "asyncio.Future[Path | None]") -> None:
        if future.cancelled():
            return
        error = future.exception()
        if error is None:
            self._tell(transfer, future.result())
        elif isinstance(error, StrewError) and transfer.stage == "failed":
            self._out.event(
                "failed",
                artifact=transfer.artifact,
                reference=transfer.reference,
                code=error.code,
                message=error.message,
                hint=error.hint,
            )

    def _tell(self, transfer: Transfer, path: Path | None) -> None:
        self.done += 1
        size_bytes = transfer.manifest.size_bytes if transfer.manifest is not None else 0
        seconds = (transfer.ended_s or transfer.started_s) - transfer.started_s
        fetched_bytes = transfer.fetched_bytes
        from_origin = transfer.fetched_origin_bytes / fetched_bytes if fetched_bytes else 0.0
        self._out.event(
            "transfer",
            artifact=transfer.artifact,
            reference=transfer.reference,
            path=str(path) if path is not None else None,
            size_bytes=size_bytes,
            seconds=seconds,
            fetched_bytes=fetched_bytes,
            reused_bytes=size_bytes - fetched_bytes,
            from_origin_ratio=from_origin,
        )
        if not self._out.json:
            _log.info(
                "have",
                what=transfer.reference or transfer.artifact,
                path=str(path),
                size=format_size(size_bytes),
                took=format_duration(seconds),
                fetched=format_size(fetched_bytes),
                from_origin=f"{100 * from_origin:.0f} %",
            )

"""What a process that runs for long tells of its transfers: for each end an event, for the program
that reads its output, and one line in the log. No chunk is told of."""

import asyncio
from pathlib import Path
from typing import Any

import structlog

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
        _write(transfer, error)

    def _tell(self, transfer: Transfer, path: Path | None) -> None:
        self.done += 1
        size_bytes = _size_bytes(transfer)
        self._out.event(
            "transfer",
            artifact=transfer.artifact,
            reference=transfer.reference,
            path=str(path) if path is not None else None,
            size_bytes=size_bytes,
            seconds=_seconds(transfer),
            fetched_bytes=transfer.fetched_bytes,
            reused_bytes=size_bytes - transfer.fetched_bytes,
            from_origin_ratio=_from_origin_ratio(transfer),
        )


def _write(transfer: Transfer, error: BaseException | None) -> None:
    """The one line that a log has of a transfer; docs/OPERATING.md names its fields."""
    fields: dict[str, Any] = {
        "artifact": transfer.artifact,
        "reference": transfer.reference,
        "result": transfer.outcome,
        "seconds": round(_seconds(transfer), 3),
        "size_bytes": _size_bytes(transfer),
        **{f"{whence}_bytes": count for whence, count in transfer.came_bytes.items()},
        "local_bytes": transfer.reused_bytes,
        "from_origin_ratio": round(_from_origin_ratio(transfer), 4),
    }
    if transfer.outcome == "failed" and isinstance(error, StrewError):
        _log.warning("transfer", **fields, code=error.code, reason=str(error))
    else:
        _log.info("transfer", **fields)


def _seconds(transfer: Transfer) -> float:
    return (transfer.ended_s or transfer.started_s) - transfer.started_s


def _size_bytes(transfer: Transfer) -> int:
    return transfer.manifest.size_bytes if transfer.manifest is not None else 0


def _from_origin_ratio(transfer: Transfer) -> float:
    """What of the fetched bytes the origin sent."""
    fetched_bytes = transfer.fetched_bytes
    return transfer.fetched_origin_bytes / fetched_bytes if fetched_bytes else 0.0

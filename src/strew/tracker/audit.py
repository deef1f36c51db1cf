"""The audit log: who published, joined, made and revoked tokens, and who was refused.

One JSON object a line in `audit.log` of the data folder, mode 0600: `at` (UTC), `event`, `source`,
and what belongs to the event. No secret ever stands in it: tokens by their id, keys not at all. A
disk that takes no more lines is told of in the process's own log, and stops nothing.
"""

from __future__ import annotations

import os
import time
from collections.abc import Callable
from datetime import UTC, datetime
from pathlib import Path
from typing import Literal

import msgspec
import structlog

AUDIT_FILE = "audit.log"

AUDIT_BYTES_MAX = 8 << 20
"""Of the file; then it becomes `audit.log.1`, which replaces the one before. Two of them hold some
60,000 lines. Lower: less of the past; higher: disk."""

REFUSALS_PER_MINUTE = 30
"""Refusals written; of those beyond only the number is, with the next one. Lower: less is seen of
an attack; higher: an attacker pushes what others did out of the files, which takes days at 30."""

TEXT_CHARS_MAX = 300
"""Of a text from outside."""

Event = Literal["publish", "join", "token-made", "token-revoked", "refused", "member"]

_log = structlog.get_logger(__name__)
_encoder = msgspec.json.Encoder()


class AuditLog:
    """The log in `folder`; `clock` gives unix seconds. Writing never raises."""

    def __init__(
        self,
        folder: Path,
        clock: Callable[[], float] = time.time,
        bytes_max: int = AUDIT_BYTES_MAX,
    ) -> None:
        self._path = folder / AUDIT_FILE
        self._clock = clock
        self._bytes_max = bytes_max
        self._fd: int | None = None
        self._size_bytes = 0
        self._minute = 0
        self._refusals = 0
        self._unwritten = 0
        self._failing = False

    def write(self, event: Event, source: str, **facts: str | int | float) -> None:
        """Add a line; empty facts are left out."""
        now = self._clock()
        at = datetime.fromtimestamp(now, UTC).isoformat(timespec="milliseconds")
        line: dict[str, str | int | float] = {
            "at": at.replace("+00:00", "Z"),
            "event": event,
            "source": source,
        }
        for name, value in facts.items():
            if value != "":
                line[name] = value[:TEXT_CHARS_MAX] if isinstance(value, str) else value
        self._append(_encoder.encode(line) + b"\n")

    def refused(self, source: str, **facts: str | int | float) -> None:
        """Add a line about a refusal, unless there were too many in this minute."""
        minute = int(self._clock() // 60)
        if minute != self._minute:
            self._minute, self._refusals = minute, 0
        if self._refusals >= REFUSALS_PER_MINUTE:
            self._unwritten += 1
            return
        self._refusals += 1
        unwritten, self._unwritten = self._unwritten, 0
        self.write("refused", source, **facts, unwritten=unwritten or "")

    def close(self) -> None:
        """Nothing may be written afterwards."""
        if self._fd is not None:
            os.close(self._fd)
            self._fd = None

    def _append(self, line: bytes) -> None:
        try:
            if self._fd is not None and self._size_bytes + len(line) > self._bytes_max:
                self.close()
                self._path.replace(self._path.with_name(f"{AUDIT_FILE}.1"))
            if self._fd is None:
                self._open()
            assert self._fd is not None
            os.write(self._fd, line)
            self._size_bytes += len(line)
            self._failing = False
        except OSError as error:
            if not self._failing:
                reason = error.strerror or str(error)
                _log.error("the audit log cannot be written", file=str(self._path), reason=reason)
            self._failing = True

    def _open(self) -> None:
        self._path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
        flags = os.O_WRONLY | os.O_CREAT | os.O_APPEND | os.O_CLOEXEC | os.O_NOFOLLOW
        self._fd = os.open(self._path, flags, 0o600)
        self._size_bytes = os.fstat(self._fd).st_size

"""Recordings of transfers in a tracker's data folder: a bounded number of files, the oldest go.

One JSON file each, written whole, and `index.json` with a line about each, so that a list of them
opens none. Without a folder they are kept in memory, and fewer.
"""

from __future__ import annotations

import contextlib
import threading
from pathlib import Path
from statistics import median
from typing import Final

import msgspec

from strew.errors import DiskError, NotFoundError, ProtocolError
from strew.store.posix import write_whole
from strew.telemetry.recording import (
    RECORDING_BYTES_MAX,
    Recording,
    decode_recording,
    encode_recording,
)
from strew.telemetry.report import report_of

FOLDER: Final = "recordings"
INDEX_FILE: Final = "index.json"

FILES_MAX: Final = 64
"""Recordings kept: some weeks of a fleet that is given something new twice a day."""

ALL_BYTES_MAX: Final = 128 << 20
"""What all of them may take on disk: sixteen of the largest fleet."""

IN_MEMORY_MAX: Final = 8
"""Recordings kept where there is no folder."""

INDEX_BYTES_MAX: Final = 1 << 20


class Summary(msgspec.Struct, frozen=True, kw_only=True):
    """A recorded transfer in a line. Times are seconds since the publication."""

    artifact: str
    reference: str
    name: str
    size_bytes: int
    chunk_count: int
    published_unix_s: float
    total: int
    done: int
    failed: int
    seconds_last: float | None
    seconds_median: float | None
    line_seconds: float | None
    bound_seconds: float | None
    ratio_to_bound: float | None
    origin_sent_ratio: float
    file_bytes: int

    @property
    def file_name(self) -> str:
        """Where it lies."""
        digest = self.artifact.partition(":")[2]
        return f"{digest[:16]}-{round(self.published_unix_s * 1000)}.json"


def summary_of(recording: Recording, file_bytes: int) -> Summary:
    """The line about one."""
    report = report_of(recording)
    followers = recording.followers
    done_s = [machine.done_s for machine in followers if machine.done_s is not None]
    return Summary(
        artifact=recording.artifact,
        reference=recording.reference,
        name=recording.name,
        size_bytes=recording.size_bytes,
        chunk_count=recording.chunk_count,
        published_unix_s=recording.published_unix_s,
        total=len(followers),
        done=len(done_s),
        failed=report.failed,
        seconds_last=max(done_s, default=None),
        seconds_median=median(done_s) if done_s else None,
        line_seconds=report.line_seconds,
        bound_seconds=report.bound_seconds,
        ratio_to_bound=report.ratio_to_bound,
        origin_sent_ratio=report.origin.sent_ratio,
        file_bytes=file_bytes,
    )


_index_decoder = msgspec.json.Decoder(tuple[Summary, ...])


class RecordingFiles:
    """Every method may be called from any thread, and blocks on the disk."""

    def __init__(self, folder: Path | None) -> None:
        self._folder = folder / FOLDER if folder is not None else None
        self._memory: dict[str, bytes] = {}
        self._lock = threading.Lock()
        self._summaries = self._indexed()

    def summaries(self) -> tuple[Summary, ...]:
        """All of them, newest first."""
        return self._summaries

    def keep(self, recording: Recording) -> Summary:
        """Write one, in place of an earlier one of the same publication. DiskError; a recording
        that is too large is kept without its machines."""
        body = encode_recording(recording)
        if len(body) > RECORDING_BYTES_MAX:
            recording = msgspec.structs.replace(
                recording, machines=(), partial="too large to be kept with its machines"
            )
            body = encode_recording(recording)
        made = summary_of(recording, len(body))
        with self._lock:
            others = [of for of in self._summaries if of.file_name != made.file_name]
            kept = sorted((made, *others), key=lambda of: -of.published_unix_s)
            staying = kept[: IN_MEMORY_MAX if self._folder is None else FILES_MAX]
            while len(staying) > 1 and sum(of.file_bytes for of in staying) > ALL_BYTES_MAX:
                staying.pop()
            self._write(made, body, staying)
            self._summaries = tuple(staying)
        return made

    def read(self, summary: Summary) -> Recording:
        """One of them. NotFoundError if it is gone or is none any more."""
        gone = NotFoundError(f"the recording of {summary.artifact} is gone")
        with self._lock:
            try:
                if self._folder is None:
                    body = self._memory[summary.file_name]
                else:
                    body = _content(self._folder / summary.file_name, RECORDING_BYTES_MAX)
                return decode_recording(body)
            except (OSError, KeyError, ProtocolError):
                raise gone from None

    def _write(self, made: Summary, body: bytes, staying: list[Summary]) -> None:
        names = {of.file_name for of in staying}
        if self._folder is None:
            self._memory[made.file_name] = body
            self._memory = {name: of for name, of in self._memory.items() if name in names}
            return
        try:
            self._folder.mkdir(parents=True, exist_ok=True)
            write_whole(self._folder / made.file_name, body)
            write_whole(self._folder / INDEX_FILE, msgspec.json.encode(staying))
        except OSError as error:
            raise DiskError(
                f"cannot keep a recording in {self._folder}: {error.strerror}",
                hint="make room there; the transfer itself is not touched by it",
            ) from None
        for path in self._folder.glob("*.json"):
            if path.name not in names and path.name != INDEX_FILE:
                with contextlib.suppress(OSError):
                    path.unlink()

    def _indexed(self) -> tuple[Summary, ...]:
        """What the index names and is there; nothing, if there is none that can be read."""
        if self._folder is None:
            return ()
        try:
            found = _index_decoder.decode(_content(self._folder / INDEX_FILE, INDEX_BYTES_MAX))
        except (OSError, msgspec.DecodeError, UnicodeDecodeError):
            return ()
        return tuple(of for of in found[:FILES_MAX] if (self._folder / of.file_name).is_file())


def _content(path: Path, limit_bytes: int) -> bytes:
    """A file's bytes, of which there may not be more than that. OSError."""
    with path.open("rb") as file:
        body = file.read(limit_bytes + 1)
    if len(body) > limit_bytes:
        raise OSError(f"{path} is too large")
    return body

"""Starting the kernel's writing early, so that the fsync at a download's end finds little to do.

Left to itself the kernel keeps what was written in memory for up to 30 s, and a file that arrives
in ten is written to the disk after its last chunk: every machine of a fleet then waits for its
disk when it could have been done. Starting the write is not waiting for it, but it may wait for
the disk's queue, so that a thread of its own does it.
"""

import contextlib
import os
import queue
import threading

from strew.store.posix import start_writing

STEP_BYTES = 8 << 20
"""Written to a file between two starts: large enough for long runs, small beside any download
that waits noticeably at its end."""

QUEUE_MAX = 64
"""Starts waiting for the disk; a busy one is asked no more, its fsync will come anyway."""


class Writeback:
    """Counts what is written to each file and starts writing it out every `STEP_BYTES`."""

    def __init__(self) -> None:
        self._queue: queue.Queue[int | None] = queue.Queue(QUEUE_MAX)
        self._thread: threading.Thread | None = None

    def start(self, fd: int) -> None:
        """Begin to write out the file; returns at once. The descriptor stays the caller's."""
        if self._thread is None:
            self._thread = threading.Thread(target=self._run, name="strew-writeback", daemon=True)
            self._thread.start()
        copy = os.dup(fd)
        try:
            self._queue.put_nowait(copy)
        except queue.Full:
            os.close(copy)

    def _run(self) -> None:
        while (fd := self._queue.get()) is not None:
            try:
                with contextlib.suppress(OSError):  # what cannot be written shows at the fsync
                    start_writing(fd)
            finally:
                os.close(fd)

    def close(self) -> None:
        """End the thread when it has done what is queued."""
        if self._thread is not None:
            self._queue.put(None)
            self._thread.join(timeout=10.0)
            self._thread = None

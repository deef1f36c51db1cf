"""What lets a rival's processes go all at once: a FIFO that each of them reads to its end first.

Programs wait at it unaltered: it is the list of downloads of aria2c and the configuration of curl.
"""

from __future__ import annotations

import asyncio
import errno
import os
from pathlib import Path

from strew.errors import PartialError

LOOK_EVERY_S = 0.02


class Gate:
    """A FIFO at which one process waits. `awaited` must have returned before `open` is called."""

    def __init__(self, path: Path) -> None:
        os.mkfifo(path)
        self.path = path
        self._descriptor = -1

    async def awaited(self, process: asyncio.subprocess.Process, name: str) -> None:
        """Return once the process stands at the gate. PartialError if it ends before."""
        while self._descriptor < 0:
            if process.returncode is not None:
                raise PartialError(f"{name} ended at its start: exit code {process.returncode}")
            try:
                self._descriptor = os.open(self.path, os.O_WRONLY | os.O_NONBLOCK)
            except OSError as error:
                if error.errno != errno.ENXIO:  # nobody reads yet
                    raise
                await asyncio.sleep(LOOK_EVERY_S)

    def open(self, line: str = "") -> None:
        """Let the process go on, with a line to read."""
        assert self._descriptor >= 0, "nobody waits here"
        try:
            os.write(self._descriptor, f"{line}\n".encode())
        except BrokenPipeError:
            pass  # it has ended: whoever waits for it hears so
        finally:
            os.close(self._descriptor)

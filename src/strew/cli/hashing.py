"""Reading and hashing on a thread, with progress, and without keeping Ctrl-C waiting."""

import asyncio
import threading
from collections.abc import Callable
from typing import TypeVar

from strew.cli.progress import Progress, Transfer
from strew.store.store import ProgressCallback

_T = TypeVar("_T")


class _Stopped(Exception):
    """Ends the thread at its next step; nobody waits for it any more."""


async def hashing(
    work: Callable[[ProgressCallback], _T], progress: Progress, key: str, note: str
) -> _T:
    """What `work` gives. It must call back as it goes; if this is cancelled it ends there."""
    stopped = threading.Event()

    def step(done_bytes: int, total_bytes: int) -> None:
        if stopped.is_set():
            raise _Stopped
        progress.update(key, Transfer(done_bytes, total_bytes, note=note))

    try:
        return await asyncio.to_thread(work, step)
    finally:
        stopped.set()

"""Work in a thread that ends soon once nobody wants it: reading, hashing, writing whole files."""

import asyncio
import threading
from collections.abc import Callable
from typing import TypeVar

_T = TypeVar("_T")

Step = Callable[[], None]
"""Called now and then by whoever works; raises once nobody wants the work any more."""


class _Stopped(Exception):
    """Ends the thread at its next step."""


def unstopped() -> None:
    """The step of work that nobody will stop."""


async def stoppable(work: Callable[[Step], _T]) -> _T:
    """What `work` gives, or raises, in a thread.

    Once cancelled the work ends at its next step, and this waits until it has: whoever closes what
    it uses, or deletes what it wrote, comes after its last word.
    """
    stopped = threading.Event()

    def step() -> None:
        if stopped.is_set():
            raise _Stopped

    running = asyncio.ensure_future(asyncio.to_thread(work, step))
    try:
        return await asyncio.shield(running)
    finally:
        stopped.set()
        # who is cancelled does not hear how it ended, and that is no news
        await asyncio.gather(running, return_exceptions=True)

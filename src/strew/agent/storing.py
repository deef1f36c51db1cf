"""Verifying and writing chunks: on the event loop while that is quick, else in a thread.

Hashing and writing a slice into the page cache takes 0.1 to 0.2 ms; handing it to a thread and
back costs about as much again and makes two threads fight for the interpreter (measured: 1.5 CPU
s/GiB inline and 1.9 with the hop for chunks of 64 KiB, 0.9 and 1.1 for slices of 512 KiB). But a
disk that cannot keep up makes pwrite wait, and the loop must not: after one slow write all go to
the thread for a while, where the outcomes of several come back in one wake-up.
"""

from __future__ import annotations

import asyncio
import queue
import resource
import threading
from collections import deque
from collections.abc import Callable
from typing import Any

SLOW_S = 0.01
"""Work that took so long without being interrupted, and gave up the processor of its own accord,
has waited for the disk. Where processors are scarce many a quick write is interrupted for as long;
a thread would then cost more than the write (a third of all time with 33 nodes on two cores)."""

SLOW_TWICE_S = 1.0
"""Two slow ones within this time are a slow disk; one is an accident."""

THREADED_S = 5.0
"""After slow work everything goes to the thread for so long."""

Work = Callable[[], Any]
Done = Callable[[Any, BaseException | None], None]


class StoreThread:
    """Runs work in order; `done(result, error)` is called on the loop for each, perhaps at once.

    One thread for each agent: more would only make the disk seek.
    """

    def __init__(self, loop: asyncio.AbstractEventLoop) -> None:
        self._loop = loop
        self._work: queue.SimpleQueue[tuple[Work, Done] | None] = queue.SimpleQueue()
        self._results: deque[tuple[Done, Any, BaseException | None]] = deque()
        self._woken = False
        self._outstanding = 0
        self._threaded_until_s = 0.0
        self._slow_s = -SLOW_TWICE_S
        self._thread = threading.Thread(target=self._run, name="strew-store", daemon=True)
        self._thread.start()

    def submit(self, work: Work, done: Done) -> None:
        """Do it or queue it; the queue is bounded by the buffers that receiving may hold."""
        now = self._loop.time()
        if self._outstanding or now < self._threaded_until_s:
            self._outstanding += 1
            self._work.put((work, done))
            return
        waits, interruptions = _switches()
        result, error = _attempt(work)
        if self._loop.time() - now > SLOW_S:
            after = _switches()
            if after[0] > waits and after[1] == interruptions:
                if now - self._slow_s < SLOW_TWICE_S:
                    self._threaded_until_s = now + THREADED_S
                self._slow_s = now
        done(result, error)

    def _run(self) -> None:
        while (item := self._work.get()) is not None:
            work, done = item
            self._results.append((done, *_attempt(work)))
            if not self._woken:
                self._woken = True
                try:
                    self._loop.call_soon_threadsafe(self._deliver)
                except RuntimeError:
                    return  # the loop is closed: nobody waits for outcomes any more

    def _deliver(self) -> None:
        self._woken = False
        try:
            while self._results:
                done, result, error = self._results.popleft()
                self._outstanding -= 1
                done(result, error)
        finally:
            if self._results:  # a `done` raised: the others' outcomes still count
                self._loop.call_soon(self._deliver)

    def stop(self) -> None:
        """Finish what is queued, then end."""
        self._work.put(None)
        self._thread.join(timeout=10.0)


def _switches() -> tuple[int, int]:
    """How often this thread has given up the processor to wait for something, and how often it was
    taken from it."""
    usage = resource.getrusage(resource.RUSAGE_THREAD)
    return usage.ru_nvcsw, usage.ru_nivcsw


def _attempt(work: Work) -> tuple[Any, BaseException | None]:
    """The result, or what went wrong: the loop knows what to do with either."""
    try:
        return work(), None
    except Exception as error:
        return None, error

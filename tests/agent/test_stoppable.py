"""Work in a thread that nobody may want any more."""

import asyncio
import threading
from pathlib import Path

import pytest

from strew.agent.stoppable import Step, stoppable


async def test_it_gives_what_the_work_gives() -> None:
    here = threading.get_ident()
    assert await stoppable(lambda _step: threading.get_ident()) != here


async def test_it_raises_what_the_work_raises() -> None:
    def work(step: Step) -> None:
        step()
        raise OSError("full")

    with pytest.raises(OSError, match="full"):
        await stoppable(work)


async def test_cancelled_it_ends_after_the_work_has(tmp_path: Path) -> None:
    begun, trace = threading.Event(), tmp_path / "trace"

    def work(step: Step) -> None:
        begun.set()
        try:
            while True:
                step()
        finally:
            trace.write_text("last words")

    task = asyncio.create_task(stoppable(work))
    await asyncio.to_thread(begun.wait)
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task
    assert trace.read_text() == "last words"

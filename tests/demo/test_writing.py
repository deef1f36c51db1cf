"""Work whose traces are deleted once it is no longer wanted."""

import asyncio
import shutil
import threading
from pathlib import Path

import pytest

from strew.demo.fleet import open_fleet
from strew.demo.writing import Step, writing


async def test_it_gives_what_the_work_gives() -> None:
    here = threading.get_ident()
    assert await writing(lambda _step: threading.get_ident()) != here


async def test_it_raises_what_the_work_raises() -> None:
    def work(step: Step) -> None:
        step()
        raise OSError("full")

    with pytest.raises(OSError, match="full"):
        await writing(work)


async def test_cancelled_it_ends_after_the_work_has(tmp_path: Path) -> None:
    begun, trace = threading.Event(), tmp_path / "trace"

    def work(step: Step) -> None:
        begun.set()
        try:
            while True:
                step()
        finally:
            trace.write_text("last words")

    task = asyncio.create_task(writing(work))
    await asyncio.to_thread(begun.wait)
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task
    assert trace.read_text() == "last words"


async def test_a_fleet_given_up_while_its_origin_is_filled_writes_no_more(tmp_path: Path) -> None:
    source, folder = tmp_path / "source", tmp_path / "fleet"
    with source.open("wb") as file:
        file.truncate(1 << 29)

    async def opened() -> None:
        async with open_fleet(folder, 1, None, [source]):
            raise AssertionError("it was to be given up before")

    task = asyncio.create_task(opened())
    async with asyncio.timeout(10):
        while not (folder / "origin").exists():
            await asyncio.sleep(0.001)
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task
    shutil.rmtree(folder)
    await asyncio.get_running_loop().shutdown_default_executor()
    assert not folder.exists()

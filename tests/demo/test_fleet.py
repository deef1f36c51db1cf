"""A fleet that is given up before it is there."""

import asyncio
import shutil
from pathlib import Path

import pytest

from strew.demo.fleet import open_fleet


async def test_given_up_while_its_origin_is_filled_it_writes_no_more(tmp_path: Path) -> None:
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

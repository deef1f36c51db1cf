"""Real processes of strew, read and ended."""

import asyncio
import os
from pathlib import Path

import pytest

from strew.demo.child import Child, start_child
from strew.errors import PartialError
from strew.fleet import FleetKey

KEY = FleetKey(bytes(32))


async def ended(child: Child) -> str:
    try:
        return str(await child.ended())
    finally:
        await child.stop()


async def test_an_event_is_heard_once_and_for_all(tmp_path: Path) -> None:
    child = await start_child("doctor", ["config"], KEY, tmp_path)
    try:
        first = await child.heard("result")
        assert await child.heard("result") is first
        with pytest.raises(PartialError, match="doctor ended: exit code 0"):
            await child.heard("published")
    finally:
        await child.stop()


async def test_the_users_settings_do_not_reach_it(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("STREW_RATE", "nonsense")
    child = await start_child("config", ["config"], KEY, tmp_path)
    try:
        assert (await child.heard("result")).fields["type"] == "result"
    finally:
        await child.stop()


async def test_what_a_process_says_of_its_failure_is_told(tmp_path: Path) -> None:
    arguments = ["node", "--listen", "192.0.2.1:7", "--data", str(tmp_path / "data")]
    child = await start_child("node 7", arguments, KEY, tmp_path)
    told = await ended(child)
    assert told.startswith("node 7 ended: cannot listen on 192.0.2.1:7: ")
    assert told.endswith("(choose another address with --listen)")


async def test_a_stopped_process_is_gone(tmp_path: Path) -> None:
    data = str(tmp_path / "data")
    arguments = ["serve", "--listen", "127.0.0.1:0", "--data", data]
    child = await start_child("origin", arguments, KEY, tmp_path)
    waiting = asyncio.create_task(child.heard("published"))
    await child.heard("listening")
    await child.stop()
    await child.stop()
    with pytest.raises(PartialError, match="origin ended: signal 9"):
        await waiting
    with pytest.raises(ProcessLookupError):
        os.kill(child.pid, 0)


async def test_it_can_be_wrapped(tmp_path: Path) -> None:
    wrapping = ["sh", "-c", 'echo $$ > "$0" && exec "$@"', str(tmp_path / "pid")]
    child = await start_child("config", ["config"], KEY, tmp_path, wrapping=wrapping)
    try:
        await child.heard("result")
        assert int((tmp_path / "pid").read_text()) == child.pid
    finally:
        await child.stop()

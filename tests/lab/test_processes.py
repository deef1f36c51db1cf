"""What processes cost, with a control group and without."""

import asyncio
import os
import sys
from pathlib import Path

import pytest

from strew.lab import namespaces, processes
from strew.lab.processes import MEMBERS, Account, group_roots
from tests.lab.root import needs_root

NAME = f"strewlab{os.getpid()}"
BUSY_S = 0.3
TICK_S = 0.05
"""The clocks of groups and processes tick every some milliseconds."""

BUSY = f"""
import time, sys
while time.process_time() < {BUSY_S}:
    pass
if len(sys.argv) > 1:
    time.sleep(60)
"""


def kinds() -> list[str]:
    """Each kind of group this machine has, and none."""
    return [
        *("v2" if (root / "cgroup.controllers").exists() else "v1" for root in group_roots()),
        "none",
    ]


@needs_root
@pytest.mark.parametrize("kind", kinds())
async def test_cpu_time_is_counted(kind: str, monkeypatch: pytest.MonkeyPatch) -> None:
    roots = [
        root
        for root in group_roots()
        if kind == ("v2" if (root / "cgroup.controllers").exists() else "v1")
    ]
    monkeypatch.setattr(processes, "group_roots", lambda: roots)
    place = f"{NAME}-cpu"
    namespaces.tell("ip", [f"netns add {place}"])
    account = Account(NAME, [place])
    account.open()
    try:
        assert (account.group is None) == (kind == "none")
        account.mark()
        # without a group a process must still be there when it is looked at
        child = await started(account, place, BUSY, *(["stay"] if kind == "none" else []))
        if kind == "none":
            async with asyncio.timeout(20):
                while account.cpu_s() < BUSY_S - TICK_S:
                    await asyncio.sleep(0.02)
            child.kill()
        await child.wait()
        assert BUSY_S - TICK_S <= account.cpu_s() < BUSY_S + 2.0
        account.mark()
        assert account.cpu_s() < 0.1
    finally:
        await account.close()
        namespaces.tell("ip", [f"netns delete {place}"])
    assert not any((root / NAME).exists() for root in roots)


@needs_root
async def test_peak_memory_is_that_of_the_largest_process() -> None:
    places = [f"{NAME}-a", f"{NAME}-b"]
    namespaces.tell("ip", [f"netns add {place}" for place in places])
    account = Account(NAME, places)
    account.open()
    try:
        big = "import sys; x = bytearray(b'x') * (64 << 20); print(flush=True); sys.stdin.read()"
        child = await started(account, places[0], big)
        assert child.stdout is not None
        await child.stdout.readline()
        assert account.rss_peak_bytes(places) > 64 << 20
        assert account.rss_peak_bytes(places[1:]) == 0
        child.kill()
        await child.wait()
        assert account.rss_peak_bytes(places) > 64 << 20
    finally:
        await account.close()
        namespaces.tell("ip", [f"netns delete {place}" for place in places])


async def started(
    account: Account, place: str, script: str, *words: str
) -> asyncio.subprocess.Process:
    """Python in a namespace, in the account's group if there is one."""
    group = account.group or Path(os.devnull)
    assert account.group is None or group.name == MEMBERS
    return await asyncio.create_subprocess_exec(
        *("sh", "-c", 'echo $$ >"$0" && exec "$@"', str(group)),
        *("ip", "netns", "exec", place, sys.executable, "-c", script, *words),
        stdin=asyncio.subprocess.PIPE,
        stdout=asyncio.subprocess.PIPE,
    )

"""Foreign programs on a lab's hosts: whether they are installed, and whether they listen yet."""

from __future__ import annotations

import asyncio
import importlib.util
import shutil
from pathlib import Path

from strew.errors import PartialError

LOOK_EVERY_S = 0.02

_LISTENING = "0A"
"""TCP_LISTEN in /proc/net/tcp (Linux, Documentation/networking/proc_net_tcp.rst)."""


def missing_program(program: str, package: str) -> str | None:
    """What to say where a program is not installed; None where it is."""
    if shutil.which(program) is not None:
        return None
    return f"'{program}' is not installed: 'make lab' installs it, or apt-get install {package}"


def missing_module(module: str) -> str | None:
    """What to say where a Python package is not installed; None where it is."""
    if importlib.util.find_spec(module) is not None:
        return None
    return f"'{module}' is not installed: 'make lab' installs it, or pip install {module}"


async def listening(process: asyncio.subprocess.Process, port: int, name: str) -> None:
    """Wait until somebody listens on a port of the namespace that a process lives in.

    PartialError if it ends before.
    """
    table = Path(f"/proc/{process.pid}/net/tcp")
    while process.returncode is None:
        if port in _listened(table):
            return
        await asyncio.sleep(LOOK_EVERY_S)
    raise PartialError(f"{name} ended before it listened: exit code {process.returncode}")


def _listened(table: Path) -> set[int]:
    """The ports that somebody listens on, of a /proc/PID/net/tcp."""
    try:
        rows = [line.split() for line in table.read_text().splitlines()[1:]]
    except OSError:
        return set()  # the process ends just now
    return {int(row[1].rpartition(":")[2], 16) for row in rows if row[3] == _LISTENING}

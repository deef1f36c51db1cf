"""What the processes of a lab cost: CPU time by control group, and peak memory.

A control group counts every process that was ever in it, however short it lived: version 2's
cpu.stat, or version 1's cpuacct.usage (Linux, Documentation/admin-guide/cgroup-v2.rst and
cgroup-v1/cpuacct.rst). Where neither can be made, /proc is read now and then, and what a process
took after the last look is lost.
"""

from __future__ import annotations

import asyncio
import os
from collections.abc import Iterable, Sequence
from pathlib import Path

from strew.lab import namespaces

LOOK_EVERY_S = 1.0
"""How often processes are looked at: a look reads a file for each of them."""

EMPTY_WITHIN_S = 2.0
"""A group can be removed when the kernel has buried its last process."""

LOOK_EVERY_EMPTY_S = 0.01

MEMBERS = "cgroup.procs"
"""The file of a group that a process writes itself into."""

_CHILDREN_FIELD = 15
_TICKS_PER_S = os.sysconf("SC_CLK_TCK")


class Account:
    """`open` and `close` bracket it; times count from `mark`."""

    def __init__(self, name: str, places: Sequence[str]) -> None:
        self._name = name
        self._places = list(places)
        self._folder: Path | None = None
        self._marked_s = 0.0
        self._spent_s: dict[int, float] = {}
        self._peak_bytes: dict[str, int] = {}
        self._watching: asyncio.Task[None] | None = None

    @property
    def group(self) -> Path | None:
        """The file that a process writes its id into to be counted; None without groups."""
        return None if self._folder is None else self._folder / MEMBERS

    def open(self) -> None:
        """Make the group, if one can be made."""
        for root in group_roots():
            folder = root / self._name
            try:
                folder.mkdir(exist_ok=True)
                _group_cpu_s(folder)
            except (OSError, ValueError):
                continue
            self._folder = folder
            return

    def watch(self) -> None:
        """Begin to look at the processes now and then."""
        self._watching = asyncio.create_task(self._watch())

    def unwatch(self) -> None:
        if self._watching is not None:
            self._watching.cancel()

    async def _watch(self) -> None:
        while True:
            await asyncio.sleep(LOOK_EVERY_S)
            self._look()

    def mark(self) -> None:
        """Count from here."""
        self._marked_s = self._total_s()

    def cpu_s(self) -> float:
        """User and system time of all processes, those that have ended included."""
        return self._total_s() - self._marked_s

    def _total_s(self) -> float:
        if self._folder is not None:
            return _group_cpu_s(self._folder)
        self._look()
        return sum(self._spent_s.values())

    def rss_peak_bytes(self, places: Iterable[str]) -> int:
        """The largest process's peak in these namespaces."""
        self._look()
        return max((self._peak_bytes.get(place, 0) for place in places), default=0)

    def _look(self) -> None:
        for place, pids in namespaces.inhabitants(self._places).items():
            for pid in pids:
                try:
                    peak_bytes = _rss_peak_bytes(pid)
                    if self._folder is None:
                        self._spent_s[pid] = _cpu_s(pid)
                except OSError:
                    continue  # it has ended
                self._peak_bytes[place] = max(self._peak_bytes.get(place, 0), peak_bytes)

    async def close(self) -> None:
        """Remove the group; its processes must have been ended."""
        if self._folder is not None:
            await remove_group(self._folder)


def group_roots() -> list[Path]:
    """Where groups that count CPU time can be made, version 2 first."""
    second: list[Path] = []
    first: list[Path] = []
    try:
        mounts = Path("/proc/self/mounts").read_text().splitlines()
    except OSError:
        return []
    for line in mounts:
        _, place, kind, options, *_ = line.split()
        if kind == "cgroup2":
            second.append(Path(place))
        elif kind == "cgroup" and "cpuacct" in options.split(","):
            first.append(Path(place))
    return second + first


async def remove_group(folder: Path) -> None:
    """Remove a control group once it is empty; after a while it is left to the next lab."""
    loop = asyncio.get_running_loop()
    end_s = loop.time() + EMPTY_WITHIN_S
    while not _is_removed(folder) and loop.time() < end_s:
        await asyncio.sleep(LOOK_EVERY_EMPTY_S)


def _is_removed(folder: Path) -> bool:
    try:
        folder.rmdir()
    except FileNotFoundError:
        return True
    except OSError:
        return False
    return True


def _group_cpu_s(folder: Path) -> float:
    try:
        words = (folder / "cpu.stat").read_text().split()
        return int(words[words.index("usage_usec") + 1]) / 1e6
    except FileNotFoundError:
        return int((folder / "cpuacct.usage").read_text()) / 1e9


def _cpu_s(pid: int) -> float:
    """A process's own time and that of its children that have ended (proc_pid_stat(5))."""
    # the command, in parentheses, may itself contain anything
    fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    return sum(int(field) for field in fields[11:_CHILDREN_FIELD]) / _TICKS_PER_S


def _rss_peak_bytes(pid: int) -> int:
    """VmHWM (proc_pid_status(5)); 0 for a process that has none any more."""
    for line in Path(f"/proc/{pid}/status").read_text().splitlines():
        if line.startswith("VmHWM:"):
            return int(line.split()[1]) * 1024
    return 0

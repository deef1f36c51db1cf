"""What a lab that was killed could not take away: found by its name, and removed.

Namespaces and control groups are named after the process that made them. Those of a process that
is alive are nobody else's business, unless it is this one, which has none when it looks.
"""

from __future__ import annotations

import os
import re
import shutil
import signal
import tempfile
from collections.abc import Iterable
from contextlib import suppress
from pathlib import Path

from strew.lab import namespaces
from strew.lab.network import PREFIX, end_inhabitants, remove
from strew.lab.processes import MEMBERS, group_roots, remove_group

WHAT = "lab"
"""In the name of a lab's temporary folder; the id of its process follows."""

_OURS = re.compile(rf"{PREFIX}([0-9]+)(-.+)?")
_OUR_FOLDER = re.compile(rf"strew-{WHAT}-([0-9]+)-.+")


async def sweep() -> int:
    """End and remove all that labs of dead processes left; how many things that were."""
    spaces = _of_the_dead(namespaces.FOLDER, _OURS)
    groups = [path for root in group_roots() for path in _of_the_dead(root, _OURS)]
    folders = _of_the_dead(Path(tempfile.gettempdir()), _OUR_FOLDER)
    names = [space.name for space in spaces]
    for group in groups:
        for pid in _members(group):
            with suppress(ProcessLookupError):
                os.kill(pid, signal.SIGKILL)
    await end_inhabitants(names)
    remove(names)
    for group in groups:
        await remove_group(group)
    for folder in folders:
        shutil.rmtree(folder, ignore_errors=True)
    return len(spaces) + len(groups) + len(folders)


def _of_the_dead(folder: Path, pattern: re.Pattern[str]) -> list[Path]:
    """What in a folder is named after a process that is no more, or after this one."""
    try:
        found = [(path, pattern.fullmatch(path.name)) for path in sorted(folder.iterdir())]
    except OSError:
        return []
    return [path for path, match in found if match and not _is_alive(int(match[1]))]


def _is_alive(pid: int) -> bool:
    return pid != os.getpid() and Path("/proc", str(pid)).exists()


def _members(group: Path) -> Iterable[int]:
    try:
        return [int(word) for word in (group / MEMBERS).read_text().split()]
    except OSError:
        return []

"""For tests that make network namespaces."""

import os
import re
from pathlib import Path

import pytest

from strew.lab import namespaces
from strew.lab.network import PREFIX
from strew.lab.processes import group_roots

needs_root = pytest.mark.skipif(os.geteuid() != 0, reason="only root may make network namespaces")


def left_of(pid: int) -> list[str]:
    """Namespaces and control groups of the lab that was this process."""
    ours = re.compile(rf"{PREFIX}{pid}(-.+)?")
    found: list[str] = []
    for folder in (namespaces.FOLDER, *group_roots()):
        if folder.exists():
            found += [str(path) for path in folder.iterdir() if ours.fullmatch(path.name)]
    return found


def processes_below(folder: Path) -> list[str]:
    """Command lines of processes that were given a place in `folder`."""
    found = []
    for entry in Path("/proc").iterdir():
        try:
            words = (entry / "cmdline").read_text() if entry.name.isdigit() else ""
        except OSError:
            continue  # it ended meanwhile
        if str(folder) in words:
            found.append(words)
    return found

"""What a killed lab left behind."""

import os
import subprocess
import tempfile
from pathlib import Path

import pytest

from strew.lab import namespaces
from strew.lab.leftovers import sweep
from strew.lab.network import PREFIX
from strew.lab.processes import MEMBERS, group_roots
from tests.lab.root import left_of, needs_root


@needs_root
async def test_only_what_a_dead_process_left_is_removed(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path))
    dead, alive = ended_pid(), os.getppid()
    namespaces.tell("ip", [f"netns add {PREFIX}{pid}-0" for pid in (dead, alive)])
    group = group_roots()[0] / f"{PREFIX}{dead}"
    group.mkdir()
    for name in (f"strew-lab-{dead}-x", f"strew-lab-{alive}-x", "strew-demo-x"):
        (tmp_path / name).mkdir()
    child = sleeping(f"{PREFIX}{dead}-0")
    try:
        (group / MEMBERS).write_text(str(child.pid))
        while not namespaces.inhabitants([f"{PREFIX}{dead}-0"])[f"{PREFIX}{dead}-0"]:
            assert child.poll() is None
        # it is this process's child and would stay as a zombie in its group
        assert await sweep() >= 3
        assert child.wait(10) == -9
        assert not any("/netns/" in left for left in left_of(dead))
        await sweep()
        assert not left_of(dead)
        assert len(left_of(alive)) == 1
        assert set(os.listdir(tmp_path)) == {f"strew-lab-{alive}-x", "strew-demo-x"}
    finally:
        child.kill()
        child.wait()
        namespaces.tell("ip", [f"netns delete {PREFIX}{alive}-0"])


def sleeping(place: str) -> "subprocess.Popen[bytes]":
    return subprocess.Popen(["ip", "netns", "exec", place, "sleep", "60"])


def ended_pid() -> int:
    """A process id of nobody."""
    child = subprocess.Popen(["true"])
    child.wait()
    return child.pid

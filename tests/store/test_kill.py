"""A process killed at any system call of a download: the next one ends it, fetching little again.

The child kills itself with SIGKILL at the n-th call that changes something on disk, so every n is
the same instant in every run.
"""

import os
import shutil
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from strew.store.disk import DiskStore
from strew.store.memory import MemoryStore
from tests.store.makers import copy_chunks, portrait, write_file, write_tree

CHILD = """
import os, signal, sys
from pathlib import Path
folder, source, target, fatal_call = sys.argv[1:]
calls = 0
def fatal(real):
    def call(*arguments, **options):
        global calls
        calls += 1
        if calls == int(fatal_call):
            os.kill(os.getpid(), signal.SIGKILL)
        return real(*arguments, **options)
    return call
from strew.store import parts, shape
from strew.store.disk import DiskStore
from strew.store.memory import MemoryStore
origin = MemoryStore()
manifest = origin.ingest(Path(source), name="app")
store = DiskStore(Path(folder))
for name in "pwrite ftruncate fchmod chmod fsync rename replace mkdir symlink unlink rmdir".split():
    setattr(os, name, fatal(getattr(os, name)))
parts.exchange = fatal(parts.exchange)
shape.sync_file_system = fatal(shape.sync_file_system)
store.begin(manifest, Path(target))
store.reuse(manifest.id, lambda index: None)
for index in store.bitfield(manifest.id).missing():
    store.put(manifest.id, index, origin.read(manifest.id, index))
    print(index, flush=True)
store.finish(manifest.id)
print("calls", calls, flush=True)
"""

REFETCHED_MAX = 1
"""Chunks: only the one in flight. A node, with several in flight, promises 8."""

PARTS = [0.0, 0.1, 0.2, 0.35, 0.5, 0.65, 0.75, 0.85, 0.9]
"""How far the child gets, as parts of all its calls; and then each of the last, where it swaps."""

LAST = [-10, -9, -8, -7, -6, -5, -4, -3, -2, -1]


def run_child(folder: Path, source: Path, target: Path, fatal_call: int) -> tuple[int, list[str]]:
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join(sys.path)}
    arguments = [str(folder), str(source), str(target), str(fatal_call)]
    child = subprocess.run(
        [sys.executable, "-c", CHILD, *arguments], capture_output=True, env=environment, check=False
    )
    return child.returncode, child.stdout.decode().split("\n")


def check_recovery(tmp_path: Path, source: Path, old: Path | None, fatal_call: int) -> None:
    target = tmp_path / "into" / "app"
    target.parent.mkdir()
    if old is not None:
        old.rename(target)
    before = portrait(target) if old is not None else None
    code, told = run_child(tmp_path / "store", source, target, fatal_call)
    assert code == -signal.SIGKILL, told
    stored_before_kill = sum(line.isdigit() for line in told)
    seen = portrait(target) if target.exists() else None
    assert seen in (before, portrait(source)), "half of something is visible"

    origin, store = MemoryStore(), DiskStore(tmp_path / "store")
    manifest = origin.ingest(source, name="app")
    store.begin(manifest, target)
    store.reuse(manifest.id, lambda index: None)
    fetched = copy_chunks(origin, store, manifest)
    assert stored_before_kill + fetched <= manifest.chunk_count + REFETCHED_MAX
    store.finish(manifest.id)
    assert portrait(target) == portrait(source)
    assert os.listdir(target.parent) == ["app"]
    assert len(store.artifacts()) == 1
    store.close()
    origin.close()


def fatal_call_at(tmp_path: Path, source: Path, old: Path, at: float) -> int:
    """Count the calls of an undisturbed run, then choose one of them."""
    target = tmp_path / "undisturbed" / "app"
    target.parent.mkdir()
    shutil.copytree(old, target, symlinks=True) if old.is_dir() else shutil.copy(old, target)
    code, told = run_child(tmp_path / "undisturbed" / "store", source, target, 0)
    assert code == 0, told
    calls = int(told[-2].split()[1])
    return calls + 1 + int(at) if at < 0 else 1 + int(at * calls)


@pytest.mark.parametrize("at", [*PARTS, *LAST])
def test_a_file(tmp_path: Path, at: float) -> None:
    source = write_file(tmp_path / "source")
    old = write_file(tmp_path / "old", seed=50)
    check_recovery(tmp_path, source, old, fatal_call_at(tmp_path, source, old, at))


@pytest.mark.parametrize("at", [*PARTS, *LAST])
def test_a_tree(tmp_path: Path, at: float) -> None:
    source = write_tree(tmp_path / "source", seed=1)
    old = write_tree(tmp_path / "old", seed=500)
    check_recovery(tmp_path, source, old, fatal_call_at(tmp_path, source, old, at))

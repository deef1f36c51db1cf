"""A large artifact and little memory: 4 GiB where a node, and serve, may each use 256 MiB, page
cache included."""

import contextlib
import os
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.machines import Fleet
from tests.promises import Measured
from tests.trees import same_bytes

pytestmark = [pytest.mark.faults, pytest.mark.long, pytest.mark.timeout(1800)]

SIZE_BYTES = 4 << 30
LIMIT_BYTES = 256 << 20

RSS_MAX_BYTES = 200 << 20
"""The promise."""

WITHIN_S = 900.0

CONTROL = Path("/sys/fs/cgroup")


@contextlib.contextmanager
def limited(name: str) -> Iterator[Path]:
    """A control group of 256 MiB, of either version; skips where none can be made."""
    old = (CONTROL / "memory").is_dir()
    group = CONTROL / ("memory" if old else "") / f"strew-test-{os.getpid()}-{name}"
    try:
        group.mkdir()
        limit = group / ("memory.limit_in_bytes" if old else "memory.max")
        limit.write_text(str(LIMIT_BYTES))
    except OSError as error:
        pytest.skip(f"no memory may be limited here: {error}")
    try:
        yield group
    finally:
        group.rmdir()


def make_large(path: Path) -> Path:
    path.parent.mkdir()
    with path.open("wb") as file:
        for _ in range(SIZE_BYTES >> 24):
            file.write(os.urandom(1 << 24))
    return path


def peak_rss_bytes(pid: int) -> int:
    lines = Path(f"/proc/{pid}/status").read_text().splitlines()
    (peak,) = [line for line in lines if line.startswith("VmHWM")]
    return int(peak.split()[1]) * 1024


def test_a_large_artifact_in_little_memory(tmp_path: Path, measured: Measured) -> None:
    with limited("node") as for_node, limited("serve") as for_serve, Fleet(tmp_path) as fleet:
        serve = fleet.serve.process.pid
        (for_serve / "cgroup.procs").write_text(str(serve))
        node = fleet.node("one")
        (for_node / "cgroup.procs").write_text(str(node.running.process.pid))
        file = make_large(tmp_path / "published/file")
        started_s = time.monotonic()
        fleet.result("push", str(file), "app:1", within_s=WITHIN_S)
        artifact = fleet.result("show", "app:1")["artifact"]
        node.done(artifact, within_s=WITHIN_S)
        took_s = time.monotonic() - started_s
        assert same_bytes(file, node.into / "file")
        peaks = [peak_rss_bytes(pid) for pid in (node.running.process.pid, serve)]
        measured(
            "4 GiB in 256 MiB of memory",
            "no kill, peak RSS up to 200 MiB",
            f"node {peaks[0] >> 20} MiB, serve {peaks[1] >> 20} MiB, in {took_s:.0f} s",
        )
        assert max(peaks) <= RSS_MAX_BYTES
        assert node.is_up() and fleet.serve.process.poll() is None

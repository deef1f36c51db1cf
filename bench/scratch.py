"""Where a case works: a temporary folder, files of noise in it, memory that was touched before."""

import os
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from tempfile import TemporaryDirectory

from blake3 import blake3

from bench.ballast import SPACING_BYTES
from bench.figures import GIB, available_bytes

BLOCK_BYTES = 4 << 20
WARM_FACTOR = 2
"""Of what a case writes: others on the machine take of it as well."""

WARM_BYTES_MAX = 12 << 30
"""Cold memory takes 40 s to be warmed so far."""

WARM_SHARE_MAX = 0.6
"""Of the memory that is free: the rest is for what the cases run."""


@dataclass(slots=True)
class Bench:
    """The options of a run, and what its cases share."""

    folder: Path | None = None
    size_bytes: int = GIB
    rounds: int = 3
    large: bool = False
    quiet: bool = False
    _warm_bytes: int = field(default=0, init=False)
    _ballast: list[subprocess.Popen[bytes]] = field(default_factory=list, init=False)

    def say(self, text: str) -> None:
        """How far it is."""
        if not self.quiet:
            print(text, file=sys.stderr, flush=True)

    @contextmanager
    def scratch(self, needs_bytes: int) -> Iterator[Path]:
        """A folder that is removed in the end, with memory warm for files of so many bytes."""
        with TemporaryDirectory(prefix="strew-bench-", dir=self.folder) as name:
            free_bytes = os.statvfs(name).f_bavail * os.statvfs(name).f_frsize
            if free_bytes < needs_bytes:
                raise NoRoomError(
                    f"{needs_bytes / GIB:.0f} GiB needed, {free_bytes / GIB:.0f} free"
                )
            self.warm(WARM_FACTOR * needs_bytes)
            yield Path(name)

    def warm(self, size_bytes: int) -> None:
        """Have so much memory warm until the end of the run; see bench.ballast."""
        size_bytes = min(size_bytes, WARM_BYTES_MAX) - self._warm_bytes
        size_bytes = min(size_bytes, int(WARM_SHARE_MAX * available_bytes()))
        size_bytes -= size_bytes % SPACING_BYTES
        if size_bytes <= 0:
            return
        self.say(f"warming {size_bytes / GIB:.1f} GiB of memory")
        self._warm_bytes += size_bytes
        child = subprocess.Popen(
            [sys.executable, str(Path(__file__).with_name("ballast.py")), str(size_bytes)],
            stdin=subprocess.PIPE,  # which the kernel closes, whatever ends this process
            stdout=subprocess.PIPE,
            start_new_session=True,
        )
        self._ballast.append(child)
        assert child.stdout is not None
        child.stdout.readline()

    def close(self) -> None:
        """Give the memory back."""
        for child in self._ballast:
            child.communicate()
        self._ballast.clear()


class NoRoomError(Exception):
    """The folder's disk is too full for a case."""


def write_noise(path: Path, size_bytes: int, seed: int = 1) -> None:
    """Bytes that cannot be compressed or deduplicated, the same each time; on the disk after."""
    source = blake3(seed.to_bytes(8, "little"))
    with path.open("wb") as file:
        for start in range(0, size_bytes, BLOCK_BYTES):
            length = min(BLOCK_BYTES, size_bytes - start)
            file.write(source.digest(length=length, seek=start))
        file.flush()
        os.fsync(file.fileno())

"""What is spread in a demo: one file of random bytes, or the same bytes cut into parts."""

import random
import shutil
import tempfile
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path

from blake3 import blake3

from strew.agent.quantity import MIB, format_size
from strew.agent.stoppable import Step, stoppable, unstopped
from strew.errors import DiskError

SEED = 2008
"""Every run of the same size spreads the same bytes, so that runs can be compared."""

STEP_BYTES = 1 << 20

NAME = "input.bin"

SPARE_BYTES = 64 * MIB
"""Indexes, manifests and logs beside the copies."""


@dataclass(frozen=True, slots=True)
class SourceFile:
    """The file, and the BLAKE3 digest that each node's copy must have."""

    path: Path
    size_bytes: int
    digest: bytes


def make_source(folder: Path, size_bytes: int, step: Step = unstopped) -> SourceFile:
    """Write the file; random, so that no chunk of it occurs twice. OSError."""
    dice = random.Random(SEED)
    hasher = blake3()
    path = folder / NAME
    with path.open("wb") as file:
        for start in range(0, size_bytes, STEP_BYTES):
            step()
            piece = dice.randbytes(min(STEP_BYTES, size_bytes - start))
            hasher.update(piece)
            file.write(piece)
    return SourceFile(path, size_bytes, hasher.digest())


@asynccontextmanager
async def held_source(
    what: str, size_bytes: int, copies: int, *, mark: str = ""
) -> AsyncIterator[SourceFile]:
    """The file, in a temporary folder `strew-WHAT-MARK...` with room for so many copies beside it,
    which is deleted with all below it. DiskError, OSError."""
    folder = Path(tempfile.mkdtemp(prefix=f"strew-{what}-{mark}"))
    try:
        needed_bytes = size_bytes * (copies + 2) + SPARE_BYTES
        free_bytes = shutil.disk_usage(folder).free
        if free_bytes < needed_bytes:
            raise DiskError(
                f"the {what} needs {format_size(needed_bytes)}, {str(folder.parent)!r} has "
                f"{format_size(free_bytes)}",
                hint="give a smaller --size, fewer --nodes, or name another folder in TMPDIR",
            )
        yield await stoppable(lambda step: make_source(folder, size_bytes, step))
    finally:
        shutil.rmtree(folder, ignore_errors=True)


def cut(source: SourceFile, folder: Path, count: int, step: Step = unstopped) -> list[Path]:
    """The file as `count` files of equal size, to a byte, in order. OSError."""
    assert 0 < count <= source.size_bytes
    ends = [source.size_bytes * (number + 1) // count for number in range(count)]
    paths: list[Path] = []
    start = 0
    with source.path.open("rb") as file:
        for number, end in enumerate(ends):
            path = folder / f"part-{number:03d}.bin"
            with path.open("wb") as part:
                while start < end:
                    step()
                    piece = file.read(min(STEP_BYTES, end - start))
                    part.write(piece)
                    start += len(piece)
            paths.append(path)
    return paths


def digest_of_files(paths: Sequence[Path]) -> bytes:
    """BLAKE3 of what these files hold, one after the other. OSError."""
    hasher = blake3(max_threads=blake3.AUTO)
    for path in paths:
        hasher.update_mmap(path)
    return hasher.digest()

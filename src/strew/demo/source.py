"""What is spread in a demo: one file of random bytes, or the same bytes cut into parts."""

import random
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from blake3 import blake3

SEED = 2008
"""Every run of the same size spreads the same bytes, so that runs can be compared."""

STEP_BYTES = 1 << 20

NAME = "input.bin"


@dataclass(frozen=True, slots=True)
class SourceFile:
    """The file, and the BLAKE3 digest that each node's copy must have."""

    path: Path
    size_bytes: int
    digest: bytes


def make_source(folder: Path, size_bytes: int) -> SourceFile:
    """Write the file; random, so that no chunk of it occurs twice. OSError."""
    dice = random.Random(SEED)
    hasher = blake3()
    path = folder / NAME
    with path.open("wb") as file:
        for start in range(0, size_bytes, STEP_BYTES):
            step = dice.randbytes(min(STEP_BYTES, size_bytes - start))
            hasher.update(step)
            file.write(step)
    return SourceFile(path, size_bytes, hasher.digest())


def cut(source: SourceFile, folder: Path, count: int) -> list[Path]:
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
                    step = file.read(min(STEP_BYTES, end - start))
                    part.write(step)
                    start += len(step)
            paths.append(path)
    return paths


def digest_of_files(paths: Sequence[Path]) -> bytes:
    """BLAKE3 of what these files hold, one after the other. OSError."""
    hasher = blake3(max_threads=blake3.AUTO)
    for path in paths:
        hasher.update_mmap(path)
    return hasher.digest()

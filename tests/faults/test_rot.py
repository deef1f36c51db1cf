"""Disks that change what they keep, silently: with the times of the files as they were."""

import os
import random
from collections.abc import Iterator
from pathlib import Path

import pytest

from strew.content.manifest import Manifest
from strew.store.survey import inspect
from tests.cli.processes import until
from tests.machines import Fleet, Machine
from tests.members import make_file
from tests.promises import Measured
from tests.trees import same_bytes

pytestmark = [pytest.mark.faults, pytest.mark.timeout(300)]

LONG = pytest.mark.long

SIZE_BYTES = 12_000_000
RATE = "12M"
WITHIN_S = 30.0

MENDS_WITHIN_S = 30.0
"""Longest that a node takes to fetch again what others told it is wrong, on a busy machine."""


@pytest.fixture
def fleet(tmp_path: Path) -> Iterator[Fleet]:
    with Fleet(tmp_path, "--rate-up", RATE) as fleet:
        yield fleet


def rot(path: Path, manifest: Manifest, how: str) -> set[int]:
    """Change a file without changing how it looks; the chunks that are wrong then."""
    status = path.stat()
    dice = random.Random(how)
    with path.open("r+b") as file:
        if how in ("bits", "one bit"):
            for index in range(0, manifest.chunk_count, 8 if how == "bits" else 1 << 20):
                at = manifest.offset(index) + dice.randrange(manifest.lengths[index])
                file.seek(at)
                (byte,) = file.read(1)
                file.seek(at)
                file.write(bytes([byte ^ 1 << dice.randrange(8)]))
        elif how == "swapped":
            for index in range(0, manifest.chunk_count - 1, 8):
                length = min(manifest.lengths[index], manifest.lengths[index + 1])
                pieces = []
                for one in (index, index + 1):
                    file.seek(manifest.offset(one))
                    pieces.append(file.read(length))
                for one, piece in zip((index + 1, index), pieces, strict=True):
                    file.seek(manifest.offset(one))
                    file.write(piece)
        else:
            file.truncate(SIZE_BYTES * 3 // 4)
    os.utime(path, ns=(status.st_atime_ns, status.st_mtime_ns))
    return set(inspect(manifest, path).bad_chunks)


def refused(machine: Machine) -> float:
    return machine.api.metric("strew_chunk_verify_failures_total")


@pytest.mark.parametrize(
    "how", ["bits", pytest.param("swapped", marks=LONG), pytest.param("cut off", marks=LONG)]
)
def test_a_node_whose_disk_rots_gives_nobody_a_wrong_byte_and_is_mended(
    fleet: Fleet, tmp_path: Path, measured: Measured, how: str
) -> None:
    file = make_file(tmp_path / "published/file", SIZE_BYTES)
    rotten = fleet.node("rotten")
    manifest = fleet.push(file, "app:1")
    rotten.done(manifest.id, within_s=WITHIN_S)
    bad = rot(rotten.into / "file", manifest, how)
    assert bad
    names = ("one", "two")
    for name in names:
        fleet.node(name, "--rate-up", RATE)
    for name in names:
        fleet.machines[name].done(manifest.id, within_s=WITHIN_S)
        assert same_bytes(file, fleet.machines[name].into / "file")
    known = sum(refused(fleet.machines[name]) for name in names)

    def mended() -> bool:
        """Who is told of one wrong chunk looks for others, and fetches all of them again."""
        return not inspect(manifest, rotten.into / "file").bad_chunks

    if known or how == "cut off":
        until(mended, "the rotten node to be mended", MENDS_WITHIN_S)
    left = len(inspect(manifest, rotten.into / "file").bad_chunks)
    assert rotten.is_up()
    measured(
        f"rot on a node ({how}, {len(bad)} of {manifest.chunk_count} chunks)",
        "accepted by others: 0; all mended once one was asked for",
        f"accepted 0, refused {known:.0f}, {left} still wrong",
    )


@LONG
def test_an_origin_whose_disk_rots_says_so_and_the_fleet_lacks_only_that(
    fleet: Fleet, tmp_path: Path, measured: Measured
) -> None:
    """Nobody else has these chunks yet: nodes wait, and go on once it is pushed again."""
    file = make_file(tmp_path / "published/file", SIZE_BYTES)
    manifest = fleet.push(file, "app:1")
    held = tmp_path / "home/.local/share/strew/serve/held"
    bad = rot(held / manifest.id.removeprefix("blake3:") / "file", manifest, "one bit")
    node = fleet.node("one", "--rate-up", RATE)
    node.reaches(manifest.id, (manifest.chunk_count - len(bad)) / manifest.chunk_count)
    assert not (node.into / "file").exists()
    fleet.push(file, "app:2")
    node.done(manifest.id, within_s=WITHIN_S)
    assert same_bytes(file, node.into / "file")
    measured(
        f"rot at the only origin ({len(bad)} chunks)",
        "accepted: 0; mended by pushing again",
        "accepted 0, mended",
    )

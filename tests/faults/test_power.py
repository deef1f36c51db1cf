"""Power that fails at any instant of a download: what the disk then has is no worse than an older
state, and a node that starts on it ends the download by itself.

The disk is an ext4 file system in a file. What a node wrote and did not flush lies in the kernel's
memory, not in the file, as it would be lost with the power.
"""

import os
import random
import time
from pathlib import Path
from typing import NamedTuple

import pytest

from strew.agent.signed import SignedRecords
from tests.cli.processes import Running
from tests.faults.disks import cut_power, make_image, mounted
from tests.machines import Api, Fleet, remove
from tests.promises import Measured
from tests.store.makers import portrait, write_file

pytestmark = pytest.mark.faults

IMAGE_BYTES = 64 << 20

VERSION_BYTES = 4_000_000
RATE = "3M"
"""A version takes more than a second, so that cuts fall into the middle of some."""

WITHIN_S = 60.0


class Cut(NamedTuple):
    """A disk after a cut, and what was before: `done` versions were told to be in place, and a
    fetch by the name had begun in version `floor` (0: in none)."""

    image: Path
    done: int
    floor: int


def write_version(path: Path, kind: str, version: int) -> Path:
    """Half of each version is as in the one before."""
    path.parent.mkdir(parents=True, exist_ok=True)
    if kind == "file":
        write_file(path, VERSION_BYTES, seed=version)
        return path
    path.mkdir()
    for number in range(40):  # more than are flushed one by one
        write_file(path / f"{number}", VERSION_BYTES // 40, seed=number + version * (number % 2))
    (path / "newest").symlink_to(f"{version}")
    return path


def start(fleet: Fleet, disk: Path) -> Running:
    """A node with all its folders on that disk."""
    return fleet.start(
        *("node", "--join", fleet.at, "--follow", "app:*", "--into", str(disk / "into")),
        *("--data", str(disk / "data"), "--listen", "127.0.0.1:0", "--rate-down", RATE),
    )


def cut_often(fleet: Fleet, kind: str, cuts: int, dice: random.Random) -> list[Cut]:
    """Publish version after version, and cut the power of one node at random instants."""
    image, disk = fleet.folder / "image", fleet.folder / "disk"
    make_image(image, IMAGE_BYTES)
    found: list[Cut] = []
    with mounted(image, disk):
        node = start(fleet, disk)
        api = Api(int(node.event("listening")["port"]), fleet.key)
        version = floor = 0
        while len(found) < cuts:
            version += 1
            source = write_version(fleet.folder / f"{version}/app", kind, version)
            manifest = fleet.push(source, "app:1")
            (published,) = fleet.api.json("names")
            done = False
            while not done and len(found) < cuts:
                time.sleep(dice.uniform(0.0, 1.0))  # the instant is what is random
                ended = {e["artifact"] for e in node.events if e["type"] == "transfer"}
                done = manifest.id in ended
                if done or api.transfer(manifest.id).get("stage") == "fetching":
                    floor = published["version"]
                copy = fleet.folder / f"cut{len(found)}"
                cut_power(image, copy)
                found.append(Cut(copy, version if done else version - 1, floor))
        node.kill()
    return found


def recover(fleet: Fleet, cut: Cut, portraits: list[object], newest: str) -> float:
    """Look at a disk after a cut, and start a node on it; the seconds until all is well."""
    disk = fleet.folder / "disk"
    with mounted(cut.image, disk):
        target = disk / "into/app"
        if cut.done or os.path.lexists(target):
            visible = portraits.index(portrait(target)) + 1
            assert visible >= cut.done, f"version {cut.done} was in place, now {visible} is"
        assert floor_in(disk / "data") >= cut.floor
        started_s = time.monotonic()
        node = start(fleet, disk)
        try:
            node.event("transfer", artifact=newest, within_s=WITHIN_S)
            assert portraits[-1] == portrait(target)
            assert os.listdir(target.parent) == ["app"]
            assert "Traceback" not in node.errors, node.errors
            assert floor_in(disk / "data") >= cut.floor
        finally:
            node.kill()
    cut.image.unlink()
    return time.monotonic() - started_s


def floor_in(data: Path) -> int:
    """The version of the name that a node does not go below, as its disk says."""
    records = SignedRecords(data)
    try:
        return max((floor.version for floor in records.floors()), default=0)
    finally:
        records.close()


def cut_and_recover(folder: Path, kind: str, cuts: int, measured: Measured) -> None:
    seed = random.SystemRandom().randrange(1 << 32)
    print(f"seed {seed}")
    with Fleet(folder) as fleet:
        disks = cut_often(fleet, kind, cuts, random.Random(seed))
        versions = sorted(int(path.parent.name) for path in folder.glob("*/app"))
        portraits = [portrait(folder / f"{version}/app") for version in versions]
        newest = fleet.result("show", "app:1")["artifact"]
        recovered_s = [recover(fleet, cut, portraits, newest) for cut in disks]
        remove(folder / "image")
    measured(
        f"power cut in the download of a {kind}",
        "all recover, nothing wrong is visible, no version and no floor goes back",
        f"{len(recovered_s)} of {cuts}, within {max(recovered_s):.1f} s",
    )


def test_a_disk_whose_power_failed_is_recovered(tmp_path: Path, measured: Measured) -> None:
    cut_and_recover(tmp_path, "tree", 2, measured)


@pytest.mark.long
@pytest.mark.timeout(1800)
@pytest.mark.parametrize("kind", ["file", "tree"])
def test_disks_whose_power_failed_at_many_instants_are_recovered(
    tmp_path: Path, kind: str, measured: Measured
) -> None:
    cut_and_recover(tmp_path, kind, 20, measured)

"""What lies in a node's folders is not as it left it: strangers, cut-off files, another process."""

import os
import sqlite3
from collections.abc import Iterator
from pathlib import Path

import pytest

from strew.content.manifest import Manifest
from strew.store.parts import part_path
from tests.cli.processes import Running, until
from tests.machines import Fleet, Machine, remove
from tests.members import make_file
from tests.trees import same_bytes

pytestmark = [pytest.mark.faults, pytest.mark.timeout(300)]

LONG = pytest.mark.long

WITHIN_S = 30.0


class Place:
    """A fleet with one file published, shared by all tests here: each has a node of its own."""

    def __init__(self, fleet: Fleet) -> None:
        self.fleet = fleet
        self.file = make_file(fleet.folder / "published/file", 3_000_000)
        self.manifest: Manifest = fleet.push(self.file, "app:1")

    def node(self, name: str) -> Machine:
        """A node that has the file."""
        machine = self.fleet.node(name)
        machine.done(self.manifest.id, within_s=WITHIN_S)
        return machine

    def again(self, machine: Machine) -> Running:
        """Its next life, in which it may refuse to start."""
        return self.fleet.start(
            *("node", "--join", self.fleet.at, "--follow", "app:*", "--into", str(machine.into)),
            *("--data", str(machine.data), "--listen", "127.0.0.1:0"),
        )

    def fetches_nothing(self, machine: Machine) -> None:
        """Its next life finds what it has, and serves it."""
        running = self.again(machine)
        done = running.event("transfer", artifact=self.manifest.id, within_s=WITHIN_S)
        assert done["fetched_bytes"] == 0
        assert same_bytes(self.file, machine.into / "file")
        assert os.listdir(machine.into) == ["file"]
        assert "Traceback" not in running.errors
        assert running.stop() == 0


@pytest.fixture(scope="module")
def place(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Place]:
    with Fleet(tmp_path_factory.mktemp("fleet")) as fleet:
        yield Place(fleet)


def refuses(running: Running, *words: str) -> None:
    """It ends with the code for disks, and one line that has these words and a remedy."""
    error = running.event("error")
    assert running.process.wait(WITHIN_S) == 7
    assert all(word in error["message"] for word in words), error
    assert error["hint"] and "\n" not in error["message"] + error["hint"]
    assert "Traceback" not in running.errors


def test_a_second_agent_on_a_folder_is_refused(place: Place) -> None:
    first = place.node("shared")
    refuses(place.again(first), "in use by another strew")
    assert first.is_up()
    assert first.api.json("node")
    assert first.running.stop() == 0
    place.fetches_nothing(first)


@pytest.mark.parametrize(
    "spoil", ["cut off", pytest.param("newer", marks=LONG), pytest.param("garbage", marks=LONG)]
)
def test_an_index_that_cannot_be_used_is_refused_and_not_missed(place: Place, spoil: str) -> None:
    machine = place.node(f"index {spoil}".replace(" ", "-"))
    assert machine.running.stop() == 0
    index = machine.data / "index.sqlite"
    if spoil == "cut off":
        os.truncate(index, 5000)
    elif spoil == "garbage":
        index.write_bytes(os.urandom(20_000))
    else:
        with sqlite3.connect(index) as db:
            db.execute("PRAGMA user_version = 99")
        db.close()
    refuses(place.again(machine), "newer strew" if spoil == "newer" else "damaged")
    index.rename(index.with_suffix(".away"))  # what the refusal advises
    place.fetches_nothing(machine)


@pytest.mark.parametrize(
    "kept",
    [
        "manifest",
        *(pytest.param(k, marks=LONG) for k in ("names.json", "node.id", "index.sqlite-wal")),
    ],
)
@pytest.mark.parametrize("how", ["empty", pytest.param("garbage", marks=LONG)])
def test_other_files_of_the_state_may_be_lost(place: Place, kept: str, how: str) -> None:
    """As a power loss leaves what was not flushed."""
    machine = place.node(f"{kept}-{how}")
    if kept == "names.json":
        until((machine.data / kept).exists, "names to be kept")
    machine.kill()
    path = machine.data / kept
    if kept == "manifest":
        (path,) = (machine.data / "manifests").iterdir()
    path.write_bytes(b"" if how == "empty" else os.urandom(50))
    place.fetches_nothing(machine)


@pytest.mark.parametrize(
    "what",
    [
        "link",
        pytest.param("folder", marks=LONG),
        pytest.param("claims that are a link", marks=LONG),
    ],
)
def test_a_stranger_in_the_place_of_the_part_is_told_of_and_left_alone(
    place: Place, what: str
) -> None:
    name = what.replace(" ", "-")
    into = place.fleet.folder / name
    into.mkdir()
    victim = place.fleet.folder / f"{name}.victim"
    victim.write_bytes(b"not to be touched")
    part = Path(part_path(str(into / "file"), place.manifest.id))
    if what == "folder":
        (part / "inside").mkdir(parents=True)
    elif what == "link":
        part.symlink_to(victim)
    else:
        part.with_suffix(".have").symlink_to(victim)
    machine = place.fleet.node(name)
    if what != "claims that are a link":
        until(lambda: machine.api.transfer(place.manifest.id).get("stage") == "paused", "a pause")
        reason = machine.api.transfer(place.manifest.id)["reason"]
        assert "cannot use" in reason and part.name in reason
        assert machine.is_up()
        remove(part)
    machine.done(place.manifest.id, within_s=WITHIN_S)
    assert same_bytes(place.file, into / "file")
    assert victim.read_bytes() == b"not to be touched"
    assert os.listdir(into) == ["file"]

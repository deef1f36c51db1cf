"""A fleet goes on with the data folders that the version before left behind.

`unsigned-names.tar.xz` was made by it: the folder of a `serve` that holds two versions of a small
tree, and a node's memory of their names.
"""

import tarfile
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.cli.processes import Running, environment, run, until

DATA = Path(__file__).with_name("unsigned-names.tar.xz")
KEY = "07" * 32
FIRST = "\n".join(str(number * number) for number in range(40_000))
SECOND = FIRST.replace("\n1\n", "\n2\n", 1)


class Fleet:
    """`serve` on the old folder, and what joins it."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.env = environment(folder, STREW_FLEET_KEY=KEY)
        with tarfile.open(DATA) as archive:
            archive.extractall(folder, filter="data")
        words = ("--listen", "127.0.0.1:0", "--data", "serve")
        self.running = [Running("serve", *words, env=self.env, cwd=folder)]
        listening = self.running[0].event("listening")
        self.address = "127.0.0.1:{port}".format(**listening)
        self.publisher = str(listening["publisher"])

    def node(self, *words: str) -> Running:
        """A node that joins and follows into the folder `into`."""
        where = ("--join", self.address, "--into", "into", "--listen", "127.0.0.1:0")
        self.running.append(Running("node", *where, *words, env=self.env, cwd=self.folder))
        return self.running[-1]

    def has(self, text: str) -> None:
        """Wait until the tree's file is there, in that version."""
        file = self.folder / "into/tree/a.txt"
        until(lambda: file.exists() and file.read_text() == text, "the tree")


@pytest.fixture
def fleet(tmp_path: Path) -> Iterator[Fleet]:
    old = Fleet(tmp_path)
    yield old
    for process in reversed(old.running):
        process.stop()


def test_its_names_are_known_and_its_files_are_given(fleet: Fleet) -> None:
    listed = run("ls", "--json", "--at", fleet.address, env=fleet.env, cwd=fleet.folder)
    assert {found["reference"] for found in listed.final["names"]} == {"app:1", "app:2"}
    fleet.node("--follow", "app:1", "--data", "fresh")
    fleet.has(FIRST)


def test_its_names_are_signed_so_that_who_trusts_its_key_believes_them(fleet: Fleet) -> None:
    fleet.node("--follow", "app:2", "--data", "fresh", "--trust", fleet.publisher)
    fleet.has(SECOND)


def test_a_node_that_remembers_names_of_that_time_follows_them_on(fleet: Fleet) -> None:
    fleet.node("--follow", "app:2", "--data", "node")
    fleet.has(SECOND)
    (fleet.folder / "tree").mkdir()
    (fleet.folder / "tree/a.txt").write_text("newer")
    words = ("push", "tree", "app:2", "--at", fleet.address, "--json")
    pushed = run(*words, env=fleet.env, cwd=fleet.folder)
    assert pushed.code == 0, pushed.err
    fleet.has("newer")

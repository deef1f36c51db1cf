"""Somebody who may write to the folder that is installed into swaps what lies there for links, as
fast as the machine can, while it is fetched to, repaired and removed: nothing elsewhere changes.
"""

import contextlib
import mmap
import random
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest

from strew.content.manifest import Manifest
from strew.errors import DiskError, StrewError
from strew.store.disk import DiskStore
from strew.store.memory import MemoryStore
from strew.store.parts import part_path
from tests.store.makers import copy_chunks, overwrite, portrait, write_file, write_tree

ROUNDS = 12
"""Fetches or repairs under attack; the attacker mostly swaps some thousand times meanwhile."""

ROUNDS_MAX = 300
"""Where the attacker comes to nothing at first, because the machine is busy."""

SWAPPER = """
import ctypes, mmap, os, sys
left, right, counted = map(os.fsencode, sys.argv[1:])
renameat2 = ctypes.CDLL(None).renameat2
with open(counted, "r+b") as file:
    count = mmap.mmap(file.fileno(), 16)
print(flush=True)
while not count[8]:
    if renameat2(-100, left, -100, right, 2) == 0:
        count[:8] = (int.from_bytes(count[:8], "little") + 1).to_bytes(8, "little")
"""
"""It exchanges two names (RENAME_EXCHANGE) until told to stop, and counts how often it did."""


class Attacker:
    """Swaps a path and a link again and again, in a process of its own. A context."""

    def __init__(self, path: Path, link_to: Path) -> None:
        self._path = path
        self._link = path.with_name("attacker")
        self._link.symlink_to(link_to)

    @property
    def swaps(self) -> int:
        return int.from_bytes(self._count[:8], "little")

    def rounds(self) -> Iterator[int]:
        """Attack for so long; further if it came to nothing so far."""
        for number in range(ROUNDS_MAX):
            if number >= ROUNDS and self.swaps:
                return
            yield number

    def __enter__(self) -> "Attacker":
        with tempfile.NamedTemporaryFile() as file:
            file.truncate(16)
            self._count = mmap.mmap(file.fileno(), 16)
            words = [str(self._path), str(self._link), file.name]
            program = [sys.executable, "-SEc", SWAPPER, *words]
            self._process = subprocess.Popen(program, stdout=subprocess.PIPE)
            assert self._process.stdout is not None
            self._process.stdout.readline()
        return self

    def __exit__(self, *error: object) -> None:
        self._count[8] = 1
        self._process.communicate()
        for path in (self._path, self._link):
            if path.is_symlink():
                path.unlink()
        if self._link.exists() and not self._path.exists():
            self._link.rename(self._path)


@pytest.fixture
def victim(tmp_path: Path) -> Iterator[Path]:
    """A folder with the names that the artifact has, too; it must stay as it is."""
    folder = write_tree(tmp_path / "victim", seed=900)
    before = portrait(folder)
    yield folder
    assert portrait(folder) == before, "something elsewhere was changed"


@pytest.fixture
def published(origin: MemoryStore, tmp_path: Path) -> Manifest:
    return origin.ingest(write_tree(tmp_path / "published", seed=1), name="app")


def fetch_once(folder: Path, origin: MemoryStore, manifest: Manifest, target: Path) -> None:
    """What a node does with one artifact, from its start to its end; it may fail anywhere."""
    store = DiskStore(folder)
    try:
        with contextlib.suppress(StrewError):
            store.begin(manifest, target)
            copy_chunks(origin, store, manifest)
            store.finish(manifest.id)
            store.repair_begin(manifest.id)
            copy_chunks(origin, store, manifest)
            store.finish(manifest.id)
    finally:
        store.close()


@pytest.mark.parametrize("is_tree", [False, True])
def test_a_part_that_became_a_link_is_not_dressed(
    origin: MemoryStore, tmp_path: Path, into: Path, is_tree: bool
) -> None:
    """Its last step before the swap is to give modes: chmod(2) would follow the link."""
    make = write_tree if is_tree else write_file
    manifest = origin.ingest(make(tmp_path / "published"), name="app")
    victim = make(tmp_path / "other", seed=900)
    victim.chmod(0o711)
    before = portrait(victim)
    store = DiskStore(tmp_path / "store")
    store.begin(manifest, into / "app")
    copy_chunks(origin, store, manifest)
    part = Path(part_path(str(into / "app"), manifest.id))
    part.rename(into / "aside")
    part.symlink_to(victim)
    with pytest.raises(DiskError):
        store.finish(manifest.id)
    assert portrait(victim) == before
    store.close()


def test_a_folder_that_became_a_link_is_not_tidied_behind_it(
    origin: MemoryStore, published: Manifest, tmp_path: Path, into: Path, victim: Path
) -> None:
    """A repair removes what is of another kind than it should be; not elsewhere."""
    store = DiskStore(tmp_path / "store")
    store.begin(published, into / "app")
    copy_chunks(origin, store, published)
    store.finish(published.id)
    (into / "app/lib").rename(into / "aside")
    (into / "app/lib").symlink_to(victim / "bin")
    (victim / "bin/deep").write_text("where a folder should be")
    before = portrait(victim)
    store.repair_begin(published.id)
    copy_chunks(origin, store, published)
    store.finish(published.id)
    assert portrait(victim) == before
    (victim / "bin/deep").unlink()
    assert store.discrepancies(published.id) == []
    store.close()


def attacked(manifest: Manifest, into: Path, what: str) -> Path:
    target = into / "app"
    part = Path(part_path(str(target), manifest.id))
    return {"the part": part, "the target": target}[what]


@pytest.mark.parametrize("what", ["the part", "the target"])
def test_a_tree_is_fetched_under_attack(
    origin: MemoryStore, published: Manifest, tmp_path: Path, victim: Path, what: str
) -> None:
    into = tmp_path / "into"
    into.mkdir()
    with Attacker(attacked(published, into, what), victim) as attacker:
        for _ in attacker.rounds():
            fetch_once(tmp_path / "store", origin, published, into / "app")
    assert attacker.swaps > 0


def test_the_output_folder_is_swapped_while_something_is_fetched_to_it(
    origin: MemoryStore, published: Manifest, tmp_path: Path, into: Path, victim: Path
) -> None:
    """Where a link in its path leads is asked once, when the fetch begins."""
    store = DiskStore(tmp_path / "store")
    swaps = 0
    for number in range(ROUNDS_MAX):
        if number >= ROUNDS and swaps:
            break
        store.begin(published, into / "app")
        with Attacker(into, victim) as attacker, contextlib.suppress(StrewError):
            copy_chunks(origin, store, published)
            store.finish(published.id)
        swaps += attacker.swaps
        store.drop(published.id)
    assert swaps > 0
    store.close()


@pytest.mark.parametrize("what", ["bin", "lib/deep", "lib"])
def test_a_tree_is_repaired_under_attack(
    origin: MemoryStore, published: Manifest, tmp_path: Path, victim: Path, what: str
) -> None:
    """What is in place may be written to by whoever the published modes let."""
    into = tmp_path / "into"
    into.mkdir()
    store = DiskStore(tmp_path / "store")
    store.begin(published, into / "app")
    copy_chunks(origin, store, published)
    store.finish(published.id)
    dice = random.Random(3)
    with Attacker(into / "app" / what, victim / what) as attacker:
        for _ in attacker.rounds():
            (into / "app/big").chmod(0o600)
            overwrite(into / "app/big", dice.randrange(400_000), b"rot")
            with contextlib.suppress(StrewError):
                store.repair_begin(published.id)
                copy_chunks(origin, store, published)
                store.finish(published.id)
            with contextlib.suppress(StrewError):
                store.discrepancies(published.id)
    assert attacker.swaps > 0
    store.close()


def test_a_file_is_fetched_under_attack(
    origin: MemoryStore, manifest: Manifest, tmp_path: Path, into: Path, victim: Path
) -> None:
    part = Path(part_path(str(into / "file"), manifest.id))
    write_file(part, 100)
    with Attacker(part, victim / "big") as attacker:
        for _ in attacker.rounds():
            fetch_once(tmp_path / "store", origin, manifest, into / "file")
            part.exists() or write_file(part, 100)
    assert attacker.swaps > 0


def test_a_held_folder_is_dropped_under_attack(
    origin: MemoryStore, published: Manifest, tmp_path: Path, victim: Path
) -> None:
    """Not that anybody else may write to it: but what removes a tree must never leave it."""
    store = DiskStore(tmp_path / "store")
    swaps = 0
    for number in range(ROUNDS_MAX):
        if number >= ROUNDS and swaps:
            break
        store.begin(published, None)
        copy_chunks(origin, store, published)
        held = store.finish(published.id)
        with Attacker(held / "lib", victim) as attacker, contextlib.suppress(StrewError):
            store.drop(published.id)
        swaps += attacker.swaps
    assert swaps > 0
    store.close()

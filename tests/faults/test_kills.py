"""A node killed at any change it makes to its disk, in a download of 64 chunks: the next one ends
the download without anybody's help, and fetches few chunks again.

The points are all system calls of an undisturbed run, each dies on the way into its call. What a
thread calls on the file and its claims, and on the index, is counted apart from the rest, so that
every one of these calls is hit.
"""

import os
import random
import shutil
import time
from collections import Counter
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from pathlib import Path

import pytest

from strew.agent.signed import SIGNED_FILE
from strew.store.index import STATE_FILE
from strew.store.parts import claims_path, part_path
from strew.store.survey import inspect
from tests.cli.processes import Running, until
from tests.faults.injection import (
    CHANGES,
    Call,
    calls_in,
    killing,
    strace,
)
from tests.machines import CLAIMS_HEADER_BYTES, Fleet, remove
from tests.promises import Measured
from tests.store.makers import portrait, write_file, write_tree

pytestmark = pytest.mark.faults

CHUNK_BYTES = 64 << 10
"""About: the average that content-defined cuts of a small file have."""

REFETCHED_MAX = 8
"""Chunks that lay on the dead node's disk: the promise. What its kernel had received and the node
had not is sent again, too: that is told of beside it."""

WITHIN_S = 60.0
"""Two lives side by side, one of them stopped at each call: much on a busy machine."""

FLEETS = 2
"""Side by side: each point is two starts of a program, most of them on one core."""

REMOVES = "unlinkat"
"""What an old tree is removed by, in the order of its folder, which differs from life to life: at
which of its files a life ends is chance."""

WHOLE = ("node.id", "names.json", "tokens.json", "admin.token")
"""Files of a data folder that are written as a whole, by several threads."""


@dataclass(frozen=True)
class Point:
    """The n-th of some calls, on one kind of files or on all others."""

    place: str
    calls: str
    number: int


@dataclass
class Outcome:
    """What killing at some points showed."""

    died_at: set[Call] = field(default_factory=set)
    refetched: list[int] = field(default_factory=list)
    sent_again_bytes: list[float] = field(default_factory=list)
    wrong: list[str] = field(default_factory=list)
    not_reached: list[Point] = field(default_factory=list)
    """Which thread does what differs between two runs, if seldom: other points hit the same."""
    recovered_s: list[float] = field(default_factory=list)


class Victims:
    """A fleet, what it published, and nodes that die and come back. `kind`: file or tree."""

    def __init__(self, fleet: Fleet, kind: str) -> None:
        self.fleet = fleet
        self.source = fleet.folder / "published/app"
        self.old = fleet.folder / "older/app"
        for path in (self.source, self.old):
            path.parent.mkdir()
        if kind == "file":
            write_file(self.source, 64 * CHUNK_BYTES)
            write_file(self.old, 3 * CHUNK_BYTES, seed=50)
        else:
            write_tree(self.source, seed=1)
            for path in (self.source / "big", self.source / "more"):
                write_file(path, 31 * CHUNK_BYTES, seed=len(path.name))
            write_tree(self.old, seed=500)
        self.manifest = fleet.push(self.source, "app:1")
        self.old_portrait, self.portrait = portrait(self.old), portrait(self.source)
        self._lives = 0

    def prepare(self) -> str:
        """A machine that has an older version in place, put there by hand; its name."""
        self._lives += 1
        name = f"{self._lives}/node"  # its end is the same in all lives
        into = self.fleet.folder / name
        into.mkdir(parents=True)
        if self.old.is_dir():
            shutil.copytree(self.old, into / "app", symlinks=True)
        else:
            write_file(into / "app", 3 * CHUNK_BYTES, seed=50)
        return name

    def places(self, name: str) -> dict[str, list[Path]]:
        """Files by kind; a call on none of these is of the kind ''."""
        root = str(self.fleet.folder / name / "app")
        part = Path(part_path(root, self.manifest.id))
        files = [entry.path for entry in self.manifest.entries if entry.kind == "file"]
        data = self.fleet.folder / f"{name}.data"
        return {
            "part": [part / path for path in files] if self.manifest.is_tree else [part],
            "claims": [Path(claims_path(root, self.manifest.id))],
            "index": state_files(data / STATE_FILE),
            "floors": state_files(data / SIGNED_FILE),
            **{name: [data / f"{name}.new"] for name in WHOLE},
            "manifest": [data / f"manifests/{self.manifest.id[7:]}.manifest.new"],
            "folder": [self.fleet.folder / name],
        }

    def start(self, name: str, wrapped: Sequence[str]) -> Running:
        """A node's first life."""
        return self.fleet.start(
            *("node", "--join", self.fleet.at, "--follow", "app:*", "--into", name),
            *("--data", str(self.fleet.folder / f"{name}.data"), "--listen", "127.0.0.1:0"),
            wrapped=wrapped,
        )

    def points(self) -> tuple[list[Point], set[Call]]:
        """Every change of an undisturbed run, and what these were made to."""
        name = self.prepare()
        log = self.fleet.folder / "undisturbed"
        node = self.start(name, strace(log, f"trace={CHANGES}"))
        node.event("transfer", artifact=self.manifest.id, within_s=WITHIN_S)
        until((self.fleet.folder / f"{name}.data/names.json").exists, "names to be kept", WITHIN_S)
        node.kill()
        places = self.places(name)
        counted = Counter[tuple[str, str, str]]()
        points: dict[Point, None] = {}
        hit = set[Call]()
        for line in log.read_text(errors="replace").splitlines():
            at = [
                place
                for place, paths in places.items()
                if any(f"{path}>" in line or f'"{path}"' in line for path in paths)
            ]
            for thread, call in calls_in(line):
                hit.add(call)
                for place in [*at, ""]:
                    counted[thread, place, call[0]] += 1
                place = at[0] if at else ""
                points[Point(place, call[0], counted[thread, place, call[0]])] = None
        return list(points), hit

    def left_on_disk(self, into: Path) -> tuple[set[int], set[int]]:
        """The chunks that lie on a dead node's disk, and those of them that it could claim."""
        count, root = self.manifest.chunk_count, str(into / "app")
        part, claims = part_path(root, self.manifest.id), claims_path(root, self.manifest.id)
        begun = os.path.lexists(part)
        written = set(range(count)) - set(
            inspect(self.manifest, Path(part if begun else root)).bad_chunks
        )
        if not begun:
            return written, written
        claimed = set[int]()
        if os.path.exists(claims):
            marks = Path(claims).read_bytes()[CLAIMS_HEADER_BYTES:]
            claimed = {index for index, mark in enumerate(marks) if mark}
        return written, written & claimed

    def kill_at(self, point: Point, outcome: Outcome) -> None:
        """One machine: its first life ends at the point, its second one must do the rest."""
        name = self.prepare()
        into, data = self.fleet.folder / name, self.fleet.folder / f"{name}.data"
        log = self.fleet.folder / f"{name}.log"
        before_bytes = self.fleet.api.metric("strew_chunk_bytes_sent_total")
        paths = self.places(name).get(point.place, ())
        node = self.start(name, strace(log, *killing(point.calls, point.number), paths=paths))
        until(lambda: node.process.poll() is not None or is_idle(node, data), "it to die", WITHIN_S)
        if node.process.poll() is None:
            outcome.not_reached.append(point)
        node.kill()
        last = [call for _, call in calls_in(log.read_text(errors="replace"))][-1:]
        outcome.died_at.update(last)
        written, claimed = self.left_on_disk(into)
        if portrait(into / "app") not in (self.old_portrait, self.portrait):
            outcome.wrong.append(f"{point}: something half done is visible")
        started_s = time.monotonic()
        again = self.start(name, ())
        fetched_bytes = self.manifest.size_bytes
        try:
            done = again.event("transfer", artifact=self.manifest.id, within_s=WITHIN_S)
            fetched_bytes = done["fetched_bytes"]
        except AssertionError as error:
            outcome.wrong.append(f"{point} {last}: {error}")
        outcome.recovered_s.append(time.monotonic() - started_s)
        if "Traceback" in again.errors:
            outcome.wrong.append(f"{point} {last}: {again.errors}")
        again.kill()
        sent_bytes = self.fleet.api.metric("strew_chunk_bytes_sent_total") - before_bytes
        outcome.sent_again_bytes.append(max(0.0, sent_bytes - self.manifest.size_bytes))
        outcome.refetched.append(len(written - claimed))
        missing = set(range(self.manifest.chunk_count)) - claimed
        if fetched_bytes > sum(self.manifest.lengths[index] for index in missing):
            outcome.wrong.append(
                f"{point} {last}: fetched {fetched_bytes} bytes, more than missing"
            )
        if portrait(into / "app") != self.portrait:
            outcome.wrong.append(f"{point} {last}: not what was published is in place")
        if os.listdir(into) != ["app"]:
            outcome.wrong.append(f"{point} {last}: left behind {os.listdir(into)}")
        if outcome.refetched[-1] > REFETCHED_MAX:
            outcome.wrong.append(f"{point} {last}: {outcome.refetched[-1]} chunks again")
        remove(into)
        remove(data)


def state_files(path: Path) -> list[Path]:
    """An SQLite file, and what lies beside it."""
    return [path.with_name(path.name + end) for end in ("", "-wal", "-shm", "-journal")]


def is_idle(node: Running, data: Path) -> bool:
    """Whether a node has done all there is to do, and kept the names it heard of."""
    ended = any(event["type"] == "transfer" for event in node.events)
    return ended and (data / "names.json").exists()


def kill_at_all(folder: Path, kind: str, choose: int | None) -> tuple[Outcome, set[Call], int]:
    """Kill at all points, or some of them; the outcome, what should have been hit, how many."""
    outcome = Outcome()
    with Fleet(folder / "0") as first:
        victims = Victims(first, kind)
        points, calls = victims.points()
        if choose is not None:
            points = random.Random(choose).sample(points, choose)

        def kill_at_some(victims: Victims, number: int) -> None:
            for point in points[number::FLEETS]:
                victims.kill_at(point, outcome)
                print(point, *outcome.wrong[-1:], flush=True)

        with Fleet(folder / "1") as second, ThreadPoolExecutor(FLEETS) as pool:
            both = (victims, Victims(second, kind))
            for done in [pool.submit(kill_at_some, of, n) for n, of in enumerate(both)]:
                done.result()
    ends = {call for call, _ in outcome.died_at}
    missed = {each for each in calls - outcome.died_at if each[0] != REMOVES or REMOVES not in ends}
    return outcome, missed, len(points)


def tell(measured: Measured, what: str, outcome: Outcome, points: int) -> None:
    measured(
        what,
        f"all recover by themselves, at most {REFETCHED_MAX} chunks again",
        f"{points - len(outcome.wrong)} of {points} recovered, within "
        f"{max(outcome.recovered_s):.1f} s, at most {max(outcome.refetched)} chunks fetched again "
        f"({max(outcome.sent_again_bytes) / 1024:.0f} KiB sent again); "
        f"{len(outcome.not_reached)} not reached",
    )


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    for number in range(FLEETS):
        (tmp_path / str(number)).mkdir()
    return tmp_path


def test_a_node_killed_at_a_few_changes_recovers(folder: Path, measured: Measured) -> None:
    outcome, _, points = kill_at_all(folder, "tree", 4)
    tell(measured, f"kill at {points} changes of a tree's download", outcome, points)
    assert not outcome.wrong, "\n".join(outcome.wrong)


@pytest.mark.long
@pytest.mark.timeout(3600)
@pytest.mark.parametrize("kind", ["file", "tree"])
def test_a_node_killed_at_every_change_recovers(
    folder: Path, kind: str, measured: Measured
) -> None:
    outcome, missed, points = kill_at_all(folder, kind, None)
    tell(measured, f"kill at every change of a {kind}'s download", outcome, points)
    assert not outcome.wrong, "\n".join(outcome.wrong)
    assert not missed, f"never killed at {sorted(missed)}"

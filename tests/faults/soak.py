"""Publications without end, while machines are killed, stopped, told to end, and lied to.

    python -m tests.faults.soak --minutes 30 [--nodes 20] [--seed N]

The seed is printed first; with the same one the same faults come in the same order. At the end all
machines have what was published last, and nothing has grown: descriptors, memory, orphan `.part`
files. As a test it runs for a minute and a half (test_soak.py).
"""

from __future__ import annotations

import argparse
import contextlib
import os
import random
import secrets
import signal
import stat
import sys
import tempfile
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from strew.content.digest import ArtifactId
from strew.content.reference import parse_address
from strew.store.pool import OPEN_FILES_MAX
from tests.cli.processes import until
from tests.faults.liars import KINDS, Liars
from tests.machines import Fleet, Machine
from tests.members import make_file
from tests.trees import same_bytes

SIZES_BYTES = (200_000, 2_000_000, 6_000_000)
RATE = "8M"

WITHIN_S = 90.0
"""For all to have a publication, with whatever befell them meanwhile."""

STOPPED_S = (0.2, 3.0)

SETTLED_AFTER = 3
"""Publications after which a process is taken to have grown to its size."""

DESCRIPTORS_MORE_MAX = 24
"""Links come and go: a few more or fewer than before say nothing."""

FILES_MAX = OPEN_FILES_MAX + 16
"""Files of artifacts are kept open, up to a number that takes many publications to reach: these are
counted apart. Beside them the databases and what is being written."""

MEMORY_MORE_MAX_BYTES = 48 << 20
"""Buffers and the interpreter's own pools; what leaks grows with every publication."""


@dataclass(slots=True)
class Size:
    """Of one process at one moment; `descriptors` are those that are no files."""

    pid: int
    descriptors: int
    files: int
    memory_bytes: int

    @classmethod
    def of(cls, pid: int) -> Size:
        descriptors = files = 0
        for each in Path(f"/proc/{pid}/fd").iterdir():
            with contextlib.suppress(FileNotFoundError):  # closed meanwhile
                is_file = stat.S_ISREG(each.stat().st_mode)
                files += is_file
                descriptors += not is_file
        pages = int(Path(f"/proc/{pid}/statm").read_text().split()[1])
        return cls(pid, descriptors, files, pages * os.sysconf("SC_PAGE_SIZE"))


class Soak:
    """A fleet and what befalls it, drawn from dice of one seed."""

    def __init__(self, folder: Path, nodes: int, seed: int) -> None:
        print(f"soak of {nodes} nodes, seed {seed}", flush=True)
        self.dice = random.Random(seed)
        self.folder = folder
        self.nodes = nodes
        self.published = 0
        self.faults: list[str] = []
        self._settled: dict[str, Size] = {}
        self._lives: dict[str, int] = {}
        self._befalls: list[Callable[[Machine], None]] = [
            self._killed,
            self._stopped,
            self._told_to_end,
        ]

    def run(self, seconds: float) -> None:
        """Publish for so long; fails as soon as something is not as it should be."""
        with Fleet(self.folder, "--rate-up", RATE) as fleet:
            self.fleet = fleet
            machines = [fleet.node(f"n{n}", "--rate", RATE) for n in range(self.nodes)]
            fleet.knows(*(machine.name for machine in machines))
            end_s = time.monotonic() + seconds
            while time.monotonic() < end_s or self.published <= SETTLED_AFTER:
                self._publish(machines)
            self._check(machines)

    # --- one publication -------------------------------------------------------------------------

    def _publish(self, machines: list[Machine]) -> None:
        self.published += 1
        size_bytes = self.dice.choice(SIZES_BYTES)
        file = make_file(self.folder / "published/file", size_bytes, self.published)
        words = ("push", str(file), f"app:{self.published}")
        artifact = ArtifactId(self.fleet.result(*words, within_s=WITHIN_S)["artifact"])
        befallen = self.dice.sample(machines, self.dice.randrange(1 + len(machines) // 3))
        with contextlib.ExitStack() as lying:
            if self.dice.random() < 0.2:
                self._lied_to(artifact, lying)
            for machine in befallen:
                self.dice.choice(self._befalls)(machine)
            for machine in machines:

                def has(machine: Machine = machine) -> bool:
                    there = machine.into / file.name
                    return there.exists() and same_bytes(file, there)

                until(has, f"{machine.name} to have {artifact}; {self.story()}", WITHIN_S)
        print(f"{self.published}: {size_bytes} bytes; {', '.join(self.faults[-4:])}", flush=True)
        self._measure(machines)

    # --- what befalls machines -------------------------------------------------------------------

    def _note(self, what: str) -> None:
        self.faults.append(what)

    def _killed(self, machine: Machine) -> None:
        self._note(f"{machine.name} killed")
        machine.kill()
        machine.start()

    def _told_to_end(self, machine: Machine) -> None:
        self._note(f"{machine.name} told to end")
        assert machine.running.stop() == 0
        machine.start()

    def _stopped(self, machine: Machine) -> None:
        """For a while; it is woken by the end of that, whatever else happens."""
        self._note(f"{machine.name} stopped")
        machine.signal(signal.SIGSTOP)
        wakes_s = time.monotonic() + self.dice.uniform(*STOPPED_S)
        until(lambda: time.monotonic() > wakes_s, "it to be woken")
        machine.signal(signal.SIGCONT)

    def _lied_to(self, artifact: ArtifactId, lying: contextlib.ExitStack) -> None:
        kind = self.dice.choice(list(KINDS))
        self._note(f"a liar: {kind}")
        manifest = self.fleet.manifest(artifact)
        at = parse_address(self.fleet.at)
        lying.enter_context(Liars([KINDS[kind](self.fleet.key, at, manifest, self.published)]))

    # --- nothing grows ---------------------------------------------------------------------------

    def _measure(self, machines: list[Machine]) -> None:
        """Remember how large each life of a process was when it had settled."""
        processes = {machine.name: machine.running.process.pid for machine in machines}
        processes["serve"] = self.fleet.serve.process.pid
        for name, pid in processes.items():
            known = self._settled.get(name)
            if known is None or known.pid != pid:
                self._lives[name] = 0
                self._settled[name] = Size.of(pid)
            self._lives[name] += 1
            if self._lives[name] == SETTLED_AFTER:
                self._settled[name] = Size.of(pid)

    def _check(self, machines: list[Machine]) -> None:
        grown = []
        for name, before in self._settled.items():
            now = Size.of(before.pid)
            if self._lives[name] < SETTLED_AFTER:
                continue
            more = now.memory_bytes - before.memory_bytes
            grown.append(more)
            told = f"{name} after {self._lives[name]} publications: {before} -> {now}"
            assert now.descriptors - before.descriptors <= DESCRIPTORS_MORE_MAX, told
            assert now.files <= FILES_MAX, told
            assert more <= MEMORY_MORE_MAX_BYTES, told
        for machine in machines:
            assert "Traceback" not in machine.running.errors, machine.running.errors
            left = [path.name for path in machine.into.iterdir() if path.name != "file"]
            assert not left, f"{machine.name} has {left}"
        assert "Traceback" not in self.fleet.serve.errors, self.fleet.serve.errors
        most = max(grown, default=0) / (1 << 20)
        print(
            f"{self.published} publications, {len(self.faults)} faults: all have all, no orphan, "
            f"no descriptor leaked, and of {len(grown)} processes none grew by more "
            f"than {most:.1f} MiB",
            flush=True,
        )

    def story(self) -> str:
        """What befell the fleet, newest last."""
        return "; ".join(self.faults[-12:])


def main(words: list[str]) -> None:
    parser = argparse.ArgumentParser(prog="python -m tests.faults.soak")
    parser.add_argument("--minutes", type=float, default=30.0)
    parser.add_argument("--nodes", type=int, default=20)
    parser.add_argument("--seed", type=int, default=secrets.randbits(32))
    given = parser.parse_args(words)
    with tempfile.TemporaryDirectory(prefix="strew-soak-") as folder:
        Soak(Path(folder), given.nodes, given.seed).run(60.0 * given.minutes)


if __name__ == "__main__":
    main(sys.argv[1:])

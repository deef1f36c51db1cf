"""Processes that a case starts: what they say, their CPU time, their peak memory, their end."""

import json
import os
import queue
import subprocess
import sys
import threading
import time
from collections.abc import Iterator, Sequence
from pathlib import Path
from types import TracebackType
from typing import Any, Self

STOP_WITHIN_S = 10.0
SAY_WITHIN_S = 180.0
"""A process that says nothing for so long ends the benchmark."""

_TICKS_PER_S = os.sysconf("SC_CLK_TCK")


class Ended(Exception):
    """A process ended, or was silent for too long, before it said what was waited for."""


class Process:
    """One child. Its output is read as it comes; `at_s` (Unix time) is put on each JSON object."""

    def __init__(self, command: Sequence[str], folder: Path, environment: dict[str, str]) -> None:
        self._log = folder / f"log-{time.monotonic_ns()}"
        with self._log.open("wb") as log:
            self._child = subprocess.Popen(
                command,
                stdin=subprocess.DEVNULL,
                stdout=subprocess.PIPE,
                stderr=log,
                env=environment,
                cwd=folder,
                start_new_session=True,  # Ctrl-C is for this process, which ends its children
            )
        self._said: queue.SimpleQueue[dict[str, Any] | None] = queue.SimpleQueue()
        self._error = ""
        threading.Thread(target=self._listen, daemon=True).start()
        self.command = list(command)
        self.peak_bytes = 0

    @property
    def pid(self) -> int:
        return self._child.pid

    def _listen(self) -> None:
        assert self._child.stdout is not None
        for line in self._child.stdout:
            try:
                said = json.loads(line)
            except ValueError:
                continue  # meant for people
            if isinstance(said, dict):
                if said.get("type") == "error":
                    self._error = f"{said.get('message')} "
                self._said.put({**said, "at_s": time.time()})
        self._said.put(None)

    def wait_for(self, kind: str, within_s: float = SAY_WITHIN_S) -> dict[str, Any]:
        """The next object of this `type`; what comes before it is dropped. Ended."""
        until_s = time.monotonic() + within_s
        while (left_s := until_s - time.monotonic()) > 0:
            try:
                said = self._said.get(timeout=left_s)
            except queue.Empty:
                break
            if said is None:
                raise Ended(f"{self._name()} ended: {self._complaint()}")
            if said.get("type") == kind:
                return said
        raise Ended(f"{self._name()} did not say {kind!r} in {within_s:.0f} s: {self._complaint()}")

    def rest(self) -> Iterator[dict[str, Any]]:
        """What it says until it ends."""
        while (said := self._said.get(timeout=SAY_WITHIN_S)) is not None:
            yield said

    def _name(self) -> str:
        return " ".join(self.command[:5])

    def _complaint(self) -> str:
        return self._error + self._log.read_text("utf-8", "replace")[-2000:]

    def cpu_s(self) -> float:
        """User and system time of all its threads so far."""
        fields = Path(f"/proc/{self.pid}/stat").read_text().rpartition(")")[2].split()
        return (int(fields[11]) + int(fields[12])) / _TICKS_PER_S

    def rss_peak_bytes(self) -> int:
        """Most memory it ever had resident. (ru_maxrss would count its parent's, before exec.)"""
        return peak_bytes_of(self.pid)

    def ended(self, within_s: float = SAY_WITHIN_S) -> float:
        """Wait for its end; its CPU time from start to end. Ended, if it failed."""
        until_s = time.monotonic() + within_s
        while True:
            # WNOWAIT first: /proc and the zombie's times are gone once it is reaped
            done = os.waitid(os.P_PID, self.pid, os.WEXITED | os.WNOHANG | os.WNOWAIT)
            if done is not None:
                break
            self.peak_bytes = max(self.peak_bytes, self.rss_peak_bytes())
            if time.monotonic() > until_s:
                raise Ended(f"{self._name()} did not end in {within_s:.0f} s")
            time.sleep(0.02)
        spent_s = self.cpu_s()
        if self._child.wait() != 0:
            raise Ended(f"{self._name()} failed: {self._complaint()}")
        return spent_s

    def stop(self) -> None:
        """End it, at once if it does not go by itself."""
        if self._child.poll() is None:
            self._child.terminate()
            try:
                self._child.wait(STOP_WITHIN_S)
            except subprocess.TimeoutExpired:
                self._child.kill()
                self._child.wait()


def peak_bytes_of(pid: int | str) -> int:
    """VmHWM of a process; 0 for one that has ended."""
    for line in Path(f"/proc/{pid}/status").read_text().splitlines():
        if line.startswith("VmHWM:"):
            return int(line.split()[1]) << 10
    return 0


class Processes:
    """A context that ends, on every way out, all that was started in it."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._running: list[Process] = []
        # a user's own configuration must not change what is measured
        mine = {k: v for k, v in os.environ.items() if not k.startswith(("STREW_", "XDG_"))}
        self.environment = {**mine, "HOME": str(folder)}
        # children run in another folder: what was found from here shall be found from there
        given = os.environ.get("PYTHONPATH", "").split(os.pathsep)
        paths = [Path(__file__).parents[1], *(Path(entry).resolve() for entry in given if entry)]
        self.environment["PYTHONPATH"] = os.pathsep.join(map(str, paths))

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        at: TracebackType | None,
    ) -> None:
        for process in self._running:
            process.stop()

    def start(self, *command: str, **environment: str) -> Process:
        """A program with its arguments."""
        process = Process(command, self._folder, self.environment | environment)
        self._running.append(process)
        return process

    def python(self, *arguments: str, **environment: str) -> Process:
        """This very interpreter: `-m MODULE ...`, `-c CODE`."""
        return self.start(sys.executable, *arguments, **environment)

    def stop(self, process: Process) -> None:
        """End one before the others."""
        process.stop()
        self._running.remove(process)

"""Real strew processes for tests: started, waited for with a deadline, ended by their own id."""

import contextlib
import io
import json
import os
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any
from unittest import mock

from strew.cli.main import main

PATIENCE_S = 20.0
"""Longer than anything here takes on a busy machine; a hang fails the test."""

Events = list[dict[str, Any]]


def environment(home: Path, **more: str) -> dict[str, str]:
    """No settings of whoever runs the tests, and a home of its own."""
    kept = {
        name: value
        for name, value in os.environ.items()
        if not name.startswith(("STREW_", "XDG_", "COV_"))
    }
    paths = {"HOME": str(home), "PYTHONPATH": os.pathsep.join(sys.path)}
    return kept | paths | more


def until(true: Callable[[], Any], what: str, within_s: float = PATIENCE_S) -> Any:
    """Poll until `true` gives something; fails with `what` after a while."""
    end_s = time.monotonic() + within_s
    while time.monotonic() < end_s:
        value = true()
        if value:
            return value
        time.sleep(0.02)
    raise AssertionError(f"waited {within_s:.0f} s for {what}")


class Running:
    """A command that runs until it is stopped, with --json. `wrapped` is put before it."""

    def __init__(
        self, *words: str, env: dict[str, str], cwd: Path, wrapped: Sequence[str] = ()
    ) -> None:
        self.events: Events = []
        self.process = subprocess.Popen(
            [*wrapped, sys.executable, "-m", "strew", *words, "--json"],
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
            env=env,
            cwd=cwd,
        )
        self.errors = ""
        self._threads = [
            threading.Thread(target=self._read_events, daemon=True),
            threading.Thread(target=self._read_errors, daemon=True),
        ]
        for thread in self._threads:
            thread.start()

    def _read_events(self) -> None:
        assert self.process.stdout is not None
        for line in self.process.stdout:
            self.events.append(json.loads(line))

    def _read_errors(self) -> None:
        assert self.process.stderr is not None
        for line in self.process.stderr:
            self.errors += line

    def event(self, kind: str, *, within_s: float = PATIENCE_S, **fields: Any) -> dict[str, Any]:
        """The first event of that kind with those fields, once it is there."""

        def found() -> dict[str, Any] | None:
            ended = self.process.poll() is not None and not any(t.is_alive() for t in self._threads)
            for event in list(self.events):
                if event["type"] == kind and fields.items() <= event.items():
                    return event
            assert not ended, f"ended without event {kind} {fields}"
            return None

        try:
            event = until(found, f"event {kind} {fields}", within_s)
        except AssertionError as error:
            raise AssertionError(f"{error}; had {self.events} {self.errors}") from None
        assert isinstance(event, dict)
        return event

    def stop(self, number: int = signal.SIGTERM) -> int:
        """Tell it to end; its exit code."""
        if self.process.poll() is None:
            self.process.send_signal(number)
        try:
            code = self.process.wait(PATIENCE_S)
        except subprocess.TimeoutExpired:
            self.kill()
            raise
        self._close()
        return code

    def kill(self) -> None:
        """End it at once with SIGKILL, stopped or not; nothing of it is left but its files."""
        self.process.kill()
        self.process.wait()
        self._close()

    def _close(self) -> None:
        for thread in self._threads:
            thread.join(PATIENCE_S)
        for pipe in (self.process.stdout, self.process.stderr):
            if pipe is not None:
                pipe.close()


class Done:
    """A command that has ended: its exit code, its objects on stdout, its stderr."""

    def __init__(self, code: int, out: str, err: str) -> None:
        self.code = code
        self.out = out
        self.err = err

    @property
    def events(self) -> Events:
        return [json.loads(line) for line in self.out.splitlines()]

    @property
    def final(self) -> dict[str, Any]:
        """The last object, which must be the only one of its kind."""
        finals = [event for event in self.events if event["type"] in ("result", "error")]
        assert len(finals) == 1, self.out + self.err
        assert self.events[-1] == finals[0]
        return finals[0]


def run(*words: str, env: dict[str, str], cwd: Path, wrapped: Sequence[str] = ()) -> Done:
    """Run a command to its end, as a process. `wrapped` is put before it."""
    process = subprocess.run(
        [*wrapped, sys.executable, "-m", "strew", *words],
        capture_output=True,
        text=True,
        timeout=PATIENCE_S,
        env=env,
        cwd=cwd,
        check=False,
    )
    return Done(process.returncode, process.stdout, process.stderr)


def call(*words: str, env: dict[str, str], cwd: Path) -> Done:
    """Run a command to its end in this process: the start of a Python is most of a short one."""
    out, err = io.StringIO(), io.StringIO()
    with (
        contextlib.chdir(cwd),
        contextlib.redirect_stdout(out),
        contextlib.redirect_stderr(err),
        mock.patch.dict(os.environ, env, clear=True),
    ):
        code = main(words)
    return Done(code, out.getvalue(), err.getvalue())

"""One strew process: started, read line by line, and ended with this one.

Its standard output is the newline-delimited JSON of `--json`; its standard error goes to a file
beside its data, of which only the end is ever shown.
"""

from __future__ import annotations

import asyncio
import contextlib
import os
import sys
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import msgspec

import strew
from strew.errors import PartialError, StrewError
from strew.fleet import FleetKey

LINE_BYTES_MAX = 1 << 20
"""Events are some hundred bytes."""

WORDS_MAX_CHARS = 300
"""Of what a process that failed said last."""


@dataclass(frozen=True, slots=True)
class Heard:
    """An event of a process, and when it was read (time of the event loop)."""

    fields: dict[str, Any]
    at_s: float


class Child:
    """Made by `start_child`; `stop` must be called, whatever happened."""

    def __init__(self, name: str, process: asyncio.subprocess.Process, log: Path) -> None:
        self.name = name
        self._process = process
        self._log = log
        self._awaited: dict[tuple[str, str], asyncio.Future[Heard]] = {}
        self._said: dict[str, Any] = {}
        self._over: StrewError | None = None
        self._reading = asyncio.create_task(self._read())

    @property
    def pid(self) -> int:
        return self._process.pid

    async def heard(self, kind: str, artifact: str = "") -> Heard:
        """The first event of a kind, of this artifact if one is named.

        PartialError if the process ends before, or says that it failed to fetch the artifact.
        """
        return await asyncio.shield(self._future(kind, artifact))

    async def ended(self) -> StrewError:
        """Wait until the process has ended; what it said last."""
        await asyncio.shield(self._reading)
        assert self._over is not None
        return self._over

    def _future(self, kind: str, artifact: str) -> asyncio.Future[Heard]:
        future = self._awaited.get((kind, artifact))
        if future is None:
            future = asyncio.get_running_loop().create_future()
            self._awaited[kind, artifact] = future
            if self._over is not None:
                _fail(future, self._over)
        return future

    async def _read(self) -> None:
        loop = asyncio.get_running_loop()
        assert self._process.stdout is not None
        try:
            async for line in self._process.stdout:
                self._on_event(msgspec.json.decode(line, type=dict[str, Any]), loop.time())
        except (ValueError, msgspec.DecodeError) as error:
            self._said = {"message": f"its output is not JSON lines: {error}"}
            self._kill()
        code = await self._process.wait()
        end = f"exit code {code}" if code >= 0 else f"signal {-code}"
        words = str(self._said.get("message") or self._last_words() or end)
        self._over = PartialError(
            f"{self.name} ended: {words}", hint=str(self._said.get("hint", ""))
        )
        for future in self._awaited.values():
            _fail(future, self._over)

    def _on_event(self, fields: dict[str, Any], now: float) -> None:
        kind, artifact = str(fields.get("type", "")), str(fields.get("artifact", ""))
        if kind == "error":
            self._said = fields
        elif kind == "failed":
            error = PartialError(f"{self.name}: {fields.get('message', 'its transfer failed')}")
            _fail(self._future("transfer", artifact), error)
        else:
            for future in (self._future(kind, ""), self._future(kind, artifact)):
                if not future.done():
                    future.set_result(Heard(fields, now))

    def _last_words(self) -> str:
        try:
            lines = self._log.read_text("utf-8", "replace").strip().splitlines()
        except OSError:
            return ""
        return lines[-1][:WORDS_MAX_CHARS] if lines else ""

    async def stop(self) -> None:
        """End the process at once: nothing of it is kept. Must be called, may be twice."""
        self._kill()
        await self._reading

    def _kill(self) -> None:
        if self._process.returncode is None:
            with contextlib.suppress(ProcessLookupError):
                self._process.kill()


async def start_child(
    name: str,
    arguments: Sequence[str],
    key: FleetKey,
    folder: Path,
    *,
    wrapping: Sequence[str] = (),
) -> Child:
    """Run `strew ARGUMENTS --json`. It gets the key, and no setting of the user's.

    `wrapping` is put before the command line; it must end by becoming that command, so that the
    process stays the same.
    """
    log = folder / f"{name.replace(' ', '-')}.log"
    with log.open("wb") as errors:
        process = await asyncio.create_subprocess_exec(
            *wrapping,
            sys.executable,
            "-m",
            "strew",
            *arguments,
            "--json",
            stdin=asyncio.subprocess.DEVNULL,
            stdout=asyncio.subprocess.PIPE,
            stderr=errors,
            limit=LINE_BYTES_MAX,
            env=_environment(key, folder),
            start_new_session=True,  # Ctrl-C is for this process, which ends its children
        )
    return Child(name, process, log)


def _environment(key: FleetKey, folder: Path) -> dict[str, str]:
    """This one's, without strew's variables and files of settings, and with its own code.

    What a process leaves in temporary folders goes with the fleet's own.
    """
    own = {name: value for name, value in os.environ.items() if not name.startswith("STREW_")}
    code = str(Path(strew.__file__).parents[1])
    own["PYTHONPATH"] = os.pathsep.join(filter(None, (code, own.get("PYTHONPATH"))))
    own["XDG_CONFIG_HOME"] = own["TMPDIR"] = str(folder)
    own["STREW_FLEET_KEY"] = key.text
    return own


def _fail(future: asyncio.Future[Heard], error: StrewError) -> None:
    if not future.done():
        future.set_exception(error)
        future.exception()  # whoever does not wait for it is not reproached

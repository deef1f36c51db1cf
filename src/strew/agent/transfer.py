"""One artifact on its way to this machine: from its id to a finished file or folder.

locating -> reusing -> fetching -> finishing -> done
                          |  ^
                          v  |
                        paused (no space, the disk fails: tried again)
"""

from __future__ import annotations

import asyncio
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Literal

from strew.content.digest import ArtifactId
from strew.content.manifest import Manifest
from strew.errors import StrewError

Stage = Literal["locating", "reusing", "fetching", "paused", "finishing", "done", "failed"]

Outcome = Literal["done", "failed", "stopped"]
"""Stopped: a newer version took its place, or the process ends."""

STAGES_MAX = 64
"""Stages remembered of one transfer. A pause that lasts takes two for each look at the disk; those
that come after the first so many are not told of."""


@dataclass(slots=True, eq=False)
class Transfer:
    """What the agent knows of one fetch. `finished` ends with the path, or raises StrewError."""

    artifact: ArtifactId
    target: Path | None
    reference: str = ""
    sources: tuple[tuple[str, int], ...] = ()
    only_sources: bool = False
    holder: tuple[str, int] | None = None
    becomes_origin: bool = False
    manifest: Manifest | None = None
    version: int = 0
    """Of the publication it was begun by; 0 if by none."""
    stage: Stage = "locating"
    stages: list[tuple[Stage, float]] = field(default_factory=list)
    """The first STAGES_MAX of them, each with when it began."""
    came_bytes: dict[str, int] = field(default_factory=dict)
    """Payload that was lacked, verified and stored, by where it came from; set when it ends."""
    reused_bytes: int = 0
    fetched_bytes: int = 0
    fetched_origin_bytes: int = 0
    outcome: Outcome | None = None
    started_s: float = 0.0
    ended_s: float | None = None
    reason: str = ""
    located: asyncio.Event = field(default_factory=asyncio.Event)
    """Its manifest is here; set also when that is not going to be."""
    completed: asyncio.Event = field(default_factory=asyncio.Event)
    disk_failed: StrewError | None = None
    finished: asyncio.Future[Path | None] = field(
        default_factory=lambda: asyncio.get_running_loop().create_future()
    )
    task: asyncio.Task[None] | None = None
    work: asyncio.Future[Any] | None = None
    """What the store does for it in a thread, or did last."""

    @property
    def key(self) -> str:
        return self.artifact

    @property
    def failure_code(self) -> str:
        """The `code` of what it failed of or is paused for; empty while all is well."""
        if self.stage == "paused":
            return self.disk_failed.code if self.disk_failed is not None else ""
        ended = self.finished.done() and not self.finished.cancelled()
        error = self.finished.exception() if ended else None
        return error.code if isinstance(error, StrewError) else ""

    def enter(self, stage: Stage, now: float) -> None:
        """Go on to another stage."""
        self.stage = stage
        if len(self.stages) < STAGES_MAX:
            self.stages.append((stage, now))

    def locate(self, manifest: Manifest) -> None:
        """Its manifest is here."""
        self.manifest = manifest
        self.located.set()

    def count(self, traffic: dict[str, int]) -> None:
        """Add what its swarm counted, before that swarm is closed or opened anew."""
        self.fetched_bytes += traffic.get("received_bytes", 0)
        self.fetched_origin_bytes += traffic.get("received_origin_bytes", 0)

    def end(self, path: Path | None, error: StrewError | None) -> None:
        """Settle `finished`; later calls change nothing."""
        if self.finished.done():
            return
        self.located.set()
        if error is not None:
            self.stage = "failed"
            self.reason = error.message
            self.finished.set_exception(error)
            self.finished.exception()  # whoever does not wait for it is not reproached
        else:
            self.stage = "done"
            self.finished.set_result(path)

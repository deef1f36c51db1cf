"""What takes part in a lab: something that brings one file from the origin to all machines."""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path
from typing import Protocol

from strew.lab.network import Bench
from strew.telemetry.recording import Recording


@dataclass(slots=True, kw_only=True)
class Spread:
    """One file brought to all machines. Times are in seconds; machines go by their numbers.

    `started_s` is when machines may fetch (time of the event loop). `done_s` is when each has the
    file in its place under its final name, counted from there; `joined_s` when each that was
    started late could take part, counted from there too. `outputs` are those files: whoever
    measures compares them after the clock has stopped. `origin_sent_bytes` is payload and
    `duplicate_bytes` what was received twice, None where it is not known; the bench's counters
    tell what the origin sent with all framing.
    """

    started_s: float
    done_s: dict[int, float] = field(default_factory=dict)
    outputs: dict[int, Path] = field(default_factory=dict)
    joined_s: dict[int, float] = field(default_factory=dict)
    chunks: int
    origin_sent_bytes: int | None = None
    duplicate_bytes: int | None = None
    recording: Recording | None = None
    """What was heard of it, if `terms.recorded` and the contender can tell."""


class Contender(Protocol):
    """Has no state between runs."""

    @property
    def name(self) -> str:
        """One word, as `--contender` takes it."""
        ...

    @property
    def restarts(self) -> bool:
        """Whether it does what `terms.kill` asks for. One that does not is not run with it."""
        ...

    def missing(self) -> str | None:
        """What this machine lacks to run it, with the remedy; None if it can run."""
        ...

    async def run(self, bench: Bench, source: Path, size_bytes: int) -> Spread:
        """Spread `source` from host 0 to all others, as `bench.terms` ask for.

        Processes are started with `bench.spawn` and left running: the bench ends them. A host
        whose `late_s` is above 0 is started so long after the clock, the others before. All that
        can be done before the clock starts (start-up, hashing, joining) is done before;
        `bench.mark()` must be called at the moment it starts, or just after.
        PartialError if a process ends too soon, UnavailableError if nothing moves any more.
        """
        ...
